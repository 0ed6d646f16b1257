"""HatiData's MCP server in cloud mode, unmodified, pointed at Bough: its branches by raw DDL are real branches here.

The second half sends what it sends, statement by statement, in orders it would never choose: no order may lose a row.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from effort import seeds
from server_process import ProcessServer
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

hatidata_agent = pytest.importorskip("hatidata_agent")
from hatidata_agent.mcp_server import handle_tool_call  # noqa: E402

ROWS = [(1, "ann", 10), (2, "bob", 20), (3, "cyd", 30)]
SCHEMA = "branch_0123456789ab"


class Tools:
    """The tools of one MCP server: a call gives what its answer says, or raises what it complains of."""

    def __init__(self, server: ThreadServer) -> None:
        self.agent = hatidata_agent.HatiDataAgent(
            host="127.0.0.1", port=server.port, agent_id="a", framework="mcp"
        )

    def __call__(self, tool: str, **arguments: Any) -> Any:
        answer = handle_tool_call(self.agent, tool, arguments)
        text = answer["content"][0]["text"]
        if answer.get("isError"):
            raise RuntimeError(text)
        return json.loads(text)

    def create(self) -> str:
        return str(self("branch_create", name="try")["branch_id"])

    def on(self, branch: str, sql: str) -> Any:
        return self("branch_query", branch_id=branch, sql=sql)

    def users(self, branch: str | None = None) -> list[tuple[int, str, int]]:
        sql = "SELECT id, name, points FROM users ORDER BY id"
        rows = self("query", sql=sql) if branch is None else self.on(branch, sql)
        return [(row["id"], row["name"], row["points"]) for row in rows]

    def close(self) -> None:
        self.agent.close()


@pytest.fixture
def own(start: Callable[..., ThreadServer]) -> ThreadServer:
    """A server with a table of users, and one that nobody touches."""
    server = start()
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE users (id INT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
            " points INT DEFAULT 7 CHECK (points >= 0))"
        )
        connection.execute("CREATE INDEX users_points ON users (points)")
        connection.execute("CREATE TABLE quiet (id INT)")
        for row in ROWS:
            connection.execute("INSERT INTO users VALUES (%s, %s, %s)", row)
    return server


@pytest.fixture
def tools(own: ThreadServer) -> Iterator[Tools]:
    made = Tools(own)
    yield made
    made.close()


@pytest.fixture
def client(own: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with own.connect() as connection:
        yield connection


def _branch(client: psycopg.Connection[Any], change: str) -> None:
    """A branch schema with one change."""
    client.execute(f'CREATE SCHEMA "{SCHEMA}"')
    client.execute(f"SET search_path = '{SCHEMA},main'")
    client.execute(change)
    client.execute("SET search_path = 'main'")


def _list(client: psycopg.Connection[Any]) -> list[str]:
    found = client.execute(
        "SELECT table_name FROM information_schema.tables "
        f"WHERE table_schema = '{SCHEMA}' AND table_type = 'BASE TABLE'"
    )
    return [row[0] for row in found.fetchall()]


def _users(client: psycopg.Connection[Any], where: str = "users") -> list[tuple[Any, ...]]:
    return client.execute(f"SELECT * FROM {where} ORDER BY id").fetchall()


DROP = 'DROP TABLE IF EXISTS main."users"'
COPY = f'CREATE TABLE main."users" AS SELECT * FROM "{SCHEMA}"."users"'


# -- the tools ------------------------------------------------------------------------------------------------


def test_a_branch_is_written_and_main_is_not(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "UPDATE users SET points = 11 WHERE id = 1")
    tools.on(branch, "INSERT INTO users (id, name) VALUES (4, 'dan')")
    tools.on(branch, "DELETE FROM users WHERE id = 3")
    tools.on(branch, f'UPDATE "branch_{branch}".users SET points = 21 WHERE id = 2')
    tools.on(branch, "UPDATE main.users SET points = 12 WHERE id = 1")
    assert tools.users(branch) == [(1, "ann", 12), (2, "bob", 21), (4, "dan", 7)]
    assert tools.users() == ROWS
    tools("query", sql="DELETE FROM users")
    assert tools.users(branch) == [(1, "ann", 12), (2, "bob", 21), (4, "dan", 7)]


def test_two_branches_of_one_table_both_survive_their_merges(tools: Tools) -> None:
    one, two = tools.create(), tools.create()
    tools.on(one, "UPDATE users SET points = 11 WHERE id = 1")
    tools.on(one, "INSERT INTO users VALUES (4, 'dan', 40)")
    tools.on(two, "UPDATE users SET name = 'rob' WHERE id = 2")
    tools.on(two, "UPDATE users SET name = 'anna' WHERE id = 1")
    tools("query", sql="UPDATE users SET points = 33 WHERE id = 3")
    tools("query", sql="INSERT INTO users VALUES (5, 'eve', 50)")
    assert tools("branch_merge", branch_id=one) == {"branch_id": one, "merged": 1, "status": "completed"}
    assert tools("branch_merge", branch_id=two) == {"branch_id": two, "merged": 1, "status": "completed"}
    assert tools.users() == [(1, "anna", 11), (2, "rob", 20), (3, "cyd", 33), (4, "dan", 40), (5, "eve", 50)]
    assert tools("branch_list") == []


def test_constraints_survive_a_merge(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "UPDATE users SET name = 'rob' WHERE id = 2")
    tools("branch_merge", branch_id=branch)
    for values in ("1, 'again', 1", "9, 'rob', 1", "9, NULL, 1", "9, 'new', -1"):
        with pytest.raises(RuntimeError, match="violates"):
            tools("query", sql=f"INSERT INTO users VALUES ({values})")
    tools("query", sql="INSERT INTO users (id, name) VALUES (9, 'new')")
    assert tools.users()[-1] == (9, "new", 7)
    indexes = tools("query", sql="SELECT indexname FROM pg_indexes WHERE tablename = 'users'")
    assert {"users_pkey", "users_points"} <= {row["indexname"] for row in indexes}


def test_a_conflict_is_reported_and_changes_nothing(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "CREATE TABLE made (id INT PRIMARY KEY)")
    tools.on(branch, "UPDATE users SET points = 11 WHERE id = 1")
    tools("query", sql="UPDATE users SET points = 12 WHERE id = 1")
    with pytest.raises(RuntimeError, match="has 1 conflict"):
        tools("branch_merge", branch_id=branch)
    assert tools.users() == [(1, "ann", 12), *ROWS[1:]]
    assert tools.users(branch) == [(1, "ann", 11), *ROWS[1:]]
    with pytest.raises(RuntimeError, match='"made" does not exist'):
        tools("query", sql="SELECT * FROM made")
    tools("query", sql=f"BRANCH MERGE branch_{branch} STRATEGY branch_wins")
    assert tools.users() == [(1, "ann", 11), *ROWS[1:]]


def test_the_strategy_of_a_merge_can_be_set(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "UPDATE users SET points = points + 1")
    tools("query", sql="UPDATE users SET points = 12, name = 'anna' WHERE id = 1")
    tools("query", sql="SET hatidata_merge_strategy = 'branch_wins'")
    tools("branch_merge", branch_id=branch)
    assert tools.users() == [(1, "anna", 11), (2, "bob", 21), (3, "cyd", 31)]


def test_tables_that_need_each_other_are_merged_together(tools: Tools) -> None:
    """The tools merge table by table; a child would come before its parent."""
    branch = tools.create()
    tools.on(branch, "CREATE TABLE a_child (id INT PRIMARY KEY, who INT REFERENCES users (id))")
    tools.on(branch, "INSERT INTO users VALUES (4, 'dan', 40)")
    tools.on(branch, "INSERT INTO a_child VALUES (1, 4)")
    tools.on(branch, "DROP TABLE quiet")
    assert tools("branch_merge", branch_id=branch)["merged"] == 2
    assert tools("query", sql="SELECT * FROM a_child") == [{"id": 1, "who": 4}]
    with pytest.raises(RuntimeError, match="foreign key"):
        tools("query", sql="INSERT INTO a_child VALUES (2, 99)")
    with pytest.raises(RuntimeError, match='"quiet" does not exist'):
        tools("query", sql="SELECT * FROM quiet")


def test_the_list_counts_what_each_branch_changed(tools: Tools) -> None:
    one, two = tools.create(), tools.create()
    tools.on(one, "UPDATE users SET points = 0")
    tools.on(one, "CREATE TABLE made (id INT)")
    tools.on(two, "DROP TABLE quiet")
    found = {row["branch_id"]: (row["materialized_tables"], row["views"]) for row in tools("branch_list")}
    assert found == {one: (2, 1), two: (0, 1)}


def test_other_tools_see_every_table_once(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "ALTER TABLE users ADD COLUMN more TEXT")
    columns = [row["column_name"] for row in tools("describe_table", table_name="users")]
    assert columns == ["id", "name", "points"]
    assert [row["table_name"] for row in tools("list_tables")] == ["quiet", "users"]
    assert f"branch_{branch}" in tools("list_schemas")
    listed = tools("list_tables", schema=f"branch_{branch}")
    assert [(row["table_name"], row["table_type"]) for row in listed] == [
        ("quiet", "VIEW"),
        ("users", "BASE TABLE"),
    ]
    found = tools(
        "query",
        sql="SELECT column_name FROM information_schema.columns"
        f" WHERE table_schema = 'branch_{branch}' AND table_name = 'users' ORDER BY ordinal_position",
    )
    assert [row["column_name"] for row in found] == ["id", "name", "points", "more"]


def test_a_discarded_branch_is_gone_and_can_come_back(tools: Tools) -> None:
    branch = tools.create()
    tools.on(branch, "DELETE FROM users")
    assert tools("branch_discard", branch_id=branch) == {"discarded": True, "branch_id": branch}
    assert tools("branch_discard", branch_id=branch)["discarded"] is True
    assert tools("branch_list") == []
    with pytest.raises(RuntimeError, match="does not exist"):
        tools.on(branch, "DELETE FROM users")  # must not reach main
    assert tools.users() == ROWS
    tools("query", sql=f"BRANCH RESTORE branch_{branch}")
    assert tools.users(branch) == []


def test_an_error_on_a_branch_leaves_the_session_usable(tools: Tools) -> None:
    branch = tools.create()
    with pytest.raises(RuntimeError, match="does not exist"):
        tools.on(branch, "SELECT * FROM nowhere")
    with pytest.raises(RuntimeError, match="has written"):
        tools.on(branch, "BEGIN; DELETE FROM users")  # a block that stays open
    with pytest.raises(RuntimeError, match="aborted"):
        tools("query", sql="SELECT 1")
    tools("query", sql="ROLLBACK")
    assert tools("query", sql="SELECT current_branch() AS b") == [{"b": "main"}]
    assert tools.users(branch) == ROWS
    with pytest.raises(RuntimeError):
        tools.on(branch, "BEGIN; SELECT * FROM nowhere; SELECT 1")
    tools("query", sql="ROLLBACK")
    assert tools("query", sql="SELECT current_branch() AS b") == [{"b": "main"}]


def test_two_servers_merge_at_once(own: ThreadServer) -> None:
    """Whatever the order, nobody's rows are lost; who is refused (40001) merges again."""
    both = [Tools(own), Tools(own)]
    branches = [tools.create() for tools in both]
    ready, failures = threading.Barrier(2), []

    def work(number: int) -> None:
        tools, branch = both[number], branches[number]
        tools.on(branch, f"UPDATE users SET points = {number} WHERE id = {number + 1}")
        tools.on(branch, f"INSERT INTO users VALUES ({number + 10}, 'n{number}', 1)")
        ready.wait()
        for _ in range(10):
            try:
                tools("branch_merge", branch_id=branch)
                return
            except RuntimeError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert both[0].users() == [(1, "ann", 0), (2, "bob", 1), (3, "cyd", 30), (10, "n0", 1), (11, "n1", 1)]
    assert all("changes" in text or "being merged" in text for text in failures), failures
    for tools in both:
        tools.close()


