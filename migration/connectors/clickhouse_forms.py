"""The forms in which ClickHouse gives and takes canonical values as Arrow, exactly.

Out: what Arrow has no exact form for leaves as text (``delivered``) and is parsed here (``imported``). In:
ClickHouse's Arrow reader makes an empty list of NULL, the nearest moment of one out of range, and pads short
fixed strings; ``outgoing`` refuses what it would change. Structs and maps travel as JSON and become Arrow's own
nested types, leaf by leaf.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import arrow_type
from migration.connectors.clickhouse_catalog import base_type
from migration.connectors.convert import from_texts, from_values, unfit
from migration.dialects import contract
from migration.dialects.quoting import quote_text
from migration.dialects.type_map import map_canonical
from migration.types import CanonicalType, integer_range

_AS_IT_IS = ("bool", "float32", "float64", "bytes", "text")
_DAYS = {"Date": (0, 65_535), "Date32": (-25_567, 120_529)}  # 1900-01-01 to 2299-12-31
_SECONDS = {"DateTime": (0, (1 << 32) - 1), "DateTime64": (-25_567 * 86_400, 120_530 * 86_400 - 1)}


def delivered(expression: str, type_: CanonicalType, depth: int = 0) -> str:
    """An expression in a form whose Arrow export is exact."""
    target = arrow_type(type_)
    if type_.kind in _AS_IT_IS or pa.types.is_integer(target):
        return expression
    if type_.kind == "decimal" and pa.types.is_decimal(target):
        return expression
    if type_.kind == "date":
        return f"toDate32({expression})"
    if type_.kind in ("timestamp", "instant"):
        digits = 6 if target.unit == "us" else 9
        zone = ", 'UTC'" if type_.kind == "instant" else ""
        return f"toDateTime64({expression}, {digits}{zone})"
    if type_.kind == "list" and type_.element is not None:
        name = f"x{depth}"
        inner = delivered(name, type_.element, depth + 1)
        return expression if inner == name else f"arrayMap({name} -> {inner}, {expression})"
    if type_.kind in ("struct", "map"):
        if _is_numbered(type_):  # a tuple without names would be a list in JSON
            named = quote_text(
                map_canonical(type_, contract("clickhouse")).target_type, contract("clickhouse")
            )
            expression = f"CAST({expression}, {named})"
        return f"toJSONString({expression})"
    return f"toString({expression})"


def undecoded(expression: str, type_: CanonicalType, depth: int = 0) -> str:
    """True for a value with a String in it that is no UTF-8."""
    if type_.kind == "list" and type_.element is not None:
        name = f"x{depth}"
        return f"arrayExists({name} -> {undecoded(name, type_.element, depth + 1)}, {expression})"
    return f"NOT isValidUTF8({delivered(expression, type_)})"


def _is_numbered(type_: CanonicalType) -> bool:
    """Whether a struct in it has the names that stand for none."""
    if type_.kind == "struct" and [name for name, _ in type_.fields] == [
        str(number) for number in range(1, len(type_.fields) + 1)
    ]:
        return True
    parts = [type_.key, type_.element, *(of for _, of in type_.fields)]
    return any(_is_numbered(part) for part in parts if part is not None)


def imported(array: pa.Array, type_: CanonicalType, name: str) -> pa.Array:
    """A delivered column in its canonical form; HV004 where a value has none."""
    wanted = arrow_type(type_)
    given = array.type
    try:
        if given == wanted and not pa.types.is_decimal(given):
            return array
        if pa.types.is_list(given) and type_.element is not None:
            start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
            values = imported(array.values.slice(start, stop - start), type_.element, name)
            offsets = pc.subtract(array.offsets, pa.scalar(start, pa.int32()))
            return pa.ListArray.from_arrays(offsets, values)
        if pa.types.is_timestamp(given) and pa.types.is_timestamp(wanted):
            return array.cast(pa.int64()).cast(wanted) if given.unit == wanted.unit else array.cast(wanted)
        if pa.types.is_decimal(wanted):  # a cast of a text may give more digits than its type has
            array = pc.cast(array, wanted, safe=True)
            array.validate(full=True)
            return array
        if pa.types.is_binary(given) and pa.types.is_binary(wanted):
            return array
        if pa.types.is_binary(given) or pa.types.is_string(given):
            texts = pc.cast(array, pa.string())  # refuses what is no UTF-8
            return texts if pa.types.is_string(wanted) else from_texts(texts, type_, name)
        return pc.cast(array, wanted, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as reason:
        raise unfit(name, type_, str(reason)) from None


def outgoing(array: pa.Array, type_: CanonicalType, name: str, declared: str = "") -> pa.Array:
    """A canonical column in a form that ClickHouse stores as it is."""
    base = base_type(declared)
    word = base.partition("(")[0]
    if type_.kind in ("list", "struct", "map"):
        if array.null_count:
            raise unfit(name, type_, f"ClickHouse has no NULL {type_.kind}; it would become an empty one")
        if type_.kind == "list":
            return _list(array, type_, name, base[len("Array(") : -1] if word == "Array" else "")
        return _built(_documents(array, type_, name), type_, name)
    if type_.kind == "date":
        _within(array.view(pa.int32()), *_DAYS.get(word, _DAYS["Date32"]), type_, name)
    elif type_.kind in ("timestamp", "instant"):
        low, high = _SECONDS.get(word, _SECONDS["DateTime64" if type_.precision else "DateTime"])
        per = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[array.type.unit]
        greatest = min((high + 1) * per - 1, (1 << 63) - 2)
        _within(array.cast(pa.int64()), max(low * per, -(1 << 63) + 2), greatest, type_, name)
        return array.cast(pa.int64()).cast(pa.timestamp(array.type.unit, "UTC"))
    elif word == "Time":  # it is loaded from whole seconds only; that there are no others is a guard's to see
        return pc.cast(pc.cast(array, pa.time32("s")), pa.int32())
    elif type_.kind in ("int128", "uint128"):
        _within(array, *integer_range(type_.kind), type_, name)
    elif word == "FixedString":
        wanted = int(re.sub(r"\D", "", base))
        lengths = pc.binary_length(array)
        if pc.any(pc.not_equal(lengths, wanted)).as_py():
            raise unfit(name, type_, f"a value has not {wanted} bytes; ClickHouse would pad it with zeros")
    return array


def _list(array: pa.Array, type_: CanonicalType, name: str, declared: str) -> pa.Array:
    assert type_.element is not None
    start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
    values = array.values.slice(start, stop - start)
    offsets = pc.subtract(array.offsets, pa.scalar(start, pa.int32()))
    return pa.ListArray.from_arrays(offsets, outgoing(values, type_.element, name, declared))


def _within(numbers: pa.Array, low: int, high: int, type_: CanonicalType, name: str) -> None:
    if pa.types.is_decimal(numbers.type):
        found = [value for value in numbers.to_pylist() if value is not None]
    else:
        bounds = pc.min_max(numbers)
        found = [bound.as_py() for bound in bounds.values() if bound.is_valid]
    if found and (min(found) < low or max(found) > high):
        raise unfit(name, type_, "a value is out of the range of the column; ClickHouse would change it")


def _documents(array: pa.Array, type_: CanonicalType, name: str) -> list[Any]:
    try:
        return [
            json.loads(text, parse_float=Decimal, object_pairs_hook=_unique) for text in array.to_pylist()
        ]
    except ValueError as reason:
        raise unfit(name, type_, str(reason)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object repeats a key")
    return found


def _built(values: Sequence[Any], type_: CanonicalType, name: str) -> pa.Array:
    """Parsed JSON as Arrow's nested arrays."""
    if type_.kind == "struct":
        wanted = {field for field, _ in type_.fields}
        if any(not isinstance(value, dict) or set(value) != wanted for value in values):
            raise unfit(name, type_, "a value has other members, or is NULL")
        members = [_built([value[field] for value in values], kind, name) for field, kind in type_.fields]
        return pa.StructArray.from_arrays(members, [field for field, _ in type_.fields])
    if type_.kind == "map" and type_.key is not None and type_.element is not None:
        if any(not isinstance(value, dict) for value in values):
            raise unfit(name, type_, "a value is no map, or is NULL")
        keys = _built([key for value in values for key in value], type_.key, name)
        items = _built([item for value in values for item in value.values()], type_.element, name)
        return pa.MapArray.from_arrays(_offsets(values), keys, items)
    if type_.kind == "list" and type_.element is not None:
        if any(not isinstance(value, list) for value in values):
            raise unfit(name, type_, "a value is no list, or is NULL")
        inner = _built([item for value in values for item in value], type_.element, name)
        return pa.ListArray.from_arrays(_offsets(values), inner)
    return outgoing(from_values(values, type_, name), type_, name)


def _offsets(values: Sequence[Any]) -> pa.Array:
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value))
    return pa.array(offsets, pa.int32())
