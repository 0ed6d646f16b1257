"""Which engine errors are a conflict, and what a client is told of those that need no context."""

from __future__ import annotations

import re

from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Catalog

_SEQUENCE = re.compile(r'sequence "([^"]+)"')


def client_error(error: EngineError, catalog: Catalog | None = None) -> BoughError | EngineError:
    """What a client is told. ``catalog``: whose names its objects have there, not their storage's."""
    if error.kind is ErrorKind.CONFLICT:
        return BoughError(
            "40001",
            "could not serialize access due to concurrent update",
            detail="Another transaction changed the same rows or the same table.",
            hint="Retry the transaction.",
        )
    if error.kind is ErrorKind.INTERRUPTED:
        return BoughError("57014", "canceling statement due to user request")
    if catalog is not None and (found := _SEQUENCE.search(error.message)) is not None:
        names = {item.physical.rpartition(".")[2]: item.name for item in catalog.sequences()}
        if (name := names.get(found[1])) is not None:
            told = error.message.replace(found[0], f'sequence "{name}"')
            return EngineError(error.kind, error.exception, told, error.sql, error.broken)
    return error


def is_conflict(error: BoughError | EngineError) -> bool:
    if isinstance(error, EngineError):
        return error.kind is ErrorKind.CONFLICT
    return error.sqlstate == "40001"
