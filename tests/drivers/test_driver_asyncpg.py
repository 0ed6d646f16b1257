"""asyncpg: binary both ways, prepared statements with untyped parameters, pools."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from server_thread import ThreadServer


@pytest.fixture
async def connection(server: ThreadServer) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(server.url())
    yield opened
    await opened.close()


async def test_untyped_parameters(connection: Any, name: str) -> None:
    await connection.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, t text, n numeric(10,2), at timestamptz)"
    )
    at = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    tag = await connection.execute(
        f"INSERT INTO {name} (id, t, n, at) VALUES ($1, $2, $3, $4)", 1, "a", decimal.Decimal("1.25"), at
    )
    assert tag == "INSERT 0 1"
    row = await connection.fetchrow(f"SELECT * FROM {name} WHERE id = $1 AND t = $2 AND at = $3", 1, "a", at)
    assert dict(row) == {"id": 1, "t": "a", "n": decimal.Decimal("1.25"), "at": at}
    assert await connection.fetchval(f"SELECT count(*) FROM {name} WHERE id = ANY($1)", [1, 2]) == 1
    assert await connection.fetchval(f"SELECT t FROM {name} WHERE n BETWEEN $1 AND $2", 1, 2) == "a"
    assert (
        await connection.execute(f"UPDATE {name} SET n = n + $1 WHERE id IN ($2, $3)", 1, 1, 2) == "UPDATE 1"
    )
    assert await connection.fetch(f"SELECT id FROM {name} LIMIT $1 OFFSET $2", 5, 0) == [(1,)]
    assert await connection.fetchval("SELECT $1::int + $2::int", 1, 2) == 3
    assert await connection.fetchval("SELECT $1", "text") == "text"
    assert await connection.fetchval("SELECT coalesce($1, 'none')", None) == "none"
    assert await connection.execute(f"DELETE FROM {name} WHERE id = $1", 1) == "DELETE 1"


async def test_types(connection: Any, name: str) -> None:
    values = {
        "boolean": True,
        "int2": -5,
        "int4": 7,
        "int8": 2**40,
        "real": 1.5,
        "float8": -2.25,
        "numeric(20,4)": decimal.Decimal("12345.6789"),
        "text": "ü",
        "bytea": b"\x00\xff",
        "date": dt.date(2020, 2, 29),
        "time": dt.time(1, 2, 3, 4),
        "timestamp": dt.datetime(2020, 1, 2, 3, 4, 5),
        "timestamptz": dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "interval": dt.timedelta(days=2, seconds=5),
        "uuid": uuid.UUID(int=5),
        "json": '{"a": 1}',
        "jsonb": '{"a": 1}',
        "int4[]": [1, None, 3],
        "text[]": ["x", 'y "q"', None],
        "uuid[]": [uuid.UUID(int=1)],
        "timestamp[]": [dt.datetime(2020, 1, 1)],
    }
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(values))
    await connection.execute(f"CREATE TABLE {name} ({columns})")
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO {name} VALUES ({marks})", *values.values())
    await connection.execute(f"INSERT INTO {name} VALUES ({marks})", *[None] * len(values))
    rows = await connection.fetch(f"SELECT * FROM {name} ORDER BY c0 NULLS LAST")
    assert [tuple(row) for row in rows] == [tuple(values.values()), (None,) * len(values)]


async def test_prepared_statements(connection: Any, name: str) -> None:
    await connection.execute(
        f"CREATE TABLE {name} AS SELECT i::int AS id, 'n' || i AS t FROM generate_series(1, 100) g(i)"
    )
    statement = await connection.prepare(f"SELECT t FROM {name} WHERE id = $1")
    assert [parameter.name for parameter in statement.get_parameters()] == ["int4"]
    assert [attribute.type.name for attribute in statement.get_attributes()] == ["text"]
    for number in (1, 50, 100):
        assert await statement.fetchval(number) == f"n{number}"
    assert await statement.fetchval(101) is None
    with pytest.raises(asyncpg.DataError):
        await statement.fetchval("no number")


async def test_transactions(connection: Any, name: str) -> None:
    await connection.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
    async with connection.transaction():
        await connection.execute(f"INSERT INTO {name} VALUES (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {name} VALUES (2)")
            await connection.execute(f"INSERT INTO {name} VALUES (1)")
    assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 1
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        assert await connection.fetchval(f"SELECT i FROM {name}") == 1
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute(f"INSERT INTO {name} VALUES (3)")


async def test_cursors(connection: Any) -> None:
    async with connection.transaction():
        total = 0
        async for row in connection.cursor(
            "SELECT i FROM generate_series(1, $1::int) AS g(i)", 1000, prefetch=64
        ):
            total += row["i"]
        assert total == 500500
        cursor = await connection.cursor("SELECT i FROM generate_series(1, 10) AS g(i) ORDER BY i")
        assert await cursor.fetchrow() == (1,)
        assert await cursor.forward(3) == 3
        assert [row["i"] for row in await cursor.fetch(3)] == [5, 6, 7]
        assert [row["i"] for row in await cursor.fetch(30)] == [8, 9, 10]
        assert await cursor.fetch(1) == []


async def test_executemany(connection: Any, name: str) -> None:
    await connection.execute(f"CREATE TABLE {name} (i int, t text)")
    await connection.executemany(f"INSERT INTO {name} VALUES ($1, $2)", [(i, str(i)) for i in range(100)])
    assert await connection.fetchval(f"SELECT sum(i) FROM {name}") == 4950
    await connection.execute(f"CREATE UNIQUE INDEX {name}_u ON {name} (i)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.executemany(f"INSERT INTO {name} VALUES ($1, $2)", [(1000, ""), (0, "")])
    assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 100


async def test_a_pool_gives_every_borrower_the_startup_branch(server: ThreadServer, branch: str) -> None:
    for start in ("main", branch):
        async with asyncpg.create_pool(server.url(start), min_size=1, max_size=1) as pool:
            for other in ("main", branch):
                async with pool.acquire() as borrowed:
                    assert await borrowed.fetchval("SELECT current_branch()") == start
                    await borrowed.execute(f'BRANCH SWITCH "{other}"')
                    await borrowed.execute("SET statement_timeout = '77s'")
                    assert await borrowed.fetchval("SELECT current_branch()") == other
            async with pool.acquire() as borrowed:
                assert await borrowed.fetchval("SHOW branch") == start
                assert await borrowed.fetchval("SHOW statement_timeout") == "0"


async def test_many_at_once(server: ThreadServer, branch: str) -> None:
    async with asyncpg.create_pool(server.url(), min_size=4, max_size=8) as pool:
        await pool.execute(f"CREATE TABLE {branch}_n (i int)")

        async def one(number: int) -> int:
            await pool.execute(f"INSERT INTO {branch}_n VALUES ($1)", number)
            return int(await pool.fetchval("SELECT $1::int", number))

        assert await asyncio.gather(*(one(number) for number in range(60))) == list(range(60))
        assert await pool.fetchval(f"SELECT count(*) FROM {branch}_n") == 60


async def test_a_timeout_cancels_and_the_connection_goes_on(connection: Any) -> None:
    for slow in (
        "SELECT pg_sleep(30)",
        "SELECT count(*) FROM generate_series(1, 100000000) a(i), generate_series(1, 1000) b(j) WHERE (i + j) % 7 = 3",
    ):
        with pytest.raises(TimeoutError):
            await connection.fetch(slow, timeout=0.1)
        assert await connection.fetchval("SELECT 7") == 7


async def test_composite_queries_of_the_driver(connection: Any, name: str) -> None:
    """What asyncpg asks of the catalog for a type it does not know."""
    await connection.execute(f"CREATE TABLE {name} (j jsonb)")
    await connection.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")
    await connection.execute(f"INSERT INTO {name} VALUES ($1)", '{"a": 1}')
    assert await connection.fetchval(f"SELECT j FROM {name}") == '{"a": 1}'
    await connection.reload_schema_state()
    assert await connection.fetchval("SELECT 1") == 1
