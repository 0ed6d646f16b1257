"""What a refresh does to the branch, which is what it is asked for: rows and tables that differ from before.

A refresh is a merge into a fresh fork of the parent (``merge.refresh``), so the plan's own counts are of what the
branch puts on top of its parent. Here both ends are compared by identity, before anything is written: what the branch
sees now, and what it will see. Only rows that one of the lines has changed are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from branching import names, overlay
from branching.lines import Line
from branching.merge.attempt import Attempt, target_sql
from branching.merge.plan import MergeRow, TablePlan
from branching.merge.result import kept
from branching.merge.sides import moved
from branching.merge.values import any_of, distinct, lifted
from branching.model import Table
from branching.names import BRANCH, RID


@dataclass(frozen=True, slots=True)
class Brought:
    """Of each planned table, in the plan's order, and of tables that only the parent has."""

    planned: tuple[MergeRow, ...]
    new: tuple[MergeRow, ...]

    def rows(self, found: tuple[MergeRow, ...]) -> tuple[MergeRow, ...]:
        """A refresh's rows, from those of its merge."""
        shown = [_shown(row, brought) for row, brought in zip(found, self.planned, strict=True)]
        return tuple(sorted([*shown, *self.new], key=lambda row: (row.schema, row.table)))


def _shown(row: MergeRow, brought: MergeRow) -> MergeRow:
    if row.action == "conflict":
        return row
    return replace(
        row,
        inserted=brought.inserted,
        updated=brought.updated,
        deleted=brought.deleted,
        auto_merged_cells=row.auto_merged_cells if brought.action == "merged" else 0,
        action=brought.action,
    )


def measure(attempt: Attempt) -> Brought:
    """Asks before the refresh writes, and after its rows are staged."""
    line = attempt.source
    planned = [_planned(attempt, *item) for item in enumerate(attempt.catalog.tables)]
    known = {plan.target.id for plan in attempt.catalog.tables if plan.target is not None}
    known |= {table.id for table in line.catalog.tables()}
    new = [_made(attempt, table) for table in attempt.target.catalog.tables() if table.id not in known]
    return Brought(tuple(planned), tuple(new))


def _made(attempt: Attempt, table: Table) -> MergeRow:
    row = MergeRow(table.schema, table.name)
    return replace(
        row, inserted=_size(attempt, TablePlan("keep", None, None, table, table)), action="created"
    )


def _planned(attempt: Attempt, position: int, plan: TablePlan) -> MergeRow:
    row = MergeRow(plan.shown.schema, plan.shown.name)
    before = plan.source
    if plan.kind == "create":  # the branch's own table, which stays
        return row
    after = plan.merged if plan.kind == "rows" else plan.target
    if plan.kind == "drop" and not kept(attempt, plan):
        after = None
    if before is None and after is not None:
        return _made(attempt, after)
    if before is None or after is None:
        return row if before is None else replace(row, action="dropped")
    if plan.kind != "rows":  # both made a table of that name, and the parent's is taken
        return replace(row, inserted=_size(attempt, plan), action="created")
    inserted, updated, deleted = _count(attempt, position, plan, before, after)
    changed = (
        bool(inserted or updated or deleted) or replace(after, id=before.id, storage=before.storage) != before
    )
    return replace(
        row, inserted=inserted, updated=updated, deleted=deleted, action="merged" if changed else "unchanged"
    )


def _size(attempt: Attempt, plan: TablePlan) -> int:
    count: int = attempt.cursor.query(f"SELECT count(*) FROM ({target_sql(attempt, plan)}) AS _all")[0][0]
    return count


