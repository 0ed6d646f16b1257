"""Conflicts of manual merges as rows: listed, settled one by one or together, applied by CONTINUE.

Rules:

1. Opening a manual merge writes its conflicts and nothing else; the branches stay as they are, and usable.
2. CONTINUE plans anew. A conflict that is no longer what was settled (either side moved in it), or one that is new,
   is listed and nothing is applied: the decision was about other values.
3. A resolution is ``branch``, ``target`` or ``base``; a cell may also be given a literal ``value``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from branching import names
from branching.conflict_choices import USING
from branching.database import Database
from branching.errors import BoughError
from branching.manifest import Author
from branching.merge_attempt import Attempt, attempted, branch_lines
from branching.merge_conflicts import Conflict
from branching.merge_plan import BRANCH, MANUAL, MergeResult, Policy, TablePlan
from branching.merge_result import rows
from branching.merge_steps import apply, insert_merge, plan_rows
from branching.model import Column

M = names.MANIFEST_SCHEMA
_COLUMNS = (
    "id, merge_id, schema_name, table_name, key, kind, column_name, base, branch_value, target_value, resolution,"
    " value"
)


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """A row of ``bough.conflicts``; ``id`` and ``merge_id`` are None where no merge is open (a preview)."""

    id: int | None
    merge_id: int | None
    schema: str
    table: str
    key: str | None
    kind: str
    column: str | None
    base: str | None
    branch_value: str | None
    target_value: str | None
    resolution: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class OpenMerge:
    id: int
    source: str
    target: str
    policy: Policy
    tables: tuple[str, ...] | None


# -- reading ------------------------------------------------------------------------------------------------------


def open_merges(database: Database, source: str | None = None, target: str | None = None) -> list[OpenMerge]:
    """The manual merges that wait to be continued, newest first."""
    cursor = database.root.cursor()
    try:
        rows = cursor.query(
            f"SELECT id, source, target, strategy, detail FROM {M}.merges WHERE state = 'open' ORDER BY id DESC"
        )
    finally:
        cursor.close()
    found = []
    for identifier, one, other, strategy, detail in rows:
        if source in (None, one) and target in (None, other):
            note = json.loads(detail)
            tables = tuple(note["tables"]) if note["tables"] is not None else None
            found.append(OpenMerge(identifier, one, other, Policy(strategy, note["per_table"]), tables))
    return found


def open_conflicts(
    database: Database, source: str | None = None, target: str | None = None
) -> list[ConflictRow]:
    """The conflicts of the open manual merges of a branch (or of all)."""
    ids = [item.id for item in open_merges(database, source, target)]
    if not ids:
        return []
    cursor = database.root.cursor()
    try:
        rows = cursor.query(
            f"SELECT {_COLUMNS} FROM {M}.conflicts WHERE merge_id IN ({', '.join(map(str, ids))}) ORDER BY id"
        )
    finally:
        cursor.close()
    return [ConflictRow(*row) for row in rows]


def preview_conflicts(
    database: Database,
    source: str,
    target: str,
    *,
    tables: Sequence[str] | None = None,
    author: Author | None = None,
) -> list[ConflictRow]:
    """The conflicts that a merge would have now; nothing is opened."""
    lines = branch_lines(database, source, target)

    def run(attempt: Attempt) -> list[ConflictRow]:
        plan_rows(attempt)
        return [_row(None, None, item) for item in attempt.conflicts]

    return attempted(database, *lines, Policy(MANUAL), run, tables=tables, author=author or Author())


def _row(identifier: int | None, merge: int | None, item: Conflict) -> ConflictRow:
    return ConflictRow(
        identifier, merge, item.table.schema, item.table.name, item.key, item.kind, item.column, item.base,
        item.branch, item.target,
    )  # fmt: skip


# -- opening and settling -------------------------------------------------------------------------------------------


def open_manual(attempt: Attempt) -> MergeResult:
    """Writes the conflicts down and leaves the merge open. Nothing of the plan is applied."""
    database, source, target = attempt.database, attempt.source.name, attempt.target.name
    if already := open_merges(database, source, target):
        raise BoughError(
            "55000",
            f'a manual merge of "{source}" into "{target}" is already open: {already[0].id}',
            hint=f'BRANCH MERGE "{source}" CONTINUE applies it; BRANCH MERGE "{source}" ABORT drops it.',
        )
    result = rows(attempt)
    attempt.transaction.rollback()
    note = json.dumps(
        {
            "per_table": dict(attempt.policy.per_table),
            "tables": sorted(attempt.tables) if attempt.tables is not None else None,
        }
    )
    cursor = database.root.cursor()
    try:
        cursor.begin()
        insert_merge(cursor, attempt, "open", note=note)
        for item in attempt.conflicts:
            cursor.execute(
                f"INSERT INTO {M}.conflicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    database.next_id(), attempt.merge_id, item.table.schema, item.table.name, item.table.id, item.rid,
                    item.key, item.kind, item.column, item.base, item.branch, item.target,
                    _decided(attempt.policy, item), None,
                ),
            )  # fmt: skip
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()
    return MergeResult(attempt.merge_id, result)


def _decided(policy: Policy, item: Conflict) -> str | None:
    strategy = policy.of(item.table.schema, item.table.name)
    return None if strategy == MANUAL else "branch" if strategy == BRANCH else "target"


def resolve(
    database: Database,
    source: str,
    *,
    using: str,
    table: str | None = None,
    conflict: int | None = None,
) -> int:
    """Settles all conflicts of the branch's open merge, one table's, or one; how many that were."""
    if using not in USING:
        raise BoughError(
            "22023",
            f'unknown resolution "{using}"',
            hint="Resolutions: branch, target, base; or set a value.",
        )
    merge = _the_open_merge(database, source)
    where, values = "merge_id = ?", [using, merge.id]
    if table is not None:
        where += " AND (table_name = ? OR schema_name || '.' || table_name = ?)"
        values += [table, table]
    if conflict is not None:
        where += " AND id = ?"
        values.append(conflict)
    count = _update(database, f"resolution = ?, value = NULL WHERE {where}", values)
    if not count:
        what = f"conflict {conflict}" if conflict is not None else f'conflicts in table "{table}"'
        raise BoughError(
            "42704",
            f'the open merge of "{source}" has no {what}',
            hint=f'BRANCH CONFLICTS "{source}" lists them.',
        )
    return count


def _update(database: Database, what: str, values: Sequence[Any]) -> int:
    cursor = database.root.cursor()
    try:
        return cursor.execute(f"UPDATE {M}.conflicts SET {what}", values) or 0
    finally:
        cursor.close()


def _the_open_merge(database: Database, source: str, target: str | None = None) -> OpenMerge:
    database.line(source)
    found = open_merges(database, source, target)
    if not found:
        raise BoughError(
            "55000",
            f'no manual merge of branch "{source}" is open',
            hint=f'BRANCH MERGE "{source}" STRATEGY manual opens one if there are conflicts.',
        )
    if len(found) > 1:
        raise BoughError(
            "55000",
            f'more than one manual merge of branch "{source}" is open',
            detail="Targets: " + ", ".join(item.target for item in found),
            hint="Name the target.",
        )
    return found[0]


# -- continue and abort ---------------------------------------------------------------------------------------------


def abort_merge(database: Database, source: str, target: str | None = None) -> None:
    """Drops an open manual merge: neither branch was changed by it."""
    merge = _the_open_merge(database, source, target)
    cursor = database.root.cursor()
    try:
        cursor.begin()
        cursor.execute(f"DELETE FROM {M}.conflicts WHERE merge_id = ?", (merge.id,))
        cursor.execute(f"UPDATE {M}.merges SET state = 'aborted' WHERE id = ?", (merge.id,))
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()


def continue_merge(database: Database, source: str, author: Author, target: str | None = None) -> MergeResult:
    """Applies a manual merge whose conflicts are all settled."""
    merge = _the_open_merge(database, source, target)
    stored = _stored(database, merge)
    left = [item for item in stored if item[1] is None]
    if left:
        raise BoughError(
            "VB001",
            f'{len(left)} of {len(stored)} conflicts of the merge of "{source}" are not settled',
            detail="\n".join(f"{item[0].table}: {item[0].place[2:]}" for item in left[:20]),
            hint=f'BRANCH CONFLICTS "{source}" shows them; BRANCH RESOLVE "{source}" … USING branch|target|base.',
        )
    policy = _with_schema_choices(merge.policy, stored)

    def run(attempt: Attempt) -> MergeResult:
        attempt.merge_id, attempt.reopened = merge.id, True
        plan_rows(attempt, lambda plan: _settler(attempt, merge.id, plan))
        _check_unmoved(attempt, stored)
        return apply(attempt)

    lines = branch_lines(database, source, merge.target)
    return attempted(database, *lines, policy, run, tables=merge.tables, author=author)


@dataclass(frozen=True, slots=True)
class _Stored:
    table: str
    place: tuple[int, str, int | None, str | None]
    values: tuple[str | None, str | None, str | None]


def _stored(database: Database, merge: OpenMerge) -> list[tuple[_Stored, str | None]]:
    cursor = database.root.cursor()
    try:
        rows = cursor.query(
            "SELECT schema_name || '.' || table_name, table_id, kind, rid, column_name, base, branch_value,"
            f" target_value, resolution FROM {M}.conflicts WHERE merge_id = ? ORDER BY id",
            (merge.id,),
        )
    finally:
        cursor.close()
    return [
        (_Stored(row[0], (row[1], row[2], row[3], row[4]), (row[5], row[6], row[7])), row[8]) for row in rows
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
            )
        chosen[table] = BRANCH if ways == {"branch"} else "main_wins"
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


def _check_unmoved(attempt: Attempt, stored: list[tuple[_Stored, str | None]]) -> None:
    """The conflicts must still be exactly those that were settled."""
    settled = {item.place: item.values for item, _ in stored}
    now = {item.place: (item.base, item.branch, item.target) for item in attempt.conflicts}
    moved = [place for place, values in now.items() if settled.get(place) != values]
    moved += [place for place in settled if place not in now]
    if not moved:
        return
    shown = {plan.shown.id: plan.shown.name for plan in attempt.catalog.tables}
    raise BoughError(
        "40001",
        f'"{attempt.source.name}" or "{attempt.target.name}" has changed'
        f" in {len(moved)} conflicts since they were settled",
        detail="\n".join(
            f"{shown.get(place[0], place[0])}: {place[3] or place[1]}, row {place[2]}" for place in moved[:20]
        ),
        hint=f'BRANCH MERGE "{attempt.source.name}" ABORT, then merge again.',
    )


__all__ = [
    "ConflictRow", "abort_merge", "continue_merge", "open_conflicts", "open_manual", "open_merges",
    "preview_conflicts", "resolve",
]  # fmt: skip
