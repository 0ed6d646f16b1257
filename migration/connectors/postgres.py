"""PostgreSQL and what speaks like it (Greenplum), through psycopg.

Rules:

1. A reader is one REPEATABLE READ READ ONLY transaction with an exported snapshot that others can join.
2. Rows come out by ``COPY ... TO STDOUT (FORMAT csv)`` and are parsed by Arrow, block by block, many rows by a
   connection of its own (``postgres_stream``); in the session every value's text is ISO, UTC and every digit of
   a double (``extra_float_digits``).
3. What ``migration.connectors.postgres_encoding`` has an exact recipe for goes in by COPY BINARY, anything
   else by COPY CSV. The choice is per table, made from the schema, before the first byte.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import asyncpg
import psycopg
import pyarrow as pa

from migration.connectors import libpq
from migration.connectors.base import (
    Answer,
    Path,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    WriteResult,
)
from migration.connectors.csv_blocks import UNAMBIGUOUS, exported, read_block
from migration.connectors.fitting import Fit, fit, fit_batch
from migration.connectors.postgres_catalog import columns_of, find, remote_table, row_security, table_list
from migration.connectors.postgres_encoding import ENCODED_ROWS, TRAILER, binary_encoder, csv_bytes, slices
from migration.connectors.postgres_load import CopyIn, begun, is_plain, new_rows_only
from migration.connectors.postgres_objects import PostgresObjects
from migration.connectors.postgres_publishing import PostgresPublisher
from migration.connectors.postgres_stream import CopyOut, copied_lines, estimated_rows, watched
from migration.connectors.queries import quoted, relation, renamed
from migration.connectors.reading import SqlReader
from migration.connectors.staged_names import is_staging
from migration.connectors.telling import of_cursor
from migration.datasources.datasource import Datasource
from migration.dialects.quoting import quote_text
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.queues import Stopped
from migration.types import CanonicalType

_MANY = 50_000  # rows from which a connection of its own is worth opening
_BLOCK_ROWS, _BLOCK_BYTES = 16_384, 2 << 20  # what is parsed at once: it should fit the processor's cache


def connect(datasource: Datasource, options: dict[str, str]) -> PostgresConnector:
    """Opens nothing yet."""
    return PostgresConnector(datasource, options)


class PostgresConnector(PostgresObjects):
    """One database of a PostgreSQL server."""

    taken_rows = ENCODED_ROWS

    def __init__(self, datasource: Datasource, options: dict[str, str]) -> None:
        super().__init__(datasource, options)
        self.copies: list[CopyOut] = []  # open ones, for interrupt

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

    def stop_sessions(self) -> None:
        for copy in tuple(self.copies):
            copy.cancel()
        libpq.cancelled(self._sessions)

    def abandon(self) -> None:
        for copy in tuple(self.copies):
            copy.abandon()
        super().abandon()

    def cut(self, session: psycopg.Connection[Any]) -> None:
        libpq.cut(session)

    def _opened(self) -> psycopg.Connection[Any]:
        session = libpq.opened(self.datasource, self.options, {"host": "127.0.0.1"})
        try:
            session.execute(self.prepare().encode())
            watched(session)
            if self.read_only:
                session.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        except BaseException:
            session.close()
            raise
        return session

    def open(self) -> psycopg.Connection[Any]:
        """A session of its own, its texts made unambiguous."""
        try:
            self._sessions.append(session := self.brought(self._opened))
        except psycopg.Error as reason:
            raise self.failed("HV00N", reason) from None
        self.told(session)
        return session

    def prepare(self) -> str:
        """A statement that makes a session's texts unambiguous, and what the datasource asks for."""
        settings = dict(UNAMBIGUOUS)
        if "schema" in self.options:
            settings["search_path"] = _quote(self.options["schema"])
        settings["statement_timeout"] = str(round(self.datasource.statement_timeout * 1000))
        calls = [
            f"set_config({quote_text(name, self.item)}, {quote_text(value, self.item)}, false)"
            for name, value in settings.items()
        ]
        return f"SELECT {', '.join(calls)}"

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The server's errors with its own SQLSTATE."""
        try:
            yield
        except psycopg.Error as reason:
            shown = reason.diag.message_primary or str(reason)
            code = libpq.code_of(reason)
            error = self.failed(code, shown, reason.diag.message_hint)
            if reason.diag.message_detail:
                error.detail = self.failed(code, reason.diag.message_detail).message
            error.table, error.column = reason.diag.table_name, reason.diag.column_name
            error.constraint = reason.diag.constraint_name
            raise error from None


