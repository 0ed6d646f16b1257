"""Conditions of a statement that a datasource can evaluate before its rows travel.

Rules:

1. The session's own engine evaluates every condition again. So what is sent may keep rows too many (a collation that
   ignores case), and never a row too few.
2. Only conditions that mean the same everywhere are sent: a column of the table against a constant, for kinds of
   columns on which the dialects agree (``_KINDS``), joined by AND and OR. The constant is computed here, once.
3. A WHERE of the SELECT is sent if no outer join can make NULLs of the table's columns; an ON of an outer join only for
   the side that it may make NULLs of.
4. LIMIT is sent where the table stands alone and every condition is sent exactly, or there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlglot import exp

from migration.connectors.queries import literal, quoted
from migration.dialects import DialectContract
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.values.fitting import makes_numbers

Constant = Callable[[exp.Expr], Any]  # the value of a constant expression; raises ValueError if it has none

_WHOLE = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_COMMON = _WHOLE | {"decimal", "date", "timestamp", "text"}
_KINDS: Mapping[str, frozenset[str]] = {
    "postgres": _COMMON | {"float64", "instant", "bool", "uuid"},
    "greenplum": _COMMON | {"float64", "instant", "bool", "uuid"},
    "redshift": _COMMON | {"float64", "bool"},
    "duckdb": _COMMON | {"float64", "instant", "bool", "uuid"},
    "mysql": _COMMON | {"float64"},
    "sqlite": _WHOLE | {"text"},  # everything else is kept there as the writer liked
}
_ELSEWHERE = _WHOLE
_EXACT = frozenset({"postgres", "greenplum", "redshift", "duckdb", "mysql"})
_INT64 = range(-(2**63), 2**63)
_PLAIN_TEXT = frozenset({"text", "varchar", "character varying", "char", "character", "bpchar"})
_OPERATORS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
# What each kind of condition is made of. With anything else (NOT of a LIKE, SYMMETRIC) it means something else.
_PARTS: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Is: frozenset({"this", "expression", "negate"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions"}),
}
_TWO_SIDES = frozenset({"this", "expression"})
_TURNED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_CONSTANTS = (
    exp.Literal, exp.Boolean, exp.Null, exp.Neg, exp.Cast, exp.Paren, exp.Placeholder, exp.Parameter, exp.DataType,
    exp.DataTypeParam, exp.Add, exp.Sub, exp.Interval, exp.Var, exp.Array, exp.Identifier,
)  # fmt: skip


class _Unsent(Exception):
    """A condition that stays here."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What goes along with a read: conditions in the datasource's dialect, joined by AND, and a limit."""

    where: tuple[str, ...] = ()
    limit: int | None = None


