"""float4 and float8, in the shortest text that reads back as the same number.

Postgres writes an exponent from 1e+15 (float8) or 1e+06 (float4) on, and below 1e-04.
"""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Any

from .codec import Codec
from .errors import OUT_OF_RANGE, ValueFormatError, invalid_text, sized, utf8

_FLOAT4 = struct.Struct("!f")
_FLOAT8 = struct.Struct("!d")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z", re.ASCII)
_SPECIAL = re.compile(r"\s*([+-]?)(nan|inf|infinity)\s*\Z", re.IGNORECASE)


def _spell(shortest: str, limit: int) -> bytes:
    """Digits in Python's shortest spelling, as Postgres writes them."""
    sign, digits, exponent = Decimal(shortest).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent  # where the decimal point stands, counted from the first digit
    minus = "-" if sign else ""
    if text == "0":
        return (minus + "0").encode()
    if -4 <= point - 1 < limit:
        if point <= 0:
            text = "0." + "0" * -point + text
        elif len(text) > point:
            text = f"{text[:point]}.{text[point:]}"
        else:
            text += "0" * (point - len(text))
    else:
        power = point - 1
        text = (
            text[0]
            + ("." + text[1:] if len(text) > 1 else "")
            + f"e{'-' if power < 0 else '+'}{abs(power):02d}"
        )
    return (minus + text).encode()


def _special(value: float) -> bytes:
    return b"NaN" if math.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def float8_text(value: Any) -> bytes:
    if not math.isfinite(value):
        return _special(value)
    shortest = repr(float(value))
    if shortest.endswith(".0") and len(shortest) < 17:
        return shortest[:-2].encode()
    if "e" not in shortest and len(shortest) < 17:
        return shortest.encode()
    return _spell(shortest, 15)


def shortest_float4(value: float) -> str:
    """The fewest digits that read back as the same single-precision number."""
    packed = _FLOAT4.pack(value)
    # Six digits always survive, but numbers too small to be normal may need fewer.
    for digits in range(6 if abs(value) >= 1.17549435e-38 else 1, 9):
        text = f"{value:.{digits}g}"
        try:
            if _FLOAT4.pack(float(text)) == packed:
                return text
        except OverflowError:
            continue
    return f"{value:.9g}"


def float4_text(value: Any) -> bytes:
    return _spell(shortest_float4(value), 6) if math.isfinite(value) else _special(value)


def _reader(name: str, packer: struct.Struct, largest: float) -> tuple[Any, Any]:
    def decode_text(data: bytes) -> float:
        text = utf8(data)
        if found := _SPECIAL.match(text):
            return float(found[1] + found[2])
        if not _NUMBER.match(text):
            raise invalid_text(name, text)
        value = float(text)
        if abs(value) > largest or (value == 0 and re.search("[1-9]", text.lower().partition("e")[0])):
            raise ValueFormatError(OUT_OF_RANGE, f'"{text}" is out of range for type {name}')
        return value

    def decode_binary(data: bytes) -> float:
        value: float = packer.unpack(sized(name, data, packer.size))[0]
        return value

    return decode_text, decode_binary


FLOAT4 = Codec(float4_text, _FLOAT4.pack, *_reader("real", _FLOAT4, 3.4028235677973366e38), "FLOAT")
FLOAT8 = Codec(
    float8_text, _FLOAT8.pack, *_reader("double precision", _FLOAT8, 1.7976931348623157e308), "DOUBLE"
)
