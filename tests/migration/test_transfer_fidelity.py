"""Every value arrives exactly, or the transfer is refused before a row moves: types case by case."""

# ruff: noqa: E501  (a table reads best with one case a line)
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import psycopg
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.postgres
REFUSED = "refused"


class Case(NamedTuple):
    """Values of a type, and their text in the target; REFUSED where no value may arrive."""

    name: str
    type: str
    values: tuple[str, ...]
    expected: tuple[str, ...] | str
    target: str = ""
    options: tuple[tuple[str, str], ...] = ()


_HUGE = "170141183460469231731687303715884105727"
TO_POSTGRES = [
    Case("tinyint", "TINYINT", ("-128", "127"), ("-128", "127"), "smallint"),
    Case("bigint", "BIGINT", ("9007199254740993", "-9223372036854775808"), ("9007199254740993", "-9223372036854775808")),
    Case("bigint with null", "BIGINT", ("NULL", "9007199254740993"), ("NULL", "9007199254740993"), "bigint"),
    Case("ubigint", "UBIGINT", ("18446744073709551615",), ("18446744073709551615",), "numeric(20,0)"),
    Case("hugeint", "HUGEINT", (_HUGE, f"-{_HUGE}"), (_HUGE, f"-{_HUGE}"), "numeric(39,0)"),
    Case("uhugeint", "UHUGEINT", ("340282366920938463463374607431768211455",), ("340282366920938463463374607431768211455",)),
    Case("decimal", "DECIMAL(20,2)", ("123456789012345678.90",), ("123456789012345678.90",), "numeric(20,2)"),
    Case("decimal odd scale", "DECIMAL(38,37)", ("1." + "2" * 36 + "3",), ("1." + "2" * 36 + "3",)),
    Case("decimal small", "DECIMAL(9,9)", ("0.000000001",), ("0.000000001",)),
    Case("double", "DOUBLE", ("0.1", "1e308", "'-0.0'", "5e-324"), ("0.1", "1e+308", "-0", "5e-324")),
    Case("double special", "DOUBLE", ("'nan'", "'inf'", "'-inf'"), ("NaN", "Infinity", "-Infinity")),
    Case("float", "FLOAT", ("0.1", "'inf'"), ("0.1", "Infinity"), "real"),
    Case("boolean", "BOOLEAN", ("true", "false", "NULL"), ("true", "false", "NULL")),
    Case("text", "VARCHAR", ("'a\tb\\c\"d''e\nf'", "'🙂é'", "''", "NULL"), ("a\tb\\c\"d'e\nf", "🙂é", "", "NULL")),
    Case("text with NUL", "VARCHAR", ("'a' || chr(0) || 'b'",), REFUSED),
    Case("blob", "BLOB", (r"'\xAA\x00b'::BLOB", "''::BLOB"), (r"\xaa0062", r"\x")),
    Case("date", "DATE", ("'2024-02-29'", "'0001-01-01'"), ("2024-02-29", "0001-01-01")),
    Case("date before Christ", "DATE", ("'0044-03-15 (BC)'",), ("0044-03-15 BC",)),
    Case("date infinite", "DATE", ("'infinity'", "'-infinity'"), ("infinity", "-infinity")),
    Case("date out of range", "DATE", ("'5877642-06-25 (BC)'",), REFUSED),
    Case("time", "TIME", ("'00:00:00'", "'23:59:59.999999'", "'24:00:00'"), ("00:00:00", "23:59:59.999999", "24:00:00")),
    Case("timestamp", "TIMESTAMP", ("'2024-01-01 12:00:00.123456'", "'0044-03-15 (BC) 01:02:03'"), ("2024-01-01 12:00:00.123456", "0044-03-15 01:02:03 BC")),
    Case("timestamp infinite", "TIMESTAMP", ("'infinity'", "'-infinity'"), ("infinity", "-infinity")),
    Case("timestamptz", "TIMESTAMPTZ", ("'2024-01-01 12:00:00+02'", "'infinity'"), ("2024-01-01 10:00:00+00", "infinity")),
    Case("timestamp_s", "TIMESTAMP_S", ("'2024-01-01 12:00:00'",), ("2024-01-01 12:00:00",)),
    Case("timestamp_s far and infinite", "TIMESTAMP_S", ("'20240-01-01'", "'infinity'", "'-infinity'"), ("20240-01-01 00:00:00", "infinity", "-infinity")),
    Case("timestamp_ms infinite", "TIMESTAMP_MS", ("'2024-01-01 00:00:00.123'", "'infinity'"), ("2024-01-01 00:00:00.123", "infinity")),
    Case("timestamp_ns whole", "TIMESTAMP_NS", ("'2024-01-01 12:00:00.123456'",), ("2024-01-01 12:00:00.123456",)),
    Case("timestamp_ns", "TIMESTAMP_NS", ("'2024-01-01 12:00:00.123456789'",), REFUSED),
    Case("timestamp_ns allowed", "TIMESTAMP_NS", ("'2024-01-01 12:00:00.123456789'",), ("2024-01-01 12:00:00.123456",), "", (("allow_lossy", "v"),)),
    Case("interval", "INTERVAL", ("'1 month 2 days 03:04:05.000006'", "'-1 day'"), ("1 mon 2 days 03:04:05.000006", "-1 days")),
    Case("uuid", "UUID", ("'00112233-4455-6677-8899-aabbccddeeff'", "NULL"), ("00112233-4455-6677-8899-aabbccddeeff", "NULL"), "uuid"),
    Case("json", "JSON", ('\'{"a": [1, null, true], "b": 1.10}\'',), ('{"a": [1, null, true], "b": 1.10}',), "jsonb"),
    Case("json repeated key", "JSON", ('\'{"a": 1, "a": 2}\'',), REFUSED),
    Case("list", "INTEGER[]", ("[1, NULL, 3]", "[]", "NULL"), ("{1,NULL,3}", "{}", "NULL"), "integer[]"),
    Case("list of text", "VARCHAR[]", ("['a', 'b\"c,d', NULL]",), ('{a,"b\\"c,d",NULL}',)),
    Case("ragged lists", "INTEGER[][]", ("[[1], [2, 3]]",), ("[[1], [2, 3]]",), "jsonb"),
    Case("struct", "STRUCT(a INTEGER, b VARCHAR)", ("{'a': 1, 'b': 'x'}",), ('{"a": 1, "b": "x"}',), "jsonb"),
    Case("map", "MAP(VARCHAR, INTEGER)", ("MAP {'k': 1}",), ('{"k": 1}',), "jsonb"),
    Case("enum", "ENUM('a', 'b''c')", ("'a'", "'b''c'"), ("a", "b'c"), "text"),
    Case("bit", "BIT", ("'0101'",), ("0101",), "bit varying"),
    Case("timetz", "TIMETZ", ("'12:00:00+02'",), ("12:00:00+02",)),
    Case("hugeint as text", "HUGEINT", (_HUGE,), (_HUGE,), "text", (("as_text", "v"),)),
    Case("cast", "DOUBLE", ("1.5",), ("1.5000",), "numeric(10,4)", (("cast", "v AS numeric(10,4)"),)),
]  # fmt: skip

