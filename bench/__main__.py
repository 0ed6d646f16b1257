"""Times what Bough promises, as ratios to something measured in the same run on the same machine.

Absolute times say more about the machine than about Bough, so every figure has a yardstick: DuckDB in this
process, or a plain copy of the table. A measurement is the median of several runs. Nothing here is a test:
figures are printed, and people judge them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import duckdb

from proxy.cli.demo import temporary_server

ROWS = 3_000_000
Action = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    seconds: float
    yardstick: str
    yardstick_seconds: float

    def __str__(self) -> str:
        ratio = self.seconds / self.yardstick_seconds
        mine, other = f"{self.seconds * 1000:.2f} ms", f"{self.yardstick_seconds * 1000:.2f} ms"
        return f"{self.name:<38} {mine:>12}   {self.yardstick:<28} {other:>12}   ratio {ratio:.3f}"


async def timed(action: Action, *, runs: int = 5, before: Action | None = None) -> float:
    """The median time of ``action``; ``before`` prepares each run and is not counted."""
    times = []
    for _ in range(runs):
        if before:
            await before()
        start = perf_counter()
        await action()
        times.append(perf_counter() - start)
    return median(times)


async def measure(connection: Any) -> list[Figure]:
    """All figures, on a server that is empty so far."""
    columns = "i AS id, i % 7 AS a, i * 2 AS b, i::double / 3 AS c, 'text ' || i AS d, i AS e, i AS f, i AS g"
    numbers = f"generate_series(1, {ROWS}) AS s(i)"
    await connection.execute(f"CREATE TABLE big AS SELECT {columns} FROM {numbers}")
    local = duckdb.connect()
    local.execute(f"CREATE TABLE big AS SELECT {columns} FROM {numbers}")

    async def in_process() -> None:
        local.execute("SELECT * FROM big WHERE id = 77").fetchall()

    async def copy() -> None:
        await connection.execute("CREATE TABLE big_copy AS SELECT * FROM big")

    async def drop_copy() -> None:
        await connection.execute("DROP TABLE IF EXISTS big_copy")

    async def drop_branch() -> None:
        await connection.execute("BRANCH SWITCH main")
        await connection.execute("BRANCH DISCARD IF EXISTS bench WITH (force true)")

    async def fork() -> None:
        await connection.execute("BRANCH CREATE bench FROM main")

    async def forked() -> None:
        await drop_branch()
        await fork()
        await connection.execute("BRANCH SWITCH bench")

    async def write() -> None:
        await connection.execute("UPDATE big SET a = -1 WHERE id = 4711")

    async def changed() -> None:
        await forked()
        await connection.execute("UPDATE big SET a = -1 WHERE id <= 1000")
        await connection.execute("BRANCH SWITCH main")
        await connection.execute(f"UPDATE big SET b = -1 WHERE id > {ROWS - 1000}")

    async def merge() -> None:
        await connection.execute("BRANCH MERGE bench INTO main")

    point = await connection.prepare("SELECT * FROM big WHERE id = $1")
    copy_time = await timed(copy, runs=3, before=drop_copy)
    await drop_copy()
    figures = [
        Figure(
            "point read, prepared",
            await timed(lambda: point.fetch(77), runs=50),
            "DuckDB in process",
            await timed(in_process, runs=50),
        ),
        Figure("fork", await timed(fork, before=drop_branch), "copy of the table", copy_time),
        Figure("first one-row write", await timed(write, before=forked), "copy of the table", copy_time),
        Figure(
            "merge, 1,000 + 1,000 rows",
            await timed(merge, runs=3, before=changed),
            "copy of the table",
            copy_time,
        ),
    ]
    await drop_branch()
    return figures


async def main() -> int:
    with temporary_server() as port:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="bench", database="main")
        try:
            for figure in await measure(connection):
                print(figure)
        finally:
            await connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
