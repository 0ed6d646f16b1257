"""Tables of datasources in an ordinary statement: read first, then put in their place as relations of the engine.

Rules:

1. All tables of one datasource are read in one snapshot, before the statement itself runs: what it reads does not
   change while it runs, and an error over there comes before the first row.
2. Only needed columns and rows travel (``remote.relations``, ``remote.filters``), in batches (of a relation without
   needed columns, the number of its rows), into a database of the
   engine that belongs to this statement alone. The engine moves it to disk where memory is short. It is outside the
   session's transaction, so a statement that is planned again finds it, and a read-only transaction can use it.
3. Types are exact, or the statement is refused with HV004, which names the column. A ``numeric`` without limits gets
   those its values need, at most 38 digits.
4. The statement is bound before anything is read, so a column that does not exist costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from branching.engine.base import Cursor, EngineError
from branching.names import HIDDEN_PREFIX, literal, quote
from migration.connectors.base import Connector, ReadColumn, Reader, Source
from migration.connectors.duckdb_forms import plain, restored
from migration.connectors.queries import quoted_path
from migration.dialects import contract
from migration.dialects.quoting import spelled
from migration.dialects.type_map import map_canonical
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType
from proxy.session import functions, views
from proxy.session.outcome import Outcome
from proxy.session.remote.filters import Filters
from proxy.session.remote.relations import (
    RemoteRelation,
    alike,
    check_names,
    named,
    needed_columns,
    relations,
)
from proxy.session.scratch import Scratch
from proxy.sql.parameters import ColumnsOf

if TYPE_CHECKING:
    from proxy.session.session import Session

_GIVEN = "bough_remote_rows"
_ROW = f"{HIDDEN_PREFIX}row"
_BIGNUM = CanonicalType("decimal", scale=0)
_WIDE = "DECIMAL(38,10)"  # how a numeric without limits is described before its values are known
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"


@dataclass(slots=True)
class _Scan:
    """One relation to be read: its columns with the engine's types, and the query that is sent."""

    relation: RemoteRelation
    columns: list[tuple[ColumnSpec, str]]  # with the type it has here; empty: only the rows count
    query: str
    filtered: bool
    limit: int | None
    place: str = ""
    # Numerics without limits, and the type their values need
    fitted: dict[str, str] = field(default_factory=dict)

    def empty(self) -> str:
        """A relation of this shape without rows."""
        shown = [f"CAST(NULL AS {type_}) AS {quote(column.name)}" for column, type_ in self.columns]
        return f"SELECT {', '.join(shown) or f'1 AS {_ROW}'} WHERE false"

    def placed(self) -> str:
        """The rows where they were put."""
        shown = [
            f"CAST({quote(column.name)} AS {self.fitted[column.name]}) AS {quote(column.name)}"
            if column.name in self.fitted
            else quote(column.name)
            for column, _ in self.columns
        ]
        return f"SELECT {', '.join(shown) or _ROW} FROM {self.place}"


