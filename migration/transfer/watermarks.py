"""Where an incremental transfer goes on: the greatest cursor value that is known to be in the target.

Rules:

1. The watermark is the greatest value of what was moved, not of the source: rows that come meanwhile move next
   time. It is measured as it is read, in the source's own type: as a text of the target 9 would be behind 10. It is
   text in a form every engine reads back: whole numbers, decimals, ISO dates and times in UTC.
2. With a KEY the next run starts *at* the watermark (rows that share its value are written again, harmlessly);
   without one it starts behind it. Texts are compared by their bytes, as they are measured.
3. On a branch the rows themselves are the truth, once an incremental transfer has come there: the watermark is the
   greatest cursor in the table. So it goes with every fork, merge, reset and ROLLBACK of those rows.
4. Rows whose cursor is NULL would never move, and infinite ones each time. They refuse the transfer, whatever is
   allowed to be lost, and every later one that finds some (``refuse_values``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from migration.connectors.base import Connector, Path, Source
from migration.connectors.queries import in_byte_order
from migration.dialects import contract
from migration.dialects.quoting import quote_name, quote_text
from migration.errors import MigrationError
from migration.measures.columns import BatchMeasure, TableMeasure, finished, measure_class
from migration.measures.sql import measured_by, source_clause
from migration.model import ColumnSpec
from migration.transfer.columns import ColumnPlan
from migration.types import CanonicalType
from migration.values.condition_words import in_words
from migration.values.profile import Profile, Question

if TYPE_CHECKING:
    from migration.transfer.plan import TransferPlan

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_NUMBERS = frozenset(
    {"int8", "int16", "int32", "int64", "int128", "uint8", "uint16", "uint32", "uint64", "decimal"}
)
_CURSORS = _NUMBERS | {"text", "date", "timestamp", "instant"}
_ENDLESS = ("decimal", "date", "timestamp", "instant")


def check_cursor(column: ColumnPlan, own: ColumnSpec) -> None:
    """42804 for a type that has no order or no text to keep it in, or whose texts have another order than it has."""
    if column.read.kind not in _CURSORS:
        raise MigrationError(
            "42804",
            f'column "{column.name}" of type {column.read} cannot be a cursor',
            hint="A cursor is a whole number, a date or a timestamp that only grows.",
            column=column.name,
        )
    if column.expression and column.read.kind == "text" != own.type.kind:
        raise MigrationError(
            "42804",
            f'column "{column.name}" cannot be a cursor as text',
            detail=f"It is a column of {own.type}, and its texts have another order.",
            hint="Leave the cursor as it is; cast other columns.",
            column=column.name,
        )


def questions(column: ColumnPlan, dialect: str) -> list[Question]:
    """What must hold for every value of a cursor."""
    rules = contract(dialect)
    found = [Question(column.name, column.read, "no_null")]
    if column.read.kind in _ENDLESS and (rules.family == "postgres-like" or rules.name == "duckdb"):
        found.append(Question(column.name, column.read, "finite"))
    return found


def refuse_values(column: ColumnPlan, profile: Profile) -> None:
    """HV004 where a cursor has values that would be left behind, or moved each time."""
    broken = [finding for finding in profile.broken(column.name) if finding.guard in ("no_null", "finite")]
    if broken:
        raise MigrationError(
            "HV004",
            f'column "{column.name}" cannot be a cursor: it has values {in_words(broken[0].guard)}',
            detail=f"There are {broken[0].count} of them. They would be left behind, or moved each time.",
            hint="Leave these rows out in a query: TRANSFER (SELECT ... WHERE ...).",
            column=column.name,
        )


def rows_after(
    source: Source, column: ColumnPlan, watermark: str, dialect: str, *, inclusive: bool, nullable: bool
) -> Source:
    """``source`` from its watermark on, as a query of its own dialect; what is NULL comes too, to be refused. A plain
    number with a point, or of many digits, is a float to ClickHouse (which takes a text for its column's type) and
    BigQuery."""
    item = contract(dialect)
    value = quote_text(watermark, item)
    if column.read.kind in _NUMBERS and _NUMBER.fullmatch(watermark) and item.name != "clickhouse":
        value = f"BIGNUMERIC {value}" if item.name == "bigquery" and "." in watermark else watermark
    name = column.expression or quote_name(column.name, item)
    left = in_byte_order(name, item) if column.read.kind == "text" else name
    condition = f"{left} {'>=' if inclusive else '>'} {value}" + (f" OR {name} IS NULL" if nullable else "")
    return Source(query=f"SELECT * FROM {source_clause(source, dialect)} WHERE {condition}")


@dataclass(slots=True)
class Furthest:
    """The greatest cursor of batches as they are read; ``place`` is its column."""

    name: str
    type: CanonicalType
    place: int
    measure: BatchMeasure
    number: Decimal | None = None  # of decimals without bounds, which come as texts

    def passing(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches, looked at."""
        for batch in batches:
            array = batch.column(self.place)
            if _is_unbounded(self.type):
                numbers = [Decimal(text) for text in array.to_pylist() if text is not None]
                self.number = max([*numbers, *([] if self.number is None else [self.number])], default=None)
            else:
                self.measure.add(pa.record_batch([array], names=[self.name]))
            yield batch

    @property
    def text(self) -> str | None:
        """It as a watermark; None where nothing moved."""
        if self.number is not None:
            return f"{self.number:f}"
        return _greatest(finished(self.measure), self.name, self.type)


def furthest(item: TransferPlan) -> Furthest | None:
    """For the cursor of a transfer, if it has one."""
    for place, column in enumerate(item.columns):
        if column.name == item.request.cursor:
            return Furthest(column.name, column.read, place, BatchMeasure([(column.name, column.read)]))
    return None


def _is_unbounded(type_: CanonicalType) -> bool:
    return type_.kind == "decimal" and measure_class(type_) == "text"


def check_into_branch(column: ColumnPlan, *, keyed: bool) -> None:
    """0A000 for a cursor whose values in a branch do not say where the next transfer goes on."""
    of_another = measure_class(column.read) != measure_class(column.target)
    if column.expression or column.allowed or (not keyed and (of_another or _is_unbounded(column.read))):
        raise MigrationError(
            "0A000",
            f'the cursor "{column.name}" of a transfer into a branch cannot be cast or cut',
            detail=f"{column.detail}: the branch's own rows say where the next transfer goes on.",
            hint="Leave the cursor as it is, give a decimal its digits in a query, or name the rows' KEY.",
            column=column.name,
        )


def has_rows(target: Connector, path: Path) -> bool:
    """Whether a table holds any row."""
    with target.reader() as reader:
        return any(batch.num_rows for batch in reader.read(Source(path=path), limit=1))


def unmarked(target: str) -> MigrationError:
    """55000 for a target without a KEY whose rows came another way: all rows of the source would be added to them."""
    return MigrationError(
        "55000",
        f'"{target}" has rows and no watermark of this cursor',
        detail="No incremental transfer from this source has filled it: all rows would come, some for the second time.",
        hint="KEY (columns) moves all rows, each once; MODE append adds them all; or drop the target first.",
    )


def replaced_by(transfer: int, target: str) -> MigrationError:
    """55000 for a target without a KEY that holds other rows than its watermark speaks of."""
    return MigrationError(
        "55000",
        f'"{target}" was replaced by transfer {transfer} since its watermark was kept',
        detail="Rows before the watermark may be missing there, and rows behind it may be there already.",
        hint="KEY (columns) moves all rows again, each once; or drop the target, and it starts from the beginning.",
    )


def watermark_there(target: Connector, path: Path, column: ColumnPlan) -> str | None:
    """The greatest cursor that a table of a branch holds, in the form of the source's type."""
    with target.reader() as reader:
        found = measured_by(reader.row, target.dialect, Source(path=path), [(column.name, column.read)])
    return None if found is None else _greatest(found, column.name, column.read)


def _greatest(measure: TableMeasure, cursor: str, read: CanonicalType) -> str | None:
    if cursor not in measure.columns:
        return None
    kind, values = measure.columns[cursor]
    greatest = values.get("max")
    if greatest is None:
        return None
    try:
        if kind == "clock":
            seconds, nanoseconds = divmod(int(greatest), 1_000_000_000)
            stamp = datetime(1970, 1, 1) + timedelta(seconds=seconds)
            fraction = f"{nanoseconds:09d}"[: 9 if (read.precision or 0) > 6 else 6]
            zone = "+00" if read.kind == "instant" else ""
            return f"{stamp.isoformat(sep=' ', timespec='seconds')}.{fraction}{zone}"
        if kind == "days":
            return str(date(1970, 1, 1) + timedelta(days=int(greatest)))
    except OverflowError:
        raise MigrationError(
            "22008",
            f'the cursor "{cursor}" has a value that is not within the years 1 to 9999',
            hint="Choose another cursor, or leave these rows out in a query.",
            column=cursor,
        ) from None
    return greatest.decode() if isinstance(greatest, bytes) else str(greatest)
