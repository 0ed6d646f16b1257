"""Who broke the protocol.

``RemoteProtocolError`` is the peer's fault and carries what to tell it: a SQLSTATE, a message and whether the
connection can go on (``fatal``: framing is lost or the peer cannot be trusted; otherwise the frame was whole
and only its content was bad). ``LocalProtocolError`` is a bug of ours: a message sent in a state that does
not allow it, or one that cannot be put into bytes.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of both kinds."""


class LocalProtocolError(ProtocolError):
    """Our side tried to do what the protocol does not allow now."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow."""

    def __init__(
        self, message: str, *, sqlstate: str = "08P01", detail: str | None = None, fatal: bool = True
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail
        self.fatal = fatal
