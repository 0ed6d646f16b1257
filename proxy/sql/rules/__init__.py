"""The rules that turn a tree read as Postgres into one DuckDB runs with Postgres' meaning.

A rule is a plain function ``Expr -> Expr`` that may change the tree it is given; one rule per file. RULES is
the order in which they run. ``COMMON`` holds those that text in DuckDB's own dialect goes through as well.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from proxy.sql.rules.column_names import column_names
from proxy.sql.rules.fold_identifiers import fold_identifiers

Rule = Callable[[exp.Expr], exp.Expr]


def apply(tree: exp.Expr, *, names: bool = True, types: bool = True, dialect: str = "postgres") -> exp.Expr:
    """``tree`` after all rules. ``names`` gives result columns Postgres' names, ``types`` maps type names."""
    for rule in RULES if dialect == "postgres" else COMMON:
        if (rule is column_names and not names) or (rule in _TYPE_RULES and not types):
            continue
        tree = rule(tree)
    return tree


RULES: tuple[Rule, ...] = (column_names, fold_identifiers)
COMMON: tuple[Rule, ...] = (fold_identifiers,)
_TYPE_RULES: tuple[Rule, ...] = ()
