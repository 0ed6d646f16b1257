"""The type that an expression has, as far as it is known without running it: in the engine's spelling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sqlglot import exp

from proxy.sql.macros import MACRO_SCHEMA
from proxy.sql.type_names import engine_type

TEXT = "VARCHAR"


class Scope(Protocol):
    """Knows the columns of a statement."""

    def of(self, column: exp.Column) -> str | None: ...


def engine_name(type_: exp.Expr) -> str:
    if not isinstance(type_, exp.DataType):
        return "BIGINT" if type_.name.lower() == "oid" else TEXT
    if type_.sql("postgres").lower().startswith("reg"):  # a name, which the catalog looks up
        return TEXT
    text = engine_type(type_).sql("duckdb")
    return {"TEXT": TEXT, "INT": "INTEGER", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(
        text, text.replace("TEXT[", "VARCHAR[").replace("INT[", "INTEGER[").replace("BIGINTEGER[", "BIGINT[")
    )


def _literals(node: exp.Literal) -> str:
    if node.is_string:
        return TEXT
    if node.name.isdecimal():
        return "INTEGER" if int(node.name) < 2**31 else "BIGINT"
    return "DECIMAL(38,10)"


_KNOWN_RESULTS: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "TIMESTAMP WITH TIME ZONE",
    exp.CurrentDate: "DATE",
    exp.Boolean: "BOOLEAN",
    exp.Count: "BIGINT",
    exp.Extract: "DECIMAL(38,10)",
    exp.DPipe: TEXT,
    exp.Avg: "DOUBLE",
    exp.Interval: "INTERVAL",
    exp.GroupConcat: TEXT,
    exp.BitString: "BIT",
    exp.HexString: "BIT",
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between,
         exp.Like, exp.ILike, exp.Exists, exp.RegexpLike, exp.RegexpILike, exp.NullSafeEQ, exp.NullSafeNEQ),
        "BOOLEAN",
    ),
}  # fmt: skip
_NAMED_RESULTS = {
    "lower": TEXT, "upper": TEXT, "length": "INTEGER", "trim": TEXT, "md5": TEXT, "left": TEXT, "right": TEXT,
    "to_char": TEXT, "now": "TIMESTAMP WITH TIME ZONE", "to_regtype": "BIGINT", "to_regclass": "BIGINT",
    "concat": TEXT, "replace": TEXT, "substr": TEXT, "char_length": "INTEGER", "row_number": "BIGINT",
    "encode": TEXT, "ltrim": TEXT, "rtrim": TEXT, "btrim": TEXT, "chr": TEXT, "quote_literal": TEXT,
    "quote_ident": TEXT,
    "quote_nullable": TEXT, "overlay": TEXT, "substring_match": TEXT, "number_shown": TEXT,
    "number_trimmed": TEXT,
    "split_part": TEXT, "concat_ws": TEXT, "initcap": TEXT, "lpad": TEXT, "rpad": TEXT, "regexp_replace": TEXT,
    "array_to_string": TEXT, "strftime": TEXT, "repeat": TEXT, "reverse": TEXT, "translate": TEXT,
    "substring": TEXT, "substring_of": TEXT, "string_agg": TEXT, "json_key_text": TEXT, "json_at_text": TEXT,
    "json_any_text": TEXT, "json_path_text": TEXT, "age": "INTERVAL", "make_interval": "INTERVAL",
    "make_date": "DATE", "make_timestamp": "TIMESTAMP", "make_timestamptz": "TIMESTAMP WITH TIME ZONE",
    "interval_over": "INTERVAL", "justify_days": "INTERVAL", "justify_hours": "INTERVAL",
    "justify_interval": "INTERVAL", "starts_with": "BOOLEAN", "bool_and": "BOOLEAN", "bool_or": "BOOLEAN",
    "regexp_matches": "BOOLEAN", "string_to_array": "VARCHAR[]", "string_split": "VARCHAR[]",
    "string_to_array_null": "VARCHAR[]", "regexp_split_to_array": "VARCHAR[]", "regexp_match": "VARCHAR[]",
    **dict.fromkeys(
        ("json_object", "json_array", "to_json", "json_group_array", "json_group_object", "json_concat", "json_key",
         "json_at", "json_any", "json_path", "json_minus", "json_minus_path", "json_insert", "json_strip_nulls",
         "json_put", "row_to_json", "array_to_json"),
        "JSON",
    ),
}  # fmt: skip
# they give what their first argument is
_SAME_AS_FIRST = frozenset(
    """
    list_concat list_join list_append array_append array_cat array_remove array_replace trim_array any_value first last
    first_value last_value nth_value lag lead min max max_by min_by abs coalesce nullif mode
    """.split()  # noqa: SIM905
)
_MOMENTS = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_NUMBERS = ("SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "TINYINT")


def expression_type(node: exp.Expr | None, scope: Scope) -> str | None:
    if node is None or isinstance(node, (exp.Parameter, exp.Placeholder)):
        return None
    if isinstance(node, exp.Column):
        return scope.of(node)
    if isinstance(node, exp.Cast):
        return engine_name(node.to)
    if isinstance(node, exp.Literal):
        return _literals(node)
    if (known := _KNOWN_RESULTS.get(type(node))) is not None:
        return known
    if isinstance(node, exp.Dot) and node.this.name in (MACRO_SCHEMA, "pg_catalog"):
        return expression_type(node.expression, scope)
    if isinstance(node, exp.Anonymous):
        return _function_type(node, scope)
    if isinstance(node, exp.Array):
        element = next(_types(node.expressions, scope), None)
        return f"{element}[]" if element else None
    if isinstance(node, exp.ArrayAgg):
        element = expression_type(_aggregated(node.this), scope)
        return f"{element}[]" if element else None
    if isinstance(node, exp.Bracket):
        return _member_type(node, scope)
    if isinstance(node, exp.Case):
        results = [arm.args["true"] for arm in node.args["ifs"]]
        return _first_typed([*results, node.args.get("default")], scope)
    if isinstance(node, (exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least)):
        return _first_typed(list(node.iter_expressions()), scope)
    if isinstance(node, (exp.Paren, exp.Neg, exp.Sum, exp.Min, exp.Max, exp.Collate, exp.Window, exp.Filter)):
        return expression_type(node.this, scope)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)):
        return _arithmetic_type(node, scope)
    if isinstance(node, exp.Subquery):
        return expression_type(node.this, scope) if isinstance(node.this, exp.Select) else None
    if isinstance(node, exp.Select) and node.expressions:
        return expression_type(node.expressions[0].unalias(), scope)
    return None


def is_exact(type_: str) -> bool:
    """Whether an expression of such a type has it for certain: of two numbers, only the first one's is known."""
    return type_ not in _NUMBERS and not type_.startswith("DECIMAL")


