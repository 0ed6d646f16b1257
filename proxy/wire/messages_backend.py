"""Messages the server sends. Every one encodes and decodes, so that a test is a peer in memory.

Rules as in ``messages_frontend``: ``encode()`` gives the whole message, ``decode(body)`` takes what follows
the length. The answer to an encryption request is one bare byte and has no frame. The authentication
messages share the type byte ``R`` and differ in their first integer.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from . import fields
from .fields import INT16, INT32, UINT32, Reader, Value


@dataclass(frozen=True, slots=True)
class EncryptionResponse:
    """``S`` (TLS follows), ``G`` (GSSAPI follows) or ``N`` (go on in clear)."""

    answer: Literal["S", "G", "N"]

    def encode(self) -> bytes:
        return self.answer.encode()


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 0

    def encode(self) -> bytes:
        return fields.frame(self.code, INT32.pack(self.kind))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls()


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 3

    def encode(self) -> bytes:
        return fields.frame(self.code, INT32.pack(self.kind))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls()


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 5
    salt: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, INT32.pack(self.kind) + self.salt)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.raw(4))


@dataclass(frozen=True, slots=True)
class AuthenticationSASL:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 10
    mechanisms: tuple[str, ...]

    def encode(self) -> bytes:
        names = b"".join(map(fields.string, self.mechanisms))
        return fields.frame(self.code, INT32.pack(self.kind) + names + b"\0")

    @classmethod
    def read(cls, reader: Reader) -> Self:
        names = []
        while name := reader.string():
            names.append(name)
        return cls(tuple(names))


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 11
    data: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, INT32.pack(self.kind) + self.data)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.rest())


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal:
    code: ClassVar[bytes] = b"R"
    kind: ClassVar[int] = 12
    data: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, INT32.pack(self.kind) + self.data)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(reader.rest())


Authentication = (
    AuthenticationOk
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
)
_AUTHENTICATION: dict[int, type[Authentication]] = {
    kind.kind: kind
    for kind in (
        AuthenticationOk,
        AuthenticationCleartextPassword,
        AuthenticationMD5Password,
        AuthenticationSASL,
        AuthenticationSASLContinue,
        AuthenticationSASLFinal,
    )
}


def decode_authentication(body: bytes) -> Authentication:
    """The authentication message of a body that followed ``R``."""
    reader = Reader(body)
    kind = _AUTHENTICATION.get(reader.int32())
    if kind is None:
        raise fields.malformed("an unknown authentication request")
    message = kind.read(reader)
    reader.end()
    return message


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    code: ClassVar[bytes] = b"v"
    version: int
    unknown: tuple[str, ...] = ()

    def encode(self) -> bytes:
        names = b"".join(map(fields.string, self.unknown))
        return fields.frame(self.code, INT32.pack(self.version) + INT32.pack(len(self.unknown)) + names)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        version, number = reader.int32(), reader.int32()
        if not 0 <= number <= reader.left:
            raise fields.malformed(f"{number} option names announced")
        message = cls(version, tuple(reader.string() for _ in range(number)))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    code: ClassVar[bytes] = b"K"
    process: int
    key: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, UINT32.pack(self.process) + self.key)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        return cls(reader.uint32(), reader.rest())


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    code: ClassVar[bytes] = b"S"
    name: str
    value: str

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.name) + fields.string(self.value))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string(), reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """``I`` idle, ``T`` in a transaction, ``E`` in a failed transaction."""

    code: ClassVar[bytes] = b"Z"
    status: Literal["I", "T", "E"] = "I"

    def encode(self) -> bytes:
        return fields.frame(self.code, self.status.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        status = {b"I": "I", b"T": "T", b"E": "E"}.get(body)
        if status is None:
            raise fields.malformed("an unknown transaction status")
        return cls(status)  # type: ignore[arg-type]  # one of the three literals above


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result. ``table`` and ``column`` stay 0: drivers look up every non-zero one."""

    name: str
    type: int
    size: int = -1
    modifier: int = -1
    format: int = 0
    table: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class RowDescription:
    code: ClassVar[bytes] = b"T"
    fields: tuple[Field, ...]

    def encode(self) -> bytes:
        parts = [fields.count(len(self.fields))]
        for field in self.fields:
            parts.append(fields.string(field.name))
            parts.append(UINT32.pack(field.table) + INT16.pack(field.column) + UINT32.pack(field.type))
            parts.append(INT16.pack(field.size) + INT32.pack(field.modifier) + INT16.pack(field.format))
        return fields.frame(self.code, b"".join(parts))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        found = []
        for _ in range(reader.count(19)):
            name, table, column = reader.string(), reader.uint32(), reader.int16()
            kind, size, modifier = reader.uint32(), reader.int16(), reader.int32()
            found.append(Field(name, kind, size, modifier, reader.int16(), table, column))
        reader.end()
        return cls(tuple(found))


@dataclass(frozen=True, slots=True)
class DataRow:
    code: ClassVar[bytes] = b"D"
    values: tuple[Value, ...]

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.values(self.values))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.values())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    code: ClassVar[bytes] = b"t"
    types: tuple[int, ...]

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.uint32s(self.types))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.uint32s())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class CommandComplete:
    code: ClassVar[bytes] = b"C"
    tag: str

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.tag))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class _Bare:
    code: ClassVar[bytes]

    def encode(self) -> bytes:
        return fields.frame(self.code, b"")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        Reader(body).end()
        return cls()


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(_Bare):
    code: ClassVar[bytes] = b"I"


@dataclass(frozen=True, slots=True)
class ParseComplete(_Bare):
    code: ClassVar[bytes] = b"1"


@dataclass(frozen=True, slots=True)
class BindComplete(_Bare):
    code: ClassVar[bytes] = b"2"


@dataclass(frozen=True, slots=True)
class CloseComplete(_Bare):
    code: ClassVar[bytes] = b"3"


@dataclass(frozen=True, slots=True)
class NoData(_Bare):
    code: ClassVar[bytes] = b"n"


@dataclass(frozen=True, slots=True)
class PortalSuspended(_Bare):
    code: ClassVar[bytes] = b"s"


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    code: ClassVar[bytes] = b"A"
    process: int
    channel: str
    payload: str = ""

    def encode(self) -> bytes:
        body = UINT32.pack(self.process) + fields.string(self.channel) + fields.string(self.payload)
        return fields.frame(self.code, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.uint32(), reader.string(), reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class _CopyResponse:
    code: ClassVar[bytes]
    format: int
    column_formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        body = self.format.to_bytes(1, "big") + fields.int16s(self.column_formats)
        return fields.frame(self.code, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.byte()[0], reader.int16s())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class CopyInResponse(_CopyResponse):
    code: ClassVar[bytes] = b"G"


@dataclass(frozen=True, slots=True)
class CopyOutResponse(_CopyResponse):
    code: ClassVar[bytes] = b"H"


@dataclass(frozen=True, slots=True)
class CopyBothResponse(_CopyResponse):
    code: ClassVar[bytes] = b"W"