class RemoteScans:
    """The datasources' tables in one run of one statement; ``close`` lets go of their rows."""

    def __init__(
        self, session: Session, tree: exp.Expr, values: Sequence[Any], *, within: bool = False
    ) -> None:
        """``tree`` is the caller's own copy and is changed; nothing is read before ``describe`` or ``load``.
        ``within``: a command runs already, whose cancel ends this too."""
        self._session = session
        self._commands = session.commands.remote
        self._opened = self._commands.also_opened if within else self._commands.opened
        self._reading: tuple[Connector, ...] = ()
        self._values = values
        self._scratch = Scratch(session.service.database, session.setting("TimeZone") or "UTC")
        self.tree = tree
        self.relations = relations(session, tree)
        self.rows: dict[str, int] = {}
        self._scans: list[_Scan] = []

    # -- the ways to use it ---------------------------------------------------------------------------------

    def describe(self) -> exp.Expr:
        """The statement with relations of the right shape and without rows."""
        return self._replaced(self.shapes())

    def _replaced(self, found: Sequence[str]) -> exp.Expr:
        for scan, sql in zip(self._scans, found, strict=True):
            views.replace(scan.relation.node, sql)
        return self.tree

    def shapes(self) -> list[str]:
        """A query without rows for each relation."""
        self._with_readers(lambda _readers: None)
        return [scan.empty() for scan in self._scans]

    @property
    def depends_on_rows(self) -> bool:
        """Whether a type of ``shapes`` is another where there are rows."""
        return any(_is_wide(column) for scan in self._scans for column, _ in scan.columns)

    def types(self) -> dict[tuple[str, str], dict[str, str]]:
        """The engine's types of the columns, by the schema and name that the statement gives."""
        self._with_readers(lambda _readers: None)
        found: dict[tuple[str, str], dict[str, str]] = {}
        for scan in self._scans:
            columns = {column.name: type_ for column, type_ in scan.columns}
            key = named(scan.relation.node)
            found[key] = alike(found[key], columns) if key in found else columns
        return found

    def load(self, *, bind: bool = False, only_shape: bool = False) -> exp.Expr:
        """The statement over the rows, which are read now (``only_shape``: not). ``bind``: look up names first."""
        return self._replaced(self.fill(bind=bind, only_shape=only_shape))

    def fill(self, *, bind: bool = False, only_shape: bool = False) -> list[str]:
        """A query over the rows for each relation, which are read now."""
        try:
            self._with_readers(lambda readers: self._fill({} if only_shape else readers, bind))
        except BaseException:
            self.close()
            raise
        return [scan.placed() for scan in self._scans]

    def interrupt(self) -> None:
        """Stops the reading. From any thread."""
        for connector in self._reading:
            connector.interrupt()

    def queries(self) -> Iterator[str]:
        """What is sent, a line for each relation."""
        for scan in self._scans:
            limit = "" if scan.limit is None else f" LIMIT {scan.limit}"
            read = f"  ({self.rows[scan.place]} rows)" if scan.place in self.rows else ""
            yield f"Remote read of {scan.relation.datasource}: {scan.query}{limit}{read}"

    def close(self) -> None:
        """Lets go of the rows; from any thread, any number of times."""
        self._scratch.close()

    def closing(self, outcome: Outcome) -> Outcome:
        """``outcome``, which lets go of the rows once it is read."""
        return self._scratch.closing(outcome)

    # -- planning -------------------------------------------------------------------------------------------------

    def _with_readers(self, work: Callable[[dict[str, Reader]], None]) -> None:
        names = tuple(dict.fromkeys(relation.datasource for relation in self.relations))
        readers: dict[str, Reader] = {}
        with self._opened(*names) as connectors:
            self._reading = connectors
            try:
                for name, connector in zip(names, connectors, strict=True):
                    readers[name] = connector.reader()
                known = dict(zip(names, connectors, strict=True))
                cursor = self._scratch.cursor
                self._scans = [
                    self._scan(item, known[item.datasource], readers[item.datasource], cursor)
                    for item in self.relations
                ]
                work(readers)
            finally:
                self._reading = ()
                for reader in readers.values():
                    with suppress(MigrationError):
                        reader.close()
                if not self._scratch.attached:
                    self.close()

    def _scan(self, relation: RemoteRelation, connector: Connector, reader: Reader, cursor: Cursor) -> _Scan:
        item = contract(connector.dialect)
        found = reader.describe(Source(path=relation.path))
        needed = needed_columns(self.tree, relation.node, [column.name for column in found])
        chosen = [column for column in found if column.name in needed]
        check_names(relation, chosen)
        pushed = Filters(relation.node, found, item, self._constant).pushed()
        shown = [item.identifiers.quoted(column.name) for column in chosen] or [f"1 AS {_ROW}"]
        query = f"SELECT {', '.join(shown)} FROM {quoted_path(relation.path, item)}"
        if pushed.where:
            query += " WHERE " + " AND ".join(pushed.where)
        return _Scan(relation, [(column, _type(relation, column)) for column in chosen], query,
                     bool(pushed.where), pushed.limit)  # fmt: skip

    def _constant(self, node: exp.Expr) -> Any:
        """The value of a constant expression, computed by the engine."""
        tree = exp.select(node.copy())
        values = functions.keep_used(tree, self._values)
        try:
            return self._scratch.cursor.query(tree.sql("duckdb"), values)[0][0]
        except (EngineError, OverflowError, IndexError) as error:
            raise ValueError(str(error)) from error

    # -- reading --------------------------------------------------------------------------------------------------

    def _fill(self, readers: dict[str, Reader], bind: bool) -> None:
        if bind:
            self._bind()
        cursor, name = self._scratch.cursor, self._scratch.name
        places: dict[tuple[str, str, int | None], _Scan] = {}
        for scan in self._scans:
            same = (scan.relation.datasource, scan.query, scan.limit)
            if same in places:  # read once, used twice
                scan.place, scan.fitted = places[same].place, places[same].fitted
                continue
            places[same] = scan
            schema = f"{name}.{quote(scan.relation.datasource)}"
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            scan.place = f"{schema}.{quote(f'{scan.relation.path[-1]}_{len(places)}')}"
            kinds = [f"{quote(column.name)} {_stored(column, kind)}" for column, kind in scan.columns]
            cursor.execute(f"CREATE TABLE {scan.place} ({', '.join(kinds) or f'{_ROW} INTEGER'})")
            if scan.relation.datasource in readers:
                self._read(scan, readers[scan.relation.datasource], cursor)
            else:
                scan.fitted = {column.name: _WIDE for column, _ in scan.columns if _is_wide(column)}

    def _bind(self) -> None:
        """Lets the engine look for every name before rows are read."""
        tree = self.tree.expression if isinstance(self.tree, exp.Insert | exp.Create) else self.tree
        if not isinstance(tree, exp.Query) or (tree is not self.tree and self.tree.args.get("with_")):
            return
        nodes = {id(scan.relation.node): number for number, scan in enumerate(self._scans)}
        marked = [node for node in self.tree.find_all(exp.Table) if id(node) in nodes]
        for node in marked:
            node.meta["remote"] = nodes[id(node)]
        copied = tree.copy()
        for node in marked:
            del node.meta["remote"]
        for node in list(copied.find_all(exp.Table)):
            number = node.meta.get("remote")
            if number is not None:
                views.replace(node, self._scans[number].empty())
        assert self._session.connection is not None
        self._session.connection.describe(copied, functions.keep_used(copied, self._values))

    def _read(self, scan: _Scan, reader: Reader, cursor: Cursor) -> None:
        self._commands.check_stop()
        columns = [ReadColumn(column.name, column.type) for column, _ in scan.columns]
        values = [_value(f'"c{number}"', column, kind) for number, (column, kind) in enumerate(scan.columns)]
        source = Source(query=scan.query) if scan.filtered else Source(path=scan.relation.path)
        if not columns:  # the rows' number is all there is to know
            counted = reader.count(source)
            self.rows[scan.place] = min(counted, counted if scan.limit is None else scan.limit)
            cursor.execute(f"INSERT INTO {scan.place} SELECT 1 FROM range({self.rows[scan.place]})")
            return
        insert = f"INSERT INTO {scan.place} SELECT {', '.join(values)} FROM {_GIVEN}"
        rows = 0
        for batch in reader.read(source, columns, limit=scan.limit):
            self._commands.check_stop()
            arrays = [plain(array) for array in batch.columns]
            cursor.register(_GIVEN, pa.table(arrays, names=[f"c{number}" for number in range(len(arrays))]))
            try:
                cursor.execute(insert)
            except EngineError as error:
                raise _unfit(scan, error.message) from error
            finally:
                cursor.unregister(_GIVEN)
            rows += batch.num_rows
        self.rows[scan.place] = rows
        for column, kind in scan.columns:
            if kind == _WIDE and _is_wide(column):
                scan.fitted[column.name] = _fitted(scan, column, cursor)


