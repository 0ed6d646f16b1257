"""What a branch is, over the wire: every kind of object, forks of forks, what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

Client = psycopg.Connection[Any]


@pytest.fixture
def own(start: Callable[..., ThreadServer]) -> ThreadServer:
    return start()


@pytest.fixture
def client(own: ThreadServer) -> Iterator[Client]:
    with own.connect() as connection:
        yield connection


def ask(client: Client, text: str) -> list[tuple[Any, ...]]:
    return client.execute(text).fetchall()


def test_every_kind_of_object_branches_and_merges(client: Client) -> None:
    client.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    client.execute("CREATE VIEW old AS SELECT id FROM t")
    client.execute("CREATE SCHEMA sales")
    client.execute("CREATE TABLE sales.orders (id INT)")
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    for text in (
        "INSERT INTO t VALUES (1, 10)",
        "INSERT INTO sales.orders VALUES (1)",
        "CREATE SCHEMA more",
        "CREATE TABLE more.things (id INT PRIMARY KEY)",
        "CREATE VIEW young AS SELECT n FROM t",
        "DROP VIEW old",
        "CREATE SEQUENCE numbers START 5",
        "CREATE UNIQUE INDEX t_n ON t (n)",
        "COMMENT ON TABLE t IS 'what it is'",
    ):
        client.execute(text)
    reads = ("SELECT * FROM young", "SELECT * FROM more.things", "SELECT nextval('numbers')")
    for text in reads:
        client.execute(text)
    client.execute("BRANCH SWITCH main")
    for text in reads:
        with pytest.raises(psycopg.Error):
            client.execute(text)
    assert ask(client, "SELECT * FROM old") == ask(client, "SELECT * FROM sales.orders") == []
    assert ask(client, "SELECT obj_description('t'::regclass)") == [(None,)]
    client.execute("BRANCH MERGE b")
    assert ask(client, "SELECT * FROM young") == [(10,)]
    assert ask(client, "SELECT * FROM sales.orders") == [(1,)]
    assert ask(client, "SELECT nextval('numbers')") == [(6,)], "one counter for all branches"
    assert ask(client, "SELECT obj_description('t'::regclass)") == [("what it is",)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        client.execute("SELECT * FROM old")
    with pytest.raises(psycopg.errors.UniqueViolation):
        client.execute("INSERT INTO t VALUES (2, 10)")


def test_forks_of_forks_and_merges_between_them(client: Client) -> None:
    client.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    client.execute("INSERT INTO t VALUES (1, 'main')")
    parent = "main"
    for depth in range(1, 6):
        client.execute(f"BRANCH CREATE d{depth} FROM {parent}")
        client.execute(f"BRANCH SWITCH d{depth}")
        client.execute(f"INSERT INTO t VALUES ({depth + 1}, 'd{depth}')")
        parent = f"d{depth}"
    client.execute("UPDATE t SET v = 'deep' WHERE id = 1")
    client.execute("BRANCH SWITCH main")
    assert [ask(client, f"SELECT count(*) FROM d{depth}.public.t") for depth in range(1, 6)] == [
        [(depth + 1,)] for depth in range(1, 6)
    ]
    client.execute("BRANCH MERGE d5 INTO main")
    assert ask(client, "SELECT v FROM t ORDER BY id") == [
        ("deep",),
        *((f"d{depth}",) for depth in range(1, 6)),
    ]
    client.execute("BRANCH REFRESH d1")
    assert ask(client, "SELECT count(*) FROM d1.public.t") == [(6,)]
    identifier = ask(client, "SELECT max(id) FROM bough.merges WHERE target = 'main'")[0][0]
    client.execute(f"BRANCH REVERT MERGE {identifier}")
    assert ask(client, "SELECT * FROM t") == [(1, "main")]
    assert ask(client, "SELECT count(*) FROM d5.public.t") == [(6,)]


def test_what_is_known_of_a_branch_survives_a_restart(
    start: Callable[..., ThreadServer], tmp_path: Path
) -> None:
    file = str(tmp_path / "kept.duckdb")
    columns = (
        "name, parent, created_by, created_at, protected, comment, owner, expires_at - created_at < '3h'"
    )
    first = ThreadServer(file)
    with first.connect() as client:
        client.execute("CREATE TABLE t (i INT)")
        client.execute("BRANCH CREATE a WITH (ttl '2h', comment 'new fares')")
        client.execute("BRANCH CREATE b FROM a WITH (ttl NONE, protected true)")
        client.execute("BRANCH ALTER a SET (ttl '1h')")
        before = ask(client, f"SELECT {columns} FROM bough.branches ORDER BY name")
    first.stop()
    with start(file).connect() as client:
        assert ask(client, f"SELECT {columns} FROM bough.branches ORDER BY name") == before
        assert [row[0] for row in before] == ["a", "b", "main"]
        assert (
            before[0][1] == "main" and before[1][1] == "a" and before[0][5:] == ("new fares", "alice", True)
        )
        with pytest.raises(psycopg.Error) as caught:
            client.execute("BRANCH DISCARD b")
        assert caught.value.sqlstate == "25006"
