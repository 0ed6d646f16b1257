"""A transfer from the first look at its source: the journal has a row before anything is asked of an engine.

Rules:

1. Planning is a phase like any other (``profile``): it can be cancelled by the transfer's id, and what it refuses is
   in the journal as ``failed``.
2. ``resume`` goes on with a transfer of the journal: it settles one that was publishing, goes on with committed
   pieces, or starts again; in the same snapshot if the source can still give it.
3. A source that can keep a snapshot (a branch: ``pin``) is asked to where pieces are committed one by one, before the
   first is read. It is let go of when the transfer is over or cannot be resumed.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

from migration.connectors.base import Connector
from migration.connectors.stopping import Watcher
from migration.errors import MigrationError
from migration.transfer.journal import Entry, Journal
from migration.transfer.monitor import Cancelled, Report
from migration.transfer.plan import TransferPlan, is_ranged, plan
from migration.transfer.run import begun, run
from migration.transfer.settling import in_use, place_of, refuse_again, settle, settle_earlier
from migration.transfer_model import Progress, TransferRequest, TransferResult, cancelled_error, is_cancelled


def undertake(
    request: TransferRequest,
    source: Connector,
    target: Connector,
    *,
    journal: Journal,
    progress: Report | None = None,
    cancelled: Cancelled | None = None,
) -> TransferResult:
    """Plans and runs a new transfer."""
    transfer = begun(journal, request, target)
    try:
        with _Planning(transfer, (source, target), journal, progress, cancelled):
            notes = settle_earlier(journal, transfer, request, target)
            item = _pinned(plan(request, source, target, journal=journal), transfer, journal)
        result = run(item, journal=journal, progress=progress, cancelled=cancelled, transfer=transfer)
        return replace(result, notes=(*notes, *result.notes))
    finally:
        _let_go(journal, transfer, source)


def _pinned(item: TransferPlan, transfer: int, journal: Journal) -> TransferPlan:
    """The same plan in a snapshot that outlives this process, if pieces are committed and the source can keep one."""
    if not item.source.keeps_snapshots or not is_ranged(item):
        return item
    item.close()
    try:
        snapshot: str | None = item.source.pin(str(transfer))
    except MigrationError as error:
        if error.sqlstate != "55P03":
            raise
        snapshot = None  # writers do not let us: a resume will compare every row
    journal.update(transfer, snapshot=snapshot)
    return plan(item.request, item.source, item.target, journal=journal, snapshot=snapshot)


def _let_go(journal: Journal, transfer: int, source: Connector) -> None:
    """Lets go of a kept snapshot once nobody can resume in it."""
    entry = journal.entry(transfer)
    if not source.keeps_snapshots or entry is None or entry.snapshot is None or entry.staging is not None:
        return
    with contextlib.suppress(MigrationError):
        source.unpin(entry.snapshot)


def resume(
    journal: Journal,
    transfer: int,
    source: Connector,
    target: Connector,
    *,
    progress: Report | None = None,
    cancelled: Cancelled | None = None,
) -> TransferResult:
    """RESUME TRANSFER."""
    entry = journal.entry(transfer)
    if entry is None:
        raise MigrationError("42704", f"there is no transfer {transfer}", hint="SHOW TRANSFERS lists them.")
    publishes = entry.state == "publishing" and entry.error is None  # here and now: its staging is in use
    if entry.state in ("done", "running") or publishes:
        raise MigrationError(
            "55000", f"transfer {transfer} is {entry.state}", hint="SHOW TRANSFERS shows how far it is."
        )
    request = TransferRequest.from_json(entry.request)
    if entry.state == "publishing" and settle(journal, entry, target):
        raise _published(transfer)
    refuse_again(journal, entry, target)
    _take(journal, transfer, entry)
    try:
        with _Planning(transfer, (source, target), journal, progress, cancelled):
            notes = _moved_on(journal, transfer, target) + settle_earlier(journal, transfer, request, target)
            item = _planned(request, source, target, journal, entry.snapshot)
        result = run(item, journal=journal, progress=progress, cancelled=cancelled, resume=transfer)
        return replace(result, notes=(*notes, *result.notes))
    finally:
        _let_go(journal, transfer, source)


def _take(journal: Journal, transfer: int, seen: Entry) -> Entry:
    """A transfer that nobody else goes on with; 55000 where somebody does by now."""
    entry = seen if seen.state != "publishing" else journal.entry(transfer)
    if entry is None or entry.state in ("done", "running", "publishing") or not journal.take(entry):
        raise in_use(seen)
    return entry


def _moved_on(journal: Journal, transfer: int, target: Connector) -> tuple[str, ...]:
    """Forgets what was staged in another database than the target's datasource means now; a note says so."""
    entry, now = journal.entry(transfer), place_of(target)
    if entry is None or entry.request.get("place") == now:
        return ()
    known = entry.request.get("place") is not None and entry.staging is not None
    if known:
        journal.forget_ranges(transfer)
        journal.update(transfer, staging=None)
    journal.note(transfer, "place", now)
    if not known or entry.staging is None:
        return ()
    return (
        f'staging table "{".".join(entry.staging)}" stays in the database that "{target.name}" meant before',
    )


