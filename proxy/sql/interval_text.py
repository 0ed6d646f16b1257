"""Intervals written as text, in the spelling that the engine reads as Postgres does.

The engine takes ``1 day -00:00:01`` for a day, ``2 hours ago`` for two hours to come, and does not know ``mons``,
``1-2`` or ISO 8601. A single number with a common unit is left as it is: both read it alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from branching.errors import BoughError
from proxy.types.errors import ValueFormatError
from proxy.types.intervals import engine_interval, read_interval

_PLAIN = re.compile(r"\s*-?\d+(\.\d+)?\s*((year|month|week|day|hour|minute|second)s?)?\s*", re.IGNORECASE)
_FIELDS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def engine_text(text: str) -> str:
    """
    >>> engine_text("1 mon 2 hours ago")
    '-1 months 0 days -7200000000 microseconds'
    """
    if _PLAIN.fullmatch(text):
        return text
    try:
        return engine_interval(read_interval(text))
    except ValueFormatError as error:
        raise BoughError(error.sqlstate, error.message)


def with_fields(text: str, following: Sequence[str]) -> tuple[str, int] | None:
    """The engine's spelling of ``interval 'text' FIELD TO FIELD``, and how many words it takes; None to leave it alone.

    >>> with_fields("1-2", ["YEAR", "TO", "MONTH"])
    ('14 months 0 days 0 microseconds', 3)
    """
    words = [word.upper() for word in following]
    count = 0
    if words and words[0] in _FIELDS:
        count = 3 if words[1:2] == ["TO"] and len(words) == 3 else 1
    if count < 3 and _PLAIN.fullmatch(text):
        return None
    if count == 3 and words[0] == "MINUTE":
        # '3:04' has no hours there
        return None
    return engine_text(text), count
