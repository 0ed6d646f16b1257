"""What DuckDB's catalog says about a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migration.connectors.base import Path, RemoteTable
from migration.connectors.duckdb_forms import typed
from migration.dialects.type_names import parse_type
from migration.model import ColumnSpec, KeySpec, TableSpec

# The engine writes its definitions itself; in a name or a comment the words cost a question, no more.
_CONSTRAINED = re.compile("PRIMARY KEY|UNIQUE|REFERENCES")
_COMPUTING = ["GENERATED", "ALWAYS", "AS"]
_PARTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|[^\w\s]""")


@dataclass(frozen=True, slots=True)
class TableHead:
    """A table in the engine's list: ``definition`` is its CREATE TABLE, ``rows`` an estimate."""

    comment: str | None
    definition: str
    rows: int
    indexes: int


def table_spec(session: Any, path: Path) -> TableSpec | None:
    """A table's or view's shape from the catalog; None if there is none."""
    found = remote_table(session, path)
    return None if found is None else found.spec


def remote_table(session: Any, path: Path) -> RemoteTable | None:
    """A table or view with what the catalog estimates; None if there is none."""
    schema, name = schema_and_name(path)
    if len(path) > 2:
        here = session.execute("SELECT current_database()").fetchone()[0]
        if [part.lower() for part in path[:-2]] != [here.lower()]:
            return None
    columns = session.execute(
        "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2 ORDER BY column_index",
        [schema, name],
    ).fetchall()
    if not columns:
        return None
    head = table_head(session, path)
    computed = _computed(head.definition) if head else frozenset()
    spec = TableSpec(
        (schema, name),
        tuple(
            ColumnSpec(
                row[0],
                parse_type(typed(row[1]), "duckdb"),
                row[2],
                None if row[0] in computed else row[3],
                "",
                row[4],
                typed(row[1]),
                row[0] in computed,
            )
            for row in columns
        ),
        tuple(_keys(session, path, head)) if head else (),
        head.comment if head else None,
        "duckdb",
    )
    return RemoteTable(spec, "table", head.rows) if head else RemoteTable(spec, "view")


def table_head(session: Any, path: Path) -> TableHead | None:
    """What the engine's list of tables says; None for a view."""
    found = session.execute(
        "SELECT comment, sql, estimated_size, index_count FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2",
        list(schema_and_name(path)),
    ).fetchall()
    return TableHead(*found[0]) if found else None


def _keys(session: Any, path: Path, head: TableHead) -> Iterator[KeySpec]:
    """Keys and indexes. The engine's lists of them are slow in a new process: they are asked where there are any."""
    schema, name = schema_and_name(path)
    if _CONSTRAINED.search(head.definition):
        for kind, names, label, referenced, other in session.execute(
            "SELECT constraint_type, constraint_column_names, constraint_name, referenced_table, "
            "referenced_column_names FROM duckdb_constraints() WHERE database_name = current_database() "
            "AND schema_name = $1 AND table_name = $2 AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')",
            [schema, name],
        ).fetchall():
            yield KeySpec(
                {"PRIMARY KEY": "primary", "UNIQUE": "unique"}.get(kind, "foreign"),  # type: ignore[arg-type]
                tuple(names),
                label,
                (referenced,) if referenced else (),
                tuple(other or ()),
            )
    if head.indexes:
        for label, unique, expressions in session.execute(
            "SELECT index_name, is_unique, expressions FROM duckdb_indexes() "
            "WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2",
            [schema, name],
        ).fetchall():
            names = tuple(part.strip().strip("\"'") for part in str(expressions).strip("[]").split(","))
            yield KeySpec("unique" if unique else "index", names, label)


def _computed(definition: str) -> frozenset[str]:
    """The columns that a CREATE TABLE of the engine computes: its catalog has their terms among the defaults.

    >>> sorted(_computed("CREATE TABLE t(a INTEGER DEFAULT 3, b INTEGER GENERATED ALWAYS AS((a + 1)));"))
    ['b']
    """
    if " ".join(_COMPUTING) not in definition:
        return frozenset()
    return frozenset(
        parts[0][1:-1].replace('""', '"') if parts[0].startswith('"') else parts[0]
        for parts in _items(definition)
        if any(parts[at : at + 3] == _COMPUTING for at in range(1, len(parts)))
    )


def _items(definition: str) -> list[list[str]]:
    """Columns and constraints of a CREATE TABLE, each as its words; without what stands in brackets."""
    items: list[list[str]] = [[]]
    depth = 0
    for part in _PARTS.findall(definition):
        depth -= part in (")", "]", "}")
        if depth == 1 and part == ",":
            items.append([])
        elif depth == 1:
            items[-1].append(part)
        depth += part in ("(", "[", "{")
    return [item for item in items if item]


def schema_and_name(path: Path) -> tuple[str, str]:
    """The schema and the name of a path; public is another word for main."""
    schema = path[-2] if len(path) > 1 else "main"
    return ("main" if schema == "public" else schema), path[-1]
