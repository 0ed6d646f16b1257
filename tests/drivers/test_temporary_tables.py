"""Temporary tables: private to a session, of any name, and never in the way of a table of the branch."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer


@pytest.fixture(params=["main", "branch"])
def place(request: pytest.FixtureRequest, server: ThreadServer, branch: str) -> str:
    return "main" if request.param == "main" else branch


def test_one_hides_a_table_of_its_name_and_takes_none_of_its_rows(
    server: ThreadServer, place: str, name: str
) -> None:
    with server.connect(place) as connection, server.connect(place) as other:
        connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text)")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'lasting')")
        connection.execute(f"CREATE TEMP TABLE {name} (id int, v text)")
        connection.execute(f"INSERT INTO {name} VALUES (7, 'passing')")
        connection.execute(f"INSERT INTO public.{name} VALUES (2, 'lasting')")
        connection.execute(f"UPDATE public.{name} SET v = v || '!' WHERE id = 2")
        assert connection.execute(f"SELECT * FROM {name}").fetchall() == [(7, "passing")]
        assert connection.execute(f"SELECT * FROM pg_temp.{name}").fetchall() == [(7, "passing")]
        assert connection.execute(f"SELECT * FROM pg_temp_1.{name}").fetchall() == [(7, "passing")]
        lasting = [(1, "lasting"), (2, "lasting!")]
        assert connection.execute(f"SELECT * FROM public.{name} ORDER BY id").fetchall() == lasting
        assert other.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() == lasting
        connection.execute(f"DROP TABLE {name}")
        assert connection.execute(f"SELECT * FROM {name} ORDER BY id").fetchall() == lasting


def test_one_can_be_altered_and_an_error_names_it(server: ThreadServer, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE {name} (id int PRIMARY KEY, v text NOT NULL)")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'a')")
        assert error(connection, f"INSERT INTO {name} VALUES (1, 'a')").sqlstate == "23505"
        missing = error(connection, f"INSERT INTO {name} VALUES (2, NULL)")
        assert (missing.sqlstate, missing.diag.message_primary) == (
            "23502",
            f'null value in column "v" of relation "{name}" violates not-null constraint',
        )
        connection.execute(f"ALTER TABLE {name} ADD COLUMN n int DEFAULT 3")
        connection.execute(f"ALTER TABLE {name} RENAME n TO m")
        connection.execute(f"ALTER TABLE {name} ALTER m TYPE bigint, ALTER v DROP NOT NULL")
        connection.execute(f"CREATE INDEX ON {name} (v)")
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}_2")
        assert connection.execute(f"SELECT id, v, m FROM {name}_2").fetchall() == [(1, "a", 3)]
        assert error(connection, f"SELECT * FROM {name}").sqlstate == "42P01"


def error(connection: psycopg.Connection[Any], text: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(text)
    assert "bough" not in str(caught.value)
    return caught.value


def test_the_session_finds_the_columns_of_its_own(server: ThreadServer, place: str, name: str) -> None:
    query = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY 1"
    with server.connect(place) as connection, server.connect(place) as other:
        connection.execute(f"CREATE TEMP TABLE {name} (id int, v text)")
        assert connection.execute(query, (name,)).fetchall() == [("id", "integer"), ("v", "text")]
        assert other.execute(query, (name,)).fetchall() == []
        connection.execute(f"ALTER TABLE {name} DROP COLUMN v")
        assert connection.execute(query, (name,)).fetchall() == [("id", "integer")]
        kind = "SELECT table_type, relpersistence FROM information_schema.tables JOIN pg_class ON relname = table_name"
        shown = connection.execute(f"{kind} WHERE table_name = %s", (name,)).fetchall()
        assert shown == [("LOCAL TEMPORARY", "t")]
        assert connection.execute("SELECT current_schema()").fetchone() == ("public",)
        connection.execute(f"DROP TABLE {name}")
        assert connection.execute(query, (name,)).fetchall() == []


def test_an_insert_may_give_fewer_values_than_there_are_columns(
    server: ThreadServer, place: str, name: str
) -> None:
    with server.connect(place) as connection:
        connection.execute(f"CREATE TEMP TABLE {name} (a int, b text DEFAULT 'x', c int)")
        connection.execute(f"INSERT INTO {name} VALUES (1)")
        connection.execute(f"INSERT INTO {name} SELECT 2, 'y'")
        returned = connection.execute(f"INSERT INTO {name} VALUES (3), (4) RETURNING *").fetchall()
        assert returned == [(3, "x", None), (4, "x", None)]
        assert error(connection, f"INSERT INTO {name} VALUES (1, 'a', 2, 3)").sqlstate == "42601"
        found = connection.execute(f"SELECT * FROM {name} ORDER BY a").fetchall()
        assert found == [(1, "x", None), (2, "y", None), (3, "x", None), (4, "x", None)]
