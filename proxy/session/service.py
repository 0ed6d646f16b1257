"""What all sessions of a server share: the database, the statement cache, the system catalog, who is connected."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from branching import Database
from branching.engine.base import Cursor
from branching.lines import Line
from proxy.catalog import SystemCatalog
from proxy.session.remote.state import RemoteState
from proxy.session.replays import Replays
from proxy.settings import Settings
from proxy.sql import macros
from proxy.sql.guard import GuardContext
from proxy.sql.prepare import StatementCache

if TYPE_CHECKING:
    from proxy.session.session import Session

SERVER_NAME = "bough"


class CatalogExecutor:
    """The system catalog's own connection of the engine."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._lock = threading.Lock()

    def execute(self, sql: str) -> object:
        with self._lock:
            return self._cursor.execute(sql)

    def load(self, table: str, rows: pa.Table) -> None:
        with self._lock:
            self._cursor.register("_bough_load", rows)
            try:
                self._cursor.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM _bough_load")
            finally:
                self._cursor.unregister("_bough_load")


class Service:
    """One per server process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.statements = StatementCache()
        self.started_at = datetime.now(UTC)
        self.sessions: dict[int, Session] = {}
        self.numbers = itertools.count(1)
        # One for each session: those that wait for another's lock must not keep it from its COMMIT.
        self.pool = ThreadPoolExecutor(settings.max_connections + 4, thread_name_prefix="engine")
        macros.install(database.root)
        self.catalog = SystemCatalog(CatalogExecutor(database.root.cursor()))
        path = None if settings.file == ":memory:" else Path(settings.file).resolve()
        self.guard = GuardContext(
            tuple(Path(item).resolve() for item in settings.file_directories), path, frozenset()
        )
        self.main_names = frozenset(
            {"main", "postgres", SERVER_NAME, *settings.database_aliases}
            | ({path.stem} if path is not None else set())
        )
        self.remote = RemoteState(path, settings)
        self.remote.settle(database)
        self.replays = Replays(database, settings)
        self.failed = False  # the engine has, and is about to be started again
        self.collect: Callable[[], list[tuple[Any, ...]]] = list

    def enrol(self, session: Session) -> tuple[int, bytes]:
        """Takes a session in; its process id and cancel key."""
        pid = next(self.numbers)
        self.sessions[pid] = session
        return pid, secrets.token_bytes(4)

    def leave(self, session: Session) -> None:
        self.sessions.pop(session.pid, None)

    def cancel(self, pid: int, key: bytes) -> None:
        """A CancelRequest. A wrong key does nothing and says nothing."""
        session = self.sessions.get(pid)
        if session is not None and secrets.compare_digest(session.key, key):
            session.cancel()

    def on_branch(self, line: Line) -> list[str]:
        """Who is on a branch, a line each: the DETAIL of 55006."""
        return [
            f"pid {session.pid}, user {session.user}, {session.state}"
            for session in list(self.sessions.values())
            if session.connection is not None and session.connection.line is line
        ]
