"""COPY over the wire: psycopg, asyncpg and psql, on main and on branches, with errors, cancels and large data."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from raw_client import RawClient, error, kinds, only
from server_thread import ThreadServer

from proxy.wire import (
    Bind,
    CommandComplete,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    Describe,
    ErrorResponse,
    Execute,
    Parse,
    Query,
    ReadyForQuery,
    Sync,
)

pytestmark = pytest.mark.sampled


def put(connection: psycopg.Connection[Any], statement: str, data: bytes | str) -> str:
    """Copies ``data`` in; the command tag."""
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(data)
        return cursor.statusmessage or ""


def get(connection: psycopg.Connection[Any], statement: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(part) for part in copy)


@pytest.fixture(params=["main", "branch"])
def place(
    request: pytest.FixtureRequest, server: ThreadServer, name: str
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to main, and one to a branch whose parent has rows already."""
    with server.connect() as main:
        main.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, a text NOT NULL DEFAULT 'new',"
            " n numeric(6,2) CHECK (n < 1000), made serial)"
        )
        main.execute(f"INSERT INTO {name} (id, a, n) VALUES (1, 'one', 1), (2, 'two', 2)")
        if request.param == "main":
            yield main
            return
        main.execute(f"BRANCH CREATE {name} FROM main")
        with server.connect(name) as connection:
            yield connection
        assert main.execute(f"SELECT id FROM {name} ORDER BY id").fetchall() == [(1,), (2,)]
        main.execute(f"BRANCH DISCARD {name} WITH (force true)")


def test_rows_arrive_with_keys_defaults_and_checks(place: Any, name: str) -> None:
    assert put(place, f"COPY {name} (id, n) FROM STDIN", "3\t3.005\n4\t\\N\n") == "COPY 2"
    rows = place.execute(f"SELECT id, a, n, made FROM {name} ORDER BY id").fetchall()
    assert rows[2:] == [(3, "new", Decimal("3.01"), 3), (4, "new", None, 4)]
    for data, state in (
        ("5,x\n1,again\n", "23505"), ("6,x\n7,\n8,", "23502"), ("6,x\n6,y\n", "23505"),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error) as caught:
            put(place, f"COPY {name} (id, a) FROM STDIN CSV", data)
        assert caught.value.sqlstate == state
        assert (caught.value.diag.context or "").startswith(f"COPY {name}")
    with pytest.raises(psycopg.errors.CheckViolation):
        put(place, f"COPY {name} (id, n) FROM STDIN CSV", "9,1000\n")
    assert place.execute(f"SELECT count(*) FROM {name}").fetchone() == (4,)


def test_a_bad_row_leaves_nothing_and_says_where(place: Any, name: str) -> None:
    lines = "".join(f"{n},x\n" for n in range(10, 3000))
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
        put(place, f"COPY {name} (id, a) FROM STDIN CSV", lines + "oops,x\n" + lines)
    assert caught.value.diag.context == f'COPY {name}, line 2991, column id: "oops"'
    assert place.execute(f"SELECT count(*) FROM {name}").fetchone() == (2,)


def test_in_a_block(place: Any, name: str) -> None:
    with place.transaction():
        put(place, f"COPY {name} (id, a) FROM STDIN", "10\tx\n")
        assert place.execute(f"SELECT a FROM {name} WHERE id = 10").fetchone() == ("x",)
    with place.transaction(force_rollback=True):
        put(place, f"COPY {name} (id, a) FROM STDIN", "11\tx\n")
    place.execute("BEGIN")
    with pytest.raises(psycopg.errors.BadCopyFileFormat):
        put(place, f"COPY {name} (id, a) FROM STDIN", "12\n")
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        place.execute("SELECT 1")
    place.execute("ROLLBACK")
    assert place.execute(f"SELECT id FROM {name} ORDER BY id").fetchall() == [(1,), (2,), (10,)]


def test_out_and_in_again(place: Any, name: str) -> None:
    put(place, f"COPY {name} (id, a) FROM STDIN CSV", '20,"a ""b"", c"\n21,"x\ny"\n22,""\n')
    for form in ("text", "csv", "csv, HEADER", "csv, FORCE_QUOTE *, DELIMITER ';'", "binary"):
        data = get(place, f"COPY {name} TO STDOUT (FORMAT {form})")
        place.execute("CREATE TEMP TABLE again (id int, a text, n numeric(6,2), made int)")
        form = form.replace(", FORCE_QUOTE *", "")
        assert put(place, f"COPY again FROM STDIN (FORMAT {form})", data) == "COPY 5"
        both = "SELECT * FROM {} ORDER BY id"
        assert place.execute(both.format("again")).fetchall() == place.execute(both.format(name)).fetchall()
        place.execute("DROP TABLE again")
    text = get(place, f"COPY (SELECT id, a FROM {name} WHERE id > 20 ORDER BY id) TO STDOUT (HEADER)")
    assert text == b"id\ta\n21\tx\\ny\n22\t\n"
    assert (
        get(place, "COPY (SELECT 1 WHERE false) TO STDOUT (FORMAT binary)")
        == b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
    )


