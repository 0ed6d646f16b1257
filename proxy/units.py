"""Durations and sizes as people write them: ``24h``, ``30m``, ``1 day 12 hours``, ``5min``, ``64MB``.

Rules:

1. A unit is a word; a bare number takes the unit the caller names, as Postgres' settings do.
2. ``m`` is minutes (people write ``30m``); Postgres' own ``min`` and ``ms`` mean what they mean there.
3. Sizes count in 1024, as Postgres' do. Anything that is not a duration or a size is a ``ValueError``
   whose text can be shown to the user.
"""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {
    "us": 0.000001,
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "mins": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hrs": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
    "weeks": 604800.0,
}
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_CLOCK = re.compile(r"\s*(\d+):([0-5]\d)(?::([0-5]\d))?\s*\Z")
LONGEST = timedelta(days=36500)


def parse_duration(text: str, *, unit: str = "s") -> timedelta:
    """``'1h30m'`` as a timedelta; a number without a unit counts in ``unit``."""
    clock = _CLOCK.match(text)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return _bounded(hours * 3600.0 + minutes * 60.0 + seconds, text)
    total, position = 0.0, 0
    stripped = text.rstrip()
    if not stripped or len(stripped) > 100:
        raise ValueError(f'"{text[:100]}" is not a duration')
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if not part:
            raise ValueError(f'"{text}" is not a duration')
        factor = _SECONDS.get(part[2].lower() or unit)
        if factor is None:
            raise ValueError(f'"{text}" is not a duration: unknown unit "{part[2]}"')
        total += float(part[1]) * factor
        position = part.end()
    return _bounded(total, text)


def _bounded(seconds: float, text: str) -> timedelta:
    if seconds > LONGEST.total_seconds():
        raise ValueError(f'"{text}" is longer than {LONGEST.days} days')
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling with one unit: ``24h``, ``5min``, ``300ms``."""
    microseconds = round(value / timedelta(microseconds=1))
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if microseconds and microseconds % (size * 1_000_000) == 0:
            return f"{microseconds // (size * 1_000_000)}{name}"
    if microseconds % 1000:
        return f"{microseconds}us"
    return f"{microseconds // 1000}ms" if microseconds else "0"


def parse_size(text: str, *, unit: str = "b") -> int:
    """``'64MB'`` in bytes; a number without a unit counts in ``unit``."""
    part = _PART.fullmatch(text.strip()[:100])
    factor = _BYTES.get(part[2].lower() or unit) if part else None
    if part is None or factor is None:
        raise ValueError(f'"{text[:100]}" is not a size such as 64MB')
    size = float(part[1]) * factor
    if size > 2**62:
        raise ValueError(f'"{text}" is too large')
    return int(size)


def format_size(value: int) -> str:
    """The shortest exact spelling with one unit: ``64MB``."""
    for name, size in (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if value and value % size == 0:
            return f"{value // size}{name}"
    return str(value)
