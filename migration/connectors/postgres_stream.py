"""COPY TO STDOUT: row by row on a session, or whole blocks of rows on a connection of its own.

libpq hands over a row at a time, a million calls with the interpreter's lock held. asyncpg takes what the socket
has in one step: less work, and the server never waits for the parser. Rules:

1. The connection joins the reader's exported snapshot, so both see the same rows.
2. A block holds whole rows: a COPY message is one row, and asyncpg delivers whole messages.
3. It is an accelerator. Where the second connection cannot be had, ``open`` says so and the reader goes on with
   its first one.
4. Cancelling interrupts the copy once: a second time would interrupt the cancel request on its way. Rows that come
   nevertheless are left with the connection; should the request not arrive either, the server sees by itself that
   nobody listens (``WATCH``).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import select
import threading
from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg
import psycopg

from migration.connectors.stopping import PATIENCE
from migration.queues import ByteQueue, Stopped

# A statement that sends nothing would run on for ever after its client is gone.
WATCH = "SET client_connection_check_interval = '2s'"
WATCH_SINCE = 14
_SSL = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "passfile")


def watched(session: psycopg.Connection[Any]) -> None:
    """A session whose statements end with its client, where the server can tell."""
    if session.info.server_version >= WATCH_SINCE * 10_000:
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):  # not every system can tell
            session.execute(WATCH)


def estimated_rows(session: psycopg.Connection[Any], text: str) -> int:
    """How many rows of a query the server expects."""
    found = session.execute(f"EXPLAIN (FORMAT JSON) {text}".encode()).fetchone()
    return int(found[0][0]["Plan"]["Plan Rows"]) if found else 0


def copied_lines(connection: Any, statement: bytes) -> Generator[memoryview, None, None]:
    """What COPY TO STDOUT sends on the session itself, a row each, without psycopg's own loop."""
    started = connection.exec_(statement)
    if started.status != psycopg.pq.ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(started)
    finished = False
    wait = _waiting(connection)
    try:
        read = connection.get_copy_data
        while True:
            size, data = read(1)
            if size < 0:
                break
            if size:
                yield data
            else:
                wait()
        finished = True
    finally:
        if not finished and connection.status == psycopg.pq.ConnStatus.OK:  # the caller stopped early
            connection.get_cancel().cancel()
            with contextlib.suppress(psycopg.Error):
                while (size := connection.get_copy_data(1)[0]) >= 0:
                    if not size:
                        wait()
        ended = connection.get_result()
        while connection.get_result() is not None:
            pass
    if ended is not None and ended.status == psycopg.pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(ended)


def _waiting(connection: Any) -> Callable[[], None]:
    """Waits outside libpq: inside it the interpreter's lock is held, and every other session would wait too."""
    poll = select.poll()
    poll.register(connection.socket, select.POLLIN)
    ready, consume = poll.poll, connection.consume_input

    def wait() -> None:
        ready()
        consume()

    return wait


_PATIENCE = 1  # seconds for a lock that somebody else may be waiting for


class CopyOut:
    """One ``COPY (query) TO STDOUT (FORMAT csv)``. ``beside`` is the session whose place and snapshot it shares."""

    def __init__(self, beside: psycopg.Connection[Any], snapshot: str, prepare: str, query: str) -> None:
        self._given = _parameters(beside)
        self._before = (
            prepare,
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            f"SET TRANSACTION SNAPSHOT '{snapshot.replace(chr(39), '')}'",
        )
        self._query = query
        self._queue = ByteQueue()
        self._opened = threading.Event()
        self._is_open = self._cancelled = self._interrupted = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._connection: Any = None
        self._rows = self._size = 0
        self._thread = threading.Thread(target=self._work, name="transfer-copy", daemon=True)

    def open(self, rows: int, size: int) -> bool:
        """Connects and starts, in blocks of about ``rows`` rows or ``size`` bytes; False if it cannot, or
        where somebody waits to alter a table: then the session beside has to read.

        ``Stopped`` if it was cancelled meanwhile.
        """
        self._rows, self._size = rows, size
        self._thread.start()
        self._opened.wait()
        if not self._is_open:
            self._thread.join()
            if self._cancelled:
                raise Stopped
        return self._is_open

    def blocks(self) -> Generator[bytes, None, None]:
        """The rows as CSV. Raises what the server said; ``Stopped`` after ``cancel``."""
        try:
            while (block := self._queue.get()) is not None:
                yield block
            if self._error is not None:
                raise self._error
        finally:
            self.cancel()
            self._thread.join()

    def cancel(self) -> None:
        """Stops it, from any thread: the server's statement too."""
        self._cancelled = True
        self._queue.stop()
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._interrupt)

    def abandon(self) -> None:
        """Leaves a server that does not answer: who waits for it has an error."""
        connection = self._connection
        if self._loop is not None and connection is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(connection.terminate)

    def _interrupt(self) -> None:
        if not self._interrupted and self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def _work(self) -> None:
        try:
            asyncio.run(self._copy())
        except (Stopped, asyncio.CancelledError):
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._opened.set()
            with contextlib.suppress(Stopped):
                self._queue.put(None, 0)

    async def _copy(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._cancelled:  # before there was a task to cancel
            raise Stopped
        connection = self._connection = await asyncpg.connect(**self._given)
        try:
            if connection.get_server_version().major >= WATCH_SINCE:
                with contextlib.suppress(asyncpg.PostgresError):  # not every system can tell
                    await connection.execute(WATCH)
            for statement in self._before:
                await connection.execute(statement)
            # Who wants to alter the table waits for the session beside, and this one would wait behind them for ever.
            await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
            await connection.execute(f"EXPLAIN {self._query}")  # takes the locks
            await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
            self._is_open = True
            self._opened.set()
            block, lines = io.BytesIO(), 0

            async def take(data: bytes) -> None:
                nonlocal block, lines
                block.write(data)
                lines += data.count(b"\n")  # more than the rows, where values have several lines
                if lines >= self._rows or block.tell() >= self._size:
                    # Waiting here stops the loop, and so the reading: that is the back-pressure.
                    self._queue.put(block.getvalue(), block.tell())
                    block, lines = io.BytesIO(), 0

            await connection.copy_from_query(self._query, output=take, format="csv")
            if block.tell():
                self._queue.put(block.getvalue(), block.tell())
        finally:
            with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # It sends the cancel request first, if one is due, and reads all that is still on its way: for nobody.
                await connection.close(timeout=PATIENCE if self._cancelled else 30)


def _parameters(beside: psycopg.Connection[Any]) -> Mapping[str, Any]:
    info = beside.info
    used = info.get_parameters()
    ssl = urlencode({name: used[name] for name in _SSL if name in used})
    return {
        "dsn": f"postgresql://?{ssl}" if ssl else None,
        "host": info.host or None,
        "port": info.port,
        "user": info.user,
        "password": info.password or None,
        "database": info.dbname,
        "timeout": float(used.get("connect_timeout", "10")),
        "server_settings": {"application_name": used.get("application_name", "bough")},
    }
