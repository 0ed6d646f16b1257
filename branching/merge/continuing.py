"""CONTINUE and ABORT of manual merges and refreshes.

CONTINUE plans anew. A conflict that is no longer what was settled (either side moved in it), one that is new or one
that is gone is listed and nothing is applied: the decision was about other values. Rows outside the conflicts may have
moved on both sides: they merge as they are now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from branching import names
from branching.database import Database
from branching.errors import BoughError
from branching.manifest import Author
from branching.merge import refresh as merge_refresh
from branching.merge.attempt import Attempt, attempted, lines_of
from branching.merge.open_conflicts import OpenMerge, need_open
from branching.merge.plan import BRANCH, TARGET, MergeResult, Policy, TablePlan
from branching.merge.steps import apply, plan_rows
from branching.model import Column
from branching.names import quote

M = names.MANIFEST_SCHEMA


def abort_merge(database: Database, source: str, target: str | None = None) -> None:
    """Drops an open manual merge: neither branch was changed by it."""
    _abort(database, need_open(database, source, target, refresh=False))


def abort_refresh(database: Database, branch: str) -> None:
    """Drops an open manual refresh: the branch was not changed by it."""
    _abort(database, need_open(database, branch, refresh=True))


def _abort(database: Database, merge: OpenMerge) -> None:
    cursor = database.root.cursor()
    try:
        cursor.begin()
        cursor.execute(f"DELETE FROM {M}.conflicts WHERE merge_id = ?", (merge.id,))
        cursor.execute(f"UPDATE {M}.merges SET state = 'aborted' WHERE id = ?", (merge.id,))
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()


def continue_merge(
    database: Database,
    source: str,
    author: Author,
    target: str | None = None,
) -> MergeResult:
    """Applies a manual merge whose conflicts are all settled."""
    merge = need_open(database, source, target, refresh=False)
    database.line(merge.target).need_writable()
    policy, planned = _settled(database, merge)

    def run(attempt: Attempt) -> MergeResult:
        planned(attempt)
        return apply(attempt)

    lines = lines_of(database, source, merge.target)
    assert lines is not None
    return attempted(database, *lines, policy, run, tables=merge.tables, author=author)


def continue_refresh(database: Database, branch: str, author: Author) -> MergeResult:
    """Applies a manual refresh whose conflicts are all settled."""
    merge = need_open(database, branch, refresh=True)
    policy, planned = _settled(database, merge)
    return merge_refresh.carry_out(database, branch, policy, planned, author)


def _settled(database: Database, merge: OpenMerge) -> tuple[Policy, Callable[[Attempt], None]]:
    """The policy with what was settled about definitions, and what plans an attempt as it was settled."""
    stored = _stored(database, merge)
    left = [item for item, using in stored if using is None]
    if left:
        what = "refresh" if merge.refresh else "merge"
        raise BoughError(
            "VB001",
            f'{len(left)} of {len(stored)} conflicts of the {what} of "{merge.branch}" are not settled',
            detail="\n".join(item.text for item in left[:20]),
            hint=f"BRANCH CONFLICTS {quote(merge.branch)} shows them;"
            f" BRANCH RESOLVE {quote(merge.branch)} … USING branch|target|base.",
        )

    def planned(attempt: Attempt) -> None:
        attempt.merge_id, attempt.reopened = merge.id, True
        attempt.plan = planned
        plan_rows(attempt, lambda plan: _settler(attempt, merge.id, plan))
        _check_unmoved(attempt, merge, [item for item, _ in stored])

    return _with_schema_choices(merge.policy, stored), planned


@dataclass(frozen=True, slots=True)
class _Stored:
    table: str
    key: str | None
    place: tuple[int, str, int | None, str | None]
    values: tuple[str | None, str | None, str | None]

    @property
    def text(self) -> str:
        return _text(self.table, self.place, self.key)


def _text(table: str, place: tuple[int, str, int | None, str | None], key: str | None) -> str:
    """A conflict as a line of an error."""
    _, kind, rid, column = place
    row = f"row {key if key is not None else rid}" if rid is not None else "the definition"
    return f"{table}: {column or kind}, {row}"


def _stored(database: Database, merge: OpenMerge) -> list[tuple[_Stored, str | None]]:
    cursor = database.root.cursor()
    try:
        rows = cursor.query(
            "SELECT schema_name || '.' || table_name, key, table_id, kind, rid, column_name, base, branch_value,"
            f" target_value, resolution FROM {M}.conflicts WHERE merge_id = ? ORDER BY id",
            (merge.id,),
        )
    finally:
        cursor.close()
    return [
        (_Stored(row[0], row[1], (row[2], row[3], row[4], row[5]), (row[6], row[7], row[8])), row[9])
        for row in rows
    ]


def _with_schema_choices(policy: Policy, stored: list[tuple[_Stored, str | None]]) -> Policy:
    """Definitions are decided per table: all its schema conflicts one way."""
    chosen = dict(policy.per_table)
    for table in {item.table for item, _ in stored if item.place[1] == "schema"}:
        ways = {using for item, using in stored if item.table == table and item.place[1] == "schema"}
        if len(ways) > 1 or not ways <= {"branch", "target"}:
            raise BoughError(
                "0A000",
                f'the schema conflicts of table "{table}" must all be settled the same way, branch or target',
                hint="BRANCH RESOLVE … TABLE … USING branch, or target.",
                detail="A definition is taken from one side as a whole.",
            )
        chosen[table] = BRANCH if ways == {"branch"} else TARGET
    return replace(policy, per_table=chosen)


def _settler(attempt: Attempt, merge: int, plan: TablePlan) -> Callable[[str, tuple[Column, ...]], None]:
    def settle(stage: str, columns: tuple[Column, ...]) -> None:
        cursor, table = attempt.cursor, plan.shown.id
        mine = f"FROM {M}.conflicts AS _k WHERE _k.merge_id = {merge} AND _k.table_id = {table} AND _k.rid = _s.rid"
        for column in columns:
            i = column.id
            cursor.execute(
                f"UPDATE {stage} AS _s SET r{i} = CASE _k.resolution WHEN 'branch' THEN s{i} WHEN 'target' THEN t{i}"
                f" WHEN 'base' THEN b{i} ELSE CAST(_k.value AS {column.type}) END {mine} AND x{i}"
                f" AND _k.column_name = {names.literal(column.name)} AND _k.kind IN ('cell', 'insert_insert')"
            )
        back = ", ".join(
            f"r{c.id} = CASE _k.resolution WHEN 'base' THEN b{c.id} ELSE r{c.id} END" for c in columns
        )
        cursor.execute(
            f"UPDATE {stage} AS _s SET won = _k.resolution, {back} {mine}"
            " AND _k.kind IN ('delete_modify', 'modify_delete')"
        )

    return settle


def _check_unmoved(attempt: Attempt, merge: OpenMerge, stored: list[_Stored]) -> None:
    """The conflicts must still be exactly those that were settled."""
    settled = {item.place: item for item in stored}
    now = {item.place: item for item in attempt.conflicts}
    moved = [
        _text(f"{item.table.schema}.{item.table.name}", place, item.key)
        for place, item in now.items()
        if place not in settled or settled[place].values != (item.base, item.branch, item.target)
    ]
    moved += [f"{item.text} is gone" for place, item in settled.items() if place not in now]
    if moved:
        raise BoughError(
            "40001",
            f'"{merge.source}" or "{merge.target}" has changed in what was settled ({len(moved)})',
            detail="\n".join(moved[:20]),
            hint=f"{merge.command} ABORT, then begin again.",
        )
