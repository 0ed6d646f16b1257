"""Batches as the objects Redshift loads from S3: Parquet where every column has one meaning there, else CSV.

Rules:

1. Parquet carries types, and Redshift takes its columns by position: only a whole table in its own order goes so.
2. In CSV every value stands in quotes and NULL is a word that no value can be, new for each load: Redshift has no
   other way to tell a NULL from an empty text.
3. An object holds whole rows and has about ``OBJECT_BYTES`` before it is compressed, so that the cluster's slices
   load side by side.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migration.connectors.texts import to_texts
from migration.dialects import DialectContract
from migration.dialects.quoting import quote_text
from migration.model import ColumnSpec, TableSpec

OBJECT_BYTES = 32 << 20
_PARQUET = ("bool", "int16", "int32", "int64", "float32", "float64", "decimal", "date", "timestamp", "text")


@dataclass(frozen=True, slots=True)
class Form:
    """How the objects of a load are written, and what COPY must be told about them."""

    name: str  # Parquet or CSV
    suffix: str
    columns: bool  # whether COPY names the columns
    clause: str
    encode: Callable[[Sequence[pa.RecordBatch]], bytes]


def form_of(columns: Sequence[ColumnSpec], table: TableSpec, null: str, item: DialectContract) -> Form:
    """The form for these columns of a table. ``null`` is a word that stands for NULL in CSV."""
    in_order = [column.name for column in columns] == [column.name for column in table.columns]
    if in_order and all(_has_one_meaning(column) for column in columns):
        return Form("Parquet", "parquet", False, "FORMAT AS PARQUET", parquet_bytes)
    clause = f"FORMAT AS CSV GZIP NULL AS {quote_text(null, item)} DATEFORMAT 'auto' TIMEFORMAT 'auto'"
    if any(column.identity == "always" for column in columns):
        clause += " EXPLICIT_IDS"
    return Form(
        "CSV", "csv.gz", True, clause, lambda batches: gzip.compress(csv_bytes(batches, null), 1, mtime=0)
    )


def _has_one_meaning(column: ColumnSpec) -> bool:
    if column.type.kind == "decimal":
        return column.type.precision is not None and column.type.precision <= 38
    if column.type.kind == "text":  # a char(n) is padded by whoever writes the file
        return (column.declared or "").lower().startswith(("character varying", "varchar"))
    return column.type.kind in _PARQUET and not column.identity


def parquet_bytes(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Batches of one schema as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_batches(batches), out, compression="snappy", store_schema=False)
    return out.getvalue()


def csv_bytes(batches: Sequence[pa.RecordBatch], null: str) -> bytes:
    """Batches as lines of CSV; ``null`` stands, without quotes, for NULL.

    >>> csv_bytes([pa.record_batch({"a": [1, None], "b": ["x", ""]})], "nil")
    b'"1","x"\\nnil,""\\n'
    """
    parts = []
    for batch in batches:
        texts = [_quoted(array) for array in batch.columns]
        rows = pc.binary_join_element_wise(*texts, ",", null_handling="replace", null_replacement=null)
        parts.extend(pc.binary_join_element_wise(rows, "\n", "").to_pylist())
    return "".join(parts).encode()


def _quoted(array: pa.Array) -> pa.Array:
    texts = pc.replace_substring(to_texts(array), '"', '""')
    zone = "+00" if pa.types.is_timestamp(array.type) and array.type.tz else ""
    return pc.binary_join_element_wise('"', texts, zone + '"', "")


def objects(batches: Iterator[pa.RecordBatch], size: int = OBJECT_BYTES) -> Iterator[list[pa.RecordBatch]]:
    """Batches in groups of about ``size`` bytes."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(each.nbytes for each in held) >= size:
            yield held
            held = []
    if held:
        yield held


def manifest(urls: Sequence[tuple[str, int]]) -> bytes:
    """The list of objects a COPY must find, with their sizes: one that is missing fails it."""
    entries = [{"url": url, "mandatory": True, "meta": {"content_length": size}} for url, size in urls]
    return json.dumps({"entries": entries}).encode()
