"""Unquoted identifiers fold to lower case, and all are quoted from here on.

DuckDB keeps the case of a name and has other reserved words than Postgres; quoted lower-case names mean
the same in both.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.names import fold, truncate


def fold_identifiers(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> fold_identifiers(sqlglot.parse_one('SELECT A."B" FROM T AS A')).sql("duckdb")
    'SELECT "a"."B" FROM "t" AS "a"'
    """
    for identifier in tree.find_all(exp.Identifier):
        name = identifier.this
        if identifier.args.get("quoted"):
            if (
                len(name) > 15
                and (cut := truncate(name)) != name
                and not isinstance(identifier.parent, exp.Table)
            ):
                identifier.set("this", cut)
        else:
            identifier.set("this", fold(name))
            identifier.set("quoted", True)
    return tree
