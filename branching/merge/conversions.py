"""Values that the type a column has after a merge cannot hold: a violation each, found before anything is written.

One side has given a column another type, the other has written a value that only the old one can hold. A cast would
make it NULL, and a strict one would name the first. A value of the target that the merge replaces, and that the target
has not changed since the two parted, is no loss: a branch may clean a column and retype it. Nor is one that the branch
has changed as well, where the branch wins.
"""

from __future__ import annotations

import sqlglot

from branching.dml import lengths
from branching.merge.attempt import Attempt, target_sql
from branching.merge.plan import BRANCH, TablePlan
from branching.merge.stage import Stage
from branching.merge.values import distinct, lifted
from branching.merge.verify import Violation, text_of
from branching.model import Column, Table
from branching.names import RID, quote
from branching.resolve import DIALECT
from branching.volatility import is_volatile

_MOST = 1000


def unfit(attempt: Attempt, position: int, plan: TablePlan) -> tuple[list[Violation], frozenset[int]]:
    """The violations of one table; and the columns of which the target has such values that the merge replaces."""
    found: list[Violation] = []
    replaced: set[int] = set()
    merged, stage = plan.merged, attempt.stages.get(position)
    if merged is None or plan.target is None or plan.source is None:
        return found, frozenset()
    filled = stage.filled if stage is not None else frozenset()
    for column in merged.columns:
        if column.generated is not None or column.id in filled:
            continue
        if (default := _unfit_default(attempt, plan, column)) is not None:
            found.append(_violation(merged, column, None, default))
        for value, key, is_replaced in _of_target(attempt, plan, stage, column):
            if is_replaced:
                replaced.add(column.id)
            else:
                found.append(_violation(merged, column, key, value))
        if stage is not None:
            found += [
                _violation(merged, column, key, value)
                for value, key in _of_source(attempt, plan, stage, column)
            ]
    return found, frozenset(replaced)


def _violation(table: Table, column: Column, key: str | None, value: str) -> Violation:
    shown = value if len(value) <= 100 else value[:100] + "…"
    detail = f'"{shown}" in column "{column.name}" is no {(column.declared or column.type).lower()}'
    return Violation(
        table.schema,
        table.name,
        f"{table.name}_{column.name}_type",
        "type",
        key,
        detail,
        "22P02" if lengths.limit_of(column) is None else "22001",
    )


def _unfit_default(attempt: Attempt, plan: TablePlan, column: Column) -> str | None:
    """The default that one side has given a column which the other has given a type that cannot hold it."""
    sides = [_with_id(table, column) for table in (plan.source, plan.target)]
    default = column.default
    if default is None or any(
        side is not None and (side.type, side.default) == (column.type, default) for side in sides
    ):
        return None
    if is_volatile(sqlglot.parse_one(default, dialect=DIALECT)):
        return None
    rows = attempt.cursor.query(
        f"SELECT CAST(_default AS VARCHAR) FROM (SELECT ({default}) AS _default) AS _row"
        f" WHERE _default IS NOT NULL AND TRY_CAST(_default AS {column.type}) IS NULL"
    )
    return rows[0][0] if rows else None


def _with_id(table: Table | None, column: Column) -> Column | None:
    return next((item for item in table.columns if item.id == column.id), None) if table is not None else None


def _of_target(
    attempt: Attempt, plan: TablePlan, stage: Stage | None, column: Column
) -> list[tuple[str, str | None, bool]]:
    target = plan.target
    assert target is not None and plan.source is not None
    ours = _with_id(target, column)
    if ours is None or (ours.type == column.type and not lengths.is_narrower(column, ours)):
        return []
    value = f"CAST(_row.{quote(ours.name)} AS VARCHAR)"
    same, joined = "false", ""
    before = _with_id(plan.base, column)
    if stage is not None and before is not None:
        images = attempt.sides.rows(plan.base, plan.source).base
        same = f"_base.{RID} IS NOT NULL AND CAST(_base.{quote(before.name)} AS VARCHAR) IS NOT DISTINCT FROM {value}"
        if attempt.policy.of(plan.shown.schema, plan.shown.name) == BRANCH:
            own = distinct(f"s{column.id}", f"b{column.id}")
            same = f"({same} OR _row.{RID} IN (SELECT trid FROM {stage.sql} WHERE NOT in_source OR {own}))"
        same = f"_row.{RID} IN ({stage.rids('update', 'delete')}) AND {same}"
        joined = f" LEFT JOIN ({images}) AS _base ON _base.{RID} = _row.{RID}"
    fits = lengths.or_null(lifted(target, column, "_row", (plan.source, target)), column)
    return attempt.cursor.query(
        f"SELECT {value}, {_key(target, plan)}, {same} AS replaced FROM ({target_sql(attempt, plan)}) AS _row{joined}"
        f" WHERE _row.{quote(ours.name)} IS NOT NULL AND ({fits}) IS NULL ORDER BY replaced LIMIT {_MOST}"
    )


def _of_source(
    attempt: Attempt, plan: TablePlan, stage: Stage, column: Column
) -> list[tuple[str, str | None]]:
    source, target = plan.source, plan.target
    assert source is not None and target is not None
    theirs = _with_id(source, column)
    if theirs is None or (theirs.type == column.type and not lengths.is_narrower(column, theirs)):
        return []
    rows = attempt.sides.rows(plan.base, source)
    value = f"CAST(_row.{quote(theirs.name)} AS VARCHAR)"
    changed, joined = "true", ""
    before = _with_id(plan.base, column)
    if before is not None:
        changed = (
            f"_base.{RID} IS NULL OR CAST(_base.{quote(before.name)} AS VARCHAR) IS DISTINCT FROM {value}"
        )
        joined = f" LEFT JOIN ({rows.base}) AS _base ON _base.{RID} = _row.{RID}"
    fits = lengths.or_null(lifted(source, column, "_row", (source, target)), column)
    return attempt.cursor.query(
        f"SELECT {value}, {_key(source, plan)} FROM ({rows.source}) AS _row{joined}"
        f" WHERE _row.{RID} IN (SELECT rid FROM {stage.sql} WHERE in_source) AND _row.{quote(theirs.name)} IS NOT NULL"
        f" AND ({fits}) IS NULL AND ({changed}) LIMIT {_MOST}"
    )


def _key(table: Table, plan: TablePlan) -> str:
    """The row's key as ``table`` has it; its identity where there is none."""
    merged = plan.merged
    assert merged is not None
    wanted = [item.id for item in merged.columns if item.name in merged.key]
    here = {item.id: item.name for item in table.columns}
    if not wanted or any(identifier not in here for identifier in wanted):
        return f"CAST(_row.{RID} AS VARCHAR)"
    return text_of([here[identifier] for identifier in wanted], "_row")
