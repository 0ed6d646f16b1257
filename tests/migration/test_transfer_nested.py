"""Structs, maps and lists of them, and JSON inside them: every part arrives as it is, or the transfer is refused."""

from __future__ import annotations

import json
from dataclasses import replace
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

pytestmark = pytest.mark.sampled

_ENGINES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]
_LONG = "1.00000000000000000000001"


def source(directory: Path, type_: str, value: str) -> Connector:
    path = directory / "source.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE nested (id INTEGER, v {type_})")
        connection.execute(f"INSERT INTO nested VALUES (1, {value})")
    return connect(datasource("here", "duckdb", {"path": str(path)}))


def target(engine: str, directory: Path, request: pytest.FixtureRequest) -> Connector:
    there = opened_target(engine, directory, request)
    if engine in ("postgres", "mariadb"):  # which other tests use too
        request.addfinalizer(lambda: there.execute("DROP TABLE IF EXISTS nested"))
    return there


def move(here: Connector, there: Connector, engine: str) -> None:
    path = {"duckdb": ("main", "nested"), "sqlite": ("nested",), "postgres": ("public", "nested")}
    into = path.get(engine, ("bough", "nested"))
    request = TransferRequest(
        Source(path=("main", "nested")), into, options=TransferOptions(verify="L4", recreate=True)
    )
    with plan(request, here, there) as decided:
        assert run(decided).verdict == "pass"


