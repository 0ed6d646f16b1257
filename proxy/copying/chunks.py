"""Whole rows of text or CSV read by Arrow's parser, where that gives exactly what the reference gives.

``ChunkParser.parse`` answers None wherever it cannot be sure: the caller then asks the reference, which also finds the
first error and its place. So nothing here has to report anything.

Rules:

1. What Arrow's parser reads differently is looked for beforehand: stray quotes, escaped line ends, other line ends,
   end markers, NULs.
2. Arrow's conversions accept less than Postgres' input functions, but for a few spellings (hexadecimal integers, hours
   without minutes, numbers too small for a float), which are looked for. A column it refuses is read as text and
   converted by the codecs, value by value, from then on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from proxy.types import ValueFormatError

from .columns import CopyColumn
from .lines import unescape
from .options import CopyOptions

_LF, _CR = b"\n", b"\r"
_TRUE = ("t", "true", "y", "yes", "on", "1")
_FALSE = ("f", "false", "n", "no", "off", "0")
_EXACT = Context(prec=40)
_BLOCK = 1024 * 1024
_FIRST_DAY = -719_162  # 0001-01-01: Postgres has no year 0
# Lengths of timestamps whose every reading is the same here and there: Arrow would take an hour without minutes.
_NAIVE = (10, 16, 19, *range(21, 27))
_EMPTY = re.compile(rb"\n\r?\n")
_LONG_ZERO = b"0" * 30  # a float that has become 0 was written with an exponent, or with many of these
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32())


class Unsure(Exception):
    """The reference must decide."""


def cut(data: bytes, options: CopyOptions) -> int | None:
    """Where the last whole row of ``data`` (which begins with a row) ends; None if the reference must say."""
    if options.format == "text":
        at = len(data)
        while (at := data.rfind(_LF, 0, at)) >= 0:
            head = data[max(0, at - 1000) : at]
            slashes = len(head) - len(head.rstrip(b"\\"))
            if slashes == len(head) and slashes:
                return None
            if slashes % 2 == 0:
                return at + 1
        return 0
    quote = options.quote.encode()
    if quote not in data:
        return data.rfind(_LF) + 1
    if options.escape != options.quote:
        return None
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == quote[0])
    at = len(data)
    while (at := data.rfind(_LF, 0, at)) >= 0:
        before = int(np.searchsorted(quotes, at))
        if before % 2 == 0:
            return at + 1
        at = int(quotes[before - 1])  # the quote that opened around it
    return 0


class ChunkParser:
    """Reads chunks of whole rows. ``eol`` is what the first line ended with."""

    def __init__(self, columns: Sequence[CopyColumn], options: CopyOptions) -> None:
        self._columns = columns
        self._options = options
        self._names = [str(number) for number in range(len(columns))]
        self._as_text = [not _direct(column) for column in columns]
        self._unable = bool(options.force_null or options.force_not_null)
        self._delimiter = options.delimiter.encode()
        self._quote = options.quote.encode()

    def parse(self, data: bytes, eol: bytes) -> list[pa.Array] | None:
        """The columns of ``data``, or None where the reference must read it."""
        if self._unable:
            return None
        try:
            self._check(data, eol)
            try:
                return self._read(data, self._text_columns(data))
            except pa.ArrowInvalid:
                found = self._read(data, [True] * len(self._columns))
                self._as_text = [True] * len(self._columns)
                return found
        except (Unsure, pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueFormatError):
            return None

    def _check(self, data: bytes, eol: bytes) -> None:
        # Looking for one byte is many times cheaper than for two.
        if b"\0" in data or eol == _CR or (eol == _LF and _CR in data):
            raise Unsure
        if eol == b"\r\n" and not data.count(_CR) == data.count(b"\r\n") == data.count(_LF):
            raise Unsure
        if self._options.format == "text":
            if data.endswith(b"\\"):
                raise Unsure
            if b"\\" in data and any(
                b"\\" + follower in data for follower in (b".", _LF, _CR, self._delimiter)
            ):
                raise Unsure
        else:
            if b"\\" in data and (data.startswith(b"\\.") or b"\n\\." in data):
                raise Unsure
            if self._quote in data:
                self._check_quotes(data)

    def _check_quotes(self, data: bytes) -> None:
        """Quotes open only at the beginning of a field and close only at its end, or are doubled."""
        if self._options.escape != self._options.quote:
            raise Unsure
        content = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(content == self._quote[0])
        if len(quotes) % 2:
            raise Unsure
        opening, closing = quotes[0::2], quotes[1::2]
        before = content[opening[opening > 0] - 1]
        after = content[closing[closing < len(content) - 1] + 1]
        delimiter, quote = self._delimiter[0], self._quote[0]
        if not (
            np.isin(before, (delimiter, 10, quote)).all() and np.isin(after, (delimiter, 10, 13, quote)).all()
        ):
            raise Unsure

    def _text_columns(self, data: bytes) -> list[bool]:
        """Which columns are read as text: those that must, and integers where one may be hexadecimal."""
        hexadecimal = (b"x" in data and b"0x" in data) or (b"X" in data and b"0X" in data)
        return [
            as_text or (hexadecimal and column.arrow in _INTEGERS)
            for as_text, column in zip(self._as_text, self._columns, strict=True)
        ]

    def _read(self, data: bytes, as_text: Sequence[bool]) -> list[pa.Array]:
        text = self._options.format == "text"
        quoted = not text and self._quote in data
        types = {
            name: pa.string() if plain else column.arrow
            for name, plain, column in zip(self._names, as_text, self._columns, strict=True)
        }
        table = arrow_csv.read_csv(
            pa.py_buffer(data),
            arrow_csv.ReadOptions(column_names=self._names, block_size=_BLOCK),
            arrow_csv.ParseOptions(
                delimiter=self._options.delimiter,
                quote_char=self._options.quote if quoted else False,
                double_quote=True,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            arrow_csv.ConvertOptions(
                column_types=types,
                null_values=[self._options.null],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=[form for word in _TRUE for form in (word, word.upper(), word.capitalize())],
                false_values=[form for word in _FALSE for form in (word, word.upper(), word.capitalize())],
            ),
        )
        if any(_has_zero(values) for values in table.columns if pa.types.is_floating(values.type)) and (
            b"e-" in data or b"E-" in data or _LONG_ZERO in data
        ):
            raise pa.ArrowInvalid("a number may be too small: its text must be looked at")
        if (
            len(table.columns) > 1
            and _may_have_empty_line(table)
            and (data[:1] in b"\r\n" or _EMPTY.search(data))
        ):
            raise Unsure  # it is a row of too few fields
        escaped = text and b"\\" in data
        return [
            self._finish(
                column, values.combine_chunks() if values.num_chunks != 1 else values.chunk(0), plain, escaped
            )
            for column, values, plain in zip(self._columns, table.columns, as_text, strict=True)
        ]

    def _finish(self, column: CopyColumn, values: pa.Array, plain: bool, escaped: bool) -> pa.Array:
        """A parsed column as it is carried."""
        if not plain:
            if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
                raise pa.ArrowInvalid("an infinity, or a number too large: its text must be looked at")
            if pa.types.is_date32(values.type):
                _check_days(values)
            elif pa.types.is_decimal(values.type) and _overflows(values):
                raise Unsure
        if not plain and not column.as_text:
            return values
        if escaped:
            values = _unescaped(values)
        if column.as_text:
            return values
        quick = _vectorised(column, values)
        if quick is not None:
            return quick
        decode = column.from_text
        return column.array([None if item is None else decode(item.encode()) for item in values.to_pylist()])


def _may_have_empty_line(table: pa.Table) -> bool:
    """Whether a row may have been an empty line: Arrow makes it one of NULLs and empty texts."""
    return all(values.null_count or pa.types.is_string(values.type) for values in table.columns)


def _has_zero(values: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.equal(values, 0.0)).as_py())


def _direct(column: CopyColumn) -> bool:
    """Whether Arrow's parser may convert the column itself."""
    return column.as_text or (
        not column.cast and column.base not in ("VARCHAR", "BLOB") and not _stamped(column)
    )


