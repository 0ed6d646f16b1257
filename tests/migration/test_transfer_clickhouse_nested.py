"""What ClickHouse's lists, maps, tuples and strings of bytes hold moves exactly, or the plan says what does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.clickhouse, pytest.mark.sampled]
_WAY = re.compile(r"WITH \((\w+) ")


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target("clickhouse", tmp_path, request)
    connector.execute("DROP TABLE IF EXISTS nest")
    yield connector
    connector.execute("DROP TABLE IF EXISTS nest")
    connector.close()


def duck(home: Path, *statements: str) -> Connector:
    file = home / "duck.duckdb"
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)
    return connect(datasource("duck", "duckdb", {"path": str(file), "role": "read_write"}))


def filled(house: Connector, type_: str, *values: str) -> None:
    house.execute(f"CREATE TABLE nest (id Int32, v {type_}) ENGINE = MergeTree ORDER BY id")
    for number, value in enumerate(values):
        house.execute(f"INSERT INTO nest SELECT {number}, {value}")


def asked(*path: str, into: str, **options: object) -> TransferRequest:
    given = TransferOptions(verify="L3", recreate=True, **options)  # type: ignore[arg-type]
    return TransferRequest(Source(path=path), (into, "nest"), options=given)


def refused(
    request: TransferRequest, source: Connector, target: Connector
) -> tuple[MigrationError, list[str]]:
    with pytest.raises(MigrationError) as caught:
        plan(request, source, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    return caught.value, _WAY.findall(str(caught.value.hint))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("INTEGER[][]", "[[1], NULL]"),
        ("INTEGER[][][]", "[[[1]], [NULL]]"),
        ("STRUCT(a INTEGER, b INTEGER[])", "{'a': 1, 'b': NULL}"),
        ("STRUCT(a INTEGER)[]", "[{'a': 1}, NULL]"),
        ("STRUCT(a STRUCT(b INTEGER[]))", "{'a': {'b': NULL}}"),
        ("MAP(VARCHAR, INTEGER[])", "map {'a': NULL}"),
    ],
)
def test_a_null_inside_is_refused(tmp_path: Path, house: Connector, type_: str, value: str) -> None:
    here = duck(tmp_path, f"CREATE TABLE nest (v {type_})", f"INSERT INTO nest VALUES ({value})")
    request = asked("main", "nest", into="default")
    error, ways = refused(request, here, house)
    assert "1 value with a NULL list, map or struct inside" in (error.detail or "")
    assert ways == ["cast", "skip", "as_text"]  # no NULL could stand for it
    refused(asked("main", "nest", into="default", allow_lossy=("v",)), here, house)
    with plan(asked("main", "nest", into="default", as_text=("v",)), here, house) as decided:
        assert run(decided).verdict == "pass"


def test_null_members_that_are_no_lists_move(tmp_path: Path, house: Connector) -> None:
    here = duck(
        tmp_path,
        "CREATE TABLE nest (v STRUCT(a INTEGER, b INTEGER[][], c STRUCT(d VARCHAR)))",
        "INSERT INTO nest VALUES ({'a': NULL, 'b': [[NULL, 1], []], 'c': {'d': NULL}})",
    )
    with plan(asked("main", "nest", into="default"), here, house) as decided:
        assert run(decided).verdict == "pass"


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        ("BLOB[]", r"['\xFF\x00'::BLOB, NULL, 'a'::BLOB]", r"[unhex('ff00'),NULL,'a']"),
        ("BLOB[][]", r"[['\xFF'::BLOB], []]", r"[[unhex('ff')],[]]"),
    ],
)
def test_lists_of_any_bytes_move(
    tmp_path: Path, house: Connector, type_: str, value: str, stored: str
) -> None:
    here = duck(tmp_path, f"CREATE TABLE nest (v {type_})", f"INSERT INTO nest VALUES ({value})")
    with plan(asked("main", "nest", into="default"), here, house) as decided:
        assert run(decided).verdict == "pass"
    with house.reader() as reader:
        assert reader.count(Source(query=f"SELECT 1 FROM nest WHERE toString(v) = toString({stored})")) == 1


def test_bytes_in_a_struct_are_refused(tmp_path: Path, house: Connector) -> None:
    here = duck(
        tmp_path, "CREATE TABLE nest (v STRUCT(b BLOB))", r"INSERT INTO nest VALUES ({'b': '\xFF'::BLOB})"
    )
    refused(asked("main", "nest", into="default"), here, house)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("String", "'é'", "concat('a', unhex('ff'))"),
        ("Nullable(String)", "NULL", "unhex('c328')"),
        ("LowCardinality(String)", "'z'", "unhex('ff')"),
    ],
)
def test_a_string_between_the_others_that_is_no_text(
    tmp_path: Path, house: Connector, type_: str, good: str, bad: str
) -> None:
    filled(house, type_, "'a'", bad, "'zz'", good)
    there = duck(tmp_path)
    error, ways = refused(asked("default", "nest", into="main"), house, there)
    assert "1 value that are no UTF-8" in (error.detail or "") and "\\x" in (error.detail or "")
    assert ways == ["cast", "skip", "allow_lossy"]
    with plan(asked("default", "nest", into="main", allow_lossy=("v",)), house, there) as decided:
        assert run(decided).verdict == "pass"
    with there.reader() as reader:
        assert reader.count(Source(query="SELECT 1 FROM nest WHERE v IS NULL")) == (
            2 if good == "NULL" else 1
        )
    with plan(asked("default", "nest", into="main", casts={"v": "BLOB"}), house, there) as decided:
        assert run(decided).verdict == "pass"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("Array(String)", "[unhex('ff')]"),
        ("Array(Nullable(String))", "[NULL, 'a', unhex('ff')]"),
        ("Map(String, String)", "map('a', unhex('ff'))"),
        ("Array(Tuple(a String))", "[tuple(unhex('ff'))]"),
    ],
)
def test_a_string_inside_that_is_no_text(tmp_path: Path, house: Connector, type_: str, value: str) -> None:
    filled(house, type_, value)
    there = duck(tmp_path)
    _, ways = refused(asked("default", "nest", into="main"), house, there)
    assert ways == ["cast", "skip"]
    refused(asked("default", "nest", into="main", allow_lossy=("v",)), house, there)


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("Tuple(Int32, String)", "(1, 'x')", '{"1":1,"2":"x"}'),
        ("Array(Tuple(Int32, Array(String)))", "[(1, ['x'])]", ['{"1":1,"2":["x"]}']),
        (
            "Map(String, Tuple(Date, Decimal(9, 2)))",
            "map('a', ('2024-02-29', 1.5))",
            '{"a":{"1":"2024-02-29","2":1.5}}',
        ),
    ],
)
def test_tuples_without_names_get_their_numbers(
    tmp_path: Path, house: Connector, type_: str, value: str, expected: object
) -> None:
    filled(house, type_, value)
    there = duck(tmp_path)
    with plan(asked("default", "nest", into="main"), house, there) as decided:
        assert run(decided).verdict == "pass"
    house.execute("DROP TABLE IF EXISTS copied")
    back = TransferRequest(
        Source(path=("default", "nest")), ("default", "copied"), options=TransferOptions(verify="L3")
    )
    with plan(back, house, house) as decided:
        assert run(decided).verdict == "pass"
    with house.reader() as reader:
        (batch,) = reader.read(Source(path=("default", "copied")))
    assert batch.column("v").to_pylist() == [expected]
    house.execute("DROP TABLE copied")
