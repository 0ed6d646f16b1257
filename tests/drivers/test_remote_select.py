"""Tables of datasources in ordinary statements: what is right, what travels, what is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import psycopg
import pymysql
import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lakes import sqlite_lake
from server_thread import ThreadServer

from proxy.session.remote.scans import RemoteScans

pytestmark = pytest.mark.sampled

_ROWS = [
    (1, "Ada", "2020-01-01", "1.50", "2024-01-01 00:00:00", True),
    (2, "ada", "2020-06-15", "-2.25", "2024-01-01 12:30:00", False),
    (3, "Bob ", None, "10.00", None, None),
    (4, None, "1999-12-31", None, "1969-12-31 23:59:59", True),
    (5, "Zoë's", "2024-02-29", "0.00", "2024-02-29 01:02:03", False),
    (6, "", "0001-01-01", "99999.99", "2030-01-01 00:00:00", True),
]
_CREATE = (
    "CREATE TABLE people (id {int} PRIMARY KEY, name {text}, born date, worth decimal(12,2), seen {moment},"
    " active boolean)"
)


def _insert(execute: Callable[..., Any], mark: str) -> None:
    for row in _ROWS:
        execute(f"INSERT INTO people VALUES ({', '.join([mark] * 6)})", row)


def _on_postgres(request: pytest.FixtureRequest, name: str) -> str:
    server = request.getfixturevalue("postgres")
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, dbname=server.database, autocommit=True
    ) as made:
        made.execute(f"CREATE SCHEMA {name}")
        made.execute(f"SET search_path = {name}")
        made.execute(_CREATE.format(int="bigint", text="text", moment="timestamp"))
        _insert(made.execute, "%s")
    return (
        f"TYPE postgres OPTIONS (host '{server.host}', port '{server.port}', user '{server.user}',"
        f" database '{server.database}', schema '{name}')"
    )


def _on_mariadb(request: pytest.FixtureRequest, name: str) -> str:
    server = request.getfixturevalue("mariadb")
    with pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
    ) as made:
        cursor = made.cursor()
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"USE {name}")
        cursor.execute(_CREATE.format(int="bigint", text="varchar(50)", moment="datetime"))
        _insert(cursor.execute, "%s")
    return (
        f"TYPE mysql OPTIONS (host '{server.host}', port '{server.port}', user '{server.user}',"
        f" password '{server.password}', database '{name}')"
    )


def _on_duckdb(request: pytest.FixtureRequest, name: str) -> str:
    file = request.getfixturevalue("tmp_path_factory").mktemp("remote") / "people.duckdb"
    with duckdb.connect(str(file)) as made:
        made.execute(_CREATE.format(int="bigint", text="varchar", moment="timestamp"))
        _insert(made.execute, "?")
    return f"TYPE duckdb OPTIONS (path '{file}')"


def _on_sqlite(request: pytest.FixtureRequest, name: str) -> str:
    file = request.getfixturevalue("tmp_path_factory").mktemp("remote") / "people.sqlite"
    with sqlite3.connect(file) as made:
        made.execute(_CREATE.format(int="bigint", text="text COLLATE NOCASE", moment="timestamp"))
        _insert(made.execute, "?")
    made.close()
    return f"TYPE sqlite OPTIONS (path '{file}')"


_ENGINES = {
    "postgres": (_on_postgres, "{s}"),
    "mysql": (_on_mariadb, "{s}"),
    "duckdb": (_on_duckdb, "main"),
    "sqlite": (_on_sqlite, "main"),
}


@pytest.fixture(scope="module")
def client(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE people (id bigint PRIMARY KEY, name text, born date, worth numeric(12,2), seen timestamp,"
            " active boolean)"
        )
        for row in _ROWS:
            connection.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s)", row)
        connection.execute("CREATE TABLE notes (person bigint, note text)")
        connection.execute(
            "INSERT INTO notes VALUES (1, 'first'), (1, 'second'), (3, 'third'), (9, 'nobody')"
        )
        yield connection


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mariadb),
        "duckdb",
        "sqlite",
    ],
)
def there(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    """``datasource.schema`` that holds ``people``, one for each engine."""
    make, schema = _ENGINES[request.param]
    source = f"x_{request.param}"
    name = f"schema_{request.param}"
    client.execute(f"CREATE DATASOURCE {source} {make(request, name)}")
    return f"{source}.{schema.format(s=name)}"


@pytest.fixture(scope="module")
def pg(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the server behind the datasource ``pg``."""
    running = request.getfixturevalue("postgres")
    client.execute(
        f"CREATE DATASOURCE pg TYPE postgres OPTIONS (host '{running.host}', port '{running.port}',"
        f" user '{running.user}', database '{running.database}')"
    )
    with psycopg.connect(
        host=running.host, port=running.port, user=running.user, dbname=running.database, autocommit=True
    ) as connection:
        yield connection


