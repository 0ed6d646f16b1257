"""From a column's type in the model to what Postgres knows about a type.

What the user declared wins, because the engine forgets it: ``character varying(10)`` and ``jsonb`` are both
``VARCHAR``-like to it. Otherwise the engine's spelling decides. Types Postgres has no name for (structs,
maps) are shown as ``json``, the form in which their values travel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from proxy.catalog.shapes import shipped_rows

_ENGINE = {
    "int": "int4",
    "bool": "bool", "boolean": "bool", "tinyint": "int2", "smallint": "int2", "integer": "int4",
    "bigint": "int8",
    "hugeint": "numeric", "utinyint": "int2", "usmallint": "int4", "uinteger": "int8", "ubigint": "numeric",
    "uhugeint": "numeric", "bignum": "numeric", "float": "float4", "real": "float4", "double": "float8",
    "double precision": "float8", "decimal": "numeric", "numeric": "numeric", "varchar": "text",
    "text": "text",
    "string": "text", "blob": "bytea", "bytea": "bytea", "bit": "varbit", "date": "date", "time": "time",
    "time with time zone": "timetz", "timestamp": "timestamp", "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp", "timestamp_ns": "timestamp", "datetime": "timestamp",
    "timestamp with time zone": "timestamptz", "interval": "interval", "uuid": "uuid", "json": "json",
}  # fmt: skip

_DECLARED = {
    "character varying": "varchar", "character": "bpchar", "char": "bpchar", "int": "int4", "integer": "int4",
    "smallint": "int2", "bigint": "int8", "serial": "int4", "bigserial": "int8", "smallserial": "int2",
    "double precision": "float8", "double": "float8", "real": "float4", "float": "float8",
    "decimal": "numeric",
    "boolean": "bool", "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time", "time with time zone": "timetz", "bit varying": "varbit",
    "string": "text",
}  # fmt: skip

_SPELLING = re.compile(
    r"^\s*([a-z_\" ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\))?\s*(with(?:out)? time zone)?\s*$"
)


@dataclass(frozen=True, slots=True)
class PgType:
    """One row of pg_type, as far as columns need it, with the type modifier of the column."""

    oid: int
    name: str
    length: int
    by_value: bool
    align: str
    storage: str
    collation: int
    array: int
    formatted: str
    modifier: int = -1
    dimensions: int = 0


@cache
def system_types() -> dict[str, PgType]:
    """The types every Postgres has, by their ``typname``."""
    rows = shipped_rows("pg_catalog.pg_type").to_pylist()
    names = {row["oid"]: row["typname"] for row in rows}
    return {
        row["typname"]: PgType(
            row["oid"], row["typname"], row["typlen"], row["typbyval"], row["typalign"], row["typstorage"],
            row["typcollation"], row["typarray"],
            formatted_name(row["typname"],
            names.get(row["typelem"]) if row["typname"].startswith("_") else None),
        )
        for row in rows if row["typnamespace"] == 11
    }  # fmt: skip


_FORMATTED = {
    "bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real",
    "float8": "double precision", "varchar": "character varying", "bpchar": "character", "char": '"char"',
    "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone",
    "time": "time without time zone", "timetz": "time with time zone", "varbit": "bit varying",
}  # fmt: skip


def formatted_name(name: str, element: str | None = None) -> str:
    """The SQL spelling of a type, as ``format_type`` gives it without a modifier."""
    if element is not None:
        return f"{_FORMATTED.get(element, element)}[]"
    return _FORMATTED.get(name, name)


@lru_cache(maxsize=4096)
def column_type(engine: str, declared: str | None) -> PgType:
    """The Postgres type of a column with this engine type and declaration."""
    if declared and (found := _parse(declared.lower(), {**{n: n for n in system_types()}, **_DECLARED})):
        return found
    return _parse(engine.lower(), _ENGINE) or system_types()["json" if "(" in engine else "text"]


def _parse(spelling: str, names: dict[str, str]) -> PgType | None:
    base = re.sub(r"(\s*\[\d*\])+\s*$", "", spelling)
    is_array = base != spelling
    if base.startswith("enum("):
        base = "text" if "text" in names else "varchar"
    match = _SPELLING.match(base)
    if match is None:
        return _array(system_types()["json"]) if is_array else None
    name, first, second, zone = match.groups()
    key = names.get(f"{name} {zone}" if zone else name)
    if key is None or key not in system_types():
        return None
    found = system_types()[key]
    modifier = -1
    if first is not None and key in ("varchar", "bpchar"):
        modifier = int(first) + 4
    elif first is not None and key == "numeric":
        modifier = (int(first) << 16 | (int(second or 0) & 0x7FF)) + 4
    elif first is not None and key in ("timestamp", "timestamptz", "time", "timetz", "bit", "varbit"):
        modifier = int(first)
    elif key == "bpchar" and name in ("char", "character"):
        modifier = 5
    if is_array:
        return _array(found, modifier)
    return _with(found, modifier)


def _with(found: PgType, modifier: int, dimensions: int = 0) -> PgType:
    return PgType(
        found.oid, found.name, found.length, found.by_value, found.align, found.storage, found.collation,
        found.array, found.formatted, modifier, dimensions,
    )  # fmt: skip


def _array(found: PgType, modifier: int = -1) -> PgType:
    return _with(system_types()["_" + found.name], modifier, 1)


def spelled(kind: PgType) -> str:
    """The type with its modifier, as ``format_type(oid, typmod)`` gives it."""
    if kind.modifier < 0:
        return kind.formatted
    base = kind.formatted.removesuffix("[]")
    suffix = kind.formatted[len(base) :]
    if base == "numeric":
        packed = kind.modifier - 4
        return f"numeric({packed >> 16 & 0xFFFF},{packed & 0x7FF}){suffix}"
    if base in ("character varying", "character"):
        return f"{base}({kind.modifier - 4}){suffix}"
    head, _, rest = base.partition(" ")
    return f"{head}({kind.modifier}){' ' + rest if rest else ''}{suffix}"
