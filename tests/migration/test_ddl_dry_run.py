"""A definition is tried on the engine itself and nothing of it stays, whether DDL can be rolled back there or not."""

from __future__ import annotations

from contextlib import closing

import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources import datasource
from migration.dry_run import dry_run
from migration.errors import MigrationError


def opened(kind: str, server: Server, role: str = "read_write") -> Connector:
    options = {
        "host": server.host,
        "port": str(server.port),
        "user": server.user,
        "database": server.database,
    }
    return connect(datasource(kind, kind, {**options, "password": server.password, "role": role}))


def tables(connector: Connector) -> set[str]:
    return {entry.name for entry in connector.tables()}


@pytest.mark.mariadb
def test_mariadb_tries_it_under_another_name(mariadb: Server) -> None:
    with closing(opened("mysql", mariadb)) as maria:
        maria.execute("DROP TABLE IF EXISTS tried")
        before = tables(maria)
        name = f"/* tried */ {mariadb.database}.`tried`"
        assert (
            dry_run(maria, f"CREATE TABLE {name} (id bigint PRIMARY KEY, tried text COMMENT 'tried')") == []
        )
        refused = dry_run(maria, "CREATE TABLE tried (id bigint PRIMARY KEY, a int REFERENCES nowhere (id))")
        assert [(item.id, item.severity) for item in refused] == [("dry_run", "error")]
        assert tables(maria) == before
        maria.execute("CREATE TABLE tried (id bigint PRIMARY KEY)")
        assert ["exists" in item.message for item in dry_run(maria, "CREATE TABLE tried (id int)")] == [True]
        assert dry_run(maria, "CREATE TABLE IF NOT EXISTS tried (id int)") == []
        with pytest.raises(MigrationError, match="with a query"):
            dry_run(maria, "CREATE TABLE other AS SELECT * FROM tried")
        two = dry_run(maria, "CREATE TABLE other (id int); DROP TABLE tried")
        assert [item.message for item in two] == ["more than one statement"]
        assert tables(maria) == before | {"tried"}
        maria.execute("DROP TABLE tried")
    with closing(opened("mysql", mariadb, "read_only")) as maria, pytest.raises(MigrationError) as caught:
        dry_run(maria, "CREATE TABLE tried (id int)")
    assert caught.value.sqlstate == "25006"


@pytest.mark.clickhouse
def test_clickhouse_tries_it_under_another_name(clickhouse: Server) -> None:
    with closing(opened("clickhouse", clickhouse)) as click:
        before = tables(click)
        assert dry_run(click, "CREATE TABLE default.tried (id Int64) ENGINE = MergeTree ORDER BY id") == []
        refused = dry_run(click, "CREATE TABLE tried (id Int64) ENGINE = MergeTree ORDER BY nowhere")
        assert "nowhere" in refused[0].message
        assert tables(click) == before


@pytest.mark.postgres
def test_postgres_rolls_it_back(postgres: Server) -> None:
    with closing(opened("postgres", postgres)) as pg:
        before = tables(pg)
        assert dry_run(pg, "CREATE TABLE tried (id bigint PRIMARY KEY)") == []
        assert dry_run(pg, "CREATE TABLE tried (id nowhere)")[0].message == 'type "nowhere" does not exist'
        assert tables(pg) == before
