"""Aggregates: ``sum`` has Postgres' result type (bigint of integers), ``percentile_cont`` of numbers a double, others
get the engine's names."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.macros import call, function, has_known_type


def aggregates(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> aggregates(sqlglot.parse_one("SELECT sum(a) FILTER (WHERE b)", read="postgres")).sql("duckdb")
    'SELECT bough_fn.sum(CASE WHEN b THEN a END)'
    """
    for node in reversed(list(tree.find_all(exp.Sum))):
        if isinstance(node.this, (exp.Distinct, exp.Order)) or not has_known_type(node.this):
            continue
        if isinstance(node.parent, exp.Filter):
            condition = node.parent.expression.this
            case = exp.Case(ifs=[exp.If(this=condition.copy(), true=node.this.copy())])
            _replace(node.parent, call("sum", case))
        else:
            _replace(node, call("sum", node.this.copy()))
    for within in list(tree.find_all(exp.WithinGroup)):
        if isinstance(within.this, exp.PercentileCont):
            for ordered in within.expression.find_all(exp.Ordered):
                if not isinstance(ordered.this, exp.Null):  # which fits every overload
                    ordered.set("this", call("continuous", ordered.this.copy()))
    for group in list(tree.find_all(exp.GroupConcat)):
        separator = group.args.get("separator")
        new = function("string_agg", group.this.copy(), *([separator.copy()] if separator else []))
        if isinstance(group.this, exp.Order):
            continue
        group.replace(new)
    for array in list(tree.find_all(exp.JSONArrayAgg)):
        array.replace(function("json_group_array", array.this.copy()))
    for objects in list(tree.find_all(exp.JSONObjectAgg)):
        pair = objects.expressions[0] if objects.expressions else objects.this
        if isinstance(pair, exp.JSONKeyValue):
            objects.replace(function("json_group_object", pair.this.copy(), pair.expression.copy()))
    return tree


def _replace(node: exp.Expr, sum_: exp.Expr) -> None:
    """Over a window the engine takes two parts for a schema's name, and the macros are in a database of their own."""
    if isinstance(node.parent, exp.Window):
        sum_.set("this", exp.Dot(this=sum_.this, expression=exp.to_identifier("main")))
    node.replace(sum_)
