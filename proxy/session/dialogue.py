"""The conversation after start-up: each message of the client to the session, its outcome back as messages.

Rows go out in bounded chunks, each awaited: a client that does not read holds back the engine, not our memory. A
statement is watched until its last row is out: a cancel counts also while the client reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

import structlog

from branching.errors import BoughError
from proxy.session import functions
from proxy.session.copy_dialogue import CopyDialogue
from proxy.session.errors import error_response, notice
from proxy.session.extended import Extended, sleep_outcome
from proxy.session.outcome import Chunk, Outcome
from proxy.session.session import Session
from proxy.sql.split import Source, split
from proxy.sql.statements import Kind
from proxy.types import encode_rows
from proxy.wire import (
    Backend,
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    CommandComplete,
    Describe,
    EmptyQueryResponse,
    Execute,
    Flush,
    FunctionCall,
    NoData,
    ParameterDescription,
    ParameterStatus,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    ReadyForQuery,
    RemoteProtocolError,
    Sync,
)
from proxy.wire.description import column_formats, row_description

log = structlog.get_logger("bough")
_EMPTY: Iterator[Any] = iter(())
_LISTS: type[Any] = type(iter([]))


class Stream(Protocol):
    """Where bytes for the client go."""

    def write(self, data: Any) -> None: ...

    def flush(self) -> None: ...

    async def drain(self) -> None: ...

    async def event(self) -> Any:
        """The client's next message, or CONNECTION_CLOSED."""


