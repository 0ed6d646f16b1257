"""Aggregates: ``sum`` has Postgres' result type (bigint of integers), ``percentile_cont`` of numbers a double, others
get the engine's names."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from proxy.sql.macros import MACRO_SCHEMA, call, function, has_known_type

_NO_NUMERIC = exp.cast(exp.null(), "DECIMAL(1,0)", dialect="duckdb")


def aggregates(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> aggregates(sqlglot.parse_one("SELECT sum(a) FILTER (WHERE b)", read="postgres")).sql("duckdb")
    'SELECT bough_fn.sum(CASE WHEN b THEN a END)'
    """
    for node in reversed(list(tree.find_all(exp.Sum))):
        name, value = "sum", node.this
        if isinstance(value, exp.Distinct) and len(value.expressions) == 1:
            name, value = "sum_distinct", value.expressions[0]
        if isinstance(value, (exp.Distinct, exp.Order)):
            continue
        if not has_known_type(value):
            if name == "sum" and _is_sum(value):
                node.set("this", exp.func("coalesce", value.copy(), _NO_NUMERIC.copy()))
            continue
        if isinstance(node.parent, exp.Filter):
            condition = node.parent.expression.this
            case = exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])
            _replace(node.parent, call(name, case))
        else:
            _replace(node, call(name, value.copy()))
    for within in list(tree.find_all(exp.WithinGroup)):
        _within(within)
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
    for distinct in list(tree.find_all(exp.Distinct)):
        _sorted(distinct)
    for call_ in list(tree.find_all(exp.Anonymous)):
        if call_.name == "json_group_array" and _chooses(call_):
            _wrap(call_, function("list", *_copies(call_)), lambda listed: function("to_json", listed))
        elif call_.name == "json_group_object" and _chooses(call_) and len(call_.expressions) == 2:
            _wrap(call_, _pairs(*_copies(call_)), _braced)
    return tree


_QUANTILES: dict[type[exp.Expr], str] = {
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
}


def _within(within: exp.WithinGroup) -> None:
    """Ordered-set aggregates in the engine's form; ``rank(x)`` and its like count the rows that come before ``x``."""
    order = within.expression
    keys = list(order.expressions) if isinstance(order, exp.Order) else []
    if len(keys) != 1:
        return
    key = keys[0]
    if isinstance(within.this, exp.PercentileCont) and not isinstance(key.this, exp.Null):
        # NULL fits every overload
        key.set("this", call("continuous", key.this.copy()))
    if (name := _QUANTILES.get(type(within.this))) is not None:
        fraction = exp.Order(this=within.this.this.copy(), expressions=[key.copy()])
        within.replace(function(name, key.this.copy(), fraction))
    elif isinstance(within.this, exp.Anonymous) and len(within.this.expressions) == 1:
        _place(within, within.this.name.lower(), within.this.expressions[0], key)


def _place(within: exp.WithinGroup, name: str, row: exp.Expr, key: exp.Expr) -> None:
    """``rank(x) WITHIN GROUP (ORDER BY y)``: what the window function would give for one row more."""
    if name not in ("rank", "dense_rank", "percent_rank", "cume_dist"):
        return
    outer = within.parent if isinstance(within.parent, exp.Filter) else within
    counted = [outer.expression.this.copy()] if outer is not within else []
    value, row = key.this, exp.Paren(this=row.copy())
    beyond = exp.GT if key.args.get("desc") else exp.LT
    lone, other = (value, row) if key.args.get("nulls_first") else (row, value)
    before = exp.or_(
        beyond(this=value.copy(), expression=row.copy()),
        exp.and_(_is_null(lone), exp.not_(_is_null(other))),
        dialect="duckdb",
    )
    same = exp.NullSafeEQ(this=value.copy(), expression=row.copy())
    total = _count([*counted, exp.true()], exp.Literal.number(1))
    if name == "percent_rank":
        made: exp.Expr = _share(_count([*counted, before], exp.Literal.number(1)), total, 0)
    elif name == "cume_dist":
        made = _share(_count([*counted, exp.or_(before, same)], exp.Literal.number(1)), total, 1)
    elif name == "rank":
        made = _one_more(_count([*counted, before], exp.Literal.number(1)))
    else:
        made = _one_more(
            _count([*counted, before], exp.Distinct(expressions=[function("row", value.copy())]))
        )
    outer.replace(exp.Paren(this=made))


def _is_null(value: exp.Expr) -> exp.Expr:
    return exp.Is(this=value.copy(), expression=exp.null())


def _one_more(count: exp.Expr) -> exp.Expr:
    return exp.Add(this=count, expression=exp.Literal.number(1))


