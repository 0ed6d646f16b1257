"""The SELECTs readers send: a projection over a table or a query, with conditions and an order.

Names go through the dialect's quoting, values through ``literal``; comparisons of text ask for binary order
and equality, because only those mean the same on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from migration.connectors.base import Predicate, Source
from migration.dialects import DialectContract
from migration.dialects.quoting import quote_path, quote_text
from migration.errors import MigrationError

_BINARY = {
    "duckdb": "decode(encode({column}))",  # a collation there stays with a text whatever is done to it
    "postgres": '{column} COLLATE "C"',
    "greenplum": '{column} COLLATE "C"',
    "mysql": "CAST({column} AS BINARY)",
    "sqlite": "{column} COLLATE BINARY",
}
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


def quoted(name: str, item: DialectContract) -> str:
    """A name, always in quotes: it came from a catalog and is spelled as it is there."""
    return item.identifiers.quoted(name.replace("\\", "\\\\") if item.name == "clickhouse" else name)


def quoted_path(path: Sequence[str], item: DialectContract) -> str:
    """A dotted name, every part in quotes."""
    if not path or any(not part or "\x00" in part for part in path):
        return quote_path(path, item)  # raises with the reason
    return ".".join(quoted(part, item) for part in path)


def literal(value: Any, item: DialectContract) -> str:
    """A constant of ``item``'s dialect; only types whose text is beyond doubt."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return ("1" if value else "0") if item.name in ("sqlite", "mysql") else str(value).upper()
    if isinstance(value, int | Decimal):  # with an exponent it would be a float to many engines
        text = f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)
        return text if value >= 0 else f"({text})"
    if isinstance(value, float):
        text = repr(value)
        if text.strip("-") in ("inf", "nan"):
            raise MigrationError("0A000", f"{text} cannot be compared remotely")
        return f"({text})" if value < 0 else text
    if isinstance(value, bytes):
        if item.name in ("postgres", "greenplum", "redshift"):
            return f"'\\x{value.hex()}'::bytea"
        return f"unhex('{value.hex()}')" if item.name in ("clickhouse", "duckdb") else f"x'{value.hex()}'"
    if isinstance(value, datetime):
        return quote_text(value.isoformat(sep=" "), item)
    if isinstance(value, date | time | UUID):
        return quote_text(str(value), item)
    if isinstance(value, str):
        return quote_text(value, item)
    raise MigrationError("0A000", f"a {type(value).__name__} cannot be sent as a condition")


def in_byte_order(column: str, item: DialectContract) -> str:
    """An expression of texts that compares by its bytes, whatever collation the column has."""
    return _BINARY.get(item.name, "{column}").format(column=column)


def condition(predicate: Predicate, item: DialectContract) -> str:
    """One predicate as SQL."""
    column, value = quoted(predicate.column, item), predicate.value
    if predicate.operator in ("is null", "is not null"):
        return f"{column} {predicate.operator.upper()}"
    values = tuple(value) if predicate.operator == "in" else (value,)
    if not values:
        return "1 = 0"
    texts = any(isinstance(each, str) for each in values)
    left = in_byte_order(column, item) if texts else column
    if predicate.operator == "in":
        return f"{left} IN ({', '.join(literal(each, item) for each in values)})"
    if predicate.operator not in _COMPARISONS:
        raise MigrationError("0A000", f"operator {predicate.operator} is not known")
    return f"{left} {predicate.operator} {literal(value, item)}"


def select(
    item: DialectContract,
    source: Source,
    expressions: Sequence[str],
    where: Sequence[Predicate] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> str:
    """``SELECT expressions FROM source ...``."""
    text = f"SELECT {', '.join(expressions)} FROM {relation(item, source)}"
    if where:
        text += " WHERE " + " AND ".join(condition(predicate, item) for predicate in where)
    if order_by:
        text += " ORDER BY " + ", ".join(quoted(name, item) for name in order_by)
    return text if limit is None else f"{text} LIMIT {int(limit)}"


def relation(item: DialectContract, source: Source) -> str:
    """What stands after FROM; a query ends in a line break in case it ends in a comment."""
    if source.path:
        return quoted_path(source.path, item)
    return f"({source.query.strip().rstrip(';')}\n) AS {quoted('q', item)}"


def renamed(item: DialectContract, source: Source, names: Sequence[str]) -> str:
    """A query with its columns under other names, as standard SQL has it."""
    return f"SELECT * FROM {relation(item, source)} ({', '.join(quoted(name, item) for name in names)})"


def named_before(item: DialectContract, source: Source, names: Sequence[str]) -> str:
    """The same for an engine that lets a common table expression have them, and no subquery."""
    columns = ", ".join(quoted(name, item) for name in names)
    given = quoted("bough_q", item)
    return f"WITH {given} ({columns}) AS ({source.query.strip().rstrip(';')}\n) SELECT * FROM {given}"