def _all(client: psycopg.Connection[Any], sql: str, values: Any = None) -> list[Any]:
    return client.execute(sql, values).fetchall()


def _refused(client: psycopg.Connection[Any], sql: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(sql)
    return caught.value


def _sent(client: psycopg.Connection[Any], sql: str) -> str:
    """The query that EXPLAIN says is sent."""
    lines = [row[0] for row in _all(client, f"EXPLAIN {sql}")]
    assert lines[0].startswith("Remote read of ")
    return str(lines[0])


# -- the same as a local table ------------------------------------------------------------------------------------

_QUERIES = [
    "SELECT * FROM {t} ORDER BY id",
    "SELECT count(*) FROM {t}",
    "SELECT t.name, n.note FROM {t} t JOIN notes n ON n.person = t.id AND t.id < 3 ORDER BY 2",
    "SELECT n.note, t.name FROM notes n LEFT JOIN {t} t ON t.id = n.person AND t.name = 'Ada' ORDER BY 1",
    "SELECT n.note, t.name FROM notes n LEFT JOIN {t} t ON t.id = n.person WHERE t.id IS NULL ORDER BY 1",
    "SELECT t.id, n.note FROM {t} t RIGHT JOIN notes n ON n.person = t.id WHERE t.id = 1 OR t.id IS NULL ORDER BY 2",
    "SELECT * FROM {t} a FULL JOIN notes n ON n.person = a.id WHERE a.id IS NULL ORDER BY a.id, n.note",
    "WITH p AS (SELECT id, name FROM {t} WHERE id > 1) SELECT * FROM p WHERE name IS NOT NULL ORDER BY id",
    "SELECT (SELECT max(id) FROM {t} x WHERE x.id < t.id) FROM {t} t ORDER BY t.id",
    "SELECT id FROM people WHERE EXISTS (SELECT 1 FROM {t} r WHERE r.id = people.id AND r.active) ORDER BY 1",
    "SELECT id FROM people WHERE id NOT IN (SELECT person FROM notes UNION SELECT id FROM {t} WHERE id > 4) ORDER BY 1",
    "SELECT active, sum(worth), min(born) FROM {t} GROUP BY active HAVING count(*) > 1 ORDER BY 1",
    "SELECT id FROM {t} WHERE id > 1 ORDER BY id DESC LIMIT 2 OFFSET 1",
    "SELECT DISTINCT active FROM {t} ORDER BY 1 LIMIT 2",
    "SELECT id, row_number() OVER (ORDER BY id) FROM {t} WHERE id BETWEEN 2 AND 5 ORDER BY 1",
    "SELECT id FROM {t} WHERE id = ANY(ARRAY[1, 5, NULL]) ORDER BY 1",
    "SELECT id FROM {t} r NATURAL JOIN people ORDER BY 1 LIMIT 1",
    "SELECT count(t.*) FROM {t} t WHERE t.seen > timestamp '2024-01-01' - interval '1 day'",
    "SELECT id FROM {t} WHERE seen < '2024-01-01' OR born = '2024-02-29' ORDER BY 1",
    "SELECT id FROM {t} WHERE id IN (1, 2) UNION ALL SELECT id FROM {t} WHERE id IN (1, 2) ORDER BY 1",
]


@pytest.mark.parametrize("query", _QUERIES)
def test_a_remote_table_is_read_as_a_local_one(
    client: psycopg.Connection[Any], there: str, query: str
) -> None:
    assert _all(client, query.format(t=f"{there}.people")) == _all(client, query.format(t="public.people"))


_TEXTS = st.sampled_from(["Ada", "ada", "Bob", "Bob ", "Zoë's", "", "A%", "b"])
_OPERATOR = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
_DATES = st.sampled_from(["2020-01-01", "1999-12-31", "0001-01-01", "9999-12-31"])
_ENDLESS = st.sampled_from(["infinity", "-infinity"])
_SIMPLE = st.one_of(
    st.builds("id {} {}".format, _OPERATOR, st.integers(-1, 7)),
    st.builds("id {} {}".format, _OPERATOR, st.sampled_from(["1.5", "2.0", "99999999999999999999"])),
    st.builds("worth {} {}".format, _OPERATOR, st.sampled_from(["0", "1.5", "-2.255", "1e3"])),
    st.builds(
        lambda operator, text: f"name {operator} '{text.replace(chr(39), chr(39) * 2)}'", _OPERATOR, _TEXTS
    ),
    st.builds("name {}LIKE '{}'".format, st.sampled_from(["", "NOT "]),
              st.sampled_from(["A%", "%b%", "a_a", "%", "Bob"])),
    st.builds("born {} '{}'".format, _OPERATOR, _DATES),
    st.builds("born {} date '{}' + 1".format, _OPERATOR, _DATES),
    st.builds("seen {} '{} 12:30:00'".format, _OPERATOR, _DATES),
    st.builds("{} {} '{}'".format, st.sampled_from(["born", "seen"]), _OPERATOR, _ENDLESS),
    st.builds("{} IS {}NULL".format, st.sampled_from(["id", "name", "born", "worth", "seen", "active"]),
              st.sampled_from(["", "NOT "])),
    st.sampled_from(["active", "NOT active", "active = true", "active IS TRUE", "active IS NOT FALSE"]),
    st.builds("id {}IN ({}, {})".format, st.sampled_from(["", "NOT "]), st.integers(0, 6), st.integers(0, 6)),
    st.builds("name IN ('{}', 'ada')".format, st.sampled_from(["Ada", "Bob"])),
)  # fmt: skip
_CONDITION = st.recursive(
    _SIMPLE,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=examples(60))
@given(condition=_CONDITION, limit=st.sampled_from(["", "LIMIT 2", "LIMIT 1 OFFSET 1"]))
def test_any_condition_selects_the_same_rows(
    client: psycopg.Connection[Any], there: str, condition: str, limit: str
) -> None:
    here = _all(client, f"SELECT id FROM people WHERE {condition} ORDER BY id")
    assert _all(client, f"SELECT id FROM {there}.people WHERE {condition} ORDER BY id") == here
    some = _all(client, f"SELECT id FROM {there}.people WHERE {condition} {limit}")
    assert set(some) <= set(here)
    wanted = (
        len(here) if not limit else min(2, len(here)) if limit == "LIMIT 2" else min(1, max(len(here) - 1, 0))
    )
    assert len(some) == wanted


@pytest.mark.postgres
def test_strings_have_the_types_of_remote_columns(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    rows = "(1, '\\xaa00', '{1,NULL}', 1.0, 'ab', 'infinity'), (2, '\\x', '{}', 2.5, 'abcde', '2000-01-01')"
    pg.execute("CREATE TABLE spelled (id int, b bytea, a int[], f float8, c char(5), d date)")
    pg.execute(f"INSERT INTO spelled VALUES {rows}")
    for condition in (
        "b = '\\xaa00'",
        "a = '{1,NULL}'",
        "c = 'ab' AND length(c) = 2",
        "c || '|' = 'ab|'",
        "d > 'now'",
        "d = 'infinity'",
        "b::text || a::text || f::text = '\\xaa00{1,NULL}1'",
    ):
        assert _all(client, f"SELECT id FROM pg.public.spelled WHERE {condition}") == [(1,)], condition
        assert pg.execute(f"SELECT id FROM spelled WHERE {condition}").fetchall() == [(1,)], condition
    for wrong in ("id = '1.5'", "d = 'never'"):
        with pytest.raises((psycopg.errors.InvalidTextRepresentation, psycopg.errors.InvalidDatetimeFormat)):
            client.execute(f"SELECT id FROM pg.public.spelled WHERE {wrong}")


@pytest.mark.postgres
def test_the_catalogs_over_there_are_tables_too(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    client.execute(
        f"CREATE DATASOURCE pg_named TYPE postgres OPTIONS (host '{pg.info.host}', port '{pg.info.port}',"
        f" user '{pg.info.user}', database '{pg.info.dbname}', role 'read_write')"
    )
    pg.execute("CREATE TABLE catalogued (id int, name name); INSERT INTO catalogued VALUES (1, 'relname')")
    assert _all(client, "SELECT id FROM pg.public.catalogued WHERE name = 'relname'") == [(1,)]
    query = "SELECT table_name, table_type FROM {}information_schema.tables WHERE table_name = 'catalogued'"
    assert _all(client, query.format("pg.")) == pg.execute(query.format("")).fetchall()
    client.execute(
        "TRANSFER (SELECT repeat('x', 63) AS name, 2 AS id) TO pg_named.public.catalogued MODE append"
    )
    assert pg.execute("SELECT max(length(name::text)) FROM catalogued").fetchall() == [(63,)]
    with pytest.raises(psycopg.Error) as caught:
        client.execute(
            "TRANSFER (SELECT repeat('é', 60) AS name, 2 AS id) TO pg_named.public.catalogued MODE append"
        )
    assert caught.value.sqlstate == "HV004"


def test_what_a_remote_table_cannot_be(client: psycopg.Connection[Any], there: str) -> None:
    for refused in (
        f"SELECT id FROM {there}.people AS OF VERSION 1",
        f"CREATE TABLE child (id bigint REFERENCES {there}.people (id))",
        f"CREATE TABLE child (id bigint, FOREIGN KEY (id) REFERENCES {there}.people)",
    ):
        assert _refused(client, refused).sqlstate == "0A000"


@pytest.mark.parametrize(
    ("refused", "hint"),
    [
        ("ALTER TABLE {n} ADD FOREIGN KEY (id) REFERENCES {t} (id)", "TRANSFER {t} TO local.people"),
        ("ALTER TABLE {n} ADD COLUMN x bigint REFERENCES {t} (id)", "TRANSFER {t} TO local.people"),
        ("TRUNCATE {n}, {t}", "EXECUTE ON"),
        ("DROP TABLE {t}", "EXECUTE ON"),
        ("ALTER TABLE {t} ADD COLUMN x int", "EXECUTE ON"),
        ("CREATE INDEX ON {t} (id)", "EXECUTE ON"),
        ("COMMENT ON COLUMN {t}.id IS 'x'", "EXECUTE ON"),
        ("COPY {t} TO STDOUT", "COPY (SELECT * FROM {t}) TO STDOUT"),
        ("COPY {t} FROM STDIN", "TRANSFER that TO {t}"),
    ],
)
def test_what_cannot_work_on_a_remote_table_says_what_can(
    client: psycopg.Connection[Any], there: str, name: str, refused: str, hint: str
) -> None:
    client.execute(f"CREATE TABLE {name} (id bigint)")
    table = f"{there}.people"
    error = _refused(client, refused.format(n=name, t=table))
    assert error.sqlstate == "0A000"
    source = there.partition(".")[0]
    assert f'datasource "{source}"' in str(error)
    assert hint.format(t=table) in (error.diag.message_hint or "")
    client.execute(f"DROP TABLE {name}")


def test_a_schema_of_the_branch_is_meant_before_a_datasource(
    client: psycopg.Connection[Any], there: str
) -> None:
    source = there.partition(".")[0]
    assert f'datasource "{source}"' in str(_refused(client, f"TRUNCATE {source}.people"))
    client.execute(f"CREATE SCHEMA {source}; CREATE TABLE {source}.people (id bigint)")
    client.execute(f"TRUNCATE {source}.people; ALTER TABLE {source}.people ADD COLUMN x int")
    client.execute(f"DROP SCHEMA {source} CASCADE")


@pytest.mark.mariadb
def test_a_year_is_compared_as_a_number(client: psycopg.Connection[Any], mariadb: Any) -> None:
    with pymysql.connect(
        host=mariadb.host, port=mariadb.port, user=mariadb.user, password=mariadb.password, autocommit=True
    ) as made:
        made.cursor().execute("CREATE OR REPLACE TABLE bough.years (y year)")
        made.cursor().execute("INSERT INTO bough.years VALUES (1901), (2042), (2024)")
    client.execute(
        f"CREATE DATASOURCE years TYPE mysql OPTIONS (host '{mariadb.host}', port '{mariadb.port}',"
        f" user '{mariadb.user}', password '{mariadb.password}', database 'bough')"
    )
    assert _all(client, "SELECT count(*) FROM years.bough.years WHERE y > 42") == [(3,)]
    assert _all(client, "SELECT count(*) FROM years.bough.years WHERE y = 42") == [(0,)]


# -- writes to the branch -------------------------------------------------------------------------------------------


def test_rows_come_into_the_branch(client: psycopg.Connection[Any], there: str, name: str) -> None:
    assert (
        client.execute(f"CREATE TABLE {name} AS SELECT id, name FROM {there}.people WHERE id < 3").rowcount
        == 2
    )
    client.execute(f"INSERT INTO {name} SELECT id, name FROM {there}.people WHERE id = 3")
    client.execute(
        f"UPDATE {name} SET name = p.name || '!' FROM {there}.people p WHERE p.id = {name}.id AND p.id = 1"
    )
    client.execute(f"DELETE FROM {name} USING {there}.people p WHERE p.id = {name}.id AND p.active = false")
    assert _all(client, f"SELECT id, name FROM {name} ORDER BY id") == [(1, "Ada!"), (3, "Bob ")]
    client.execute(
        f"MERGE INTO {name} t USING {there}.people p ON p.id = t.id WHEN MATCHED THEN UPDATE SET name = p.name"
        " WHEN NOT MATCHED THEN INSERT (id, name) VALUES (p.id, p.name)"
    )
    assert _all(client, f"SELECT count(*), min(name) FILTER (WHERE id = 1) FROM {name}") == [(6, "Ada")]


def test_on_a_branch_in_a_transaction_and_rolled_back(
    server: ThreadServer, client: psycopg.Connection[Any], there: str, branch: str
) -> None:
    with server.connect(branch) as other:
        with other.transaction(force_rollback=True):
            other.execute(f"INSERT INTO notes SELECT id, name FROM {there}.people")
            assert _all(other, f"SELECT count(*) FROM notes JOIN {there}.people p ON p.id = person") == [(9,)]
        assert _all(other, "SELECT count(*) FROM notes") == [(4,)]
        with other.transaction():
            other.execute("SET TRANSACTION READ ONLY")
            for _ in range(2):
                assert _all(other, f"SELECT sum(id) FROM {there}.people") == [(21,)]
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                other.execute(f"INSERT INTO notes SELECT id, name FROM {there}.people")
                pytest.fail("a read-only transaction wrote")
            raise psycopg.Rollback


# -- what travels -----------------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_columns_conditions_and_limits_are_sent(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    pg.execute("CREATE TABLE sent (id bigint, name text, price numeric(8,2), at timestamptz, ci text)")
    cases = {
        "SELECT name FROM pg.public.sent WHERE id = 5": 'SELECT "id", "name" FROM "public"."sent" WHERE "id" = 5',
        "SELECT count(*) FROM pg.public.sent": 'SELECT 1 AS _bough_row FROM "public"."sent"',
        "SELECT id FROM pg.public.sent LIMIT 3 OFFSET 2": 'SELECT "id" FROM "public"."sent" LIMIT 5',
        "SELECT id FROM pg.public.sent WHERE price > 1.5 LIMIT 3": 'SELECT "id", "price" FROM "public"."sent"'
        ' WHERE "price" > 1.5 LIMIT 3',
        "SELECT id FROM pg.public.sent WHERE price > 1.5 ORDER BY id LIMIT 3": 'SELECT "id", "price" FROM'
        ' "public"."sent" WHERE "price" > 1.5',
        "SELECT id FROM pg.public.sent WHERE id = 1 AND length(name) = 3": 'SELECT "id", "name" FROM "public"."sent"'
        ' WHERE "id" = 1',
        "SELECT id FROM pg.public.sent WHERE name IN ('a', 'b''c') OR id IS NULL": 'SELECT "id", "name" FROM'
        ' "public"."sent" WHERE ("name" IN (\'a\', \'b\'\'c\') OR "id" IS NULL)',
    }
    for query, expected in cases.items():
        assert _sent(client, query) == f"Remote read of pg: {expected}", query
    client.execute("SET TimeZone = 'America/New_York'")
    try:
        text = _sent(client, "SELECT id FROM pg.public.sent WHERE at >= '2024-07-01 00:00'")
    finally:
        client.execute("RESET TimeZone")
    assert text.endswith("WHERE \"at\" >= '2024-07-01 04:00:00+00:00'")
    analysed = _all(client, "EXPLAIN ANALYZE SELECT id FROM pg.public.sent")
    assert analysed[0][0].endswith('FROM "public"."sent"  (0 rows)')


@pytest.mark.postgres
def test_a_join_reads_each_side_once_in_one_snapshot(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    pg.execute("CREATE TABLE moving (id int); INSERT INTO moving SELECT generate_series(1, 100)")
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(pg.info.dsn, autocommit=True) as other:
            while not stop.is_set():
                other.execute("INSERT INTO moving SELECT count(*) + 1 FROM moving")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            counted = (
                "SELECT (SELECT count(*) FROM pg.public.moving), (SELECT max(id) FROM pg.public.moving m)"
            )
            first, second = _all(client, counted)[0]
            assert first == second
    finally:
        stop.set()
        writer.join()


# -- types, parameters, protocol --------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_types_are_exact(client: psycopg.Connection[Any], pg: psycopg.Connection[Any]) -> None:
    pg.execute(
        "CREATE TABLE kinds AS SELECT 12345678901234567890.123456789::numeric AS n, '{\"a\": 1}'::jsonb AS j,"
        " ARRAY['x', NULL] AS a, '\\x00ff'::bytea AS b, interval '1 month 2 days' AS i,"
        " '00000000-0000-0000-0000-000000000001'::uuid AS u, timestamptz '2024-01-01 00:00:00.000001+00' AS t,"
        " 'infinity'::float8 AS f, 1::numeric(50,2) AS wide"
    )
    here = client.execute("SELECT * FROM pg.public.kinds").fetchone()
    there = pg.execute("SELECT * FROM kinds").fetchone()
    assert here == there
    assert here is not None and here[0] == Decimal("12345678901234567890.123456789")
    pg.execute("CREATE TABLE ends AS SELECT 'infinity'::timestamp AS t, '-infinity'::date AS d")
    assert _all(client, "SELECT t::text, d::text FROM pg.public.ends") == [("infinity", "-infinity")]
    assert _all(client, "SELECT n + 1, n > 5 FROM pg.public.kinds") == [
        (Decimal("12345678901234567891.123456789"), True)
    ]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("value", "kind"),
    [("'10.0.0.1'", "inet"), ("'NaN'", "numeric"), ("1e40", "numeric"), ("'[1,2)'", "int4range")],
)
def test_what_is_not_exact_is_refused_by_name(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any], value: str, kind: str, name: str
) -> None:
    table = f"t{abs(hash(name)) % 10**9}"
    pg.execute(f"CREATE TABLE {table} AS SELECT 1 AS id, {value}::{kind} AS odd")
    error = _refused(client, f"SELECT * FROM pg.public.{table}")
    assert error.sqlstate == "HV004"
    assert '"odd"' in str(error)
    assert _all(client, f"SELECT id FROM pg.public.{table}") == [(1,)]


@pytest.mark.postgres
def test_parameters_and_descriptions(
    server: ThreadServer, client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    pg.execute("CREATE TABLE given (id bigint, name text, at timestamptz, price numeric(8,2))")
    pg.execute("INSERT INTO given SELECT i, 'n' || i, now(), i FROM generate_series(1, 50) i")
    assert _all(client, "SELECT name FROM pg.public.given WHERE id = %s AND price < %s", (7, 10)) == [("n7",)]
    assert _all(client, "SELECT name FROM pg.public.given WHERE id = ANY(%s)", ([7],)) == [("n7",)]

    async def run() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=server.port, user="alice", database="main", statement_cache_size=0
        )
        prepared = await connection.prepare(
            "SELECT id, price, at, name || '!' AS said FROM pg.public.given WHERE id <= $1 AND name = $2"
        )
        assert [item.type.name for item in prepared.get_parameters() and prepared.get_attributes()] == [
            "int8",
            "numeric",
            "timestamptz",
            "text",
        ]
        assert [item.name for item in prepared.get_parameters()] == ["int8", "text"]
        rows = await prepared.fetch(10, "n3")
        assert [(row["id"], row["said"]) for row in rows] == [(3, "n3!")]
        await connection.close()

    asyncio.run(run())
    with client.transaction(), client.cursor(name="c") as cursor:
        cursor.itersize = 20
        cursor.execute("SELECT id FROM pg.public.given ORDER BY id")
        assert [row[0] for row in cursor] == list(range(1, 51))


# -- names and refusals -----------------------------------------------------------------------------------------------


def test_a_branch_and_a_schema_come_before_a_datasource(
    server: ThreadServer, client: psycopg.Connection[Any], tmp_path: Path, branch: str
) -> None:
    file = tmp_path / "same.sqlite"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE notes (person bigint, note text)")
        made.execute("INSERT INTO notes VALUES (77, 'remote')")
    made.close()
    for name in (branch, "two_parts"):
        client.execute(f"CREATE DATASOURCE \"{name}\" TYPE sqlite OPTIONS (path '{file}')")
    assert _all(client, f'SELECT count(*) FROM "{branch}".public.notes') == [(4,)]
    assert _all(client, "SELECT * FROM two_parts.notes") == [(77, "remote")]
    client.execute("CREATE SCHEMA two_parts")
    client.execute("CREATE TABLE two_parts.notes (n int)")
    assert _all(client, "SELECT * FROM two_parts.notes") == []
    assert _all(client, "SELECT * FROM two_parts.main.notes") == [(77, "remote")]
    assert _all(client, "SELECT count(*) FROM local.public.notes") == [(4,)]
    client.execute("DROP SCHEMA two_parts CASCADE")
    for name in (branch, "two_parts"):
        client.execute(f'DROP DATASOURCE "{name}"')


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("SELECT * FROM nowhere_at_all.public.people", "42704"),
        ("SELECT * FROM {t}_not", "HV00R"),
        ("SELECT nope FROM {t}", "42703"),
        ("INSERT INTO {t} (id) VALUES (9)", "0A000"),
        ("UPDATE {t} SET id = 9", "0A000"),
        ("DELETE FROM {t}", "0A000"),
        ("TRUNCATE {t}", "0A000"),
        ("LOCK TABLE {t}", "0A000"),
        ("LOCK TABLE people, {t} IN SHARE MODE", "0A000"),
        ("ANALYZE {t}", "0A000"),
        ("VACUUM (ANALYZE) {t} (id)", "0A000"),
        ("REINDEX TABLE {t}", "0A000"),
        ("LOCK TABLE nowhere_at_all.public.people", "42704"),
        ("DROP TABLE {t}", "0A000"),
        ("ALTER TABLE {t} ADD COLUMN more int", "0A000"),
        ("CREATE INDEX ON {t} (id)", "0A000"),
        ("COMMENT ON TABLE {t} IS 'x'", "0A000"),
        ("CREATE VIEW seen AS SELECT id FROM {t}", "0A000"),
        ("SELECT id + name FROM {t}", None),
    ],
)
def test_refusals(client: psycopg.Connection[Any], there: str, statement: str, sqlstate: str | None) -> None:
    error = _refused(client, statement.format(t=f"{there}.people"))
    if sqlstate is None:
        assert error.sqlstate == _refused(client, statement.format(t="people")).sqlstate
    else:
        assert error.sqlstate == sqlstate