class Filters:
    """The conditions on one relation of a statement."""

    def __init__(
        self, node: exp.Table, columns: Sequence[ColumnSpec], item: DialectContract, constant: Constant
    ) -> None:
        self._node = node
        self._item = item
        self._constant = constant
        self._alias = node.alias_or_name.lower()
        given = [name.name.lower() for name in node.args["alias"].columns] if node.args.get("alias") else []
        names = given + [column.name.lower() for column in columns[len(given) :]]
        found = zip(names, columns, strict=False)
        self._columns = {name: column for name, column in found if names.count(name) == 1}
        self._kinds = _KINDS.get(item.name, _ELSEWHERE)
        self._exact = item.name in _EXACT

    def pushed(self) -> Pushed:
        """All that can be sent: of a SELECT, or of an UPDATE or DELETE that reads the table."""
        select = self._node.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Merge)
        if select is None or self._node.args.get("sample") or not _is_direct(select, self._node):
            return Pushed()
        sent: list[str] = []
        every = True
        for conjunct in self._conjuncts(select):
            try:
                sent.append(self._text(conjunct))
            except _Unsent:
                every = False
        return Pushed(tuple(sent), self._limit(select) if every and (self._exact or not sent) else None)

    # -- where conditions stand -----------------------------------------------------------------------------------

    def _conjuncts(self, select: exp.Expr) -> Iterator[exp.Expr]:
        joins = select.args.get("joins") or []
        outer = [join.side.upper() in ("RIGHT", "FULL") for join in joins]
        own = next((number for number, join in enumerate(joins) if join.this is self._node), None)
        if any(join.args.get("using") or join.args.get("method") for join in joins):
            return  # an unqualified name may mean either side
        where = select.args.get("where")
        if own is None:
            if where is not None and not any(outer):
                yield from _split(where.this)
            return
        join = joins[own]
        if join.kind.upper() not in ("", "INNER", "CROSS", "OUTER") or any(outer[own:]):
            return
        if join.args.get("on") is not None:
            yield from _split(join.args["on"])
        if where is not None and not join.side:
            yield from _split(where.this)

    def _limit(self, select: exp.Expr) -> int | None:
        limit = select.args.get("limit")
        plain = (
            isinstance(limit, exp.Limit)
            and not select.args.get("joins")
            and not any(select.args.get(key) for key in ("group", "having", "order", "distinct", "qualify", "laterals"))
            and not select.find(exp.Window, exp.Subquery)
            and all(isinstance(call, exp.Cast | exp.Connector) for call in select.find_all(exp.Func))
        )  # fmt: skip
        if not plain:
            return None
        assert limit is not None
        total = 0
        for node in (limit, select.args.get("offset")):
            if node is None:
                continue
            try:
                value = self._value(node.expression)
            except _Unsent:
                return None
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                return None
            total += value
        return total

    # -- one condition --------------------------------------------------------------------------------------------

    def _text(self, node: exp.Expr) -> str:
        """The condition in the datasource's dialect."""
        _check_parts(node)
        if isinstance(node, exp.Paren):
            return self._text(node.this)
        if isinstance(node, exp.Or):
            return f"({self._text(node.this)} OR {self._text(node.expression)})"
        if isinstance(node, exp.And):
            return f"({self._text(node.this)} AND {self._text(node.expression)})"
        if isinstance(node, exp.Column):
            return self._flag(node, True)
        if isinstance(node, exp.Not):
            return self._negated(node.this)
        if isinstance(node, exp.Is):
            return self._is(node, bool(node.args.get("negate")))
        if isinstance(node, exp.Between):
            low = self._compared(node.this, ">=", node.args["low"])
            return f"({low} AND {self._compared(node.this, '<=', node.args['high'])})"
        if isinstance(node, exp.In):
            return self._in(node)
        if isinstance(node, exp.Like):
            return self._like(node)
        operator = _OPERATORS.get(type(node))
        if operator is None:
            raise _Unsent
        if isinstance(node.expression, exp.Any):
            return self._any(node, operator)
        if isinstance(node.this, exp.Column):
            return self._compared(node.this, operator, node.expression)
        return self._compared(node.expression, _TURNED[operator], node.this)

    def _column(self, node: exp.Expr) -> ColumnSpec:
        """The table's column that ``node`` is; only of kinds that all agree on."""
        found = self._own(node)
        if found.type.kind not in self._kinds or (self._item.name == "duckdb" and found.declared == "BIGNUM"):
            raise _Unsent
        if (
            found.type.kind == "text"
            and self._item.name in ("postgres", "greenplum", "redshift")
            and (found.declared or "").lower().split("(")[0].strip() not in _PLAIN_TEXT
        ):
            raise _Unsent
        if self._item.name == "sqlite" and found.type.kind == "text" and makes_numbers(found.declared or ""):
            raise _Unsent  # it keeps numbers, which are less than any text
        if self._item.name == "mysql" and (found.declared or "").lower().startswith("year"):
            raise _Unsent  # 42 is 2042 to a YEAR
        return found

    def _own(self, node: exp.Expr) -> ColumnSpec:
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            raise _Unsent
        if node.table and node.table.lower() != self._alias:
            raise _Unsent
        found = self._columns.get(node.name.lower())
        if found is None:
            raise _Unsent
        return found

    def _negated(self, node: exp.Expr) -> str:
        while isinstance(node, exp.Paren):
            node = node.this
        _check_parts(node)
        if isinstance(node, exp.Column):
            return self._flag(node, False)
        if isinstance(node, exp.Is):
            return self._is(node, not node.args.get("negate"))
        if isinstance(node, exp.In) and self._column(node.this).type.kind in _WHOLE:
            return f"NOT {self._in(node)}"
        raise _Unsent

    def _flag(self, node: exp.Expr, value: bool) -> str:
        column = self._column(node)
        if column.type.kind != "bool":
            raise _Unsent
        return f"{quoted(column.name, self._item)} = {literal(value, self._item)}"

    def _is(self, node: exp.Is, negate: bool) -> str:
        other = node.expression
        if isinstance(other, exp.Null):
            name = quoted(self._own(node.this).name, self._item)
            return f"{name} IS NOT NULL" if negate else f"{name} IS NULL"
        if isinstance(other, exp.Boolean) and not negate:
            return self._flag(node.this, bool(other.this))
        raise _Unsent

    def _in(self, node: exp.In) -> str:
        if not node.expressions or node.args.get("query") is not None or node.args.get("unnest") is not None:
            raise _Unsent
        column = self._column(node.this)
        return self._among(column, [self._value_of(column, item) for item in node.expressions])

    def _any(self, node: exp.Expr, operator: str) -> str:
        """``= ANY (array)``."""
        column = self._column(node.this)
        values = self._value(node.expression.this)
        if operator != "=" or not isinstance(values, list) or not values:
            raise _Unsent
        found = [value for value in values if value is not None]
        return self._among(column, found) if found else "1 = 0"

    def _among(self, column: ColumnSpec, values: list[Any]) -> str:
        given = ", ".join(self._fitting(column, value) for value in values)
        return f"{self._text_name(column, *values)} IN ({given})"

    def _like(self, node: exp.Like) -> str:
        column = self._column(node.this)
        pattern = self._value(node.expression)
        if (
            column.type.kind != "text"
            or column.type.fixed
            or not isinstance(pattern, str)
            or "\\" in pattern
            or self._item.name not in ("postgres", "duckdb", "mysql", "sqlite")
        ):
            raise _Unsent
        self._exact = False
        name = self._text_name(column, pattern)
        if self._item.name == "postgres":
            name += ' COLLATE "C"'
        return f"{name} LIKE {self._spelled(pattern)}"

    def _compared(self, node: exp.Expr, operator: str, other: exp.Expr) -> str:
        column = self._column(node)
        value = self._value_of(column, other)
        name, given = self._text_name(column, value), self._fitting(column, value)
        if column.type.kind == "text" and operator != "=":
            if self._item.name not in ("postgres", "greenplum", "duckdb", "sqlite") or column.type.fixed:
                raise _Unsent
            if self._item.name == "duckdb":  # where a column's collation cannot be left out
                return f"encode({name}) {operator} encode({given})"
            name += " COLLATE BINARY" if self._item.name == "sqlite" else ' COLLATE "C"'
        return f"{name} {operator} {given}"

    def _text_name(self, column: ColumnSpec, *values: Any) -> str:
        """The column to be compared with values: MySQL knows no equality with letters that its charset lacks."""
        name = quoted(column.name, self._item)
        foreign = any(isinstance(value, str) and not value.isascii() for value in values)
        if self._item.name == "mysql" and foreign and column.charset != "utf8mb4":
            return f"CONVERT({name} USING utf8mb4)"
        return name

    # -- constants ------------------------------------------------------------------------------------------------

    def _value(self, node: exp.Expr) -> Any:
        if not all(isinstance(part, _CONSTANTS) for part in node.walk()):
            raise _Unsent
        try:
            return self._constant(node)
        except ValueError:
            raise _Unsent from None

    def _value_of(self, column: ColumnSpec, node: exp.Expr) -> Any:
        """The value of a constant that is compared with the column."""
        kind = column.type.kind
        bare = isinstance(node, exp.Literal) and node.is_string
        if bare and kind not in ("text", "bool"):
            if kind not in _CASTS:
                raise _Unsent
            node = exp.cast(node.copy(), _CASTS[kind], dialect="duckdb")
        return self._value(node)

    def _fitting(self, column: ColumnSpec, value: Any) -> str:
        """A value as the column's dialect compares it with the column."""
        kind = column.type.kind
        if kind in ("text", "float64"):
            self._exact = False
        if kind == "timestamp" and type(value) is date:
            value = datetime(value.year, value.month, value.day)
        if not _fits(kind, value):
            raise _Unsent
        if self._item.name not in _EXACT and kind in _WHOLE:
            value = _whole(value, kind)
        if kind == "instant":
            value = value.astimezone(UTC)
        return self._spelled(value)

    def _spelled(self, value: Any) -> str:
        try:
            return literal(value, self._item)
        except MigrationError:
            raise _Unsent from None


