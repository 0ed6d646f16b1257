"""One server of each kind for the whole run, started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Server, clickhouse_server, mariadb_server, postgres_server
from spark_server import spark_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[Server]:
    with clickhouse_server() as server:
        yield server


@pytest.fixture(scope="session")
def chdb_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One directory for the whole run: a process holds one engine of chdb."""
    return str(tmp_path_factory.mktemp("chdb"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Server]:
    with spark_server() as server:
        yield server
