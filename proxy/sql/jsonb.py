"""Whether an expression is jsonb to Postgres: to the engine json and jsonb are one type.

It is asked of what was parsed, not of what was translated: a translated function has the same name for both.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

OfColumn = Callable[[exp.Column], str | None]  # the declared type of a column, if it is known
_FUNCTIONS = frozenset(
    """
    to_jsonb jsonb_agg jsonb_object_agg jsonb_build_object jsonb_build_array jsonb_object jsonb_set jsonb_insert
    jsonb_strip_nulls jsonb_extract_path jsonb_array_elements jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first
    """.split()  # noqa: SIM905
)
_OF_FIRST = (
    exp.Paren, exp.JSONExtract, exp.JSONBExtract, exp.JSONBDeleteAtPath, exp.Sub, exp.Bracket, exp.Filter, exp.Window,
    exp.Alias,
)  # fmt: skip


def is_jsonb(node: exp.Expr | None, of_column: OfColumn) -> bool:
    """
    >>> from proxy.sql.dialect import read_postgres
    >>> [is_jsonb(item, lambda _: None) for item in read_postgres("SELECT jsonb_agg(a), json_agg(a)").expressions]
    [True, False]
    """
    if isinstance(node, exp.Column):
        return of_column(node) == "jsonb"
    if isinstance(node, exp.Cast):
        return bool(isinstance(node.to, exp.DataType) and node.to.this == exp.DType.JSONB)
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _FUNCTIONS
    if isinstance(node, exp.Dot):
        return node.this.name.lower() == "pg_catalog" and is_jsonb(node.expression, of_column)
    if isinstance(node, _OF_FIRST):
        return is_jsonb(node.this, of_column)
    if isinstance(node, exp.DPipe):
        return is_jsonb(node.this, of_column) or is_jsonb(node.expression, of_column)
    if isinstance(node, exp.Case):
        results = [arm.args.get("true") for arm in node.args["ifs"]]
        return any(is_jsonb(item, of_column) for item in (*results, node.args.get("default")))
    if isinstance(node, (exp.Coalesce, exp.Nullif)):
        return any(is_jsonb(item, of_column) for item in node.iter_expressions())
    return False
