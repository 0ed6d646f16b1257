"""Expressions as Postgres prints them: with the casts its parser adds and the parentheses its printer adds.

Two forms, as ``pg_get_constraintdef`` has them: plain, where every operator is in parentheses, and pretty,
where only an operator within an operator is, and OR within AND. Types are known for columns only; that is
what defaults and checks are made of. What is not covered is printed by sqlglot's Postgres dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

_OPERATORS: dict[type[exp.Expr], str] = {
    exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "=", exp.NEQ: "<>", exp.Add: "+", exp.Sub: "-",
    exp.Mul: "*", exp.Div: "/", exp.IntDiv: "/", exp.Mod: "%", exp.Like: "~~", exp.ILike: "~~*", exp.DPipe: "||",
    exp.RegexpLike: "~",
}  # fmt: skip
_FLOATS = ("double precision", "real")
_TEXT = ("text", "character varying")
_OF_TEXT = frozenset(
    {"lower", "upper", "length", "btrim", "ltrim", "rtrim", "replace", "concat", "substr", "md5"}
)


def literal(text: str) -> str:
    """``text`` as a constant."""
    return "'" + text.replace("'", "''") + "'"


class Printer:
    """Prints one expression; ``kinds`` are the types of the columns it may name."""

    def __init__(self, kinds: Mapping[str, str], quoted: Callable[[str], str], *, pretty: bool) -> None:
        self._kinds = kinds
        self._quoted = quoted
        self._pretty = pretty

    def text(self, node: exp.Expr) -> str:
        """The expression, in parentheses where the plain form has them."""
        node = node.unnest()
        if isinstance(node, exp.Column):
            return self._quoted(node.name)
        if isinstance(node, exp.Boolean):
            return "true" if node.this else "false"
        if isinstance(node, (exp.And, exp.Or)):
            return self._connected(node)
        if isinstance(node, exp.Not) and isinstance(node.this.unnest(), exp.Is):
            return self._null_test(node.this.unnest(), "IS NOT")
        if isinstance(node, exp.Not):
            return self._wrapped(f"NOT {self._inner(node.this)}")
        if isinstance(node, exp.Is):
            return self._null_test(node, "IS")
        if isinstance(node, exp.Between):
            low, high = node.args["low"], node.args["high"]
            return self.text(
                exp.and_(exp.GTE(this=node.this, expression=low), exp.LTE(this=node.this, expression=high))
            )
        if isinstance(node, exp.In) and node.expressions:
            return self._any(node)
        if (symbol := _OPERATORS.get(type(node))) is not None:
            left, right = node.this.unnest(), node.expression.unnest()
            one, two = self._operand(left, self._kind(right)), self._operand(right, self._kind(left))
            return self._wrapped(f"{one} {symbol} {two}")
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if isinstance(node, exp.Func) and not isinstance(
            node, (exp.Case, exp.CurrentTimestamp, exp.CurrentDate)
        ):
            return self._call(node)
        return node.sql("postgres")

    def _wrapped(self, text: str) -> str:
        return text if self._pretty else f"({text})"

    def _inner(self, node: exp.Expr) -> str:
        """An operand: an operator within an operator has parentheses in both forms."""
        text = self.text(node)
        compound = isinstance(
            node.unnest(), (*_OPERATORS, exp.And, exp.Or, exp.Is, exp.Not, exp.In, exp.Between)
        )
        return f"({text})" if self._pretty and compound else text

    def _connected(self, node: exp.Connector) -> str:
        word = "AND" if isinstance(node, exp.And) else "OR"
        parts = []
        for part in _parts(node, type(node)):
            text = self.text(part)
            parts.append(f"({text})" if self._pretty and word == "AND" and isinstance(part, exp.Or) else text)
        return self._wrapped(f" {word} ".join(parts))

    def _null_test(self, node: exp.Expr, word: str) -> str:
        return self._wrapped(f"{self._inner(node.this)} {word} {node.expression.sql('postgres')}")

    def _kind(self, node: exp.Expr) -> str:
        node = node.unnest()
        if isinstance(node, exp.Column):
            return self._kinds.get(node.name.lower(), "")
        if isinstance(node, exp.Literal) and node.is_string:
            return "" if not isinstance(node.parent, exp.DPipe) else "text"
        if isinstance(node, (exp.Lower, exp.Upper, exp.DPipe, exp.Trim)):
            return "text"
        return ""

    def _as_text(self, text: str) -> str:
        return f"{text}::text" if self._pretty else f"({text})::text"

    def _operand(self, node: exp.Expr, other: str) -> str:
        if isinstance(node, exp.Literal) and node.is_string and other:
            return f"{literal(node.name)}::{'text' if other in _TEXT else other.removesuffix('[]')}"
        if (number := _number(node)) is not None:
            return self._number(number, other)
        text = self._inner(node)
        return self._as_text(text) if self._kind(node) == "character varying" else text

    def _number(self, number: str, other: str) -> str:
        own = "integer" if re.fullmatch(r"-?\d+", number) else "numeric"
        text = f"{literal(number)}::{own}" if number.startswith("-") else number
        if other in _FLOATS or (other == "numeric" and own == "integer"):
            if number.startswith("-") and own == "integer":
                return f"{literal(number)}::integer::{other}" if self._pretty else f"({text})::{other}"
            return f"{text}::{other}" if self._pretty else f"({text})::{other}"
        return text

    def _any(self, node: exp.In) -> str:
        kind = self._kind(node.this)
        if kind == "character varying":
            items = ", ".join(f"{literal(item.name)}::character varying" for item in node.expressions)
            array = f"ARRAY[{items}]::text[]" if self._pretty else f"(ARRAY[{items}])::text[]"
            return self._wrapped(f"{self._as_text(self.text(node.this))} = ANY ({array})")
        items = ", ".join(self._operand(item.unnest(), kind) for item in node.expressions)
        return self._wrapped(f"{self._inner(node.this)} = ANY (ARRAY[{items}])")

    def _cast(self, node: exp.Cast) -> str:
        kind = _spelled(node.to)
        inner = node.this.unnest()
        if isinstance(inner, exp.Literal) and inner.is_string:
            return f"{literal(inner.name)}::{kind}"
        text = self._inner(inner)
        return f"{text}::{kind}" if self._pretty else f"({text})::{kind}"

    def _call(self, node: exp.Func) -> str:
        printed = node.sql("postgres")
        match = re.match(r"^([A-Za-z_][A-Za-z0-9_]*)\(", printed)
        if match is None:
            return printed
        name = match.group(1).lower()
        if name == "coalesce":
            name = "COALESCE"
        arguments = list(node.expressions) if isinstance(node, exp.Anonymous) else []
        for key in node.arg_types if not arguments else ():
            value = node.args.get(key)
            arguments.extend(
                value if isinstance(value, list) else [value] if isinstance(value, exp.Expr) else []
            )
        if isinstance(node, exp.Trim):
            name = "btrim"
        return f"{name}({', '.join(self._argument(name, item.unnest()) for item in arguments)})"

    def _argument(self, name: str, node: exp.Expr) -> str:
        if isinstance(node, exp.Literal) and node.is_string:
            return f"{literal(node.name)}::text"
        text = self.text(node)
        return self._as_text(text) if name in _OF_TEXT and self._kind(node) == "character varying" else text


def _parts(node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    """The operands of a chain of the same connector, parentheses looked through."""
    node = node.unnest()
    if type(node) is kind:
        return _parts(node.this, kind) + _parts(node.expression, kind)
    return [node]


def _number(node: exp.Expr) -> str | None:
    sign = ""
    if isinstance(node, exp.Neg):
        sign, node = "-", node.this.unnest()
    return sign + node.name if isinstance(node, exp.Literal) and not node.is_string else None


def _spelled(target: exp.DataType) -> str:
    from proxy.catalog.typenames import column_type, spelled

    text = target.sql("duckdb")
    return spelled(column_type(text, None))
