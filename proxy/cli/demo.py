"""``bough demo``: the six steps of working on a branch, as plain SQL over a plain Postgres driver.

It is told as a script: what is sent, by whom, and what came back. The results are checked on the way, and the
exit code is 0 only if all of them are right. It leaves the server as it found it.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import asyncpg

from proxy.settings import Settings

TABLE = "bough_demo_users"
BRANCH = "bough-demo-migration"
SECOND = "bough-demo-idea"
START_SECONDS = 60.0


class DemoFailed(Exception):
    """A result that is not what the demo promises."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Narrator:
    """One connection whose statements and results are printed."""

    def __init__(self, who: str, connection: Any) -> None:
        self.who = who
        self.connection = connection

    async def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Sends ``sql``, prints both sides, returns the rows."""
        print(f"\n  {self.who}> {sql}")
        statement = await self.connection.prepare(sql)
        records = await statement.fetch()
        names = [attribute.name for attribute in statement.get_attributes()]
        if names:
            print(render(names, [tuple(record) for record in records]))
        else:
            print(f"    {statement.get_statusmsg()}")
        return [tuple(record) for record in records]

    async def refused(self, sql: str, sqlstate: str) -> None:
        """Sends ``sql``, which the server must refuse with ``sqlstate``."""
        print(f"\n  {self.who}> {sql}")
        try:
            await self.connection.execute(sql)
        except asyncpg.PostgresError as error:
            print(f"    ERROR {error.sqlstate}: {error}")
            expect(error.sqlstate == sqlstate, f"the error is {sqlstate}")
        else:
            raise DemoFailed(f"the server accepted: {sql}")


def render(names: Sequence[str], rows: Sequence[Sequence[object]], *, most: int = 20) -> str:
    """A result as a table for people."""
    shown = [["" if value is None else str(value) for value in row] for row in rows[:most]]
    widths = [max([len(name), *(len(row[index]) for row in shown)]) for index, name in enumerate(names)]
    lines = [
        " | ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)),
        "-+-".join("-" * width for width in widths),
        *(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown),
        f"({len(rows)} row{'' if len(rows) == 1 else 's'})",
    ]
    return "\n".join("    " + line.rstrip() for line in lines)


def expect(right: bool, what: str) -> None:
    """Prints the promise ``what`` if it is kept; stops the demo if not."""
    if not right:
        raise DemoFailed(f"not as promised: {what}")
    print(f"    ✓ {what}")


def step(number: int, title: str) -> None:
    print(f"\nStep {number}. {title}")


async def tell(agent: Narrator, main: Narrator) -> None:
    """The six steps; ``agent`` works on a branch while ``main`` goes on."""
    step(1, "Set up main")
    await main.run(
        f"CREATE TABLE {TABLE} (id integer PRIMARY KEY, name text NOT NULL, "
        "plan text DEFAULT 'free', active boolean NOT NULL DEFAULT true)"
    )
    await main.run(
        f"INSERT INTO {TABLE} (id, name, plan, active) VALUES (1, 'Ada', 'pro', true), "
        "(2, 'Ben', 'free', true), (3, 'Cleo', 'free', false), (4, 'Dan', 'pro', true)"
    )

    step(2, "Create a branch: instantly, nothing is copied")
    await agent.run(f'BRANCH CREATE "{BRANCH}" FROM main')
    await agent.run(f'BRANCH SWITCH "{BRANCH}"')
    rows = await agent.run("SHOW branch")
    expect(rows == [(BRANCH,)], "the agent's session is on its branch")

    step(3, "Change schema and data on the branch, while main goes on")
    await agent.run(f"ALTER TABLE {TABLE} ADD COLUMN last_login timestamp")
    await agent.run(f"UPDATE {TABLE} SET last_login = CURRENT_TIMESTAMP WHERE id = 1")
    await agent.run(f"DELETE FROM {TABLE} WHERE id = 3")
    await agent.run(f"INSERT INTO {TABLE} (id, name, plan) VALUES (5, 'Eve', 'pro')")
    await main.run(f"UPDATE {TABLE} SET plan = 'pro' WHERE id = 2")

    step(4, "Speculative queries")
    rows = await agent.run(f"SELECT id, name, plan, last_login IS NOT NULL AS seen FROM {TABLE} ORDER BY id")
    expect(
        rows
        == [
            (1, "Ada", "pro", True),
            (2, "Ben", "free", False),
            (4, "Dan", "pro", False),
            (5, "Eve", "pro", False),
        ],
        "the branch shows its own changes and none of main's",
    )
    shadow = await agent.run(
        f"SHADOW QUERY ON main, \"{BRANCH}\" AS SELECT count(*) FROM {TABLE} WHERE plan = 'pro' AND id < 5"
    )
    expect([row[0] for row in shadow] == ["main", BRANCH], "one question, answered by both branches")

    step(5, "Compare: main is untouched")
    rows = await main.run(f"SELECT * FROM {TABLE} ORDER BY id")
    expect(
        rows
        == [
            (1, "Ada", "pro", True),
            (2, "Ben", "pro", True),
            (3, "Cleo", "free", False),
            (4, "Dan", "pro", True),
        ],
        "main has its rows, its own update, and no new column",
    )
    rows = await agent.run(f'BRANCH DIFF "{BRANCH}" AGAINST main')
    changed = [row for row in rows if row[1] == TABLE]
    expect(
        len(changed) == 1 and tuple(changed[0][3:6]) == (1, 1, 1), "one row added, one removed, one modified"
    )

    step(6, "Merge, or discard")
    await agent.run("BRANCH SWITCH main")
    await agent.run(f'BRANCH MERGE "{BRANCH}" INTO main STRATEGY branch_wins')
    rows = await main.run(
        f"SELECT id, name, plan, active, last_login IS NOT NULL AS seen FROM {TABLE} ORDER BY id"
    )
    expect(
        rows
        == [
            (1, "Ada", "pro", True, True),
            (2, "Ben", "pro", True, False),
            (4, "Dan", "pro", True, False),
            (5, "Eve", "pro", True, False),
        ],
        "update, delete, insert and new column are on main; main's own update survived",
    )
    await main.refused(f"INSERT INTO {TABLE} (id, name) VALUES (1, 'Again')", "23505")
    await main.refused(f"INSERT INTO {TABLE} (id, name) VALUES (6, NULL)", "23502")
    await agent.run(f'BRANCH CREATE "{SECOND}"')
    await agent.run(f'BRANCH SWITCH "{SECOND}"')
    await agent.run(f"DELETE FROM {TABLE}")
    await agent.run("BRANCH SWITCH main")
    await agent.run(f'BRANCH DISCARD "{SECOND}"')
    rows = await main.run(f"SELECT count(*) FROM {TABLE}")
    expect(rows == [(4,)], "the discarded idea left no trace")


async def clean(connection: Any) -> None:
    """Removes what an earlier run left behind."""
    for name in (BRANCH, SECOND):
        await connection.execute(f'BRANCH DISCARD IF EXISTS "{name}" WITH (force true)')
    await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")


async def _connect(host: str, port: int, user: str) -> Any:
    try:
        return await asyncpg.connect(host=host, port=port, user=user, database="main", timeout=10)
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        raise DemoFailed(
            f"cannot connect to {host}:{port}: {error or type(error).__name__}",
            "Is it a Bough server? `bough demo --temporary` starts one.",
        ) from error


async def converse(host: str, port: int) -> None:
    """Connects twice, tells the story, and tidies up in any case."""
    agent = await _connect(host, port, "agent")
    main = await _connect(host, port, "main")
    try:
        await clean(main)
        try:
            await tell(Narrator("agent", agent), Narrator("main ", main))
        finally:
            await agent.close()
            with suppress(asyncpg.PostgresError):
                await clean(main)
    except asyncpg.PostgresError as error:
        raise DemoFailed(f"{error.sqlstate}: {error}", hint=getattr(error, "hint", None)) from error
    finally:
        await main.close()


def run_demo(settings: Settings, *, temporary: bool = False) -> int:
    """Runs the demo on the server that listens already, else on one of its own."""
    if not temporary and _listening(settings.host, settings.port):
        print(f"Using the server on {settings.host}:{settings.port}.")
        asyncio.run(converse(settings.host, settings.port))
    else:
        with temporary_server() as port:
            print(f"Using a temporary server on 127.0.0.1:{port}.")
            asyncio.run(converse("127.0.0.1", port))
    print("\nAll results are right.")
    return 0


def _listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


@contextmanager
def temporary_server(file: Path | None = None) -> Iterator[int]:
    """A server on a free port, over ``file`` or one of its own; yields the port once it listens."""
    with tempfile.TemporaryDirectory(prefix="bough-demo-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        served = "demo.duckdb" if file is None else str(file.resolve())
        command = [sys.executable, "-m", "proxy", "serve", served, "--host", "127.0.0.1"]
        command += ["--set", "dev_mode=on"]
        log = Path(folder) / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*command, "--port", str(port)], cwd=folder, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _await_start(server, port, log)
            yield port
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(START_SECONDS)
            server.kill()
            server.wait()


def _await_start(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while not _listening("127.0.0.1", port):
        if server.poll() is not None or monotonic() > deadline:
            raise DemoFailed("the temporary server did not start", log.read_text(errors="replace")[-500:])
        sleep(0.05)
