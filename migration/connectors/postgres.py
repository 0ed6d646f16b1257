"""PostgreSQL and what speaks like it (Greenplum, Redshift), through psycopg.

Rules:

1. A reader is one REPEATABLE READ READ ONLY transaction with an exported snapshot that others can join.
2. Rows come out by ``COPY ... TO STDOUT (FORMAT csv)`` and are parsed by Arrow, block by block; in the
   session every value's text is ISO, UTC and every digit of a double (``extra_float_digits``).
3. What ``migration.connectors.postgres_encoding`` has an exact recipe for goes in by COPY BINARY, anything
   else by COPY CSV. The choice is per table, made from the schema, before the first byte.
4. Redshift has no COPY FROM STDIN: it can be read here, and not yet written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa

from migration.connectors.base import Path, ReadColumn, RemoteTable, Source, TableEntry, WriteResult
from migration.connectors.csv_blocks import read_block
from migration.connectors.fitting import fit, fit_batch
from migration.connectors.opening import SqlConnector
from migration.connectors.postgres_catalog import columns_of, find, remote_table, table_list
from migration.connectors.postgres_encoding import binary_encoder, csv_bytes
from migration.connectors.postgres_publishing import attachments, restore_names, shared_names
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.connectors.writing import SqlWriter
from migration.datasources import Datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.types import CanonicalType

_SESSION = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
    "SET standard_conforming_strings = on",
)
_CONNECTION = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "database": "dbname",
    "service": "service",
    "passfile": "passfile",
    "application_name": "application_name",
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslpassword": "sslpassword",
}


def connect(datasource: Datasource, options: dict[str, str]) -> PostgresConnector:
    """Opens nothing yet."""
    return PostgresConnector(datasource, options)


class PostgresConnector(SqlConnector[psycopg.Connection[Any]]):
    """One database of a PostgreSQL server."""

    def version(self) -> str:
        with self.session() as session:
            found = session.execute("SHOW server_version").fetchone()
        return str(found[0]).split()[0] if found else ""

    def databases(self) -> list[str]:
        with self.session() as session:
            found = session.execute(
                "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
            ).fetchall()
        return [name for (name,) in found]

    def schemas(self) -> list[str]:
        with self.session() as session:
            found = session.execute(
                "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' "
                "AND nspname <> 'information_schema' ORDER BY 1"
            ).fetchall()
        return [name for (name,) in found]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            return table_list(session, schema)

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            found = remote_table(session, path, self.dialect)
        if found is None:
            raise self.missing(path)
        return found

    def reader(self, snapshot: str | None = None) -> PostgresReader:
        return PostgresReader(self, self.open(), snapshot)

    def writer(self) -> PostgresWriter:
        self.refuse_writing()
        return PostgresWriter(self, self.open())

    def interrupt(self) -> None:
        for session in tuple(self._sessions):
            with contextlib.suppress(psycopg.Error):
                session.cancel_safe(timeout=5)

    def open(self) -> psycopg.Connection[Any]:
        """A session of its own, its texts made unambiguous."""
        given = {_CONNECTION[name]: text for name, text in self.options.items() if name in _CONNECTION}
        given.setdefault("application_name", "bough")
        if "service" not in given:
            given.setdefault("host", "127.0.0.1")
        try:
            session = psycopg.connect(
                **given,  # type: ignore[arg-type]
                connect_timeout=max(2, round(self.datasource.connect_timeout)),
                autocommit=True,
            )
            for statement in _SESSION:
                session.execute(statement)
            if "schema" in self.options:
                session.execute(
                    "SELECT set_config('search_path', %s, false)", [_quote(self.options["schema"])]
                )
            milliseconds = round(self.datasource.statement_timeout * 1000)
            session.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds)])
            if self.read_only:
                session.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        except psycopg.Error as reason:
            raise self.failed("HV00N", reason) from None
        self._sessions.append(session)
        return session

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The server's errors with its own SQLSTATE."""
        try:
            yield
        except psycopg.Error as reason:
            shown = reason.diag.message_primary or str(reason)
            code = reason.sqlstate or ("HV00N" if isinstance(reason, psycopg.OperationalError) else "HV000")
            code = {"42P01": "HV00R", "22P02": "HV004", "22021": "HV004"}.get(code, code)
            error = self.failed(code, shown, reason.diag.message_hint)
            if reason.diag.message_detail:
                error.detail = self.failed(code, reason.diag.message_detail).message
            error.table, error.column = reason.diag.table_name, reason.diag.column_name
            error.constraint = reason.diag.constraint_name
            raise error from None


class PostgresReader(SqlReader):
    """One snapshot."""

    def __init__(
        self, connector: PostgresConnector, session: psycopg.Connection[Any], snapshot: str | None
    ) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        with connector.errors():
            session.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if snapshot is not None:
                session.execute(b"SET TRANSACTION SNAPSHOT '" + snapshot.replace("'", "").encode() + b"'")
                self.snapshot = snapshot
            elif connector.dialect == "postgres":
                found = session.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
                self.snapshot = str(found[0]) if found else None

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.execute(text.encode()).fetchall()

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        with self.connector.errors():
            if source.path:
                oid = find(self.session, source.path)
                if oid is None:
                    raise self.connector.missing(source.path)
                return columns_of(self.session, oid, self.item.name)
            return columns_of(self.session, f"SELECT * FROM {relation(self.item, source)}", self.item.name)

    def projection(self, column: ReadColumn) -> str:
        return _exported(column.expression or quoted(column.name, self.item), column.type)

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        found = super().projections(columns)
        return ["1", *found] if len(columns) == 1 else found  # a lone NULL would be an empty line

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        statement = f"COPY ({text}) TO STDOUT (FORMAT csv)".encode()
        with self.connector.errors(), contextlib.closing(_lines(self.session.pgconn, statement)) as lines:
            block: list[bytes | memoryview] = []
            held = 0
            for line in lines:
                block.append(line)
                held += len(line)
                if len(block) >= rows or held >= size:
                    yield read_block(b"".join(block), columns)
                    block, held = [], 0
            if block:
                yield read_block(b"".join(block), columns)

    def close(self) -> None:
        self.connector.closed(self.session)


