"""A server with an event loop of its own in a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import psycopg
import uvloop

from proxy.server.listener import Server, open_database
from proxy.settings import load


class ThreadServer:
    """A server with an event loop of its own in a thread of this process."""

    def __init__(self, file: str, **settings: object) -> None:
        flags = {"file": file, "port": "0", "gc_interval": "0", "shutdown_timeout": "1s"}
        self.settings = load(flags | {name: str(value) for name, value in settings.items()}, {}, None)
        self.server = Server(self.settings, open_database(self.settings))
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.wait(20)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await self.server.start()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._started.set()
        await self._stop.wait()
        await self.server.stop()

    @property
    def port(self) -> int:
        return self.server.port

    def dsn(self, dbname: str = "main", **more: object) -> str:
        return psycopg.conninfo.make_conninfo(
            "", host="127.0.0.1", port=self.port, user="alice", dbname=dbname, connect_timeout=10, **more
        )

    def url(self, dbname: str = "main") -> str:
        return f"postgresql://alice@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname: str = "main", **more: Any) -> psycopg.Connection[Any]:
        """An autocommit connection of psycopg."""
        return psycopg.connect(self.dsn(dbname, **more), autocommit=True)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server does not stop"
