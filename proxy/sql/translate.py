"""From what was parsed to what ``branching`` executes: a ``duckdb`` tree with logical names."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql import rules
from proxy.sql.parse import Parsed
from proxy.sql.rules.definitions import stored


def translate(parsed: Parsed) -> exp.Expr:
    """The statement's tree with Postgres' meaning in DuckDB's dialect. ``parsed`` keeps its own tree.

    >>> from proxy.sql.parse import parse
    >>> translate(parse("SELECT 5 / 2")).sql("duckdb")
    'SELECT 5 // 2 AS "?column?"'
    """
    if parsed.tree is None:
        raise ValueError(f"{parsed.kind} has no tree")
    tree = rules.apply(parsed.tree.copy(), dialect=parsed.dialect)
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        stored(tree.this)
    return tree
