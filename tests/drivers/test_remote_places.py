"""What the parts of a name mean to the commands of datasources: nothing is read or written elsewhere than was said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lakes import sqlite_lake
from psycopg import sql

pytestmark = pytest.mark.sampled


@pytest.fixture
def lake(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> Iterator[str]:
    with sqlite_lake(client, tmp_path, f"s_{name}", kept=False) as source:
        yield source


@pytest.fixture
def pg(client: psycopg.Connection[Any], postgres: Any, name: str) -> Iterator[str]:
    options = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(key), sql.Literal(value))
        for key, value in {**postgres.options, "role": "read_write"}.items()
    )
    client.execute(
        sql.SQL("CREATE DATASOURCE {} TYPE postgres OPTIONS ({})").format(sql.Identifier(name), options)
    )
    yield name
    client.execute(sql.SQL("DROP DATASOURCE {}").format(sql.Identifier(name)))


def _rows(client: psycopg.Connection[Any], text: str) -> list[dict[str, Any]]:
    return client.execute(text).fetchall()  # type: ignore[arg-type]


def _code(client: psycopg.Connection[Any], text: str) -> tuple[str | None, str]:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(text)  # type: ignore[arg-type]
    return caught.value.sqlstate, caught.value.diag.message_hint or ""


def test_a_datasource_alone_is_no_target(client: psycopg.Connection[Any], lake: str) -> None:
    for target in (lake, "local"):
        for command in ("TRANSFER", "EXPLAIN TRANSFER"):
            code, hint = _code(client, f"{command} (SELECT 1 AS a) TO {target}")
            assert code == "42602" and f"{target}.schema.table" in hint
    tables = {row["name"] for row in _rows(client, "SHOW TABLES FROM local.public")}
    assert not tables & {lake, "local"}


def test_a_branch_before_a_table_is_read_and_not_written(
    client: psycopg.Connection[Any], branch: str, name: str
) -> None:
    client.execute(f"CREATE TABLE t_{name} (id int PRIMARY KEY)")  # type: ignore[arg-type]
    client.execute(f"TRANSFER (SELECT 1 AS only_there) TO local.public.u_{name} ON BRANCH {branch}")  # type: ignore[arg-type]
    for path in (f"local.{branch}.public.u_{name}", f"{branch}.public.u_{name}"):
        assert [row["name"] for row in _rows(client, f"DESCRIBE {path}")] == ["only_there"]
        assert "only_there" in _rows(client, f"SHOW CREATE TABLE {path}")[0]["ddl"]
        assert _rows(client, f"SUGGEST LAYOUT FOR clickhouse ON {path}")[0]["clause"] == "engine"
        assert _rows(client, f"RECONCILE {path} WITH (SELECT 1 AS only_there)")[-1]["status"] == "pass"
        code, hint = _code(client, f"TRANSFER (SELECT 2 AS only_there) TO {path}")
        assert code == "0A000" and f"TO local.public.u_{name} ON BRANCH" in hint
    assert _code(client, f"DESCRIBE local.public.u_{name}")[0] == "42P01"
    assert _code(client, f"DESCRIBE local.nowhere.public.u_{name}")[0] == "42704"
    assert _code(client, "DESCRIBE local.a.b.c.d")[0] == "42602"
    there = {row["name"] for row in _rows(client, f"SHOW TABLES FROM local.{branch}")}
    assert f"u_{name}" in there and f"t_{name}" not in there
    client.execute(f"TRANSFER (SELECT 1 AS a) TO local.public.v_{name} ON BRANCH {branch}")  # type: ignore[arg-type]
    assert {"schema": "public"} in _rows(client, f"SHOW SCHEMAS FROM local.{branch}")
    client.execute(f"DROP TABLE t_{name}")  # type: ignore[arg-type]


def test_a_name_has_no_more_parts_than_its_datasource(client: psycopg.Connection[Any], lake: str) -> None:
    for command in (
        f"DESCRIBE {lake}.other.main.users",
        f"SHOW CREATE TABLE {lake}.other.main.users",
        f"TRANSFER (SELECT 1 AS a) TO {lake}.other.main.users",
        f"TRANSFER {lake}.other.main.users TO local.public.users_copy",
        f"RECONCILE {lake}.other.main.users WITH {lake}.main.users",
    ):
        assert _code(client, command)[0] == "42602", command
    assert len(_rows(client, f"DESCRIBE {lake}.main.users")) > 1


@pytest.mark.postgres
def test_a_database_before_a_schema_is_the_one_that_is_connected(
    client: psycopg.Connection[Any], pg: str, postgres: Any
) -> None:
    here = postgres.database
    client.execute(f"TRANSFER (SELECT 1 AS id) TO {pg}.{here}.public.placed")  # type: ignore[arg-type]
    assert [row["name"] for row in _rows(client, f"DESCRIBE {pg}.{here}.public.placed")] == ["id"]
    assert "placed" in {row["name"] for row in _rows(client, f"SHOW TABLES FROM {pg}.{here}")}
    for command in (
        f"DESCRIBE {pg}.nowhere.public.placed",
        f"SHOW CREATE TABLE {pg}.nowhere.public.placed",
        f"RECONCILE {pg}.nowhere.public.placed WITH (SELECT 1 AS id)",
        f"TRANSFER {pg}.nowhere.public.placed TO local.public.placed",
    ):
        assert _code(client, command)[0] == "HV00R", command
    code, hint = _code(client, f"TRANSFER (SELECT 1 AS id) TO {pg}.nowhere.public.placed")
    assert code == "3F000" and hint.startswith("SHOW DATABASES FROM")
    client.execute(f"EXECUTE ON {pg} AS 'DROP TABLE public.placed'")  # type: ignore[arg-type]