class Dialogue:
    def __init__(self, session: Session, backend: Backend, stream: Stream) -> None:
        self._session = session
        self._backend = backend
        self._stream = stream
        self._extended = Extended(session)
        self._copying = CopyDialogue(session, backend, stream)
        self._told: tuple[object, object] = (None, None)
        session.teller = self._tell
        self._handlers: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            Query: self._query,
            Parse: self._parse,
            Bind: self._bind,
            Describe: self._describe,
            Execute: self._execute,
            Close: self._close,
            Flush: self._flush,
            Sync: self._sync,
            FunctionCall: self._function_call,
        }

    def send(self, message: Any) -> None:
        self._stream.write(self._backend.send(message))

    async def handle(self, message: Any) -> None:
        """One message of the client, answered."""
        handler = self._handlers.get(type(message))
        if handler is None:  # CopyData outside COPY and the like: ignored, as Postgres does
            return
        try:
            await handler(message)
        except ConnectionError:
            raise
        except Exception as error:
            if isinstance(error, RemoteProtocolError) and error.fatal:
                raise
            self._session.transactions.fail()
            self._report(error)
            if self._backend.owes_ready:
                await self._end_simple(failed=True)

    async def refuse(self, error: Exception) -> None:
        """A message whose frame was whole and whose content was not."""
        self._session.transactions.fail()
        self._report(error)
        if self._backend.owes_ready:
            await self._end_simple(failed=True)

    def _report(self, error: BaseException) -> None:
        self._notices()
        response = error_response(error)
        log.info(
            "statement_failed",
            pid=self._session.pid,
            sqlstate=response.sqlstate,
            message=response.message,
            branch=self._session.connection.branch if self._session.connection else None,
        )
        self.send(response)

    def _notices(self) -> None:
        for text in self._session.notices():
            if text.startswith("WARNING: "):
                self.send(notice(text[9:], "25001" if "already" in text else "25P01", "WARNING"))
            else:
                self.send(notice(text))

    def _tell(self, text: str) -> None:
        """A NOTICE to the client, which is waiting for its statement. A client that has gone is noticed elsewhere."""
        with contextlib.suppress(ConnectionError):
            self.send(notice(text))
            self._stream.flush()

    def _changed_settings(self) -> None:
        session, local = self._session.settings.stamp
        if session is self._told[0] and local is self._told[1]:
            return
        self._told = (session, local)
        for name, value in self._session.settings.changes():
            self.send(ParameterStatus(name, value))

    def ready(self) -> None:
        self._changed_settings()
        self.send(ReadyForQuery(self._session.transactions.status))

    # -- simple protocol ----------------------------------------------------------------------------------------

    async def _query(self, message: Query) -> None:
        statements = self._session.statements
        known = statements.simple.get(message.text)
        if known is not None:
            with self._session.watched():
                await self._run_and_send(lambda: statements.run(known, [], (0,)), ())
            await self._end_simple(failed=False)
            return
        sources = split(message.text, self._session.service.settings.max_statement_bytes)
        if not sources:
            self.send(EmptyQueryResponse())
        several = len(sources) > 1
        for source in sources:
            with self._session.watched():
                await self._simple_statement(source, None if several else message.text)
        await self._end_simple(failed=False)

    async def _end_simple(self, *, failed: bool) -> None:
        session = self._session
        if session.transactions.block == "implicit":
            try:
                await session.run(lambda: session.transactions.end_implicit(failed=failed))
            except Exception as error:
                self._report(error)
        session.state = session.idle_state()
        self.ready()
        await self._stream.drain()

    async def _simple_statement(self, source: Source, whole: str | None) -> None:
        """One statement; ``whole`` is the query's text if the statement is all of it."""
        session = self._session
        session.statement = source.text
        several = whole is None
        try:
            if several or "pg_sleep" in source.text:
                seconds = await session.guarded(lambda: self._before_simple(source, several))
                if seconds is not None:
                    await session.sleep(seconds)
                    await self._send_outcome(sleep_outcome(), ())
                    return
            await self._run_and_send(lambda: session.statements.run_text(source, whole), ())
        except BoughError as error:
            if error.position is not None and source.offset and error.sqlstate != "42601":
                error.position += source.offset
            raise

    def _before_simple(self, source: Source, several: bool) -> float | None:
        """Opens an implicit block where one is due; the time of a ``SELECT pg_sleep(n)``."""
        session = self._session
        session.prepare_connection()
        prepared = session.statements.prepare("", source).prepared
        if prepared is not None and prepared.tree is not None:
            if several:
                session.transactions.begin_implicit()
            if session.statements.analyse(prepared).sleeps:
                argument = functions.sleep_seconds(prepared.tree)
                assert argument is not None
                session.transactions.check()
                return float(functions.evaluate(argument, ()))
        elif (
            prepared is not None
            and several
            and prepared.kind not in _OUTSIDE
            and (prepared.statement is not None or prepared.kind is Kind.COPY)
        ):
            session.transactions.begin_implicit()
        return None

    async def _run_and_send(self, work: Callable[[], Outcome], formats: Sequence[int]) -> None:
        """Runs and encodes the first rows in one visit of the pool, then streams the rest."""
        session = self._session

        def start() -> tuple[Outcome, Iterator[Chunk], Chunk | None]:
            outcome = work()
            if outcome.columns is None or outcome.copy is not None:
                return outcome, _EMPTY, None
            chunks = outcome.chunks(formats)
            return outcome, chunks, next(chunks, None)

        outcome, chunks, first = await session.guarded(start)
        if outcome.copy is not None:
            await self._copy(outcome)
            return
        await self._send_rows(outcome, chunks, first, formats, describe=True)

    async def _copy(self, outcome: Outcome) -> None:
        self._notices()
        rows = await self._copying.run(outcome)
        self._notices()
        self.send(CommandComplete(f"COPY {rows}"))

    async def _send_outcome(self, outcome: Outcome, formats: Sequence[int]) -> None:
        chunks = outcome.chunks(formats)
        await self._send_rows(outcome, chunks, next(chunks, None), formats, describe=True)

    async def _send_rows(
        self,
        outcome: Outcome,
        chunks: Iterator[Chunk],
        first: Chunk | None,
        formats: Sequence[int],
        *,
        describe: bool,
    ) -> None:
        before = outcome.sent - (first.rows if first is not None else 0)  # by an Execute with a limit
        self._notices()
        if outcome.columns is not None and describe:
            self.send(row_description(outcome.columns, formats))
        whole = isinstance(outcome.batches, _LISTS)
        chunk = first
        while chunk is not None:
            if whole:
                self._stream.write(chunk.data)
                chunk = next(chunks, None)
                continue
            # The engine makes the next piece while the client reads this one.
            upcoming = asyncio.ensure_future(self._session.guarded(lambda: next(chunks, None)))
            try:
                self._stream.write(chunk.data)
                await self._stream.drain()
            finally:
                chunk = await upcoming
        self.send(CommandComplete(outcome.tag(outcome.sent - before)))

    # -- extended protocol ----------------------------------------------------------------------------------------

    async def _parse(self, message: Parse) -> None:
        await self._extended.parse(message)
        self.send(ParseComplete())

    async def _bind(self, message: Bind) -> None:
        await self._extended.bind(message)
        self.send(BindComplete())

    async def _describe(self, message: Describe) -> None:
        types, columns, formats = await self._extended.describe(message)
        if types is not None:
            self.send(ParameterDescription(types))
        if columns is None:
            self.send(NoData())
        else:
            self.send(row_description(columns, formats))

    async def _execute(self, message: Execute) -> None:
        with self._session.watched():
            await self._run_portal(message)

    async def _run_portal(self, message: Execute) -> None:
        portal = self._extended.portal(message.portal)
        more = not self._backend.sync_is_next()
        limit = max(message.max_rows, 0)
        outcome = await self._extended.start(portal, limit, more_follows=more)
        if outcome is None:
            self.send(EmptyQueryResponse())
            return
        if outcome.copy is not None:
            portal.completed = True
            await self._copy(outcome)
            return
        if outcome.columns is None:
            self._notices()
            portal.completed = True
            self.send(CommandComplete(outcome.tag(outcome.sent)))
            return
        if not limit:
            portal.completed = True
            chunks = outcome.chunks(portal.formats)
            if isinstance(outcome.batches, _LISTS):  # few rows, and here already
                first = next(chunks, None)
            else:
                first = await self._session.guarded(lambda: next(chunks, None))
            await self._send_rows(outcome, chunks, first, portal.formats, describe=False)
            return
        await self._send_some(portal, outcome, limit)

    async def _send_some(self, portal: Any, outcome: Outcome, limit: int) -> None:
        def take() -> tuple[bytes, bool]:
            rows = outcome.take(limit)
            columns = outcome.columns or ()
            spread = column_formats(portal.formats, len(columns))
            data = encode_rows(rows, [info for _, info in columns], spread)
            return data, len(rows) < limit or outcome.exhausted()

        sent = outcome.sent
        data, finished = await self._session.guarded(take)
        self._notices()
        self._stream.write(data)
        if finished:
            portal.completed = True
            self.send(CommandComplete(outcome.tag(outcome.sent - sent)))
        else:
            self.send(PortalSuspended())
        await self._stream.drain()

    async def _close(self, message: Close) -> None:
        await self._extended.close(message)
        self.send(CloseComplete())

    async def _flush(self, message: Flush) -> None:
        await self._stream.drain()

    async def _sync(self, message: Sync) -> None:
        session = self._session
        if session.transactions.block == "implicit":
            failed = session.transactions.failed
            await session.run(lambda: session.transactions.end_implicit(failed=failed))
        elif session.transactions.block == "none":
            session.statements.portals.clear()
        session.state = session.idle_state()
        self.ready()
        await self._stream.drain()

    async def _function_call(self, message: FunctionCall) -> None:
        raise BoughError(
            "0A000", "the function call message is not supported", hint="Use SELECT function(…)."
        )


_OUTSIDE = frozenset({Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK})
