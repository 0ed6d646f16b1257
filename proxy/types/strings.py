"""Types whose binary form is their text, and the few that differ by a prefix: bytea, uuid, jsonb, bits."""

from __future__ import annotations

import binascii
import json
import re
import uuid
from typing import Any

from .codec import Codec
from .errors import INVALID_BINARY, ValueFormatError, invalid_text, sized, utf8

_UUID = re.compile(r"\{?([0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}\}?\Z", re.ASCII)
_OCTAL = re.compile(rb"\\(\\|[0-3][0-7]{2})?")


def text_bytes(value: Any) -> bytes:
    return (value if isinstance(value, str) else str(value)).encode()


def _bytea_text(value: Any) -> bytes:
    return b"\\x" + binascii.hexlify(value)


def _read_bytea_text(data: bytes) -> bytes:
    if data[:2] == b"\\x":
        digits = b"".join(data[2:].split())
        try:
            return binascii.unhexlify(digits)
        except binascii.Error:
            pass
        if len(digits) % 2:
            message = "invalid hexadecimal data: odd number of digits"
        else:
            bad = next(digit for digit in utf8(digits) if digit not in "0123456789abcdefABCDEF")
            message = f'invalid hexadecimal digit: "{bad}"'
        raise ValueFormatError("22023", message)

    def octet(found: re.Match[bytes]) -> bytes:
        escape = found[1]
        if escape is None:
            raise ValueFormatError("22P02", "invalid input syntax for type bytea")
        return b"\\" if escape == b"\\" else bytes([int(escape, 8)])

    return _OCTAL.sub(octet, data)


def _uuid_text(value: Any) -> bytes:
    return str(value).encode()


def _uuid_binary(value: Any) -> bytes:
    return (value if isinstance(value, uuid.UUID) else uuid.UUID(value)).bytes


def _read_uuid_text(data: bytes) -> uuid.UUID:
    text = utf8(data)
    if not _UUID.match(text) or (text[0] == "{") != (text[-1] == "}"):
        raise invalid_text("uuid", text)
    return uuid.UUID(text)


def _read_uuid_binary(data: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=sized("uuid", data, 16))


def json_text(value: Any) -> bytes:
    """JSON text as it is; a nested value of the engine as compact JSON."""
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def _jsonb_binary(value: Any) -> bytes:
    return b"\1" + json_text(value)


def _read_json_text(data: bytes) -> str:
    text = utf8(data)
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueFormatError(
            "22P02", "invalid input syntax for type json", detail=f"The value is not JSON: {text[:80]!r}."
        ) from None
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_jsonb_binary(data: bytes) -> str:
    if data[:1] != b"\1":
        number = data[0] if data else 0
        raise ValueFormatError(INVALID_BINARY, f"unsupported jsonb version number {number}")
    return _read_json_text(data[1:])


def _bit_binary(value: Any) -> bytes:
    bits = str(value)
    filled = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return len(bits).to_bytes(4, "big") + (int(filled, 2).to_bytes(len(filled) // 8, "big") if bits else b"")


def _read_bit_text(data: bytes) -> str:
    text = utf8(data)
    if bad := text.strip("01"):
        raise ValueFormatError("22P02", f'"{bad[0]}" is not a valid binary digit')
    return text


def _read_bit_binary(data: bytes) -> str:
    size = int.from_bytes(data[:4], "big")
    if len(data) != 4 + -(-size // 8):
        raise ValueFormatError(INVALID_BINARY, f"a bit string of {size} bits does not have {len(data)} bytes")
    return "".join(f"{byte:08b}" for byte in data[4:])[:size]


def _void(value: Any) -> bytes:
    return b""


def _read_void(data: bytes) -> None:
    return None


TEXT = Codec(text_bytes, text_bytes, utf8, utf8, "VARCHAR")
BYTEA = Codec(_bytea_text, bytes, _read_bytea_text, bytes, "BLOB")
UUID = Codec(_uuid_text, _uuid_binary, _read_uuid_text, _read_uuid_binary, "UUID")
JSON = Codec(json_text, json_text, _read_json_text, _read_json_text, "JSON")
JSONB = Codec(json_text, _jsonb_binary, _read_json_text, _read_jsonb_binary, "JSON")
BITS = Codec(text_bytes, _bit_binary, _read_bit_text, _read_bit_binary, "BIT")
VOID = Codec(_void, _void, _read_void, _read_void, "VARCHAR")