def test_every_other_tool_works(tools: Tools) -> None:
    """Two fail in the client itself: a raw %Y in a text with parameters, and columns that DuckDB does not have."""
    assert tools("read_query", sql="SELECT count(*) AS n FROM users;") == [{"n": 3}]
    memory = tools("store_memory", content="likes tea", metadata={"a": 1})["memory_id"]
    assert [row["memory_id"] for row in tools("search_memory", query="tea")] == [memory]
    assert tools("delete_memory", memory_id=memory)["deleted"] is True
    assert tools("get_agent_state", key="k") == {"key": "k", "value": None}
    for content in ("one", "two"):
        tools("log_reasoning_step", session_id="s", content=content, metadata={"x": content})
    replayed = tools("replay_decision", session_id="s", verify_chain=True)
    assert (replayed["step_count"], replayed["chain_valid"]) == (2, True)
    assert [row["step_count"] for row in tools("get_session_history")] == [2]
    trigger = tools("register_trigger", name="n", concept="churn risk", threshold=0.5)["trigger_id"]
    assert tools("test_trigger", trigger_id=trigger, content="a churn risk")["matched"] is True
    tools("delete_trigger", trigger_id=trigger)
    assert [row["enabled"] for row in tools("list_triggers")] == [False]
    for tool, arguments in (("set_agent_state", {"key": "k", "value": 1}), ("get_usage_stats", {})):
        with pytest.raises(RuntimeError):
            tools(tool, **arguments)


