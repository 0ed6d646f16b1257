"""Whether a query's result is likely small, from its shape alone: decides how rows are encoded, never what they are."""

from __future__ import annotations

from sqlglot import exp

from branching.model import Table
from branching.resolve import Scope, table_name

SMALL = 300  # rows up to which encoding in Python is cheaper than planning an encoding query


def likely_small(tree: exp.Expr, scope: Scope) -> bool:
    """A wrong answer costs time only."""
    if not isinstance(tree, exp.Select):
        return not isinstance(tree, exp.Query)
    limit = tree.args.get("limit")
    if limit is not None and isinstance(limit.expression, exp.Literal) and not limit.expression.is_string:
        return int(float(limit.expression.name)) <= SMALL
    from_ = tree.args.get("from_")
    if from_ is None:
        return True
    if tree.args.get("group") is None and any(
        isinstance(item.unalias(), exp.AggFunc) for item in tree.expressions
    ):
        return True
    where = tree.args.get("where")
    if where is None or tree.args.get("joins") or not isinstance(from_.this, exp.Table):
        return False
    if not isinstance(from_.this.this, exp.Identifier):
        return False
    found = scope.find(table_name(from_.this))
    if found is None or not isinstance(found[2], Table):
        return False
    bound = (
        {
            node.this.name.lower()
            for node in where.this.flatten()
            if isinstance(node, exp.EQ) and isinstance(node.this, exp.Column)
        }
        if isinstance(where.this, exp.And)
        else (
            {where.this.this.name.lower()}
            if isinstance(where.this, exp.EQ) and isinstance(where.this.this, exp.Column)
            else set()
        )
    )
    return any(
        {name.lower() for name in item.columns} <= bound for item in found[2].constraints if item.kind in "pu"
    )