def moved(there: Connector, engine: str) -> str:
    with there.reader() as reader:
        text = {"mariadb": "v", "sqlite": "v"}.get(engine, "CAST(v AS text)")
        return str(reader.fetch(f"SELECT {text} AS v FROM nested").column(0)[0].as_py())


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("STRUCT(a VARCHAR[])[]", """[{'a': ['x', NULL]}, NULL]""", '[{"a":["x",null]},null]'),
        ("MAP(VARCHAR, INTEGER)[]", "[MAP {'k': 1}]", '[{"k":1}]'),
        ("STRUCT(a INTEGER)[][]", "[[{'a': 1}], NULL]", '[[{"a":1}],null]'),
        ("JSON[][]", """[['{"a": 1}'::JSON]]""", '[[{"a": 1}]]'),
        ("HUGEINT[][]", "[[5, NULL]]", "[[5, null]]"),
    ],
)
def test_what_is_json_inside_a_list_stays_json(
    engine: str, type_: str, value: str, expected: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target(engine, tmp_path, request)
    move(source(tmp_path, type_, value), there, engine)
    assert json.loads(moved(there, engine)) == json.loads(expected)


@pytest.mark.parametrize("engine", _ENGINES[:2])
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("STRUCT(j JSON)", f"{{'j': '{_LONG}'}}"),
        ('STRUCT("a\'b" JSON, k INTEGER[])', f"{{'a''b': '{_LONG}', 'k': [1]}}"),
        ("MAP(VARCHAR, JSON)", f"MAP {{'q\"': '{_LONG}'::JSON, 'n': NULL}}"),
        ("STRUCT(j JSON)[]", f"[{{'j': '{_LONG}'}}]"),
        ("JSON[]", f"['{_LONG}'::JSON]"),
    ],
)
def test_numbers_of_json_inside_a_value_keep_their_digits(
    engine: str, type_: str, value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target(engine, tmp_path, request)
    move(source(tmp_path, type_, value), there, engine)
    assert _LONG in moved(there, engine)


@pytest.mark.parametrize(
    ("engine", "type_", "value"),
    [
        ("duckdb", "STRUCT(j JSON)", f"{{'j': '{_LONG}'}}"),
        *(
            pytest.param(engine, type_, value, marks=marks)
            for engine, marks in (
                ("sqlite", ()),
                ("postgres", pytest.mark.postgres),
                ("mariadb", pytest.mark.mariadb),
            )
            for type_, value in (
                ("STRUCT(x DOUBLE, t TIMESTAMP)", "{'x': 'nan'::DOUBLE, 't': NULL}"),
                ("MAP(VARCHAR, DOUBLE)", "MAP {'a': 'inf'::DOUBLE}"),
                ("STRUCT(x FLOAT)[]", "[{'x': '-inf'::FLOAT}]"),
            )
        ),
        *(
            pytest.param(engine, "STRUCT(j JSON)", """{'j': '{"a":1,"a":2}'}""", marks=mark)
            for engine, mark in (("postgres", pytest.mark.postgres), ("mariadb", pytest.mark.mariadb))
        ),
    ],
)
def test_what_a_part_would_lose_is_refused_by_the_plan(
    engine: str, type_: str, value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target(engine, tmp_path, request)
    with pytest.raises(MigrationError) as caught:
        move(source(tmp_path, type_, value), there, engine)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert "1 value" in str(caught.value.detail)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("TIMESTAMP_NS", "'infinity'", "infinity"),
        (
            "TIMESTAMP_NS[]",
            "['-infinity'::TIMESTAMP_NS, NULL, '2024-01-01']",
            '{-infinity,NULL,"2024-01-01 00:00:00"}',
        ),
        ("STRUCT(x TIMESTAMP, y DOUBLE)", "{'x': 'infinity', 'y': 1}", '{"x": "infinity", "y": 1.0}'),
    ],
)
def test_an_infinite_moment_is_no_nanosecond(
    type_: str, value: str, expected: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target("postgres", tmp_path, request)
    move(source(tmp_path, type_, value), there, "postgres")
    assert moved(there, "postgres") == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("INTEGER[2][2]", "[[1, 2], [3, 4]]"),
        ("INTEGER[][2]", "[[1], [3, 4]]"),
        ("INTEGER[2][]", "[[1, 2], NULL]"),
        ("STRUCT(a INTEGER)[2]", "[{'a': 1}, {'a': 2}]"),
    ],
)
def test_arrays_of_a_fixed_length_stay_what_they_are(
    type_: str, value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = opened_target("duckdb", tmp_path, request)
    here = source(tmp_path, type_, value)
    move(here, there, "duckdb")
    with here.reader() as reader:
        wanted = reader.fetch("SELECT CAST(v AS text) AS v FROM nested").column(0)[0].as_py()
    assert moved(there, "duckdb") == wanted


@pytest.mark.parametrize(
    ("type_", "value", "lossy"),
    [
        (
            "STRUCT(a JSON, b JSON)",
            "{'a': 'null'::JSON, 'b': '{\"x\": 1}'::JSON}",
            "{'a': NULL, 'b': '{\"x\":1}'}",
        ),
        ("STRUCT(a JSON)[]", "[{'a': ' null '::JSON}]", "[{'a': NULL}]"),
        ("MAP(VARCHAR, JSON)", "MAP {'k': 'null'::JSON}", "{k=NULL}"),
        ("STRUCT(a STRUCT(b JSON[]))", "{'a': {'b': ['null'::JSON]}}", "{'a': {'b': [NULL]}}"),
    ],
    ids=["struct", "list", "map", "deep"],
)
def test_a_null_of_json_s_own_inside_a_value_is_no_null(
    type_: str, value: str, lossy: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there, here = target("duckdb", tmp_path, request), source(tmp_path, type_, value)
    asked = TransferRequest(Source(path=("main", "nested")), ("main", "nested"))
    with pytest.raises(MigrationError, match="null of JSON") as refusal:
        plan(asked, here, there)
    assert refusal.value.sqlstate == "HV004"
    allowed = replace(asked, options=TransferOptions(allow_lossy=("v",)))
    with plan(allowed, here, there) as decided:
        run(decided)
    assert moved(there, "duckdb") == lossy
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute(f"UPDATE nested SET v = CAST(NULL AS {type_})")
    move(here, there, "duckdb")
