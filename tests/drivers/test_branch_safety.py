"""Nobody is led to another branch than the one that was meant, and a protected branch stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

Client = psycopg.Connection[Any]


@pytest.fixture
def server(start: Callable[..., ThreadServer]) -> ThreadServer:
    made = start()
    with made.connect() as client:
        client.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        client.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    return made


@pytest.fixture
def client(server: ThreadServer) -> Iterator[Client]:
    with server.connect() as connection:
        yield connection


def refused(client: Client, text: str) -> str | None:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(text)
    assert caught.value.sqlstate != "XX000", caught.value
    assert caught.value.diag.message_detail and caught.value.diag.message_hint, caught.value
    return caught.value.sqlstate


def rows(client: Client, text: str = "SELECT v FROM t ORDER BY id") -> list[Any]:
    return [row[0] for row in client.execute(text)]


@pytest.mark.parametrize("branch", ["main", "b"])
def test_a_protected_branch_stays_as_it_is(client: Client, branch: str) -> None:
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE t SET v = 'b' WHERE id = 2")
    client.execute("BRANCH CREATE c")
    client.execute(f"BRANCH SWITCH {branch}")
    before = rows(client)
    client.execute(f"BRANCH ALTER {branch} SET (protected true)")
    for text in (
        "UPDATE t SET v = 'x'", "DELETE FROM t", "INSERT INTO t VALUES (3, 'x')", "TRUNCATE t",
        "INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x'", "CREATE TABLE u (i INT)",
        "CREATE TABLE u AS SELECT 1 AS i", "ALTER TABLE t ADD COLUMN w INT", "DROP TABLE t",
        "CREATE VIEW w AS SELECT 1",
        "CREATE SCHEMA s", "CREATE SEQUENCE s", "CREATE INDEX i ON t (v)", "COMMENT ON TABLE t IS 'x'",
    ):  # fmt: skip
        assert refused(client, text) == "25006", text
    with pytest.raises(psycopg.Error, match="protected"), client.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write("3\tx\n")
    with pytest.raises(psycopg.Error, match="protected"), client.transaction():
        assert rows(client) == before
        client.execute("UPDATE t SET v = 'x'")
    client.execute("CREATE TEMP TABLE mine AS SELECT * FROM t")
    client.execute("UPDATE mine SET v = 'x'")
    merges = ["BRANCH MERGE b INTO main"] if branch == "main" else [
        "BRANCH MERGE c INTO b", "BRANCH REFRESH b", "BRANCH MERGE main INTO b", "BRANCH RESET b",
        "BRANCH MERGE b WITH (discard true)",
    ]  # fmt: skip
    for text in merges:
        assert refused(client, text) == "25006", text
    client.execute("BRANCH SWITCH c")
    if branch == "b":
        for text in (
            "BRANCH DISCARD b CASCADE",
            "BRANCH DISCARD b CASCADE WITH (force true)",
            "DROP DATABASE main",
        ):
            assert refused(client, text) in ("25006", "42809", "2BP01"), text
        assert rows(client, "SELECT name FROM bough.branches ORDER BY 1") == ["b", "c", "main"]
    client.execute(f"BRANCH SWITCH {branch}")
    assert rows(client) == before
    client.execute(f"BRANCH ALTER {branch} SET (protected false)")
    client.execute("UPDATE t SET v = 'x'")


def test_a_manual_merge_does_not_go_on_into_a_protected_branch(client: Client) -> None:
    client.execute("BRANCH CREATE b")
    client.execute("UPDATE t SET v = 'main' WHERE id = 1")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE t SET v = 'b' WHERE id = 1")
    client.execute("BRANCH MERGE b STRATEGY manual")
    client.execute("BRANCH RESOLVE b USING branch")
    client.execute("BRANCH ALTER main SET (protected true)")
    assert refused(client, "BRANCH MERGE b CONTINUE") == "25006"
    client.execute("BRANCH ALTER main SET (protected false)")
    client.execute("BRANCH MERGE b CONTINUE")
    (merge,) = rows(client, "SELECT id FROM bough.merges")
    client.execute("BRANCH ALTER main SET (protected true)")
    assert refused(client, f"BRANCH REVERT MERGE {merge}") == "25006"
    assert rows(client, "SELECT v FROM main.public.t ORDER BY id") == ["b", "two"]


def test_branches_go_together_or_not_at_all(server: ThreadServer, client: Client) -> None:
    for name, parent in (("a", "main"), ("b", "a"), ("c", "b"), ("d", "a")):
        client.execute(f"BRANCH CREATE {name} FROM {parent}")
    client.execute("BRANCH ALTER c SET (protected true)")
    assert refused(client, "BRANCH DISCARD a CASCADE") == "25006"
    client.execute("BRANCH ALTER c SET (protected false)")
    with server.connect("d"):
        assert refused(client, "BRANCH DISCARD a CASCADE") == "55006"
    assert len(rows(client, "SELECT name FROM bough.branches")) == 5
    client.execute("BRANCH DISCARD a CASCADE WITH (force true)")
    assert rows(client, "SELECT name FROM bough.branches") == ["main"]


@pytest.mark.parametrize("way", ["set_config('branch', 'b', false)", "set_config('branch', 'b', true)"])
def test_a_block_that_has_written_stays_where_it_is(client: Client, way: str) -> None:
    client.execute("BRANCH CREATE b")
    client.execute("BEGIN")
    client.execute("UPDATE t SET v = 'x' WHERE id = 1")
    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        client.execute(f"SELECT {way}")
    client.execute("ROLLBACK")
    assert rows(client, "SELECT current_branch()") == ["main"]
    assert rows(client) == ["one", "two"]


def test_a_renamed_branch_is_still_the_one_that_was_meant(server: ThreadServer, client: Client) -> None:
    client.execute("BRANCH CREATE a")
    with server.connect("a") as started, server.connect() as moved, server.connect() as local:
        moved.execute("BRANCH SWITCH a")
        local.execute("BRANCH SWITCH a")
        local.execute("BEGIN")
        local.execute("SET LOCAL branch = 'main'")
        started.execute("BRANCH SWITCH main")
        client.execute("BRANCH RENAME a TO b")
        client.execute("BRANCH CREATE a")
        moved.execute("BEGIN")
        moved.execute("INSERT INTO t VALUES (3, 'moved')")
        moved.execute("COMMIT")
        local.execute("COMMIT")
        started.execute("RESET ALL")
        for other in (started, moved, local):
            assert rows(other, "SELECT current_branch()") == ["b"]
            assert rows(other, "SHOW branch") == ["b"]
            assert rows(other, "SELECT current_setting('branch')") == ["b"]
            assert other.info.parameter_status("branch") == "b"
        assert rows(started, "SELECT current_database()") == ["a"], "the name it connected with"
    assert rows(client, "SELECT v FROM b.public.t ORDER BY id") == ["one", "two", "moved"]
    assert rows(client, "SELECT v FROM a.public.t ORDER BY id") == ["one", "two"]


def test_a_merge_belongs_to_its_branches_and_not_to_their_names(client: Client) -> None:
    def forked(name: str) -> None:
        client.execute(f"BRANCH CREATE {name}")
        client.execute(f"BRANCH SWITCH {name}")

    forked("b")
    client.execute("UPDATE t SET v = 'b' WHERE id = 1")
    client.execute("BRANCH SWITCH main")
    client.execute("UPDATE t SET v = 'main' WHERE id = 1")
    client.execute("BRANCH MERGE b STRATEGY manual")
    client.execute("BRANCH DISCARD b")
    assert rows(client, "SELECT state FROM bough.merges") == ["aborted"]
    assert rows(client, "SELECT id FROM bough.conflicts") == []
    forked("b")
    client.execute("UPDATE t SET v = 'other' WHERE id = 1")
    assert refused(client, "BRANCH MERGE b CONTINUE") == "55000"
    client.execute("BRANCH CREATE c FROM b")
    client.execute("BRANCH SWITCH c")
    client.execute("UPDATE t SET v = 'c' WHERE id = 2")
    client.execute("BRANCH MERGE c")
    (merge,) = rows(client, "SELECT id FROM bough.merges WHERE state = 'merged'")
    client.execute("BRANCH SWITCH main")
    client.execute("BRANCH DISCARD b CASCADE")
    forked("b")
    assert refused(client, f"BRANCH REVERT MERGE {merge}") == "42704"


@pytest.mark.parametrize("block", [False, True], ids=["session", "block"])
def test_nothing_is_written_read_only(client: Client, block: bool) -> None:
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE t SET v = 'b' WHERE id = 1")
    client.execute("BRANCH SWITCH main")
    if not block:
        client.execute("SET default_transaction_read_only = on")
    for text in (
        "INSERT INTO t VALUES (3, 'x')", "UPDATE t SET v = 'x'", "DELETE FROM t", "TRUNCATE t",
        "CREATE TABLE u (i INT)",
        "DROP TABLE t", "BRANCH MERGE b", "BRANCH CREATE c", "CREATE DATABASE c", "BRANCH DISCARD b", "BRANCH RESET b",
        "SELECT * FROM bough.branch_merge('b')", "BRANCH ALTER b SET (ttl NONE)", "BRANCH REFRESH b",
        "UPDATE bough.conflicts SET resolution = 'branch'",
    ):  # fmt: skip
        if block:
            client.execute("BEGIN READ ONLY")
        assert refused(client, text) == "25006", text
        if block:
            client.execute("ROLLBACK")
    if block:
        client.execute("BEGIN READ ONLY")
    for text in (
        "BRANCH LIST", "BRANCH STATUS b", "BRANCH DIFF b", "EXPLAIN BRANCH MERGE b", "BRANCH CONFLICTS b",
        "SHADOW QUERY ON main, b AS SELECT * FROM t", "BRANCH SWITCH b",
    ):  # fmt: skip
        client.execute(text)
    assert rows(client) == ["b", "two"]
    client.execute("ROLLBACK")
    client.execute("BRANCH SWITCH main")
    client.execute("BEGIN READ WRITE")
    client.execute("UPDATE t SET v = 'w' WHERE id = 1")
    client.execute("COMMIT")
    assert rows(client) == ["w", "two"]
