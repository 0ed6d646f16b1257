"""Conflicts of manual merges and refreshes as rows: listed, settled one by one or together.

Rules:

1. Opening a manual merge writes its conflicts and nothing else; the branches stay as they are, and usable.
2. A resolution is ``branch``, ``target`` or ``base``; a cell may also be given a literal ``value``. Of a refresh,
   ``branch`` is the branch and ``target`` its parent, as for the strategies.
3. A refresh is a merge of the parent into the branch: that is how it is listed. It is settled by the branch's name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from branching import names
from branching.database import Database
from branching.errors import BoughError
from branching.merge.attempt import Attempt
from branching.merge.choices import USING
from branching.merge.conflicts import Conflict
from branching.merge.plan import BRANCH, MANUAL, MergeResult, Policy
from branching.merge.result import rows
from branching.merge.steps import insert_merge
from branching.names import quote

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
    refresh: bool = False

    @property
    def branch(self) -> str:
        """The branch whose changes are to be merged, or which is to be refreshed."""
        return self.target if self.refresh else self.source

    @property
    def command(self) -> str:
        """What CONTINUE and ABORT follow."""
        if self.refresh:
            return f"BRANCH REFRESH {quote(self.target)}"
        return f"BRANCH MERGE {quote(self.source)} INTO {quote(self.target)}"


# -- reading ------------------------------------------------------------------------------------------------------


def open_merges(
    database: Database, branch: str | None = None, target: str | None = None, *, refresh: bool | None = None
) -> list[OpenMerge]:
    """The manual merges and refreshes that wait to be continued, newest first."""
    cursor = database.root.cursor()
    try:
        rows = cursor.query(
            f"SELECT id, source, target, strategy, detail FROM {M}.merges WHERE state = 'open' ORDER BY id DESC"
        )
    finally:
        cursor.close()
    found = []
    for identifier, one, other, strategy, detail in rows:
        note = json.loads(detail)
        tables = tuple(note["tables"]) if note["tables"] is not None else None
        policy = Policy(strategy, note["per_table"])
        item = OpenMerge(identifier, one, other, policy, tables, note.get("refresh", False))
        if branch in (None, item.branch) and target in (None, other) and refresh in (None, item.refresh):
            found.append(item)
    return found


def open_conflicts(
    database: Database, branch: str | None = None, target: str | None = None
) -> list[ConflictRow]:
    """The conflicts of the open manual merges and refreshes of a branch (or of all)."""
    ids = [item.id for item in open_merges(database, branch, target)]
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


def preview_row(item: Conflict) -> ConflictRow:
    """A conflict that a merge would have."""
    return ConflictRow(
        None, None, item.table.schema, item.table.name, item.key, item.kind, item.column, item.base,
        item.branch, item.target,
    )  # fmt: skip


# -- opening and settling -------------------------------------------------------------------------------------------


def open_manual(attempt: Attempt, *, refresh: bool = False) -> MergeResult:
    """Writes the conflicts down and leaves the merge open. Nothing of the plan is applied."""
    database, branch, target = attempt.database, attempt.source.name, attempt.target.name
    if already := open_merges(database, branch, target, refresh=refresh):
        command = already[0].command
        raise BoughError(
            "55000",
            f"a manual {attempt.title} is already open: {already[0].id}",
            hint=f"{command} CONTINUE applies it; {command} ABORT drops it.",
            detail="Its conflicts are in bough.conflicts, with what has been settled of them.",
        )
    result = rows(attempt)
    attempt.transaction.rollback()
    note = json.dumps(
        {
            "per_table": dict(attempt.policy.per_table),
            "tables": sorted(attempt.tables) if attempt.tables is not None else None,
            "refresh": refresh,
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
    branch: str,
    *,
    using: str,
    table: str | None = None,
    conflict: int | None = None,
    target: str | None = None,
) -> int:
    """Settles all conflicts of the branch's open merge, one table's, or one; how many that were."""
    if using not in USING:
        raise BoughError(
            "22023",
            f'unknown resolution "{using}"',
            hint="Resolutions: branch, target, base; or set a value.",
            detail="A conflict is settled by taking one of its three values.",
        )
    merge = need_open(database, branch, target, conflict=conflict)
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
            f'the open merge of "{branch}" has no {what}',
            hint=f"BRANCH CONFLICTS {quote(branch)} lists them.",
            detail="Only conflicts of this merge can be settled with it.",
        )
    return count


def _update(database: Database, what: str, values: Sequence[Any]) -> int:
    cursor = database.root.cursor()
    try:
        return cursor.execute(f"UPDATE {M}.conflicts SET {what}", values) or 0
    finally:
        cursor.close()


def need_open(
    database: Database,
    branch: str,
    target: str | None = None,
    *,
    refresh: bool | None = None,
    conflict: int | None = None,
) -> OpenMerge:
    """The open merge of ``branch`` (into ``target``, or that of ``conflict``); 55000 unless there is exactly one."""
    database.line(branch)
    found = open_merges(database, branch, target, refresh=refresh)
    if conflict is not None and len(found) > 1:
        found = [item for item in found if item.id == _merge_of(database, conflict)] or found[:1]
    what = "refresh" if refresh else "merge"
    if not found:
        opens = f"BRANCH {what.upper()} {quote(branch)} STRATEGY manual"
        raise BoughError(
            "55000",
            f'no manual {what} of branch "{branch}" is open',
            hint=f"{opens} opens one if there are conflicts.",
            detail="It has had no conflicts, was applied, or was aborted.",
        )
    if len(found) > 1:
        raise BoughError(
            "55000",
            f'more than one manual merge of branch "{branch}" is open',
            detail="\n".join(f"{item.command} ({item.id})" for item in found),
            hint="Name the target: INTO …; a single conflict: CONFLICT id.",
        )
    return found[0]


def _merge_of(database: Database, conflict: int) -> int | None:
    cursor = database.root.cursor()
    try:
        found = cursor.query(f"SELECT merge_id FROM {M}.conflicts WHERE id = ?", (conflict,))
    finally:
        cursor.close()
    return found[0][0] if found else None


__all__ = [
    "ConflictRow", "OpenMerge", "need_open", "open_conflicts", "open_manual", "open_merges", "preview_row",
    "resolve",
]  # fmt: skip
