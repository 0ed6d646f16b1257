"""Incremental transfers over cursors of every kind: nothing moves twice, nothing is left behind without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from servers import Server
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "target.duckdb"
    duckdb.connect(str(file)).close()
    options = {"path": str(file), "role": "read_write"}
    with closing(connect(datasource("target", "duckdb", options))) as connector:
        yield connector


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    duckdb.connect(str(file)).close()
    options = {"path": str(file), "role": "read_write"}
    with closing(connect(datasource("source", "duckdb", options))) as connector:
        yield connector


@pytest.fixture
def served(postgres: Server) -> Iterator[Connector]:
    names = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user, "role": "read_write"}
    with closing(
        connect(datasource("pg", "postgres", {**names, "database": postgres.database}))
    ) as connector:
        connector.execute("DROP TABLE IF EXISTS growing")
        yield connector
        connector.execute("DROP TABLE IF EXISTS growing")


@pytest.fixture
def columnar(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connector]:
    with closing(opened_target("clickhouse", tmp_path, request)) as connector:
        connector.execute("DROP TABLE IF EXISTS growing")
        yield connector
        connector.execute("DROP TABLE IF EXISTS growing")


def request(schema: str, *, key: tuple[str, ...] = (), **options: tuple[str, ...]) -> TransferRequest:
    given = TransferOptions(**options)  # type: ignore[arg-type]
    return TransferRequest(
        Source(path=(schema, "growing")), ("main", "t"), "incremental", key, "c", given, "source", "target"
    )


def told(target: Connector, question: str) -> tuple[object, ...]:
    with closing(target.reader()) as reader:
        return tuple(reader.rows(question)[0])


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("numeric", ["9", "10", "11.5"]),
        ("numeric", ["99.000000000000001", "100", "1000"]),
        ("text", ["'08'", "'09'", "'10'"]),
        ('text COLLATE "en-x-icu"', ["'B'", "'a'", "'c'"]),
        ("numeric(20,4)", ["-2.5", "-1.5", "3"]),
        (
            "timestamptz",
            ["'2024-01-01 00:00:00.000001+02'", "'2024-01-01 00:00:00.000002+02'", "'2024-06-01'"],
        ),
    ],
)
def test_rows_move_once(served: Connector, target: Connector, type_: str, values: list[str]) -> None:
    served.execute(f"CREATE TABLE growing (n int, c {type_})")
    journal = Journal()
    moved = []
    for number, value in enumerate(values):
        served.execute(f"INSERT INTO growing VALUES ({number}, {value}), ({number}, {value})")
        for _ in range(2):
            moved.append(undertake(request("public"), served, target, journal=journal).rows_transferred)
    assert moved == [2, 0, 2, 0, 2, 0]
    assert told(target, "SELECT count(*), count(DISTINCT n) FROM t") == (6, 3)


@pytest.mark.clickhouse
@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("Decimal(38, 30)", ["0.1", "0.100000000000000000000000000001", "0.100000000000000000000000000002"]),
        ("Int128", ["-5", f"{2**127 - 2}", f"{2**127 - 1}"]),
        ("UInt64", ["0", "9007199254740993", "18446744073709551615"]),
    ],
)  # fmt: skip
def test_numbers_that_no_float_holds_are_passed_once(
    columnar: Connector, target: Connector, type_: str, values: list[str]
) -> None:
    """ClickHouse reads a plain number with a point, or of many digits, as a float."""
    columnar.execute(f"CREATE TABLE growing (n Int32, c {type_}) ENGINE = MergeTree ORDER BY n")
    journal = Journal()
    moved = []
    for number, value in enumerate(values):
        columnar.execute(f"INSERT INTO growing VALUES ({number}, '{value}')")
        for _ in range(2):
            moved.append(undertake(request("default"), columnar, target, journal=journal).rows_transferred)
    assert moved == [1, 0, 1, 0, 1, 0]
    assert told(target, "SELECT count(DISTINCT c) FROM t") == (3,)


def test_texts_of_a_collation_are_passed_in_the_order_of_their_bytes(
    source: Connector, target: Connector
) -> None:
    source.execute("CREATE TABLE growing (n INTEGER, c VARCHAR COLLATE NOCASE)")
    journal = Journal()
    moved = []
    for number, value in enumerate(["B", "Z", "a"]):
        source.execute(f"INSERT INTO growing VALUES ({number}, '{value}')")
        for _ in range(2):
            moved.append(undertake(request("main"), source, target, journal=journal).rows_transferred)
    assert moved == [1, 0, 1, 0, 1, 0]


@pytest.mark.postgres
@pytest.mark.parametrize("options", [{"as_text": ("c",)}, {"casts": {"c": "text"}}])
def test_numbers_are_no_cursor_as_texts(
    served: Connector, target: Connector, options: dict[str, tuple[str, ...]]
) -> None:
    """10 is behind 9, but not its text."""
    served.execute("CREATE TABLE growing (c bigint)")
    with pytest.raises(MigrationError) as caught:
        undertake(request("public", **options), served, target, journal=Journal())
    assert caught.value.sqlstate == "42804"


@pytest.mark.parametrize("key", [(), ("n",)])
@pytest.mark.parametrize("options", [{}, {"allow_lossy": ("c",)}])
def test_a_row_without_cursor_is_found_in_later_runs_too(
    source: Connector, target: Connector, key: tuple[str, ...], options: dict[str, tuple[str, ...]]
) -> None:
    source.execute("CREATE TABLE growing (n INTEGER, c INTEGER)")
    source.execute("INSERT INTO growing VALUES (1, 1)")
    journal = Journal()
    undertake(request("main", key=key, **options), source, target, journal=journal)
    source.execute("INSERT INTO growing VALUES (2, NULL), (3, 3)")
    with pytest.raises(MigrationError) as caught:
        undertake(request("main", key=key, **options), source, target, journal=journal)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "c")
    assert told(target, "SELECT count(*) FROM t") == (1,)
    source.execute("UPDATE growing SET c = 2 WHERE n = 2")
    assert undertake(request("main", **options), source, target, journal=journal).rows_transferred == 2


def test_an_infinite_cursor_would_move_each_time_and_is_refused(source: Connector, target: Connector) -> None:
    source.execute("CREATE TABLE growing (c TIMESTAMP)")
    source.execute("INSERT INTO growing VALUES ('infinity'), ('2024-01-01')")
    with pytest.raises(MigrationError, match="cannot be a cursor"):
        undertake(request("main"), source, target, journal=Journal())


def test_a_cursor_before_our_era_is_refused_and_nothing_moves(source: Connector, target: Connector) -> None:
    source.execute("CREATE TABLE growing (c DATE)")
    source.execute("INSERT INTO growing VALUES (DATE '0044-03-15 (BC)')")
    with pytest.raises(MigrationError) as caught:
        undertake(request("main"), source, target, journal=Journal())
    assert caught.value.sqlstate == "22008"
    with closing(target.reader()) as reader:
        assert reader.rows("SELECT * FROM duckdb_tables() WHERE NOT internal") == []


def test_a_cast_cursor_goes_on_where_its_values_ended(source: Connector, target: Connector) -> None:
    source.execute("CREATE TABLE growing (c VARCHAR)")
    journal = Journal()
    for number in (9, 10, 11):
        source.execute(f"INSERT INTO growing VALUES ('{number}')")
        options = {"casts": {"c": "INTEGER"}}
        undertake(request("main", **options), source, target, journal=journal)  # type: ignore[arg-type]
    assert told(target, "SELECT count(*), sum(c) FROM t") == (3, 30)
