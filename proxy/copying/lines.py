"""Rows of text and CSV, cut exactly as Postgres cuts them: line ends, quotes, escapes, and the end marker ``\\.``.

This is the reference. ``chunks`` reads most data many times faster, and only where it can tell that both agree.

Rules:

1. The first line's end decides what ends a line: LF, CR LF or CR. Another one outside quotes is an error.
2. In text a backslash takes the character behind it along, a line end too. In CSV a quote opens and closes wherever
   it stands in a field.
3. A row that is not complete yet is not touched: ``next_line`` says so and is asked again with more data.

https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/commands/copyfromparse.c
"""

from __future__ import annotations

import re
from typing import Final

from branching.errors import BoughError
from proxy.types.errors import utf8

from .options import CopyOptions

Field = bytes | None
_BAD = "22P04"
_SIMPLE = {ord(c): v for c, v in zip("bfnrtv", b"\b\f\n\r\t\v", strict=True)}
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)


class Incomplete(Exception):
    """More data is needed to see the end of the row."""


class LineReader:
    """Cuts rows out of data. ``line`` counts lines for messages; ``ended`` once the end marker was seen."""

    def __init__(self, options: CopyOptions) -> None:
        self.csv: Final = options.format == "csv"
        self.eol: bytes | None = None
        self.line = 0
        self.ended = False
        self._quote = options.quote.encode()
        # An escape that is the quote itself needs no care here: two quotes close and open again.
        self._escape = options.escape.encode() if options.escape != options.quote else b""
        marks = rb"\r\n" + (re.escape(self._quote + self._escape) if self.csv else rb"\\")
        self._marks = re.compile(rb"[" + marks + rb"]")

    def next_line(self, data: bytes, at: int, *, final: bool) -> tuple[bytes, int]:
        """The row that begins at ``at`` and where the next begins. ``final``: no data will follow.

        The end marker sets ``ended``; what stood before it in its line is still returned, and may be nothing.
        """
        before = (self.line, self.eol)
        self.line += 1
        try:
            return self._csv_line(data, at, final) if self.csv else self._text_line(data, at, final)
        except Incomplete:
            self.line, self.eol = before
            raise

    def _text_line(self, data: bytes, start: int, final: bool) -> tuple[bytes, int]:
        at = start
        while found := self._marks.search(data, at):
            at = found.start()
            if found[0] != b"\\":
                return data[start:at], self._end_of_line(data, at, final)
            if at + 1 >= len(data):
                if not final:
                    raise Incomplete
                return data[start:], len(data)
            if data[at + 1 : at + 2] == b"." and self._is_marker(data, at + 2, final):
                self.ended = True
                return data[start:at], len(data)
            at += 2
        return self._rest(data, start, final)

    def _csv_line(self, data: bytes, start: int, final: bool) -> tuple[bytes, int]:
        if data[start : start + 1] == b"\\":
            if len(data) < start + 2 and not final:
                raise Incomplete
            if data[start + 1 : start + 2] == b"." and self._is_marker(data, start + 2, final):
                self.ended = True
                return b"", len(data)
        at, quoted, escaped = start, False, False
        inner = b"\n" if self.eol == b"\n" else b"\r"  # as Postgres counts, also before it knows
        while found := self._marks.search(data, at):
            if found.start() > at:
                escaped = False  # only an escape right before a quote counts
            at, mark = found.start(), found[0]
            if mark in b"\r\n":
                if not quoted:
                    return data[start:at], self._end_of_line(data, at, final)
                if mark == inner:
                    self.line += 1
                escaped = False
            else:
                if quoted and mark == self._escape:
                    escaped = not escaped
                if mark == self._quote:
                    if not escaped:
                        quoted = not quoted
                    escaped = False
                elif not quoted:
                    escaped = False
            at += 1
        return self._rest(data, start, final)

    def _rest(self, data: bytes, start: int, final: bool) -> tuple[bytes, int]:
        """Data without a line end: the last row, if no more is to come."""
        if not final:
            raise Incomplete
        return data[start:], len(data)

    def _end_of_line(self, data: bytes, at: int, final: bool) -> int:
        what = "unquoted" if self.csv else "literal"
        if data[at : at + 1] == b"\n":
            if self.eol in (b"\r", b"\r\n"):
                raise _mixed(f"{what} newline found in data", "newline", "\\n", self.csv)
            self.eol = b"\n"
            return at + 1
        if self.eol in (None, b"\r\n"):
            if at + 1 >= len(data) and not final:
                raise Incomplete
            if data[at + 1 : at + 2] == b"\n":
                self.eol = b"\r\n"
                return at + 2
            if self.eol == b"\r\n":
                raise _mixed(f"{what} carriage return found in data", "carriage return", "\\r", self.csv)
            self.eol = b"\r"
        elif self.eol == b"\n":
            raise _mixed(f"{what} carriage return found in data", "carriage return", "\\r", self.csv)
        return at + 1

    def _is_marker(self, data: bytes, at: int, final: bool) -> bool:
        """Whether the ``\\.`` that ends at ``at`` is the end marker; 22P04 where text has it elsewhere."""
        if len(data) < at + 2 and not final:
            raise Incomplete
        following = data[at : at + 1]
        if self.eol == b"\r\n":
            if following == b"\n":
                if self.csv:
                    return False
                raise BoughError(_BAD, "end-of-copy marker does not match previous newline style")
            if following != b"\r":
                return self._corrupt()
            following = data[at + 1 : at + 2]
        if following not in (b"\r", b"\n"):
            return self._corrupt()
        if self.eol is not None and following != self.eol[-1:]:
            raise BoughError(_BAD, "end-of-copy marker does not match previous newline style")
        return True

    def _corrupt(self) -> bool:
        if self.csv:
            return False
        raise BoughError(_BAD, "end-of-copy marker corrupt")


