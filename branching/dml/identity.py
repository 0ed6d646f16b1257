"""Identity columns: who gives their values.

A column GENERATED ALWAYS takes no value from a client's statement, unless that says OVERRIDING SYSTEM VALUE; with
OVERRIDING USER VALUE what it gives to any identity column is passed over. The front end notes at the tree which of them
was said (``meta``); what has no note is a statement of our own, and gives what it has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from branching.errors import BoughError
from branching.model import Table

_KEY = "overriding"


def settle(tree: exp.Expr, table: Table, columns: Sequence[str]) -> None:
    """Refuses (428C9) a value that the column's sequence has to give, or takes it out of ``tree``. ``columns``: those
    that an INSERT fills."""
    said = tree.meta.get(_KEY)
    if said is None or not any(column.identity for column in table.columns):
        return
    always = {column.name.lower() for column in table.columns if column.identity == "a"}
    if isinstance(tree, exp.Insert):
        if said == "user":
            _pass_over(tree, table, columns)
        elif said != "system":
            _refuse_given(tree, columns, always)
        if (conflict := tree.args.get("conflict")) is not None:
            _refuse_set(conflict.expressions or (), always)
    elif isinstance(tree, exp.Update):
        _refuse_set(tree.expressions, always)
    elif isinstance(tree, exp.Merge):
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                _refuse_set(then.expressions, always)
            elif isinstance(then, exp.Insert):
                _refuse_merged(then, table, always)


def _refuse_given(tree: exp.Insert, columns: Sequence[str], always: set[str]) -> None:
    if tree.args.get("default"):
        return
    for place, name in enumerate(columns):
        if name.lower() not in always:
            continue
        cells = list(_cells(tree.expression, place))
        if not cells or not all(map(_is_default, cells)):
            raise _not_by_hand(name, f'cannot insert a non-DEFAULT value into column "{name}"')


def _refuse_merged(then: exp.Insert, table: Table, always: set[str]) -> None:
    if not isinstance(then.expression, exp.Tuple):
        return
    if isinstance(then.this, exp.Tuple):
        listed = [item.name for item in then.this.expressions]
    else:
        listed = [column.name for column in table.columns if column.generated is None]
    for name, cell in zip(listed, then.expression.expressions, strict=False):
        if name.lower() in always and not _is_default(cell):
            raise _not_by_hand(name, f'cannot insert a non-DEFAULT value into column "{name}"')


def _refuse_set(items: list[exp.Expr] | tuple[()], always: set[str]) -> None:
    for item in items:
        targets, values = [item.this], [item.expression]
        if isinstance(item.this, exp.Tuple):
            targets = item.this.expressions
            values = (
                item.expression.expressions
                if isinstance(item.expression, exp.Tuple)
                else [None] * len(targets)
            )
        for target, value in zip(targets, values, strict=False):
            if target.name.lower() in always and not _is_default(value):
                raise _not_by_hand(target.name, f'column "{target.name}" can only be updated to DEFAULT')


def _pass_over(tree: exp.Insert, table: Table, columns: Sequence[str]) -> None:
    """Leaves out what the statement gives to identity columns."""
    own = {column.name for column in table.columns if column.identity}
    source = tree.expression
    if tree.args.get("default") or not own & set(columns):
        return
    if isinstance(source, exp.Values):
        for row in source.expressions:
            cells = zip(columns, row.expressions, strict=False)
            row.set("expressions", [exp.Var(this="DEFAULT") if name in own else cell for name, cell in cells])
        return
    kept = [exp.to_identifier(name, quoted=True) for name in columns if name not in own]
    if not kept:
        raise BoughError(
            "0A000",
            "OVERRIDING USER VALUE with a query for nothing but identity columns is not supported",
            hint="INSERT … VALUES (DEFAULT), or DEFAULT VALUES.",
        )
    listed = [exp.to_identifier(name, quoted=True) for name in columns]
    alias = exp.TableAlias(this=exp.to_identifier("_given"), columns=listed)
    rows = exp.Subquery(this=source, alias=alias)
    tree.set("expression", exp.select(*[exp.column(name.copy()) for name in kept]).from_(rows))
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    tree.set("this", exp.Schema(this=node, expressions=kept))


def _cells(source: exp.Expr | None, place: int) -> Iterator[exp.Expr]:
    if isinstance(source, exp.Values):
        for row in source.expressions:
            if isinstance(row, exp.Tuple) and place < len(row.expressions):
                yield row.expressions[place]


def _is_default(value: exp.Expr | None) -> bool:
    return isinstance(value, exp.Var) and value.name.upper() == "DEFAULT"


def _not_by_hand(name: str, message: str) -> BoughError:
    return BoughError(
        "428C9",
        message,
        detail=f'Column "{name}" is an identity column defined as GENERATED ALWAYS.',
        hint="Use OVERRIDING SYSTEM VALUE to override." if "insert" in message else None,
        column=name,
    )
