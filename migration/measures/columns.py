"""What a column adds up to: counts, extremes, sums and lengths that must agree wherever the rows are.

Rules:

1. A measure is a set of named numbers and texts per column, the same for an Arrow batch in memory and for a
   query that an engine runs itself. What two sides both measured is compared; nothing else is.
2. Sums are exact: whole numbers and decimals are added as integers or decimals, never as floats. Floats are
   added too, but compared with a tolerance, because addition of floats depends on the order.
3. Extremes of text are in byte order, whatever collation the engine has.
4. Times are integers (microseconds or nanoseconds since 1970, days for dates); infinities are counted apart.

What is measured follows the *class* of a column's canonical type:

| class | kinds | measures |
|---|---|---|
| int, decimal | integers up to 64 bits, decimals up to 28 digits | nonnull, min, max, sum |
| wide | 128-bit integers, larger decimals | nonnull, min, max, sum up to 66 digits |
| float | float32, float64 | nonnull, min, max, sum of what is smaller than 1e290 |
| bool | bool | nonnull, sum (of true) |
| text | text, enum, uuid, decimals without bounds | nonnull, octets, min, max |
| bytes | bytes | nonnull, octets |
| days, clock | date; time, timestamp, instant | nonnull, min, max, infinite, sum (PostgreSQL: of days alone) |
| opaque | everything else | nonnull |

Sums of ``clock`` and ``wide`` are compared where both sides have one. PostgreSQL has no cheap exact sum of moments:
sums of intervals overflow after a million rows, ``date_part`` and ``extract`` would make the check a third dearer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import INFINITE_DATE, INFINITE_TIMESTAMP
from migration.types import CanonicalType

MeasureClass = Literal["int", "decimal", "wide", "float", "bool", "text", "bytes", "days", "clock", "opaque"]
FLOAT_LIMIT = 1e290  # a sum of 2^60 such numbers does not overflow
DECIMAL_DIGITS = 28  # ten digits of room for the number of rows
MEASURED_DIGITS = 76  # of a decimal; what is longer is measured as text
SUMMED_DIGITS = 66  # of 76, with the same room
_WIDE = Context(prec=200)  # the default context rounds to 28 digits
_INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def measure_class(type_: CanonicalType) -> MeasureClass:
    """The class that decides what is measured."""
    kind = type_.kind
    if kind in _INTS:
        return "int"
    if kind == "decimal":
        if type_.precision is None or not 0 <= (type_.scale or 0) <= type_.precision <= MEASURED_DIGITS:
            return "text"
        return "decimal" if type_.precision <= DECIMAL_DIGITS else "wide"
    if kind in ("int128", "uint128"):
        return "wide"
    if kind in ("float32", "float64"):
        return "float"
    if kind in ("text", "enum", "uuid"):
        return "text"
    if kind in ("time", "timestamp", "instant"):
        return "clock"
    if kind in ("bool", "bytes"):
        return "bool" if kind == "bool" else "bytes"
    return "days" if kind == "date" else "opaque"


@dataclass(slots=True)
class ColumnMeasure:
    """One column's running measure. ``values`` has only what the class has and what was seen."""

    kind: MeasureClass
    nonnull: int = 0
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: Any) -> None:
        """Folds in a value of another batch."""
        if value is None:
            return
        if name == "min":
            self.values[name] = min(self.values.get(name, value), value, key=_order)
        elif name == "max":
            self.values[name] = max(self.values.get(name, value), value, key=_order)
        elif isinstance(value, Decimal):
            self.values[name] = _WIDE.add(self.values.get(name, Decimal(0)), value)
        else:
            self.values[name] = self.values.get(name, 0) + value


def _order(value: Any) -> Any:
    # NaN is the greatest, as PostgreSQL and DuckDB have it.
    return (math.isnan(value), 0.0 if math.isnan(value) else value) if isinstance(value, float) else value


