"""SQLite, through Python's own driver.

Rules:

1. A reader opens the file with ``mode=ro`` and holds one read transaction: a snapshot in WAL mode, a shared
   lock otherwise. It cannot write whatever the statement says. Who then writes into that same file would wait for the
   lock for ever, so the reader steps aside first: it reads on in a copy of the file, made of its snapshot.
2. SQLite types values, not columns. A declared column is read as its declared type and every value must fit
   it; an expression is read as the type all its values have, found by asking for them all (``typeof``).
3. Writes go through one prepared INSERT in one transaction. Decimals, times and moments are kept as text; a
   double that SQLite would turn into NULL (NaN) is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa

from migration.connectors.base import (
    Answer,
    Misfit,
    Mode,
    Path,
    Published,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    WriteResult,
)
from migration.connectors.children import Reference
from migration.connectors.convert import unfit
from migration.connectors.files import database_file, database_files, refuse_passing, to_read
from migration.connectors.fitting import fit, fit_batch
from migration.connectors.opening import SqlConnector
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.connectors.sqlite_catalog import attachments, declared_type, referring, table_spec
from migration.connectors.sqlite_copy import Copy, keeps_away
from migration.connectors.sqlite_errors import code_of
from migration.connectors.sqlite_references import check_references, unchecked
from migration.connectors.sqlite_session import WaitingSession, opened
from migration.connectors.sqlite_values import NO_UTF8, arrived, decoding, misfits, stored
from migration.connectors.telling import of_cursor
from migration.connectors.touched import by_sqlite
from migration.connectors.writing import SqlWriter
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.types import byte_string, of, text

_VALUES = {"integer": of("int64"), "real": of("float64"), "text": text(), "blob": byte_string()}


def connect(datasource: Datasource, options: dict[str, str]) -> SqliteConnector:
    """Opens nothing yet."""
    return SqliteConnector(datasource, options)


class SqliteConnector(SqlConnector[WaitingSession]):
    """One SQLite file, or the files of a pattern."""

    def version(self) -> str:
        with self.session():
            return sqlite3.sqlite_version

    def databases(self) -> list[str]:
        return list(database_files(self.options))

    def schemas(self) -> list[str]:
        return ["main"]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            found = session.execute(
                "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            ).fetchall()
            try:
                known = dict(
                    session.execute("SELECT tbl, max(stat + 0) FROM sqlite_stat1 GROUP BY tbl").fetchall()
                )
            except sqlite3.OperationalError:  # never analyzed
                known = {}
        return [
            TableEntry("main", name, kind, known.get(name))
            for name, kind in found
            if schema in (None, "main")
        ]

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            spec = table_spec(session, path)
            if spec is None:
                raise self.missing(path)
            kind = session.execute(
                "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (path[-1],)
            ).fetchone()[0]
            try:
                estimate = session.execute(
                    "SELECT stat FROM sqlite_stat1 WHERE tbl = ?", (path[-1],)
                ).fetchone()
            except sqlite3.OperationalError:  # never analyzed
                estimate = None
        return RemoteTable(spec, kind, int(estimate[0].split()[0]) if estimate else None)

    def definition(self, path: Path) -> str | None:
        with self.session() as session:
            found = session.execute(
                "SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
                (path[-1],),
            ).fetchone()
        if found is None:
            raise self.missing(path)
        return str(found[0])

    def reader(self, snapshot: str | None = None) -> SqliteReader:
        return SqliteReader(self, self.open())

    def writer(self) -> SqliteWriter:
        self.refuse_writing()
        return SqliteWriter(self, self.open(read_only=False))

    def refuse_writing(self) -> None:
        super().refuse_writing()
        refuse_passing(self.name, database_file(self.options))

    def stop_sessions(self) -> None:
        for session in tuple(self._sessions):
            session.interrupt()

    def let_go(self) -> None:
        super().let_go()
        for session in tuple(self._sessions):
            session.wait_no_longer()

    def open(self, *, read_only: bool = True, file: str | None = None) -> WaitingSession:
        """A session of its own. A file that is missing is an error where nobody may make it; else nothing is in it."""
        file = to_read(file or database_file(self.options), may_be_made=read_only and not self.read_only)
        mode = "memory" if file == ":memory:" else "ro" if read_only else "rwc"
        try:
            session = opened(file if file == ":memory:" else str(FilePath(file).absolute()), mode)
            session.execute("PRAGMA query_only = " + ("ON" if read_only else "OFF"))
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as reason:
            raise self.failed("HV00N", f"{reason} ({file})") from None
        if not read_only:
            session.execute("PRAGMA foreign_keys = ON")
        self._sessions.append(session)
        return session

    @contextmanager
    def errors(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as reason:
            message = str(reason)
            if (match := NO_UTF8.search(message)) is not None:
                raise MigrationError(
                    "HV004",
                    f'column "{match[1]}" has a text that is no UTF-8',
                    detail=message,
                    hint=f"Select CAST({match[1]} AS BLOB), or leave the column out (SKIP).",
                    column=match[1],
                ) from None
            raise self.failed(code_of(message), reason) from None


class SqliteReader(SqlReader):
    """One read transaction."""

    def __init__(self, connector: SqliteConnector, session: WaitingSession) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        self._copy: Copy | None = None
        with connector.errors():
            session.execute("BEGIN")
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the snapshot begins here

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.execute(text).fetchall()

    def answer(self, text: str) -> Answer:
        """What EXPLAIN says."""
        with self.connector.errors():
            return of_cursor(self.session.execute(text))

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        if source.path:
            spec = table_spec(self.session, source.path)
            if spec is None:
                raise self.connector.missing(source.path)
            return tuple(self._typed(column, source) for column in spec.columns)
        self.check(source)
        return tuple(self._typed(column, source) for column in self._query_columns(source.query))

    def projection(self, column: ReadColumn) -> str:
        name = quoted(column.name, self.item)
        return f"{column.expression or name} AS {name}"

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        spared = decoding(self.session) if any(column.spared for column in columns) else nullcontext()
        with self.connector.errors(), spared, closing(self.session.cursor()) as cursor:
            cursor.execute(text)
            wanted = rows
            while found := cursor.fetchmany(wanted):
                arrays = [
                    arrived(values, column)
                    for column, values in zip(columns, zip(*found, strict=True), strict=True)
                ]
                batch = pa.record_batch(arrays, names=[column.name for column in columns])
                yield batch
                wanted = max(1, min(rows, size * len(found) // max(batch.nbytes, 1)))

    def misfits(self, source: Source, columns: Sequence[ReadColumn]) -> Sequence[Misfit]:
        self.check(source)
        texts = [column.expression or quoted(column.name, self.item) for column in columns]
        with self.connector.errors():
            return misfits(self.session, relation(self.item, source), columns, texts)

    def step_aside(self, target: object) -> None:
        """Before ``target`` (a connector) writes into the file that is read."""
        if not isinstance(target, SqliteConnector) or self._copy is not None:
            return
        file = database_file(self.connector.options)
        with self.connector.errors():
            if not keeps_away(self.session, file, database_file(target.options)):
                return
            self._copy = Copy(self.session, FilePath(file))
        self.connector.closed(self.session)
        self.session = self.connector.open(file=self._copy.file)

    def close(self) -> None:
        self.connector.closed(self.session)
        if self._copy is not None:
            self._copy.close()

    def _query_columns(self, query: str) -> list[ColumnSpec]:
        # A temporary view tells the declared types of plain columns; only another session may make one.
        with self.connector.session(read_only=False) as session:
            session.execute(f"CREATE TEMP VIEW bough_described AS {query.strip().rstrip(';')}")
            found = session.execute("PRAGMA temp.table_info(bough_described)").fetchall()
        return [ColumnSpec(row[1], declared_type(row[2]), declared=row[2] or None) for row in found]

    def _typed(self, column: ColumnSpec, source: Source) -> ColumnSpec:
        if column.declared:
            return column
        name = quoted(column.name, self.item)
        table = (
            quoted(source.path[-1], self.item) if source.path else f"({source.query.strip().rstrip(';')}\n)"
        )
        found = {row[0] for row in self.rows(f"SELECT DISTINCT typeof({name}) FROM {table}")} - {"null"}
        if found == {"integer", "real"}:
            raise MigrationError(
                "HV004",
                f'column "{column.name}" has whole numbers and doubles',
                hint=f"CAST({name} AS REAL) or CAST({name} AS TEXT) in the query.",
                column=column.name,
            )
        if len(found) > 1:
            raise MigrationError(
                "HV004",
                f'column "{column.name}" has values of several types: {", ".join(sorted(found))}',
                hint=f"CAST({name} AS TEXT) in the query.",
                column=column.name,
            )
        type_ = _VALUES[found.pop()] if found else text()
        return ColumnSpec(column.name, type_, column.nullable, column.default)


class SqliteWriter(SqlWriter):
    """One session that writes."""

    def __init__(self, connector: SqliteConnector, session: WaitingSession) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            return by_sqlite(self.session, statement)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.session.execute(text).fetchall()

    def fetch(self, query: str) -> pa.Table:
        cursor = self.session.execute(query)
        names = [item[0] for item in cursor.description]
        columns = zip(*cursor.fetchall(), strict=True)
        arrays = [pa.array(values) for values in columns] or [pa.nulls(0) for _ in names]
        return pa.table(arrays, names=names)

    def describe(self, path: Path) -> TableSpec:
        spec = table_spec(self.session, path)
        if spec is None:
            raise self.connector.missing(path)
        return spec

    def exists(self, path: Path) -> bool:
        return table_spec(self.session, path) is not None

    def names(self, schema: str | None) -> list[Path]:
        return [(name,) for (name,) in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]

    own = frozenset({"index", "definition"})

    def dependants(self, path: Path) -> tuple[str, ...]:
        return attachments(self.session, self.describe(path).name)

    def references(self, target: Path) -> tuple[Reference, ...]:
        return referring(self.session, self.describe(target))

    def delete_missing(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        self.execute(
            "PRAGMA defer_foreign_keys = ON"
        )  # until COMMIT: rows that stay or come may put it right
        super().delete_missing(staging, target, key)

    def _upsert(self, staging: Path, target: Path, key: Sequence[str], *, whole: bool = False) -> int:
        self.execute("PRAGMA defer_foreign_keys = ON")  # rows that are there may come to refer to new ones
        return super()._upsert(staging, target, key, whole=whole)

    def create_like(self, staging: Path, target: Path) -> None:
        spec = self.describe(target)
        body = [
            f"{quoted(column.name, self.item)} {column.declared or ''}"
            + ("" if column.nullable else " NOT NULL")
            + (f" DEFAULT ({column.default})" if column.default is not None else "")
            for column in spec.columns
            if not column.computed
        ]
        for key in spec.keys:
            if key.kind in ("primary", "unique"):
                names = ", ".join(quoted(name, self.item) for name in key.columns)
                body.append(f"{'PRIMARY KEY' if key.kind == 'primary' else 'UNIQUE'} ({names})")
        self.execute(f"CREATE TABLE {self.q(staging)} ({', '.join(body)})")

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        fits, statement, rows, size = None, "", 0, 0
        with unchecked(self, path), self.transaction():
            for batch in batches:
                if fits is None:
                    fits = fit(batch.schema, self.describe(path))
                    names = ", ".join(quoted(item.column.name, self.item) for item in fits)
                    marks = ", ".join("?" * len(fits))
                    statement = f"INSERT INTO {self.q(path)} ({names}) VALUES ({marks})"
                fitted = fit_batch(batch, fits)
                columns = [
                    stored(array, item.column) for item, array in zip(fits, fitted.columns, strict=True)
                ]
                with self.connector.errors():
                    try:
                        self.session.executemany(statement, zip(*columns, strict=True))
                    except OverflowError:
                        raise unfit("", of("int64"), "a number beyond 64 bits") from None
                rows, size = rows + batch.num_rows, size + batch.nbytes
        return WriteResult(rows, size, "executemany")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        check_references(self, staging, target)
        return super().publish(staging, target, mode, key)

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")
        self.in_transaction = True

    def commit(self) -> None:
        self.execute("COMMIT")
        self.in_transaction = False

    def rollback(self) -> None:
        if self.session.in_transaction:
            self.execute("ROLLBACK")
        self.in_transaction = False

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.session)

    def q(self, path: Sequence[str]) -> str:
        return super().q(path[-1:])  # one schema; a two-part name cannot stand everywhere
