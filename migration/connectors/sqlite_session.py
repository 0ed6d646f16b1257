"""A session of SQLite that waits for other writers, and can be told to wait no longer.

SQLite's own waiting (``busy_timeout``) hears no interrupt. So it is short here, and a statement that found the file
locked is tried again: it has done nothing then, and a COMMIT has kept its transaction.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any
from urllib.parse import quote

_PATIENCE = 10.0  # seconds for a lock
_STEP = 0.1  # of them, how long SQLite waits by itself


class WaitingSession(sqlite3.Connection):
    """``execute`` waits for locks as long as nobody calls ``interrupt`` or ``wait_no_longer``, from any thread."""

    _stopped = False

    def execute(self, *given: Any) -> sqlite3.Cursor:
        self._stopped = False
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return super().execute(*given)
            except sqlite3.OperationalError as reason:
                if reason.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
                if self._stopped:
                    raise sqlite3.OperationalError("interrupted") from None

    def interrupt(self) -> None:
        self._stopped = True
        super().interrupt()

    def wait_no_longer(self) -> None:
        """Ends a statement that waits for a lock, and no other."""
        self._stopped = True


def opened(file: str, mode: str) -> WaitingSession:
    """A session on a file (by its absolute path) or in memory; ``mode`` is SQLite's: ro, rwc or memory."""
    target = "file::memory:" if file == ":memory:" else f"file:{quote(file)}"
    session = sqlite3.connect(
        f"{target}?mode={mode}",
        _STEP,
        isolation_level=None,
        check_same_thread=False,
        factory=WaitingSession,
        uri=True,
    )
    session.create_function("bough_text", 1, repr, deterministic=True)  # SQLite's own texts of doubles round
    return session
