"""What of a merged definition must wait until the rows are written: pure.

Definitions are changed before rows, so that the rows have their columns. What a key, a check or NOT NULL asks of rows
is asked too early then, where the merge is just about to write what it asks for.
"""

from __future__ import annotations

from dataclasses import replace

from branching.ddl.edit import mentions
from branching.merge.said import bare
from branching.merge.values import added_with, constant
from branching.model import Column, Constraint, Table


def without_new_references(merged: Table, target: Table) -> Table:
    """``merged`` without foreign keys that the target does not have: what they refer to may not be there yet."""
    known = {item.name for item in target.constraints}
    return replace(
        merged, constraints=tuple(c for c in merged.constraints if c.kind != "f" or c.name in known)
    )


def loosened(
    merged: Table,
    filled: frozenset[int],
    target: Table,
    replaced: frozenset[int] = frozenset(),
    *,
    source: Table | None = None,
) -> Table:
    """``merged`` as its rows can be before columns are filled: nothing is asked of those yet.

    ``source``: rows of it are written after the definitions are changed, so what the target does not ask of its rows so
    far waits for them: whoever cleans the data and then declares a constraint has both in one merge.
    """
    if source is not None:
        merged = _as_lax_as(merged, target, source)
    names_ = {column.name for column in merged.columns if column.id in filled | replaced}
    free_of_nulls = {column.id for column in target.columns} - replaced

    def free(columns: tuple[str, ...], expression: str | None = None) -> bool:
        return names_.isdisjoint(columns) and not any(
            mentions(text, name) for text in (expression,) if text for name in names_
        )

    return replace(
        merged,
        columns=tuple(
            replace(c, not_null=False) if c.id in filled | replaced and c.id not in free_of_nulls else c
            for c in merged.columns
        ),
        constraints=tuple(c for c in merged.constraints if c.kind == "f" or free(c.columns, c.expression)),
        indexes=tuple(index for index in merged.indexes if free(index.columns)),
    )


def _as_lax_as(merged: Table, target: Table, source: Table) -> Table:
    """``merged`` without NOT NULL, keys, checks and unique indexes that ``target`` does not have.

    A new column that its rows were given a value in can be NOT NULL at once.
    """
    known = {column.id: column for column in target.columns}

    def lax(column: Column) -> Column:
        if column.id in known:
            ready = known[column.id].not_null
        else:
            given = column.default is not None and constant(column.default) is not None
            ready = given and added_with(column, (source,)) is None
        return column if ready else replace(column, not_null=False)

    ids = {column.name: column.id for column in merged.columns}
    target_ids = {column.name: column.id for column in target.columns}
    indexes = {index.id for index in target.indexes}
    return replace(
        merged,
        columns=tuple(lax(column) for column in merged.columns),
        constraints=tuple(
            item
            for item in merged.constraints
            if item.kind == "f"
            or any(same_constraint(item, ids, old, target_ids) for old in target.constraints)
        ),
        indexes=tuple(index for index in merged.indexes if not index.unique or index.id in indexes),
    )


def same_constraint(
    left: Constraint, ids: dict[str, int], right: Constraint, other_ids: dict[str, int]
) -> bool:
    """Whether two tables' constraints say one thing; columns are compared by their ids."""
    return bare(left) == bare(right) and [ids.get(name) for name in left.columns] == [
        other_ids.get(name) for name in right.columns
    ]
