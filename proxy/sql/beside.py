"""A constant takes the type of what stands at its place in the other rows of VALUES, or the other parts of a UNION."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.expression_types import TEXT, Scope, expression_type, is_exact


def beside(node: exp.Expr, scope: Scope) -> str | None:
    """By position, in the other rows of VALUES in FROM or the other SELECT lists of a UNION and its like."""
    if isinstance(node.parent, exp.Alias):
        node = node.parent
    row = node.parent
    rows: list[exp.Expr] = []
    if isinstance(row, exp.Tuple) and isinstance(row.parent, exp.Values):
        rows = row.parent.expressions if not isinstance(row.parent.parent, exp.Insert) else []
    elif isinstance(row, exp.Select) and isinstance(row.parent, exp.SetOperation):
        top = row.parent
        while isinstance(top.parent, exp.SetOperation):
            top = top.parent
        rows = [] if isinstance(top.parent, exp.Insert) else _parts(top)
    if len(rows) < 2 or row is None:
        return None
    at = next((i for i, item in enumerate(row.expressions) if item is node), 999)
    others = [
        other.expressions[at].unalias() for other in rows if other is not row and at < len(other.expressions)
    ]
    typed = [item for item in others if not (isinstance(item, exp.Literal) and item.is_string)]
    return next((type_ for item in typed if (type_ := expression_type(item, scope))), None)


def _parts(query: exp.Expr) -> list[exp.Expr]:
    if isinstance(query, exp.SetOperation):
        return _parts(query.this) + _parts(query.expression)
    inner = query.unnest()
    return (
        [inner]
        if isinstance(inner, exp.Select) and not any(item.is_star for item in inner.expressions)
        else []
    )


def of_rows(values: exp.Values, name: str, scope: Scope) -> str | None:
    """The type of a column of VALUES in FROM, '' if it has none of that name; None if nobody knows."""
    width = len(values.expressions[0].expressions) if values.expressions else 0
    names = [item.lower() for item in values.alias_column_names]
    names += [f"column{at + 1}" for at in range(len(names), width)]
    if name.lower() not in names:
        return ""
    at = names.index(name.lower())
    items = [row.expressions[at] for row in values.expressions if at < len(row.expressions)]
    texts = [item for item in items if isinstance(item, exp.Literal) and item.is_string]
    typed = [item for item in items if item not in texts and not isinstance(item, exp.Null)]
    found = {expression_type(item, scope) for item in typed}
    if not found:
        return TEXT if texts else None
    type_ = found.pop()
    return type_ if not found and type_ is not None and is_exact(type_) else None
