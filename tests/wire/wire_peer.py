"""A client in memory: writes frontend messages, reads back what the server sent."""

from __future__ import annotations

import struct

from proxy import wire
from proxy.wire import messages_backend as backend
from proxy.wire.messages_backend import decode_authentication
from proxy.wire.messages_copy import CopyData, CopyDone
from proxy.wire.messages_report import ErrorResponse, NoticeResponse

_KINDS = {
    kind.code: kind
    for kind in (
        backend.NegotiateProtocolVersion,
        backend.BackendKeyData,
        backend.ParameterStatus,
        backend.ReadyForQuery,
        backend.RowDescription,
        backend.DataRow,
        backend.ParameterDescription,
        backend.CommandComplete,
        backend.EmptyQueryResponse,
        backend.ParseComplete,
        backend.BindComplete,
        backend.CloseComplete,
        backend.NoData,
        backend.PortalSuspended,
        backend.NotificationResponse,
        backend.CopyInResponse,
        backend.CopyOutResponse,
        backend.CopyBothResponse,
        CopyData,
        CopyDone,
        ErrorResponse,
        NoticeResponse,
    )
}


def decode_all(data: bytes) -> list[object]:
    """The server's messages in ``data``, which must be whole."""
    found, at = [], 0
    while at < len(data):
        code = data[at : at + 1]
        (length,) = struct.unpack_from("!I", data, at + 1)
        body = data[at + 5 : at + 1 + length]
        assert len(body) == length - 4, "a message is cut off"
        found.append(decode_authentication(body) if code == b"R" else _KINDS[code].decode(body))
        at += 1 + length
    return found


def authenticated(**options: int) -> wire.Backend:
    """A server side that has let its client in and waits for a command."""
    server = wire.Backend(**options)
    server.receive(wire.StartupMessage({"user": "alice"}).encode())
    assert isinstance(server.next_event(), wire.StartupMessage)
    server.send(wire.AuthenticationOk())
    server.send(wire.ReadyForQuery())
    return server


def events(server: wire.Backend) -> list[object]:
    """All events that can be had now, a protocol error as the last one; owed ReadyForQuery is sent."""
    found: list[object] = []
    while True:
        try:
            event = server.next_event()
        except wire.RemoteProtocolError as error:
            found.append((error.sqlstate, error.message, error.fatal))
            continue
        if event is wire.PAUSED and server.owes_ready:
            server.send(wire.ReadyForQuery())
            continue
        if isinstance(event, wire.Signal):
            return found
        found.append(event)
