"""Adopting a DuckDB file: every table of it becomes a table of the trunk, in place.

Each table gets its two hidden columns in a transaction of its own, so an adoption that was interrupted goes on where
it stopped. The file stays readable by plain DuckDB, and what plain DuckDB adds to it later is adopted at the next open.
Native foreign keys are taken over into the catalog and removed from the table (it is rebuilt): see ``foreign_keys``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import sqlglot
from sqlglot import exp

from branching import manifest, names
from branching.database import Database
from branching.engine.base import Cursor
from branching.lines import TRUNK, Line
from branching.manifest import Author, Change
from branching.model import DEFAULT_SCHEMA, Column, Constraint, Index, Schema, Sequence, Storage, Table, View
from branching.names import RID, VERSION, quote
from branching.physical import BaseTable
from branching.storage import HIDDEN_COLUMNS, VERSION_DEFAULT, base_sql

Progress = Callable[[str], None]
_OURS = (names.MANIFEST_SCHEMA, names.DATA_SCHEMA)


def adopt(database: Database, progress: Progress) -> None:
    """Brings what the trunk's catalog does not know yet under Bough."""
    cursor = database.root
    known_bases = {(base.schema, base.name) for base in database.physical.bases.values()}
    schemas = [
        row[0]
        for row in cursor.query(
            "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database()"
            " ORDER BY schema_name"
        )
        if row[0] not in _OURS and row[0] != "main"
    ]
    for name in schemas:
        if name not in database.trunk.catalog.schemas:
            _record(database, [Change(Schema(database.next_id(), name))], [])
    sequences = _adopt_sequences(database)
    tables = cursor.query(
        "SELECT schema_name, table_name, estimated_size FROM duckdb_tables()"
        " WHERE NOT internal AND NOT temporary AND database_name = current_database() ORDER BY 1, 2"
    )
    fresh = [row for row in tables if row[0] not in _OURS and (row[0], row[1]) not in known_bases]
    for number, (schema, name, size) in enumerate(fresh, 1):
        progress(f"adopting {schema}.{name} ({number} of {len(fresh)}, about {size} rows)")
        _adopt_table(database, schema, name, sequences)
    _adopt_views(database)
    _adopt_rows(database)


def _adopt_rows(database: Database) -> None:
    """Gives the rows that plain DuckDB has added since the last time a version of their own: forks do not hold them."""
    cursor = database.root
    found = [
        base
        for base in database.physical.bases.values()
        if cursor.query(f"SELECT 1 FROM {base.sql} WHERE {VERSION} IS NULL LIMIT 1")
    ]
    if not found:
        return
    version = database.clock.take()
    cursor.begin()
    for base in found:
        cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {VERSION} IS NULL")
    author = Author(application_name="duckdb")
    manifest.insert_commits(
        cursor, [manifest.Commit(version, TRUNK, author, "rows added by plain DuckDB", (0, 0, 0))]
    )
    cursor.commit()
    database.clock.settle(version)


def _record(database: Database, changes: list[Change], bases: list[BaseTable]) -> None:
    """Commits catalog changes of the trunk in the root cursor's open (or a new) transaction."""
    cursor, line = database.root, database.trunk
    with database.catalog_lock:
        manifest.insert_changes(cursor, TRUNK, line.seq + 1, changes)
        for base in bases:
            manifest.put_base(cursor, base)
        if bases:
            cursor.commit()
        database.epoch += 2
        database.record_changes(line, changes)
        database.put_physical({base.id: base for base in bases}, frozenset())


def _logical(schema: str) -> str:
    return DEFAULT_SCHEMA if schema == "main" else schema


