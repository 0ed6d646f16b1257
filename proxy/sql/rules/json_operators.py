"""JSON operators and functions, by key or index instead of DuckDB's path language.

``->`` with a text key must not read ``$.x`` or ``/x`` as a path, a missing key is NULL, and ``->>`` of a JSON
null is NULL, as in Postgres.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.array_text import parse_array
from proxy.sql.macros import MACRO_SCHEMA, call


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
    for pipe in reversed(list(tree.find_all(exp.DPipe))):
        left, right = pipe.this, pipe.expression
        if (_is_jsonb(left) and _may_be_jsonb(right)) or (_is_jsonb(right) and _may_be_jsonb(left)):
            new = call("json_concat", left.copy(), right.copy())
            if pipe is tree:
                tree = new
            else:
                pipe.replace(new)
    return tree


def _is_jsonb(value: exp.Expr) -> bool:
    """What is jsonb by its looks: types are not known here."""
    value = value.unnest()
    if isinstance(value, exp.Cast):
        return bool(value.to.this == exp.DType.JSONB)
    if isinstance(value, exp.Dot):
        return bool(value.this.name == MACRO_SCHEMA and value.expression.name == "json_concat")
    return isinstance(value, exp.Anonymous) and value.name.lower() in ("json_object", "json_array", "to_json")


def _may_be_jsonb(value: exp.Expr) -> bool:
    """What Postgres would take for jsonb beside one: a column, a literal, a member."""
    value = value.unnest()
    if isinstance(value, exp.Dot) and value.this.name == MACRO_SCHEMA:
        return value.expression.name in ("json_key", "json_at", "json_any", "json_path", "json_concat")
    if isinstance(value, exp.Coalesce):
        return _may_be_jsonb(value.this)
    return (
        isinstance(value, exp.Column)
        or _is_jsonb(value)
        or (isinstance(value, exp.Literal) and value.is_string)
    )


_OPERATORS = (
    exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONBContains,
    exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys,
)  # fmt: skip


def _texts(keys: exp.Expr) -> exp.Expr:
    """A text without a type beside ``?|`` is an array."""
    if isinstance(keys, exp.Literal) and keys.is_string:
        keys = parse_array(keys.name)
    return exp.cast(keys.copy(), "TEXT[]", dialect="duckdb") if isinstance(keys, exp.Array) else keys


def _rewritten(node: exp.Expr) -> exp.Expr:
    value, key = node.this, node.expression
    if isinstance(node, exp.JSONBContains):
        return call("json_has", value, key)
    if isinstance(node, exp.JSONBContainsAnyTopKeys):
        return call("json_has_any", value, _texts(key))
    if isinstance(node, exp.JSONBContainsAllTopKeys):
        return call("json_has_all", value, _texts(key))
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
