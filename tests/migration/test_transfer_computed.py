"""Columns that the target computes take no values: that is said before a row moves, and they stay computed."""

from __future__ import annotations

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

pytestmark = pytest.mark.sampled

ENGINES = [
    "duckdb",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]
MODES = ("replace", "append", "upsert")


@pytest.fixture
def target(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target(engine, tmp_path, request)
    yield connector
    connector.execute("DROP TABLE IF EXISTS computed")
    connector.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, a INTEGER, twice INTEGER)")
        connection.execute("INSERT INTO s VALUES (1, 10, 21), (2, 20, 41)")  # not what the targets compute
    connector = connect(datasource("here", "duckdb", {"path": str(file)}))
    yield connector
    connector.close()


def request(mode: str, engine: str, *skip: str, key: str = "id") -> TransferRequest:
    path = {"duckdb": ("main", "computed"), "postgres": ("public", "computed")}.get(engine, ("computed",))
    return TransferRequest(
        Source(path=("main", "s")),
        path,
        mode=mode,  # type: ignore[arg-type]
        key=(key,) if mode == "upsert" else (),
        options=TransferOptions(skip=skip),
    )


def make(target: Connector, engine: str) -> None:
    term = "AS (a * 2)" if engine == "duckdb" else "AS (a * 2) STORED"
    null = "NOT NULL" if engine in ("sqlite", "postgres") else ""
    target.execute(
        f"CREATE TABLE computed (id int NOT NULL, a int, twice int {null} GENERATED ALWAYS {term}, PRIMARY KEY (id))"
    )
    target.execute("INSERT INTO computed (id, a) VALUES (1, 1)")


def values(target: Connector) -> list[tuple[int, ...]]:
    with target.reader() as reader:
        found = reader.fetch("SELECT id, a, twice FROM computed ORDER BY id").to_pylist()
    return [tuple(int(value) for value in row.values()) for row in found]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", MODES)
def test_a_value_for_a_computed_column_is_refused_by_the_plan(
    source: Connector, target: Connector, engine: str, mode: str
) -> None:
    make(target, engine)
    with pytest.raises(MigrationError, match='column "twice"') as caught:
        plan(request(mode, engine), source, target)
    assert caught.value.sqlstate == "428C9"
    assert caught.value.column == "twice"
    assert "SKIP (twice)" in (caught.value.hint or "")
    assert values(target) == [(1, 1, 2)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_a_column_left_out_stays_computed(
    source: Connector, target: Connector, engine: str, mode: str
) -> None:
    make(target, engine)
    assert run(plan(request(mode, engine, "twice"), source, target)).verdict == "pass"
    assert values(target) == [(1, 10, 20), (2, 20, 40)]
    target.execute("UPDATE computed SET a = 7 WHERE id = 2")
    assert values(target) == [(1, 10, 20), (2, 7, 14)]


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_a_replaced_table_keeps_its_checks(source: Connector, target: Connector, engine: str) -> None:
    target.execute("CREATE TABLE computed (id int, a int CHECK (a < 100), twice int)")
    run(plan(request("replace", engine), source, target))
    assert values(target) == [(1, 10, 21), (2, 20, 41)]
    with pytest.raises(MigrationError) as caught:
        target.execute("INSERT INTO computed VALUES (3, 100, 0)")
    assert caught.value.sqlstate == "23514"


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres"])
def test_an_identity_that_is_always_generated_is_not_updated(
    source: Connector, target: Connector, engine: str
) -> None:
    target.execute(
        "CREATE TABLE computed (id int, a int PRIMARY KEY, twice int GENERATED ALWAYS AS IDENTITY)"
    )
    with pytest.raises(MigrationError, match='column "twice"') as caught:
        plan(request("upsert", engine, key="a"), source, target)
    assert caught.value.sqlstate == "428C9"
    run(plan(request("append", engine), source, target))
    assert values(target) == [(1, 10, 21), (2, 20, 41)]


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres"])
def test_what_the_source_computes_moves_as_values(target: Connector, tmp_path: Path, engine: str) -> None:
    make(target, engine)
    file = str(tmp_path / "new.duckdb")
    duckdb.connect(file).close()
    new = connect(datasource("new", "duckdb", {"role": "read_write", "path": file}))
    result = run(
        plan(TransferRequest(Source(path=("public", "computed")), ("main", "computed")), target, new)
    )
    assert any("twice" in note for note in result.notes)
    assert values(new) == [(1, 1, 2)]
    new.close()


def test_computed_columns_are_found_in_any_definition(tmp_path: Path) -> None:
    """Also in what no other parser reads, and whatever names and defaults say."""
    file = str(tmp_path / "a.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute(
            """CREATE TABLE t (n int CHECK (n IN (1, 2)), a varchar DEFAULT 'it''s, GENERATED ALWAYS AS (',
            h blob DEFAULT x'0a', "x GENERATED ALWAYS AS (" int, l int[] DEFAULT [1, 2], b bit AS (b'1010'),
            "c, ""d("" " int GENERATED ALWAYS AS (n + 1), y blob AS (x'0a'), s STRUCT(generated int, always int),
            m DECIMAL(9, 2), UNIQUE (n, a), CHECK (n > 0 AND a <> 'AS'))"""
        )
        connection.execute("INSERT INTO t (n) VALUES (1)")
    source = connect(datasource("d", "duckdb", {"path": file}))
    columns = source.describe(("main", "t")).spec.columns
    assert [column.name for column in columns if column.computed] == ["b", 'c, "d(" ', "y"]
    source.close()
