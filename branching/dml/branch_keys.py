"""Keys across layers: what a branch writes may not have a key that a row below it has.

The engine checks a branch's own rows against each other; the rows below are in another table.
"""

from __future__ import annotations

from typing import Any

from branching import names, overlay
from branching.dml import constraint_errors
from branching.engine.base import Cursor
from branching.model import Table
from branching.names import quote
from branching.physical import Physical
from branching.resolve import Scope

_FEW = 20  # keys that are asked for one by one


def refuse_taken(
    scope: Scope,
    cursor: Cursor,
    physical: Physical,
    table: Table,
    name: str,
    columns: tuple[str, ...],
    new_keys: Any,
) -> None:
    """Refuses (23505) a key of ``new_keys`` (a pyarrow.Table) that a row below the branch's own has."""
    if new_keys.num_rows == 0:
        return
    line = scope.line
    plain = scope.plain(table, line)
    source = overlay.unmasked(table, line, physical, plain=plain)
    listed = names.columns(columns)
    if new_keys.num_rows <= _FEW:
        rows = [
            row for row in zip(*(new_keys[c].to_pylist() for c in columns), strict=True) if None not in row
        ]
        if not rows:
            return
        one = "(" + " AND ".join(f"{quote(column)} = ?" for column in columns) + ")"
        found = cursor.query(
            f"SELECT {listed} FROM ({source}) AS _below WHERE {' OR '.join([one] * len(rows))} LIMIT 1",
            [value for row in rows for value in row],
        )
    else:
        cursor.register("_bough_keys", new_keys)
        try:
            found = cursor.query(
                f"SELECT {listed} FROM ({source}) AS _below"
                f" WHERE ({listed}) IN (SELECT ({listed}) FROM _bough_keys) LIMIT 1"
            )
        finally:
            cursor.unregister("_bough_keys")
    if found:
        raise constraint_errors.taken(table, name, columns, found[0])
