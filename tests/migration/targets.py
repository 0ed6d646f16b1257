"""Sources and targets for the tests that are the same for every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource

SCHEMAS = {
    "duckdb": "main",
    "sqlite": "main",
    "postgres": "public",
    "mariadb": "bough",
    "clickhouse": "default",
}


def marked(*engines: str) -> list[Any]:
    """The engines as parameters of a test; those that are servers need the marks of theirs."""
    return [
        name if name in ("duckdb", "sqlite") else pytest.param(name, marks=getattr(pytest.mark, name))
        for name in engines
    ]


@contextmanager
def without(table: str, connector: Connector) -> Iterator[Connector]:
    """The connector, which has no such table at the beginning and none at the end."""
    with closing(connector):
        connector.execute(f"DROP TABLE IF EXISTS {table}")
        yield connector
        connector.execute(f"DROP TABLE IF EXISTS {table}")


def opened_target(engine: str, directory: Path, request: pytest.FixtureRequest) -> Connector:
    """A datasource to write to: an empty file in ``directory``, or the server of the fixture called ``engine``."""
    options = {"role": "read_write"}
    if engine in ("duckdb", "sqlite"):
        file = directory / f"target.{engine}"
        options["path"] = str(file)
        if engine == "duckdb":
            duckdb.connect(str(file)).close()
        else:
            file.touch()
    else:
        server: Server = request.getfixturevalue(engine)
        options |= server.options
    return connect(datasource("there", "mysql" if engine == "mariadb" else engine, options))
