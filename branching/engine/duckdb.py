"""DuckDB as an engine: opening a file, cursors, and DuckDB's errors by kind.

Facts of DuckDB 2.0 this rests on: ``execute`` runs a query until its first rows are ready and then streams through
``fetchmany``; an unread result must be ended with ``abort`` before other work on the cursor; a conflict shows at the
statement or only at COMMIT; every error aborts the transaction; ``interrupt`` may come from another thread.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from branching.engine import duckdb_encode, duckdb_guard
from branching.engine import duckdb_exact as exact
from branching.engine.base import (
    Cursor,
    EngineError,
    ErrorKind,
    OpenError,
    Parameters,
    ResultColumn,
    WireFormats,
)
from branching.engine.duckdb_engine import DuckDBEngine, DuckDBQuestions
from branching.engine.duckdb_errors import classify, open_error
from branching.engine.duckdb_frames import open_stream
from branching.engine.duckdb_instance import Instance
from branching.engine.duckdb_kept import DuckDBAgain
from branching.engine.duckdb_returned import DuckDBReturned
from branching.names import literal

FIRST_ROWS = 300


LOSES_ROWS = duckdb.__version__ == "2.0.0"  # see ``DuckDBCursor.execute``
_COUNTED = 10_000  # rows in Python's hands at once


def _inserts(sql: str) -> bool:
    """Whether a statement may put rows into a table, a new one among them."""
    return sql.startswith(("INSERT", "MERGE")) or (
        sql.startswith(("WITH", "CREATE")) and (" INSERT " in sql or " TABLE " in sql)
    )


class DuckDBCursor(DuckDBQuestions, DuckDBAgain, Cursor):
    """One DuckDB connection of an instance."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, instance: Instance, engine: DuckDBEngine
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._instance = instance
        instance.took(connection)
        self._encoder: Any = None
        self._streaming = False
        self._frames: Generator[Any, None, None] | None = None  # an encoded result that may not be at its end
        self._stop = False  # an interrupt has come and has stopped nothing yet
        self._begun = False  # a transaction is open
        self._empty_insert = False  # this transaction has inserted no rows at all, see ``execute``

    @property
    def engine(self) -> DuckDBEngine:
        return self._engine

    def _prepare_encoding(self) -> None:
        if self._encoder is None:
            zone = self._connection.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]
            encoder = self._connection.cursor()
            self._instance.took(encoder)
            duckdb_encode.prepare(self._connection)
            duckdb_encode.prepare(encoder, zone)
            self._encoder = encoder

    @contextlib.contextmanager
    def _errors(self, sql: str) -> Iterator[None]:
        self._check_stop()
        try:
            yield
        except duckdb.Error as error:
            found = classify(error, sql)
            if found.kind is ErrorKind.FATAL:
                self._instance.fail(found.message)
            self._stop = self._stop and found.kind is not ErrorKind.INTERRUPTED
            raise found from error
        except (RuntimeError, OSError) as error:  # InterruptException surfaces so from Arrow readers
            kind = ErrorKind.INTERRUPTED if "nterrupt" in str(error) else ErrorKind.OTHER
            self._stop = self._stop and kind is not ErrorKind.INTERRUPTED
            raise EngineError(kind, type(error).__name__, str(error), sql) from error

    def _check_stop(self) -> None:
        if self._stop:
            self._stop = False
            raise EngineError(ErrorKind.INTERRUPTED, "InterruptException", "Interrupted!")

    def _run(self, sql: str, parameters: Parameters) -> duckdb.DuckDBPyConnection:
        self.end_stream()
        with self._snapshot():
            if parameters:
                return self._connection.execute(sql, list(parameters))
            return self._connection.execute(sql)

    def _rest_if_done(self) -> None:
        """A session without a transaction has no snapshot behind its statement and what it reads of that."""
        if not (self._begun or self._streaming):
            self._instance.reading.discard(id(self))

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._instance.reading.add(id(self))
        try:
            yield
        finally:
            self._rest_if_done()

    def _streams(self) -> None:
        self._streaming = True
        self._instance.reading.add(id(self))

    def others_read(self) -> bool:
        return bool(self._instance.reading - {id(self)})

    def end_stream(self) -> None:
        """Ends a result that was not read to its end."""
        if self._streaming:
            self._streaming = False
            if self._frames is not None:
                self._frames.close()
                self._frames = None
            with contextlib.suppress(duckdb.Error):
                self._connection.abort()
            self._rest_if_done()

    def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """In a transaction that has run an INSERT of no rows, DuckDB 2.0.0 loses sight of the rows of a later, parallel
        INSERT. One with RETURNING is not parallel, and keeps all its rows in memory: later engines are spared it."""
        count = self._execute(sql, parameters)
        if self.log is not None:
            self.log.add("execute", sql, parameters, count)
        return count

    def _execute(self, sql: str, parameters: Parameters) -> int | None:
        inserts = _inserts(sql)
        if inserts and self._empty_insert and "RETURNING" not in sql and not sql.startswith("CREATE"):
            with self._errors(sql):
                answer = self._run(f"{sql} RETURNING 1", parameters)
                return sum(len(rows) for rows in iter(lambda: answer.fetchmany(_COUNTED), []))
        with self._errors(sql):
            rows = self._run(sql, parameters).fetchall()
        if len(rows) == 1 and len(rows[0]) == 1 and isinstance(rows[0][0], int):
            if inserts and not rows[0][0]:
                self._empty_insert = LOSES_ROWS
            return rows[0][0]
        return None

    def query(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        with self._errors(sql):
            return self._run(sql, parameters).fetchall()

    def describe(self, sql: str, parameters: Parameters = ()) -> tuple[ResultColumn, ...]:
        self.end_stream()
        with self._errors(sql):
            # A relation of the client library would take a sequence's next value.
            try:
                found = self._connection.execute(f"DESCRIBE {sql}", list(parameters)).fetchall()
            except duckdb.ParserException:  # SUMMARIZE and its like
                relation = self._connection.sql(sql)
                return tuple(map(ResultColumn, relation.columns, map(str, relation.types)))
            return tuple(ResultColumn(row[0], row[1]) for row in found)

    def open(
        self, sql: str, parameters: Parameters = ()
    ) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        with self._errors(sql):
            self._run(sql, parameters)
            columns = self._columns()
            casts = exact.needed(columns)
            if casts:
                return self._open_cast(sql, parameters, columns, exact.temporal(columns))
            first = self._connection.fetchmany(FIRST_ROWS)
            if first and exact.has_sentinel(columns, first):
                return self._open_cast(sql, parameters, columns, exact.temporal(columns))
        if len(first) < FIRST_ROWS:
            return columns, iter([first] if first else [])
        self._streams()
        return columns, self._rest(first, sql)

    def _columns(self) -> tuple[ResultColumn, ...]:
        return tuple(ResultColumn(item[0], str(item[1])) for item in self._connection.description or [])

    def _open_cast(
        self, sql: str, parameters: Parameters, columns: tuple[ResultColumn, ...], casts: frozenset[int]
    ) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        """The same query again, these columns as the engine's text. The columns keep their real types."""
        self._streams()
        self.end_stream()
        self._run(exact.cast_query(sql, columns, casts), parameters)
        first = self._connection.fetchmany(FIRST_ROWS)
        if len(first) < FIRST_ROWS:
            return columns, iter([first] if first else [])
        self._streams()
        return columns, self._rest(first, sql)

    def _rest(self, first: list[Any], sql: str) -> Iterator[list[Any]]:
        yield first
        while self._streaming:
            with self._errors(sql):
                rows = self._connection.fetchmany(4096)
            if not rows:
                self._streaming = False
                self._rest_if_done()
                return
            yield rows

    def stream(
        self, sql: str, parameters: Parameters, formats: WireFormats
    ) -> tuple[tuple[ResultColumn, ...], Iterator[Any], bool]:
        self.end_stream()
        with self._errors(sql), self._snapshot():
            self._prepare_encoding()
            columns, rows, encoded = open_stream(self._connection, self._encoder, sql, parameters, formats)
        if not encoded:
            return columns, rows, False
        self._streams()
        self._frames = self._guarded(rows, sql)
        return columns, self._frames, True

    def _guarded(self, rows: Any, sql: str) -> Generator[Any, None, None]:
        # Closed at once: a reader that only an error's traceback still holds would keep the connection busy.
        with contextlib.closing(rows), self._errors(sql):
            for piece in rows:
                yield piece
                self._check_stop()
        self._streaming, self._frames = False, None
        self._rest_if_done()

    def set_time_zone(self, name: str) -> None:
        self.zone = name
        statement = f"SET TimeZone = {literal(name)}"
        self.execute(statement)
        if self._encoder is not None:
            self._encoder.execute(statement).fetchall()

    def arrow(self, sql: str, parameters: Parameters = ()) -> Any:
        self.end_stream()
        with self._errors(sql), self._snapshot(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            relation = (
                self._connection.sql(sql, params=list(parameters))
                if parameters
                else self._connection.sql(sql)
            )
            return relation.to_arrow_table()

    def arrow_batches(self, sql: str, rows: int) -> Iterator[Any]:
        self.end_stream()
        with self._snapshot():
            with self._errors(sql), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader = self._connection.sql(sql).to_arrow_reader(rows)
            while True:
                with self._errors(sql):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch

    def returning(self, sql: str, parameters: Parameters = ()) -> DuckDBReturned:
        self.end_stream()
        with self._errors(sql), self._snapshot():
            self._prepare_encoding()
            relation = (
                self._connection.sql(sql, params=list(parameters))
                if parameters
                else self._connection.sql(sql)
            )
            returned = DuckDBReturned(relation, self._encoder)
        if self.log is not None:
            self.log.add("returning", sql, parameters)
        return returned

    def register(self, name: str, table: Any) -> None:
        self.end_stream()
        with self._errors(name):
            self._connection.register(name, table)
        if self.log is not None:
            self.log.add("register", name, (table,))

    def unregister(self, name: str) -> None:
        self.end_stream()
        with self._errors(name):
            self._connection.unregister(name)
        if self.log is not None:
            self.log.add("unregister", name)

    def begin(self, read_only: bool = False) -> None:
        self._empty_insert = False
        self._begun = True
        try:
            self.execute("BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN TRANSACTION")
        except EngineError:
            self._ended()
            raise

    def commit(self) -> None:
        self.execute("COMMIT")
        self._ended()

    def rollback(self) -> None:
        self.end_stream()
        if self._begun:  # asked without need, the engine takes longer to refuse than a small statement runs
            with contextlib.suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
        self._ended()

    def _ended(self) -> None:
        self._begun = False
        self._rest_if_done()

    def interrupt(self) -> None:
        self._stop = True  # DuckDB forgets an interrupt that comes while it runs nothing: between two of our statements
        self._connection.interrupt()
        if self._encoder is not None:
            self._encoder.interrupt()

    @property
    def interrupt_pending(self) -> bool:
        return self._stop

    def forget_interrupt(self) -> None:
        self._stop = False

    def cursor(self) -> DuckDBCursor:
        with self._errors("a new cursor"):
            connection = self._connection.cursor()
        return DuckDBCursor(connection, self._instance, self._engine)

    def on_fatal(self, act: Callable[[str], None]) -> None:
        self._instance.on_failure(act)

    def abandon(self) -> None:
        self._instance.abandon()

    def close(self) -> None:
        self.end_stream()
        self._ended()
        if self._encoder is not None:
            self._encoder.close()
        with contextlib.suppress(duckdb.Error):
            self._connection.close()


_INSTANCE_SETTINGS = (
    # Names in SQL must never reach files or the network behind our back.
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET default_null_order = 'NULLS_LAST'",
    # The engine's own checkpoints starve under writers and run inside somebody's COMMIT: ``checkpoint`` does them.
    "SET checkpoint_threshold = '1TB'",
    # A plain SET of these would be this connection's alone; every new cursor starts with what is global.
    "SET GLOBAL python_enable_replacements = false",
    "SET GLOBAL integer_division = true",
    "SET GLOBAL TimeZone = 'UTC'",
)


def connect(
    path: str,
    settings: Sequence[tuple[str, str]] = (),
    *,
    read_only: bool = False,
    engine: DuckDBEngine | None = None,
) -> DuckDBCursor:
    """Opens ``path`` (a file, created if missing, or ``:memory:``). Raises OpenError with one clear line."""
    made = True
    if path != ":memory:":
        target = Path(path)
        made = not (target.exists() or Path(f"{path}.wal").exists())
        if target.is_dir():
            raise OpenError(f'"{path}" is a directory, not a database file')
        if not target.parent.is_dir():
            raise OpenError(f'directory "{target.parent}" does not exist', "create it, or name another file")
    try:
        connection = duckdb_guard.opened(path, lambda: duckdb.connect(path, read_only=read_only))
        for statement in _INSTANCE_SETTINGS:
            connection.execute(statement)
        for name, value in settings:
            connection.execute(f"SET {name} = '{value}'")
    except duckdb.Error as error:
        raise open_error(path, error) from error
    cursor = DuckDBCursor(connection, Instance(), engine or DuckDBEngine())
    cursor.made = made
    return cursor
