"""Functions of json and jsonb whose arguments the engine takes otherwise: paths and texts in arrays."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.array_text import parse_array
from proxy.sql.macros import call

Args = list[exp.Expr]


def json_object(a: Args) -> exp.Expr:
    """Of texts in arrays, unlike the engine's function of that name."""
    given = [parse_array(item.name) if isinstance(item, exp.Literal) else item for item in a]
    return call("json_of_texts", *given)


def json_set(a: Args) -> exp.Expr:
    return call("json_put", *_at_path(a, True))


def json_insert(a: Args) -> exp.Expr:
    return call("json_insert", *_at_path(a, False))


def _at_path(a: Args, last: bool) -> Args:
    """jsonb, a path, a value and ``last`` if that is not given."""
    path = parse_array(a[1].name) if isinstance(a[1], exp.Literal) else a[1]
    return [a[0], path, a[2], a[3] if len(a) > 3 else exp.Boolean(this=last)]


def path_text(a: Args) -> exp.Expr:
    return call("json_path_text", a[0], exp.Array(expressions=a[1:]))


def path(a: Args) -> exp.Expr:
    return call("json_path", a[0], exp.Array(expressions=a[1:]))
