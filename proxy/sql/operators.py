"""What an operator or a function does depends on the types of what it is given, and the engine's differ from Postgres'.

``||`` joins jsonb, or arrays, or an array and an element; ``-`` takes a member out of jsonb; ``/`` divides an interval;
``date_trunc`` of a date is a timestamp with time zone; times in json have a ``T``. The rules
(``proxy.sql.rules``) know no columns: here a translated tree is changed where the types are certain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.array_operators import containing, from_the_end, joined, listed, overlapping, subscript
from proxy.sql.expression_types import TEXT, engine_name
from proxy.sql.json_values import with_values, written
from proxy.sql.macros import MACRO_SCHEMA, call, function
from proxy.sql.parameters import ColumnsOf, TypesInPlace

MAY_MATTER = re.compile(
    r"\|\||/|->|[=>]\s*'\s*[{\[\"]|#|\[|@>|<@|&&|-\s*(?:'|array\b|\d|\$)|json|_agg\b|\bround\s*\(|date_trunc|concat"
    r"|format\s*\(|to_char|array_to_string|generate_series|\bsum\s*\(\s*(?:min|max)\b|\bsum\b"
    r"|\btime|[-+*]\s*[\d(]|\d\)?\s*[-+*]|\w\s*-\s*\w|(?:::|\bas\b)\s*(?:int|bigint|smallint|date|timestamp|text|varchar)",
    re.IGNORECASE,
)
_JSON, _INTERVAL, _ZONED = "JSON", "INTERVAL", "TIMESTAMP WITH TIME ZONE"
_SPELLED = ("DOUBLE", "FLOAT", _INTERVAL, "BLOB", "DECIMAL(38,10)")
_MOMENTS = ("DATE", "TIMESTAMP", _ZONED)
_WHOLE = {"SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint"}
_OPERATORS = (
    exp.DPipe,
    exp.Sub,
    exp.Add,
    exp.Mul,
    exp.AtTimeZone,
    exp.Window,
    exp.IntDiv,
    exp.Anonymous,
    exp.Cast,
    exp.Sum,
    exp.ExplodingGenerateSeries,
    exp.Bracket,
    exp.EQ,
    exp.NEQ,
    exp.ArrayOverlaps,
)


def with_operators(tree: exp.Expr, columns_of: ColumnsOf) -> exp.Expr | None:
    """A copy of a translated ``tree`` with such operators as Postgres has them; None if it has none."""
    if tree.find(*_OPERATORS) is None:
        return None
    copy = tree.copy()
    types = TypesInPlace(copy, columns_of)
    changed = False
    # what is inside another comes first: it has a type then
    for node in sorted(copy.find_all(*_OPERATORS), key=lambda item: -item.depth):
        change = _CHANGES.get(type(node))
        new = change(node, types) if change is not None else None
        if new is None:
            continue
        changed = True
        if node is copy:
            copy = new
        elif new is not node:
            node.replace(new)
    return copy if changed else None


def _pipe(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    left, right = node.this, node.expression
    kinds = types.of_expression(left), types.of_expression(right)
    if _JSON in kinds and all(
        kind == _JSON or _is_json(side) for kind, side in zip(kinds, (left, right), strict=True)
    ):
        return call("json_concat", left.copy(), right.copy())
    lists = [kind for kind in kinds if kind is not None and kind.endswith("[]")]
    if not lists:
        return None
    sides = [listed(side, lists[0]) or side.copy() for side in (left, right)]
    are_lists = [
        kind in lists or sides[at] != side
        for at, (kind, side) in enumerate(zip(kinds, (left, right), strict=True))
    ]
    if all(are_lists):
        return call("list_join", *sides)
    if None in kinds:
        return None
    return function("list_append" if are_lists[0] else "list_prepend", *sides)


def _is_json(side: exp.Expr) -> bool:
    """A text without a type beside jsonb is jsonb; beside json it may be a text."""
    if isinstance(side.unnest(), (exp.Parameter, exp.Placeholder)):
        return True
    if not isinstance(side, exp.Literal) or not side.is_string:
        return False
    try:
        json.loads(side.name)
    except ValueError:
        return False
    return True


def _minus(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    kind = types.of_expression(node.this)
    if kind == "TIME" == types.of_expression(node.expression):
        return call("time_minus", node.this.copy(), node.expression.copy())
    if kind != _JSON:
        return _small(node, types)
    return call("json_minus", node.this.copy(), node.expression.copy())


def _over(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    if types.of_expression(node.this) != _INTERVAL:
        return None
    return call("interval_over", node.this.copy(), node.expression.copy())


def _sum(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """``sum(min(a)) OVER ()``: a macro cannot choose by the type of an aggregate."""
    value = node.this
    if not isinstance(value, (exp.Min, exp.Max)) or isinstance(node.parent, exp.Cast):
        return None
    type_ = types.of_expression(value.this) if isinstance(value.this, exp.Column) else None
    if type_ == "BIGINT":
        node.set("this", exp.cast(value.copy(), "DECIMAL(38,0)", dialect="duckdb"))
        return node
    if type_ not in ("INTEGER", "SMALLINT"):
        return None
    whole = node
    while isinstance(whole.parent, (exp.Filter, exp.Window)) and whole.arg_key == "this":
        whole = whole.parent
    if whole is node:
        return exp.cast(node.copy(), "BIGINT", dialect="duckdb")
    whole.replace(exp.cast(whole.copy(), "BIGINT", dialect="duckdb"))
    return node


def _sum_over(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A sum of intervals is three sums to the engine, each of which needs the window."""
    summed = node.this
    if (
        not isinstance(summed, exp.Dot)
        or summed.expression.name != "sum"
        or summed.this.name not in (MACRO_SCHEMA, "main")
    ):
        return None
    value = summed.expression.expressions[0]
    if types.of_expression(value) != _INTERVAL:
        return None
    sums = []
    for part in ("months_in", "days_in", "micros_in"):
        one = node.copy()
        one.set("this", function("sum", call(part, value.copy())))
        sums.append(one)
    return call("interval_of", *sums)


