"""Errors the engine really raises, in Postgres' words."""

from __future__ import annotations

import duckdb
import pytest

from proxy.sql.errors import from_engine, scrub

SETUP = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), s VARCHAR UNIQUE)",
    "INSERT INTO t VALUES (1, 1, 'a')",
    "CREATE SCHEMA x",
)
CASES = [
    ("SELECT * FROM nosuch", "42P01", 'relation "nosuch" does not exist'),
    ("SELECT nosuch FROM t", "42703", 'column "nosuch" does not exist'),
    ("SELECT t.nosuch FROM t", "42703", "column t.nosuch does not exist"),
    ("SELECT q.id FROM t", "42P01", 'missing FROM-clause entry for table "q"'),
    ("SELECT nosuch(1)", "42883", "function nosuch does not exist"),
    ("SELECT upper(1, 2)", "42883", "function upper(integer, integer) does not exist"),
    ("INSERT INTO t VALUES (1, 1, 'b')", "23505", "duplicate key value violates unique constraint"),
    ("INSERT INTO t VALUES (2, NULL, 'b')", "23502",
     'null value in column "n" of relation "t" violates not-null constraint'),
    ("INSERT INTO t VALUES (2, 0, 'b')", "23514", 'new row for relation "t" violates check constraint'),
    ("SELECT 1 // 0", "22012", "division by zero"),
    ("SELECT 'x'::INTEGER", "22P02", 'invalid input syntax for type integer: "x"'),
    ("SELECT 2147483647 + 1", "22003", "integer out of range"),
    ("SELECT 40000::SMALLINT", "22003", "smallint out of range"),
    ("SELECT '2024-13-01'::DATE", "22008", None),
    ("SELECT 'x'::DATE", "22007", 'invalid input syntax for type date: "x"'),
    ("SELECT '{1,2}'::INTEGER[]", "22P02", 'malformed array literal: "{1,2}"'),
    ("CREATE TABLE t (a INT)", "42P07", 'relation "t" already exists'),
    ("CREATE SCHEMA x", "42P06", 'schema "x" already exists'),
    ("SELECT id FROM t a, t b", "42702", 'column reference "id" is ambiguous'),
    ("SELECT id, count(*) FROM t", "42803", None),
    ("INSERT INTO t VALUES (1)", "42601", "INSERT has more target columns than expressions"),
    ("SELECT 1 UNION SELECT 1, 2", "42601", "each UNION query must have the same number of columns"),
    ("SELECT (SELECT * FROM range(2))", "21000", None),
    ("SELECT * FROM t WHERE", "42601", None),
    ("SELECT '{'::JSON", "22P02", "invalid input syntax for type json"),
]  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("text", "sqlstate", "message"), CASES, ids=[row[0] for row in CASES])
def test_from_engine(text: str, sqlstate: str, message: str | None, as_json: bool) -> None:
    with duckdb.connect() as connection:
        for statement in SETUP:
            connection.execute(statement)
        connection.execute(f"SET errors_as_json = {as_json}")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(text).fetchall()
    error = from_engine(type(caught.value).__name__, str(caught.value))
    assert error.sqlstate == sqlstate, str(caught.value)
    if message is not None:
        assert error.message == message


def test_duplicate_key_detail() -> None:
    error = from_engine("ConstraintException", 'Duplicate key "id: 1" violates primary key constraint.')
    assert error.detail == "Key (id)=(1) already exists."


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [
        ("TransactionContext Error: Conflict on update!", "40001"),
        (
            "TransactionContext Error: Failed to commit: PRIMARY KEY or UNIQUE constraint violation: x",
            "40001",
        ),
        ('TransactionContext Error: Catalog write-write conflict on create with "x"', "40001"),
        ("Out of Memory Error: failed to allocate data of size 1", "53200"),
        (
            'TransactionContext Error: Failed to commit: Could not write file "/x": No space left on device',
            "53100",
        ),
        ("FATAL Error: database has been invalidated", "57P02"),
        ("INTERRUPT Error: Interrupted!", "57014"),
    ],
)
def test_by_text(text: str, sqlstate: str) -> None:
    assert from_engine("Error", text).sqlstate == sqlstate


def test_nothing_physical_is_said() -> None:
    text = 'Cannot open "/var/lib/bough/x.duckdb": table bough_b7.t, columns id, _rid, _c'
    assert "/var" not in scrub(text)
    assert "bough_b7" not in scrub(text)
    assert "_rid" not in scrub(text)
