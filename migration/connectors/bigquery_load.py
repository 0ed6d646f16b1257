"""Batches as the file of a load job: Parquet where every column has one meaning there, else JSON, a row a line.

Rules:

1. One file is one load job, and a load job is all or nothing. The file is on disk: memory holds a batch.
2. In JSON numbers of more than 53 bits, decimals and bytes are texts; documents stand there as they are.
3. BigQuery's arrays are never NULL and hold no NULL: such a value is HV004 instead of an empty array.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.connectors.texts import to_texts
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType

_PARQUET = ("bool", "int64", "float64", "decimal", "date", "time", "timestamp", "instant", "text", "bytes")


def has_one_meaning(type_: CanonicalType) -> bool:
    """Whether Parquet says exactly what a column of this type holds."""
    if type_.kind == "list" and type_.element is not None:
        return type_.element.kind != "list" and has_one_meaning(type_.element)
    return type_.kind in _PARQUET


def written(
    columns: Sequence[ColumnSpec], batches: Iterable[pa.RecordBatch], file: IO[bytes]
) -> tuple[str, int]:
    """Writes batches, at least one, to an empty file; which form it has, and its rows."""
    rows, parquet = 0, all(has_one_meaning(column.type) for column in columns)
    writer: pq.ParquetWriter | None = None
    for batch in batches:
        for column, array in zip(columns, batch.columns, strict=True):
            _check_list(column, array)
        if parquet:
            writer = writer or pq.ParquetWriter(file, batch.schema, compression="snappy", store_schema=False)
            writer.write_batch(batch)
        else:
            file.write(json_lines(columns, batch))
        rows += batch.num_rows
    if writer is not None:
        writer.close()
    return "Parquet" if parquet else "JSON", rows


def json_lines(columns: Sequence[ColumnSpec], batch: pa.RecordBatch) -> bytes:
    """A batch as lines of JSON. A NULL is left out.

    >>> json_lines([ColumnSpec("a", CanonicalType("int64"))], pa.record_batch({"a": [1, None]}))
    b'{"a":"1"}\\n{}\\n'
    """
    cells = [
        [None if text is None else f"{json.dumps(column.name)}:{text}" for text in _texts(array, column.type)]
        for column, array in zip(columns, batch.columns, strict=True)
    ]
    lines = [
        "{" + ",".join(cell for cell in row if cell is not None) + "}\n" for row in zip(*cells, strict=True)
    ]
    return "".join(lines).encode()


def _texts(array: pa.Array, type_: CanonicalType) -> list[str | None]:
    """Each value as JSON, None for NULL."""
    if type_.kind in ("json", "struct", "map"):  # a line break between its parts would end the row
        return [
            None if text is None else text.replace("\n", " ").replace("\r", " ") for text in array.to_pylist()
        ]
    if type_.kind == "bool":
        return [None if value is None else json.dumps(value) for value in array.to_pylist()]
    if type_.kind == "list" and type_.element is not None:
        element = type_.element
        return [
            None if value is None else f"[{','.join(str(each) for each in _texts(value.values, element))}]"
            for value in array
        ]
    if type_.kind == "bytes":
        return [None if v is None else json.dumps(base64.b64encode(v).decode()) for v in array.to_pylist()]
    zone = "+00:00" if type_.kind == "instant" else ""
    return [None if text is None else json.dumps(text + zone) for text in to_texts(array).to_pylist()]


def _check_list(column: ColumnSpec, array: pa.Array) -> None:
    if pa.types.is_list(array.type) and (array.null_count or pc.list_flatten(array).null_count):
        raise MigrationError(
            "HV004",
            f'column "{column.name}" has a NULL where BigQuery has none',
            detail="Its arrays are never NULL, and none of their elements is.",
            hint=f'Give "{column.name}" a coalesce in the query, leave it out (SKIP), or move it AS TEXT.',
            column=column.name,
        )


def to_canonical(array: pa.Array, wanted: pa.DataType, refused: Callable[[str], MigrationError]) -> pa.Array:
    """A column as the client gives it in the canonical form; exactly, or what ``refused`` makes of the reason."""
    try:
        return array if array.type == wanted else pc.cast(array, wanted, safe=True)
    except pa.ArrowException as reason:
        raise refused(str(reason)) from None


def schema_of(fields: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The target's own fields for these columns: the load job is told what they are, nothing is detected."""
    known = {field.name: field for field in fields}
    return [known[name] for name in names]
