"""Tables of datasources in the queries of commands: each command reads them as a SELECT does, once for all it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lakes import sqlite_lake

from proxy.session.remote.scans import RemoteScans

pytestmark = pytest.mark.sampled

Client = psycopg.Connection[Any]


@pytest.fixture
def lake(client: Client, tmp_path: Path, name: str) -> Iterator[str]:
    with sqlite_lake(client, tmp_path, f"s_{name}", kept=False) as source:
        yield source


@pytest.fixture
def here(client: Client, name: str) -> Iterator[str]:
    """A table of main beside the lake's users (1 Ada, 2 Bob, 3 Cy)."""
    table = f"h_{name}"
    client.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, town text)")  # type: ignore[arg-type]
    client.execute(f"INSERT INTO {table} VALUES (1, 'Oslo'), (3, 'Rome')")  # type: ignore[arg-type]
    yield table
    client.execute(f"DROP TABLE {table}")  # type: ignore[arg-type]


def _rows(client: Client, text: str, values: Any = None) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in client.execute(text, values).fetchall()]  # type: ignore[arg-type]


def _refused(client: Client, text: str) -> str | None:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(text)  # type: ignore[arg-type]
    return caught.value.sqlstate


def _joined(lake: str, here: str) -> str:
    return f"SELECT u.id, u.name, h.town FROM {lake}.main.users u JOIN local.public.{here} h ON h.id = u.id"


def test_a_query_of_local_joins_both(client: Client, lake: str, here: str) -> None:
    found = [(1, "Ada", "Oslo"), (3, "Cy", "Rome")]
    query = _joined(lake, here)
    assert _rows(client, f"QUERY local AS $$ {query} ORDER BY 1 $$") == found
    assert _rows(client, "SELECT * FROM bough.read_query(query => %s)", [f"{query} ORDER BY 1"]) == found
    twice = f"WITH q AS ({query}) SELECT q.town FROM q JOIN {lake}.users USING (id) WHERE users.name = 'Cy'"
    assert _rows(client, f"QUERY local AS $$ {twice} $$") == [("Rome",)]
    for text, code in (
        (f"SELECT nothing FROM {lake}.users", "42703"),
        (f"SELECT * FROM {lake}.nothing", "HV00R"),
        ("SELECT * FROM nowhere.main.users", "42704"),
        (f"SELECT * FROM {lake}.users FOR UPDATE", "0A000"),
    ):
        assert _refused(client, f"QUERY local AS $$ {text} $$") == code, text


def test_a_transfer_moves_what_both_give(client: Client, lake: str, here: str, branch: str) -> None:
    query, target = _joined(lake, here), f"t_{here}"[:50]
    for place in (f"{lake}.main.{target}", f"local.public.{target} ON BRANCH {branch}"):
        for mode in ("MODE create", "", "MODE upsert KEY (id)"):
            found = client.execute(f"TRANSFER ({query}) TO {place} {mode}").fetchone()  # type: ignore[arg-type]
            assert found is not None
            assert (found["rows_transferred"], found["verdict"]) == (2, "pass")
    for other in (f"{lake}.main.{target}", f"{branch}.public.{target}"):
        assert _rows(client, f"RECONCILE ({query}) WITH {other} KEY (id) CHECKS ALL")[-1][4] == "pass", other
    client.execute(f"EXECUTE ON {lake} AS $$ UPDATE users SET name = 'Cid' WHERE id = 3 $$")  # type: ignore[arg-type]
    verdict = _rows(client, f"RECONCILE ({query}) WITH {lake}.main.{target} KEY (id)")[-1]
    assert verdict[4] == "fail" and "(3) name: Cid <> Cy" in verdict[5]
    assert _rows(client, f"EXPLAIN RECONCILE ({query}) WITH {lake}.main.{target}")
    assert _rows(client, f"SUGGEST LAYOUT FOR clickhouse ON ({query})")
    told = _rows(client, "SELECT source FROM bough.transfers WHERE target LIKE %s", [f"%{target}"])
    assert len(told) == 6 and all(f'"{lake}"."main"."users"' in row[0] for row in told)


def test_an_incremental_transfer_knows_its_query_again(client: Client, lake: str, here: str) -> None:
    target = f"{lake}.main.i_{here}"[:60]
    transfer = f"TRANSFER ({_joined(lake, here)}) TO {target} MODE incremental CURSOR id"
    assert _rows(client, transfer)[0][0] == 2
    client.execute(f"INSERT INTO {here} VALUES (2, 'Bern')")  # type: ignore[arg-type]
    client.execute(f"EXECUTE ON {lake} AS $$ INSERT INTO users VALUES (4, 'Dan', NULL) $$")  # type: ignore[arg-type]
    client.execute(f"INSERT INTO {here} VALUES (4, 'Lima')")  # type: ignore[arg-type]
    assert _rows(client, transfer)[0][0] == 1
    assert _rows(client, f"SELECT id FROM {target} ORDER BY id") == [(1,), (3,), (4,)]


