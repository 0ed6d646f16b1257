"""SQLite types values, not columns: the plan says which values are none of their column's type, before a row moves."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, ReadColumn, Source
from migration.connectors.sqlite_values import arrived, misfits
from migration.datasources.datasource import datasource
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest
from migration.types import CanonicalType

pytestmark = pytest.mark.sampled

_WAY = re.compile(r"WITH \((\w+) '((?:[^']|'')*)'\)")
# A declared type, SQL of one value that fits and of some that do not, the samples, and AS TEXT of all of them.
CASES = [
    ("integer", "7", ["x'31'", "'abc'", "2.5"], ["\\x31", "abc", "2.5"], ["7", "\\x31", "abc", "2.5"]),
    ("real", "0.1 + 0.2", ["x'31'", "'x'"], ["\\x31", "x"], ["0.30000000000000004", "\\x31", "x"]),
    ("text", "'a'", ["x'ff00'"], ["\\xff00"], ["a", "\\xff00"]),
    ("date", "'2024-02-29'", ["'2020-99-99'", "'2023-02-29'", "5"], ["2020-99-99", "2023-02-29", "5"],
     ["2024-02-29", "2020-99-99", "2023-02-29", "5"]),
    ("datetime", "'2020-01-01 24:00:00'", ["'2020-01-01 25:00:00'", "'2020-01-01 12:60:00'", "1577836800"],
     ["2020-01-01 25:00:00", "2020-01-01 12:60:00", "1577836800"],
     ["2020-01-01 24:00:00", "2020-01-01 25:00:00", "2020-01-01 12:60:00", "1577836800"]),
    ("time", "'12:59'", ["'12:99:00'"], ["12:99:00"], ["12:59", "12:99:00"]),
    ("boolean", "1", ["2", "'no'"], ["2", "no"], ["1", "2", "no"]),
    ("numeric(5,2)", "1.5", ["123456", "1.125"], ["123456", "1.125"], ["1.5", "123456", "1.125"]),
    ("numeric", "1.5", ["1.0 / 3", "'nan'"], ["0.3333333333333333", "nan"], ["1.5", "0.3333333333333333", "nan"]),
    ("blob", "x'00'", ["1", "'x'"], ["1", "x"], ["\\x00", "1", "x"]),
    ("json", "'[]'", ["'{'"], ["{"], ["[]", "{"]),
    ("jsonb", "'[]'", ["x'5b5d'"], ["\\x5b5d"], ["[]", "\\x5b5d"]),
]  # fmt: skip


@pytest.fixture(params=["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target(request.param, tmp_path, request)
    yield connector
    connector.execute("DROP TABLE IF EXISTS moved")
    connector.close()


def source(home: Path, declared: str, values: list[str]) -> Connector:
    with closing(sqlite3.connect(home / "source.sqlite")) as session, session:
        session.execute(f'CREATE TABLE t (id integer PRIMARY KEY, "a v" {declared})')
        for value in [*values, "NULL"]:
            session.execute(f'INSERT INTO t ("a v") VALUES ({value})')
    return connect(datasource("here", "sqlite", {"path": str(home / "source.sqlite")}))


def request(target: Connector, *options: tuple[str, str], query: str = "") -> TransferRequest:
    schema = {"duckdb": "main", "sqlite": "main"}.get(target.dialect, "public")
    read = Source(query=query) if query else Source(path=("t",))
    return TransferRequest(
        read, (schema, "moved"), options=TransferOptions.from_pairs([*options, ("recreate", "true")])
    )


def refusal(
    source: Connector, target: Connector, *options: tuple[str, str], query: str = ""
) -> MigrationError:
    with pytest.raises(MigrationError) as caught:
        plan(request(target, *options, query=query), source, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "a v")
    assert not [entry for entry in target.tables() if entry.name.startswith("moved")]
    return caught.value


def moved(source: Connector, target: Connector, *options: tuple[str, str], query: str = "") -> list[object]:
    with plan(request(target, *options, query=query), source, target) as decided:
        assert run(decided).verdict == "pass"
    with target.reader() as reader:
        table = reader.fetch("SELECT * FROM moved ORDER BY id")
    return table.column("a v").to_pylist() if "a v" in table.column_names else []


@pytest.mark.parametrize(
    ("declared", "good", "bad", "samples", "texts"), CASES, ids=[case[0] for case in CASES]
)
def test_the_plan_names_them_and_its_hints_work(
    declared: str,
    good: str,
    bad: list[str],
    samples: list[str],
    texts: list[str],
    tmp_path: Path,
    target: Connector,
) -> None:
    if declared == "json" and target.dialect == "sqlite":
        pytest.skip("a text of SQLite's moves into a text of SQLite's")
    here = source(tmp_path, declared, [good, *bad])
    error = refusal(here, target)
    assert f"{len(bad)} value{'s' if len(bad) > 1 else ''} " in (error.detail or "")
    assert f"such as {', '.join(samples)}." in (error.detail or "")
    ways = [(name, text) for name, text in _WAY.findall(str(error.hint)) if name != "cast"]
    assert [name for name, _ in ways] == ["skip", "as_text", "allow_lossy"]
    skip, as_text, allow_lossy = ways
    assert moved(here, target, skip) == []
    assert moved(here, target, as_text) == [*texts, None]
    first, *rest = moved(here, target, allow_lossy)
    assert first is not None
    assert rest == [None] * (len(bad) + 1)


ODD = [
    1, 0, -1, 2, 99, 100, -(2**63), 2**63 - 1, 1.0, -0.0, 0.1, 0.1 + 0.2, 1e15, 1e16, 1e20, 1e300, 99.99,
    99.995, 0.005, float("inf"), "", " ", "1", "1.5", " 1 ", "1_0", "abc", "true", "f", "2020-01-01",
    "2020-02-30", "2020-1-1", "0000-01-01", "2020-01-01 10:00:00", "2020-01-01T10:00:00",
    "2020-01-01 10:00:00.5", "2020-01-01 10:00:00.123", "2020-01-01 10:00",
    "2020-01-01 10:00:00.1234567", "2020-01-01 24:00:00", "2020-01-01 10:00:60", "2020-01-01 10:00:00Z",
    "10:00:00", "now", "2020-01-01\0", "2020-01-01 10:00:00\0x", "infinity", b"", b"1", b"\xff",
]  # fmt: skip


def taken(value: object, type_: CanonicalType) -> bool:
    try:
        arrived([value], ReadColumn("v", type_))
    except MigrationError:
        return False
    return True


@pytest.mark.parametrize(
    "declared",
    ["integer", "real", "text", "blob", "boolean", "date", "datetime", "time", "timestamptz", "json", "numeric",
     "numeric(4,2)", "numeric(18,0)", "numeric(40,2)"],
)  # fmt: skip
def test_what_sqlite_proves_the_reader_takes(declared: str) -> None:
    type_ = parse_type(declared, "sqlite")
    with closing(sqlite3.connect(":memory:")) as session:
        session.execute("CREATE TABLE t (v BLOB)")  # no affinity: a value stays what it is
        for value in ODD:
            session.execute("DELETE FROM t")
            session.execute("INSERT INTO t VALUES (?)", (value,))
            found = misfits(session, "t", [ReadColumn("v", type_)], ["v"])
            assert bool(found) == (not taken(value, type_)), value


def test_a_text_that_is_no_utf8_moves_as_bytes(tmp_path: Path, target: Connector) -> None:
    here = source(tmp_path, "text", ["'é'", "CAST(x'ff41' AS TEXT)"])
    error = refusal(here, target)
    assert "no UTF-8" in error.message
    assert "AS TEXT" not in str(error.hint)
    refusal(here, target, ("as_text", '"a v"'))
    assert moved(
        here, target, ("cast", '"a v" AS ' + ("bytea" if target.dialect == "postgres" else "blob"))
    ) == [
        "é".encode(),
        b"\xffA",
        None,
    ]
    assert moved(here, target, ("allow_lossy", '"a v"')) == ["é", None, None]


def test_a_cast_is_asked_for_too(tmp_path: Path, target: Connector) -> None:
    here = source(tmp_path, "text", ["'1'", "'2.5'", "'3000000000'"])
    assert "2.5, 3000000000" in (refusal(here, target, ("cast", '"a v" AS integer')).detail or "") or (
        target.dialect == "sqlite"  # whose integers have 64 bits
    )


def test_only_rows_that_move_count(tmp_path: Path, target: Connector) -> None:
    here = source(tmp_path, "integer", ["1", "'abc'"])
    refusal(here, target, query='SELECT id, "a v" FROM t WHERE "a v" IS NOT NULL')
    assert moved(here, target, query='SELECT id, "a v" FROM t WHERE typeof("a v") = \'integer\'') == [1]