def _is_wide(column: ColumnSpec) -> bool:
    kind = column.type
    wide = (kind.precision or 39) > 38 or (kind.scale or 0) > 38
    return kind.kind == "decimal" and wide and kind != _BIGNUM


def _stored(column: ColumnSpec, kind: str) -> str:
    return "VARCHAR" if _is_wide(column) else kind


def _value(given: str, column: ColumnSpec, kind: str) -> str:
    """A value as the engine keeps it; the blanks that pad a ``char(n)`` are no part of it, as in a transfer."""
    value = restored(given, column.type, _stored(column, kind))
    return f"rtrim({value}, ' ')" if column.type.kind == "text" and column.type.fixed else value


def _type(relation: RemoteRelation, column: ColumnSpec) -> str:
    """The engine's type of a column; HV004 where it has none that keeps every value."""
    if _is_wide(column) or column.type == _BIGNUM:
        return _WIDE if _is_wide(column) else "BIGNUM"
    mapping = map_canonical(column.type, contract("duckdb"))
    if not mapping.is_safe:
        raise MigrationError(
            "HV004",
            f'column "{column.name}" of {relation.label} has type {column.declared or column.type}, '
            "which cannot be read exactly",
            detail=mapping.reason or None,
            hint="Name the columns you need, or cast it there: "
            f"QUERY {spelled(relation.datasource)} AS $$ SELECT … $$.",
            column=column.name,
        )
    return mapping.target_type


