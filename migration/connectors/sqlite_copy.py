"""A copy of a SQLite file, for a reader whose lock would keep away whoever writes into that same file.

Rules:

1. It is made by the reader's own session, within its read transaction: it is that snapshot, page by page.
2. In WAL mode nobody is kept away, so there is none. Where there is no room, it is refused before a page is copied.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from migration.errors import MigrationError
from migration.scratch import Scratch

_NAME = "copy"


class Copy:
    """The copy, in a directory of its own until it is closed."""

    def __init__(self, session: sqlite3.Connection, file: Path) -> None:
        self._home = Scratch()
        self.file = str(self._home.path / _NAME)
        size, room = file.stat().st_size, shutil.disk_usage(self._home.path).free
        if size > room:
            self.close()
            raise MigrationError(
                "53100",
                f'"{file.name}" is read and written at once, and there is no room for a copy of it',
                detail=f"The file has {size} bytes, the directory for temporary files has room for {room}.",
                hint="PRAGMA journal_mode = WAL, run once on the file, makes a copy needless.",
            )
        with closing(sqlite3.connect(self.file)) as copy:
            session.backup(copy)

    def close(self) -> None:
        """Removes it."""
        self._home.close()


def keeps_away(session: sqlite3.Connection, file: str, other: str) -> bool:
    """Whether a reader of ``file`` keeps a writer of ``other`` from its commit."""
    if file == ":memory:" or not Path(other).exists() or not Path(other).samefile(file):
        return False
    return bool(session.execute("PRAGMA journal_mode").fetchone()[0] != "wal")
