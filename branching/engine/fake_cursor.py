"""A session of the fake engine."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from branching.engine import fake, fake_define, fake_sql, fake_types
from branching.engine.base import (
    Broken,
    Cursor,
    EngineError,
    ErrorKind,
    Parameters,
    ResultColumn,
    WireFormats,
)
from branching.engine.fake_sql import SEPARATOR, Statement, fail, full, translate
from branching.engine.fake_store import Counter, Store
from branching.engine.fake_types import Columns
from branching.names import BRANCH, quote

if TYPE_CHECKING:
    from branching.engine.fake import FakeEngine

_FIRST_ROWS = 300
_ARROW = {
    "BOOLEAN": pa.bool_(), "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "INTEGER": pa.int32(), "BIGINT": pa.int64(),
    "FLOAT": pa.float32(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "BLOB": pa.binary(), "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"), "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


class FakeReturned:
    def __init__(self, columns: tuple[ResultColumn, ...], rows: list[tuple[Any, ...]]) -> None:
        self.columns = columns
        self._rows = rows

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def arrow(self) -> Any:
        return _table(self.columns, self._rows)


def _table(columns: tuple[ResultColumn, ...], rows: list[tuple[Any, ...]]) -> pa.Table:
    values = list(zip(*rows, strict=True)) or [() for _ in columns]
    arrays = [
        pa.array(list(cells), type=_ARROW.get(column.type))
        for column, cells in zip(columns, values, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


class FakeCursor(Cursor):
    """Its transaction is a copy of the database; ``_began`` is what it was copied from."""

    def __init__(self, engine: FakeEngine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._sqlite = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, cached_statements=0
        )
        fake.prepare(self._sqlite)
        self._variables: dict[str, int | None] = {"version": None, "branch": None}
        self._failure: Exception | None = None  # of a function that a statement called
        for name, function in (("nextval", self._next_value), ("getvariable", self._variables.get)):
            self._sqlite.create_function(name, 1, function)
        self._sqlite.create_function(fake_sql.CAST, 2, self._cast, deterministic=True)
        self._stop = False  # an interrupt has come and has stopped nothing yet
        self._open = False
        self._read_only = False
        self._began: tuple[int, bytes] | None = None
        self._dirty = True  # the copy is not what ``_loaded`` says
        self._loaded = -1
        self._stream: sqlite3.Cursor | None = None

    @property
    def engine(self) -> FakeEngine:
        return self._engine

    def _next_value(self, name: str) -> int:
        value: int = self._noted(self._store.next_value, name)
        return value

    def _cast(self, value: Any, kind: str) -> Any:
        return self._noted(fake_types.cast, value, kind)

    def _noted(self, function: Any, *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ValueError as error:
            self._failure = error
            raise

    # -- running ----------------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        """The copy is of this instant, or of the instant at which the open transaction began to read."""
        self.end_stream()
        if self._began is not None:
            return
        with self._store.lock:
            generation, data = self._store.generation, self._store.data
        if self._dirty or self._loaded != generation:
            self._sqlite.deserialize(data)
            self._loaded, self._dirty = generation, False
        if self._open:
            self._began = generation, data

    def _run(self, statement: Statement, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        if not statement.writes:
            self._enter()
            return self._do(statement, sql, parameters)
        if self._open:
            if self._read_only:
                raise fail("Cannot write: the transaction is read-only", "TransactionException", sql)
            self._enter()
            self._dirty = True
            return self._do(statement, sql, parameters)
        with self._store.lock:  # a transaction of its own, which nobody overtakes
            self._enter()
            self._dirty = True
            done = self._do(statement, sql, parameters)
            self._store.publish(self._sqlite.serialize(), b"", self._loaded)
            self._loaded, self._dirty = self._store.generation, False
            return done

    def _do(self, statement: Statement, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        with self._errors(sql):
            defined = fake_define.Definition(self._sqlite, self._store, self._lookup, statement)
            if defined.made(parameters):
                return defined.cursor
            return self._sqlite.execute(statement.sql, [fake_types.stored(value) for value in parameters])

    @contextlib.contextmanager
    def _errors(self, sql: str) -> Iterator[None]:
        self._failure = None
        if self._stop:
            self._stop = False
            raise EngineError(ErrorKind.INTERRUPTED, "InterruptException", "interrupted", sql)
        try:
            yield
        except sqlite3.Error as error:
            raise self._classified(error, sql) from error

    def _classified(self, error: sqlite3.Error, sql: str) -> EngineError:
        message = str(error)
        if self._failure is not None:
            return fail(str(self._failure), "ConversionException", sql)
        if message == "interrupted":
            self._stop = False
            return EngineError(ErrorKind.INTERRUPTED, "InterruptException", message, sql)
        if isinstance(error, sqlite3.IntegrityError):
            kind, _, what = message.partition(" constraint failed: ")
            if kind == "CHECK" and what.startswith(fake_define.TYPED):
                return fail(
                    f"Conversion Error: a value does not fit the column: {what}", "ConversionException", sql
                )
            columns = tuple(item.rpartition(".")[2] for item in what.split(", "))
            own = tuple(name for name in columns if name != BRANCH)
            broken = {
                "UNIQUE": Broken("key", own),
                "NOT NULL": Broken("not null", own),
                "CHECK": Broken("check", rule=what),
            }.get(kind)
            return EngineError(ErrorKind.CONSTRAINT, "ConstraintException", message, sql, broken)
        missing = message.startswith("no such table")
        return fail(message, "CatalogException" if missing else "BinderException", sql)

    def _lookup(self, table: str) -> Columns | None:
        """A table's columns, as they were declared."""
        rows = self._sqlite.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall()
        return [(row[1], fake_define.declared(row[2])) for row in rows] or None

    def _columns(self, statement: Statement, cursor: sqlite3.Cursor) -> tuple[ResultColumn, ...]:
        tree = statement.tree
        if statement.is_query:
            found = fake_types.columns_of(tree, self._lookup)
        else:
            node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
            scope = {node.alias_or_name: self._lookup(node.name) or []}
            found = fake_types.projected(tree.args["returning"].expressions, scope, self._lookup)
        named = [item[0] for item in cursor.description or ()]
        return tuple(
            ResultColumn(found[number][0] if number < len(found) else name, kind or "VARCHAR")
            for number, (name, kind) in enumerate(
                (name, found[i][1] if i < len(found) else None) for i, name in enumerate(named)
            )
        )

    def _rows(self, columns: tuple[ResultColumn, ...], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        kinds = [column.type for column in columns]
        return [tuple(map(fake_types.shown, row, kinds)) for row in rows]

    def end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    # -- statements -------------------------------------------------------------------------------------------------

    def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        count = self._execute(sql, parameters)
        if self.log is not None:
            self.log.add("execute", sql, parameters, count)
        return count

    def _execute(self, sql: str, parameters: Parameters) -> int | None:
        statement = translate(sql)
        cursor = self._run(statement, sql, parameters)
        with self._errors(sql):
            rows = cursor.fetchall()
        if isinstance(statement.tree, exp.Insert | exp.Update | exp.Delete | exp.Create):
            return max(cursor.rowcount, 0)
        return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 and isinstance(rows[0][0], int) else None

    def query(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        return self._all(sql, parameters)[1]

    def _all(
        self, sql: str, parameters: Parameters
    ) -> tuple[tuple[ResultColumn, ...], list[tuple[Any, ...]]]:
        statement = translate(sql)
        cursor = self._run(statement, sql, parameters)
        with self._errors(sql):
            rows = cursor.fetchall()
        columns = self._columns(statement, cursor)
        return columns, self._rows(columns, rows)

    def describe(self, sql: str, parameters: Parameters = ()) -> tuple[ResultColumn, ...]:
        statement = translate(sql)
        self._enter()
        with self._errors(sql):
            bound = self._sqlite.execute(
                f"SELECT * FROM ({statement.sql}) LIMIT 0", [fake_types.stored(value) for value in parameters]
            )
        return self._columns(statement, bound)

    def open(
        self, sql: str, parameters: Parameters = ()
    ) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        statement = translate(sql)
        cursor = self._run(statement, sql, parameters)
        columns = self._columns(statement, cursor)
        with self._errors(sql):
            first = cursor.fetchmany(_FIRST_ROWS)
        if len(first) < _FIRST_ROWS:
            return columns, iter([self._rows(columns, first)] if first else [])
        self._stream = cursor
        return columns, self._rest(columns, first, cursor, sql)

    def _rest(
        self, columns: tuple[ResultColumn, ...], rows: list[Any], cursor: sqlite3.Cursor, sql: str
    ) -> Iterator[list[Any]]:
        while rows:
            yield self._rows(columns, rows)
            if self._stream is not cursor:
                return
            with self._errors(sql):
                rows = cursor.fetchmany(4096)
        self.end_stream()

    def stream(
        self, sql: str, parameters: Parameters, formats: WireFormats
    ) -> tuple[tuple[ResultColumn, ...], Iterator[Any], bool]:
        return *self.open(sql, parameters), False

    def set_time_zone(self, name: str) -> None:
        if name != "UTC":
            raise fail(f"the fake engine has one time zone, not {name}", "InvalidInputException")

    def arrow(self, sql: str, parameters: Parameters = ()) -> Any:
        return _table(*self._all(sql, parameters))

    def arrow_batches(self, sql: str, rows: int) -> Iterator[Any]:
        yield from self.arrow(sql).to_batches(rows)

    def returning(self, sql: str, parameters: Parameters = ()) -> FakeReturned:
        returned = FakeReturned(*self._all(sql, parameters))
        if self.log is not None:
            self.log.add("returning", sql, parameters)
        return returned

    def register(self, name: str, table: Any) -> None:
        self._enter()
        kinds = {kind: text for text, kind in _ARROW.items()}
        items = ", ".join(f"{quote(item.name)} {kinds.get(item.type, '')}" for item in table.schema)
        self._sqlite.execute(f"DROP TABLE IF EXISTS temp.{quote(name)}")
        self._sqlite.execute(f"CREATE TEMP TABLE {quote(name)} ({items})")
        marks = ", ".join("?" * table.num_columns)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        self._sqlite.executemany(
            f"INSERT INTO temp.{quote(name)} VALUES ({marks})",
            [tuple(map(fake_types.stored, row)) for row in rows],
        )
        if self.log is not None:
            self.log.add("register", name, (table,))

    def unregister(self, name: str) -> None:
        self._enter()
        self._sqlite.execute(f"DROP TABLE IF EXISTS temp.{quote(name)}")
        if self.log is not None:
            self.log.add("unregister", name)

    # -- transactions -----------------------------------------------------------------------------------------------

    def begin(self, read_only: bool = False) -> None:
        self.end_stream()
        if self._open:
            raise fail("cannot start a transaction within a transaction", "TransactionException")
        self._open, self._read_only, self._began = True, read_only, None

    def commit(self) -> None:
        if not self._open:
            raise fail("cannot commit - no transaction is active", "TransactionException")
        self.end_stream()
        began, self._began, self._open = self._began, None, False
        if began is not None and self._dirty:
            self._store.publish(self._sqlite.serialize(), began[1], began[0])

    def rollback(self) -> None:
        self.end_stream()
        self._began, self._open = None, False

    def interrupt(self) -> None:
        self._stop = True
        self._sqlite.interrupt()

    @property
    def interrupt_pending(self) -> bool:
        return self._stop

    def forget_interrupt(self) -> None:
        self._stop = False

    def cursor(self) -> FakeCursor:
        return FakeCursor(self._engine, self._store)

    def close(self) -> None:
        self.end_stream()
        self._sqlite.close()

    # -- questions --------------------------------------------------------------------------------------------------

    def write_as(self, version: int, branch: int | None = None) -> None:
        self._variables["version"] = version
        if branch is not None:
            self._variables["branch"] = branch

    def others_read(self) -> bool:
        return False

    def checkpoint(self) -> None:
        """Nothing: there is no log."""

    def _counter(self, sequence: str) -> Counter:
        found = self._store.counters.get(sequence.replace('"', ""))
        if found is None:
            raise fail(f"Sequence with name {sequence} does not exist!", "CatalogException")
        return found

    def next_start(self, sequence: str, value: int, *, given: bool = False) -> None:
        with self._store.lock:
            counter = self._counter(sequence)
            counter.following = value + counter.increment if given else value

    def last_value(self, sequence: str) -> int | None:
        return self._counter(sequence).last

    def tables(self) -> frozenset[tuple[str, str]]:
        self._enter()
        found = self._sqlite.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        parts = [row[0].split(SEPARATOR) for row in found]
        return frozenset((part[0], part[1]) for part in parts if len(part) == 2)

    def columns_of(self, schema: str, table: str) -> tuple[str, ...]:
        self._enter()
        return tuple(name for name, _ in self._lookup(full(schema, table)) or ())

    def has_function(self, name: str) -> bool:
        return name.lower() in fake.functions()

    def type_name(self, text: str) -> str:
        if re.fullmatch(r"[\w ]+(\([\d, ]+\))?", text) is None:
            raise fail(f"Type with name {text} does not exist!", "CatalogException")
        return fake_sql.type_text(sqlglot.parse_one(f"CAST(NULL AS {text})", dialect="sqlite").args["to"])
