"""The rules that turn a tree read as Postgres into one DuckDB runs with Postgres' meaning.

A rule is a plain function ``Expr -> Expr`` that may change the tree it is given; one rule per file. RULES is
the order in which they run. ``COMMON`` holds those that text in DuckDB's own dialect goes through as well.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from proxy.sql.rules.aggregates import aggregates
from proxy.sql.rules.clauses import clauses
from proxy.sql.rules.column_names import column_names
from proxy.sql.rules.division import division
from proxy.sql.rules.fold_identifiers import fold_identifiers
from proxy.sql.rules.functions import functions
from proxy.sql.rules.json_operators import json_operators
from proxy.sql.rules.patterns import patterns
from proxy.sql.rules.relations import relations
from proxy.sql.rules.rows import rows
from proxy.sql.rules.types import types

Rule = Callable[[exp.Expr], exp.Expr]

RULES: tuple[Rule, ...] = (
    column_names, patterns, rows, functions, relations, json_operators, aggregates, division, clauses, types,
    fold_identifiers,
)  # fmt: skip
COMMON: tuple[Rule, ...] = (types, fold_identifiers)


def apply(tree: exp.Expr, *, names: bool = True, dialect: str = "postgres") -> exp.Expr:
    """``tree`` after all rules. ``names`` gives result columns Postgres' names."""
    for rule in RULES if dialect == "postgres" else COMMON:
        if names or rule is not column_names:
            tree = rule(tree)
    return tree
