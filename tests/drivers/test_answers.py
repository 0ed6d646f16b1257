"""What users of other databases with branches complain of, tried here over the wire: docs/answers.md has the list.

Costs are compared by what is asked of the engine or written to the file, never by the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

import branching
from branching import branches
from branching.engine.duckdb import DuckDBCursor

pytestmark = pytest.mark.sampled

Client = psycopg.Connection[Any]


@pytest.fixture
def client(server: ThreadServer) -> Iterator[Client]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def table(client: Client, name: str) -> str:
    """A table with a key and three rows, before any branch."""
    client.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, a INT, b INT)")
    client.execute(f"INSERT INTO {name} VALUES (1, 10, 100), (2, 20, 200), (3, 30, 300)")
    return name


def rows(client: Client, table: str, branch: str | None = None) -> list[tuple[Any, ...]]:
    place = table if branch is None else f'"{branch}".public.{table}'
    return client.execute(f"SELECT * FROM {place} ORDER BY ALL").fetchall()


def on(client: Client, branch: str, *texts: str) -> None:
    """Runs statements on a branch, and comes back."""
    client.execute(f'BRANCH SWITCH "{branch}"')
    for text in texts:
        client.execute(text)
    client.execute("BRANCH SWITCH main")


def made(client: Client, branch: str, *texts: str) -> str:
    """A new branch of main with these changes."""
    client.execute(f'BRANCH CREATE "{branch}" FROM main')
    on(client, branch, *texts)
    return branch


def refused(client: Client, text: str, sqlstate: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(text)
    assert caught.value.sqlstate == sqlstate, caught.value
    return caught.value


# -- sessions ---------------------------------------------------------------------------------------------------


def test_a_switch_is_the_session_s_own_and_it_is_told(
    server: ThreadServer, client: Client, branch: str
) -> None:
    with server.connect() as other:
        client.execute(f'BRANCH SWITCH "{branch}"')
        assert client.pgconn.parameter_status(b"branch") == branch.encode()
        assert other.pgconn.parameter_status(b"branch") == b"main"
        assert other.execute("SELECT current_branch()").fetchone() == ("main",)
    with server.connect() as later:
        assert later.execute("SELECT current_branch()").fetchone() == ("main",)
    client.execute("BRANCH SWITCH main")


def test_a_pooled_session_whose_branch_is_gone_can_go_on(
    server: ThreadServer, client: Client, table: str, branch: str
) -> None:
    with server.connect() as pooled:
        pooled.execute(f'BRANCH SWITCH "{branch}"')
        kept = refused(client, f'BRANCH DISCARD "{branch}"', "55006")
        assert f"pid {pooled.info.backend_pid}" in str(kept.diag.message_detail)
        client.execute(f'BRANCH DISCARD "{branch}" WITH (force true)')
        for text in (f"SELECT * FROM {table}", f"INSERT INTO {table} VALUES (9)", f"DELETE FROM {table}"):
            lost = refused(pooled, text, "55000")
            assert branch in str(lost) and "BRANCH SWITCH main" in str(lost.diag.message_hint)
        assert rows(client, table) == [(1, 10, 100), (2, 20, 200), (3, 30, 300)]
        pooled.execute("RESET ALL")
        assert len(rows(pooled, table)) == 3
    with server.connect() as pooled:
        client.execute(f'BRANCH RESTORE "{branch}"')
        pooled.execute(f'BRANCH SWITCH "{branch}"')
        client.execute(f'BRANCH DISCARD "{branch}" WITH (force true)')
        refused(pooled, "SELECT 1", "55000")
        pooled.execute("BRANCH SWITCH main")
        assert len(rows(pooled, table)) == 3


def test_what_one_session_breaks_is_broken_for_it_alone(
    server: ThreadServer, table: str, branch: str
) -> None:
    with server.connect(branch) as one, server.connect(branch) as other:
        one.execute("BEGIN")
        refused(one, "SELECT 1/0", "22012")
        refused(one, "SELECT 1", "25P02")
        assert len(rows(other, table)) == 3
        other.execute(f"DELETE FROM {table} WHERE id = 1")
        one.execute("ROLLBACK")
        assert len(rows(one, table)) == 2


def test_a_branch_stays_as_it_was_whatever_main_does(client: Client, table: str, branch: str) -> None:
    """One instant for all tables, kept under DML, DDL and DROP."""
    client.execute(f"CREATE TABLE {table}_2 AS SELECT * FROM {table}")
    before = rows(client, table)
    client.execute(f"BRANCH CREATE {table}_fork")
    client.execute(f"INSERT INTO {table} VALUES (4, 40, 400)")
    client.execute(f"ALTER TABLE {table} DROP COLUMN b")
    client.execute(f"ALTER TABLE {table} RENAME COLUMN a TO z")
    client.execute(f"DELETE FROM {table}_2")
    assert rows(client, table, f"{table}_fork") == rows(client, f"{table}_2", f"{table}_fork") == before
    client.execute(f"DROP TABLE {table}")
    assert rows(client, table, f"{table}_fork") == before
    client.execute(f"BRANCH DISCARD {table}_fork")


# -- merges: what is kept ---------------------------------------------------------------------------------------


def test_two_appenders_merge(client: Client, name: str) -> None:
    """With a key and without one; equal rows of a table without a key are two rows."""
    client.execute(f"CREATE TABLE {name} (i INT)")
    client.execute(f"CREATE TABLE {name}_keyed (i INT PRIMARY KEY)")
    for number in (1, 2, 3):
        client.execute(f"BRANCH CREATE {name}_{number} FROM main")
    for number in (1, 2, 3):
        on(client, f"{name}_{number}", f"INSERT INTO {name} VALUES (0), ({number})",
           f"INSERT INTO {name}_keyed VALUES ({number})")  # fmt: skip
    for number in (1, 2, 3):
        client.execute(f"BRANCH MERGE {name}_{number}")
    assert [row[0] for row in rows(client, name)] == [0, 0, 0, 1, 2, 3]
    assert [row[0] for row in rows(client, f"{name}_keyed")] == [1, 2, 3]


def test_ids_never_collide_between_branches(client: Client, name: str) -> None:
    client.execute(f"CREATE TABLE {name} (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who TEXT)")
    client.execute(f"CREATE TABLE {name}_serial (id SERIAL PRIMARY KEY, who TEXT)")
    names = [f"{name}_{number}" for number in range(4)]
    for branch in names:
        client.execute(f"BRANCH CREATE {branch} FROM main")
    for branch in [*names, "main"]:
        for table in (name, f"{name}_serial"):
            on(client, branch, *[f"INSERT INTO {table} (who) VALUES ('{branch}')"] * 3)
    for branch in names:
        client.execute(f"BRANCH MERGE {branch}")
    for table in (name, f"{name}_serial"):
        found = rows(client, table)
        assert len(found) == len({row[0] for row in found}) == 15
        assert {row[1] for row in found} == {*names, "main"}


def test_complementary_inserts_are_put_together(client: Client, name: str) -> None:
    """Both sides insert the same key and know different things of it: each cell is settled for itself."""
    client.execute(f"CREATE TABLE {name} (name TEXT PRIMARY KEY, born DATE, cake TEXT, colour TEXT)")
    made(
        client,
        f"{name}_b",
        f"INSERT INTO {name} VALUES ('Sally', NULL, NULL, 'blue'), ('Tom', NULL, 'plum', NULL)",
    )
    client.execute(
        f"INSERT INTO {name} VALUES ('Sally', '1990-04-05', 'nut', NULL), ('Tom', NULL, 'plum', NULL)"
    )
    refused(client, f"BRANCH MERGE {name}_b", "VB001")
    client.execute(f"BRANCH MERGE {name}_b STRATEGY manual")
    mine = f"\"table\" = '{name}'"
    assert client.execute(f"SELECT DISTINCT key FROM bough.conflicts WHERE {mine}").fetchall() == [("Sally",)]
    client.execute(
        f"UPDATE bough.conflicts SET resolution = CASE WHEN target_value IS NULL THEN 'branch' ELSE 'target' END"
        f" WHERE {mine}"
    )
    client.execute(f"BRANCH MERGE {name}_b CONTINUE")
    found = client.execute(f"SELECT name, born::text, cake, colour FROM {name} ORDER BY name").fetchall()
    assert found == [("Sally", "1990-04-05", "nut", "blue"), ("Tom", None, "plum", None)]


def test_a_changed_key_is_the_same_row(client: Client, table: str) -> None:
    """Not a delete and an insert, which would bring the row twice or break a unique key."""
    client.execute(f"CREATE UNIQUE INDEX {table}_a ON {table} (a)")
    made(
        client,
        f"{table}_b",
        f"UPDATE {table} SET id = 9 WHERE id = 1",
        f"INSERT INTO {table} VALUES (4, 11, 0)",
    )
    client.execute(f"UPDATE {table} SET b = 111 WHERE id = 1")
    client.execute(f"BRANCH MERGE {table}_b")
    assert rows(client, table) == [(2, 20, 200), (3, 30, 300), (4, 11, 0), (9, 10, 111)]


def test_a_merge_breaks_no_check(client: Client, name: str) -> None:
    """Each side alone keeps the check, and no cell conflicts."""
    client.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, a INT, b INT, CHECK (a <> b))")
    client.execute(f"INSERT INTO {name} VALUES (1, 2, 3)")
    made(client, f"{name}_b", f"UPDATE {name} SET a = 4")
    client.execute(f"UPDATE {name} SET b = 4")
    error = refused(client, f"BRANCH MERGE {name}_b", "23514")
    assert name in str(error)
    assert rows(client, name) == [(1, 2, 4)]
    plan = client.execute(f"EXPLAIN BRANCH MERGE {name}_b").fetchall()
    assert [row[7] for row in plan if row[1] == name] == [1]


def test_a_merge_keeps_what_belongs_to_a_table(client: Client, name: str) -> None:
    client.execute(
        f"CREATE TABLE {name} (id INT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n INT NOT NULL DEFAULT 7,"
        f" u TEXT UNIQUE, CHECK (n < 1000))"
    )
    client.execute(f"CREATE INDEX {name}_n ON {name} (n)")
    client.execute(f"COMMENT ON COLUMN {name}.n IS 'how many'")
    client.execute(f"CREATE VIEW {name}_v AS SELECT n FROM {name}")
    client.execute(f"INSERT INTO {name} (u) VALUES ('x')")
    listed = (
        f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{name}'::regclass"
        f" UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = '{name}'"
        f" UNION ALL SELECT column_default FROM information_schema.columns WHERE table_name = '{name}'"
        f" UNION ALL SELECT col_description('{name}'::regclass, 2) ORDER BY 1"
    )
    before = client.execute(listed).fetchall()
    made(client, f"{name}_b", f"UPDATE {name} SET n = 8", f"INSERT INTO {name} (u) VALUES ('y')")
    client.execute(f"BRANCH MERGE {name}_b STRATEGY branch_wins")
    assert client.execute(listed).fetchall() == before
    assert client.execute(f"SELECT n FROM {name}_v ORDER BY n").fetchall() == [(7,), (8,)]
    assert client.execute(f"INSERT INTO {name} (u) VALUES ('z') RETURNING id, n").fetchone() == (3, 7)


def test_a_schema_conflict_throws_no_data_away(client: Client, table: str) -> None:
    """Both sides retype one column, differently, and change other rows: only the type is in question."""
    made(client, f"{table}_b", f"ALTER TABLE {table} ALTER COLUMN a TYPE BIGINT",
         f"UPDATE {table} SET b = 101 WHERE id = 1", f"INSERT INTO {table} VALUES (4, 40, 400)")  # fmt: skip
    client.execute(f"ALTER TABLE {table} ALTER COLUMN a TYPE TEXT")
    client.execute(f"UPDATE {table} SET b = 202 WHERE id = 2")
    error = refused(client, f"BRANCH MERGE {table}_b", "VB001")
    assert table in str(error.diag.message_detail)
    assert rows(client, table) == [(1, "10", 100), (2, "20", 202), (3, "30", 300)]
    assert rows(client, table, f"{table}_b") == [(1, 10, 101), (2, 20, 200), (3, 30, 300), (4, 40, 400)]
    client.execute(f"BRANCH MERGE {table}_b STRATEGY branch_wins")
    assert rows(client, table) == [(1, 10, 101), (2, 20, 202), (3, 30, 300), (4, 40, 400)]


def test_a_refresh_keeps_what_the_branch_changed(client: Client, table: str) -> None:
    made(client, f"{table}_b", f"UPDATE {table} SET a = 11 WHERE id = 1", f"DELETE FROM {table} WHERE id = 3")
    client.execute(f"UPDATE {table} SET b = 101 WHERE id = 1")
    client.execute(f"INSERT INTO {table} VALUES (4, 40, 400)")
    client.execute(f"BRANCH REFRESH {table}_b")
    assert rows(client, table, f"{table}_b") == [(1, 11, 101), (2, 20, 200), (4, 40, 400)]
    assert rows(client, table)[0] == (1, 10, 101)


# -- merges: how they are done ------------------------------------------------------------------------------------


def test_a_preview_opens_nothing(client: Client, table: str) -> None:
    made(client, f"{table}_b", f"UPDATE {table} SET a = 11 WHERE id = 1", f"DELETE FROM {table} WHERE id = 2")
    client.execute(f"UPDATE {table} SET a = 12 WHERE id = 1")
    merges = client.execute("SELECT count(*) FROM bough.merges").fetchall()
    plan = client.execute(f"EXPLAIN BRANCH MERGE {table}_b STRATEGY branch_wins").fetchall()
    assert [row[:5] for row in plan if row[1] == table] == [("public", table, 0, 1, 1)]
    shown = client.execute(f"BRANCH CONFLICTS {table}_b").fetchall()
    assert [row[4:10] for row in shown] == [("1", "cell", "a", "10", "11", "12")]
    assert client.execute("SELECT count(*) FROM bough.merges").fetchall() == merges
    assert rows(client, table) == [(1, 12, 100), (2, 20, 200), (3, 30, 300)]
    token = plan[0][-1]
    client.execute(f"UPDATE {table} SET b = 0 WHERE id = 3")
    refused(client, f"BRANCH MERGE {table}_b STRATEGY branch_wins IF TOKEN '{token}'", "40001")


def test_one_conflict_is_settled_by_its_number(client: Client, table: str) -> None:
    """By command and by UPDATE, each another way, and one with a value of its own."""
    made(client, f"{table}_b", f"UPDATE {table} SET a = a + 1")
    client.execute(f"UPDATE {table} SET a = a + 2")
    client.execute(f"BRANCH MERGE {table}_b STRATEGY manual")
    listed = client.execute(f"SELECT key, id FROM bough.conflicts WHERE \"table\" = '{table}'").fetchall()
    number = dict(listed)
    assert client.execute(f"BRANCH RESOLVE {table}_b CONFLICT {number['1']} USING branch").statusmessage
    found = client.execute(
        "UPDATE bough.conflicts SET resolution = %s WHERE id = %s", ("target", number["2"])
    )
    assert found.statusmessage == "UPDATE 1"
    refused(client, f"BRANCH MERGE {table}_b CONTINUE", "VB001")
    client.execute("UPDATE bough.conflicts SET value = '77' WHERE id = %s", (number["3"],))
    client.execute(f"BRANCH MERGE {table}_b CONTINUE")
    assert rows(client, table) == [(1, 11, 100), (2, 22, 200), (3, 77, 300)]
    assert client.execute("UPDATE bough.conflicts SET value = '1'").statusmessage == "UPDATE 0"


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [
        ("SET resolution = 'mine'", "22023"),
        ("SET resolution = 'base', value = '1'", "22023"),
        ("SET key = '1'", "0A000"),
        ("SET value = '1' RETURNING id", "0A000"),
    ],
)
def test_conflicts_take_only_resolutions(client: Client, table: str, text: str, sqlstate: str) -> None:
    made(client, f"{table}_b", f"UPDATE {table} SET a = 11 WHERE id = 1", f"DELETE FROM {table} WHERE id = 2")
    client.execute(f"UPDATE {table} SET a = 12")
    client.execute(f"BRANCH MERGE {table}_b STRATEGY manual")
    refused(client, f"UPDATE bough.conflicts {text}", sqlstate)
    refused(client, "UPDATE bough.conflicts SET value = '1' WHERE kind <> 'cell'", "22023")
    chosen = client.execute('SELECT count(resolution) FROM bough.conflicts WHERE "table" = %s', (table,))
    assert chosen.fetchall() == [(0,)]
    client.execute("BEGIN")
    client.execute(f"UPDATE {table} SET b = 1")
    refused(client, "UPDATE bough.conflicts SET resolution = 'base'", "25001")
    client.execute("ROLLBACK")
    client.execute(f"BRANCH MERGE {table}_b ABORT")


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("strategy", ["branch_wins", "main_wins", "manual"])
def test_every_strategy_works_with_and_without_autocommit(
    server: ThreadServer, client: Client, table: str, strategy: str, autocommit: bool
) -> None:
    made(
        client,
        f"{table}_b",
        f"UPDATE {table} SET a = 11 WHERE id = 1",
        f"UPDATE {table} SET b = 0 WHERE id = 2",
    )
    client.execute(f"UPDATE {table} SET a = 12 WHERE id = 1")
    with psycopg.connect(server.dsn(), autocommit=autocommit) as other:
        other.execute("SELECT 1")
        other.execute(f"BRANCH MERGE {table}_b STRATEGY {strategy}")
        if strategy == "manual":
            other.execute(f"BRANCH RESOLVE {table}_b USING branch")
            other.execute(f"BRANCH MERGE {table}_b CONTINUE")
    won = 12 if strategy == "main_wins" else 11
    assert rows(client, table) == [(1, won, 100), (2, 20, 0), (3, 30, 300)]


def test_a_merge_needs_no_clean_target(server: ThreadServer, client: Client, table: str) -> None:
    """Changes of the target that are not committed, and those that are, stay; so does a manual merge that is open."""
    made(client, f"{table}_b", f"INSERT INTO {table} VALUES (4, 40, 400)")
    made(client, f"{table}_c", f"UPDATE {table} SET a = 22 WHERE id = 2")
    client.execute(f"UPDATE {table} SET a = 21 WHERE id = 2")
    client.execute(f"BRANCH MERGE {table}_c STRATEGY manual")
    with server.connect() as other:
        other.execute("BEGIN")
        other.execute(f"UPDATE {table} SET b = 301 WHERE id = 3")
        client.execute(f"BRANCH MERGE {table}_b")
        other.execute("COMMIT")
    assert rows(client, table) == [(1, 10, 100), (2, 21, 200), (3, 30, 301), (4, 40, 400)]
    client.execute(f"BRANCH RESOLVE {table}_c USING branch")
    client.execute(f"BRANCH MERGE {table}_c CONTINUE")
    assert rows(client, table)[1] == (2, 22, 200)


def test_no_merge_that_fails_takes_a_branch_with_it(client: Client, table: str) -> None:
    made(client, f"{table}_b", f"UPDATE {table} SET a = 11 WHERE id = 1")
    client.execute(f"BRANCH CREATE {table}_idle FROM main")
    client.execute(f"UPDATE {table} SET a = 12 WHERE id = 1")
    refused(client, f"BRANCH MERGE {table}_b WITH (discard true)", "VB001")
    refused(client, f"BRANCH MERGE {table}_b STRATEGY theirs", "22023")
    client.execute(f"BRANCH MERGE {table}_b STRATEGY manual WITH (discard true)")
    client.execute(f"BRANCH MERGE {table}_b ABORT")
    client.execute(f"BRANCH MERGE {table}_idle")
    assert rows(client, table, f"{table}_b")[0] == (1, 11, 100)
    assert rows(client, table, f"{table}_idle")[0] == (1, 10, 100)
    assert rows(client, table)[0] == (1, 12, 100)


def test_readers_see_all_of_a_merge_or_nothing(server: ThreadServer, client: Client, table: str) -> None:
    client.execute(f"CREATE TABLE {table}_2 (id INT PRIMARY KEY)")
    client.execute(f"INSERT INTO {table}_2 VALUES (0)")
    seen: list[tuple[Any, ...]] = []
    done = threading.Event()

    def read() -> None:
        with server.connect() as reader:
            while not done.is_set():
                both = f"SELECT (SELECT max(id) FROM {table}), (SELECT max(id) FROM {table}_2)"
                seen.extend(reader.execute(both).fetchall())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(100, 110):
            branch = made(client, f"{table}_{number}", f"INSERT INTO {table} VALUES ({number})",
                          f"INSERT INTO {table}_2 VALUES ({number})")  # fmt: skip
            client.execute(f"BRANCH MERGE {branch} WITH (discard true)")
    finally:
        done.set()
        thread.join(30)
    assert seen and all(one == other or (one, other) == (3, 0) for one, other in seen)


# -- costs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine is asked from now on."""
    found: list[str] = []
    original = DuckDBCursor._run

    def noted(self: DuckDBCursor, sql: str, parameters: Any) -> Any:
        found.append(sql)
        return original(self, sql, parameters)

    monkeypatch.setattr(DuckDBCursor, "_run", noted)
    return found


