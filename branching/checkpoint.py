"""Checkpoints behind a barrier: the write-ahead log goes back into the file, nobody starves and nobody is frozen.

The engine checkpoints only while nobody writes, so under steady writers its own attempts fail for ever and the log
grows; and an attempt inside a COMMIT that meets a full disk takes the whole instance down. So its own checkpoints are
put off (``checkpoint_threshold``), and here new writers are held for a moment, the running ones end, and the log is
folded in.

Rules:

1. Writers are held for at most ``HOLD`` seconds. A writer that does not end in time means: later.
2. A checkpoint that fails is no error of the statement after which it was tried.
3. Readers are never held. One that still needs old rows makes the engine refuse; that too means: later.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from branching.engine.base import EngineError, ErrorKind

if TYPE_CHECKING:
    from branching.database import Database

LIMIT = 16 * 2**20  # bytes of log from which a checkpoint is due
HOLD = 0.2
_EVERY = 32  # commits between two looks at the log
_PAUSE = 0.25  # seconds after a failed attempt; twice as long after each that follows
_LONGEST = 4.0


class Checkpointer:
    """One per database; all methods are safe from any thread."""

    def __init__(self, database: Database, limit: int = LIMIT) -> None:
        self.database = database
        self.limit = limit
        self.done = 0
        self.failed = 0
        self._commits = 0
        self._not_before = 0.0
        self._pause = _PAUSE
        self._running = threading.Lock()

    def log_size(self) -> int:
        """Bytes in the write-ahead log."""
        return self.database.engine.log_size(self.database.path)

    def after_commit(self) -> None:
        """To be called after each commit that wrote: checkpoints when the log has grown to the limit."""
        self._commits += 1
        if self._commits % _EVERY == 0:
            self.run_if_due()

    def run_if_due(self) -> bool:
        """Checkpoints if the log has reached the limit and no attempt has just failed; whether it did."""
        if time.monotonic() < self._not_before:
            return False
        size = self.log_size()
        return size >= self.limit and self.database.disk.has_room_for(size) and self.run()

    def run(self) -> bool:
        """Checkpoints now if writers end in time; whether it did."""
        if not self._running.acquire(blocking=False):
            return False
        try:
            done = self._attempt()
        finally:
            self._running.release()
        self.done += done
        self.failed += not done
        if not done:  # somebody keeps a transaction open: the others must not be held for it again and again
            self._not_before = time.monotonic() + self._pause
        self._pause = _PAUSE if done else min(2 * self._pause, _LONGEST)
        return done

    def _attempt(self) -> bool:
        database = self.database
        gate, end = database.gate, time.monotonic() + HOLD
        with gate:
            database.holding = True
        try:
            with gate:
                if not gate.wait_for(lambda: not database.clock.in_flight, timeout=HOLD):
                    return False
            with database.registry() as cursor:
                while True:
                    try:
                        cursor.checkpoint()
                        return True
                    except EngineError as error:
                        if error.kind is ErrorKind.FATAL or time.monotonic() >= end:
                            return False  # a statement that has committed has committed; the engine's end is seen to
                        time.sleep(0.005)
        finally:
            with gate:
                database.holding = False
                gate.notify_all()
