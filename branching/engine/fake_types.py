"""The types of the fake engine's queries, and its values: SQLite keeps numbers and text, branching wants types.

A query's types follow from its tree and from the declared types of the tables that it reads. Values are kept as SQLite
can compare them: instants as ISO text in UTC, booleans as 0 and 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlglot import exp

from branching.engine.fake_sql import CAST, TRY_CAST, type_text

Columns = list[tuple[str, str | None]]  # (name, type where it is known)
Lookup = Callable[[str], Columns | None]
_TRUTH = (
    exp.Predicate, exp.And, exp.Or, exp.Not, exp.Boolean, exp.Exists, exp.LogicalAnd, exp.LogicalOr, exp.Is, exp.In,
)  # fmt: skip
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")
_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
_NAMED = {
    "nextval": "BIGINT",
    "currval": "BIGINT",
    "getvariable": "BIGINT",
    "concat_ws": "VARCHAR",
    "row_text": "VARCHAR",
    "now": "TIMESTAMP WITH TIME ZONE",
}


def columns_of(query: exp.Expr, lookup: Lookup, outer: Mapping[str, Columns] | None = None) -> Columns:
    """Names and types of a query's columns."""
    known = dict(outer or {})
    if isinstance(query, exp.Subquery):
        return columns_of(query.this, lookup, known)
    with_ = query.args.get("with_")
    for cte in with_.expressions if with_ is not None else ():
        found = _renamed(columns_of(cte.this, lookup, known), cte.args.get("alias"))
        known[cte.alias] = found
    if isinstance(query, exp.SetOperation):
        left, right = columns_of(query.this, lookup, known), columns_of(query.expression, lookup, known)
        return [(name, kind or other) for (name, kind), (_, other) in zip(left, right, strict=False)]
    if isinstance(query, exp.Values):
        rows = query.expressions
        first = rows[0].expressions if isinstance(rows[0], exp.Tuple) else [rows[0]]
        return [(f"column{number}", type_of(item, {}, lookup)) for number, item in enumerate(first, 1)]
    if not isinstance(query, exp.Select):
        return []
    scope = _sources(query, lookup, known)
    return projected(query.expressions, scope, lookup)


def projected(items: list[exp.Expr], scope: Mapping[str, Columns], lookup: Lookup) -> Columns:
    """The columns of a select list over these relations, by alias."""
    found: Columns = []
    for item in items:
        if isinstance(item, exp.Star):
            found += [column for columns in scope.values() for column in columns]
        elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            found += scope.get(item.table, [])
        else:
            name = item.alias_or_name or item.sql().lower()
            found.append((name, type_of(item.unalias(), scope, lookup)))
    return found


def _sources(query: exp.Select, lookup: Lookup, known: Mapping[str, Columns]) -> dict[str, Columns]:
    from_ = query.args.get("from_")
    nodes = [from_.this] if from_ is not None else []
    nodes += [join.this for join in query.args.get("joins") or ()]
    nodes += [join.this for node in list(nodes) for join in node.args.get("joins") or ()]
    found: dict[str, Columns] = {}
    for node in nodes:
        if isinstance(node, exp.Table):
            columns = known.get(node.name) or lookup(node.name) or []
        else:
            columns = columns_of(node, lookup, known)
        found[node.alias_or_name] = _renamed(columns, node.args.get("alias"))
    return found


def _renamed(columns: Columns, alias: exp.Expr | None) -> Columns:
    given = alias.args.get("columns") if alias is not None else None
    names = [item.name for item in given or ()]
    return [
        (names[number] if number < len(names) else name, kind) for number, (name, kind) in enumerate(columns)
    ]


