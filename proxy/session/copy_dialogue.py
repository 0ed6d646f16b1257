"""COPY's part of the conversation: CopyData in either direction until one side has no more.

Rules:

1. Data is read from the client while the chunk before it is decoded on the pool; nothing else is kept.
2. An error is reported when it is found. What the client still sends is dropped by the protocol's state machine.
3. A cancel or the statement's time limit ends a COPY also while it waits for the client.
4. Rows out wait for the socket, one chunk ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from branching.errors import BoughError
from proxy.copying import CopyWriter
from proxy.session.copy import CopyIn, CopyOut
from proxy.session.outcome import Outcome
from proxy.session.session import Session
from proxy.wire import (
    CONNECTION_CLOSED,
    NEED_DATA,
    Backend,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    CopyOutResponse,
    Terminate,
)

_CHUNK = 4 * 1024 * 1024  # bytes decoded at once


class Stream(Protocol):
    """The client's socket."""

    def write(self, data: Any) -> None: ...

    async def drain(self) -> None: ...

    async def event(self) -> Any: ...


class CopyDialogue:
    """One connection's COPYs."""

    def __init__(self, session: Session, backend: Backend, stream: Stream) -> None:
        self._session = session
        self._backend = backend
        self._stream = stream

    async def run(self, outcome: Outcome) -> int:
        """Carries the COPY out; returns how many rows it copied."""
        if isinstance(outcome.copy, CopyIn):
            return await self._receive(outcome.copy)
        assert outcome.copy is not None
        return await self._send_rows(outcome, outcome.copy)

    # -- FROM STDIN -----------------------------------------------------------------------------------------------

    async def _receive(self, copy: CopyIn) -> int:
        code = copy.options.code
        self._stream.write(self._backend.send(CopyInResponse(code, (code,) * len(copy.columns))))
        with self._session.watched():
            decoding: asyncio.Future[None] | None = None
            try:
                parts: list[bytes] = []
                size = 0
                while (data := await self._next(copy, decoding)) is not None:
                    parts.append(data)
                    size += len(data)
                    if size >= _CHUNK:
                        await self._done(decoding)
                        decoding = self._decode(copy, b"".join(parts))
                        parts, size = [], 0
                await self._done(decoding)
                last = b"".join(parts)

                def finish() -> int:
                    copy.add(last)
                    return copy.finish()

                return await self._session.guarded(finish)
            finally:
                if decoding is not None:
                    await asyncio.wait([decoding])
                    decoding.exception()  # it was raised, or came too late to matter
                copy.close()

    def _decode(self, copy: CopyIn, data: bytes) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._session.run(lambda: copy.add(data)))

    async def _done(self, decoding: asyncio.Future[None] | None) -> None:
        if decoding is not None:
            if not decoding.done():
                await self._session.wait(decoding)
            decoding.result()

    async def _next(self, copy: CopyIn, decoding: asyncio.Future[None] | None) -> bytes | None:
        """The client's next data, None when it has no more. Raises what decoding finds meanwhile."""
        event = self._backend.next_event()
        if event is NEED_DATA:
            event = await self._await_event(decoding)
        if isinstance(event, CopyData):
            return event.data
        if isinstance(event, CopyDone):
            return None
        if isinstance(event, CopyFail):
            error = BoughError("57014", f"COPY from stdin failed: {event.reason}")
            error.context = copy.reader.context
            raise error
        assert event is CONNECTION_CLOSED or isinstance(event, Terminate)
        raise ConnectionResetError

    async def _await_event(self, decoding: asyncio.Future[None] | None) -> Any:
        coming = asyncio.ensure_future(self._stream.event())
        try:
            while not coming.done():
                await self._session.wait(*({coming} | ({decoding} if decoding is not None else set())))
                if decoding is not None and decoding.done():
                    decoding.result()
                    decoding = None
            return coming.result()
        finally:
            if not coming.done():
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await coming

    # -- TO STDOUT ------------------------------------------------------------------------------------------------

    async def _send_rows(self, outcome: Outcome, copy: CopyOut) -> int:
        columns = outcome.columns or ()
        code = copy.options.code
        writer = CopyWriter(columns, copy.options)
        session = self._session
        with session.watched():
            chunks = _chunks(outcome, writer)
            chunk = await session.guarded(lambda: next(chunks, None))
            self._stream.write(self._backend.send(CopyOutResponse(code, (code,) * len(columns))))
            self._stream.write(writer.head())
            while chunk is not None:
                # The engine makes the next piece while the client reads this one.
                upcoming = asyncio.ensure_future(session.guarded(lambda: next(chunks, None)))
                try:
                    self._stream.write(chunk)
                    await self._stream.drain()
                finally:
                    chunk = await upcoming
            self._stream.write(writer.tail())
            self._stream.write(self._backend.send(CopyDone()))
        return outcome.sent


def _chunks(outcome: Outcome, writer: CopyWriter) -> Iterator[Any]:
    """Messages, in bounded pieces."""
    if outcome.encoded:
        for frames in outcome.batches:
            outcome.sent += frames.rows
            yield from writer.begin(frames.data)
        return
    for rows in outcome.pieces():
        outcome.sent += len(rows)
        yield from writer.begin(writer.rows(rows))
