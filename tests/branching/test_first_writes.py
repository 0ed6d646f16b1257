"""The first writes after a fork: the tables that hold old images, and a branch's own rows, are made on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches, storage
from branching.connection import Connection
from branching.ddl import model as d
from branching.gc import collect as gc

pytestmark = pytest.mark.sampled

START = [(1, 10), (2, 20), (3, 30)]


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection, table: str = "t") -> list[tuple[object, ...]]:
    return connection.execute(sql(f"SELECT * FROM {table} ORDER BY ALL")).fetchall()


def begin(connection: Connection, *, reads: bool = True) -> Connection:
    connection.begin()
    if reads:
        rows(connection)
    return connection


def write(connection: Connection, number: int, table: str = "t") -> None:
    connection.execute(sql(f"UPDATE {table} SET v = v + 1 WHERE id = {number}"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[branching.Database]:
    database = branching.open(tmp_path / "d.duckdb")
    main = database.connect()
    for table in ("t", "u"):
        main.execute(sql(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v INTEGER)"))
        main.execute(sql(f"INSERT INTO {table} VALUES (1, 10), (2, 20), (3, 30)"))
    main.close()
    yield database
    database.close()


def fork(database: branching.Database, name: str, parent: str = "main") -> Connection:
    branches.create(database, name, parent, role="me")
    return database.connect(name)


CHANGED = [(1, 11), (2, 21), (3, 31)]


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_blocks_that_write_other_rows_of_main_after_a_fork_all_commit(
    database: branching.Database, reads: bool, order: tuple[int, ...]
) -> None:
    then = fork(database, "b")
    blocks = [begin(database.connect(), reads=reads) for _ in range(3)]
    for number, block in enumerate(blocks, 1):
        write(block, number)
    for number in order:
        blocks[number].commit()
    assert rows(then) == START
    assert rows(database.connect()) == CHANGED
    assert rows(fork(database, "later")) == CHANGED


def test_a_fork_beside_open_writers_of_main_costs_none_of_them_its_commit(
    database: branching.Database,
) -> None:
    blocks = [begin(database.connect()) for _ in range(3)]
    write(blocks[0], 1)
    blocks[1].execute(sql("DELETE FROM t WHERE id = 2"))
    then = fork(database, "b")
    write(blocks[2], 3)
    for block in blocks:
        block.commit()
    assert rows(then) == START
    assert rows(database.connect()) == [(1, 11), (3, 31)]


def test_who_makes_the_history_may_roll_back(database: branching.Database) -> None:
    then = fork(database, "b")
    one, two, three = (begin(database.connect()) for _ in range(3))
    write(one, 1)
    write(two, 2)
    one.rollback()
    write(three, 3)
    two.commit()
    three.commit()
    assert rows(then) == START
    assert rows(database.connect()) == [(1, 10), (2, 21), (3, 31)]


def test_of_two_who_write_one_row_one_is_refused(database: branching.Database) -> None:
    fork(database, "b")
    one, two = begin(database.connect()), begin(database.connect())
    write(one, 1)
    with pytest.raises(BoughError) as refused:
        write(two, 1)
    assert refused.value.sqlstate == "40001"
    two.rollback()
    one.commit()
    assert rows(database.connect())[0] == (1, 11)


def test_images_left_apart_are_joined_by_a_pass_and_follow_the_table(database: branching.Database) -> None:
    first = fork(database, "first")
    blocks = [begin(database.connect()) for _ in range(3)]
    for number, block in enumerate(blocks, 1):
        write(block, number)
    for block in blocks:
        block.commit()
    second = fork(database, "second")
    main = database.connect()
    main.execute(
        d.AlterTable(
            d.Name("t"),
            (d.AddColumn(sql("CREATE TABLE x (w INTEGER DEFAULT 5)").this.expressions[0]),),
        )
    )
    main.execute(sql("UPDATE t SET w = id"))
    third = fork(database, "third")
    main.execute(sql("DELETE FROM t"))

    def check() -> None:
        assert rows(first) == START
        assert rows(second) == CHANGED
        assert rows(third) == [(*row, row[0]) for row in CHANGED]

    check()
    done = [what for _, what, _ in gc.collect(database)]
    assert len([what for what in done if what.endswith("joined")]) == 2
    check()
    assert not [what for _, what, _ in gc.collect(database) if what.endswith("joined")]
    base = next(table.storage.base for table in main.catalog.tables() if table.name == "t")
    assert len(database.physical.histories(base or 0)) == 1


def test_history_left_apart_is_there_after_a_restart_and_goes_with_the_table(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    main = database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"))
    main.execute(sql("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)"))
    fork(database, "b")
    blocks = [begin(database.connect()) for _ in range(2)]
    for number, block in enumerate(blocks, 1):
        write(block, number)
    for block in blocks:
        block.commit()
    database.close()
    database = branching.open(tmp_path / "d.duckdb")
    then = database.connect("b")
    assert rows(then) == START
    database.connect().execute(d.Drop("table", (d.Name("t"),)))
    assert rows(then) == START
    then.close()
    branches.discard(database, "b")
    gc.collect(database, grace=timedelta(0))
    assert not [name for name in database.physical.storage if name.startswith("h")]
    database.close()


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_first_blocks_on_three_branches_all_commit(
    database: branching.Database, reads: bool, order: tuple[int, ...]
) -> None:
    """They share what holds their rows, and each goes on to a table it has not read."""
    forks = [fork(database, f"b{number}") for number in range(3)]
    for block in forks:
        begin(block, reads=reads)
    for number, block in enumerate(forks, 1):
        write(block, number)
        write(block, number, "u")
    for number in order:
        forks[number].commit()
    for number, block in enumerate(forks, 1):
        expected = [(key, value + (key == number)) for key, value in START]
        assert rows(block) == rows(block, "u") == expected
    assert rows(database.connect()) == START


@pytest.mark.parametrize("reads", [True, False])
def test_first_blocks_on_one_branch_that_has_forks_all_commit(
    database: branching.Database, reads: bool
) -> None:
    fork(database, "b")
    below = fork(database, "below", "b")
    blocks = [begin(database.connect("b"), reads=reads) for _ in range(3)]
    for number, block in enumerate(blocks, 1):
        write(block, number)
    for block in reversed(blocks):
        block.commit()
    assert rows(database.connect("b")) == CHANGED
    assert rows(below) == START
    blocks = [begin(connection, reads=reads) for connection in (below, database.connect("below"))]
    write(blocks[0], 1)
    blocks[1].execute(sql("DELETE FROM t WHERE id = 2"))
    for block in blocks:
        block.commit()
    assert rows(below) == [(1, 11), (3, 30)]


@pytest.mark.parametrize(
    "writes", ["UPDATE t SET v = v + 1", "DELETE FROM t", "INSERT INTO t VALUES (4, 40)"]
)
def test_first_blocks_that_have_read_see_others_commit_and_still_write(
    database: branching.Database, writes: str
) -> None:
    forks = [begin(fork(database, f"b{number}")) for number in range(3)]
    for block in forks:
        block.execute(sql(writes))
        block.commit()
    assert len({tuple(rows(block)) for block in forks}) == 1 and rows(forks[0]) != START


def test_a_block_that_has_read_keeps_its_snapshot_or_is_refused(
    database: branching.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are too many tables to make room for all of them before a block begins, room made when another
    writes is no reason to show a block what was committed since it has read."""
    monkeypatch.setattr(storage, "AT_ONCE", 1)
    block, other = begin(fork(database, "b")), database.connect("b")
    write(other, 1)
    with pytest.raises(BoughError) as refused:
        write(block, 2)
    assert refused.value.sqlstate == "40001"
    block.rollback()
    assert rows(block) == [(1, 11), *START[1:]]


def test_a_block_that_has_done_more_than_read_is_not_begun_anew(database: branching.Database) -> None:
    block = fork(database, "b")
    block.begin()
    block.execute(sql("CREATE TEMPORARY TABLE mine (x INTEGER)"))
    block.execute(sql("INSERT INTO mine VALUES (7)"))
    write(block, 1)
    block.commit()
    assert rows(block, "mine") == [(7,)]
    assert rows(block) == [(1, 11), *START[1:]]
