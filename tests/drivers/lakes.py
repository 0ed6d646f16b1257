"""Datasources for the tests that talk to a server: a SQLite file of their own, made and taken away again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

USERS = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, seen TEXT)",
    "INSERT INTO users VALUES (1, 'Ada', NULL), (2, 'Bob', NULL), (3, 'Cy', NULL)",
)


@contextmanager
def sqlite_lake(
    client: psycopg.Connection[Any],
    directory: Path,
    name: str,
    statements: Sequence[str] = USERS,
    *,
    kept: bool = True,
) -> Iterator[str]:
    """The name of a writable SQLite datasource in which ``statements`` have run; ``name`` may be too long for one.
    ``kept``: no test drops it, so it is there in the end."""
    file, source = directory / "lake.sqlite", name[:50]
    with closing(sqlite3.connect(file)) as made, made:
        for statement in statements:
            made.execute(statement)
    client.execute(f"CREATE DATASOURCE {source} TYPE sqlite OPTIONS (path '{file}', role 'read_write')")
    yield source
    client.execute(f"DROP DATASOURCE {'' if kept else 'IF EXISTS '}{source}")
