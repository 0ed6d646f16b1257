"""One socket: start-up, authentication, then messages to the dialogue until the client goes. The only file with I/O."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from typing import Any

import structlog

from branching.errors import BoughError
from proxy.session.dialogue import Dialogue
from proxy.session.errors import error_response
from proxy.session.service import Service
from proxy.session.session import Session
from proxy.wire import (
    CONNECTION_CLOSED,
    NEED_DATA,
    PAUSED,
    AuthenticationOk,
    Backend,
    BackendKeyData,
    CancelRequest,
    EncryptionResponse,
    ErrorResponse,
    GSSENCRequest,
    RemoteProtocolError,
    SSLRequest,
    StartupMessage,
    Terminate,
)

log = structlog.get_logger("bough")
_READ = 256 * 1024
_GATHER = 64 * 1024  # bytes of small messages kept for one write
_COMMAND = "terminating connection due to administrator command"
_LAST_BYTES = 5  # seconds for a client to take what it was sent before the end


class Client:
    """Serves one connection; ``serve`` returns when it has ended."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer
        self._backend = Backend(max_message=service.settings.max_frame_bytes)
        peer = writer.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else "local"
        self._address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "local"
        self._session: Session | None = None
        self._pending: list[Any] = []
        self._pending_size = 0
        self._task = asyncio.current_task()
        self._ending = False
        self._farewell = ("57P01", _COMMAND)

    # -- bytes ----------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Small messages wait for ``drain``, so that one answer is one packet and wakes the client once."""
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size > _GATHER:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            pending, self._pending, self._pending_size = self._pending, [], 0
            if self._writer.is_closing():
                raise ConnectionResetError
            if len(pending) == 1:
                self._writer.write(pending[0])
            elif sum(map(len, pending)) > 4 * _GATHER:
                self._writer.writelines(pending)
            else:
                self._writer.write(b"".join(pending))

    async def drain(self) -> None:
        self.flush()
        await self._writer.drain()

    async def event(self) -> Any:
        """The client's next message, or CONNECTION_CLOSED."""
        while True:
            event = self._backend.next_event()
            if event is NEED_DATA:
                self.flush()
                self._backend.receive(await self._reader.read(_READ))
            elif event is PAUSED:
                raise RuntimeError("nothing was answered to the client's last message")
            else:
                return event

    # -- the connection's life --------------------------------------------------------------------------------------

    async def serve(self) -> None:
        try:
            await self._serve()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except RemoteProtocolError as error:
            self._last_word(error.sqlstate, error.message, error.detail)
        except asyncio.CancelledError:
            self._last_word(*self._farewell)
        finally:
            self._ending = True
            await self._end()

    def hang_up(self, sqlstate: str = "57P01", message: str = _COMMAND) -> None:
        """Ends the connection from the server's side, whatever it waits for. On the loop."""
        if self._task is not None and not self._ending:
            self._farewell = sqlstate, message
            self._ending = True
            self._task.cancel()

    def _last_word(self, sqlstate: str, message: str, detail: str | None = None) -> None:
        response = ErrorResponse("FATAL", sqlstate, message, detail=detail)
        log.info("connection_refused", client=self._address, sqlstate=sqlstate, message=message)
        if not self._writer.is_closing():
            self.flush()
            self._writer.write(response.encode())

    async def _serve(self) -> None:
        timeout = self._service.settings.authentication_timeout.total_seconds()
        try:
            async with asyncio.timeout(timeout or None):
                startup = await self._start()
                if startup is None:
                    return
                session = await self._log_in(startup)
        except TimeoutError:
            self._last_word("57014", "canceling authentication due to timeout")
            return
        if session is None:
            return
        log.info(
            "connected", pid=session.pid, user=session.user, branch=session.start_branch, client=self._address
        )
        await self._converse(session)

    async def _start(self) -> StartupMessage | None:
        while True:
            event = await self.event()
            if event is CONNECTION_CLOSED:
                return None
            if isinstance(event, SSLRequest | GSSENCRequest):
                self.write(self._backend.send(EncryptionResponse("N")))
                await self.drain()
            elif isinstance(event, CancelRequest):
                self._service.cancel(event.process, event.key)
                return None
            elif isinstance(event, StartupMessage):
                return event

    async def _log_in(self, startup: StartupMessage) -> Session | None:
        service = self._service
        try:
            if negotiation := startup.negotiation():
                self.write(self._backend.send(negotiation))
            if not startup.parameters.get("user"):
                raise BoughError("28000", "no PostgreSQL user name specified in startup packet")
            if service.failed:
                raise BoughError(
                    "57P03", "the database system is in recovery mode", hint="Try again in a moment."
                )
            if len(service.sessions) >= service.settings.max_connections:
                raise BoughError(
                    "53300", "sorry, too many clients already", hint="Raise max_connections, or use a pool."
                )
            self._authenticate(startup)
            session = Session(service, startup, self._address)
            self._session = session
            session.hang_up = self.hang_up
            await session.open()
        except BoughError as error:
            response = error_response(error, fatal=True)
            log.info(
                "connection_refused", client=self._address, sqlstate=error.sqlstate, message=error.message
            )
            self.write(self._backend.send(response))
            return None
        self.write(self._backend.send(AuthenticationOk()))
        self.write(self._backend.send(BackendKeyData(session.pid, session.key)))
        return session

    def _authenticate(self, startup: StartupMessage) -> None:
        """Trust on loopback in development; nobody else yet."""
        if self._service.settings.dev_mode and self._is_loopback():
            return
        user = startup.parameters.get("user", "")
        raise BoughError(
            "28000",
            f'no way to authenticate user "{user}" from {self._peer}',
            detail="Without passwords only connections from this machine are accepted, and only with dev_mode on.",
            hint="Connect from the server's own machine.",
        )

    def _is_loopback(self) -> bool:
        if self._peer == "local":
            return True
        try:
            return ipaddress.ip_address(self._peer).is_loopback
        except ValueError:
            return False

    async def _converse(self, session: Session) -> None:
        dialogue = Dialogue(session, self._backend, self)
        dialogue.ready()
        await self.drain()
        while True:
            try:
                event = await self._next(session)
            except RemoteProtocolError as error:
                if error.fatal:
                    raise
                await dialogue.refuse(error)
                continue
            if event is CONNECTION_CLOSED or isinstance(event, Terminate):
                return
            await dialogue.handle(event)

    async def _next(self, session: Session) -> Any:
        """The next message; gives up on a client that idles in a transaction for too long."""
        limit = 0.0
        if session.transactions.block != "none":
            limit = session.timeout_seconds("idle_in_transaction_session_timeout")
        try:
            async with asyncio.timeout(limit or None):
                return await self.event()
        except TimeoutError:
            self._last_word("25P03", "terminating connection due to idle-in-transaction timeout")
            return CONNECTION_CLOSED

    async def _end(self) -> None:
        session = self._session
        if session is not None:
            session.cancel()
            await session.run(session.close)
            log.info("disconnected", pid=session.pid, user=session.user)
        with contextlib.suppress(ConnectionError):
            self.flush()
        self._writer.close()  # what is still unsent goes out first
        try:
            async with asyncio.timeout(_LAST_BYTES):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
