"""The target's server goes away while a transfer runs, and comes back: nothing is left behind, nothing moves twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources import datasource
from migration.errors import MigrationError
from migration.journal import Journal
from migration.transfer_model import TransferRequest
from migration.undertaking import resume, undertake


def gone() -> MigrationError:
    return MigrationError("HV00N", "the server closed the connection")


class Unsteady:
    """A connector whose server goes away before or after one call of its writer, until ``away`` is False again."""

    def __init__(self, connector: Connector, call: str, *, after: bool) -> None:
        self._connector, self.call, self.after, self.away = connector, call, after, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def writer(self) -> Any:
        if self.away:
            raise gone()
        writer: Any = self._connector.writer()
        real = getattr(writer, self.call)

        def failing(*arguments: Any) -> Any:
            if self.after:
                real(*arguments)
            self.away = True
            raise gone()

        if self.call:
            setattr(writer, self.call, failing)
        return writer

    def back(self) -> Connector:
        self.away = False
        return self._connector


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE s AS SELECT * FROM range(1, 4) AS t(id)")
    with closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as connector:
        yield connector


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "target.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (id INTEGER)")
    return path


@pytest.fixture
def target(file: Path) -> Iterator[Connector]:
    with closing(
        connect(datasource("there", "sqlite", {"path": str(file), "role": "read_write"}))
    ) as connector:
        yield connector


def names(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as read:
        return [
            name for (name,) in read.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
        ]


def ids(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as read:
        return [number for (number,) in read.execute("SELECT id FROM t ORDER BY 1")]


APPENDED = TransferRequest(Source(path=("main", "s")), ("t",), mode="append")


def test_staging_that_could_not_be_dropped_is_dropped_by_the_next_attempt(
    source: Connector, target: Connector, file: Path
) -> None:
    journal = Journal()
    unsteady: Any = Unsteady(target, "write", after=True)
    with pytest.raises(MigrationError, match="closed the connection"):
        undertake(APPENDED, source, unsteady, journal=journal)
    (entry,) = journal.entries()
    assert (entry.state, ids(file), len(names(file))) == ("failed", [], 2)
    assert entry.staging is not None
    assert resume(journal, entry.id, source, unsteady.back()).rows_transferred == 3
    assert (ids(file), names(file)) == ([1, 2, 3], ["t"])


@pytest.mark.parametrize("published", [True, False])
def test_who_resumes_finds_out_whether_rows_were_published(
    source: Connector, target: Connector, file: Path, published: bool
) -> None:
    journal = Journal()
    unsteady: Any = Unsteady(target, "publish", after=published)
    with pytest.raises(MigrationError, match="closed the connection") as caught:
        undertake(APPENDED, source, unsteady, journal=journal)
    (entry,) = journal.entries()
    assert entry.state == "publishing"
    assert caught.value.hint == f"RESUME TRANSFER {entry.id} finds out whether the rows were published."
    if published:
        with pytest.raises(MigrationError, match="had been published"):
            resume(journal, entry.id, source, unsteady.back())
    else:
        assert resume(journal, entry.id, source, unsteady.back()).rows_transferred == 3
    assert (ids(file), names(file)) == ([1, 2, 3], ["t"])
    (entry,) = journal.entries()
    assert entry.state == "done"
