"""A statement that comes again does what it did the first time: its plan is kept, its values are others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from branching.engine import duckdb
from branching.engine.base import EngineError, ErrorKind
from branching.engine.duckdb import DuckDBCursor

VALUES: dict[str, list[Any]] = {
    "SMALLINT": [0, -32768, 32767, None],
    "INTEGER": [1, -(2**31), 2**31 - 1, None],
    "BIGINT": [2, -(2**63), 2**63 - 1, None],
    "VARCHAR": ["", "it's", "\\", "ü\n$1 ?", "x" * 5000, "a\0b", None],
    "BOOLEAN": [True, False, None],
    "DOUBLE": [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), None],
    "DECIMAL(38, 9)": [
        Decimal("1E+5"),
        Decimal("-12345678901234567890123456789.123456789"),
        Decimal("0.5"),
        None,
    ],
    "DATE": [date(1, 1, 1), date(9999, 12, 31), None],
    "TIMESTAMP": [datetime(1, 1, 1), datetime(2024, 2, 29, 23, 59, 59, 999999), None],
}


@pytest.fixture
def cursor(tmp_path: Path) -> Iterator[DuckDBCursor]:
    made = duckdb.connect(str(tmp_path / "d.duckdb"))
    yield made
    made.close()


def plans(cursor: DuckDBCursor) -> int:
    return int(
        cursor.query("SELECT count(*) FROM duckdb_prepared_statements() WHERE name LIKE '_bough%'")[0][0]
    )


@pytest.mark.parametrize("type_", VALUES)
def test_values_are_what_they_are_as_parameters(cursor: DuckDBCursor, type_: str) -> None:
    for table in ("once", "again"):
        cursor.execute(f"CREATE TABLE {table} (n INTEGER, v {type_})")
    sql = f"INSERT INTO again VALUES (CAST($1 AS INTEGER), CAST($2 AS {type_}))"
    values = [VALUES[type_][0], *VALUES[type_]]
    for number, value in enumerate(values):
        cursor.execute("INSERT INTO once VALUES ($1, $2)", (number, value))
        assert cursor.execute_again(sql, (number, value), ("INTEGER", type_)) == 1
    assert plans(cursor) == 1
    shown = "SELECT n, v, CAST(v AS VARCHAR) FROM {} ORDER BY n"
    assert cursor.query(shown.format("again")) == cursor.query(shown.format("once"))


def test_a_plan_follows_the_table(cursor: DuckDBCursor) -> None:
    sql, types = "INSERT INTO t (a) VALUES (CAST($1 AS INTEGER))", ("INTEGER",)
    for definition, wanted in (
        ("(a INTEGER, b INTEGER DEFAULT 1)", (5, 1)),
        ("(b VARCHAR DEFAULT 'x', a VARCHAR)", ("x", "5")),
        ("(a BIGINT PRIMARY KEY)", (5,)),
    ):
        cursor.execute(f"CREATE OR REPLACE TABLE t {definition}")
        cursor.execute_again(sql, (5,), types)
        assert cursor.query("SELECT * FROM t") == [wanted]
    with pytest.raises(EngineError) as caught:
        cursor.execute_again(sql, (5,), types)
    assert caught.value.kind is ErrorKind.CONSTRAINT
    cursor.execute("ALTER TABLE t ADD COLUMN c TIMESTAMPTZ DEFAULT now()")
    for number in (6, 7):
        cursor.execute_again(sql, (number,), types)
    assert len({row[1] for row in cursor.query("SELECT * FROM t WHERE a > 5")}) == 2, (
        "now() is of each statement"
    )
    cursor.execute("DROP TABLE t")
    with pytest.raises(EngineError, match="t does not exist"):
        cursor.execute_again(sql, (5,), types)


def test_what_does_not_fit_is_refused_as_ever(cursor: DuckDBCursor) -> None:
    cursor.execute("CREATE TABLE t (a SMALLINT)")
    sql = "INSERT INTO t VALUES (CAST($1 AS SMALLINT))"
    said = set()
    for _ in range(3):
        cursor.execute_again(sql, (1,), ("SMALLINT",))
        with pytest.raises(EngineError) as caught:
            cursor.execute_again(sql, (70000,), ("SMALLINT",))
        said.add((caught.value.exception, caught.value.message))
    assert len(said) == 1 and plans(cursor) == 1
    assert cursor.query("SELECT count(*) FROM t") == [(3,)]


def test_few_plans_are_kept(cursor: DuckDBCursor) -> None:
    cursor.execute("CREATE TABLE t (a INTEGER, b INTEGER)")
    for number in range(40):
        sql = f"INSERT INTO t VALUES (CAST($1 AS INTEGER), {number})"
        for value in (1, 2, 3):
            cursor.execute_again(sql, (value,), ("INTEGER",))
    assert cursor.query("SELECT count(*), count(DISTINCT b) FROM t") == [(120, 40)]
    assert plans(cursor) == 16


def test_what_comes_once_takes_no_plan_away(cursor: DuckDBCursor) -> None:
    cursor.execute("CREATE TABLE t (a INTEGER, b INTEGER)")
    often = "INSERT INTO t VALUES (CAST($1 AS INTEGER), 0)"
    for number in range(40):
        cursor.execute_again(often, (number,), ("INTEGER",))
        cursor.execute_again(f"INSERT INTO t VALUES (CAST($1 AS INTEGER), {number})", (number,), ("INTEGER",))
    assert cursor.query("SELECT name FROM duckdb_prepared_statements() WHERE name LIKE '_bough%'") == [
        ("_bough_plan_1",)
    ]
