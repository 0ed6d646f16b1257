"""What one transaction sees of the others: snapshots, forks beside open writers, many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branch_info, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.detach import Limits
from branching.engine import duckdb as duckdb_engine
from branching.gc import collect as gc

pytestmark = pytest.mark.sampled


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection, text: str = "SELECT * FROM t ORDER BY ALL") -> list[tuple[object, ...]]:
    return connection.execute(sql(text)).fetchall()


def fork(database: branching.Database, name: str, parent: str = "main") -> Connection:
    branches.create(database, name, parent, role="me")
    return database.connect(name)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[branching.Database]:
    database = branching.open(tmp_path / "d.duckdb")
    connection = database.connect()
    connection.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"))
    connection.execute(sql("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)"))
    connection.close()
    yield database
    database.close()


START = [(1, 10), (2, 20), (3, 30)]
WRITES = {
    "update": "UPDATE t SET v = v + 1",
    "delete": "DELETE FROM t WHERE id < 3",
    "key update": "UPDATE t SET id = id + 100 WHERE id = 2",
    "insert": "INSERT INTO t VALUES (4, 40)",
    "upsert": "INSERT INTO t VALUES (1, 99) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
    "merge": "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
}


@pytest.mark.parametrize("more", WRITES)
@pytest.mark.parametrize("first", WRITES)
def test_a_fork_never_sees_a_writer_that_was_open(
    database: branching.Database, first: str, more: str
) -> None:
    """The first fork of all: the writer began when no old images had to be kept."""
    writer = database.connect()
    writer.begin()
    writer.execute(sql(WRITES[first]))
    child = fork(database, "b")
    assert rows(child) == START
    try:
        writer.execute(sql(WRITES[more]))
    except BoughError as error:
        assert error.sqlstate == "23505"
        writer.rollback()
    else:
        assert rows(child) == START
        writer.commit()
    assert rows(child) == START
    child.execute(sql("UPDATE t SET v = 0 WHERE id = 2"))
    assert rows(child) == [(1, 10), (2, 0), (3, 30)]


@pytest.mark.parametrize(
    "change",
    [
        d.AlterTable(d.Name("t"), (d.RenameTable("other"),)),
        d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)),
        d.AlterTable(d.Name("t"), (d.DropColumn("v"),)),
        d.AlterTable(d.Name("t"), (d.AlterType("v", exp.DataType.build("VARCHAR")),)),
        d.Drop("table", (d.Name("t"),)),
        d.Truncate((d.Name("t"),)),
    ],
    ids=lambda item: str(getattr(item, "actions", item))[:30],
)
def test_a_fork_never_sees_ddl_that_was_open(database: branching.Database, change: d.Ddl) -> None:
    writer = database.connect()
    writer.begin()
    writer.execute(sql("UPDATE t SET v = 5 WHERE id = 1"))
    writer.execute(change)
    child = fork(database, "b")
    assert rows(child) == START
    writer.commit()
    assert rows(child) == START
    again = fork(database, "c", "b")
    assert rows(again) == START


def test_a_fork_of_a_branch_never_sees_a_writer_that_was_open(database: branching.Database) -> None:
    writer = fork(database, "b")
    writer.execute(sql("UPDATE t SET v = 11 WHERE id = 1"))
    writer.begin()
    writer.execute(sql("DELETE FROM t WHERE id <= 2"))
    child = fork(database, "c", "b")
    writer.commit()
    assert rows(child) == [(1, 11), (2, 20), (3, 30)]
    assert rows(writer) == [(3, 30)]


def test_a_transaction_reads_one_snapshot(database: branching.Database) -> None:
    reader, writer = database.connect(), database.connect()
    reader.begin()
    assert rows(reader) == START
    writer.execute(sql("DELETE FROM t"))
    writer.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)))
    assert rows(reader, "SELECT v FROM t ORDER BY 1") == [(10,), (20,), (30,)]
    reader.commit()
    assert rows(reader, "SELECT w FROM t") == []


def test_a_snapshot_is_taken_at_the_first_statement(database: branching.Database) -> None:
    late, writer = database.connect(), database.connect()
    late.begin()
    writer.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)))
    writer.execute(d.Truncate((d.Name("t"),)))
    late.execute(sql("INSERT INTO t (id, w) VALUES (9, 9)"))
    late.commit()
    assert rows(writer) == [(9, 9)]


def run_all(work: list[Callable[[], None]]) -> None:
    """Runs every piece of work in a thread of its own; the first failure fails the test."""
    failures: list[BaseException] = []

    def guarded(piece: Callable[[], None]) -> None:
        try:
            piece()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(piece,)) for piece in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_320_forks_from_16_threads(database: branching.Database) -> None:
    def forks(number: int) -> Callable[[], None]:
        def work() -> None:
            for item in range(20):
                branches.create(database, f"f{number}_{item}", "main", role="me")

        return work

    run_all([forks(number) for number in range(16)])
    assert len(database.names) == 321
    assert rows(database.connect("f15_19")) == START


def moved(connection: Connection, source: int, target: int) -> bool:
    """Moves 1 from row to row in a block; False if that has to be tried again."""
    try:
        connection.begin()
        connection.execute(sql(f"UPDATE t SET v = v - 1 WHERE id = {source}"))
        connection.execute(sql(f"UPDATE t SET v = v + 1 WHERE id = {target}"))
        connection.commit()
    except BoughError as error:
        assert error.sqlstate == "40001", error
        connection.rollback()
        return False
    return True


def passes(database: branching.Database, count: int) -> None:
    """What runs in the background, as if every change were a large one."""
    for _ in range(count):
        gc.collect(database, limits=Limits(0, 0))


def test_money_is_neither_made_nor_lost(database: branching.Database) -> None:
    """Transfers on main and a branch, forks, DDL and passes of collection: every snapshot has the same sum."""
    fork(database, "b").close()

    def transfers(branch: str, seed: int) -> Callable[[], None]:
        def work() -> None:
            with closing(database.connect(branch)) as connection:  # or a failure would keep its rows for ever
                for number in range(12):
                    source, target = 1 + (number + seed) % 3, 1 + (number + seed + 1) % 3
                    while not moved(connection, source, target):
                        pass

        return work

    def reads(branch: str) -> Callable[[], None]:
        def work() -> None:
            connection = database.connect(branch)
            for _ in range(30):
                assert rows(connection, "SELECT sum(v)::INTEGER FROM t") == [(60,)]
            connection.close()

        return work

    def forks() -> None:
        for number in range(10):
            child = fork(database, f"f{number}", ("main", "b")[number % 2])
            first = rows(child)
            assert sum(row[1] for row in first) == 60  # type: ignore[misc]
            assert rows(child) == first
            child.close()

    def alters() -> None:
        connection = database.connect()
        for number in range(5):
            column = sqlglot.parse_one(f"CREATE TABLE x (c{number} INTEGER DEFAULT 1)", dialect="duckdb")
            connection.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column.this.expressions[0]),)))
            connection.execute(d.AlterTable(d.Name("t"), (d.DropColumn(f"c{number}"),)))
        connection.close()

    run_all(
        [
            transfers("main", 0),
            transfers("main", 1),
            transfers("b", 0),
            transfers("b", 2),
            reads("main"),
            reads("b"),
            forks,
            alters,
            lambda: passes(database, 6),
        ]
    )


def test_readers_see_every_table_whole_while_it_is_altered(database: branching.Database) -> None:
    """Columns come, go and change their names and types; tables are made anew and copied. No read fails or waits."""
    fork(database, "b").close()
    ended = threading.Event()

    def reads(branch: str) -> Callable[[], None]:
        def work() -> None:
            with closing(database.connect(branch)) as connection:
                while not ended.is_set():
                    result = connection.execute(sql("SELECT * FROM t"))
                    columns = [column.name for column in result.columns or ()]
                    found = result.fetchall()
                    assert len(found) == 3 and columns[0] == "id", (columns, found)
                    if "n" in columns:
                        assert {row[columns.index("n")] for row in found} <= {7, "7"}

        return work

    def alters() -> None:
        column = sqlglot.parse_one("CREATE TABLE x (n INTEGER DEFAULT 7)", dialect="duckdb").this.expressions[
            0
        ]
        text = exp.DataType.build("VARCHAR", dialect="duckdb")
        try:
            for _ in range(2):
                for branch in ("main", "b"):
                    with closing(database.connect(branch)) as connection:
                        for action in (
                            d.AddColumn(column), d.RenameColumn("v", "w"), d.AlterType("n", text),
                            d.DropColumn("n"), d.RenameColumn("w", "v"),
                        ):  # fmt: skip
                            connection.execute(d.AlterTable(d.Name("t"), (action,)))
                        connection.execute(sql("UPDATE t SET v = v + 1 WHERE id = 1"))
                passes(database, 1)
        finally:
            ended.set()

    run_all([reads("main"), reads("main"), reads("b"), reads("b"), alters])


@pytest.mark.slow
def test_5000_live_branches(database: branching.Database, tmp_path: Path) -> None:
    """Each is what main was at its fork, also behind a restart; a pass and a list take them in their stride."""
    main = database.connect()
    for number in range(5000):
        if number % 500 == 0:
            main.execute(sql(f"UPDATE t SET v = {number} WHERE id = 1"))
        branches.create(database, f"f{number}", "main", role="me", ttl=None)
    main.close()
    for number in (0, 4999):
        with closing(database.connect(f"f{number}")) as connection:
            connection.execute(sql(f"UPDATE t SET v = {-number - 1} WHERE id = 2"))
    database.close()
    with closing(branching.open(tmp_path / "d.duckdb")) as again:
        gc.collect(again)
        assert len(branch_info.information(again, again.root)) == 5001
        for number in (0, 499, 500, 2600, 4999):
            with closing(again.connect(f"f{number}")) as connection:
                second = -number - 1 if number in (0, 4999) else 20
                assert rows(connection) == [(1, number // 500 * 500), (2, second), (3, 30)]
        branches.create(again, "one more", "f4999", role="me")
        with closing(again.connect("one more")) as connection:
            assert rows(connection, "SELECT v FROM t WHERE id = 2") == [(-5000,)]


def test_whoever_may_still_see_what_has_gone_is_known(database: branching.Database) -> None:
    database.commit_log.flush()  # which a thread of its own would do just now
    one, other = database.connect(), database.connect()
    assert not one.cursor.others_read()
    result = other.execute(sql("SELECT i FROM range(1000000) r(i)"))
    assert one.cursor.others_read() and not other.cursor.others_read()
    assert len(result.fetchall()) == 1_000_000
    assert not one.cursor.others_read()
    other.begin()
    assert one.cursor.others_read()
    other.close()
    assert not one.cursor.others_read()
    one.close()


@pytest.mark.parametrize("branch", ["main", "b"])
def test_an_index_made_while_somebody_reads_deleted_rows(database: branching.Database, branch: str) -> None:
    """The engine takes the whole instance down when such a reader ends: the table is made anew instead."""
    reader, writer = fork(database, "b"), database.connect()
    if branch == "main":
        reader.switch("main")
    reader.begin()
    assert rows(reader) == START
    writer.execute(sql("DELETE FROM t WHERE id = 1"))
    writer.execute(d.CreateIndex("i", d.Name("t"), ("v",)))
    writer.execute(sql("DELETE FROM t WHERE id = 2"))
    writer.execute(d.AlterTable(d.Name("t"), (d.SetNotNull("v"),)))
    writer.execute(sql("DELETE FROM t WHERE id = 3"))
    assert rows(reader) == START
    reader.commit()
    assert rows(writer) == []
    writer.close()
    reader.close()


def test_autocommit_is_tried_again_on_conflict(database: branching.Database) -> None:
    def adds() -> None:
        connection = database.connect()
        for _ in range(15):
            connection.execute(sql("UPDATE t SET v = v + 1 WHERE id = 1"))
        connection.close()

    run_all([adds] * 4)
    assert rows(database.connect(), "SELECT v FROM t WHERE id = 1") == [(70,)]


def test_a_branch_can_be_written_from_many_threads(database: branching.Database) -> None:
    fork(database, "b").close()

    def inserts(number: int) -> Callable[[], None]:
        def work() -> None:
            connection = database.connect("b")
            for item in range(10):
                connection.execute(sql(f"INSERT INTO t VALUES ({100 + number * 10 + item}, 0)"))
            connection.close()

        return work

    run_all([*(inserts(number) for number in range(6)), lambda: passes(database, 4)])
    passes(database, 1)
    assert database.physical.bases[database.line("b").catalog.relations["public", "t"].storage.base].is_copy
    assert rows(database.connect("b"), "SELECT count(*) FROM t") == [(63,)]
    assert rows(database.connect()) == START


def test_an_upsert_that_changes_nothing_leaves_forks_one_row(database: branching.Database) -> None:
    """Its row is kept for forks before it is known that the row stays as it is."""
    b = fork(database, "b")
    main = database.connect()
    main.execute(sql("INSERT INTO t VALUES (1, 99) ON CONFLICT (id) DO UPDATE SET v = 99 WHERE t.v > 1000"))
    assert rows(main) == rows(b) == START


def test_a_fork_keeps_a_large_table_that_is_written_as_a_whole(database: branching.Database) -> None:
    """More rows than the engine copies in one piece."""
    writer = database.connect()
    writer.execute(sql("INSERT INTO t SELECT i, 0 FROM range(10, 150010) AS r(i)"))
    reader = fork(database, "large")
    writer.execute(sql("UPDATE t SET v = 7"))
    counted = "SELECT count(*), count(*) FILTER (WHERE v = 7), sum(id) FROM t"
    assert rows(reader, counted) == [(150_003, 0, 6 + sum(range(10, 150_010)))]
    assert rows(writer, counted) == [(150_003, 150_003, 6 + sum(range(10, 150_010)))]
    for connection in (writer, reader):
        connection.close()


@pytest.mark.parametrize(
    "nothing", ["INSERT INTO u SELECT * FROM t WHERE false", "UPDATE t SET v = 1 WHERE id < 0"]
)
@pytest.mark.parametrize("on", ["main", "branch"])
@pytest.mark.parametrize(
    "loses", [False, True]
)  # whether the engine is taken for one that would not see them
def test_rows_are_seen_after_a_statement_that_found_none(
    database: branching.Database, nothing: str, on: str, loses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_engine, "LOSES_ROWS", loses or duckdb_engine.LOSES_ROWS)
    first = database.connect()
    first.execute(sql("INSERT INTO t SELECT i, 0 FROM range(10, 150010) AS r(i)"))
    other = fork(database, "branch")
    connection = first if on == "main" else other
    connection.begin()
    connection.execute(sql("CREATE TABLE u AS SELECT * FROM t WHERE false"))
    connection.execute(sql(nothing))
    connection.execute(sql("UPDATE t SET v = 2 WHERE id > 9"))
    connection.execute(sql("INSERT INTO u SELECT * FROM t"))
    for _ in range(2):
        assert len(rows(connection, "SELECT id FROM u")) == 150_003
        assert len(rows(connection, "SELECT id FROM t WHERE v = 2")) == 150_000
        if connection.in_transaction:
            connection.commit()
    untouched = other if on == "main" else first
    assert len(rows(untouched, "SELECT id FROM t WHERE v = 0")) == 150_000
    for item in (first, other):
        item.close()
