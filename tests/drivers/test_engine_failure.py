"""The engine fails: clients are told, the file is opened again in the process, and nothing acknowledged is lost."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from server_process import ProcessServer
from server_thread import ThreadServer


def connected(dsn: str, tries: int = 400) -> psycopg.Connection[Any]:
    """A connection as soon as the server takes one; until then it says that it is recovering."""
    pause = threading.Event()
    for _ in range(tries):
        try:
            return psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError as error:
            assert "recovery mode" in str(error) or "had to restart" in str(error)
            pause.wait(0.05)
    raise AssertionError("the server does not come back")


def until_it_ends(connection: psycopg.Connection[Any], text: str, tries: int = 1000) -> psycopg.Error:
    """Runs a statement until the server ends the connection; the error that it gave."""
    for _ in range(tries):
        try:
            connection.execute(text.encode())
        except psycopg.Error as error:
            if connection.closed or error.sqlstate == "57P02":
                return error
            raise
    raise AssertionError("the connection does not end")


def test_a_failed_engine_is_started_again(start: Callable[..., ThreadServer]) -> None:
    server = start()
    failed = server.server.service
    with server.connect() as writer:
        writer.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        writer.execute("INSERT INTO t SELECT g, 'main' FROM generate_series(1, 1000) g")
        writer.execute("BRANCH CREATE b")
    with server.connect("b") as on_branch:
        on_branch.execute("UPDATE t SET v = 'branch' WHERE id <= 10")
    idle, busy = server.connect("b"), server.connect()
    busy.execute("BEGIN")
    busy.execute("INSERT INTO t VALUES (5000, 'never committed')")
    busy.execute("ROLLBACK")
    failed.database.root.execute("SET debug_checkpoint_abort = 'before_header'")
    assert failed.database.checkpointer.run() is False
    told = until_it_ends(idle, "SELECT 1")
    assert told.sqlstate in ("57P02", None), told
    with connected(server.dsn()) as after:
        assert server.server.service is not failed and server.server.restarts == 1
        assert after.execute("SELECT count(*) FROM t").fetchone() == (1000,)
        after.execute("INSERT INTO t VALUES (1001, 'after')")
        after.execute("BRANCH CREATE c FROM b")
    with server.connect("c") as branch:
        assert branch.execute("SELECT count(*) FROM t WHERE v = 'branch'").fetchone() == (10,)
        branch.execute("INSERT INTO t VALUES (1002, 'after')")
    idle.close()
    busy.close()


@pytest.mark.slow
def test_a_disk_that_takes_no_more_inside_a_checkpoint(
    spawn: Callable[..., ProcessServer], tmp_path: Path
) -> None:
    file = tmp_path / "full.duckdb"
    server = spawn(file, "--set", "checkpoint_wal_bytes=1MB", "--set", "disk_reserve=0")
    dsn = f"host=127.0.0.1 port={server.port} user=me dbname=main"
    with psycopg.connect(dsn, autocommit=True) as setup:
        setup.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    acknowledged: set[int] = set()
    unlimited = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    # Beyond this size no file can grow: the log is smaller, the data file is not.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (3 * 2**20, unlimited[1]))
    writer = psycopg.connect(dsn, autocommit=True)
    last: psycopg.Error | None = None
    for number in range(4000):
        try:
            writer.execute("INSERT INTO t VALUES (%s, repeat(md5(%s::text), 100))", (number, number))
            acknowledged.add(number)
        except psycopg.Error as error:
            last = error
            break
    assert last is not None, "the disk was never full"
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
    writer.close()
    with connected(dsn) as after:
        kept = {row[0] for row in after.execute("SELECT id FROM t").fetchall()}
        assert acknowledged <= kept and len(kept - acknowledged) <= 1
        after.execute("INSERT INTO t VALUES (100000, 'after')")
    assert server.process.poll() is None
