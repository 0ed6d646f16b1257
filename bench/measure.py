"""What the measurements of branches share: a figure with its bar, timing in turns, databases of a known shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlglot

import branching
from branching import branches
from branching.connection import Connection


@dataclass(frozen=True, slots=True)
class Line:
    what: str
    measured: float
    unit: str
    bar: float | None  # None: no bar, only a figure
    at_least: bool = False

    def __str__(self) -> str:
        """A row of a Markdown table: what, measured, bar, and ``missed`` if it was."""
        if self.bar is None:
            return f"| {self.what} | {self.measured:.2f} {self.unit} | | |"
        met = self.measured >= self.bar if self.at_least else self.measured <= self.bar
        sign = "≥" if self.at_least else "≤"
        return f"| {self.what} | {self.measured:.2f} {self.unit} | {sign} {self.bar:g} | {'' if met else 'missed'} |"


def sql(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], object], tries: int = 5) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(tries))


def pair(mine: Callable[[], object], plain: Callable[[], object], tries: int = 7) -> float:
    """Ratio of medians, measured in turns so that a busy machine hurts both alike."""
    mine(), plain()
    times = [(seconds(mine), seconds(plain)) for _ in range(tries)]
    return statistics.median(a for a, _ in times) / statistics.median(b for _, b in times)


FILL = "SELECT i AS id, i % 1000 AS g, (i * 7919) % 100000 AS v, 'name ' || (i % 5000) AS s FROM range({rows}) r(i)"
SHAPE = "(id BIGINT PRIMARY KEY, g BIGINT, v BIGINT, s VARCHAR)"
AGGREGATE = "SELECT g, count(*), sum(v), max(s) FROM big GROUP BY g"
_names = iter(range(10**9))


@contextmanager
def database(directory: Path, rows: int = 0, shape: str = SHAPE) -> Iterator[branching.Database]:
    opened = branching.open(directory / f"bough{next(_names)}.duckdb")
    if rows:
        connection = opened.connect()
        sql(connection, f"CREATE TABLE big {shape}")
        sql(connection, f"INSERT INTO big {FILL.format(rows=rows)}")
        connection.close()
        opened.root.cursor().execute("CHECKPOINT")
    yield opened
    opened.close()


def plain_copy(directory: Path, rows: int, shape: str = SHAPE) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(directory / f"plain{next(_names)}.duckdb"))
    connection.execute(f"CREATE TABLE big {shape}")
    connection.execute(f"INSERT INTO big {FILL.format(rows=rows)}")
    connection.execute("CHECKPOINT")
    return connection


def fork(opened: branching.Database, parent: str = "main") -> str:
    name = f"f{next(_names)}"
    branches.create(opened, name, parent, role="bench")
    return name