def _aggregated(value: exp.Expr) -> exp.Expr:
    """What is collected, without its order."""
    while isinstance(value, (exp.Order, exp.Distinct)):
        value = value.this if isinstance(value, exp.Order) else value.expressions[0]
    return value


def _function_type(node: exp.Anonymous, scope: Scope) -> str | None:
    name = node.name.lower()
    arguments = node.expressions
    if name in _SAME_AS_FIRST and arguments:
        return expression_type(arguments[0], scope)
    if name == "list" and arguments:
        element = expression_type(_aggregated(arguments[0]), scope)
        return f"{element}[]" if element else None
    if name in ("array_prepend", "list_prepend") and len(arguments) == 2:
        return expression_type(arguments[1], scope)
    if name == "date_trunc" and len(arguments) > 1:
        found = expression_type(arguments[1], scope)
        return "TIMESTAMP WITH TIME ZONE" if found == "DATE" else found
    return _NAMED_RESULTS.get(name)


def _member_type(node: exp.Bracket, scope: Scope) -> str | None:
    whole = expression_type(node.this, scope)
    if whole is None or not whole.endswith("[]"):
        return whole if whole == "JSON" else None
    return whole if isinstance(node.expressions[0], exp.Slice) else whole.removesuffix("[]")


def _first_typed(values: Sequence[exp.Expr | None], scope: Scope) -> str | None:
    """The type of the first that has one; that of a text without a type only if no other has."""
    texts = [value for value in values if isinstance(value, exp.Literal) and value.is_string]
    known = [value for value in values if value is not None and value not in texts]
    return next(_types(known, scope), None) or (TEXT if texts else None)


def _arithmetic_type(node: exp.Expr, scope: Scope) -> str | None:
    left, right = expression_type(node.this, scope), expression_type(node.expression, scope)
    if isinstance(node, exp.Sub) and left == right == "DATE":
        return "INTEGER"
    if isinstance(node, exp.Sub) and left in _MOMENTS and right in (*_MOMENTS, "DATE"):
        return "INTERVAL"
    if isinstance(node, exp.Sub) and left == "DATE" and right in _MOMENTS:
        return "INTERVAL"
    if isinstance(node, (exp.Add, exp.Sub)) and {left, right} == {"DATE", "INTERVAL"}:
        return "TIMESTAMP"
    if isinstance(node, (exp.Mul, exp.Add)) and "INTERVAL" in (left, right):
        return next((type_ for type_ in (left, right) if type_ in (*_MOMENTS, "TIME")), "INTERVAL")
    return left or right


def _types(nodes: Sequence[exp.Expr], scope: Scope) -> Iterator[str]:
    for node in nodes:
        if found := expression_type(node, scope):
            yield found
