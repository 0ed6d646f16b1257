"""``character varying(n)`` and ``character(n)``: what is assigned to such a column is as short as it says.

Rules:

1. Checked where Postgres does it: at the assignment, in the expression that is assigned. The engine knows no lengths,
   and its tables need none: rows that were there before lengths were kept stay as they are until somebody assigns.
2. Blanks behind the n-th character are cut, any other character is refused (22001). An explicit cast cuts, as ever.
3. ``character(n)`` is not padded: it is ``character varying(n)`` under another name.
4. Tables without such columns pay a look at their declared types; constants and parameters are measured here, and
   cost the engine nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from branching import names
from branching.engine.base import Cursor
from branching.errors import BoughError
from branching.model import Column, Table
from branching.resolve import DIALECT, Scope, parse
from branching.volatility import is_volatile

_DECLARED = re.compile(
    r"(character varying|varchar|character|char|bpchar)\s*(?:\(\s*(\d+)\s*\))?\Z", re.IGNORECASE
)
_VALUE = "_bough_value"
Width = Callable[[exp.Expr], int]  # how many columns a query has
Short = Callable[
    [int, "Limit"], bool
]  # whether the value of a parameter, by its place, is known to be short enough


@dataclass(frozen=True, slots=True)
class Limit:
    length: int
    shown: str

    def fits(self, value: object) -> bool:
        """False also for what is no text: how long it is as one, the engine knows."""
        return value is None or (isinstance(value, str) and len(value) <= self.length)

    def too_long(self) -> str:
        return f"value too long for type {self.shown}"


@lru_cache(maxsize=4096)
def declared_limit(declared: str | None) -> Limit | None:
    """The limit in a declared type; None where it has none."""
    found = _DECLARED.match(declared.strip()) if declared is not None else None
    if found is None:
        return None
    varying = "var" in found[1].lower()
    if found[2] is None and (varying or found[1].lower() == "bpchar"):
        return None
    length = int(found[2] or 1)
    return Limit(length, f"character{' varying' if varying else ''}({length})")


def limit_of(column: Column) -> Limit | None:
    return declared_limit(column.declared) if column.type == "VARCHAR" and column.generated is None else None


def settle(
    scope: Scope, tree: exp.Expr, table: Table, columns: Sequence[str], width: Width, short: Short
) -> None:
    """Puts the limits of ``table`` into a write to it. ``columns``: those that an INSERT fills."""
    limits = {c.name.lower(): (c, limit) for c in table.columns if (limit := limit_of(c)) is not None}
    if limits:
        _Assigned(scope, table, limits, width, short).settle(tree, columns)


class _Assigned:
    def __init__(
        self,
        scope: Scope,
        table: Table,
        limits: dict[str, tuple[Column, Limit]],
        width: Width,
        short: Short,
    ) -> None:
        self._scope, self._table, self._limits = scope, table, limits
        self._width, self._short = width, short

    def settle(self, tree: exp.Expr, columns: Sequence[str]) -> None:
        if isinstance(tree, exp.Insert):
            self._insert(tree, list(columns))
            if (conflict := tree.args.get("conflict")) is not None:
                self._set(conflict.expressions)
        elif isinstance(tree, exp.Update):
            self._set(tree.expressions)
        elif isinstance(tree, exp.Merge):
            for when in tree.args["whens"].expressions:
                then = when.args["then"]
                if isinstance(then, exp.Update):
                    self._set(then.expressions)
                elif isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple):
                    self._row(then.expression, [item.name for item in then.this.expressions])

    def _value(self, name: str, value: exp.Expr) -> exp.Expr:
        found = self._limits.get(name.lower())
        if found is None:
            return value
        column, limit = found
        if isinstance(value, exp.Var) and value.name.upper() == "DEFAULT":
            return self._default(column, limit) or value
        bare = _bare(value)
        if isinstance(bare, exp.Placeholder) and self._short(int(bare.name) - 1, limit):
            return value
        return coerced(value, limit)

    def _default(self, column: Column, limit: Limit) -> exp.Expr | None:
        """What to say in the place of DEFAULT; None where the engine's own default is as short as it must be."""
        text = self._scope.default_sql(column.default)
        if column.default is None or text is None:
            return None
        tree = parse(column.default).copy()
        if (constant := _constant(tree)) is not None and limit.fits(constant):
            return None
        return coerced(
            tree if constant is not None else exp.Var(this=f"({text})"), limit, volatile=is_volatile(tree)
        )

    def _set(self, items: Sequence[exp.Expr]) -> None:
        for item in items:
            target, value = item.this, item.expression
            if isinstance(target, exp.Column):
                item.set("expression", self._value(target.name, value))
            elif isinstance(target, exp.Tuple) and isinstance(value, exp.Tuple):
                self._row(value, [part.name for part in target.expressions])

    def _row(self, row: exp.Expr | None, columns: Sequence[str]) -> None:
        if isinstance(row, exp.Tuple):
            cells = zip(columns, row.expressions, strict=False)
            row.set("expressions", [self._value(name, cell) for name, cell in cells])

    def _insert(self, tree: exp.Insert, columns: list[str]) -> None:
        if tree.args.get("by_name"):
            return self._by_name(tree)
        given = {name.lower() for name in columns} if not tree.args.get("default") else set()
        missing = [
            (column.name, value)
            for name, (column, limit) in self._limits.items()
            if name not in given and (value := self._default(column, limit)) is not None
        ]
        source = tree.expression
        if tree.args.get("default") and missing:
            source = exp.Values(expressions=[exp.Tuple(expressions=[])])
            tree.set("default", None)
            columns = []
        if isinstance(source, exp.Values):
            for row in source.expressions:
                self._row(row, columns)
                row.set("expressions", [*row.expressions, *(value.copy() for _, value in missing)])
        elif isinstance(source, exp.Query) and (missing or any(name in self._limits for name in given)):
            columns, source = self._query(source, columns)
            source.set("expressions", [*source.expressions, *(value.copy() for _, value in missing)])
        tree.set("expression", source)
        if missing:
            node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
            listed = [
                exp.to_identifier(name, quoted=True) for name in [*columns, *(name for name, _ in missing)]
            ]
            tree.set("this", exp.Schema(this=node, expressions=listed))

    def _query(self, source: exp.Query, columns: list[str]) -> tuple[list[str], exp.Expr]:
        """The query with its values coerced: in their places, or around it where what it selects is not plain."""
        plain = isinstance(source, exp.Select) and not source.is_star and not source.args.get("distinct")
        if plain and len(source.expressions) <= len(columns):
            items = []
            for name, item in zip(columns, source.expressions, strict=False):
                value = item.this if isinstance(item, exp.Alias) else item
                now = self._value(name, value)
                items.append(
                    item if now is value else exp.alias_(now, item.alias_or_name or name, quoted=True)
                )
            source.set("expressions", items)
            return columns, source
        columns = columns[: self._width(source)]
        inner = [exp.to_identifier(f"g{number}", quoted=True) for number, _ in enumerate(columns)]
        rows = exp.Subquery(
            this=source, alias=exp.TableAlias(this=exp.to_identifier("_given"), columns=inner)
        )
        values = [
            self._value(name, exp.column(item.copy(), table="_given"))
            for name, item in zip(columns, inner, strict=True)
        ]
        return columns, exp.select(*values).from_(rows)

    def _by_name(self, tree: exp.Insert) -> None:
        raise BoughError(
            "0A000",
            f'INSERT … BY NAME into "{self._table.name}" is not supported: it has columns of a declared length',
            hint=f"INSERT INTO {names.quote(self._table.name)} (columns) SELECT …",
        )


