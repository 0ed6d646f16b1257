"""OIDs of types, and their values in text and binary format.

``from_engine`` says what Postgres calls an engine type, ``encode_*`` and ``decode_*`` convert single values
(the reference for the engine-side encoder), ``rows`` encodes whole rows. One file per family, joined in
``registry``.
"""

from __future__ import annotations

from typing import Any

from .codec import Codec
from .errors import ValueFormatError
from .info import TypeInfo
from .names import by_oid, engine_type, from_engine, parameter_type, supported
from .registry import BY_NAME, ELEMENT, TYPES, codec_of
from .rows import encode_rows, row_encoder


def encode_text(value: Any, info: TypeInfo) -> bytes:
    """``value`` in text format."""
    return codec_of(info.oid).encode_text(value)


def encode_binary(value: Any, info: TypeInfo) -> bytes:
    """``value`` in binary format."""
    return codec_of(info.oid).encode_binary(value)


def decode_text(data: bytes, oid: int) -> Any:
    """A value sent as text, ready to be a parameter of the engine."""
    return codec_of(oid).decode_text(data)


def decode_binary(data: bytes, oid: int) -> Any:
    """A value sent in binary format, ready to be a parameter of the engine."""
    return codec_of(oid).decode_binary(data)


__all__ = [
    "BY_NAME",
    "ELEMENT",
    "TYPES",
    "Codec",
    "TypeInfo",
    "ValueFormatError",
    "by_oid",
    "codec_of",
    "decode_binary",
    "decode_text",
    "encode_binary",
    "encode_rows",
    "encode_text",
    "engine_type",
    "from_engine",
    "parameter_type",
    "row_encoder",
    "supported",
]
