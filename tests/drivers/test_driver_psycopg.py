"""psycopg 3: text and binary, on main and on a branch."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import uuid
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Json, Jsonb
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

UTC = dt.UTC
VALUES: list[tuple[str, list[Any]]] = [
    ("boolean", [True, False]),
    ("int2", [0, -(2**15), 2**15 - 1]),
    ("int4", [0, -(2**31), 2**31 - 1]),
    ("int8", [0, -(2**63), 2**63 - 1]),
    ("real", [0.0, 1.5, -3.25, float("inf"), float("-inf")]),
    ("double precision", [0.1, -1e308, 5e-324, float("inf"), float("-inf")]),
    ("numeric(20,4)", [decimal.Decimal("12345.6789"), decimal.Decimal("-0.0001"), decimal.Decimal("0.0000")]),
    ("numeric(38,0)", [decimal.Decimal("9" * 38), decimal.Decimal("-" + "9" * 38)]),
    ("text", ["", "a", "ü € 😀", "a'b\\c\n\t\"", "x" * 10_000]),
    ("varchar(20)", ["vc", "ü"]),
    ("bytea", [b"", b"\x00\xff\\x", bytes(range(256))]),
    ("date", [dt.date(1, 1, 1), dt.date(2020, 2, 29), dt.date(9999, 12, 31)]),
    ("time", [dt.time(0), dt.time(23, 59, 59, 999999)]),
    ("timestamp", [dt.datetime(1, 1, 1), dt.datetime(2020, 1, 2, 3, 4, 5, 678901)]),
    ("timestamptz", [dt.datetime(1970, 1, 1, tzinfo=UTC), dt.datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC)]),
    ("interval", [dt.timedelta(0), dt.timedelta(days=-3, seconds=5, microseconds=7)]),
    (
        "uuid",
        [uuid.UUID(int=0), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), uuid.UUID(int=2**128 - 1)],
    ),
    ("int4[]", [[], [1, None, -3]]),
    ("int8[]", [[2**62]]),
    ("text[]", [[], ["x", 'y "q"', None, "NULL", "", "a,b", "{}", "\\"]]),
    ("float8[]", [[1.5, None]]),
    ("boolean[]", [[True, False, None]]),
    ("date[]", [[dt.date(2020, 1, 1), None]]),
    ("uuid[]", [[uuid.UUID(int=1)]]),
    ("timestamptz[]", [[dt.datetime(2020, 1, 1, tzinfo=UTC)]]),
    ("numeric(10,2)[]", [[decimal.Decimal("1.25"), None]]),
]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[kind for kind, _ in VALUES])
def test_every_type_round_trips(
    server: ThreadServer, name: str, kind: str, values: list[Any], binary: bool
) -> None:
    table = sql.Identifier(name)
    placeholder = "%b" if binary else "%t"
    with server.connect() as connection:
        cursor = connection.cursor(binary=binary)
        cursor.execute(sql.SQL("CREATE TABLE {} (id int, v {})").format(table, sql.SQL(kind)))  # type: ignore[arg-type]
        given = [*values, None]
        for number, value in enumerate(given):
            cursor.execute(
                sql.SQL(f"INSERT INTO {{}} VALUES (%s, {placeholder}) RETURNING v").format(table),
                (number, value),
            )
            assert cursor.fetchone() == (value,)
        cursor.execute(sql.SQL("SELECT v FROM {} ORDER BY id").format(table))
        assert [row[0] for row in cursor] == given
        cursor.execute(
            sql.SQL(f"SELECT count(*) FROM {{}} WHERE v = {placeholder}").format(table), (values[0],)
        )
        assert cursor.fetchone() == (1,)
        cursor.execute(sql.SQL("DROP TABLE {}").format(table))


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_json(server: ThreadServer, name: str, binary: bool) -> None:
    with server.connect() as connection:
        cursor = connection.cursor(binary=binary)
        cursor.execute(f"CREATE TABLE {name} (j json, b jsonb)")
        value = {"a": [1, None, "é"], "b": {"c": True}}
        cursor.execute(f"INSERT INTO {name} VALUES (%s, %s)", (Json(value), Jsonb(value)))
        cursor.execute(f"SELECT j, b, j->'a', b->'b'->>'c' FROM {name}")
        assert [column.type_code for column in cursor.description or ()][:2] == [114, 3802]
        assert cursor.fetchone() == (value, value, value["a"], "true")


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_values_that_python_cannot_hold(server: ThreadServer, binary: bool) -> None:
    """Infinities, BC dates, intervals with months: what the client is sent is exact."""
    texts = [
        ("date", "infinity"),
        ("date", "-infinity"),
        ("timestamp", "infinity"),
        ("timestamp", "-infinity"),
        ("timestamptz", "infinity"),
        ("interval", "1 year 2 mons 3 days 04:05:06.7"),
        ("interval", "-1 mons +3 days -00:00:01"),
        ("double precision", "NaN"),
        ("double precision", "-Infinity"),
        ("real", "NaN"),
    ]
    with server.connect() as connection:
        for kind, text in texts:
            raw = connection.execute(f"SELECT %s::{kind}", (text,)).pgresult
            assert raw is not None
            assert raw.get_value(0, 0) == text.encode(), kind
            if binary:  # what came in binary goes back in binary and is the same
                value = connection.cursor(binary=True).execute(f"SELECT %s::{kind}", (text,)).pgresult
                assert value is not None
                data = value.get_value(0, 0)
                back = connection.pgconn.exec_params(
                    f"SELECT $1::{kind}".encode(), [data], [value.ftype(0)], [1], 0
                )
                assert back.get_value(0, 0) == text.encode(), kind


def test_dates_before_christ(server: ThreadServer) -> None:
    with server.connect() as connection:
        for kind, text in [("date", "0044-03-15 BC"), ("timestamp", "0044-03-15 12:00:00 BC")]:
            oid = psycopg.adapters.types[kind].oid
            for form in (0, 1):
                given = connection.pgconn.exec_params(b"SELECT $1", [text.encode()], [oid], [0], form)
                back = connection.pgconn.exec_params(b"SELECT $1", [given.get_value(0, 0)], [oid], [form], 0)
                assert back.get_value(0, 0) == text.encode()


def test_numeric_nan_is_refused_where_the_engine_has_none(server: ThreadServer) -> None:
    with server.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT %b::numeric", (decimal.Decimal("NaN"),))
    assert caught.value.sqlstate in ("22003", "0A000", "22P02")


def test_description(server: ThreadServer) -> None:
    with server.connect() as connection:
        cursor = connection.execute(
            "SELECT 1::int2, 1, 1::int8, 1.5::real, 1.5::float8, 1.25::numeric(10,2), 'a'::text,"
            " true, now(), now()::timestamp, current_date, '1 day'::interval, 'x'::bytea, '{1}'::int[], null"
        )
        codes = [column.type_code for column in cursor.description or ()]
        assert codes == [21, 23, 20, 700, 701, 1700, 25, 16, 1184, 1114, 1082, 1186, 17, 1007, 25]
        assert [(c.precision, c.scale) for c in cursor.description or ()][5] == (10, 2)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_descriptions_are_of_the_column_that_stands_there(
    server: ThreadServer, name: str, binary: bool
) -> None:
    """Also behind a star, under an alias' names, and where a name means a query of WITH or a joined one."""
    with server.connect() as connection:
        cursor = connection.cursor(binary=binary)
        cursor.execute(f"CREATE TABLE {name} (id int, j jsonb, c char(4), n smallint)")
        cursor.execute(f"INSERT INTO {name} VALUES (1, '{{}}', 'ab', 2)")
        for query, codes, row in (
            ("SELECT p.*, q.n FROM {t} p JOIN {t} q ON p.id = q.id", [23, 3802, 1042, 21, 21], (1, {}, "ab  ", 2, 2)),
            ("SELECT q.n, p.* FROM {t} p JOIN {t} q ON p.id = q.id", [21, 23, 3802, 1042, 21], (2, 1, {}, "ab  ", 2)),
            ("SELECT *, 5 FROM {t} p JOIN (SELECT 1 AS id) q USING (id)", None, (1, {}, "ab", 2, 5)),
            ("SELECT * FROM {t} p JOIN {t} q USING (id)", None, (1, {}, "ab", 2, {}, "ab", 2)),
            ("SELECT * FROM {t} p NATURAL JOIN (SELECT 1 AS id, 'z' AS z) q", None, (1, {}, "ab", 2, "z")),
            ("SELECT c, n FROM {t} AS x (n, j, m, c)", [21, 23], (2, 1)),
            ("SELECT n FROM {t} AS x (a, j, n, c) WHERE n = 'ab'", [1042], ("ab  ",)),
            ("WITH {t} AS (SELECT 1 AS c, 'x' AS n) SELECT c, n FROM {t}", [23, 25], (1, "x")),
            ("SELECT x.c, x.n FROM {t}, (SELECT 1 AS c, 'x' AS n) x", [23, 25], (1, "x")),
        ):  # fmt: skip
            cursor.execute(query.format(t=name))
            found = [column.type_code for column in cursor.description or ()]
            assert codes is None or found == codes, query
            assert [_unpadded(value) for value in cursor.fetchone() or ()] == [
                _unpadded(value) for value in row
            ], query


