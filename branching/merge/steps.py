"""The steps of a merge: plan aside, refuse or write, verify, record, move the base. All in one engine transaction.

1. Each table's rows are staged (``merge.stage``), reading only;
2. conflicts and violations are decided or refuse the merge: nothing has been written so far;
3. schema changes, then rows are written; foreign keys are verified; what undoes the merge is kept;
4. the branch's base becomes this moment: its later changes count from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from branching import manifest, names
from branching.dml import constraint_errors, expression_keys
from branching.engine.base import Cursor, EngineError, ErrorKind
from branching.errors import BoughError
from branching.lines import CatalogRef
from branching.merge import loose as merge_loose
from branching.merge import rows as merge_rows
from branching.merge import schema as merge_schema
from branching.merge import stage as merge_stage
from branching.merge.attempt import Attempt, target_sql
from branching.merge.conflicts import Conflict, object_conflict, row_conflicts, schema_conflicts
from branching.merge.conversions import unfit
from branching.merge.pairs import keep_pair
from branching.merge.plan import BRANCH, MergeResult, TablePlan
from branching.merge.result import kept, reshapes, rows
from branching.merge.sides import Rows
from branching.merge.undo import keep_after, keep_before
from branching.merge.verify import Violation, broken_foreign_keys, violations
from branching.merge.views import put_back
from branching.model import Column

M = names.MANIFEST_SCHEMA


def plan_rows(
    attempt: Attempt,
    settle: Callable[[TablePlan], Callable[[str, tuple[Column, ...]], None] | None] = lambda _plan: None,
) -> None:
    """Stages every table's rows and collects the conflicts. Reads only."""
    attempt.plan = attempt.plan or plan_rows
    plans = list(attempt.catalog.tables)
    for position, plan in enumerate(plans):
        if not attempt.wanted(plan):
            continue
        strategy = attempt.policy.of(plan.shown.schema, plan.shown.name)
        found = schema_conflicts(attempt.cursor, attempt.sides, plan, attempt.brings or attempt.target)
        plan, refill = _with_saved_columns(plan, found, strategy)
        if found and strategy == BRANCH and plan.kind == "keep" and plan.target is None:
            plan = replace(plan, kind="create", merged=plan.source)
        plans[position] = plan
        attempt.conflicts += found
        source = plan.source
        refill |= _restored(plan) if attempt.restores else _rescued(plan)
        if plan.kind == "rows" and source is not None and (refill or _maybe_changed(attempt, plan)):
            rows_of, fill = attempt.sides.rows(plan.base, source), None
            visible = attempt.sides.visible(source, attempt.source)
            if refill:
                rows_of, fill = _filling(attempt, plan, rows_of, visible, refill)
            stage = merge_stage.build(
                attempt.cursor, position, plan, rows_of, target_sql(attempt, plan), visible, strategy,
                settle(plan), fill=fill,
            )  # fmt: skip
            attempt.stages[position] = stage
            attempt.conflicts += row_conflicts(attempt.cursor, stage, plan.shown)
        if plan.kind == "rows":
            broken, attempt.replaced[position] = unfit(attempt, position, plan)
            attempt.violations += broken
    attempt.catalog = replace(attempt.catalog, tables=tuple(plans))
    for item, conflict in attempt.catalog.conflicts:
        if attempt.tables is None:
            attempt.conflicts.append(object_conflict(item, conflict))


def _with_saved_columns(
    plan: TablePlan, found: list[Conflict], strategy: str
) -> tuple[TablePlan, frozenset[int]]:
    """A dropped column with values the other side changed stays if that side wins; the columns to be filled anew."""
    merged, target, source = plan.merged, plan.target, plan.source
    if plan.kind != "rows" or merged is None or target is None or source is None:
        return plan, frozenset()
    refill = set()
    for name in dict.fromkeys(item.column for item in found if item.rid is not None):
        ours = target.column(name or "")
        kept = ours if strategy != BRANCH else None
        if ours is None and strategy == BRANCH and (kept := source.column(name or "")) is not None:
            refill.add(kept.id)
        if kept is not None and all(column.id != kept.id for column in merged.columns):
            merged = replace(merged, columns=(*merged.columns, kept))
    return replace(plan, merged=merged), frozenset(refill)