def _stamped(column: CopyColumn) -> bool:
    return bool(pa.types.is_timestamp(column.arrow))


def _overflows(values: pa.Array) -> bool:
    """Arrow keeps to a decimal's scale, not to its width."""
    kind = values.type
    largest = pa.scalar(Decimal("9" * kind.precision).scaleb(-kind.scale, context=_EXACT), kind)
    return bool(pc.any(pc.greater(pc.abs(values), largest)).as_py())


def _check_days(values: pa.Array) -> None:
    first = pc.min(values.cast(pa.int32())).as_py()
    if first is not None and first < _FIRST_DAY:
        raise Unsure


def _unescaped(values: pa.Array) -> pa.Array:
    """Text without its backslashes."""
    if not pc.any(pc.match_substring(values, "\\")).as_py():
        return values
    plain = [
        item if item is None or "\\" not in item else _decoded(unescape(item.encode()))
        for item in values.to_pylist()
    ]
    return pa.array(plain, pa.string())


def _decoded(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Unsure from None
    if "\0" in text:
        raise Unsure
    return text


def _vectorised(column: CopyColumn, values: pa.Array) -> pa.Array | None:
    """A column of text converted as a whole; None where its values must be looked at one by one."""
    try:
        if _stamped(column):
            lengths = pc.binary_length(values)
            zoned = column.info.name == "timestamptz"
            usual = (
                pc.greater_equal(lengths, 20) if zoned else pc.is_in(lengths, pa.array(_NAIVE, pa.int32()))
            )
            if pc.all(usual).as_py() is False:
                return None
            stamps = pc.cast(values, column.arrow)
            low = pc.min(stamps.cast(pa.int64())).as_py()
            return None if low is not None and low < _FIRST_DAY * 86_400_000_000 else stamps
        if column.base == "DECIMAL":
            numbers = pc.cast(values, column.arrow)
            return None if _overflows(numbers) else numbers
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return None
