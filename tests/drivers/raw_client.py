"""A client of bare messages over a blocking socket: says exactly what it is told to."""

from __future__ import annotations

import socket
import struct
from typing import Any, TypeVar

from proxy.wire import (
    BackendKeyData,
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyData,
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow,
    EmptyQueryResponse,
    ErrorResponse,
    NegotiateProtocolVersion,
    NoData,
    NoticeResponse,
    ParameterDescription,
    ParameterStatus,
    ParseComplete,
    PortalSuspended,
    Query,
    ReadyForQuery,
    RowDescription,
    StartupMessage,
)
from proxy.wire.messages_backend import decode_authentication

_T = TypeVar("_T")
_KINDS: dict[bytes, Any] = {
    kind.code: kind
    for kind in (
        BackendKeyData,
        BindComplete,
        CloseComplete,
        CommandComplete,
        CopyData,
        CopyDone,
        CopyInResponse,
        CopyOutResponse,
        DataRow,
        EmptyQueryResponse,
        ErrorResponse,
        NegotiateProtocolVersion,
        NoData,
        NoticeResponse,
        ParameterDescription,
        ParameterStatus,
        ParseComplete,
        PortalSuspended,
        ReadyForQuery,
        RowDescription,
    )
}


class RawClient:
    def __init__(self, port: int, *, timeout: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @classmethod
    def ready(cls, port: int, **parameters: str) -> RawClient:
        """A client that is logged in."""
        client = cls(port)
        client.started = client.start(**parameters)
        assert isinstance(client.started[-1], ReadyForQuery), client.started
        return client

    def start(self, **parameters: str) -> list[Any]:
        self.send(StartupMessage({"user": "alice", "database": "main"} | parameters))
        return self.until_ready()

    def send(self, *messages: Any) -> None:
        """All in one segment; bytes as they are."""
        self.socket.sendall(b"".join(m if isinstance(m, bytes) else m.encode() for m in messages))

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def byte(self) -> bytes:
        return self._take(1)

    def message(self) -> Any:
        head = self._take(5)
        (length,) = struct.unpack("!I", head[1:])
        body = self._take(length - 4)
        code = head[:1]
        return decode_authentication(body) if code == b"R" else _KINDS[code].decode(body)

    def until_ready(self) -> list[Any]:
        """Everything up to ReadyForQuery, or up to the end of the connection."""
        found: list[Any] = []
        while not found or not isinstance(found[-1], ReadyForQuery):
            try:
                found.append(self.message())
            except (EOFError, ConnectionError):
                return found
        return found

    def query(self, text: str) -> list[Any]:
        self.send(Query(text))
        return self.until_ready()

    def closed(self) -> bool:
        """Whether the server ends the connection without another word."""
        try:
            return self.socket.recv(1) == b"" and not self._buffer
        except ConnectionError:
            return True


def only(messages: list[Any], kind: type[_T]) -> list[_T]:
    return [message for message in messages if isinstance(message, kind)]


def error(messages: list[Any]) -> ErrorResponse:
    """The one error among ``messages``."""
    (found,) = only(messages, ErrorResponse)
    return found


def kinds(messages: list[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


def tags(messages: list[Any]) -> list[str]:
    return [message.tag for message in only(messages, CommandComplete)]


def values(messages: list[Any]) -> list[tuple[bytes | None, ...]]:
    return [tuple(message.values) for message in only(messages, DataRow)]
