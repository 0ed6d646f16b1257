"""Messages both sides send while rows are copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from . import fields
from .fields import Reader


@dataclass(frozen=True, slots=True)
class CopyData:
    code: ClassVar[bytes] = b"d"
    data: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, self.data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(body)


@dataclass(frozen=True, slots=True)
class CopyDone:
    code: ClassVar[bytes] = b"c"

    def encode(self) -> bytes:
        return fields.frame(self.code, b"")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        Reader(body).end()
        return cls()
