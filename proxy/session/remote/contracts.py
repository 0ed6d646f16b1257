"""What a datasource's tables look like and what a dialect takes: introspection and contracts as results.

Rules:

1. A dialect nobody knows is no error: the generic rules answer, ``supported`` is false and a NOTICE says so. A name
   that is meant to be connected to must be a datasource (42704).
2. What is shown is what the tools return (``migration.tools``): the same facts by the same names.
3. A layout is chosen from the data: the source is asked for its statistics first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from branching.errors import BoughError
from migration import dry_run
from migration.connectors.base import Connector, Path
from migration.datasources.datasource import LOCAL
from migration.ddl import validation as ddl
from migration.definitions import definition
from migration.dialects import capability_rows, contract, is_known
from migration.dialects.quoting import spelled
from migration.dialects.type_map import map_canonical, type_matrix
from migration.errors import MigrationError
from migration.layout import choice as layout
from migration.layout import statistics as layout_statistics
from migration.layout.choice import ColumnStatistics
from migration.tools import described, need_schema
from proxy.commands import remote as c
from proxy.session.outcome import Outcome, table

if TYPE_CHECKING:
    from proxy.session.remote.commands import RemoteCommands


_SCHEMA_IS_DATABASE = ("mysql", "clickhouse", "sqlite")


def check_parts(commands: RemoteCommands, path: Path) -> None:
    """42602 for a name of more parts than its datasource has levels: the first of them would not be looked at."""
    name, *there = path
    dialect = "duckdb" if name == LOCAL else commands.state.datasources.get(name).dialect
    levels = "schema.table" if contract(dialect).name in _SCHEMA_IS_DATABASE else "database.schema.table"
    if len(there) > levels.count(".") + 1:
        levels = "branch.schema.table" if name == LOCAL else levels
        raise BoughError(
            "42602",
            f'"{".".join(path)}" has too many parts',
            detail=f"A table of {spelled(name)} has no more than these: {levels}.",
            hint=f"Write {spelled(name)}.{levels}, a part with a dot in it between double quotes.",
        )


def show(commands: RemoteCommands, command: c.ShowRemote) -> Outcome:
    """SHOW DATABASES, SCHEMAS, TABLES FROM; 3F000 for a schema or database that is not there."""
    name, *within = command.path
    schema = within[-1] if within else None
    has_branch = commands.session.service.database.has_branch
    in_branch = len(within) > 1 or (command.what == "schemas" and within and has_branch(within[0]))
    branch = within[0] if name == LOCAL and in_branch else None
    with commands.opened(name, branch=branch) as (connector,):
        rows: list[Any] = _tables(connector, schema) if command.what == "tables" else []
        if within and not rows:
            need_schema(name, connector, schema)
        for database in within[:-1]:
            need_schema(name, connector, database, only=connector.databases(), what="database")
        if command.what == "databases":
            rows = [(found,) for found in connector.databases()]
        elif command.what == "schemas":
            rows = [(found,) for found in connector.schemas()]
        elif not rows and len(within) == 1 and schema not in connector.schemas():
            rows = _tables_of_database(commands, name, connector, within[0])
    return table(command.columns or (), rows, lambda _rows: "SHOW")


def _tables(connector: Connector, schema: str | None) -> list[Any]:
    return [(entry.schema, entry.name, entry.kind, entry.rows) for entry in connector.tables(schema)]


def _tables_of_database(
    commands: RemoteCommands, name: str, connector: Connector, database: str
) -> list[Any]:
    """The tables of a branch, or of the database that a datasource is connected to; 0A000 for another one."""
    if name == LOCAL:
        with commands.opened(name, branch=database) as (branch,):
            return _tables(branch, None)
    if database != commands.database_of(name) and len(connector.databases()) > 1:
        raise BoughError(
            "0A000",
            f'"{name}" shows the tables of its own database, not of "{database}"',
            hint=f"CREATE DATASOURCE another with the option database '{database}'.",
        )
    return _tables(connector, None)


def describe(commands: RemoteCommands, command: c.DescribeTable) -> Outcome:
    """DESCRIBE: a row a column."""
    name, path, branch = commands.placed(command.path)
    with commands.opened(name, branch=branch) as (connector,):
        found = connector.describe(path)
    local = contract("duckdb")
    rows = []
    for row, column in zip(described(found), found.spec.columns, strict=True):
        row["local_type"] = map_canonical(column.type, local).target_type
        rows.append(tuple(row[name] for name, _ in command.result or ()))
    return table(command.result, rows, lambda _rows: command.tag)


def show_create(commands: RemoteCommands, command: c.ShowCreateTable) -> Outcome:
    """SHOW CREATE TABLE: the engine's own text, or rendered for another dialect, with a layout where that has one."""
    name, path, branch = commands.placed(command.path)
    wanted = command.dialect
    if wanted == LOCAL:  # its own text, or what a TRANSFER would make here
        wanted = None if name == LOCAL else "duckdb"
    elif wanted is not None and wanted in commands.state.datasources:
        wanted = commands.state.datasources.get(wanted).dialect
    with commands.opened(name, branch=branch) as (connector,):
        text, notes = definition(connector, path, wanted)
    return table(command.result, [(".".join(command.path), text, notes)], lambda _rows: "SHOW")


