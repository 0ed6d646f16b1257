"""What DuckDB's catalog says about a table."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp

from migration.connectors.base import Path
from migration.connectors.duckdb_forms import typed
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.types import parse_type

_COMPUTING = (exp.GeneratedAsIdentityColumnConstraint, exp.ComputedColumnConstraint)


def table_spec(session: Any, path: Path) -> TableSpec | None:
    """A table's or view's shape from the catalog; None if there is none."""
    schema, name = schema_and_name(path)
    columns = session.execute(
        "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2 ORDER BY column_index",
        [schema, name],
    ).fetchall()
    if not columns:
        return None
    constraints = session.execute(
        "SELECT constraint_type, constraint_column_names, constraint_name, referenced_table, "
        "referenced_column_names FROM duckdb_constraints() WHERE database_name = current_database() "
        "AND schema_name = $1 AND table_name = $2 AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')",
        [schema, name],
    ).fetchall()
    keys = [
        KeySpec(
            {"PRIMARY KEY": "primary", "UNIQUE": "unique"}.get(kind, "foreign"),  # type: ignore[arg-type]
            tuple(names),
            label,
            (referenced,) if referenced else (),
            tuple(other or ()),
        )
        for kind, names, label, referenced, other in constraints
    ]
    for label, unique, expressions in session.execute(
        "SELECT index_name, is_unique, expressions FROM duckdb_indexes() "
        "WHERE database_name = current_database() AND schema_name = $1 AND table_name = $2",
        [schema, name],
    ).fetchall():
        names = tuple(part.strip().strip("\"'") for part in str(expressions).strip("[]").split(","))
        keys.append(KeySpec("unique" if unique else "index", names, label))
    head = session.execute(
        "SELECT comment, sql FROM duckdb_tables() WHERE schema_name = $1 AND table_name = $2", [schema, name]
    ).fetchall()
    computed = _computed(head[0][1]) if head else frozenset()
    return TableSpec(
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
        tuple(keys),
        head[0][0] if head else None,
        "duckdb",
    )


def _computed(definition: str) -> frozenset[str]:
    """The columns that a CREATE TABLE of the engine computes: its catalog has their terms among the defaults."""
    if "GENERATED ALWAYS AS" not in definition:
        return frozenset()
    tree = sqlglot.parse_one(definition, dialect="duckdb")
    return frozenset(
        column.name
        for column in tree.find_all(exp.ColumnDef)
        if any(isinstance(each.kind, _COMPUTING) for each in column.args.get("constraints") or ())
    )


def schema_and_name(path: Path) -> tuple[str, str]:
    """The schema and the name of a path; public is another word for main."""
    schema = path[-2] if len(path) > 1 else "main"
    return ("main" if schema == "public" else schema), path[-1]
