"""``bough shadow replay``: the SELECTs of a file run on several branches, and a report of what differs.

Rules:

1. The server compares (SHADOW QUERY: one instant for all branches of one query); this only reads, asks and reports.
2. A file is SQL, or a Postgres log with ``statement:`` and ``execute …:`` lines, whose parameters are put back in.
3. Writes and statements of a session are skipped, with a note, and so is what a shadow query cannot run. What fails on
   the first branch too is an error, not a skip: somebody should look at it.
4. Exit code 0 means that every query that was run gave the same on all branches.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from branching.errors import BoughError
from proxy.cli.demo import render, temporary_server
from proxy.commands import parse_command
from proxy.gucs import branch_list
from proxy.settings import Settings
from proxy.sql.parse import parse
from proxy.sql.split import lex_split
from proxy.sql.statements import Kind

_LOGGED = re.compile(
    r"\b(?P<level>LOG|DETAIL):\s+(?:duration: [\d.]+ ms\s+)?"
    r"(?:(?:statement|execute [^:]*): (?P<sql>.*)|parameters: (?P<parameters>.*))$",
    re.IGNORECASE | re.DOTALL,
)
_ENTRY = re.compile(r"^(?!\t)", re.MULTILINE)  # a line that goes on with a tab belongs to the one before
_PARAMETER = re.compile(r"\$(\d+) = ('(?:[^']|'')*'|NULL)(?:, |\s*$)")
_PIECES = re.compile(
    r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|\$[A-Za-z_]*\$.*?\$[A-Za-z_]*\$)|\$(\d+)""", re.DOTALL
)
_CANNOT = frozenset({"0A000", "42P02"})  # what a shadow query does not run
_SHOWN = 60


class ReplayFailed(Exception):
    """The replay cannot go on; ``message`` is one line."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Query:
    line: int
    text: str


@dataclass(slots=True)
class Verdict:
    """What one query came to: same, different, error, skipped."""

    query: Query
    verdict: str
    note: str = ""
    branches: list[dict[str, Any]] = field(default_factory=list)  # branch, rows, ms, speed, error


@dataclass(frozen=True, slots=True)
class Options:
    queries: str  # a file, or - for standard input
    branches: str
    user: str = "bough"
    database: str = "main"
    file: str | None = None  # serve this file for the time of the replay
    runs: int = 1
    tolerance: float = 1e-9
    ordered: bool = False
    timeout: float = 60.0  # seconds for one query on all branches
    form: str = "text"


def read_queries(text: str) -> Iterator[Query]:
    """The statements of a file."""
    if any(match["sql"] for match in map(_LOGGED.search, text.splitlines()) if match):
        yield from _of_log(text)
        return
    for source in lex_split(text):
        yield Query(text.count("\n", 0, source.offset) + 1, source.text)


def _of_log(text: str) -> Iterator[Query]:
    line, waiting = 1, None
    for entry in _ENTRY.split(text):
        found = _LOGGED.search(entry.rstrip().replace("\n\t", "\n"))
        if found and found["sql"] is not None:
            if waiting is not None:
                yield waiting
            waiting = Query(line, found["sql"].strip().rstrip(";"))
        elif found and waiting is not None and found["level"].upper() == "DETAIL":
            yield Query(waiting.line, with_values(waiting.text, found["parameters"]))
            waiting = None
        line += entry.count("\n")
    if waiting is not None:
        yield waiting


def with_values(sql: str, parameters: str) -> str:
    """``sql`` with the values that a log's DETAIL gives in the place of its parameters."""
    values = dict(_PARAMETER.findall(parameters))
    return _PIECES.sub(lambda piece: piece[1] or values.get(piece[2], f"${piece[2]}"), sql)


def replay(settings: Settings, options: Options) -> int:
    """Runs the file against the server of the settings, or one of its own over ``options.file``; the exit code."""
    try:
        names = branch_list(options.branches)
    except ValueError as reason:
        raise ReplayFailed(f"--branches {options.branches}: {reason}") from None
    source = sys.stdin if options.queries == "-" else None
    text = source.read() if source else Path(options.queries).read_text(encoding="utf-8")
    queries = list(read_queries(text))
    if not queries:
        raise ReplayFailed(f"there are no statements in {options.queries}")
    if options.file is None:
        found = asyncio.run(_converse(settings.host, settings.port, names, queries, options))
    else:
        if not Path(options.file).is_file():
            raise ReplayFailed(f"there is no file {options.file}")
        with temporary_server(Path(options.file)) as port:
            found = asyncio.run(_converse("127.0.0.1", port, names, queries, options))
    print(_as_json(names, found) if options.form == "json" else _as_text(names, found))
    return 0 if all(item.verdict in ("same", "skipped") for item in found) else 1


async def _converse(
    host: str, port: int, names: Sequence[str], queries: Sequence[Query], options: Options
) -> list[Verdict]:
    try:
        connection = await asyncpg.connect(
            host=host, port=port, user=options.user, database=options.database, timeout=10
        )
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        raise ReplayFailed(
            f"cannot connect to {host}:{port}: {error or type(error).__name__}",
            "Name a server with --host and --port, or a file to serve with --file.",
        ) from error
    try:
        ask = _Asker(connection, names, options)
        await ask.check()
        return [await ask.verdict(query) for query in queries]
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise ReplayFailed(f"the connection was lost: {error}") from error
    finally:
        await connection.close(timeout=5)


