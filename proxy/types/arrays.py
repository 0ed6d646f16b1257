"""Arrays of any type: ``{1,NULL,"a b"}`` as text, a header and counted elements as binary.

Lists of lists are written as multi-dimensional arrays. A ragged one has no binary form in Postgres: 2202E.
Only one dimension is read. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

from __future__ import annotations

import re
import struct
from typing import Any

from .codec import Codec
from .errors import INVALID_BINARY, UNSUPPORTED, ValueFormatError, utf8

_HEAD = struct.Struct("!iiI")
_DIMENSION = struct.Struct("!ii")
_INT32 = struct.Struct("!i")
_QUOTED = re.compile(rb'[\s{},"\\]|^$|^null$', re.IGNORECASE)
_ESCAPED = re.compile(rb'(["\\])')
_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^"\\{},]|\\.)*))\s*([,}])', re.DOTALL | re.ASCII)
_SPACE = " \t\n\r\v\f"  # what Postgres skips; Python would skip more
_BOUNDS = re.compile(r"\s*(\[[+-]?\d+:[+-]?\d+\])+\s*=", re.ASCII)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def array_codec(element: Codec, oid: int, engine_type: str) -> Codec:
    """The codec of arrays whose elements have ``oid``."""

    def item_text(item: Any) -> bytes:
        if item is None:
            return b"NULL"
        if _is_list(item):
            return encode_text(item)
        text = element.encode_text(item)
        return b'"' + _ESCAPED.sub(rb"\\\1", text) + b'"' if _QUOTED.search(text) else text

    def encode_text(value: Any) -> bytes:
        return b"{" + b",".join(map(item_text, value)) + b"}"

    def item_binary(item: Any) -> bytes:
        if item is None:
            return b"\xff\xff\xff\xff"
        data = element.encode_binary(item)
        return _INT32.pack(len(data)) + data

    def encode_binary(value: Any) -> bytes:
        dimensions, items = _flatten(value)
        nulls = any(item is None for item in items)
        head = _HEAD.pack(len(dimensions), nulls, oid)
        return (
            head
            + b"".join(_DIMENSION.pack(size, 1) for size in dimensions)
            + b"".join(map(item_binary, items))
        )

    def decode_text(data: bytes) -> list[Any]:
        text = utf8(data)
        return [None if item is None else element.decode_text(item.encode()) for item in _split(text)]

    def decode_binary(data: bytes) -> list[Any]:
        return [None if item is None else element.decode_binary(item) for item in _unpack(data, oid)]

    return Codec(encode_text, encode_binary, decode_text, decode_binary, engine_type + "[]")


def _flatten(value: Any) -> tuple[list[int], list[Any]]:
    items, dimensions = list(value), [len(value)]
    if not items:
        return [], []
    while items and any(map(_is_list, items)):
        sizes = {len(item) if _is_list(item) else -1 for item in items}
        if len(sizes) != 1:
            raise ValueFormatError(
                "2202E",
                "multidimensional arrays must have sub-arrays with matching dimensions",
                hint="Ask for the column in text format.",
            )
        dimensions.append(sizes.pop())
        items = [inner for item in items for inner in item]
    return (dimensions, items) if items else ([], [])


def _malformed(text: str, detail: str) -> ValueFormatError:
    return ValueFormatError("22P02", f'malformed array literal: "{text}"', detail=detail)


def _split(text: str) -> list[str | None]:
    bounds = _BOUNDS.match(text)
    body = text[bounds.end() :].strip(_SPACE) if bounds else text.strip(_SPACE)
    if body[:1] != "{":
        raise _malformed(text, 'Array value must start with "{" or dimension information.')
    if re.fullmatch(r"\{\s*\}", body, re.ASCII):
        return []
    items: list[str | None] = []
    at, end = 1, ","
    while end == ",":
        found = _ELEMENT.match(body, at)
        if found is None:
            if re.match(r"\s*\{", body[at:]):
                raise ValueFormatError(
                    UNSUPPORTED, "array parameters of several dimensions are not supported"
                )
            raise _malformed(
                text, "Unexpected end of input." if at >= len(body) else "Unexpected array element."
            )
        quoted, plain, end = found.groups()
        if quoted is not None:
            items.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        else:
            plain = plain.rstrip(_SPACE)
            if not plain:
                raise _malformed(text, f'Unexpected "{end}" character.')
            items.append(None if plain.lower() == "null" else re.sub(r"\\(.)", r"\1", plain, flags=re.DOTALL))
        at = found.end()
    if body[at:]:
        raise _malformed(text, "Junk after closing right brace.")
    return items


def _unpack(data: bytes, oid: int) -> list[bytes | None]:
    if len(data) < _HEAD.size:
        raise ValueFormatError(INVALID_BINARY, f"a binary array has at least 12 bytes, not {len(data)}")
    dimensions, flags, element = _HEAD.unpack_from(data)
    if flags not in (0, 1):
        raise ValueFormatError(INVALID_BINARY, "invalid array flags")
    if element != oid:
        raise ValueFormatError(
            "42804", f"binary data has array element type {element} instead of expected {oid}"
        )
    if dimensions == 0 and len(data) == _HEAD.size:
        return []
    if dimensions > 1:
        raise ValueFormatError(UNSUPPORTED, "array parameters of several dimensions are not supported")
    at = _HEAD.size + _DIMENSION.size
    if dimensions != 1 or len(data) < at:
        raise ValueFormatError(INVALID_BINARY, f"invalid number of dimensions: {dimensions}")
    count, _ = _DIMENSION.unpack_from(data, _HEAD.size)
    if not 0 <= count <= (len(data) - at) // 4:
        raise ValueFormatError(INVALID_BINARY, "insufficient data left in message")
    items: list[bytes | None] = []
    for _ in range(count):
        if len(data) - at < 4:
            raise ValueFormatError(INVALID_BINARY, "insufficient data left in message")
        (size,) = _INT32.unpack_from(data, at)
        at += 4
        if size == -1:
            items.append(None)
            continue
        if not 0 <= size <= len(data) - at:
            raise ValueFormatError(INVALID_BINARY, "insufficient data left in message")
        items.append(data[at : at + size])
        at += size
    if at != len(data):
        raise ValueFormatError(INVALID_BINARY, "improper binary format in array")
    return items
