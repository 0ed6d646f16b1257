"""Watches one transfer: counts what passes, reports it, and turns a wish to cancel into stopped stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from migration.connectors.stopping import Watcher
from migration.transfer.pipeline import Pipeline
from migration.transfer.plan import TransferPlan
from migration.transfer_model import Progress, cancelled_error

Report = Callable[[Progress], None]
Cancelled = Callable[[], bool]
_REPORT = 1.0  # seconds between two reports


class Monitor:
    """Counts what passes, reports it, and turns a wish to cancel into stopped stages."""

    def __init__(
        self, item: TransferPlan, transfer: int, progress: Report | None, cancelled: Cancelled | None
    ) -> None:
        self.transfer = transfer
        self.rows = 0
        self.earlier = 0  # rows that an earlier run has moved
        self.bytes = 0
        self.phase = "staging"
        self.pipeline: Pipeline | None = None
        self._item = item
        self._progress = progress
        self._started = time.monotonic()
        self._reported = self._started
        self._watcher = Watcher("transfer-watcher", cancelled, (item.source, item.target), self._stop)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disarm()

    def disarm(self) -> None:
        """From here on nothing is cancelled any more."""
        self._watcher.end()

    def ask_only(self) -> None:
        """From here on who does not obey a cancel is asked, not cut off: who could tell what became of a COMMIT?"""
        self._watcher.cuts = False

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody wanted it to stop, as far as it was seen."""
        return self._watcher.wanted

    @property
    def seconds(self) -> float:
        """Since the transfer began."""
        return time.monotonic() - self._started

    def enter(self, phase: str) -> None:
        """A new phase; said at once."""
        self.check()
        self.phase = phase
        self._report()

    def passed(self, rows: int, size: int) -> None:
        """A batch has gone to the target."""
        self.rows += rows
        self.bytes += size
        if time.monotonic() - self._reported >= _REPORT:
            self._report()

    def check(self) -> None:
        """Raises 57014 once somebody wants the transfer to stop."""
        if self._watcher.look():
            raise cancelled_error()

    def _report(self) -> None:
        self._reported = time.monotonic()
        if self._progress is not None:
            total = self._item.rows
            done = self.earlier + self.rows
            self._progress(Progress(self.transfer, self.phase, done, total, self.bytes, self.seconds))

    def _stop(self) -> None:
        if self.pipeline is not None:
            self.pipeline.stop()
