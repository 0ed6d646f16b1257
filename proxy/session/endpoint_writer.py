"""A transfer into a branch: one transaction from the first row to the last.

Rules:

1. Staging is a temporary table of the writer's own session. Nobody else sees it, and it is gone with the session.
2. ``publish`` is DML of that one transaction and its COMMIT: others see the old rows or the new ones.
3. Keys and NOT NULL of a new table are kept aside until it is made, in ``publish``; staging has columns alone.
4. The connector remembers what was committed: a staging table that it does not know as published never was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import pyarrow as pa
from sqlglot import exp

from branching import Connection
from branching.ddl_model import Drop, Name
from branching.model import Table
from migration.connectors.arrow import arrow_schema
from migration.connectors.base import BATCH_BYTES, BATCH_ROWS, Mode, Path, Published, ReadColumn, WriteResult
from migration.connectors.duckdb_forms import Incoming, exported
from migration.connectors.queries import quoted
from migration.connectors.writing import SqlWriter
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.types_parse import parse_type
from proxy.session.endpoint import DIALECT, LocalConnector, described, parsed, spec_of, streamed, translated

_GIVEN = "bough_given"
_MARK = "__stg_"


class LocalWriter(SqlWriter):
    """One session that writes to a branch, in one transaction."""

    def __init__(self, connector: LocalConnector, connection: Connection) -> None:
        self.connector, self.connection, self.item = connector, connection, connector.item
        self._definition: exp.Expr | None = None
        self._notes: list[str] = []
        self.begin()

    def begin(self) -> None:
        if not self.in_transaction:
            with translated():
                self.connection.begin()
            self.in_transaction = True

    def commit(self) -> None:
        self.in_transaction = False
        with translated():
            self.connection.commit()

    def rollback(self) -> None:
        self.in_transaction = False
        self.connection.rollback()

    def close(self) -> None:
        self.rollback()
        self.connector.closed(self.connection)

    # -- what is there --------------------------------------------------------------------------------------------

    def exists(self, path: Path) -> bool:
        if _MARK in path[-1]:
            return path[-1] not in self.connector.published
        return self.connector.find(path) is not None

    def describe(self, path: Path) -> TableSpec:
        staged = self.connection.temporary.get(path[-1])
        if staged is not None:
            columns = tuple(
                ColumnSpec(column.name, parse_type(column.type, DIALECT), declared=column.type)
                for column in staged.columns
            )
            return TableSpec(path, columns, dialect=DIALECT)
        found = self.connector.find(path)
        if not isinstance(found, Table):
            raise self.connector.missing(path)
        return spec_of(found)

    def names(self, schema: str | None) -> list[Path]:
        return []  # staging ends with its session: none is ever left

    def dependants(self, path: Path) -> tuple[str, ...]:
        return ()

    def rows(self, text: str) -> list[tuple[object, ...]]:
        with translated():
            return self.connection.execute(parsed(text)).fetchall()

    def fetch(self, query: str) -> pa.Table:
        found = described(self.connection, parsed(query))
        columns = [ReadColumn(column.name, column.type) for column in found]
        names = [quoted(column.name, self.item) for column in columns]
        picked = ", ".join(
            f"{exported(name, column.type)} AS {name}" for name, column in zip(names, columns, strict=True)
        )
        text = f"SELECT {picked} FROM ({query}) AS q"
        batches = list(streamed(self.connection, text, columns, BATCH_ROWS, BATCH_BYTES))
        return pa.Table.from_batches(batches, arrow_schema([(item.name, item.type) for item in columns]))

    # -- staging --------------------------------------------------------------------------------------------------

    def execute(self, statement: str) -> int | None:
        tree = parsed(statement)
        if isinstance(tree, exp.Comment):
            self._notes.append("comments are not kept")
            return None
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            self._definition = tree
            columns = [item for item in tree.this.expressions if isinstance(item, exp.ColumnDef)]
            body = ", ".join(f"{item.this.sql(DIALECT)} {item.args['kind'].sql(DIALECT)}" for item in columns)
            return self._run(parsed(f"CREATE TEMP TABLE {tree.this.this.sql(DIALECT)} ({body})"))
        return self._run(tree)

    def _run(self, tree: exp.Expr) -> int | None:
        with translated():
            return self.connection.execute(tree).rowcount

    def staging(self, target: Path, job: str) -> Path:
        return super().staging(target, job)[-1:]

    def create_like(self, staging: Path, target: Path) -> None:
        columns = self.describe(target).columns
        body = ", ".join(f"{quoted(column.name, self.item)} {column.declared}" for column in columns)
        self._run(parsed(f"CREATE TEMP TABLE {self.q(staging)} ({body})"))

    def drop(self, path: Path) -> None:
        if path[-1] in self.connection.temporary:
            with translated():
                self.connection.execute(Drop("table", (Name(path[-1]),)))

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        iterator = iter(batches)
        first = next(iterator, None)
        if first is None:
            return WriteResult(0, 0, "INSERT from Arrow")
        incoming = Incoming(chain([first], iterator), first.schema, self.describe(path), self.item)
        cursor = self.connection.cursor
        with translated():
            cursor.register(_GIVEN, incoming.reader)
            try:
                rows = cursor.execute(incoming.insert(f"temp.main.{self.q(path)}", _GIVEN))
            finally:
                cursor.unregister(_GIVEN)
        return WriteResult(rows or 0, incoming.size, "INSERT from Arrow")

    # -- publishing -----------------------------------------------------------------------------------------------

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        there = self.connector.find(target) is not None
        if there and mode == "create":
            raise MigrationError(
                "42P07",
                f'table "{".".join(target)}" already exists',
                hint="Use MODE replace, append or upsert.",
            )
        if not there:
            self._create(target)
        elif mode == "replace":
            self._run(parsed(f"DELETE FROM {self.q(target)}"))
        upsert = there and mode == "upsert"
        rows = self._upsert(staging, target, key) if upsert else self._insert(staging, target)
        self.drop(staging)
        self.commit()
        self.connector.published.add(staging[-1])
        return Published("one transaction of the branch", True, rows, tuple(dict.fromkeys(self._notes)))

    def _create(self, target: Path) -> None:
        assert self._definition is not None
        made = self._definition.copy()
        made.this.set("this", exp.table_(target[-1], db=target[-2] if len(target) > 1 else None, quoted=True))
        self._run(made)
