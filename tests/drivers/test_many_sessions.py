"""Sessions that come and go leave nothing behind in the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ProcessServer


def _held(pid: int) -> tuple[float, int]:
    """Megabytes of memory and open files of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20, len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
def test_memory_and_files_stay_flat(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    server = spawn(tmp_path / "s.duckdb", "--set", "log_level=warning")
    with server.connect() as setup:
        setup.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        setup.execute("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 1000) g")
        setup.execute("BRANCH CREATE b")

    def sessions(count: int) -> None:
        for number in range(count):
            with server.connect("b" if number % 2 else "main") as connection:
                connection.execute("SELECT count(*) FROM t WHERE id > %s", (number % 7,))
                if number % 5 == 0:
                    connection.execute("BEGIN")
                    connection.execute("UPDATE t SET v = 'y' WHERE id = %s", (number % 1000,))
                if number % 11 == 0:
                    connection.execute("CREATE TEMP TABLE mine (a int)")

    sessions(1000)
    memory, files = _held(server.process.pid)
    sessions(2000)
    later, still = _held(server.process.pid)
    assert later - memory < 10, f"{later - memory:.1f} MB for 2,000 sessions"
    assert still <= files + 2