def test_a_where_and_a_returning(place: Any, name: str) -> None:
    assert (
        put(place, f"COPY {name} (id, a) FROM STDIN WHERE id > 30 AND a LIKE 'x%'", "30\tx\n31\tx\n32\ty\n")
        == "COPY 1"
    )
    assert get(place, f"COPY (DELETE FROM {name} WHERE id = 31 RETURNING id, a) TO STDOUT") == b"31\tx\n"
    assert place.execute(f"SELECT count(*) FROM {name}").fetchone() == (2,)
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        put(place, f"COPY {name} (id) FROM STDIN WHERE n > 1", "1\n")


REFUSALS = [
    ("COPY nope FROM STDIN", "42P01"), ("COPY nope TO STDOUT", "42P01"), ("COPY {} (nope) FROM STDIN", "42703"),
    ("COPY {} (id, id) FROM STDIN", "42701"), ("COPY {}_view FROM STDIN", "42809"),
    ("COPY {}_view TO STDOUT", "42809"), ("COPY {} FROM STDIN (FORMAT xml)", "22023"),
    ("COPY {} FROM STDIN (ENCODING 'LATIN1')", "0A000"),
    ("COPY {} (id) FROM STDIN (FORMAT csv, FORCE_NULL (a))", "42P10"),
    ("COPY {} FROM '/etc/passwd'", "42501"), ("COPY {} TO '/tmp/x'", "42501"), ("COPY {} FROM PROGRAM 'id'", "42501"),
    ("COPY (DELETE FROM {}) TO STDOUT", "0A000"), ("COPY {} (_bough_rid) FROM STDIN", "42703"),
    ("COPY {} (_bough_rid) TO STDOUT", "42703"), ("COPY (SELECT _bough_ver FROM {}) TO STDOUT", "42703"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sqlstate"), REFUSALS)
def test_refusals(server: ThreadServer, name: str, statement: str, sqlstate: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id int, a text)")
        connection.execute(f"CREATE VIEW {name}_view AS SELECT * FROM {name}")
        with pytest.raises(psycopg.Error) as caught:
            put(connection, statement.format(name), "")
        assert caught.value.sqlstate == sqlstate
        if sqlstate == "42501":
            assert "\\copy" in (caught.value.diag.message_hint or "")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_read_only(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id int)")
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
            put(connection, f"COPY {name} FROM STDIN", "1\n")


TYPES = """b bool, i2 int2, i4 int4, i8 int8, f4 real, f8 float8, n numeric(20,4), bare numeric, t text,
    v varchar(5), y bytea, d date, ti time, tz timetz, ts timestamp, tt timestamptz, iv interval, u uuid,
    j json, jb jsonb, ia int[], ta text[]"""
VALUES = [
    r"""true, -5, 7, 1099511627776, 1.5, -2.25, 12345.6789, 1.5, E'\u00fc\t\\\n',
    '', '\x00ff', '2020-02-29', '01:02:03.000004', '01:02:03+02', '2020-01-02 03:04:05.6',
    '2020-01-02 03:04:05+00', '1 year 2 mons -3 days 04:05:06', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    '{"a": 1}', '[1]', '{1,NULL,3}'::int[], '{"a b",NULL,""}'::text[]""",
    ", ".join(["NULL"] * 22),
    r"""false, 32767, -2147483648, -9223372036854775808, 'NaN', 'Infinity', -0.0001, 0, '\N',
    '"', '', 'infinity', '00:00:00', '23:59:59-11:30', '-infinity',
    'infinity', '-1 mons', NULL,
    'null', '"x"', '{}'::int[], '{NULL}'::text[]""",
]


def test_every_type_by_every_format(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} ({TYPES})")
        for values in VALUES:
            connection.execute(f"INSERT INTO {name} VALUES ({values})")
        connection.execute(f"CREATE TABLE {name}_2 ({TYPES})")
        for form in ("text", "csv", "binary"):
            data = get(connection, f"COPY {name} TO STDOUT (FORMAT {form})")
            connection.execute(f"TRUNCATE {name}_2")
            assert put(connection, f"COPY {name}_2 FROM STDIN (FORMAT {form})", data) == "COPY 3"
            assert get(connection, f"COPY {name}_2 TO STDOUT (FORMAT {form})") == data
            assert get(connection, f"COPY {name}_2 TO STDOUT") == get(connection, f"COPY {name} TO STDOUT")


def test_psycopg_rows_and_types(server: ThreadServer, name: str) -> None:
    rows = [
        (1, "a\tb", Decimal("1.50"), dt.date(2020, 1, 2)),
        (2, None, None, None),
        (3, "", Decimal(3), None),
    ]
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int, t text, n numeric(8,2), d date)")
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            with cursor.copy(f"COPY {name} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text", "numeric", "date"])
                for row in rows:
                    copy.write_row(row)
            for form in ("", "(FORMAT BINARY)"):
                with cursor.copy(f"COPY (SELECT * FROM {name} ORDER BY i) TO STDOUT {form}") as copy:
                    copy.set_types(["int4", "text", "numeric", "date"])
                    assert list(copy.rows()) == sorted(rows * 2, key=lambda row: row[0])


