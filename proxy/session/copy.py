"""COPY, before and after its rows: what is copied, and the one INSERT that brings received rows into a table.

Rules:

1. Rows from a client are kept aside (``Spool``) until all have come, and go in by one ``INSERT … SELECT``: on main and
   on a branch it does what any INSERT does, it is one engine transaction, and a slow client holds nothing up.
2. Columns that are not copied get their defaults. Hidden columns are none: names are those of the branch's catalog.
3. Files and programs of the server's machine are not read or written; psql's ``\\copy`` uses the client's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import CopyForm, EngineError
from branching.ddl.model import Name
from branching.errors import BoughError
from branching.model import Column, Table, View
from branching.model import Sequence as CatalogSequence
from branching.names import may_be_temporary, quote
from proxy.copying import CopyColumn, CopyOptions, CopyReader, read_options
from proxy.copying.options import check_columns
from proxy.copying.spool import Spool
from proxy.session.outcome import Columns, Outcome
from proxy.session.remote.relations import refuse_name
from proxy.sql.errors import from_engine
from proxy.sql.split import Source
from proxy.sql.statements import Copy
from proxy.types import from_engine as type_info

if TYPE_CHECKING:
    from proxy.session.session import Session

ROWS = "_bough_copy"  # what the INSERT calls the received rows


def run(session: Session, what: Copy) -> Outcome:
    """Begins a COPY; the dialogue carries on with what the outcome holds."""
    if what.filename is not None or what.program:
        raise BoughError(
            "0A000",
            "COPY from and to files of the server is not supported",
            hint="COPY … FROM STDIN and TO STDOUT use the client's files; so does psql's \\copy.",
        )
    if what.target is not None:
        refuse_name(
            session,
            what.target,
            "COPY into a table here, and TRANSFER that TO {there}."
            if what.from_client
            else "COPY (SELECT * FROM {there}) TO STDOUT reads it.",
        )
    options = read_options(what.options, from_client=what.from_client)
    if what.from_client:
        return _from_client(session, what, options)
    return _to_client(session, what, options)


# -- TO -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class CopyOut:
    """Rows on their way to the client: ``Outcome.batches`` has them."""

    options: CopyOptions


def _to_client(session: Session, what: Copy, options: CopyOptions) -> Outcome:
    statements = session.statements
    if what.target is not None:
        source = _table_query(session, what)
    else:
        assert what.query is not None
        source = what.query
    statement = statements.prepare("", source)
    if what.target is None and statement.prepared is not None and not statement.prepared.returns_rows:
        raise BoughError("0A000", "COPY query must have a RETURNING clause")
    forced: frozenset[int] = frozenset()
    if options.force_quote:
        columns: Columns = statements.describe(statement) or ()
        names = [name for name, _ in columns]
        check_columns(names, options)
        forced = frozenset(
            n for n, name in enumerate(names) if "*" in options.force_quote or name in options.force_quote
        )
    form = CopyForm(options.format, options.delimiter, options.null, options.quote, options.escape, forced)
    outcome = statements.run(statement, [], form)
    if outcome.columns is None:
        raise BoughError("0A000", "COPY query must return rows")
    outcome.copy = CopyOut(options)
    return outcome


def _table_query(session: Session, what: Copy) -> Source:
    """``COPY t TO`` as the query it stands for."""
    assert what.target is not None
    table = relation_named(session, what.target, "from")
    spelled = ".".join(
        quote(part) for part in (what.target.catalog, what.target.schema, what.target.name) if part
    )
    if table is None:  # a system relation, or none
        names = [quote(name) for name in what.columns] or ["*"]
    else:
        names = [quote(column.name) for column in copied_of(table, what.columns)]
    return Source(f"SELECT {', '.join(names)} FROM {spelled}")


# -- FROM ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class CopyIn:
    """Rows on their way from the client."""

    session: Session
    options: CopyOptions
    table: str
    columns: tuple[CopyColumn, ...]
    insert: exp.Insert
    reader: CopyReader
    spool: Spool = field(init=False)

    def __post_init__(self) -> None:
        path = self.session.service.guard.database_path
        self.spool = Spool(self.reader.schema, path.parent if path is not None else None)

    def add(self, data: bytes) -> None:
        """Takes data. On the pool."""
        for batch in self.reader.add(data):
            self.spool.add(batch)

    def finish(self) -> int:
        """The data has ended: the rows go into the table. Returns how many did."""
        for batch in self.reader.finish():
            self.spool.add(batch)
        if not self.spool.rows:
            return 0
        try:
            return bring_in(self.session, self.insert, self.spool.table())
        except EngineError as error:
            raise self._placed(from_engine(error.exception, error.message)) from error
        except BoughError as error:
            raise self._placed(error) from error

    def _placed(self, error: BoughError) -> BoughError:
        if error.context is None:
            error.context = f"COPY {self.table}"
        return error

    def close(self) -> None:
        """Gives memory and disk back."""
        self.spool.close()


def _from_client(session: Session, what: Copy, options: CopyOptions) -> Outcome:
    assert what.target is not None
    connection = session.connection
    assert connection is not None
    table = relation_named(session, what.target, "to")
    if table is None:
        raise BoughError("42P01", f'relation "{what.target}" does not exist')
    if table.schema != "pg_temp":
        connection.scope().target(what.target)  # refuses what is of another branch
    columns = copied_of(table, what.columns)
    check_columns([column.name for column in columns], options)
    session.statements.writing()
    zone = session.setting("TimeZone") or "UTC"
    copied = carriers(columns, zone)
    insert = insert_from(session, what, copied)
    reader = CopyReader(table.name, copied, options)
    outcome = Outcome(lambda rows: f"COPY {rows}")
    outcome.copy = CopyIn(session, options, table.name, copied, insert, reader)
    return outcome


def carriers(columns: Sequence[Column], zone: str) -> tuple[CopyColumn, ...]:
    """How the values of table columns travel."""
    return tuple(
        CopyColumn(column.name, column.type, type_info(column.type, column.declared), zone)
        for column in columns
    )


def relation_named(session: Session, name: Name, direction: str) -> Table | None:
    """The table a COPY names; None if the branch has no relation of that name."""
    connection = session.connection
    assert connection is not None
    if name.catalog is None and may_be_temporary(name.schema) and name.name in connection.temporary:
        return connection.temporary[name.name]
    found = connection.scope().find(name)
    relation = None if found is None else found[2]
    if isinstance(relation, View):
        raise BoughError(
            "42809",
            f'cannot copy {direction} view "{relation.name}"',
            hint="Try the COPY (SELECT query) TO variant." if direction == "from" else "Copy to its tables.",
        )
    if isinstance(relation, CatalogSequence):
        raise BoughError("42809", f'cannot copy {direction} sequence "{relation.name}"')
    return relation if isinstance(relation, Table) else None


def copied_of(table: Table, wanted: Sequence[str]) -> list[Column]:
    """The columns that are copied: those named, or all that hold a value."""
    if not wanted:
        return [column for column in table.columns if column.generated is None]
    found: list[Column] = []
    for name in wanted:
        column = next((item for item in table.columns if item.name == name), None) or table.column(name)
        if column is None:
            raise BoughError(
                "42703", f'column "{name}" of relation "{table.name}" does not exist', table=table.name
            )
        if column.generated is not None:
            raise BoughError(
                "42P10",
                f'column "{name}" is a generated column',
                detail="Generated columns cannot be used in COPY.",
            )
        if column in found:
            raise BoughError("42701", f'column "{name}" specified more than once')
        found.append(column)
    return found


def insert_from(session: Session, what: Copy, columns: Sequence[CopyColumn]) -> exp.Insert:
    """``INSERT INTO t (columns) SELECT …`` from the received rows, which are called by number."""
    assert what.target is not None
    items = [_value(column, quote(str(n))) for n, column in enumerate(columns)]
    source: exp.Expr = exp.Table(this=exp.Var(this=ROWS))
    query = exp.select(*items).from_(source)
    if what.where is not None:
        rows = exp.Subquery(
            this=query, alias=exp.TableAlias(this=exp.to_identifier(what.target.name, quoted=True))
        )
        names = [exp.column(exp.to_identifier(column.name, quoted=True)) for column in columns]
        query = exp.select(*names).from_(rows)
        query.set("where", _condition(session, what, columns))
    target = exp.table_(
        exp.to_identifier(what.target.name, quoted=True),
        db=exp.to_identifier(what.target.schema, quoted=True) if what.target.schema else None,
        catalog=exp.to_identifier(what.target.catalog, quoted=True) if what.target.catalog else None,
    )
    named = [exp.to_identifier(column.name, quoted=True) for column in columns]
    return exp.Insert(this=exp.Schema(this=target, expressions=named), expression=query)


def bring_in(session: Session, insert: exp.Insert, rows: Any) -> int:
    """Runs an INSERT made by ``insert_from`` over rows in Arrow; how many went in."""
    connection = session.prepare_connection()
    connection.sources[ROWS] = rows
    try:
        return connection.execute(insert).rowcount or 0
    finally:
        connection.sources.clear()


def _value(column: CopyColumn, x: str) -> exp.Expr:
    """A received column as the table's."""
    if column.nested:
        x = f"CAST({x} AS JSON)"
    value = f"CAST({x} AS {column.type})" if column.cast else x
    return exp.alias_(exp.Var(this=value), column.name, quoted=True)


def _condition(session: Session, what: Copy, columns: Sequence[CopyColumn]) -> exp.Where:
    """COPY … WHERE, over the copied columns."""
    assert what.target is not None
    names = ".".join(quote(part) for part in (what.target.schema, what.target.name) if part)
    prepared = session.service.statements.prepare(
        f"SELECT 1 FROM {names} WHERE {what.where}", session.statements.guard
    )
    assert prepared.tree is not None
    where: exp.Where = prepared.tree.args["where"].copy()
    if where.find(exp.Query, exp.Subquery, exp.Exists) is not None:
        raise BoughError("0A000", "cannot use subquery in COPY FROM WHERE condition")
    known = {column.name for column in columns}
    for column in where.find_all(exp.Column):
        if column.name not in known:
            raise BoughError(
                "0A000",
                f'COPY FROM WHERE on column "{column.name}" is not supported',
                detail="The condition can use the copied columns only.",
                hint="Copy into a temporary table, then INSERT … SELECT … WHERE.",
            )
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return where
