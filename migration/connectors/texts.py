"""The canonical form as texts every engine reads back: for CSV routes and engines that keep text.

Numbers in plain digits or shortest form, moments as ``2024-02-29 12:00:00.000001`` (``infinity`` and years of
more than four digits as PostgreSQL writes them), bytes in hexadecimal, lists as JSON.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import INFINITE_DATE, INFINITE_TIMESTAMP

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def to_texts(array: pa.Array) -> pa.Array:
    """A column as texts; NULL stays NULL."""
    type_ = array.type
    if pa.types.is_string(type_):
        return array
    if pa.types.is_floating(type_):
        texts = pc.cast(array, pa.string())
        for written, wanted in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            texts = pc.if_else(pc.equal(texts, written), wanted, texts)
        return texts
    if pa.types.is_binary(type_):
        return pa.array([None if value is None else value.hex() for value in array.to_pylist()], pa.string())
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return _moments(array)
    if pa.types.is_time64(type_):
        return pa.array(
            [_clock(value, type_.unit) for value in array.view(pa.int64()).to_pylist()], pa.string()
        )
    if pa.types.is_decimal(type_):
        return pa.array([None if v is None else f"{v:f}" for v in array.to_pylist()], pa.string())
    if pa.types.is_list(type_):
        return pa.array([None if v is None else _json(v) for v in array.to_pylist()], pa.string())
    return pc.cast(array, pa.string())


def moment_text(value: int, unit: str) -> str:
    """Units since 1970 as text, for any year."""
    if abs(value) == INFINITE_TIMESTAMP:
        return "infinity" if value > 0 else "-infinity"
    days, rest = divmod(value, _PER_DAY[unit])
    seconds, fraction = divmod(rest, _PER_DAY[unit] // 86_400)
    digits = len(str(_PER_DAY[unit] // 86_400)) - 1
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    day, _, era = date_text(days).partition(" ")
    return f"{day} {clock}" + (f".{fraction:0{digits}}" if digits else "") + (f" {era}" if era else "")


def date_text(days: int) -> str:
    """Days since 1970 as text, for any year; ``BC`` as PostgreSQL writes it."""
    if abs(days) == INFINITE_DATE:
        return "infinity" if days > 0 else "-infinity"
    shift, day = divmod(days - _FIRST_DAY, 146_097)  # 400 years repeat exactly
    found = date.fromordinal(day + 1)
    year = found.year + 400 * shift
    return f"{year:04}-{found:%m-%d}" if year > 0 else f"{1 - year:04}-{found:%m-%d} BC"


def _moments(array: pa.Array) -> pa.Array:
    dates = pa.types.is_date32(array.type)
    unit = "" if dates else array.type.unit
    numbers = array.view(pa.int32() if dates else pa.int64())
    scale = 1 if dates else _PER_DAY[unit]
    bounds = pc.min_max(numbers)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None:
        return pa.nulls(len(array), pa.string())
    if low >= _FIRST_DAY * scale and high < (_LAST_DAY + 1) * scale:
        plain = array if dates else array.cast(pa.timestamp(unit))
        return pc.cast(plain, pa.string())
    return pa.array(
        [
            None if value is None else date_text(value) if dates else moment_text(value, unit)
            for value in numbers.to_pylist()
        ],
        pa.string(),
    )


def _clock(value: int | None, unit: str) -> str | None:
    if value is None:
        return None
    per_second = _PER_DAY[unit] // 86_400
    seconds, fraction = divmod(value, per_second)
    digits = len(str(per_second)) - 1
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:0{digits}}"


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal | datetime | date):
        return str(value)
    return value.hex() if isinstance(value, bytes) else value