class BatchMeasure:
    """Measures of rows as they pass, in Arrow. ``only`` names the columns that are measured, None all."""

    def __init__(
        self, columns: Sequence[tuple[str, CanonicalType]], only: Collection[str] | None = None
    ) -> None:
        self.rows = 0
        self._places = [name if only is None or name in only else None for name, _ in columns]
        self.columns = {
            name: ColumnMeasure(measure_class(type_))
            for name, type_ in columns
            if only is None or name in only
        }

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch in; its columns are in the order given."""
        self.rows += batch.num_rows
        for name, array in zip(self._places, batch.columns, strict=True):
            if name is None:
                continue
            measure = self.columns[name]
            measure.nonnull += len(array) - array.null_count
            if array.null_count < len(array):
                _ADD[measure.kind](measure, array)


def _add_numbers(measure: ColumnMeasure, array: pa.Array) -> None:
    found = pc.min_max(array)
    measure.add("min", _plain(found["min"]))
    measure.add("max", _plain(found["max"]))
    measure.add("sum", _exact_sum(array))


def _exact_sum(array: pa.Array) -> Any:
    if pa.types.is_decimal(array.type):
        return pc.sum(array).as_py()
    if pa.types.is_uint64(array.type) or pa.types.is_int64(array.type):
        # Two halves, so that no 64-bit sum can wrap.
        numbers = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
        return (int((numbers >> 32).sum()) << 32) + int((numbers & 0xFFFFFFFF).sum())
    return pc.sum(array).as_py()


def _plain(scalar: pa.Scalar) -> Any:
    value = scalar.as_py()
    return value if value is None or isinstance(value, (int, float, str, bytes, Decimal)) else str(value)


def _add_wide(measure: ColumnMeasure, array: pa.Array) -> None:
    found = pc.min_max(array)
    measure.add("min", found["min"].as_py())
    measure.add("max", found["max"].as_py())
    if pa.types.is_decimal(array.type) and array.type.precision <= SUMMED_DIGITS:
        measure.add("sum", pc.sum(array.cast(pa.decimal256(76, array.type.scale))).as_py())


def _add_floats(measure: ColumnMeasure, array: pa.Array) -> None:
    array = array.drop_null()
    numbers = array.filter(pc.invert(pc.is_nan(array)))
    if len(numbers) < len(array):
        measure.add("max", math.nan)
    if not len(numbers):
        measure.add("min", math.nan)
        return
    found = pc.min_max(numbers)
    measure.add("min", found["min"].as_py())
    measure.add("max", found["max"].as_py())
    if pa.types.is_float32(numbers.type):
        numbers = numbers.cast(pa.float64())
    measure.add("sum", pc.sum(numbers.filter(pc.less(pc.abs(numbers), FLOAT_LIMIT))).as_py())


def _add_bools(measure: ColumnMeasure, array: pa.Array) -> None:
    measure.add("sum", pc.sum(array).as_py())


def _add_texts(measure: ColumnMeasure, array: pa.Array) -> None:
    measure.add("octets", pc.sum(pc.binary_length(array)).as_py())
    found = pc.min_max(array.cast(pa.binary()))
    measure.add("min", found["min"].as_py())
    measure.add("max", found["max"].as_py())


def _add_bytes(measure: ColumnMeasure, array: pa.Array) -> None:
    measure.add("octets", pc.sum(pc.binary_length(array)).as_py())


def _add_days(measure: ColumnMeasure, array: pa.Array) -> None:
    days = array.cast(pa.int32()).drop_null()
    finite = days.filter(pc.less(pc.abs(days.cast(pa.int64())), INFINITE_DATE))
    _add_clock_values(measure, days, finite)
    if len(finite):
        measure.add("sum", pc.sum(finite).as_py())


def _add_clock(measure: ColumnMeasure, array: pa.Array) -> None:
    ticks = array.cast(pa.int64()).drop_null()
    low, high = pa.scalar(-INFINITE_TIMESTAMP, pa.int64()), pa.scalar(INFINITE_TIMESTAMP, pa.int64())
    finite = ticks.filter(pc.and_(pc.greater(ticks, low), pc.less(ticks, high)))
    scale = 1000 if getattr(array.type, "unit", "us") == "us" else 1
    _add_clock_values(measure, ticks, finite, scale)
    if len(finite):
        measure.add("sum", _exact_sum(finite) * scale)


def _add_clock_values(measure: ColumnMeasure, array: pa.Array, finite: pa.Array, scale: int = 1) -> None:
    measure.add("infinite", len(array) - len(finite))
    if len(finite):
        found = pc.min_max(finite)
        measure.add("min", found["min"].as_py() * scale)
        measure.add("max", found["max"].as_py() * scale)


_ADD: Mapping[str, Callable[[ColumnMeasure, pa.Array], None]] = {
    "int": _add_numbers,
    "decimal": _add_numbers,
    "wide": _add_wide,
    "float": _add_floats,
    "bool": _add_bools,
    "text": _add_texts,
    "bytes": _add_bytes,
    "days": _add_days,
    "clock": _add_clock,
    "opaque": lambda _measure, _array: None,
}


@dataclass(frozen=True, slots=True)
class TableMeasure:
    """The finished measure of one side: rows, and per column its class and values (``nonnull`` included)."""

    rows: int
    columns: Mapping[str, tuple[MeasureClass, Mapping[str, Any]]]


def finished(measure: BatchMeasure) -> TableMeasure:
    """What a ``BatchMeasure`` holds once all batches have passed."""
    return TableMeasure(
        measure.rows,
        {
            name: (column.kind, {"nonnull": column.nonnull, **column.values})
            for name, column in measure.columns.items()
        },
    )


def measure_batches(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[tuple[str, CanonicalType]],
    only: Collection[str] | None = None,
) -> TableMeasure:
    """All batches of a reader."""
    measure = BatchMeasure(columns, only)
    for batch in batches:
        measure.add(batch)
    return finished(measure)


_EXACT = (("int", "decimal", "wide", "bool"),)


def differences(
    left: TableMeasure, right: TableMeasure, tolerance: float = 1e-9, extremes: float = 0.0
) -> list[tuple[str, str, bool, str, str]]:
    """Every comparable measure: (measure, column, agrees, left, right). ``rows`` comes first, column ''. ``tolerance``:
    for sums of floats; ``extremes``: for the least and greatest of them."""
    found = [("rows", "", left.rows == right.rows, str(left.rows), str(right.rows))]
    for name, (left_kind, values) in left.columns.items():
        if name not in right.columns:
            continue
        right_kind, others = right.columns[name]
        shared = ["nonnull"]
        comparable = left_kind == right_kind or any({left_kind, right_kind} <= set(group) for group in _EXACT)
        if comparable:
            shared += [item for item in dict.fromkeys((*values, *others)) if item != "nonnull"]
        for item in shared:
            if left_kind != right_kind and (item not in values or item not in others):
                continue
            one, other = values.get(item), others.get(item)
            if item == "sum" and left_kind in ("clock", "wide") and (one is None or other is None):
                continue  # not every engine has one
            if item in ("sum", "octets", "infinite"):  # no row to add up is a sum of nothing
                one, other = one or 0, other or 0
            loose = {"sum": tolerance, "min": extremes, "max": extremes}.get(item, 0.0)
            loose = loose if left_kind == "float" else 0.0
            near = _agree(one, other, loose, loose if item == "sum" else 0.0)
            found.append((item, name, near, shown(one), shown(other)))
    return found


def _agree(one: Any, other: Any, tolerance: float, near_zero: float) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if one is None or other is None:
            return one is other
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return bool(one == other) or (
            tolerance > 0 and math.isclose(one, other, rel_tol=tolerance, abs_tol=near_zero)
        )
    return bool(one == other)


def shown(value: Any) -> str:
    """A measure as text, shortened."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."
