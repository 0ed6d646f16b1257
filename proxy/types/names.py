"""From the engine's spelling of a type to what Postgres calls it, and back.

Rules:

1. ``declared`` (what the user wrote at CREATE TABLE) wins where it names a Postgres type: the engine has one
   string type, Postgres has five.
2. An engine type Postgres lacks becomes the smallest one that holds every value of it.
3. Lists and fixed-size arrays of any depth are arrays of their innermost element, as in Postgres; structs,
   maps, unions and variants are json.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .info import TypeInfo
from .numerics import decimal_type
from .registry import BY_NAME, CODECS, ELEMENT, TEXT, TYPES, codec_of

_ENGINE = {
    "BOOLEAN": "bool",
    "TINYINT": "int2",
    "SMALLINT": "int2",
    "INTEGER": "int4",
    "BIGINT": "int8",
    "HUGEINT": "numeric",
    "UTINYINT": "int2",
    "USMALLINT": "int4",
    "UINTEGER": "int8",
    "UBIGINT": "numeric",
    "UHUGEINT": "numeric",
    "BIGNUM": "numeric",
    "VARINT": "numeric",
    "FLOAT": "float4",
    "DOUBLE": "float8",
    "DECIMAL": "numeric",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "DATE": "date",
    "TIME": "time",
    "TIME_NS": "time",
    "TIME WITH TIME ZONE": "timetz",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "INTERVAL": "interval",
    "UUID": "uuid",
    "JSON": "json",
    "JSONB": "jsonb",  # of our own results: the engine has no such type
    "BIT": "varbit",
    "STRUCT": "json",
    "MAP": "json",
    "UNION": "json",
    "VARIANT": "json",
}
_DECLARED = {
    **{name: name for name in BY_NAME},
    "boolean": "bool",
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "decimal": "numeric",
    "character varying": "varchar",
    "character": "bpchar",
    "char": "bpchar",
    '"char"': "char",
    "bit varying": "varbit",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
# What the engine has for a numeric without width and scale (``proxy.sql`` writes it so). Shown without the zeros at its
# end, which nobody wrote.
BARE_NUMERIC = (38, 10)
_ARRAY = re.compile(r"(.*)\[\d*\]\Z", re.DOTALL)
_SIZED = re.compile(r"([^(]+?)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)(.*)\Z", re.DOTALL)


def _array_of(element: TypeInfo) -> TypeInfo:
    if element.oid in ELEMENT:
        return element
    array = TYPES.get(element.array_oid, TYPES[TEXT.array_oid])
    return replace(array, typmod=element.typmod)


def _numeric_typmod(width: int, scale: int) -> int:
    return (width << 16 | scale) + 4


def _declared(text: str) -> TypeInfo | None:
    text = text.strip()
    if found := _ARRAY.match(text):
        element = _declared(found[1])
        return element and _array_of(element)
    typmod, scale = -1, "0"
    if found := _SIZED.match(text):
        text, typmod, scale = found[1] + found[4], int(found[2]), found[3] or "0"
    name = _DECLARED.get(text.lower().removeprefix("pg_catalog."))
    if name is None:
        return None
    info = BY_NAME[name]
    if name in ("varchar", "bpchar"):
        if typmod == -1 and text.lower() in ("char", "character"):
            typmod = 1
        return info if typmod == -1 else replace(info, typmod=typmod + 4)
    if name == "numeric" and typmod != -1:
        return replace(info, typmod=_numeric_typmod(typmod, int(scale)))
    return info if typmod == -1 else replace(info, typmod=typmod)


@lru_cache(maxsize=4096)
def from_engine(type_text: str, declared: str | None = None) -> TypeInfo:
    """What Postgres calls the engine's type ``type_text`` (declared as ``declared``, where that is known)."""
    if declared is not None and (info := _declared(declared)) is not None:
        return info
    text = type_text.strip()
    if found := _ARRAY.match(text):
        return _array_of(from_engine(found[1]))
    name, _, rest = text.partition("(")
    info = BY_NAME[_ENGINE.get(name.strip().upper(), "text")]
    if info.name == "numeric" and rest:
        width, _, scale = rest.rstrip(") ").partition(",")
        if (int(width), int(scale or 0)) == BARE_NUMERIC:
            return info
        return replace(info, typmod=_numeric_typmod(int(width), int(scale or 0)))
    return info


def by_oid(oid: int) -> TypeInfo | None:
    """The type with this OID, if Bough has it."""
    return TYPES.get(oid)


def engine_type(oid: int) -> str:
    """The engine's type a parameter is wrapped with: ``CAST($1 AS INTEGER)``. Unknown OIDs are VARCHAR."""
    return codec_of(oid).engine_type


def parameter_type(oid: int, value: Any) -> str:
    """As ``engine_type``, but for one value: a numeric gets the width and scale that lose nothing of it."""
    if isinstance(value, Decimal):
        return decimal_type(value)
    if ELEMENT.get(oid) == BY_NAME["numeric"].oid and isinstance(value, list):
        return _decimal_array(value)
    return engine_type(oid)


def _decimal_array(items: list[Any]) -> str:
    known = [item for item in items if item is not None]
    if any(not item.is_finite() for item in known):
        return "DOUBLE[]"
    scale = max((max(0, -item.as_tuple().exponent) for item in known), default=0)
    whole = max((max(1, item.adjusted() + 1) for item in known), default=1)
    return f"DECIMAL({min(38, whole + scale)},{scale})[]"


def supported(oid: int) -> bool:
    """Values of this type can be read and written in both formats."""
    return oid in CODECS
