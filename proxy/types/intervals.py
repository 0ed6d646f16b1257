"""interval: months, days and microseconds, which never turn into one another.

Written in IntervalStyle ``postgres`` (``1 year 2 mons -3 days +04:05:06.7``): a part after a negative one
shows its plus sign. Read in that style, the verbose one, SQL's (``1-2 3 04:05``), ISO 8601 and the engine's own.
Decoded values are ``str`` in the engine's spelling, because a timedelta has no months.
"""

from __future__ import annotations

import datetime
import re
import struct
from decimal import Decimal
from typing import Any

from .calendar import DAY, clock, read_fraction
from .codec import Codec
from .errors import INVALID_DATETIME, ValueFormatError, invalid_text, sized, utf8

Parts = tuple[int, int, int]  # months, days, microseconds

_BINARY = struct.Struct("!qii")
_SECOND = 1_000_000
_UNITS: dict[str, tuple[int, int]] = {  # name: (which part, how many of it)
    **dict.fromkeys(("millennium", "millennia", "millenniums", "mil", "mils"), (0, 12000)),
    **dict.fromkeys(("century", "centuries", "cent", "c"), (0, 1200)),
    **dict.fromkeys(("decade", "decades", "dec", "decs"), (0, 120)),
    **dict.fromkeys(("year", "years", "yr", "yrs", "y"), (0, 12)),
    **dict.fromkeys(("month", "months", "mon", "mons"), (0, 1)),
    **dict.fromkeys(("week", "weeks", "w"), (1, 7)),
    **dict.fromkeys(("day", "days", "d"), (1, 1)),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), (2, 3600 * _SECOND)),
    **dict.fromkeys(("minute", "minutes", "min", "mins", "m"), (2, 60 * _SECOND)),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s", ""), (2, _SECOND)),
    **dict.fromkeys(("millisecond", "milliseconds", "msec", "msecs", "ms"), (2, 1000)),
    **dict.fromkeys(("microsecond", "microseconds", "usec", "usecs", "us"), (2, 1)),
}
_ISO_UNITS = {"Y": "year", "W": "week", "D": "day", "H": "hour", "S": "second"}
_NEXT = {0: 30, 1: DAY}  # a fraction of a month is days, of a day microseconds
_TOKEN = re.compile(
    r"\s*(?:(?P<sign>[+-]?)(?P<hour>\d{1,12}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?"
    r"|(?P<years>[+-]?\d{1,9})-(?P<months>\d{1,2})(?=\s|\Z)"
    r"|(?P<days>[+-]?\d{1,9})(?=\s+[+-]?\d{1,12}:)"
    r"|(?P<number>[+-]?\s*(?:\d{1,20}\.?\d{0,20}|\.\d{1,20}))\s*(?P<unit>[A-Za-z]*)|(?P<ago>ago))"
    r"(?:(?=[\s+-]|\Z)|(?<=[A-Za-z])(?=\d))",
    re.ASCII | re.IGNORECASE,
)
_ISO = re.compile(r"([+-]?\d{1,20}(?:\.\d{1,20})?)([YMWDHS])|(T)", re.ASCII)


def _add(parts: list[int], number: Decimal, unit: tuple[int, int]) -> None:
    part, factor = unit
    amount = number * factor
    whole = int(amount)
    parts[part] += whole
    rest = amount - whole
    while rest and part < 2:
        rest *= _NEXT[part]
        part += 1
        parts[part] += int(rest) if part < 2 else round(rest)
        rest -= int(rest)
    if rest and unit[0] == 2:
        parts[2] += round(rest)


def _read_iso(text: str) -> list[int] | None:
    parts, at, in_time = [0, 0, 0], 1, False
    while at < len(text):
        found = _ISO.match(text, at)
        if found is None:
            return None
        if found[3]:
            in_time = True
        else:
            unit = _ISO_UNITS.get(found[2], "minute" if in_time else "month")
            _add(parts, Decimal(found[1]), _UNITS[unit])
        at = found.end()
    return parts if at > 1 else None


def _read_words(text: str) -> list[int] | None:
    parts, at, seen = [0, 0, 0], 0, False
    text = text.strip().removeprefix("@")
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            return None
        at = found.end()
        if found["ago"]:
            parts = [-part for part in parts]
        elif found["hour"] is not None:
            minutes = int(found["hour"]) * 60 + int(found["minute"])
            micros = (minutes * 60 + int(found["second"] or 0)) * _SECOND + read_fraction(found["fraction"])
            parts[2] += -micros if found["sign"] == "-" else micros
        elif found["years"] is not None:
            months = abs(int(found["years"])) * 12 + int(found["months"])
            parts[0] += -months if found["years"].startswith("-") else months
        elif found["days"] is not None:
            parts[1] += int(found["days"])
        else:
            unit = _UNITS.get(found["unit"].lower())
            if unit is None:
                return None
            _add(parts, Decimal("".join(found["number"].split())), unit)
        seen = True
    return parts if seen else None


def read_interval(text: str) -> Parts:
    """``text`` in any of the styles Postgres reads."""
    parts = _read_iso(text.strip()) if text.strip()[:1] == "P" else _read_words(text)
    if parts is None:
        raise invalid_text("interval", text, INVALID_DATETIME)
    months, days, micros = parts
    if not (-(2**31) <= months < 2**31 and -(2**31) <= days < 2**31 and -(2**63) <= micros < 2**63):
        raise ValueFormatError("22015", f'interval field value out of range: "{text}"')
    return months, days, micros


def parts_of(value: Any) -> Parts:
    """Months, days and microseconds of what the engine returned."""
    if isinstance(value, str):
        return read_interval(value)
    if isinstance(value, datetime.timedelta):
        micros = value.days * DAY + value.seconds * _SECOND + value.microseconds
        days = abs(micros) // DAY * (-1 if micros < 0 else 1)
        return 0, days, micros - days * DAY
    months, days, micros = value
    return months, days, micros


def _text(value: Any) -> bytes:
    months, days, micros = parts_of(value)
    sign = -1 if months < 0 else 1
    years, months = abs(months) // 12 * sign, abs(months) % 12 * sign
    words: list[str] = []
    negative = False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number:
            plus = "+" if negative and number > 0 else ""
            words.append(f"{plus}{number} {unit}{'' if number == 1 else 's'}")
            negative = number < 0
    if micros or not words:
        words.append(("-" if micros < 0 else "+" if negative else "") + clock(abs(micros)))
    return " ".join(words).encode()


def _binary(value: Any) -> bytes:
    months, days, micros = parts_of(value)
    return _BINARY.pack(micros, days, months)


def engine_interval(parts: Parts) -> str:
    """The engine's spelling of an interval."""
    months, days, micros = parts
    return f"{months} months {days} days {micros} microseconds"


def _read_text(data: bytes) -> str:
    return engine_interval(read_interval(utf8(data)))


def _read_binary(data: bytes) -> str:
    micros, days, months = _BINARY.unpack(sized("interval", data, 16))
    return engine_interval((months, days, micros))


INTERVAL = Codec(_text, _binary, _read_text, _read_binary, "INTERVAL")
