"""Strings without a type are read as the type they meet, on main, on branches and in definitions."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from effort import CI
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled


@pytest.fixture(params=["main", "branch"])
def connection(
    request: pytest.FixtureRequest, server: ThreadServer, branch: str
) -> Iterator[psycopg.Connection]:
    with server.connect() as found:
        if request.param == "branch":
            found.execute(f"SET branch = '{branch}'")
        found.execute(
            r"CREATE TABLE bins (i int, x bytea DEFAULT '\x00ff', a int[] DEFAULT '{1,2}', o boolean DEFAULT 'on', "
            r"CONSTRAINT even CHECK (x <> '\x0001'))"
        )
        yield found
        found.execute("DROP TABLE bins CASCADE")


def rows(connection: psycopg.Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(text.encode()).fetchall()


WRITES = [
    r"INSERT INTO bins (i, x) VALUES (1, '\xDEADbeef')",
    r"INSERT INTO bins VALUES (1, '\xde ad be ef')",
    r"INSERT INTO bins (i, x) SELECT 1, '\xdeadbeef'",
    r"INSERT INTO bins (i, x) SELECT 2, '\x00' UNION ALL SELECT 1, '\xdeadbeef'",
    r"INSERT INTO bins (i, x) VALUES (1, '\336\255\276\357') ON CONFLICT DO NOTHING",
    r"INSERT INTO bins (x, i) VALUES ('\x', 1); UPDATE bins SET x = '\xdeadbeef' WHERE i = 1 AND x = '\x'",
    r"INSERT INTO bins (i) VALUES (1); MERGE INTO bins USING (SELECT 1 AS k) AS s ON bins.i = s.k "
    r"WHEN MATCHED THEN UPDATE SET x = '\xdeadbeef'",
    r"MERGE INTO bins USING (SELECT 1 AS k) AS s ON bins.i = s.k "
    r"WHEN NOT MATCHED THEN INSERT (i, x) VALUES (1, '\xdeadbeef')",
    r"INSERT INTO bins (i) VALUES (1); UPDATE bins SET x = CASE WHEN i = 1 THEN '\xdeadbeef' ELSE x END",
]


@pytest.mark.parametrize("text", WRITES)
def test_bytes_are_those_that_are_written(connection: psycopg.Connection, text: str) -> None:
    for part in text.split("; "):
        connection.execute(part.encode())
    assert rows(connection, "SELECT encode(x, 'hex') FROM bins WHERE i = 1") == [("deadbeef",)]


def test_defaults_checks_and_views(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO bins (i) VALUES (1)")
    connection.execute(
        rb"ALTER TABLE bins ADD COLUMN y bytea DEFAULT '\xab01', ALTER COLUMN x SET DEFAULT '\xcd02'"
    )
    connection.execute("INSERT INTO bins (i) VALUES (2)")
    connection.execute(rb"CREATE VIEW seen AS SELECT i FROM bins WHERE x IN ('\xcd02', '\xff') AND o = 'on'")
    found = rows(connection, "SELECT i, encode(x, 'hex'), encode(y, 'hex'), a, o FROM bins ORDER BY i")
    assert found == [(1, "00ff", "ab01", [1, 2], True), (2, "cd02", "ab01", [1, 2], True)]
    assert rows(connection, "SELECT * FROM seen") == [(2,)]
    connection.execute(rb"ALTER TABLE bins ADD CONSTRAINT short CHECK (y <> '\x0002')")
    for broken in (
        r"INSERT INTO bins (i, x) VALUES (3, '\x0001')",
        r"INSERT INTO bins (i, y) VALUES (3, '\x0002')",
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            connection.execute(broken.encode())
        assert (caught.value.diag.message_detail or "").count("(") == (
            caught.value.diag.message_detail or ""
        ).count(")")


def test_arrays_words_and_temporary_tables(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO bins (i, a, o) VALUES (3, '{}', 'off'), (4, '{NULL, 5}', 'on')")
    assert rows(connection, "SELECT i, a FROM bins WHERE o = 'on' OR a = '{}' ORDER BY i") == [
        (3, []),
        (4, [None, 5]),
    ]
    connection.execute("CREATE TEMP TABLE kept (x bytea, t text[], d date)")
    connection.execute(rb"""INSERT INTO kept VALUES ('\x00ff', '{a,"b c"}', 'today')""")
    assert rows(connection, "SELECT x, t, d = current_date FROM kept") == [(b"\x00\xff", ["a", "b c"], True)]
    connection.execute("DROP TABLE kept")


def test_a_statement_is_read_again_where_the_type_has_changed(connection: psycopg.Connection) -> None:
    insert = rb"INSERT INTO bins (i, x) VALUES (5, '\x4142')"
    connection.execute("ALTER TABLE bins DROP CONSTRAINT even")
    connection.execute(insert)
    connection.execute("ALTER TABLE bins DROP COLUMN x")
    connection.execute("ALTER TABLE bins ADD COLUMN x text")
    connection.execute(insert)
    assert rows(connection, "SELECT x FROM bins ORDER BY x NULLS FIRST") == [(None,), (r"\x4142",)]


CASTS = [
    ("float8", "2", "2"), ("float8", "'inf'", "Infinity"), ("float8", "'NaN'", "NaN"), ("float8", "0.1", "0.1"),
    ("float8", "1e300", "1e+300"), ("real", "16777216", "1.6777216e+07"), ("bytea", r"'\x00FF'", r"\x00ff"),
    ("int[]", "'{1,NULL}'", "{1,NULL}"), ("text[]", "ARRAY['a b', 'c', NULL]", '{"a b",c,NULL}'),
    ("interval", "'14 months -1 day'", "1 year 2 mons -1 days"), ("numeric", "1.50", "1.5"),
    ("numeric(8,2)", "1.5", "1.50"), ("bigint", "9007199254740993", "9007199254740993"),
    ("boolean", "'on'", "true"), ("text", r"'a\b'", r"a\b"),
    ("bool[]", "'{t,f}'", "{t,f}"), ("float8[]", "ARRAY[1.0, 2.5]::float8[]", "{1,2.5}"),
]  # fmt: skip


def test_casts_to_text_are_spelled_as_for_clients(connection: psycopg.Connection) -> None:
    """Of all types at once. Each table is another one to the same texts: of integers, of all types, of integers."""
    integers = [("int", "5", "5")] * len(CASTS)
    for columns in (integers, CASTS, integers) if CI else (integers, CASTS):
        kinds = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(columns))
        connection.execute(f"CREATE TABLE shown (i int, {kinds})".encode())
        connection.execute(f"INSERT INTO shown VALUES (1, {', '.join(row[1] for row in columns)})".encode())

        def each(form: str, between: str = ", ") -> str:
            return between.join(form.replace("?", f"c{n}") for n in range(len(CASTS)))

        texts = tuple(shown for _, _, shown in columns)
        found = " AND ".join(
            f"c{n}::text = '" + shown.replace("'", "''") + "'" for n, shown in enumerate(texts)
        )
        aside = each("(SELECT shown.?::text FROM bins RIGHT JOIN (SELECT 1 AS k) AS o ON false)")
        asked = (
            f"SELECT {each('?::text')} FROM shown",
            f"SELECT {each('CAST(s.? AS varchar)')} FROM shown AS s",
            f"SELECT {aside} FROM shown",
            f"SELECT {each('?::text')} FROM shown WHERE {found}",
            f"SELECT {each('?::text')} FROM shown GROUP BY {each('?::text')} ORDER BY {each('?::text')}",
        )
        for query in asked:
            assert rows(connection, query) == [texts], query
            cursor = connection.execute(query.encode(), prepare=True)
            assert cursor.fetchall() == [texts]
        seen = each("?::text AS t?, left(?::varchar, 3) AS l?")
        connection.execute(f"CREATE VIEW view_of AS SELECT {seen} FROM shown".encode())
        assert rows(connection, f"SELECT {each('t?')} FROM view_of") == [texts]
        assert rows(connection, f"SELECT {each('l?')} FROM view_of") == [tuple(text[:3] for text in texts)]
        connection.execute("DROP VIEW view_of")
        connection.execute("DROP TABLE shown")


def test_joined_texts_and_columns_whose_type_is_not_certain(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE shown (i int, d float8, c bytea)")
    connection.execute("INSERT INTO shown VALUES (1, 3, '\\x41'::bytea)")
    assert rows(connection, "SELECT 'd=' || d || ';' FROM shown") == [("d=3;",)]
    assert rows(connection, "SELECT d || '' FROM (SELECT i AS d FROM shown) AS s") == [("1",)]
    assert rows(connection, "SELECT c::text FROM (SELECT i AS c FROM shown) AS s") == [("1",)]
    assert rows(connection, "WITH shown AS (SELECT 7 AS c) SELECT c::text FROM shown") == [("7",)]
    assert rows(connection, "SELECT encode(c || c, 'hex') FROM shown") == [("4141",)]
    connection.execute("DROP TABLE shown")


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("i", "1.5", "22P02"), ("i", "1e3", "22P02"), ("i", "0x10", "22P02"), ("i", "1_000", "22P02"),
        ("d", "1e400", "22003"), ("d", "1e-400", "22003"), ("r", "1e40", "22003"), ("r", "-1e-50", "22003"),
    ],
)  # fmt: skip
def test_numbers_that_the_engine_would_make_others_of(
    connection: psycopg.Connection, column: str, text: str, code: str
) -> None:
    connection.execute("CREATE TABLE shown (i int, d float8, r real)")
    for statement in (
        f"INSERT INTO shown ({column}) VALUES ('{text}')",
        f"UPDATE shown SET {column} = '{text}'",
        f"SELECT * FROM shown WHERE {column} = '{text}'",
    ):
        with pytest.raises(psycopg.DataError) as caught:
            connection.execute(statement.encode())
        assert caught.value.sqlstate == code
    connection.execute("INSERT INTO shown (d, r) VALUES ('0e5', ' 2.50 '), ('-inf', '1e-40')")
    assert rows(connection, "SELECT d::text, r::text FROM shown ORDER BY d") == [
        ("-Infinity", "1e-40"),
        ("0", "2.5"),
    ]
    connection.execute("DROP TABLE shown")


def test_what_is_no_value_is_refused(connection: psycopg.Connection) -> None:
    for text in (r"INSERT INTO bins (x) VALUES ('\xabc')", r"INSERT INTO bins (x) VALUES ('\9')"):
        with pytest.raises(psycopg.DataError):
            connection.execute(text.encode())
    with pytest.raises(psycopg.DataError):
        connection.execute("INSERT INTO bins (a) VALUES ('{1,x}')")


def test_times_with_an_offset(connection: psycopg.Connection) -> None:
    """The engine reads an offset behind seconds only."""
    connection.execute("CREATE TEMP TABLE clocks (i int, z timetz, t time)")
    connection.execute(
        "INSERT INTO clocks VALUES (1, '12:00+02', '9:30-5'), (2, '12:00:01.5 -03:30', '12:00:01')"
    )
    connection.execute("UPDATE clocks SET z = '7:05Z' WHERE z = '12:00:01.5-3:30'")
    assert rows(connection, "SELECT z::text, t::text FROM clocks ORDER BY i") == [
        ("12:00:00+02", "09:30:00"),
        ("07:05:00+00", "12:00:01"),
    ]
