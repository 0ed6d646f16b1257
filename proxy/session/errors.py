"""Any failure as an ErrorResponse. What is not foreseen is XX000 and goes to the log, never to the client."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Literal

import structlog

from branching import EngineError
from branching.errors import BoughError
from proxy.sql.errors import from_engine
from proxy.wire import ErrorResponse, NoticeResponse

log = structlog.get_logger("bough")


def error_response(error: BaseException, *, fatal: bool = False, offset: int = 0) -> ErrorResponse:
    """``offset``: where the statement began in the text the client sent (positions inside statements count from it)."""
    severity: Literal["FATAL", "ERROR"] = "FATAL" if fatal else "ERROR"
    if isinstance(error, EngineError):
        error = from_engine(error.exception, error.message)
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is None:
        if isinstance(error, RecursionError):
            return ErrorResponse(
                severity, "54001", "stack depth limit exceeded", hint="Simplify the statement."
            )
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ErrorResponse(
                severity,
                "53100",
                "no space left on device",
                detail=error.filename and f"It was needed for {Path(error.filename).name}.",
                hint="Free space on the disk of the data file and of temporary files.",
            )
        log.error("internal_error", exc_info=error)
        return ErrorResponse(severity, "XX000", "internal error", detail=type(error).__name__)
    return ErrorResponse(
        severity,
        sqlstate,
        getattr(error, "message", str(error)),
        detail=getattr(error, "detail", None),
        hint=getattr(error, "hint", None),
        position=getattr(error, "position", None),
        where=getattr(error, "context", None),
        schema=getattr(error, "schema", None),
        table=getattr(error, "table", None),
        column=getattr(error, "column", None),
        constraint=getattr(error, "constraint", None),
    )


def notice(text: str, sqlstate: str = "00000", severity: str = "NOTICE") -> NoticeResponse:
    return NoticeResponse(severity, sqlstate, text)  # type: ignore[arg-type]


def refuse_dumps(application: str) -> None:
    """pg_dump reads the catalogs of PostgreSQL's own storage: better told at once than by its first query."""
    if application in ("pg_dump", "pg_dumpall"):
        raise BoughError(
            "0A000",
            f"{application} is not supported",
            hint="bough export writes a branch as a DuckDB file, TRANSFER SCHEMA moves its tables to PostgreSQL, and"
            " psql's copy writes the rows of one.",
        )
