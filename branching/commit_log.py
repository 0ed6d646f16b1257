"""The log of commits of single statements, which is written a moment later than the rows it tells of.

A transaction writes its row of ``commits`` itself. A one-row INSERT outside a block is one statement of the engine, and
a second one for the log would double its price. Its rows carry its version, which says all that must be durable; who
wrote them, and with which statement, is noted here and stored together with what else was noted in the same fifth of a
second.

Rules:

1. Whoever reads ``commits`` calls ``flush`` before.
2. Before the first noted version a mark is made durable; ``close`` takes it away. An opening that finds the mark looks
   for versions that rows carry and the log does not know: they get an entry that names no author.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from branching import manifest, names
from branching.lines import TRUNK
from branching.manifest import Commit

if TYPE_CHECKING:
    from branching.database import Database
    from branching.engine.base import Cursor
    from branching.physical import BaseTable

_DELAY = 0.2  # seconds until what was noted is stored
_FULL = 500  # entries that are not left waiting


class CommitLog:
    """What was committed and is not yet in ``commits``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._noted: list[Commit] = []
        self._timer: threading.Timer | None = None
        self._marked = False
        self.head = 0  # no statement with a higher version than this has been begun

    def mark(self, version: int) -> None:
        """Before a statement that will be noted commits: an opening after a crash knows where to look."""
        with self._lock:
            self.head = max(self.head, version)
        if self._marked:
            return
        with self._storing:
            if not self._marked:
                with self._database.registry() as cursor:
                    manifest.put_mark(cursor, version - 1)
                self._marked = True

    def note(self, commit: Commit) -> None:
        with self._lock:
            self._noted.append(commit)
            full = len(self._noted) >= _FULL
            if not full and self._timer is None:
                self._timer = threading.Timer(_DELAY, self.flush)
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Stores what was noted."""
        with self._storing:
            with self._lock:
                rows, self._noted = self._noted, []
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            if not rows:
                return
            try:
                with self._database.registry() as cursor:
                    manifest.insert_commits(cursor, rows)
            except BaseException:
                with self._lock:
                    self._noted[:0] = rows
                raise

    def abandon(self) -> None:
        """Forgets what was noted: the next opening finds it in the rows."""
        with self._lock:
            self._noted.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def close(self) -> None:
        """Stores what was noted and takes the mark away."""
        self.flush()
        if self._marked:
            with self._database.registry() as cursor:
                manifest.put_mark(cursor, None)
            self._marked = False


def recover(cursor: Cursor, bases: Iterable[BaseTable]) -> None:
    """After a crash: an entry for every version that rows of ``bases`` carry, or carried, and the log does not know."""
    mark = manifest.read_mark(cursor)
    if mark is None:
        return
    cursor.begin()
    try:
        there = cursor.tables()  # plain DuckDB may have dropped some since
        for base in (item for item in bases if (item.schema, item.name) in there and not item.is_copy):
            manifest.recover_commits(cursor, base.sql, TRUNK, mark)
        for schema, name in sorted(there):
            if schema == names.DATA_SCHEMA and names.history_of(name) is not None:
                manifest.recover_commits(cursor, f"{schema}.{name}", TRUNK, mark)
        manifest.put_mark(cursor, None)
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise
