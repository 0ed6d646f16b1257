"""The server process: opens the database, listens, runs the background work, and ends cleanly on a signal."""

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
from branching import Database, gc, last_use
from branching.manifest import now
from proxy.server.client import Client
from proxy.server.logs import configure
from proxy.session.service import Service
from proxy.settings import Settings, SettingsError
from proxy.sql import macros

log = structlog.get_logger("bough")
Ready = Callable[[str, int], None]
_CHECKPOINT_EVERY = 5.0  # seconds
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
    await stop.wait()
    await server.stop()
    return 0


class Server:
    """Listens and serves; also what tests start in their own loop."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.service = Service(database, settings)
        database.checkpointer.limit = min(database.checkpointer.limit, settings.checkpoint_wal_bytes)
        self.service.collect = self.collect
        self.port = settings.port
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False
        self._server: asyncio.Server | None = None

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
            try:
                await loop.run_in_executor(self.service.pool, self.collect)
            except Exception:
                log.exception("collection_failed")
            await asyncio.sleep(interval)

    async def _checkpoint_forever(self) -> None:
        """Folds the log into the file when it has grown and writers are idle; busy ones do it as they commit."""
        checkpointer = self.service.database.checkpointer
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECKPOINT_EVERY)
            try:
                await loop.run_in_executor(self.service.pool, checkpointer.run_if_due)
            except Exception:
                log.exception("checkpoint_failed")

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
        for client in list(self._clients):
            client.hang_up()
        for session in list(self.service.sessions.values()):
            session.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients.values()), timeout=10)
        self.service.replays.close()
        self.service.pool.shutdown(wait=True, cancel_futures=True)
        last_use.store_uses(self.service.database)
        self.service.remote.close()
        self.service.database.close()