def _adopt_sequences(database: Database) -> dict[str, Sequence]:
    rows = database.root.query(
        "SELECT schema_name, sequence_name, start_value, min_value, max_value, increment_by, cycle"
        " FROM duckdb_sequences() WHERE NOT temporary AND database_name = current_database()"
    )
    found: dict[str, Sequence] = {}
    known = {item.physical: item for item in database.trunk.catalog.sequences()}
    changes = []
    for schema, name, start, minimum, maximum, increment, cycle in rows:
        if schema in _OURS:
            continue
        physical = f"{quote(schema)}.{quote(name)}"
        sequence = known.get(physical)
        if sequence is None:
            sequence = Sequence(
                database.next_id(),
                _logical(schema),
                name,
                physical,
                "BIGINT",
                start,
                increment,
                minimum,
                maximum,
                cycle,
            )
            if database.trunk.catalog.find(sequence.schema, name) is None:
                changes.append(Change(sequence))
        found[name] = sequence
        found[f"{schema}.{name}"] = sequence
    if changes:
        _record(database, changes, [])
    return found


def _adopt_table(database: Database, schema: str, name: str, sequences: dict[str, Sequence]) -> None:
    cursor = database.root
    table = _read_table(database, cursor, schema, name, sequences)
    target = f"{quote(schema)}.{quote(name)}"
    hidden = {
        row[0]
        for row in cursor.query(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
            " AND database_name = current_database()",
            (schema, name),
        )
    }
    cursor.begin()
    try:
        base = BaseTable(
            database.next_id(), schema, name, {column.id: column.name for column in table.columns}
        )
        table = replace(table, storage=Storage(base.id, database.next_id()))
        if any(item.kind == "f" for item in table.constraints):
            _rebuild(cursor, table, schema, name, RID in hidden)
        else:
            if RID not in hidden:
                cursor.execute(f"ALTER TABLE {target} ADD COLUMN {HIDDEN_COLUMNS[0]}")
            if VERSION not in hidden:
                cursor.execute(f"ALTER TABLE {target} ADD COLUMN {VERSION} BIGINT DEFAULT 0")
                cursor.execute(f"ALTER TABLE {target} ALTER COLUMN {VERSION} SET DEFAULT {VERSION_DEFAULT}")
        cursor.execute(f"UPDATE {target} SET {VERSION} = 0 WHERE {VERSION} IS NULL")
        _record(database, [Change(table)], [base])
    except BaseException:
        cursor.rollback()
        raise


def _rebuild(cursor: Cursor, table: Table, schema: str, name: str, hidden: bool) -> None:
    """The table again, without the engine's foreign keys."""
    scratch = f"{names.HIDDEN_PREFIX}adopt_{table.id}"
    physical = replace(
        table, columns=tuple(replace(c, default=_physical_default(c.default)) for c in table.columns)
    )
    cursor.execute(base_sql(schema, scratch, physical))
    listed = names.columns(table.stored) + (f", {RID}" if hidden else "")
    cursor.execute(
        f"INSERT INTO {quote(schema)}.{quote(scratch)} ({listed}) SELECT {listed} FROM {quote(schema)}.{quote(name)}"
    )
    cursor.execute(f"DROP TABLE {quote(schema)}.{quote(name)}")
    cursor.execute(f"ALTER TABLE {quote(schema)}.{quote(scratch)} RENAME TO {quote(name)}")
    for index in table.indexes:
        unique = "UNIQUE " if index.unique else ""
        known = {column.name for column in table.columns}
        items = ", ".join(quote(text) if text in known else f"({text})" for text in index.columns)
        cursor.execute(f"CREATE {unique}INDEX {quote(index.name)} ON {quote(schema)}.{quote(name)} ({items})")


def _physical_default(text: str | None) -> str | None:
    return text