def test_a_limit_is_sent_to_every_engine(client: psycopg.Connection[Any], there: str) -> None:
    """Without a condition it means the same everywhere; a look at a large table reads no more than it shows."""
    assert _sent(client, f"SELECT name FROM {there}.people LIMIT 2 OFFSET 1").endswith(" LIMIT 3")
    assert len(_all(client, f"SELECT * FROM {there}.people LIMIT 2")) == 2
    for held in ("ORDER BY id", "WHERE length(name) > 3", "GROUP BY id"):
        assert "LIMIT" not in _sent(client, f"SELECT id FROM {there}.people {held} LIMIT 2"), held


def test_describe_reads_no_row_of_a_datasource(
    client: psycopg.Connection[Any], there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteScans, "_read", None)
    found = [row[:2] for row in _all(client, f"DESCRIBE SELECT id, name FROM {there}.people")]
    assert found == [("id", "BIGINT"), ("name", "VARCHAR")]


def test_describe_of_two_parts_is_of_the_datasource(
    client: psycopg.Connection[Any], name: str, tmp_path: Path
) -> None:
    """As with three; a schema of the branch goes before, and a query is described as any other is."""
    with sqlite_lake(
        client, tmp_path, f"k_{name}", [f"CREATE TABLE d_{name} (id bigint PRIMARY KEY)"]
    ) as lake:
        for path in (f"{lake}.d_{name}", f"'{lake}'.d_{name}", f"{lake}.d_{name};"):
            assert _all(client, f"DESCRIBE {path}") == _all(client, f"DESC {lake}.main.d_{name}")
        assert _refused(client, f"DESCRIBE {lake}.nothing").sqlstate == "HV00R"
        assert _all(client, f"DESCRIBE SELECT * FROM {lake}.d_{name}")[0][:3] == ("id", "BIGINT", "YES")
        client.execute(f"CREATE SCHEMA {lake}")  # type: ignore[arg-type]
        client.execute(f"CREATE TABLE {lake}.d_{name} (own text)")  # type: ignore[arg-type]
        assert _all(client, f"DESCRIBE {lake}.d_{name}")[0][:3] == ("own", "VARCHAR", "YES")
        client.execute(f"DROP SCHEMA {lake} CASCADE")  # type: ignore[arg-type]
    described = _all(client, "DESCRIBE local.people")
    assert described == _all(client, "DESCRIBE local.public.people") and len(described[0]) > 6