class PostgresReader(SqlReader):
    """One snapshot."""

    engine_refuses_writes = True

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

    def answer(self, text: str) -> Answer:
        """What SHOW or EXPLAIN says."""
        with self.connector.errors():
            return of_cursor(self.session.execute(text.encode()))

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        with self.connector.errors():
            if source.path:
                oid = find(self.session, source.path)
                if oid is None:
                    raise self.connector.missing(source.path)
                return columns_of(self.session, oid, self.item.name)
            return columns_of(self.session, f"SELECT * FROM {relation(self.item, source)}", self.item.name)

    def notes(self, source: Source) -> Sequence[str]:
        with self.connector.errors():
            return row_security(self.session, relation(self.item, source))

    def renamed(self, source: Source, names: Sequence[str]) -> str:
        """A query with its columns under other names."""
        return renamed(self.item, source, names)

    def projection(self, column: ReadColumn) -> str:
        return exported(column.expression or quoted(column.name, self.item), column.type)

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        found = super().projections(columns)
        return ["1", *found] if len(columns) == 1 else found  # a lone NULL would be an empty line

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        rows, size = min(rows, _BLOCK_ROWS), min(size, _BLOCK_BYTES)
        with self.connector.errors(), contextlib.closing(self._blocks(text, rows, size)) as blocks:
            for block in blocks:
                batch = read_block(block, columns)
                for start in range(0, batch.num_rows, rows):
                    yield batch.slice(start, rows)

    def _blocks(self, text: str, rows: int, size: int) -> Generator[bytes, None, None]:
        """The rows of a query as CSV, many of them by a connection of its own."""
        if self.snapshot is not None and estimated_rows(self.session, text) >= _MANY:
            copy = CopyOut(self.session, self.snapshot, self.connector.prepare(), text)
            self.connector.copies.append(copy)
            try:
                if copy.open(rows, size):
                    yield from copy.blocks()
                    return
            except Stopped:
                raise self.connector.failed("57014", "canceling statement due to user request") from None
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as reason:
                hint = getattr(reason, "hint", None)
                raise self.connector.failed(libpq.code_of(reason), reason, hint) from None
            finally:
                self.connector.copies.remove(copy)
        statement = f"COPY ({text}) TO STDOUT (FORMAT csv)".encode()
        block, held = io.BytesIO(), 0
        with contextlib.closing(copied_lines(self.session.pgconn, statement)) as lines:
            for line in lines:  # kept as bytes at once: a million memoryviews are slower than their copies
                block.write(line)
                held += 1
                if held >= rows or block.tell() >= size:
                    yield block.getvalue()
                    block, held = io.BytesIO(), 0
        if held:
            yield block.getvalue()

    def close(self) -> None:
        self.connector.closed(self.session)


class PostgresWriter(PostgresPublisher):
    """One session that writes."""

    empty_statement = "TRUNCATE {table}"

    def __init__(self, connector: PostgresConnector, session: psycopg.Connection[Any]) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        self._checked: tuple[Path, pa.Schema, tuple[Fit, ...]] | None = None

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
            projection = [exported(quoted(column.name, self.item), column.type) for column in columns]
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

    def check(self, path: Path, schema: pa.Schema) -> None:
        fits = self._fits(path, schema)
        self.moved = tuple(item.column.name for item in fits)
        self._checked = path, schema, fits

    def _fits(self, path: Path, schema: pa.Schema) -> tuple[Fit, ...]:
        """How batches go into a table. Nobody but us changes staging, so what ``check`` saw still holds."""
        if self._checked is not None and self._checked[:2] == (path, schema) and is_staging(path):
            return self._checked[2]
        with self.connector.errors():
            oid = find(self.session, path)
            if oid is None:
                raise self.connector.missing(path)
            return fit(schema, TableSpec(path, columns_of(self.session, oid, self.item.name)))

    def exists(self, path: Path) -> bool:
        with self.connector.errors():
            return find(self.session, path) is not None

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            entries = table_list(self.session, schema)
        return [(entry.schema, entry.name) for entry in entries if entry.kind == "table"]

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        first, rest, many = begun(batches)
        if not first:
            return WriteResult(0, 0, "COPY")
        fits = self._fits(path, first[0].schema)
        encoder = binary_encoder(columns := [item.column for item in fits])
        names = ", ".join(quoted(item.column.name, self.item) for item in fits)
        form = "binary" if encoder else "csv"
        statement = f"COPY {self.q(path)} ({names}) FROM STDIN (FORMAT {form})"
        header, trailer = (encoder.header, TRAILER) if encoder else (b"", b"")
        with (
            self.connector.errors(),
            self._alone(path, many) as more,
            CopyIn(self.session, statement, header, trailer, more, self.connector.closed) as load,
        ):
            for batch in chain(first, rest):
                for part in slices(batch):
                    ready = fit_batch(part, fits)
                    load.put(encoder.batch(ready) if encoder else csv_bytes(ready, columns))
            if encoder:
                load.put(encoder.rest())
        return WriteResult(load.rows, load.size, "COPY BINARY (pgpq)" if encoder else "COPY CSV")

    @contextmanager
    def _alone(self, path: Path, many: bool) -> Iterator[Callable[[], psycopg.Connection[Any]] | None]:
        """A staging table for many rows, ready to be filled, and how to open sessions that help; None where the
        first must do it alone."""
        oid = find(self.session, path) if many and is_staging(path) else None
        if oid is None or self.in_transaction or self.connector.dialect != "postgres":
            yield None
            return
        with new_rows_only(self.session, oid):
            yield self.connector.open if is_plain(self.session, oid) else None

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


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