def _rescued(plan: TablePlan) -> frozenset[int]:
    """Columns that the target has dropped and the merge keeps, because the branch changed their definition and wins."""
    if plan.kind != "rows" or plan.merged is None or plan.base is None or plan.target is None:
        return frozenset()
    known = {column.id for column in plan.base.columns} - {column.id for column in plan.target.columns}
    return frozenset(column.id for column in plan.merged.columns if column.id in known)


def _restored(plan: TablePlan) -> frozenset[int]:
    """Columns whose values an undo brings back for every row: dropped by the merge, or of another type since."""
    if plan.kind != "rows" or plan.merged is None or plan.base is None or plan.source is None:
        return frozenset()
    base = {column.id: column for column in plan.base.columns}
    source = {column.id: column for column in plan.source.columns if column.generated is None}
    return frozenset(
        column.id
        for column in plan.merged.columns
        if column.id in source
        and source[column.id].type == column.type
        and (column.id not in base or base[column.id].type != column.type)
    )


def _filling(
    attempt: Attempt, plan: TablePlan, rows: Rows, visible: str, columns: frozenset[int]
) -> tuple[Rows, merge_stage.Fill]:
    """The states of all rows, for columns that come back."""
    base_line = attempt.sides.base_line
    if base_line is None:
        rest = f"SELECT {names.RID} FROM ({visible}) AS _all WHERE {names.RID} NOT IN ({rows.rids})"
        whole = replace(rows, source=visible, unmoved=None)
        return whole, merge_stage.Fill(columns, rest)
    assert plan.base is not None
    rids = f"{rows.rids} UNION SELECT {names.RID} FROM ({visible}) AS _all"
    before = attempt.sides.visible(plan.base, base_line)
    return Rows(rids, before, visible), merge_stage.Fill(columns, None)


def _maybe_changed(attempt: Attempt, plan: TablePlan) -> bool:
    if attempt.sides.base_line is not None or plan.base is None:
        return True
    return plan.source is not None and plan.source.id in attempt.source.touched


def apply(attempt: Attempt) -> MergeResult:
    """Writes the plan and commits."""
    _check_violations(attempt)
    try:
        _write(attempt)
    except EngineError as error:
        if error.kind is ErrorKind.CONSTRAINT:
            attempt.transaction.rollback()
            raise _native_violation(attempt, error) from error
        raise
    found = _broken_foreign_keys(attempt)
    if found:
        attempt.transaction.rollback()
        raise refuse(attempt, found)
    result = rows(attempt)
    record_merge(attempt, "merged")
    (attempt.move or move_base)(attempt)
    attempt.transaction.commit()
    return MergeResult(attempt.merge_id, result)


def _broken_foreign_keys(attempt: Attempt) -> list[Violation]:
    written, shrunk = set(), set()
    for position, plan in enumerate(attempt.catalog.tables):
        table = plan.merged
        stage = attempt.stages.get(position)
        if table is not None and (
            position in attempt.created or (stage is not None and stage.counts.changes)
        ):
            written.add(table.id)
            if stage is not None and stage.counts.updated + stage.counts.deleted:
                shrunk.add(table.id)
    version = attempt.transaction.write()
    return broken_foreign_keys(
        attempt.cursor, attempt.scope(), version, frozenset(written), frozenset(shrunk)
    )


def _check_violations(attempt: Attempt) -> None:
    """On a branch the keys of the rows below are nobody's constraint: they are looked up before writing."""
    need_fit(attempt)
    if attempt.transaction.line.is_trunk:
        return
    for position, stage in attempt.stages.items():
        plan = attempt.catalog.tables[position]
        attempt.violations += violations(attempt.cursor, stage, plan, target_sql(attempt, plan))
    need_fit(attempt)


