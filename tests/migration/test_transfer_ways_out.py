"""What a refusal offers works as it is written: SKIP, AS TEXT and ALLOW LOSSY, for values of every kind."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.ddl.validation import errors
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled

_WAY = re.compile(r"WITH \((\w+) '((?:[^']|'')*)'\)")


def from_duckdb(directory: Path, name: str, type_: str, value: str) -> Connector:
    path = directory / "source.duckdb"
    quoted = '"' + name.replace('"', '""') + '"'
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE ways (id INTEGER, {quoted} {type_})")
        connection.execute(f"INSERT INTO ways VALUES (1, {value})")
    return connect(datasource("here", "duckdb", {"path": str(path)}))


def refusal(
    here: Connector, path: tuple[str, ...], there: Connector, into: tuple[str, ...]
) -> MigrationError:
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=path), into), here, there).close()
    assert caught.value.sqlstate == "HV004"
    return caught.value


def offered(error: MigrationError) -> list[tuple[str, str]]:
    return [(name, text.replace("''", "'")) for name, text in _WAY.findall(str(error.hint))]


def follow(
    error: MigrationError, here: Connector, path: tuple[str, ...], there: Connector, into: tuple[str, ...]
) -> list[str]:
    """Tries every way but CAST, which needs a type; their names."""
    ways = [(name, text) for name, text in offered(error) if name != "cast"]
    for way in ways:
        options = TransferOptions.from_pairs([way, ("recreate", "true")])
        with plan(TransferRequest(Source(path=path), into, options=options), here, there) as decided:
            assert run(decided).verdict == "pass", way
    return [name for name, _ in ways]


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["v", "it's", 'a "b" c', "a,b", "two words"])
def test_odd_names_are_quoted_as_the_options_read_them(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: there.execute("DROP TABLE IF EXISTS ways"))
    here = from_duckdb(tmp_path, name, "TIMESTAMP_NS", "'2024-01-01 12:00:00.123456789'")
    error = refusal(here, ("main", "ways"), there, ("public", "ways"))
    assert follow(error, here, ("main", "ways"), there, ("public", "ways")) == [
        "skip",
        "as_text",
        "allow_lossy",
    ]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("type_", "value", "ways"),
    [
        ("VARCHAR", "'a' || chr(0) || 'b'", ["skip", "allow_lossy"]),
        ("VARCHAR[]", "['a' || chr(0)]", ["skip", "as_text", "allow_lossy"]),
        ("JSON", """'"a\\u0000b"'""", ["skip", "as_text", "allow_lossy"]),
        ("STRUCT(x DOUBLE)", "{'x': 'nan'::DOUBLE}", ["skip", "as_text", "allow_lossy"]),
        ("DATE", "'5877642-06-25 (BC)'", ["skip", "as_text", "allow_lossy"]),
        ("UNION(i INTEGER, s VARCHAR)", "union_value(i := 1)", ["skip", "as_text"]),
        ("STRUCT(b BLOB)", "{'b': 'x'::BLOB}", ["skip", "as_text"]),
    ],
)  # fmt: skip
def test_every_way_leads_into_postgres(
    type_: str, value: str, ways: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: there.execute("DROP TABLE IF EXISTS ways"))
    here = from_duckdb(tmp_path, "v", type_, value)
    error = refusal(here, ("main", "ways"), there, ("public", "ways"))
    assert follow(error, here, ("main", "ways"), there, ("public", "ways")) == ways


@pytest.mark.postgres
def test_a_text_with_nul_is_refused_as_text_too(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    there = opened_target("postgres", tmp_path, request)
    here = from_duckdb(tmp_path, "v", "VARCHAR", "chr(0)")
    options = TransferOptions(as_text=("v",))
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=("main", "ways")), ("public", "ways"), options=options), here, there)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("type_", "value", "ways"),
    [
        ("numeric(10,2)", "'NaN'", ["skip", "as_text", "allow_lossy"]),
        ("timestamp", "'294276-12-31 23:59:59'", ["skip", "as_text", "allow_lossy"]),
        ("timestamptz", "'294276-12-31 23:59:59+00'", ["skip", "as_text", "allow_lossy"]),
        ("integer[]", "'{{1,2},{3,4}}'", ["skip", "as_text"]),
        ("money", "12.5", ["skip", "as_text"]),
    ],
)
def test_every_way_leads_out_of_postgres(
    type_: str, value: str, ways: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: here.execute("DROP TABLE IF EXISTS ways"))
    here.execute(f"CREATE TABLE ways (id integer, v {type_})")
    here.execute(f"INSERT INTO ways VALUES (1, {value}), (2, NULL)")
    there = opened_target("duckdb", tmp_path, request)
    error = refusal(here, ("public", "ways"), there, ("main", "ways"))
    assert follow(error, here, ("public", "ways"), there, ("main", "ways")) == ways


@pytest.mark.postgres
@pytest.mark.mariadb
def test_a_bpchar_has_no_limit(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    here, there = (opened_target(engine, tmp_path, request) for engine in ("postgres", "mariadb"))
    for each in (here, there):
        request.addfinalizer(lambda each=each: each.execute("DROP TABLE IF EXISTS ways"))
    here.execute("CREATE TABLE ways (v bpchar)")
    here.execute("INSERT INTO ways VALUES ('more than one')")
    with plan(TransferRequest(Source(path=("public", "ways")), ("bough", "ways")), here, there) as decided:
        run(decided)
    with there.reader() as reader:
        assert reader.fetch("SELECT v FROM ways").column(0).to_pylist() == ["more than one"]


@pytest.mark.clickhouse
def test_a_string_of_clickhouse_that_is_no_text_is_refused_by_its_name(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = opened_target("clickhouse", tmp_path, request)
    here.execute("DROP TABLE IF EXISTS ways")
    here.execute("CREATE TABLE ways (id Int32, `the text` String) ENGINE = MergeTree ORDER BY id")
    here.execute(r"INSERT INTO ways VALUES (1, '\xff\xfe')")
    there = opened_target("duckdb", tmp_path, request)
    error = refusal(here, ("default", "ways"), there, ("main", "ways"))
    assert error.column == "the text"
    assert "fffe" in str(error.detail)
    here.execute("DROP TABLE ways")


def test_a_fixed_string_is_a_type() -> None:
    assert errors("CREATE TABLE t (v FixedString(4)) ENGINE = MergeTree ORDER BY v", "clickhouse") == []
