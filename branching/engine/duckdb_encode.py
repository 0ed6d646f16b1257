"""Result rows as Postgres DataRow messages, computed by DuckDB itself.

Encoding cells in Python costs more than the query. Here DuckDB computes each row's whole message as one
BLOB (``'D' || length || columns || (length || value)…``) and hands it out as Arrow binary, whose data buffer
is the very bytes for the socket.

Rules:

1. Two routes, the same bytes. ``wrap`` puts the encoding around the text of a query. ``encode_reader`` feeds
   Arrow batches of a query that is already running to an encoding query of another cursor: nothing runs
   twice, and anything that gives Arrow (RETURNING, EXPLAIN) can be sent.
2. Memory is bounded: batches are cut by rows and by bytes, and the next is made only when it is asked for.
3. Cursors must have gone through ``prepare``: it stores the forms of short lengths in a variable and makes
   Arrow carry every type exactly (``arrow_lossless_conversion``), so that route two loses nothing.
4. One cursor runs one thing at a time: a streaming source and its encoder need a cursor each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from branching.engine.base import CopyForm
from branching.names import literal

from .duckdb_copy import copy_form
from .duckdb_forms import NULL_SIZE, binary_form, size_form, text_form

BATCH_ROWS = 32_768
BATCH_BYTES = 8 * 1024 * 1024
_SOURCE = "bough_encode_source"


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """A column to encode: ``type`` as the engine spells it, ``format`` 0 text or 1 binary.

    ``wire`` is the Postgres type's name where the client was told another than the engine type's own.
    """

    type: str
    format: int = 0
    wire: str = ""


@dataclass(frozen=True, slots=True)
class Frames:
    """Whole messages, back to back, one for each row."""

    data: memoryview
    rows: int


def columns_of(
    columns: Sequence[tuple[str, str]], formats: Sequence[int], wires: Sequence[str] = ()
) -> tuple[EncodedColumn, ...]:
    """From (name, engine type) pairs and one format a column."""
    names = wires or [""] * len(columns)
    return tuple(
        EncodedColumn(type, format, wire)
        for (_, type), format, wire in zip(columns, formats, names, strict=True)
    )


def prepare(cursor: Any, time_zone: str | None = None) -> None:
    """Makes ``cursor`` (and no other) able to encode; ``time_zone`` is that of the session.

    Settings belong to one cursor: an encoder left at the default would show timestamptz in another zone.
    """
    if time_zone is not None:
        quoted = time_zone.replace("'", "''")
        cursor.execute(f"SET TimeZone = '{quoted}'").fetchall()
    cursor.execute(
        "SET VARIABLE bough_sizes = (SELECT list(n::INTEGER::BIT::BLOB ORDER BY n) FROM range(256) AS t(n))"
    ).fetchall()
    cursor.execute("SET arrow_lossless_conversion = true").fetchall()


def wrap(sql: str, columns: Sequence[EncodedColumn]) -> str:
    """A query giving one BLOB, the DataRow message, for each row of the query ``sql``."""
    return _encoding(f"({sql}\n)", columns)


def _form(column: EncodedColumn, name: str) -> str:
    if column.format:
        return binary_form(column.type, name, column.wire)
    return text_form(column.type, name)


def _field(column: EncodedColumn, name: str) -> str:
    """Length and value of one column, or the length that means NULL."""
    if column.format:
        return f"coalesce({size_form(f'octet_length({name})')} || {name}, {NULL_SIZE})"
    return f"coalesce({size_form(f'strlen({name})')} || encode({name}), {NULL_SIZE})"


def _joined(parts: Sequence[str]) -> str:
    """Concatenation as a balanced tree: a chain would copy the front of a wide row once per column."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle])} || {_joined(parts[middle:])})"


def _encoding(source: str, columns: Sequence[EncodedColumn], copy: CopyForm | None = None) -> str:
    names = [f"c{number}" for number in range(len(columns))]
    if copy is not None and copy.format != "binary":
        return _lines(source, columns, names, copy)
    forms = ", ".join(f"{_form(column, name)} AS {name}" for column, name in zip(columns, names, strict=True))
    count = f"unhex('{len(columns):04x}')"
    body = _joined([count, *map(_field, columns, names)])
    if not columns:
        return f"SELECT unhex('{44 if copy is None else 64}000000060000') AS f FROM {source} AS s"
    letter = "D" if copy is None else "d"
    return (
        f"SELECT '{letter}'::BLOB || {size_form('(octet_length(b) + 4)')} || b AS f FROM "
        f"(SELECT {body} AS b FROM (SELECT {forms} FROM {source} AS s({', '.join(names)})))"
    )


