"""The demo's own machinery, without a server: what it prints, and that a wrong result fails it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from proxy.cli import demo
from proxy.cli.main import main


class Statement:
    def __init__(self, names: Sequence[str], rows: Sequence[tuple[Any, ...]], tag: str) -> None:
        self.names, self.rows, self.tag = names, rows, tag

    async def fetch(self) -> Sequence[tuple[Any, ...]]:
        return self.rows

    def get_attributes(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.names]

    def get_statusmsg(self) -> str:
        return self.tag


class Connection:
    """Answers every statement alike."""

    def __init__(
        self,
        names: Sequence[str] = (),
        rows: Sequence[tuple[Any, ...]] = (),
        tag: str = "",
        error: Exception | None = None,
    ) -> None:
        self.statement = Statement(names, rows, tag)
        self.error = error
        self.sent: list[str] = []

    async def prepare(self, sql: str) -> Statement:
        self.sent.append(sql)
        return self.statement

    async def execute(self, sql: str) -> None:
        self.sent.append(sql)
        if self.error:
            raise self.error


async def test_both_sides_of_a_statement_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = demo.Narrator("agent", Connection(["n"], [(3,)]))
    assert await narrator.run("SELECT 3 AS n") == [(3,)]
    await demo.Narrator("main ", Connection(tag="BRANCH CREATE")).run("BRANCH CREATE b")
    output = capsys.readouterr().out
    assert output.splitlines() == [
        "",
        "  agent> SELECT 3 AS n",
        "    n",
        "    -",
        "    3",
        "    (1 row)",
        "",
        "  main > BRANCH CREATE b",
        "    BRANCH CREATE",
    ]


async def test_a_refusal_that_does_not_come_fails_the_demo() -> None:
    error = asyncpg.UniqueViolationError("there is one")
    await demo.Narrator("main", Connection(error=error)).refused("INSERT …", "23505")
    with pytest.raises(demo.DemoFailed):
        await demo.Narrator("main", Connection(error=error)).refused("INSERT …", "23502")
    with pytest.raises(demo.DemoFailed):
        await demo.Narrator("main", Connection()).refused("INSERT …", "23505")


async def test_a_wrong_result_stops_the_story() -> None:
    agent, other = Connection(["branch"], [("main",)]), Connection()
    with pytest.raises(demo.DemoFailed) as caught:
        await demo.tell(demo.Narrator("agent", agent), demo.Narrator("main", other))
    assert "on its branch" in caught.value.message
    assert agent.sent[-1] == "SHOW branch"


async def test_cleaning_names_everything_the_story_makes() -> None:
    connection = Connection()
    await demo.clean(connection)
    assert [name in " ".join(connection.sent) for name in (demo.BRANCH, demo.SECOND, demo.TABLE)] == [
        True
    ] * 3


def test_a_failed_demo_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def wrong(host: str, port: int) -> None:
        raise demo.DemoFailed("not as promised: 1 = 2")

    monkeypatch.setattr(demo, "_listening", lambda host, port: True)
    monkeypatch.setattr(demo, "converse", wrong)
    assert main(["demo"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "bough: not as promised: 1 = 2\n"
    assert "All results are right" not in captured.out


def test_something_else_on_the_port_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def hang_up() -> None:
            with contextlib.suppress(OSError):  # raised by the shutdown below
                while True:
                    other.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            assert main(["demo", "--set", f"port={port}"]) == 1
        finally:
            other.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert "cannot connect to 127.0.0.1" in capsys.readouterr().err


def test_a_server_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo.sys, "executable", "/bin/false")
    assert main(["demo", "--temporary"]) == 1
    assert "the temporary server did not start" in capsys.readouterr().err


def test_long_results_are_cut() -> None:
    lines = demo.render(["n"], [(number,) for number in range(50)], most=3).splitlines()
    assert len(lines) == 2 + 3 + 1
    assert lines[-1].strip() == "(50 rows)"
