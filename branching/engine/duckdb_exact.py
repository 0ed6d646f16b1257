"""Which values the engine's Python client cannot give exactly, and how to ask for them as text instead.

The client makes a timedelta of an interval (its months become 30 days), and the first or last day that Python knows of
an infinite or far date, which may also be a real value. Asked as text, all of them are exact; the wire's encoders take
the engine's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from branching.engine.base import ResultColumn
from branching.names import quote

_PLAIN = re.compile(
    r"(BOOLEAN|U?TINYINT|U?SMALLINT|U?INTEGER|U?BIGINT|U?HUGEINT|FLOAT|DOUBLE|DECIMAL\(.*\)|VARCHAR|BLOB|UUID|JSON|TIME"
    r'|ENUM\(.*\)|"NULL")(\[\d*\])*',
    re.DOTALL,
)
_TEMPORAL = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_SENTINELS = frozenset({date.max, date.min})


def needed(columns: Sequence[ResultColumn]) -> frozenset[int]:
    """The columns that must always be asked as text."""
    return frozenset(
        number
        for number, column in enumerate(columns)
        if column.type not in _TEMPORAL and _PLAIN.fullmatch(column.type) is None
    )


def temporal(columns: Sequence[ResultColumn]) -> frozenset[int]:
    """The columns that must be asked as text once a sentinel was seen."""
    return needed(columns) | frozenset(
        number for number, column in enumerate(columns) if column.type in _TEMPORAL
    )


def has_sentinel(columns: Sequence[ResultColumn], rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether a date or timestamp may stand for one that Python does not have."""
    places = [number for number, column in enumerate(columns) if column.type in _TEMPORAL]
    if not places:
        return False
    for row in rows:
        for place in places:
            value = row[place]
            if value is not None and (value.date() if isinstance(value, datetime) else value) in _SENTINELS:
                return True
    return False


def cast_query(sql: str, columns: Sequence[ResultColumn], casts: frozenset[int]) -> str:
    """``sql`` with these columns as text (nested ones as JSON)."""
    names = [f"_c{number}" for number in range(len(columns))]
    items = []
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        if number not in casts:
            items.append(f"{name} AS {quote(column.name)}")
        elif column.type.endswith("]") and not column.type.startswith(("STRUCT", "MAP", "UNION")):
            depth = column.type.count("[")
            items.append(f"CAST({name} AS VARCHAR{'[]' * depth}) AS {quote(column.name)}")
        elif column.type.startswith(("STRUCT", "MAP", "UNION", "VARIANT")) and not column.type.endswith("]"):
            items.append(f"CAST(to_json({name}) AS VARCHAR) AS {quote(column.name)}")
        else:
            items.append(f"CAST({name} AS VARCHAR) AS {quote(column.name)}")
    return f"SELECT {', '.join(items)} FROM ({sql}\n) AS _rows({', '.join(names)})"