def _lines(source: str, columns: Sequence[EncodedColumn], names: Sequence[str], copy: CopyForm) -> str:
    """COPY's text and CSV: a line for each row, in a message of its own."""
    forms = ", ".join(f"{_form(column, name)} AS {name}" for column, name in zip(columns, names, strict=True))
    fields = [
        copy_form(column.type, name, copy, force=number in copy.force_quote, alone=len(columns) == 1)
        for number, (column, name) in enumerate(zip(columns, names, strict=True))
    ]
    parts = [part for field in fields for part in (field, literal(copy.delimiter))]
    line = _joined([*parts[:-1], "chr(10)"])
    return (
        f"SELECT 'd'::BLOB || {size_form('(strlen(b) + 4)')} || encode(b) AS f FROM "
        f"(SELECT {line} AS b FROM (SELECT {forms} FROM {source} AS s({', '.join(names)})))"
    )


def frames_of(batch: pa.RecordBatch) -> Iterator[Frames]:
    """The bytes of a batch of messages, without a copy."""
    column = batch.column(0)
    if not len(column):
        return
    wide = pa.types.is_large_binary(column.type)
    _, offsets, data = column.buffers()
    marks = memoryview(offsets).cast("q" if wide else "i")
    start, stop = marks[column.offset], marks[column.offset + len(column)]
    yield Frames(memoryview(data)[start:stop], len(column))


def encode_query(cursor: Any, sql: str, columns: Sequence[EncodedColumn]) -> Iterator[Frames]:
    """Route one: runs ``sql`` wrapped, streaming."""
    return _stream(cursor, wrap(sql, columns), BATCH_ROWS)


def encode_reader(
    reader: pa.RecordBatchReader,
    columns: Sequence[EncodedColumn],
    cursor: Any,
    copy: CopyForm | None = None,
) -> Iterator[Frames]:
    """Route two: encodes the rows of ``reader`` with ``cursor``, streaming. Closes ``reader``."""
    names = [f"c{number}" for number in range(len(columns))]
    query = _encoding(_SOURCE, columns, copy)
    source = _Source(reader, names)
    try:
        while rows := source.next_run():
            cursor.register(_SOURCE, source.run())
            try:
                yield from _stream(cursor, query, rows)
            finally:
                with contextlib.suppress(duckdb.ConnectionException):  # the session may have ended meanwhile
                    cursor.unregister(_SOURCE)
    finally:
        reader.close()


def _stream(cursor: Any, query: str, rows: int) -> Iterator[Frames]:
    encoded = cursor.sql(query).to_arrow_reader(rows)
    try:
        for batch in encoded:
            yield from frames_of(batch)
    finally:
        encoded.close()


class _Source:
    """The batches of a reader in runs of rows of like width.

    DuckDB fills its result batches by a number of rows fixed at the start. A run ends where rows become so
    wide that a batch of that many would be far larger than ``BATCH_BYTES``; the next has a smaller number.
    """

    def __init__(self, reader: pa.RecordBatchReader, names: Sequence[str]) -> None:
        self._batches = iter(reader)
        # Names are ours: those of the query need not be unique. A field's metadata may name its real type.
        self._schema = pa.schema(
            [
                field.with_type(_undictionaried(field.type)).with_name(name)
                for field, name in zip(reader.schema, names, strict=True)
            ]
        )
        self._waiting: pa.RecordBatch | None = None
        self._rows = 0

    def next_run(self) -> int:
        """Rows a batch for the run that follows; 0 at the end."""
        while self._waiting is None:
            batch = next(self._batches, None)
            if batch is None:
                return 0
            if batch.num_rows:
                self._waiting = batch
        self._rows = _rows_for(self._waiting)
        return self._rows

    def run(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._schema, self._run())

    def _run(self) -> Iterator[pa.RecordBatch]:
        while self._waiting is not None:
            batch = self._waiting
            if _rows_for(batch) * 4 < self._rows:
                return
            self._waiting = None
            arrays = [
                array if array.type == type else array.cast(type)
                for array, type in zip(batch.columns, self._schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            self._waiting = next(self._batches, None)


def _undictionaried(type: pa.DataType) -> pa.DataType:
    """``type`` with plain strings for enums: DuckDB cannot read empty lists of dictionary-encoded values."""
    if pa.types.is_dictionary(type):
        return type.value_type
    if pa.types.is_list(type):
        return pa.list_(_undictionaried(type.value_type))
    if pa.types.is_fixed_size_list(type):
        return pa.list_(_undictionaried(type.value_type), type.list_size)
    return type


def _rows_for(batch: pa.RecordBatch) -> int:
    """How many rows like these make about ``BATCH_BYTES``."""
    size: int = batch.nbytes
    return max(1, min(BATCH_ROWS, BATCH_BYTES * int(batch.num_rows) // max(1, size)))