FROM_POSTGRES = [
    Case("smallint", "smallint", ("-32768", "NULL"), ("-32768", "NULL"), "SMALLINT"),
    Case("bigint with null", "bigint", ("9007199254740993", "NULL"), ("9007199254740993", "NULL"), "BIGINT"),
    Case("numeric", "numeric(20,8)", ("1.23456789",), ("1.23456789",), "DECIMAL(20,8)"),
    Case("numeric large", "numeric(30,10)", ("12345678901234567890.0123456789",), ("12345678901234567890.0123456789",)),
    Case("numeric whole", "numeric(38,0)", ("9" * 38,), ("9" * 38,)),
    Case("numeric unbounded", "numeric", ("1e-20", "123456789012345678901234567890.5"), ("0.00000000000000000001", "123456789012345678901234567890.5"), "VARCHAR"),
    Case("numeric 50 digits", "numeric(50,5)", ("1" * 45 + ".12345",), ("1" * 45 + ".12345",), "VARCHAR"),
    Case("numeric 300 digits", "numeric(300,0)", ("1" * 300, "NULL"), ("1" * 300, "NULL"), "VARCHAR"),
    Case("numeric in hundreds", "numeric(5,-2)", ("12345", "-9999900"), ("12300", "-9999900"), "DECIMAL(7,0)"),
    Case("numeric of thousandths", "numeric(3,5)", ("0.00999",), (".00999",), "DECIMAL(5,5)"),
    Case("numeric NaN", "numeric(10,2)", ("'NaN'",), REFUSED),
    Case("numeric unbounded NaN", "numeric", ("'NaN'", "'Infinity'"), ("NaN", "Infinity"), "VARCHAR"),
    Case("double", "double precision", ("0.1", "'NaN'", "'-Infinity'"), ("0.1", "nan", "-inf")),
    Case("real", "real", ("0.1",), ("0.1",), "FLOAT"),
    Case("text", "text", ("E'a\\tb\\\\c\"d''e\\nf'", "'🙂é'", "''", "NULL", "'NULL'"), ("a\tb\\c\"d'e\nf", "🙂é", "", "NULL", "NULL")),
    Case("varchar", "varchar(10)", ("'abc  '",), ("abc  ",)),
    Case("char", "char(5)", ("'ab'",), ("ab",)),
    Case("bytea", "bytea", (r"'\xaa0062'", "''"), (r"\xAA\x00b", "")),
    Case("date", "date", ("'2024-02-29'", "'0044-03-15 BC'", "'infinity'", "'-infinity'"), ("2024-02-29", "0044-03-15 (BC)", "infinity", "-infinity")),
    Case("date far", "date", ("'5874897-12-31'",), ("5874897-12-31",)),
    Case("time", "time", ("'24:00:00'", "'23:59:59.999999'"), ("24:00:00", "23:59:59.999999")),
    Case("timetz", "timetz", ("'12:00:00+02'",), ("12:00:00+02",)),
    Case("timestamp", "timestamp", ("'2024-01-01 12:00:00.123456'", "'-infinity'", "'infinity'"), ("2024-01-01 12:00:00.123456", "-infinity", "infinity")),
    Case("timestamp BC", "timestamp", ("'0044-03-15 01:02:03 BC'",), ("0044-03-15 (BC) 01:02:03",)),
    Case("timestamp far", "timestamp", ("'294247-06-01 00:00:00'",), REFUSED),
    Case("timestamptz", "timestamptz", ("'2024-01-01 12:00:00+02'",), ("2024-01-01 10:00:00+00",)),
    Case("interval", "interval", ("'1 mon 2 days 03:04:05.000006'",), ("1 month 2 days 03:04:05.000006",)),
    Case("interval of two signs", "interval", ("'-1 year 2 mons -3 days 4 hours'", "'-1 day 3 hours'"), ("-10 months -3 days 04:00:00", "-1 day 03:00:00")),
    Case("uuid", "uuid", ("'00112233-4455-6677-8899-aabbccddeeff'",), ("00112233-4455-6677-8899-aabbccddeeff",), "UUID"),
    Case("json", "json", ("'{\"a\": [1, null], \"a\": 1.10}'",), ('{"a": [1, null], "a": 1.10}',), "JSON"),
    Case("jsonb", "jsonb", ("'{\"b\": 1.10, \"a\": [1, null]}'",), ('{"a": [1, null], "b": 1.10}',), "JSON"),
    Case("array", "integer[]", ("'{1,NULL,3}'", "'{}'"), ("[1, NULL, 3]", "[]"), "INTEGER[]"),
    Case("text array", "text[]", ("ARRAY['a', 'b,c', NULL]",), ("[a, 'b,c', NULL]",)),
    Case("two dimensions", "integer[]", ("'{{1,2},{3,4}}'",), REFUSED),
    Case("counted from 0", "integer[]", ("'[0:1]={1,2}'",), REFUSED),
    Case("money", "money", ("12.5",), REFUSED),
    Case("money as text", "money", ("12.5",), ("$12.50",), "VARCHAR", (("as_text", "v"),)),
    Case("inet as text", "inet", ("'10.0.0.1/8'",), ("10.0.0.1/8",), "VARCHAR", (("as_text", "v"),)),
    Case("range as text", "int4range", ("'[1,5)'",), ("[1,5)",), "VARCHAR", (("as_text", "v"),)),
    Case("bit", "bit(4)", ("B'0101'",), ("0101",), "BIT"),
    Case("varbit of no bits", "bit varying", ("B''",), REFUSED),
    Case("varbit array", "bit varying[]", ("ARRAY[B'01', B'']",), REFUSED),
    Case("array of times", "time[]", ("'{24:00:00,NULL,23:59:59.999999}'",), ("['24:00:00', NULL, '23:59:59.999999']",), "TIME[]"),
    Case("array of dates", "date[]", ("'{infinity,0044-03-15 BC}'", "NULL"), ("[infinity, '0044-03-15 (BC)']", "NULL"), "DATE[]"),
    Case("array of timestamps", "timestamp[]", ("'{-infinity,294246-01-01}'",), ("[-infinity, '294246-01-01 00:00:00']",)),
    Case("boolean", "boolean", ("true", "NULL"), ("true", "NULL"), "BOOLEAN"),
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.duckdb"


@pytest.fixture
def pg(postgres: Server) -> Iterator[Connector]:
    found = connect(
        datasource(
            "pg",
            "postgres",
            {
                "host": postgres.host,
                "port": str(postgres.port),
                "user": postgres.user,
                "database": postgres.database,
                "role": "read_write",
            },
        )
    )
    yield found
    found.close()


@pytest.fixture
def session(postgres: Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        dbname=postgres.database,
        autocommit=True,
        options="-c timezone=UTC",
    ) as connection:
        connection.execute("DROP SCHEMA IF EXISTS fidelity CASCADE")
        connection.execute("CREATE SCHEMA fidelity")
        yield connection
        connection.execute("DROP SCHEMA fidelity CASCADE")


def duck(file: Path) -> Connector:
    return connect(datasource("duck", "duckdb", {"path": str(file), "role": "read_write"}))


def move(
    case: Case, source: Connector, path: tuple[str, ...], target: Connector, into: tuple[str, ...]
) -> None:
    options = TransferOptions.from_pairs([*case.options, ("verify", "L4")])
    request = TransferRequest(Source(path=path), into, options=options)
    result = run(plan(request, source, target))
    assert result.verdict == "pass"
    assert result.rows_transferred == len(case.values)


@pytest.mark.parametrize("case", TO_POSTGRES, ids=lambda case: case.name)
def test_duckdb_to_postgres(
    case: Case, file: Path, pg: Connector, session: psycopg.Connection[tuple[object, ...]]
) -> None:
    with duckdb.connect(str(file)) as source:
        source.execute("SET TimeZone = 'UTC'")
        source.execute(f"CREATE TABLE t (i INTEGER, v {case.type})")
        for number, value in enumerate(case.values):
            source.execute(f"INSERT INTO t VALUES ({number}, {value})")
    connector = duck(file)
    if case.expected == REFUSED:
        with pytest.raises(MigrationError) as caught:
            move(case, connector, ("main", "t"), pg, ("fidelity", "t"))
        assert caught.value.sqlstate == "HV004"
        assert caught.value.column == "v"
        assert "ALLOW LOSSY (v)" in str(caught.value.hint)
        assert session.execute("SELECT to_regclass('fidelity.t')").fetchone() == (None,)
        return
    move(case, connector, ("main", "t"), pg, ("fidelity", "t"))
    rows = session.execute("SELECT coalesce(v::text, 'NULL') FROM fidelity.t ORDER BY i").fetchall()
    assert tuple(str(value) for (value,) in rows) == case.expected
    if case.target:
        declared = session.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'fidelity.t'::regclass "
            "AND attname = 'v'"
        ).fetchone()
        assert declared == (case.target,)


