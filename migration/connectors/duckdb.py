"""DuckDB files, as Arrow in both directions.

Rules:

1. A reader opens the file read-only (where no writer of this process holds it) and keeps one transaction.
2. Types Arrow has no exact form for leave as text and are cast back on the way in; HUGEINT would lose its
   39th digit otherwise. ``con.sql(...)`` streams, ``con.execute(...)`` would hold the whole result.
3. Statements cannot reach files or extensions unless the datasource says ``enable_external_access true``.
4. A table with an index or a key cannot be renamed by the engine, so it is emptied and filled in one transaction.
5. One with a reference can, but the table it refers to looks for it under the old name for ever, and takes no DELETE.
   So staging has no references, and a new table with some is made under its own name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import duckdb
import pyarrow as pa

from migration.connectors.base import (
    Answer,
    Path,
    Published,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    WriteResult,
)
from migration.connectors.duckdb_catalog import remote_table, schema_and_name, table_head, table_spec
from migration.connectors.duckdb_forms import Incoming, exported, imported, typed
from migration.connectors.files import database_file, database_files, refuse_passing
from migration.connectors.matching import is_collated
from migration.connectors.opening import SqlConnector
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.connectors.telling import of_cursor
from migration.connectors.touched import by_duckdb
from migration.connectors.writing import SqlWriter
from migration.datasources.datasource import Datasource
from migration.dialects.quoting import quote_text
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec

_WAIT = 5.0  # seconds until a file is given up that another datasource has open
_CODES = (
    (duckdb.InterruptException, "57014"),
    (duckdb.ParserException, "42601"),
    (duckdb.CatalogException, "HV00R"),
    (duckdb.BinderException, "42703"),
    (duckdb.ConversionException, "HV004"),
    (duckdb.OutOfRangeException, "22003"),
    (duckdb.PermissionException, "42501"),
)


def connect(datasource: Datasource, options: dict[str, str]) -> DuckdbConnector:
    """Opens nothing yet."""
    return DuckdbConnector(datasource, options)


class DuckdbConnector(SqlConnector[Any]):
    """One DuckDB file, or the files of a pattern."""

    def version(self) -> str:
        with self.session() as session:
            return str(session.sql("SELECT version()").fetchall()[0][0]).removeprefix("v")

    def databases(self) -> list[str]:
        return list(database_files(self.options))

    def schemas(self) -> list[str]:
        with self.session() as session:
            found = session.sql(
                "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database() "
                "UNION SELECT 'main' ORDER BY 1"
            ).fetchall()
        return [name for (name,) in found]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            found = session.sql(
                "SELECT schema_name, table_name, 'table', estimated_size FROM duckdb_tables() "
                "WHERE NOT internal AND database_name = current_database() UNION ALL "
                "SELECT schema_name, view_name, 'view', NULL FROM duckdb_views() "
                "WHERE NOT internal AND database_name = current_database() ORDER BY 1, 2"
            ).fetchall()
        return [TableEntry(*row) for row in found if schema in (None, row[0])]

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            found = remote_table(session, path)
        if found is None:
            raise self.missing(path)
        return found

    def definition(self, path: Path) -> str | None:
        schema, name = schema_and_name(path)
        with self.session() as session:
            found = session.execute(
                "SELECT sql FROM duckdb_tables() WHERE database_name = current_database() "
                "AND schema_name = $1 AND table_name = $2 UNION ALL "
                "SELECT sql FROM duckdb_views() WHERE database_name = current_database() "
                "AND schema_name = $1 AND view_name = $2",
                [schema, name],
            ).fetchall()
        if not found:
            raise self.missing(path)
        return str(found[0][0])

    def reader(self, snapshot: str | None = None) -> DuckdbReader:
        return DuckdbReader(self, self.open())

    def writer(self) -> DuckdbWriter:
        self.refuse_writing()
        return DuckdbWriter(self, self.open())

    def refuse_writing(self) -> None:
        super().refuse_writing()
        refuse_passing(self.name, database_file(self.options))

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            session.interrupt()

    def open(self) -> Any:
        """A session of its own on the file."""
        file = database_file(self.options)
        config: dict[str, Any] = {
            "enable_external_access": self.options.get("enable_external_access", "false").lower() == "true"
        }
        if "memory_limit" in self.options:
            config["memory_limit"] = self.options["memory_limit"]
        try:
            session = self._opened(file, config)
            session.execute("SET TimeZone = 'UTC'").fetchall()
        except duckdb.Error as reason:
            raise self.failed("HV00N", reason) from None
        self._sessions.append(session)
        return session

    def _opened(self, file: str, config: dict[str, Any]) -> Any:
        """Sessions on one file in one process must agree on the mode. A writable datasource stays writable, and its
        readers refuse to write by their transaction; so does a read-only one's where a writable one has the file.
        Who wants to write waits for those who have it open for reading alone."""
        modes = (True, False) if self.read_only and not file.startswith(":memory:") else (False,)
        end = time.monotonic() + min(self.datasource.connect_timeout, _WAIT)
        while True:
            for mode in modes:
                try:
                    return duckdb.connect(file, read_only=mode, config=config)
                except duckdb.ConnectionException as reason:
                    if "different configuration" not in str(reason):
                        raise
            if time.monotonic() > end:
                raise MigrationError(
                    "55006",
                    f'the file of datasource "{self.name}" is open in another way',
                    detail="Another datasource of this server names the same file with another role or other options.",
                    hint="Send the statement again, or use one datasource for one file.",
                )
            time.sleep(0.05)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """DuckDB's errors as ours."""
        try:
            yield
        except duckdb.Error as reason:
            text = str(reason)
            code = next((code for kind, code in _CODES if isinstance(reason, kind)), "HV000")
            if "read-only" in text or "READ ONLY" in text:
                code = "25006"
            elif "transaction is aborted" in text:
                code = "25P02"
            elif "Schema with name" in text:
                code = "3F000"
            elif isinstance(reason, duckdb.ConstraintException):
                said = (
                    ("NOT NULL", "23502"),
                    ("Violates foreign key", "23503"),
                    ("key", "23505"),
                    ("", "23514"),
                )
                code = next(code for part, code in said if part in text or part in text.lower())
            raise self.failed(code, reason) from None

    @contextmanager
    def stream_errors(self) -> Iterator[None]:
        """The same of an Arrow stream, which has the engine's error as a text."""
        try:
            yield
        except OSError as reason:
            kind = str(reason).partition(" Error: ")[0].replace(" ", "").lower()
            code = next(
                (code for each, code in _CODES if each.__name__.lower() == f"{kind}exception"), "HV000"
            )
            raise self.failed(code, reason) from None