async def test_asyncpg(server: ThreadServer, name: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(
            f"CREATE TABLE {name} (id int, t text, u uuid, n numeric, at timestamptz, a int[], j jsonb)"
        )
        at = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
        rows = [(i, f"t{i}", uuid.UUID(int=i), Decimal(i) / 4, at, [i, None], None) for i in range(3000)]
        assert await connection.copy_records_to_table(name, records=rows) == "COPY 3000"
        found = await connection.fetch(f"SELECT * FROM {name} ORDER BY id")
        assert [tuple(row) for row in found] == rows
        out = io.BytesIO()
        query = f"SELECT id, t FROM {name} WHERE id < 2 ORDER BY id"
        assert await connection.copy_from_query(query, output=out, format="csv", header=True) == "COPY 2"
        assert out.getvalue() == b"id,t\n0,t0\n1,t1\n"
        out = io.BytesIO()
        assert await connection.copy_from_table(name, output=out, format="binary") == "COPY 3000"
        out.seek(0)
        assert await connection.copy_to_table(name, source=out, format="binary") == "COPY 3000"
        assert (
            await connection.copy_to_table(
                name, source=io.BytesIO(b"7,x\n"), columns=["id", "t"], format="csv"
            )
            == "COPY 1"
        )
        with pytest.raises(asyncpg.exceptions.BadCopyFileFormatError):
            await connection.copy_to_table(name, source=io.BytesIO(b"nope"), format="binary")
        assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 6001
    finally:
        await connection.close()


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_psql(server: ThreadServer, name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,v\n1,a\n2,"b, c"\n3,\n')
    script = (
        f"CREATE TABLE {name} (id int PRIMARY KEY, v text);\n"
        f"\\copy {name} from '{source}' csv header\n"
        f"COPY {name} FROM stdin;\n4\tx\\ty\n5\t\\N\n\\.\n"
        f"\\copy (select * from {name} order by id) to '{target}' with (format csv, header)\n"
        f"SELECT count(*) FROM {name};\n"
    )
    environment = os.environ | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "alice"}
    found = subprocess.run(
        ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "main"],
        input=script, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (0, "5\n"), found.stderr
    assert target.read_text() == 'id,v\n1,a\n2,"b, c"\n3,\n4,x\ty\n5,\n'


# -- the protocol -------------------------------------------------------------------------------------------------


def test_several_statements_in_one_query(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as client:
        client.query(f"CREATE TABLE {name} (i int)")
        client.send(
            Query(f"INSERT INTO {name} VALUES (1); COPY {name} FROM STDIN; SELECT count(*) FROM {name}")
        )
        while not isinstance(client.message(), CopyInResponse):
            pass
        client.send(CopyData(b"2\n3"), CopyData(b"\n"), CopyDone())
        assert [m.tag for m in only(client.until_ready(), CommandComplete)] == ["COPY 2", "SELECT 1"]
        client.send(
            Query(f"INSERT INTO {name} VALUES (9); COPY {name} FROM STDIN; SELECT 1"),
            CopyData(b"x\n"),
            CopyDone(),
        )
        answers = client.until_ready()
        assert error(answers).where == f'COPY {name}, line 1, column i: "x"'
        counted = client.query(f"SELECT count(*)::text FROM {name}")
        assert b"3" in [row.values[0] for row in counted if hasattr(row, "values")]


def test_a_client_that_gives_up(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as client:
        client.query(f"CREATE TABLE {name} (i int)")
        client.send(Query(f"COPY {name} FROM STDIN"), CopyData(b"1\n"), CopyFail("no more"))
        found = error(client.until_ready())
        assert (found.sqlstate, found.message) == ("57014", "COPY from stdin failed: no more")
        client.send(Query(f"COPY {name} FROM STDIN"), CopyData(b"1\n2"))  # and goes away
    with server.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)


def test_data_after_an_error_is_dropped(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as client:
        client.query(f"CREATE TABLE {name} (i int)")
        client.send(Query(f"COPY {name} FROM STDIN"), *[CopyData(b"x\n" * 100_000) for _ in range(40)])
        assert error(client.until_ready()).sqlstate == "22P02"
        client.send(CopyData(b"1\n"), CopyDone())
        assert kinds(client.query("SELECT 1")) == [
            "RowDescription",
            "DataRow",
            "CommandComplete",
            "ReadyForQuery",
        ]


def test_the_extended_protocol(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as client:
        client.query(f"CREATE TABLE {name} (i int)")
        start = [
            Parse("", f"COPY {name} FROM STDIN", ()),
            Bind("", "", (), (), ()),
            Describe("P", ""),
            Execute("", 0),
            Sync(),
        ]
        client.send(*start, CopyData(b"1\n2\n"), CopyDone(), Sync())
        answers = client.until_ready()
        assert kinds(answers) == [
            "ParseComplete", "BindComplete", "NoData", "CopyInResponse", "CommandComplete", "ReadyForQuery",
        ]  # fmt: skip
        client.send(*start, CopyData(b"x\n"), CopyDone(), Sync())
        answers = client.until_ready()
        assert (error(answers).sqlstate, answers[-1]) == ("22P02", ReadyForQuery("I"))
        client.send(*start)
        while not isinstance(client.message(), CopyInResponse):
            pass
        client.send(CopyFail("enough"), Sync())
        assert error(client.until_ready()).sqlstate == "57014"
        assert only(client.query(f"SELECT i FROM {name}"), CommandComplete)[0].tag == "SELECT 2"
        assert not only(client.query("SELECT 1"), ErrorResponse)


def test_cancel_while_waiting_for_rows(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int)")
        with (
            pytest.raises(psycopg.errors.QueryCanceled),
            connection.cursor().copy(f"COPY {name} FROM STDIN") as copy,
        ):
            copy.write("1\n")
            connection.cancel_safe()
            for _ in range(50):
                time.sleep(0.01)
                copy.write("2\n")
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)


def test_a_time_limit_counts_the_client_too(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as client:
        client.query(f"CREATE TABLE {name} (i int); SET statement_timeout = '200ms'")
        client.send(Query(f"COPY {name} FROM STDIN"), CopyData(b"1\n"))
        found = error(client.until_ready())
        assert (found.sqlstate, found.message) == ("57014", "canceling statement due to statement timeout")
        assert not only(client.query("SELECT 1"), ErrorResponse)


def test_cancel_of_a_copy_out(server: ThreadServer) -> None:
    with server.connect() as connection:
        query = "COPY (SELECT a.i, b.i FROM generate_series(1, 100000) a(i), generate_series(1, 100000) b(i)) TO STDOUT"
        with pytest.raises(psycopg.errors.QueryCanceled), connection.cursor().copy(query) as copy:
            for number, _ in enumerate(copy):
                if number == 5:
                    connection.cancel_safe()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_many_rows(server: ThreadServer, name: str) -> None:
    """More than a chunk, in pieces that end anywhere; the same out as in."""
    data = "".join(
        f'{n},"name {n % 97}",{n + 0.5},2020-01-{n % 28 + 1:02}\n' for n in range(200_000)
    ).encode()
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int PRIMARY KEY, t text, f float8, d date)")
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY {name} FROM STDIN CSV") as copy:
                for at in range(0, len(data), 99_991):
                    copy.write(data[at : at + 99_991])
            assert cursor.statusmessage == "COPY 200000"
        out = get(connection, f"COPY (SELECT * FROM {name} ORDER BY i) TO STDOUT CSV")
        assert out == data.replace(b'"', b"")


async def test_foreign_keys_and_several_writers(server: ThreadServer, name: str) -> None:
    first, second = await asyncio.gather(*(asyncpg.connect(server.url()) for _ in range(2)))
    try:
        await first.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
        await first.execute(f"CREATE TABLE {name}_2 (id int REFERENCES {name})")
        sources = [io.BytesIO("".join(f"{n}\n" for n in range(k, 20_000, 2)).encode()) for k in (0, 1)]
        tags = await asyncio.gather(
            *(
                c.copy_to_table(name, source=source)
                for c, source in zip((first, second), sources, strict=True)
            )
        )
        assert tags == ["COPY 10000", "COPY 10000"]
        assert await first.copy_to_table(f"{name}_2", source=io.BytesIO(b"5\n")) == "COPY 1"
        with pytest.raises(asyncpg.exceptions.ForeignKeyViolationError):
            await first.copy_to_table(f"{name}_2", source=io.BytesIO(b"5\n20000\n"))
        assert await first.fetchval(f"SELECT count(*) FROM {name}_2") == 1
    finally:
        await first.close()
        await second.close()
