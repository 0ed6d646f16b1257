"""Functions in FROM and arrays in comparisons: series, ``unnest``, ``= ANY('{1,2}')``.

``generate_series`` in a SELECT list gives rows in Postgres and a list in DuckDB: ``unnest`` makes it rows.
In FROM, ``AS g`` names the column as well.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.array_text import parse_array

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def relations(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> relations(sqlglot.parse_one("SELECT generate_series(1, 3)", read="postgres")).sql("duckdb")
    'SELECT UNNEST(GENERATE_SERIES(1, 3))'
    """
    for series in reversed(list(tree.find_all(exp.ExplodingGenerateSeries))):
        if not isinstance(series.parent, exp.Table):
            arguments = [series.args[key].copy() for key in ("start", "end", "step") if series.args.get(key)]
            listed = exp.Anonymous(this="generate_series", expressions=arguments)
            series.replace(exp.Anonymous(this="unnest", expressions=[listed]))
    for table in reversed(list(tree.find_all(exp.Table))):
        _exploded_table(table)
    for node in reversed(list(tree.find_all(exp.Any, exp.Anonymous))):
        if isinstance(node, exp.Anonymous) and node.name.lower() != "all":
            continue
        inner = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        literal = inner.this if isinstance(inner, exp.Paren) else inner
        if isinstance(literal, exp.Literal) and literal.is_string:
            _compared_with(node, parse_array(literal.name), literal)
        elif _may_be_null(literal) and isinstance(node.parent, _COMPARISONS):
            _null_with(node.parent, literal, is_any=isinstance(node, exp.Any))
    for like in list(tree.find_all(exp.Like, exp.ILike)):
        if isinstance(like.expression, (exp.Any, exp.All)):
            _like_each(like)
    return tree


def _like_each(like: exp.Expr) -> None:
    """``x LIKE ANY (ARRAY['a%', 'b%'])``, which the engine lacks, pattern by pattern."""
    patterns = like.expression.this.unnest()
    if isinstance(patterns, exp.Literal):
        patterns = parse_array(patterns.name)
    if not isinstance(patterns, exp.Array) or not patterns.expressions:
        return
    each = []
    for pattern in patterns.expressions:
        one = like.copy()
        one.set("expression", pattern.copy())
        each.append(one)
    join = exp.or_ if isinstance(like.expression, exp.Any) else exp.and_
    like.replace(exp.paren(join(*each, copy=False, dialect="duckdb"), copy=False))


def _may_be_null(array: exp.Expr) -> bool:
    while isinstance(array, exp.Cast):
        array = array.this
    return not isinstance(array, (exp.Array, exp.Query, exp.Literal))


def _null_with(comparison: exp.Expr, array: exp.Expr, *, is_any: bool) -> None:
    """A comparison with ANY or ALL of NULL is NULL; the engine takes it for no elements. Where rows are chosen, ANY of
    no elements chooses none either."""
    node = comparison
    while isinstance(node.parent, (exp.And, exp.Or, exp.Paren)):
        node = node.parent
    chooses = isinstance(node.parent, (exp.Where, exp.Having)) or (
        isinstance(node.parent, (exp.Join, exp.If)) and node.arg_key in ("on", "this")
    )
    there = exp.Not(this=exp.Is(this=array.copy(), expression=exp.Null()))
    if not chooses:
        comparison.replace(exp.Case(ifs=[exp.If(this=there, true=comparison.copy())]))
    elif not is_any:
        comparison.replace(exp.Paren(this=exp.And(this=there, expression=comparison.copy())))


def _compared_with(node: exp.Expr, array: exp.Array, literal: exp.Expr) -> None:
    """``x = ANY('{1,2}')`` as ``x IN ('1', '2')``: each element then takes the type of ``x``."""
    comparison = node.parent
    equal = isinstance(node, exp.Any) and isinstance(comparison, exp.EQ)
    unequal = isinstance(node, exp.Anonymous) and isinstance(comparison, exp.NEQ)
    if not array.expressions or not (equal or unequal) or comparison is None:
        literal.replace(array)
        return
    listed: exp.Expr = exp.In(this=comparison.this.copy(), expressions=array.expressions)
    comparison.replace(exp.Not(this=listed) if unequal else listed)


def _exploded_table(table: exp.Table) -> None:
    """``FROM json_array_elements(x) AS e(v)`` after ``functions`` made it ``unnest``."""
    if isinstance(table.this, exp.Explode):
        alias = table.args.get("alias")
        value = exp.Alias(this=table.this.copy(), alias=exp.to_identifier("value", quoted=True))
        select = exp.Select(expressions=[value])
        alias = (
            alias.copy()
            if alias is not None
            else exp.TableAlias(this=exp.to_identifier("value", quoted=True))
        )
        if not alias.args.get("columns"):
            name = (
                alias.this
                if _is_read_as_column(table, alias.this)
                else exp.to_identifier("value", quoted=True)
            )
            alias.set("columns", [name.copy()])
        lateral = exp.Lateral(this=exp.Subquery(this=select), alias=alias)
        table.replace(
            lateral if isinstance(table.parent, exp.Join) else exp.Subquery(this=select, alias=alias)
        )


def _is_read_as_column(table: exp.Table, alias: exp.Expr) -> bool:
    """``FROM json_array_elements(x) AS e`` with ``e ->> 'a'``: the alias stands for the element."""
    select = table.find_ancestor(exp.Query, exp.Update, exp.Delete)
    if select is None:
        return False
    columns = [(column.table.lower(), column.name.lower()) for column in select.find_all(exp.Column)]
    name = alias.name.lower()
    return ("", name) in columns and not {("", "value"), (name, "value")}.intersection(columns)
