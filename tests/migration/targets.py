"""A target for the tests that are the same for every engine."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources import datasource


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
        options |= {
            "host": server.host,
            "port": str(server.port),
            "user": server.user,
            "database": server.database,
        }
        if server.password:
            options["password"] = server.password
    return connect(datasource("there", "mysql" if engine == "mariadb" else engine, options))
