"""The server as a process: killed, stopped, and started wrongly."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg
import pytest
from server_process import ProcessServer, run_server


@pytest.mark.slow
def test_killed_while_writing(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    """What was acknowledged is there afterwards, nothing is torn, every branch exists."""
    file = tmp_path / "killed.duckdb"
    server = spawn(file)
    with server.connect() as connection:
        connection.execute("CREATE TABLE pairs (i int, side text)")
        connection.execute("CREATE TABLE wide AS SELECT i, 0 AS v FROM generate_series(1, 20000) AS g(i)")
        connection.execute("BRANCH CREATE side")
    acknowledged: dict[str, int] = {"main": 0, "side": 0}
    enough = threading.Event()

    def write(branch: str) -> None:
        with contextlib.suppress(psycopg.Error), server.connect(branch) as connection:
            for number in range(1, 100_000):
                with connection.transaction():
                    connection.execute("INSERT INTO pairs VALUES (%s, 'left')", (number,))
                    connection.execute("UPDATE wide SET v = v + 1 WHERE i <= 1000")
                    connection.execute("INSERT INTO pairs VALUES (%s, 'right')", (number,))
                acknowledged[branch] = number
                if number == 5:
                    enough.set()

    writers = [threading.Thread(target=write, args=(branch,)) for branch in acknowledged]
    for writer in writers:
        writer.start()
    assert enough.wait(20)
    server.kill()
    for writer in writers:
        writer.join(20)
    server = spawn(file)
    for branch, number in acknowledged.items():
        with server.connect(branch) as connection:
            left, right = (
                connection.execute("SELECT count(*), max(i) FROM pairs WHERE side = %s", (side,)).fetchone()
                for side in ("left", "right")
            )
            assert left == right
            assert left is not None and number <= left[0] <= number + 1
            sums = connection.execute("SELECT min(v), max(v), count(*) FROM wide WHERE i <= 1000").fetchone()
            assert sums == (left[0], left[0], 1000)
            assert connection.execute("SELECT sum(v) FROM wide WHERE i > 1000").fetchone() == (0,)
    code, _ = server.terminate()
    assert code == 0


@pytest.mark.slow
def test_a_stop_is_clean_with_clients_connected(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    file = tmp_path / "stopped.duckdb"
    server = spawn(file)
    idle, writing = server.connect(), server.connect()
    idle.execute("CREATE TABLE t (i int)")
    idle.execute("INSERT INTO t VALUES (1)")
    writing.execute("BEGIN")
    writing.execute("INSERT INTO t VALUES (2)")
    code, errors = server.terminate()
    assert code == 0, errors
    assert "Traceback" not in errors
    with pytest.raises(psycopg.OperationalError, match="administrator"):
        idle.execute("SELECT 1")
    idle.close()
    writing.close()
    assert not Path(f"{file}.wal").exists()
    server = spawn(file)
    with server.connect() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]


def _refused(*arguments: str) -> str:
    process = run_server(*arguments)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1, errors
    lines = errors.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("bough: "), errors
    return lines[0]


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = _refused(str(tmp_path / "x.duckdb"), "--port", str(taken.getsockname()[1]))
        assert "listen" in line


@pytest.mark.slow
def test_a_file_that_cannot_be_served(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    assert "directory" in _refused(str(tmp_path), "--port", "0")
    corrupt = tmp_path / "corrupt.duckdb"
    corrupt.write_bytes(b"this is no database" * 1000)
    _refused(str(corrupt), "--port", "0")
    assert corrupt.read_bytes() == b"this is no database" * 1000
    locked = tmp_path / "locked.duckdb"
    spawn(locked)
    _refused(str(locked), "--port", "0")


def test_a_file_of_duckdb_is_adopted(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    file = tmp_path / "plain.duckdb"
    with duckdb.connect(str(file)) as plain:
        plain.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v DOUBLE)")
        plain.execute("INSERT INTO t SELECT i, i / 2 FROM range(1000) AS g(i)")
    server = spawn(file)
    with server.connect() as connection:
        assert connection.execute("SELECT count(*), sum(v) FROM t").fetchone() == (1000, 249750.0)
        connection.execute("BRANCH CREATE b")
    with server.connect("b") as connection:
        connection.execute("UPDATE t SET v = 0")
    with server.connect("plain") as connection:
        assert connection.execute("SELECT sum(v) FROM t").fetchone() == (249750.0,)
