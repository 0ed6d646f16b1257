"""Runs transfers, each in a process of its own, and kills it before a given statement to an engine or the journal.

    python kill_worker.py

Reads requests, a line of JSON each: [JOURNAL, SOURCE FILE, ENGINE, OPTIONS, REQUEST, NUMBER, ACTION]. Answers ``done``
where the transfer has ended before that statement, also with an error, ``killed`` where not. ACTION is ``begin``,
``resume`` or ``cancel``: the last two of the newest transfer of the journal. The processes are forks: what takes the
time of a process is importing the library, and no engine is opened before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import forks
import psycopg
import pymysql.connections

from migration.connectors import connect
from migration.connectors.clickhouse_wire import Wire
from migration.connectors.duckdb import DuckdbConnector
from migration.connectors.sqlite_session import WaitingSession
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import abandon, resume, undertake
from migration.transfer_model import TransferRequest


class Counted:
    """A session of DuckDB, whose class is none of Python's."""

    def __init__(self, session: Any, count: Callable[[], None]) -> None:
        self._session, self._count = session, count

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "sql", "register"):
            self._count()
        return getattr(self._session, name)


def arm(number: int) -> None:
    lock, seen = threading.Lock(), 0

    def count() -> None:
        nonlocal seen
        with lock:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def counting(kind: Any, name: str) -> None:
        real = getattr(kind, name)

        def counted(*given: Any, **more: Any) -> Any:
            count()
            return real(*given, **more)

        setattr(kind, name, counted)

    for kind, names in (
        (psycopg.Cursor, ("execute", "copy")),
        (psycopg.Copy, ("write",)),
        (pymysql.connections.Connection, ("_write_bytes",)),
        (WaitingSession, ("execute", "executemany")),
        (Wire, ("command", "insert", "_parts")),
    ):
        for name in names:
            counting(kind, name)
    opened, transaction = DuckdbConnector._opened, Journal._transaction
    DuckdbConnector._opened = lambda *given: Counted(opened(*given), count)  # type: ignore[method-assign]

    @contextmanager
    def counted(journal: Journal) -> Iterator[Any]:
        count()
        with transaction(journal) as connection:
            yield connection
            count()

    Journal._transaction = counted  # type: ignore[method-assign]


def move(
    file: str,
    rows: str,
    engine: str,
    options: dict[str, str],
    request: dict[str, Any],
    number: int,
    action: str,
) -> None:
    journal = Journal(file)
    source = connect(datasource("here", "duckdb", {"path": rows}))
    target = connect(datasource("there", engine, options))
    newest = journal.interrupt_orphans()[-1].id if action != "begin" else 0
    arm(number)
    with suppress(MigrationError):
        if action == "begin":
            undertake(TransferRequest.from_json(request), source, target, journal=journal)
        elif action == "resume":
            resume(journal, newest, source, target)
        else:
            abandon(journal, newest, source, target)


if __name__ == "__main__":
    forks.serve(move)
