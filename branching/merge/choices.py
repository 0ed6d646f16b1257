"""Conflicts of an open manual merge settled one by one, as ``UPDATE bough.conflicts`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from branching import names
from branching.database import Database
from branching.engine.base import Cursor
from branching.errors import BoughError

M = names.MANIFEST_SCHEMA
USING = ("branch", "target", "base")


@dataclass(frozen=True, slots=True)
class Choice:
    """How one conflict is settled: ``branch``, ``target``, ``base``, ``value`` (with it), or None: not any more."""

    conflict: int
    resolution: str | None
    value: str | None = None


def choose(database: Database, choices: Sequence[Choice]) -> int:
    """``UPDATE bough.conflicts``: settles single conflicts, all of them or none; how many."""
    cursor = database.root.cursor()
    try:
        cursor.begin()
        kinds = dict(
            cursor.query(
                f"SELECT c.id, c.kind FROM {M}.conflicts AS c JOIN {M}.merges AS m ON m.id = c.merge_id"
                " WHERE m.state = 'open'"
            )
        )
        for choice in choices:
            _check_choice(choice, kinds)
            if choice.resolution == "value" and choice.value is not None:
                _check_value(database, cursor, choice.conflict, choice.value)
            cursor.execute(
                f"UPDATE {M}.conflicts SET resolution = ?, value = ? WHERE id = ?",
                (choice.resolution, choice.value, choice.conflict),
            )
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()
    return len(choices)


def _check_choice(choice: Choice, kinds: Mapping[int, str]) -> None:
    kind = kinds.get(choice.conflict)
    if kind is None:
        raise BoughError(
            "42704",
            f"no open conflict {choice.conflict}",
            hint="SELECT * FROM bough.conflicts.",
            detail="Its merge is over, or there never was one of that number.",
        )
    if choice.resolution not in (None, "value", *USING):
        raise BoughError(
            "22023",
            f'unknown resolution "{choice.resolution}"',
            hint="Resolutions: branch, target, base; or set a value.",
            detail=f"It was to settle conflict {choice.conflict}.",
        )
    if choice.resolution == "value" and kind not in ("cell", "insert_insert"):
        raise BoughError(
            "22023",
            f"conflict {choice.conflict} is not about a cell",
            detail=f"Its kind is {kind}.",
            hint="Settle it USING branch, target or base.",
        )


def _check_value(database: Database, cursor: Cursor, conflict: int, value: str) -> None:
    """Refuses (22P02) text that is no value of the cell's type, now and not only at CONTINUE."""
    ((target, table, name),) = cursor.query(
        f"SELECT m.target, c.table_id, c.column_name FROM {M}.conflicts AS c"
        f" JOIN {M}.merges AS m ON m.id = c.merge_id WHERE c.id = ?",
        (conflict,),
    )
    if not database.has_branch(target):
        return  # CONTINUE tells
    tables = database.line(target).catalog.tables()
    column = next((item.column(name) for item in tables if item.id == table), None)
    if column is None or cursor.query(f"SELECT TRY_CAST(? AS {column.type}) IS NOT NULL", (value,))[0][0]:
        return
    raise BoughError(
        "22P02",
        f'invalid value for column "{name}": "{value}"',
        detail=f"The column's type is {column.declared or column.type}.",
        hint=f"BRANCH RESOLVE … CONFLICT {conflict} USING branch, target or base takes a value that is there.",
    )