def look_for_violations(attempt: Attempt) -> None:
    """What a merge would find only while it writes, for whom it is explained to."""
    unfit_tables = {
        (item.schema, item.table) for item in attempt.violations
    }  # of those the rest says nothing
    for position, stage in attempt.stages.items():
        plan = attempt.catalog.tables[position]
        if plan.merged is not None and (plan.merged.schema, plan.merged.name) not in unfit_tables:
            attempt.violations += violations(attempt.cursor, stage, plan, target_sql(attempt, plan))


def need_fit(attempt: Attempt) -> None:
    """Refuses what was found to be lost while the plan was made. Nothing has been written so far."""
    if attempt.violations:
        attempt.transaction.rollback()
        raise refuse(attempt, attempt.violations)


def _native_violation(attempt: Attempt, error: EngineError) -> BoughError:
    """The engine has refused one row: plans again to list all that the merge would break."""
    again = attempt.again() if attempt.again is not None else None
    found: list[Violation] = []
    if again is not None and attempt.plan is not None:
        try:
            attempt.plan(again)
            for position, stage in again.stages.items():
                plan = again.catalog.tables[position]
                found += violations(again.cursor, stage, plan, target_sql(again, plan))
        finally:
            again.transaction.rollback()
            again.cursor.close()
    if found:
        return refuse(attempt, found)
    for plan in attempt.catalog.tables:
        if plan.merged is not None and (explained := constraint_errors.explain(error, plan.merged)):
            return explained
    raise error


def refuse(attempt: Attempt, found: list[Violation]) -> BoughError:
    """Keeps the list of violations, in a transaction of its own, and makes the error."""
    cursor = attempt.database.root.cursor()
    try:
        cursor.begin()
        insert_merge(cursor, attempt, "refused")
        for item in found:
            cursor.execute(
                f"INSERT INTO {M}.violations VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    attempt.merge_id,
                    item.schema,
                    item.table,
                    item.constraint,
                    item.kind,
                    item.key,
                    item.detail,
                ),
            )
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()
    first = found[0]
    shown = [f"{item.schema}.{item.table}: {item.constraint}: {item.detail}" for item in found[:20]]
    if len(found) > 20:
        shown.append(f"… and {len(found) - 20} more")
    return BoughError(
        first.sqlstate,
        f"{attempt.title} violates {'a constraint' if len(found) == 1 else f'constraints in {len(found)} places'}",
        detail="\n".join(shown),
        hint=f"SELECT * FROM bough.violations WHERE merge_id = {attempt.merge_id}; change the branch, merge again.",
        schema=first.schema,
        table=first.table,
        constraint=first.constraint,
    )


def _write(attempt: Attempt) -> None:
    transaction = attempt.transaction
    transaction.write()
    views = list(transaction.catalog.views())
    kept_before = keep_before(attempt) if attempt.undo and changes_schema(attempt) else None
    ddl = merge_schema.ddl_for(transaction, attempt.scope())
    if attempt.tables is None:
        merge_schema.apply_objects(ddl, attempt.catalog, late=False)
    wanted = [item for item in enumerate(attempt.catalog.tables) if attempt.wanted(item[1])]
    for _, plan in wanted:  # what goes first: a new table may have its name
        if plan.kind == "drop" and plan.target is not None and not kept(attempt, plan):
            ddl.drop_table(plan.target, cascade=True)
    for position, plan in wanted:
        if plan.kind == "rows":
            _write_table(attempt, ddl, position, plan)
    for position, plan in wanted:
        if plan.kind == "create":
            _create(attempt, ddl, position, plan)
    for _, plan in wanted:  # foreign keys last: they may refer to a table that was just made
        if plan.kind == "rows" and plan.merged is not None and reshapes(plan):
            merge_schema.reshape(ddl, merge_schema.by_id(ddl, plan.merged.id), plan.merged, ())
    if attempt.tables is None:
        merge_schema.apply_objects(ddl, attempt.catalog, late=True)
    put_back(ddl, views, attempt.source.catalog)
    if kept_before is not None:
        keep_after(attempt, kept_before)


