"""Small results as Python tuples without loss.

The client's own ``fetchall`` turns an interval into a timedelta (its months become 30 days) and infinity into
the last day Python knows, which a table may well hold. Arrow carries the integers beneath. Here they become
Python values where Python has them and otherwise text in the engine's own spelling:

* an interval is a ``str`` (``14 months 3 days 500 microseconds``);
* a date or timestamp that is infinite, BC or outside the years 2 to 9998 is a ``str`` (``infinity``,
  ``0044-03-15 (BC)``), and so is every other value of its column;
* structs, maps, unions and variants are JSON text; bit strings and times with a zone are text.

Common columns are converted by pyarrow alone; only a column that needs it costs another query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from .duckdb_forms import split_type

_SOURCE = "bough_rows_source"
_PLAIN = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
    | {
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "DECIMAL WITHOUT WHOLE DIGITS",
        "VARCHAR",
        "BLOB",
        "UUID",
        "ENUM",
        '"NULL"',
    }
)
_NESTED = frozenset({"STRUCT", "MAP", "UNION", "VARIANT"})
_DAY = 86_400
# Days and seconds from 1970 to the years 2 and 9998: a margin for time zones on both sides.
_FIRST, _LAST = -718_800, 2_932_500
_COUNTED = {"DATE": (pa.int32(), 1), "TIME": (pa.int64(), 0), "TIMESTAMP": (pa.int64(), _DAY * 1_000_000)}
_COUNTED["TIMESTAMP WITH TIME ZONE"] = _COUNTED["TIMESTAMP"]


def exact_rows(table: pa.Table, columns: Sequence[tuple[str, str]], cursor: Any) -> list[tuple[Any, ...]]:
    """The rows of an Arrow result whose columns are (name, engine type).

    The result and ``cursor`` must come of cursors that went through ``duckdb_encode.prepare``; ``cursor`` must
    not be running anything.
    """
    values = [
        _values(column, type_text) for column, (_, type_text) in zip(table.columns, columns, strict=True)
    ]
    asked = [number for number, found in enumerate(values) if found is None]
    if asked:
        for number, found in zip(asked, _ask(table, columns, asked, cursor), strict=True):
            values[number] = found
    return list(zip(*[found or [] for found in values], strict=True))


def _values(column: pa.ChunkedArray, type_text: str) -> list[Any] | None:
    """The column's values, or None if only the engine can spell them."""
    base, depth = split_type(type_text)
    if depth:
        return None
    if base in _PLAIN:
        return _list(column)
    if base == "INTERVAL":
        return [
            None if value is None else f"{value[0]} months {value[1]} days {value[2] // 1000} microseconds"
            for value in column.to_pylist()
        ]
    if base not in _COUNTED:
        return None
    integer, unit = _COUNTED[base]
    low, high = (_FIRST * unit, _LAST * unit) if unit else (0, _DAY * 1_000_000 - 1)
    counts = column.cast(integer).to_pylist()
    if all(count is None or low <= count <= high for count in counts):
        return _list(column)
    return None


def _list(column: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = column.to_pylist()
    return found


def _ask(
    table: pa.Table, columns: Sequence[tuple[str, str]], numbers: Sequence[int], cursor: Any
) -> list[list[Any]]:
    """The columns with these numbers, in the engine's words."""
    names = [f"c{number}" for number in numbers]
    shown = []
    for name, number in zip(names, numbers, strict=True):
        base, depth = split_type(columns[number][1])
        form = (
            f"to_json({name})::VARCHAR" if base in _NESTED and not depth else f"{name}::VARCHAR{'[]' * depth}"
        )
        if base in _NESTED and depth == 1:
            form = f"list_transform({name}, lambda e: CASE WHEN e IS NOT NULL THEN to_json(e)::VARCHAR END)"
        elif base in _PLAIN or base in ("HUGEINT", "UHUGEINT"):
            form = name
        shown.append(f"{form} AS {name}")
    fields = [table.schema.field(number).with_name(name) for name, number in zip(names, numbers, strict=True)]
    source = pa.Table.from_arrays([table.column(number) for number in numbers], schema=pa.schema(fields))
    cursor.register(_SOURCE, source)
    try:
        rows = cursor.execute(f"SELECT {', '.join(shown)} FROM {_SOURCE}").fetchall()
    finally:
        cursor.unregister(_SOURCE)
    return [list(found) for found in zip(*rows, strict=True)] or [[] for _ in numbers]
