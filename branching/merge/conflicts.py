"""What a merge cannot decide by itself, as values: one per cell, row or definition that both sides changed."""

from __future__ import annotations

from dataclasses import dataclass

from branching.engine.base import Cursor
from branching.engine.protocol import Engine
from branching.lines import Line
from branching.merge.plan import SchemaConflict, TablePlan
from branching.merge.sides import Rows, Sides, target_rows
from branching.merge.stage import Stage
from branching.merge.values import distinct, initial
from branching.model import Column, Object, Table
from branching.names import RID, quote

_SHOWN = 200  # characters of a row's cells that stand for its key


@dataclass(frozen=True, slots=True)
class Conflict:
    """``kind``: cell, insert_insert, delete_modify, modify_delete, schema. Values are the engine's text of them."""

    table: Table
    kind: str
    rid: int | None
    key: str | None
    column: str | None
    base: str | None
    branch: str | None
    target: str | None

    @property
    def place(self) -> tuple[int, str, int | None, str | None]:
        return (self.table.id, self.kind, self.rid, self.column)


def schema_conflicts(cursor: Cursor, sides: Sides, plan: TablePlan, target: Line) -> list[Conflict]:
    """What one side changed and the other dropped, and definitions that both changed."""
    shown = plan.shown
    found = [
        Conflict(shown, "schema", None, None, item.what, item.base, item.branch, item.target)
        for item in plan.conflicts
    ]
    if plan.kind == "rows" and plan.base is not None:
        found += _dropped_columns(cursor, sides, plan, target)
    elif plan.kind == "drop":
        found += _changed_under_drop(cursor, sides, plan, target)
    elif plan.kind == "keep" and plan.target is None and plan.base is not None and not plan.conflicts:
        assert plan.source is not None
        count = _count_changed(cursor, plan.base, plan.source, sides.rows(plan.base, plan.source))
        if count:
            found.append(
                Conflict(shown, "schema", None, None, "table", plan.base.name, _changed(count), None)
            )
    return found


def row_conflicts(cursor: Cursor, stage: Stage, shown: Table) -> list[Conflict]:
    """Cells and rows that both sides changed."""
    return _staged(cursor, stage, shown) if stage.counts.conflicts else []


def object_conflict(item: Object, conflict: SchemaConflict) -> Conflict:
    """A view, macro, sequence or schema that both sides changed."""
    named = Table(getattr(item, "id", 0), getattr(item, "schema", item.name), item.name, ())
    return Conflict(
        named, "schema", None, None, conflict.what, conflict.base, conflict.branch, conflict.target
    )


def key_text(engine: Engine, table: Table, columns: tuple[Column, ...], letters: str) -> str:
    """SQL of a row's key as text: the key columns' values, the first of ``letters`` that has the row.

    Without a key it is the row's identity, which tells equal rows apart, and what the row was in the base.
    """
    by_name = {column.name: column.id for column in columns}
    ids = [by_name[name] for name in table.key if name in by_name]
    if not ids:
        cells = {c.name: f"CASE WHEN in_base THEN b{c.id} ELSE s{c.id} END" for c in columns}
        return row_text(engine, "rid", cells)
    values = ", ".join(
        f"CAST(coalesce({', '.join(f'{letter}{i}' for letter in letters)}) AS VARCHAR)" for i in ids
    )
    return f"concat_ws(', ', {values})"


def row_text(engine: Engine, rid: str, cells: dict[str, str]) -> str:
    """SQL of what stands for the key of a row without one; ``cells`` are its columns' values."""
    image = engine.row_text(cells)
    shown = (
        f"CASE WHEN length({image}) > {_SHOWN} THEN substring({image}, 1, {_SHOWN}) || '…' ELSE {image} END"
    )
    return f"'row ' || {rid} || ': ' || {shown if cells else _literal('')}"


def _staged(cursor: Cursor, stage: Stage, shown: Table) -> list[Conflict]:
    merged = stage.plan.merged or shown
    parts = []
    for column in stage.columns:
        b, s, t = (f"CAST({letter}{column.id} AS VARCHAR)" for letter in "bst")
        parts.append(
            f"SELECT rid, CASE WHEN in_base THEN 'cell' ELSE 'insert_insert' END AS kind,"
            f" {key_text(cursor.engine, merged, stage.columns, 'tsb')} AS key, {_literal(column.name)} AS column_name,"
            f" CASE WHEN in_base THEN {b} END AS base, {s} AS branch, {t} AS target, {column.id} AS position"
            f" FROM {stage.sql} WHERE x{column.id}"
        )

    def row(letter: str) -> str:
        return cursor.engine.row_text({c.name: f"{letter}{c.id}" for c in stage.columns})

    parts.append(
        f"SELECT rid, x_row, {key_text(cursor.engine, merged, stage.columns, 'bts')}, NULL, {row('b')},"
        f" CASE WHEN in_source THEN {row('s')} END, CASE WHEN in_target THEN {row('t')} END, 0"
        f" FROM {stage.sql} WHERE x_row IS NOT NULL"
    )
    rows = cursor.query(" UNION ALL ".join(parts) + " ORDER BY key, rid, position")
    return [Conflict(shown, kind, rid, key, column, b, s, t) for rid, kind, key, column, b, s, t, _ in rows]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _dropped_columns(cursor: Cursor, sides: Sides, plan: TablePlan, target: Line) -> list[Conflict]:
    """Cells that one side changed in a column that the other side dropped."""
    base, source, ours = plan.base, plan.source, plan.target
    assert base is not None and source is not None and ours is not None
    here = {column.id for column in ours.columns}
    there = {column.id for column in source.columns}
    found: list[Conflict] = []
    for column in base.columns:
        if column.generated is not None:
            continue
        if column.id in here and column.id not in there:
            rows = target_rows(sides, base, ours, target)
            found += _cells(cursor, ours, ours, column, rows, plan, branch=False)
        elif column.id in there and column.id not in here:
            found += _cells(cursor, base, source, column, sides.rows(base, source), plan, branch=True)
    return found