def _mixed(message: str, what: str, shown: str, csv: bool) -> BoughError:
    hint = f"Use quoted CSV field to represent {what}." if csv else f'Use "{shown}" to represent {what}.'
    return BoughError(_BAD, message, hint=hint)


def unescape(value: bytes) -> bytes:
    """A field of text without its backslashes."""
    return _ESCAPE.sub(_escaped, value)


def _escaped(found: re.Match[bytes]) -> bytes:
    octal, digits, other = found.groups()
    if octal is not None:
        return bytes([int(octal, 8) & 255])
    if digits is not None:
        return bytes([int(digits, 16)])
    code = _SIMPLE.get(other[0])
    return other if code is None else bytes([code])


def _checked(value: bytes) -> bytes:
    """As ``unescape``; an escape may have made bytes that are no text."""
    plain = unescape(value)
    if not plain.isascii() or 0 in plain:
        utf8(plain)
    return plain


class FieldReader:
    """Cuts a row into fields; None is NULL."""

    def __init__(self, options: CopyOptions) -> None:
        self._csv = options.format == "csv"
        self._null = options.null.encode()
        self._delimiter = options.delimiter.encode()
        self._quote = options.quote.encode()
        self._escape = options.escape.encode()
        self._escaped_field = re.compile(
            rb"((?:[^\\" + re.escape(self._delimiter) + rb"]|\\.)*)(\Z|.)", re.DOTALL
        )

    def fields(self, line: bytes) -> list[Field]:
        """The fields of a row."""
        if self._csv:
            if self._quote in line:
                return self._quoted(line)
            plain = line.split(self._delimiter)
            return [None if item == self._null else item for item in plain]
        if b"\\" not in line:
            return [None if item == self._null else item for item in line.split(self._delimiter)]
        if (len(line) - len(line.rstrip(b"\\"))) % 2:
            line = line[:-1]  # nothing follows the last one
        raw = self._escaped_fields(line)
        return [None if item == self._null else _checked(item) if b"\\" in item else item for item in raw]

    def _escaped_fields(self, line: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = 0
        while match := self._escaped_field.match(line, at):
            found.append(match[1])
            at = match.end()
            if not match[2]:
                break
        return found

    def _quoted(self, line: bytes) -> list[Field]:
        fields: list[Field] = []
        value, saw_quote, start, at = bytearray(), False, 0, 0
        delimiter, quote, escape = self._delimiter[0], self._quote[0], self._escape[0]
        while True:
            if at >= len(line) or line[at] == delimiter:
                fields.append(None if not saw_quote and line[start:at] == self._null else bytes(value))
                if at >= len(line):
                    return fields
                at += 1
                value, saw_quote, start = bytearray(), False, at
                continue
            if line[at] != quote:
                value.append(line[at])
                at += 1
                continue
            saw_quote = True
            at += 1
            while True:
                if at >= len(line):
                    raise BoughError(_BAD, "unterminated CSV quoted field")
                char = line[at]
                if char == escape and at + 1 < len(line) and line[at + 1] in (escape, quote):
                    value.append(line[at + 1])
                    at += 2
                    continue
                at += 1
                if char == quote:
                    break
                value.append(char)
