"""A branch of the served database as one end of a transfer: the datasource ``local``.

Rules:

1. Every reader and every writer has a session of its own on the branch. A reader is one read-only transaction, so
   one snapshot; a writer is one transaction that ends with ``publish``: the target is old or new.
2. SQL comes in DuckDB's dialect with logical names, and goes the way of all statements: parsed, resolved by the
   branch's catalog, planned. Nothing here names storage.
3. A name without a schema is looked for on the session's search path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from branching import Connection, pins
from branching.ddl.model import Name
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.model import DEFAULT_SCHEMA, Catalog, Table, View
from branching.names import is_pin, quote
from branching.row_counts import row_counts
from migration.connectors.base import (
    BATCH_ROWS,
    Executed,
    Path,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    Writer,
)
from migration.connectors.duckdb_forms import exported, imported, typed
from migration.connectors.opening import guard_rows
from migration.connectors.reading import SqlReader
from migration.datasources.datasource import LOCAL
from migration.dialects import contract
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, SequenceSpec, TableSpec
from proxy.session.analysis import WRITES
from proxy.session.local import definition as local_definition
from proxy.session.local import numbers as endpoint_numbers
from proxy.session.local.tables import spec_of
from proxy.session.remote.places import RemotePlaces
from proxy.sql.errors import from_engine
from proxy.sql.prepare import Prepared
from proxy.sql.statements import Kind

if TYPE_CHECKING:
    from proxy.session.session import Session

DIALECT = "duckdb"
PIN_SECONDS = 24 * 3600  # how long a transfer that broke off can be resumed in its snapshot


class LocalConnector:
    """The branch ``branch`` (the session's own if None) as a datasource."""

    name = LOCAL
    dialect = DIALECT
    read_only = False
    taken_rows = BATCH_ROWS
    keeps_lengths = True
    charset: str | None = None
    keeps_snapshots = True
    options = None
    seen_version = None

    def __init__(self, session: Session, branch: str | None = None) -> None:
        assert session.connection is not None
        self.session = session
        self._line = session.service.database.line(branch or session.connection.branch)
        self.item = contract(DIALECT)
        self._open: list[Connection] = []
        self.elsewhere = RemotePlaces(session)

    @property
    def branch(self) -> str:
        """Its name, which may be another by now."""
        return self._line.name

    def connect(self, branch: str | None = None) -> Connection:
        """A session of its own on the branch (or on a pin of it), in UTC."""
        with translated():
            database = self.session.service.database
            if branch is None and database.lines.get(self._line.id) is not self._line:
                raise database.no_branch(self.branch)
            opened = database.connect(branch or self.branch, role=self.session.user)
            self._open.append(opened)
            opened.cursor.set_time_zone("UTC")
        here = self.session.connection
        if here is not None:
            opened.search_path, opened.author = here.search_path, here.author
            opened.database_names, opened.statement_text = here.database_names, self.session.shown_statement
        return opened

    def closed(self, connection: Connection) -> None:
        """Ends a session of ours."""
        if connection in self._open:
            self._open.remove(connection)
        connection.close()

    def version(self) -> str:
        with self.reader() as reader:
            return str(reader.rows("SELECT version()")[0][0]).removeprefix("v")

    def test(self) -> None:
        self.version()

    def databases(self) -> list[str]:
        return sorted(
            line.name for line in list(self.session.service.database.lines.values()) if not is_pin(line.name)
        )

    def catalog(self) -> Catalog:
        """The branch's catalog as it is now."""
        database = self.session.service.database
        with translated():
            return database.loaded(self._line).catalog

    def schemas(self) -> list[str]:
        return sorted({DEFAULT_SCHEMA, *self.catalog().schemas})

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        catalog = self.catalog()
        tables = [table for table in catalog.tables() if schema in (None, table.schema)]
        connection = self.connect()
        try:
            counts = row_counts(connection, tables)
        finally:
            self.closed(connection)
        found = [TableEntry(table.schema, table.name, rows=counts.get(table.id)) for table in tables]
        found += [TableEntry(view.schema, view.name, "view") for view in catalog.views()]
        return sorted(
            (entry for entry in found if schema in (None, entry.schema)), key=lambda e: (e.schema, e.name)
        )

    def find(self, path: Path, catalog: Catalog | None = None) -> Table | View | None:
        """The table or view that ``path`` means on this branch; in ``catalog``, if one is given."""
        here = self.session.connection
        schemas = path[-2:-1] or (here.search_path if here is not None else (DEFAULT_SCHEMA,))
        catalog = catalog or self.catalog()
        for schema in schemas:
            found = catalog.find(DEFAULT_SCHEMA if schema == "main" else schema, path[-1])
            if isinstance(found, Table | View):
                return found
        return None

    def describe(self, path: Path) -> RemoteTable:
        found = self.find(path)
        if found is None:
            raise self.missing(path)
        if isinstance(found, Table):
            return RemoteTable(spec_of(found, self.catalog()))
        with self.reader() as reader:
            columns = reader.describe(Source(path=path))
        return RemoteTable(TableSpec((found.schema, found.name), columns, dialect=DIALECT), "view")

    def target_notes(self, path: Path, *, kept: bool) -> tuple[str, ...]:
        """Rows of a branch stay."""
        return ()

    def definition(self, path: Path) -> str | None:
        found = self.find(path)
        if found is None:
            raise self.missing(path)
        if isinstance(found, View):
            return f"CREATE VIEW {quote(found.schema)}.{quote(found.name)} AS {found.sql}"
        return local_definition.definition(found, self.catalog())

    def missing(self, path: Path) -> MigrationError:
        """42P01 for a table that is not there: it is missed here, and not in another database."""
        return MigrationError(
            "42P01",
            f'relation "{".".join(path)}" does not exist',
            detail=f'Branch "{self.branch}" has no table and no view of that name.',
            hint="SHOW TABLES FROM local lists them.",
        )

    def reader(self, snapshot: str | None = None) -> LocalReader:
        """A new snapshot, or that of a pin."""
        found = LocalReader(self, self.connect(snapshot))
        found.snapshot = snapshot
        return found

    def pin(self, holder: str) -> str:
        """Keeps the branch as it is now; the result is a snapshot for ``reader``, also after a restart."""
        if self.elsewhere.in_use:
            raise MigrationError("55P03", "a query that reads datasources has no snapshot to be kept")
        with translated():
            return pins.pin(
                self.session.service.database, self.branch, holder, role=self.session.user, ttl=PIN_SECONDS
            )

    def unpin(self, snapshot: str) -> None:
        """Lets go of what ``pin`` keeps."""
        with translated():
            pins.release(self.session.service.database, snapshot)

    def writer(self) -> Writer:
        from proxy.session.local.writer import LocalWriter

        return LocalWriter(self, self.connect())

    def refuse_writing(self) -> None:
        """25006 where the branch takes no transfers."""
        if self._line.record.protected:
            raise MigrationError(
                "25006",
                f'branch "{self.branch}" is protected',
                hint=f"BRANCH ALTER {quote(self.branch)} SET (protected false), or ON BRANCH another.",
            )

    def execute(
        self, statement: str, *, dry_run: bool = False, rows_between: tuple[int, int] | None = None
    ) -> Executed:
        """A statement of the client's own dialect, in a transaction of its own."""
        from proxy.session.local import text as local_text
        from proxy.session.local.writer import LocalWriter

        found = self.prepared(statement)
        kind = found.kind.value
        self.refuse_writing()
        with LocalWriter(self, self.connect()) as writer:
            with translated(), local_text.placed(self.session, found) as placed:
                rows = writer.connection.execute(placed).rowcount
            rows = rows if found.kind in (*WRITES, Kind.CREATE_TABLE_AS) else None
            guard_rows(rows, rows_between)
            if dry_run:
                writer.rollback()
            else:
                writer.commit()
        return Executed(rows, kind, committed=not dry_run)

    def sequences(self, schema: str) -> Sequence[SequenceSpec]:
        """None are told: a branch's sequences stay with it."""
        return ()

    def make_sequence(self, path: Path, found: SequenceSpec) -> bool:
        """None is made."""
        return False

    def count_on(self, path: Path, column: str) -> int | None:
        """Generated numbers of a column go on behind those in the table."""
        found = self.find(path)
        item = found.column(column) if isinstance(found, Table) else None
        if item is None:
            return None
        assert isinstance(found, Table)
        connection = self.connect()
        try:
            with translated():
                return endpoint_numbers.count_on(connection, found, item)
        finally:
            self.closed(connection)

    def prepared(self, statement: str) -> Prepared:
        """A writing statement, read and guarded as any of the session's is; 42601 for any other."""
        from proxy.session.local import text as local_text

        with translated():
            return local_text.statement(self.session, statement, self.catalog())

    def interrupt(self) -> None:
        self.elsewhere.interrupt()
        for connection in tuple(self._open):
            connection.interrupt()

    def abandon(self) -> None:
        """What is in this process answers."""

    def let_go(self) -> None:
        """A session is there at once."""

    def close(self) -> None:
        for connection in tuple(self._open):
            self.closed(connection)
        self.elsewhere.close()


class LocalReader(SqlReader):
    """One read-only transaction on a branch."""

    def __init__(self, connector: LocalConnector, connection: Connection) -> None:
        self.connector, self.connection, self.item = connector, connection, connector.item
        with translated():
            connection.begin(read_only=True)

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        found = self.connector.find(source.path) if source.path else None
        if source.path and found is None:
            raise self.connector.missing(source.path)
        if isinstance(found, Table):
            return spec_of(found).columns
        tree = exp.select("*")
        if found is not None:
            tree = tree.from_(exp.table_(found.name, db=found.schema, quoted=True))
        else:
            with translated():
                query = self.connector.elsewhere.placed(source.query, with_rows=False)
            tree = tree.from_(exp.Subquery(this=query, alias=exp.TableAlias(this="q")))
        return described(self.connection, tree)

    def check(self, source: Source) -> None:
        super().check(source)
        if source.query:
            with translated():
                self.connector.elsewhere.know(source.query)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with translated():
            return self.connection.execute(self._tree(text)).fetchall()

    def _tree(self, text: str) -> exp.Expr:
        elsewhere = self.connector.elsewhere
        return elsewhere.placed(text) if elsewhere.in_use else parsed(text)

    def projection(self, column: ReadColumn) -> str:
        name = self.item.identifiers.quoted(column.name)
        return f"{exported(column.expression or name, column.type)} AS {name}"

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        with translated():
            tree = self._tree(text)
        return streamed(self.connection, tree, columns, rows, size)

    def close(self) -> None:
        self.connector.closed(self.connection)


def streamed(
    connection: Connection, tree: exp.Expr, columns: Sequence[ReadColumn], rows: int, size: int
) -> Iterator[pa.RecordBatch]:
    """The batches of a query whose columns are ``exported``, in canonical form."""
    with translated():
        for batch in connection.cursor.arrow_batches(connection.plan(tree).sql, rows):
            arrays = [imported(array, item) for array, item in zip(batch.columns, columns, strict=True)]
            whole = pa.record_batch(arrays, names=[item.name for item in columns])
            step = max(1, size * whole.num_rows // max(whole.nbytes, 1))
            for start in range(0, whole.num_rows, step):
                yield whole.slice(start, step)


def described(connection: Connection, tree: exp.Expr) -> tuple[ColumnSpec, ...]:
    """The columns of a query, which does not run."""
    with translated():
        found = connection.describe(tree) or ()
    return tuple(
        ColumnSpec(column.name, parse_type(typed(column.type), DIALECT), declared=typed(column.type))
        for column in found
    )


def parsed(text: str) -> exp.Expr:
    """One statement of the engine's dialect as a tree."""
    try:
        return sqlglot.parse_one(text, dialect=DIALECT)
    except sqlglot.ParseError as error:
        raise MigrationError("42601", "the statement cannot be read", detail=str(error)) from error


def table_name(path: Path) -> Name:
    """A path as the name of a table."""
    return Name(path[-1], path[-2] if len(path) > 1 else None)


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the branch as those of a transfer."""
    try:
        yield
    except EngineError as error:
        raise as_migration(from_engine(error.exception, error.message)) from error
    except BoughError as error:
        raise as_migration(error) from error


def as_migration(error: BoughError) -> MigrationError:
    """The same refusal in migration's own error type."""
    return MigrationError(
        error.sqlstate,
        error.message,
        detail=error.detail,
        hint=error.hint,
        schema=error.schema,
        table=error.table,
        column=error.column,
        constraint=error.constraint,
    )
