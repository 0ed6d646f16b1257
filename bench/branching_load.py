"""Branches under load: many writers at once, and the shapes in which branches are made.

The shapes are those of BranchBench (arXiv 2604.17180): a *spine*, where each branch is forked from the last; a *star*,
where all are forked from one; and a tree as a Monte Carlo search grows it, where each step forks the branch that looked
best, judges the fork by a query, and throws the worst away. At each step a branch is made, some rows are changed on it,
one is read by key, and an aggregate runs. The yardstick is the same work on one plain DuckDB table that knows no
branches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import sqlglot

import branching
from bench.measure import AGGREGATE, Line, database, fork, median, pair, plain_copy, seconds, sql
from branching import branches
from branching.gc import collect as gc

_SECONDS = 30.0
_STEPS = 100
_CHANGES = 10
_KEPT = 32  # leaves a search keeps


def writers(directory: Path, _rows: int, _count: int) -> Iterator[Line]:
    with database(directory, 1000) as opened:
        insert = sqlglot.parse_one("INSERT INTO big VALUES ($1, $2, 2, 'text')", dialect="duckdb")
        update = sqlglot.parse_one("UPDATE big SET s = $2 WHERE id = $1", dialect="duckdb")
        end = time.monotonic() + _SECONDS
        waits: list[float] = []
        logs: list[int] = []

        def work(number: int) -> None:
            connection = opened.connect()
            key = (number + 1) * 10**9
            while time.monotonic() < end:
                waits.append(
                    seconds(lambda key=key: connection.execute(insert, [key, number], key="i"))  # type: ignore[misc]
                )
                waits.append(
                    seconds(lambda key=key: connection.execute(update, [key, "y" * 500], key="u"))  # type: ignore[misc]
                )
                key += 1
            connection.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            time.sleep(0.02)
            logs.append(opened.checkpointer.log_size())
        for thread in threads:
            thread.join()
        waits.sort()
        yield Line("8 writers, 30 s: largest log / limit", max(logs) / opened.checkpointer.limit, "x", 2)
        yield Line("8 writers, 30 s: longest wait", waits[-1] * 1000, "ms", 250)
        yield Line("8 writers, 30 s: writes", len(waits) / _SECONDS, "/s", None)


def heavy(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    """A branch that has changed half of a table, before and after it was detached."""
    rows //= 3
    with database(directory, rows) as opened:
        main, name = opened.connect(), fork(opened)
        branch = opened.connect(name)
        sql(branch, "UPDATE big SET v = v + 1 WHERE id % 2 = 0")
        tree = sqlglot.parse_one(f"SELECT * FROM big WHERE id = {rows // 2}", dialect="duckdb")

        def figures(when: str, bar: float | None) -> Iterator[Line]:
            yield Line(
                f"half of {rows} rows changed, {when}: aggregate / main",
                pair(lambda: sql(branch, AGGREGATE), lambda: sql(main, AGGREGATE)), "x", bar,
            )  # fmt: skip
            yield Line(
                f"… {when}: point read / main",
                pair(lambda: branch.execute(tree, key="p").fetchall(),
                     lambda: main.execute(tree, key="p").fetchall(), 50), "x", 4 if bar else None,
            )  # fmt: skip
            yield Line(
                f"… {when}: fork of the branch", median(lambda: fork(opened, name), 3) * 1000, "ms", None
            )

        yield from figures("not yet detached", None)
        for other in list(opened.names):
            if other not in ("main", name):
                branches.discard(opened, other)
        yield Line("… the pass that detaches it", seconds(lambda: gc.collect(opened)), "s", None)
        yield from figures("detached", 1.1)


def shapes(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    rows //= 10
    plain = plain_copy(directory, rows)
    random = Random(1)

    def step(run: Callable[[str], object]) -> None:
        for _ in range(_CHANGES):
            run(f"UPDATE big SET v = v + 1 WHERE id = {random.randrange(rows)}")
        run(f"SELECT * FROM big WHERE id = {random.randrange(rows)}")
        run(AGGREGATE)

    yardstick = median(lambda: step(lambda text: plain.execute(text).fetchall()), 20)
    for name, grow in (("spine", _spine), ("star", _star), ("search tree", _search)):
        with database(directory, rows) as opened:
            taken = seconds(lambda grow=grow, opened=opened: grow(opened, step)) / _STEPS  # type: ignore[misc]
            yield Line(
                f"{name} of {_STEPS} branches: a step / without branches", taken / yardstick, "x", None
            )
    plain.close()


Step = Callable[[Callable[[str], object]], None]


def _worked(opened: branching.Database, parent: str, step: Step) -> str:
    name = fork(opened, parent)
    connection = opened.connect(name)
    step(lambda text: sql(connection, text))
    connection.close()
    return name


def _spine(opened: branching.Database, step: Step) -> None:
    last = "main"
    for _ in range(_STEPS):
        last = _worked(opened, last, step)


def _star(opened: branching.Database, step: Step) -> None:
    for _ in range(_STEPS):
        _worked(opened, "main", step)


def _search(opened: branching.Database, step: Step) -> None:
    """Forks the branch that looked best; only so many are kept."""
    worth = {"main": 0}
    random = Random(2)
    for _ in range(_STEPS):
        best = max(worth, key=lambda name: worth[name] + random.randrange(1000))
        made = _worked(opened, best, step)
        connection = opened.connect(made)
        found = sql(connection, f"SELECT sum(v) FROM big WHERE id % 100 = {random.randrange(100)}")
        connection.close()
        worth[made] = hash(found[0]) % 1000
        if len(worth) > _KEPT:
            worst = min((name for name in worth if name != "main"), key=worth.__getitem__)
            for name in branches.discard(opened, worst, cascade=True):
                worth.pop(name, None)