def dialect_of(commands: RemoteCommands, name: str, *, ask: bool = False) -> tuple[str, str | None]:
    """The dialect of a datasource, or a name as a dialect; ``ask``: with the datasource's version, if it answers."""
    if name == LOCAL:
        return "duckdb", None
    if name in commands.state.datasources:
        dialect, version = commands.state.datasources.get(name).dialect, None
        if ask:
            try:
                with commands.opened(name) as (connector,):
                    version, dialect = connector.version(), connector.dialect
            except MigrationError as error:
                if error.sqlstate == "57014":
                    raise
                commands.notice(f"{error.message}: judged by the newest version")
        return dialect, version
    if not is_known(name):
        commands.notice(f'there is no datasource or dialect "{name}": generic rules apply')
    return name, None


def capabilities(commands: RemoteCommands, command: c.ShowCapabilities) -> Outcome:
    """SHOW MIGRATION CAPABILITIES."""
    dialect, version = dialect_of(commands, command.name, ask=True)
    supported = contract(dialect).supported
    rows = [(*row, supported) for row in capability_rows(dialect, version)]
    return table(command.result, rows, lambda _rows: "SHOW")


def type_mapping(commands: RemoteCommands, command: c.ShowTypeMapping) -> Outcome:
    """SHOW TYPE MAPPING."""
    source, target = (dialect_of(commands, name)[0] for name in (command.source, command.target))
    return table(command.result, list(type_matrix(source, target)), lambda _rows: "SHOW")


def suggest_layout(commands: RemoteCommands, command: c.SuggestLayout) -> Outcome:
    """SUGGEST LAYOUT, from the statistics of a table or a query."""
    dialect, version = dialect_of(commands, command.datasource, ask=True)
    if command.source == LOCAL:
        name, source, branch = commands.side(command.origin)
    else:
        name, source, branch = *commands.source(command.origin, command.source), None
    with commands.opened(name, branch=branch) as (connector,):
        primary: tuple[str, ...] = ()
        unique: list[tuple[str, ...]] = []
        if source.path:
            spec = connector.describe(source.path).spec
            columns, primary = spec.columns, spec.primary_key
            unique = [key.columns for key in spec.keys if key.kind == "unique"]
        with connector.reader() as reader:
            columns = columns if source.path else reader.describe(source)
            known, rows = layout_statistics.take(reader, source, connector.dialect, columns, primary)
    found = layout.suggest(
        dialect, known, rows, primary_key=primary, unique_keys=unique, version=version,
        total_bytes=_size(known, rows),
    )  # fmt: skip
    for note in found.notes:
        commands.notice(note)
    if not found.choices:
        commands.notice(f"{found.dialect} leaves nothing to choose for this table")
    shown = [
        (choice.clause, ", ".join(choice.columns) or choice.value, choice.reason, round(choice.score, 2))
        for choice in found.choices
    ]
    return table(command.result, shown, lambda _rows: command.tag)


def _size(columns: tuple[ColumnStatistics, ...], rows: int) -> int | None:
    if any(column.avg_bytes is None for column in columns):
        return None
    return int(rows * sum(column.avg_bytes or 0 for column in columns))


def validate(commands: RemoteCommands, command: c.ValidateDdl) -> Outcome:
    """VALIDATE DDL: what the contract, and with DRY RUN the engine, has against a definition; no row if nothing."""
    if command.dry_run and command.name != LOCAL:
        commands.state.datasources.get(command.name)  # a dialect can be tried nowhere
    dialect, version = dialect_of(commands, command.name, ask=True)
    if command.name == LOCAL:
        found = ddl.validate_local(command.statement)
    else:
        found = ddl.validate(command.statement, dialect, version)
    if command.dry_run and not any(item.severity == "error" for item in found):
        with commands.opened(command.name) as (connector,):
            found = [*found, *dry_run.dry_run(connector, command.statement)]
    if not found:
        tried = " and the engine took it" if command.dry_run else ""
        commands.notice(f"the statement keeps the contract of {contract(dialect).name}{tried}")
    rows = [(item.id, item.severity, item.position or None, item.message, item.fix or None) for item in found]
    return table(command.result, rows, lambda _rows: command.tag)
