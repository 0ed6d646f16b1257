"""numeric: decimal digits as text, groups of four digits as binary.

The binary form is a count of groups, the weight of the first, a sign, the number of decimals shown, and the
groups themselves, without zero groups at either end.
https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/numeric.c (numeric_send)
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal
from typing import Any

from .codec import Codec
from .errors import INVALID_BINARY, OUT_OF_RANGE, UNSUPPORTED, ValueFormatError, invalid_text, utf8

_HEAD = struct.Struct("!HhHH")
_NEGATIVE, _NAN, _INFINITE, _MINUS_INFINITE = 0x4000, 0xC000, 0xD000, 0xF000
_SPECIAL = {_NAN: Decimal("NaN"), _INFINITE: Decimal("Infinity"), _MINUS_INFINITE: Decimal("-Infinity")}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?\s*\Z", re.ASCII)
_WORD = re.compile(r"\s*([+-]?)(nan|inf|infinity)\s*\Z", re.IGNORECASE)


def numeric_text(value: Any) -> bytes:
    """``value`` (Decimal, int or float) with all its decimals and no exponent."""
    if isinstance(value, str):  # of more digits than the engine's integers have
        value = Decimal(value)
    if not isinstance(value, Decimal):
        return b"%d" % value if isinstance(value, int) else numeric_text(Decimal(repr(value)))
    if value.is_finite():
        return format(value, "f").encode()
    return b"NaN" if value.is_nan() else b"Infinity" if value > 0 else b"-Infinity"


def numeric_binary(value: Any) -> bytes:
    """``value`` in groups of four digits."""
    if isinstance(value, str):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        value = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if not value.is_finite():
        sign = _NAN if value.is_nan() else _INFINITE if value > 0 else _MINUS_INFINITE
        # 32 decimals of an infinity: a bit of its own header that Postgres 14 and later take for its scale.
        return _HEAD.pack(0, 0, sign, 0 if sign == _NAN else 32)
    whole, _, decimals = format(value.copy_abs(), "f").partition(".")
    scale = len(decimals)
    whole = whole.zfill(-(-len(whole) // 4) * 4)
    digits = whole + decimals.ljust(-(-scale // 4) * 4, "0")
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    weight = len(whole) // 4 - 1
    first = next((at for at, group in enumerate(groups) if group), len(groups))
    groups = groups[first:]
    while groups and not groups[-1]:
        groups.pop()
    if not groups:
        return _HEAD.pack(0, 0, 0, scale)
    sign = _NEGATIVE if value < 0 else 0
    return _HEAD.pack(len(groups), weight - first, sign, scale) + struct.pack(f"!{len(groups)}H", *groups)


def _read_text(data: bytes) -> Decimal:
    text = utf8(data)
    if found := _WORD.match(text):
        return Decimal(found[1] + found[2])
    if not _NUMBER.match(text):
        raise invalid_text("numeric", text)
    value = Decimal(text.strip())
    exponent = value.as_tuple().exponent
    if value.adjusted() > 131071 or not isinstance(exponent, int) or exponent < -16383:
        raise ValueFormatError(OUT_OF_RANGE, "value overflows numeric format")
    return value


def _malformed(message: str) -> ValueFormatError:
    return ValueFormatError(INVALID_BINARY, message)


def _read_binary(data: bytes) -> Decimal:
    if len(data) < _HEAD.size:
        raise _malformed(f"a binary numeric has at least 8 bytes, not {len(data)}")
    count, weight, sign, scale = _HEAD.unpack_from(data)
    if len(data) != _HEAD.size + 2 * count:
        raise _malformed(f"a binary numeric of {count} digits has {8 + 2 * count} bytes, not {len(data)}")
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign not in (0, _NEGATIVE):
        raise _malformed('invalid sign in external "numeric" value')
    if scale > 0x3FFF:
        raise _malformed('invalid scale in external "numeric" value')
    groups = struct.unpack_from(f"!{count}H", data, _HEAD.size)
    if any(group > 9999 for group in groups):
        raise _malformed('invalid digit in external "numeric" value')
    # Digits are put together as text: arithmetic would round to the context's precision.
    digits = "".join(f"{group:04d}" for group in groups)
    whole_size = (weight + 1) * 4
    if whole_size <= 0:
        whole, decimals = "0", "0" * -whole_size + digits
    else:
        digits = digits.ljust(whole_size, "0")
        whole, decimals = digits[:whole_size], digits[whole_size:]
    decimals = decimals.ljust(scale, "0")[:scale]
    return Decimal(f"{'-' if sign else ''}{whole.lstrip('0') or '0'}{'.' + decimals if decimals else ''}")


def decimal_type(value: Decimal) -> str:
    """The engine's type that holds ``value`` exactly; DOUBLE for NaN and the infinities."""
    if not value.is_finite():
        return "DOUBLE"
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    width = max(1, len(digits) + max(0, exponent), scale)
    if width > 38:
        raise ValueFormatError(
            UNSUPPORTED,
            f"a numeric of {width} digits is more than the engine holds",
            detail="At most 38 digits, decimals included.",
        )
    return f"DECIMAL({width},{scale})"


NUMERIC = Codec(numeric_text, numeric_binary, _read_text, _read_binary, "DECIMAL(38,10)")