def test_describe_calls_sequences_by_their_names(client: psycopg.Connection[Any]) -> None:
    client.execute(
        "CREATE TABLE counted (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, n int DEFAULT 3)"
    )
    found = [row[4] for row in _all(client, "DESCRIBE counted")]
    assert found == ["nextval('public.counted_id_seq')", "nextval('public.counted_s_seq')", "3"]
    client.execute("DROP TABLE counted")


def test_rows_elsewhere_are_not_said_to_be_locked(client: psycopg.Connection[Any], there: str) -> None:
    """FOR UPDATE needs no lock here, where a conflicting write fails; over there nothing would hold the rows."""
    for query in (
        f"SELECT * FROM {there}.people FOR UPDATE",
        f"SELECT * FROM people JOIN {there}.people p USING (id) FOR SHARE OF p",
        f"SELECT * FROM (SELECT * FROM {there}.people) AS q FOR NO KEY UPDATE SKIP LOCKED",
        f"WITH q AS (SELECT * FROM {there}.people FOR KEY SHARE) SELECT * FROM q",
    ):
        assert _refused(client, query).sqlstate == "0A000", query
    for query in (
        "SELECT id FROM people FOR UPDATE",
        f"SELECT people.id FROM people JOIN {there}.people p USING (id) FOR UPDATE OF people",
        f"SELECT id FROM people WHERE id IN (SELECT id FROM {there}.people) FOR UPDATE",
    ):
        assert _all(client, query), query


