"""No room for the record of transfers: nothing is begun that could not be found again, and how a transfer ended is
known at once, and written down as soon as there is room."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer import publication
from migration.transfer.journal import Journal, Range
from migration.transfer.undertaking import resume, undertake
from migration.transfer_model import TransferRequest


class Full:
    """A file of SQLite on a disk that is full now and then: nothing is committed there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.full = False

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        if self.full and statement == "COMMIT":
            self._connection.execute("ROLLBACK")
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._connection.execute(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def opened(path: Path) -> tuple[Journal, Full]:
    journal = Journal(path)
    disk = Full(journal._connection)
    journal._connection = disk  # type: ignore[assignment]
    return journal, disk


def test_how_it_ended_is_known_and_written_down_later(tmp_path: Path) -> None:
    journal, disk = opened(tmp_path / "journal")
    first, second = (journal.begin(source="a", target=f"b{n}", mode="append") for n in (1, 2))
    journal.update(first, watermark="7")
    journal.plan_ranges(second, [Range(0, None, None)])
    disk.full = True
    with pytest.raises(MigrationError) as refusal:
        journal.begin(source="a", target="b3", mode="append")
    assert refusal.value.sqlstate == "53100"
    for step in (lambda: journal.update(second, staging=("s",)), lambda: journal.mark(second, 0, 5)):
        with pytest.raises(MigrationError):
            step()
    journal.update(second, rows_done=5, bytes=50)  # how far it is may be lost
    journal.finish(first, watermark_of=("a", "b1", "c"), rows_done=9)
    journal.update(second, state="failed", error="the disk was full")
    for item in (journal, Journal(tmp_path / "journal")):
        states = [(entry.state, entry.rows_done) for entry in item.entries()]
        assert states == (
            [("failed", 0), ("done", 9)] if item is journal else [("running", 0), ("running", 0)]
        )
    assert journal.watermark("a", "b1", "c") == "7"
    disk.full = False
    assert len(journal.entries()) == 2
    with closing(Journal(tmp_path / "journal")) as other:
        assert [entry.state for entry in other.entries()] == ["failed", "done"]
        assert other.watermark("a", "b1", "c") == "7"


def test_who_starts_on_a_full_disk_knows_what_was_interrupted(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.begin(source="a", target="b", mode="append")
    journal, disk = opened(tmp_path / "journal")
    disk.full = True
    assert [entry.state for entry in journal.interrupt_orphans()] == ["interrupted"]
    disk.full = False
    journal.begin(source="a", target="c", mode="append")
    assert [entry.state for entry in journal.entries()] == ["running", "interrupted"]
    journal.close()


@pytest.mark.parametrize("phase", ["profile", "staging", "move", "verify", "published"])
def test_a_transfer_ends_as_it_says(tmp_path: Path, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("source", "target"):
        with duckdb.connect(str(tmp_path / name)) as made:
            made.execute(f"CREATE TABLE t AS SELECT n, '{name}' AS v FROM range(100) AS r(n)")
    journal, disk = opened(tmp_path / "journal")
    publish = publication.publish

    def published(*given: Any) -> Any:
        found = publish(*given)
        disk.full = True
        return found

    if phase == "published":
        monkeypatch.setattr(publication, "publish", published)
    request = TransferRequest(
        Source(path=("main", "t")), ("main", "t"), source_name="source", target_name="target"
    )
    with (
        closing(connect(datasource("source", "duckdb", {"path": str(tmp_path / "source")}))) as source,
        closing(
            connect(datasource("target", "duckdb", {"path": str(tmp_path / "target"), "role": "read_write"}))
        ) as target,
    ):

        def full(state: Any) -> None:
            disk.full = disk.full or state.phase == phase

        if phase == "published":
            assert undertake(request, source, target, journal=journal).rows_transferred == 100
        else:
            with pytest.raises(MigrationError) as refusal:
                undertake(request, source, target, journal=journal, progress=full)
            assert refusal.value.sqlstate == "53100"
        (entry,) = journal.entries()
        assert entry.state == ("done" if phase == "published" else "failed")
        disk.full = False
        if phase != "published":
            with target.reader() as reader:
                assert reader.rows("SELECT DISTINCT v FROM t") == [("target",)]
            resume(journal, entry.id, source, target)
        with target.writer() as writer:
            assert writer.rows("SELECT DISTINCT v FROM t") == [("source",)]
            assert writer.leftovers() == ()
    journal.close()
    with closing(Journal(tmp_path / "journal")) as after:
        assert [each.state for each in after.entries()] == ["done"]
