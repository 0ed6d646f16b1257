"""How many rows a statement touched, where the driver's own number is missing or wrong: None for what touches none."""

from __future__ import annotations

import sqlite3
from typing import Any

from migration.statements import leading_word

# Words that a statement begins with that may write rows.
WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH")


def by_sqlite(session: sqlite3.Connection, statement: str) -> int | None:
    """The driver tells it for a statement that neither begins with WITH nor returns rows."""
    before = session.total_changes
    session.execute(statement).fetchall()  # a statement that is not at its end holds a lock
    if leading_word(statement) not in WRITES:
        return None
    if session.total_changes == before:  # changes() is an earlier statement's then
        return 0
    return int(session.execute("SELECT changes()").fetchone()[0])


def by_duckdb(session: Any, statement: str) -> int | None:
    """The engine gives the number as a row, or RETURNING the rows in its place."""
    cursor = session.execute(statement)
    names = [item[0] for item in cursor.description or ()]
    found = cursor.fetchall()
    if names == ["Count"] and len(found) == 1:
        return int(found[0][0])
    return len(found) if leading_word(statement) in WRITES else None
