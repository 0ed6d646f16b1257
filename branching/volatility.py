"""Expressions that give something else each time."""

from __future__ import annotations

from sqlglot import exp

_VOLATILE = frozenset(
    {"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "setseed", "setval"}
)


def is_volatile(*nodes: exp.Expr | None) -> bool:
    """Whether evaluating the nodes twice may give two answers."""
    for node in nodes:
        if node is None:
            continue
        for function in node.find_all(exp.Func):
            name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
            if name.lower() in _VOLATILE or isinstance(function, exp.Rand | exp.Uuid):
                return True
    return False