_CASTS = {"date": "DATE", "timestamp": "TIMESTAMP", "instant": "TIMESTAMPTZ", "uuid": "UUID"}


def _fits(kind: str, value: Any) -> bool:
    """Whether a column of this kind is compared with the value as it is, in every dialect."""
    if kind in _WHOLE or kind == "decimal":
        return isinstance(value, int | Decimal) and not isinstance(value, bool) and _is_finite(value)
    if kind == "float64":
        return isinstance(value, int | Decimal | float) and not isinstance(value, bool) and _is_finite(value)
    if kind == "text":
        return isinstance(value, str) and "\x00" not in value
    if kind in ("date", "timestamp", "instant") and isinstance(value, date):
        if value.year in (date.min.year, date.max.year):
            return False  # the engine gives infinity, and what lies beyond, as the first or the last moment
        if kind == "date":
            return type(value) is date
        return isinstance(value, datetime) and (value.tzinfo is None) == (kind == "timestamp")
    if kind == "uuid":
        return isinstance(value, UUID)
    return kind == "bool" and isinstance(value, bool)


def _whole(value: int | Decimal, kind: str) -> int:
    """A number that an engine reads as the integer it is: others, and longer ones, are floats to many."""
    if value != int(value) or (int(value) not in _INT64 and not (kind == "uint64" and 0 < value < 2**64)):
        raise _Unsent
    return int(value)


def _is_finite(value: int | Decimal | float) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or value - value == 0


def _check_parts(node: exp.Expr) -> None:
    """Only what ``_text`` looks at may be there."""
    if not isinstance(node, exp.Column | exp.Paren):
        parts = _PARTS.get(type(node), _TWO_SIDES)
        if any(value for name, value in node.args.items() if name not in parts):
            raise _Unsent


def _split(node: exp.Expr) -> Iterator[exp.Expr]:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.And):
        yield from _split(node.this)
        yield from _split(node.expression)
    else:
        yield node


def _is_direct(select: exp.Expr, node: exp.Table) -> bool:
    """Whether the table stands in the SELECT's FROM itself, or is what one of its joins adds."""
    from_ = select.args.get("from_")
    using = select.args.get("using") if isinstance(select, exp.Delete) else None
    if (from_ is not None and from_.this is node) or any(item is node for item in using or ()):
        return not node.args.get("joins")
    return any(join.this is node for join in select.args.get("joins") or ())