def test_upkeep_of_a_table_elsewhere_says_what_does_it(client: psycopg.Connection[Any], there: str) -> None:
    """Nothing is done here, so nothing is said to be done."""
    datasource = there.partition(".")[0]
    for statement in ("ANALYZE", "VACUUM", "LOCK TABLE"):
        error = _refused(client, f"{statement} {there}.people")
        assert (error.diag.message_hint or "").startswith(f"EXECUTE ON {datasource} AS $$"), statement
        assert client.execute(f"{statement} people").statusmessage == statement
        assert client.execute(f"{statement} pg_catalog.pg_class").statusmessage == statement
        assert client.execute(f"{statement} main.public.people").statusmessage == statement
        for name in ("nowhere", "public.nowhere", "people, nowhere"):
            error = _refused(client, f"{statement} {name}")
            assert (error.sqlstate, error.diag.message_primary) == (
                "42P01",
                f'relation "{name.removeprefix("people, ")}" does not exist',
            )
    client.execute("CREATE TEMP TABLE IF NOT EXISTS passing (id int)")
    assert client.execute("ANALYZE passing").statusmessage == "ANALYZE"


def test_an_unreachable_datasource_says_so(client: psycopg.Connection[Any], name: str) -> None:
    client.execute(
        "CREATE DATASOURCE gone TYPE postgres OPTIONS (host '127.0.0.1', port '1', user 'u', database 'd',"
        " connect_timeout '1s')"
    )
    error = _refused(client, "SELECT * FROM gone.public.t")
    client.execute("DROP DATASOURCE gone")
    assert error.sqlstate == "HV00N"
    assert "gone" in str(error)


