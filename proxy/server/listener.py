"""The server process: opens the database, listens, runs the background work, and ends cleanly on a signal.

When the engine has failed (an fsync that failed, a full disk inside a checkpoint), nothing of it works: clients
are sent away with 57P02 and new ones told 57P03, everything lets go of the file, and it is opened again in the same
process. What was acknowledged is in the file. If it cannot be opened, the process ends with exit code 1, for whoever
watches over it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
import uvloop

import branching
from branching import Database, last_use
from branching.engine.base import OpenError
from branching.gc import collect as gc
from branching.manifest import now
from proxy.server.client import Client
from proxy.server.logs import configure
from proxy.session.service import Service
from proxy.settings import Settings, SettingsError
from proxy.sql import macros

log = structlog.get_logger("bough")
Ready = Callable[[str, int], None]
_CHECKPOINT_EVERY = 5.0  # seconds
_REOPENING = 30.0  # seconds in which a file whose engine failed can be opened again, or never
_ENDING = 15.0  # seconds for what still runs on an engine that has failed
_WRITE_BUFFER = 8 * 1024 * 1024  # bytes a client may be behind before its query waits


def run(settings: Settings, *, ready: Ready = lambda _host, _port: None) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit code. What a person can mend is raised."""
    configure(settings.log, settings.log_level)
    database = open_database(settings)
    try:
        return uvloop.run(_main(settings, database, ready))
    finally:
        database.close()


def open_database(settings: Settings) -> Database:
    """The database file of the settings, adopted if it is new to Bough."""
    engine: list[tuple[str, str]] = []
    if settings.memory_limit:
        engine.append(("memory_limit", str(settings.memory_limit)))
    if settings.threads:
        engine.append(("threads", str(settings.threads)))
    return branching.open(
        settings.file,
        settings=engine,
        progress=lambda line: print(line, flush=True),
        retention=int(settings.retention.total_seconds()),
        prepare=macros.install,
    )


async def _main(settings: Settings, database: Database, ready: Ready) -> int:
    server = Server(settings, database)
    await server.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    ready(settings.host, server.port)
    await asyncio.wait(
        [asyncio.create_task(stop.wait()), asyncio.create_task(server.lost.wait())],
        return_when=asyncio.FIRST_COMPLETED,
    )
    await server.stop()
    return 1 if server.lost.is_set() else 0


class Server:
    """Listens and serves; also what tests start in their own loop."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.service = self._serving(database)
        self.lost = asyncio.Event()  # the engine has failed, and the file cannot be opened again
        self.restarts = 0
        self._restart: asyncio.Task[None] | None = None
        self.port = settings.port
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self._server: asyncio.Server | None = None

    def _serving(self, database: Database) -> Service:
        service = Service(database, self.settings)
        database.checkpointer.limit = min(database.checkpointer.limit, self.settings.checkpoint_wal_bytes)
        database.disk.reserve = self.settings.disk_reserve
        service.collect = self.collect
        return service

    async def start(self) -> None:
        try:
            self._server = await asyncio.start_server(
                self._accept, self.settings.host, self.settings.port, limit=256 * 1024, backlog=512
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {self.settings.host}:{self.settings.port}: {error.strerror or error}",
                hint="Choose another --port.",
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("listening", host=self.settings.host, port=self.port, file=Path(self.settings.file).name)
        self._watch(self.service)
        self._background.append(asyncio.create_task(self._collect_forever()))
        self._background.append(asyncio.create_task(self._checkpoint_forever()))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writer.transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        client = Client(self.service, reader, writer)
        self._clients[client] = task
        try:
            await client.serve()
        except Exception:
            log.exception("connection_failed")
        finally:
            del self._clients[client]
            writer.close()

    # -- background work --------------------------------------------------------------------------------------------

    def collect(self) -> list[tuple[Any, ...]]:
        """One collection pass. On the pool."""
        last_use.store_uses(self.service.database)
        found = gc.collect(
            self.service.database,
            now=now(),
            grace=self.settings.trash_grace,
            limit=lambda: self._stopping,
        )
        for branch, action, freed in found:
            log.info("collected", branch=branch, action=action, bytes_freed=freed)
        return list(found)

    async def _collect_forever(self) -> None:
        interval = self.settings.gc_interval.total_seconds()
        loop = asyncio.get_running_loop()
        while interval:
            if not self.service.failed:
                try:
                    await loop.run_in_executor(self.service.pool, self.collect)
                except Exception:
                    log.exception("collection_failed")
            await asyncio.sleep(interval)

    async def _checkpoint_forever(self) -> None:
        """Folds the log into the file when it has grown and writers are idle; busy ones do it as they commit."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECKPOINT_EVERY)
            service = self.service
            if service.failed:
                continue
            try:
                await loop.run_in_executor(service.pool, service.database.checkpointer.run_if_due)
            except Exception:
                log.exception("checkpoint_failed")

    # -- when the engine has failed -----------------------------------------------------------------------------------

    def _watch(self, service: Service) -> None:
        loop = asyncio.get_running_loop()

        def failed(text: str) -> None:  # on any thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._engine_failed, service, text)

        service.database.root.on_fatal(failed)

    def _engine_failed(self, service: Service, text: str) -> None:
        if service.failed or self._stopping:
            return
        service.failed = True
        log.error("engine_failed", reason=text)
        self._restart = asyncio.create_task(self._start_again(service))

    async def _start_again(self, old: Service) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._send_away(old, "57P02", "terminating connection because the engine had to restart")
        old.replays.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                await loop.run_in_executor(None, lambda: old.pool.shutdown(wait=True, cancel_futures=True))
        old.remote.close()
        await loop.run_in_executor(None, old.database.abandon)
        database = await self._reopened()
        if database is None:
            self.lost.set()
            return
        service = await loop.run_in_executor(None, self._serving, database)
        service.numbers = old.numbers
        self._watch(service)
        self.service = service
        self.restarts += 1
        log.warning("engine_restarted", seconds=round(loop.time() - began, 3))

    async def _reopened(self) -> Database | None:
        loop = asyncio.get_running_loop()
        if self.settings.file == ":memory:":
            log.critical("engine_lost", reason="a database in memory ends with its engine")
            return None
        end, pause = loop.time() + _REOPENING, 0.05
        while True:
            try:
                return await loop.run_in_executor(None, open_database, self.settings)
            except OpenError as error:
                if loop.time() > end:
                    log.critical("engine_lost", reason=error.message, hint=error.hint)
                    return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _send_away(self, service: Service, sqlstate: str, message: str) -> None:
        """Ends every connection, what it runs included."""
        for client in list(self._clients):
            client.hang_up(sqlstate, message)
        for session in list(service.sessions.values()):
            session.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients.values()), timeout=10)

    async def stop(self) -> None:
        """No new clients; running statements get ``shutdown_timeout``, then everything ends."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task in self._background:
            task.cancel()
        deadline = self.settings.shutdown_timeout.total_seconds()
        busy = [s for s in self.service.sessions.values() if s.state == "active"]
        if busy and deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline):
                    while any(s.state == "active" for s in self.service.sessions.values()):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
        if self._restart is not None:
            await self._restart
        await self._send_away(self.service, "57P01", "terminating connection due to administrator command")
        self.service.replays.close()
        self.service.pool.shutdown(wait=True, cancel_futures=True)
        if self.service.failed:  # and could not be opened again
            return
        last_use.store_uses(self.service.database)
        self.service.remote.close()
        self.service.database.close()
