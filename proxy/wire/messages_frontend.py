"""Messages a client sends. Every one encodes and decodes, so that a test is a peer in memory.

Rules:

1. ``encode()`` gives the bytes of the whole message, ``decode(body)`` takes what follows the length.
2. A message holds values, not meaning: formats, OIDs and parameters are as they were sent.
3. The four start-up packets have no type byte; ``decode_startup`` tells them apart by their code.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from . import fields
from .errors import RemoteProtocolError
from .fields import INT32, UINT32, Reader, Value
from .messages_backend import NegotiateProtocolVersion

CANCEL_CODE = 80877102
SSL_CODE = 80877103
GSSENC_CODE = 80877104
PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2
LATEST_MINOR = 2

Target = Literal["S", "P"]  # a prepared statement or a portal


@dataclass(frozen=True, slots=True)
class SSLRequest:
    def encode(self) -> bytes:
        return UINT32.pack(8) + UINT32.pack(SSL_CODE)


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    def encode(self) -> bytes:
        return UINT32.pack(8) + UINT32.pack(GSSENC_CODE)


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Sent on a connection of its own; the key is 4 bytes in protocol 3.0, up to 256 in 3.2."""

    process: int
    key: bytes

    def encode(self) -> bytes:
        body = UINT32.pack(CANCEL_CODE) + UINT32.pack(self.process) + self.key
        return UINT32.pack(len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class StartupMessage:
    parameters: dict[str, str]
    version: int = PROTOCOL_3_0

    def encode(self) -> bytes:
        pairs = b"".join(
            fields.string(name) + fields.string(value) for name, value in self.parameters.items()
        )
        body = UINT32.pack(self.version) + pairs + b"\0"
        return UINT32.pack(len(body) + 4) + body

    @property
    def minor(self) -> int:
        """The minor version both sides will speak."""
        return min(self.version & 0xFFFF, LATEST_MINOR)

    def negotiation(self) -> NegotiateProtocolVersion | None:
        """What to answer before authentication if the client asked for more than this protocol has."""
        unknown = tuple(name for name in self.parameters if name.startswith("_pq_."))
        if not unknown and self.version & 0xFFFF <= LATEST_MINOR:
            return None
        return NegotiateProtocolVersion(3 << 16 | self.minor, unknown)


StartupPacket = SSLRequest | GSSENCRequest | CancelRequest | StartupMessage


def decode_startup(body: bytes) -> StartupPacket:
    """The packet a connection begins with."""
    reader = Reader(body)
    code = reader.uint32()
    if code in (SSL_CODE, GSSENC_CODE):
        reader.end()
        return SSLRequest() if code == SSL_CODE else GSSENCRequest()
    if code == CANCEL_CODE:
        process = reader.uint32()
        if not 4 <= reader.left <= 256:
            raise fields.malformed(f"a cancel key of {reader.left} bytes")
        return CancelRequest(process, reader.rest())
    if code >> 16 != 3:
        raise RemoteProtocolError(
            f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: server supports 3.0 to 3.2",
            sqlstate="0A000",
        )
    parameters: dict[str, str] = {}
    while name := reader.string():
        parameters[name] = reader.string()
    if reader.left:
        raise RemoteProtocolError("invalid startup packet layout: expected terminator as last byte")
    return StartupMessage(parameters, code)


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    code: ClassVar[bytes] = b"p"
    password: str

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.password))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    code: ClassVar[bytes] = b"p"
    mechanism: str
    data: Value

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.mechanism) + fields.value(self.data))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string(), reader.value())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class SASLResponse:
    code: ClassVar[bytes] = b"p"
    data: bytes

    def encode(self) -> bytes:
        return fields.frame(self.code, self.data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(body)


@dataclass(frozen=True, slots=True)
class Query:
    code: ClassVar[bytes] = b"Q"
    text: str

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.text))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Parse:
    code: ClassVar[bytes] = b"P"
    statement: str
    text: str
    parameter_types: tuple[int, ...] = ()

    def encode(self) -> bytes:
        body = fields.string(self.statement) + fields.string(self.text) + fields.uint32s(self.parameter_types)
        return fields.frame(self.code, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string(), reader.string(), reader.uint32s())
        reader.end()
        return message


