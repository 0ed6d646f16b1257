"""From an engine's texts and Python values to the canonical form, exactly or not at all.

Rules:

1. The fast way is Arrow's own parser over the whole column. It refuses what it does not know, never rounds;
   the odd column (infinity, years beyond 9999, BC) then goes value by value. Python values go that way where all
   are of one type: of several, Arrow would make what none of them said.
2. A value that has no place in the canonical type is HV004, with the value in DETAIL.
3. Text is decoded as UTF-8, strictly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import INFINITE_DATE, INFINITE_TIMESTAMP, arrow_type
from migration.errors import MigrationError
from migration.types import CanonicalType

_STAMP = re.compile(
    r"(?P<y>-?\d+)-(?P<mo>\d\d)-(?P<d>\d\d)(?:[ T](?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:\.(?P<f>\d+))?"
    r"(?P<z>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?(?P<bc> BC)?"
)
_WHOLE_STAMP = r"^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$"
_CLOCK = re.compile(r"(?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d)(?:\.(?P<f>\d+))?)?")
_SURE = 38
_FIGURES = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r"[ -^`-~]*")  # ASCII but for the low line: Python reads 1_0, and digits of any script
_AT_ONCE: Mapping[type, frozenset[str]] = {
    int: frozenset(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")),
    float: frozenset(("float32", "float64")),
    bool: frozenset(("bool",)),
    bytes: frozenset(("bytes",)),
    date: frozenset(("date",)),
    Decimal: frozenset(("decimal",)),
}
_UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def from_texts(texts: pa.Array, type_: CanonicalType, name: str = "") -> pa.Array:
    """A column of texts in the canonical form of ``type_``; ``name`` is the column's, for errors."""
    target = arrow_type(type_)
    if pa.types.is_string(target):
        return texts
    try:
        if type_.kind in ("timestamp", "instant", "date"):
            return _moments(texts, target)
        if type_.kind == "bytes":
            return from_hex(texts)
        if type_.kind in ("time", "bool", "list"):
            return from_values(texts.to_pylist(), type_, name)
        return decimals(texts, target) if pa.types.is_decimal(target) else pc.cast(texts, target)
    except (pa.ArrowInvalid, ValueError, InvalidOperation) as reason:
        raise unfit(name, type_, str(reason)) from None


def from_values(values: Sequence[Any], type_: CanonicalType, name: str = "") -> pa.Array:
    """Python values, as drivers give them, in the canonical form of ``type_``."""
    target = arrow_type(type_)
    if type_.kind == "list" and type_.element is not None:
        return _lists(values, type_, type_.element, name)
    whole = _at_once(values, type_, target)
    if whole is not None:
        return whole
    try:
        converted = [None if value is None else _value(value, type_, target) for value in values]
        if pa.types.is_timestamp(target) or pa.types.is_time64(target):
            return pa.array(converted, pa.int64()).view(target)
        if pa.types.is_date32(target):
            return pa.array(converted, pa.int32()).view(target)
        return pa.array(converted, target)
    except InvalidOperation:
        raise unfit(name, type_, "A text is no number.") from None
    except (pa.ArrowException, ValueError, TypeError, AttributeError, ArithmeticError) as reason:
        raise unfit(name, type_, str(reason)) from None


def fitting(values: Sequence[Any], type_: CanonicalType) -> tuple[pa.Array, list[Any]]:
    """The values that ``type_`` holds, NULL for the others, and those others."""
    try:
        return from_values(values, type_), []
    except MigrationError:
        if len(values) == 1:
            return pa.nulls(1, arrow_type(type_)), list(values)
    half = len(values) // 2
    (left, first), (right, second) = fitting(values[:half], type_), fitting(values[half:], type_)
    return pa.concat_arrays([left, right]), [*first, *second]


def _at_once(values: Sequence[Any], type_: CanonicalType, target: pa.DataType) -> pa.Array | None:
    """The whole column by Arrow, where that gives what value by value would give; None where it does not, or raises."""
    given = {*map(type, values)} - {type(None)}
    if len(given) != 1:
        return None
    (python,) = given
    try:
        if python is str:
            return _texts_at_once(pa.array(values, pa.string()), type_, target)
        if python is int and type_.kind == "bool":
            small = pa.array(values, pa.int64())
            found = pc.min_max(small).as_py()
            return pc.cast(small, target) if 0 <= found["min"] <= found["max"] <= 1 else None
        if _AT_ONCE.get(python, frozenset()) >= {type_.kind} and not pa.types.is_string(target):
            return pa.array(values, target)
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError):
        pass  # value by value: either it can be said, or the reason why not
    return None


