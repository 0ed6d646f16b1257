"""COPY's binary format: a signature, rows of counted fields, and a trailer.

https://www.postgresql.org/docs/15/sql-copy.html (File Formats)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from branching.errors import BoughError
from proxy.types import ValueFormatError

from .columns import CopyColumn

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + bytes(8)
TRAILER = b"\xff\xff"
_BAD = "22P04"
_INT16 = struct.Struct("!h")
_INT32 = struct.Struct("!i")
_HEAD = struct.Struct("!II")
_CRITICAL, _OIDS = 0xFFFF0000, 1 << 16
_LAYOUTS = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float4": ">f4", "float8": ">f8"}
Row = list[bytes | None]
Place = Callable[[int, str | None], str]  # where an error is, from a row (from 0) and a column


class BinaryReader:
    """Cuts rows out of what has come so far, and decodes them by column."""

    def __init__(self, columns: Sequence[CopyColumn], place: Place) -> None:
        self._columns = columns
        self._place = place
        self._begun = self.ended = False
        self.rows = 0  # rows cut so far

    def read(self, data: bytes, *, final: bool) -> tuple[list[pa.Array] | None, int]:
        """The whole rows at the beginning of ``data`` by column, and how many bytes they take."""
        at = 0
        if not self._begun:
            at = self._header(data, final)
            if not self._begun:
                return None, 0
        first = self.rows
        rows, at = self._cut(data, at, final)
        if final and not self.ended and at < len(data):
            raise self._error(first + len(rows), "unexpected EOF in COPY data")
        if not rows:
            return None, at
        self.rows = first + len(rows)
        return self._decode(rows, first), at

    def _error(self, row: int, message: str, sqlstate: str = _BAD, column: str | None = None) -> BoughError:
        error = BoughError(sqlstate, message)
        error.context = self._place(row, column)
        return error

    def _header(self, data: bytes, final: bool) -> int:
        if len(data) < len(HEADER):
            if final or not SIGNATURE.startswith(data[: len(SIGNATURE)]):
                raise BoughError(_BAD, "COPY file signature not recognized")
            return 0
        if not data.startswith(SIGNATURE):
            raise BoughError(_BAD, "COPY file signature not recognized")
        flags, extension = _HEAD.unpack_from(data, len(SIGNATURE))
        if flags & _OIDS:
            raise BoughError(_BAD, "invalid COPY file header (WITH OIDS)")
        if flags & _CRITICAL:
            raise BoughError(_BAD, "unrecognized critical flags in COPY file header")
        size: int = len(HEADER) + extension
        if len(data) < size:
            if final:
                raise BoughError(_BAD, "invalid COPY file header (wrong length)")
            return 0
        self._begun = True
        return size

    def _cut(self, data: bytes, at: int, final: bool) -> tuple[list[Row], int]:
        rows: list[Row] = []
        size, width = len(data), len(self._columns)
        int16, int32 = _INT16.unpack_from, _INT32.unpack_from
        while at + 2 <= size and not self.ended:
            here = at
            (count,) = int16(data, at)
            at += 2
            if count != width:
                if count == -1:
                    self.ended = True
                    if at < size:
                        raise self._error(self.rows + len(rows), "received copy data after EOF marker")
                    break
                raise self._error(self.rows + len(rows), f"row field count is {count}, expected {width}")
            row: Row = []
            for _ in range(width):
                if at + 4 > size:
                    return rows, here
                (length,) = int32(data, at)
                at += 4
                if length < 0:
                    if length != -1:
                        raise self._error(self.rows + len(rows), "invalid field size")
                    row.append(None)
                    continue
                if at + length > size:
                    return rows, here
                row.append(data[at : at + length])
                at += length
            rows.append(row)
        return rows, at

    def _decode(self, rows: list[Row], first: int) -> list[pa.Array]:
        arrays = []
        try:
            for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
                arrays.append(_array(column, values))
            return arrays or [pa.nulls(len(rows))]
        except (ValueFormatError, pa.ArrowInvalid, OverflowError):
            self._find_error(rows, first)
            raise

    def _find_error(self, rows: list[Row], first: int) -> None:
        """Raises the first error, row by row."""
        for number, row in enumerate(rows):
            for column, value in zip(self._columns, row, strict=True):
                if value is None:
                    continue
                try:
                    column.array([column.from_binary(value)])
                except ValueFormatError as error:
                    found = self._error(first + number, error.message, error.sqlstate, column.name)
                    if error.sqlstate == "22P03":
                        found.message, found.detail = "incorrect binary data format", error.message
                    else:
                        found.detail, found.hint = error.detail, error.hint
                    raise found from None
                except (pa.ArrowInvalid, OverflowError) as error:
                    raise self._error(first + number, str(error), "22P03", column.name) from None


def _array(column: CopyColumn, values: tuple[bytes | None, ...]) -> pa.Array:
    """A column's values; those of fixed width, none of them NULL, all at once."""
    layout = _LAYOUTS.get(column.info.name)
    if layout is not None and not column.cast and column.base != "DECIMAL":
        size = int(layout[-1])
        if all(value is not None and len(value) == size for value in values):
            numbers = np.frombuffer(b"".join(value for value in values if value is not None), layout)
            native = pa.array(numbers.astype(numbers.dtype.newbyteorder("=")))
            return native if native.type == column.arrow else native.cast(column.arrow)
    if column.as_text:
        return _text(values)
    decode: Callable[[bytes], Any] = column.from_binary
    return column.array([None if value is None else decode(value) for value in values])


def _text(values: tuple[bytes | None, ...]) -> pa.Array:
    """Text in one piece: Arrow checks the encoding."""
    for value in values:
        if value is not None and b"\0" in value:
            raise ValueFormatError("22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return pa.array(values, pa.binary()).cast(pa.string())
