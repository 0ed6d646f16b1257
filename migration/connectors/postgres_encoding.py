"""Batches as COPY's own formats.

COPY BINARY has no type tags, so each column's bytes must be exactly those of the target's type. pgpq encodes
integers, doubles, texts, bytes and decimals right; moments, dates and uuids are sent as the integers and bytes
that PostgreSQL itself writes for them, because pgpq's own encoders get infinities wrong. A table with a column
of any other type goes by CSV, where the server parses text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from migration.connectors.arrow import INFINITE_DATE, INFINITE_TIMESTAMP
from migration.connectors.texts import to_texts
from migration.errors import MigrationError
from migration.model import ColumnSpec

try:
    import pgpq
except ImportError:  # CSV is the second route and carries every type
    pgpq = None  # type: ignore[assignment]

_EPOCH_MICROSECONDS = 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from
_EPOCH_DAYS = 10_957
_PLAIN = ("bool", "int16", "int32", "int64", "float32", "float64", "text", "bytes", "decimal")
_DECLARED_TEXT = ("text", "character varying", "character", "varchar", "bpchar", "citext", "name")
ENCODED_ROWS = 16_384  # rows encoded in one call: pgpq keeps every other thread waiting meanwhile
ENCODED_BYTES = 2 << 20  # and bytes: each session that sends holds a copy
TRAILER = b"\xff\xff"
Recipe = tuple[pa.DataType, Callable[[pa.Array], pa.Array]]


class BinaryEncoder:
    """Encodes batches of one schema. What ``batch`` and ``rest`` give are whole rows, between ``header`` and
    ``TRAILER``; a batch may be kept until the next."""

    def __init__(self, names: Sequence[str], recipes: Sequence[Recipe]) -> None:
        self._recipes = recipes
        self._schema = pa.schema(
            [pa.field(name, recipe[0]) for name, recipe in zip(names, recipes, strict=True)]
        )
        self._encoder = pgpq.ArrowToPostgresBinaryEncoder(self._schema)
        self.header: bytes = self._encoder.write_header()

    def batch(self, batch: pa.RecordBatch) -> bytes:
        """The bytes of one batch and of those kept before it, or none yet."""
        arrays = [convert(array) for (_, convert), array in zip(self._recipes, batch.columns, strict=True)]
        data: bytes = self._encoder.write_batch(pa.record_batch(arrays, schema=self._schema))
        return data

    def rest(self) -> bytes:
        """What was kept, once all batches are given."""
        data: bytes = self._encoder.finish()
        assert data.endswith(TRAILER)
        return data[: -len(TRAILER)]


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """``batch`` in pieces that are encoded at once, without a copy."""
    rows = max(1, min(ENCODED_ROWS, ENCODED_BYTES * batch.num_rows // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def binary_encoder(columns: Sequence[ColumnSpec]) -> BinaryEncoder | None:
    """An encoder for a table's columns, None where one has no exact recipe."""
    recipes = [_recipe(column) for column in columns]
    known = [recipe for recipe in recipes if recipe is not None]
    if pgpq is None or len(known) < len(recipes):
        return None
    return BinaryEncoder([f"c{index}" for index in range(len(columns))], known)


def csv_bytes(batch: pa.RecordBatch, columns: Sequence[ColumnSpec] = ()) -> bytes:
    """A batch as CSV: every value quoted, NULL not. ``columns`` are the table's, in the batch's order."""
    # Of all types, box alone parts the elements of an array by another mark.
    boxes = {index for index, column in enumerate(columns) if (column.declared or "").startswith("box[")}
    texts = [_literal(array, ";" if index in boxes else ",") for index, array in enumerate(batch.columns)]
    out = io.BytesIO()
    table = pa.table(texts, names=[f"c{index}" for index in range(len(texts))])
    csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return out.getvalue()


def _literal(array: pa.Array, mark: str = ",") -> pa.Array:
    if pa.types.is_binary(array.type):
        return pc.binary_join_element_wise("\\x", to_texts(array), "")
    if pa.types.is_list(array.type):
        return pa.array([None if v is None else array_literal(v, mark) for v in _members(array)], pa.string())
    return to_texts(array)


