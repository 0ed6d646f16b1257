"""A DuckDB in memory that judges, converts and compares Arrow batches: a calculator, not a datasource.

Rules:

1. Nothing is stored in it: it spills to a directory its caller removes.
2. Its clock is UTC.
"""

from __future__ import annotations

from typing import Any

import duckdb

__all__ = ["EngineError", "EngineStopped", "open_engine"]

EngineError = duckdb.Error
EngineStopped = duckdb.InterruptException  # an EngineError: ``interrupt`` was called from another thread


def open_engine(spill: str | None = None, *, threads: int | None = None) -> Any:
    """A connection of its own; a context manager. ``spill`` is where it may put what memory does not hold."""
    config: dict[str, Any] = {}
    if threads is not None:
        config["threads"] = threads
    if spill is not None:
        config["temp_directory"] = spill
    engine = duckdb.connect(config=config)
    engine.execute("SET TimeZone = 'UTC'")
    return engine
