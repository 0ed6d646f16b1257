"""Rows to COPY TO messages: the reference, and the path for results too small for the engine's own encoder.

One row is one CopyData message, as Postgres sends them; the binary signature is part of the first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from proxy.types import TypeInfo
from proxy.types.rows import encoders

from .binary import HEADER, TRAILER
from .options import CopyOptions

_SIZE = struct.Struct("!i").pack
_COUNT = struct.Struct("!h").pack
_NULL = b"\xff\xff\xff\xff"
_CONTROL = {8: b"\\b", 12: b"\\f", 10: b"\\n", 13: b"\\r", 9: b"\\t", 11: b"\\v"}


def message(body: bytes) -> bytes:
    """A CopyData message."""
    return b"d" + _SIZE(len(body) + 4) + body


class CopyWriter:
    """``head`` comes first, then ``rows`` (through ``begin``) as often as there are any, then ``tail``."""

    def __init__(self, columns: Sequence[tuple[str, TypeInfo]], options: CopyOptions) -> None:
        self._options = options
        self._names = [name for name, _ in columns]
        self._encoders = encoders([info for _, info in columns], [options.code] * len(columns))
        self._delimiter = options.delimiter.encode()
        self._null = options.null.encode()
        self._began = False
        special = rb"[\x08-\x0d\\" + re.escape(self._delimiter) + rb"]"
        self._special = re.compile(special)
        self._escape = _escapes(self._delimiter)
        force = options.force_quote
        self._forced = [bool(force) and ("*" in force or name in force) for name in self._names]
        self._field = self._quoter() if options.format == "csv" else self._text

    def head(self) -> bytes:
        """The header line, if one is asked for."""
        if not self._options.header or self._options.format == "binary":
            return b""
        return message(self._line([(name.encode(), False) for name in self._names]))

    def begin(self, messages: Any) -> Iterator[Any]:
        """Messages of rows as they go out: the signature is put into the first of all."""
        if self._options.format != "binary" or self._began or not len(messages):
            yield messages
            return
        self._began = True
        size: int = struct.unpack_from("!i", messages, 1)[0]
        yield b"d" + _SIZE(size + len(HEADER)) + HEADER
        yield memoryview(messages)[5:]

    def tail(self) -> bytes:
        """The end of the data."""
        if self._options.format != "binary":
            return b""
        return message(TRAILER) if self._began else message(HEADER + TRAILER)

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        """Rows of values as messages."""
        if self._options.format == "binary":
            return b"".join(map(self._binary, rows))
        return b"".join(map(self._text_row, rows))

    def _binary(self, row: Sequence[Any]) -> bytes:
        parts = [_COUNT(len(row))]
        for encode, value in zip(self._encoders, row, strict=True):
            if value is None:
                parts.append(_NULL)
            else:
                data = encode(value)
                parts += (_SIZE(len(data)), data)
        return message(b"".join(parts))

    def _text_row(self, row: Sequence[Any]) -> bytes:
        fields = [
            (None if value is None else encode(value), force)
            for encode, value, force in zip(self._encoders, row, self._forced, strict=True)
        ]
        return message(self._line(fields))

    def _line(self, fields: Sequence[tuple[bytes | None, bool]]) -> bytes:
        shown = [self._null if data is None else self._field(data, force) for data, force in fields]
        return self._delimiter.join(shown) + b"\n"

    def _text(self, data: bytes, force: bool) -> bytes:
        return self._special.sub(self._escape, data)

    def _quoter(self) -> Callable[[bytes, bool], bytes]:
        quote, escape = self._options.quote.encode(), self._options.escape.encode()
        special = re.compile(rb"[\r\n" + re.escape(self._delimiter + quote) + rb"]")
        inside = re.compile(rb"[" + re.escape(quote + escape) + rb"]")
        alone = len(self._names) == 1

        def field(data: bytes, force: bool) -> bytes:
            if not (force or data == self._null or (alone and data == b"\\.") or special.search(data)):
                return data
            return quote + inside.sub(lambda found: escape + found[0], data) + quote

        return field


def _escapes(delimiter: bytes) -> Callable[[re.Match[bytes]], bytes]:
    def escape(found: re.Match[bytes]) -> bytes:
        return _CONTROL.get(found[0][0], b"\\" + found[0])

    return escape