def _share(part: exp.Expr, whole: exp.Expr, more: int) -> exp.Expr:
    """A share of the rows with ``more`` added to both, 0 of no rows."""
    added, of = [
        exp.Paren(this=exp.Add(this=item, expression=exp.Literal.number(more))) for item in (part, whole)
    ]
    divided = exp.IntDiv(
        this=exp.cast(added, "DOUBLE", dialect="duckdb"),
        expression=exp.Nullif(this=of, expression=exp.Literal.number(0)),
    )
    return exp.func("coalesce", divided, exp.Literal.number(0))


def _count(conditions: list[exp.Expr], what: exp.Expr) -> exp.Expr:
    """How many rows (or distinct values) fulfil all conditions."""
    return exp.Filter(
        this=exp.Count(this=what), expression=exp.Where(this=exp.and_(*conditions, dialect="duckdb"))
    )


def _sorted(distinct: exp.Distinct) -> None:
    """What is collected with DISTINCT comes sorted from Postgres, NULL last."""
    collects = distinct.parent
    if collects is None:
        return
    named = isinstance(collects, exp.Anonymous) and collects.name.lower() in (
        "string_agg",
        "json_group_array",
        "list",
    )
    if not (named or isinstance(collects, exp.ArrayAgg)) or len(distinct.expressions) != 1:
        return
    order = [exp.Ordered(this=distinct.expressions[0].copy(), nulls_first=False)]
    if named and len(collects.expressions) == 2:
        last = collects.expressions[1]
        if not isinstance(last, exp.Order):
            last.replace(exp.Order(this=last.copy(), expressions=order))
        return
    distinct.replace(exp.Order(this=distinct.copy(), expressions=order))


def _copies(node: exp.Expr) -> list[exp.Expr]:
    return [item.copy() for item in node.expressions]


def _is_sum(value: exp.Expr) -> bool:
    """Whether a value is a sum or a count, which Postgres sums up to numeric; the engine is told by a NULL."""
    if isinstance(value, exp.Dot) and isinstance(value.expression, exp.Anonymous):
        return value.this.name == MACRO_SCHEMA and value.expression.name == "sum"
    if isinstance(value, (exp.Paren, exp.Filter)):
        return _is_sum(value.this)
    if isinstance(value, exp.Anonymous) and value.name.lower() == "abs":
        return _is_sum(value.expressions[0])
    if isinstance(value, exp.Case):
        return any(_is_sum(arm.args["true"]) for arm in value.args["ifs"])
    if isinstance(value, (exp.Add, exp.Sub, exp.Mul)):
        return _is_sum(value.this) or _is_sum(value.expression)
    return isinstance(value, (exp.Sum, exp.Count)) or (
        isinstance(value, exp.Coalesce) and _is_sum(value.this)
    )


def _chooses(node: exp.Expr) -> bool:
    """What the engine's macros of JSON do not take: an order, DISTINCT, FILTER."""
    return isinstance(node.parent, exp.Filter) or any(
        isinstance(item, (exp.Order, exp.Distinct)) for item in node.expressions
    )


def _wrap(node: exp.Expr, aggregate: exp.Expr, wrap: Callable[[exp.Expr], exp.Expr]) -> None:
    """Replaces an aggregate; what is made of its result goes around its FILTER and OVER."""
    outer = node
    while isinstance(outer.parent, (exp.Filter, exp.Window)) and outer.arg_key == "this":
        outer = outer.parent
    node.replace(aggregate)
    whole = aggregate if outer is node else outer
    whole.replace(wrap(whole.copy()))


def _pairs(key: exp.Expr, value: exp.Expr) -> exp.Expr:
    """The members of an object, in the order that stands behind the value."""
    order = value if isinstance(value, exp.Order) else None
    value = value.this if order else value
    key = key.this.copy() if isinstance(key, exp.Order) else key
    name = function("to_json", exp.cast(key, "TEXT", dialect="duckdb"))
    member = exp.func("coalesce", function("to_json", value.copy()), exp.Literal.string("null"))
    pair = exp.DPipe(this=exp.DPipe(this=name, expression=exp.Literal.string(":")), expression=member)
    comma: exp.Expr = exp.Literal.string(",")
    if order:
        comma = exp.Order(this=comma, expressions=[item.copy() for item in order.expressions])
    return function("string_agg", pair, comma)


def _braced(members: exp.Expr) -> exp.Expr:
    text = exp.DPipe(
        this=exp.DPipe(this=exp.Literal.string("{"), expression=members), expression=exp.Literal.string("}")
    )
    return exp.cast(text, "JSON", dialect="duckdb")


def _replace(node: exp.Expr, sum_: exp.Expr) -> None:
    """Over a window the engine takes two parts for a schema's name, and the macros are in a database of their own."""
    if isinstance(node.parent, exp.Window):
        sum_.set("this", exp.Dot(this=sum_.this, expression=exp.to_identifier("main")))
    node.replace(sum_)