class PostgresWriter(SqlWriter):
    """One session that writes."""

    empty_statement = "TRUNCATE {table}"

    def __init__(self, connector: PostgresConnector, session: psycopg.Connection[Any]) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            cursor = self.session.execute(statement.encode())
        counted = (cursor.statusmessage or "").split(" ")[0] in (
            "INSERT",
            "UPDATE",
            "DELETE",
            "MERGE",
            "COPY",
            "SELECT",
        )
        return cursor.rowcount if counted and cursor.rowcount >= 0 else None

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.execute(text.encode()).fetchall()

    def fetch(self, query: str) -> pa.Table:
        source = Source(query=query)
        with self.connector.errors():
            found = columns_of(self.session, f"SELECT * FROM {relation(self.item, source)}", self.item.name)
            columns = [ReadColumn(column.name, column.type) for column in found]
            projection = [_exported(quoted(column.name, self.item), column.type) for column in columns]
            text = f"COPY (SELECT 1, {', '.join(projection)} FROM {relation(self.item, source)}) TO STDOUT (FORMAT csv)"
            with self.session.cursor() as cursor, cursor.copy(text.encode()) as copy:
                data = b"".join(copy)
        padded = [ReadColumn("", CanonicalType("int32")), *columns]
        batch = read_block(data, padded) if data else None
        schema = read_block(b"", padded).schema
        return pa.Table.from_batches([batch] if batch else [], schema).select(list(range(1, len(padded))))

    def describe(self, path: Path) -> TableSpec:
        with self.connector.errors():
            found = remote_table(self.session, path, self.connector.dialect)
        if found is None:
            raise self.connector.missing(path)
        return found.spec

    def exists(self, path: Path) -> bool:
        with self.connector.errors():
            return find(self.session, path) is not None

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            entries = table_list(self.session, schema)
        return [(entry.schema, entry.name) for entry in entries if entry.kind == "table"]

    def dependants(self, path: Path) -> tuple[str, ...]:
        with self.connector.errors():
            return attachments(self.session, path)

    def swap(self, staging: Path, target: Path) -> Any:
        with self.transaction():
            with self.connector.errors():
                pairs = shared_names(self.session, staging, target)
            published = super().swap(staging, target)
            with self.connector.errors():
                restore_names(self.session, target, pairs, self.item)
        return published

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        iterator = iter(batches)
        first = next(iterator, None)
        if first is None:
            return WriteResult(0, 0, "COPY")
        fits = fit(first.schema, self.describe(path))
        encoder = binary_encoder([item.column for item in fits])
        names = ", ".join(quoted(item.column.name, self.item) for item in fits)
        form = "binary" if encoder else "csv"
        statement = f"COPY {self.q(path)} ({names}) FROM STDIN (FORMAT {form})"
        size = 0
        with self.connector.errors(), self.session.cursor() as cursor:
            with cursor.copy(statement.encode()) as copy:
                batch: pa.RecordBatch | None = first
                while batch is not None:
                    ready = fit_batch(batch, fits)
                    data = encoder.batch(ready) if encoder else csv_bytes(ready)
                    copy.write(data)
                    size += len(data)
                    batch = next(iterator, None)
                if encoder:
                    copy.write(encoder.finish())
            rows = cursor.rowcount
        return WriteResult(rows, size, "COPY BINARY (pgpq)" if encoder else "COPY CSV")

    def begin(self) -> None:
        self.execute("BEGIN")
        self.in_transaction = True

    def commit(self) -> None:
        self.execute("COMMIT")
        self.in_transaction = False

    def rollback(self) -> None:
        if self.in_transaction and not self.session.closed:
            with contextlib.suppress(MigrationError):  # a lost connection has rolled back already
                self.execute("ROLLBACK")
        self.in_transaction = False

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.session)


def _lines(connection: Any, statement: bytes) -> Generator[memoryview, None, None]:
    """What COPY TO STDOUT sends, a line each, straight from libpq: five times psycopg's own loop."""
    started = connection.exec_(statement)
    if started.status != psycopg.pq.ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(started)
    finished = False
    try:
        read = connection.get_copy_data
        while True:
            size, data = read(0)
            if size <= 0:
                break
            yield data
        finished = True
    finally:
        if not finished and connection.status == psycopg.pq.ConnStatus.OK:  # the caller stopped early
            connection.get_cancel().cancel()
            with contextlib.suppress(psycopg.Error):
                while connection.get_copy_data(0)[0] > 0:
                    pass
        ended = connection.get_result()
        while connection.get_result() is not None:
            pass
    if ended is not None and ended.status == psycopg.pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(ended)


def _exported(expression: str, type_: CanonicalType) -> str:
    """An expression whose CSV text ``read_block`` reads as ``type_``."""
    if type_.kind == "bytes":
        return f"encode({expression}, 'hex')"
    if type_.kind in ("list", "struct", "map"):
        return f"to_json({expression})::text"
    if type_.kind == "json":
        return f"({expression})::text"
    return expression


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
