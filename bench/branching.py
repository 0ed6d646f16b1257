"""What branches cost, as ratios against plain DuckDB or against a smaller case in the same run.

    python -m bench.branching [--rows 3000000] [--branches 1000] [--only PATTERN] [--write docs/benchmarks.md]

Every figure is the median of a few tries. Absolute times depend on the machine; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import sqlglot

import branching
from bench.branching_load import heavy, shapes, writers
from bench.branching_wire import copies, wire
from bench.measure import (
    AGGREGATE,
    SHAPE,
    Line,
    database,
    fork,
    median,
    pair,
    plain_copy,
    seconds,
    sql,
)
from branching import Author
from branching.connection import Connection
from branching.diff import changes as diff
from branching.merge import apply as merge_apply


def forks(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    with database(directory) as few, database(directory) as many:
        for opened, tables in ((few, 5), (many, 505)):
            connection = opened.connect()
            for number in range(tables):
                sql(connection, f"CREATE TABLE t{number} (id INTEGER, v VARCHAR)")
            connection.close()
        yield Line("fork, p50", median(lambda: fork(few), 50) * 1000, "ms", 10)
        yield Line("fork, 505 tables / 5 tables", pair(lambda: fork(many), lambda: fork(few), 30), "x", 2)
    with database(directory, rows) as large, database(directory, rows // 1000) as small:
        yield Line(
            f"fork, {rows} rows / {rows // 1000} rows",
            pair(lambda: fork(large), lambda: fork(small), 30),
            "x",
            1.5,
        )
    with database(directory) as opened:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(60):
                    fork(opened)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield Line("960 forks from 16 threads, errors", float(len(errors)), "", 0)


def first_writes(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    plain = plain_copy(directory, rows)
    with database(directory, rows) as large, database(directory, rows // 100) as small:

        def write(opened: branching.Database) -> Callable[[], object]:
            ready = iter([opened.connect(fork(opened)) for _ in range(12)])
            return lambda: sql(next(ready), f"UPDATE big SET v = 1 WHERE id = {rows // 200}")

        copies = iter(range(100))

        def copy() -> None:
            name = f"copy{next(copies)}"
            plain.execute(f"CREATE TABLE {name} {SHAPE}")
            plain.execute(f"INSERT INTO {name} SELECT * FROM big")

        one = median(write(large), 7)
        yield Line("first one-row write / copy of the table", one / median(copy, 2), "x", 0.1)
        yield Line(f"first one-row write, {rows} / {rows // 100} rows", one / median(write(small), 7), "x", 8)
    plain.close()


def reads(directory: Path, rows: int, count: int) -> Iterator[Line]:
    plain = plain_copy(directory, rows)
    with database(directory, rows) as opened:
        main = opened.connect()
        untouched = opened.connect(fork(opened))

        def aggregate(connection: Connection) -> Callable[[], object]:
            return lambda: sql(connection, AGGREGATE)

        def point(connection: Connection) -> Callable[[], object]:
            tree = sqlglot.parse_one(f"SELECT * FROM big WHERE id = {rows // 2}", dialect="duckdb")
            return lambda: connection.execute(tree, key="point").fetchall()

        def bare() -> object:
            return plain.execute(AGGREGATE).fetchall()

        yield Line(
            "aggregate on a fork, nothing changed / main",
            pair(aggregate(untouched), aggregate(main)),
            "x",
            1.1,
        )
        changed = opened.connect(fork(opened))
        sql(changed, f"UPDATE big SET v = v + 1 WHERE id % {rows // 1000} = 0")
        yield Line(
            "aggregate on a fork, 1,000 rows changed / main",
            pair(aggregate(changed), aggregate(main)),
            "x",
            2.8,
        )
        yield Line("point read on a touched branch / main", pair(point(changed), point(main), 50), "x", 4)
        for _ in range(count):
            fork(opened)
        sql(main, f"UPDATE big SET v = v + 1 WHERE id % {rows // 1000} = 1")
        yield Line(
            "aggregate on a fork, parent changed / main",
            pair(aggregate(untouched), aggregate(main)),
            "x",
            2.0,
        )
        yield Line(
            "point read on a touched branch, parent changed / main",
            pair(point(changed), point(main), 50),
            "x",
            4,
        )
        yield Line(
            f"main's aggregate with {count} forks / plain DuckDB", pair(aggregate(main), bare), "x", 1.15
        )
        depth = first = fork(opened)
        connection = opened.connect(first)
        sql(connection, "UPDATE big SET v = 0 WHERE id = 10")
        one = median(aggregate(connection))
        for number in range(63):
            depth = fork(opened, depth)
            nested = opened.connect(depth)
            sql(nested, f"UPDATE big SET v = 0 WHERE id = {20 + number}")
            nested.close()
        yield Line("aggregate 64 forks deep / 1 deep", median(aggregate(opened.connect(depth))) / one, "x", 2)
    plain.close()


def bulk(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    plain = plain_copy(directory, rows)
    with database(directory, rows) as opened:
        main = opened.connect()
        statement = "UPDATE big SET v = v + 1 WHERE id % 3 = 0"
        yield Line(
            "bulk UPDATE on main, no fork / plain DuckDB",
            pair(lambda: sql(main, statement), lambda: plain.execute(statement).fetchall(), 3), "x", 1.2,
        )  # fmt: skip
        numbers = iter(range(1, 1000))

        def insert(run: Callable[[str], object]) -> Callable[[], object]:
            def work() -> None:
                start = next(numbers) * 10**8
                run(f"INSERT INTO big SELECT {start} + i, 1, 2, 'x' FROM range({rows // 4}) r(i)")

            return work

        yield Line(
            "bulk INSERT into main / plain DuckDB",
            pair(insert(lambda text: sql(main, text)), insert(lambda text: plain.execute(text).fetchall()), 3),
            "x", 1.3,
        )  # fmt: skip
        fork(opened)
        yield Line(
            "bulk UPDATE on main, with forks / plain DuckDB",
            pair(lambda: sql(main, statement), lambda: plain.execute(statement).fetchall(), 2), "x", 5,
        )  # fmt: skip
    plain.close()


def small_writes(directory: Path, _rows: int, _count: int) -> Iterator[Line]:
    plain = plain_copy(directory, 1000)
    with database(directory, 1000) as opened:
        main = opened.connect()
        numbers = iter(range(10**6, 10**7))
        tree = sqlglot.parse_one("INSERT INTO big VALUES ($1, 1, 2, 'x')", dialect="duckdb")
        yield Line(
            "one-row autocommit INSERT on main / plain DuckDB",
            pair(
                lambda: main.execute(tree, [next(numbers)], key="insert"),
                lambda: plain.execute("INSERT INTO big VALUES ($1, 1, 2, 'x')", [next(numbers)]).fetchall(),
                300,
            ), "x", 1.5,
        )  # fmt: skip
    plain.close()


def _memory() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def many_branches(directory: Path, _rows: int, count: int) -> Iterator[Line]:
    path = directory / "many.duckdb"
    opened = branching.open(path)
    main = opened.connect()
    for number in range(3):
        sql(main, f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, v VARCHAR)")
        sql(main, f"INSERT INTO t{number} SELECT i, 'value ' || i FROM range(10000) r(i)")
    main.close()
    opened.root.cursor().execute("CHECKPOINT")
    size = path.stat().st_size

    def work() -> None:
        for _ in range(count):
            connection = opened.connect(fork(opened))
            connection.begin()
            for number in range(3):
                sql(connection, f"UPDATE t{number} SET v = 'changed' WHERE id < 10")
            connection.commit()
            connection.close()

    yield Line("branches with 30 changed rows made", count / seconds(work), "/s", 50, at_least=True)
    opened.close()
    yield Line(f"file, {count} branches", (path.stat().st_size - size) / 2**20, "MB", 150)
    before = _memory()
    opened = branching.open(path)
    connection = opened.connect(next(name for name in opened.names if name != "main"))
    sql(connection, "SELECT count(*) FROM t1")
    yield Line(f"memory after reopen, {count} branches", max(0.0, _memory() - before), "MB", 300)
    connection.close()
    for _ in range(5000 - count):
        fork(opened)
    opened.close()
    start = time.perf_counter()
    opened = branching.open(path)
    yield Line("reopen with 5,000 branches", time.perf_counter() - start, "s", 5)
    opened.close()


KEYS = {"a key": ", PRIMARY KEY (id)", "a key of two columns": ", PRIMARY KEY (g, id)", "no key": ""}
_SIDES = (
    ("v = v + 1", 0),
    ("s = 'changed'", 2),
)  # what a side changes, and where it begins: no row is changed by both


def _three_ways(opened: branching.Database, rows: int, number: int) -> tuple[float, float]:
    """Seconds for a diff and a merge of 1,000 changes a side, all over the table: updates, deletes, inserts."""
    main, name, step = opened.connect(), fork(opened), rows // 1000
    branch = opened.connect(name)
    for connection, (change, start) in ((branch, _SIDES[0]), (main, _SIDES[1])):
        place, fresh = start + 4 * number, rows + (2 * number + start // 2) * 100
        sql(connection, f"UPDATE big SET {change} WHERE id % {step} = {place} AND id // {step} < 800")
        sql(connection, f"DELETE FROM big WHERE id % {step} = {place + 1} AND id // {step} >= 900")
        sql(connection, f"INSERT INTO big SELECT {fresh} + i, 1, 2, 'new' FROM range(100) r(i)")
    branch.close()
    times = (
        seconds(lambda: diff.summary(main, name)),
        seconds(lambda: merge_apply.merge(opened, name, "main", author=Author())),
    )
    main.close()
    return times


def _copier(plain: duckdb.DuckDBPyConnection, shape: str) -> Callable[[], object]:
    copies = iter(range(100))

    def copy() -> None:
        name = f"copy{next(copies)}"
        plain.execute(f"CREATE TABLE {name} {shape}")
        plain.execute(f"INSERT INTO {name} SELECT * FROM big")

    return copy


def merges(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    """In a table and in one of a tenth, in turns."""
    for what, key in KEYS.items():
        shape = SHAPE.replace(" PRIMARY KEY", "").replace(")", key + ")")
        with database(directory, rows, shape) as large, database(directory, rows // 10, shape) as small:
            found = [
                (*_three_ways(small, rows // 10, number), *_three_ways(large, rows, number))
                for number in range(9)
            ]
        small_diff, small_merge, large_diff, large_merge = map(statistics.median, zip(*found, strict=True))
        sizes = f"{rows} / {rows // 10} rows"
        yield Line(f"diff of 1,000 + 1,000, {what}, {sizes}", large_diff / small_diff, "x", 2)
        yield Line(f"merge of 1,000 + 1,000, {what}, {sizes}", large_merge / small_merge, "x", 2)
        plain = plain_copy(directory, rows, shape)
        copied = median(_copier(plain, shape), 2)
        yield Line(f"merge of 1,000 + 1,000, {what} / copy of the table", large_merge / copied, "x", 0.3)
        plain.close()


GROUPS = (
    forks, first_writes, reads, bulk, copies, small_writes, merges, many_branches, heavy, writers, wire, shapes,
)  # fmt: skip
_PAGE = """# Benchmarks

