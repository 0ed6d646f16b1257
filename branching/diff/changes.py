"""What a branch has changed: per table, row by row, in its schema, and as statements that do it again.

A diff is against the merge base with another branch (its parent unless said otherwise): what ``BRANCH MERGE`` would
bring. ``direct`` compares the two as both stand now. Like a merge it looks at changed rows only, never at the table,
and matches tables and columns by id: a rename is a rename.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from branching import names
from branching.branch_info import TableStatus
from branching.diff.past import NOW, Moments, past_sides
from branching.engine.base import Cursor
from branching.errors import BoughError, kept_changing
from branching.lines import Line
from branching.manifest import Author
from branching.merge.sides import Rows, Sides, fork_line, pair_base
from branching.merge.values import any_of, distinct, lifted
from branching.model import DEFAULT_SCHEMA, Catalog, Table
from branching.names import RID, quote
from branching.resolve import schema_name
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
class Named:
    """A relation as a command names it; without a schema it is looked for in those of ``path``."""

    name: str
    schema: str | None = None
    path: tuple[str, ...] = (DEFAULT_SCHEMA,)

    def places(self) -> list[tuple[str, str]]:
        schemas = self.path if self.schema is None else (schema_name(self.schema),)
        return [(schema, self.name) for schema in schemas]

    def __str__(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


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

    def named(self, wanted: Named) -> set[tuple[str, str]]:
        """Schema and name, on both sides, of the relation that ``wanted`` means; 42P01 if neither side has it."""
        for place in wanted.places():
            for catalog in (self.after, self.before):
                found = catalog.relations.get(place)
                if found is not None:
                    kind, sides = type(found), (self.before.relations, self.after.relations)
                    return {key for side in sides for key, item in side.items()
                            if type(item) is kind and item.id == found.id}  # fmt: skip
        raise self._unknown(wanted)

    def _unknown(self, wanted: Named) -> BoughError:
        known = dict.fromkeys([*self.after.relations, *self.before.relations])
        others = [f"{quote(schema)}.{quote(name)}" for schema, name in known if name == wanted.name]
        listed = f"BRANCH DIFF {quote(self.sides.source.name)} lists the tables that changed."
        hint = f"There is {', '.join(others)}: name its schema." if others else listed
        return BoughError(
            "42P01",
            f'relation "{wanted}" does not exist on either side of the diff',
            hint=hint,
            detail="It was looked for on both, by this name and schema.",
        )

    def pair(self, wanted: Named) -> Pair:
        """The table that ``wanted`` means: the branch's if both sides call different ones so."""
        names_ = self.named(wanted)
        for pair in self.pairs():
            for side in (pair.after, pair.before):
                if side is not None and (side.schema, side.name) in names_:
                    return pair
        raise BoughError(
            "42809",
            f'"{wanted}" is not a table',
            hint="BRANCH DIFF … TABLE … WITH (format 'schema') shows how its definition changed.",
            detail="A diff by rows is of a table.",
        )

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
    zone: str | None = None,
    keep: bool = False,
) -> Iterator[Comparison]:
    """``branch`` compared with its merge base with ``against``, or (direct, or between moments) with that itself.

    ``zone`` is where its cursor reads and shows instants. ``keep``: what the caller writes through the cursor, into
    another database of the engine, stays.
    """
    line = database.line(branch)
    other = _other(database, line, against)
    cursor = database.root.cursor()
    transaction: Transaction | None = None
    try:
        if zone is not None:
            cursor.set_time_zone(zone)
        for _ in range(_TRIES):
            transaction = Transaction(database, cursor, line, Author(), explicit=False, read_only=not keep)
            cursor.query(f"SELECT count(*) FROM {names.MANIFEST_SCHEMA}.meta")
            sides = (
                past_sides(database, transaction.physical, line, other, moments)
                if moments.past
                else _sides(database, transaction, line, other, direct)
            )
            catalog = sides.base_catalog
            if transaction.confirm() and sides.still_true():
                yield Comparison(cursor, sides, catalog, sides.source_catalog(transaction.catalog))
                if keep:
                    transaction.commit()
                return
            transaction.rollback()
        raise kept_changing("diff")
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
    table: Named | None = None,
) -> list[TableDiff]:
    """The tables that differ (or only ``table``), with counts."""
    with comparison(connection.database, branch, against, direct=direct, moments=moments) as compared:
        pairs = compared.pairs() if table is None else [compared.pair(table)]
        found = [summary_of(compared, pair) for pair in pairs]
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


