"""A database of the engine that belongs to one statement: rows that are put there are read by it and by nobody else.

It is outside the session's transaction, so a statement that is planned again finds its rows, and one that may only read
can use them. The engine moves them to disk where memory is short.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from branching.database import Database
from branching.engine.base import Cursor, EngineError
from branching.names import HIDDEN_PREFIX
from proxy.session.outcome import Outcome

_numbers = itertools.count(1)


class Scratch:
    """Made when a statement first needs it; ``close`` lets go of the rows."""

    def __init__(self, database: Database, time_zone: str) -> None:
        self._database = database
        self._time_zone = time_zone
        self._cursor: Cursor | None = None
        self._name: str | None = None

    @property
    def cursor(self) -> Cursor:
        """A cursor of its own, in the session's time zone."""
        if self._cursor is None:
            self._cursor = self._database.root.cursor()
            self._cursor.set_time_zone(self._time_zone)
        return self._cursor

    @property
    def attached(self) -> bool:
        return self._name is not None

    @property
    def name(self) -> str:
        """The database, which the first call makes."""
        if self._name is None:
            name = f"{HIDDEN_PREFIX}scratch_{next(_numbers)}"
            self.cursor.execute(f"ATTACH ':memory:' AS {name}")
            self._name = name
        return self._name

    def close(self) -> None:
        """Lets go of the rows; from any thread, any number of times."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        try:
            if self._name is not None:
                with suppress(EngineError):
                    cursor.execute(f"DETACH {self._name}")
        finally:
            cursor.close()

    def closing(self, outcome: Outcome) -> Outcome:
        """``outcome``, which lets go of the rows once it is read."""
        if outcome.columns is None or isinstance(outcome.batches, type(iter([]))):
            self.close()
            return outcome
        batches = outcome.batches

        def until_read() -> Iterator[Any]:
            yield from batches
            self.close()

        rest = until_read()
        weakref.finalize(rest, self.close).atexit = False  # also where nobody reads to the end
        outcome.batches = rest
        return outcome
