"""The data tools by the names agents know, with the parameters and result keys they expect.

Rules:

1. A tool takes keyword arguments and returns plain values (dicts and lists). Where a tool names a datasource, both
   spellings work: ``source_datasource`` and ``source_database``, ``datasource`` and ``database``.
2. A tool does nothing that the SQL surface does not do, by the same code: no second door.
3. Reading tools read: a statement that could write is refused by grammar and again by the engine.
4. A table's name may begin with its datasource, as in the SQL surface; it is looked for nowhere else then.
5. ``execute_ddl`` takes no DML and ``execute_write`` no DDL: who is allowed one may not be allowed the other.
6. Errors are ``MigrationError``s with SQLSTATE, DETAIL and HINT, not texts in a result.

``Tools(connectors, journal)`` needs only a function from a name to an opened connector, and the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from migration.connectors.base import Connector, Path, RemoteTable, Source
from migration.connectors.opening import NO_LIMIT
from migration.connectors.telling import told
from migration.datasources.datasource import LOCAL
from migration.ddl.validation import errors, local_errors
from migration.definitions import definition
from migration.dialects import capabilities, contract, is_known
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.etl import validated
from migration.layout.choice import suggest_from_json
from migration.statements import check_query, check_statement
from migration.transfer.journal import Journal
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferMode, TransferOptions, TransferRequest, TransferResult

Rows = list[dict[str, Any]]
Run = Callable[[TransferRequest, Connector, Connector], TransferResult]
_EMPTYING = re.compile(r"(?i)\s*TRUNCATE\b")  # DDL to some engines, a deletion to all users
MAX_ROWS = 1000  # what read_query returns unless told otherwise

ALIASES: Mapping[str, str] = {
    "source_database": "source_datasource",
    "target_database": "target_datasource",
    "database": "datasource",
    "sql": "query",
    "table": "table_name",
    "schema_name": "schema",
}


class Tools:
    """The tools over a set of datasources. ``open_`` raises 42704 for a name nobody knows."""

    def __init__(
        self,
        open_: Callable[[str], Connector],
        names: Sequence[str] = (),
        journal: Journal | None = None,
        *,
        transfer: Run | None = None,
        translate: Callable[[str, str], str] = lambda _datasource, query: query,
        listing: Callable[[], Rows] | None = None,
        database: Callable[[str], str | None] = lambda _datasource: None,
    ) -> None:
        """``transfer`` carries out a request; ``translate(datasource, text)`` gives it in the datasource's dialect;
        ``listing`` knows all datasources better than by opening one after the other; ``database(datasource)`` is the
        one it looks into first."""
        self._open = open_
        self._names = tuple(names)
        self._journal = journal or Journal()
        self._transfer = transfer or self._undertake
        self._translate = translate
        self._listing = listing
        self._database = database

    def _undertake(self, request: TransferRequest, source: Connector, target: Connector) -> TransferResult:
        return undertake(request, source, target, journal=self._journal)

    def call(self, name: str, **arguments: Any) -> Any:
        """A tool by its name, with either spelling of its arguments."""
        if name not in TOOLS:
            raise MigrationError("42883", f'no tool "{name}"', hint=f"The tools are {', '.join(TOOLS)}.")
        return getattr(self, name)(**_canonical(name, arguments))

    def transfer_query_result(
        self,
        source_sql: str,
        source_datasource: str = "local",
        target_table: str = "",
        target_datasource: str = "local",
        mode: str = "replace",
        batch_size: int = 5000,
        key: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Moves a query's rows into a table: created if missing, verified, old or new and never between."""
        if not target_table.strip():
            raise MigrationError(
                "42602",
                'the argument "target_table" is empty',
                hint="Name the table to write: target_table => 'schema.table', target_datasource => 'name'.",
            )
        pairs = {"batch_size": str(batch_size), **(options or {})}
        target_datasource, path = self._target(target_datasource, split_path(target_table))
        request = TransferRequest(
            Source(query=self._translate(source_datasource, source_sql)),
            path,
            cast(TransferMode, mode.strip().lower()),
            tuple(key),
            options=TransferOptions.from_pairs(list(pairs.items())),
            source_name=source_datasource,
            target_name=target_datasource,
        )
        source, target = self._open(source_datasource), self._open(target_datasource)
        result = self._transfer(request, source, target).as_dict()
        return {
            "message": f"Transferred {result['rows_transferred']} rows to {target_table}",
            "source_sql": source_sql,
            "batch_size": batch_size,
            **result,
            "deliverable_target": {
                "type": "transfer",
                "source": {"name": source_datasource},
                "target": {
                    "type": "table",
                    "datasource": target_datasource,
                    "database": path[-3] if len(path) > 2 else self._database(target_datasource),
                    "schema": request.target[-2] if len(request.target) > 1 else None,
                    "table": request.target[-1],
                },
                "source_row_count": result["source_row_count"],
                "transferred_row_count": result["transferred_row_count"],
            },
        }

    def _target(self, datasource: str, path: Path) -> tuple[str, Path]:
        """``pg.public.t`` without a datasource, or with that one, is the table ``public.t`` of ``pg``."""
        first = path[0]
        if len(path) < 2 or first not in self._names or datasource not in ("local", first):
            return datasource, path
        if len(path) == 2 and first in self._open(datasource).schemas():
            return datasource, path
        return first, path[1:]

    def _table(self, datasource: str, name: str, schema: str | None) -> tuple[str, Path]:
        """``schema`` is said of a lone name; one in the name goes before it."""
        path = split_path(name)
        return (datasource, (schema, *path)) if schema and len(path) == 1 else self._target(datasource, path)

    def get_migration_capabilities(self, datasource: str) -> dict[str, Any]:
        """What a target requires, forbids and prefers; ``supported`` is false for a dialect nobody knows."""
        dialect, version = self._dialect(datasource)
        return capabilities(dialect, version)

    def suggest_table_layout(self, datasource: str, columns_json: str) -> dict[str, Any]:
        """Keys, distribution and sorting for a target's table, from its columns."""
        dialect, version = self._dialect(datasource)
        return suggest_from_json(dialect, columns_json, version=version).as_dict()

    def validate_ddl(self, datasource: str, ddl: str, target_table: str = "") -> dict[str, Any]:
        """Whether a CREATE TABLE keeps the target's contract; not ``validated`` where only generic rules judged."""
        dialect, version = self._dialect(datasource)
        target = target_table or None
        found = local_errors(ddl, target) if datasource == LOCAL else errors(ddl, dialect, version, target)
        return {"valid": not found, "errors": found, "validated": contract(dialect).supported}

    def list_databases(self) -> Rows:
        """Every datasource, and whether it answers."""
        if self._listing is not None:
            return self._listing()
        found = []
        for name in self._names:
            row: dict[str, Any] = {"name": name, "type": "", "available": True, "role": "", "error": None}
            try:
                connector = self._open(name)
                row["type"] = connector.dialect
                row["role"] = "read_only" if connector.read_only else "read_write"
                connector.test()
            except MigrationError as error:
                row |= {"available": False, "error": error.message}
            found.append(row)
        return found

    def list_tables(self, datasource: str = "local", schema: str | None = None) -> Rows:
        """Tables and views, with the engine's own estimate of their rows; 3F000 for a schema that is not there."""
        connector = self._open(datasource)
        entries = connector.tables(schema)
        if schema is not None and not entries:
            need_schema(datasource, connector, schema)
        return [
            {"schema": entry.schema, "name": entry.name, "kind": entry.kind, "est_rows": entry.rows}
            for entry in entries
        ]

    def describe_table(self, table_name: str, datasource: str = "local", schema: str | None = None) -> Rows:
        """Columns with type, canonical type, keys, defaults and what the catalog estimates."""
        datasource, path = self._table(datasource, table_name, schema)
        return described(self._open(datasource).describe(path))

    def get_table_ddl(
        self, table_name: str, datasource: str = "local", dialect: str = "", schema: str | None = None
    ) -> dict[str, Any]:
        """The table's CREATE TABLE in its own dialect, or rendered for another one."""
        datasource, path = self._table(datasource, table_name, schema)
        wanted = self._dialect(dialect)[0] if dialect in self._names else dialect
        text, notes = definition(self._open(datasource), path, wanted or None)
        return {"table": table_name, "ddl": text, "notes": notes}

    def read_query(self, query: str, datasource: str = "local", limit: int = MAX_ROWS) -> dict[str, Any]:
        """A SELECT's rows; a statement that could write is refused."""
        if limit < 1:
            raise MigrationError(
                "22023", "limit must be greater than zero", hint=f"The default is {MAX_ROWS}."
            )
        rows: Rows = []
        connector, source = self._open(datasource), Source(query=self._translate(datasource, query))
        with connector.reader() as reader:
            answer = told(reader, source, connector.dialect)
            batches = reader.read(source, limit=limit + 1) if answer is None else answer.to_batches()
            for batch in batches:
                rows += batch.to_pylist()
        return {"rows": rows[:limit], "row_count": len(rows[:limit]), "truncated": len(rows) > limit}

    def execute_ddl(
        self, query: str, datasource: str = "local", dry_run: bool = False, validate: bool = False
    ) -> dict[str, Any]:
        """One DDL statement; a dry run leaves nothing behind. ``validate``: of a CREATE TABLE … AS, see ``etl``."""
        self._expect("ddl", query, datasource)
        if validate:
            done, checks = validated(self._open(datasource), query, dry_run=dry_run)
            return {"tag": done.tag, "committed": done.committed, "checks": checks}
        done = self._open(datasource).execute(query, dry_run=dry_run)
        return {"tag": done.tag, "committed": done.committed, "checks": []}

    def execute_write(
        self,
        query: str,
        datasource: str = "local",
        dry_run: bool = False,
        min_rows: int | None = None,
        max_rows: int | None = None,
        validate: bool = False,
    ) -> dict[str, Any]:
        """One writing statement; the number of rows is judged before it is committed. ``validate``: of an INSERT …
        SELECT, see ``etl``."""
        self._expect("dml", query, datasource)
        guard = None
        if min_rows is not None or max_rows is not None:
            guard = (min_rows or 0, max_rows if max_rows is not None else NO_LIMIT)
        checks: list[dict[str, Any]] = []
        if validate:
            done, checks = validated(self._open(datasource), query, dry_run=dry_run, rows_between=guard)
        else:
            done = self._open(datasource).execute(query, dry_run=dry_run, rows_between=guard)
        return {"tag": done.tag, "rows_affected": done.rows, "committed": done.committed, "checks": checks}

    def _expect(self, kind: str, query: str, datasource: str) -> None:
        try:
            found = check_statement(query, self._open(datasource).dialect)
        except MigrationError:
            return  # whoever runs it has the words for that
        other = {"ddl": "execute_ddl", "dml": "execute_write"}.get(found)
        if found == "query":
            try:
                check_query(query, self._open(datasource).dialect)
                other = "read_query"
            except MigrationError:
                return  # it writes, by a function or inside a WITH
        if found != kind and other is not None and not _EMPTYING.match(query):
            quoted = datasource.replace("'", "''")
            raise MigrationError(
                "42601",
                f"execute_{'ddl' if kind == 'ddl' else 'write'} takes no {found.upper()}",
                hint=f"SELECT * FROM bough.{other}(sql => …, datasource => '{quoted}') runs it.",
            )

    def _dialect(self, name: str) -> tuple[str, str | None]:
        """A datasource's dialect and version, or a dialect by its own name."""
        if name not in self._names and is_known(name):
            return name, None
        try:
            connector = self._open(name)
        except MigrationError as error:
            if error.sqlstate != "42704":
                raise
            return name, None  # a dialect nobody knows: generic rules, supported = false
        try:
            return connector.dialect, connector.version()
        except MigrationError as error:
            if error.sqlstate == "57014":
                raise
            return connector.dialect, None  # it does not answer: the newest


