"""What a writer is given against what its target has: each column fits exactly, or the write is refused.

Rules:

1. The comparison needs the target's catalog and the Arrow schema only, so it happens before the first byte.
   ``COPY BINARY`` carries no types: eight bytes of an integer are a valid, wrong, double.
2. A column fits if its type is the target's canonical form, or one that widens into it without exception.
   Everything else is HV004: a planner makes the cast at the source, where it can be seen.
3. What only values can tell (a fraction finer than the column keeps) is looked at batch by batch.
4. Columns are matched by name. A target column that is not given must be nullable, have a default, or be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import INFINITE_TIMESTAMP, arrow_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, Counting, TableSpec

ALTERED = "an ALTER meanwhile"
_INTEGER_DIGITS = {1: 3, 2: 5, 4: 10, 8: 20}


@dataclass(frozen=True, slots=True)
class Fit:
    """One column on its way in: the target's column and how a batch's array becomes its canonical form."""

    column: ColumnSpec
    convert: Callable[[pa.Array], pa.Array]


def fit(schema: pa.Schema, table: TableSpec) -> tuple[Fit, ...]:
    """One ``Fit`` for each field of ``schema``, in its order; HV004 where one cannot be stored exactly."""
    names = [field.name for field in schema]
    if len(set(names)) != len(names):
        raise MigrationError("42701", "a column is given twice", hint="Name the query's columns apart.")
    fits = []
    for field in schema:
        column = table.column(field.name)
        if column is None:
            raise MigrationError(
                "42703",
                f'table "{table.name}" has no column "{field.name}"',
                detail=f"Its columns: {', '.join(item.name for item in table.columns)}.",
                hint="Select the target's columns by name.",
                table=table.name,
                column=field.name,
            )
        fits.append(Fit(column, _conversion(field, column)))
    for column in table.columns:
        filled = column.nullable or column.default or column.identity or column.computed
        if column.name not in names and not filled:
            raise MigrationError(
                "23502",
                f'column "{column.name}" of table "{table.name}" is NOT NULL and is not given',
                hint="Select a value for it, or give the column a default.",
                table=table.name,
                column=column.name,
            )
    return tuple(fits)


def fit_batch(batch: pa.RecordBatch, fits: Sequence[Fit]) -> pa.RecordBatch:
    """``batch`` in the target's canonical form, its columns named as the target's."""
    arrays = [item.convert(array) for item, array in zip(fits, batch.columns, strict=True)]
    return pa.record_batch(arrays, names=[item.column.name for item in fits])


def _conversion(field: pa.Field, column: ColumnSpec) -> Callable[[pa.Array], pa.Array]:
    given, wanted = field.type, arrow_type(column.type)
    if pa.types.is_dictionary(given):
        inner = _conversion(pa.field(field.name, given.value_type), column)
        return lambda array: inner(array.dictionary_decode())
    if column.type.kind == "unknown" and column.declared is None:
        return lambda array: array  # SQLite's columns without a type hold whatever they are given
    if given == wanted:
        return _guard(given, column)
    if _widens(given, wanted):
        return _cast(wanted)
    raise MigrationError(
        "HV004",
        f'column "{field.name}" arrives as {given} and its target holds {column.type}',
        detail=f"The target's type is {column.declared or column.type}; this change could lose values.",
        hint=f'CAST "{field.name}" in the query, leave it out (SKIP), or move it AS TEXT.',
        column=field.name,
    )


def _cast(wanted: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    def cast(array: pa.Array) -> pa.Array:
        if pa.types.is_boolean(array.type):
            array = pc.cast(array, pa.int8())
        if pa.types.is_decimal(wanted) and pa.types.is_integer(array.type):
            array = pc.cast(array, pa.decimal128(20, 0))
        return pc.cast(array, wanted, safe=True)

    return cast


def _guard(given: pa.DataType, column: ColumnSpec) -> Callable[[pa.Array], pa.Array]:
    precision = column.type.precision
    if not (pa.types.is_timestamp(given) or pa.types.is_time64(given)) or precision is None:
        return lambda array: array
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[given.unit]
    if precision >= digits:
        return lambda array: array
    step = 10 ** (digits - precision)

    def check(array: pa.Array) -> pa.Array:
        numbers = array.view(pa.int64())
        rest = pc.subtract(numbers, pc.multiply(pc.divide(numbers, step), step))
        infinite = pc.is_in(numbers, pa.array([INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP]))
        fine = pc.and_(pc.not_equal(rest, 0), pc.invert(infinite))
        if pc.any(fine).as_py():
            index = pc.index(fine, True).as_py()
            raise MigrationError(
                "HV004",
                f'column "{column.name}" keeps {precision} digits of a second and a value has more',
                detail=f"Value: {_shown(array[index])}.",
                hint=f'CAST "{column.name}" in the query, or give the target more digits.',
                column=column.name,
            )
        return array

    return check


def _shown(scalar: Any) -> str:
    try:
        return str(scalar.as_py())
    except (ValueError, OverflowError):
        return str(scalar.value)


def _widens(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return bool(pa.types.is_string(wanted))
    if pa.types.is_large_binary(given) or pa.types.is_fixed_size_binary(given):
        return bool(pa.types.is_binary(wanted))
    if pa.types.is_boolean(given):
        return bool(pa.types.is_integer(wanted))
    if pa.types.is_integer(given):
        return _integer_widens(given, wanted)
    if pa.types.is_float32(given):
        return bool(pa.types.is_float64(wanted))
    if pa.types.is_decimal(given) and pa.types.is_decimal(wanted):
        whole = given.precision - given.scale
        return bool(wanted.scale >= given.scale and wanted.precision - wanted.scale >= whole)
    if pa.types.is_timestamp(given) and pa.types.is_timestamp(wanted):
        return (given.tz is None) == (wanted.tz is None) and given.unit in ("s", "ms") and wanted.unit == "us"
    return False


def _integer_widens(given: pa.DataType, wanted: pa.DataType) -> bool:
    width, signed = given.bit_width // 8, pa.types.is_signed_integer(given)
    if pa.types.is_decimal(wanted):
        return bool(wanted.precision - wanted.scale >= _INTEGER_DIGITS[width] - (signed and width == 8))
    if not pa.types.is_integer(wanted):
        return False
    room = wanted.bit_width // 8
    if signed:
        return bool(pa.types.is_signed_integer(wanted) and room >= width)
    return bool(room > width if pa.types.is_signed_integer(wanted) else room >= width)


def altered(staged: TableSpec, there: TableSpec) -> tuple[str, ...]:
    """What keeps a table whose definition staging has taken over: somebody has changed it since."""
    one, other = (
        (
            [replace(column, counting=Counting()) for column in spec.columns],
            sorted((key.kind, key.columns) for key in spec.keys),
            sorted(index.text for index in spec.indexes),
        )
        for spec in (staged, there)
    )
    return () if one == other else (ALTERED,)


def same_shape(one: TableSpec, other: TableSpec) -> bool:
    """Whether two tables have the same columns and the same keys, whatever their names."""
    shapes = [
        (
            [(column.name, column.type, column.nullable) for column in spec.columns],
            {(key.kind, key.columns) for key in spec.keys if key.kind in ("primary", "unique")},
        )
        for spec in (one, other)
    ]
    return shapes[0] == shapes[1]