def give_up(journal: Journal, entry: Entry) -> None:
    """CANCEL TRANSFER of one that broke off before it published, and whose datasource or branch is gone."""
    _take(journal, entry.id, entry)
    journal.forget_ranges(entry.id)
    journal.update(entry.id, state="cancelled", error="cancelled after it broke off", staging=None)


def abandon(journal: Journal, transfer: int, source: Connector, target: Connector) -> bool:
    """CANCEL TRANSFER of one that broke off: its staging table and its snapshot go, and it cannot be resumed. False
    where nobody can tell whether its rows are in the target."""
    entry = journal.entry(transfer)
    assert entry is not None
    published = settle(journal, entry, target, give_up=True) if entry.state == "publishing" else False
    if published:
        raise _published(transfer)
    entry = _take(journal, transfer, entry)
    try:
        if entry.staging is not None:
            with target.writer() as writer:
                writer.drop(entry.staging)
        journal.forget_ranges(transfer)
    except BaseException:
        journal.update(transfer, state=entry.state, error=entry.error or "it was not given up")
        raise
    unknown = f"cancelled after it broke off: {entry.error}"
    journal.update(
        transfer,
        state="cancelled",
        error="cancelled after it broke off" if published is False else unknown,
        staging=None,
    )
    _let_go(journal, transfer, source)
    return published is False


def _published(transfer: int) -> MigrationError:
    return MigrationError(
        "55000", f"transfer {transfer} is done: it had been published", hint="There is nothing to resume."
    )


def _planned(
    request: TransferRequest, source: Connector, target: Connector, journal: Journal, snapshot: str | None
) -> TransferPlan:
    try:
        return plan(request, source, target, journal=journal, snapshot=snapshot)
    except MigrationError as error:
        gone = snapshot is not None and error.sqlstate not in ("HV004", "42P16", "42703", "42P07", "57014")
        if not gone:
            raise
        return plan(request, source, target, journal=journal)


class _Planning:
    """The phase before a plan stands: watched for a wish to cancel, and its failure written down."""

    def __init__(
        self,
        transfer: int,
        connectors: tuple[Connector, ...],
        journal: Journal,
        progress: Report | None,
        cancelled: Cancelled | None,
    ) -> None:
        self._transfer = transfer
        self._journal = journal
        self._progress = progress
        self._began = time.monotonic()
        self._watcher = Watcher("transfer-planning", cancelled, connectors)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress(Progress(self._transfer, "profile", 0, None, 0, 0.0))
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watcher.end()
        if value is None:
            return
        stopped = self._watcher.wanted or is_cancelled(value)
        error = cancelled_error() if stopped else value
        self._journal.update(
            self._transfer,
            state="cancelled" if stopped else "failed",
            error=error.message if isinstance(error, MigrationError) else str(error) or type(error).__name__,
            seconds=time.monotonic() - self._began,
        )
        if error is not value:
            raise error from value