def joined(
    compared: Comparison, pair: Pair, items: str, whole: Callable[[str, Table], str] | None = None
) -> str:
    """A SELECT of ``items`` over the changed rows, ``_b`` before and ``_s`` after; ``whole`` completes images.

    Rows that have no half by identity are matched by key: a row that was deleted and put back, or that both sides of a
    direct diff inserted, is the same row to who looks at it. Without a key equal rows are the same, whoever they were.
    """
    rows = compared.rows(pair)
    sides = [rows.base, rows.source]
    head, pairs = "", f"SELECT DISTINCT {RID}, {RID} AS _before, {RID} AS _after FROM ({rows.rids}) AS _all"
    if (twins := _twins(pair)) is not None:
        kept = [f"SELECT * FROM ({side}) AS _side WHERE {RID} IN ({rows.rids})" for side in sides]
        head = f"WITH _old AS MATERIALIZED ({kept[0]}), _new AS MATERIALIZED ({kept[1]}), {twins} "
        sides = ["SELECT * FROM _old", "SELECT * FROM _new"]
        halves = [
            f"CASE WHEN {RID} NOT IN (SELECT {half} FROM _twins) THEN {RID} END AS {half}"
            for half in ("_before", "_after")
        ]
        pairs = (
            f"SELECT DISTINCT {RID}, {', '.join(halves)} FROM ({rows.rids}) AS _all"
            " UNION ALL SELECT _before, _before, _after FROM _twins"
        )
    if whole is not None and pair.before is not None:
        sides[0] = whole(sides[0], pair.before)
    return (
        f"{head}SELECT {items} FROM ({pairs}) AS _rids"
        f" LEFT JOIN ({sides[0]}) AS _b ON _b.{RID} = _rids._before"
        f" LEFT JOIN ({sides[1]}) AS _s ON _s.{RID} = _rids._after"
    )


def _twins(pair: Pair) -> str | None:
    """CTEs, the last ``_twins``: identities of rows of ``_old`` and ``_new`` that belong together all the same."""
    before, after = pair.before, pair.after
    if before is None or after is None:
        return None
    stored = [column for column in after.columns if column.generated is None]
    columns = [column for column in stored if column.name in after.key] or stored
    known = {column.id for column in before.columns}
    if not columns or (after.key and any(column.id not in known for column in columns)):
        return None

    old = [lifted(before, column, "_o", (after,)) for column in columns]
    new = [f"_n.{quote(column.name)}" for column in columns]

    def alone(side: str, alias: str, values: list[str]) -> str:
        listed = ", ".join(f"{value} AS v{number}" for number, value in enumerate(values))
        nth = f"row_number() OVER (PARTITION BY {', '.join(values)} ORDER BY {RID})"
        where = f"{RID} NOT IN (SELECT {RID} FROM _same)"
        return f"SELECT {RID}, {nth} AS nth, {listed} FROM {side} AS {alias} WHERE {where}"

    cells = zip(old, new, strict=True)
    whole = "" if after.key else "".join(f" AND {o} IS NOT DISTINCT FROM {n}" for o, n in cells)
    equal = " AND ".join(f"_o.v{i} IS NOT DISTINCT FROM _n.v{i}" for i in range(len(columns)))
    halves = f"({alone('_old', '_o', old)}) AS _o JOIN ({alone('_new', '_n', new)}) AS _n"
    return (
        f"_same AS MATERIALIZED (SELECT _o.{RID} FROM _old AS _o JOIN _new AS _n ON _o.{RID} = _n.{RID}{whole}),"
        f" _twins AS MATERIALIZED (SELECT _o.{RID} AS _before, _n.{RID} AS _after FROM {halves}"
        f" ON _o.nth = _n.nth AND {equal})"
    )


def differences(pair: Pair) -> list[str]:
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
        count = f"SELECT count(*) FROM ({removed_rows(compared, pair)}) AS _all"
        return 0, compared.cursor.query(count)[0][0], 0, 0
    differs = differences(pair)
    both = f"{before} AND {after}"
    cells = " + ".join(f"CAST({item} AS BIGINT)" for item in differs) or "0"
    row = compared.cursor.query(
        joined(
            compared,
            pair,
            f"count(*) FILTER (WHERE {after} AND NOT ({before})), count(*) FILTER (WHERE {before} AND NOT ({after})),"
            f" count(*) FILTER (WHERE {both} AND {any_of(differs)}),"
            f" CAST(coalesce(sum(CASE WHEN {both} THEN {cells} ELSE 0 END), 0) AS BIGINT)",
        )
    )[0]
    return row[0], row[1], row[2], row[3]


def removed_rows(compared: Comparison, pair: Pair) -> str:
    """All rows of a table that the branch has dropped, as its base had them, with their identities."""
    before, sides = pair.before, compared.sides
    assert before is not None
    if sides.base_line is not None:
        return sides.visible(before, sides.base_line)
    rows = sides.rows(before, before)
    items = f"{names.columns(before.stored)}, {RID}"
    return (
        f"SELECT {items} FROM ({sides.visible(before, sides.source)}) AS _kept WHERE {RID} NOT IN ({rows.rids})"
        f" UNION ALL SELECT {items} FROM ({rows.base}) AS _images"
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