@pytest.mark.parametrize("case", FROM_POSTGRES, ids=lambda case: case.name)
def test_postgres_to_duckdb(
    case: Case, file: Path, pg: Connector, session: psycopg.Connection[tuple[object, ...]]
) -> None:
    session.execute(f"CREATE TABLE fidelity.s (i integer, v {case.type})".encode())
    for number, value in enumerate(case.values):
        session.execute(f"INSERT INTO fidelity.s VALUES ({number}, {value})".encode())
    duckdb.connect(str(file)).close()
    connector = duck(file)
    if case.expected == REFUSED:
        with pytest.raises(MigrationError) as caught:
            move(case, pg, ("fidelity", "s"), connector, ("main", "t"))
        assert caught.value.sqlstate == "HV004"
        assert caught.value.column == "v"
        with duckdb.connect(str(file)) as target:
            assert target.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
        return
    move(case, pg, ("fidelity", "s"), connector, ("main", "t"))
    with duckdb.connect(str(file)) as target:
        target.execute("SET TimeZone = 'UTC'")
        rows = target.execute("SELECT coalesce(v::VARCHAR, 'NULL') FROM t ORDER BY i").fetchall()
        declared = target.execute("SELECT data_type FROM duckdb_columns() WHERE column_name = 'v'").fetchall()
    found = tuple(str(value) for (value,) in rows)
    if "json" in case.type:
        found, expected = (
            tuple(re.sub(r"\s", "", text) for text in texts) for texts in (found, case.expected)
        )
    else:
        expected = tuple(case.expected)
    assert found == expected
    if case.target:
        assert declared == [(case.target,)]
