"""SQLite takes any text in a column declared uuid; where it moves into real ones, the plan says which are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

ONE = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
SPELLINGS = (ONE.upper(), ONE.replace("-", "").replace("11", "12"), None)


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target(request.param, tmp_path, request)
    yield connector
    connector.execute("DROP TABLE IF EXISTS marks")
    connector.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.sqlite"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute("CREATE TABLE good (id integer PRIMARY KEY, who uuid)")
        session.executemany("INSERT INTO good VALUES (?, ?)", enumerate(SPELLINGS))
        session.execute("CREATE TABLE bad (id integer PRIMARY KEY, who uuid)")
        session.executemany("INSERT INTO bad VALUES (?, ?)", [(1, ONE), (2, "nobody"), (3, "")])
    connector = connect(datasource("here", "sqlite", {"path": str(file)}))
    yield connector
    connector.close()


def request(table: str, target: Connector, **options: object) -> TransferRequest:
    return TransferRequest(
        Source(path=(table,)),
        ("main" if target.dialect == "duckdb" else "public", "marks"),
        key=("id",),
        options=TransferOptions(**options),  # type: ignore[arg-type]
    )


def values(target: Connector) -> list[str | None]:
    with target.reader() as reader:
        found = reader.fetch("SELECT who FROM marks ORDER BY id").column("who").to_pylist()
    return [value and str(value) for value in found]


def test_every_spelling_arrives_as_the_one_of_the_type(source: Connector, target: Connector) -> None:
    result = run(plan(request("good", target, verify="L4"), source, target))
    assert result.verdict == "pass"
    assert values(target) == [ONE, ONE.replace("11", "12"), None]


def test_a_text_that_is_no_uuid_refuses_the_plan(source: Connector, target: Connector) -> None:
    with pytest.raises(MigrationError, match=r"who.* no uuids in 2 rows") as caught:
        plan(request("bad", target), source, target)
    assert caught.value.sqlstate == "HV004"
    assert "nobody" in (caught.value.detail or "")


def test_what_is_no_uuid_may_become_null(source: Connector, target: Connector) -> None:
    run(plan(request("bad", target, allow_lossy=("who",)), source, target))
    assert values(target) == [ONE, None, None]


def test_a_cast_that_fails_names_its_column(source: Connector, target: Connector) -> None:
    with pytest.raises(MigrationError, match="who") as caught:
        run(plan(request("bad", target, casts={"who": "uuid"}), source, target))
    assert caught.value.sqlstate == "HV004"
    assert "nobody" in f"{caught.value.message} {caught.value.detail}"
