"""A server ends a session of ours: that is an unreachable datasource, never the end of the client's own session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.dry_run import dry_run
from migration.errors import MigrationError
from migration.layout import statistics as layout_statistics

SLOW = {
    "postgres": ("SELECT i, pg_sleep(0.01) FROM generate_series(1, 1000) AS g (i)", "SELECT pg_sleep(10)"),
    "mysql": ("SELECT seq + SLEEP(0.01) AS s FROM seq_1_to_1000", "SELECT SLEEP(10)"),
}


@pytest.fixture(params=["postgres", "mysql"])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[Connector, Callable[[], bool]]]:
    """A connector, and what ends its busy session if there is one."""
    server: Server = request.getfixturevalue("mariadb" if request.param == "mysql" else "postgres")
    options = {
        "host": server.host, "port": str(server.port), "user": server.user, "password": server.password,
        "database": server.database, "role": "read_write",
    }  # fmt: skip

    def end() -> bool:
        if request.param == "postgres":
            with psycopg.connect(
                host=server.host, port=server.port, user=server.user, dbname=server.database, autocommit=True
            ) as admin:
                found: Any = admin.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%sleep(%'"
                    " AND state = 'active' AND pid <> pg_backend_pid()"
                ).fetchone()
                return bool(found[0])
        admin = pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
        )
        with admin, admin.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(%' AND id <> connection_id()"
            )
            found = cursor.fetchall()
            for (session,) in found:
                cursor.execute(f"KILL {session}")
            return bool(found)

    connector = connect(datasource("away", request.param, options))
    yield connector, end
    connector.close()


def _ended(end: Callable[[], bool], work: Callable[[], Any]) -> MigrationError:
    def until() -> None:
        for _ in range(100):
            if end():
                return
            time.sleep(0.1)

    thread = threading.Thread(target=until)
    thread.start()
    with pytest.raises(MigrationError) as refusal:
        work()
    thread.join()
    return refusal.value


def test_a_session_that_is_ended(there: tuple[Connector, Callable[[], bool]]) -> None:
    connector, end = there
    rows, statement = SLOW[connector.dialect]

    def statistics() -> None:
        with connector.reader() as reader:
            source = Source(query=rows)
            reader.check = lambda _source: None  # type: ignore[attr-defined]  # the grammar allows no sleeping
            layout_statistics.take(reader, source, connector.dialect, reader.describe(source)[:1])

    work: list[Callable[[], Any]] = [lambda: connector.execute(statement), statistics]
    if connector.dialect == "postgres":
        work.append(
            lambda: dry_run(
                connector,
                f"CREATE TABLE slow AS {rows.replace('pg_sleep(0.01)', '1 + length(pg_sleep(0.01)::text)')}",
            )
        )
    for each in work:
        error = _ended(end, each)
        assert error.sqlstate == "HV00N"
        assert error.message == 'lost the connection to datasource "away"'
    assert connector.version()


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("duckdb", duckdb.IOException('IO Error: Could not write file "x": No space left on device')),
        ("mysql", pymysql.err.OperationalError(1114, "The table 't' is full")),
        (
            "mysql",
            pymysql.err.OperationalError(1030, 'Got error 28 "No space left on device" from storage engine'),
        ),
    ],
)
def test_a_full_disk_is_said_to_be_full(engine: str, reason: Exception) -> None:
    where = {"path": "x"} if engine == "duckdb" else {"host": "127.0.0.1", "user": "u", "database": "d"}
    connector: Any = connect(datasource("away", engine, where))
    with pytest.raises(MigrationError) as refusal, connector.errors():
        raise reason
    assert refusal.value.sqlstate == "53100"
    assert "disk of away" in str(refusal.value.hint)
