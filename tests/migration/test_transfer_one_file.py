"""A SQLite file that is read and written by one transfer, in both of its journal modes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.explain import explain
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled

ROWS = 20_000


@pytest.fixture
def file(tmp_path: Path, journal: str) -> Path:
    path = tmp_path / "one.sqlite"
    with closing(sqlite3.connect(path)) as session, session:
        session.execute(f"PRAGMA journal_mode = {journal}")
        session.execute("CREATE TABLE a (id integer PRIMARY KEY, word text)")
        session.executemany(
            "INSERT INTO a VALUES (?, ?)", ((number, f"word {number}") for number in range(ROWS))
        )
        session.execute("CREATE TABLE b (id integer PRIMARY KEY, word text)")
        session.execute("INSERT INTO b VALUES (-1, 'old')")
    return path


@pytest.fixture
def ends(file: Path) -> Iterator[tuple[Connector, Connector]]:
    found = [connect(datasource(name, "sqlite", {"path": str(file), "role": "read_write"})) for name in "st"]
    yield found[0], found[1]
    for connector in found:
        connector.close()


def request(source: Source, table: str, mode: str) -> TransferRequest:
    options = TransferOptions(verify="L4")
    return TransferRequest(source, (table,), mode=mode, key=("id",), options=options)  # type: ignore[arg-type]


def count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as session:
        return int(session.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize(("mode", "rows"), [("replace", ROWS), ("append", ROWS + 1), ("upsert", ROWS + 1)])
def test_a_table_moves_into_another_of_its_file(
    file: Path, ends: tuple[Connector, Connector], mode: str, rows: int
) -> None:
    assert run(plan(request(Source(path=("a",)), "b", mode), *ends)).verdict == "pass"
    assert count(file, "b") == rows
    assert count(file, "a") == ROWS


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_table_is_replaced_by_what_is_asked_of_it(file: Path, ends: tuple[Connector, Connector]) -> None:
    half = Source(query="SELECT id, upper(word) AS word FROM a WHERE id % 2 = 0")
    assert run(plan(request(half, "a", "replace"), *ends)).rows_transferred == ROWS // 2
    assert count(file, "a") == ROWS // 2


@pytest.mark.parametrize("journal", ["delete"])
def test_without_room_for_a_copy_it_is_refused(
    file: Path, ends: tuple[Connector, Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 1

    monkeypatch.setattr("shutil.disk_usage", lambda path: Full)
    with plan(request(Source(path=("a",)), "b", "replace"), *ends) as item:
        explain(item)
    with pytest.raises(MigrationError, match="no room") as caught:
        run(plan(request(Source(path=("a",)), "b", "replace"), *ends))
    assert caught.value.sqlstate == "53100"
    assert "WAL" in (caught.value.hint or "")
    assert count(file, "b") == 1