def _unpadded(value: object) -> object:
    return value.rstrip() if isinstance(value, str) else value


def test_transactions(server: ThreadServer, name: str) -> None:
    with server.connect() as admin, psycopg.connect(server.dsn()) as connection:
        admin.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        assert admin.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)
        assert connection.info.transaction_status.name == "INTRANS"
        connection.commit()
        assert admin.execute(f"SELECT count(*) FROM {name}").fetchone() == (1,)
        connection.execute(f"INSERT INTO {name} VALUES (2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(f"INSERT INTO {name} VALUES (1)")
        assert connection.info.transaction_status.name == "INERROR"
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute(f"SELECT * FROM {name}").fetchall() == [(1,)]
        connection.rollback()
        with connection.transaction(), connection.transaction():  # the inner one is a savepoint
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_prepared_statements(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int, t text)")
        for number in range(12):
            connection.execute(f"INSERT INTO {name} VALUES (%s, %s)", (number, f"t{number}"), prepare=True)
            found = connection.execute(
                f"SELECT t FROM {name} WHERE i = %s", (number,), prepare=True
            ).fetchone()
            assert found == (f"t{number}",)
        connection.execute(f"ALTER TABLE {name} ADD COLUMN extra int DEFAULT 7")
        row = connection.execute(f"SELECT * FROM {name} WHERE i = %s", (3,), prepare=True).fetchone()
        assert row == (3, "t3", 7)


def test_a_prepared_statement_follows_a_switch(server: ThreadServer, branch: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {branch}_t AS SELECT 1 AS x")
        connection.execute(f"BRANCH CREATE {branch}_b")
        select = f"SELECT x FROM {branch}_t"
        for _ in range(3):
            assert connection.execute(select, prepare=True).fetchone() == (1,)
        connection.execute(f"BRANCH SWITCH {branch}_b")
        connection.execute(f"UPDATE {branch}_t SET x = 2")
        assert connection.execute(select, prepare=True).fetchone() == (2,)
        connection.execute("BRANCH SWITCH main")
        assert connection.execute(select, prepare=True).fetchone() == (1,)


def test_pipeline(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        with connection.pipeline():
            connection.execute(f"CREATE TABLE {name} (i int)")
            cursors = [
                connection.execute(f"INSERT INTO {name} VALUES (%s) RETURNING i", (number,))
                for number in range(50)
            ]
            assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(50)]
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (50,)
        with pytest.raises(psycopg.errors.UndefinedTable), connection.pipeline():
            connection.execute(f"INSERT INTO {name} VALUES (1000)")
            connection.execute("SELECT * FROM no_such_table")
        assert connection.execute(f"SELECT count(*) FROM {name} WHERE i = 1000").fetchone() == (0,)


def test_executemany(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (i int, t text)")
        cursor = connection.cursor()
        cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", [(i, f"r{i}") for i in range(200)])
        assert cursor.rowcount == 200
        cursor.executemany(
            f"INSERT INTO {name} VALUES (%s, %s) RETURNING i", [(i, "") for i in range(3)], returning=True
        )
        assert [result.fetchone() for result in cursor.results()] == [(0,), (1,), (2,)]


def test_server_side_cursors(server: ThreadServer) -> None:
    with psycopg.connect(server.dsn()) as connection, connection.cursor("mine") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT i FROM generate_series(1, 5000) AS g(i) ORDER BY i")
        assert cursor.fetchone() == (1,)
        assert cursor.fetchmany(2) == [(2,), (3,)]
        assert connection.execute("SELECT 42").fetchone() == (42,)
        assert sum(1 for _ in cursor) == 4997
    with psycopg.connect(server.dsn()) as connection, connection.cursor("held", withhold=True) as cursor:
        cursor.execute("SELECT 1 UNION ALL SELECT 2")
        connection.commit()
        assert sorted(cursor.fetchall()) == [(1,), (2,)]


def test_stream(server: ThreadServer) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        rows = cursor.stream("SELECT i, 'x' FROM generate_series(1, 1000) AS g(i)")
        assert sum(row[0] for row in rows) == 500500


def test_tags(server: ThreadServer, name: str) -> None:
    wanted = [
        (f"CREATE TABLE {name} (i int PRIMARY KEY, t text)", "CREATE TABLE"),
        (f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')", "INSERT 0 2"),
        (f"INSERT INTO {name} VALUES (1, 'z') ON CONFLICT DO NOTHING", "INSERT 0 0"),
        (f"INSERT INTO {name} VALUES (1, 'z') ON CONFLICT (i) DO UPDATE SET t = excluded.t", "INSERT 0 1"),
        (f"INSERT INTO {name} SELECT i, 'g' FROM generate_series(10, 14) AS g(i)", "INSERT 0 5"),
        (f"INSERT INTO {name} VALUES (99, 'r') RETURNING i", "INSERT 0 1"),
        (f"UPDATE {name} SET t = 'c' WHERE i < 3", "UPDATE 2"),
        (f"UPDATE {name} SET t = 'c' WHERE i = -1", "UPDATE 0"),
        (f"UPDATE {name} SET t = 'd' WHERE i < 3 RETURNING *", "UPDATE 2"),
        (f"DELETE FROM {name} WHERE i = 1", "DELETE 1"),
        (f"DELETE FROM {name} WHERE i = 2 RETURNING t", "DELETE 1"),
        (f"SELECT * FROM {name}", "SELECT 6"),
        (f"CREATE TABLE {name}_2 AS SELECT * FROM {name}", "SELECT 6"),
        (f"ALTER TABLE {name} ADD COLUMN z int", "ALTER TABLE"),
        (f"CREATE INDEX {name}_i ON {name} (t)", "CREATE INDEX"),
        (f"DROP INDEX {name}_i", "DROP INDEX"),
        (f"CREATE VIEW {name}_v AS SELECT i FROM {name}", "CREATE VIEW"),
        (f"DROP VIEW {name}_v", "DROP VIEW"),
        (f"CREATE SEQUENCE {name}_s", "CREATE SEQUENCE"),
        (f"SELECT nextval('{name}_s')", "SELECT 1"),
        (f"DROP SEQUENCE {name}_s", "DROP SEQUENCE"),
        (f"CREATE SCHEMA {name}_x", "CREATE SCHEMA"),
        (f"DROP SCHEMA {name}_x", "DROP SCHEMA"),
        (f"COMMENT ON TABLE {name} IS 'hi'", "COMMENT"),
        (f"TRUNCATE {name}", "TRUNCATE TABLE"),
        (f"DROP TABLE {name}, {name}_2", "DROP TABLE"),
        ("BEGIN", "BEGIN"),
        ("START TRANSACTION", "BEGIN"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("ROLLBACK TO a", "ROLLBACK"),
        ("RELEASE a", "RELEASE"),
        ("DECLARE c CURSOR FOR SELECT 1", "DECLARE CURSOR"),
        ("FETCH 5 FROM c", "FETCH 1"),
        ("CLOSE c", "CLOSE CURSOR"),
        ("COMMIT", "COMMIT"),
        ("SET application_name = 'x'", "SET"),
        ("SHOW application_name", "SHOW"),
        ("RESET application_name", "RESET"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "SELECT 1"),
        ("DEALLOCATE p", "DEALLOCATE"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("VALUES (1), (2)", "SELECT 2"),
        (f"BRANCH CREATE {name}_b", "BRANCH CREATE"),
        (f"BRANCH SWITCH {name}_b", "BRANCH SWITCH"),
        ("BRANCH SWITCH main", "BRANCH SWITCH"),
        (f"BRANCH DISCARD {name}_b", "BRANCH DISCARD"),
    ]
    with server.connect() as connection:
        assert [(text, connection.execute(text).statusmessage) for text, _ in wanted] == wanted


def test_an_address_travels_as_text(server: ThreadServer) -> None:
    with server.connect() as connection:
        found = connection.execute("SELECT %s::text", (str(ipaddress.ip_address("10.0.0.1")),)).fetchone()
        assert found == ("10.0.0.1",)


async def test_async(server: ThreadServer) -> None:
    connection = await psycopg.AsyncConnection.connect(server.dsn())
    async with connection:
        cursor = await connection.execute("SELECT %s + 1", (41,))
        assert await cursor.fetchone() == (42,)


def test_parameters_as_subscripts_and_percentiles(server: ThreadServer, name: str) -> None:
    queries: list[tuple[str, list[Any], Any]] = [
        ("a[%s::integer]", [1], 10),
        ("a[%s]", [2], 20),
        ("a[%s + 1]", [2], 30),
        ("a[%s::int:%s::int]", [2, 3], [20, 30]),
        ("(ARRAY[5, 6])[%s::int]", [2], 6),
        ("percentile_cont(%s) WITHIN GROUP (ORDER BY n)", [0.5], 2.5),
        ("percentile_disc(%s) WITHIN GROUP (ORDER BY n DESC)", [0.5], 3),
        ("percentile_cont(%s::float8[]) WITHIN GROUP (ORDER BY n)", [[0.5, 0.25]], [2.5, 1.75]),
    ]
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (n int, a int[])")
        connection.execute(f"INSERT INTO {name} SELECT i, '{{10,20,30}}' FROM generate_series(1, 4) AS g(i)")
        for text, values, expected in queries:
            found = connection.execute(f"SELECT {text} FROM {name} LIMIT 1".encode(), values).fetchone()
            assert found == (expected,), text
