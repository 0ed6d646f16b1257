"""Tables that read type names: a dialect's lower-case type name to a builder of the canonical type.

Rules:

1. A name is its words without parameters, joined by one space: ``timestamp with time zone``, ``int
   unsigned``.
2. A builder takes the parameters; each parameter is a number, a string or a (named) type.
3. An entry may be a canonical type itself, where parameters do not change the meaning (``int(11)``).
4. Default lengths are part of the reading: Redshift's ``varchar`` holds 256 bytes, MySQL's ``datetime`` no
   fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migration.types import (
    CanonicalType,
    Unit,
    bits,
    byte_string,
    closed,
    decimal,
    enum,
    instant,
    json,
    list_of,
    map_of,
    of,
    struct,
    text,
    time,
    timestamp,
    timetz,
    unknown,
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a type: a number, a string, a type, or a named type."""

    number: int | None = None
    string: str | None = None
    name: str = ""
    type: CanonicalType | None = None


Arguments = tuple[Argument, ...]
Builder = Callable[[Arguments], CanonicalType]
Spellings = Mapping[str, "CanonicalType | Builder"]


def _numbers(arguments: Arguments) -> list[int]:
    return [argument.number for argument in arguments if argument.number is not None]


def _first(arguments: Arguments, default: int | None) -> int | None:
    numbers = _numbers(arguments)
    return numbers[0] if numbers else default


def words(text: str) -> tuple[str, ...]:
    """The words of a text, for tables too long to quote word by word."""
    return tuple(text.split())


def decimals(precision: int | None = None, scale: int = 0, *, shifts: bool = False) -> Builder:
    """``numeric(p,s)``; without parameters the given default, None = unbounded.

    ``shifts``: as in PostgreSQL the scale may be below 0 or above ``p``, and then some of the digits are always 0.
    """

    def build(arguments: Arguments) -> CanonicalType:
        numbers = _numbers(arguments)
        if not numbers:
            return decimal(precision, scale)
        digits, behind = numbers[0], numbers[1] if len(numbers) > 1 else 0
        if shifts:
            digits, behind = max(digits - min(behind, 0), behind), max(behind, 0)
        return decimal(digits, behind)

    return build


def scaled(precision: int) -> Builder:
    """ClickHouse's ``Decimal128(s)``: the precision is in the name."""
    return lambda arguments: decimal(precision, (_numbers(arguments) or [0])[0])


def texts(unit: Unit = "chars", default: int | None = None, *, fixed: bool = False) -> Builder:
    """``varchar(n)``; ``max`` or no parameter give the default."""

    def build(arguments: Arguments) -> CanonicalType:
        numbers = _numbers(arguments)
        if any(argument.name.lower() == "max" for argument in arguments):
            return text(65535, unit)
        return text(numbers[0] if numbers else default, unit, fixed=fixed)

    return build


def byte_strings(default: int | None = None, *, fixed: bool = False) -> Builder:
    """``binary(n)``, ``varbinary(n)``."""
    return lambda arguments: byte_string(_first(arguments, default), fixed=fixed)


def bit_strings(default: int | None = None, *, fixed: bool = False) -> Builder:
    """``bit(n)``, ``bit varying(n)``."""
    return lambda arguments: bits(_first(arguments, default), fixed=fixed)


def clocks(kind: str, default: int = 6) -> Builder:
    """``time(p)``, ``timestamp(p)`` and their like, with the dialect's default precision."""
    make = {"time": time, "timetz": timetz, "timestamp": timestamp, "instant": instant}[kind]
    return lambda arguments: make((_numbers(arguments) or [default])[0])


def intervals(fields: str = "") -> Builder:
    """``interval(p)`` and ``interval day to second(p)``, which round and cut what they are given."""
    return lambda arguments: CanonicalType("interval", precision=_first(arguments, None), name=fields)


def zoned(default: int) -> Builder:
    """ClickHouse's ``DateTime64(p, 'zone')``: with a zone an instant, without one a wall clock."""

    def build(arguments: Arguments) -> CanonicalType:
        precision = (_numbers(arguments) or [default])[0]
        has_zone = any(argument.string is not None for argument in arguments)
        return instant(precision) if has_zone else timestamp(precision)

    return build


def floats(default: str, threshold: int = 24) -> Builder:
    """``float(p)``: single precision up to 24 bits of mantissa."""

    def build(arguments: Arguments) -> CanonicalType:
        numbers = _numbers(arguments)
        if len(numbers) != 1:
            return of("float64") if default == "float64" else of("float32")
        return of("float32") if numbers[0] <= threshold else of("float64")

    return build


def lists(arguments: Arguments) -> CanonicalType:
    """``ARRAY<T>``, ``Array(T)``; without an element type the elements are unknown."""
    return list_of(arguments[0].type or unknown("any") if arguments else unknown("any"))


def maps(arguments: Arguments) -> CanonicalType:
    """``MAP<K, V>``."""
    parts = [argument.type or unknown("any") for argument in arguments]
    return map_of(parts[0], parts[1]) if len(parts) == 2 else map_of(text(), unknown("any"))


def structs(arguments: Arguments) -> CanonicalType:
    """``STRUCT<a INT>``, ``ROW(a int)``, ``Tuple(a Int8)``; unnamed members are numbered from 1."""
    pairs = (
        (argument.name or str(i), argument.type or unknown("any")) for i, argument in enumerate(arguments, 1)
    )
    return struct(*pairs)


def nested(arguments: Arguments) -> CanonicalType:
    """ClickHouse's ``Nested(...)``: a list of structs."""
    return list_of(structs(arguments))


def wrapped(arguments: Arguments) -> CanonicalType:
    """``Nullable(T)``, ``LowCardinality(T)``: the type inside."""
    return arguments[0].type or unknown("any") if arguments else unknown("any")


def second(arguments: Arguments) -> CanonicalType:
    """``SimpleAggregateFunction(f, T)``: the second parameter."""
    return arguments[1].type or unknown("any") if len(arguments) > 1 else unknown("any")


def enums(arguments: Arguments) -> CanonicalType:
    """``ENUM('a', 'b')``, ``Enum8('a' = 1)``."""
    return enum(*(argument.string for argument in arguments if argument.string is not None))


def sets(arguments: Arguments) -> CanonicalType:
    """MySQL's ``SET('a', 'b')``: some of these, with commas between them."""
    members = ",".join(argument.string for argument in arguments if argument.string is not None)
    return closed(f"set({members})", len(members))


def others(*names: str) -> dict[str, CanonicalType | Builder]:
    """Names that are types of the dialect but have no canonical meaning."""
    return {name: unknown(name) for name in names}


def spellings(*tables: Mapping[str, CanonicalType | Builder]) -> Spellings:
    """Tables merged left to right; a key may list synonyms, separated by ``|``."""
    merged: dict[str, CanonicalType | Builder] = {}
    for table in tables:
        for names, entry in table.items():
            merged.update(dict.fromkeys(names.split("|"), entry))
    return merged


INTEGERS: Spellings = {
    "tinyint": of("int8"),
    "smallint": of("int16"),
    "int|integer": of("int32"),
    "bigint": of("int64"),
}
JSON: Spellings = {"json": json()}