@pytest.mark.postgres
def test_reading_is_cancelled_over_there_too(
    server: ThreadServer, client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    pg.execute("CREATE VIEW slow AS SELECT i, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000) i")
    with server.connect() as other:
        threading.Timer(0.5, other.cancel_safe).start()
        began = time.monotonic()
        assert _refused(other, "SELECT count(s) FROM pg.public.slow").sqlstate == "57014"
        assert time.monotonic() - began < 30
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%slow%' AND state = 'active'"
            " AND pid <> pg_backend_pid()"
        )
        for _ in range(200):
            if pg.execute(running).fetchone() == (0,):
                break
        assert pg.execute(running).fetchone() == (0,)
        assert _all(other, "SELECT 1") == [(1,)]


def test_rows_are_let_go_of(server: ThreadServer, client: psycopg.Connection[Any], there: str) -> None:
    for _ in range(3):
        _all(client, f"SELECT * FROM {there}.people CROSS JOIN generate_series(1, 1000)")
        _refused(client, f"SELECT 1 / (id - id), error('x') FROM {there}.people")
        with client.transaction(), client.cursor(name="part") as cursor:
            cursor.execute(f"SELECT * FROM {there}.people CROSS JOIN generate_series(1, 1000)")
            cursor.fetchone()
    left = server.server.service.database.root.query(
        "SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE '_bough_remote%'"
    )
    assert left == [(0,)]


