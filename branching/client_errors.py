"""Which engine errors are a conflict, and what a client is told of those that need no context."""

from __future__ import annotations

from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError


def client_error(error: EngineError) -> BoughError | EngineError:
    if error.kind is ErrorKind.CONFLICT:
        return BoughError(
            "40001",
            "could not serialize access due to concurrent update",
            detail="Another transaction changed the same rows or the same table.",
            hint="Retry the transaction.",
        )
    if error.kind is ErrorKind.INTERRUPTED:
        return BoughError("57014", "canceling statement due to user request")
    return error


def is_conflict(error: BoughError | EngineError) -> bool:
    if isinstance(error, EngineError):
        return error.kind is ErrorKind.CONFLICT
    return error.sqlstate == "40001"
