"""What a merge tells: a row per table, and the refusal where nobody has decided its conflicts."""

from __future__ import annotations

from dataclasses import replace

from branching.errors import BoughError
from branching.merge.attempt import Attempt
from branching.merge.conflicts import Conflict
from branching.merge.plan import ABORT, BRANCH, MANUAL, MergeRow, TablePlan
from branching.model import Table


def undecided(attempt: Attempt, strategy: str) -> list[Conflict]:
    """Conflicts in tables that this strategy is to decide."""
    return [
        item
        for item in attempt.conflicts
        if attempt.policy.of(item.table.schema, item.table.name) == strategy
    ]


def refused(attempt: Attempt, found: list[Conflict]) -> BoughError:
    counts: dict[str, int] = {}
    for item in found:
        shown = f"{item.table.schema}.{item.table.name}"
        counts[shown] = counts.get(shown, 0) + 1
    return BoughError(
        "VB001",
        f"{attempt.title} has {_conflicts(len(found))}",
        detail="\n".join(f"{name}: {_conflicts(count)}" for name, count in sorted(counts.items())),
        hint=attempt.advice,
    )


def _conflicts(count: int) -> str:
    return "1 conflict" if count == 1 else f"{count} conflicts"


def reshapes(plan: TablePlan) -> bool:
    """Whether the merge changes the target's definition of the table."""
    if plan.merged is None or plan.target is None:
        return False
    return replace(plan.merged, storage=plan.target.storage) != plan.target


def rows(attempt: Attempt) -> tuple[MergeRow, ...]:
    """The result, a row per table that the merge looked at."""
    return tuple(
        _row(attempt, position, plan)
        for position, plan in enumerate(attempt.catalog.tables)
        if attempt.wanted(plan)
    )


def _row(attempt: Attempt, position: int, plan: TablePlan) -> MergeRow:
    shown: Table = plan.merged or plan.shown
    conflicts = attempt.conflicts_of(plan)
    broken = sum(1 for item in attempt.violations if (item.schema, item.table) == (shown.schema, shown.name))
    row = MergeRow(shown.schema, shown.name, conflicts=conflicts, violations=broken)
    undecided = attempt.policy.of(plan.shown.schema, plan.shown.name) in (ABORT, MANUAL)
    if conflicts and undecided and not attempt.reopened:
        return replace(_counted(attempt, position, row), action="conflict")
    if plan.kind == "create":
        count = attempt.created.get(position)
        if count is None and plan.source is not None:
            visible = attempt.sides.visible(plan.source, attempt.source)
            count = attempt.cursor.query(f"SELECT count(*) FROM ({visible}) AS _all")[0][0]
        return replace(row, inserted=count or 0, action="created")
    if plan.kind == "drop":
        return replace(row, action="unchanged" if kept(attempt, plan) else "dropped")
    row = _counted(attempt, position, row)
    changed = reshapes(plan) or row.inserted or row.updated or row.deleted
    return replace(row, action="merged" if changed else "unchanged")


def _counted(attempt: Attempt, position: int, row: MergeRow) -> MergeRow:
    """With what becomes of the rows; where nobody has decided conflicts, of all that is in none."""
    stage = attempt.stages.get(position)
    if stage is None:
        return row
    counts = stage.counts
    return replace(
        row,
        inserted=counts.inserted,
        updated=counts.updated,
        deleted=counts.deleted,
        auto_merged_cells=counts.merged_cells,
    )


def kept(attempt: Attempt, plan: TablePlan) -> bool:
    """Whether a table the branch dropped stays, because the target changed it and wins."""
    strategy = attempt.policy.of(plan.shown.schema, plan.shown.name)
    return attempt.conflicts_of(plan) > 0 and strategy != BRANCH
