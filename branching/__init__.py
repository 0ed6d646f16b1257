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
from branching.engine.duckdb_engine import DuckDBEngine
from branching.engine.protocol import Engine
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
    engine: Engine | None = None,
) -> Database:
    """Opens a database (created if missing) or ``:memory:``; adopts what it does not know yet.

    ``engine`` stores it: DuckDB where nothing is said, so ``path`` is a DuckDB file then. ``prepare`` gives the engine
    what definitions in the file may call; ``settings`` are engine settings; ``progress`` gets lines for a person.
    Raises OpenError.
    """
    return open_database(
        path,
        engine or DuckDBEngine(),
        settings=settings,
        progress=progress,
        retention=retention,
        prepare=prepare,
    )


__all__ = [
    "Author",
    "BoughError",
    "Connection",
    "CopyForm",
    "Database",
    "Engine",
    "EngineError",
    "ErrorKind",
    "Frames",
    "OpenError",
    "Result",
    "ResultColumn",
    "WireFormats",
    "open",
]
