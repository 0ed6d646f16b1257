"""What a branch has changed: per table, row by row, in its schema, and as statements that do it again.

A diff is against the merge base with another branch (its parent unless said otherwise): what ``BRANCH MERGE`` would
bring. ``direct`` compares the two as both stand now. Like a merge it looks at changed rows only, never at the table,
and matches tables and columns by id: a rename is a rename.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from branching import names
from branching.branch_info import TableStatus
from branching.diff_past import NOW, Moments, past_sides
from branching.engine.base import Cursor
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author
from branching.merge_sides import Rows, Sides, fork_line, pair_base
from branching.merge_values import any_of, distinct, lifted
from branching.model import Catalog, Table
from branching.names import RID, quote
from branching.result import Result
from branching.transaction import Transaction

if TYPE_CHECKING:
    from branching.connection import Connection
    from branching.database import Database

_BYTES_PER_ROW = 64
_TRIES = 12


@dataclass(frozen=True, slots=True)
class TableDiff:
    """A row of BRANCH DIFF in the format ``summary``."""

    schema: str
    table: str
    change: str  # added, removed, changed, renamed
    rows_added: int = 0
    rows_removed: int = 0
    rows_modified: int = 0
    cells_modified: int = 0
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """A row of BRANCH DIFF in the format ``schema``."""

    schema: str
    table: str
    object: str
    change: str  # added, removed, changed, renamed
    from_definition: str | None
    to_definition: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A table on both sides of a diff."""

    before: Table | None
    after: Table | None

    @property
    def shown(self) -> Table:
        found = self.after or self.before
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two states at one instant: the sides, their catalogs, a cursor whose snapshot holds both."""

    cursor: Cursor
    sides: Sides
    before: Catalog
    after: Catalog

    def pairs(self) -> list[Pair]:
        old = {table.id: table for table in self.before.tables()}
        new = {table.id: table for table in self.after.tables()}
        found = [Pair(old.get(i), new.get(i)) for i in dict.fromkeys([*old, *new])]
        return sorted(found, key=lambda pair: (pair.shown.schema, pair.shown.name))

    def pair(self, name: str) -> Pair:
        schema, _, table = name.rpartition(".")
        for pair in self.pairs():
            for side in (pair.after, pair.before):
                if side is not None and side.name == table and schema in ("", side.schema):
                    return pair
        raise BoughError("42P01", f'relation "{name}" does not exist on either side of the diff')

    def rows(self, pair: Pair) -> Rows:
        return self.sides.rows(pair.before, pair.after)

    def may_differ(self, pair: Pair) -> bool:
        if pair.before is None or pair.after is None or self.sides.base_line is not None:
            return True
        return pair.after.id in self.sides.source.touched


@contextmanager
def comparison(
    database: Database,
    branch: str,
    against: str | None = None,
    *,
    direct: bool = False,
    moments: Moments = NOW,
) -> Iterator[Comparison]:
    """``branch`` compared with its merge base with ``against``, or (direct, or between moments) with that itself."""
    line = database.line(branch)
    other = _other(database, line, against)
    cursor = database.root.cursor()
    transaction: Transaction | None = None
    try:
        for _ in range(_TRIES):
            transaction = Transaction(database, cursor, line, Author(), explicit=False, read_only=True)
            cursor.query(f"SELECT count(*) FROM {names.MANIFEST_SCHEMA}.meta")
            sides = (
                past_sides(database, transaction.physical, line, other, moments)
                if moments.past
                else _sides(database, transaction, line, other, direct)
            )
            catalog = sides.base_catalog
            if transaction.confirm() and sides.still_true():
                yield Comparison(cursor, sides, catalog, sides.source_catalog(transaction.catalog))
                return
            transaction.rollback()
        raise BoughError("40001", "the schema kept changing while the diff was planned", hint="Retry.")
    finally:
        if transaction is not None:
            transaction.rollback()
        cursor.close()


def _other(database: Database, line: Line, against: str | None) -> Line:
    if against is not None:
        return database.line(against)
    parent = database.lines.get(line.record.parent) if line.record.parent is not None else None
    return database.loaded(parent) if parent is not None else line


def _sides(database: Database, transaction: Transaction, line: Line, other: Line, direct: bool) -> Sides:
    physical = transaction.physical
    if direct:
        return Sides(database, physical, line, other)
    if line is other or line.record.parent == other.id:
        return Sides(database, physical, line, None if not line.is_trunk else line)
    if line.is_trunk:
        return Sides(database, physical, line, fork_line(database, other))
    return Sides(database, physical, line, pair_base(database, line, other) or fork_line(database, line))


# -- summary and status -----------------------------------------------------------------------------------------


def summary(
    connection: Connection,
    branch: str,
    against: str | None = None,
    *,
    direct: bool = False,
    moments: Moments = NOW,
) -> list[TableDiff]:
    """The tables that differ, with counts."""
    with comparison(connection.database, branch, against, direct=direct, moments=moments) as compared:
        found = [summary_of(compared, pair) for pair in compared.pairs()]
    return [item for item in found if item is not None]


def summary_of(compared: Comparison, pair: Pair) -> TableDiff | None:
    shown = pair.shown
    added = removed = modified = cells = 0
    if compared.may_differ(pair):
        added, removed, modified, cells = counts_of(compared, pair)
    if pair.before is None:
        return TableDiff(shown.schema, shown.name, "added", rows_added=added,
                         columns_added=tuple(c.name for c in shown.columns))  # fmt: skip
    if pair.after is None:
        return TableDiff(shown.schema, shown.name, "removed", rows_removed=removed,
                         columns_removed=tuple(c.name for c in shown.columns))  # fmt: skip
    old = {column.id: column for column in pair.before.columns}
    new = {column.id: column for column in pair.after.columns}
    renamed = (pair.before.schema, pair.before.name) != (shown.schema, shown.name)
    found = TableDiff(
        shown.schema,
        shown.name,
        "renamed" if renamed else "changed",
        added,
        removed,
        modified,
        cells,
        tuple(column.name for i, column in new.items() if i not in old),
        tuple(column.name for i, column in old.items() if i not in new),
        tuple(column.name for i, column in new.items() if i in old and old[i] != column),
    )
    unchanged = replace(found, change="changed") == TableDiff(shown.schema, shown.name, "changed")
    same_rules = pair.before.constraints == shown.constraints and pair.before.indexes == shown.indexes
    return None if unchanged and same_rules and not renamed else found


def _joined(compared: Comparison, pair: Pair, items: str) -> str:
    rows = compared.rows(pair)
    return (
        f"SELECT {items} FROM (SELECT DISTINCT {RID} FROM ({rows.rids}) AS _all) AS _rids"
        f" LEFT JOIN ({rows.base}) AS _b ON _b.{RID} = _rids.{RID}"
        f" LEFT JOIN ({rows.source}) AS _s ON _s.{RID} = _rids.{RID}"
    )


def _differences(pair: Pair) -> list[str]:
    """Per column of the branch's table: whether the row's cell differs, as SQL over ``_b`` and ``_s``."""
    before, after = pair.before, pair.after
    if before is None or after is None:
        return []
    return [
        distinct(lifted(before, column, "_b", (after,)), f"_s.{quote(column.name)}")
        for column in after.columns
        if column.generated is None
    ]


def counts_of(compared: Comparison, pair: Pair) -> tuple[int, int, int, int]:
    before, after = f"_b.{RID} IS NOT NULL", f"_s.{RID} IS NOT NULL"
    if pair.before is None:
        before = "false"
    if pair.after is None:
        if compared.sides.base_line is None or pair.before is None:
            visible = _base_rows(compared, pair)
            return 0, compared.cursor.query(f"SELECT count(*) FROM ({visible}) AS _all")[0][0], 0, 0
        visible = compared.sides.visible(pair.before, compared.sides.base_line)
        return 0, compared.cursor.query(f"SELECT count(*) FROM ({visible}) AS _all")[0][0], 0, 0
    differs = _differences(pair)
    both = f"{before} AND {after}"
    cells = " + ".join(f"{item}::BIGINT" for item in differs) or "0"
    row = compared.cursor.query(
        _joined(
            compared,
            pair,
            f"count(*) FILTER ({after} AND NOT ({before})), count(*) FILTER ({before} AND NOT ({after})),"
            f" count(*) FILTER ({both} AND {any_of(differs)}),"
            f" coalesce(sum(CASE WHEN {both} THEN {cells} ELSE 0 END), 0)::BIGINT",
        )
    )[0]
    return row[0], row[1], row[2], row[3]


def _base_rows(compared: Comparison, pair: Pair) -> str:
    """All rows of a table that the branch has dropped, as its base had them."""
    assert pair.before is not None
    rows = compared.sides.rows(pair.before, pair.before)
    visible = compared.sides.visible(pair.before, compared.sides.source)
    return (
        f"SELECT {RID} FROM ({visible}) AS _kept WHERE {RID} NOT IN ({rows.rids})"
        f" UNION ALL SELECT {RID} FROM ({rows.base}) AS _images"
    )


def status(connection: Connection, branch: str) -> list[TableStatus]:
    """Every table of the branch (and those it dropped) with what the branch did to it."""
    with comparison(connection.database, branch) as compared:
        return [_status(compared, pair) for pair in compared.pairs()]


def _status(compared: Comparison, pair: Pair) -> TableStatus:
    shown = pair.shown
    added = removed = modified = 0
    if pair.after is not None and compared.may_differ(pair):
        added, removed, modified, _ = counts_of(compared, pair)
    if pair.before is None:
        state = "new"
    elif pair.after is None:
        state = "dropped"
    else:
        logical = replace(pair.after, storage=pair.before.storage)
        state = "changed" if added or removed or modified or logical != pair.before else "untouched"
    size = (added + removed + modified) * _BYTES_PER_ROW
    return TableStatus(shown.schema, shown.name, state, added, modified, removed, size)


# -- rows -----------------------------------------------------------------------------------------------------------


def rows(
    connection: Connection,
    branch: str,
    table_name: str,
    against: str | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
    direct: bool = False,
    moments: Moments = NOW,
) -> Result:
    """The changed rows of one table: ``change_type``, then ``from_<column>``, ``to_<column>``; ordered by key."""
    with comparison(connection.database, branch, against, direct=direct, moments=moments) as compared:
        sql = rows_sql(compared, compared.pair(table_name))
        sql = f"SELECT * EXCLUDE (_order) FROM ({sql}) AS _diff ORDER BY _order"
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        if offset:
            sql += f" OFFSET {int(offset)}"
        columns = compared.cursor.describe(sql)
        found = compared.cursor.query(sql)
    return Result(columns, len(found), iter([found] if found else []))


def rows_sql(compared: Comparison, pair: Pair) -> str:
    """A SELECT of the changed rows, with ``_order`` to sort by."""
    before, after = pair.before, pair.after
    items = []
    old = {column.id: column for column in before.columns} if before else {}
    new = {column.id: column for column in after.columns} if after else {}
    for identifier in dict.fromkeys([*new, *old]):
        mine, theirs = new.get(identifier), old.get(identifier)
        name = (mine or theirs).name  # type: ignore[union-attr]
        was = f"_b.{quote(theirs.name)}" if theirs is not None else f"CAST(NULL AS {mine.type})"  # type: ignore[union-attr]
        now = f"_s.{quote(mine.name)}" if mine is not None else f"CAST(NULL AS {theirs.type})"  # type: ignore[union-attr]
        items += [f"{was} AS {quote('from_' + name)}", f"{now} AS {quote('to_' + name)}"]
    kind = (
        f"CASE WHEN {'true' if before is None else f'_b.{RID} IS NULL'} THEN 'added'"
        f" WHEN _s.{RID} IS NULL THEN 'removed' ELSE 'modified' END"
    )
    differs = any_of(_differences(pair))
    where = f"(_b.{RID} IS NULL) <> (_s.{RID} IS NULL) OR (_b.{RID} IS NOT NULL AND {differs})"
    if before is not None and after is None and compared.sides.base_line is None:
        where = "true"
    order = [*_key(pair, "_s", "_b"), f"_rids.{RID}"]
    return (
        _joined(compared, pair, f"{kind} AS change_type, {', '.join(items)}, ({', '.join(order)}) AS _order")
        + f" WHERE {where}"
    )


def _key(pair: Pair, source: str, base: str) -> list[str]:
    shown = pair.shown
    ids = [column.id for name in shown.key for column in shown.columns if column.name == name]
    found = []
    for identifier in ids:
        sides = []
        for table, alias in ((pair.after, source), (pair.before, base)):
            column = next((c for c in table.columns if c.id == identifier), None) if table else None
            if column is not None:
                sides.append(f"{alias}.{quote(column.name)}")
        found.append(f"coalesce({', '.join(sides)})")
    return found