TOOLS = (
    "transfer_query_result",
    "get_migration_capabilities",
    "suggest_table_layout",
    "validate_ddl",
    "list_databases",
    "list_tables",
    "describe_table",
    "get_table_ddl",
    "read_query",
    "execute_ddl",
    "execute_write",
)


def need_schema(
    datasource: str,
    connector: Connector,
    wanted: str | None,
    *,
    only: Sequence[str] | None = None,
    what: str = "schema",
) -> None:
    """3F000 for a name that is neither a schema nor a database there; ``only``: that is none of these."""
    if wanted not in (only if only is not None else [*connector.schemas(), *connector.databases()]):
        raise MigrationError(
            "3F000",
            f'{what} "{wanted}" of "{datasource}" does not exist',
            hint=f"SHOW {what.upper()}S FROM {spelled(datasource)} lists them.",
        )


def described(table: RemoteTable) -> Rows:
    """A table's columns as DESCRIBE and ``describe_table`` show them."""
    keys = {kind: [k for k in table.spec.keys if k.kind == kind] for kind in ("primary", "unique", "foreign")}
    rows: Rows = []
    for column in table.spec.columns:
        known = table.statistics.get(column.name)
        foreign = next((k for k in keys["foreign"] if column.name in k.columns), None)
        rows.append(
            {
                "name": column.name,
                "type": column.declared or str(column.type),
                "canonical_type": str(column.type),
                "nullable": column.nullable,
                "default": column.default,
                "primary_key": any(column.name in key.columns for key in keys["primary"]),
                "unique": any(key.columns == (column.name,) for key in keys["unique"]),
                "references": ".".join(foreign.ref_table) if foreign else None,
                "comment": column.comment,
                "null_fraction": known.null_fraction if known else None,
                "n_distinct": known.distinct if known else None,
            }
        )
    return rows


def _canonical(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        plain = ALIASES.get(name, name)
        if tool == "validate_ddl" and name == "sql":
            plain = "ddl"
        if plain in found:
            raise MigrationError("42601", f'argument "{plain}" is given twice: as {name} and otherwise')
        found[plain] = value
    return found


def split_path(text: str) -> Path:
    """``schema.table`` in its parts; quoted parts keep their dots and their case. 42602 for what is no name."""
    parts: list[str] = []
    current, quoted, was_quoted = "", False, False
    index = 0
    while index < len(text):
        character = text[index]
        if character == '"':
            if quoted and text[index + 1 : index + 2] == '"':
                current += '"'
                index += 1
            else:
                quoted, was_quoted = not quoted, True
        elif character == "." and not quoted:
            parts.append(current if was_quoted else current.strip())
            current, was_quoted = "", False
        else:
            current += character
        index += 1
    parts.append(current if was_quoted else current.strip())
    if quoted or not all(parts):
        raise MigrationError(
            "42602", f"{text!r} is not a table's name", hint='Write schema.table or "odd name".'
        )
    return tuple(parts)
