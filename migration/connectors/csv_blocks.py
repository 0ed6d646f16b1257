"""Blocks of CSV, as PostgreSQL writes them, parsed by Arrow into the canonical form.

NULL is an empty field, an empty text is ``""``; lines end in a line feed and may stand inside quotes. Types
that Arrow's parser reads exactly are read by it; the rest arrive as texts and go through ``from_texts``.
A block of one column carries a constant before it, because a lone NULL would be an empty line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.csv as csv

from migration.connectors.arrow import arrow_type
from migration.connectors.base import ReadColumn
from migration.connectors.convert import from_texts
from migration.errors import MigrationError
from migration.types import CanonicalType

# Settings under which a session of PostgreSQL writes the texts that are read here, whatever those of its role are.
UNAMBIGUOUS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
_DIRECT = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "date",
    "timestamp",
    "instant",
)


def read_block(
    data: bytes,
    columns: Sequence[ReadColumn],
    quote: str = '"',
    restored: Callable[[pa.Array], pa.Array] | None = None,
) -> pa.RecordBatch:
    """One block of whole lines as a batch. ``restored`` makes texts of those an engine had to write in another way."""
    lone = len(columns) == 1
    keys = [f"c{index}" for index in range(len(columns))]
    types = {key: _parsed(column.type) for key, column in zip(keys, columns, strict=True)}
    if not data:
        return pa.record_batch(
            [pa.array([], arrow_type(c.type)) for c in columns], names=[c.name for c in columns]
        )
    try:
        table = _table(data, keys, types, quote, lone=lone)
    except pa.ArrowInvalid:
        # Infinite, BC or beyond the year 9999: those columns go by their texts.
        plain = {key: pa.string() if pa.types.is_temporal(type_) else type_ for key, type_ in types.items()}
        try:
            table = _table(data, keys, plain, quote, lone=lone)
        except pa.ArrowInvalid as reason:
            raise MigrationError(
                "HV004",
                "a value does not fit the type of its column",
                detail=str(reason)[:500],
                hint="CAST the column in the query, or move it AS TEXT.",
            ) from None
    arrays = []
    for column, chunked in zip(columns, table.columns, strict=True):
        array = pa.concat_arrays(chunked.chunks) if chunked.num_chunks != 1 else chunked.chunk(0)
        if restored is not None and pa.types.is_string(array.type):
            array = restored(array)
        ready = arrow_type(column.type) == array.type
        arrays.append(array if ready else from_texts(array, column.type, column.name))
    return pa.record_batch(arrays, names=[column.name for column in columns])


def exported(expression: str, type_: CanonicalType) -> str:
    """An expression whose CSV text ``read_block`` reads as ``type_``."""
    if type_.kind == "bytes":
        return f"encode({expression}, 'hex')"
    if type_.kind == "list" and type_.innermost.kind in (
        "json",
        "unknown",
    ):  # by its own text, not by JSON's of it
        return f"to_json(({expression})::text[])::text"
    if type_.kind in ("list", "struct", "map"):
        return f"to_json({expression})::text"
    if type_.kind == "json":
        return f"({expression})::text"
    return expression


def _table(
    data: bytes, keys: list[str], types: dict[str, pa.DataType], quote: str, *, lone: bool
) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(
            column_names=["lone", *keys] if lone else keys, block_size=max(len(data), 1 << 20)
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True, double_quote=True, quote_char=quote),
        convert_options=csv.ConvertOptions(
            column_types=types,
            include_columns=keys,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t", "1", "true"],
            false_values=["f", "0", "false"],
        ),
    )


def _parsed(type_: CanonicalType) -> pa.DataType:
    target = arrow_type(type_)
    return target if type_.kind in _DIRECT or pa.types.is_decimal128(target) else pa.string()
