"""Generated columns in what clients write: DEFAULT is all that may be said of them, and then they are left out.

The engine takes no word about such a column, not even DEFAULT, and counts it out of a list of values. In Postgres a row
of values has one for each column of the table, so a row that is as long as the table has DEFAULT in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from branching.errors import BoughError
from branching.model import Table


def settle(tree: exp.Expr, table: Table) -> None:
    """Takes generated columns out of a write to ``table``; 428C9 where they are given a value."""
    own = {column.name.lower() for column in table.columns if column.generated is not None}
    if not own:
        return
    if isinstance(tree, exp.Insert):
        _insert(tree, table, own)
        if (conflict := tree.args.get("conflict")) is not None and conflict.expressions:
            conflict.set("expressions", _assigned(conflict.expressions, table, own))
    elif isinstance(tree, exp.Update):
        tree.set("expressions", _assigned(tree.expressions, table, own))
    elif isinstance(tree, exp.Merge):
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                then.set("expressions", _assigned(then.expressions, table, own))


def _insert(tree: exp.Insert, table: Table, own: set[str]) -> None:
    source = tree.expression
    if isinstance(tree.this, exp.Schema):
        listed = [item.name for item in tree.this.expressions]
    elif isinstance(source, exp.Values) and source.expressions:
        given = len(source.expressions[0].expressions)
        if not len(table.stored) < given <= len(table.columns):
            return
        listed = [column.name for column in table.columns][:given]
    else:
        return
    places = [place for place, name in enumerate(listed) if name.lower() in own]
    if not places:
        return
    rows = source.expressions if isinstance(source, exp.Values) else []
    for place in places:
        if not rows or not all(_is_default(row.expressions[place]) for row in rows):
            raise _refused(
                table, f'cannot insert a non-DEFAULT value into column "{listed[place]}"', listed[place]
            )
    if len(places) == len(listed):
        tree.set("expression", None)
        tree.set("default", True)
        return
    for row in rows:
        row.set("expressions", [cell for place, cell in enumerate(row.expressions) if place not in places])
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    kept = [exp.to_identifier(name, quoted=True) for place, name in enumerate(listed) if place not in places]
    tree.set("this", exp.Schema(this=node, expressions=kept))


def _assigned(items: Sequence[exp.Expr], table: Table, own: set[str]) -> list[exp.Expr]:
    """A SET list without generated columns; one that sets nothing else sets a column to what it is."""
    kept: list[exp.Expr] = []
    for item in items:
        target = item.this
        if isinstance(target, exp.Column) and target.name.lower() in own:
            if not _is_default(item.expression):
                raise _refused(table, f'column "{target.name}" can only be updated to DEFAULT', target.name)
        else:
            kept.append(item)
    if items and not kept and table.stored:
        column = exp.column(exp.to_identifier(table.stored[0], quoted=True))
        kept.append(exp.EQ(this=column, expression=column.copy()))
    return kept


def _is_default(value: exp.Expr | None) -> bool:
    return isinstance(value, exp.Var) and value.name.upper() == "DEFAULT"


def _refused(table: Table, message: str, column: str) -> BoughError:
    return BoughError(
        "428C9",
        message,
        detail=f'Column "{column}" is a generated column.',
        hint="Leave the column out, or say DEFAULT.",
        table=table.name,
        column=column,
    )
