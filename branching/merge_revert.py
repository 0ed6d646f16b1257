"""BRANCH REVERT MERGE: undoes a merge, as a three-way change of its own.

Every merge keeps, for its rows, what they were on the target and what it made of them. Reverting takes "what it made"
as the base, "what they were" as the source and the target as it is now: rows and cells that nobody has touched since
go back, others are conflicts, which a strategy decides (``branch_wins``: undo anyway, ``main_wins``: keep).
"""

from __future__ import annotations

from collections.abc import Mapping

from branching import merge_stage, names
from branching.database import Database
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author
from branching.merge_attempt import Attempt, begin_on, policy_of, repeated, target_sql
from branching.merge_conflicts import row_conflicts
from branching.merge_plan import ABORT, CatalogPlan, MergeResult, TablePlan
from branching.merge_result import refused, undecided
from branching.merge_sides import Rows
from branching.merge_steps import apply
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
    target = _target(database, merge)
    policy = policy_of(strategy, per_table)

    def begin() -> Attempt | None:
        attempt = begin_on(database, target, policy, author, f"BRANCH REVERT MERGE {merge}")
        if attempt is not None:
            attempt.title = f"revert of merge {merge}"
            attempt.advice = "STRATEGY branch_wins undoes them all the same, main_wins keeps them."
            attempt.move = lambda it: it.cursor.execute(
                f"UPDATE {M}.merges SET state = 'reverted' WHERE id = ?", (merge,)
            )
        return attempt

    def run(attempt: Attempt) -> MergeResult:
        _plan(attempt, merge)
        if left := undecided(attempt, ABORT):
            raise refused(attempt, left)
        return apply(attempt)

    return repeated(database, target, target, begin, run, sealing=False)


def _target(database: Database, merge: int) -> Line:
    cursor = database.root.cursor()
    try:
        found = cursor.query(f"SELECT target, state, detail FROM {M}.merges WHERE id = ?", (merge,))
    finally:
        cursor.close()
    if not found:
        raise BoughError("42704", f"there is no merge {merge}", hint="SELECT * FROM bough.merges.")
    target, state, detail = found[0]
    if state != "merged":
        raise BoughError(
            "55000", f"merge {merge} cannot be reverted", detail=f"Its state is {state}.",
            hint="Only merges that were applied can be undone, once.",
        )  # fmt: skip
    if detail == "schema":
        raise BoughError(
            "0A000",
            f"merge {merge} changed the schema and cannot be reverted",
            hint="Undo it with ALTER TABLE or DROP TABLE, or restore the rows from a branch forked before.",
        )
    return database.line(target)


def _plan(attempt: Attempt, merge: int) -> None:
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
        raise BoughError(
            "VB002",
            f"merge {merge} can no longer be reverted",
            detail="What would undo it is kept for 24 hours.",
            hint="Restore the rows from a branch forked before the merge.",
        )
    if lost := touched - set(tables):
        raise BoughError(
            "0A000",
            f"merge {merge} cannot be reverted: {len(lost)} of its tables are gone",
            hint="A table dropped since cannot be brought back by a revert.",
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
    kept = {
        row[0]
        for row in attempt.cursor.query(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?",
            (names.DATA_SCHEMA, undo.rpartition(".")[2]),
        )
    }
    missing = [c.name for c in table.columns if c.generated is None and f"a{c.id}" not in kept]
    current = target_sql(attempt, TablePlan("rows", table, table, table, table))

    def side(letter: str, flag: str) -> str:
        items = ", ".join(
            f"_now.{quote(column.name)} AS {quote(column.name)}"
            if column.name in missing or column.generated is not None
            else f"TRY_CAST(_undo.{letter}{column.id} AS {column.type}) AS {quote(column.name)}"
            for column in table.columns
        )
        present = f" LEFT JOIN ({current}) AS _now ON _now.{RID} = _undo.{RID}" if "_now." in items else ""
        return f"SELECT {items}, _undo.{RID} AS {RID} FROM {undo} AS _undo{present} WHERE {flag}"

    return Rows(f"SELECT {RID} FROM {undo}", side("a", "is_there"), side("b", "was_there"))