class _Asker:
    def __init__(self, connection: Any, names: Sequence[str], options: Options) -> None:
        self._connection = connection
        self._names = names
        self._timeout = options.timeout
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        ordered = "true" if options.ordered else "false"
        self._head = f"SHADOW QUERY ON {quoted} AS "
        self._tail = f" WITH (runs {options.runs}, tolerance {options.tolerance!r}, ordered {ordered})"

    async def check(self) -> None:
        """Whether the branches can be compared at all."""
        try:
            await self._connection.fetch(f"{self._head}SELECT 1{self._tail}")
        except asyncpg.PostgresError as error:
            raise ReplayFailed(_message(error), getattr(error, "hint", None)) from error

    async def verdict(self, query: Query) -> Verdict:
        """Asks the server about one query."""
        reason = skipped(query.text)
        if reason is not None:
            return Verdict(query, "skipped", reason)
        tag = "$q$"
        while tag in query.text:
            tag = f"$q{tag[1:]}"
        try:
            rows = await self._connection.fetch(
                f"{self._head}{tag}{query.text}{tag}{self._tail}", timeout=self._timeout
            )
        except TimeoutError:
            return Verdict(query, "error", f"took longer than {self._timeout:g} s")
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate in _CANNOT:
                return Verdict(query, "skipped", _message(error))
            return Verdict(query, "error", f"{error.sqlstate}: {_message(error)}")
        return judge(query, [dict(row) for row in rows])


def _message(error: Exception) -> str:
    """Its message alone, without DETAIL and HINT."""
    return str(error.args[0]) if error.args else str(error)


def skipped(sql: str) -> str | None:
    """Why a statement is not run; None for a SELECT, and for what only the server can tell."""
    try:
        if parse_command(sql) is not None:
            return "a command of Bough"
        parsed = parse(sql)
    except BoughError:
        return None
    if parsed.kind is Kind.SELECT:
        return None
    return f"not a SELECT: {parsed.tag}"


def judge(query: Query, rows: Sequence[dict[str, Any]]) -> Verdict:
    """The verdict that the server's rows come to."""
    first = rows[0]["elapsed_ms"]
    branches = [
        {
            "branch": row["branch"],
            "rows": row["rows"],
            "ms": row["elapsed_ms"],
            "speed": round(first / row["elapsed_ms"], 2) if first and row["elapsed_ms"] else None,
            "error": row["error"],
        }
        for row in rows
    ]
    errors = [f"{row['branch']}: {row['error']}" for row in rows if row["error"] is not None]
    if errors:
        return Verdict(query, "error", "; ".join(errors), branches)
    other = [row["branch"] for row in rows if not row["same_as_first"]]
    if other:
        return Verdict(query, "different", f"{', '.join(other)} not as {rows[0]['branch']}", branches)
    return Verdict(query, "same", "", branches)


# -- reports ---------------------------------------------------------------------------------------------------------


def summary(names: Sequence[str], found: Sequence[Verdict]) -> dict[str, Any]:
    """Counts, and the times of the queries that all branches answered."""
    counts = {
        what: sum(item.verdict == what for item in found)
        for what in ("same", "different", "error", "skipped")
    }
    answered = [item.branches for item in found if item.verdict in ("same", "different")]
    total = {name: round(sum(row[number]["ms"] for row in answered), 3) for number, name in enumerate(names)}
    first = total[names[0]]
    speed = {name: round(first / value, 2) if value else None for name, value in total.items()}
    return {"queries": len(found), **counts, "ms": total, "speed": speed}


def _as_json(names: Sequence[str], found: Sequence[Verdict]) -> str:
    queries = [
        {
            "line": item.query.line,
            "query": item.query.text,
            "verdict": item.verdict,
            "note": item.note or None,
            "branches": item.branches,
        }
        for item in found
    ]
    return json.dumps({"queries": queries, "summary": summary(names, found)}, indent=2, ensure_ascii=False)


def _as_text(names: Sequence[str], found: Sequence[Verdict]) -> str:
    head = ["line", "verdict"]
    head += [f"rows {name}" for name in names] + [f"ms {name}" for name in names]
    head += [f"speed {name}" for name in names[1:]] + ["query"]
    rows = []
    for item in found:
        shown = " ".join(item.query.text.split())
        figures = item.branches or [{}] * len(names)
        rows.append(
            [
                item.query.line,
                item.verdict,
                *(figure.get("rows") for figure in figures),
                *(figure.get("ms") for figure in figures),
                *(figure.get("speed") for figure in figures[1:]),
                shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…",
            ]
        )
    lines = [render(head, rows, most=len(rows))]
    lines += [f"    line {item.query.line}, {item.verdict}: {item.note}" for item in found if item.note]
    total = summary(names, found)
    counted = ", ".join(f"{total[what]} {what}" for what in ("same", "different", "error", "skipped"))
    times = ", ".join(
        f"{name} {total['ms'][name]:g} ms"
        + (f" (speed {total['speed'][name]:g})" if number and total["speed"][name] is not None else "")
        for number, name in enumerate(names)
    )
    lines.append(f"{counted}; {times}")
    return "\n".join(lines)
