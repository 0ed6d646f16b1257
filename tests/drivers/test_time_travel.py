"""Time travel as clients spell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

Client = psycopg.Connection[Any]


@pytest.fixture
def client(start: Callable[..., ThreadServer]) -> Iterator[Client]:
    with start(retention="1h").connect() as connection:
        connection.execute("CREATE TABLE fares (id int PRIMARY KEY, fare numeric(8,2))")
        connection.execute("INSERT INTO fares VALUES (1, 10), (2, 20)")
        yield connection


def newest(client: Client) -> tuple[int, str]:
    row = client.execute("SELECT version, at::text FROM bough.commits ORDER BY at DESC LIMIT 1").fetchone()
    assert row is not None
    return row


def test_reads_of_a_version_and_of_a_time(client: Client) -> None:
    version, _ = newest(client)
    client.execute("UPDATE fares SET fare = 11 WHERE id = 1")
    _, at = newest(client)
    client.execute("DELETE FROM fares")
    query = f"SELECT f.id, fare FROM fares AS OF VERSION {version} AS f WHERE f.id < %s"
    assert client.execute(query, (2,)).fetchall() == [(1, 10)]
    assert client.execute(f"SELECT sum(fare) FROM public.fares as of timestamp '{at}'").fetchall() == [(31,)]
    both = (
        f"SELECT a.fare, b.fare FROM \"fares\" AS OF VERSION {version} a, fares AS OF TIMESTAMP '{at}' b"
        " WHERE a.id = b.id"
    )
    assert sorted(client.execute(both).fetchall()) == [(10, 11), (20, 20)]
    client.execute(f"CREATE TABLE back AS SELECT * FROM fares AS OF VERSION {version}")
    client.execute(f"INSERT INTO fares SELECT * FROM fares AS OF VERSION {version} WHERE id = 2")
    assert client.execute("SELECT id FROM back ORDER BY 1").fetchall() == [(1,), (2,)]
    assert client.execute("SELECT id FROM fares").fetchall() == [(2,)]
    client.execute(f"CREATE VIEW before AS SELECT id FROM fares AS OF VERSION {version} x")
    assert client.execute("SELECT count(*) FROM before").fetchall() == [(2,)]
    plan = "\n".join(row[0] for row in client.execute(f"EXPLAIN SELECT * FROM fares AS OF VERSION {version}"))
    assert "bough_data" not in plan
    client.execute(f"PREPARE p AS SELECT count(*) FROM fares AS OF VERSION {version}")
    assert client.execute("EXECUTE p").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("clause", "sqlstate"),
    [
        ("AS OF VERSION 99999", "22023"),
        ("AS OF VERSION 'x'", "22023"),
        ("AS OF TIMESTAMP 'whenever'", "22007"),
        ("AS OF VERSION", "42601"),
    ],
)
def test_wrong_moments(client: Client, clause: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(f"SELECT * FROM fares {clause}")
    assert caught.value.sqlstate == sqlstate


def test_as_of_belongs_to_a_table_in_a_query(client: Client) -> None:
    for text in (
        "SELECT now() AS OF VERSION 1",
        "DELETE FROM fares AS OF VERSION 1",
        "DROP TABLE fares AS OF VERSION 1",
    ):
        with pytest.raises(psycopg.Error) as caught:
            client.execute(text)
        assert caught.value.sqlstate in ("0A000", "42601"), text
    assert client.execute("SELECT count(*) FROM fares").fetchall() == [(2,)]


def test_branches_of_a_moment_and_resets(client: Client) -> None:
    version, at = newest(client)
    client.execute("ALTER TABLE fares DROP COLUMN fare")
    client.execute(f"BRANCH CREATE old FROM main AS OF VERSION {version}")
    client.execute(f"BRANCH CREATE older FROM main AS OF TIMESTAMP '{at}'")
    client.execute(f"SELECT * FROM bough.branch_create('oldest', version => {version})")
    for branch in ("old", "older", "oldest"):
        assert client.execute(f"SELECT sum(fare) FROM {branch}.public.fares").fetchall() == [(30,)]
    client.execute("SET branch = 'old'")
    client.execute("UPDATE fares SET fare = 0 WHERE id = 1")
    mine, _ = newest(client)
    client.execute("DELETE FROM fares")
    assert client.execute(f"SELECT sum(fare) FROM fares AS OF VERSION {mine}").fetchall() == [(20,)]
    client.execute(f"BRANCH RESET old TO VERSION {mine}")
    assert client.execute("SELECT sum(fare) FROM fares").fetchall() == [(20,)]
    client.execute("BRANCH RESET old")
    assert client.execute("SELECT sum(fare) FROM fares").fetchall() == [(30,)]
    with pytest.raises(psycopg.Error) as caught:
        client.execute(f"SELECT * FROM fares AS OF VERSION {mine}")
    assert caught.value.diag.message_detail is not None
