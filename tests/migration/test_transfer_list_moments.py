"""Lists hold moments that Python's calendar has not: infinite ones, and those before the year 1 and after 9999."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferRequest

QUERY = """SELECT * FROM (VALUES
    (1, [TIMESTAMP 'infinity', NULL, TIMESTAMP '2024-01-02 03:04:05.000006'], [DATE '0044-03-15 (BC)']),
    (2, [TIMESTAMP '0044-03-15 (BC) 01:02:03'], [DATE '-infinity', DATE '12000-01-01']),
    (3, NULL, []), (4, [], NULL)) AS t(id, moments, days)"""


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "source.duckdb"
    duckdb.connect(str(file)).close()
    with closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as connector:
        yield connector


def opened(server: Server, type_: str) -> Connector:
    options = {"host": server.host, "port": str(server.port), "user": server.user, "role": "read_write"}
    return connect(
        datasource("there", type_, options | {"password": server.password, "database": server.database})
    )


def rows(target: Connector, text: str) -> list[tuple[Any, ...]]:
    with target.writer() as writer:
        return [tuple(row) for row in writer.rows(text)]  # type: ignore[attr-defined]


@pytest.mark.postgres
def test_postgres_takes_them_as_they_are(source: Connector, postgres: Server) -> None:
    with closing(opened(postgres, "postgres")) as target:
        run(plan(TransferRequest(Source(query=QUERY), ("public", "listed")), source, target))
        found = rows(target, "SELECT moments::text, days::text FROM public.listed ORDER BY id")
        target.execute("DROP TABLE public.listed")
    assert found == [
        ('{infinity,NULL,"2024-01-02 03:04:05.000006"}', '{"0044-03-15 BC"}'),
        ('{"0044-03-15 01:02:03 BC"}', "{-infinity,12000-01-01}"),
        (None, "{}"),
        ("{}", None),
    ]


@pytest.mark.mariadb
def test_json_has_their_text(source: Connector, mariadb: Server) -> None:
    with closing(opened(mariadb, "mysql")) as target:
        run(plan(TransferRequest(Source(query=QUERY), ("bough", "listed")), source, target))
        found = rows(target, "SELECT moments, days FROM listed ORDER BY id")
        target.execute("DROP TABLE listed")
    lists = [[value if value is None else json.loads(value) for value in row] for row in found]
    assert lists[0] == [["infinity", None, "2024-01-02 03:04:05.000006"], ["0044-03-15 (BC)"]]
    assert lists[1] == [["0044-03-15 (BC) 01:02:03"], ["-infinity", "12000-01-01"]]
    assert lists[2:] == [[None, []], [[], None]]
