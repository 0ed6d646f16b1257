"""Diffs as a client gets them: in the table's own types, in larger queries, page by page, as statements that work."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

PSQL = shutil.which("psql")
COLUMNS = (
    "id int PRIMARY KEY, s smallint, l bigint, n numeric(12,3), r real, d float8, b boolean, t text, v varchar(10),"
    " ts timestamp, tz timestamptz, day date, tm time, u uuid, j json, jb jsonb, y bytea, a int[], w text[], i interval"
)
OLD = (
    "7, 9000000000, 1.250, 1.5, 0.1, true, 'it''s', 'vä', '2020-01-02 03:04:05.678901', '2020-01-02 03:04:05+01',"
    " '1999-12-31', '23:59:59', '6f1d2a50-0000-4000-8000-000000000001', '{\"a\": 1}', '{\"b\": [1, 2]}', '\\x00ff27',"
    " ARRAY[1, NULL, 3], ARRAY['a,b', 'c''d'], '1 day 02:03:04'"
)


def typed(server: ThreadServer, name: str) -> psycopg.Connection[Any]:
    connection = server.connect()
    connection.execute(f"CREATE TABLE {name} ({COLUMNS})")
    connection.execute(f"INSERT INTO {name} VALUES (1, {OLD}), (2, {OLD}), (10, {OLD})")
    connection.execute(f"BRANCH CREATE {name}_b")
    with server.connect(f"{name}_b") as branch:
        branch.execute(f"UPDATE {name} SET l = l + 1, n = 2.5, jb = '{{}}' WHERE id IN (1, 10)")
        branch.execute(f"DELETE FROM {name} WHERE id = 2")
        branch.execute(f"INSERT INTO {name} (id) VALUES (3)")
    return connection


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("form", ["function", "command"])
def test_cells_have_the_types_of_the_table(server: ThreadServer, name: str, form: str, binary: bool) -> None:
    with typed(server, name) as connection:
        text = (
            f"SELECT * FROM bough.diff('public.{name}', 'main', '{name}_b')"
            if form == "function"
            else f"BRANCH DIFF {name}_b TABLE {name} WITH (format 'rows')"
        )
        table = connection.execute(f"SELECT * FROM {name} ORDER BY id", binary=binary)
        assert table.description is not None
        types = {column.name: column.type_code for column in table.description}
        stored = {row[0]: row for row in table.fetchall()}
        cursor = connection.execute(text, binary=binary)
        assert cursor.description is not None
        key = ["id"] if form == "function" else []
        expected = ["change_type", *key, *(w + c for c in types for w in ("from_", "to_"))]
        assert [column.name for column in cursor.description] == expected
        for column in cursor.description:
            if column.name != "change_type":
                plain = column.name.removeprefix("from_").removeprefix("to_")
                assert column.type_code == types[plain], column.name
        rows = [dict(zip(expected, row, strict=True)) for row in cursor]
        assert [row["change_type"] for row in rows] == ["modified", "removed", "added", "modified"]
        assert [row["from_id"] for row in rows] == [1, 2, None, 10]
        for row in rows:
            if row["from_id"] is not None:
                assert tuple(row[f"from_{c}"] for c in types) == stored[row["from_id"]]
        assert (rows[0]["to_l"], rows[0]["to_n"], rows[0]["to_jb"]) == (9000000001, Decimal("2.500"), {})
        assert rows[0]["to_ts"] == rows[0]["from_ts"]


def test_the_function_in_a_larger_query(server: ThreadServer, name: str) -> None:
    with typed(server, name) as connection:
        diff = f"bough.diff('{name}', 'main', '{name}_b')"
        run = connection.execute
        assert run(f"SELECT count(*), max(to_l) FROM {diff}").fetchone() == (4, 9000000001)
        assert run(f"SELECT from_id FROM {diff} WHERE to_n > 2 ORDER BY from_id DESC").fetchall() == [
            (10,),
            (1,),
        ]
        assert run(
            f"SELECT t.id, d.to_l - t.l FROM {name} AS t JOIN {diff} AS d USING (id) WHERE d.change_type <> 'removed'"
            " ORDER BY 1"
        ).fetchall() == [(1, 1), (10, 1)]
        assert run(
            f"WITH x AS (SELECT * FROM {diff}) SELECT x.change_type, y.id FROM x, {diff} AS y"
            " WHERE x.id = y.id AND x.to_ts < now() ORDER BY y.id"
        ).fetchall() == [("modified", 1), ("modified", 10)]
        assert run(
            f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {diff} WHERE from_day = date '1999-12-31')"
        ).fetchone()
        run(f"CREATE TABLE {name}_kept AS SELECT id, from_jb, to_tz FROM {diff}")
        run(f"INSERT INTO {name}_kept SELECT id, from_jb, to_tz FROM {diff}")
        assert run(f"SELECT count(*), count(from_jb) FROM {name}_kept").fetchone() == (8, 6)
        with connection.transaction():  # in a block that has read and written
            run(f"DELETE FROM {name}_kept")
            assert run(f"SELECT count(*) FROM {diff}").fetchone() == (4,)
            run(f"DECLARE c CURSOR FOR SELECT id FROM {diff} ORDER BY id")
            assert run("FETCH 3 FROM c").fetchall() == [(1,), (2,), (3,)]
        cursor = run(f"SELECT from_v, to_jb, change_type FROM {diff}")
        assert [column.type_code for column in cursor.description or ()] == [1043, 3802, 25]


def test_a_time_zone_is_that_of_the_session(server: ThreadServer, name: str) -> None:
    with typed(server, name) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        for text in (
            f"SELECT from_tz::text FROM bough.diff('{name}', 'main', '{name}_b') WHERE id = 1",
            f"SELECT tz::text FROM {name} WHERE id = 1",
        ):
            assert connection.execute(text).fetchone() == ("2020-01-02 11:04:05+09",)


def test_asyncpg_prepares_it(server: ThreadServer, name: str) -> None:
    typed(server, name).close()

    async def main() -> None:
        connection = await asyncpg.connect(server.url())
        try:
            prepared = await connection.prepare(f"SELECT id, to_ts, to_n FROM bough.diff('{name}', $1, $2)")
            assert [item.type.name for item in prepared.get_attributes()] == ["int4", "timestamp", "numeric"]
            rows = await prepared.fetch("main", f"{name}_b")
            assert [row["id"] for row in rows] == [1, 2, 3, 10]
            assert rows[0]["to_ts"].microsecond == 678901
            command = await connection.prepare(f"BRANCH DIFF {name}_b TABLE {name} WITH (format 'rows')")
            assert {"int4", "jsonb", "timestamptz"} <= {item.type.name for item in command.get_attributes()}
            assert len(await command.fetch()) == 4
            whole = await connection.prepare(f"SELECT * FROM bough.diff('{name}', $1, $2)")
            other = await asyncpg.connect(server.url(f"{name}_b"))
            await other.execute(f"ALTER TABLE {name} ALTER COLUMN s TYPE text")
            await other.close()
            with pytest.raises(asyncpg.FeatureNotSupportedError, match="must not change result type"):
                await whole.fetch("main", f"{name}_b")
            again = await connection.fetch(
                f"SELECT to_s FROM bough.diff('{name}', 'main', '{name}_b') WHERE id = 1"
            )
            assert again[0][0] == "7"
            with pytest.raises(asyncpg.FeatureNotSupportedError, match="which is a parameter"):
                await connection.fetch("SELECT * FROM bough.diff($1)", name)
        finally:
            await connection.close()

    asyncio.run(main())


@pytest.mark.skipif(PSQL is None, reason="psql is not installed")
def test_psql_is_told_the_types(server: ThreadServer, name: str) -> None:
    typed(server, name).close()
    for text in (
        f"SELECT id, to_v, to_jb, to_n FROM bough.diff('{name}', 'main', '{name}_b')",
        f"BRANCH DIFF {name}_b TABLE {name} WITH (format 'rows')",
    ):
        found = subprocess.run(
            [str(PSQL), server.url(), "-X", "-At"],
            input=f"{text} \\gdesc\n", capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert {"to_v|character varying(10)", "to_jb|jsonb", "to_n|numeric(12,3)"} <= set(
            found.stdout.splitlines()
        ), found


def test_limit_and_names(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        run = connection.execute
        run(f'CREATE SCHEMA "{name} Ü"')
        run(f'CREATE TABLE "{name} Ü"."a.b ""q""" ("Käse.x" int, v text)')
        run(f"BRANCH CREATE {name}_b")
        with server.connect(f"{name}_b") as branch:
            branch.execute(
                f'INSERT INTO "{name} Ü"."a.b ""q""" SELECT i, NULL FROM generate_series(1, 5) AS g(i)'
            )
        quoted = f'"{name} Ü"."a.b ""q"""'
        rows = run(f"BRANCH DIFF {name}_b TABLE {quoted} WITH (format 'rows', limit 2, offset 1)").fetchall()
        assert [row[2] for row in rows] == [2, 3]
        assert run(f"SELECT \"to_Käse.x\" FROM bough.diff('{quoted}', 'main', '{name}_b')").fetchall()[4] == (
            5,
        )
        run(f'SET search_path = "{name} Ü"')
        (summary,) = run(f'BRANCH DIFF {name}_b TABLE "a.b ""q"""').fetchall()
        assert summary[1:4] == ('a.b "q"', "changed", 5)
        for form in ("summary", "rows", "schema", "sql"):
            with pytest.raises(psycopg.errors.UndefinedTable) as caught:
                run(f"BRANCH DIFF {name}_b TABLE nope WITH (format '{form}')")
            assert caught.value.diag.message_hint
        with pytest.raises(psycopg.Error) as wrong:
            run(f"BRANCH DIFF {name}_b WITH (format 'xml')")
        assert wrong.value.sqlstate == "22023" and "summary" in str(wrong.value)
