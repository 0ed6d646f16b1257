"""Directories for temporary files that a killed process does not leave behind for ever.

Rules:

1. A process that is killed tidies nothing up. So each directory is locked while it is in use: the lock ends with the
   process, and a server that starts, or whoever makes the next directory, removes those that nobody holds.
2. The lock file gets its name once it is locked. A directory without it is just being made, or is none of ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "bough-"
_LOCK = "in-use"


class Scratch:
    """A directory of its own until it is closed."""

    def __init__(self) -> None:
        remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        made = self.path / "new"
        self._lock = os.open(made, os.O_RDWR | os.O_CREAT, 0o600)
        # On a file system without locks nobody but us removes it.
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made.rename(self.path / _LOCK)

    def close(self) -> None:
        """Removes it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def remove_abandoned() -> None:
    """Removes what killed processes have left."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        # It may be in use, another user's, or gone meanwhile.
        with contextlib.suppress(OSError):
            held = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(held)