def _read_table(
    database: Database, cursor: Cursor, schema: str, name: str, sequences: dict[str, Sequence]
) -> Table:
    rows = cursor.query(
        "SELECT column_name, data_type, is_nullable, column_default, comment, is_generated, generation_expression"
        " FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? AND database_name = current_database()"
        " ORDER BY column_index",
        (schema, name),
    )
    columns = []
    for column, kind, nullable, default, comment, generated, expression in rows:
        if column in names.HIDDEN:
            continue
        columns.append(
            Column(
                database.next_id(),
                column,
                kind,
                not nullable,
                None if generated else _logical_default(default, sequences),
                expression if generated else None,
                comment=comment,
            )
        )
    constraints = [
        constraint
        for row in cursor.query(
            "SELECT constraint_type, constraint_column_names, expression, referenced_table,"
            " referenced_column_names, constraint_text FROM duckdb_constraints() WHERE schema_name = ?"
            " AND table_name = ? AND database_name = current_database() ORDER BY constraint_index",
            (schema, name),
        )
        if (constraint := _constraint(schema, name, row)) is not None
    ]
    indexes = [
        Index(database.next_id(), row[0], _index_columns(row[2]), row[1])
        for row in cursor.query(
            "SELECT index_name, is_unique, expressions FROM duckdb_indexes() WHERE schema_name = ?"
            " AND table_name = ? AND database_name = current_database() ORDER BY index_name",
            (schema, name),
        )
    ]
    return Table(
        database.next_id(), _logical(schema), name, tuple(columns), tuple(constraints), tuple(indexes)
    )


def _constraint(schema: str, table: str, row: tuple[Any, ...]) -> Constraint | None:
    kind, columns, expression, ref_table, ref_columns, text = row
    columns = tuple(columns)
    middle = "_".join(columns)
    if kind == "PRIMARY KEY":
        return Constraint(f"{table}_pkey", "p", columns)
    if kind == "UNIQUE":
        return Constraint(f"{table}_{middle}_key", "u", columns)
    if kind == "CHECK":
        body = expression or re.sub(r"^CHECK\s*\((.*)\)$", r"\1", text, flags=re.DOTALL)
        return Constraint(f"{table}_{middle}_check" if middle else f"{table}_check", "c", (), body)
    if kind == "FOREIGN KEY":
        delete: Literal["a"] = "a"
        return Constraint(
            f"{table}_{middle}_fkey",
            "f",
            columns,
            None,
            _logical(schema),
            ref_table,
            tuple(ref_columns),
            delete,
        )
    return None


def _index_columns(text: str) -> tuple[str, ...]:
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    tree = sqlglot.parse_one(f"SELECT {inner}", dialect="duckdb")
    return tuple(
        item.name
        if isinstance(item, exp.Column)
        else item.name
        if isinstance(item, exp.Literal)
        else item.sql("duckdb")
        for item in tree.expressions
    )


def _logical_default(text: str | None, sequences: dict[str, Sequence]) -> str | None:
    if text is None or "nextval" not in text.lower():
        return text
    tree = sqlglot.parse_one(text, dialect="duckdb")
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() == "nextval" and call.expressions:
            sequence = sequences.get(call.expressions[0].name.replace('"', ""))
            if sequence is not None:
                logical = f"{quote(sequence.schema)}.{quote(sequence.name)}"
                call.expressions[0].replace(exp.Literal.string(logical))
    return tree.sql("duckdb")


def _adopt_views(database: Database) -> None:
    rows = database.root.query(
        "SELECT schema_name, view_name, sql, comment FROM duckdb_views()"
        " WHERE NOT internal AND NOT temporary AND database_name = current_database() ORDER BY view_oid"
    )
    changes = []
    for schema, name, sql, comment in rows:
        logical = _logical(schema)
        if schema in _OURS or database.trunk.catalog.find(logical, name) is not None:
            continue
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        query = tree.expression
        if query is None:
            continue
        for node in query.find_all(exp.Table):
            if isinstance(node.this, exp.Identifier) and not node.args.get("db") and not _is_cte(node):
                node.set("db", exp.to_identifier(logical, quoted=True))
            node.set("catalog", None)
        described = database.root.describe(f"SELECT * FROM {quote(schema)}.{quote(name)}")
        columns = tuple(Column(database.next_id(), item.name, item.type) for item in described)
        changes.append(Change(View(database.next_id(), logical, name, query.sql("duckdb"), columns, comment)))
    if changes:
        _record(database, changes, [])


def _is_cte(node: exp.Table) -> bool:
    from branching.resolve import _is_cte as is_cte

    return is_cte(node)


__all__ = ["Line", "adopt"]
