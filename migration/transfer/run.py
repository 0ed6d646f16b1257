"""Runs a plan: staging → move → verify → publish → journal. The target is old or new, never between.

Rules:

1. Everything up to ``publish`` happens beside the live table. A failure at any step leaves that table as it was
   and removes staging, unless committed pieces of it can be resumed.
2. Where the source has a whole-number key and many rows, it moves in ranges of that key. A range is committed,
   then written down; a range that may or may not have been committed is deleted from staging and moved again.
3. A resume reads the same snapshot if the source can still give it (a branch can); if not, every row is compared
   by fingerprint before anything is published.
4. Cancelling wakes every stage: queues at once, engines by their ``interrupt``. What comes too late, while the target
   publishes (``publication``), lets the transfer end as done.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterator

import pyarrow as pa

from migration.connectors.base import Connector, Path, Predicate, Writer
from migration.errors import MigrationError
from migration.measures.columns import BatchMeasure, TableMeasure, finished
from migration.transfer import publication
from migration.transfer import staging as stagings
from migration.transfer import verify as verification
from migration.transfer.breaking_off import Attempt
from migration.transfer.finishing import finish
from migration.transfer.journal import Journal, Range
from migration.transfer.monitor import Cancelled, Monitor, Report
from migration.transfer.pipeline import Pipeline
from migration.transfer.plan import TransferPlan, is_ranged, range_count
from migration.transfer.settling import place_of
from migration.transfer.watermarks import furthest
from migration.transfer_model import (
    CheckResult,
    Progress,
    TransferRequest,
    TransferResult,
)
from migration.values.transform import Transform


def run(
    item: TransferPlan,
    *,
    journal: Journal | None = None,
    progress: Report | None = None,
    cancelled: Cancelled | None = None,
    resume: int | None = None,
    transfer: int | None = None,
) -> TransferResult:
    """Carries out a plan and lets go of its snapshot. ``resume`` goes on with a transfer of the journal;
    ``transfer`` is one that the journal knows already."""
    journal = journal if journal is not None else Journal()
    if resume is not None:
        journal.update(resume, state="running", error=None)
    number = resume or transfer or begun(journal, item.request, item.target)

    def noted(state: Progress) -> None:
        journal.update(number, bytes=state.bytes, seconds=state.seconds)
        if state.phase == "move":
            journal.update(number, rows_done=state.rows_done)
        if progress is not None:
            progress(state)

    with item, Monitor(item, number, noted, cancelled) as monitor:
        work = _Work(item, journal, monitor, resume is not None)
        try:
            return work.run()
        except BaseException as error:
            raise work.failed(error) from error


def begun(journal: Journal, request: TransferRequest, target: Connector) -> int:
    """A new row of the journal."""
    return journal.begin(
        source=request.source_label,
        target=request.target_label,
        mode=request.mode,
        role=request.role,
        branch=request.branch,
        request={**request.to_json(), "place": place_of(target)},
    )


_WHOLE = Range(0, None, None)


class _Work:
    """One run of one plan: the state its steps share."""

    def __init__(self, item: TransferPlan, journal: Journal, monitor: Monitor, resumed: bool) -> None:
        self.item = item
        self.journal = journal
        self.monitor = monitor
        self.transfer = monitor.transfer
        self.resumed = resumed
        self.staging: Path | None = None
        self.sent = 0
        self.acknowledged = 0
        self.size = 0
        self.method = ""
        self.kept_rows = 0
        self.measure: BatchMeasure | None = self._unmeasured()
        self.furthest = furthest(item)
        self.published = False
        self.traced = True  # what broke off while it published can be told
        self.verdict = ""

    def run(self) -> TransferResult:
        item, journal, monitor = self.item, self.journal, self.monitor
        journal.update(self.transfer, rows_total=item.rows, snapshot=item.reader.snapshot)
        item.reader.step_aside(item.target)
        with (
            contextlib.closing(Transform([column.form for column in item.columns])) as transform,
            self._ahead(transform) as ahead,
            item.target.writer() as writer,
        ):
            self.traced = writer.transactions
            monitor.enter("staging")
            stagings.prepare(journal, item, self.transfer, writer)
            pieces = self._prepare(writer)
            monitor.enter("move")
            self._move(writer, transform, pieces, ahead)
            monitor.enter("verify")
            checks = self._verify(writer)
            assert self.staging is not None
            stagings.complete(item, writer, self.staging)
            monitor.enter("publish")
            watermark = (self.furthest and self.furthest.text) or item.watermark
            journal.update(self.transfer, state="publishing", watermark=watermark, rows_done=self.sent)
            if item.source.dialect == item.target.dialect != "duckdb":
                # Where the source is the target, or reads it, its snapshot holds a lock that a rename would wait for.
                item.close()
            result = publication.publish(item, writer, self.staging, self.sent, monitor)
            self.published = True
            self.verdict = verification.verdict(checks)
            notes = [*item.notes, *result.notes, f"published by {result.method}"]
            if not result.atomic:
                notes.append(f"{item.target.name} cannot replace a table in one step: readers may see none")
            stagings.drop_earlier(journal, item, self.transfer, writer)
        found = finish(item, notes)
        self._done()
        return self._result(checks, found)

    def _done(self) -> None:
        """Written down last: who finds it ``publishing`` counts generated numbers on."""
        self.journal.finish(
            self.transfer,
            watermark_of=self.item.request.watermark_key,
            rows_done=self.sent,
            bytes=self.size,
            seconds=self.monitor.seconds,
            method=self.method,
            verdict=self.verdict,
        )

    def _prepare(self, writer: Writer) -> list[Range]:
        """Staging exists and is empty, or holds the committed pieces of an earlier run; the pieces to move."""
        item, journal = self.item, self.journal
        entry = journal.entry(self.transfer)
        pieces = journal.ranges(self.transfer) if self.resumed else []
        # Without a committed row staging may be half made: its keys can be away while rows come. And not every server
        # keeps what it had committed when it crashes (synchronous_commit, innodb_flush_log_at_trx_commit).
        shape = stagings.shape_of(item)
        same = entry is not None and entry.request.get("shape") == shape
        kept = sum(piece.rows or 0 for piece in pieces) if same else 0
        if kept and entry and entry.staging and _holds(writer, entry.staging, kept):
            self.staging = entry.staging
            self.kept_rows = kept
            self.sent = self.acknowledged = self.monitor.earlier = self.kept_rows
            self.measure = None
            return pieces
        if entry and entry.staging:
            writer.drop(entry.staging)
        # The number alone would repeat after the journal is gone.
        self.staging = writer.staging(item.request.target, f"{self.transfer}x{secrets.token_hex(3)}")
        journal.update(self.transfer, staging=self.staging)
        stagings.create(item, writer, self.staging)
        if item.write_mode == "recreate":
            writer.check_recreate(self.staging, item.request.target)
        if pieces:
            journal.forget_ranges(self.transfer)
        pieces = _pieces(item)
        if len(pieces) > 1:
            journal.note(self.transfer, "shape", shape)
            journal.plan_ranges(self.transfer, pieces)
        return pieces

    @contextlib.contextmanager
    def _ahead(self, transform: Transform) -> Iterator[Pipeline | None]:
        """Reads what moves at once while staging is made; None where that tells first what is to be read."""
        if self.resumed or is_ranged(self.item):
            yield None
            return
        pipeline = self._pipeline(transform, _WHOLE)
        pipeline.start()
        with contextlib.closing(pipeline):
            yield pipeline

    def _move(
        self, writer: Writer, transform: Transform, pieces: list[Range], ahead: Pipeline | None
    ) -> None:
        item = self.item
        assert self.staging is not None
        writer.check(self.staging, transform.schema)
        for piece in pieces:
            if piece.rows is not None:
                continue
            self.monitor.check()
            if self.resumed and len(pieces) > 1 and item.range_column:
                stagings.drop_range(
                    writer, item.target.dialect, self.staging, item.range_column, piece.low, piece.high
                )
            rows = self._move_piece(writer, ahead or self._pipeline(transform, piece))
            if len(pieces) > 1:
                self.journal.mark(self.transfer, piece.number, rows)
            self.journal.update(self.transfer, rows_done=self.sent, bytes=self.size)

    def _pipeline(self, transform: Transform, piece: Range) -> Pipeline:
        """The stages that bring the rows of a piece; a wish to cancel stops them."""
        item, options = self.item, self.item.request.options
        where = _bounds(item.range_column, piece)
        columns = [column.read_column for column in item.columns]

        def read() -> Iterator[pa.RecordBatch]:
            found = item.reader.read(
                item.read_source,
                columns,
                where=where,
                batch_rows=item.batch_rows,
                batch_bytes=options.batch_bytes,
            )
            return self.furthest.passing(found) if self.furthest is not None else found

        measure = self.measure or self._unmeasured()
        self.monitor.pipeline = Pipeline(read, transform, measure, self.monitor.passed, item.source)
        return self.monitor.pipeline

    def _move_piece(self, writer: Writer, pipeline: Pipeline) -> int:
        before = self.monitor.rows
        assert self.staging is not None
        stream = pipeline.batches()
        try:
            self.monitor.check()
            written = writer.write(self.staging, stream)
        finally:
            stream.close()
        self.monitor.check()
        rows = self.monitor.rows - before
        self.sent += rows
        self.acknowledged += written.rows
        self.size += written.bytes
        self.method = written.method
        return rows

    def _unmeasured(self) -> BatchMeasure:
        """For what has to be measured on its way: what the source's engine cannot vouch for."""
        item = self.item
        return BatchMeasure(
            [(c.name, c.target) for c in item.columns], verification.measured_on_the_way(item)
        )

    def _measure(self) -> TableMeasure | None:
        return finished(self.measure) if self.measure is not None else None

    def _verify(self, writer: Writer) -> tuple[CheckResult, ...]:
        item = self.item
        assert self.staging is not None
        level = item.request.options.verify
        entry = self.journal.entry(self.transfer)
        moved_on = entry is None or entry.snapshot is None or entry.snapshot != item.reader.snapshot
        if self.measure is None and moved_on and verification.LEVEL_OF[level] < 3:
            level = "L3"
        checks = verification.verify(
            item, writer, self.staging, self.sent, self.acknowledged, self._measure(), level
        )
        try:
            verification.raise_failed(item, checks)
        except MigrationError as error:
            if self.kept_rows:
                error.hint = (
                    f"The source may have changed since {self.kept_rows} rows were staged: "
                    f"RESUME TRANSFER {self.transfer} starts again."
                )
            raise
        return checks

    def failed(self, error: BaseException) -> BaseException:
        """Cleans up and says what happened; the error to raise."""
        self.monitor.disarm()  # who watches would interrupt the cleaning up too
        if self.published:
            self._done()
            return error
        tried = Attempt(
            item=self.item,
            journal=self.journal,
            monitor=self.monitor,
            staging=self.staging,
            sent=self.sent,
            traced=self.traced,
        )
        return tried.ended(error)

    def _result(self, checks: tuple[CheckResult, ...], notes: tuple[str, ...]) -> TransferResult:
        item, request = self.item, self.item.request
        return TransferResult(
            rows_transferred=self.sent,
            source_row_count=item.rows,
            source_row_count_verified=item.reader.consistent and self.sent == item.rows,
            transferred_row_count=self.acknowledged,
            target_table=".".join(request.target),
            target_datasource=request.target_name or item.target.name,
            source_datasource=request.source_name or item.source.name,
            mode=request.mode,
            target_table_created=not item.target_exists,
            target_table_create_sql=item.create_sql,
            transfer_id=self.transfer,
            bytes=self.size,
            seconds=self.monitor.seconds,
            method=self.method,
            verdict=self.verdict,
            checks=checks,
            notes=notes,
        )


def _holds(writer: Writer, staging: Path, rows: int) -> bool:
    return writer.exists(staging) and writer.count(staging) >= rows


def _bounds(column: str | None, piece: Range) -> tuple[Predicate, ...]:
    found = []
    if column is not None and piece.low is not None:
        found.append(Predicate(column, ">", int(piece.low)))
    if column is not None and piece.high is not None:
        found.append(Predicate(column, "<=", int(piece.high)))
    return tuple(found)


def _pieces(item: TransferPlan) -> list[Range]:
    """The source in equal widths of its key; one open range where it moves at once."""
    if not is_ranged(item):
        return [_WHOLE]
    count = range_count(item)
    extremes = item.key_extremes()
    if extremes is None or count < 2:
        return [_WHOLE]
    low, high = extremes
    edges = sorted({low + (high - low) * number // count for number in range(1, count)})
    bounds: list[str | None] = [None, *(str(edge) for edge in edges), None]
    return [Range(number, *pair) for number, pair in enumerate(itertools.pairwise(bounds))]