def coerced(value: exp.Expr, limit: Limit, *, volatile: bool = False) -> exp.Expr:
    """``value``, as short as ``limit`` says, or an error where it cannot be."""
    if isinstance(value, exp.Null):
        return value
    if (text := _constant(value)) is not None:
        if limit.fits(text):
            return value
        if not limit.fits(text.rstrip(" ")):
            raise BoughError("22001", limit.too_long(), detail=f"The value has {len(text)} characters.")
        return exp.Literal.string(text[: limit.length])
    once = volatile or is_volatile(value) or value.find(exp.Query) is not None
    tree = _template(limit, once).copy()
    for place in list(tree.find_all(exp.Column)):
        if place.name == _VALUE:
            place.replace(value.copy())
    return tree


def coerced_sql(value: str, limit: Limit) -> str:
    """The same for an expression in the engine's dialect."""
    return coerced(exp.Var(this=f"({value})"), limit).sql(DIALECT)


def refuse_default(column: Column) -> None:
    """22001 where a new column's rows would be given a constant that is too long for it."""
    limit = limit_of(column)
    if limit is not None and column.default is not None:
        coerced(parse(column.default), limit)


def retyped(cursor: Cursor, rows: str, column: Column, value: str) -> str:
    """What ``rows`` get where ``column`` is what one of their columns becomes, and ``value`` what was asked for: that,
    if all are short enough."""
    limit = limit_of(column)
    if limit is None:
        return value
    longest = cursor.query(f"SELECT max(length(CAST({value} AS VARCHAR))) FROM {rows} AS _t")[0][0]
    return value if longest is None or longest <= limit.length else coerced_sql(value, limit)


def is_narrower(column: Column, than: Column) -> bool:
    """Whether a column may not hold what one of the same type could."""
    limit, other = limit_of(column), limit_of(than)
    return limit is not None and (other is None or other.length > limit.length)


def or_null(value: str, column: Column) -> str:
    """``value``, or NULL where it is too long for ``column``."""
    limit = limit_of(column)
    if limit is None:
        return value
    return f"CASE WHEN length(rtrim(CAST({value} AS VARCHAR), ' ')) <= {limit.length} THEN {value} END"


def _constant(node: exp.Expr) -> str | None:
    """A string constant; None if it is none."""
    node = _bare(node)
    return node.name if isinstance(node, exp.Literal) and node.is_string else None


def _bare(node: exp.Expr) -> exp.Expr:
    """Without casts to text."""
    while isinstance(node, exp.Paren) or (
        isinstance(node, exp.Cast) and node.to.sql(DIALECT) in ("TEXT", "VARCHAR")
    ):
        node = node.this
    return node


@lru_cache(maxsize=1024)
def _template(limit: Limit, once: bool) -> exp.Expr:
    """``once``: the value is drawn, or dear, so it is worked out once."""
    value = f"CAST({_VALUE} AS VARCHAR)"
    text = "_text" if once else value
    cut = f"CASE WHEN length(rtrim({text}, ' ')) <= {limit.length} THEN left({text}, {limit.length})"
    short = (
        f"CASE WHEN length({text}) > {limit.length} THEN {cut} ELSE error({names.literal(limit.too_long())}) END"
        f" ELSE {text} END"
    )
    return parse(f"list_extract(list_transform([{value}], lambda _text: {short}), 1)" if once else short)
