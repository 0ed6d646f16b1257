"""What the connectors of engines share that give rows as Python values and have no faster way we can test.

Rules:

1. A reader's columns come from the catalog or from the driver's description of a result, never from values.
2. What a Python value would round (digits of a second beyond the sixth) leaves as text or as a number; an engine
   says how in ``delivered``.
3. Rows go in as bound texts in one ``INSERT ... SELECT CAST(...) FROM VALUES``: the engine reads a text exactly,
   and no driver's idea of a decimal or a time is between. An engine says how in ``restored``.
4. Publishing is plain: rows are deleted and inserted in one transaction where there is one; no names change.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

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
from migration.connectors.convert import from_values
from migration.connectors.fitting import Fit, fit, fit_batch
from migration.connectors.opening import SqlConnector
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.connectors.telling import of_cursor
from migration.connectors.texts import to_texts
from migration.connectors.touched import WRITES
from migration.connectors.writing import SqlWriter
from migration.dialects.quoting import quote_text
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.statements import leading_word
from migration.types import CanonicalType


class DbapiConnector(SqlConnector[Any]):
    """An engine behind a DB-API driver."""

    failures: ClassVar[tuple[type[BaseException], ...]] = ()  # what the driver raises

    @abstractmethod
    def driver(self) -> Any:
        """A connection of the driver."""

    @abstractmethod
    def code(self, reason: BaseException) -> str:
        """The SQLSTATE of a driver's error."""

    @abstractmethod
    def columns_of_query(self, cursor: Any) -> tuple[ColumnSpec, ...]:
        """The columns of a result, from the driver's description of it."""

    @abstractmethod
    def columns(self, session: Any, path: Path) -> tuple[ColumnSpec, ...]:
        """The columns of a table in the catalog, () if there is none."""

    @abstractmethod
    def delivered(self, expression: str, type_: CanonicalType) -> str:
        """An expression whose Python value is exact."""

    def renamed(self, source: Source, names: Sequence[str]) -> str | None:
        """A query with its columns under other names; None where the engine cannot say so, or makes names itself."""
        return None

    def arrived(self, values: Sequence[Any], column: ReadColumn) -> pa.Array:
        """Delivered values in the canonical form."""
        return from_values(values, column.type, column.name)

    def table(self, session: Any, path: Path) -> RemoteTable | None:
        """Everything the catalog knows of a table; None if there is none."""
        columns = self.columns(session, path)
        if not columns:
            return None
        kind = next(
            (
                row[2]
                for row in self._listed(session, path[-2] if len(path) > 1 else None)
                if row[1] == path[-1]
            ),
            "",
        )
        spec = TableSpec(path, columns, dialect=self.dialect)
        return RemoteTable(spec, "view" if "VIEW" in kind.upper() else "table")

    def run(self, session: Any, text: str, values: Sequence[Any] = ()) -> Any:
        """A cursor that has executed ``text``."""
        cursor = session.cursor()
        if values:
            cursor.execute(text, list(values))
        else:
            cursor.execute(text)
        return cursor

    def finish(self, cursor: Any) -> None:
        """Waits for a statement without rows, where the driver returns before the server is done."""

    def rows(self, session: Any, text: str) -> list[tuple[Any, ...]]:
        """A small result."""
        with contextlib.closing(self.run(session, text)) as cursor:
            return [tuple(row) for row in cursor.fetchall()]

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """One question in a session of its own."""
        with self.session() as session:
            return self.rows(session, text)

    def databases(self) -> list[str]:
        return self.schemas()

    def schemas(self) -> list[str]:
        found = self.ask("SELECT schema_name FROM information_schema.schemata ORDER BY 1")
        return [
            name for (name,) in found if name.lower() not in ("information_schema", "sys", "_statistics_")
        ]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as session:
            found = self._listed(session, schema)
        return [TableEntry(row[0], row[1], "view" if "VIEW" in row[2].upper() else "table") for row in found]

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as session:
            found = self.table(session, path)
        if found is None:
            raise self.missing(path)
        return found

    def reader(self, snapshot: str | None = None) -> DbapiReader:
        return DbapiReader(self, self.open())

    def open(self) -> Any:
        try:
            session = self.brought(self.driver)
        except Exception as reason:
            if not isinstance(reason, (*self.failures, OSError, ValueError)):
                raise
            raise self.failed("HV00N", reason) from None
        self._sessions.append(session)
        return session

    def closed(self, session: Any) -> None:
        with contextlib.suppress(*self.failures, OSError):
            super().closed(session)

    @contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as reason:
            if not isinstance(reason, self.failures):
                raise
            raise self.failed(self.code(reason), reason) from None

    def home(self, schema: str | None) -> str:
        """The schema as SQL: the given one, or the session's."""
        return "CURRENT_SCHEMA()" if schema is None else quote_text(schema, self.item)

    def _listed(self, session: Any, schema: str | None) -> list[tuple[Any, ...]]:
        return self.rows(
            session,
            "SELECT table_schema, table_name, table_type FROM information_schema.tables "
            f"WHERE table_schema = {self.home(schema)} ORDER BY 1, 2",
        )


