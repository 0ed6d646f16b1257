"""The state machine of the server's side of one connection, as two tables.

Rules:

1. Everything that decides what may happen next is in this file: ``CLIENT`` says which messages the client
   may send in a state and where each leads, ``SERVER`` the same for ours.
2. A state without client messages is one in which the server owes something: bytes wait in the buffer and
   ``Backend.next_event`` answers PAUSED. That alone gives pipelining and back-pressure.
3. ``ANYTIME`` messages never change the state. An ``ErrorResponse`` follows ``AFTER_ERROR``; one of severity
   FATAL closes from everywhere. ``DISCARD`` lists what is read and dropped without an event.
4. After an error in the extended protocol the state is SKIP, and only Sync (or Terminate) leads out of it.

https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from . import messages_backend as b
from . import messages_frontend as f
from .messages_copy import CopyData, CopyDone
from .messages_report import NoticeResponse

Message = Any  # one of the message dataclasses; each has ``code`` and ``encode``
Transitions = Mapping[type[Any], "State"]


class State(Enum):
    STARTUP = "waiting for a start-up packet"
    ENCRYPTION = "owing the answer to an encryption request"
    AUTH = "owing the next authentication message"
    AUTH_PASSWORD = "waiting for a password"
    AUTH_SASL_INITIAL = "waiting for the first SASL message"
    AUTH_SASL = "waiting for the next SASL message"
    STARTING = "authenticated, owing the first ReadyForQuery"
    IDLE = "waiting for a command"
    SIMPLE = "running a simple query, owing ReadyForQuery"
    EXTENDED = "inside a series of extended messages"
    SYNC = "Sync received, owing ReadyForQuery"
    SKIP = "an extended message failed: skipping until Sync"
    COPY_IN = "receiving rows for a simple query"
    COPY_IN_EXTENDED = "receiving rows for a portal"
    COPY_OUT = "sending rows for a simple query"
    COPY_OUT_EXTENDED = "sending rows for a portal"
    CLOSED = "closed"


S = State

_COMMANDS: Transitions = {
    f.Query: S.SIMPLE,
    f.FunctionCall: S.SIMPLE,
    f.Parse: S.EXTENDED,
    f.Bind: S.EXTENDED,
    f.Describe: S.EXTENDED,
    f.Execute: S.EXTENDED,
    f.Close: S.EXTENDED,
    f.Flush: S.EXTENDED,
    f.Sync: S.SYNC,
    f.Terminate: S.CLOSED,
}

CLIENT: Mapping[State, Transitions] = {
    S.STARTUP: {
        f.SSLRequest: S.ENCRYPTION,
        f.GSSENCRequest: S.ENCRYPTION,
        f.CancelRequest: S.CLOSED,
        f.StartupMessage: S.AUTH,
    },
    S.ENCRYPTION: {},
    S.AUTH: {},
    S.AUTH_PASSWORD: {f.PasswordMessage: S.AUTH, f.Terminate: S.CLOSED},
    S.AUTH_SASL_INITIAL: {f.SASLInitialResponse: S.AUTH, f.Terminate: S.CLOSED},
    S.AUTH_SASL: {f.SASLResponse: S.AUTH, f.Terminate: S.CLOSED},
    S.STARTING: {},
    S.IDLE: _COMMANDS,
    S.SIMPLE: {},
    S.EXTENDED: _COMMANDS,
    S.SYNC: {},
    S.SKIP: {f.Sync: S.SYNC, f.Terminate: S.CLOSED},
    S.COPY_IN: {CopyData: S.COPY_IN, CopyDone: S.SIMPLE, f.CopyFail: S.SIMPLE, f.Terminate: S.CLOSED},
    S.COPY_IN_EXTENDED: {
        CopyData: S.COPY_IN_EXTENDED,
        CopyDone: S.EXTENDED,
        f.CopyFail: S.EXTENDED,
        f.Terminate: S.CLOSED,
    },
    S.COPY_OUT: {},
    S.COPY_OUT_EXTENDED: {},
    S.CLOSED: {},
}

_ROWS: Transitions = {b.DataRow: S.SIMPLE, b.RowDescription: S.SIMPLE, b.CommandComplete: S.SIMPLE}

SERVER: Mapping[State, Transitions] = {
    S.STARTUP: {},
    S.ENCRYPTION: {b.EncryptionResponse: S.STARTUP},
    S.AUTH: {
        b.NegotiateProtocolVersion: S.AUTH,
        b.AuthenticationCleartextPassword: S.AUTH_PASSWORD,
        b.AuthenticationMD5Password: S.AUTH_PASSWORD,
        b.AuthenticationSASL: S.AUTH_SASL_INITIAL,
        b.AuthenticationSASLContinue: S.AUTH_SASL,
        b.AuthenticationSASLFinal: S.AUTH,
        b.AuthenticationOk: S.STARTING,
    },
    S.AUTH_PASSWORD: {},
    S.AUTH_SASL_INITIAL: {},
    S.AUTH_SASL: {},
    S.STARTING: {b.BackendKeyData: S.STARTING, b.ReadyForQuery: S.IDLE},
    S.IDLE: {},
    S.SIMPLE: {
        **_ROWS,
        b.EmptyQueryResponse: S.SIMPLE,
        b.CopyInResponse: S.COPY_IN,
        b.CopyOutResponse: S.COPY_OUT,
        b.ReadyForQuery: S.IDLE,
    },
    S.EXTENDED: {
        **dict.fromkeys(_ROWS, S.EXTENDED),
        b.EmptyQueryResponse: S.EXTENDED,
        b.ParseComplete: S.EXTENDED,
        b.BindComplete: S.EXTENDED,
        b.CloseComplete: S.EXTENDED,
        b.NoData: S.EXTENDED,
        b.ParameterDescription: S.EXTENDED,
        b.PortalSuspended: S.EXTENDED,
        b.CopyInResponse: S.COPY_IN_EXTENDED,
        b.CopyOutResponse: S.COPY_OUT_EXTENDED,
    },
    S.SYNC: {b.ReadyForQuery: S.IDLE},
    S.SKIP: {},
    S.COPY_IN: {},
    S.COPY_IN_EXTENDED: {},
    S.COPY_OUT: {CopyData: S.COPY_OUT, CopyDone: S.SIMPLE},
    S.COPY_OUT_EXTENDED: {CopyData: S.COPY_OUT_EXTENDED, CopyDone: S.EXTENDED},
    S.CLOSED: {},
}

ANYTIME = (b.ParameterStatus, NoticeResponse, b.NotificationResponse)

AFTER_ERROR: Mapping[State, State] = {
    **dict.fromkeys((S.STARTUP, S.ENCRYPTION, S.AUTH, S.STARTING, S.CLOSED), S.CLOSED),
    **dict.fromkeys((S.AUTH_PASSWORD, S.AUTH_SASL_INITIAL, S.AUTH_SASL), S.CLOSED),
    S.IDLE: S.IDLE,
    S.SIMPLE: S.SIMPLE,
    S.EXTENDED: S.SKIP,
    S.SYNC: S.SYNC,
    S.SKIP: S.SKIP,
    S.COPY_IN: S.SIMPLE,
    S.COPY_IN_EXTENDED: S.SKIP,
    S.COPY_OUT: S.SIMPLE,
    S.COPY_OUT_EXTENDED: S.SKIP,
}

# A client may go on sending rows until it hears that the copy failed, and may send the Sync or Flush of the
# statement before it knows that the statement is a COPY.
_COPY = frozenset({CopyData, CopyDone, f.CopyFail})
_EVERYTHING: frozenset[Any] = frozenset(_COMMANDS) | _COPY
DISCARD: Mapping[State, frozenset[type[Any]]] = {
    S.IDLE: _COPY,
    S.EXTENDED: _COPY,
    S.SKIP: _EVERYTHING - {f.Sync, f.Terminate},
    S.COPY_IN: frozenset({f.Flush, f.Sync}),
    S.COPY_IN_EXTENDED: frozenset({f.Flush, f.Sync}),
}

# What a message may measure, where the general limit would be far too generous (Postgres' own numbers).
SMALL: Mapping[type[Any], int] = {
    **dict.fromkeys((f.Close, f.Describe, f.Execute, f.Flush, f.Sync, f.Terminate), 10_000),
    **dict.fromkeys((CopyDone, f.CopyFail), 10_000),
    **dict.fromkeys((f.PasswordMessage, f.SASLInitialResponse, f.SASLResponse), 65_535),
}
STARTUP_LIMIT = 10_000

UNAUTHENTICATED = frozenset({S.AUTH_PASSWORD, S.AUTH_SASL_INITIAL, S.AUTH_SASL})

# What each state expects behind a type byte: what is discarded has its place too.
EXPECTED: Mapping[State, Mapping[int, Any]] = {
    state: {
        kind.code[0]: kind for kind in (*CLIENT[state], *DISCARD.get(state, ())) if state is not S.STARTUP
    }
    for state in State
}
KNOWN = frozenset(kind.code[0] for kind in (*_EVERYTHING, f.PasswordMessage))