def _series(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A series of dates has times with a zone."""
    items = [node.args.get(key) for key in ("start", "end")]
    if types.of_expression(items[0] or exp.Null()) != "DATE":
        return None
    for key, item in zip(("start", "end"), items, strict=True):
        if item is not None:
            node.set(key, exp.cast(item.copy(), _ZONED, dialect="duckdb"))
    return node


def _equal(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """Equal jsonb has the same members, however it is written."""
    sides = [node.this, node.expression]
    kinds = [types.of_expression(side) for side in sides]
    if _JSON not in kinds or isinstance(node.parent, (exp.Update, exp.OnConflict)):
        return None
    if not all(kind == _JSON or _is_json(side) for kind, side in zip(kinds, sides, strict=True)):
        return None
    left, right = [call("json_same", side.copy()) for side in sides]
    return type(node)(this=left, expression=right)


def _row_text(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A row as text: its fields as they are written, in quotes where they must be."""
    row = node.this.unnest()
    if isinstance(row, exp.Anonymous) and row.name.lower() == "row":
        fields = [(item, types.of_expression(item)) for item in row.expressions]
    else:
        name = exp.to_identifier(row.name, quoted=True)
        known = types.of_row(row, whole=True).items()
        fields = [
            (exp.column(exp.to_identifier(field, quoted=True), table=name.copy()), type_)
            for field, type_ in known
        ]
    if not fields:
        return None
    written = []
    for field, type_ in fields:
        text = _truth(field) if type_ == "BOOLEAN" else exp.cast(field.copy(), "TEXT", dialect="duckdb")
        written.append(call("field_text", text))
    whole: exp.Expr = exp.Literal.string("(")
    for at, text in enumerate(written):
        comma = [exp.Literal.string(",")] if at else []
        for part in (*comma, text):
            whole = exp.DPipe(this=whole, expression=part)
    return exp.Paren(this=exp.DPipe(this=whole, expression=exp.Literal.string(")")))


def _cast(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """The time of day of a timestamp with time zone, which the engine does not cast; a text with a point is no integer,
    where the engine rounds it; the engine passes over an era and any word behind a moment."""
    assert isinstance(node, exp.Cast)
    to = engine_name(node.to)
    if to == TEXT and not isinstance(node, exp.TryCast):
        return _row_text(node, types)
    if isinstance(node, exp.TryCast) or to not in ("TIME", *_MOMENTS, *_WHOLE):
        return None
    type_ = types.of_expression(node.this)
    if to == "TIME" and type_ == _ZONED:
        local = exp.cast(node.this.copy(), "TIMESTAMP", dialect="duckdb")
        return exp.cast(local, "TIME", dialect="duckdb")
    if type_ != TEXT or isinstance(node.this.unnest(), exp.Literal):
        return None
    if to in _MOMENTS:
        node.set("this", call("moment_text", node.this.copy()))
        return node
    if to in _WHOLE:
        node.set("this", call("whole_text", node.this.copy(), exp.Literal.string(_WHOLE[to])))
        return node
    return None


def _call(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    found = _FUNCTIONS.get(node.name.lower())
    return found(node, types) if found is not None else None


def _date_trunc(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    arguments = node.expressions
    if len(arguments) != 2 or types.of_expression(arguments[1]) != "DATE" or isinstance(node.parent, exp.Dot):
        return None
    zoned = exp.cast(arguments[1].copy(), _ZONED, dialect="duckdb")
    return function("date_trunc", arguments[0].copy(), zoned)


def _zone_of_date(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A date in another zone is the moment it begins here, where the engine takes it for the beginning there."""
    at = 1 if isinstance(node, exp.Anonymous) else 0
    parts = node.expressions if at else [node.this]
    if len(parts) <= at or types.of_expression(parts[at]) != "DATE":
        return None
    parts[at].replace(exp.cast(parts[at].copy(), _ZONED, dialect="duckdb"))
    return node


def _small(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A constant is an integer, where the engine takes one for a smallint beside a smallint."""
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        number = one.this if isinstance(one, (exp.Neg, exp.Paren)) else one
        is_whole = isinstance(number, exp.Literal) and not number.is_string and number.name.isdecimal()
        if is_whole and types.of_expression(other) in ("SMALLINT", "TINYINT"):
            width = "INTEGER" if int(number.name) < 2**31 else "BIGINT"
            one.replace(exp.cast(one.copy(), width, dialect="duckdb"))
            return node
    return None


def _round(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """Halves of double precision go to the even neighbour; what is numeric to Postgres is not meant."""
    arguments = node.expressions
    if len(arguments) != 1 or types.of_expression(arguments[0]) not in ("DOUBLE", "FLOAT"):
        return None
    if arguments[0].find(exp.Avg, exp.IntDiv, exp.Div, exp.Anonymous) is not None:
        return None
    return function("round_even", arguments[0].copy(), exp.Literal.number(0))


_INTERVAL_FIELDS = {"%H": "hour", "%M": "minute", "%S": "second", "%d": "day", "%m": "month"}


def _interval_text(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """``to_char`` of an interval: its fields, which may have more than two digits."""
    value, form = node.expressions
    if types.of_expression(value) != _INTERVAL or not isinstance(form, exp.Literal):
        return None
    parts: list[exp.Expr] = []
    for piece in re.findall(r"%-?.|[^%]+", form.name):
        field = _INTERVAL_FIELDS.get(piece)
        if field is None and piece.startswith("%") and piece != "%%":
            raise BoughError(
                "0A000",
                "to_char() of an interval knows DD, HH24, MI, SS and MM only",
                hint="Use extract(… FROM interval) for other fields.",
            )
        number = function("date_part", exp.Literal.string(field or ""), value.copy())
        text = exp.Literal.string(piece.replace("%%", "%"))
        parts.append(
            text if field is None else call("two_digits", exp.cast(number, "BIGINT", dialect="duckdb"))
        )
    whole = parts[0]
    for part in parts[1:]:
        whole = exp.DPipe(this=whole, expression=part)
    return exp.Paren(this=whole)


def _concat(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """Its values are spelled as in a cast to text, but for truth: ``t``."""
    arguments = [_spelled(item, types) for item in node.expressions]
    if not any(arguments):
        return None
    given = [new or old.copy() for new, old in zip(arguments, node.expressions, strict=True)]
    return function(node.name, *given)


def _spelled(item: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    type_ = types.of_expression(item)
    if type_ == "BOOLEAN":
        return _truth(item)
    if type_ is not None and (type_ in _SPELLED or type_.endswith("[]")):
        return exp.cast(item.copy(), "TEXT", dialect="duckdb")
    return None


def _truth(item: exp.Expr) -> exp.Expr:
    arms = [
        exp.If(this=item.copy(), true=exp.Literal.string("t")),
        exp.If(this=exp.Not(this=exp.Paren(this=item.copy())), true=exp.Literal.string("f")),
    ]
    return exp.Case(ifs=arms)


def _collected(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """Whole rows that are collected for json: their times are written there."""
    above = node.parent
    while isinstance(above, (exp.Filter, exp.Window)):
        above = above.parent
    if not isinstance(above, exp.Anonymous) or above.name != "to_json":
        return None
    first = node.expressions[0]
    value = first.this if isinstance(first, exp.Order) else first
    new = written(value, types) if types.of_row(value) else None
    if new is None:
        return None
    value.replace(new)
    return node


def _listed_series(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    arguments = node.expressions
    if len(arguments) != 3 or types.of_expression(arguments[0]) != "DATE":
        return None
    zoned = [exp.cast(item.copy(), _ZONED, dialect="duckdb") for item in arguments[:2]]
    return function(node.name, *zoned, arguments[2].copy())


Change = Callable[[exp.Expr, TypesInPlace], exp.Expr | None]
_CHANGES: dict[type[exp.Expr], Change] = {
    exp.DPipe: _pipe,
    exp.Sub: _minus,
    exp.Add: _small,
    exp.Mul: _small,
    exp.AtTimeZone: _zone_of_date,
    exp.Window: _sum_over,
    exp.IntDiv: _over,
    exp.Sum: _sum,
    exp.ExplodingGenerateSeries: _series,
    exp.Anonymous: _call,
    exp.Bracket: subscript,
    exp.Cast: _cast,
    exp.ArrayOverlaps: overlapping,
    exp.EQ: _equal,
    exp.NEQ: _equal,
}
_FUNCTIONS: dict[str, Change] = {
    "date_trunc": _date_trunc,
    "round": _round,
    "generate_series": _listed_series,
    "strftime": _interval_text,
    "concat": _concat,
    "concat_ws": _concat,
    "array_to_string": joined,
    "contains": containing,
    "list_extract": from_the_end,
    "timezone": _zone_of_date,
    "at_offset": _zone_of_date,
    "row_to_json": with_values,
    "to_json": with_values,
    "array_to_json": with_values,
    "list": _collected,
    "json_object": with_values,
    "json_array": with_values,
    "json_group_array": with_values,
    "json_group_object": with_values,
}
