"""Statements that read and are no relation: SHOW, EXPLAIN, DESCRIBE. What they answer is small, and told as texts.

Nothing can be selected from them, so they cannot be described before they run, joined, or sent in batches. A reader
says how by ``answer``; it is as read-only as any of its reads.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

from migration.connectors.base import Answer, Reader, Source
from migration.statements import check_query

_TELLS = re.compile(
    r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(?:SHOW|EXPLAIN|DESCRIBE|DESC)\b", re.IGNORECASE | re.DOTALL
)


def told(reader: Reader, source: Source, dialect: str) -> pa.Table | None:
    """The answer of a statement that tells; None where ``source`` is a relation, or its engine has no such statements.

    As of any query: 25006 for what would write, 42601 for what cannot be read.
    """
    if not source.query or _TELLS.match(source.query) is None:
        return None
    check_query(source.query, dialect)
    answer = reader.answer(source.query)
    if answer is None:
        return None
    names, rows = answer
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    arrays = [pa.array([_text(value) for value in column], pa.string()) for column in columns]
    return pa.Table.from_arrays(arrays, schema=pa.schema([pa.field(name, pa.string()) for name in names]))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def of_cursor(cursor: Any) -> Answer:
    """What a driver's cursor gives."""
    return [item[0] for item in cursor.description or ()], cursor.fetchall() if cursor.description else []
