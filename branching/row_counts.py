"""How many rows the tables of a branch have, counted without reading them.

A read of a branch looks each row below it up in the mask. For a number that is not needed: what the mask hides is there
once each, so the rows below, less the mask's, plus the branch's own are what it sees. Counting the rows below takes
their versions at most.

The counts are of committed rows. They are an estimate only in that each group of tables is counted at its own moment.
"""

from __future__ import annotations

from collections.abc import Sequence

from branching import names, overlay
from branching.connection import Connection
from branching.engine.base import EngineError
from branching.lines import Line
from branching.model import Table
from branching.names import BRANCH
from branching.physical import Physical

_AT_ONCE = 50  # tables in one query
_TRIES = 2


def row_counts(connection: Connection, tables: Sequence[Table]) -> dict[int, int]:
    """The number of rows by a table's id, of a connection without a transaction; none of what is dropped meanwhile."""
    found: dict[int, int] = {}
    for start in range(0, len(tables), _AT_ONCE):
        found |= _counted(connection, tables[start : start + _AT_ONCE])
    return found


def _counted(connection: Connection, tables: Sequence[Table]) -> dict[int, int]:
    for _ in range(_TRIES):
        scope = connection.scope()
        known = {table.id: table for table in scope.catalog.tables()}
        texts = [
            f"SELECT {table.id}, {_count(known[table.id], scope.line, scope.physical, plain=_plain(connection, table))}"
            for table in tables
            if table.id in known
        ]
        if not texts:
            break
        try:
            rows = connection.cursor.query(" UNION ALL ".join(texts))
        except EngineError:
            continue  # something was dropped in between
        return {int(number): int(count) for number, count in rows}
    return {}


def _plain(connection: Connection, table: Table) -> bool:
    base = table.storage.base
    return base is None or connection.database.unchanged_since(base, connection.line.record.fork)


def _count(table: Table, line: Line, physical: Physical, *, plain: bool) -> str:
    base = table.storage.base
    if line.is_trunk:
        return _rows(overlay.trunk(table, physical.bases[base or 0]))
    terms = []
    if base is not None:
        terms.append(_rows(overlay.below(table, physical, line.record.fork, plain=plain, hidden=False)))
        if table.id in line.touched and physical.has(names.mask(base)):
            terms.append(f"- {_rows(f'SELECT 1 FROM {names.mask(base)} WHERE {BRANCH} = {line.id}')}")
    if table.id in line.touched and physical.has(names.delta(table.storage.shape)):
        terms.append(f"+ {_rows(overlay.own(table, line, hidden=False))}")
    return " ".join(terms) or "0"


def _rows(query: str) -> str:
    return f"(SELECT count(*) FROM ({query}) AS _counted)"