def type_of(node: exp.Expr, scope: Mapping[str, Columns], lookup: Lookup) -> str | None:
    """The type of an expression; None where it is not known."""

    def of(part: exp.Expr | None) -> str | None:
        return None if part is None else type_of(part, scope, lookup)

    if isinstance(node, exp.Column):
        tables = [scope.get(node.table, [])] if node.table else list(scope.values())
        wanted = node.name.lower()
        return next((kind for columns in tables for name, kind in columns if name.lower() == wanted), None)
    if isinstance(node, exp.Cast):
        return type_text(node.args["to"])
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        return node.expressions[1].name if name in (CAST, TRY_CAST) else _NAMED.get(name)
    if isinstance(node, exp.Literal):
        return "VARCHAR" if node.is_string else "INTEGER" if node.is_int else "DOUBLE"
    if isinstance(node, _TRUTH):
        return "BOOLEAN"
    if isinstance(node, exp.Count | exp.RowNumber | exp.Length):
        return "BIGINT"
    if isinstance(node, exp.Sum):
        kind = of(node.this)
        return "BIGINT" if kind in (*_INTEGERS, "BOOLEAN", None) else kind
    if isinstance(node, exp.Avg):
        return "DOUBLE"
    if isinstance(node, exp.Case):
        parts = [item.args.get("true") for item in node.args["ifs"]] + [node.args.get("default")]
        return _first(map(of, parts))
    if isinstance(node, exp.Coalesce):
        return _first(map(of, [node.this, *node.expressions]))
    if isinstance(
        node, exp.Paren | exp.Neg | exp.Filter | exp.Window | exp.Max | exp.Min | exp.Nullif | exp.AnyValue
    ):
        return of(node.this)
    if isinstance(node, exp.Binary) and not isinstance(node, exp.DPipe):
        return _wider(of(node.this), of(node.expression))
    if isinstance(node, exp.Subquery):
        columns = columns_of(node.this, lookup, scope)
        return columns[0][1] if columns else None
    if isinstance(
        node, exp.DPipe | exp.Concat | exp.ConcatWs | exp.Lower | exp.Upper | exp.Substring | exp.Trim
    ):
        return "VARCHAR"
    return None


def _first(kinds: Any) -> str | None:
    return next((kind for kind in kinds if kind is not None), None)


def _wider(left: str | None, right: str | None) -> str | None:
    if left in _NUMBERS and right in _NUMBERS:
        return max(left, right, key=_NUMBERS.index)
    return left or right


# -- values ----------------------------------------------------------------------------------------------------------


def stored(value: Any) -> Any:
    """A Python value as SQLite keeps it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo is not None else value).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def shown(value: Any, kind: str | None) -> Any:
    """What SQLite keeps as the Python value of a column of that type."""
    if value is None or kind is None:
        return value
    if kind == "BOOLEAN":
        return bool(value)
    if kind.startswith("TIMESTAMP"):
        return datetime.fromisoformat(value)
    if kind == "DATE":
        return date.fromisoformat(value)
    if kind.startswith("DECIMAL"):
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-int(kind.rstrip(")").partition(",")[2])))
    return float(value) if kind in ("FLOAT", "DOUBLE") else value


def cast(value: Any, kind: str) -> Any:
    """CAST: raises ValueError where the value does not fit."""
    if value is None:
        return None
    try:
        return _converted(value, kind)
    except (ValueError, InvalidOperation, OverflowError):
        raise ValueError(f"Conversion Error: Could not convert '{value}' to {kind}") from None


def try_cast(value: Any, kind: str) -> Any:
    with contextlib.suppress(ValueError):
        return cast(value, kind)
    return None


def _converted(value: Any, kind: str) -> Any:
    if kind in _INTEGERS:
        number = int(value.strip()) if isinstance(value, str) else round(value)
        if not -(2 ** (_INTEGERS[kind] - 1)) <= number < 2 ** (_INTEGERS[kind] - 1):
            raise ValueError
        return number
    if kind in ("FLOAT", "DOUBLE"):
        return float(value)
    if kind == "BOOLEAN":
        if isinstance(value, str):
            return int(
                {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}[value.lower()]
            )
        return int(bool(value))
    if kind == "VARCHAR":
        return value if isinstance(value, str) else str(value)
    if kind == "DATE":
        return date.fromisoformat(str(value)[:10]).isoformat()
    if kind.startswith("TIMESTAMP"):
        instant = datetime.fromisoformat(str(value))
        zoned = kind.endswith("ZONE")
        if zoned and instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return stored(instant if zoned else instant.replace(tzinfo=None))
    if kind.startswith("DECIMAL"):
        return float(shown(value, kind))
    return value
