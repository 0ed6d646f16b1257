"""Merges beside writers and beside each other: nothing is lost, nothing is seen half."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from effort import seeds

import branching
from branching import Author, BoughError, Database, branches, transaction
from branching.engine.base import EngineError
from branching.engine.duckdb import DuckDBCursor
from branching.merge import apply as merge_apply
from branching.merge import attempt as merge_attempt
from branching.merge import steps as merge_steps

pytestmark = pytest.mark.sampled

AUTHOR = Author("tester")


def sql(connection: Any, text: str) -> list[tuple[Any, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = branching.open(tmp_path / "c.duckdb")
    main = found.connect("main")
    sql(main, "create table t (id integer primary key, a integer, b integer)")
    sql(main, "insert into t select i, 0, 0 from range(20) r(i)")
    main.close()
    for name in ("b", "c"):
        branches.create(found, name, "main", role="tester")
    yield found
    found.close()


def together(*calls: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_every_write_of_a_busy_branch_arrives_once(database: Database) -> None:
    def write() -> None:
        connection = database.connect("b")
        for number in range(40):
            sql(connection, f"update t set a = a + 1 where id = {number % 5}")
        connection.close()

    def merge() -> None:
        for _ in range(6):
            merge_apply.merge(database, "b", "main", author=AUTHOR)

    together(write, merge)
    merge_apply.merge(database, "b", "main", author=AUTHOR)
    main, b = database.connect("main"), database.connect("b")
    assert sql(main, "select sum(a) from t") == sql(b, "select sum(a) from t") == [(40,)]
    main.close()
    b.close()


def test_writers_of_the_target_and_two_merges_at_once(database: Database) -> None:
    for name, column in (("b", "a"), ("c", "b")):
        connection = database.connect(name)
        sql(connection, f"update t set {column} = 7 where id < 10")
        connection.close()

    def write() -> None:
        connection = database.connect("main")
        for number in range(20):
            sql(connection, f"update t set a = a + 1 where id = {10 + number % 10}")
        connection.close()

    def merge(name: str) -> Callable[[], None]:
        return lambda: merge_until_done(database, name)

    together(write, merge("b"), merge("c"))
    main = database.connect("main")
    assert sql(main, "select count(*) from t where a = 7 and b = 7") == [(10,)]
    assert sql(main, "select sum(a) from t where id >= 10") == [(20,)]
    main.close()


def merge_until_done(database: Database, name: str, target: str = "main") -> None:
    while True:
        try:
            merge_apply.merge(database, name, target, author=AUTHOR)
        except BoughError as error:
            assert error.sqlstate == "40001", error
        else:
            return


def test_a_merge_waits_for_an_open_writer_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_attempt, "FORK_WAIT", 0.05)
    b = database.connect("b")
    b.begin()
    sql(b, "update t set a = 1 where id = 1")
    with pytest.raises(BoughError) as caught:
        merge_apply.merge(database, "b", "main", author=AUTHOR)
    assert caught.value.sqlstate == "55P03"
    b.commit()
    b.close()
    assert merge_apply.merge(database, "b", "main", author=AUTHOR).rows[0].updated == 1


def test_nobody_begins_to_write_while_the_base_moves(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that read the old base would change a row of the new one without an image of it."""
    monkeypatch.setattr(transaction, "LOCK_WAIT", 0.05)
    b, inside = database.connect("b"), []

    def write_inside(attempt: merge_attempt.Attempt) -> None:
        with pytest.raises(BoughError) as caught:
            sql(b, "update t set a = a + 1 where id = 1")
        inside.append(caught.value.sqlstate)
        move(attempt)

    move = merge_steps.move_base
    sql(b, "update t set a = a + 1 where id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(merge_steps, "move_base", write_inside)
        merge_apply.merge(database, "b", "main", author=AUTHOR)
    assert inside == ["55P03"]
    sql(b, "update t set a = a + 1 where id = 1")
    assert merge_apply.merge(database, "b", "main", author=AUTHOR).rows[0].updated == 1
    b.close()


def test_branches_that_merge_into_each_other_do_not_wait_for_each_other(database: Database) -> None:
    for name, column in (("b", "a"), ("c", "b")):
        connection = database.connect(name)
        sql(connection, f"update t set {column} = 7 where id < 10")
        connection.close()
    together(
        *(
            lambda a=a, z=z: merge_until_done(database, a, z)
            for a, z in (("b", "c"), ("c", "b"))
            for _ in "12"
        )  # type: ignore[misc]
    )
    for name in ("b", "c"):
        connection = database.connect(name)
        assert sql(connection, "select count(*) from t where a = 7 and b = 7") == [(10,)]
        connection.close()


def test_a_block_that_waited_for_a_refresh_is_refused(database: Database) -> None:
    b, main = database.connect("b"), database.connect("main")
    b.begin()
    assert sql(b, "select sum(a) from t") == [(0,)]
    sql(main, "update t set a = 1")
    merge_apply.refresh(database, "b", author=AUTHOR)
    assert b.transaction is not None
    with pytest.raises(BoughError) as caught:
        b.transaction.take()
    assert caught.value.sqlstate == "40001"
    b.close()
    main.close()


@pytest.mark.parametrize("at", seeds((6, 18, 34, 10, 14, 22, 26, 30, 38), quick=3))
def test_a_failure_at_any_statement_leaves_everything_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    b, main = database.connect("b"), database.connect("main")
    sql(b, "update t set a = 1 where id < 3")
    sql(b, "delete from t where id = 5")
    sql(b, "insert into t values (50, 5, 5)")
    before = sql(main, "select * from t order by id"), database.line("b").record, database.trunk.seq
    run = DuckDBCursor._run
    seen = 0

    def failing(self: DuckDBCursor, text: str, parameters: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == at and not text.startswith("ROLLBACK"):
            from branching.engine.base import ErrorKind

            raise EngineError(ErrorKind.OTHER, "IOException", "no space left on device", text)
        return run(self, text, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBCursor, "_run", failing)
        try:
            merge_apply.merge(database, "b", "main", author=AUTHOR)
            failed = False
        except EngineError:
            failed = True
    if failed:
        after = sql(main, "select * from t order by id"), database.line("b").record, database.trunk.seq
        assert after == before
        merge_apply.merge(database, "b", "main", author=AUTHOR)
    assert sql(main, "select * from t order by id") == sql(b, "select * from t order by id")
    b.close()
    main.close()