def test_the_server_program_itself(own: ThreadServer) -> None:
    """``hatidata-mcp-server`` in a process, over its pipe."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("branch_create", {}),
        ("branch_list", {}),
        ("query", {"sql": "SELECT 1 AS one"}),
    ]
    lines = [
        json.dumps(
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": n, "arguments": a}}
        )
        for number, (n, a) in enumerate(calls)
    ]
    program = [
        sys.executable,
        "-m",
        "hatidata_agent.mcp_server",
        "--host",
        "127.0.0.1",
        "--port",
        str(own.port),
    ]
    done = subprocess.run(
        program, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60, check=True
    )
    found = [
        json.loads(json.loads(line)["result"]["content"][0]["text"]) for line in done.stdout.splitlines()
    ]
    assert found[0]["table_count"] == 2
    assert [row["branch_id"] for row in found[1]] == [found[0]["branch_id"]]
    assert found[2] == [{"one": 1}]


# -- the merge loop, in other orders ----------------------------------------------------------------------------


def test_the_pair_is_a_merge(client: psycopg.Connection[Any]) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    client.execute("UPDATE users SET points = 22 WHERE id = 2")
    assert _list(client) == ["users"]
    assert client.execute(DROP).statusmessage == "DROP TABLE"
    client.execute("SET hatidata_request_id = 'r1'")  # a setting of the client's is no step
    assert client.execute(COPY).statusmessage == "SELECT 1"
    assert _users(client) == [(1, "ann", 11), (2, "bob", 22), (3, "cyd", 30)]
    assert client.execute("SELECT source, target, state FROM bough.merges").fetchall() == [
        (SCHEMA, "main", "merged")
    ]
    client.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')


FOLLOWING = (
    "SELECT 1",
    "BEGIN",
    f'DROP SCHEMA "{SCHEMA}" CASCADE',
    'DROP TABLE IF EXISTS main."users"',
    "BRANCH LIST",
    "SET branch = 'main'",
    f"SET search_path = '{SCHEMA},main'",
    f'CREATE TABLE main.copied AS SELECT * FROM "{SCHEMA}"."users"',
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'",
)


@pytest.mark.parametrize("following", seeds(FOLLOWING, quick=4))
def test_a_held_drop_is_carried_out_by_anything_else(
    own: ThreadServer, client: psycopg.Connection[Any], following: str
) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute(DROP)
    client.execute(following)
    with own.connect() as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("SELECT * FROM users")


def test_a_client_that_goes_away_in_between_loses_nothing(own: ThreadServer) -> None:
    with own.connect() as client:
        _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
        _list(client)
        client.execute(DROP)
    with own.connect() as other:
        assert _users(other) == ROWS
        assert _users(other, f'"{SCHEMA}".users') == [(1, "ann", 11), *ROWS[1:]]


def test_readers_never_miss_the_table(own: ThreadServer, client: psycopg.Connection[Any]) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute(DROP)
    with own.connect() as other:
        other.execute("INSERT INTO users VALUES (4, 'dan', 40)")
        client.execute(COPY)
        assert _users(other) == [(1, "ann", 11), *ROWS[1:], (4, "dan", 40)]


def _steps(schema: str) -> list[str]:
    """What the tools send to merge a branch that changed both tables."""
    listing = (
        "SELECT table_name FROM information_schema.tables "
        f"WHERE table_schema = '{schema}' AND table_type = 'BASE TABLE'"
    )
    pairs = [
        text
        for table in ("users", "quiet")
        for text in (
            f'DROP TABLE IF EXISTS main."{table}"',
            f'CREATE TABLE main."{table}" AS SELECT * FROM "{schema}"."{table}"',
        )
    ]
    return [listing, *pairs, f'DROP SCHEMA "{schema}" CASCADE']


@pytest.mark.slow
@pytest.mark.parametrize("stride", [97, pytest.param(5, marks=pytest.mark.slow)])
def test_two_loops_in_any_order(own: ThreadServer, client: psycopg.Connection[Any], stride: int) -> None:
    """Two sessions merge two branches at once, and a third one writes in between: nobody's rows are lost."""
    orders = [set(picked) for picked in itertools.combinations(range(12), 6)]
    with own.connect() as one, own.connect() as other, own.connect() as third:
        for number, order in enumerate(orders[::stride]):
            client.execute("DELETE FROM users WHERE id > 3")
            client.execute("DELETE FROM quiet")
            for offset, session in enumerate((one, other)):
                schema = f"branch_{offset:012x}"
                session.execute(f"CREATE SCHEMA {schema}")
                session.execute(f"SET search_path = '{schema},main'")
                session.execute(f"UPDATE users SET points = {number} WHERE id = {offset + 1}")
                session.execute(f"INSERT INTO users VALUES ({offset + 10}, 'new{offset}', 0)")
                session.execute(f"INSERT INTO quiet VALUES ({offset})")
                session.execute("SET search_path = 'main'")
            left = [iter(_steps(f"branch_{offset:012x}")) for offset in (0, 1)]
            for position in range(12):
                session, steps = (one, left[0]) if position in order else (other, left[1])
                session.execute(next(steps))
                third.execute(f"INSERT INTO users VALUES ({position + 100}, 'third{position}', 1)")
            assert _users(client)[:5] == [
                (1, "ann", number), (2, "bob", number), (3, "cyd", 30), (10, "new0", 0), (11, "new1", 0),
            ]  # fmt: skip
            assert [row[0] for row in _users(client)[5:]] == list(range(100, 112))
            assert _users(client, "quiet") == [(0,), (1,)]
            assert client.execute("SELECT name FROM bough.branches").fetchall() == [("main",)]


