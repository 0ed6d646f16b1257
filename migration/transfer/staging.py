"""The table rows land in before anybody sees them, and what becomes of it.

Rules:

1. Staging has the target's own shape: for a table that exists it is cloned by the engine where the engine can
   (``LIKE``), else rendered from its description; for a new one it is the plan's DDL under another name.
2. Rows are verified in staging and published from it. Until ``publish`` the live table is not touched.
3. A new table's references to itself are made once all rows are there (``complete``): they come in any order, and in
   pieces. SQLite's connector does not check them before.
4. Committed pieces are kept for a resume only while the plan is the same: where the source or the target was altered
   meanwhile, a column would have values in some pieces and none in others (``shape_of``).
5. Whatever happens, staging ends: published, dropped, or kept on purpose because its committed pieces can be
   resumed; the journal knows its name.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

from migration.connectors.base import Connector, Path, Writer
from migration.connectors.stopping import hurried
from migration.ddl.validation import key_clause, render
from migration.dialects import contract
from migration.dialects.quoting import quote_name, quote_path
from migration.errors import MigrationError
from migration.transfer.finishing import numbered
from migration.transfer.journal import Entry, Journal
from migration.transfer.plan import TransferPlan
from migration.transfer.settling import settle

_ALTERED = ("postgres", "greenplum", "mysql")


def create(item: TransferPlan, writer: Writer, staging: Path) -> None:
    """A new, empty staging table; one left by an earlier run of the same job is dropped first."""
    writer.drop(staging)
    if item.create_statements:
        for statement in _statements(item, staging, refers=not writer.refers_late):
            writer.execute(statement)
    else:
        writer.create_like(staging, item.request.target)


def shape_of(item: TransferPlan) -> str:
    """A digest of what a plan puts into staging: pieces of another one do not go together with its own."""
    parts = [f"{c.name!r} {c.expression!r} {c.read} {c.target}" for c in item.columns]
    text = "\n".join([*parts, str(item.range_column), item.create_sql])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(journal: Journal, item: TransferPlan, transfer: int, writer: Writer) -> None:
    """Before staging is made: room where an earlier attempt at the same target could not drop its own, and word for the
    writer of what staging cannot have, and a new table is to have once it has its name."""
    for entry in _earlier(journal, item, transfer):
        kept = any(piece.rows is not None for piece in journal.ranges(entry.id))
        if entry.state in ("failed", "cancelled") and not kept:
            _drop(journal, entry, writer)
    if not item.create_statements:
        return
    writer.counts([column.name for column in numbered(item)])
    if any(key.kind == "foreign" for key in item.target_table.keys):
        writer.refers(item.create_statements)


def _statements(item: TransferPlan, staging: Path, *, refers: bool) -> tuple[str, ...]:
    table, layout = item.target_table, item.layout
    own = item.request.target  # a table that refers to itself has only the name of staging yet
    late = contract(item.target.dialect).name in _ALTERED
    keys = tuple(
        replace(key, ref_table=staging) if key.ref_table == own else key
        for key in table.keys
        if not (late and key.ref_table == own) and (refers or key.kind != "foreign")
    )
    if not item.create_statements:
        keys = tuple(replace(key, name=None) for key in keys if key.kind in ("primary", "unique"))
    named = replace(table, path=staging, keys=keys)
    return render(named, item.target.dialect, layout, item.version).statements


def complete(item: TransferPlan, writer: Writer, staging: Path) -> None:
    """Gives a new table its references to itself; 23503 where a row refers to none."""
    rules = contract(item.target.dialect)
    if not item.create_statements or rules.name not in _ALTERED:
        return
    wanted = [key for key in item.target_table.keys if key.ref_table == item.request.target]
    there = (
        {key.columns for key in writer.describe(staging).keys if key.kind == "foreign"} if wanted else set()
    )
    for key in wanted:
        if key.columns not in there:
            clause = key_clause(replace(key, ref_table=staging), rules)
            writer.execute(f"ALTER TABLE {quote_path(staging, rules)} ADD {clause}")


def drop_range(
    writer: Writer, dialect: str, staging: Path, column: str, low: str | None, high: str | None
) -> None:
    """Removes the rows of one piece: they may have been committed before anybody wrote that down."""
    item = contract(dialect)
    name = quote_name(column, item)
    bounds = [f"{name} > {int(low)}"] if low is not None else []
    bounds += [f"{name} <= {int(high)}"] if high is not None else []
    writer.execute(f"DELETE FROM {quote_path(staging, item)} WHERE {' AND '.join(bounds) or '1 = 1'}")


def drop_quietly(target: Connector, staging: Path) -> bool:
    """Drops on a connection of its own: the one that failed may be of no use any more. False where it is still there:
    the journal keeps its name for the next attempt."""
    with contextlib.suppress(MigrationError), hurried(target), target.writer() as writer:
        writer.drop(staging)
        return True
    return False


def drop_earlier(journal: Journal, item: TransferPlan, transfer: int, writer: Writer) -> None:
    """After success: staging tables that earlier attempts at the same target left behind."""
    for entry in _earlier(journal, item, transfer):
        if entry.state == "publishing" and entry.error is not None:
            with contextlib.suppress(MigrationError):
                settle(journal, entry, item.target)
        if entry.state in ("interrupted", "failed", "cancelled"):
            _drop(journal, entry, writer)


def _earlier(journal: Journal, item: TransferPlan, transfer: int) -> list[Entry]:
    """Other transfers to the same target that left something to look after."""
    return [entry for entry in journal.attempts(item.request.target_label) if entry.id != transfer]


def _drop(journal: Journal, entry: Entry, writer: Writer) -> None:
    """Unless somebody resumes it just now."""
    if entry.staging is None:
        return
    with contextlib.suppress(MigrationError):
        if not journal.take(entry):
            return
        kept: Path | None = entry.staging
        try:
            writer.drop(entry.staging)
            kept = None
        finally:
            journal.update(entry.id, state=entry.state, error=entry.error, staging=kept)