def _texts_at_once(texts: pa.Array, type_: CanonicalType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_string(target):
        if (
            type_.kind == "decimal"
            and not pc.all(pc.match_substring_regex(texts, r"^-?\d+(\.\d+)?$")).as_py()
        ):
            return None
        return texts
    if type_.kind == "decimal":
        return decimals(texts, target)
    if type_.kind == "date":
        return pc.cast(texts, target)
    if type_.kind in ("timestamp", "instant"):  # Arrow knows times without minutes too
        return (
            pc.cast(texts, target) if pc.all(pc.match_substring_regex(texts, _WHOLE_STAMP)).as_py() else None
        )
    return None


def decimals(texts: pa.Array, target: pa.DataType) -> pa.Array:
    """Texts of numbers as decimals. Arrow makes 0 of some that have more than 38 figures, be the last ones zeros."""
    if (pc.max(pc.utf8_length(texts)).as_py() or 0) > _SURE:
        texts = pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1")
        if pc.any(pc.match_substring_regex(texts, rf"\.\d{{{target.scale + 1}}}")).as_py():
            raise pa.ArrowInvalid(f"a number has more than {target.scale} digits behind the point")
    return pc.cast(texts, target)


def from_hex(texts: pa.Array) -> pa.Array:
    """Hexadecimal digits to bytes: one pass over the column's buffer."""
    texts = pa.concat_arrays([texts])  # offsets that start at 0
    lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    data = bytes.fromhex("".join(text for text in texts.to_pylist() if text))
    offsets = pa.array([0, *(lengths // 2).cumsum().tolist()], pa.int32())
    mask = texts.buffers()[0]
    return pa.Array.from_buffers(
        pa.binary(), len(texts), [mask, offsets.buffers()[1], pa.py_buffer(data)], texts.null_count
    )


def unfit(name: str, type_: CanonicalType, reason: str) -> MigrationError:
    """The error for a value that its column's type cannot hold."""
    return MigrationError(
        "HV004",
        f'column "{name}" has a value that {type_} cannot hold',
        detail=reason[:500],
        hint="Give the column a CAST in the query, leave it out (SKIP), or move it AS TEXT.",
        column=name or None,
    )


def moment(text: str, unit: str) -> int:
    """A timestamp's text as units since 1970, infinities as the greatest integers."""
    if text in ("infinity", "-infinity"):
        return INFINITE_TIMESTAMP if text == "infinity" else -INFINITE_TIMESTAMP
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no timestamp")
    digits = _UNITS[unit]
    seconds = _days(match) * 86400
    if match["h"] is not None:
        seconds += _time_of_day(match) - _offset(match["z"])
    result: int = seconds * 10**digits + _fraction(match["f"], digits)
    if abs(result) >= INFINITE_TIMESTAMP:
        raise ValueError(f"{text} is out of range")
    return result


def _moments(texts: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return pc.cast(texts, target)
    except pa.ArrowInvalid:
        pass
    values = texts.to_pylist()
    if pa.types.is_date32(target):
        return pa.array([None if text is None else _date(text) for text in values], pa.int32()).view(target)
    return pa.array(
        [None if text is None else moment(text, target.unit) for text in values], pa.int64()
    ).view(target)


def _date(text: str) -> int:
    if text in ("infinity", "-infinity"):
        return INFINITE_DATE if text == "infinity" else -INFINITE_DATE
    match = _STAMP.fullmatch(text)
    if match is None or match["h"] is not None:
        raise ValueError(f"{text!r} is no date")
    return _days(match)


def _days(match: re.Match[str]) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, for any year."""
    year, month, day = int(match["y"]), int(match["mo"]), int(match["d"])
    if match["bc"]:
        year = 1 - year
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        raise ValueError(f"{match[0]!r} is no date of the calendar")
    shift = (year - 2000) // 400  # Python's calendar has years 1 to 9999; 400 years repeat exactly
    days = date(year - shift * 400, month, day).toordinal() - date(1970, 1, 1).toordinal()
    return days + shift * 146_097


def _time_of_day(match: re.Match[str]) -> int:
    """Seconds since midnight, which may be the end of the day."""
    hour, minute, second = int(match["h"]), int(match["mi"]), int(match["s"] or 0)
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and (minute or second)):
        raise ValueError(f"{match[0]!r} is no time of day")
    return (hour * 60 + minute) * 60 + second


def _fraction(digits: str | None, wanted: int) -> int:
    if not digits:
        return 0
    if len(digits) > wanted and digits[wanted:].strip("0"):
        raise ValueError(f"fraction .{digits} has more than {wanted} digits")
    return int(digits[:wanted].ljust(wanted, "0") or "0")


def _offset(zone: str | None) -> int:
    if zone in (None, "Z", ""):
        return 0
    assert zone is not None
    digits = zone[1:].replace(":", "").ljust(6, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    return -seconds if zone[0] == "-" else seconds


def _value(value: Any, type_: CanonicalType, target: pa.DataType) -> Any:
    if pa.types.is_string(target):
        return _text(value, type_)
    kind = type_.kind
    if kind == "bool":
        return _bool(value)
    is_number = type_.is_integer or kind in ("decimal", "float32", "float64")
    if is_number and isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError(f"{value!r} is no number")
    if type_.is_integer:
        if isinstance(value, bool | float) and value != int(value):
            raise ValueError(f"{value!r} is no whole number")
        number = int(value)
        return Decimal(number) if kind in ("int128", "uint128") else number
    if kind == "decimal":
        return _decimal(value, type_)
    if kind in ("float32", "float64"):
        if isinstance(value, int) and int(float(value)) != value:
            raise ValueError(f"{value} has more digits than a double holds")
        return float(value)
    if kind == "bytes":
        if not isinstance(value, bytes | bytearray | memoryview):  # of a number Python makes as many zeros
            raise ValueError(f"{str(value)[:40]!r} in a column of bytes")
        return bytes(value)
    if kind == "date":
        return _date(value if isinstance(value, str) else value.isoformat())
    if kind in ("timestamp", "instant"):
        return _stamp(value, target.unit)
    if kind == "time":
        return _clock(value, target.unit)
    raise ValueError(f"{value!r} has no form as {type_}")


def _text(value: Any, type_: CanonicalType) -> str:
    if isinstance(value, str):
        return _figures(value) if type_.kind == "decimal" else value
    if type_.kind in ("text", "enum") and not isinstance(value, int | float | Decimal):
        raise ValueError(f"{value!r} is no text")
    if type_.kind == "decimal":
        return f"{_decimal(value, type_):f}"
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _figures(text: str) -> str:
    if text in ("NaN", "Infinity", "-Infinity"):
        return text
    if not _FIGURES.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    return f"{Decimal(text):f}"


def _bool(value: Any) -> bool:
    if value in (True, False):  # 1 and 0 are these too
        return bool(value)
    texts = {"t": True, "f": False, "true": True, "false": False, "1": True, "0": False}
    if str(value).lower() not in texts:
        raise ValueError(f"{value!r} is neither true nor false")
    return texts[str(value).lower()]


def _decimal(value: Any, type_: CanonicalType) -> Decimal:
    if isinstance(value, float):
        # A double of up to 15 decimal digits stands for exactly one decimal number; beyond that nobody knows.
        value = Decimal(repr(value))
        if len(value.as_tuple().digits) > 15:
            raise ValueError(f"{value} is a double: its decimal digits are not known")
    number = value if isinstance(value, Decimal) else Decimal(value)
    if not number.is_finite() and type_.precision is not None:
        raise ValueError(f"{number} has no place in {type_}")
    if type_.precision is not None and number and -number.as_tuple().exponent > (type_.scale or 0):  # type: ignore[operator]
        with localcontext(prec=1000):
            number = number.normalize()  # trailing zeros are no digits
    return number


def _stamp(value: Any, unit: str) -> int:
    if isinstance(value, str):
        return moment(value, unit)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    since = value - datetime(1970, 1, 1)
    micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return int(micros * 1000 if unit == "ns" else micros)


def _clock(value: Any, unit: str) -> int:
    digits = _UNITS[unit]
    if isinstance(value, timedelta):
        micros = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
        value_units = micros if digits == 6 else micros * 1000
    elif isinstance(value, time):
        if value.tzinfo is not None:
            raise ValueError(f"{value} has an offset")
        micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
        value_units = micros if digits == 6 else micros * 1000
    else:
        match = _CLOCK.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is no time of day")
        value_units = _time_of_day(match) * 10**digits + _fraction(match["f"], digits)
    if not 0 <= value_units <= 86400 * 10**digits:
        raise ValueError(f"{value} is not within a day")
    return value_units


def _lists(values: Sequence[Any], type_: CanonicalType, element: CanonicalType, name: str) -> pa.Array:
    """Lists, by one array of all their members: Python's own values would not hold every moment on the way."""
    offsets, members = [0], []
    try:
        for value in values:
            if value is not None:
                members += [_member(item, element) for item in _items(value, element)]
            offsets.append(len(members))
    except (ValueError, RecursionError) as reason:
        raise unfit(name, type_, str(reason)) from None
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        from_values(members, element, name),
        mask=pa.array([value is None for value in values], pa.bool_()),
    )


def _items(value: Any, element: CanonicalType) -> list[Any]:
    if isinstance(value, str):
        # A float may be written -0, and no whole number has that sign.
        value = json.loads(
            value, parse_float=Decimal, parse_int=lambda text: -0.0 if text == "-0" else int(text)
        )
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    if element.kind != "list" and any(isinstance(item, list) for item in value):
        raise ValueError("an array of more than one dimension")
    return value


def _member(item: Any, element: CanonicalType) -> Any:
    if element.kind == "bytes" and isinstance(item, str):
        return bytes.fromhex(item.removeprefix("\\x"))
    if element.kind in ("float32", "float64") and isinstance(item, Decimal):
        return float(item)
    return item
