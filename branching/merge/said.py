"""What of a table is only said and not stored: comments, declared types, identity. A merge puts it last."""

from __future__ import annotations

from dataclasses import replace

from branching.ddl.edit import replace_column
from branching.model import Constraint, Table


def bare(constraint: Constraint) -> Constraint:
    """What of a constraint is compared as it stands."""
    return replace(constraint, columns=(), expression=None, comment=None)


def exactly(current: Table, merged: Table) -> Table:
    """``current`` with what ``merged`` says."""
    wanted = {column.id: column for column in merged.columns}
    for column in current.columns:
        if column.id in wanted:
            want = wanted[column.id]
            current = replace_column(
                current,
                replace(column, comment=want.comment, declared=want.declared, identity=want.identity),
            )
    said = {item.name: item.comment for item in merged.constraints}
    named = {item.id: item.comment for item in merged.indexes}
    return replace(
        current,
        comment=merged.comment,
        constraints=tuple(
            replace(item, comment=said.get(item.name, item.comment)) for item in current.constraints
        ),
        indexes=tuple(replace(item, comment=named.get(item.id, item.comment)) for item in current.indexes),
    )