def _size(file: Path) -> int:
    """Bytes of a database file and its log."""
    return sum(path.stat().st_size for path in (file, file.with_name(file.name + ".wal")) if path.exists())


def test_a_merge_writes_what_changed_and_not_the_table(
    start: Callable[..., ThreadServer], tmp_path: Path
) -> None:
    file = tmp_path / "large.duckdb"
    with start(str(file)).connect() as client:
        client.execute(
            "CREATE TABLE t AS SELECT i AS id, i AS a, md5(i::text) AS text FROM generate_series(1, 200000) AS s(i)"
        )
        client.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
        before = _size(file)
        client.execute("CREATE TABLE copied AS SELECT * FROM t")
        copying = _size(file) - before
        before = _size(file)
        made(client, "b", "UPDATE t SET a = 0 WHERE id <= 100", "INSERT INTO t VALUES (0, 0, '')")
        assert client.execute("SELECT rows_changed FROM bough.branches WHERE name = 'b'").fetchall() == [
            (101,)
        ]
        client.execute("UPDATE t SET text = '' WHERE id > 199900")
        merged = client.execute("BRANCH MERGE b").fetchall()
        assert [row[2:5] for row in merged if row[1] == "t"] == [(1, 100, 0)]
        assert _size(file) - before < copying / 4


