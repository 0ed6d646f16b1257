"""Branches for a database: snapshots, isolated writes, diff and three-way merge, on an embedded engine.

    database = branching.open("bough.duckdb")
    connection = database.connect("main")
    connection.execute(sqlglot.parse_one("SELECT count(*) FROM flights", dialect="duckdb")).fetchall()

See ``docs/design/storage.md`` for the model. Nothing here knows the wire or Postgres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from branching.connection import Connection
from branching.database import Database, open_database
from branching.engine.base import (
    CopyForm,
    Cursor,
    EngineError,
    ErrorKind,
    Frames,
    OpenError,
    ResultColumn,
    WireFormats,
)
from branching.errors import BoughError
from branching.manifest import Author
from branching.result import Result


def open(
    path: str | Path,
    *,
    settings: Sequence[tuple[str, str]] = (),
    progress: Callable[[str], None] = lambda _line: None,
    retention: int = 0,
    prepare: Callable[[Cursor], None] = lambda _cursor: None,
) -> Database:
    """Opens a DuckDB file (created if missing) or ``:memory:``; adopts what it does not know yet.

    ``prepare`` gives the engine what definitions in the file may call; ``settings`` are engine settings; ``progress``
    gets lines for a person. Raises OpenError.
    """
    from branching.engine.duckdb import connect
    from branching.engine.duckdb_adopt import adopt

    def connected(path: str, settings: Sequence[tuple[str, str]]) -> Cursor:
        cursor = connect(path, settings)
        prepare(cursor)
        return cursor

    return open_database(
        path, connected, adopt=adopt, settings=settings, progress=progress, retention=retention
    )


__all__ = [
    "Author",
    "BoughError",
    "Connection",
    "CopyForm",
    "Database",
    "EngineError",
    "ErrorKind",
    "Frames",
    "OpenError",
    "Result",
    "ResultColumn",
    "WireFormats",
    "open",
]
