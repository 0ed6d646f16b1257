"""The few shapes every message body is made of: integers, NUL-terminated strings, counted bytes.

``Reader`` walks over one complete body and never past its end: a short body, left-over bytes, a negative
count or a string that is not UTF-8 raise ``RemoteProtocolError`` that is not fatal, because the frame itself
was whole. Nothing is allocated from a count that the body could not hold.
https://www.postgresql.org/docs/current/protocol-message-types.html
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .errors import LocalProtocolError, RemoteProtocolError

INT16 = struct.Struct("!h")
INT32 = struct.Struct("!i")
UINT32 = struct.Struct("!I")

Value = bytes | None


def malformed(what: str) -> RemoteProtocolError:
    """A body that does not have the shape its message type asks for."""
    return RemoteProtocolError("invalid message format", detail=what, fatal=False)


def decode_text(raw: bytes) -> str:
    """UTF-8 bytes as text; 22021 in Postgres' words for anything else."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        bad = " ".join(f"0x{byte:02x}" for byte in raw[error.start : error.start + 4])
        raise RemoteProtocolError(
            f'invalid byte sequence for encoding "UTF8": {bad}', sqlstate="22021", fatal=False
        ) from None


class Reader:
    """A cursor over one message body."""

    __slots__ = ("_at", "_body", "_end")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._end = len(body)

    def _advance(self, size: int) -> int:
        at = self._at
        if size < 0 or size > self._end - at:
            raise malformed(f"{size} bytes expected, {self._end - at} left in the message")
        self._at = at + size
        return at

    def byte(self) -> bytes:
        at = self._advance(1)
        return self._body[at : at + 1]

    def int16(self) -> int:
        value: int = INT16.unpack_from(self._body, self._advance(2))[0]
        return value

    def int32(self) -> int:
        value: int = INT32.unpack_from(self._body, self._advance(4))[0]
        return value

    def uint32(self) -> int:
        value: int = UINT32.unpack_from(self._body, self._advance(4))[0]
        return value

    def raw(self, size: int) -> bytes:
        at = self._advance(size)
        return self._body[at : at + size]

    def rest(self) -> bytes:
        return self.raw(self._end - self._at)

    def string(self) -> str:
        stop = self._body.find(0, self._at)
        if stop < 0:
            raise malformed("a string without its terminating NUL")
        raw = self._body[self._at : stop]
        self._at = stop + 1
        return decode_text(raw)

    def value(self) -> Value:
        """Counted bytes; a count of -1 is NULL."""
        size = self.int32()
        return None if size == -1 else self.raw(size)

    def count(self, width: int) -> int:
        """A number of items of at least ``width`` bytes each, checked against what is left."""
        number = self.int16() & 0xFFFF
        if number * width > self._end - self._at:
            raise malformed(f"{number} items announced, {self._end - self._at} bytes left in the message")
        return number

    def int16s(self) -> tuple[int, ...]:
        return tuple(self.int16() for _ in range(self.count(2)))

    def uint32s(self) -> tuple[int, ...]:
        return tuple(self.uint32() for _ in range(self.count(4)))

    def values(self) -> tuple[Value, ...]:
        return tuple(self.value() for _ in range(self.count(4)))

    @property
    def left(self) -> int:
        return self._end - self._at

    def end(self) -> None:
        """Every body must be used up: what is left would be read by nobody and mean something to someone."""
        if self._at != self._end:
            raise malformed(f"{self._end - self._at} bytes too many in the message")


def string(text: str) -> bytes:
    """``text`` as a NUL-terminated string."""
    if "\0" in text:
        raise LocalProtocolError("a NUL inside a string field")
    try:
        return text.encode() + b"\0"
    except UnicodeEncodeError:
        raise LocalProtocolError("a string field that is not UTF-8") from None


def count(number: int) -> bytes:
    """The 16-bit number of items that follow."""
    if number > 0xFFFF:
        raise LocalProtocolError(f"{number} items in a list that can hold 65535")
    return number.to_bytes(2, "big")


def value(item: Value) -> bytes:
    """Counted bytes; None is a count of -1."""
    return b"\xff\xff\xff\xff" if item is None else INT32.pack(len(item)) + item


def values(items: Sequence[Value]) -> bytes:
    return count(len(items)) + b"".join(map(value, items))


def int16s(items: Sequence[int]) -> bytes:
    return count(len(items)) + b"".join(map(INT16.pack, items))


def uint32s(items: Sequence[int]) -> bytes:
    return count(len(items)) + b"".join(map(UINT32.pack, items))


def frame(code: bytes, body: bytes) -> bytes:
    """A message: its type byte, its length (which counts itself) and its body."""
    return code + UINT32.pack(len(body) + 4) + body