def _count(
    attempt: Attempt, position: int, plan: TablePlan, before: Table, after: Table
) -> tuple[int, int, int]:
    """(inserted, updated, deleted): the branch's rows as they are now against as they will be."""
    candidates = _candidates(attempt, plan, before)
    if not candidates:
        return 0, 0, 0
    assert plan.target is not None
    rids = " UNION ".join(candidates)
    had = {column.id for column in before.columns}
    columns = [column for column in after.columns if column.id in had and column.generated is None]
    known = (before, plan.target, after)

    def values(table: Table, alias: str) -> str:
        return "".join(f", {lifted(table, column, alias, known)} AS v{column.id}" for column in columns)

    visible = attempt.sides.visible(before, attempt.source)
    now = f"SELECT _n.{RID} AS rid{values(plan.target, '_n')} FROM ({target_sql(attempt, plan)}) AS _n"
    now += f" WHERE _n.{RID} IN ({rids})"
    was = f"SELECT _w.{RID} AS rid{values(before, '_w')} FROM ({visible}) AS _w WHERE _w.{RID} IN ({rids})"
    if (stage := attempt.stages.get(position)) is not None:
        outcome = "".join(f", r{column.id}" for column in columns)
        taken = f"SELECT trid FROM {stage.sql} WHERE action IN ('update', 'delete')"
        now = (
            f"{now} AND _n.{RID} NOT IN ({taken})"
            f" UNION ALL SELECT trid{outcome} FROM {stage.sql} WHERE action = 'update'"
            f" UNION ALL SELECT rid{outcome} FROM {stage.sql} WHERE action = 'insert'"
        )
        own = "".join(f", _own.v{column.id}" for column in columns)
        was = (  # a row that both made is the parent's from now on
            f"SELECT coalesce(_stage.trid, _own.rid) AS rid{own} FROM ({was}) AS _own"
            f" LEFT JOIN {stage.sql} AS _stage ON _stage.rid = _own.rid"
        )
    differs = any_of([distinct(f"_was.v{column.id}", f"_now.v{column.id}") for column in columns])
    row = attempt.cursor.query(
        "SELECT count(*) FILTER (WHERE _was.rid IS NULL),"
        f" count(*) FILTER (WHERE _was.rid IS NOT NULL AND _now.rid IS NOT NULL AND {differs}),"
        " count(*) FILTER (WHERE _now.rid IS NULL)"
        f" FROM ({was}) AS _was FULL JOIN ({now}) AS _now ON _now.rid = _was.rid"
    )[0]
    return row[0], row[1], row[2]


def _candidates(attempt: Attempt, plan: TablePlan, before: Table) -> list[str]:
    """SELECTs of the identities of rows that may differ; none where the parent has not changed the table."""
    line, parent = attempt.source, attempt.brings
    assert parent is not None and plan.target is not None
    if before.storage.base != plan.target.storage.base:  # the parent has another table now, or a copy
        sides = attempt.sides.visible(before, line), target_sql(attempt, plan)
        return [f"SELECT {RID} FROM ({side}) AS _side" for side in sides]
    physical, tables = attempt.transaction.physical, (before, plan.target)
    bases = sorted({table.storage.base for table in tables if table.storage.base is not None})
    forks = [line.record.fork]
    if not parent.is_trunk:
        forks = [line.record.fork, parent.record.fork] if line.record.fork != parent.record.fork else []
    found = [
        select
        for base in bases
        for fork in forks
        if not attempt.database.unchanged_since(base, fork)
        for select in moved(physical, base, fork)
    ]
    shared = not parent.is_trunk and bool({table.id for table in tables} & parent.touched)
    if not found and not shared:
        return []
    if any(
        overlay.reads_copy(table, physical) for table in tables
    ):  # its own changes are among the copy's rows
        sides = attempt.sides.visible(before, line), target_sql(attempt, plan)
        return [f"SELECT {RID} FROM ({side}) AS _side" for side in sides]
    owners: list[Line] = [line] if parent.is_trunk else [line, parent]
    stored = sorted(
        {names.delta(table.storage.shape) for table in tables} | {names.mask(base) for base in bases}
    )
    return found + [
        f"SELECT {RID} FROM {name} WHERE {BRANCH} = {owner.id}"
        for name in stored
        if physical.has(name)
        for owner in owners
    ]
