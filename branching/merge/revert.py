"""BRANCH REVERT MERGE: undoes a merge, as a three-way change of its own.

What the merge made is the base, what was there before it the source, the target as it is now the target: what nobody
has touched since goes back, the rest are conflicts, which a strategy decides (``branch_wins``: undo anyway,
``main_wins``: keep). Of a merge that changed rows only, both states of those rows were kept (``u``); of one that
changed definitions, the target before and after (``merge.undo``), and the catalogs are merged three ways as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from branching import names
from branching.database import Database
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author
from branching.merge import stage as merge_stage
from branching.merge.attempt import Attempt, begin_on, check_policy, policy_of, repeated, target_sql
from branching.merge.conflicts import row_conflicts
from branching.merge.plan import ABORT, MANUAL, CatalogPlan, MergeResult, TablePlan, plan_catalogs
from branching.merge.result import refused, undecided
from branching.merge.sides import Rows, Sides
from branching.merge.steps import apply, plan_rows
from branching.merge.undo import undo_lines
from branching.merge.values import initial
from branching.model import Table
from branching.names import RID, quote
from branching.physical import Physical

M = names.MANIFEST_SCHEMA


def revert(
    database: Database,
    merge: int,
    author: Author,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
) -> MergeResult:
    """Undoes merge ``merge`` on its target."""
    target, schema = _target(database, merge)
    target.need_writable()
    policy = policy_of(strategy, per_table)
    if MANUAL in (policy.strategy, *policy.per_table.values()):
        raise BoughError(
            "0A000",
            "a revert cannot be settled by hand",
            hint="STRATEGY branch_wins undoes the merge all the same, main_wins keeps what was changed since.",
            detail="Its conflicts are between what was before the merge and what was changed since.",
        )
    lines = undo_lines(database, merge) if schema else None
    if schema and lines is None:
        raise _too_late(merge)

    def begin() -> Attempt | None:
        attempt = begin_on(database, target, policy, author, f"BRANCH REVERT MERGE {merge}")
        if attempt is not None:
            attempt.title = f"revert of merge {merge}"
            attempt.origin = f"merge {merge}"
            attempt.advice = (
                f"BRANCH REVERT MERGE {merge} STRATEGY branch_wins undoes the merge all the same; main_wins keeps"
                " what was changed since."
            )
            attempt.plan = plan
            attempt.move = lambda it: it.cursor.execute(
                f"UPDATE {M}.merges SET state = 'reverted' WHERE id = ?", (merge,)
            )
        return attempt

    def plan(attempt: Attempt) -> None:
        check_policy(policy, attempt.transaction.catalog, *(line.catalog for line in lines or ()))
        if lines is None:
            _plan_rows(attempt, merge)
        else:
            _plan_states(attempt, *lines)

    def run(attempt: Attempt) -> MergeResult:
        plan(attempt)
        if left := undecided(attempt, ABORT):
            raise refused(attempt, left)
        return apply(attempt)

    return repeated(database, target, target, begin, run, sealing=False)


def _target(database: Database, merge: int) -> tuple[Line, bool]:
    """The branch that the merge changed, and whether it changed definitions."""
    cursor = database.root.cursor()
    try:
        found = cursor.query(f"SELECT target, state, detail FROM {M}.merges WHERE id = ?", (merge,))
        of = cursor.query(f"SELECT branch FROM {M}.commits WHERE merge_id = ? LIMIT 1", (merge,))
    finally:
        cursor.close()
    if not found:
        raise BoughError(
            "42704",
            f"there is no merge {merge}",
            hint="SELECT * FROM bough.merges.",
            detail="It was never made, or is no longer kept.",
        )
    target, state, detail = found[0]
    if detail == "refresh":
        raise BoughError(
            "55000", f"merge {merge} is a refresh and cannot be reverted",
            detail="The branch stands on its parent as it was then.",
            hint="Fork the branch before a refresh that may have to be taken back.",
        )  # fmt: skip
    if state != "merged":
        raise BoughError(
            "55000", f"merge {merge} cannot be reverted", detail=f"Its state is {state}.",
            hint="Only merges that were applied can be undone, once.",
        )  # fmt: skip
    line = database.line(target)
    if of and of[0][0] != line.id:
        raise BoughError(
            "42704", f'the branch "{target}" that merge {merge} changed is gone',
            detail="Another branch has its name now.",
            hint="BRANCH RESTORE brings a discarded branch back while it is in the trash.",
        )  # fmt: skip
    return line, detail == "schema"


def _too_late(merge: int) -> BoughError:
    return BoughError(
        "VB002",
        f"merge {merge} can no longer be reverted",
        detail="What would undo it is kept for 24 hours.",
        hint="Restore the rows from a branch forked before the merge.",
    )


# -- definitions and rows -------------------------------------------------------------------------------------------


def _plan_states(attempt: Attempt, before: Line, after: Line) -> None:
    """A merge of the target as it was before into the target as it is, both come from what the merge made."""
    transaction = attempt.transaction
    attempt.sides = Sides(attempt.database, transaction.physical, before, after)
    attempt.source = before
    attempt.restores = True
    attempt.catalog = plan_catalogs(after.catalog, before.catalog, transaction.catalog, attempt.policy)
    plan_rows(attempt)


# -- rows alone -----------------------------------------------------------------------------------------------------


def _plan_rows(attempt: Attempt, merge: int) -> None:
    """Stages, for every table the merge wrote, the way back."""
    plans: list[TablePlan] = []
    physical = attempt.transaction.physical
    tables = {
        table.id: table
        for table in attempt.transaction.catalog.tables()
        if physical.has(names.undo(merge, table.id))
    }
    touched = _touched_tables(physical, merge)
    if not touched and _wrote(attempt, merge):
        raise _too_late(merge)
    if lost := touched - set(tables):
        raise BoughError(
            "0A000",
            f"merge {merge} cannot be reverted: {len(lost)} of its tables are gone",
            hint="A table dropped since cannot be brought back by a revert.",
            detail="They were dropped after the merge.",
        )
    for position, table in enumerate(tables.values()):
        plan = TablePlan("rows", table, table, table, table)
        plans.append(plan)
        stage = merge_stage.build(
            attempt.cursor,
            position,
            plan,
            _rows(attempt, merge, table),
            target_sql(attempt, plan),
            f"SELECT {RID} FROM {names.undo(merge, table.id)}",
            attempt.policy.of(table.schema, table.name),
        )
        attempt.stages[position] = stage
        attempt.conflicts += row_conflicts(attempt.cursor, stage, table)
    attempt.catalog = CatalogPlan(tuple(plans), (), ())


def _touched_tables(physical: Physical, merge: int) -> set[int]:
    prefix = f"u{merge}_"
    return {int(name[len(prefix) :]) for name in physical.storage if name.startswith(prefix)}


def _wrote(attempt: Attempt, merge: int) -> bool:
    """Whether the merge changed any row (a merge of nothing needs no undoing)."""
    found = attempt.cursor.query(
        f"SELECT coalesce(sum(inserted + updated + deleted), 0) FROM {M}.commits WHERE merge_id = ?", (merge,)
    )
    return bool(found[0][0])


def _rows(attempt: Attempt, merge: int, table: Table) -> Rows:
    """The merge's outcome as the base, what was before it as the source, in the table's present shape."""
    undo = names.undo(merge, table.id)
    kept = attempt.cursor.columns_of(names.DATA_SCHEMA, undo.rpartition(".")[2])
    missing = [c.name for c in table.columns if c.generated is None and f"a{c.id}" not in kept]
    current = target_sql(attempt, TablePlan("rows", table, table, table, table))

    def side(letter: str, flag: str) -> str:
        items = ", ".join(
            f"CASE WHEN _now.{RID} IS NULL THEN {initial(column)} ELSE _now.{quote(column.name)} END"
            f" AS {quote(column.name)}"
            if column.name in missing or column.generated is not None
            else f"TRY_CAST(_undo.{letter}{column.id} AS {column.type}) AS {quote(column.name)}"
            for column in table.columns
        )
        present = f" LEFT JOIN ({current}) AS _now ON _now.{RID} = _undo.{RID}" if "_now." in items else ""
        return f"SELECT {items}, _undo.{RID} AS {RID} FROM {undo} AS _undo{present} WHERE {flag}"

    return Rows(f"SELECT {RID} FROM {undo}", side("a", "is_there"), side("b", "was_there"))
