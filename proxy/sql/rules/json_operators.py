"""JSON operators and functions, by key or index instead of DuckDB's path language.

``->`` with a text key must not read ``$.x`` or ``/x`` as a path, a missing key is NULL, and ``->>`` of a JSON
null is NULL, as in Postgres.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.macros import call


def json_operators(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> json_operators(sqlglot.parse_one("SELECT a ->> 'b'", read="postgres")).sql("duckdb")
    "SELECT bough_fn.json_key_text(a, 'b')"
    """
    for node in reversed(list(tree.find_all(*_OPERATORS))):
        new = _rewritten(node)
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree


_OPERATORS = (
    exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONBContains,
    exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys,
)  # fmt: skip


def _rewritten(node: exp.Expr) -> exp.Expr:
    value, key = node.this, node.expression
    if isinstance(node, exp.JSONBContains):
        return call("json_has", value, key)
    if isinstance(node, exp.JSONBContainsAnyTopKeys):
        return call("json_has_any", value, key)
    if isinstance(node, exp.JSONBContainsAllTopKeys):
        return call("json_has_all", value, key)
    if isinstance(node, exp.JSONBExtract):
        return call("json_path", value, key)
    if isinstance(node, exp.JSONBExtractScalar):
        return call("json_path_text", value, key)
    suffix = "_text" if isinstance(node, exp.JSONExtractScalar) else ""
    if isinstance(key, exp.JSONPath):
        parts = key.expressions[1:]
        if len(parts) == 1 and isinstance(parts[0], exp.JSONPathSubscript):
            return call("json_at" + suffix, value, exp.Literal.number(parts[0].this))
        name = ".".join(str(part.this) for part in parts)
        return call("json_key" + suffix, value, exp.Literal.string(name))
    if isinstance(key, exp.Literal) and key.is_string:
        return call("json_key" + suffix, value, key)
    if isinstance(key, (exp.Literal, exp.Neg)):
        return call("json_at" + suffix, value, key)
    return call("json_any" + suffix, value, key)
