"""A table's CREATE TABLE: the engine's own text, or rendered for another dialect with the layout that one wants.

Rules:

1. Nothing is read but the catalog: a layout comes from what it declares and estimates (``layout.suggest``).
2. A schema that only says "where tables are" (``main``, ``public``, the database of a MySQL datasource) is left out for
   another dialect: it is not there, or means the same.
3. What cannot be said is a note; a dialect nobody knows gets the generic rules, and a note says so.
"""

from __future__ import annotations

from dataclasses import replace

from migration.connectors.base import ColumnStatistics as Estimate
from migration.connectors.base import Connector, Path, RemoteTable
from migration.connectors.opening import SqlConnector
from migration.datasources.datasource import LOCAL
from migration.ddl.validation import render
from migration.dialects import contract, is_known
from migration.layout.choice import ColumnStatistics, Layout, suggest
from migration.model import TableSpec

_HOMES = {  # the schema that a table is in where nobody says one
    "duckdb": "main",
    "sqlite": "main",
    "postgres": "public",
    "greenplum": "public",
    "redshift": "public",
    "clickhouse": "default",
    "snowflake": "PUBLIC",
}
_DATABASES = (
    "mysql",
    "starrocks",
    "doris",
    "clickhouse",
)  # whose schemas are the databases that a datasource names


def definition(connector: Connector, path: Path, dialect: str | None = None) -> tuple[str, list[str]]:
    """The statement and its notes; ``dialect`` None: the datasource's own."""
    text: str | None = None
    notes: list[str] = []
    if dialect is None or contract(dialect).name == contract(connector.dialect).name:
        text = connector.definition(path)
        if dialect is not None and connector.name == LOCAL and connector.describe(path).kind == "table":
            text = None  # a branch's own text says more than its engine takes
    if text is None:
        found = connector.describe(path)
        chosen = declared_layout(found, dialect) if dialect is not None else None
        spec = found.spec if dialect is None else _at_home(found.spec, connector)
        rendered = render(spec, dialect or connector.dialect, chosen, whole=True)
        text, notes = rendered.sql, list(rendered.notes)
        if found.kind not in ("table", "foreign table"):
            notes.append(f"{'.'.join(path)} is a {found.kind}: this is a table of its columns")
    if dialect is not None and not is_known(dialect):
        notes.insert(0, f'there is no contract for "{dialect}": generic rules')
    return text, notes


def _at_home(spec: TableSpec, connector: Connector) -> TableSpec:
    """The table, and what it refers to, without the schema that is the default where it comes from."""
    home = "public" if connector.name == LOCAL else _HOMES.get(contract(connector.dialect).name)
    if isinstance(connector, SqlConnector) and connector.dialect in _DATABASES:
        home = connector.options.get("database") or connector.options.get("schema") or home
    if len(spec.path) < 2 or spec.path[-2] != home:
        return spec
    keys = tuple(
        replace(key, ref_table=key.ref_table[-1:])
        if key.ref_table and key.ref_table[-2:-1] == (home,)
        else key
        for key in spec.keys
    )
    return replace(spec, path=spec.path[-1:], keys=keys)


def declared_layout(found: RemoteTable, dialect: str) -> Layout:
    """A layout from what the catalog knows; nothing is read."""
    spec, rows = found.spec, found.rows
    columns = []
    for column in spec.columns:
        known = found.statistics.get(column.name, Estimate())
        nulls = None if known.null_fraction is None or rows is None else round(known.null_fraction * rows)
        nullable = column.nullable and column.name not in spec.primary_key
        columns.append(ColumnStatistics(column.name, column.type, nullable, known.distinct, nulls))
    unique = [key.columns for key in spec.keys if key.kind == "unique"]
    return suggest(dialect, columns, rows, primary_key=spec.primary_key, unique_keys=unique)
