"""Functions by name: Postgres' function to the engine's, or to a macro of ours.

A function that is not listed keeps its name. ``pg_catalog.`` in front of a function goes, except where the
catalog layer is meant to answer.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.array_text import parse_array
from proxy.sql.macros import call, function, has_known_type
from proxy.sql.rules import formats, json_calls, json_paths, patterns
from proxy.sql.rules.zones import at_time_zone, timezone

Args = list[exp.Expr]

FROM_THE_END = "from_the_end"
# to one of our macros of this name, with the same arguments
_MACROS = {
    "initcap": "initcap", "lpad": "lpad", "rpad": "rpad",
    "overlay": "overlay", "quote_ident": "quote_ident", "quote_literal": "quote_literal",
    "quote_nullable": "quote_nullable", "regexp_replace": "regexp_replace",
    "regexp_count": "regexp_count", "encode": "encode", "decode": "decode", "sha256": "sha256",
    "get_byte": "get_byte", "set_byte": "set_byte",
    "length": "length", "char_length": "length", "character_length": "length", "octet_length": "octet_length",
    "ln": "ln", "log": "log", "log10": "log", "power": "power", "pow": "power", "sqrt": "sqrt",
    "to_hex": "to_hex", "width_bucket": "width_bucket", "div": "div",
    "sign": "sign", "strpos": "strpos",
    "array_length": "array_length", "array_upper": "array_length", "array_lower": "array_lower",
    "cardinality": "cardinality", "array_to_string": "array_to_string", "array_remove": "array_remove",
    "array_dims": "array_dims", "array_ndims": "array_ndims",
    "justify_days": "justify_days", "justify_hours": "justify_hours", "justify_interval": "justify_interval",
    "array_replace": "array_replace", "array_positions": "array_positions",
    "json_typeof": "json_typeof", "jsonb_typeof": "json_typeof", "json_array_length": "json_array_length",
    "jsonb_array_length": "json_array_length", "date_trunc": "date_trunc", "date_part": "part",
    "array_cat": "list_join", "date_bin": "date_bin", "make_interval": "make_interval",
    "make_date": "make_date", "make_timestamp": "make_timestamp",
}  # fmt: skip
# macros chosen by type, and the engine's function where the type is not known in time
_OVERLOADED = {
    "length": "length", "char_length": "length", "character_length": "length", "octet_length": "strlen",
    "date_trunc": "date_trunc",
}  # fmt: skip
# to a function of the engine
_RENAMED = {
    "btrim": "trim", "ceiling": "ceil", "every": "bool_and", "stddev": "stddev_samp", "variance": "var_samp",
    "json_build_object": "json_object", "jsonb_build_object": "json_object", "json_build_array": "json_array",
    "jsonb_build_array": "json_array", "to_jsonb": "to_json", "json_agg": "json_group_array",
    "jsonb_agg": "json_group_array", "json_object_agg": "json_group_object",
    "jsonb_object_agg": "json_group_object", "transaction_timestamp": "now", "statement_timestamp": "now",
    "clock_timestamp": "now", "array_append": "list_append",
    "jsonb_pretty": "json_pretty", "date_add": "date_add", "json_strip_nulls": "json_strip_nulls",
    "jsonb_strip_nulls": "json_strip_nulls",
    "regexp_like": "regexp_matches",
    "array_position": "list_position",
}  # fmt: skip
# set-returning in a SELECT list: the list, then unnest
_EXPLODED = {
    "json_array_elements": "json_elements", "jsonb_array_elements": "json_elements",
    "json_array_elements_text": "json_elements_text", "jsonb_array_elements_text": "json_elements_text",
    "json_object_keys": "json_object_keys", "jsonb_object_keys": "json_object_keys",
}  # fmt: skip


def functions(tree: exp.Expr) -> exp.Expr:
    """
    >>> from proxy.sql.dialect import read_postgres
    >>> functions(read_postgres("SELECT initcap(a), length(b)")).sql("duckdb")
    'SELECT bough_fn.initcap(a), bough_fn.length(b)'
    """
    for column in list(tree.find_all(exp.Column)):
        name = column.name.lower()
        plain = not column.this.args.get("quoted") and not column.args.get("table")
        if plain and name in ("user", "current_role", "system_user"):
            value = function(name)
            column.replace(
                exp.alias_(value, name, quoted=True) if isinstance(column.parent, exp.Select) else value
            )
    for node in reversed(list(tree.find_all(exp.Anonymous, *_NODES))):
        new = _rewritten(node)
        if new is None:
            continue
        target: exp.Expr = node
        if isinstance(node.parent, exp.Dot) and node.parent.this.name.lower() == "pg_catalog":
            target = node.parent
        if target is tree:
            tree = new
        else:
            target.replace(new)
    return tree


def _rewritten(node: exp.Expr) -> exp.Expr | None:
    if not isinstance(node, exp.Anonymous):
        return _NODES[type(node)](node)
    name = node.name.lower()
    _split_distinct(node)
    arguments: Args = [argument.copy() for argument in node.expressions]
    parent = node.parent
    if isinstance(parent, exp.Dot) and parent.expression is node and parent.this.name.lower() != "pg_catalog":
        return None
    if name == "date_trunc" and (len(arguments) == 3 or _is_years(arguments)):
        return _date_trunc(arguments)
    if name in _OVERLOADED and not all(has_known_type(argument) for argument in arguments):
        return function(_OVERLOADED[name], *arguments)
    if name in ("substr", "substring"):
        return _substring_call(arguments)
    if name in _MACROS and not isinstance(parent, exp.Table):
        return call(_MACROS[name], *arguments)
    if name in _RENAMED:
        return function(_RENAMED[name], *arguments)
    if name in _EXPLODED:
        return exp.Explode(this=call(_EXPLODED[name], *arguments))
    if (special := _SPECIAL.get(name)) is not None:
        return special(arguments)
    if isinstance(parent, exp.Dot) and parent.this.name.lower() == "pg_catalog":
        return function(name, *arguments)
    return None


def _split_distinct(node: exp.Expr) -> None:
    """``string_agg(DISTINCT a, ',' ORDER BY a)``: sqlglot puts both arguments under DISTINCT, that under the order."""
    first = node.expressions[0] if node.expressions else None
    if (
        isinstance(first, exp.Order)
        and isinstance(first.this, exp.Distinct)
        and len(first.this.expressions) == 2
    ):
        value, last = first.this.expressions
        order = exp.Order(this=last.copy(), expressions=first.expressions)
        node.set("expressions", [exp.Distinct(expressions=[value.copy()]), order])
        return
    if isinstance(first, exp.Distinct) and len(first.expressions) > 1:
        value, *rest = first.expressions
        node.set("expressions", [exp.Distinct(expressions=[value]), *rest, *node.expressions[1:]])


def _is_years(a: Args) -> bool:
    field = a[0].name.lower() if a and isinstance(a[0], exp.Literal) else ""
    return len(a) == 2 and field in ("century", "millennium", "centuries", "millennia")


def _date_trunc(a: Args) -> exp.Expr:
    if len(a) == 2:
        return call("date_trunc_years", *a)
    # in the days of another zone
    there = function("timezone", a[2], a[1])
    return function("timezone", a[2].copy(), function("date_trunc", a[0], there))


def _split_part(a: Args) -> exp.Expr:
    plain = len(a) == 3 and all(
        isinstance(item, exp.Literal) and item.name not in ("", "0") for item in a[1:]
    )
    return call("split_part", *a) if len(a) == 3 and not plain else function("split_part", *a)


def _string_to_array(a: Args) -> exp.Expr:
    return call("string_to_array" if len(a) == 2 else "string_to_array_null", *a)


def _regexp_split_table(a: Args) -> exp.Expr:
    return exp.Explode(this=function("regexp_split_to_array", *a))


def _string_table(a: Args) -> exp.Expr:
    return exp.Explode(this=_string_to_array(a))


def _trunc(a: Args) -> exp.Expr:
    return call("trunc_to", *a) if len(a) == 2 and not _natural(a[1]) else function("trunc", *a)


def _natural(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string


def _num_nulls(a: Args) -> exp.Expr:
    if len(a) == 1 and isinstance(a[0], exp.Variadic):
        return call("num_nulls", a[0].this)
    return call("num_nulls", exp.Array(expressions=[_is_null(item) for item in a]))


def _num_nonnulls(a: Args) -> exp.Expr:
    if len(a) == 1 and isinstance(a[0], exp.Variadic):
        return call("num_nonnulls", a[0].this)
    return call("num_nonnulls", exp.Array(expressions=[_is_null(item) for item in a]))


def _is_null(item: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=exp.Is(this=item, expression=exp.Null()), true=exp.Null())],
                    default=exp.Literal.number(1))  # fmt: skip


def _prepend(a: Args) -> exp.Expr:
    return function("list_prepend", *a)


def _format(a: Args) -> exp.Expr:
    """``format('%s is %I', a, b)`` with a literal format, as a concatenation."""
    if not a or not isinstance(a[0], exp.Literal):
        raise BoughError("0A000", "format() needs a literal format", hint="Use concat() or ||.")
    parts: list[exp.Expr] = []
    text, at, rest = a[0].name, 0, iter(a[1:])
    while (mark := text.find("%", at)) >= 0:
        parts.append(exp.Literal.string(text[at:mark]))
        spec = text[mark + 1 : mark + 2]
        if spec == "%":
            parts.append(exp.Literal.string("%"))
        elif spec in ("s", "I", "L"):
            value = next(rest, None)
            if value is None:
                raise BoughError("22023", "too few arguments for format()")
            names = {"I": "quote_ident", "L": "quote_nullable"}
            text_value = exp.cast(value, "TEXT", dialect="duckdb")
            parts.append(value if spec == "s" else call(names[spec], text_value))
        else:
            raise BoughError("0A000", f'format() specifier "%{spec}" is not supported')
        at = mark + 2
    return function("concat", *parts, exp.Literal.string(text[at:]))


def _null_if_no_json(name: str) -> Callable[[Args], exp.Expr]:
    def refuse(a: Args) -> exp.Expr:
        raise BoughError("0A000", f"function {name}() is not supported")

    return refuse


_SPECIAL: dict[str, Callable[[Args], exp.Expr]] = {
    "string_to_array": _string_to_array,
    "split_part": _split_part,
    "regexp_split_to_table": _regexp_split_table,
    "string_to_table": _string_table,
    "regexp_match": patterns.matched,
    "regexp_matches": patterns.all_matched,
    "json_object": json_calls.json_object,
    "jsonb_object": json_calls.json_object,
    "trunc": _trunc,
    "num_nulls": _num_nulls,
    "num_nonnulls": _num_nonnulls,
    "json_extract_path_text": json_calls.path_text,
    "jsonb_extract_path_text": json_calls.path_text,
    "json_extract_path": json_calls.path,
    "jsonb_extract_path": json_calls.path,
    "array_prepend": _prepend,
    "format": _format,
    "to_char": formats.to_char,
    "to_date": formats.to_date,
    "to_timestamp": formats.to_timestamp,
    "to_number": formats.to_number,
    "jsonb_set": json_calls.json_set,
    "jsonb_insert": json_calls.json_insert,
    **json_paths.PATHS,
    "timezone": timezone,
    "timeofday": _null_if_no_json("timeofday"),
}


def _substring(node: exp.Expr) -> exp.Expr:
    start, length = node.args.get("start"), node.args.get("length")
    if start is not None and length is None and isinstance(start, exp.Literal) and start.is_string:
        return call("substring_match", node.this.copy(), start.copy())
    items = [node.this.copy(), start.copy() if start is not None else exp.Literal.number(1)]
    return _substring_call([*items, *([length.copy()] if length is not None else [])])


def _substring_call(a: Args) -> exp.Expr:
    """A length that is known to be none below zero needs no check, which a window cannot be parted by."""
    return call("substring_of" if len(a) == 3 and _natural(a[2]) else "substring", *a)


def _overlay(node: exp.Expr) -> exp.Expr:
    items = [node.this, node.expression, node.args["from_"], node.args.get("for_")]
    return call("overlay", *(item.copy() for item in items if item is not None))


def _extract(node: exp.Expr) -> exp.Expr:
    unit = node.this.name.lower()
    value = node.expression.copy()
    places = 6 if unit in ("second", "seconds", "epoch") else 3 if unit.startswith("millisecond") else 0
    part = call("part", exp.Literal.string(unit), value)
    return exp.cast(part, f"DECIMAL(18,{places})", dialect="duckdb")


def _position(node: exp.Expr) -> exp.Expr:
    return call("strpos", node.this.copy(), node.args["substr"].copy())


def _similar(node: exp.Expr) -> exp.Expr:
    if isinstance(node.expression, exp.Literal) and node.expression.is_string:
        return patterns.similar(node.this.copy(), node.expression.name)
    return call("similar_to", node.this.copy(), node.expression.copy())


def _operator(node: exp.Expr) -> exp.Expr:
    """``a OPERATOR(pg_catalog.~) b`` as the operator it is."""
    name = str(node.args["operator"]).rpartition(".")[2].strip('"')
    left, right = node.this.copy(), node.expression.copy()
    simple: dict[str, type[exp.Binary]] = {
        "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, ">": exp.GT, "<=": exp.LTE, ">=": exp.GTE, "+": exp.Add,
        "-": exp.Sub, "*": exp.Mul, "~~": exp.Like, "~~*": exp.ILike,
    }  # fmt: skip
    if name in simple:
        return simple[name](this=left, expression=right)
    if name in ("~", "!~", "~*", "!~*"):
        options = [exp.Literal.string("i")] if name.endswith("*") else []
        matched = function("regexp_matches", left, right, *options)
        return exp.Not(this=matched) if name.startswith("!") else matched
    raise BoughError("0A000", f"operator {name} is not supported")


def _contains(node: exp.Expr) -> exp.Expr:
    return call("contains", node.this.copy(), node.expression.copy())


def _contained(node: exp.Expr) -> exp.Expr:
    return call("contains", node.expression.copy(), node.this.copy())


def _has_key(node: exp.Expr) -> exp.Expr:
    return call("json_has", node.this.copy(), node.expression.copy())


def _without_path(node: exp.Expr) -> exp.Expr:
    path = node.expression
    if isinstance(path, exp.Literal) and path.is_string:
        path = parse_array(path.name)
    return call("json_minus_path", node.this.copy(), path.copy())


def _path_exists(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=json_paths.exists([node.this.copy(), node.expression.copy()]))


def _member(node: exp.Expr) -> exp.Expr | None:
    """``a[-1]`` is no member in Postgres; the engine counts from the end."""
    place = node.expressions[0] if len(node.expressions) == 1 else None
    if not isinstance(place, exp.Neg) or not isinstance(place.this, exp.Literal):
        return None
    none = function("list_extract", node.this.copy(), exp.cast(exp.null(), "INTEGER", dialect="duckdb"))
    # of jsonb it is one, counted from the end: types are known later
    none.meta[FROM_THE_END] = place
    return none


def _session(name: str) -> Callable[[exp.Expr], exp.Expr]:
    return lambda node: function(name)


# The values only a session knows are all plain calls, whatever sqlglot read them as.
_NODES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr | None]] = {
    exp.CurrentSchema: _session("current_schema"),
    exp.CurrentUser: _session("current_user"),
    exp.SessionUser: _session("session_user"),
    exp.CurrentCatalog: _session("current_catalog"),
    exp.CurrentRole: _session("current_role"),
    # as calls: the bare words would be taken for the result columns that are named after them
    exp.CurrentDate: _session("current_date"),
    exp.CurrentTimestamp: _session("now"),
    exp.CurrentTime: _session("get_current_time"),
    exp.Localtimestamp: _session("current_localtimestamp"),
    exp.Localtime: _session("current_localtime"),
    exp.Substring: _substring,
    exp.Overlay: _overlay,
    exp.Extract: _extract,
    exp.StrPosition: _position,
    exp.SimilarTo: _similar,
    exp.Operator: _operator,
    exp.ArrayContainsAll: _contains,
    exp.ArrayContainedBy: _contained,
    exp.JSONBContainsTopKey: _has_key,
    exp.JSONBDeleteAtPath: _without_path,
    exp.JSONBPathExists: _path_exists,
    exp.Bracket: _member,
    exp.AtTimeZone: at_time_zone,
}
