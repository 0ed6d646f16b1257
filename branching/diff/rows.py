"""The changed rows of one table, before and after, column by column and in the table's own types.

Rules:

1. Columns are matched by id and named as the branch names them: ``from_<column>``, ``to_<column>``. Of a column that
   one side lacks, that side shows NULL. Where two would have one name (a column was dropped and its name taken), they
   are one pair if neither has another half, else the later one gets a number.
2. Both halves have one type: the column's, or where a side has retyped it the wider of both (``compare.wider``), as
   text if need be.
3. The order is by key, then by identity: it does not depend on who else writes, so pages fit together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from branching.compare import wider
from branching.database import Database
from branching.diff.changes import Comparison, Named, Pair, comparison, differences, joined, removed_rows
from branching.diff.past import NOW, Moments
from branching.merge.values import any_of
from branching.model import Column, Table
from branching.names import RID, quote


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. ``key``: the columns of the key stand in front too, under their own names."""

    branch: str
    table: Named
    against: str | None = None
    direct: bool = False
    limit: int | None = None
    offset: int = 0
    key: bool = False
    zone: str | None = None  # where instants are shown
    moments: Moments = NOW


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of the result; ``declared`` is what the table's definition says, where the engine forgets it."""

    name: str
    type: str
    declared: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    column: Shown
    sql: str


@dataclass(frozen=True, slots=True)
class _Halves:
    """One column on both sides of the diff, and the type both are shown in."""

    old: Column | None
    new: Column | None

    @property
    def name(self) -> str:
        return self._any.name

    @property
    def _any(self) -> Column:
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def type(self) -> str:
        return wider({side.type for side in (self.old, self.new) if side is not None})

    @property
    def declared(self) -> str | None:
        said = {side.declared for side in (self.old, self.new) if side is not None}
        return self._any.declared if len(said) == 1 and self.type == self._any.type else None

    def value(self, side: Column | None, alias: str) -> str:
        if side is None:
            return f"CAST(NULL AS {self.type})"
        text = f"{alias}.{quote(side.name)}"
        return text if side.type == self.type else f"CAST({text} AS {self.type})"

    @property
    def was(self) -> str:
        return self.value(self.old, "_b")

    @property
    def now(self) -> str:
        return self.value(self.new, "_s")


def columns(database: Database, wanted: Wanted) -> tuple[Shown, ...]:
    """The columns of the result; no row is read."""
    with _compared(database, wanted) as compared:
        return tuple(item.column for item in _items(compared.pair(wanted.table), wanted))


def rows(database: Database, wanted: Wanted) -> tuple[tuple[Shown, ...], list[tuple[Any, ...]]]:
    """The columns, and the rows."""
    with _compared(database, wanted) as compared:
        pair = compared.pair(wanted.table)
        items = _items(pair, wanted)
        return tuple(item.column for item in items), compared.cursor.query(
            _sql(compared, pair, items, wanted)
        )


def store(database: Database, wanted: Wanted, place: str) -> tuple[Shown, ...]:
    """Makes ``place``, a table of another database of the engine, of the rows; its columns."""
    with _compared(database, wanted, keep=True) as compared:
        pair = compared.pair(wanted.table)
        items = _items(pair, wanted)
        compared.cursor.execute(f"CREATE TABLE {place} AS {_sql(compared, pair, items, wanted)}")
        return tuple(item.column for item in items)


def _compared(
    database: Database, wanted: Wanted, *, keep: bool = False
) -> AbstractContextManager[Comparison]:
    return comparison(
        database,
        wanted.branch,
        wanted.against,
        direct=wanted.direct,
        moments=wanted.moments,
        zone=wanted.zone,
        keep=keep,
    )


def _items(pair: Pair, wanted: Wanted) -> list[_Item]:
    halves = _halves(pair)
    items = [_Item(Shown("change_type", "VARCHAR"), f"{_kind(pair)}")]
    if wanted.key:
        items += [
            _Item(Shown(half.name, half.type, half.declared), f"coalesce({half.now}, {half.was})")
            for half in _key(pair, halves)
        ]
    for half in halves:
        for word, text in (("from_", half.was), ("to_", half.now)):
            items.append(_Item(Shown(word + half.name, half.type, half.declared), text))
    return list(_named_apart(items))


def _named_apart(items: list[_Item]) -> Iterator[_Item]:
    taken: set[str] = set()
    for item in items:
        name, number = item.column.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{item.column.name}_{number}"
        taken.add(name.lower())
        yield _Item(replace(item.column, name=name), item.sql)


def _halves(pair: Pair) -> list[_Halves]:
    old = {column.id: column for column in pair.before.columns} if pair.before else {}
    new = {column.id: column for column in pair.after.columns} if pair.after else {}
    gone = {column.name: column for i, column in old.items() if i not in new}
    found = [_Halves(old.get(i) or gone.pop(column.name, None), column) for i, column in new.items()]
    return found + [
        _Halves(column, None) for column in old.values() if column.name in gone and column.id not in new
    ]


def _key(pair: Pair, halves: list[_Halves]) -> list[_Halves]:
    by_name = {half.name: half for half in halves}
    return [by_name[name] for name in pair.shown.key]


def _kind(pair: Pair) -> str:
    if pair.before is None:
        return "'added'"
    if pair.after is None:
        return "'removed'"
    return f"CASE WHEN _b.{RID} IS NULL THEN 'added' WHEN _s.{RID} IS NULL THEN 'removed' ELSE 'modified' END"


def _sql(compared: Comparison, pair: Pair, items: list[_Item], wanted: Wanted) -> str:
    selected = ", ".join(f"{item.sql} AS {quote(item.column.name)}" for item in items)
    halves = _halves(pair)
    order = [f"coalesce({half.now}, {half.was})" for half in _key(pair, halves)]
    if pair.after is None:
        assert pair.before is not None
        text = f"SELECT {selected} FROM ({_whole(removed_rows(compared, pair), pair.before)}) AS _b"
        order.append(f"_b.{RID}")
    else:
        text = joined(compared, pair, selected, whole=_whole)
        if pair.before is not None:
            both = f"_b.{RID} IS NOT NULL AND {any_of(differences(pair))}"
            text += f" WHERE (_b.{RID} IS NULL) <> (_s.{RID} IS NULL) OR ({both})"
        order.append(f"_rids.{RID}")
    text += f" ORDER BY {', '.join(order)}"
    if wanted.limit is not None:
        text += f" LIMIT {int(wanted.limit)}"
    if wanted.offset:
        text += f" OFFSET {int(wanted.offset)}"
    return text


def _whole(rows_: str, table: Table) -> str:
    """The rows with the generated columns, which images do not keep."""
    computed = [
        f"CAST(({column.generated}) AS {column.type}) AS {quote(column.name)}"
        for column in table.columns
        if column.generated is not None
    ]
    if not computed:
        return rows_
    stored = ", ".join(quote(name) for name in table.stored)
    return f"SELECT {stored}, {', '.join(computed)}, {RID} FROM ({rows_}) AS _stored"


__all__ = ["Shown", "Wanted", "columns", "rows", "store"]