@pytest.mark.slow
def test_killed_in_between_the_table_is_there(spawn: Callable[..., ProcessServer], tmp_path: Path) -> None:
    server = spawn(tmp_path / "killed.duckdb")
    with server.connect() as client:
        client.execute("CREATE TABLE users (id INT PRIMARY KEY)")
        client.execute("INSERT INTO users VALUES (1)")
        _branch(client, "INSERT INTO users VALUES (2)")
        client.execute("INSERT INTO users VALUES (3)")
        _list(client)
        client.execute(DROP)
        server.kill()
    with spawn(tmp_path / "killed.duckdb").connect() as client:
        assert _users(client) == [(1,), (3,)]
        assert _users(client, f'"{SCHEMA}".users') == [(1,), (2,)]


def test_a_table_made_anew_meanwhile_is_not_dropped(
    own: ThreadServer, client: psycopg.Connection[Any]
) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute(DROP)
    with own.connect() as other:
        other.execute("DROP TABLE users")
        other.execute("CREATE TABLE users (id INT)")
    client.execute("SELECT 1")
    assert _users(client) == []


@pytest.mark.parametrize(
    "drop",
    seeds(
        ("DROP TABLE users", f"{DROP} CASCADE", "DROP TABLE main.users", "DROP TABLE IF EXISTS users"),
        quick=2,
    ),
)
def test_any_other_drop_drops_at_once(own: ThreadServer, client: psycopg.Connection[Any], drop: str) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute(drop)
    with own.connect() as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("SELECT * FROM users")