def test_they_are_read_once_and_only_where_rows_are_wanted(
    client: Client, lake: str, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is profiled, moved and compared are the same rows; a driver that asks for columns reads none."""
    asked: list[str] = []
    read = RemoteScans._read

    def counted(self: RemoteScans, scan: Any, *rest: Any) -> None:
        asked.append(scan.query)
        read(self, scan, *rest)

    monkeypatch.setattr(RemoteScans, "_read", counted)
    query = _joined(lake, here)
    client.execute(f"TRANSFER ({query} WHERE u.id < 3) TO {lake}.main.once WITH (verify 'L4')")  # type: ignore[arg-type]
    assert len(asked) == 1 and asked[0].endswith('WHERE "id" < 3') and '"seen"' not in asked[0]
    asked.clear()
    client.execute(f"RECONCILE ({query}) WITH ({query})")  # type: ignore[arg-type]
    assert len(asked) == 2
    asked.clear()
    assert len(_rows(client, f"QUERY local AS $$ {query} $$")) == 2
    assert len(asked) == 1


def test_a_shadow_query_reads_them_once_for_all_branches(
    client: Client, lake: str, here: str, branch: str
) -> None:
    client.execute(f"DELETE FROM {here} WHERE id = 3")  # type: ignore[arg-type]
    query = f"SELECT u.name FROM {lake}.users u JOIN {here} h ON h.id = u.id"
    compared = _rows(client, f"SHADOW QUERY ON main, {branch} AS {query}")
    assert [(row[0], row[1], row[4]) for row in compared] == [("main", 1, True), (branch, 2, False)]
    rows = _rows(client, f"SHADOW QUERY ON main, {branch} AS {query} WITH (return 'diff')")
    assert rows == [(branch, 1, "Cy")]
    plan = _rows(client, f"SHADOW QUERY ON main, {branch} AS {query} WITH (return 'plan')")
    assert any(f"{lake}.users"[:12] in row[1] for row in plan) and "_bough" not in str(plan)
    by_value = f"SHADOW QUERY ON main, {branch} AS {query} WHERE u.id < %s WITH (return 'rows')"
    assert _rows(client, by_value, [2]) == [("main", "Ada"), (branch, "Ada")]
    assert _refused(client, f"SHADOW QUERY ON main, {branch} AS SELECT * FROM {lake}.nothing") == "HV00R"


def test_what_is_executed_on_local_reads_them_too(client: Client, lake: str, here: str) -> None:
    client.execute(
        f"EXECUTE ON local AS $$ INSERT INTO {here} SELECT id, name FROM {lake}.users WHERE id = 2 $$"
    )  # type: ignore[arg-type]
    assert _rows(client, f"SELECT * FROM {here} WHERE id = 2") == [(2, "Bob")]
    made = f"CREATE TABLE e_{here} AS SELECT * FROM {lake}.main.users"
    assert _rows(client, "SELECT committed FROM bough.execute_ddl(query => %s)", [made]) == [(True,)]
    assert _rows(client, f"SELECT count(*) FROM e_{here}") == [(3,)]
    client.execute(f"EXECUTE ON local AS $$ DROP TABLE e_{here} $$")  # type: ignore[arg-type]
    assert (
        _refused(client, f"EXECUTE ON local AS $$ CREATE VIEW v_{here} AS SELECT * FROM {lake}.users $$")
        == "0A000"
    )
    assert _refused(client, f"EXECUTE ON local AS $$ DELETE FROM {lake}.users $$") == "0A000"
    validated = f"SELECT * FROM bough.execute_ddl('{made}', validate => true)"
    assert _refused(client, validated) == "0A000"


def test_a_value_that_is_none_has_postgres_code(client: Client, name: str, tmp_path: Path) -> None:
    """In a statement that is sent as it is; a transfer of such a value is refused as one that would lose it."""
    client.execute(  # type: ignore[call-overload]
        f"CREATE DATASOURCE d_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'x.duckdb'}', role 'read_write')"
    )
    client.execute(f"EXECUTE ON d_{name} AS $$ CREATE TABLE t AS SELECT 'x' AS a $$")  # type: ignore[arg-type]
    for text in (
        f"QUERY d_{name} AS $$ SELECT a::int FROM t $$",
        f"EXECUTE ON d_{name} AS $$ UPDATE t SET a = a::int $$",
        f"SELECT * FROM bough.read_query('SELECT a::int FROM t', 'd_{name}')",
        f"SELECT * FROM bough.execute_write('UPDATE t SET a = a::int', 'd_{name}')",
    ):
        assert _refused(client, text) == "22P02", text
    assert (
        _refused(client, f"TRANSFER (SELECT a::int AS a FROM t) FROM d_{name} TO local.public.none")
        == "HV004"
    )
    client.execute(f"DROP DATASOURCE d_{name}")  # type: ignore[arg-type]


def test_a_temporary_table_is_not_taken_for_the_branchs(
    client: Client, lake: str, here: str, branch: str
) -> None:
    """The command would read the branch's table of the same name, and nobody would see it."""
    client.execute(f"CREATE TEMP TABLE {here} AS SELECT 7 AS id")  # type: ignore[arg-type]
    for text in (
        f"QUERY local AS $$ SELECT * FROM {here} $$",
        f"TRANSFER {here} TO {lake}.main.moved",
        f"TRANSFER (SELECT h.id FROM {here} h JOIN {lake}.users u USING (id)) TO {lake}.main.moved",
        f"RECONCILE {here} WITH {lake}.users",
        f"SUGGEST LAYOUT FOR clickhouse ON {here}",
        f"SHADOW QUERY ON main, {branch} AS SELECT * FROM {here}",
        f"EXECUTE ON local AS $$ DELETE FROM {here} $$",
        f"SELECT * FROM bough.read_query('SELECT * FROM {here}')",
    ):
        assert _refused(client, text) == "0A000", text
    assert _rows(client, f"TRANSFER local.{here} TO {lake}.main.moved")[0][0] == 2
    assert _rows(client, f"QUERY local AS $$ WITH {here} AS (SELECT 1 AS a) SELECT a FROM {here} $$") == [
        (1,)
    ]
    client.execute(f"DROP TABLE pg_temp.{here}")  # type: ignore[arg-type]
    assert len(_rows(client, f"QUERY local AS $$ SELECT * FROM {here} $$")) == 2
