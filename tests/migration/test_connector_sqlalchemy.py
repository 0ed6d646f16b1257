"""Databases behind a SQLAlchemy URL: SQLite here, and PostgreSQL and MariaDB in the shared connector tests."""

from __future__ import annotations

import sqlite3
from datetime import time
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.alchemy_writer import _as_values
from migration.connectors.base import Connector, ReadColumn, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest
from migration.types import time as clock

WIDE = (
    "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme ' || i END AS name, "
    "(i / 8)::DECIMAL(18,4) AS m, i * 170141183460469231731687303715884::HUGEINT AS h, "
    "TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, DATE '2024-01-01' + (i % 365)::INTEGER AS day, "
    "CASE WHEN i % 3 > 0 THEN i % 2 = 0 END AS b, i / 3.0 AS d, encode('é' || i) AS raw FROM range(1000) AS r(i)"
)


def lite(path: Path) -> Connector:
    return connect(datasource("lite", "sqlalchemy", {"uri": f"sqlite:///{path}", "role": "read_write"}))


@pytest.fixture
def source(tmp_path: Path) -> Connector:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(WIDE)
    return connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))


@pytest.mark.slow
def test_a_table_moves_into_sqlite_and_back(source: Connector, tmp_path: Path) -> None:
    target = lite(tmp_path / "b.sqlite")
    for mode in ("create", "replace", "upsert"):
        request = TransferRequest(
            Source(path=("main", "s")), ("t",), mode=mode, key=("id",), options=TransferOptions(verify="L4")
        )
        result = run(plan(request, source, target))
        assert (result.verdict, result.rows_transferred) == ("pass", 1000)
    with sqlite3.connect(tmp_path / "b.sqlite") as connection:
        assert connection.execute("SELECT count(*), typeof(m), min(h) FROM t").fetchone() == (
            1000,
            "text",
            "0",
        )
        assert [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ] == ["t"]
    request = TransferRequest(Source(path=("t",)), ("main", "u"), options=TransferOptions(verify="L3"))
    assert run(plan(request, target, source)).verdict == "pass"


@pytest.mark.postgres
def test_a_table_moves_into_postgres(source: Connector, postgres: Server) -> None:
    uri = f"postgresql+psycopg://{postgres.user}@{postgres.host}:{postgres.port}/{postgres.database}"
    target = connect(datasource("pg", "sqlalchemy", {"uri": uri, "role": "read_write"}))
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as session:
        session.execute("DROP SCHEMA IF EXISTS alchemy CASCADE")
        session.execute("CREATE SCHEMA alchemy")
        request = TransferRequest(
            Source(path=("main", "s")), ("alchemy", "t"), options=TransferOptions(verify="L4"), key=("id",)
        )
        for _ in range(2):
            assert run(plan(request, source, target)).verdict == "pass"
        assert session.execute("SELECT count(*), sum(h) FROM alchemy.t").fetchone() == (
            1000, sum(i * 170141183460469231731687303715884 for i in range(1000)),
        )  # fmt: skip
        request = TransferRequest(
            Source(path=("alchemy", "t")), ("main", "u"), options=TransferOptions(verify="L3")
        )
        assert run(plan(request, target, source)).verdict == "pass"
        session.execute("DROP SCHEMA alchemy CASCADE")


KEPT = {
    "json": ('{"a" : 1e400, "a": 1.10}', "null", "12345678901234567890.5"),
    "jsonb": ("null", '{"a": 1.10}', '"x"'),
    "date": ("infinity", "12345-01-01", "0044-03-15 BC"),
    "time": ("24:00:00", "12:34:56.000001"),
    "timetz": ("24:00:00+02", "12:34:56+05:30"),
    "timestamp": ("-infinity", "2020-02-03 04:05:06.000007"),
    "timestamptz": ("infinity", "2020-02-03 04:05:06+00"),
    "interval": ("1 mon -1 days +02:03:04.000005", "30 days"),
    "float8": ("0.30000000000000004",),
}