def _cells(
    cursor: Cursor, before: Table, after: Table, column: Column, rows: Rows, plan: TablePlan, *, branch: bool
) -> list[Conflict]:
    now = next(item for item in after.columns if item.id == column.id)
    old = next((item for item in before.columns if item.id == column.id), None)
    was = f"_b.{quote(old.name)}" if old is not None else "NULL"
    new = f"_s.{quote(now.name)}"
    keys = list(after.key)
    if keys:
        key = "concat_ws(', ', " + ", ".join(f"CAST(_s.{quote(k)} AS VARCHAR)" for k in keys) + ")"
    else:
        stored = [item.name for item in before.columns if item.generated is None]
        cells = {name: f"_b.{quote(name)}" for name in stored}
        here = {item.name: f"_s.{quote(item.name)}" for item in after.columns if item.generated is None}
        was_there = f"_b.{RID} IS NOT NULL"
        images = [row_text(cursor.engine, f"_rids.{RID}", image) for image in (cells, here)]
        key = f"CASE WHEN {was_there} THEN {images[0]} ELSE {images[1]} END"
    fresh = f"_b.{RID} IS NULL AND {new} IS NOT NULL AND {distinct(new, initial(now))}"
    found = cursor.query(
        f"SELECT _rids.{RID}, {key}, CAST({was} AS VARCHAR), CAST({new} AS VARCHAR)"
        f" FROM (SELECT DISTINCT {RID} FROM ({rows.rids}) AS _all) AS _rids"
        f" LEFT JOIN ({rows.base}) AS _b ON _b.{RID} = _rids.{RID}"
        f" JOIN ({rows.source}) AS _s ON _s.{RID} = _rids.{RID}"
        f" WHERE (_b.{RID} IS NOT NULL AND {distinct(was, new)}) OR ({fresh}) ORDER BY 1"
    )
    name = now.name
    return [
        Conflict(plan.shown, "schema", rid, text, name, b, *((value, None) if branch else (None, value)))
        for rid, text, b, value in found
    ]


def _changed_under_drop(cursor: Cursor, sides: Sides, plan: TablePlan, target: Line) -> list[Conflict]:
    """The branch dropped a table that the target has changed since."""
    base, ours = plan.base, plan.target
    assert base is not None and ours is not None
    what = None
    if _logical(base) != _logical(ours):
        what = "its definition changed"
    else:
        count = _count_changed(cursor, ours, ours, target_rows(sides, base, ours, target))
        if count:
            what = _changed(count)
    if what is None:
        return []
    return [Conflict(ours, "schema", None, None, "table", base.name, None, what)]


def _logical(table: Table) -> tuple[object, ...]:
    return table.schema, table.name, table.columns, table.constraints


def _count_changed(cursor: Cursor, before: Table, after: Table, rows: Rows) -> int:
    shared = [
        (old.name, new.name)
        for old in before.columns
        for new in after.columns
        if old.id == new.id and old.generated is None and new.generated is None
    ]
    differs = " OR ".join(distinct(f"_b.{quote(old)}", f"_s.{quote(new)}") for old, new in shared) or "false"
    return int(
        cursor.query(
            f"SELECT count(*) FROM (SELECT DISTINCT {RID} FROM ({rows.rids}) AS _all) AS _rids"
            f" LEFT JOIN ({rows.base}) AS _b ON _b.{RID} = _rids.{RID}"
            f" LEFT JOIN ({rows.source}) AS _s ON _s.{RID} = _rids.{RID}"
            f" WHERE (_b.{RID} IS NULL) <> (_s.{RID} IS NULL) OR (_b.{RID} IS NOT NULL AND ({differs}))"
        )[0][0]
    )


__all__ = ["Conflict", "key_text", "object_conflict", "row_conflicts", "schema_conflicts"]


def _changed(count: int) -> str:
    return "1 row changed" if count == 1 else f"{count} rows changed"
