"""A definition is tried on the engine itself and nothing of it stays, whether DDL can be rolled back there or not."""

from __future__ import annotations

from contextlib import closing

import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.definitions import definition
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
        for ddl, word in (
            ("CREATE TABLE a1 (id int,\n v wat)", "wat"),
            ("CREATE TABLE a1 (id int w int)", "int)"),
        ):
            assert dry_run(maria, ddl)[0].position == ddl.rindex(word) + 1
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
        ddl = "CREATE TABLE tried (id Int64,\n v wat) ENGINE = Memory"
        assert dry_run(click, ddl)[0].position == ddl.index("wat") + 1
        assert tables(click) == before


@pytest.mark.postgres
def test_postgres_rolls_it_back(postgres: Server) -> None:
    with closing(opened("postgres", postgres)) as pg:
        before = tables(pg)
        assert dry_run(pg, "CREATE TABLE tried (id bigint PRIMARY KEY)") == []
        ddl = "CREATE TABLE /* é */ tried (a int,\n  id nowhere)"
        refused = dry_run(pg, ddl)[0]
        assert (refused.message, refused.position) == (
            'type "nowhere" does not exist',
            ddl.index("nowhere") + 1,
        )
        assert tables(pg) == before


@pytest.mark.mariadb
def test_the_database_of_a_datasource_is_no_schema_elsewhere(mariadb: Server) -> None:
    with closing(opened("mysql", mariadb)) as maria:
        for text in ("DROP TABLE IF EXISTS kid", "CREATE OR REPLACE TABLE dad (id int PRIMARY KEY)"):
            maria.execute(text)
        maria.execute("CREATE TABLE kid (id int PRIMARY KEY, d int, FOREIGN KEY (d) REFERENCES dad (id))")
        text, _ = definition(maria, (mariadb.database, "kid"), "postgres")
        assert "CREATE TABLE kid (" in text and "REFERENCES dad (id)" in text
        maria.execute("DROP TABLE kid")
        maria.execute("DROP TABLE dad")


@pytest.mark.postgres
def test_what_postgres_alone_knows_is_said_to_postgres(postgres: Server) -> None:
    """Checks, terms of computed columns, exclusions and special indexes; another dialect gets a note of each."""
    name = 'own "terms"'
    with closing(opened("postgres", postgres)) as pg:
        for text in (
            'CREATE TABLE "own ""terms""" (id int PRIMARY KEY, a int NOT NULL CHECK (a > 0), "B b" text DEFAULT \'x\', '
            'c int GENERATED ALWAYS AS (a * 2) STORED, r int4range, CONSTRAINT "odd ""c" CHECK ("B b" <> \'\'), '
            "EXCLUDE USING gist (r WITH &&), CHECK (a < 10) NO INHERIT)",
            'CREATE UNIQUE INDEX own_lower ON "own ""terms""" (lower("B b"))',
            'CREATE INDEX own_some ON "own ""terms""" (a) WHERE a > 5',
        ):
            pg.execute(text)
        text, notes = definition(pg, (name,), "postgres")
        other = definition(pg, (name,), "mysql")[1]
        pg.execute('DROP TABLE "own ""terms"""')
        for statement in text.split(";\n"):
            pg.execute(statement)
        assert (text, []) == definition(pg, (name,), "postgres") == (text, notes)
        pg.execute('DROP TABLE "own ""terms"""')
    assert sum("not kept" in note for note in other) == 7
