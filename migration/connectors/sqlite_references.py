"""References of a new SQLite table while its rows come: in any order, and in pieces.

Rules:

1. SQLite looks for the row that is referred to with each statement, or at COMMIT. A staging table's rows are not
   checked as they come, and all at once before they are shown.
2. Only a new table's staging table has references: one for a table that is there has none, and its rows are checked
   where they arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migration.connectors.base import Path
from migration.connectors.queries import quoted
from migration.connectors.staged_names import is_staging
from migration.errors import MigrationError

if TYPE_CHECKING:
    from migration.connectors.sqlite import SqliteWriter


@contextmanager
def unchecked(writer: SqliteWriter, path: Path) -> Iterator[None]:
    """Outside a transaction, rows may be written to a staging table before those they refer to."""
    alone = is_staging(path) and not writer.in_transaction
    if not alone or all(key.kind != "foreign" for key in writer.describe(path).keys):
        yield
        return
    writer.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        writer.execute("PRAGMA foreign_keys = ON")


def check_references(writer: SqliteWriter, staging: Path, target: Path) -> None:
    """23503 where a staged row refers to none."""
    found = writer.rows(f"PRAGMA foreign_key_check({quoted(staging[-1], writer.item)})")
    if not found:
        return
    _, row, parent, number = found[0]
    keys = writer.rows(f"PRAGMA foreign_key_list({quoted(staging[-1], writer.item)})")
    columns = [key[3] for key in sorted(keys, key=lambda key: key[1]) if key[0] == number]
    names = ", ".join(quoted(name, writer.item) for name in columns)
    values = writer.rows(f"SELECT {names} FROM {writer.q(staging)} WHERE rowid = {int(row)}") if row else []
    shown = f"=({', '.join(map(str, values[0]))})" if values else ""
    raise MigrationError(
        "23503",
        f'a row of "{target[-1]}" refers to a row of "{target[-1] if parent == staging[-1] else parent}" '
        "that is not there",
        detail=f"Key ({', '.join(columns)}){shown}. Such rows: {len(found)}.",
        hint="Transfer the rows that are referred to along, or before.",
        table=target[-1],
    )
