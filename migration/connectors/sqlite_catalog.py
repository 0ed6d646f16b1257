"""What SQLite's pragmas say about a table."""

from __future__ import annotations

import re
import sqlite3

from migration.connectors.base import Path
from migration.connectors.children import ACTIONS, Reference, grouped
from migration.dialects.type_names import parse_type
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.types import CanonicalType, of

_ACTIONS = ("NO ACTION", None)
# What a table may say beyond columns, keys and defaults; a name that reads like it does no harm.
_MORE = re.compile(
    r"\b(?:CHECK|COLLATE|REFERENCES|AUTOINCREMENT|GENERATED|AS\s*\(|CONFLICT|WITHOUT\s+ROWID|STRICT)",
    re.IGNORECASE,
)


def table_spec(session: sqlite3.Connection, path: Path) -> TableSpec | None:
    """A table's shape from the pragmas; None if there is no such table."""
    found = session.execute(
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)', (path[-1],)
    ).fetchall()
    if not found or (len(path) > 1 and path[-2] not in ("main", "")):
        return None
    columns = tuple(
        ColumnSpec(
            row[0],
            declared_type(row[1]),
            not row[2],
            row[3],
            declared=row[1] or None,
            computed=row[5] in (2, 3),
        )
        for row in found
        if row[5] != 1
    )
    primary = tuple(row[0] for row in sorted((row for row in found if row[4]), key=lambda row: row[4]))
    keys = [KeySpec("primary", primary)] if primary else []
    for _, index, unique, origin, is_partial in session.execute(
        "SELECT * FROM pragma_index_list(?)", (path[-1],)
    ):
        names = tuple(row[2] for row in session.execute("SELECT * FROM pragma_index_info(?)", (index,)))
        if origin != "pk" and not is_partial and None not in names:
            keys.append(KeySpec("unique" if unique else "index", names, index))
    for parts in grouped(session.execute("SELECT * FROM pragma_foreign_key_list(?)", (path[-1],)), 1):
        first = parts[0]
        keys.append(
            KeySpec(
                "foreign",
                tuple(part[3] for part in parts),
                ref_table=(first[2],),
                ref_columns=tuple(part[4] for part in parts if part[4]),
                on_update=None if first[5] in _ACTIONS else first[5],
                on_delete=None if first[6] in _ACTIONS else first[6],
            )
        )
    return TableSpec(("main", path[-1]), columns, tuple(keys), dialect="sqlite")


def declared_type(declared: str) -> CanonicalType:
    """The type a column was declared with; one without any holds anything."""
    return parse_type(declared, "sqlite") if declared else of("unknown")


def referring(session: sqlite3.Connection, table: TableSpec) -> tuple[Reference, ...]:
    """The foreign keys at a table whose rows change with it."""
    rows = session.execute(
        'SELECT m.name, f.id, f."from", f."to", f.on_delete FROM sqlite_schema AS m, '
        "pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' AND lower(f.\"table\") = lower(?) "
        "ORDER BY m.name, f.id, f.seq",
        (table.name,),
    )
    return tuple(
        Reference(
            (parts[0][0],),
            tuple(part[2] for part in parts),
            tuple(part[3] for part in parts) if parts[0][3] else table.primary_key,
            parts[0][4],
            parts[0][0].lower() == table.name.lower(),
        )
        for parts in grouped(rows, 2)
        if parts[0][4] in ACTIONS
    )


def attachments(session: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """What a swap of names would lose, in words; foreign keys first, because they change the way."""
    inbound = session.execute(
        "SELECT 1 FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' "
        'AND lower(f."table") = lower(?1) AND lower(m.name) <> lower(?1) LIMIT 1',
        (table,),
    ).fetchall()
    others = session.execute(
        "SELECT DISTINCT type FROM sqlite_schema WHERE type IN ('trigger', 'view') "
        "OR (type = 'index' AND sql IS NOT NULL AND lower(tbl_name) = lower(?))",
        (table,),
    ).fetchall()
    (written,) = session.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)", (table,)
    ).fetchone()
    held = [*(["foreign key"] if inbound else []), *(kind for (kind,) in others)]
    return (*held, *(["definition"] if _MORE.search(written) else []))
