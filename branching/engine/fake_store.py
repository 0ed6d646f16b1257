"""What the fake engine's sessions share: the committed database, as the bytes of an SQLite database in memory.

A transaction works on a copy of its own, taken at its first statement, so it reads one instant. At COMMIT its changes
are found by comparing the copy with what it began as, and put into what is committed by then: row by row where both
sides changed only rows, by table where one changed a definition. Who comes second to a row, a key or a definition
fails with a conflict; nothing of it is left behind.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

from branching.engine.base import EngineError, ErrorKind
from branching.names import quote

Prepare = Callable[[sqlite3.Connection], None]


@dataclass(slots=True)
class Counter:
    """A sequence. It belongs to no transaction: what it gave stays given."""

    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 2**63 - 1
    cycle: bool = False
    last: int | None = None
    following: int | None = None

    def take(self) -> int:
        value = self.following if self.following is not None else self.start
        if not self.minimum <= value <= self.maximum:
            if not self.cycle:
                raise ValueError("nextval: reached the end of the sequence")
            value = self.minimum if self.increment > 0 else self.maximum
        self.last, self.following = value, value + self.increment
        return value


class Store:
    """One database. All methods are safe from any thread."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self.lock = threading.RLock()
        self.generation = 0
        self.counters: dict[str, Counter] = {}
        connection = self._connection()
        connection.execute("CREATE TABLE _schemas (name TEXT PRIMARY KEY)")
        self.data = connection.serialize()
        connection.close()

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self._prepare(connection)
        return connection

    def next_value(self, name: str) -> int:
        with self.lock:
            if name not in self.counters:
                raise ValueError(f"Sequence with name {name} does not exist!")
            return self.counters[name].take()

    def publish(self, mine: bytes, base: bytes, generation: int) -> None:
        """Commits what became of ``base``, which was the ``generation``-th state. EngineError CONFLICT."""
        with self.lock:
            self.data = mine if generation == self.generation else self._merged(base, mine)
            self.generation += 1

    def _merged(self, base: bytes, mine: bytes) -> bytes:
        connection = self._connection()
        try:
            connection.deserialize(self.data)
            for name, data in (("base", base), ("mine", mine)):
                connection.execute(f"ATTACH ':memory:' AS {name}")
                connection.deserialize(data, name=name)
            connection.execute("BEGIN")
            _Merge(connection).run()
            connection.execute("COMMIT")
            return connection.serialize()
        except sqlite3.IntegrityError as error:
            raise conflict(f"a key that another transaction has committed: {error}") from error
        finally:
            connection.close()


def conflict(why: str) -> EngineError:
    return EngineError(ErrorKind.CONFLICT, "TransactionException", f"Transaction conflict: {why}")


class _Merge:
    """``mine``, which became of ``base``, into ``main``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._base, self._mine, self._main = map(self._definitions, ("base", "mine", "main"))

    def _definitions(self, database: str) -> dict[str, tuple[str, ...]]:
        """Per table, the statements that make it and its indexes."""
        rows = self._connection.execute(
            f"SELECT tbl_name, sql FROM {database}.sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name"
        )
        found: dict[str, tuple[str, ...]] = {}
        for table, sql in rows:
            found[table] = (*found.get(table, ()), sql)
        return found

    def run(self) -> None:
        for table in sorted({*self._base, *self._mine}):
            was, now, there = (state.get(table) for state in (self._base, self._mine, self._main))
            if was == now == there:
                self._rows(table)
            elif was == there:
                if was is not None and self._differ(table, "base", "main"):
                    raise conflict(f"{table!r} was written while its definition changed")
                self._define(table, now)
            elif was == now:
                if was is not None and self._differ(table, "base", "mine"):
                    raise conflict(f"the definition of {table!r} changed while it was written")
            elif now != there or self._differ(table, "mine", "main"):
                raise conflict(f"{table!r} was defined by another transaction")

    def _all(self, table: str, database: str) -> str:
        return f"SELECT rowid, * FROM {database}.{quote(table)}"

    def _differ(self, table: str, one: str, other: str) -> bool:
        return bool(
            self._changed(table, one, other, "LIMIT 1") or self._changed(table, other, one, "LIMIT 1")
        )

    def _changed(self, table: str, one: str, other: str, end: str = "") -> set[int]:
        """Row ids in ``one`` of rows that are not the same in ``other``."""
        sql = f"SELECT * FROM ({self._all(table, one)} EXCEPT {self._all(table, other)}) {end}"
        return {row[0] for row in self._connection.execute(sql)}

    def _columns(self, table: str, database: str) -> str:
        rows = self._connection.execute(f"PRAGMA {database}.table_xinfo({quote(table)})")
        return ", ".join(quote(row[1]) for row in rows if not row[6])

    def _rows(self, table: str) -> None:
        touched = self._changed(table, "base", "mine")  # of the base: changed or deleted by me
        made = self._changed(table, "mine", "base")  # as they are now; new ones too
        if not touched and not made:
            return
        if overtaken := touched & self._changed(table, "base", "main"):
            raise conflict(f"{len(overtaken)} rows of {table!r} were changed by another transaction")
        columns, name = self._columns(table, "main"), quote(table)
        self._delete(name, touched)
        for old, ids in ((True, made & touched), (False, made - touched)):
            listed = f"rowid, {columns}" if old else columns
            for identifier in sorted(ids):
                self._connection.execute(
                    f"INSERT INTO main.{name} ({listed}) SELECT {listed} FROM mine.{name} WHERE rowid = ?",
                    (identifier,),
                )

    def _delete(self, name: str, rows: set[int]) -> None:
        self._connection.executemany(f"DELETE FROM main.{name} WHERE rowid = ?", [(row,) for row in rows])

    def _define(self, table: str, statements: tuple[str, ...] | None) -> None:
        """The table, its rows and its indexes as they are in ``mine``."""
        self._connection.execute(f"DROP TABLE IF EXISTS main.{quote(table)}")
        if statements is None:
            return
        create, *indexes = statements
        self._connection.execute(create)
        columns = self._columns(table, "mine")
        self._connection.execute(
            f"INSERT INTO main.{quote(table)} (rowid, {columns}) SELECT rowid, {columns} FROM mine.{quote(table)}"
        )
        for index in indexes:
            self._connection.execute(index)