@pytest.mark.parametrize("before", [None, "SELECT 1", "BRANCH LIST"])
def test_a_drop_without_a_listing_drops_at_once(
    own: ThreadServer, client: psycopg.Connection[Any], before: str | None
) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    if before is not None:
        _list(client)
        client.execute(before)
    client.execute(DROP)
    with own.connect() as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("SELECT * FROM users")


def test_a_table_the_branch_has_not_changed_drops_at_once(
    own: ThreadServer, client: psycopg.Connection[Any]
) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute("DROP TABLE IF EXISTS main.quiet")
    with own.connect() as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("SELECT * FROM quiet")


@pytest.mark.parametrize("texts", [["BEGIN", DROP, COPY], [f"{DROP}; {COPY}"]], ids=["block", "one message"])
def test_in_a_block_the_pair_is_refused(client: psycopg.Connection[Any], texts: list[str]) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    client.execute("UPDATE users SET points = 22 WHERE id = 2")
    _list(client)
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot replace") as caught:
        for text in texts:
            client.execute(text)
    assert "BRANCH MERGE" in str(caught.value.diag.message_hint)
    client.execute("ROLLBACK")
    assert _users(client) == [(1, "ann", 10), (2, "bob", 22), (3, "cyd", 30)]


def test_a_conflict_keeps_the_table_the_drop_was_for(client: psycopg.Connection[Any]) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    client.execute("UPDATE users SET points = 12 WHERE id = 1")
    _list(client)
    client.execute(DROP)
    with pytest.raises(psycopg.Error) as caught:
        client.execute(COPY)
    assert caught.value.sqlstate == "VB001"
    assert "was not carried out" in str(caught.value.diag.message_detail)
    assert _users(client) == [(1, "ann", 12), *ROWS[1:]]
    assert _users(client, f'"{SCHEMA}".users') == [(1, "ann", 11), *ROWS[1:]]


