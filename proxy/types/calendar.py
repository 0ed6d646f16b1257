"""Days and fields of the proleptic Gregorian calendar beyond the years Python's ``datetime`` knows.

Both Postgres and the engine count days as integers and have years BC and an infinite past and future. A value
``datetime`` cannot hold is a ``str`` in the engine's spelling: ``infinity``, ``0044-03-15 (BC) 10:00:00``.
Algorithms: Howard Hinnant, http://howardhinnant.github.io/date_algorithms.html
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from .errors import DATETIME_OVERFLOW, INVALID_DATETIME, ValueFormatError, invalid_text

EPOCH_ORDINAL = datetime.date(2000, 1, 1).toordinal()
DAY = 86_400_000_000

_MOMENT = re.compile(
    r"""\s*(?P<year>\d{4,6})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?P<engine_bc>\ \(BC\))?
    (?:[T\ ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?)?
    \s*(?P<zone>Z|z|[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?|(?!BC)[A-Za-z][A-Za-z_]+(?:/[A-Za-z_+-]+\d*)*)?
    (?:\s+(?P<bc>BC))?\s*\Z""",
    re.VERBOSE | re.ASCII,
)


def days_of(year: int, month: int, day: int) -> int:
    """Days from 2000-01-01; ``year`` 0 is 1 BC."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 730425


def civil(days: int) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day of a count of days from 2000-01-01."""
    days += 730425
    era = days // 146097
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time as it was written: ``year`` 0 is 1 BC, ``offset`` seconds east, if one was given."""

    year: int
    month: int
    day: int
    micros: int = 0
    offset: int | None = None
    zone: str | None = None

    @property
    def days(self) -> int:
        return days_of(self.year, self.month, self.day)

    def engine_text(self, *, with_time: bool) -> str:
        """The engine's spelling."""
        text = f"{self.year if self.year > 0 else 1 - self.year:04d}-{self.month:02d}-{self.day:02d}"
        if self.year <= 0:
            text += " (BC)"
        if not with_time:
            return text
        text += " " + clock(self.micros)
        if self.zone:
            return f"{text} {self.zone}"
        return text if self.offset is None else text + offset_text(self.offset)


def read_moment(text: str, type_name: str) -> Moment:
    """``text`` in Postgres' or the engine's ISO spelling."""
    found = _MOMENT.match(text)
    if found is None:
        raise invalid_text(type_name, text, INVALID_DATETIME)
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    if found["bc"] or found["engine_bc"]:
        year = 1 - year
    elif year == 0:
        month = 0
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    micros = read_fraction(found["fraction"])
    total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros
    real = 1 <= month <= 12 and day >= 1 and civil(days_of(year, month, day)) == (year, month, day)
    if not real or minute > 59 or second > 60 or total > DAY:
        raise ValueFormatError(DATETIME_OVERFLOW, f'date/time field value out of range: "{text}"')
    if total == DAY:
        year, month, day = civil(days_of(year, month, day) + 1)
        total = 0
    zone = found["zone"]
    offset = read_offset(zone) if zone else None
    return Moment(year, month, day, total, offset, zone if offset is None else None)


def read_fraction(digits: str | None) -> int:
    """Digits after the point of the seconds, as microseconds, rounded as Postgres does."""
    if not digits:
        return 0
    return int(digits[:6].ljust(6, "0")) + (len(digits) > 6 and digits[6] >= "5")


def read_offset(zone: str) -> int | None:
    """Seconds east of a numeric zone; None for a name."""
    if zone in ("Z", "z") or zone.upper() in ("UTC", "GMT"):
        return 0
    if zone[0] not in "+-":
        return None
    digits = zone[1:].replace(":", "")
    if len(digits) % 2:
        digits = "0" + digits
    seconds = sum(
        int(digits[at : at + 2]) * unit
        for at, unit in zip((0, 2, 4), (3600, 60, 1), strict=True)
        if digits[at:]
    )
    return -seconds if zone[0] == "-" else seconds


def clock(micros: int) -> str:
    """``HH:MM:SS`` with as many decimals as are needed."""
    seconds, micros = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{micros:06d}".rstrip("0") if micros else text


def offset_text(seconds: int) -> str:
    """``+HH[:MM[:SS]]``."""
    sign = "-" if seconds < 0 else "+"
    hours, rest = divmod(abs(seconds), 3600)
    text = f"{sign}{hours:02d}"
    if rest:
        text += f":{rest // 60:02d}"
        if rest % 60:
            text += f":{rest % 60:02d}"
    return text


def postgres_spelling(engine_text: str) -> str:
    """Postgres writes BC at the end."""
    if " (BC)" in engine_text:
        return engine_text.replace(" (BC)", "") + " BC"
    return engine_text