def test_numerics_of_any_size_are_planned_as_numbers(
    client: psycopg.Connection[Any], pg: psycopg.Connection[Any]
) -> None:
    """What their values need is known when they are read; a plan reads none."""
    pg.execute("DROP TABLE IF EXISTS sizes")
    pg.execute("CREATE TABLE sizes AS SELECT i AS id, i * 1.5 AS amount FROM generate_series(1, 9) AS g (i)")
    for wanted in ("sum(amount)", "amount + 1", "round(max(amount), 1)"):
        text = f"SELECT {wanted} FROM pg.public.sizes WHERE amount >= 3 GROUP BY amount"
        assert '"amount" >= 3' in _sent(client, text)
        assert len(_all(client, text)) == 8


def test_whole_numbers_of_any_length_are_read(
    client: psycopg.Connection[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("whole") / "whole.duckdb"
    number = 123456789012345678901234567890123456789012345678901
    with duckdb.connect(str(file)) as made:
        made.execute("CREATE TABLE s AS SELECT 1 AS k, 5::BIGNUM AS v UNION ALL SELECT 2, NULL")
        made.execute(f"INSERT INTO s VALUES (3, '{number}'::BIGNUM)")
    client.execute(f"CREATE DATASOURCE whole TYPE duckdb OPTIONS (path '{file}')")  # type: ignore[arg-type]
    rows = client.execute("SELECT k, v FROM whole.main.s ORDER BY k").fetchall()
    assert rows == [(1, 5), (2, None), (3, number)]
    for condition, keys in ((f"v = {number}", [3]), ("v > 5", [3]), ("v IS NULL", [2])):
        found = client.execute(f"SELECT k FROM whole.main.s WHERE {condition}")  # type: ignore[arg-type]
        assert [key for (key,) in found.fetchall()] == keys
    client.execute("DROP DATASOURCE whole")
