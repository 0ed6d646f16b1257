"""How a transfer ends that does not succeed: what is tidied up, what is written down, and what is said.

Rules:

1. Staging is dropped, or kept where its committed pieces can be resumed.
2. That nothing was published is in writing before staging is dropped: whoever finds it gone takes the rows for
   published.
3. Nobody is told that the target is as it was where that is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from migration.connectors.base import Path
from migration.errors import MigrationError
from migration.queues import Stopped
from migration.transfer import publication
from migration.transfer import staging as stagings
from migration.transfer.journal import Journal
from migration.transfer.monitor import Monitor
from migration.transfer.plan import TransferPlan
from migration.transfer_model import cancelled_error, is_cancelled

_TWICE = "Select one row for each key."
_THERE = "Select one row for each key. MODE upsert KEY (columns) updates rows that are there."
_UNTRACED = (
    "The target may have the rows: its engine keeps no trace of that, and the same rows may come again"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run of a transfer that broke off. ``sent``: the rows it had moved; ``traced``: its target can tell whether they
    were published."""

    item: TransferPlan
    journal: Journal
    monitor: Monitor
    staging: Path | None
    sent: int
    traced: bool

    @property
    def transfer(self) -> int:
        """Its number."""
        return self.monitor.transfer

    def ended(self, error: BaseException) -> BaseException:
        """Tidies up and writes down how it ended; the error to raise."""
        if isinstance(error, Stopped) or (self.monitor.is_cancelled and not is_cancelled(error)):
            error = cancelled_error()
        if isinstance(error, MigrationError):
            self._rename(error)
        state = "cancelled" if is_cancelled(error) else "failed"
        message = error.message if isinstance(error, MigrationError) else str(error) or type(error).__name__
        if state == "cancelled" and self.monitor.is_cancelled:
            message = cancelled_error().message  # and not what the engine that was interrupted says
        resumable = any(piece.rows is not None for piece in self.journal.ranges(self.transfer))
        keep = resumable and self.monitor.phase == "move" and self.staging is not None
        gone: bool | None = False
        if self.monitor.phase == "publish" and self.staging is not None:
            lost = isinstance(error, MigrationError) and error.sqlstate == "HV00N"
            gone = publication.has_taken(self.item, self.staging, self.sent, lost=lost)
        if gone:
            self.journal.finish(self.transfer, watermark_of=self.item.request.watermark_key)
            return error
        if gone is None:  # it may have been published: who resumes finds out
            self.journal.update(self.transfer, error=message, seconds=self.monitor.seconds)
            if isinstance(error, Exception) and not isinstance(error, MigrationError):
                error = MigrationError(
                    "VT001", f'the transfer to "{self.item.request.target_label}" broke off: {message}'
                )
            if isinstance(error, MigrationError):
                if state == "cancelled":
                    error.detail = "The target has all of the rows or none."
                limit = "" if self.traced else f", as far as {self.item.target.dialect} can tell"
                error.hint = (
                    f"RESUME TRANSFER {self.transfer} finds out whether the rows were published{limit}."
                )
            return error
        dropped = not keep and self._dropped()
        self.journal.update(
            self.transfer,
            state=state,
            error=message,
            seconds=self.monitor.seconds,
            rows_done=self.sent,
            staging=None if dropped else self.staging,
        )
        as_was = "The target is as it was" if self.traced or self.monitor.phase != "publish" else _UNTRACED
        if isinstance(error, MigrationError):
            if state == "cancelled" and (keep or dropped):
                what = "what was committed is kept in staging" if keep else "the staging table is gone"
                error.detail = f"{as_was}; {what}."
            if keep:
                error.hint = f"RESUME TRANSFER {self.transfer} goes on after the {self.sent} rows committed."
            return error
        if isinstance(error, Exception):
            return MigrationError(
                "VT001",
                f'the transfer to "{self.item.request.target_label}" broke off: {message}',
                detail=f"{as_was}.",
                hint=f"RESUME TRANSFER {self.transfer} goes on or starts again.",
            )
        return error

    def _dropped(self) -> bool:
        """Drops staging. That nothing was published is in writing before: whoever finds it gone would not know."""
        if self.staging is None:
            return True
        try:
            self.journal.update(self.transfer, state="running")
        except MigrationError:
            return False
        return stagings.drop_quietly(self.item.target, self.staging)

    def _rename(self, error: MigrationError) -> None:
        """Staging has the target's columns and keys: what they refuse is said of the target."""
        if error.sqlstate == "23505" and error.hint is None:
            error.hint = _THERE if self.monitor.phase == "publish" else _TWICE
        if self.staging is not None:
            staged, target = self.staging[-1], self.item.request.target[-1]
            error.message = error.message.replace(staged, target)
            error.args = (error.message,)
            error.detail = error.detail and error.detail.replace(staged, target)
            error.table = target if error.table == staged else error.table