Figures of `python -m bench.branching`, with the bar each has to meet. Measured on {when}:
{machine}.

Ratios are of two things measured in turns, and travel. Times and figures per second are the machine's: where it had
other work to do, which the load (processes that want to run) tells, they are long and low, and so is a ratio of
something that both cores do to something that one does. `python -m bench.transfer` measures transfers, see
[transfer.md](transfer.md).

"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--branches", type=int, default=1000)
    parser.add_argument("--only", default="", help="run only groups whose name contains this")
    parser.add_argument("--write", type=Path, help="write the table as a page")
    options = parser.parse_args()
    load_before = os.getloadavg()[1]
    table = ["| what | measured | bar | |", "|---|---|---|---|"]
    print("\n".join(table))
    for group in GROUPS:
        if options.only not in group.__name__:
            continue
        with tempfile.TemporaryDirectory() as directory:
            for line in group(Path(directory), options.rows, options.branches):
                table.append(str(line))
                print(line, flush=True)
    if options.write is not None:
        loads = " to ".join(f"{load:.1f}" for load in (load_before, os.getloadavg()[1]))
        machine = (
            f"{os.cpu_count()} cores ({platform.machine()}), load {loads}, Python {platform.python_version()},"
            f" DuckDB {duckdb.__version__}"
        )
        page = _PAGE.format(machine=machine, when=datetime.now(UTC).date())
        options.write.write_text(page + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