def _create(attempt: Attempt, ddl: merge_schema.MergeDdl, position: int, plan: TablePlan) -> None:
    source = plan.source
    assert source is not None
    if plan.target is not None:
        ddl.drop_table(plan.target, cascade=True)
    made = merge_schema.create(ddl, source)
    columns = [(name, names.quote(name)) for name in made.stored]
    rows_sql = attempt.aside.get(position) or attempt.sides.visible(source, attempt.source)
    attempt.created[position] = merge_rows.copy_in(attempt.transaction, ddl.scope, made, rows_sql, columns)


def _write_table(attempt: Attempt, ddl: merge_schema.MergeDdl, position: int, plan: TablePlan) -> None:
    target, merged = plan.target, plan.merged
    assert target is not None and merged is not None and plan.source is not None
    table = merge_schema.by_id(ddl, target.id)
    stage = attempt.stages.get(position)
    if reshapes(plan):
        merged = merge_loose.without_new_references(merged, target)
        filled = stage.filled if stage is not None else frozenset()
        replaced = attempt.replaced.get(position, frozenset())
        writes = stage is not None and stage.counts.changes
        source = plan.source if writes else None
        loose = merge_loose.loosened(merged, filled, target, replaced, source=source)
        table = merge_schema.reshape(ddl, table, loose, (plan.source,), replaced)
        lost = filled - {column.id for column in target.columns}
        if lost:
            sides = replace(
                attempt.sides, physical=attempt.transaction.physical
            )  # the columns may have moved
            ddl.fill_others(table, lost, sides.visible(plan.source, attempt.source))
    if stage is not None and stage.counts.changes:
        merge_rows.apply(attempt.transaction, attempt.scope(), stage, table)
        if not attempt.transaction.line.is_trunk:
            expression_keys.refuse_doubles(attempt.transaction, attempt.scope(), table)
        if attempt.undo and not changes_schema(attempt):
            merge_rows.keep_undo(attempt.transaction, attempt.merge_id, stage, table)
    if reshapes(plan) and loose != merged:
        ddl.scope = attempt.scope()
        ddl.tighten(table, merged)


def changes_schema(attempt: Attempt) -> bool:
    """Whether the merge changes definitions: such a merge is not undone by rows alone."""
    if attempt.tables is None and attempt.catalog.changes:
        return True
    return any(
        (plan.kind == "create") or (plan.kind == "drop" and not kept(attempt, plan)) or reshapes(plan)
        for plan in attempt.catalog.tables
        if attempt.wanted(plan)
    )


def move_base(attempt: Attempt) -> None:
    """The source's changes count from here on; into another branch than its parent, what it is now is kept aside."""
    if attempt.tables is not None:
        return  # the rest of the branch is still to be merged
    version = attempt.transaction.write()
    if attempt.sides.base_line is not None:
        keep_pair(attempt.transaction, attempt.source, attempt.target)
        return
    source = attempt.source
    record = replace(
        source.record,
        base=attempt.started.with_version(version),
        base_catalog=CatalogRef(source.id, source.seq),
        inherited=True,
    )
    attempt.transaction.put_record(record)


def record_merge(attempt: Attempt, state: str) -> None:
    attempt.transaction.merge = attempt.merge_id
    insert_merge(attempt.cursor, attempt, state, attempt.transaction.write())


def insert_merge(
    cursor: Cursor, attempt: Attempt, state: str, version: int | None = None, note: str | None = None
) -> None:
    """The merge's row; one that was open before is ended instead."""
    if note is None:
        note = "refresh" if not attempt.undo else "schema" if changes_schema(attempt) else None
    if attempt.reopened:
        if state == "merged":  # else it stays open, with what it was opened with
            cursor.execute(
                f"UPDATE {M}.merges SET state = ?, version = ?, merged_at = ?, detail = ? WHERE id = ?",
                (state, version, manifest.now(), note, attempt.merge_id),
            )
        return
    cursor.execute(
        f"INSERT INTO {M}.merges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.merge_id,
            manifest.now(),
            attempt.origin,
            attempt.target.name,
            attempt.policy.strategy,
            state,
            attempt.transaction.author.role,
            version,
            note,
        ),
    )
