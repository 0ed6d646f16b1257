"""SHADOW QUERY over the wire: every form, what it refuses, and what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def shop(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    """``main``; ``same``, a fork; ``other``: a price moved a little, a row gone, a column retyped; ``bare``: no s."""
    with server.connect() as connection:
        for statement in (
            "CREATE TABLE shop (i integer PRIMARY KEY, price double precision, s text)",
            "INSERT INTO shop SELECT i, i * 1.1, 's' || (i % 3) FROM generate_series(1, 500) AS g(i)",
            "BRANCH CREATE same FROM main",
            "BRANCH CREATE other FROM main",
            "BRANCH CREATE bare FROM main",
            "BRANCH SWITCH other",
            "UPDATE shop SET price = price + 1e-12 WHERE i = 3",
            "DELETE FROM shop WHERE i = 5",
            "BRANCH SWITCH bare",
            "ALTER TABLE shop DROP COLUMN s",
            "ALTER TABLE shop ALTER i TYPE bigint",
            "BRANCH SWITCH main",
        ):
            connection.execute(statement)
        yield connection


def ask(connection: psycopg.Connection[Any], sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def test_a_row_for_each_branch(shop: psycopg.Connection[Any]) -> None:
    cursor = shop.execute(
        "SHADOW QUERY ON main, same, other AS SELECT * FROM shop ORDER BY i DESC WITH (runs 3)"
    )
    assert cursor.description is not None
    names = ["branch", "rows", "elapsed_ms", "fingerprint", "same_as_first", "plan_cost", "error"]
    assert [column.name for column in cursor.description] == names
    main, same, other = cursor.fetchall()
    assert [row[:2] for row in (main, same, other)] == [("main", 500), ("same", 500), ("other", 499)]
    assert main[3] == same[3] != other[3] and len(main[3]) == 24
    assert [row[4] for row in (main, same, other)] == [True, True, False]
    assert all(row[2] > 0 and row[5].endswith(" rows") and row[6] is None for row in (main, same, other))


def test_the_tolerance_decides(shop: psycopg.Connection[Any]) -> None:
    query = "SHADOW QUERY ON main, other AS SELECT price FROM shop WHERE i = 3"
    assert [row[4] for row in ask(shop, query)] == [True, False]
    assert [row[4] for row in ask(shop, f"{query} WITH (tolerance 1e-9)")] == [True, True]
    assert [row[:2] for row in ask(shop, f"{query} WITH (return 'diff')")] == [("main", 1), ("other", 1)]
    assert ask(shop, f"{query} WITH (return 'diff', tolerance 1e-9)") == []


def test_rows_and_differences(shop: psycopg.Connection[Any]) -> None:
    query = "SELECT s, i FROM shop WHERE i < 8 ORDER BY i DESC"
    rows = ask(shop, f"SHADOW QUERY ON other, main AS {query} WITH (return 'rows')")
    assert [row[0] for row in rows] == ["other"] * 6 + ["main"] * 7
    assert [row[2] for row in rows] == [7, 6, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1]
    sql = "SHADOW QUERY ON main, same, other AS SELECT s, i FROM shop WITH (return 'diff')"
    assert ask(shop, sql) == [("main", 1, "s2", 5), ("same", 1, "s2", 5)]
    grouped = "SHADOW QUERY ON main, other AS SELECT s FROM shop WITH (return 'diff')"
    assert ask(shop, grouped) == [("main", 1, "s2")]  # how many more of equal rows


def test_large_results_stream(shop: psycopg.Connection[Any]) -> None:
    query = "SELECT i, g FROM shop, generate_series(1, 200) AS n(g)"
    with shop.cursor() as cursor:
        cursor.execute(f"SHADOW QUERY ON main, bare AS {query} WITH (return 'rows')")
        assert cursor.rowcount == 200_000
        assert sum(row[1] for row in cursor) == 2 * 200 * 500 * 501 // 2
    assert ask(shop, "SELECT count(*) FROM shop") == [(500,)]


def test_plans(shop: psycopg.Connection[Any]) -> None:
    rows = ask(shop, "SHADOW QUERY ON main, bare AS SELECT s FROM shop WHERE i = 3 WITH (return 'plan')")
    assert [row[1] for row in rows if row[0] == "bare"] == ['ERROR: 42703: column "s" does not exist']
    plan = "\n".join(row[1] for row in rows if row[0] == "main")
    assert "Total Time" in plan and "public.shop" in plan and "_bough" not in plan


def test_an_error_is_shown_beside_the_others_results(shop: psycopg.Connection[Any]) -> None:
    rows = ask(shop, "SHADOW QUERY ON bare, main, same AS SELECT s FROM shop")
    assert rows[0] == ("bare", None, None, None, False, None, '42703: column "s" does not exist')
    assert [(row[1], row[4], row[6]) for row in rows[1:]] == [(500, False, None)] * 2
    for form in ("rows", "diff"):
        with pytest.raises(psycopg.errors.UndefinedColumn, match='fails on branch "bare"'):
            shop.execute(f"SHADOW QUERY ON main, bare AS SELECT s FROM shop WITH (return '{form}')")
    with pytest.raises(psycopg.errors.DatatypeMismatch, match="different columns") as raised:
        shop.execute("SHADOW QUERY ON main, bare AS SELECT * FROM shop WITH (return 'rows')")
    assert raised.value.diag.message_detail == (
        "main: i int4, price float8, s text; bare: i int8, price float8"
    )


def test_what_makes_right_answers_differ_is_said(shop: psycopg.Connection[Any]) -> None:
    heard: list[str | None] = []
    shop.add_notice_handler(handler := lambda notice: heard.append(notice.message_primary))
    try:
        assert [row[4] for row in ask(shop, "SHADOW QUERY ON main, bare AS SELECT i FROM shop")] == [
            True,
            False,
        ]
        assert heard == ["the columns differ: main: i int4; bare: i int8"]
        ask(shop, "SHADOW QUERY ON main, same AS SELECT random()")
        assert heard[1:] == ["the query calls a function that gives another answer each time"]
        clocks = ask(shop, "SHADOW QUERY ON main, same AS SELECT now(), current_date")
        assert [row[4] for row in clocks] == [True, True] and len(heard) == 2
    finally:
        shop.remove_notice_handler(handler)


@pytest.mark.parametrize(
    ("query", "sqlstate"),
    [
        ("DELETE FROM shop", "0A000"),
        ("$$ SELECT 1; DELETE FROM shop $$", "0A000"),
        ("WITH gone AS (DELETE FROM shop RETURNING i) SELECT * FROM gone", "0A000"),
        ("SELECT i INTO copy FROM shop", "0A000"),
        ("SELECT bough.branch_discard('same')", "0A000"),
        ("SELECT set_config('branch', 'same', false)", "0A000"),
        ("SELECT * FROM pg_class", "0A000"),
        ("SELECT * FROM bough.branches", "0A000"),
        ("SELECT pg_sleep(1)", "0A000"),
        ("SELECT $1", "42P02"),
        ("SELEC 1", "42601"),
        ("EXPLAIN SELECT 1", "0A000"),
    ],
)
def test_it_reads_tables_and_nothing_else(shop: psycopg.Connection[Any], query: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as raised:
        shop.execute(f"SHADOW QUERY ON main, same AS {query}")
    assert raised.value.sqlstate == sqlstate
    assert ask(shop, "SELECT count(*) FROM shop") == [(500,)]


def test_the_engine_refuses_writes_too(shop: psycopg.Connection[Any]) -> None:
    shop.execute("CREATE SEQUENCE IF NOT EXISTS shop_numbers")
    rows = ask(shop, "SHADOW QUERY ON main, same AS SELECT nextval('shop_numbers')")
    assert rows[0][6] == "25006: cannot execute a write in a read-only transaction"
    assert ask(shop, "SELECT nextval('shop_numbers')") == [(1,)]


def test_as_a_function(shop: psycopg.Connection[Any]) -> None:
    rows = shop.execute(
        "SELECT branch, rows FROM bough.shadow_query(%s, ARRAY['main', 'other'])", ("SELECT * FROM shop",)
    ).fetchall()
    assert rows == [("main", 500), ("other", 499)]
    counted = "SELECT branch, sum(count) FROM bough.shadow_query('SELECT s FROM shop', 'main, other', return => 'diff')"
    assert ask(shop, f"{counted} GROUP BY branch") == [("main", 1)]


def test_inside_a_block_it_sees_what_is_committed(
    server: ThreadServer, shop: psycopg.Connection[Any]
) -> None:
    with server.connect() as other, other.transaction():
        other.execute("DELETE FROM shop WHERE i > 10")
        rows = ask(other, "SHADOW QUERY ON main, same AS SELECT * FROM shop")
        assert [row[1] for row in rows] == [500, 500]
        raise psycopg.Rollback


def test_it_is_cancelled_with_its_statement(server: ThreadServer, shop: psycopg.Connection[Any]) -> None:
    endless = "SELECT count(*) FROM generate_series(1, 99999) a(i), generate_series(1, 999999) b(j) WHERE i * j % 7 = 3"
    with server.connect() as connection:
        for statement in (f"SHADOW QUERY ON main, same AS {endless}", endless):
            connection.execute("SET statement_timeout = '200ms'")  # counts from the next statement on
            started = time.monotonic()
            with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                connection.execute(statement)
            assert time.monotonic() - started < 30
            connection.execute("RESET statement_timeout")
            assert len(ask(connection, "SHADOW QUERY ON main, same AS SELECT 1")) == 2


async def test_drivers_that_ask_for_the_columns_first(
    server: ThreadServer, shop: psycopg.Connection[Any]
) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        rows = await connection.fetch(
            "SHADOW QUERY ON main, bare AS SELECT i, price FROM shop WHERE i < 3 WITH (return 'rows')"
        )
        assert [tuple(row.values()) for row in rows][2:] == [("bare", 1, 1.1), ("bare", 2, 2.2)]
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch("SHADOW QUERY ON main, bare AS SELECT s FROM shop WITH (return 'diff')")
        rows = await asyncio.wait_for(connection.fetch("SHADOW QUERY ON main, same AS SELECT 1"), 20)
        assert [row["same_as_first"] for row in rows] == [True, True]
    finally:
        await connection.close()


def test_it_can_be_turned_off(start: Any) -> None:
    with start(shadow_mode_enabled="off").connect() as connection:
        connection.execute("BRANCH CREATE b")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="turned off"):
            connection.execute("SHADOW QUERY ON main, b AS SELECT 1")


@pytest.mark.parametrize(
    "form", ["", " WITH (return 'rows')", " WITH (return 'diff')", " WITH (return 'plan')"]
)
def test_a_query_takes_parameters(shop: psycopg.Connection[Any], form: str) -> None:
    for binary in (False, True):
        cursor = shop.cursor(binary=binary)
        text = f"SHADOW QUERY ON main, other AS SELECT i, s FROM shop WHERE i BETWEEN %s AND %s AND s <> %s{form}"
        cursor.execute(text, (4, 6, "nothing"))
        found = cursor.fetchall()
        if form == "":
            assert [(row[0], row[1], row[4]) for row in found] == [("main", 3, True), ("other", 2, False)]
        elif "rows" in form:
            assert sorted(found) == [("main", i, f"s{i % 3}") for i in (4, 5, 6)] + [
                ("other", i, f"s{i % 3}") for i in (4, 6)
            ]
        elif "diff" in form:
            assert found == [("main", 1, 5, "s2")]
        else:
            assert {row[0] for row in found} == {"main", "other"}


def test_parameters_of_a_driver_that_asks_first(server: ThreadServer, shop: psycopg.Connection[Any]) -> None:
    async def run() -> None:
        client = await asyncpg.connect(host="127.0.0.1", port=server.port, user="alice", database="main")
        text = "SHADOW QUERY ON main, other AS SELECT i, price FROM shop WHERE i = $1 AND price < $2"
        assert [tuple(row)[:2] for row in await client.fetch(text, 3, 99.5)] == [("main", 1), ("other", 1)]
        rows = await client.fetch(f"{text} WITH (return 'rows')", 5, 99.5)
        assert [tuple(row) for row in rows] == [("main", 5, 5.5)]
        await client.close()

    asyncio.run(run())
