"""Generated numbers of a branch's table, after a transfer has brought numbers of its own.

A sequence counts for all branches, so it only ever goes forward. A column that was generated where it came from is
made so here: the next INSERT without it works, and gives no number twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from branching.model import Table
from branching.names import quote
from migration.connectors.base import Path

if TYPE_CHECKING:
    from proxy.session.endpoint import LocalConnector

_SEQUENCE = re.compile(r"nextval\('((?:[^']|'')+)'", re.IGNORECASE)


def count_on(connector: LocalConnector, path: Path, column: str) -> int | None:
    """The number that comes next; None where nothing had to be done."""
    found = connector.find(path)
    if not isinstance(found, Table):
        return None
    item = next((each for each in found.columns if each.name == column), None)
    if item is None:
        return None
    table, name = f"{quote(found.schema)}.{quote(found.name)}", quote(column)
    with connector.reader() as reader:
        greatest = reader.rows(f"SELECT max({name}) FROM {table}")[0][0]
        start = max(int(greatest or 0), 0) + 1
        match = _SEQUENCE.search(item.default or "")
        if match is not None:
            sequence = match[1].replace("''", "'")
            last = reader.rows(f"SELECT last_value FROM {sequence}")[0][0]
            if last is not None and int(last) >= start - 1:
                return None
    if match is not None:
        connector.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {start}")
    elif item.default is None:
        kind = "ALWAYS" if item.identity == "a" else "BY DEFAULT"
        connector.execute(
            f"ALTER TABLE {table} ALTER COLUMN {name} ADD GENERATED {kind} AS IDENTITY (START WITH {start})"
        )
    else:
        return None
    return start
