"""Texts go into an enum that is there if it has them, letter for letter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from targets import SCHEMAS, marked, opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

VALUES = ["a", "b c", "it's", '"q"', "é", ""]
ENUM = "ENUM('a', 'b c', 'it''s', '\"q\"', 'é', '')"
OTHERS = ["A", "a ", "zz"]  # MariaDB would store the first two as 'a'
NAME = "enum_there"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as made:
        made.execute(f"CREATE TABLE kept (i INTEGER, v VARCHAR); CREATE TABLE named (i INTEGER, v {ENUM})")
        made.execute("CREATE TABLE more (i INTEGER, v VARCHAR)")
        for number, value in enumerate([*VALUES, None]):
            for table in ("kept", "named", "more"):
                made.execute(f"INSERT INTO {table} VALUES (?, ?)", [number, value])
        for number, value in enumerate(OTHERS):
            made.execute("INSERT INTO more VALUES (?, ?)", [100 + number, value])
        made.execute("CREATE TABLE lists AS SELECT 1 AS i, ['a', NULL, 'é'] AS v")
    found = connect(datasource("here", "duckdb", {"path": str(file)}))
    yield found
    found.close()


@pytest.fixture(params=marked("duckdb", "postgres", "mariadb"))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connector]:
    engine = request.param
    with closing(opened_target(engine, tmp_path, request)) as found:
        found.execute(f"DROP TABLE IF EXISTS {NAME}")
        type_ = ENUM
        if engine == "postgres":
            found.execute("DROP TYPE IF EXISTS some_texts CASCADE")
            found.execute(f"CREATE TYPE some_texts AS {ENUM}")
            type_ = "some_texts"
        found.execute(f"CREATE TABLE {NAME} (i INTEGER, v {type_})")
        yield found
        found.execute(f"DROP TABLE IF EXISTS {NAME}")


def moved(source: Connector, table: str, target: Connector, **options: str) -> list[str | None]:
    schema = SCHEMAS["mariadb" if target.dialect == "mysql" else target.dialect]
    chosen = TransferOptions.from_pairs([("verify", "L4"), *options.items()])
    request = TransferRequest(Source(path=("main", table)), (schema, NAME), options=chosen)
    run(plan(request, source, target))
    with target.reader() as reader:
        table_ = reader.fetch(f"SELECT i, v FROM {NAME} ORDER BY i")
    return table_.column("v").to_pylist()


@pytest.mark.parametrize("table", ["kept", "named"])
def test_texts_that_an_enum_has_arrive(table: str, source: Connector, target: Connector) -> None:
    assert moved(source, table, target) == [*VALUES, None]


def test_other_texts_refuse_the_plan_or_become_null(source: Connector, target: Connector) -> None:
    with pytest.raises(MigrationError) as caught:
        moved(source, "more", target)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert "none of 'a', 'b c'" in caught.value.message and "and 1 more" in caught.value.message
    assert "3 values" in str(caught.value.detail) and "zz" in str(caught.value.detail)
    assert moved(source, "more", target, allow_lossy="v") == [*VALUES, None, *([None] * len(OTHERS))]


@pytest.mark.postgres
def test_a_list_goes_into_a_list_of_an_enum(
    source: Connector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with closing(opened_target("postgres", tmp_path, request)) as target:
        target.execute(f"DROP TABLE IF EXISTS {NAME}")
        target.execute("DROP TYPE IF EXISTS some_texts CASCADE")
        target.execute(f"CREATE TYPE some_texts AS {ENUM}")
        target.execute(f"CREATE TABLE {NAME} (i INTEGER, v some_texts[])")
        assert moved(source, "lists", target) == [["a", None, "é"]]
        target.execute(f"DROP TABLE {NAME}")
        target.execute("DROP TYPE some_texts")
