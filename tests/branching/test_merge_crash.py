"""kill -9 between any two engine statements of a merge, refresh, revert, continue and collection: before or after.

``restore`` is a revert that brings definitions back, ``settled`` a refresh settled by hand, ``open`` its opening,
``detach`` a collection that gives every branch copies of the tables it has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlglot
from effort import seeds

import branching
from branching import Author, branches
from branching.ddl import model as d
from branching.diff import changes as diff
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts

WORKER = Path(__file__).with_name("merge_crash_worker.py")
AUTHOR = Author("tester")


def sql(connection: Any, text: str) -> list[tuple[Any, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def prepare(path: Path, what: str) -> None:
    database = branching.open(path)
    main = database.connect("main")
    sql(main, "create table t (id integer primary key, a integer, v varchar not null)")
    sql(main, "insert into t select i, i, 'v' || i from range(6) r(i)")
    sql(main, "create table gone (id integer primary key)")
    sql(main, "insert into gone values (1), (2)")
    branches.create(database, "b", "main", role="tester")
    b = database.connect("b")
    sql(b, "update t set a = 100 where id in (1, 2)")
    sql(b, "delete from t where id = 3")
    sql(b, "insert into t values (10, 10, 'v10')")
    sql(b, "create table n (id integer primary key)")
    sql(b, "insert into n values (1)")
    if what == "revert":
        merge_apply.merge(database, "b", "main", tables=["t"], author=AUTHOR)
    if what == "restore":
        b.execute(d.AlterTable(d.Name("t"), (d.DropColumn("v"),)))
        b.execute(d.Drop("table", (d.Name("gone"),)))
        merge_apply.merge(database, "b", "main", author=AUTHOR)
    sql(main, "update t set a = 50 where id in (1, 5)")
    if what == "continue":
        merge_apply.merge(database, "b", "main", strategy="manual", author=AUTHOR)
        conflicts.resolve(database, "b", using="base")
    if what == "settled":
        merge_apply.refresh(database, "b", strategy="manual", author=AUTHOR)
        conflicts.resolve(database, "b", using="target")
    if what == "detach":  # also rows that a branch has from another
        branches.create(database, "c", "b", role="tester")
        c = database.connect("c")
        sql(c, "update t set a = 200 where id in (2, 4)")
        c.close()
    if what == "gc":
        main.execute(d.Drop("table", (d.Name("t"),)))
        branches.discard(database, "b", force=True)
    main.close()
    b.close()
    database.close()


def state(path: Path) -> dict[str, Any]:
    """What every branch reads."""
    database = branching.open(path)
    try:
        found: dict[str, Any] = {"branches": sorted(database.names)}
        found["open"] = sorted(
            (item.kind, item.key, item.resolution) for item in conflicts.open_conflicts(database)
        )
        for name in sorted(database.names):
            connection = database.connect(name)
            for table in connection.catalog.tables():
                found[f"{name}.{table.name}"] = sorted(sql(connection, f"select * from {table.name}"))
            found[f"{name} changed"] = diff.summary(connection, name)
            connection.close()
        return found
    finally:
        database.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{WORKER.parents[2]}:{WORKER.parents[1]}"},
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def run(worker: subprocess.Popen[bytes], path: Path, what: str, number: int) -> bool:
    """Whether the change ended before the process was killed."""
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(json.dumps([str(path), what, number]).encode() + b"\n")
    worker.stdin.flush()
    answer = worker.stdout.readline().decode().strip()
    assert answer in ("done", "killed"), answer
    return answer == "done"


SLOW = ("refresh", "revert", "restore", "open", "continue", "settled", "gc")
WAYS = seeds(("merge", "detach", *SLOW))


@pytest.mark.parametrize("what", WAYS)
def test_killed_somewhere_it_is_before_or_after(
    worker: subprocess.Popen[bytes], what: str, tmp_path: Path
) -> None:
    killed(worker, what, Random(what).sample(range(1, 60), 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("what", WAYS)
def test_killed_anywhere_it_is_before_or_after(
    worker: subprocess.Popen[bytes], what: str, tmp_path: Path
) -> None:
    killed(worker, what, range(1, 200), tmp_path)


def killed(worker: subprocess.Popen[bytes], what: str, numbers: Iterable[int], tmp_path: Path) -> None:
    """Kills the change before each of these statements of its own, until it has no more."""
    prepare(tmp_path / "start.duckdb", what)
    before = state(tmp_path / "start.duckdb")
    shutil.copy(tmp_path / "start.duckdb", tmp_path / "end.duckdb")
    assert run(worker, tmp_path / "end.duckdb", what, 1_000_000)
    after = state(tmp_path / "end.duckdb")
    assert what in ("gc", "detach") or before != after
    for number in numbers:
        path = tmp_path / f"{number}.duckdb"
        shutil.copy(tmp_path / "start.duckdb", path)
        ended = run(worker, path, what, number)
        found = state(path)
        assert found in (before, after), number
        if found == before != after:  # and what was interrupted can be done again
            assert run(worker, path, what, 1_000_000)
            assert state(path) == after
        path.unlink()
        if ended:
            break
