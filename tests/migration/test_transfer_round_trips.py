"""Random tables go round through two engines and come back the same, or are refused."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_SHAPES = {  # written as JSON, which DuckDB reads into the type
    "BIGINT[]": '["BIGINT"]',
    "VARCHAR[]": '["VARCHAR"]',
    "DECIMAL(12,3)[]": '["DECIMAL(12,3)"]',
    "STRUCT(a BIGINT, b VARCHAR)": '{"a": "BIGINT", "b": "VARCHAR"}',
    "MAP(VARCHAR, BIGINT)": '"MAP(VARCHAR, BIGINT)"',
}

# Values as DuckDB literals; texts of numbers and times are what its casts read.
VALUES: dict[str, st.SearchStrategy[str]] = {
    "BIGINT": st.integers(-(1 << 63), (1 << 63) - 1).map(str),
    "INTEGER": st.integers(-(1 << 31), (1 << 31) - 1).map(str),
    "UBIGINT": st.integers(0, (1 << 64) - 1).map(str),
    "HUGEINT": st.integers(-(1 << 127) + 1, (1 << 127) - 1).map(str),
    "DECIMAL(18,4)": st.integers(-(10**13), 10**13).map(lambda n: f"{n}.{n % 10000:04d}"),
    "DECIMAL(38,20)": st.integers(-(10**17), 10**17).map(lambda n: f"{n}.00000000000000000001"),
    "DOUBLE": st.floats(allow_nan=True, allow_infinity=True).map(repr),
    "FLOAT": st.floats(width=32, allow_nan=False).map(repr),
    "BOOLEAN": st.booleans().map(str),
    "VARCHAR": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    "BLOB": st.binary(max_size=8).map(lambda data: "".join(f"\\x{byte:02X}" for byte in data)),
    "DATE": st.dates().map(str) | st.sampled_from(["infinity", "0044-03-15 (BC)"]),
    "TIMESTAMP": st.datetimes().map(str) | st.sampled_from(["infinity", "-infinity"]),
    "TIMESTAMPTZ": st.datetimes().map(lambda value: f"{value}+00"),
    "TIME": st.times().map(str),
    "UUID": st.uuids().map(str),
    "TINYINT": st.integers(-128, 127).map(str),
    "SMALLINT": st.integers(-(1 << 15), (1 << 15) - 1).map(str),
    "UINTEGER": st.integers(0, (1 << 32) - 1).map(str),
    "DECIMAL(9,0)": st.integers(-(10**9) + 1, 10**9 - 1).map(str),
    "TIMESTAMP_NS": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda v: f"{v}001"[:29]),
    "BIT": st.text("01", min_size=1, max_size=12),
    "ENUM('red', 'two words', 'it''s')": st.sampled_from(["red", "two words", "it's"]),
    "BIGINT[]": st.lists(st.none() | st.integers(-(1 << 63), (1 << 63) - 1), max_size=4).map(json.dumps),
    "VARCHAR[]": st.lists(st.none() | _TEXT, max_size=4).map(json.dumps),
    "DECIMAL(12,3)[]": st.lists(st.integers(-(10**11), 10**11).map(lambda n: n / 1000), max_size=3).map(
        json.dumps
    ),
    "JSON": _JSON.map(json.dumps),
    "STRUCT(a BIGINT, b VARCHAR)": st.fixed_dictionaries(
        {"a": st.none() | st.integers(-(1 << 63), (1 << 63) - 1), "b": st.none() | _TEXT}
    ).map(json.dumps),
    "MAP(VARCHAR, BIGINT)": st.dictionaries(
        _TEXT, st.none() | st.integers(-(1 << 63), (1 << 63) - 1), max_size=3
    ).map(json.dumps),
    "INTERVAL": st.tuples(st.integers(-99, 99), st.integers(-99, 99)).map(
        lambda p: f"{p[0]} months {p[1]} days"
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str | None]]]:
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    row = st.tuples(*(st.none() | VALUES[type_] for type_ in types)).map(list)
    return types, draw(st.lists(row, max_size=8))


def duck(path: Path, name: str) -> Connector:
    return connect(datasource(name, "duckdb", {"path": str(path), "role": "read_write"}))


def fill(path: Path, types: list[str], rows: list[list[str | None]]) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(types))
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns})")
        for number, row in enumerate(rows):
            values = ", ".join(
                f"from_json(CAST(? AS JSON), '{_SHAPES[type_]}')"
                if type_ in _SHAPES
                else f"CAST(? AS {type_})"
                for type_ in types
            )
            connection.execute(f"INSERT INTO t VALUES ({number}, {values})", row)


def move(source: Connector, path: tuple[str, ...], target: Connector, into: tuple[str, ...]) -> None:
    request = TransferRequest(Source(path=path), into, options=TransferOptions(verify="L4"))
    assert run(plan(request, source, target)).verdict == "pass"


def round_trip(
    types: list[str], rows: list[list[str | None]], other: Connector, path: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as home:
        start, end = Path(home) / "a.duckdb", Path(home) / "b.duckdb"
        fill(start, types, rows)
        duckdb.connect(str(end)).close()
        a, b = duck(start, "a"), duck(end, "b")
        try:
            move(a, ("main", "t"), other, path)
            move(other, path, b, ("main", "t"))
        except MigrationError as error:
            assert error.sqlstate == "HV004", (error.message, error.detail)
            return
        report = reconcile(
            Side(a, Source(path=("main", "t"))),
            Side(b, Source(path=("main", "t"))),
            ("id",),
            ("count", "rows"),
        )
        assert report.verdict == "pass", report.reasons


CALM = settings(
    deadline=None,
    max_examples=examples(15),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture(scope="module")
def pg(postgres: Server) -> Iterator[Connector]:
    options = {
        "host": postgres.host,
        "port": str(postgres.port),
        "user": postgres.user,
        "database": postgres.database,
        "role": "read_write",
    }
    with closing(connect(datasource("pg", "postgres", options))) as connector:
        yield connector


@pytest.mark.postgres
@CALM
@given(tables())
def test_through_postgres(pg: Connector, table: tuple[list[str], list[list[str | None]]]) -> None:
    pg.execute("DROP TABLE IF EXISTS round_trip")
    round_trip(*table, pg, ("public", "round_trip"))


@CALM
@given(tables())
def test_through_sqlite(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[list[str], list[list[str | None]]]
) -> None:
    path = tmp_path_factory.mktemp("lite") / "t.sqlite"
    path.touch()
    lite = connect(datasource("lite", "sqlite", {"path": str(path), "role": "read_write"}))
    round_trip(*table, lite, ("t",))


@pytest.fixture(scope="module")
def maria(mariadb: Server) -> Iterator[tuple[Connector, str]]:
    options = {
        "host": mariadb.host,
        "port": str(mariadb.port),
        "user": mariadb.user,
        "password": mariadb.password,
        "database": mariadb.database,
        "role": "read_write",
    }
    with closing(connect(datasource("maria", "mysql", options))) as connector:
        yield connector, mariadb.database


@pytest.mark.mariadb
@CALM
@given(tables())
def test_through_mariadb(
    maria: tuple[Connector, str], table: tuple[list[str], list[list[str | None]]]
) -> None:
    connector, database = maria
    connector.execute("DROP TABLE IF EXISTS round_trip")
    round_trip(*table, connector, (database, "round_trip"))


@pytest.fixture(scope="module")
def click(clickhouse: Server) -> Iterator[Connector]:
    options = {
        "host": clickhouse.host,
        "port": str(clickhouse.port),
        "user": clickhouse.user,
        "password": clickhouse.password,
        "role": "read_write",
    }
    with closing(connect(datasource("click", "clickhouse", options))) as connector:
        yield connector


@pytest.mark.clickhouse
@CALM
@given(tables())
def test_through_clickhouse(click: Connector, table: tuple[list[str], list[list[str | None]]]) -> None:
    types, rows = table
    kept = [number for number, type_ in enumerate(types) if type_ != "BLOB"]  # a String comes back as text
    if kept:
        click.execute("DROP TABLE IF EXISTS round_trip")
        columns = [types[number] for number in kept]
        round_trip(columns, [[row[n] for n in kept] for row in rows], click, ("default", "round_trip"))
