"""What ClickHouse's system tables say about a table.

A primary key there sorts and is not unique, so it is told as an index. Columns that are computed when they are
read or written (ALIAS, MATERIALIZED, EPHEMERAL) are no part of a row that is copied.
"""

from __future__ import annotations

from dataclasses import dataclass

from migration.connectors.base import Path, RemoteTable, TableEntry, TableKind
from migration.connectors.clickhouse_wire import Wire
from migration.dialects import DialectContract
from migration.dialects.quoting import quote_text
from migration.dialects.type_names import is_nullable_type, parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, KeySpec, TableSpec

HIDDEN = ("system", "information_schema", "INFORMATION_SCHEMA")
_PLAIN = ("Memory", "Log", "TinyLog", "StripeLog")
_MERGING = ("Replacing", "Summing", "Aggregating", "Collapsing", "Coalescing", "Graphite")
_KINDS: dict[str, TableKind] = {"View": "view", "MaterializedView": "materialized view"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What publishing needs to know of a table."""

    engine: str
    comment: str
    views: tuple[str, ...]  # materialized views that its inserts feed


def place(path: Path, item: DialectContract) -> str:
    """The condition that finds a table in a system table."""
    database = quote_text(path[-2], item) if len(path) > 1 else "currentDatabase()"
    return f"database = {database} AND table = {quote_text(path[-1], item)}"


def columns_of(wire: Wire, path: Path, item: DialectContract) -> tuple[ColumnSpec, ...]:
    """The columns of a table, () if there is none."""
    found = wire.rows(
        "SELECT name, type, default_kind, default_expression, comment FROM system.columns "
        f"WHERE {place(path, item)} AND default_kind IN ('', 'DEFAULT') ORDER BY position"
    )
    return tuple(
        ColumnSpec(
            name,
            parse_type(declared, "clickhouse"),
            is_nullable_type(declared),
            default or None if kind else None,
            comment=comment or None,
            declared=declared,
        )
        for name, declared, kind, default, comment in found
    )


def columns_of_query(wire: Wire, query: str) -> tuple[ColumnSpec, ...]:
    """The columns of a query; runs nothing."""
    found = wire.rows(f"DESCRIBE TABLE ({query.strip().rstrip(';')}\n)")
    return tuple(
        ColumnSpec(row[0], parse_type(row[1], "clickhouse"), is_nullable_type(row[1]), declared=row[1])
        for row in found
    )


def table_of(wire: Wire, path: Path, item: DialectContract) -> RemoteTable | None:
    """Everything about one table; None if there is none."""
    found = wire.rows(
        "SELECT database, engine, total_rows, comment, sorting_key FROM system.tables "
        f"WHERE {place(path, item).replace('table = ', 'name = ')}"
    )
    if not found:
        return None
    database, engine, rows, comment, sorting = found[0]
    columns = columns_of(wire, path, item)
    names = {column.name for column in columns}
    sorted_by = tuple(part.strip().strip("`") for part in sorting.split(",")) if sorting else ()
    keys = (KeySpec("index", sorted_by, "sorting key"),) if sorted_by and set(sorted_by) <= names else ()
    spec = TableSpec((database, path[-1]), columns, keys, comment or None, "clickhouse")
    return RemoteTable(spec, _KINDS.get(engine, "table"), rows)


def facts_of(wire: Wire, path: Path, item: DialectContract) -> Facts | None:
    """Engine, comment and what feeds on a table; None if there is none."""
    found = wire.rows(
        "SELECT engine, comment, arrayStringConcat(dependencies_table, '\\n') FROM system.tables "
        f"WHERE {place(path, item).replace('table = ', 'name = ')}"
    )
    if not found:
        return None
    engine, comment, views = found[0]
    return Facts(engine, comment, tuple(views.split("\n")) if views else ())


def refuse_unstaged(path: Path, engine: str) -> None:
    """0A000 for an engine whose tables do not keep the rows they are given, or keep them elsewhere."""
    if not (engine.endswith("MergeTree") or engine in _PLAIN):
        raise MigrationError(
            "0A000",
            f'table "{".".join(path)}" has the engine {engine}, which cannot be staged',
            detail="A copy of it would share its rows, or have none.",
            hint="Transfer into the table that keeps its rows, or into one of another name.",
        )


def target_notes(
    wire: Wire, path: Path, item: DialectContract, *, kept: bool, lasting: bool
) -> tuple[str, ...]:
    """What becomes of rows that are put into a table or, where there is none, into its database. ``lasting``: the
    engine lives longer than this session."""
    facts = facts_of(wire, path, item) if kept else None
    if facts is not None:
        refuse_unstaged(path, facts.engine)
    name = quote_text(path[-2], item) if len(path) > 1 else "currentDatabase()"
    found = wire.rows(f"SELECT name, engine FROM system.databases WHERE name = {name}")
    whole = bool(found) and found[0][1] == "Memory"
    notes = []
    if whole or (facts is not None and facts.engine == "Memory"):
        what, named = ("database", (str(found[0][0]),)) if whole else ("table", path)
        if not lasting:
            other = "a table of another name: it is made as MergeTree" if not whole else "another database"
            raise MigrationError(
                "0A000",
                f'{what} "{".".join(named)}" has the engine Memory: what is written there is gone at once',
                detail="ClickHouse runs in this process, and what it has in memory ends with a session.",
                hint=f"Transfer into {other}.",
            )
        notes.append(f"the engine of the {what} is Memory: its rows are gone when the server stops")
    if facts is not None and any(word in facts.engine for word in _MERGING):
        notes.append(
            f"the engine of the table, {facts.engine}, makes one row of those with one sorting key, later"
        )
    return tuple(notes)


def tables_of(wire: Wire, schema: str | None, item: DialectContract) -> list[TableEntry]:
    """SHOW TABLES of one database; the storage of a materialized view is no table of its own."""
    database = "currentDatabase()" if schema is None else quote_text(schema, item)
    found = wire.rows(
        f"SELECT database, name, engine, total_rows FROM system.tables WHERE database = {database} "
        "AND NOT is_temporary AND name NOT LIKE '.inner%' ORDER BY name"
    )
    return [TableEntry(row[0], row[1], _KINDS.get(row[2], "table"), row[3]) for row in found]


def base_type(declared: str) -> str:
    """``LowCardinality(Nullable(String))`` without what is round it."""
    for wrapper in ("LowCardinality(", "Nullable("):
        if declared.startswith(wrapper):
            declared = declared[len(wrapper) : -1]
    return declared
