"""The canonical form of values on their way: one Arrow type for each canonical type.

Rules:

1. The map is total. What Arrow has no exact type for travels as text: numerics without bounds (``NaN``,
   ``Infinity``, any number of digits), ``time with time zone``, intervals, uuids, json, enums, bit strings,
   structs and maps (as JSON).
2. Timestamps and dates are Arrow's own; infinity and -infinity are plus and minus the greatest integer, as
   DuckDB exports them.
3. An instant is microseconds in UTC; ``UTC`` is written out as the type's zone.
4. Lists are Arrow lists of the element's form.
"""

from __future__ import annotations

import pyarrow as pa

from migration.types import CanonicalType

__all__ = ["INFINITE_DATE", "INFINITE_TIMESTAMP", "arrow_schema", "arrow_type"]

INFINITE_TIMESTAMP = (1 << 63) - 1
INFINITE_DATE = (1 << 31) - 1

_PLAIN = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "int128": pa.decimal256(39, 0),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "uint128": pa.decimal256(39, 0),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bytes": pa.binary(),
    "date": pa.date32(),
}


def arrow_type(type_: CanonicalType) -> pa.DataType:
    """The Arrow type in which a canonical type travels."""
    plain = _PLAIN.get(type_.kind)
    if plain is not None:
        return plain
    if type_.kind == "decimal":
        return _decimal(type_.precision, type_.scale or 0)
    if type_.kind in ("time", "timestamp", "instant"):
        unit = "us" if (type_.precision or 0) <= 6 else "ns"
        if type_.kind == "time":
            return pa.time64(unit)
        return pa.timestamp(unit, "UTC" if type_.kind == "instant" else None)
    if type_.kind == "list" and type_.element is not None:
        return pa.list_(arrow_type(type_.element))
    return pa.string()


def arrow_schema(columns: list[tuple[str, CanonicalType]]) -> pa.Schema:
    """A schema of named canonical types."""
    return pa.schema([pa.field(name, arrow_type(type_)) for name, type_ in columns])


def _decimal(precision: int | None, scale: int) -> pa.DataType:
    if precision is None or precision > 76 or not 0 <= scale <= precision:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
