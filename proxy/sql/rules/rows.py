"""Rows compared member by member: a NULL among them makes the answer NULL, where the engine takes it for a value.

``(a, b) = (1, 2)`` is ``a = 1 AND b = 2``, ``(a, b) < (c, d)`` is ``a < c OR a = c AND b < d``, ``(a, b) IS NULL`` asks
each member; OVERLAPS of two periods is a macro.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.macros import call

_STRICT: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.LT: exp.LT, exp.LTE: exp.LT, exp.GT: exp.GT, exp.GTE: exp.GT,
}  # fmt: skip
_COMPARED: tuple[type[exp.Expr], ...] = (exp.EQ, exp.NEQ, *_STRICT, exp.In, exp.Is, exp.Overlaps)
# a longer list is left to the engine where rows are chosen: what it takes for false chooses none either
_SHORT = 20


def rows(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> rows(sqlglot.parse_one("SELECT (a, b) < (1, 2)", read="postgres")).sql("duckdb")
    'SELECT (a < 1 OR (a = 1 AND b < 2))'
    """
    for node in reversed(list(tree.find_all(*_COMPARED))):
        new = _changed(node)
        if new is not None:
            node.replace(new)
    return tree


def _changed(node: exp.Expr) -> exp.Expr | None:
    if node.parent is None or (
        isinstance(node.parent, (exp.Update, exp.OnConflict)) and node.arg_key == "expressions"
    ):
        return None  # an assignment of several columns
    left = _members(node.this)
    if not left:
        return None
    if isinstance(node, exp.Is):
        return _asked(node, left)
    if isinstance(node, exp.In):
        return _among(node, left)
    right = _members(node.expression)
    if len(right) != len(left):
        return None
    if isinstance(node, exp.Overlaps):
        return call("overlaps", *[item.copy() for item in (*left, *right)]) if len(left) == 2 else None
    return _compared(type(node), left, right)


def _members(node: exp.Expr | None) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "row":
        return list(node.expressions)
    return []


def _compared(kind: type[exp.Expr], left: list[exp.Expr], right: list[exp.Expr]) -> exp.Expr:
    pairs = list(zip(left, right, strict=True))
    if kind in (exp.EQ, exp.NEQ):
        joined = _all if kind is exp.EQ else _any
        return joined([_binary(kind, one, other) for one, other in pairs])
    arms = []
    for at, (one, other) in enumerate(pairs):
        last = at == len(pairs) - 1
        equal = [_binary(exp.EQ, *pair) for pair in pairs[:at]]
        arms.append(_all([*equal, _binary(kind if last else _STRICT[kind], one, other)]))
    return _any(arms)


def _binary(kind: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return kind(this=left.copy(), expression=right.copy())


def _all(items: list[exp.Expr]) -> exp.Expr:
    return _joined(exp.And, items)


def _any(items: list[exp.Expr]) -> exp.Expr:
    return _joined(exp.Or, items)


def _joined(kind: type[exp.Expr], items: list[exp.Expr]) -> exp.Expr:
    whole = items[0]
    for item in items[1:]:
        whole = kind(this=whole, expression=item)
    return whole if len(items) == 1 else exp.Paren(this=whole)


def _asked(node: exp.Is, members: list[exp.Expr]) -> exp.Expr | None:
    if not isinstance(node.expression, exp.Null):
        return None
    extra = {"negate": True} if node.args.get("negate") else {}
    return _all([exp.Is(this=item.copy(), expression=exp.Null(), **extra) for item in members])


def _among(node: exp.In, members: list[exp.Expr]) -> exp.Expr | None:
    listed = [_members(item) for item in node.expressions]
    if not listed or any(len(item) != len(members) for item in listed):
        return None
    if len(listed) > _SHORT and not isinstance(node.parent, exp.Not):
        return None
    return _any([_compared(exp.EQ, members, item) for item in listed])
