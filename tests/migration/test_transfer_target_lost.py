"""The target's server goes away while a transfer runs, and comes back: nothing is left behind, nothing moves twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.sqlite import SqliteWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import resume, undertake
from migration.transfer_model import TransferMode, TransferRequest


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


def test_staging_of_an_earlier_attempt_goes_before_the_next_one_needs_its_room(
    source: Connector, target: Connector, file: Path
) -> None:
    journal = Journal()
    unsteady: Any = Unsteady(target, "write", after=True)
    for _ in range(2):
        with pytest.raises(MigrationError, match="closed the connection"):
            undertake(APPENDED, source, unsteady, journal=journal)
        unsteady = Unsteady(target, "write", after=True)
    assert len(names(file)) == 2
    assert [entry.staging is None for entry in journal.entries()] == [False, True]


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


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_connection_lost_behind_the_commit_fails_nothing(
    source: Connector, target: Connector, file: Path, mode: TransferMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = SqliteWriter.publish

    def published(self: SqliteWriter, *given: Any) -> Any:
        publish(self, *given)
        self.execute("CREATE TABLE t__old_" + given[0][-1].rpartition("_")[2] + " (id INTEGER)")
        raise gone()

    monkeypatch.setattr(SqliteWriter, "publish", published)
    journal = Journal()
    result = undertake(replace(APPENDED, mode=mode), source, target, journal=journal)
    assert (result.rows_transferred, result.verdict) == (3, "pass")
    assert "published by a transaction whose connection was lost behind it" in result.notes
    assert (ids(file), names(file), journal.entries()[0].state) == ([1, 2, 3], ["t"], "done")


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize(
    "engine",
    [pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("mysql", marks=pytest.mark.mariadb)],
)
def test_a_session_without_a_client_is_waited_for_while_it_publishes(
    engine: str, commits: bool, request: pytest.FixtureRequest
) -> None:
    """The process that began it may be gone: only the end of its transaction tells."""
    server: Server = request.getfixturevalue("mariadb" if engine == "mysql" else engine)
    options = {**server.options, "role": "read_write"}
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'left__stg_7'::regclass"
        if engine == "postgres"
        else "SELECT count(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%'"
    )
    found: list[bool | None] = []
    with (
        closing(connect(datasource("there", engine, options))) as connector,
        connector.writer() as other,
        connector.writer() as writer,
        connector.writer() as looking,
    ):
        writer.execute("CREATE TABLE left__stg_7 AS SELECT 1 AS id UNION ALL SELECT 2")
        if engine == "mysql":
            writer.execute("CREATE TABLE left__pub_7 (done INT)")
        other.begin()
        if engine == "mysql":
            other.rows("SELECT * FROM left__stg_7")
        other.execute(
            "DROP TABLE left__stg_7" if engine == "postgres" else "INSERT INTO left__pub_7 VALUES (1)"
        )
        asking = threading.Thread(
            target=lambda: found.append(writer.has_published(("left__stg_7",), 2)), daemon=True
        )
        asking.start()
        while asking.is_alive() and not looking.row(waiting)[0]:
            continue
        assert not found
        other.commit() if commits else other.rollback()
        asking.join(60)
        writer.drop(("left__stg_7",))
    assert found == [commits]


@pytest.mark.parametrize("published", [True, False])
def test_the_next_success_settles_what_broke_off_while_it_published(
    source: Connector, target: Connector, file: Path, published: bool
) -> None:
    journal = Journal()
    unsteady: Any = Unsteady(target, "publish", after=published)
    replaced = replace(APPENDED, mode="replace")
    with pytest.raises(MigrationError, match="closed the connection"):
        undertake(replaced, source, unsteady, journal=journal)
    assert journal.entries()[0].state == "publishing"
    undertake(replaced, source, unsteady.back(), journal=journal)
    assert [entry.state for entry in journal.entries()] == ["done", "done" if published else "failed"]
    assert (ids(file), names(file)) == ([1, 2, 3], ["t"])