def _formats(reader: Reader) -> tuple[int, ...]:
    codes = reader.int16s()
    for code in codes:
        if code not in (0, 1):
            raise RemoteProtocolError(f"unsupported format code: {code}", sqlstate="22023", fatal=False)
    return codes


@dataclass(frozen=True, slots=True)
class Bind:
    code: ClassVar[bytes] = b"B"
    portal: str
    statement: str
    parameters: tuple[Value, ...] = ()
    parameter_formats: tuple[int, ...] = ()
    result_formats: tuple[int, ...] = ()

    def encode(self) -> bytes:
        body = (
            fields.string(self.portal)
            + fields.string(self.statement)
            + fields.int16s(self.parameter_formats)
            + fields.values(self.parameters)
            + fields.int16s(self.result_formats)
        )
        return fields.frame(self.code, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        portal, statement = reader.string(), reader.string()
        formats = _formats(reader)
        parameters = reader.values()
        if len(formats) > 1 and len(formats) != len(parameters):
            raise RemoteProtocolError(
                f"bind message has {len(formats)} parameter formats but {len(parameters)} parameters",
                fatal=False,
            )
        message = cls(portal, statement, parameters, formats, _formats(reader))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class _Named:
    target: Target
    name: str = ""

    def _encode(self, code: bytes) -> bytes:
        return fields.frame(code, self.target.encode() + fields.string(self.name))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        target = reader.byte()
        if target not in (b"S", b"P"):
            raise RemoteProtocolError(
                f"invalid {cls.__name__.upper()} message subtype {target[0]}", fatal=False
            )
        message = cls("S" if target == b"S" else "P", reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Describe(_Named):
    code: ClassVar[bytes] = b"D"

    def encode(self) -> bytes:
        return self._encode(self.code)


@dataclass(frozen=True, slots=True)
class Close(_Named):
    code: ClassVar[bytes] = b"C"

    def encode(self) -> bytes:
        return self._encode(self.code)


@dataclass(frozen=True, slots=True)
class Execute:
    """Runs a portal; ``max_rows`` 0 (or less, as Postgres reads it) means all rows."""

    code: ClassVar[bytes] = b"E"
    portal: str = ""
    max_rows: int = 0

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.portal) + INT32.pack(self.max_rows))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string(), reader.int32())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The old fast path. Decoded so that it can be refused by name."""

    code: ClassVar[bytes] = b"F"
    function: int
    arguments: tuple[Value, ...] = ()
    argument_formats: tuple[int, ...] = ()
    result_format: int = 0

    def encode(self) -> bytes:
        body = (
            UINT32.pack(self.function)
            + fields.int16s(self.argument_formats)
            + fields.values(self.arguments)
            + fields.INT16.pack(self.result_format)
        )
        return fields.frame(self.code, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        function, formats, arguments = reader.uint32(), _formats(reader), reader.values()
        message = cls(function, arguments, formats, reader.int16())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class CopyFail:
    code: ClassVar[bytes] = b"f"
    reason: str

    def encode(self) -> bytes:
        return fields.frame(self.code, fields.string(self.reason))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = Reader(body)
        message = cls(reader.string())
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class _Bare:
    @classmethod
    def decode(cls, body: bytes) -> Self:
        Reader(body).end()
        return cls()


@dataclass(frozen=True, slots=True)
class Flush(_Bare):
    code: ClassVar[bytes] = b"H"

    def encode(self) -> bytes:
        return fields.frame(self.code, b"")


@dataclass(frozen=True, slots=True)
class Sync(_Bare):
    code: ClassVar[bytes] = b"S"

    def encode(self) -> bytes:
        return fields.frame(self.code, b"")


@dataclass(frozen=True, slots=True)
class Terminate(_Bare):
    code: ClassVar[bytes] = b"X"

    def encode(self) -> bytes:
        return fields.frame(self.code, b"")
