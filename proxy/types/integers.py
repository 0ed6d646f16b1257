"""bool, int2, int4, int8 and oid."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from .codec import Codec
from .errors import OUT_OF_RANGE, ValueFormatError, invalid_text, sized, utf8

_TRUE = {"t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"}
_FALSE = {"f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"}
_NUMBER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)


def _bool_text(value: Any) -> bytes:
    return b"t" if value else b"f"


def _bool_binary(value: Any) -> bytes:
    return b"\1" if value else b"\0"


def _read_bool_text(data: bytes) -> bool:
    text = utf8(data)
    folded = text.strip().lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise invalid_text("boolean", text)


def _read_bool_binary(data: bytes) -> bool:
    return sized("boolean", data, 1) != b"\0"


def integer_text(value: Any) -> bytes:
    return b"%d" % value


def _integer(name: str, layout: str, low: int, high: int, engine_type: str) -> Codec:
    packer = struct.Struct(layout)

    def encode_binary(value: Any) -> bytes:
        return packer.pack(value)

    def decode_text(data: bytes) -> int:
        text = utf8(data)
        if not _NUMBER.match(text.strip()):
            raise invalid_text(name, text)
        # No integer type has 40 digits; int() takes quadratic time on very long ones.
        value = int(text) if len(text) < 5000 else high + 1
        if not low <= value <= high:
            raise ValueFormatError(OUT_OF_RANGE, f'value "{text}" is out of range for type {name}')
        return value

    def decode_binary(data: bytes) -> int:
        value: int = packer.unpack(sized(name, data, packer.size))[0]
        return value

    return Codec(integer_text, encode_binary, decode_text, decode_binary, engine_type)


BOOL = Codec(_bool_text, _bool_binary, _read_bool_text, _read_bool_binary, "BOOLEAN")
INT2 = _integer("smallint", "!h", -(2**15), 2**15 - 1, "SMALLINT")
INT4 = _integer("integer", "!i", -(2**31), 2**31 - 1, "INTEGER")
INT8 = _integer("bigint", "!q", -(2**63), 2**63 - 1, "BIGINT")
OID = _integer("oid", "!I", 0, 2**32 - 1, "BIGINT")


def _name_or_oid(value: Any) -> bytes:
    """reg* types show the object's name in text and its OID in binary."""
    return value.encode() if isinstance(value, str) else integer_text(value)


REG = replace(OID, encode_text=_name_or_oid)
