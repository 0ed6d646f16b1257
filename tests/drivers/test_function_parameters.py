"""Branch commands as functions of drivers that ask for types and columns before they give values."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from server_thread import ThreadServer


@pytest.fixture
def server(start: Callable[..., ThreadServer]) -> Iterator[ThreadServer]:
    made = start()
    with made.connect() as client:
        client.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        client.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    yield made


def with_asyncpg(server: ThreadServer, work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        client = await asyncpg.connect(host="127.0.0.1", port=server.port, user="alice", database="main")
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(run())


def test_every_argument_may_be_a_parameter(server: ThreadServer) -> None:
    async def work(client: Any) -> None:
        async def ask(call: str, *values: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await client.fetch(f"SELECT * FROM bough.{call}", *values)]

        create = "branch_create($1, ttl => $2, protected => $3, comment => $4, if_not_exists => $5)"
        for _ in range(2):
            assert await ask(create, "b", "2h", False, "it's", True) == [("BRANCH CREATE",)]
        assert await ask("branch_switch($1)", "b") == [("BRANCH SWITCH",)]
        await client.execute("UPDATE t SET v = 'b' WHERE id = 1")
        assert (await ask("branch_status($1)", "b"))[0][1:4] == ("t", "changed", 0)
        assert (await ask("branch_diff($1, $2, limit => $3)", "b", "main", 5))[0][1:6] == (
            "t",
            "changed",
            0,
            0,
            1,
        )
        rows = "branch_diff($1, $2, \"table\" => 't', format => 'rows', \"limit\" => $3)"
        assert await ask(rows, "b", "main", 1) == [("modified", 1, 1, "one", "b")]
        assert (await ask("diff('t', $1, $2)", "main", "b"))[0][:2] == ("modified", 1)
        for call in ("shadow_query($1, $2)", "shadow_query($1, ARRAY[$2, $3])"):
            branches = (["main", "b"],) if call.count("$") == 2 else ("main", "b")
            found = await ask(call, "SELECT * FROM t", *branches)
            assert [(row[0], row[1], row[4]) for row in found] == [("main", 2, True), ("b", 2, False)]
        shown = (
            "shadow_query('SELECT v FROM t WHERE id = 1', $1, return => 'rows', runs => $2, tolerance => $3)"
        )
        assert await ask(shown, ["main", "b"], 2, 0.5) == [("main", "one"), ("b", "b")]
        for call, named in (
            ("shadow_query($1, $2, return => 'rows')", "sql"),
            ("branch_diff($1, format => $2)", "format"),
        ):
            with pytest.raises(asyncpg.FeatureNotSupportedError, match=f"depend on its {named}"):
                await client.prepare(f"SELECT * FROM bough.{call}")
        merged = await ask(
            "branch_merge($1, into => $2, strategy => $3, tables => $4)", "b", "main", "branch_wins", ["t"]
        )
        assert [row[:5] for row in merged] == [("public", "t", 0, 1, 0)]
        (merge,) = await client.fetch("SELECT id FROM bough.merges WHERE source = $1", "b")
        assert (await ask("branch_revert($1, strategy => $2)", merge[0], "abort"))[0][3] == 1
        assert await ask("branch_alter($1, ttl => $2)", "b", "1h") == [("BRANCH ALTER",)]
        assert await ask("branch_rename($1, $2)", "b", "c") == [("BRANCH RENAME",)]
        assert await ask("branch_switch($1)", "main") == [("BRANCH SWITCH",)]
        assert await ask("branch_discard($1, force => $2)", "c", True) == [("BRANCH DISCARD",)]

    with_asyncpg(server, work)


def test_conflicts_are_settled_with_parameters(server: ThreadServer) -> None:
    async def work(client: Any) -> None:
        await client.execute("BRANCH CREATE b")
        await client.execute("UPDATE t SET v = 'main' WHERE id = 1")
        await client.execute("SET branch = 'b'")
        await client.execute("UPDATE t SET v = 'b' WHERE id = 1")
        await client.execute("BRANCH MERGE b STRATEGY manual")
        number = await client.fetchval("SELECT id FROM bough.conflicts WHERE key = $1", "1")
        assert await client.fetchval("SELECT count(*) FROM bough.conflicts WHERE id = $1", number) == 1
        settled = await client.execute("UPDATE bough.conflicts SET value = $1 WHERE id = $2", "both", number)
        assert settled == "UPDATE 1"
        await client.execute("BRANCH MERGE b CONTINUE")
        assert await client.fetchval("SELECT v FROM main.public.t WHERE id = 1") == "both"

    with_asyncpg(server, work)


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_gives_lists(server: ThreadServer, binary: bool) -> None:
    with server.connect() as client:
        client.execute("BRANCH CREATE b")
        cursor = client.cursor(binary=binary)
        for branches in (["main", "b"], "{main,b}"):
            cursor.execute("SELECT branch FROM bough.shadow_query(%s, %s)", ("SELECT 1", branches))
            assert cursor.fetchall() == [("main",), ("b",)]
        cursor.execute("SELECT branch FROM bough.shadow_query('SELECT 1', '{main,\"b\"}')")
        assert cursor.fetchall() == [("main",), ("b",)]


def test_a_command_as_a_value(server: ThreadServer) -> None:
    with server.connect() as client:
        assert client.execute("SELECT hati_branch_create('b')").fetchone() == ("BRANCH CREATE",)
        with server.connect("b") as other:
            other.execute("INSERT INTO t VALUES (3, 'three')")
        (text,) = client.execute("SELECT hati_branch_merge('b', 'main')").fetchone() or ("",)
        assert json.loads(text) == [
            {"schema": "public", "table": "t", "inserted": 1, "updated": 0, "deleted": 0, "auto_merged_cells": 0,
             "conflicts": 0, "violations": 0, "action": "merged"}
        ]  # fmt: skip
        with pytest.raises(psycopg.errors.UndefinedFunction, match="nonsense") as caught:
            client.execute("SELECT * FROM bough.nonsense('x')")
        assert caught.value.diag.message_hint
