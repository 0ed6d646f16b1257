"""Rows as DataRow messages, for results too small to be worth the engine's own encoder.

``row_encoder`` looks every column's encoder up once; the loop then does nothing but call them and count
bytes. A prepared statement keeps its encoder.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .codec import Encoder
from .info import TypeInfo
from .registry import codec_of

RowsEncoder = Callable[[Iterable[Sequence[Any]]], bytes]

_NUMERIC = 1700
_NULL = b"\xff\xff\xff\xff"
_pack_size = struct.Struct("!i").pack
_pack_head = struct.Struct("!ciH").pack
# Most values are shorter than this: their length need not be packed again and again.
_SIZES = tuple(_pack_size(size) for size in range(256))


def encoders(infos: Sequence[TypeInfo], formats: Sequence[int]) -> tuple[Encoder, ...]:
    """One encoder a column; ``formats`` has one code a column."""
    return tuple(
        codec_of(info.oid).encode_binary if format else _text_encoder(info)
        for info, format in zip(infos, formats, strict=True)
    )


def _text_encoder(info: TypeInfo) -> Encoder:
    encode = codec_of(info.oid).encode_text
    if info.oid != _NUMERIC or info.typmod != -1:
        return encode

    def trimmed(value: Any) -> bytes:
        """A numeric without a scale of its own: the engine's fixed scale adds zeros."""
        data = encode(value)
        return data.rstrip(b"0").rstrip(b".") if b"." in data else data

    return trimmed


def row_encoder(infos: Sequence[TypeInfo], formats: Sequence[int]) -> RowsEncoder:
    """A function that turns rows of these columns into DataRow messages."""
    columns = encoders(infos, formats)
    count = len(columns)

    def encode(rows: Iterable[Sequence[Any]]) -> bytes:
        out: list[bytes] = []
        append = out.append
        for row in rows:
            size = 6 + 4 * count
            head = len(out)
            append(b"")
            for encoder, value in zip(columns, row):  # noqa: B905  # strict costs a tenth of the loop
                if value is None:
                    append(_NULL)
                else:
                    data = encoder(value)
                    length = len(data)
                    size += length
                    append(_SIZES[length] if length < 256 else _pack_size(length))
                    append(data)
            out[head] = _pack_head(b"D", size, count)
        return b"".join(out)

    return encode


def encode_rows(rows: Iterable[Sequence[Any]], infos: Sequence[TypeInfo], formats: Sequence[int]) -> bytes:
    """DataRow messages of ``rows``."""
    return row_encoder(infos, formats)(rows)
