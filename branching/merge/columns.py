"""The columns of a merged table, property by property and by identity. Pure, as ``merge.plan`` is.

Names are one of a column's properties, so two columns may come to one name: that is a conflict too, and whoever wins
it, no table ends with a name twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from branching.merge.model import BRANCH, SchemaConflict
from branching.model import Column, Table

_V = TypeVar("_V")


class Merge:
    """The three-way choice of one object's properties, collecting conflicts."""

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy
        self.conflicts: list[SchemaConflict] = []

    def choose(self, what: str, base: _V, source: _V, target: _V) -> _V:
        if source in (base, target):
            return target
        if target == base:
            return source
        self.conflicts.append(SchemaConflict(what, text(base), text(source), text(target)))
        return source if self.strategy == BRANCH else target

    def named_twice(self, source: Column, target: Column) -> bool:
        """Two columns that are not the same one have one name: whether it is the source's."""
        self.conflicts.append(
            SchemaConflict(f"column {source.name}", None, _definition(source), _definition(target))
        )
        return self.strategy == BRANCH


def text(value: Any) -> str | None:
    return None if value is None else str(value)


def merge_columns(merge: Merge, base: Table, source: Table, target: Table) -> tuple[Column, ...]:
    bases = {column.id: column for column in base.columns}
    sources = {column.id: column for column in source.columns}
    columns: list[Column] = []
    for ours in target.columns:
        before, theirs = bases.get(ours.id), sources.get(ours.id)
        if theirs is None and before is None:
            columns.append(ours)
        elif theirs is None:
            assert before is not None
            if _same_definition(before, ours):
                continue  # dropped on the branch, untouched on the target (its values are looked at apart)
            if merge.choose(f"column {ours.name}", _definition(before), None, _definition(ours)) is not None:
                columns.append(ours)
        else:
            columns.append(_merge_column(merge, before or theirs, theirs, ours))
    known = {column.id for column in columns}
    mine = {column.id for column in target.columns}
    for theirs in source.columns:
        if theirs.id in known or theirs.id in mine:
            continue
        before = bases.get(theirs.id)
        if before is None:
            taken = next((c for c in columns if c.name.lower() == theirs.name.lower()), None)
            if taken is None:
                columns.append(theirs)
            elif merge.named_twice(theirs, taken):
                kept = sources.get(taken.id)  # under its old name, if the target has only renamed it
                columns[columns.index(taken)] = replace(taken, name=kept.name) if kept is not None else theirs
                columns += [theirs] if kept is not None else []
        elif not _same_definition(before, theirs):
            chosen = merge.choose(f"column {theirs.name}", _definition(before), _definition(theirs), None)
            if chosen is not None:
                columns.append(theirs)
    return _apart(merge, columns, sources, {column.id: column for column in target.columns})


def _apart(
    merge: Merge, columns: list[Column], sources: dict[int, Column], targets: dict[int, Column]
) -> tuple[Column, ...]:
    """Without two columns of one name: one side has renamed a column to what the other calls another one.

    The winner's columns are called as it calls them; what only the other side has, and stands in the way, goes.
    """
    winner = sources if merge.strategy == BRANCH else targets
    while twice := _twice(columns):
        merge.conflicts.append(
            SchemaConflict(
                f"column {twice[0].name}",
                None,
                *(_said([side[c.id] for c in twice if c.id in side]) for side in (sources, targets)),
            )
        )
        for column in twice:
            if column.id not in winner:
                columns.remove(column)
            else:
                columns[columns.index(column)] = replace(column, name=winner[column.id].name)
    return tuple(columns)


def _twice(columns: list[Column]) -> list[Column]:
    """The columns of the first name that several have."""
    for column in columns:
        found = [other for other in columns if other.name.lower() == column.name.lower()]
        if len(found) > 1:
            return found
    return []


def _said(columns: list[Column]) -> str | None:
    return ", ".join(map(_definition, columns)) or None


def _definition(column: Column) -> str:
    return f"{column.name} {column.type}"


def _same_definition(left: Column, right: Column) -> bool:
    return replace(left, comment=None) == replace(right, comment=None)


def _merge_column(merge: Merge, base: Column, source: Column, target: Column) -> Column:
    def choose(what: str, get: str) -> Any:
        return merge.choose(
            f"column {target.name}: {what}", getattr(base, get), getattr(source, get), getattr(target, get)
        )

    kind, declared = merge.choose(
        f"column {target.name}: type",
        (base.type, base.declared),
        (source.type, source.declared),
        (target.type, target.declared),
    )
    return replace(
        target,
        name=choose("name", "name"),
        type=kind,
        declared=declared,
        not_null=choose("not null", "not_null"),
        default=choose("default", "default"),
        generated=choose("generated", "generated"),
        identity=choose("identity", "identity"),
        comment=choose("comment", "comment"),
    )
