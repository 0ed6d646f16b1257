"""The record of transfers: what ran, how far it is, how it ended, and where an incremental one goes on.

Rules:

1. One SQLite file (or memory), committed at every step: what was written here survives a kill of the process.
2. A transfer's states: ``running`` (moving into staging) → ``publishing`` → ``done``; or ``failed``,
   ``cancelled``. A transfer that is ``running`` when its process is gone becomes ``interrupted`` at the next
   start; it can be resumed, and until then its staging table is kept. One that is ``publishing`` and has an ``error``
   broke off there, and may have been published.
3. A range of keys is marked only after the target has committed it. Between the two a crash can only repeat
   a range, and a repeated range is deleted from staging before it is loaded again.
4. A watermark belongs to (source, target, cursor) and moves together with the state ``done``.
5. Where the disk is full (53100), a step that has not begun is not begun. How a transfer ended is remembered, and
   written down before the next thing that is asked or written; how far one is may be lost.

Nothing but plain values is stored: no password, no row of data. The queries of a transfer are kept as text.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from migration.errors import MigrationError

WatermarkKey = tuple[str, str, str]  # source, target, cursor
State = Literal["running", "publishing", "done", "failed", "cancelled", "interrupted"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, role TEXT NOT NULL, source TEXT NOT NULL,
    target TEXT NOT NULL, branch TEXT, mode TEXT NOT NULL, state TEXT NOT NULL, rows_total INTEGER,
    rows_done INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    method TEXT NOT NULL DEFAULT '', verdict TEXT NOT NULL DEFAULT '', error TEXT,
    request TEXT NOT NULL DEFAULT '{}', staging TEXT, snapshot TEXT, watermark TEXT
);
CREATE TABLE IF NOT EXISTS ranges (
    transfer INTEGER NOT NULL, number INTEGER NOT NULL, bounds TEXT NOT NULL, rows INTEGER,
    PRIMARY KEY (transfer, number)
);
CREATE TABLE IF NOT EXISTS watermarks (
    source TEXT NOT NULL, target TEXT NOT NULL, cursor TEXT NOT NULL, value TEXT NOT NULL, transfer INTEGER,
    PRIMARY KEY (source, target, cursor)
);
"""
_UPDATABLE = frozenset(
    {
        "state",
        "rows_total",
        "rows_done",
        "bytes",
        "seconds",
        "method",
        "verdict",
        "error",
        "staging",
        "snapshot",
        "watermark",
    }
)
_PROGRESS = {"bytes", "seconds", "rows_done"}
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_COLUMNS = (
    "id, at, role, source, target, branch, mode, state, rows_total, rows_done, bytes, seconds, method, "
    "verdict, error"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One transfer, as ``bough.transfers`` shows it and what a resume needs besides."""

    id: int
    at: float
    role: str
    source: str
    target: str
    branch: str | None
    mode: str
    state: str
    rows_total: int | None
    rows_done: int
    bytes: int
    seconds: float
    method: str
    verdict: str
    error: str | None
    request: Mapping[str, Any]
    staging: tuple[str, ...] | None
    snapshot: str | None
    watermark: str | None

    @property
    def row(self) -> tuple[Any, ...]:
        """The fifteen columns of ``bough.transfers``; ``at`` in seconds since 1970."""
        return tuple(getattr(self, name) for name in _COLUMNS.split(", "))


@dataclass(frozen=True, slots=True)
class Range:
    """A piece of the source by key: ``low`` excluded, ``high`` included, None = open. ``rows``: committed."""

    number: int
    low: str | None
    high: str | None
    rows: int | None = None


Step = tuple[str, tuple[Any, ...]]


class Journal:
    """Transfers on file. Safe to use from several threads."""

    def __init__(self, path: str | Path = ":memory:") -> None:
        self._lock = threading.RLock()
        self._unwritten: list[Step] = []
        with _disk_errors():
            self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA busy_timeout = 5000")
            self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._unwritten:
                self._ended()
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _disk_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for step in self._unwritten:
                    self._connection.execute(*step)
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it
                    self._connection.execute("ROLLBACK")
                raise
            self._unwritten.clear()

    def _ended(self, *steps: Step) -> None:
        """Writes down how a transfer ended, or remembers it."""
        try:
            with self._transaction() as connection:
                for step in steps:
                    connection.execute(*step)
        except MigrationError:
            with self._lock:
                self._unwritten += steps

    def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._unwritten:
                self._ended()
            if not self._unwritten:
                return self._connection.execute(query, parameters).fetchall()
            self._connection.execute("BEGIN")  # what is not written down yet is seen all the same
            try:
                for step in self._unwritten:
                    self._connection.execute(*step)
                return self._connection.execute(query, parameters).fetchall()
            finally:
                self._connection.execute("ROLLBACK")

    def begin(
        self,
        *,
        source: str,
        target: str,
        mode: str,
        role: str = "",
        branch: str | None = None,
        request: Mapping[str, Any] | None = None,
        at: float | None = None,
    ) -> int:
        """A new transfer in state ``running``; its id."""
        with self._transaction() as connection:
            found = connection.execute(
                "INSERT INTO transfers (at, role, source, target, branch, mode, state, request)"
                " VALUES (?, ?, ?, ?, ?, ?, 'running', ?)",
                (at or time.time(), role, source, target, branch, mode, json.dumps(request or {})),
            )
            return int(found.lastrowid or 0)

    def update(self, transfer: int, **values: Any) -> None:
        """Sets columns of one transfer; ``staging`` takes the path in parts."""
        unknown = values.keys() - _UPDATABLE
        if unknown:
            raise TypeError(f"no such columns: {', '.join(sorted(unknown))}")
        if not values:
            return
        if values.get("staging") is not None:
            values["staging"] = json.dumps(list(values["staging"]))
        assignments = ", ".join(f"{name} = ?" for name in values)
        step = (f"UPDATE transfers SET {assignments} WHERE id = ?", (*values.values(), transfer))
        if values.get("error") is not None:
            self._ended(step)
            return
        try:
            with self._transaction() as connection:
                connection.execute(*step)
        except MigrationError:
            if values.keys() - _PROGRESS:
                raise

    def note(self, transfer: int, fact: str, value: str | None) -> None:
        """Keeps a fact for a resume beside the request: ``place`` of the target, ``shape`` of what is in staging, or
        which other transfer somebody was ``told`` of."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE transfers SET request = json_set(request, ?, ?) WHERE id = ?",
                (f"$.{fact}", value, transfer),
            )

    def rename(self, branch: str, to: str) -> None:
        """A branch has another name: who resumes a transfer finds it there."""
        target = "SET branch = ?1, request = json_set(request, '$.branch', ?1) WHERE branch = ?2"
        source = (
            "SET request = json_set(request, '$.source_branch', ?) WHERE request ->> '$.source_branch' = ?"
        )
        with self._transaction() as connection:
            for change in (target, source):
                connection.execute(f"UPDATE transfers {change}", (to, branch))

    def take(self, entry: Entry, state: State = "running") -> bool:
        """Goes on with a transfer that has ended, as ``state``. False where it is no more what ``entry`` says: of two
        who want to, one does."""
        with self._transaction() as connection:
            found = connection.execute(
                "UPDATE transfers SET state = ?, error = NULL WHERE id = ? AND state = ? AND error IS ?",
                (state, entry.id, entry.state, entry.error),
            )
            return found.rowcount == 1

    def finish(self, transfer: int, *, watermark_of: WatermarkKey | None = None, **values: Any) -> None:
        """State ``done``; the transfer's watermark moves in the same commit, to where ``watermark_of`` says."""
        given = {name: value for name, value in values.items() if name in _UPDATABLE}
        assignments = "".join(f", {name} = ?" for name in given)
        steps: list[Step] = [
            (
                "UPDATE transfers SET state = 'done', error = NULL, staging = NULL, "
                f"request = json_set(request, '$.ended', ?){assignments} WHERE id = ?",
                (time.time(), *given.values(), transfer),
            ),
            ("DELETE FROM ranges WHERE transfer = ?", (transfer,)),
        ]
        if watermark_of is not None:
            steps.append(
                (
                    "INSERT OR REPLACE INTO watermarks SELECT ?, ?, ?, watermark, id FROM transfers"
                    " WHERE id = ? AND watermark IS NOT NULL",
                    (*watermark_of, transfer),
                )
            )
        self._ended(*steps)

    def entry(self, transfer: int) -> Entry | None:
        """One transfer, None if there is none of that id."""
        return next(iter(self._entries("WHERE id = ?", transfer)), None)

    def entries(self, limit: int = 1000) -> list[Entry]:
        """The newest transfers first."""
        return self._entries("ORDER BY id DESC LIMIT ?", limit)

    def attempts(self, target: str) -> list[Entry]:
        """Transfers to ``target`` whose staging table may be there, or that may have been published; newest first."""
        return self._entries(
            "WHERE target = ? AND (staging IS NOT NULL OR state = 'publishing') ORDER BY id DESC", target
        )

    def done_since(self, entry: Entry) -> list[Entry]:
        """Other transfers to the same target that have ended as ``done`` since this one began; newest first."""
        which = (
            "WHERE target = ? AND branch IS ? AND id <> ? AND state = 'done'"
            " AND coalesce(json_extract(request, '$.ended'), at) > ? ORDER BY id DESC"
        )
        return self._entries(which, entry.target, entry.branch, entry.id, entry.at)

    def _entries(self, which: str, *parameters: Any) -> list[Entry]:
        columns = f"{_COLUMNS}, request, staging, snapshot, watermark"
        return [_entry(row) for row in self._rows(f"SELECT {columns} FROM transfers {which}", *parameters)]

    def interrupt_orphans(self) -> list[Entry]:
        """At start: whatever was under way when the last process ended is ``interrupted`` now."""
        self._ended(
            (
                "UPDATE transfers SET state = 'interrupted', error = 'the server ended while it ran'"
                " WHERE state = 'running'",
                (),
            ),
            (
                "UPDATE transfers SET error = 'the server ended while it published'"
                " WHERE state = 'publishing' AND error IS NULL",
                (),
            ),
        )
        return self._entries("WHERE state IN ('interrupted', 'publishing') ORDER BY id")

    def plan_ranges(self, transfer: int, ranges: list[Range]) -> None:
        """Writes down the pieces before the first one moves."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO ranges VALUES (?, ?, ?, ?)",
                [(transfer, r.number, json.dumps([r.low, r.high]), r.rows) for r in ranges],
            )

    def forget_ranges(self, transfer: int) -> None:
        """Forgets the pieces: the transfer starts again."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM ranges WHERE transfer = ?", (transfer,))

    def mark(self, transfer: int, number: int, rows: int) -> None:
        """A piece is committed on the target."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE ranges SET rows = ? WHERE transfer = ? AND number = ?", (rows, transfer, number)
            )

    def ranges(self, transfer: int) -> list[Range]:
        """All pieces in order."""
        rows = self._rows(
            "SELECT number, bounds, rows FROM ranges WHERE transfer = ? ORDER BY number", transfer
        )
        return [
            Range(number, low, high, done)
            for number, (low, high), done in ((row[0], json.loads(row[1]), row[2]) for row in rows)
        ]

    def watermark(self, source: str, target: str, cursor: str) -> str | None:
        """The greatest cursor value that is known to be in the target, as text."""
        rows = self._rows(
            "SELECT value FROM watermarks WHERE source = ? AND target = ? AND cursor = ?",
            source,
            target,
            cursor,
        )
        return rows[0][0] if rows else None

    def replaced_since(self, source: str, target: str, cursor: str) -> int | None:
        """The transfer, if any, that put other rows in the place of those that the watermark speaks of."""
        rows = self._rows(
            "SELECT max(t.id) FROM watermarks w JOIN transfers t ON t.target = w.target AND t.id > w.transfer"
            " WHERE w.source = ? AND w.target = ? AND w.cursor = ? AND t.state = 'done'"
            " AND t.mode IN ('replace', 'create')",
            source,
            target,
            cursor,
        )
        return rows[0][0] if rows else None

    def unsettled(self, source: str, target: str, branch: str | None = None) -> Entry | None:
        """A transfer of that pair, and into that branch, that may or may not have been published."""
        found = self._entries(
            "WHERE source = ? AND target = ? AND branch IS ? AND state = 'publishing' ORDER BY id DESC LIMIT 1",
            source,
            target,
            branch,
        )
        return next(iter(found), None)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """53100 where the file cannot be written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK:
            raise
        raise MigrationError(
            "53100",
            f"the record of transfers cannot be written: {error}",
            hint="Free space on the disk that the data file is on.",
        ) from error


def _entry(row: tuple[Any, ...]) -> Entry:
    request, staging = json.loads(row[15]), tuple(json.loads(row[16])) if row[16] else None
    values = (*row[:15], request, staging, row[17], row[18])
    return Entry(*values)
