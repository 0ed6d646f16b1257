"""What all cursors of one open file share: whether the instance still works, and how to let go of all of it.

DuckDB gives up a whole instance at some errors (an fsync that fails, anything wrong inside a checkpoint): every
statement of every connection fails from then on, until the file is closed everywhere in the process and opened again.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any

import duckdb


class Instance:
    """One per open file; all methods are safe from any thread."""

    def __init__(self) -> None:
        self.failure: str | None = None
        self._lock = threading.Lock()
        self._told: list[Callable[[str], None]] = []
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self.reading: set[object] = (
            set()
        )  # sessions that have a snapshot: in a transaction, a statement or a stream

    def took(self, connection: duckdb.DuckDBPyConnection) -> None:
        """A connection of the instance that ``abandon`` has to close."""
        with self._lock:
            self._connections.add(connection)

    def on_failure(self, act: Callable[[str], None]) -> None:
        """``act`` is called once, with the engine's text, when the instance has failed."""
        with self._lock:
            self._told.append(act)
            failure = self.failure
        if failure is not None:
            act(failure)

    def fail(self, message: str) -> None:
        with self._lock:
            if self.failure is not None:
                return
            self.failure = message
            told = list(self._told)
        for act in told:
            act(message)

    def abandon(self) -> None:
        """Closes every connection there is, whoever has it. Nobody may be using one."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(duckdb.Error):
                connection.close()
