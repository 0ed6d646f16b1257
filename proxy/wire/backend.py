"""The server's side of one connection: bytes in, messages out, and the other way round. No I/O.

How to use it:

1. Give ``receive`` whatever the socket gave (``b""`` at its end) and call ``next_event`` until it answers
   NEED_DATA (read more), PAUSED (the server owes something, or ``pause`` was called: do not read more) or
   CONNECTION_CLOSED.
2. Put every answer through ``send`` and write the bytes it returns. DataRows that came encoded from the
   engine may be written directly where ``send(DataRow(...))`` would be allowed.
3. ``RemoteProtocolError`` from ``next_event`` is answered with an ErrorResponse. If it is ``fatal`` that is
   the last word (the state is CLOSED). Otherwise the failed message has already had its effect on the
   state: if ``owes_ready`` a ReadyForQuery follows, else the client's Sync will come as the next event.
4. Sending an ErrorResponse (or calling ``failed()``) inside the extended protocol makes the machine discard
   everything up to Sync.

Limits are checked on a header alone, before any room is made for the body. Buffering is linear: bytes are
appended once, copied once into their message, and dropped from the front in large steps.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from .errors import LocalProtocolError, RemoteProtocolError
from .fields import UINT32
from .messages_backend import EncryptionResponse
from .messages_frontend import (
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    decode_startup,
)
from .messages_report import ErrorResponse
from .states import (
    AFTER_ERROR,
    ANYTIME,
    CLIENT,
    DISCARD,
    EXPECTED,
    KNOWN,
    SERVER,
    SMALL,
    STARTUP_LIMIT,
    UNAUTHENTICATED,
    Message,
    State,
)

DEFAULT_LIMIT = 64 * 1024 * 1024
_COMPACT = 64 * 1024
_DISCARDED = object()


class Signal(Enum):
    """What ``next_event`` answers when there is no message."""

    NEED_DATA = "need data"
    PAUSED = "paused"
    CONNECTION_CLOSED = "connection closed"


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED
CONNECTION_CLOSED: Final = Signal.CONNECTION_CLOSED


class Backend:
    """One connection's protocol state, seen from the server."""

    def __init__(self, *, max_message: int = DEFAULT_LIMIT) -> None:
        self.state = State.STARTUP
        self.startup: StartupMessage | None = None
        self.encrypted = False
        self.eof = False
        self._limit = max_message
        self._buffer = bytearray()
        self._at = 0
        self._paused = False
        self._requests: set[type[Any]] = set()

    @property
    def buffered(self) -> int:
        """Bytes received and not yet turned into messages."""
        return len(self._buffer) - self._at

    @property
    def owes_ready(self) -> bool:
        """The client waits for ReadyForQuery: after a simple query, after Sync, or to begin with."""
        return self.state in (State.SIMPLE, State.SYNC, State.STARTING)

    def sync_is_next(self) -> bool:
        """Whether the next message in the buffer is a Sync."""
        return self.buffered > 0 and self._buffer[self._at : self._at + 1] == b"S"

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Takes what the socket gave; empty means that the client will send no more."""
        if not data:
            self.eof = True
        elif self.state is not State.CLOSED:
            self._buffer += data

    def pause(self) -> None:
        """Holds back events although the protocol would allow the next one."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def failed(self) -> None:
        """The message just handled failed: inside the extended protocol, discard up to Sync."""
        self.state = AFTER_ERROR[self.state]

    def close(self) -> None:
        """Nothing more is read; what was buffered is forgotten."""
        self.state = State.CLOSED
        self._buffer.clear()
        self._at = 0

    # -- towards the client

    def send(self, message: Message) -> bytes:
        """The bytes of ``message``, after checking that it may be sent now."""
        kind = type(message)
        if kind is ErrorResponse:
            data: bytes = message.encode()
            if message.fatal:
                self.close()
            else:
                self.failed()
            return data
        if kind in ANYTIME:
            data = message.encode()
            return data
        after = SERVER[self.state].get(kind)
        if after is None:
            raise LocalProtocolError(f"{kind.__name__} cannot be sent while {self.state.value}")
        if kind is EncryptionResponse:
            self._refuse_injected_bytes()
            self.encrypted = self.encrypted or message.answer != "N"
        data = message.encode()
        self.state = after
        return data

    # -- from the client

    def next_event(self) -> Message | Signal:
        """The next message of the client, or why there is none."""
        while True:
            state = self.state
            if state is State.CLOSED:
                return CONNECTION_CLOSED
            if state is State.ENCRYPTION:
                self._refuse_injected_bytes()
            if self._paused or not CLIENT[state]:
                return PAUSED
            try:
                message = self._startup_packet() if state is State.STARTUP else self._message()
            except RemoteProtocolError as error:
                if error.fatal:
                    self.close()
                raise
            if message is None:
                if self.eof:
                    self.close()
                    return CONNECTION_CLOSED
                return NEED_DATA
            if message is not _DISCARDED:
                return message

    def _refuse_injected_bytes(self) -> None:
        # Whatever is here was sent before encryption began: a man in the middle may have put it in
        # (CVE-2021-23222 and its relatives).
        if self.buffered:
            self.close()
            raise RemoteProtocolError(
                "received unencrypted data after an encryption request",
                detail="This could be either a client-software bug or evidence of an attempted "
                "man-in-the-middle attack.",
            )

    def _take(self, start: int, stop: int) -> bytes:
        body = bytes(memoryview(self._buffer)[start:stop])
        self._at = stop
        if stop == len(self._buffer):
            self._buffer.clear()
            self._at = 0
        elif stop >= _COMPACT and stop * 2 >= len(self._buffer):
            del self._buffer[:stop]
            self._at = 0
        return body

    def _startup_packet(self) -> Message | None:
        at = self._at
        if self.buffered < 4:
            return None
        length: int = UINT32.unpack_from(self._buffer, at)[0]
        if not 8 <= length <= STARTUP_LIMIT:
            raise RemoteProtocolError("invalid length of startup packet")
        if self.buffered < length:
            return None
        try:
            message = decode_startup(self._take(at + 4, at + length))
        except RemoteProtocolError as error:
            error.fatal = True
            raise
        kind = type(message)
        if kind is SSLRequest or kind is GSSENCRequest:
            if self.encrypted or kind in self._requests:
                raise RemoteProtocolError("a second request for encryption")
            self._requests.add(kind)
        elif isinstance(message, StartupMessage):
            self.startup = message
        self.state = CLIENT[State.STARTUP][kind]
        if self.state is State.CLOSED:
            self.close()
        return message

    def _message(self) -> Message | None:
        at, state = self._at, self.state
        if self.buffered < 5:
            return None
        code = self._buffer[at]
        length: int = UINT32.unpack_from(self._buffer, at + 1)[0]
        kind = EXPECTED[state].get(code)
        if kind is None:
            raise self._unexpected(code)
        if length < 4:
            raise RemoteProtocolError("invalid message length")
        limit = SMALL.get(kind, self._limit)
        if length - 4 > limit:
            raise RemoteProtocolError(
                f"invalid message length: {length} bytes",
                detail=f"{kind.__name__} may have {limit} bytes here.",
                sqlstate="54000" if limit == self._limit and state not in UNAUTHENTICATED else "08P01",
            )
        if self.buffered <= length:
            return None
        body = self._take(at + 5, at + 1 + length)
        if kind in DISCARD.get(state, ()):
            return _DISCARDED
        after = CLIENT[state][kind]
        try:
            message = kind.decode(body)
        except RemoteProtocolError as error:
            # The frame was whole, only its content was bad: the message counts as received and failed.
            self.state = AFTER_ERROR[after]
            error.fatal = self.state is State.CLOSED
            raise
        self.state = after
        if after is State.CLOSED:
            self.close()
        return message

    def _unexpected(self, code: int) -> RemoteProtocolError:
        if self.state in UNAUTHENTICATED:
            return RemoteProtocolError(f"expected password response, got message type {code}")
        if code in KNOWN:
            return RemoteProtocolError(f"message type {chr(code)!r} is not expected while {self.state.value}")
        return RemoteProtocolError(f"invalid frontend message type {code}")