@pytest.mark.slow
def test_a_branch_costs_the_same_whatever_there_is(
    start: Callable[..., ThreadServer], asked: list[str]
) -> None:
    """Forks of 3 and of 200 tables, the second branch and the thousandth: the same few statements of the engine."""
    counts = []
    server = start(max_branches=2000)
    with server.connect() as client:
        for tables in (3, 200):
            for number in range(tables):
                client.execute(f"CREATE TABLE IF NOT EXISTS t{number} (i INT)")
            del asked[:]
            client.execute(f"BRANCH CREATE of_{tables}")
            counts.append(len(asked))
        for number in range(1000):
            client.execute(f"BRANCH CREATE b{number}")
        del asked[:]
        client.execute("BRANCH CREATE last")
        counts.append(len(asked))
        assert client.execute("SELECT count(*) FROM bough.branches").fetchall() == [(1004,)]
        on(client, "b999", "INSERT INTO t0 VALUES (1)")
        assert rows(client, "t0", "b999") == [(1,)]
        assert rows(client, "t0", "b998") == []
        database = server.server.service.database
        for line in [database.line(f"b{number}") for number in range(1000)]:
            with database.gate:
                past = line.record.created_at - timedelta(days=2)
                line.record = replace(line.record, created_at=past, last_used_at=past)
        gone = client.execute("BRANCH GC").fetchall()
        assert len([row for row in gone if row[1] == "expired"]) == 1000
        left = client.execute("SELECT name FROM bough.branches ORDER BY name").fetchall()
        assert [row[0] for row in left] == ["last", "main", "of_200", "of_3"]
    assert len(set(counts)) == 1 and counts[0] < 10, counts


