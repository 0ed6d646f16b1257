"""A transfer into a branch: one transaction from the first row to the last.

Rules:

1. Staging is a temporary table of the writer's own session. Nobody else sees it, and it is gone with the session.
2. ``publish`` is DML of that one transaction and its COMMIT: others see the old rows or the new ones.
3. Keys, NOT NULL, defaults and comments of a new table are kept aside until it is made, in ``publish``; staging has
   columns alone.
4. The transaction that publishes leaves a mark with the staging table's name in it (``branching.pins``), so whether it
   was published is known after any crash.
5. A table that others refer to is replaced by key: no reference is left without its row on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain

import pyarrow as pa
from sqlglot import exp

from branching import Connection, names, pins, temporary
from branching.ddl.model import CommentOn, CreateView, Drop, Name, Truncate
from branching.dml.lengths import declared_limit
from branching.model import DEFAULT_SCHEMA, Table, View
from migration.connectors.arrow import arrow_schema
from migration.connectors.base import BATCH_BYTES, BATCH_ROWS, Mode, Path, Published, ReadColumn, WriteResult
from migration.connectors.duckdb_forms import Incoming, exported
from migration.connectors.queries import quoted
from migration.connectors.staged_names import is_staging
from migration.connectors.writing import SqlWriter
from migration.ddl.lexer import lex
from migration.ddl.reader import read_table
from migration.dialects import DialectContract
from migration.errors import MigrationError
from migration.model import TableSpec
from proxy.session.local import numbers as endpoint_numbers
from proxy.session.local.endpoint import (
    DIALECT,
    LocalConnector,
    described,
    parsed,
    streamed,
    table_name,
    translated,
)
from proxy.session.local.tables import spec_of, staged_column

_GIVEN = "bough_given"


@contextmanager
def _hinted() -> Iterator[None]:
    """A value that a column's type cannot hold is refused with what to do."""
    try:
        yield
    except MigrationError as error:
        if error.hint is None and error.sqlstate.startswith("22"):
            error.hint = "CAST the column in the query, leave it out (SKIP), or move it AS TEXT."
        raise


def _declare_lengths(made: exp.Expr, text: str, item: DialectContract) -> None:
    """Tells the branch what lengths ``text`` declares: the tree of the engine's dialect has lost them."""
    declared = {column.name: column.type_text for column in read_table(lex(text, item), text, item).columns}
    for column in made.find_all(exp.ColumnDef):
        if limit := declared_limit(declared.get(column.name)):
            column.meta["declared"] = limit.shown


