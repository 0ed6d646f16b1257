"""Real servers on free ports: one in a thread for most tests, one in a process for those that kill it.

A module shares its server; what a test makes it names after itself (fixture ``name``).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.rows import dict_row
from server_process import ProcessServer, run_server
from server_thread import ThreadServer

_crashes: list[str] = []


def _watch(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keeps what the server did not foresee, drops the rest."""
    if event.get("exc_info"):
        _crashes.append(structlog.processors.format_exc_info(_logger, _method, event)["exception"])
    raise structlog.DropEvent


structlog.configure(processors=[_watch], cache_logger_on_first_use=False)


@pytest.fixture(autouse=True)
def no_crash() -> Iterator[None]:
    """Whatever a test does, the server has foreseen it: no XX000, no exception that ends a connection."""
    _crashes.clear()
    yield
    assert not _crashes, "\n".join(_crashes)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    running = ThreadServer(str(tmp_path_factory.mktemp("server") / "shop.duckdb"))
    yield running
    running.stop()


@pytest.fixture
def client(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    """A session whose rows are dicts; a module that wants another has one of its own."""
    with server.connect() as connection:
        connection.row_factory = dict_row
        yield connection


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ThreadServer]]:
    """Servers with settings of the test's own."""
    running: list[ThreadServer] = []

    def make(file: str = "", **settings: object) -> ThreadServer:
        running.append(ThreadServer(file or str(tmp_path / f"own{len(running)}.duckdb"), **settings))
        return running[-1]

    yield make
    for item in running:
        item.stop()


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., ProcessServer]]:
    """Servers in processes."""
    running: list[subprocess.Popen[str]] = []

    def make(file: Path, *arguments: str) -> ProcessServer:
        process = run_server(str(file), "--port", "0", *arguments)
        running.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving"):
                return ProcessServer(process, int(line.rsplit(":", 1)[1].split(".")[0]))
        pytest.fail(f"the server did not start: {process.communicate()[1]}")

    yield make
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for what the test makes: nobody else uses it."""
    return "".join(char if char.isalnum() else "_" for char in request.node.name.lower())[-50:]


@pytest.fixture
def branch(server: ThreadServer, name: str) -> Iterator[str]:
    """A branch of the test's own."""
    with server.connect() as connection:
        connection.execute(f'BRANCH CREATE "{name}" FROM main')
        yield name
        connection.execute(f'BRANCH DISCARD IF EXISTS "{name}" CASCADE WITH (force true)')


def _servers() -> Any:
    """The module that starts other engines, which is the migration tests' own."""
    if "servers" not in sys.modules:
        place = Path(__file__).parents[1] / "migration" / "servers.py"
        spec = importlib.util.spec_from_file_location("servers", place)
        assert spec is not None and spec.loader is not None
        sys.modules["servers"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["servers"])
    return sys.modules["servers"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server of its own."""
    with _servers().postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Any]:
    """A MariaDB server of its own."""
    with _servers().mariadb_server() as running:
        yield running


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[Any]:
    """The ClickHouse engine of chdb."""
    with _servers().clickhouse_server() as running:
        yield running
