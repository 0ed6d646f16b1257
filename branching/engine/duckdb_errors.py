"""DuckDB's errors by kind, and what its constraint errors are about."""

from __future__ import annotations

import re
import shlex

import duckdb

from branching import names
from branching.engine.base import Broken, EngineError, ErrorKind, OpenError

_CONFLICT_TEXTS = (
    "Conflict on update!",
    "Conflict on tuple deletion!",
    "Transaction conflict:",
    "Catalog write-write conflict",
    "another transaction has",
    "Failed to commit: PRIMARY KEY or UNIQUE constraint violation",
    "Could not commit creation of dependency",
    "write-write conflict",
)
_FATAL_TEXTS = ("FATAL Error", "has been invalidated")
_NAMED_KEY = re.compile(
    r'Duplicate key "(?P<key>.*)" violates (?P<kind>primary key|unique) constraint', re.DOTALL
)
_PLAIN_KEY = re.compile(r'constraint violation: duplicate key "(?P<key>.*)"', re.DOTALL)
_NOT_NULL = re.compile(r"NOT NULL constraint failed: (?P<table>[^.]+)\.(?P<column>.+)")
_CHECK = re.compile(
    r"CHECK constraint failed on table \"?(?P<table>[^\"]+)\"? with expression CHECK\s?\((?P<text>.*)\)",
    re.DOTALL,
)


def classify(error: Exception, sql: str = "") -> EngineError:
    """The engine's error with what a caller may do about it."""
    message = str(error)
    name = type(error).__name__
    kind = ErrorKind.OTHER
    if isinstance(error, duckdb.InterruptException):
        kind = ErrorKind.INTERRUPTED
    elif isinstance(error, duckdb.FatalException) or any(text in message for text in _FATAL_TEXTS):
        kind = ErrorKind.FATAL
    elif any(text in message for text in _CONFLICT_TEXTS):
        kind = ErrorKind.CONFLICT
    elif isinstance(error, duckdb.ConstraintException):
        kind = ErrorKind.CONSTRAINT
    broken = _broken(message) if kind is ErrorKind.CONSTRAINT else None
    return EngineError(kind, name, message, sql, broken)


def _broken(text: str) -> Broken | None:
    if found := _NAMED_KEY.search(text):
        pairs = [part.partition(": ") for part in found["key"].split(", ")]
        pairs = [pair for pair in pairs if pair[0] != names.BRANCH]
        columns, values = tuple(pair[0] for pair in pairs), tuple(pair[2] for pair in pairs)
        return Broken("key", columns, values, primary=found["kind"] == "primary key")
    if found := _PLAIN_KEY.search(text):
        return Broken("key", None, tuple(found["key"].split(", ")))
    if found := _NOT_NULL.search(text):
        return Broken("not null", (found["column"].strip().strip('"'),))
    if found := _CHECK.search(text):
        return Broken("check", rule=found["text"])
    return None


_POSITION = re.compile(r"byte position (\d+)")


def open_error(path: str, error: duckdb.Error) -> OpenError:
    text = str(error)
    if "Conflicting lock" in text or "Could not set lock" in text:
        return OpenError(
            f'database file "{path}" is in use by another process',
            "stop the other process (another Bough or a duckdb shell), or serve another file",
        )
    if "WAL" in text and ("orrupt" in text or "checksum" in text):
        found = _POSITION.search(text)
        where = f" at byte {found[1]}" if found else ""
        return OpenError(
            f'the write-ahead log "{path}.wal" of "{path}" is damaged{where}',
            "nothing was changed, and both files must stay together. To open without what was committed behind the"
            f" damage, keeping copies of both: bough recover --discard-wal-tail {shlex.quote(path)}",
            damaged_at=int(found[1]) if found else None,
        )
    if "not a valid DuckDB database file" in text or "orrupt" in text or "checksum" in text:
        return OpenError(f'"{path}" is not a readable DuckDB database file: {text.splitlines()[0]}')
    return OpenError(f'cannot open database file "{path}": {text.splitlines()[0]}')