def _members(array: pa.Array) -> list[Any]:
    """The values of an array as texts in Python's lists. Python's own values have no infinite day and no year 0."""
    if not pa.types.is_list(array.type):
        return _literal(array).to_pylist()  # type: ignore[no-any-return]
    inner, start, found = _members(array.flatten()), 0, []
    for length in pc.list_value_length(array).to_pylist():
        found.append(None if length is None else inner[start : start + length])
        start += length or 0
    return found


def array_literal(values: list[Any], mark: str = ",") -> str:
    """A list of texts and of such lists as PostgreSQL's array text, with ``mark`` between its elements."""
    parts = []
    for value in values:
        if value is None:
            parts.append("NULL")
        elif isinstance(value, list):
            parts.append(array_literal(value, mark))
        else:
            parts.append('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + mark.join(parts) + "}"


def _recipe(column: ColumnSpec) -> Recipe | None:
    kind, declared = column.type.kind, (column.declared or "").lower()
    if kind == "text" and not declared.startswith(_DECLARED_TEXT):
        return None
    if kind == "decimal":
        fixed = column.type.precision is not None and column.type.precision <= 38
        return (pa.decimal128(column.type.precision, column.type.scale or 0), _same) if fixed else None
    if kind in _PLAIN:
        plain = {
            "bool": pa.bool_(),
            "int16": pa.int16(),
            "int32": pa.int32(),
            "int64": pa.int64(),
            "float32": pa.float32(),
            "float64": pa.float64(),
            "text": pa.string(),
            "bytes": pa.binary(),
        }
        return plain[kind], _same
    if kind == "json" and declared == "jsonb":
        return pa.binary(), lambda array: pc.binary_join_element_wise(
            b"\x01", pc.cast(array, pa.binary()), b""
        )
    special: dict[str, Recipe] = {
        "timestamp": (pa.int64(), _stamp),
        "instant": (pa.int64(), _stamp),
        "date": (pa.int32(), _date),
        "uuid": (pa.binary(16), partial(_uuid, column.name)),
    }
    return special.get(kind)


def _same(array: pa.Array) -> pa.Array:
    return array


def _stamp(array: pa.Array) -> pa.Array:
    numbers = array.view(pa.int64())
    if _within(numbers, INFINITE_TIMESTAMP):
        return pc.subtract_checked(numbers, _EPOCH_MICROSECONDS)
    infinite = pc.is_in(numbers, pa.array([INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP]))
    ends = pc.if_else(pc.greater(numbers, 0), INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP - 1)
    finite = pc.if_else(infinite, 0, numbers)
    return pc.if_else(infinite, ends, pc.subtract_checked(finite, _EPOCH_MICROSECONDS))


def _date(array: pa.Array) -> pa.Array:
    numbers = array.view(pa.int32())
    moved = pc.subtract(numbers, pa.scalar(_EPOCH_DAYS, pa.int32()))
    if _within(numbers, INFINITE_DATE):
        return moved
    infinite = pc.is_in(numbers, pa.array([INFINITE_DATE, -INFINITE_DATE], pa.int32()))
    ends = pc.if_else(
        pc.greater(numbers, 0),
        pa.scalar(INFINITE_DATE, pa.int32()),
        pa.scalar(-INFINITE_DATE - 1, pa.int32()),
    )
    return pc.if_else(infinite, ends, moved)


def _within(numbers: pa.Array, limit: int) -> bool:
    """True if all numbers are smaller than ``limit``, either way; quicker than looking for the limits."""
    ends = pc.min_max(numbers)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    return low is None or bool(-limit < low and high < limit)


def _uuid(name: str, array: pa.Array) -> pa.Array:
    digits = pc.replace_substring(array, "-", "")
    filled = pc.fill_null(digits, "0" * 32)
    fits = pc.match_substring_regex(filled, "^[0-9a-fA-F]{32}$")
    if not pc.all(fits).as_py():
        sample = array[pc.index(fits, False).as_py()].as_py()
        raise MigrationError(
            "HV004",
            f'column "{name}" has a value that is no uuid',
            detail=f"Value: {sample[:80]}.",
            hint=f'SKIP ("{name}"), or move it into a column of text.',
            column=name,
        )
    data = bytes.fromhex("".join(filled.to_pylist()))
    mask = np.packbits(pc.is_valid(array).to_numpy(zero_copy_only=False), bitorder="little").tobytes()
    buffers = [pa.py_buffer(mask) if array.null_count else None, pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(16), len(array), buffers, array.null_count)
