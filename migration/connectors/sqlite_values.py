"""SQLite types values, not columns: which values of a column are none of its declared type, and reading past them.

Rules:

1. A value fits if the reader takes it: both ask ``convert``. So what is found here is what would stop a read.
2. What SQLite's own functions prove of a whole column is not read: one scan tells. A proof need not see that every good
   value is good. Only texts are read even so, because SQLite keeps bytes that are no UTF-8 as text.
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
import pyarrow.compute as pc

from migration.connectors.base import Misfit, ReadColumn
from migration.connectors.convert import fitting, from_values, unfit
from migration.connectors.texts import to_texts
from migration.model import ColumnSpec
from migration.types import CanonicalType

NO_UTF8 = re.compile(r"Could not decode to UTF-8 column '(.*?)'")
_STORED = {"int64": "integer", "float64": "real", "text": "text", "bytes": "blob"}
_WHOLE = 19  # digits of SQLite's greatest whole number
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
                found += _judged(session, text, part_opened, undecoded=True)
    return found


def _other(type_: CanonicalType, text: str) -> str:
    """True for values that may be none of the type."""
    stored = _STORED.get(type_.kind)
    if stored:
        return f"typeof({text}) NOT IN ('{stored}', 'null')"
    proof = _proof(type_, text)
    return f"{text} IS NOT NULL AND NOT coalesce({proof}, 0)" if proof else f"{text} IS NOT NULL"


def _proof(type_: CanonicalType, text: str) -> str | None:
    """True for values that are surely of the type."""
    if type_.kind == "bool":
        return f"typeof({text}) = 'integer' AND {text} IN (0, 1)"
    if type_.kind == "date":  # what is beyond a month's end becomes another date there
        return f"typeof({text}) = 'text' AND date({text}, '+0 days') = {text}"
    if type_.kind == "timestamp":
        whole = f"substr({text}, 1, 19)"
        rest = f"({text} = {whole} OR {text} GLOB '*.[0-9]' OR {text} GLOB '*.[0-9][0-9][0-9]')"
        return f"typeof({text}) = 'text' AND datetime({whole}, '+0 days') = replace({whole}, 'T', ' ') AND {rest}"
    if type_.kind == "decimal":
        short, bound = f"CAST({text} AS TEXT)", ""
        double = f"typeof({text}) = 'real' AND CAST({short} AS REAL) = {text} AND {short} NOT GLOB '*e*'"
        if type_.precision is not None:
            digits = type_.precision - (type_.scale or 0)
            end = f"1{'0' * digits}.0"
            bound = f" AND {text} > -{end} AND {text} < {end}" if digits < _WHOLE else ""
            double += f" AND length({short}) - instr({short}, '.') <= {type_.scale or 0}"
        return f"(typeof({text}) = 'integer' OR {double}){bound}"
    return None


def _judged(
    session: sqlite3.Connection,
    text: str,
    opened: Sequence[tuple[ReadColumn, str, bool]],
    *,
    undecoded: bool = False,
) -> list[Misfit]:
    """Reads what is left open. The driver raises at a text that is no UTF-8, or gives it as ``undecoded``."""
    found = [(_Found(), _Found()) for _ in opened]
    with closing(session.cursor()) as cursor:
        cursor.execute(text)
        is_read = undecoded or not all(decoded for _, _, decoded in opened)
        while rows := cursor.fetchmany(_AT_ONCE):
            if not is_read:  # they are texts, and the driver has decoded them
                continue
            for (column, _, decoded), (held, utf8), values in zip(
                opened, found, zip(*rows, strict=True), strict=True
            ):
                if undecoded:
                    utf8.add([value for value in values if isinstance(value, _Undecoded)])
                if not decoded:
                    held.add(_taken(values, column.type)[1])
    return [
        Misfit(column.name, guard, each.count, tuple(each.samples))
        for (column, _, _), pair in zip(opened, found, strict=True)
        for guard, each in zip((f"held:{column.type}", "utf8"), pair, strict=True)
        if each.count
    ]


def arrived(values: Sequence[Any], column: ReadColumn) -> pa.Array:
    """Values of one column in the canonical form; where it is spared, NULL for those that have none."""
    if column.spared:
        return _taken(values, column.type)[0]
    if _refuses_bytes(column.type) and any(isinstance(value, bytes) for value in values):
        raise unfit(column.name, column.type, "bytes, which are no such value")
    return from_values(values, column.type, column.name)


def _taken(values: Sequence[Any], type_: CanonicalType) -> tuple[pa.Array, list[Any]]:
    """The values that the type holds, NULL for the others, and those others: Python makes numbers of bytes, too."""
    blobs: list[Any] = []
    if _refuses_bytes(type_):
        blobs = [value for value in values if isinstance(value, bytes)]
        values = [None if isinstance(value, bytes) else value for value in values]
    array, others = fitting(_without(values), type_)
    return array, [*blobs, *others]


def _refuses_bytes(type_: CanonicalType) -> bool:
    return type_.kind not in ("bytes", "unknown")


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


def stored(array: pa.Array, column: ColumnSpec) -> list[Any]:
    """What an INSERT is given for a column's values."""
    if pa.types.is_floating(array.type):
        if pc.any(pc.is_nan(array)).as_py():
            raise unfit(column.name, column.type, "NaN would become NULL in SQLite")
        return array.to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    if pa.types.is_integer(array.type) or pa.types.is_binary(array.type):
        return array.to_pylist()  # type: ignore[no-any-return]
    texts = to_texts(array)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:  # a text without a zone is no instant
        texts = pc.if_else(
            pc.match_substring(texts, "infinity"), texts, pc.binary_join_element_wise(texts, "Z", "")
        )
    return texts.to_pylist()  # type: ignore[no-any-return]
