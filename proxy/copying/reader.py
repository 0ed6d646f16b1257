"""A client's COPY data to rows: chunks in, Arrow batches out, and the first error with its place.

Rules:

1. Data is read in chunks of whole rows. A chunk that ``chunks`` cannot vouch for is read by the reference (``lines``).
2. An error carries Postgres' CONTEXT: ``COPY t, line 3, column b: "x"``.
3. What follows the end marker is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from branching.errors import BoughError
from proxy.types import ValueFormatError
from proxy.types.errors import utf8

from .binary import BinaryReader
from .chunks import ChunkParser, cut
from .columns import CopyColumn
from .lines import Field, FieldReader, Incomplete, LineReader
from .options import CopyOptions

LONGEST_ROW = 256 * 1024 * 1024
_SHOWN = 100  # characters of a value or line in a CONTEXT
_ROWS = 50_000  # rows the reference decodes at once


class CopyReader:
    """``add`` takes data as it comes and gives the batches that are whole; ``finish`` gives the rest."""

    def __init__(self, table: str, columns: Sequence[CopyColumn], options: CopyOptions) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._options = options
        self.schema = pa.schema([(str(n), column.arrow) for n, column in enumerate(columns)])
        self._buffer = b""
        self._header = options.header
        self._lines = LineReader(options)
        self._fields = FieldReader(options)
        self._chunks = ChunkParser(self._columns, options) if columns else None
        self._binary = BinaryReader(self._columns, self._place) if options.code else None
        self._force_null = self._named(options.force_null)
        self._force_not_null = self._named(options.force_not_null)

    def _named(self, names: Sequence[str]) -> frozenset[int]:
        return frozenset(n for n, column in enumerate(self._columns) if "*" in names or column.name in names)

    @property
    def context(self) -> str:
        """Where reading stands."""
        line = self._binary.rows + 1 if self._binary is not None else self._lines.line
        return f"COPY {self._table}, line {line}"

    def add(self, data: bytes) -> list[pa.RecordBatch]:
        """More data."""
        return self._read(data, final=False)

    def finish(self) -> list[pa.RecordBatch]:
        """The end of the data."""
        return self._read(b"", final=True)

    def _read(self, data: bytes, *, final: bool) -> list[pa.RecordBatch]:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) > LONGEST_ROW:
            raise self._placed(BoughError("54000", f"a row has more than {LONGEST_ROW >> 20} MB"))
        if self._binary is not None:
            if self._binary.ended:
                if self._buffer:
                    raise self._placed(BoughError("22P04", "received copy data after EOF marker"))
                return []
            arrays, taken = self._binary.read(self._buffer, final=final)
            self._buffer = self._buffer[taken:]
            return [] if arrays is None else [self._batch(arrays)]
        if self._lines.ended:
            self._buffer = b""
            return []
        try:
            return self._rows(final)
        except (BoughError, ValueFormatError) as error:
            raise self._placed(error) from None

    def _batch(self, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(list(arrays), schema=self.schema)

    # -- text and CSV ---------------------------------------------------------------------------------------------

    def _rows(self, final: bool) -> list[pa.RecordBatch]:
        found: list[pa.RecordBatch] = []
        if self._header and not self._skip_header(final):
            return found
        if self._chunks is not None and self._buffer:
            first = self._first_line(final) if self._lines.eol is None else (self._lines.eol, 0, 0)
            if first is None:
                return found
            eol, lines, begun = first
            end = len(self._buffer) if final else cut(self._buffer, self._options)
            if end == 0:
                return found
            if end is not None and eol in (b"\n", b"\r\n"):
                chunk = self._buffer if end == len(self._buffer) else self._buffer[:end]
                arrays = self._chunks.parse(chunk, eol)
                if arrays is not None:
                    self._lines.eol = eol
                    self._lines.line += lines + self._count_lines(chunk, begun, len(arrays[0]))
                    self._buffer = self._buffer[end:]
                    return [self._batch(arrays)] if len(arrays[0]) else found
        while (batch := self._slowly(final)) is not None:
            found.append(batch)
        return found

    def _count_lines(self, chunk: bytes, start: int, rows: int) -> int:
        """Lines from ``start`` on: in CSV those inside quotes count too."""
        if not start and (not self._lines.csv or self._options.quote.encode() not in chunk):
            return rows
        return chunk.count(b"\n", start) + (len(chunk) > start and not chunk.endswith(b"\n"))

    def _first_line(self, final: bool) -> tuple[bytes | None, int, int] | None:
        """How the first line ends, how many it counts as (Postgres miscounts it), its length; None: not here yet."""
        lines = LineReader(self._options)
        try:
            _, end = lines.next_line(self._buffer, 0, final=final)
        except Incomplete:
            return None
        except BoughError:
            return None, 0, 0  # it will come again in its place
        return lines.eol, lines.line, end

    def _skip_header(self, final: bool) -> bool:
        if not self._buffer and not (final and self._header == "match"):
            return False
        try:
            line, end = self._lines.next_line(self._buffer, 0, final=final)
        except Incomplete:
            return False
        utf8(line)
        if self._header == "match":
            try:
                self._match_header(line)
            except BoughError as error:
                raise self._placed(error, value=line) from None
        self._header = False
        self._buffer = self._buffer[end:]
        return True

    def _match_header(self, line: bytes) -> None:
        fields = self._fields.fields(line)
        if len(fields) != len(self._columns):
            raise BoughError(
                "22P04",
                f"wrong number of fields in header line: got {len(fields)}, expected {len(self._columns)}",
            )
        for number, (field, column) in enumerate(zip(fields, self._columns, strict=True), 1):
            name = None if field is None else utf8(field)
            if name != column.name:
                got = f'null value ("{self._options.null}")' if name is None else f'"{name}"'
                raise BoughError(
                    "22P04",
                    f'column name mismatch in header line field {number}: got {got}, expected "{column.name}"',
                )

    def _slowly(self, final: bool) -> pa.RecordBatch | None:
        """Some rows by the reference; None when no whole row is left."""
        lists: list[list[Any]] = [[] for _ in self._columns]
        decoders: list[Callable[[bytes], Any]] = [column.from_text for column in self._columns]
        at = rows = 0
        try:
            while at < len(self._buffer) and rows < _ROWS and not self._lines.ended:
                try:
                    line, at = self._lines.next_line(self._buffer, at, final=final)
                except Incomplete:
                    break
                if self._lines.ended and not line:
                    break
                self._row(line, lists, decoders)
                rows += 1
        except (pa.ArrowInvalid, OverflowError) as error:
            raise BoughError("22P02", str(error)) from None
        self._buffer = b"" if self._lines.ended else self._buffer[at:]
        if not rows:
            return None
        arrays = [column.array(values) for column, values in zip(self._columns, lists, strict=True)]
        return self._batch(arrays)

    def _row(self, line: bytes, lists: list[list[Any]], decoders: list[Callable[[bytes], Any]]) -> None:
        try:
            utf8(line)
        except ValueFormatError as error:
            raise self._placed(error) from None
        try:
            fields = self._fields.fields(line)
            if len(fields) > len(self._columns) and (self._columns or line):
                raise BoughError("22P04", "extra data after last expected column")
        except (BoughError, ValueFormatError) as error:
            raise self._placed(error, value=line) from None
        for number, column in enumerate(self._columns):
            if number >= len(fields):
                missing = BoughError("22P04", f'missing data for column "{column.name}"')
                raise self._placed(missing, value=line)
            field = self._forced(number, fields[number])
            if field is None:
                lists[number].append(None)
                continue
            try:
                lists[number].append(decoders[number](field))
            except (ValueFormatError, pa.ArrowInvalid) as error:
                found = (
                    error if isinstance(error, ValueFormatError) else ValueFormatError("22P02", str(error))
                )
                raise self._placed(found, column.name, field) from None

    def _forced(self, number: int, field: Field) -> Field:
        null = self._options.null.encode()
        if field is None:
            return null if number in self._force_not_null else None
        return None if number in self._force_null and field == null else field

    # -- errors ---------------------------------------------------------------------------------------------------

    def _place(self, row: int, column: str | None) -> str:
        where = f"COPY {self._table}, line {row + 1}"
        return where if column is None else f"{where}, column {column}"

    def _placed(
        self, error: BoughError | ValueFormatError, column: str | None = None, value: bytes | None = None
    ) -> BoughError:
        """The error, with its CONTEXT."""
        found = (
            error
            if isinstance(error, BoughError)
            else BoughError(error.sqlstate, error.message, detail=error.detail, hint=error.hint)
        )
        if found.context is None:
            where = self.context + (f", column {column}" if column is not None else "")
            found.context = where if value is None else f'{where}: "{_shortened(value)}"'
        return found


def _shortened(value: bytes) -> str:
    text = value.decode(errors="replace")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