class DuckdbReader(SqlReader):
    """One read-only transaction."""

    engine_refuses_writes = True

    def __init__(self, connector: DuckdbConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        with connector.errors():
            session.execute("BEGIN TRANSACTION READ ONLY").fetchall()

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.sql(text).fetchall()  # type: ignore[no-any-return]

    def answer(self, text: str) -> Answer:
        """What SHOW, EXPLAIN or DESCRIBE says."""
        with self.connector.errors():
            return of_cursor(self.session.execute(text))

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        if source.path:
            spec = table_spec(self.session, source.path)
            if spec is None:
                raise self.connector.missing(source.path)
            return spec.columns
        return tuple(
            ColumnSpec(name, parse_type(typed(type_), "duckdb"), declared=typed(type_))
            for name, type_, *_ in self.rows(f"DESCRIBE SELECT * FROM {relation(self.item, source)}")
        )

    def keeps_extremes(self, source: Source) -> bool:
        """A table's statistics; where rows were deleted since they were taken, the engine scans."""
        with self.connector.errors():
            return bool(source.path) and table_head(self.session, source.path) is not None

    def projection(self, column: ReadColumn) -> str:
        name = quoted(column.name, self.item)
        return f"{exported(column.expression or name, column.type)} AS {name}"

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        with self.connector.errors(), self.connector.stream_errors():
            cursor = self.session.sql(text).to_arrow_reader(rows)
            for batch in cursor:
                arrays = [imported(array, item) for array, item in zip(batch.columns, columns, strict=True)]
                whole = pa.record_batch(arrays, names=[item.name for item in columns])
                step = max(1, size * whole.num_rows // max(whole.nbytes, 1))
                for start in range(0, whole.num_rows, step):
                    yield whole.slice(start, step)

    def close(self) -> None:
        self.connector.closed(self.session)


class DuckdbWriter(SqlWriter):
    """One session that writes."""

    own = frozenset({"key or index", "check", "collation", "computed column", "comment"})
    refers_late = True

    def __init__(self, connector: DuckdbConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        self._referring: tuple[str, ...] = ()  # what makes the new table

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            return by_duckdb(self.session, statement)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.execute(text).fetchall()  # type: ignore[no-any-return]

    def fetch(self, query: str) -> pa.Table:
        with self.connector.errors():
            return self.session.sql(query).to_arrow_table()

    def describe(self, path: Path) -> TableSpec:
        spec = table_spec(self.session, path)
        if spec is None:
            raise self.connector.missing(path)
        return spec

    def exists(self, path: Path) -> bool:
        return table_spec(self.session, path) is not None

    def names(self, schema: str | None) -> list[Path]:
        found = self.rows("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal")
        return [(*row,) for row in found if schema in (None, row[0])]

    def dependants(self, path: Path) -> tuple[str, ...]:
        name = path[-1].lower()
        inbound = self.rows(
            "SELECT 1 FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' "
            f"AND lower(referenced_table) = {quote_text(name, self.item)} LIMIT 1"
        )
        spec = self.describe(path)
        held = ["foreign key"] if inbound else []
        held += ["key or index"] if spec.keys else []
        checks = self.rows(
            "SELECT 1 FROM duckdb_constraints() WHERE constraint_type = 'CHECK' AND database_name = current_database() "
            f"AND schema_name = {quote_text(spec.path[0], self.item)} "
            f"AND lower(table_name) = {quote_text(name, self.item)} LIMIT 1"
        )
        held += ["check"] if checks else []
        held += ["collation"] if is_collated(self, path) else []
        held += ["computed column"] if any(column.computed for column in spec.columns) else []
        commented = spec.comment or any(column.comment for column in spec.columns)
        return (*held, *(["comment"] if commented else []))

    def swap(self, staging: Path, target: Path) -> Published:
        with self.transaction():  # a table with an index cannot be renamed, so the old one is dropped first
            self.drop(target)
            self.rename(staging, target)
        return Published("drop and rename", atomic=True)

    def refers(self, statements: Sequence[str]) -> None:
        """The new table has references, with which these ``statements`` make it."""
        self._referring = tuple(statements)

    def rename(self, path: Path, new: Path) -> None:
        if not self._referring:
            super().rename(path, new)
            return
        for statement in self._referring:
            self.execute(statement)
        self._insert(path, new, whole=True)
        self.drop(path)

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        """Rows whose keys or lists are set are deleted and inserted by the engine, which it refuses where others refer
        to them: so rows that stay the same are let alone. Equal values may be others: ``-0.0``, a collation."""
        if "foreign key" not in self.dependants(target):
            return super().update(staging, target, key, rest)
        pairs = [(f"t.{name}", f"s.{name}") for name in (quoted(each, self.item) for each in rest)]
        differ = " OR ".join(
            f"{one} IS DISTINCT FROM {other} OR "
            f"encode(CAST({one} AS VARCHAR)) IS DISTINCT FROM encode(CAST({other} AS VARCHAR))"
            for one, other in pairs
        )
        self.execute(f"{self.updating(staging, target, key, rest)} AND ({differ})")
        return int(
            self.rows(
                f"SELECT count(*) FROM {self.q(staging)} AS s WHERE EXISTS "
                f"(SELECT 1 FROM {self.q(target)} AS t WHERE {self.match('t', 's', key)})"
            )[0][0]
        )

    def create_like(self, staging: Path, target: Path) -> None:
        spec = self.describe(target)
        body = [
            f"{quoted(column.name, self.item)} {column.declared}"
            + ("" if column.nullable else " NOT NULL")
            + (f" DEFAULT {column.default}" if column.default is not None else "")
            for column in spec.columns
            if not column.computed
        ]
        self.execute(f"CREATE TABLE {self.q(staging)} ({', '.join(body)})")

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        iterator = iter(batches)
        first = next(iterator, None)
        if first is None:
            return WriteResult(0, 0, "INSERT from Arrow")
        incoming = Incoming(chain([first], iterator), first.schema, self.describe(path), self.item)
        with self.connector.errors():
            self.session.register("bough_given", incoming.reader)
            try:
                found = self.session.execute(incoming.insert(self.q(path), "bough_given")).fetchall()
            except duckdb.Error as reason:
                raise incoming.failure or reason from None
            finally:
                self.session.unregister("bough_given")
        return WriteResult(found[0][0], incoming.size, "INSERT from Arrow")

    def begin(self) -> None:
        self.execute("BEGIN TRANSACTION")
        self.in_transaction = True

    def commit(self) -> None:
        self.execute("COMMIT")
        self.in_transaction = False

    def rollback(self) -> None:
        if self.in_transaction:
            with contextlib.suppress(MigrationError):  # the engine may have ended it already
                self.execute("ROLLBACK")
        self.in_transaction = False

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.session)
