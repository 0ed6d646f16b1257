"""A query's rows on their way to the wire: a small result as Python rows, any other as frames that DuckDB encodes.

The query runs once, as a stream of Arrow batches. If it ends within its first batch and that is small, its rows become
Python values, which costs less than planning an encoding query. Otherwise batches go, as they come, through an encoding
query on a cursor of its own. Nobody has to guess beforehand how large a result will be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from branching.engine import duckdb_encode
from branching.engine.base import CopyForm, Frames, ResultColumn, WireFormats
from branching.engine.duckdb_rows import exact_rows

SMALL = 1000  # rows up to which Python encodes faster
_BATCH = 2048  # rows of one of DuckDB's own vectors: it fills any larger batch whatever its rows weigh
_JOINED = 16_384  # rows encoded at once, where they are narrow


def open_stream(
    connection: duckdb.DuckDBPyConnection,
    encoder: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any],
    formats: WireFormats,
) -> tuple[tuple[ResultColumn, ...], Iterator[Any], bool]:
    """Starts ``sql``: its columns, its rows, and whether they come as ``Frames`` (else as lists of rows)."""
    relation = connection.sql(sql, params=list(parameters)) if parameters else connection.sql(sql)
    columns = tuple(
        ResultColumn(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
    )
    pairs = [(column.name, column.type) for column in columns]
    reader = relation.to_arrow_reader(_BATCH)
    head = list(itertools.islice(_batches(reader), 1))
    if not head:
        reader.close()
        return columns, iter(()), False
    if head[0].num_rows <= SMALL:
        head += itertools.islice(_batches(reader), 1)
        if len(head) == 1:
            reader.close()
            rows = exact_rows(pa.Table.from_batches(head), pairs, encoder)
            return columns, iter([rows] if rows else []), False
    source = pa.RecordBatchReader.from_batches(
        reader.schema, _joined(itertools.chain(head, _batches(reader)))
    )
    encoded = duckdb_encode.columns_of(pairs, *_spread(formats, len(columns)))
    return columns, _frames(source, encoded, encoder, reader, formats.copy), True


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        if batch.num_rows:
            yield batch


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Narrow batches joined to fewer, which costs less than encoding each by itself; wide ones cut, since the engine
    holds several copies of what it encodes."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if batch.nbytes > 2 * duckdb_encode.BATCH_BYTES:
            if waiting:
                yield pa.concat_batches(waiting)
                waiting, rows, size = [], 0, 0
            step = max(1, batch.num_rows * duckdb_encode.BATCH_BYTES // batch.nbytes)
            for start in range(0, batch.num_rows, step):
                yield batch.slice(start, step)
            continue
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _JOINED or size >= duckdb_encode.BATCH_BYTES:
            yield pa.concat_batches(waiting) if len(waiting) > 1 else batch
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _spread(formats: WireFormats, count: int) -> tuple[tuple[int, ...], list[str]]:
    codes = formats.codes
    spread = codes if len(codes) > 1 else tuple(codes or (0,)) * count
    declared = [name or "" for name in formats.declared] + [""] * (count - len(formats.declared))
    return spread, declared


def _frames(
    source: pa.RecordBatchReader,
    columns: Sequence[duckdb_encode.EncodedColumn],
    encoder: duckdb.DuckDBPyConnection,
    reader: pa.RecordBatchReader,
    copy: CopyForm | None,
) -> Iterator[Frames]:
    try:
        for frames in duckdb_encode.encode_reader(source, columns, encoder, copy):
            yield Frames(frames.data, frames.rows)
    finally:
        reader.close()
