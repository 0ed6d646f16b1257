"""Canonical types: what a column holds, apart from how any engine spells it.

Rules:

1. A type is one frozen value: a ``kind`` and the parameters that kind has. Two spellings that hold the
   same values with the same meaning are the same canonical type (``int4``, ``INTEGER`` and ``Int32``).
2. Parameters are never thrown away on the way in: length with its unit, precision, scale, members.
3. What differs in meaning differs in kind: ``timestamp`` is a reading of a wall clock, ``instant`` a point
   in time; ``TIMESTAMP`` is the first in PostgreSQL and the second in MySQL, BigQuery and Spark.
4. A type nobody here knows is ``unknown`` and keeps its name. It is never guessed to be text.

``migration.dialects.type_names`` reads spellings, ``migration.dialects.type_map`` chooses a target's type and says what
is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = [
    "KINDS",
    "CanonicalType",
    "Kind",
    "Unit",
    "bits",
    "byte_string",
    "closed",
    "decimal",
    "enum",
    "fixed_bytes",
    "instant",
    "integer_range",
    "json",
    "list_of",
    "map_of",
    "of",
    "struct",
    "text",
    "time",
    "timestamp",
    "timetz",
    "unknown",
]

Kind = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "int128",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "uint128",
    "decimal",
    "float32",
    "float64",
    "text",
    "bytes",
    "date",
    "time",
    "timetz",
    "timestamp",
    "instant",
    "interval",
    "uuid",
    "json",
    "list",
    "struct",
    "map",
    "enum",
    "bit",
    "unknown",
]
Unit = Literal["chars", "bytes"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_FIXED_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "date": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CanonicalType:
    """One canonical type. Only the parameters of its kind are set.

    ``precision`` is decimal digits (decimal; None = unbounded) or digits of a second (time kinds, interval).
    ``name`` is an unknown type's, or the fields of PostgreSQL's ``interval day to second``. An enum has ``values``, or
    the ``name`` and greatest ``length`` of texts with a grammar of their own: an address, a SET.
    ``length`` belongs to text, bytes and bit; None = no limit. ``fixed`` marks ``char(n)``, ``binary(n)``
    and ``bit(n)``. ``normalised`` marks a json that keeps neither white space nor key order (jsonb).
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    unit: Unit = "chars"
    fixed: bool = False
    normalised: bool = False
    element: CanonicalType | None = None
    key: CanonicalType | None = None
    fields: tuple[tuple[str, CanonicalType], ...] = ()
    values: tuple[str, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        """A short spelling of our own, for messages: ``decimal(18,4)``, ``text(10 chars)``."""
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})" if self.precision is not None else "decimal"
        if self.kind in ("time", "timetz", "timestamp", "instant"):
            return f"{self.kind}({self.precision})"
        if self.kind == "text" and self.length is not None:
            return f"text({self.length} {self.unit})"
        if self.kind in ("bytes", "bit") and self.length is not None:
            return f"{self.kind}({self.length})"
        if self.kind == "list":
            return f"list({self.element})"
        if self.kind == "map":
            return f"map({self.key}, {self.element})"
        if self.kind == "struct":
            return "struct(" + ", ".join(f"{name} {type_}" for name, type_ in self.fields) + ")"
        if self.kind == "enum":
            return self.name or f"enum({len(self.values)} values)"
        if self.kind == "interval" and (self.name or self.precision is not None):
            digits = "" if self.precision is None else f"({self.precision})"
            return f"interval{' ' + self.name if self.name else ''}{digits}"
        return f"unknown({self.name})" if self.kind == "unknown" else self.kind

    @property
    def is_integer(self) -> bool:
        """True for the integer kinds, signed or not."""
        return self.kind.startswith(("int", "uint")) and self.kind != "interval"

    @property
    def is_nested(self) -> bool:
        """True for list, struct and map."""
        return self.kind in ("list", "struct", "map")

    @property
    def is_temporal(self) -> bool:
        """True for kinds that place a row in time: date, timestamp, instant."""
        return self.kind in ("date", "timestamp", "instant")

    @property
    def innermost(self) -> CanonicalType:
        """What a list, or a list of lists, is made of in the end; itself if it is none."""
        type_ = self
        while type_.kind == "list" and type_.element is not None:
            type_ = type_.element
        return type_

    def leaves(self) -> tuple[CanonicalType, ...]:
        """The scalar types this type is made of, itself if it is one."""
        parts = [part for part in (self.key, self.element, *(type_ for _, type_ in self.fields)) if part]
        if not self.is_nested:
            return (self,)
        return tuple(leaf for part in parts for leaf in part.leaves())


