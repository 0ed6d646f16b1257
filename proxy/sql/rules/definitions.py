"""Expressions that a table's definition keeps: CHECK, DEFAULT, GENERATED and the columns of an index."""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.macros import MACRO_SCHEMA, WITH_LAMBDAS, function

# In a table's definition no overload of ours can be chosen by type: the engine's functions of text are meant.
_STORED = {
    "length": "length", "octet_length": "strlen", "date_trunc": "date_trunc", "substring": "substring",
    "substring_of": "substring",
    "lpad": "lpad", "rpad": "rpad", "regexp_replace": "regexp_replace",
}  # fmt: skip


def stored(tree: exp.Expr) -> exp.Expr:
    """A translated expression of a table's definition (CHECK, DEFAULT, GENERATED), as the engine can keep it."""
    for node in list(tree.find_all(exp.EQ, exp.NEQ)):
        listed = _listed_in(node.expression)
        if listed is not None and isinstance(node, exp.EQ) == isinstance(node.expression, exp.Any):
            found = _among(node.this, listed)
            found = exp.Not(this=found) if isinstance(node, exp.NEQ) else found
            if node is tree:
                tree = found
            else:
                node.replace(found)
    for dot in list(tree.find_all(exp.Dot)):
        called = dot.expression
        if dot.this.name != MACRO_SCHEMA or not isinstance(called, exp.Anonymous):
            continue
        if called.name in WITH_LAMBDAS:
            raise BoughError(
                "0A000",
                f"{called.name}() cannot be kept in the definition of a table",
                detail="The engine keeps no expression that takes an array or a text apart element by element.",
                hint="Compute it in a view, or in the statements that write the table.",
            )
        if called.name in _STORED:
            plain = function(_STORED[called.name], *[item.copy() for item in called.expressions])
            if dot is tree:
                return plain
            dot.replace(plain)
    return tree


def _among(value: exp.Expr, listed: exp.Expr) -> exp.Expr:
    """``value = ANY (listed)`` without a sub-query, and in functions that a plain DuckDB file can keep."""
    if isinstance(listed, exp.Array) and all(isinstance(item, exp.Literal) for item in listed.expressions):
        return exp.In(this=value.copy(), expressions=[item.copy() for item in listed.expressions])
    whole = exp.EQ(this=function("len", listed.copy()), expression=function("list_count", listed.copy()))
    there = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
    none = exp.If(this=exp.And(this=whole, expression=there), true=exp.Boolean(this=False))
    one = exp.If(this=function("list_contains", listed.copy(), value.copy()), true=exp.Boolean(this=True))
    return exp.Case(ifs=[one, none])


def _listed_in(node: exp.Expr | None) -> exp.Expr | None:
    """The array of ``ANY (array)`` or ``ALL (array)``, which the engine makes a sub-query of."""
    if isinstance(node, exp.Any):
        inner = node.this
    elif isinstance(node, exp.Anonymous) and node.name.lower() == "all" and node.expressions:
        inner = node.expressions[0]
    else:
        return None
    return None if isinstance(inner.unnest(), exp.Query) else inner.unnest()
