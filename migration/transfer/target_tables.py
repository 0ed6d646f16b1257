"""What a new target table looks like: types, defaults, keys, comments and layout, from the source's.

Rules:

1. A default is kept where the target can say the same; a key where all its columns move. What is left out is
   noted. A column that the source computes is a plain one.
2. Plain indexes are made once the rows are there (``finishing``): they slow the load and their names would clash with
   the old table's.
3. The schema it goes to is there before the source is read; TRANSFER SCHEMA makes its own.
4. References to other tables are kept only where a whole schema moves, and only those inside it: they point at the
   tables that moved along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migration.connectors.base import Connector, Reader, Source
from migration.datasources.datasource import LOCAL
from migration.ddl.defaults import default_clause
from migration.dialects import contract
from migration.dialects.quoting import quote_path, spelled
from migration.errors import MigrationError
from migration.layout import statistics as layout_statistics
from migration.layout.choice import ColumnStatistics, Layout, suggest
from migration.layout.families import FAMILIES
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.transfer.columns import ColumnPlan
from migration.transfer_model import TransferRequest
from migration.values.profile import Profile, statistics

DATABASES = ("mysql", "clickhouse", "starrocks", "doris")  # what a schema is called there


def need_place(request: TransferRequest, target: Connector) -> None:
    """3F000 where the schema of a target that is to be made is not there, or its database."""
    one_database = contract(target.dialect).name in ("postgres", "greenplum", "duckdb")
    if one_database and len(request.target) == 3 and request.target[0] not in target.databases():
        name = request.target_name or target.name
        raise MigrationError(
            "3F000",
            f'database "{request.target[0]}" of "{name}" does not exist',
            hint=f"SHOW DATABASES FROM {spelled(name)} lists them.",
        )
    if len(request.target) != 2 or request.foreign_keys:  # TRANSFER SCHEMA makes it
        return
    schema = request.target[0]
    if schema.lower() in {
        known.lower() for known in target.schemas()
    }:  # engines fold names, each in its own way
        return
    name, item = request.target_name or target.name, contract(target.dialect)
    make = f"CREATE {'DATABASE' if item.name in DATABASES else 'SCHEMA'} {quote_path((schema,), item)}"
    if name == LOCAL:
        hint = f"{make};"
    elif item.name == "sqlite":
        hint = f"SHOW SCHEMAS FROM {spelled(name)} lists them."
    else:
        hint = f"SHOW SCHEMAS FROM {spelled(name)} lists them; EXECUTE ON {spelled(name)} AS $$ {make} $$ makes it."
    raise MigrationError("3F000", f'schema "{schema}" of "{name}" does not exist', hint=hint)


def new_table(
    request: TransferRequest,
    table: TableSpec,
    decided: Sequence[ColumnPlan],
    profile: Profile,
    dialect: str,
    notes: list[str],
) -> TableSpec:
    """The new table, in the target's own dialect: types and defaults are translated already."""
    columns = []
    notes += [f"{each.label} is not kept" for each in table.own]
    for column_plan in decided:
        column = table.column(column_plan.name)
        assert column is not None
        default = None
        if column.computed:
            notes.append(f'column "{column.name}" has the values that the source computes, not its term')
        if column.default is not None and not column.identity:
            clause = default_clause(column, column_plan.mapping, table.dialect, contract(dialect))
            default = clause.removeprefix("DEFAULT ") if clause else None
            if not clause:
                notes.append(f'column "{column.name}": default {column.default} is not kept')
        columns.append(
            replace(
                column,
                type=column_plan.target,
                declared=column_plan.mapping.target_type,
                default=default,
                nullable=column_plan.nullable,
                computed=False,
                identity="default"
                if column.identity
                else "",  # the rows bring their numbers, and later ones may too
            )
        )
    return TableSpec(
        request.target,
        tuple(columns),
        _keys(request, table, columns, profile, dialect, notes),
        table.comment,
        dialect,
    )


def _keys(
    request: TransferRequest,
    table: TableSpec,
    columns: Sequence[ColumnSpec],
    profile: Profile,
    dialect: str,
    notes: list[str],
) -> tuple[KeySpec, ...]:
    names = {column.name for column in columns}
    keys = []
    for key in table.keys:
        label = f"{key.kind} key ({', '.join(key.columns)})"
        if not set(key.columns) <= names:
            notes.append(f"{label} is left out with its columns")
        elif key.kind == "foreign" and not request.foreign_keys:
            notes.append(f"{label} is left out: TRANSFER SCHEMA keeps references between its tables")
        elif key.kind == "index":
            continue
        elif key.kind == "foreign":
            to_itself = request.source.path[-len(key.ref_table) :] == key.ref_table
            if to_itself and dialect == "duckdb" and request.branch is None:
                notes.append(f"{label} is left out: DuckDB checks it against rows of earlier statements only")
            elif len(key.ref_table) > 1 and key.ref_table[-2] != request.source.path[-2]:
                notes.append(f"{label} is left out: {'.'.join(key.ref_table)} is in another schema")
            elif key.ref_table[-1] in request.options.skip_tables:
                notes.append(f"{label} is left out: {'.'.join(key.ref_table)} does not move along")
            elif key.ref_table[-1] in request.circle:
                notes.append(f"{label} is left out: {'.'.join(key.ref_table)} refers back, in a circle")
            else:
                keys.append(replace(key, name=None, ref_table=(*request.target[:-1], key.ref_table[-1])))
        else:
            keys.append(replace(key, name=None))
    if request.key and not any(key.kind == "primary" for key in keys):
        keys.append(KeySpec("unique", request.key))
    return tuple(keys)


def target_layout(
    table: TableSpec,
    decided: Sequence[ColumnPlan],
    profile: Profile,
    target: Connector,
    version: str | None,
    request: TransferRequest,
    reader: Reader,
    source: Source,
) -> Layout:
    """The layout of a new table, from the statistics of its rows, where its engine lays tables out; a key decides
    without them."""
    names = {item.name for item in decided}
    primary = (table.primary_key if set(table.primary_key) <= names else ()) or request.key
    found: tuple[ColumnStatistics, ...] = ()
    if not primary and contract(target.dialect).name in FAMILIES:
        columns = [column for column in table.columns if column.name in names]
        found, _ = layout_statistics.take(reader, source, table.dialect, columns)
    measured = {item.name: item for item in found}
    known = statistics(profile)
    columns_there = []
    for item in decided:
        nullable = item.nullable and item.name not in (*table.primary_key, *request.key)
        if item.name in measured:
            columns_there.append(replace(measured[item.name], type=item.target, nullable=nullable))
            continue
        facts = known.get(item.name, {})
        columns_there.append(
            ColumnStatistics(
                item.name,
                item.target,
                nullable,
                nulls=facts.get("nulls"),
                minimum=facts.get("minimum"),
                maximum=facts.get("maximum"),
            )
        )
    return suggest(target.dialect, columns_there, profile.rows, primary_key=primary, version=version)
