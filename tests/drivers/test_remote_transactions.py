"""Transactions and what writes elsewhere: a read-only one refuses it, an unwritten block sees what it did here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lakes import sqlite_lake
from server_thread import ThreadServer


@pytest.fixture
def client(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def lake(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> Iterator[str]:
    with sqlite_lake(client, tmp_path, f"k_{name}") as source:
        yield source


@pytest.mark.parametrize("block", [False, True], ids=["session", "block"])
def test_a_read_only_transaction_writes_nowhere(
    client: psycopg.Connection[Any], lake: str, tmp_path: Path, name: str, block: bool
) -> None:
    """Neither in a datasource nor on the branch, whatever the command; what only asks goes on."""
    client.execute(f"CREATE TABLE {name} AS SELECT 1 AS id")
    if not block:
        client.execute("SET default_transaction_read_only = on")
    for text in (
        f"EXECUTE ON {lake} AS $$ DELETE FROM users $$",
        f"EXECUTE ON {lake} DRY RUN AS $$ DELETE FROM users $$",
        f"EXECUTE ON local AS $$ DELETE FROM {name} $$",
        f"TRANSFER {name} TO {lake}.main.copied",
        f"TRANSFER {lake}.main.users TO local.public.copied",
        f"TRANSFER SCHEMA main FROM {lake} TO local.copied",
        "RESUME TRANSFER 1",
        f"CREATE DATASOURCE other TYPE duckdb OPTIONS (path '{tmp_path}/other.duckdb')",
        f"DROP DATASOURCE {lake}",
        f"VALIDATE DDL FOR {lake} DRY RUN AS $$ CREATE TABLE t (id int) $$",
        f"SELECT * FROM bough.execute_write('DELETE FROM users', '{lake}')",
        f"SELECT bough.execute_write('DELETE FROM users', '{lake}')",
        f"SELECT * FROM bough.execute_ddl('DROP TABLE users', '{lake}')",
        f"SELECT * FROM bough.transfer_query_result('SELECT 1 AS a', target_table => '{lake}.main.users')",
        f"WITH w AS (SELECT * FROM bough.execute_write('DELETE FROM {name}')) SELECT count(*) FROM w",
    ):
        if block:
            client.execute("BEGIN READ ONLY")
        with pytest.raises(psycopg.Error) as error:
            client.execute(text)
        assert error.value.sqlstate == "25006", text
        assert "in a read-only transaction" in str(error.value), text
        if block:
            client.execute("ROLLBACK")
    if block:
        client.execute("BEGIN READ ONLY")
    for text in (
        f"EXPLAIN TRANSFER {name} TO {lake}.main.copied", f"VALIDATE DDL FOR {lake} AS $$ CREATE TABLE t (id int) $$",
        f"SHOW TABLES FROM {lake}", "SELECT * FROM bough.list_databases()", f"SHOW MIGRATION CAPABILITIES FOR {lake}",
        f"SUGGEST LAYOUT FOR starrocks ON {lake}.main.users", "SHOW TRANSFERS", f"DESCRIBE {lake}.main.users",
    ):  # fmt: skip
        client.execute(text)
    found = client.execute(
        f"SELECT (SELECT count(*) FROM {lake}.main.users), count(*) FROM {name}"
    ).fetchone()
    client.execute("ROLLBACK")
    client.execute("RESET default_transaction_read_only")
    assert found == (3, 1)


def test_a_chained_block_is_read_only_too(client: psycopg.Connection[Any], name: str) -> None:
    client.execute(f"CREATE TABLE {name} (id int)")
    client.execute("BEGIN READ ONLY")
    client.execute("COMMIT AND CHAIN")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        client.execute(f"INSERT INTO {name} VALUES (1)")
    client.execute("ROLLBACK AND CHAIN")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        client.execute(f"INSERT INTO {name} VALUES (1)")
    client.execute("ROLLBACK")


def test_a_block_is_told_that_its_own_writes_are_not_compared(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    client.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    told: list[str] = []
    client.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    commands = (
        f"RECONCILE {name} WITH {name}",
        f"EXPLAIN TRANSFER {name} TO {lake}.main.{name}",
        f"SELECT * FROM bough.read_query('SELECT * FROM {name}')",
        f"QUERY local AS $$ SELECT * FROM {name} $$",
    )
    client.execute("BEGIN")
    for command in commands:
        client.execute(command)
    assert not [text for text in told if "not seen" in text]
    client.execute(f"INSERT INTO {name} VALUES (1)")
    for command in commands:
        told.clear()
        client.execute(command)
        assert len([text for text in told if "is not seen" in text]) == 1, command
    client.execute("ROLLBACK")


def test_a_block_sees_what_came_into_its_branch(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    """Drivers open a block before the first statement: what a command put there is there for the next one."""
    client.execute("BEGIN")
    client.execute("SELECT 1")
    client.execute(f"TRANSFER {lake}.main.users TO local.public.{name}")
    assert client.execute(f"SELECT count(*) > 0 FROM {name}").fetchone() == (True,)
    client.execute(f"EXECUTE ON local AS $$ CREATE TABLE {name}_2 (id int) $$")
    client.execute(f"INSERT INTO {name}_2 VALUES (1)")
    client.execute("ROLLBACK")
    assert client.execute(f"SELECT count(*) FROM {name}_2").fetchone() == (0,)
