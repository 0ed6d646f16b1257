"""Engines that come as images only, each through the same journey: out, compared, replaced, appended, back.

Needs a Docker engine (``pytest -m docker``); ``make test`` and CI leave these out. What nobody has run proves nothing:
``docs/support.md`` says which engines that is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.docker, pytest.mark.filterwarnings("ignore")]
_PATIENCE = 300  # seconds: StarRocks and Doris elect leaders before they answer


@dataclass(frozen=True, slots=True)
class Engine:
    """An image, and how Bough reaches what runs in it."""

    type: str
    image: str
    port: int
    schema: str
    options: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    command: str = ""
    fixed: tuple[int, ...] = ()  # ports the engine itself hands out in redirects
    setup: tuple[str, ...] = ()


ENGINES = {
    "mysql": Engine(
        "mysql", "mysql:8.4", 3306, "bough", {"user": "root", "password": "secret", "database": "bough"},
        {"MYSQL_ROOT_PASSWORD": "secret", "MYSQL_DATABASE": "bough"}, "--local-infile=1",
    ),
    "postgres": Engine(
        "postgres", "postgres:17", 5432, "public", {"user": "postgres", "password": "secret", "database": "postgres"},
        {"POSTGRES_PASSWORD": "secret"},
    ),
    "clickhouse": Engine(
        "clickhouse", "clickhouse/clickhouse-server:25.8", 8123, "default",
        {"user": "bough", "password": "secret", "database": "default"},
        {"CLICKHOUSE_USER": "bough", "CLICKHOUSE_PASSWORD": "secret", "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT": "1"},
    ),
    "trino": Engine(
        "trino", "trinodb/trino:476", 8080, "default", {"user": "bough", "catalog": "memory", "schema": "default"}
    ),
    "starrocks": Engine(
        "starrocks", "starrocks/allin1-ubuntu:3.5-latest", 9030, "bough", {"user": "root", "http_port": "8030"},
        fixed=(8030, 8040), setup=("CREATE DATABASE IF NOT EXISTS bough",),
    ),
    "doris": Engine(
        "doris", "apache/doris:all-2.1.7", 9030, "bough", {"user": "root", "http_port": "8030"},
        fixed=(8030, 8040), setup=("CREATE DATABASE IF NOT EXISTS bough",),
    ),
    "hive": Engine("hive", "apache/hive:4.0.1", 10000, "default", {"user": "hive"}, {"SERVICE_NAME": "hiveserver2"}),
    "greenplum": Engine(
        "greenplum", "woblerr/greenplum:7.1.0", 5432, "public", {"user": "gpadmin", "database": "demo"},
        {"GREENPLUM_PASSWORD": "gparray", "GREENPLUM_DATABASE_NAME": "demo"},
    ),
}  # fmt: skip


def started(engine: Engine) -> Iterator[Connector]:
    containers = pytest.importorskip("testcontainers.core.container")
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        pytest.skip("no Docker engine")
    container: Any = containers.DockerContainer(engine.image).with_exposed_ports(engine.port)
    for port in engine.fixed:
        container = container.with_bind_ports(port, port)
    for name, value in engine.environment.items():
        container = container.with_env(name, value)
    if engine.command:
        container = container.with_command(engine.command)
    with container:
        options = {
            "host": container.get_container_host_ip(),
            "port": str(container.get_exposed_port(engine.port)),
            "role": "read_write",
            **engine.options,
        }
        with closing(connect(datasource("remote", engine.type, options))) as connector:
            _until(connector.test)
            for statement in engine.setup:
                _until(lambda text=statement: connector.execute(text))  # type: ignore[misc]
            yield connector


def _until(ask: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            ask()
        except MigrationError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


@pytest.fixture(params=sorted(ENGINES))
def remote(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Connector]]:
    engine = ENGINES[request.param]
    for connector in started(engine):
        yield engine, connector


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Connector]:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' \\ \t\n' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS amount, TIMESTAMP '2024-01-01 00:00:00.000001' + INTERVAL (i) SECOND AS seen, "
            "DATE '2024-01-01' + (i % 365)::INTEGER AS day, i % 2 = 0 AS yes, i / 3.0 AS ratio FROM range(5000) AS r(i)"
        )
        made.execute("ALTER TABLE s ALTER id SET NOT NULL")
    with closing(
        connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))
    ) as connector:
        yield connector


def test_the_journey(remote: tuple[Engine, Connector], duck: Connector) -> None:
    engine, there = remote
    target = (engine.schema, "moved")
    for mode, rows in (("create", 5000), ("replace", 5000), ("append", 10_000)):
        request = TransferRequest(
            Source(path=("main", "s")),
            target,
            mode=mode,
            options=TransferOptions(verify="L3"),  # type: ignore[arg-type]
        )
        assert run(plan(request, duck, there)).verdict == "pass"
        with there.reader() as reader:
            assert reader.count(Source(path=target)) == rows
    back = TransferRequest(
        Source(query=f"SELECT DISTINCT * FROM {engine.schema}.moved"),
        ("main", "back"),
        options=TransferOptions(verify="L3"),
    )
    assert run(plan(back, there, duck)).rows_transferred == 5000
    sides = [Side(duck, Source(path=("main", name))) for name in ("s", "back")]
    assert reconcile(*sides, ("id",), ("count", "rows")).verdict == "pass"


def test_what_is_refused(remote: tuple[Engine, Connector]) -> None:
    engine, there = remote
    with pytest.raises(MigrationError) as missing:
        there.describe((engine.schema, "nothing_here"))
    assert missing.value.sqlstate == "HV00R"
    with there.reader() as reader, pytest.raises(MigrationError) as written:
        reader.fetch("DROP TABLE nothing_here")
    assert written.value.sqlstate == "25006"