def test_work_done_after_the_merge_is_not_discarded(
    own: ThreadServer, client: psycopg.Connection[Any]
) -> None:
    _branch(client, "UPDATE users SET points = 11 WHERE id = 1")
    _list(client)
    client.execute(DROP)
    client.execute(COPY)
    with own.connect(SCHEMA) as other:
        other.execute("UPDATE users SET points = 99 WHERE id = 3")
    with pytest.raises(psycopg.Error, match="not merged") as caught:
        client.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')
    assert caught.value.sqlstate == "55000"
    client.execute(f'DROP SCHEMA "{SCHEMA}" CASCADE')  # asked again, on its own: to the trash
    client.execute(f"BRANCH RESTORE {SCHEMA}")
    assert _users(client, f'"{SCHEMA}".users')[2] == (3, "cyd", 99)


# -- names and paths --------------------------------------------------------------------------------------------


def _here(client: psycopg.Connection[Any]) -> tuple[Any, ...]:
    row = client.execute("SELECT current_branch(), current_setting('search_path')").fetchone()
    assert row is not None
    return tuple(row)


def test_the_path_and_the_branch_never_disagree(own: ThreadServer, client: psycopg.Connection[Any]) -> None:
    client.execute(f"CREATE SCHEMA {SCHEMA}")
    client.execute("BRANCH CREATE other")
    path = f"{SCHEMA},main"
    with client.transaction(force_rollback=True):
        client.execute(f"SET search_path = '{path}'")
    assert _here(client) == (SCHEMA, path)
    with client.transaction(force_rollback=True):
        client.execute("RESET ALL")
    assert _here(client)[0] == "main"
    assert SCHEMA not in _here(client)[1]
    client.execute(f"SET search_path TO {SCHEMA}, public")
    client.execute("BRANCH SWITCH other")
    assert _here(client) == ("other", '"public"')
    client.execute(f"SET search_path TO {SCHEMA}")
    client.execute("RESET search_path")
    assert _here(client)[0] == "other"
    with client.transaction():
        client.execute(f"SET LOCAL search_path = '{path}'")
        assert _here(client) == (SCHEMA, path)
    assert _here(client)[0] == "other"
    client.execute(f"SELECT set_config('search_path', '{path}', false)")
    assert _here(client)[0] == SCHEMA
    client.execute("DISCARD ALL")
    assert _here(client)[0] == "main"
    with own.connect(options=f"-c search_path={path}") as pooled:
        assert _here(pooled) == (SCHEMA, path)
        pooled.execute("SET search_path = 'main'")
        assert _here(pooled) == ("main", "main")
        pooled.execute("RESET ALL")
        assert _here(pooled) == (SCHEMA, path)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        own.connect(options="-c search_path=branch_ffffffffffff")


