"""Statements that must never reach the engine, and functions of the engine that nobody classified."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from branching.errors import BoughError
from proxy.sql.function_lists import (
    CATALOG_TABLE_FUNCTIONS,
    DENIED_SCALARS,
    DENIED_TABLE_FUNCTIONS,
    FILE_FUNCTIONS,
    HARMLESS_SIDE_EFFECTS,
    TABLE_FUNCTIONS,
)
from proxy.sql.guard import GuardContext
from proxy.sql.prepare import prepare

REFUSED = [
    ("SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("SELECT * FROM READ_TEXT('/etc/passwd')", "42501"),
    ("SELECT * FROM pg_catalog.read_text('/etc/passwd')", "42501"),
    ("SELECT * FROM \"read_text\"('/etc/passwd')", "42501"),
    ("SELECT content FROM read_blob('x.wal')", "42501"),
    ("SELECT * FROM '/etc/passwd.csv'", "42501"),
    ('SELECT * FROM "/etc/passwd"', "42501"),
    ("FROM 's3://bucket/x.parquet'", "42501"),
    ("SELECT * FROM glob('/*')", "42501"),
    ("SELECT * FROM sniff_csv('/etc/passwd')", "42501"),
    ("SELECT * FROM read_csv(getenv('HOME'))", "42501"),
    ("INSERT INTO t VALUES (1) ON CONFLICT (lower(a)) DO NOTHING", "0A000"),
    ("SELECT * FROM query('SELECT 1')", "0A000"),
    ("SELECT * FROM query_table('bough.x')", "0A000"),
    ("WITH x AS (SELECT * FROM query('SELECT 1')) SELECT * FROM x", "0A000"),
    ("SELECT (SELECT count(*) FROM duckdb_settings())", "0A000"),
    ("SELECT 1 WHERE EXISTS (SELECT * FROM duckdb_databases())", "0A000"),
    ("SELECT * FROM json_execute_serialized_sql('x')", "0A000"),
    ("SELECT * FROM pragma_storage_info('t')", "0A000"),
    ("SELECT * FROM pragma_table_info('bough.t')", "0A000"),
    ("SELECT * FROM t, LATERAL query('SELECT 1')", "0A000"),
    ("SELECT getvariable('x')", "0A000"),
    ("SELECT getenv('HOME')", "0A000"),
    ("SELECT write_log('x')", "0A000"),
    ("INSERT INTO t SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("CREATE TABLE x AS SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("CREATE VIEW v AS SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("CREATE MACRO m() AS TABLE SELECT * FROM read_text('/etc/passwd')", "42501"),
    ("CREATE INDEX i ON t ((getenv('x')))", "0A000"),
    ("ALTER TABLE t ALTER a SET DEFAULT getenv('x')", "0A000"),
    ("CREATE TABLE x (a text DEFAULT getenv('x'))", "0A000"),
    ("SUMMARIZE '/etc/passwd.csv'", "42501"),
    ("SELECT * FROM (SUMMARIZE '/etc/passwd.csv')", "42501"),
    ("COPY (SELECT * FROM read_text('/x')) TO STDOUT", "42501"),
    ("EXPLAIN ANALYZE SELECT * FROM read_text('/x')", "42501"),
    ("PREPARE p AS SELECT * FROM read_text('/x')", "42501"),
    ("DECLARE c CURSOR FOR SELECT getenv('x')", "0A000"),
    ("DESCRIBE SELECT * FROM read_csv('/etc/passwd')", "42501"),
    ("PIVOT '/etc/passwd.csv' ON a USING sum(b)", "42501"),
    ("COPY t FROM '/etc/passwd'", "42501"),
    ("COPY t TO '/tmp/x'", "42501"),
    ("COPY t FROM PROGRAM 'id'", "42501"),
    ("COPY t TO 'x.db' (USE_TMP_FILE false)", "42501"),
    ("ATTACH 'x.db'", "0A000"),
    ("ATTACH ':memory:' AS m", "0A000"),
    ("DETACH x", "0A000"),
    ("INSTALL httpfs", "0A000"),
    ("PRAGMA database_list", "0A000"),
    ("USE bough", "0A000"),
    ("EXPORT DATABASE '/tmp/x'", "42601"),
    ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "0A000"),
    ("CREATE TRIGGER a BEFORE INSERT ON t EXECUTE FUNCTION f()", "0A000"),
    ("CREATE MATERIALIZED VIEW m AS SELECT 1", "0A000"),
    ("PREPARE TRANSACTION 'x'", "0A000"),
    ("SELECT 1::money", "0A000"),
    ("SELECT 1::nosuchtype", "42704"),
    ("SELECT to_char(now(), 'RM')", "0A000"),
    ("SELECT to_char(now(), x) FROM t", "0A000"),
    ("BRANCH LIST", "42601"),
    ("SELEC 1", "42601"),
    ("SELECT 1 FROM", "42601"),
    ("SELECT " + "(" * 4000 + "1" + ")" * 4000, "54001"),
    ("SELECT " + "array[" * 7 + "1" + "]" * 7, "54000"),
    ("FROM t SELECT " + "row(" * 60 + "1" + ")" * 60, "54001"),
    ("SELECT * FROM " + "(SELECT * FROM " * 12_000 + "t" + ") q" * 12_000, "54001"),  # ended the process
    ("SELECT a" + "[1]" * 3000, "54001"),
    ("SELECT " + "+".join(["1"] * 100_000), "54001"),
    (" UNION ALL ".join(["SELECT 1"] * 25_000), "54001"),
]


@pytest.mark.parametrize(("text", "sqlstate"), REFUSED, ids=[text[:60] for text, _ in REFUSED])
def test_refused(text: str, sqlstate: str) -> None:
    with pytest.raises(BoughError) as caught:
        prepare(text)
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    "text",
    [
        "SELECT [1,2]", "SELECT 1::DOUBLE", "SELECT strftime(now(), '%Y')", "SUMMARIZE t",
        "PIVOT t ON a USING sum(b)",
        "SELECT * EXCLUDE (a) FROM t", "FROM t", "SELECT a FROM t QUALIFY row_number() OVER () = 1",
        "SELECT TRY_CAST('x' AS INT)", "SELECT {'a': 1}", "SELECT list_transform([1], lambda x: x + 1)",
        "CREATE TABLE x (a DOUBLE DEFAULT 0.5, b VARCHAR DEFAULT (strftime(now(), '%Y')))", "DESCRIBE t",
        "INSERT INTO t BY NAME SELECT 1 AS a", "SELECT * FROM range(3)", "INSERT INTO t VALUES ($1,$2)",
    ],
)  # fmt: skip
def test_duckdb_spellings_pass(text: str) -> None:
    prepare(text)


def test_syntax_error_position_counts_characters() -> None:
    with pytest.raises(BoughError) as caught:
        prepare("SELECT 'éü' FRM x y z")
    assert caught.value.message == 'syntax error at or near "x"'
    assert caught.value.position == 17


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("CREATE TABLE t (a int) ENGINE=InnoDB", "ENGINE"),
        ("CREATE TABLE t (a int unsigned)", "unsigned"),
        ("CREATE TABLE t (a integer(10))", "("),
        ("CREATE TABLE t (a int(11) NOT NULL)", "("),
        ("CREATE TABLE t (a text) DEFAULT CHARSET=utf8", "DEFAULT"),
        ("CREATE TABLE t (a int COMMENT 'x')", "COMMENT"),
        ('INSERT INTO "d"."s"."t" () SELECT FROM u WHERE a = 1', ")"),
    ],
)
def test_what_only_the_parser_of_other_dialects_reads_is_a_syntax_error(text: str, near: str) -> None:
    with pytest.raises(BoughError) as caught:
        prepare(text)
    assert caught.value.sqlstate == "42601"
    assert caught.value.message == f'syntax error at or near "{near}"'


def test_use_says_how_to_change_branches() -> None:
    with pytest.raises(BoughError) as caught:
        prepare("USE other")
    assert "BRANCH SWITCH" in str(caught.value.hint)


def test_files_below_a_granted_directory(tmp_path: Path) -> None:
    granted = tmp_path / "data"
    granted.mkdir()
    (granted / "x.csv").write_text("a\n1\n")
    (granted / "bough.duckdb").write_text("")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (granted / "link.csv").symlink_to(tmp_path / "secret.csv")
    context = GuardContext((granted,), granted / "bough.duckdb")
    prepare(f"SELECT * FROM read_csv('{granted}/x.csv')", context)
    prepare(f"COPY t FROM '{granted}/x.csv'", context)
    for path in (
        f"{granted}/../secret.csv", f"{granted}/link.csv", f"{tmp_path}/*.csv", f"{granted}/../*.csv",
        f"{granted}/bough.duckdb", f"{granted}/bough.duckdb.wal", f"{granted}/bough.duckdb.tmp/x",
        f"{granted}/*", "x.csv", f"{tmp_path}/datax/x.csv", f"{granted}/sub/*/../../../secret.csv",
    ):  # fmt: skip
        with pytest.raises(BoughError) as caught:
            prepare(f"SELECT * FROM read_text('{path}')", context)
        assert caught.value.sqlstate == "42501", path


def test_every_engine_function_is_classified() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name, function_type, coalesce(has_side_effects, false) "
            "FROM duckdb_functions()"
        ).fetchall()
    tables = {name for name, kind, _ in rows if kind in ("table", "table_macro")}
    for name in tables - TABLE_FUNCTIONS - FILE_FUNCTIONS - CATALOG_TABLE_FUNCTIONS:
        with pytest.raises(BoughError) as caught:  # also what a later version of the engine adds
            prepare(f'SELECT * FROM "{name}"()')
        assert caught.value.sqlstate in ("0A000", "42883"), name
    assert not (TABLE_FUNCTIONS & DENIED_TABLE_FUNCTIONS or FILE_FUNCTIONS & DENIED_TABLE_FUNCTIONS)
    assert {name for name, _, _ in rows} & CATALOG_TABLE_FUNCTIONS <= {"current_schemas"}
    volatile = {name for name, kind, effects in rows if kind == "scalar" and effects}
    assert volatile - DENIED_SCALARS - HARMLESS_SIDE_EFFECTS == set()
