"""SAVEPOINT, RELEASE and ROLLBACK TO, as drivers send them, on main and on a branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from raw_client import RawClient, error
from server_thread import ThreadServer


@pytest.fixture(params=["main", "branch"])
def place(
    request: pytest.FixtureRequest, server: ThreadServer, name: str
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to main, and one to a branch, with a table of one row."""
    with server.connect() as main:
        main.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        main.execute(f"INSERT INTO {name} VALUES (1)")
        if request.param == "main":
            yield main
            return
        main.execute(f"BRANCH CREATE {name} FROM main")
        with server.connect(name) as connection:
            yield connection
        main.execute(f"BRANCH DISCARD {name} WITH (force true)")


def rows(connection: psycopg.Connection[Any], name: str) -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT i FROM {name} ORDER BY i")]


def test_release_after_writes(place: Any, name: str) -> None:
    with place.transaction():
        place.execute(f"INSERT INTO {name} VALUES (2)")
        with place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (3)")
            with place.transaction():
                place.execute(f"DELETE FROM {name} WHERE i = 1")
    assert rows(place, name) == [2, 3]


def test_back_to_a_savepoint_before_any_write(place: Any, name: str) -> None:
    with place.transaction():
        with pytest.raises(ZeroDivisionError), place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (2)")
            place.execute("SELECT 1")
            raise ZeroDivisionError
        assert rows(place, name) == [1]
        with pytest.raises(psycopg.errors.UniqueViolation), place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (3), (1)")
        with pytest.raises(psycopg.errors.UndefinedTable), place.transaction():
            place.execute(f"DROP TABLE {name}")
            place.execute(f"SELECT * FROM {name}")
        place.execute(f"INSERT INTO {name} VALUES (4)")
    assert rows(place, name) == [1, 4]


def test_back_without_writes_since(place: Any, name: str) -> None:
    with place.transaction():
        place.execute(f"INSERT INTO {name} VALUES (2)")
        with pytest.raises(ZeroDivisionError), place.transaction():
            assert rows(place, name) == [1, 2]
            raise ZeroDivisionError
        with pytest.raises(psycopg.errors.UndefinedTable), place.transaction():
            place.execute("SELECT * FROM no_such_table")  # found before the engine saw anything
        with pytest.raises(psycopg.errors.SyntaxError), place.transaction():
            place.execute("SELEC 1")
        place.execute(f"INSERT INTO {name} VALUES (3)")
    assert rows(place, name) == [1, 2, 3]


@pytest.mark.parametrize(
    ("statement", "sqlstate"), [("INSERT INTO {} VALUES (3)", None), ("SELECT 1 / (i - i) FROM {}", "22012")]
)
def test_what_cannot_be_undone_is_refused(
    place: Any, name: str, statement: str, sqlstate: str | None
) -> None:
    place.execute("BEGIN")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT here")
    if sqlstate is None:
        place.execute(statement.format(name))
    else:
        with pytest.raises(psycopg.Error) as caught:
            place.execute(statement.format(name))
        assert caught.value.sqlstate == sqlstate
    with pytest.raises(psycopg.errors.FeatureNotSupported, match='savepoint "here"') as refused:
        place.execute("ROLLBACK TO here")
    assert "ROLLBACK the whole transaction" in (refused.value.diag.message_hint or "")
    for text in ("SELECT 1", "SAVEPOINT again", "RELEASE here"):
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            place.execute(text)
    assert place.execute("COMMIT").statusmessage == "ROLLBACK"
    assert rows(place, name) == [1]


def test_savepoints_nest_and_keep_their_names(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute("SAVEPOINT a")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT a")
    place.execute("RELEASE a")  # the inner one
    place.execute("ROLLBACK TO a")
    place.execute("ROLLBACK TO a")  # it is still there
    place.execute(f"INSERT INTO {name} VALUES (5)")
    place.execute("RELEASE a")
    with pytest.raises(psycopg.errors.InvalidSavepointSpecification):
        place.execute("ROLLBACK TO a")
    place.execute("ROLLBACK")
    assert rows(place, name) == [1]


def test_settings_cursors_and_temporary_tables_go_back_too(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute("DECLARE kept CURSOR FOR SELECT 7")
    place.execute("SAVEPOINT a")
    place.execute("SET TimeZone = 'Asia/Tokyo'")
    place.execute(f"DECLARE gone CURSOR FOR SELECT i FROM {name}")
    place.execute("CREATE TEMP TABLE passing AS SELECT 1 AS i")
    place.execute("ROLLBACK TO a")
    assert place.execute("SHOW TimeZone").fetchone() == ("UTC",)
    assert place.execute("FETCH kept").fetchone() == (7,)
    place.execute("SAVEPOINT b")
    for text, state in (("FETCH gone", "34000"), ("SELECT * FROM passing", "42P01")):
        with pytest.raises(psycopg.Error) as caught:
            place.execute(text)
        assert caught.value.sqlstate == state
        place.execute("ROLLBACK TO b")
    place.execute("COMMIT")


def test_only_in_a_block(server: ThreadServer) -> None:
    with RawClient.ready(server.port) as client:
        for text in ("SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "SELECT 1; SAVEPOINT a"):
            assert error(client.query(text)).sqlstate == "25P01"
