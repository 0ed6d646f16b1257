"""``/`` is DuckDB's ``//``: integers truncate towards zero, decimals and floats divide, zero is an error.

Measured on DuckDB 2.0: ``//`` of DECIMAL and DOUBLE is true division, and raises on a zero divisor as long as
``error_on_division_by_zero`` is on (the default). INTERVAL has no ``//``: a macro divides what
is one by its looks.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.macros import call


def division(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> division(sqlglot.parse_one("SELECT a / 2", read="postgres")).sql("duckdb")
    'SELECT a // 2'
    """
    for node in reversed(list(tree.find_all(exp.Div))):
        if _is_interval(node.this):
            _replace(node, call("interval_over", node.this, node.expression))
        else:
            _replace(node, exp.IntDiv(this=node.this, expression=node.expression))
    return tree


def _replace(node: exp.Expr, new: exp.Expr) -> None:
    node.replace(new)


def _is_interval(node: exp.Expr) -> bool:
    if isinstance(node, exp.Paren):
        return _is_interval(node.this)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        return _is_interval(node.this) or _is_interval(node.expression)
    if isinstance(node, exp.Cast):
        return bool(node.to.this == exp.DType.INTERVAL)
    return isinstance(node, exp.Interval)
