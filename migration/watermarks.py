"""Where an incremental transfer goes on: the greatest cursor value that is known to be in the target.

Rules:

1. The watermark is the greatest value of what was moved, not of the source: rows that come meanwhile move next
   time. It is text in a form every engine reads back: whole numbers, decimals, ISO dates and times in UTC.
2. With a KEY the next run starts *at* the watermark (rows that share its value are written again, harmlessly);
   without one it starts behind it.
3. On a branch the rows themselves are the truth, once an incremental transfer has come there: the watermark is the
   greatest cursor in the table. So it goes with every fork, merge, reset and ROLLBACK of those rows.
4. Rows whose cursor is NULL would never move, so they refuse the transfer (``no_null``).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from migration.connectors.base import Connector, Path, Source
from migration.ddl_quoting import quote_name, quote_text
from migration.dialects import contract
from migration.errors import MigrationError
from migration.measures import TableMeasure
from migration.measures_sql import measured_by, source_clause
from migration.types import CanonicalType

if TYPE_CHECKING:
    from migration.plan import TransferPlan

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_CURSORS = frozenset(
    {"int8", "int16", "int32", "int64", "int128", "uint8", "uint16", "uint32", "uint64"}
    | {"decimal", "text", "date", "timestamp", "instant"}
)


def check_cursor(column: str, type_: CanonicalType) -> None:
    """42804 for a type that has no order or no text to keep it in."""
    if type_.kind not in _CURSORS:
        raise MigrationError(
            "42804",
            f'column "{column}" of type {type_} cannot be a cursor',
            hint="A cursor is a whole number, a date or a timestamp that only grows.",
            column=column,
        )


def rows_after(source: Source, column: str, watermark: str, dialect: str, *, inclusive: bool) -> Source:
    """``source`` from its watermark on, as a query of its own dialect."""
    item = contract(dialect)
    value = watermark if _NUMBER.fullmatch(watermark) else quote_text(watermark, item)
    operator = ">=" if inclusive else ">"
    clause = source_clause(source, dialect)
    return Source(query=f"SELECT * FROM {clause} WHERE {quote_name(column, item)} {operator} {value}")


def watermark_text(item: TransferPlan, moved: TableMeasure | None) -> str | None:
    """The new watermark; the old one where nothing moved."""
    cursor = item.request.cursor
    if cursor is None or moved is None:
        return item.watermark
    column = next((column for column in item.columns if column.name == cursor), None)
    found = _greatest(moved, cursor, column.read) if column is not None else None
    return item.watermark if found is None else found


def watermark_there(target: Connector, path: Path, cursor: str, read: CanonicalType) -> str | None:
    """The greatest cursor that a table holds, in the form of the source's type."""
    with target.reader() as reader:
        found = measured_by(reader.row, target.dialect, Source(path=path), [(cursor, read)])
    return None if found is None else _greatest(found, cursor, read)


def _greatest(measure: TableMeasure, cursor: str, read: CanonicalType) -> str | None:
    if cursor not in measure.columns:
        return None
    kind, values = measure.columns[cursor]
    greatest = values.get("max")
    if greatest is None:
        return None
    if kind == "clock":
        seconds, nanoseconds = divmod(int(greatest), 1_000_000_000)
        stamp = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        fraction = f"{nanoseconds:09d}"[: 9 if (read.precision or 0) > 6 else 6]
        zone = "+00" if read.kind == "instant" else ""
        return f"{stamp:%Y-%m-%d %H:%M:%S}.{fraction}{zone}"
    if kind == "days":
        return str(date(1970, 1, 1) + timedelta(days=int(greatest)))
    return greatest.decode() if isinstance(greatest, bytes) else str(greatest)
