"""Room on the disk: writes are refused (53100) before it is full, so that the log can still be folded into the file.

A COMMIT that finds no room fails and is rolled back, which harms nobody. A checkpoint that finds none takes the whole
engine down. So a reserve stays free: below it nothing is written any more but what gives room back, and a checkpoint
begins only where the log it folds in has room twice.
"""

from __future__ import annotations

import os
from pathlib import Path

from branching.errors import BoughError

_MB = 2**20


class Disk:
    """Of the file system that the database is on. ``reserve`` in bytes; 0 asks nothing."""

    def __init__(self, path: str) -> None:
        self.reserve = 0
        self._directory = None if path == ":memory:" else Path(path).absolute().parent

    def free(self) -> int | None:
        """Bytes that can still be written; None where that cannot be known."""
        if self._directory is None:
            return None
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def check(self) -> None:
        """Before a write: refuses it where the reserve is all that is left."""
        if not self.reserve:
            return
        free = self.free()
        if free is not None and free < self.reserve:
            raise BoughError(
                "53100",
                "the disk is nearly full: nothing is written any more",
                detail=f"{free // _MB} MB are free, and {self.reserve // _MB} MB are kept for the engine's own work.",
                hint="Free space on the disk. DELETE, DROP, TRUNCATE, BRANCH DISCARD and BRANCH GC still work."
                " The setting disk_reserve says how much is kept.",
            )

    def has_room_for(self, log: int) -> bool:
        """Whether a log of so many bytes can be folded into the file."""
        free = self.free() if self.reserve else None
        return free is None or free >= 2 * log
