"""Branching itself on every engine: fork, write, read, history, diff, merge, reset, discard, collect, open again."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlglot

import branching
from branching import Author, BoughError, Connection, Database, Engine, branches, savepoints
from branching.ddl import model as d
from branching.diff import changes as diff
from branching.diff import rows as diff_rows
from branching.diff import statements as diff_statements
from branching.gc import collect as gc
from branching.merge import apply as merge_apply
from branching.reset import reset

pytestmark = pytest.mark.once_each

ME = Author("tester")
NAME = "engines.db"


class World:
    """A database with a table ``t`` on main and as many sessions as are asked for."""

    def __init__(self, engine: Engine, path: str, retention: int = 0) -> None:
        self.engine, self.path, self.retention = engine, path, retention
        self.database: Database = branching.open(path, engine=engine, retention=retention)
        self.connections: dict[str, Connection] = {}

    def on(self, branch: str) -> Connection:
        if branch not in self.connections:
            self.connections[branch] = self.database.connect(branch)
        return self.connections[branch]

    def sql(self, branch: str, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return run(self.on(branch), text, *parameters)

    def ddl(self, branch: str, statement: d.Ddl) -> None:
        self.on(branch).execute(statement)

    def fork(self, name: str, parent: str = "main", **more: Any) -> None:
        branches.create(self.database, name, parent, role="tester", **more)

    def rows(self, branch: str, when: str = "") -> dict[int, str]:
        return dict(self.sql(branch, f"SELECT id, v FROM t{when}"))

    def merge(self, source: str = "b", target: str = "main", **more: Any) -> dict[str, Any]:
        result = merge_apply.merge(self.database, source, target, author=ME, **more)
        self.last = result.id
        return {row.table: row for row in result.rows}

    def again(self) -> None:
        self.close()
        self.database = branching.open(self.path, engine=self.engine, retention=self.retention)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()
        self.database.close()


def run(connection: Connection, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb"), parameters).fetchall()


@pytest.fixture
def world(engine: Engine, tmp_path: Any) -> Iterator[World]:
    made = World(engine, str(tmp_path / NAME), retention=3600)
    made.sql(
        "main", "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR DEFAULT 'new', n INTEGER, CHECK (n < 100))"
    )
    made.sql("main", "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    yield made
    made.close()


def refused(sqlstate: str, work: Any) -> BoughError:
    with pytest.raises(BoughError) as caught:
        work()
    assert caught.value.sqlstate == sqlstate, caught.value
    return caught.value


START = {1: "a", 2: "b", 3: "c"}


def test_a_branch_is_what_its_parent_was(world: World) -> None:
    world.fork("b")
    world.sql("main", "UPDATE t SET v = 'later' WHERE id = 1")
    world.sql("main", "DELETE FROM t WHERE id = 2")
    world.sql("main", "INSERT INTO t (id) VALUES (4)")
    assert world.rows("b") == START
    assert world.rows("main") == {1: "later", 3: "c", 4: "new"}
    assert world.sql("b", "SELECT v FROM t WHERE id = $1", 2) == [("b",)]


def test_writes_of_every_kind_stay_on_their_branch(world: World) -> None:
    world.fork("b")
    assert world.sql("b", "UPDATE t SET v = v || '!' WHERE id > 1 RETURNING id, v") == [(2, "b!"), (3, "c!")]
    world.sql("b", "DELETE FROM t WHERE id = 3")
    world.sql("b", "INSERT INTO t (id) SELECT id + 10 FROM t")
    world.sql(
        "b", "INSERT INTO t VALUES (1, 'up', 1), (7, 'in', 1) ON CONFLICT (id) DO UPDATE SET v = excluded.v"
    )
    world.sql("b", "UPDATE t SET id = 20 WHERE id = 2")
    assert world.rows("b") == {1: "up", 20: "b!", 7: "in", 11: "new", 12: "new"}
    world.sql("b", "UPDATE t SET v = s.v FROM (SELECT 7 AS id, 'joined' AS v) AS s WHERE t.id = s.id")
    world.sql("b", "DELETE FROM t USING (SELECT 11 AS id) AS s WHERE t.id = s.id")
    world.sql("b", "WITH x AS (SELECT 12 AS id) DELETE FROM t WHERE id IN (SELECT id FROM x)")
    assert world.rows("b") == {1: "up", 20: "b!", 7: "joined"}
    assert world.rows("main") == START
    world.ddl("b", d.Truncate((d.Name("t"),)))
    assert world.rows("b") == {} and world.rows("main") == START


def test_rules_hold_across_the_layers(world: World) -> None:
    world.fork("b")
    error = refused("23505", lambda: world.sql("b", "INSERT INTO t (id) VALUES (2)"))
    assert error.constraint == "t_pkey" and error.table == "t"
    refused("23505", lambda: world.sql("b", "UPDATE t SET id = 3 WHERE id = 1"))
    refused("23505", lambda: world.sql("main", "INSERT INTO t (id) VALUES (2)"))
    refused("23502", lambda: world.sql("b", "INSERT INTO t (id) VALUES (NULL)"))
    assert refused("23514", lambda: world.sql("b", "UPDATE t SET n = 100")).constraint == "t_n_check"
    assert world.rows("b") == START
    world.sql("b", "DELETE FROM t WHERE id = 2")
    world.sql("b", "INSERT INTO t (id) VALUES (2)")  # its own deletion made room
    assert world.rows("b")[2] == "new"


def test_a_block_is_undone_as_a_whole(world: World) -> None:
    world.fork("b")
    for branch in ("main", "b"):
        connection = world.on(branch)
        connection.begin()
        world.sql(branch, "UPDATE t SET v = 'gone'")
        world.sql(branch, "CREATE TABLE u (a INTEGER)")
        world.ddl(branch, d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)))
        connection.rollback()
        assert world.rows(branch) == START
        refused("42P01", lambda branch=branch: world.sql(branch, "SELECT * FROM u"))  # type: ignore[misc]


def test_nothing_runs_after_an_error_until_rollback(world: World) -> None:
    connection = world.on("main")
    connection.begin()
    world.sql("main", "UPDATE t SET v = 'lost' WHERE id = 1")
    refused("23505", lambda: world.sql("main", "INSERT INTO t (id) VALUES (1)"))
    refused("25P02", lambda: world.sql("main", "SELECT 1"))
    connection.rollback()
    assert world.rows("main") == START


def test_a_fork_does_not_hold_what_is_in_flight(world: World) -> None:
    writer, other = world.database.connect("main"), world.database.connect("main")
    writer.begin()
    run(writer, "UPDATE t SET v = 'early' WHERE id = 1")
    run(writer, "DELETE FROM t WHERE id = 3")
    run(other, "INSERT INTO t (id) VALUES (9)")  # a higher version, committed first
    world.fork("b")
    writer.commit()
    assert world.rows("main") == {1: "early", 2: "b", 9: "new"}
    assert world.rows("b") == {**START, 9: "new"}
    writer.close()
    other.close()


def test_who_comes_second_in_a_block_gets_40001_and_alone_is_retried(world: World) -> None:
    world.fork("b")
    for branch in ("main", "b"):
        one, two = world.database.connect(branch), world.database.connect(branch)
        one.begin()
        two.begin()
        run(one, "SELECT * FROM t")
        run(two, "SELECT * FROM t")
        run(one, "UPDATE t SET n = n + 1 WHERE id = 1")
        one.commit()

        def second(two: Connection = two) -> None:
            run(two, "DELETE FROM t WHERE id = 1")
            two.commit()

        refused("40001", second)
        two.rollback()
        run(two, "DELETE FROM t WHERE id = 1")
        assert set(world.rows(branch)) == {2, 3}
        one.close()
        two.close()


def test_many_sessions_add_up(world: World) -> None:
    world.fork("b")
    sessions = [world.database.connect(branch) for branch in ("main", "b") for _ in range(2)]
    failures: list[BaseException] = []

    def work(connection: Connection) -> None:
        try:
            for _ in range(5):
                run(connection, "UPDATE t SET n = n + 1 WHERE id = 1")
        except BaseException as error:  # told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for branch in ("main", "b"):
        assert world.sql(branch, "SELECT n FROM t WHERE id = 1") == [(11,)]
    for session in sessions:
        session.close()


def test_definitions_change_on_one_side_only(world: World) -> None:
    world.fork("b")
    column = sqlglot.parse_one(
        "CREATE TABLE x (w INTEGER DEFAULT 5 NOT NULL)", dialect="duckdb"
    ).this.expressions[0]
    world.ddl("b", d.AlterTable(d.Name("t"), (d.AddColumn(column),)))
    world.ddl("main", d.AlterTable(d.Name("t"), (d.DropColumn("v"),)))
    world.ddl("main", d.AlterTable(d.Name("t"), (d.AlterType("n", sqlglot.exp.DataType.build("BIGINT")),)))
    assert world.sql("b", "SELECT id, v, w FROM t ORDER BY id") == [(1, "a", 5), (2, "b", 5), (3, "c", 5)]
    assert world.sql("main", "SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    world.sql("b", "UPDATE t SET w = 6 WHERE id = 1")
    world.sql("b", "CREATE TABLE u AS SELECT id, w FROM t WHERE w = 6")
    view = sqlglot.parse_one("SELECT count(*) AS n FROM u", dialect="duckdb")
    world.ddl("b", d.CreateView(d.Name("many"), view))
    assert world.sql("b", "SELECT n FROM many") == [(1,)]
    world.ddl("main", d.Drop("table", (d.Name("t"),)))
    refused("42P01", lambda: world.sql("main", "SELECT * FROM t"))
    assert world.sql("b", "SELECT v, w FROM t ORDER BY id") == [("a", 6), ("b", 5), ("c", 5)]


def test_a_statement_is_planned_on_the_catalog_of_its_snapshot(world: World) -> None:
    reader, block = world.database.connect("main"), world.database.connect("main")
    assert run(reader, "SELECT v FROM t WHERE id = 1") == [("a",)]
    epoch = world.database.stable_epoch()
    block.begin()  # without a statement there is no snapshot yet
    world.ddl("main", d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)))
    assert world.database.stable_epoch() != epoch and world.database.stable_epoch() % 2 == 0
    assert run(block, "SELECT w FROM t WHERE id = 1") == [("a",)]
    world.ddl("main", d.AlterTable(d.Name("t"), (d.RenameColumn("w", "x"),)))
    assert run(block, "SELECT w FROM t WHERE id = 1") == [("a",)]  # its snapshot's
    assert run(reader, "SELECT x FROM t WHERE id = 1") == [("a",)]
    block.rollback()
    refused("40001", lambda: _write_on_an_old_catalog(world, block))
    for connection in (reader, block):
        connection.close()


def _write_on_an_old_catalog(world: World, block: Connection) -> None:
    block.begin()
    run(block, "SELECT 1 FROM t")
    world.ddl("main", d.AlterTable(d.Name("t"), (d.RenameColumn("x", "v"),)))
    try:
        run(block, "UPDATE t SET x = 'late'")
        block.commit()
    finally:
        block.rollback()


def test_readers_meet_no_half_of_a_definition(world: World) -> None:
    world.fork("b")
    stop, failures = threading.Event(), []
    names = {"v": "w", "w": "v"}

    def read(branch: str) -> None:
        connection = world.database.connect(branch)
        try:
            while not stop.is_set():
                result = connection.execute(sqlglot.parse_one("SELECT * FROM t", dialect="duckdb"))
                shown = [column.name for column in result.columns or ()]
                assert shown in (["id", "v", "n"], ["id", "w", "n"]) and len(result.fetchall()) == 3
        except BaseException as error:  # told below
            failures.append(error)
        finally:
            connection.close()

    readers = [threading.Thread(target=read, args=(branch,)) for branch in ("main", "b")]
    for reader in readers:
        reader.start()
    now = "v"
    for _ in range(6):
        world.ddl("main", d.AlterTable(d.Name("t"), (d.RenameColumn(now, names[now]),)))
        now = names[now]
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert world.rows("main") == world.rows("b") == START


def test_identity_columns_never_give_a_number_twice(world: World) -> None:
    world.ddl("main", d.CreateSequence(d.Name("s"), d.SequenceOptions(start=10)))
    world.fork("b")
    taken = [world.sql(branch, "SELECT nextval('s')")[0][0] for branch in ("main", "b", "main", "b")]
    assert taken == [10, 11, 12, 13]


def test_indexes_and_unique_indexes(world: World) -> None:
    world.ddl("main", d.CreateIndex("t_v", d.Name("t"), ("v",), unique=True))
    world.fork("b")
    for branch in ("main", "b"):
        refused("23505", lambda branch=branch: world.sql(branch, "INSERT INTO t VALUES (9, 'a', 1)"))  # type: ignore[misc]
    world.ddl("b", d.Drop("index", (d.Name("t_v"),)))
    world.sql("b", "INSERT INTO t VALUES (9, 'a', 1)")
    refused("23505", lambda: world.sql("main", "INSERT INTO t VALUES (9, 'a', 1)"))


def test_the_past_is_read_and_forked(world: World) -> None:
    world.database.commit_log.flush()
    version = world.database.clock.version
    world.sql("main", "UPDATE t SET v = 'now' WHERE id = 1")
    world.sql("main", "DELETE FROM t WHERE id = 2")
    assert world.rows("main", f" FOR VERSION AS OF {version}") == START
    world.fork("then", as_of=version)
    assert world.rows("then") == START
    world.sql("then", "DELETE FROM t WHERE id = 3")
    middle = world.database.clock.version
    world.sql("then", "INSERT INTO t (id) VALUES (3), (30)")
    assert world.rows("then", f" FOR VERSION AS OF {middle}") == {1: "a", 2: "b"}
    world.fork("nested", "then")
    world.sql("then", "UPDATE t SET v = 'x'")
    assert world.rows("nested") == {1: "a", 2: "b", 3: "new", 30: "new"}


def test_reset_and_discard_and_restore(world: World) -> None:
    world.fork("b")
    world.sql("b", "DELETE FROM t")
    world.connections.pop("b").close()
    reset(world.database, "b")
    assert world.rows("b") == START
    world.sql("b", "UPDATE t SET v = 'kept' WHERE id = 1")
    world.connections.pop("b").close()
    branches.discard(world.database, "b")
    refused("42704", lambda: world.rows("b"))
    branches.restore(world.database, "b")
    assert world.rows("b") == {**START, 1: "kept"}


def test_collection_takes_what_nobody_can_reach_and_nothing_else(world: World) -> None:
    world.fork("b")
    world.fork("kept")
    world.sql("kept", "UPDATE t SET v = 'kept' WHERE id = 1")
    world.sql("b", "UPDATE t SET v = 'gone'")
    world.sql("main", "DELETE FROM t WHERE id = 3")
    world.ddl("main", d.AlterTable(d.Name("t"), (d.DropColumn("v"),)))
    world.connections.pop("b").close()
    branches.discard(world.database, "b")
    done = gc.collect(world.database, grace=timedelta(0))
    assert ("b", "deleted") in {(name, action) for name, action, _ in done}
    assert world.rows("kept") == {1: "kept", 2: "b", 3: "c"}
    assert world.sql("main", "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    refused("42704", lambda: branches.restore(world.database, "b"))


def test_diff_and_merge_and_revert(world: World) -> None:
    world.fork("b")
    world.sql("b", "UPDATE t SET v = 'theirs' WHERE id = 1")
    world.sql("b", "DELETE FROM t WHERE id = 2")
    world.sql("b", "INSERT INTO t VALUES (9, 'more', 9)")
    world.sql("main", "UPDATE t SET n = 50 WHERE id = 1")  # the same row, another cell
    (found,) = diff.summary(world.on("main"), "b")
    assert (found.rows_added, found.rows_removed, found.rows_modified, found.cells_modified) == (1, 1, 1, 1)
    _, rows = diff_rows.rows(world.database, diff_rows.Wanted("b", diff.Named("t", None)))
    assert sorted(row[0] for row in rows) == ["added", "modified", "removed"]
    statements = list(diff_statements.sql(world.on("main"), "b"))
    assert (
        sum("INSERT" in text for text in statements) == 1
        and sum("DELETE" in text for text in statements) == 1
    )
    done = world.merge()
    assert (done["t"].inserted, done["t"].updated, done["t"].deleted, done["t"].conflicts) == (1, 1, 1, 0)
    assert world.sql("main", "SELECT * FROM t ORDER BY id") == [
        (1, "theirs", 50),
        (3, "c", 3),
        (9, "more", 9),
    ]
    merge_apply.revert(world.database, world.last, author=ME)
    assert world.sql("main", "SELECT * FROM t ORDER BY id") == [(1, "a", 50), (2, "b", 2), (3, "c", 3)]


def test_conflicts_are_decided_by_strategy_only(world: World) -> None:
    world.fork("b")
    world.sql("b", "UPDATE t SET v = 'theirs' WHERE id < 3")
    world.sql("main", "UPDATE t SET v = 'ours' WHERE id = 1")
    with pytest.raises(BoughError):
        world.merge()
    assert world.rows("main") == {1: "ours", 2: "b", 3: "c"}
    world.merge(strategy="main_wins")
    assert world.rows("main") == {1: "ours", 2: "theirs", 3: "c"}


def test_a_merge_of_definitions_and_a_refresh(world: World) -> None:
    world.fork("b")
    column = sqlglot.parse_one("CREATE TABLE x (w INTEGER DEFAULT 5)", dialect="duckdb").this.expressions[0]
    world.ddl("b", d.AlterTable(d.Name("t"), (d.AddColumn(column),)))
    world.sql("b", "UPDATE t SET w = 6 WHERE id = 1")
    world.sql("b", "CREATE TABLE u (a INTEGER PRIMARY KEY)")
    world.sql("b", "INSERT INTO u VALUES (1), (2)")
    world.sql("main", "INSERT INTO t VALUES (4, 'd', 4)")
    world.merge()
    assert world.sql("main", "SELECT id, v, w FROM t ORDER BY id") == [
        (1, "a", 6), (2, "b", 5), (3, "c", 5), (4, "d", 5)
    ]  # fmt: skip
    assert world.sql("main", "SELECT count(*) FROM u") == [(2,)]
    world.sql("main", "UPDATE t SET v = 'fresh' WHERE id = 2")
    merge_apply.refresh(world.database, "b", author=ME)
    assert world.sql("b", "SELECT v FROM t ORDER BY id") == [("a",), ("fresh",), ("c",), ("d",)]


def test_a_merge_that_dropped_a_column_is_undone_with_its_values(world: World) -> None:
    world.fork("b")
    world.sql("b", "UPDATE t SET n = 9 WHERE id = 3")
    world.ddl("b", d.AlterTable(d.Name("t"), (d.DropColumn("v"),)))
    world.merge()
    assert world.sql("main", "SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2), (3, 9)]
    world.sql("main", "INSERT INTO t (id, n) VALUES (4, 4)")
    merge_apply.revert(world.database, world.last, author=ME)
    assert world.sql("main", "SELECT id, v, n FROM t ORDER BY id") == [
        (1, "a", 1), (2, "b", 2), (3, "c", 3), (4, "new", 4)
    ]  # fmt: skip


def test_conflicts_without_a_key_say_which_row_it_is(world: World) -> None:
    world.sql("main", "CREATE TABLE k (a INTEGER, v VARCHAR)")
    world.sql("main", "INSERT INTO k VALUES (1, 'x'), (1, 'x'), (2, 'y')")
    world.fork("b")
    world.sql("b", "UPDATE k SET v = 'theirs' WHERE a = 2")
    world.sql("main", "UPDATE k SET v = 'ours' WHERE a = 2")
    (found,) = merge_apply.preview_conflicts(world.database, "b", "main")
    assert found.key is not None and "'a': 2" in found.key and "y" in found.key
    assert (found.base, found.branch_value, found.target_value) == ("y", "theirs", "ours")


def test_branch_into_branch_and_again(world: World) -> None:
    world.fork("b")
    world.fork("c")
    world.sql("b", "UPDATE t SET v = 'from b' WHERE id = 1")
    world.sql("c", "UPDATE t SET v = 'from c' WHERE id = 2")
    world.merge("b", "c")
    world.sql("b", "DELETE FROM t WHERE id = 3")
    world.merge("b", "c")
    assert world.rows("c") == {1: "from b", 2: "from c"}
    world.merge("c", "b")
    assert world.rows("b") == world.rows("c")
    assert world.rows("main") == START


def test_foreign_keys_on_every_line(world: World) -> None:
    world.sql("main", "CREATE TABLE child (id INTEGER, parent INTEGER REFERENCES t (id))")
    world.sql("main", "INSERT INTO child VALUES (1, 1)")
    world.fork("b")
    for branch in ("main", "b"):
        refused("23503", lambda branch=branch: world.sql(branch, "INSERT INTO child VALUES (2, 9)"))  # type: ignore[misc]
        refused("23503", lambda branch=branch: world.sql(branch, "DELETE FROM t WHERE id = 1"))  # type: ignore[misc]
        world.sql(branch, "DELETE FROM t WHERE id = 2")


@pytest.mark.parametrize(
    "other",
    [
        {"sole_writer": False},
        {"notices_lost_updates": False},
        {"alters_columns": False},
        {"indexes_live_rows": False},
        {"row_places": False},
    ],
    ids=lambda other: next(iter(other)),
)
def test_an_engine_that_can_less_is_asked_for_less(engine: Engine, other: dict[str, bool]) -> None:
    class Less(type(engine)):  # type: ignore[misc]
        capabilities = dataclasses.replace(engine.capabilities, **other)

    world = World(Less(), ":memory:")
    world.sql("main", "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR NOT NULL, n INTEGER DEFAULT 7)")
    world.sql("main", "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    world.fork("b")
    world.fork("untouched")
    world.sql("b", "UPDATE t SET id = 30 WHERE id = 3")
    world.sql("b", "DELETE FROM t WHERE id = 1")
    on_main = world.on("main")
    on_main.begin()
    world.sql("main", "UPDATE t SET v = 'main' WHERE id = 2")
    world.ddl("main", d.CreateIndex("t_n", d.Name("t"), ("n",)))
    on_main.commit()
    world.ddl("main", d.AlterTable(d.Name("t"), (d.DropDefault("n"), d.DropNotNull("v"))))
    world.merge()
    assert world.rows("main") == {2: "main", 30: "c"}
    assert world.rows("untouched") == START
    world.sql("main", "INSERT INTO t (id) VALUES (4)")
    assert world.sql("main", "SELECT v, n FROM t WHERE id = 4") == [(None, None)]
    world.close()


def test_definitions_stay_out_of_blocks_where_the_engine_cannot_undo_them(engine: Engine) -> None:
    class Less(type(engine)):  # type: ignore[misc]
        capabilities = dataclasses.replace(engine.capabilities, transactional_ddl=False)

    world = World(Less(), ":memory:")
    world.sql("main", "CREATE TABLE t (id INTEGER)")
    world.ddl("main", d.AlterTable(d.Name("t"), (d.RenameColumn("id", "key"),)))
    for statement in ("CREATE TABLE u (a INTEGER)", "CREATE TABLE u AS SELECT * FROM t"):
        world.on("main").begin()
        refused("0A000", lambda statement=statement: world.sql("main", statement))  # type: ignore[misc]
        world.on("main").rollback()
    world.sql("main", "CREATE TABLE u AS SELECT * FROM t")
    world.close()


def test_files_are_tables_only_where_the_engine_reads_them(world: World, tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    connection = world.on("main")
    refused("42P01", lambda: world.sql("main", f"SELECT * FROM '{path}'"))
    connection.files = True  # granted
    if world.engine.capabilities.reads_files:
        assert world.sql("main", f"SELECT * FROM '{path}'") == [(1, "x"), (2, "y")]
    else:
        refused("42P01", lambda: world.sql("main", f"SELECT * FROM '{path}'"))


def test_opened_again_everything_is_there(world: World) -> None:
    world.fork("b")
    world.sql("b", "UPDATE t SET v = 'mine' WHERE id = 1")
    world.fork("c", "b")
    world.sql("main", "DELETE FROM t WHERE id = 2")
    world.sql("b", "INSERT INTO t (id) VALUES (7)")
    world.again()
    assert world.rows("b") == {**START, 1: "mine", 7: "new"}
    assert world.rows("c") == {**START, 1: "mine"}
    assert world.rows("main") == {1: "a", 3: "c"}
    world.sql("c", "UPDATE t SET v = 'after' WHERE id = 3")
    world.merge("c")
    assert world.rows("main") == {1: "mine", 3: "after"}


@pytest.mark.parametrize("where", ["main", "b"])
def test_going_back_to_a_savepoint(world: World, where: str) -> None:
    world.fork("b")
    connection = world.on(where)
    connection.begin()
    world.sql(where, "INSERT INTO t (id, v) VALUES (10, 'ten')")
    world.sql(where, "UPDATE t SET v = v || '!' WHERE id = 1")
    first = savepoints.mark(connection)
    before = world.rows(where)
    world.sql(where, "DELETE FROM t WHERE id = 10")
    second = savepoints.mark(connection)
    with pytest.raises(BoughError):
        world.sql(where, "INSERT INTO t (id, v) VALUES (11, 'x'), (11, 'y')")
    savepoints.go_back(connection, second)
    assert 10 not in world.rows(where) and 11 not in world.rows(where)
    savepoints.go_back(connection, first)
    assert world.rows(where) == before
    world.sql(where, "INSERT INTO t (id, v) VALUES (12, 'z')")
    connection.commit()
    assert world.rows(where) == before | {12: "z"}
    assert 10 not in world.rows("b" if where == "main" else "main")


def test_going_back_with_a_commit_in_between(world: World) -> None:
    connection = world.on("main")
    other = world.database.connect("main")
    connection.begin()
    world.sql("main", "INSERT INTO t (id, v) VALUES (10, 'ten')")
    mark = savepoints.mark(connection)
    world.sql("main", "INSERT INTO t (id, v) VALUES (11, 'x')")
    run(other, "UPDATE t SET v = 'theirs' WHERE id = 1")
    with pytest.raises(BoughError) as refused:
        savepoints.go_back(connection, mark)
    assert refused.value.sqlstate == "40001" and connection.failed
    connection.rollback()
    assert world.rows("main")[1] == "theirs" and 10 not in world.rows("main")
    other.close()
