"""Serves a file, each time in a process of its own, and kills that in the middle of a statement.

    python kill_worker_local.py

Reads requests, a line of JSON each: [FILE, BRANCH, STATEMENT, MOMENT]. MOMENT is ``published``, or the number of a
statement to the engine or the journal, before which the process ends. Answers as ``forks`` says.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import forks
import structlog
from server_thread import ThreadServer

from branching.engine.duckdb import DuckDBCursor
from migration.connectors import connect  # noqa: F401
from migration.transfer import publication
from migration.transfer.journal import Journal
from proxy.session.remote import transfers as transfer_commands  # noqa: F401


def _drop(_logger: Any, _method: str, _event: dict[str, Any]) -> dict[str, Any]:
    raise structlog.DropEvent


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str | int) -> None:
    if moment == "published":
        publish = publication.publish

        def published(*given: Any) -> Any:
            publish(*given)
            die()

        publication.publish = published  # type: ignore[assignment]
        return
    lock, seen = threading.Lock(), 0

    def count() -> None:
        nonlocal seen
        with lock:
            seen += 1
            if seen == moment:
                die()

    run, transaction = DuckDBCursor._run, Journal._transaction

    def counted(self: DuckDBCursor, sql: str, parameters: Any) -> Any:
        count()
        return run(self, sql, parameters)

    @contextmanager
    def written(journal: Journal) -> Iterator[Any]:
        count()
        with transaction(journal) as connection:
            yield connection

    DuckDBCursor._run = counted  # type: ignore[method-assign]
    Journal._transaction = written  # type: ignore[method-assign]


def work(file: str, branch: str, statement: str, moment: str | int) -> None:
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    server = ThreadServer(file)
    with server.connect(branch) as connection:
        arm(moment)
        connection.execute(statement)


if __name__ == "__main__":
    forks.serve(work)
