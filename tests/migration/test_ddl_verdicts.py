"""The rules say of a definition what the engine says: hundreds of them, each tried on the real one too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import clickhouse_connect
import duckdb
import psycopg
import pymysql
import pytest
from servers import Server

from migration.ddl.validation import validate

VERSIONS = {"postgres": "15", "clickhouse": "26.9"}


def _cases() -> dict[str, list[tuple[bool, str]]]:
    found: dict[str, list[tuple[bool, str]]] = {}
    engine = ""
    for line in Path(__file__).with_name("ddl_verdicts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            engine = line[1:]
        elif line[:2] in ("+ ", "- "):
            found.setdefault(engine, []).append((line[0] == "+", line[2:]))
    return found


CASES = _cases()


@pytest.mark.parametrize("engine", CASES)
def test_rules_say_what_the_engine_says(engine: str) -> None:
    for taken, ddl in CASES[engine]:
        found = [item for item in validate(ddl, engine, VERSIONS.get(engine)) if item.severity == "error"]
        assert taken == (not found), (ddl, found)
        assert all(0 <= item.position <= len(ddl) + 1 and item.message and item.fix for item in found), (
            ddl,
            found,
        )


def _agrees(engine: str, runs: Callable[[str], None], refusal: type[Exception]) -> None:
    for taken, ddl in CASES[engine]:
        try:
            runs(ddl)
        except refusal as error:
            assert not taken, (ddl, error)
        else:
            assert taken, ddl


def test_sqlite_agrees() -> None:
    def runs(ddl: str) -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE TABLE u (id int PRIMARY KEY, n text)")
            connection.execute(ddl)

    _agrees("sqlite", runs, sqlite3.Error)


def test_duckdb_agrees() -> None:
    def runs(ddl: str) -> None:
        with closing(duckdb.connect()) as connection:
            connection.execute("CREATE TABLE u (id int PRIMARY KEY, n text)")
            connection.execute("CREATE TYPE mood AS ENUM ('a', 'b')")
            connection.execute(ddl)

    _agrees("duckdb", runs, duckdb.Error)


@pytest.mark.postgres
def test_postgres_agrees(postgres: Server) -> None:
    where = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("CREATE DATABASE verdicts")
    with psycopg.connect(where.replace(f"dbname={postgres.database}", "dbname=verdicts")) as connection:
        connection.execute("CREATE TABLE u (id int PRIMARY KEY, n text)")
        connection.execute("CREATE TYPE mood AS ENUM ('a', 'b')")
        connection.execute("CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a)")
        connection.commit()

        def runs(ddl: str) -> None:
            try:
                connection.execute(ddl.encode())
            finally:
                connection.rollback()

        _agrees("postgres", runs, psycopg.Error)
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("DROP DATABASE verdicts")


@pytest.mark.mariadb
def test_mariadb_agrees(mariadb: Server) -> None:
    with closing(
        pymysql.connect(
            host=mariadb.host, port=mariadb.port, user=mariadb.user, password=mariadb.password, autocommit=True
        )
    ) as connection, connection.cursor() as cursor:  # fmt: skip

        def runs(ddl: str) -> None:
            cursor.execute("DROP DATABASE IF EXISTS verdicts")
            cursor.execute("CREATE DATABASE verdicts")
            cursor.execute("USE verdicts")
            cursor.execute("CREATE TABLE u (id int PRIMARY KEY, n varchar(20))")
            cursor.execute(ddl)

        _agrees("mariadb", runs, pymysql.Error)
        cursor.execute("DROP DATABASE IF EXISTS verdicts")


@pytest.mark.clickhouse
def test_clickhouse_agrees(clickhouse: Server) -> None:
    client = clickhouse_connect.get_client(
        host=clickhouse.host, port=clickhouse.port, username=clickhouse.user, password=clickhouse.password
    )

    def runs(ddl: str) -> None:
        for table in ("default.t", "default.u", "w.t"):
            client.command(f"DROP TABLE IF EXISTS {table}")
        client.command("CREATE TABLE default.u (id Int32, n String) ENGINE = MergeTree ORDER BY id")
        client.command(ddl)

    client.command("CREATE DATABASE IF NOT EXISTS w")
    _agrees("clickhouse", runs, Exception)
    client.command("DROP DATABASE w")
    client.command("DROP TABLE IF EXISTS default.u")
    client.command("DROP TABLE IF EXISTS default.t")
    client.close()
