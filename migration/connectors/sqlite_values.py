"""SQLite types values, not columns: which values of a column are none of its declared type, and reading past them.

Rules:

1. A value fits if the reader takes it: both ask ``convert``. So what is found here is what would stop a read.
2. What ``typeof`` proves of a whole column is not read: one scan in SQLite tells. Only texts are read even so, because
   SQLite keeps bytes that are no UTF-8 as text.
3. A text that is no UTF-8 stops the driver. Where it is met, the texts are read once more by ``_decoded``.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from migration.connectors.base import Misfit, ReadColumn
from migration.connectors.convert import fitting, from_values
from migration.types import CanonicalType

NO_UTF8 = re.compile(r"Could not decode to UTF-8 column '(.*?)'")
_STORED = {"int64": "integer", "float64": "real", "text": "text", "bytes": "blob"}
_AT_ONCE = 4096  # rows
_MOST_COLUMNS = 1000  # in one SELECT; SQLite takes 2000
_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class _Undecoded:
    """A text that is no UTF-8, as the driver hands it over."""

    data: bytes


@dataclass(slots=True)
class _Found:
    """What was seen of one column."""

    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, values: Sequence[Any]) -> None:
        self.count += len(values)
        self.samples += [_shown(value) for value in values[: _SAMPLES - len(self.samples)]]


def misfits(
    session: sqlite3.Connection, relation: str, columns: Sequence[ReadColumn], quoted: Sequence[str]
) -> list[Misfit]:
    """The values of ``columns`` (``quoted`` is each as SQL) that their types cannot hold."""
    opened: list[tuple[ReadColumn, str, bool]] = []
    for start in range(0, len(columns), _MOST_COLUMNS):
        part = list(zip(columns, quoted, strict=True))[start : start + _MOST_COLUMNS]
        others = ", ".join(
            f"count(CASE WHEN {_other(column.type, text)} THEN 1 END)" for column, text in part
        )
        counts = session.execute(f"SELECT {others} FROM {relation}").fetchone()
        for (column, text), count in zip(part, counts, strict=True):
            if count or column.type.kind == "text":
                opened.append((column, text, not count))
    found: list[Misfit] = []
    for start in range(0, len(opened), _MOST_COLUMNS):
        part_opened = opened[start : start + _MOST_COLUMNS]
        text = f"SELECT {', '.join(text for _, text, _ in part_opened)} FROM {relation}"
        try:
            found += _judged(session, text, part_opened)
        except sqlite3.OperationalError as reason:
            if NO_UTF8.search(str(reason)) is None:
                raise
            with decoding(session):
                found += _judged(session, text, part_opened)
    return found


def _other(type_: CanonicalType, text: str) -> str:
    """True for values that may be none of the type."""
    if type_.kind == "bool":
        return f"{text} IS NOT NULL AND NOT (typeof({text}) = 'integer' AND {text} IN (0, 1))"
    stored = _STORED.get(type_.kind)
    return f"typeof({text}) NOT IN ('{stored}', 'null')" if stored else f"{text} IS NOT NULL"


def _judged(
    session: sqlite3.Connection, text: str, opened: Sequence[tuple[ReadColumn, str, bool]]
) -> list[Misfit]:
    found = [(_Found(), _Found()) for _ in opened]
    with closing(session.cursor()) as cursor:
        cursor.execute(text)
        while rows := cursor.fetchmany(_AT_ONCE):
            for (column, _, decoded), (held, utf8), values in zip(
                opened, found, zip(*rows, strict=True), strict=True
            ):
                utf8.add([value for value in values if isinstance(value, _Undecoded)])
                if not decoded:
                    held.add(fitting(_without(values), column.type)[1])
    return [
        Misfit(column.name, guard, each.count, tuple(each.samples))
        for (column, _, _), pair in zip(opened, found, strict=True)
        for guard, each in zip((f"held:{column.type}", "utf8"), pair, strict=True)
        if each.count
    ]


def arrived(values: Sequence[Any], column: ReadColumn) -> pa.Array:
    """Values of one column in the canonical form; where it is spared, NULL for those that have none."""
    if column.spared:
        return fitting(_without(values), column.type)[0]
    return from_values(values, column.type, column.name)


@contextmanager
def decoding(session: sqlite3.Connection) -> Iterator[None]:
    """Texts that are no UTF-8 stop nobody."""
    before = session.text_factory
    session.text_factory = _decoded
    try:
        yield
    finally:
        session.text_factory = before


def _decoded(data: bytes) -> str | _Undecoded:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _Undecoded(data)


def _without(values: Sequence[Any]) -> list[Any]:
    return [None if isinstance(value, _Undecoded) else value for value in values]


def _shown(value: Any) -> str:
    if isinstance(value, _Undecoded):
        return ascii(value.data[:40].decode("latin-1"))
    return f"\\x{value[:20].hex()}" if isinstance(value, bytes) else str(value)[:80]
