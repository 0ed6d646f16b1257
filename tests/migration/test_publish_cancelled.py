"""Cancelling a transfer whose rows are verified, while the target waits to show them: in time, and too late."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Mode, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferRequest, TransferResult

OLD, NEW = [(1, "old")], [(1, "one"), (2, "two")]
ENGINES = [
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.mariadb),
    pytest.param("postgres", marks=pytest.mark.postgres),
]
pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.sampled,
]  # who is not obeyed would wait for whoever holds the table


@pytest.fixture
def options(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if engine in ("duckdb", "sqlite"):
        return {"path": str(tmp_path / f"target.{engine}"), "role": "read_write"}
    server: Server = request.getfixturevalue("mariadb" if engine == "mysql" else "postgres")
    found = {"host": server.host, "port": str(server.port), "user": server.user, "database": server.database}
    return {**found, "password": server.password, "role": "read_write"}


@pytest.fixture
def target(engine: str, options: dict[str, str]) -> Iterator[Connector]:
    """A datasource with a table of one row that is held by its id."""
    if engine == "sqlite":
        sqlite3.connect(options["path"]).close()
    if engine == "duckdb":
        duckdb.connect(options["path"]).close()
    with closing(connect(datasource("target", engine, options))) as made:
        with made.writer() as writer:
            writer.drop(("held",))
            text = "VARCHAR(20)" if engine == "mysql" else "TEXT"
            writer.execute(f"CREATE TABLE held (id BIGINT NOT NULL PRIMARY KEY, name {text})")
            writer.execute("INSERT INTO held VALUES (1, 'old')")
        yield made
        with made.writer() as writer:
            writer.drop(("held",))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = str(tmp_path / "source.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE s (id BIGINT NOT NULL, name VARCHAR)")
        connection.execute("INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    with closing(connect(datasource("source", "duckdb", {"path": file}))) as made:
        yield made


@contextmanager
def held(engine: str, options: dict[str, str]) -> Iterator[None]:
    """Another session has a transaction open in which it has read, or written, the table."""
    connection: Any
    if engine == "sqlite":
        connection = sqlite3.connect(options["path"], isolation_level=None)
    elif engine == "mysql":
        connection = pymysql.connect(
            host=options["host"], port=int(options["port"]), user=options["user"], database=options["database"],
            password=options["password"],
        )  # fmt: skip
    else:
        connection = psycopg.connect(
            host=options["host"], port=int(options["port"]), user=options["user"], dbname=options["database"],
            autocommit=True,
        )  # fmt: skip
    with closing(connection):
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE held SET name = 'mine' WHERE id = 1")
        yield
        cursor.execute("ROLLBACK")


def rows(target: Connector) -> list[tuple[Any, ...]]:
    with target.reader() as reader:
        found = reader.fetch("SELECT id, name FROM held ORDER BY id")
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def asked(mode: Mode) -> TransferRequest:
    key = ("id",) if mode == "upsert" else ()
    return TransferRequest(Source(path=("main", "s")), ("held",), mode=mode, key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize("engine", ENGINES)
def test_who_waits_for_a_lock_is_stopped(
    engine: str, mode: Mode, options: dict[str, str], source: Connector, target: Connector
) -> None:
    journal, wanted = Journal(), threading.Event()
    caught: list[MigrationError] = []

    def work() -> None:
        try:
            undertake(asked(mode), source, target, journal=journal, cancelled=wanted.is_set)
        except MigrationError as error:
            caught.append(error)

    working = threading.Thread(target=work, daemon=True)
    if engine == "sqlite":  # a writer keeps every other one away: it comes once the rows are staged
        publishing = _stopped_at_publish(target)
        working.start()
        publishing.wait(30)
        with held(engine, options):
            publishing.go.set()
            time.sleep(0.3)
            wanted.set()
            working.join(30)
    else:
        with held(engine, options):
            working.start()
            while not (entries := journal.entries()) or entries[0].state != "publishing":
                assert not caught
                time.sleep(0.01)
            time.sleep(0.3)
            wanted.set()
            working.join(30)
    assert [error.sqlstate for error in caught] == ["57014"]
    assert journal.entries()[0].state == "cancelled"
    assert rows(target) == OLD
    undertake(asked("replace"), source, target, journal=journal)
    assert rows(target) == NEW
    with target.writer() as writer:
        assert writer.leftovers() == ()


class _Gate(threading.Event):
    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()


def _stopped_at_publish(target: Connector) -> _Gate:
    """Publishing waits at its first step until told to go on."""
    gate, open_ = _Gate(), target.writer

    def writer() -> Any:
        made = open_()
        publish = made.publish

        def published(*given: Any) -> Any:
            gate.set()
            gate.go.wait(30)
            return publish(*given)

        made.publish = published  # type: ignore[method-assign]
        return made

    target.writer = writer  # type: ignore[method-assign]
    return gate


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize("engine", ["duckdb", *ENGINES])
def test_who_cancels_when_the_rows_are_shown_comes_too_late(
    engine: str, mode: Mode, source: Connector, target: Connector
) -> None:
    if mode == "append":
        with target.writer() as writer:
            writer.execute("DELETE FROM held")
    journal, wanted, seen, open_ = Journal(), threading.Event(), threading.Event(), target.writer

    def cancelled() -> bool:
        if wanted.is_set():
            seen.set()
        return wanted.is_set()

    def interrupted() -> Any:
        """A writer that is interrupted behind its COMMIT."""
        made = open_()
        publish = made.publish

        def published(*given: Any) -> Any:
            publish(*given)
            wanted.set()
            assert seen.wait(30)
            raise MigrationError("57014", "canceling statement due to user request")

        made.publish = published  # type: ignore[method-assign]
        return made

    target.writer = interrupted  # type: ignore[method-assign]
    done: TransferResult = undertake(asked(mode), source, target, journal=journal, cancelled=cancelled)
    assert done.verdict == "pass"
    assert any("too late" in note for note in done.notes)
    assert journal.entries()[0].state == "done"
    assert rows(target) == NEW
    with open_() as writer:
        assert writer.leftovers() == ()
