"""A value that is not one of its type. Carries what a client is told; the session adds which parameter."""

from __future__ import annotations

INVALID_TEXT = "22P02"
INVALID_BINARY = "22P03"
INVALID_DATETIME = "22007"
DATETIME_OVERFLOW = "22008"
OUT_OF_RANGE = "22003"
BAD_ENCODING = "22021"
UNSUPPORTED = "0A000"


class ValueFormatError(Exception):
    """Bytes that cannot be read as a type's value, or a value its format cannot carry."""

    def __init__(
        self, sqlstate: str, message: str, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint

    def of_parameter(self, number: int) -> ValueFormatError:
        """The same error, naming the parameter it was found in (counted from 1)."""
        if self.sqlstate == INVALID_BINARY:
            message = f"incorrect binary data format in bind parameter {number}"
            return ValueFormatError(self.sqlstate, message, detail=self.message, hint=self.hint)
        where = f"Parameter ${number}."
        detail = where if self.detail is None else f"{where} {self.detail}"
        return ValueFormatError(self.sqlstate, self.message, detail=detail, hint=self.hint)


def invalid_text(name: str, text: str, sqlstate: str = INVALID_TEXT) -> ValueFormatError:
    return ValueFormatError(sqlstate, f'invalid input syntax for type {name}: "{text}"')


def wrong_size(name: str, data: bytes, expected: str) -> ValueFormatError:
    return ValueFormatError(INVALID_BINARY, f"a binary {name} has {expected}, not {len(data)} bytes")


def sized(name: str, data: bytes, size: int) -> bytes:
    """``data``, if it has the size every binary value of the type has."""
    if len(data) != size:
        raise wrong_size(name, data, f"{size} byte{'s' * (size != 1)}")
    return data


def utf8(data: bytes) -> str:
    """Text of a parameter."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        first = data[error.start]
        # As many bytes as the first one announces, which is what Postgres shows.
        size = 2 if first >> 5 == 6 else 3 if first >> 4 == 14 else 4 if first >> 3 == 30 else 1
        bad = " ".join(f"0x{byte:02x}" for byte in data[error.start : error.start + size])
        raise ValueFormatError(BAD_ENCODING, f'invalid byte sequence for encoding "UTF8": {bad}') from None
    if "\0" in text:
        raise ValueFormatError(BAD_ENCODING, 'invalid byte sequence for encoding "UTF8": 0x00')
    return text