@pytest.mark.slow
def test_a_thousand_branches_open_like_ten(tmp_path: Path, asked: list[str]) -> None:
    """Opening asks the engine the same however many branches there are, and reads no branch's catalog."""
    counts = []
    for number in (10, 1000):
        file = tmp_path / f"{number}.duckdb"
        database = branching.open(file)
        connection = database.connect()
        connection.execute(branching.ddl.model.CreateSchema("s"))
        for branch in range(number):
            branches.create(database, f"b{branch}", "main", role="x")
        connection.close()
        database.close()
        del asked[:]
        database = branching.open(file)
        counts.append(len(asked))
        assert len(database.lines) == number + 1
        assert sum(1 for line in database.lines.values() if line.catalog.schemas) == 1
        assert "s" in database.line(f"b{number - 1}").catalog.schemas
        database.close()
    assert 0 < counts[0] == counts[1]


def test_collection_needs_no_hand(start: Callable[..., ThreadServer]) -> None:
    """Expired branches go by themselves, but none that somebody is on."""
    server = start(gc_interval="20ms")
    database = server.server.service.database
    with server.connect() as client:
        client.execute("CREATE TABLE t (i INT)")
        client.execute("BRANCH CREATE short WITH (ttl '1h')")
        client.execute("BRANCH CREATE used WITH (ttl '1h')")
        client.execute("BRANCH CREATE lasting WITH (ttl NONE)")
        with server.connect("used") as holder:
            lines = [database.line(name) for name in ("short", "used", "lasting")]
            past = lines[0].record.created_at - timedelta(days=1)
            names: list[str] = []
            for _ in range(5000):
                for line in lines:  # each time: a pass may be writing down the use that it read before
                    with database.gate:
                        if line.record.state == "live":
                            line.record = replace(line.record, created_at=past, last_used_at=past)
                names = [row[0] for row in client.execute("SELECT name FROM bough.branches ORDER BY name")]
                if "short" not in names:
                    break
            assert names == ["lasting", "main", "used"]
            assert rows(holder, "t") == []
        client.execute("BRANCH RESTORE short")