def test_a_path_to_no_branch_is_refused(client: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject) as caught:
        client.execute(f"SET search_path = '{SCHEMA},main'")
    assert "BRANCH RESTORE" in str(caught.value.diag.message_hint)


def test_a_branch_schema_on_a_branch_is_forked_from_it(client: psycopg.Connection[Any]) -> None:
    client.execute("BRANCH CREATE feature")
    client.execute("BRANCH SWITCH feature")
    client.execute("DELETE FROM users WHERE id = 3")
    _branch(client, "DELETE FROM users WHERE id = 2")
    assert _here(client) == ("feature", "main")
    _list(client)
    client.execute(DROP)
    client.execute(COPY)
    client.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert _users(client) == ROWS[:1]
    assert _users(client, "main.public.users") == ROWS


def test_other_schemas_are_ordinary(client: psycopg.Connection[Any]) -> None:
    for schema in ("branch_0123456789abc", "branch_0123456789AB", "branch_x", "branches"):
        client.execute(f'CREATE SCHEMA "{schema}"')
        client.execute(f'CREATE VIEW "{schema}".users AS SELECT * FROM main.users')
        client.execute(f"SET search_path = '{schema},main'")
        assert _here(client)[0] == "main"
        assert _users(client) == ROWS
        client.execute(f'DROP SCHEMA "{schema}" CASCADE')
        assert client.execute("SELECT count(*) FROM bough.branches").fetchall() == [(1,)]
        client.execute("SET search_path = 'main'")


@pytest.mark.parametrize("setting", ["hatidata_branch_schemas", "branch_isolation_enabled"])
def test_a_setting_turns_it_off(start: Callable[..., ThreadServer], setting: str) -> None:
    with start(**{setting: "off"}).connect() as client:
        client.execute(f"CREATE SCHEMA {SCHEMA}")
        client.execute(f"CREATE TABLE {SCHEMA}.t (i INT)")
        client.execute(f"SET search_path = '{SCHEMA},main'")
        assert _here(client)[0] == "main"
        assert client.execute("SELECT * FROM t").fetchall() == []
        assert client.execute("SELECT count(*) FROM bough.branches").fetchall() == [(1,)]


def test_what_cannot_be_meant_is_refused(client: psycopg.Connection[Any]) -> None:
    client.execute(f"CREATE SCHEMA {SCHEMA}")
    for statement, state in (
        (f"CREATE SCHEMA {SCHEMA}", "42P06"),
        (f"DROP SCHEMA {SCHEMA}", "2BP01"),
        (f"DROP SCHEMA {SCHEMA}, public CASCADE", "0A000"),
        (f"CREATE TABLE {SCHEMA}.made (i INT)", "0A000"),
        (f"INSERT INTO {SCHEMA}.users VALUES (9, 'x', 1)", "0A000"),
        (f"DROP TABLE {SCHEMA}.users", "0A000"),
        (f"CREATE VIEW v AS SELECT * FROM {SCHEMA}.users", "0A000"),
        (f"CREATE VIEW {SCHEMA}.v AS SELECT id FROM main.users", "0A000"),
        (f"CREATE VIEW {SCHEMA}.nowhere AS SELECT * FROM main.nowhere", "0A000"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            client.execute(statement)
        assert caught.value.sqlstate == state, statement
    client.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    client.execute(f"CREATE VIEW {SCHEMA}.users AS SELECT * FROM main.users")
    assert _users(client, f"{SCHEMA}.users") == ROWS
    client.execute(f"BRANCH SWITCH {SCHEMA}")
    client.execute(f"CREATE TABLE {SCHEMA}.made (i INT)")
    assert client.execute("SELECT * FROM public.made").fetchall() == []