class LocalWriter(SqlWriter):
    """One session that writes to a branch, in one transaction."""

    swaps_always = True

    def __init__(self, connector: LocalConnector, connection: Connection) -> None:
        self.connector, self.connection, self.item = connector, connection, connector.item
        self._definition: exp.Expr | None = None
        self._comments: list[exp.Comment] = []
        self._counting: tuple[str, ...] = ()
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
        if is_staging(path):
            with translated():
                return not pins.marked(self.connector.session.service.database, [path[-1]])
        return self._find(path) is not None

    def _find(self, path: Path) -> Table | View | None:
        """As this session sees it now, its own changes included."""
        return self.connector.find(path, self.connection.catalog)

    def describe(self, path: Path) -> TableSpec:
        staged = self.connection.temporary.get(path[-1])
        if staged is not None:
            return TableSpec(path, tuple(map(staged_column, staged.columns)), dialect=DIALECT)
        found = self._find(path)
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
        batches = list(streamed(self.connection, parsed(text), columns, BATCH_ROWS, BATCH_BYTES))
        return pa.Table.from_batches(batches, arrow_schema([(item.name, item.type) for item in columns]))

    # -- staging --------------------------------------------------------------------------------------------------

    def execute(self, statement: str) -> int | None:
        """DDL of a plan: a table is staging first, a view of a schema that moves is made as it is."""
        tree = parsed(statement)
        if isinstance(tree, exp.Comment):
            self._comments.append(tree)
            return None
        if isinstance(tree, exp.Create | exp.Drop) and tree.args.get("kind") == "VIEW":
            named = tree.find(exp.Table)
            assert named is not None
            name = Name(named.name, named.db or None)
            with translated():
                if isinstance(tree, exp.Drop):
                    return self.connection.execute(Drop("view", (name,))).rowcount
                return self.connection.execute(CreateView(name, tree.expression)).rowcount
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            _declare_lengths(tree, statement, self.item)
            self._definition = tree
            columns = [item for item in tree.this.expressions if isinstance(item, exp.ColumnDef)]
            self._stage(tree.this.this.name, [item.copy() for item in columns])
            return None
        return self._run(tree)

    def _run(self, tree: exp.Expr) -> int | None:
        with translated():
            return self.connection.execute(tree).rowcount

    def counts(self, columns: Sequence[str]) -> None:
        """These columns of the new table are to give numbers of their own: the engine's dialect has no word for it."""
        self._counting = tuple(columns)

    def staging(self, target: Path, job: str) -> Path:
        return super().staging(target, job)[-1:]

    def create_like(self, staging: Path, target: Path) -> None:
        columns = self.describe(target).columns
        body = ", ".join(f"{quoted(column.name, self.item)} {column.declared}" for column in columns)
        text = f"CREATE TABLE {self.q(staging[-1:])} ({body})"
        tree = parsed(text)
        _declare_lengths(tree, text, self.item)
        self._stage(staging[-1], list(tree.find_all(exp.ColumnDef)))

    def _stage(self, name: str, columns: Sequence[exp.ColumnDef]) -> None:
        made = parsed(f"CREATE TEMP TABLE {self.q((name,))} (bough INTEGER)")
        for column in columns:
            column.set("constraints", None)
        made.this.set("expressions", columns)
        self._run(made)
        temporary.identify(self.connection, name)

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
        with _hinted(), translated():
            cursor.register(_GIVEN, incoming.reader)
            try:
                rows = cursor.execute(incoming.insert(f"{names.temporary(path[-1])}", _GIVEN))
            except BaseException as reason:
                with suppress(Exception):  # a transaction that is over takes no call, and must not hide why
                    cursor.unregister(_GIVEN)
                raise incoming.failure or reason from None
            cursor.unregister(_GIVEN)
        return WriteResult(rows or 0, incoming.size, "INSERT from Arrow")

    # -- publishing -----------------------------------------------------------------------------------------------

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        found = self._find(target)
        there = found is not None
        if there and mode == "create":
            raise MigrationError(
                "42P07",
                f'table "{".".join(target)}" already exists',
                hint="Use MODE replace, append or upsert.",
            )
        notes: tuple[str, ...] = ()
        if not there:
            rows = self._make(staging, target)
        elif mode == "recreate":
            with translated():
                self.connection.execute(Drop("table", (table_name(target),)))
            rows = self._make(staging, target)
        elif mode == "replace" and isinstance(found, Table) and (referring := self._referring(found)):
            rows = self._merge(staging, target, found, key)
            notes = (f"kept because of: foreign key of {', '.join(referring)}",)
        elif mode == "replace":
            with translated():
                self.connection.execute(Truncate((table_name(target),)))
            rows = self._insert(staging, target)
        else:
            rows = self._insert(staging, target) if mode == "append" else self._upsert(staging, target, key)
        self.drop(staging)
        filled = self._find(target)
        assert isinstance(filled, Table)
        with translated():
            pins.mark(self.connection, staging[-1], filled.id)
        self.commit()
        return Published("one transaction of the branch", True, rows, notes)

    def _insert(self, staging: Path, target: Path, *, whole: bool = False) -> int:
        self._check_types(staging, target)
        moved = ", ".join(quoted(name, self.item) for name in self._moved(staging))
        tree = parsed(f"INSERT INTO {self.q(target)} ({moved}) SELECT {moved} FROM {self.q(staging)}")
        assert isinstance(tree, exp.Insert)
        return self._run(temporary.identified(tree)) or 0

    def _referring(self, table: Table) -> list[str]:
        """Other tables whose foreign keys point at one."""
        return [
            other.name
            for other in self.connection.catalog.tables()
            for key in other.constraints
            if key.kind == "f"
            and other.id != table.id
            and key.ref_table == table.name
            and (key.ref_schema or DEFAULT_SCHEMA) == table.schema
        ]

    def _merge(self, staging: Path, target: Path, table: Table, key: Sequence[str]) -> int:
        keys = key or spec_of(table).primary_key
        if not keys:
            raise MigrationError(
                "0A000",
                f'table "{".".join(target)}" cannot be replaced: foreign keys point at it',
                hint="Name its key: KEY (columns).",
            )
        rows = self._upsert(staging, target, keys)
        self.delete_missing(staging, target, keys)
        return rows

    def _make(self, staging: Path, target: Path) -> int:
        """The new table, with columns that count on behind its rows."""
        self._create(target)
        for column in self._counting:
            made = self._find(target)
            assert isinstance(made, Table)
            with translated():
                endpoint_numbers.generate(self.connection, made, column, staging[-1])
        return self._insert(staging, target)

    def _create(self, target: Path) -> None:
        assert self._definition is not None
        made = self._definition.copy()
        own = exp.table_(target[-1], db=target[-2] if len(target) > 1 else None, quoted=True)
        staged = made.this.this.name
        for named in list(made.find_all(exp.Table)):  # a reference to itself is one to staging yet
            if named.name == staged:
                named.replace(own.copy())
        self._run(made)
        for comment in self._comments:
            on_column = str(comment.args["kind"]).upper() == "COLUMN"
            column = comment.this.name if on_column else None
            with translated():
                self.connection.execute(
                    CommentOn(
                        "column" if on_column else "table",
                        table_name(target),
                        comment.expression.name,
                        column,
                    )
                )

    def read_staging(self, path: Path, columns: Sequence[ReadColumn]) -> Iterator[pa.RecordBatch]:
        """Staged rows, which only this session sees."""
        names = [quoted(column.name, self.item) for column in columns]
        picked = ", ".join(
            f"{exported(name, column.type)} AS {name}" for name, column in zip(names, columns, strict=True)
        )
        return streamed(
            self.connection, parsed(f"SELECT {picked} FROM {self.q(path)}"), columns, BATCH_ROWS, BATCH_BYTES
        )