class DbapiReader(SqlReader):
    """A session that reads; no snapshot."""

    consistent = False

    def __init__(self, connector: DbapiConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.connector.rows(self.session, text)

    def answer(self, text: str) -> Answer:
        """What SHOW, EXPLAIN or DESCRIBE says."""
        with self.connector.errors(), contextlib.closing(self.connector.run(self.session, text)) as cursor:
            return of_cursor(cursor)

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        with self.connector.errors():
            if not source.path:
                text = f"SELECT * FROM {relation(self.item, source)} LIMIT 0"
                with contextlib.closing(self.connector.run(self.session, text)) as cursor:
                    cursor.fetchall()  # some drivers know the columns only then
                    return self.connector.columns_of_query(cursor)
            found = self.connector.columns(self.session, source.path)
        if not found:
            raise self.connector.missing(source.path)
        return found

    def renamed(self, source: Source, names: Sequence[str]) -> str | None:
        return self.connector.renamed(source, names)

    def projection(self, column: ReadColumn) -> str:
        return self.connector.delivered(column.expression or quoted(column.name, self.item), column.type)

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        # Names of their own: in some engines ORDER BY takes an alias for the column.
        return [f"{text} AS bough_{number}" for number, text in enumerate(super().projections(columns))]

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Generator[pa.RecordBatch, None, None]:
        with (
            self.connector.errors(),
            contextlib.closing(self.connector.run(self.session, text)) as cursor,
        ):
            wanted = min(rows, 4096)
            while found := cursor.fetchmany(wanted):
                arrays = [
                    self.connector.arrived(values, column)
                    for column, values in zip(columns, zip(*found, strict=True), strict=True)
                ]
                batch = pa.record_batch(arrays, names=[column.name for column in columns])
                yield batch
                wanted = max(1, min(rows, size * len(found) // max(batch.nbytes, 1)))

    def close(self) -> None:
        self.connector.closed(self.session)


class DbapiWriter(SqlWriter):
    """A session that writes."""

    transactional_ddl = False
    connector: DbapiConnector
    most_rows = 1000  # in one statement
    most_binds = 10_000

    def __init__(self, connector: DbapiConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item

    def _renamed(self, staging: Path, target: Path) -> Published:
        """Staging in the place of a table that is there, where an engine can only rename one after the other: the old
        one comes back if the second rename fails."""
        old = self.replaced(staging, target)
        self.drop(old)
        self.rename(target, old)
        try:
            self.rename(staging, target)
        except MigrationError:
            self.rename(old, target)
            raise
        self.drop(old)
        return Published("two renames", atomic=False, rows=self.count(target))

    @abstractmethod
    def restored(self, mark: str, column: ColumnSpec) -> str:
        """SQL that makes a column's value of its text, exactly."""

    def values(self, rows: int, columns: int) -> tuple[str, Sequence[str]]:
        """A relation of that many rows of binds, and the names of its columns."""
        names = [f"c{number}" for number in range(columns)]
        row = f"({', '.join('?' * columns)})"
        return f"(VALUES {', '.join([row] * rows)}) AS v ({', '.join(names)})", names

    def execute(self, statement: str) -> int | None:
        with (
            self.connector.errors(),
            contextlib.closing(self.connector.run(self.session, statement)) as cursor,
        ):
            self.connector.finish(cursor)
            touched = cursor.rowcount
        counts = leading_word(statement) in WRITES
        counted = counts and touched is not None and touched >= 0
        return int(touched) if counted else None

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            return self.connector.rows(self.session, text)

    def fetch(self, query: str) -> pa.Table:
        return DbapiReader(self.connector, self.session).fetch(query)

    def describe(self, path: Path) -> TableSpec:
        with self.connector.errors():
            found = self.connector.table(self.session, path)
        if found is None:
            raise self.connector.missing(path)
        return found.spec

    def exists(self, path: Path) -> bool:
        with self.connector.errors():
            return bool(self.connector.columns(self.session, path))

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            found = self.connector._listed(self.session, schema)
        return [(row[0], row[1]) for row in found if "VIEW" not in row[2].upper()]

    def dependants(self, path: Path) -> tuple[str, ...]:
        return ("whatever hangs on the table",)

    def create_like(self, staging: Path, target: Path) -> None:
        self.execute(f"CREATE TABLE {self.q(staging)} LIKE {self.q(target)}")

    def check(self, path: Path, schema: pa.Schema) -> None:
        self.moved = tuple(item.column.name for item in self._fits(schema, path))

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        fits, rows, size = None, 0, 0
        with self.transaction():
            for batch in batches:
                if fits is None:
                    fits = self._fits(batch.schema, path)
                ready = fit_batch(batch, fits)
                columns = [item.column for item in fits]
                texts = [
                    self.text(array, column).to_pylist()
                    for array, column in zip(ready.columns, columns, strict=True)
                ]
                step = max(1, min(self.most_rows, self.most_binds // len(columns)))
                for start in range(0, ready.num_rows, step):
                    part = [values[start : start + step] for values in texts]
                    self.insert_texts(path, columns, part)
                rows, size = rows + batch.num_rows, size + batch.nbytes
        return WriteResult(rows, size, "INSERT ... SELECT FROM VALUES")

    def text(self, array: pa.Array, column: ColumnSpec) -> pa.Array:
        """A column as the texts that are bound."""
        return to_texts(array)

    def _fits(self, schema: pa.Schema, path: Path) -> tuple[Fit, ...]:
        """A column with more digits of a second than are given takes their text as it is."""
        table = self.describe(path)
        columns = []
        for column in table.columns:
            given = schema.field(column.name).type if column.name in schema.names else None
            coarse = given in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.time64("us"))
            if coarse and (column.type.precision or 0) > 6:
                column = replace(column, type=replace(column.type, precision=6))
            columns.append(column)
        return fit(schema, replace(table, columns=tuple(columns)))

    def insert_texts(self, path: Path, columns: Sequence[ColumnSpec], texts: Sequence[Sequence[Any]]) -> None:
        """One INSERT of rows whose values are given column by column, as texts."""
        relation_, names = self.values(len(texts[0]), len(columns))
        given = ", ".join(quoted(column.name, self.item) for column in columns)
        made = ", ".join(self.restored(name, column) for name, column in zip(names, columns, strict=True))
        binds = [value for row in zip(*texts, strict=True) for value in row]
        statement = f"INSERT INTO {self.q(path)} ({given}) SELECT {made} FROM {relation_}"
        with (
            self.connector.errors(),
            contextlib.closing(self.connector.run(self.session, statement, binds)) as cursor,
        ):
            self.connector.finish(cursor)
            sent, counted = len(texts[0]), cursor.rowcount
        if counted is not None and 0 <= counted != sent:
            raise MigrationError(
                "HV004", f"the server took {counted} rows of {sent}", hint="EXPLAIN TRANSFER shows the types."
            )

    def begin(self) -> None:
        self.execute("BEGIN")
        self.in_transaction = True

    def commit(self) -> None:
        self.execute("COMMIT")
        self.in_transaction = False

    def rollback(self) -> None:
        if self.in_transaction:
            with contextlib.suppress(MigrationError):  # a lost connection has rolled back already
                self.execute("ROLLBACK")
        self.in_transaction = False

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.session)


def finite(array: pa.Array) -> bool:
    """False if a float column holds NaN or an infinity."""
    return array.null_count == len(array) or bool(pc.all(pc.is_finite(array)).as_py())
