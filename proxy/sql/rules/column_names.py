"""Result columns are named as Postgres names them: ``count``, ``sum``, ``?column?``, ``case``, ``coalesce``.

DuckDB would use the expression's text. Only the outermost SELECT list, the lists of sub-queries in FROM and
the first arm of a set operation give names; those are where an alias is added.
"""

from __future__ import annotations

from sqlglot import exp

UNNAMED = "?column?"


def column_names(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> column_names(sqlglot.parse_one("SELECT count(*), 1 + 1, a", read="postgres")).sql("duckdb")
    'SELECT COUNT(*) AS "count", 1 + 1 AS "?column?", a'
    """
    for select in reversed(list(tree.find_all(exp.Select))):
        if _names_matter(select):
            for item in list(select.expressions):
                _alias(item)
    for returning in list(tree.find_all(exp.Returning)):
        for item in list(returning.expressions):
            _alias(item)
    return tree


def _names_matter(select: exp.Expr) -> bool:
    parent = select.parent
    if isinstance(parent, exp.SetOperation):
        return parent.this is select and _names_matter(parent)
    if isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.SetOperation):
        return _names_matter(parent)
    return not isinstance(parent, (exp.In, exp.Exists, exp.Any, exp.All, exp.Array, exp.Insert))


def _alias(item: exp.Expr) -> None:
    if isinstance(item, (exp.Alias, exp.Column, exp.Star, exp.Aliases)):
        return
    name = name_of(item) or UNNAMED
    item.replace(exp.alias_(item.copy(), name, quoted=True))


_FUNCTION_NAMES: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "current_timestamp",
    exp.StrPosition: "position",
    exp.Array: "array",
    exp.ExplodingGenerateSeries: "generate_series",
    exp.Explode: "unnest",
    exp.ArrayAgg: "array_agg",
    exp.Localtimestamp: "localtimestamp",
    exp.Localtime: "localtime",
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentUser: "current_user",
    exp.CurrentSchema: "current_schema",
    exp.CurrentCatalog: "current_catalog",
    exp.SessionUser: "session_user",
}
_NAMED_FUNCTIONS = (
    exp.Sum, exp.Count, exp.Min, exp.Max, exp.Avg, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least,
    exp.Extract, exp.Grouping, exp.PercentileCont, exp.PercentileDisc, exp.Substring, exp.Overlay,
)  # fmt: skip


def name_of(item: exp.Expr) -> str | None:
    """Postgres' FigureColname: the name an expression gives its column, or None."""
    if isinstance(item, (exp.Paren, exp.Collate, exp.AtTimeZone)):
        return "timezone" if isinstance(item, exp.AtTimeZone) else name_of(item.this)
    if isinstance(item, exp.Cast):
        return _strong_name(item.this) or _type_name(item.to)
    if isinstance(item, exp.Interval):
        return "interval"
    if isinstance(item, exp.Column):
        return str(item.name)
    if isinstance(item, exp.Alias):
        return str(item.alias)
    if isinstance(item, exp.Case):
        default = item.args.get("default")
        return (_strong_name(default) if default is not None else None) or "case"
    if isinstance(item, exp.Exists):
        return "exists"
    if isinstance(item, exp.Subquery):
        inner = item.this
        while isinstance(inner, (exp.SetOperation, exp.Subquery)):
            inner = inner.this
        selects = inner.selects if isinstance(inner, exp.Select) else []
        return name_of(selects[0]) if selects else None
    if isinstance(item, (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.Bracket)):
        return name_of(item.this)
    if (known := _FUNCTION_NAMES.get(type(item))) is not None:
        return known
    if isinstance(item, exp.Anonymous):
        return str(item.name).lower()
    if isinstance(item, exp.Dot):
        return item.name if isinstance(item.expression, exp.Identifier) else name_of(item.expression)
    if isinstance(item, exp.Trim):
        return {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(item.args.get("position")), "btrim")
    if isinstance(item, _NAMED_FUNCTIONS):
        return str(item.sql_name()).lower()
    return None


def _strong_name(item: exp.Expr) -> str | None:
    """The name that a cast around ``item`` keeps: a type's or CASE's own name is not."""
    while isinstance(item, (exp.Cast, exp.Paren)):
        item = item.this
    if isinstance(item, exp.Case):
        return _strong_name(item.args["default"]) if item.args.get("default") is not None else None
    return None if isinstance(item, exp.Interval) else name_of(item)


_TYPE_NAMES = {
    "INT": "int4", "BIGINT": "int8", "SMALLINT": "int2", "DOUBLE": "float8", "FLOAT": "float4",
    "BOOLEAN": "bool", "DECIMAL": "numeric", "TIMESTAMPTZ": "timestamptz", "CHAR": "bpchar",
    "VARBINARY": "bytea", "BINARY": "bytea",
}  # fmt: skip


def _type_name(type_: exp.Expr) -> str:
    if not isinstance(type_.this, exp.DType):
        return type_.name.lower()
    assert isinstance(type_, exp.DataType)
    if type_.this in (exp.DType.ARRAY, exp.DType.LIST) and type_.expressions:
        return _type_name(type_.expressions[0])
    if type_.this == exp.DType.USERDEFINED:
        return str(type_.args.get("kind") or "").lower().replace('"', "").rpartition(".")[2]
    return _TYPE_NAMES.get(type_.this.value, str(type_.this.value).lower())