def _fitted(scan: _Scan, column: ColumnSpec, cursor: Cursor) -> str:
    """The DECIMAL that holds every value of a numeric without limits."""
    name = quote(column.name)
    other, whole, fraction = cursor.query(
        f"SELECT min({name}) FILTER (NOT regexp_full_match({name}, {literal(_NUMBER)})),"
        f" max(length(ltrim(split_part({name}, '.', 1), '-0'))), max(length(split_part({name}, '.', 2)))"
        f" FROM {scan.place}"
    )[0]
    whole, fraction = whole or 0, fraction or 0
    if other is not None or whole + fraction > 38:
        reason = f"It holds {other}." if other is not None else f"It needs {whole + fraction} digits, of 38."
        raise _unfit(scan, reason, column.name)
    return f"DECIMAL({max(whole + fraction, 1)},{fraction})"


def _unfit(scan: _Scan, reason: str, column: str | None = None) -> MigrationError:
    what = f'column "{column}" of {scan.relation.label}' if column else scan.relation.label
    return MigrationError(
        "HV004",
        f"{what} has a value that cannot be read exactly",
        detail=reason,
        hint=f"Cast it there: QUERY {spelled(scan.relation.datasource)} AS $$ SELECT … $$.",
        column=column,
    )


def run(
    session: Session,
    tree: exp.Expr,
    values: Sequence[Any],
    execute: Callable[[exp.Expr], Outcome],
    *,
    bind: bool,
) -> Outcome:
    """``execute``'s outcome of ``tree`` over the rows of its datasources' tables."""
    scans = RemoteScans(session, tree.copy(), values)
    if not scans.relations:
        return execute(scans.tree)
    placed = scans.load(bind=bind, only_shape=isinstance(tree, exp.Describe))  # which asks for no row
    try:
        outcome = execute(placed)
        return scans.closing(outcome)
    except BaseException:
        scans.close()
        raise


def columns_elsewhere(
    session: Session, tree: exp.Expr, otherwise: ColumnsOf, *, within: bool = False
) -> ColumnsOf:
    """Column types by the name a statement uses, of datasources' tables too: for its parameters and strings.

    A datasource is asked at the first look at one of its tables. Where two tables have one name (``a.s.t`` and
    ``b.s.t``), only columns that are alike are known.
    """
    scans = RemoteScans(session, tree.copy(), (), within=within)
    remote = {id(relation.node) for relation in scans.relations}
    elsewhere = {named(relation.node) for relation in scans.relations}
    here = {named(node) for node in scans.tree.find_all(exp.Table) if id(node) not in remote}
    known: dict[tuple[str, str], dict[str, str]] = {}

    def find(schema: str | None, name: str) -> Mapping[str, str] | None:
        key = (schema or "", name)
        if key not in elsewhere:
            return otherwise(schema, name)
        if not known:
            known.update(scans.types())
        if key not in here:
            return known[key]
        return alike(known[key], otherwise(schema, name) or {})

    return find
