"""The changed rows of one table as statements that turn its base into what it is: DELETEs, UPDATEs, INSERTs.

1. Rows of a table with a key are named by it. One whose key changed is deleted and inserted, so that no order of
   statements meets a key twice.
2. Without a key a statement says all cells of a row, and so means every row that is equal to it: how many the base has
   is counted. If all of them change alike, one DELETE or UPDATE does it; else they are deleted, and those that stay
   are inserted again. Nothing is updated into a value that another statement looks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from branching import names
from branching.diff.changes import Comparison, Pair, differences, joined
from branching.diff.sql import full
from branching.dml.statements import key_columns
from branching.merge.values import any_of, lifted
from branching.model import Column, Table
from branching.names import RID, quote

_Row = tuple[str, ...]  # cells as literals
_MANY = 3  # copies of a row that are written out; more are counted
_WHOLE = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})


@dataclass(frozen=True, slots=True)
class _Change:
    """A row before and after; None: it is not there."""

    before: _Row | None
    now: _Row | None


def row_statements(compared: Comparison, pair: Pair, after: Table) -> Iterator[str]:
    """What to run once the table is defined as ``after``."""
    columns = [column for column in after.columns if column.generated is None]
    was = _was(pair, after, columns)
    found = list(_changes(compared, pair, columns, was))
    key = [i for i, c in enumerate(columns) if c.name in after.key]
    if key:
        yield from _keyed(after, columns, key, found)
        return
    counts = _counts(compared, pair, after, columns, was) if any(item.before for item in found) else {}
    yield from _keyless(after, columns, found, counts)


def _was(pair: Pair, after: Table, columns: Sequence[Column]) -> list[str]:
    base = pair.before
    return [lifted(base, c, "_b", (after,)) if base else f"CAST(NULL AS {c.type})" for c in columns]


def _changes(
    compared: Comparison, pair: Pair, columns: Sequence[Column], was: Sequence[str]
) -> Iterator[_Change]:
    old = [literal_sql(text, c.type) for text, c in zip(was, columns, strict=True)]
    new = [literal_sql(f"_s.{quote(c.name)}", c.type) for c in columns]
    had = "false" if pair.before is None else f"_b.{RID} IS NOT NULL"
    items = f"{had}, _s.{RID} IS NOT NULL, {', '.join([*old, *new])}"
    width = len(columns)
    for is_old, is_new, *cells in compared.cursor.query(
        f"{joined(compared, pair, items)} WHERE {changed(pair, had)} ORDER BY _rids.{RID}"
    ):
        yield _Change(tuple(cells[:width]) if is_old else None, tuple(cells[width:]) if is_new else None)


def changed(pair: Pair, had: str) -> str:
    """SQL over ``_b`` and ``_s``: whether the row is another one."""
    return f"(({had}) <> (_s.{RID} IS NOT NULL) OR (({had}) AND {any_of(differences(pair))}))"


# -- with a key ------------------------------------------------------------------------------------------------------


def _keyed(
    after: Table, columns: Sequence[Column], key: Sequence[int], found: Sequence[_Change]
) -> Iterator[str]:
    unique = {name for _, listed in key_columns(after) for name in listed}
    updates, inserts = [], []
    for item in found:
        before, now = item.before, item.now
        if before is not None and now is not None:
            moved = [i for i in range(len(columns)) if before[i] != now[i]]
            if not any(columns[i].name in unique for i in moved):
                updates.append(_update(after, columns, before, now, key))
                continue
        if before is not None:
            yield f"DELETE FROM {full(after)} WHERE {_where(columns, before, key)}"
        if now is not None:
            inserts.append(_insert(after, columns, now, 1))
    yield from updates
    yield from inserts


# -- without one -----------------------------------------------------------------------------------------------------


def _counts(
    compared: Comparison, pair: Pair, after: Table, columns: Sequence[Column], was: Sequence[str]
) -> dict[_Row, int]:
    """How many rows the table has now that are equal to what a changed row was."""
    had = f"_b.{RID} IS NOT NULL"
    old = ", ".join(f"{text} AS o{i}" for i, text in enumerate(was))
    values = f"SELECT DISTINCT {old} FROM ({joined(compared, pair, '_b.*')} WHERE {had} AND {changed(pair, had)}) AS _b"
    now = compared.sides.visible(after, compared.sides.source)
    same = " AND ".join(f"_now.{quote(c.name)} IS NOT DISTINCT FROM _old.o{i}" for i, c in enumerate(columns))
    shown = ", ".join(f"{literal_sql(f'o{i}', c.type)} AS t{i}" for i, c in enumerate(columns))
    groups = ", ".join(f"_old.o{i}" for i in range(len(was)))
    rows = compared.cursor.query(
        f"SELECT {shown}, rows FROM (SELECT _old.*, count(_now.{RID}) AS rows FROM ({values}) AS _old"
        f" LEFT JOIN ({now}) AS _now ON {same} GROUP BY {groups}) AS _counted"
    )
    return {tuple(row[:-1]): row[-1] for row in rows}


def _keyless(
    after: Table, columns: Sequence[Column], found: Sequence[_Change], counts: dict[_Row, int]
) -> Iterator[str]:
    gone = Counter(item.before for item in found if item.before is not None)
    come = Counter(item.now for item in found if item.now is not None)
    base = {row: counts.get(row, 0) - come[row] + count for row, count in gone.items()}
    alike = Counter(
        (item.before, item.now) for item in found if item.before is not None and item.now is not None
    )
    every = range(len(columns))
    updates = []
    for (before, now), count in alike.items():
        if count == base[before] and now not in base:
            updates.append(_update(after, columns, before, now, every))
            gone[before] -= count
            come[now] -= count
    for row, count in list(gone.items()):
        both = min(count, come[row])
        come[row] -= both
        if count == both:
            continue
        yield f"DELETE FROM {full(after)} WHERE {_where(columns, row, every)}"
        if base[row] > count - both:
            yield _insert(after, columns, row, base[row] - count + both)
    yield from updates
    for row, count in come.items():
        if count:
            yield _insert(after, columns, row, count)


# -- text --------------------------------------------------------------------------------------------------------------


def _update(after: Table, columns: Sequence[Column], before: _Row, now: _Row, which: Sequence[int]) -> str:
    moved = [i for i in range(len(columns)) if before[i] != now[i]]
    assigned = ", ".join(f"{quote(columns[i].name)} = {now[i]}" for i in moved)
    return f"UPDATE {full(after)} SET {assigned} WHERE {_where(columns, before, which)}"


def _insert(after: Table, columns: Sequence[Column], row: _Row, count: int) -> str:
    listed = names.columns([c.name for c in columns])
    cells = ", ".join(row)
    rows = f"SELECT {cells} FROM generate_series(1, {count}) AS _copies"
    if count <= _MANY:
        rows = f"VALUES {', '.join([f'({cells})'] * count)}"
    given = " OVERRIDING SYSTEM VALUE" if any(column.identity == "a" for column in columns) else ""
    return f"INSERT INTO {full(after)} ({listed}){given} {rows}"


def _where(columns: Sequence[Column], row: _Row, which: Sequence[int]) -> str:
    return " AND ".join(
        f"{quote(columns[i].name)} {'IS NULL' if row[i] == 'NULL' else f'= {row[i]}'}" for i in which
    )


def literal_sql(value: str, kind: str, depth: int = 0) -> str:
    """SQL that gives a value as the text of a literal which means the same to Postgres' grammar and to the engine."""
    shown = names.literal(kind)[1:-1]
    quoted = f"'''' || replace(CAST({value} AS VARCHAR), '''', '''''') || ''''"
    if kind == "BLOB":
        text = f"'unhex(''' || hex({value}) || ''')'"
    elif kind.endswith("]"):
        element = kind[: kind.rindex("[")]
        item = literal_sql(f"_x{depth}", element, depth + 1)
        items = f"list_transform(CAST({value} AS {element}[]), lambda _x{depth}: {item})"
        text = f"'CAST(ARRAY[' || array_to_string({items}, ', ') || '] AS {shown})'"
    elif kind in _WHOLE or kind == "BOOLEAN":
        text = f"CAST({value} AS VARCHAR)"
    elif kind == "VARCHAR":
        text = quoted
    else:
        text = f"'CAST(' || {quoted} || ' AS {shown})'"
    return f"CASE WHEN {value} IS NULL THEN 'NULL' ELSE {text} END"


__all__ = ["literal_sql", "row_statements"]