@pytest.mark.postgres
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("query", [False, True], ids=["table", "query"])
@pytest.mark.parametrize("declared", KEPT)
def test_no_driver_of_postgres_changes_a_value(
    declared: str, query: bool, driver: str, postgres: Server, tmp_path: Path
) -> None:
    pytest.importorskip(driver)
    uri = f"postgresql+{driver}://odd_texts@{postgres.host}:{postgres.port}/{postgres.database}"
    source = connect(datasource("pg", "sqlalchemy", {"uri": uri}))
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as session:
        session.execute("DROP SCHEMA IF EXISTS kept CASCADE; DROP ROLE IF EXISTS odd_texts")
        session.execute(
            "CREATE ROLE odd_texts LOGIN; CREATE SCHEMA kept; GRANT USAGE ON SCHEMA kept TO odd_texts; "
            "ALTER ROLE odd_texts SET DateStyle = 'SQL, DMY'; ALTER ROLE odd_texts SET extra_float_digits = -5; "
            "ALTER ROLE odd_texts SET IntervalStyle = 'sql_standard'"
        )
        session.execute(f"CREATE TABLE kept.s (i integer PRIMARY KEY, v {declared})".encode())
        session.execute("GRANT SELECT ON kept.s TO odd_texts")
        for number, value in enumerate(KEPT[declared]):
            session.execute("INSERT INTO kept.s VALUES (%s, %s)", (number, value))
        read = Source(query="SELECT v FROM kept.s ORDER BY i") if query else Source(path=("kept", "s"))
        with source.reader() as reader:
            try:
                columns = [
                    ReadColumn(item.name, item.type) for item in reader.describe(read) if item.name == "v"
                ]
                table = pa.Table.from_batches(list(reader.read(read, columns)))
            except MigrationError:
                # The types of a query are found by its values, and a driver may raise where Python has none.
                assert query and declared in ("date", "timestamp", "timestamptz", "time", "timetz")
            else:
                with connect(datasource("native", "postgres", postgres.options)).reader() as plain:
                    assert table.equals(pa.Table.from_batches(list(plain.read(read, columns))))
        session.execute("DROP SCHEMA kept CASCADE; DROP ROLE odd_texts")


@pytest.mark.mariadb
@pytest.mark.parametrize("query", ["", "SELECT v FROM floats"], ids=["table", "query"])
def test_a_float_of_mariadb_has_all_its_digits(query: str, mariadb: Server) -> None:
    uri = f"mysql+pymysql://{mariadb.user}:open%20sesame@{mariadb.host}:{mariadb.port}/{mariadb.database}"
    server = connect(datasource("maria", "sqlalchemy", {"uri": uri, "role": "read_write"}))
    server.execute("DROP TABLE IF EXISTS floats")
    server.execute("CREATE TABLE floats (v FLOAT)")
    server.execute("INSERT INTO floats VALUES (16777216), (3.4028234663852886e38)")
    with server.reader() as reader:
        source = Source(query=query) if query else Source(path=("floats",))
        batches = list(reader.read(source))
    assert batches[0].column(0).type == pa.float32()
    assert batches[0].column(0).to_pylist() == [16777216.0, 3.4028234663852886e38]
    server.execute("DROP TABLE floats")


def test_the_end_of_the_day_is_refused_where_a_driver_would_make_its_beginning_of_it(tmp_path: Path) -> None:
    column = ColumnSpec("v", clock(6))
    assert _as_values(pa.array([0, None], pa.int64()).view(pa.time64("us")), column) == [time(0), None]
    with pytest.raises(MigrationError) as caught:
        _as_values(pa.array([86_400_000_000], pa.int64()).view(pa.time64("us")), column)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")


def test_a_query_is_typed_by_all_its_values(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "b.sqlite") as connection:
        connection.execute("CREATE TABLE t (id INTEGER, v)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(i, i) for i in range(10_000)])
        connection.execute("INSERT INTO t VALUES (10000, 'text')")
    with lite(tmp_path / "b.sqlite").reader() as reader:
        kinds = [
            column.type.kind for column in reader.describe(Source(query="SELECT id, id / 2.0, NULL FROM t"))
        ]
        assert kinds == ["int64", "float64", "text"]
        with pytest.raises(MigrationError, match="several types: int64, text") as refusal:
            reader.fetch("SELECT v FROM t")
        assert (refusal.value.sqlstate, refusal.value.column) == ("HV004", "v")
        assert reader.fetch("SELECT count(*) AS n FROM t WHERE v LIKE 'te%'").to_pylist() == [{"n": 1}]


def test_a_url_keeps_its_password_to_itself() -> None:
    item = datasource("d", "sqlalchemy", {"uri": "mssql+pymssql://u:pa%3Ass@db:1433/x?a=1&b=2"})
    assert dict(item.options) == {
        "user": "u", "host": "db", "port": "1433", "database": "x", "driver": "mssql+pymssql",
    }  # fmt: skip
    assert "pa:ss" not in repr(item) and "b=2" not in repr(item)  # a driver may take a password there
    assert (item.filled()["password"], item.filled()["query"]) == ("pa:ss", "a=1&b=2")


@pytest.mark.parametrize(
    ("uri", "sqlstate", "message"),
    [
        ("nonsense://host/x", "HV00A", "nonsense"),
        ("mssql+pymssql://u@db/x", "HV000", "not installed"),
        ("duckdb:///x.duckdb", "0A000", "DuckDB"),
    ],
)
def test_drivers_that_are_not_there(uri: str, sqlstate: str, message: str) -> None:
    with pytest.raises(MigrationError, match=message) as refusal:
        connect(datasource("d", "sqlalchemy", {"uri": uri}))
    assert refusal.value.sqlstate == sqlstate


def test_the_driver_is_needed() -> None:
    with pytest.raises(MigrationError, match="driver") as refusal:
        datasource("d", "sqlalchemy", {"host": "db"})
    assert refusal.value.sqlstate == "HV00J"
