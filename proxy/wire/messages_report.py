"""ErrorResponse and NoticeResponse: the same fields under two type bytes.

Their text comes from anywhere (engine messages, user input), so encoding never fails: a NUL or a character
outside UTF-8 is written as an escape. https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from . import fields
from .fields import Reader

Severity = Literal["ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "DEBUG", "INFO", "LOG"]

_CODES = {
    "V": "severity",
    "C": "sqlstate",
    "M": "message",
    "D": "detail",
    "H": "hint",
    "P": "position",
    "p": "internal_position",
    "q": "internal_query",
    "W": "where",
    "s": "schema",
    "t": "table",
    "c": "column",
    "d": "data_type",
    "n": "constraint",
    "F": "file",
    "L": "line",
    "R": "routine",
}
_NUMBERS = {"position", "internal_position", "line"}


@dataclass(frozen=True, slots=True)
class _Report:
    code: ClassVar[bytes]
    severity: Severity
    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    internal_position: int | None = None
    internal_query: str | None = None
    where: str | None = None
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    data_type: str | None = None
    constraint: str | None = None
    file: str | None = None
    line: int | None = None
    routine: str | None = None

    def encode(self) -> bytes:
        parts = [b"S", self.severity.encode(), b"\0"]
        for code, name in _CODES.items():
            value = getattr(self, name)
            if value is not None:
                text = str(value).replace("\0", "\\0")
                parts += (code.encode(), text.encode(errors="backslashreplace"), b"\0")
        return fields.frame(self.code, b"".join(parts) + b"\0")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        found: dict[str, str | int] = {}
        while (code := reader.byte()) != b"\0":
            text = reader.string()
            name = _CODES.get(code.decode("latin-1"))
            if name in _NUMBERS:
                if not text.isdecimal():
                    raise fields.malformed(f"{name} is not a number")
                found[name] = int(text)
            elif name is not None:
                found[name] = text
        reader.end()
        if not {"severity", "sqlstate", "message"} <= found.keys():
            raise fields.malformed("an error without severity, code or message")
        return cls(**found)  # type: ignore[arg-type]  # names and kinds are those of _CODES


@dataclass(frozen=True, slots=True)
class ErrorResponse(_Report):
    code: ClassVar[bytes] = b"E"

    @property
    def fatal(self) -> bool:
        """The connection ends after this message."""
        return self.severity in ("FATAL", "PANIC")


@dataclass(frozen=True, slots=True)
class NoticeResponse(_Report):
    code: ClassVar[bytes] = b"N"
