"""Statements that object mappers of Node send: Drizzle, Sequelize, TypeORM; and what Django groups by."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.once_each


@pytest.fixture(params=["main", "branch"])
def place(
    request: pytest.FixtureRequest, server: ThreadServer, name: str
) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        connection.execute(
            f"CREATE TABLE {name} (id serial PRIMARY KEY, n varchar(20) UNIQUE, at timestamptz DEFAULT now(),"
            " q int DEFAULT 5, day date, note text)"
        )
        if request.param == "branch":
            connection.execute(f"BRANCH CREATE {name}")
            connection.execute(f"BRANCH SWITCH {name}")
        yield connection


@pytest.mark.parametrize("in_block", [False, True])
def test_default_beside_on_conflict(place: psycopg.Connection[Any], name: str, in_block: bool) -> None:
    def insert(rows: str, otherwise: str) -> list[Any]:
        return place.execute(
            f"INSERT INTO {name} (id, n, at, q, day) VALUES {rows} ON CONFLICT {otherwise} RETURNING id, n, q".encode()
        ).fetchall()

    with place.transaction() if in_block else place.pipeline():
        assert insert("(DEFAULT, 'a', DEFAULT, DEFAULT, DEFAULT)", "DO NOTHING") == [(1, "a", 5)]
        found = insert(
            "(DEFAULT, 'a', DEFAULT, 7, DEFAULT), (DEFAULT, 'b', DEFAULT, DEFAULT, '2024-01-01')",
            "(n) DO UPDATE SET q = excluded.q",
        )
        assert sorted(found) == [(1, "a", 7), (3, "b", 5)]
        assert insert("(3, 'c', DEFAULT, DEFAULT, DEFAULT)", "(id) DO UPDATE SET n = excluded.n") == [
            (3, "c", 5)
        ]
        kept = f"SELECT count(*), count(at), count(day) FROM {name}"
        assert place.execute(kept).fetchone() == (2, 2, 1)


@pytest.mark.parametrize("rows", [1, 40])
def test_a_time_with_a_blank_before_its_offset(place: psycopg.Connection[Any], name: str, rows: int) -> None:
    place.execute("SET timezone = 'UTC'")
    listed = ", ".join(f"('n {i}', '2024-01-31 10:00:00.123 +02:00')" for i in range(rows))
    place.execute(f"INSERT INTO {name} (n, at) VALUES {listed}".encode())
    place.execute(f"UPDATE {name} SET at = '2024-01-31 08:00:00.123 +00:00' WHERE n = 'n 0'")
    found = place.execute(
        f"SELECT DISTINCT at FROM {name} WHERE at >= '2024-01-31 08:00:00.123 +00:00'"
    ).fetchall()
    assert found == [(dt.datetime(2024, 1, 31, 8, 0, 0, 123000, dt.UTC),)]


def test_columns_of_a_key_that_is_grouped_by(place: psycopg.Connection[Any], name: str) -> None:
    place.execute(f"INSERT INTO {name} (n, q) VALUES ('a', 1), ('b', 2)")
    query = f"SELECT x.*, count(y.id) AS more FROM {name} x LEFT JOIN {name} y ON y.q > x.q GROUP BY x.id ORDER BY x.n"
    assert [row[-1] for row in place.execute(query.encode())] == [1, 0]
    place.execute(f"CREATE VIEW v{name} AS SELECT n, max(q) FROM {name} GROUP BY id")
    assert place.execute(f"SELECT * FROM v{name} ORDER BY 1").fetchall() == [("a", 1), ("b", 2)]
    place.execute(f"ALTER TABLE {name} DROP CONSTRAINT {name}_pkey")
    with pytest.raises(psycopg.errors.GroupingError):
        place.execute(query.encode())


def test_names_put_together_are_looked_up(place: psycopg.Connection[Any], name: str) -> None:
    place.execute(f"COMMENT ON TABLE {name} IS 'said'")
    found = place.execute(
        "SELECT obj_description((quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass, 'pg_class'),"
        """ ('"' || table_schema || '"."' || table_name || '"')::regclass::text FROM information_schema.tables"""
        " WHERE table_name = %s",
        (name,),
    ).fetchall()
    assert found == [("said", name)]
    types = """SELECT ('"' || udt_schema || '"."' || udt_name || '"')::regtype::text FROM information_schema.columns"""
    assert place.execute(
        f"{types} WHERE table_name = '{name}' ORDER BY ordinal_position".encode()
    ).fetchall() == [("integer",), ("character varying",), ("timestamp with time zone",), ("integer",),
                     ("date",), ("text",)]  # fmt: skip
    assert place.execute("SELECT * FROM current_schema()").fetchone() == ("public",)


def test_lists_as_parameters(place: psycopg.Connection[Any], name: str) -> None:
    columns = (["a", "b", None], [1, None, 3])
    added = f"INSERT INTO {name} (n, q) SELECT * FROM unnest(%s::text[], %s::int[]) RETURNING n, q"
    assert place.execute(added.encode(), columns).fetchall() == [("a", 1), ("b", None), (None, 3)]
    query = "SELECT '{\"k\": 1}'::jsonb ?| %s, '{\"k\": 1}'::jsonb ?& %s"
    assert place.execute(query.encode(), (["k", "l"], ["k", "l"])).fetchone() == (True, False)
