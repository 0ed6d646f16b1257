"""The scripts in ``scripts/``: each statement gives what it gives on PostgreSQL, wherever the tables are.

A file holds cases: ``=== name``, the statements that make the tables, ``--run``, the statements that are compared.
Statements end with ``;;``. ``-- here: 0A000`` before one: it is not sent to PostgreSQL, and refused here with that.
Compared are tags, counts, rows and SQLSTATEs, then every relation; what is forked before must not move, and a restart
changes nothing. No answer may name storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

_PLACES = ("main", "branch", "main without forks", "branch of a branch")
_HERE = re.compile(r"^-- here: (\w{5})\n")


@dataclass
class Case:
    name: str
    setup: list[str]
    run: list[str]
    expected: list[Any] = field(default_factory=list)  # outcomes, then the state


def _cases() -> Iterator[Case]:
    for file in sorted((Path(__file__).parent / "scripts").glob("*.sql")):
        for block in file.read_text().split("=== ")[1:]:
            name, _, body = block.partition("\n")
            setup, _, run = body.partition("--run\n")
            yield Case(f"{file.stem}: {name}", _statements(setup), _statements(run))


def _statements(text: str) -> list[str]:
    return [item.strip() for item in text.split(";;") if item.strip()]


CASES = list(_cases())


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        value = float(value)
    return round(value, 9) if isinstance(value, float) else value


def _rows(cursor: psycopg.Cursor[Any], *, ordered: bool) -> list[Any]:
    rows = [tuple(map(_plain, row)) for row in cursor.fetchall()]
    return rows if ordered else sorted(rows, key=repr)


def _outcome(connection: psycopg.Connection[Any], text: str) -> Any:
    """(tag, rows), or ("error", SQLSTATE, the rest)."""
    try:
        if text.startswith("copy "):
            head, _, data = text.partition("\n")
            with connection.cursor() as cursor, cursor.copy(head.encode()) as copy:
                copy.write(data + "\n")
            return cursor.statusmessage, None
        cursor = connection.execute(text.encode())
        return cursor.statusmessage, _rows(
            cursor, ordered=text.startswith("select") and "order by" in text
        ) if cursor.description else None
    except psycopg.Error as error:
        diag = error.diag
        return "error", diag.sqlstate, f"{diag.message_primary} {diag.message_detail} {diag.message_hint}"


def _state(connection: psycopg.Connection[Any]) -> dict[Any, Any]:
    """Columns and rows of every relation."""
    found = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'bough') AND table_type <> 'LOCAL TEMPORARY'"
    ).fetchall()
    state = {}
    for name in found:
        cursor = connection.execute(SQL("SELECT * FROM {}").format(Identifier(*name)))
        assert cursor.description is not None
        state[name] = [column.name for column in cursor.description], _rows(cursor, ordered=False)
    return state


def _on_postgres(case: Case, postgres: Any) -> list[Any]:
    if not case.expected:
        server = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "autocommit": True}
        with psycopg.connect(dbname=postgres.database, **server) as admin:
            admin.execute("DROP DATABASE IF EXISTS scripts")
            admin.execute("CREATE DATABASE scripts")
        with psycopg.connect(dbname="scripts", **server) as connection:
            for text in case.setup:
                connection.execute(text.encode())
            outcomes = [None if _HERE.match(text) else _outcome(connection, text) for text in case.run]
            case.expected = [outcomes, _state(connection)]
    return case.expected


@contextmanager
def _served(file: Path) -> Iterator[ThreadServer]:
    server = ThreadServer(str(file))
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.postgres
@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=pytest.mark.slow if p in _PLACES[2:] else ()) for p in _PLACES]
)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_script_gives_what_it_gives_on_postgres(
    case: Case, place: str, postgres: Any, tmp_path: Path
) -> None:
    outcomes, state = _on_postgres(case, postgres)
    branch = {"branch": "b", "branch of a branch": "c"}.get(place, "main")
    with _served(tmp_path / "of_a_test.duckdb") as server, server.connect() as main:
        for text in case.setup:
            main.execute(text.encode())
        forks = place != "main without forks"
        if forks:
            main.execute("BRANCH CREATE b")
            main.execute("BRANCH CREATE c FROM b")
        with server.connect(branch) as connection:
            before = _state(connection)
            for text, expected in zip(case.run, outcomes, strict=True):
                if here := _HERE.match(text):
                    expected = ("error", here[1], None)
                    text = text[here.end() :]
                got = _outcome(connection, text)
                assert "XX000" not in got and ("bough" not in str(got) or "42939" in got), (text, got)
                assert got[:2] == expected[:2], (text, expected, got)
            after = _state(connection)
        assert after == state
        for other in {"main", "b", "c"} - {branch} if forks else ():
            with server.connect(other) as frozen:
                assert _state(frozen) == before, f"{other} has changed"
    with _served(tmp_path / "of_a_test.duckdb") as server, server.connect(branch) as connection:
        assert _state(connection) == after
