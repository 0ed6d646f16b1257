"""What all writers share: staging tables, the ways to publish them, transactions.

Publishing, for an engine whose transactions hold a table's rows (all but ClickHouse):

1. No target: the staging table gets its name.
2. ``append`` is INSERT ... SELECT. ``upsert`` is UPDATE of the keys that are there and INSERT of the others;
   the staged keys must be unique and not null, or nothing is done.
3. ``replace`` swaps the names where nothing else hangs on the old table. What would (views, triggers, grants,
   indexes, sequences: ``dependants``) keeps the old table and gets new rows in one transaction. Where other
   tables' foreign keys point at it, its rows are merged by key instead of emptied, so no cascade fires for
   rows that stay; where one would for rows that go, nothing is done (``children``).
4. ``recreate`` puts the staging table in the target's place, so rows keep the types they were verified in. What hangs
   on the old table would be lost: it is refused (2BP01), unless the old table has that shape already.
5. A table that exists may have columns that do not move: new rows have their defaults there, and where rows
   are updated by key they are left alone. An engine that can only put whole rows in the place of others refuses that.
6. Rows are copied into a table that stays only while its columns have the staged types. An assignment would change
   values that have been verified, without a word: somebody has altered the table meanwhile (40001). Triggers and rules
   could do the same, so where there are any the rows are compared in the transaction that copies them (``arrival``).
7. Staging ends, loses rows or gets a mark in the transaction that shows them: after a kill ``has_published`` can tell.

A caller that has begun a transaction keeps it: publishing joins it and leaves the COMMIT to the caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from migration.connectors.arrival import Arrival
from migration.connectors.base import Mode, Path, Published, ReadColumn, WriteResult
from migration.connectors.children import Reference, check_children
from migration.connectors.fitting import altered, fit, same_shape
from migration.connectors.matching import folding_columns, same_key
from migration.connectors.queries import quoted, quoted_path
from migration.connectors.staged_names import is_staging, job_of, made_meanwhile, replaced_name, staged_name
from migration.dialects import DialectContract
from migration.errors import MigrationError
from migration.model import TableSpec


class SqlWriter(ABC):
    """A writer over SQL: an engine adds statements, the loading of batches and what hangs on a table."""

    item: DialectContract
    transactions = True
    transactional_ddl = True
    in_transaction = False
    refers_late = False
    own: frozenset[str] = frozenset()  # of ``dependants``: what a table of another shape brings along itself
    swaps_always = False  # whatever hangs on a table
    empty_statement = "DELETE FROM {table}"
    current_read = ""  # behind a query that must see what others have committed since the transaction began
    moved: tuple[str, ...] | None = None  # the columns that rows have; None: all of staging
    # columns of the target whose equality takes different texts for one
    folding: frozenset[str] = frozenset()

    @abstractmethod
    def execute(self, statement: str) -> int | None:
        """Runs one statement; the rows it touched."""

    @abstractmethod
    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """A small result as Python rows."""

    def row(self, query: str) -> Sequence[Any]:
        """The one row of a query that gives only texts and whole numbers."""
        return self.rows(query)[0]

    @abstractmethod
    def describe(self, path: Path) -> TableSpec:
        """The table in the target's catalog."""

    @abstractmethod
    def exists(self, path: Path) -> bool:
        """True if there is a table or view of that name."""

    @abstractmethod
    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        """Appends batches."""

    @abstractmethod
    def names(self, schema: str | None) -> list[Path]:
        """Every table of a schema, as paths."""

    @abstractmethod
    def dependants(self, path: Path) -> tuple[str, ...]:
        """What a swap of names would lose, in words; ``foreign key`` first where one points here."""

    def altered(self, staging: Path, target: Path) -> tuple[str, ...]:
        """What a swap would undo, in words: an ALTER of the target since staging was made after it."""
        return altered(self.describe(staging), self.describe(target))

    @abstractmethod
    def begin(self) -> None:
        """Opens a transaction."""

    @abstractmethod
    def commit(self) -> None:
        """Commits it."""

    @abstractmethod
    def rollback(self) -> None:
        """Rolls it back; nothing if there is none."""

    @abstractmethod
    def close(self) -> None:
        """Rolls back and disconnects."""

    def create_like(self, staging: Path, target: Path) -> None:
        """An empty table with the columns, keys and defaults of ``target``."""
        self.execute(f"CREATE TABLE {self.q(staging)} (LIKE {self.q(target)} INCLUDING ALL)")

    def counts(self, columns: Sequence[str]) -> None:
        """Nothing: a statement says it, unless an engine has no word for it."""
        return None

    def refers(self, statements: Sequence[str]) -> None:
        """Nothing: staging has the references, unless an engine ``refers_late``."""
        return None

    def read_staging(self, path: Path, columns: Sequence[ReadColumn]) -> Iterator[pa.RecordBatch] | None:
        """None: any reader sees staged rows, unless an engine says otherwise."""
        return None

    def check(self, path: Path, schema: pa.Schema) -> None:
        """HV004 where a column of ``schema`` could not be stored exactly."""
        self.moved = tuple(item.column.name for item in fit(schema, self.describe(path)))

    def count(self, path: Path) -> int:
        """The number of rows."""
        return int(self.rows(f"SELECT count(*) FROM {self.q(path)}")[0][0])

    def drop(self, path: Path) -> None:
        """Drops a table if it exists."""
        self.execute(f"DROP TABLE IF EXISTS {self.q(path)}")

    def q(self, path: Sequence[str]) -> str:
        """A quoted path."""
        return quoted_path(path, self.item)

    def staging(self, target: Path, job: str) -> Path:
        """The table beside ``target`` that a job's rows are put into first."""
        return staged_name(target, job, self.item.identifiers)

    def replaced(self, staging: Path, target: Path) -> Path:
        """The name of ``target`` while ``staging`` takes its own."""
        return replaced_name(staging, target, self.item.identifiers)

    def leftovers(self, schema: str | None = None) -> tuple[Path, ...]:
        """Every staging table that is there; which jobs still run is the caller's knowledge."""
        return tuple(path for path in self.names(schema) if job_of(path) is not None)

    def cleanup(self, job: str | None = None, schema: str | None = None) -> tuple[Path, ...]:
        """Drops the staging tables of one job, or of all."""
        found = [path for path in self.leftovers(schema) if job is None or job_of(path) == job]
        # Staging first: what tells that its rows are shown is wanted as long as it is there.
        for path in sorted(found, key=is_staging, reverse=True):
            self.drop(path)
        return tuple(found)

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        """Makes the staged rows the target's; the module's text says how."""
        if not self.exists(target):
            with self.transaction(), made_meanwhile(target):
                self.rename(staging, target)
            return Published("rename", atomic=True)
        if mode == "create":
            hint = "Use MODE replace, append or upsert."
            raise MigrationError("42P07", f'table "{".".join(target)}" already exists', hint=hint)
        self.folding = folding_columns(self, target) if mode != "append" else frozenset()
        if mode == "recreate" and self.check_recreate(staging, target):
            published = self.swap(staging, target)
        elif mode in ("replace", "recreate"):
            published = self._replace(staging, target, tuple(key))
        else:
            adds = mode == "append"
            with self.transaction():
                rows = self._insert(staging, target) if adds else self._upsert(staging, target, key)
                self._end(staging)
            published = Published("INSERT ... SELECT" if adds else "UPDATE + INSERT", True, rows)
        self.drop(staging)
        return published

    def has_published(self, staging: Path, rows: int) -> bool | None:
        """Whether ``publish``, which broke off, has shown the ``rows`` that were staged; None: it leaves no trace."""
        loses = self.transactions and not self.transactional_ddl
        gone = not self.exists(staging) or (loses and self.count(staging) < rows)
        return gone or (False if self.transactions else None)

    def _end(self, staging: Path) -> None:
        if self.transactional_ddl:
            self.drop(staging)
        elif self.transactions:
            self.execute(f"DELETE FROM {self.q(staging)}")

    def check_recreate(self, staging: Path, target: Path) -> bool:
        """Whether a recreated table takes the staged shape; 2BP01 where what hangs on the old one would be lost."""
        if self.swaps_always:
            return True
        held = [what for what in self.dependants(target) if what not in self.own]
        if not held:
            return True
        if same_shape(self.describe(staging), self.describe(target)):
            return False
        raise MigrationError(
            "2BP01",
            f'table "{".".join(target)}" cannot be recreated: {", ".join(held)}',
            detail="What hangs on the table would be lost with it, and it has not the source's shape yet.",
            hint="Leave recreate out to keep the table, drop it first, or transfer into a table of another name.",
        )

    def rename(self, path: Path, new: Path) -> None:
        """Gives a table another name in its schema."""
        self.execute(f"ALTER TABLE {self.q(path)} RENAME TO {quoted(new[-1], self.item)}")

    def swap(self, staging: Path, target: Path) -> Published:
        """The staging table takes the target's name, the old table is dropped."""
        old = self.replaced(staging, target)
        with self.transaction():
            self.rename(target, old)
            self.rename(staging, target)
            self.execute(f"DROP TABLE {self.q(old)}")
        return Published("rename pair", atomic=True)

    def _replace(self, staging: Path, target: Path, key: tuple[str, ...]) -> Published:
        held = self.dependants(target) or self.altered(staging, target)
        if not held:
            return self.swap(staging, target)
        notes = (f"kept because of: {', '.join(held)}",)
        if held[0] == "foreign key":
            keys = key or self.describe(target).primary_key
            if not keys:
                raise MigrationError(
                    "0A000",
                    f'table "{".".join(target)}" cannot be replaced: foreign keys point at it',
                    hint="Name its key: KEY (columns).",
                )
            with self.transaction():
                check_children(self, staging, target, keys)
                self.delete_missing(staging, target, keys)
                rows = self._upsert(staging, target, keys, whole=True)
                self._end(staging)
            return Published("merge by key", atomic=True, rows=rows, notes=notes)
        with self.transaction():
            self.empty(target)
            rows = self._insert(staging, target, whole=True)
            self._end(staging)
        emptied = self.empty_statement.partition(" ")[0]
        return Published(f"{emptied} + INSERT", atomic=True, rows=rows, notes=notes)

    def empty(self, target: Path) -> None:
        """Takes every row away."""
        self.execute(self.empty_statement.format(table=self.q(target)))

    def _insert(self, staging: Path, target: Path, *, whole: bool = False) -> int:
        self._check_types(staging, target)
        arrival = Arrival(self, staging, target, self._moved(staging), whole=whole)
        names = ", ".join(quoted(name, self.item) for name in self._moved(staging))
        into = f"INSERT INTO {self.q(target)} ({names}) {self.overriding(target)}"
        rows = self.execute(f"{into}SELECT {names} FROM {self.q(staging)}") or 0
        arrival.check(rows)
        return rows

    def _upsert(self, staging: Path, target: Path, key: Sequence[str], *, whole: bool = False) -> int:
        self.check_key(staging, key)
        self._check_types(staging, target)
        names = self._moved(staging)
        arrival = Arrival(self, staging, target, names, key=key, whole=whole)
        rest = [name for name in names if name not in key]
        updated = self.update(staging, target, key, rest) if rest else 0
        arrival.check_updated()
        inserted = self.insert_missing(staging, target, key, names)
        arrival.check()
        return updated + inserted

    def references(self, target: Path) -> tuple[Reference, ...]:
        """The foreign keys at ``target`` whose rows change with it."""
        return ()

    def lock_rows(self, target: Path, condition: str) -> None:
        """Nobody comes to refer to these rows, ``t``, until the transaction ends; here, who writes is alone."""
        return None

    def overriding(self, target: Path) -> str:
        """What an INSERT says between its columns and its query, so that generated columns take numbers given."""
        return ""

    def refuse_in_part(self, staging: Path, target: Path) -> None:
        """0A000 where whole rows would take the place of others and columns do not move."""
        moved = self._moved(staging)
        left = [name for name in self._names(staging) if name not in moved]
        if left:
            raise MigrationError(
                "0A000",
                f'an upsert into "{".".join(target)}" would empty columns that do not move: {", ".join(left)}',
                detail="The engine puts whole rows in the place of others.",
                hint="Select a value for each of these columns.",
            )

    def _check_types(self, staging: Path, target: Path) -> None:
        there = {column.name: column for column in self.describe(target).columns}
        for column in self.describe(staging).columns:
            now = there.get(column.name)
            if now is None or now.type != column.type:
                raise MigrationError(
                    "40001",
                    f'table "{".".join(target)}" was altered meanwhile',
                    detail=f'Column "{column.name}" is {now.declared if now else "gone"}, and its rows were staged '
                    f"as {column.declared}.",
                    hint="Run the transfer again.",
                    column=column.name,
                )

    def insert_missing(self, staging: Path, target: Path, key: Sequence[str], names: Sequence[str]) -> int:
        """Inserts the staged rows whose key the target does not have."""
        return self.execute(self.inserting(staging, target, key, names)) or 0

    def inserting(self, staging: Path, target: Path, key: Sequence[str], names: Sequence[str]) -> str:
        """The statement of ``insert_missing``."""
        columns = ", ".join(quoted(name, self.item) for name in names)
        values = ", ".join(f"s.{quoted(name, self.item)}" for name in names)
        return (
            f"INSERT INTO {self.q(target)} ({columns}) {self.overriding(target)}"
            f"SELECT {values} FROM {self.q(staging)} AS s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.q(target)} AS t WHERE {self.match('t', 's', key)})"
        )

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        """Copies the staged values of keys that exist; the rows it touched."""
        return self.execute(self.updating(staging, target, key, rest)) or 0

    def updating(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> str:
        """The statement of ``update``."""
        sets = ", ".join(f"{quoted(name, self.item)} = s.{quoted(name, self.item)}" for name in rest)
        return f"UPDATE {self.q(target)} AS t SET {sets} FROM {self.q(staging)} AS s WHERE {self.match('t', 's', key)}"

    def delete_missing(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        """Deletes the target's rows whose key is not staged."""
        self.execute(
            f"DELETE FROM {self.q(target)} AS t WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self.q(staging)} AS s WHERE {self.match('t', 's', key)})"
        )

    def check_key(self, staging: Path, key: Sequence[str]) -> None:
        """42P10 without a key, 23502 or 21000 where the staged keys are null or repeated."""
        if not key:
            raise MigrationError("42P10", "upsert needs a key", hint="Add KEY (columns).")
        columns = ", ".join(quoted(name, self.item) for name in key)
        null = " OR ".join(f"{quoted(name, self.item)} IS NULL" for name in key)
        table = self.q(staging)
        if self.rows(f"SELECT 1 FROM {table} WHERE {null} LIMIT 1"):
            raise MigrationError("23502", f"a row has no key ({', '.join(key)})", hint="Filter it out.")
        found = self.rows(f"SELECT {columns} FROM {table} GROUP BY {columns} HAVING count(*) > 1 LIMIT 3")
        if found:
            raise MigrationError(
                "21000",
                f"the key ({', '.join(key)}) is not unique in the source",
                detail="Repeated: " + "; ".join(", ".join(map(str, row)) for row in found),
                hint="Choose another key, or select one row for each.",
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """The caller's transaction, or one of its own."""
        if self.in_transaction:
            yield
            return
        self.begin()
        try:
            yield
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def match(self, left: str, right: str, key: Sequence[str]) -> str:
        """The condition that two aliased tables have the same key."""
        return same_key(left, right, key, self.folding, self.item)

    def _names(self, path: Path) -> list[str]:
        return [column.name for column in self.describe(path).columns]

    def _moved(self, staging: Path) -> list[str]:
        """The columns whose values came with the rows; the others have their defaults in staging."""
        return [name for name in self._names(staging) if self.moved is None or name in self.moved]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