def of(kind: Kind) -> CanonicalType:
    """A kind that has no parameters: ``of("int64")``, ``of("uuid")``."""
    return CanonicalType(kind)


def decimal(precision: int | None = None, scale: int | None = None) -> CanonicalType:
    """``decimal()`` is unbounded; ``decimal(p)`` has scale 0."""
    return CanonicalType("decimal", precision=precision, scale=None if precision is None else scale or 0)


def text(length: int | None = None, unit: Unit = "chars", *, fixed: bool = False) -> CanonicalType:
    """A character string; ``unit`` says what ``length`` counts."""
    return CanonicalType("text", length=length, unit=unit if length is not None else "chars", fixed=fixed)


def byte_string(length: int | None = None, *, fixed: bool = False) -> CanonicalType:
    """A string of bytes."""
    return CanonicalType("bytes", length=length, unit="bytes", fixed=fixed)


def bits(length: int | None = None, *, fixed: bool = False) -> CanonicalType:
    """A string of bits."""
    return CanonicalType("bit", length=length, fixed=fixed)


def time(precision: int = 6) -> CanonicalType:
    """A time of day."""
    return CanonicalType("time", precision=precision)


def timetz(precision: int = 6) -> CanonicalType:
    """A time of day with its offset from UTC."""
    return CanonicalType("timetz", precision=precision)


def timestamp(precision: int = 6) -> CanonicalType:
    """A wall clock reading with no zone; precision 0, 3, 6, 9 for s, ms, us, ns."""
    return CanonicalType("timestamp", precision=precision)


def instant(precision: int = 6) -> CanonicalType:
    """A point in time (``timestamptz``)."""
    return CanonicalType("instant", precision=precision)


def json(*, normalised: bool = False) -> CanonicalType:
    """A JSON document; ``normalised`` if the engine keeps neither key order nor duplicates."""
    return CanonicalType("json", normalised=normalised)


def list_of(element: CanonicalType) -> CanonicalType:
    """A list of one element type."""
    return CanonicalType("list", element=element)


def map_of(key: CanonicalType, value: CanonicalType) -> CanonicalType:
    """A map from one type to another."""
    return CanonicalType("map", key=key, element=value)


def struct(*fields: tuple[str, CanonicalType]) -> CanonicalType:
    """A row of named fields."""
    return CanonicalType("struct", fields=fields)


def enum(*values: str) -> CanonicalType:
    """One of a fixed set of strings."""
    return CanonicalType("enum", values=values)


def closed(name: str, length: int) -> CanonicalType:
    """Texts of one grammar, such as addresses, of at most so many characters."""
    return CanonicalType("enum", length=length, name=name)


def unknown(name: str) -> CanonicalType:
    """A type we have no meaning for; ``name`` is the source's spelling."""
    return CanonicalType("unknown", name=name)


def fixed_bytes(type_: CanonicalType) -> int:
    """The bytes that a value of a type of fixed width takes in a row, about; 8 where the type says nothing."""
    return _FIXED_BYTES.get(type_.kind, 8)


def integer_range(kind: Kind) -> tuple[int, int]:
    """The least and greatest value of an integer kind."""
    unsigned = kind.startswith("u")
    width = int(kind.removeprefix("u").removeprefix("int"))
    return (0, (1 << width) - 1) if unsigned else (-(1 << (width - 1)), (1 << (width - 1)) - 1)
