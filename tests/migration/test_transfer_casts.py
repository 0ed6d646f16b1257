"""A CAST that a value does not take refuses the plan with the column, whichever engine casts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from targets import SCHEMAS, marked, opened_target, without

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled


@pytest.fixture(params=marked("duckdb", "postgres", "mariadb", "clickhouse"))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    with without("raw", opened_target(engine, tmp_path, request)) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "there.duckdb"
    duckdb.connect(str(file)).close()
    connector = connect(datasource("target", "duckdb", {"path": str(file), "role": "read_write"}))
    yield connector
    connector.close()


def filled(source: Connector, engine: str, *values: str, declared: str = "") -> None:
    text = "Nullable(String)" if engine == "clickhouse" else "varchar(40)"
    more = " ENGINE = MergeTree ORDER BY id" if engine == "clickhouse" else ""
    source.execute(f"CREATE TABLE raw (id integer, v {declared or text}){more}")
    for number, value in enumerate(values):
        source.execute(f"INSERT INTO raw VALUES ({number}, {value})")


def request(engine: str, type_: str, into: tuple[str, ...] = ("main", "made")) -> TransferRequest:
    return TransferRequest(
        Source(path=(SCHEMAS[engine], "raw")), into, options=TransferOptions(casts={"v": type_}, verify="L3")
    )


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("INTEGER", "'-14'", "'v14'"),
        ("INTEGER", "'-14'", "'99999999999'"),
        ("DECIMAL(5,2)", "'-1.25'", "'123456'"),
        ("DATE", "'2024-02-29'", "'2020-99-99'"),
        ("DATE", "'2024-02-29'", "'x'"),
        ("TIMESTAMP", "'2024-02-29 10:00:00.5'", "'2023-02-29 10:00:00'"),
        ("DOUBLE", "'1.5'", "'x'"),
        ("UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'1'"),
        ("JSON", "'[1]'", "'{'"),
    ],
)
def test_a_value_that_cannot_be_cast(
    source: Connector, engine: str, target: Connector, type_: str, good: str, bad: str
) -> None:
    filled(source, engine, good, "NULL")
    with plan(request(engine, type_), source, target) as decided:
        assert run(decided).verdict == "pass"
    with target.reader() as reader:
        assert reader.count(Source(query=f"SELECT 1 FROM made WHERE v = {good}::{type_}")) == 1
    target.execute("DROP TABLE made")
    source.execute(f"INSERT INTO raw VALUES (9, {bad})")
    with pytest.raises(MigrationError) as caught:
        plan(request(engine, type_), source, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert caught.value.detail and "SKIP (v)" in (caught.value.hint or "")
    assert target.tables() == []


def test_what_a_cast_gives_must_fit_the_target(source: Connector, engine: str, target: Connector) -> None:
    target.execute("CREATE TABLE made (id INTEGER, v DECIMAL(6,2))")
    filled(source, engine, "'1.25'")
    with plan(request(engine, "DECIMAL(9,4)"), source, target) as decided:
        assert run(decided).verdict == "pass"
    source.execute("INSERT INTO raw VALUES (9, '1.2345')")
    with pytest.raises(MigrationError, match="without loss") as caught:
        plan(request(engine, "DECIMAL(9,4)"), source, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert "1.2345" in (caught.value.detail or "")


@pytest.mark.mariadb
@pytest.mark.parametrize("exists", [False, True])
def test_a_text_is_not_cut_by_a_cast(
    source: Connector, engine: str, tmp_path: Path, request: pytest.FixtureRequest, exists: bool
) -> None:
    there = opened_target("mariadb", tmp_path, request)
    request.addfinalizer(lambda: there.execute("DROP TABLE IF EXISTS made"))
    if exists:
        there.execute("CREATE TABLE made (id integer, v varchar(3))")
    filled(source, engine, "'abc'", "'abcd'")
    options = TransferOptions(casts={"v": "varchar(3)"})
    with pytest.raises(MigrationError, match="longer than 3 characters") as caught:
        plan(
            TransferRequest(Source(path=(SCHEMAS[engine], "raw")), ("bough", "made"), options=options),
            source,
            there,
        ).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")


@pytest.mark.mariadb
@pytest.mark.parametrize("value", ["infinity", "20000-01-01 00:00:00"])
def test_what_a_cast_gives_must_fit_a_new_target(
    value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE raw (v TIMESTAMP)")
        session.execute(f"INSERT INTO raw VALUES ('{value}')")
    here = connect(datasource("source", "duckdb", {"path": str(file)}))
    there = opened_target("mariadb", tmp_path, request)
    options = TransferOptions(casts={"v": "date"})
    with pytest.raises(MigrationError, match="cannot be moved to date") as caught:
        plan(
            TransferRequest(Source(path=("main", "raw")), ("bough", "made"), options=options), here, there
        ).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")


@pytest.mark.parametrize("kind", ["text", "varchar(3)"])
@pytest.mark.parametrize("there", marked("postgres", "mariadb"))
def test_a_text_that_is_asked_for_does_not_fit_a_number(
    there: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The plan knows it by the types alone, whatever else must hold for a text there."""
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE raw AS SELECT DATE '2024-02-29' AS v")
    here = connect(datasource("source", "duckdb", {"path": str(file)}))
    with without("made", opened_target(there, tmp_path, request)) as target:
        target.execute("CREATE TABLE made (v integer)")
        options = TransferOptions(casts={"v": kind})
        wanted = TransferRequest(Source(path=("main", "raw")), (SCHEMAS[there], "made"), options=options)
        with pytest.raises(MigrationError, match="does not fit int") as caught:
            plan(wanted, here, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
