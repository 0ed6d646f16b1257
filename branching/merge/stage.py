"""The plan of a table's rows, staged in the engine: three values per cell, and what becomes of each row.

A stage is a temporary table with a row per changed row of the source: ``rid``, ``trid`` (the identity the row has on
the target), ``place`` (where the engine has it, on the trunk: looked for once, not in every statement), ``in_base``,
``in_source``, ``in_target``; per merged column ``b<id>``, ``s<id>``, ``t<id>`` (the three values), ``x<id>`` (a
conflict) and ``r<id>`` (the outcome); ``x_row`` (delete against modify, and the reverse), ``won`` (who decides that)
and ``action``. Everything is set-based: only counts and conflicts ever reach Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from branching import names
from branching.engine.base import Cursor
from branching.merge.plan import BRANCH, TablePlan
from branching.merge.sides import Rows
from branching.merge.values import any_of, distinct, initial, lifted
from branching.model import Column, Table
from branching.names import PLACE, RID, VERSION, quote


@dataclass(frozen=True, slots=True)
class Counts:
    inserted: int
    updated: int
    deleted: int
    merged_cells: int
    conflicts: int

    @property
    def changes(self) -> int:
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Fill:
    """Columns that come back to a table which has lost them: every row gets its value, not only the changed ones.

    ``rest`` selects the rows the source did not change (their base is what the source has); None where ``Rows`` lists
    all rows by itself. A row filled so and gone from the target stays gone: nobody changed it.
    """

    columns: frozenset[int]
    rest: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One table's staged plan."""

    name: str
    plan: TablePlan
    columns: tuple[Column, ...]  # of the merged table, those that hold a value
    counts: Counts
    placed: bool = False  # every row found on the target has its ``place``
    filled: frozenset[int] = frozenset()  # columns that every row gets anew

    @property
    def sql(self) -> str:
        return self.name

    def rids(self, *actions: str) -> str:
        listed = ", ".join(names.literal(action) for action in actions)
        return f"SELECT trid FROM {self.sql} WHERE action IN ({listed})"


def build(
    cursor: Cursor,
    number: int,
    plan: TablePlan,
    rows: Rows,
    target_sql: str,
    source_all: str,
    strategy: str,
    settle: Callable[[str, tuple[Column, ...]], None] | None = None,
    *,
    fill: Fill | None = None,
) -> Stage:
    """Stages the plan of one table. ``target_sql``: all rows of the target; ``settle`` may put resolutions in."""
    target = plan.target
    assert target is not None
    merged = plan.merged or target
    stored = set(merged.stored)
    columns = tuple(column for column in merged.columns if column.name in stored)
    name = f"_bough_merge_{number}"
    _three_states(cursor, name, plan, rows, columns, fill)
    _find_on_target(cursor, name, plan, merged, columns, target_sql, source_all, rows.unmoved)
    _decide(cursor, name, plan, columns, target, strategy)
    if settle is not None:
        settle(name, columns)
    _act(cursor, name, columns)
    filled = fill.columns if fill is not None else frozenset()
    return Stage(name, plan, columns, *_count(cursor, name, columns), filled)


def store(cursor: Cursor, name: str, query: str) -> None:
    """Temporary table ``name`` holds the query's rows from now on."""
    cursor.execute(cursor.engine.replace_temporary(name, query))


def _three_states(
    cursor: Cursor, name: str, plan: TablePlan, rows: Rows, columns: tuple[Column, ...], fill: Fill | None
) -> None:
    base, source = plan.base or plan.source, plan.source or plan.base
    assert base is not None and source is not None
    known = tuple(item for item in (plan.source, plan.target) if item is not None)
    rest = fill.rest if fill is not None else None
    kept = "_rids.rest OR " if rest else ""
    items = [
        f"_rids.{RID} AS rid",
        f"{kept}_b.{RID} IS NOT NULL AS in_base",
        f"_s.{RID} IS NOT NULL AS in_source",
    ]
    if rows.unmoved is not None:
        items.append(f"_b.{VERSION} AS bver")
    for column in columns:
        was, now = lifted(base, column, "_b", known), lifted(source, column, "_s", known)
        items.append(f"{f'CASE WHEN _rids.rest THEN {now} ELSE {was} END' if rest else was} AS b{column.id}")
        items.append(f"{now} AS s{column.id}")
    listed = f"SELECT DISTINCT {RID}, false AS rest FROM ({rows.rids}) AS _all"
    if rest:
        listed += f" UNION ALL SELECT {RID}, true FROM ({rest}) AS _rest"
    items.append("_rids.rest AS filled")
    which, only = _changed(columns), "*"
    if fill is not None:  # a row that differs in nothing but what comes back is one that nobody changed
        compared = [c for c in columns if rest or c.id not in fill.columns]
        differs = any_of([distinct(f"b{c.id}", f"s{c.id}") for c in compared])
        listing = ["rid", "in_base", "in_source", *(["bver"] if rows.unmoved is not None else [])]
        listing += [f"{letter}{column.id}" for column in columns for letter in "bs"]
        only = f"{', '.join(listing)}, filled OR (in_base AND in_source AND NOT {differs}) AS filled"
    store(
        cursor,
        name + "_states",
        f"SELECT * FROM (SELECT {only} FROM (SELECT {', '.join(items)}"
        f" FROM ({listed}) AS _rids"
        f" LEFT JOIN ({rows.base}) AS _b ON _b.{RID} = _rids.{RID}"
        f" LEFT JOIN ({rows.source}) AS _s ON _s.{RID} = _rids.{RID}) AS _rows) AS _states WHERE filled OR {which}",
    )


def _changed(columns: tuple[Column, ...]) -> str:
    differs = any_of([distinct(f"b{c.id}", f"s{c.id}") for c in columns])
    return f"(in_base AND (NOT in_source OR {differs})) OR (in_source AND NOT in_base)"


def _find_on_target(
    cursor: Cursor,
    name: str,
    plan: TablePlan,
    merged: Table,
    columns: tuple[Column, ...],
    target_sql: str,
    source_all: str,
    unmoved: str | None,
) -> None:
    """Adds the target's current row of each staged one: by identity, else by key."""
    target = plan.target
    assert target is not None
    found, states = f"{name}_found", name + "_states"
    _find_by_identity(cursor, name, plan, target_sql, unmoved)
    key = _key(merged, target, columns)
    if key:
        missing = f"rid NOT IN (SELECT rid FROM {found})"
        if cursor.query(f"SELECT 1 FROM {states} WHERE {missing} LIMIT 1"):
            match = " AND ".join(
                f"CASE WHEN _state.in_base THEN _state.b{i} ELSE _state.s{i} END = _target.{quote(theirs)}"
                for i, theirs in key
            )
            store(
                cursor,
                name + "_twins",
                f"SELECT DISTINCT ON (_target.{RID}) _state.rid AS rid, _target.{RID} AS trid,"
                f" _target.{VERSION} AS tver, _target.{PLACE} AS place,"
                f" {names.columns([c.name for c in target.columns], '_target')}"
                f" FROM ({target_sql}) AS _target JOIN (SELECT * FROM {states} WHERE {missing}) AS _state ON {match}"
                f" ORDER BY _target.{RID}, _state.in_base, _state.rid",  # rows new on both sides belong together first
            )
            twins = f"{name}_twins"
            if cursor.query(f"SELECT 1 FROM {twins} LIMIT 1"):
                # A row the source has under that identity is itself, not the twin of another.
                cursor.execute(
                    f"INSERT INTO {found} SELECT * FROM {twins} WHERE trid NOT IN"
                    f" (SELECT {RID} FROM ({source_all}) AS _source"
                    f" WHERE {RID} IN (SELECT trid FROM {twins}))"
                    f" AND trid NOT IN (SELECT rid FROM {states})"
                )
    known = tuple(item for item in (plan.source, target) if item is not None)
    values = ", ".join(f"{lifted(target, column, '_t', known)} AS t{column.id}" for column in columns)
    extra = ", " + values if values else ""
    store(
        cursor,
        name,
        "SELECT _state.*, _t.trid, _t.tver, _t.place,"
        f" _t.trid IS NOT NULL AS in_target{extra}"
        f" FROM {states} AS _state LEFT JOIN {found} AS _t ON _t.rid = _state.rid"
        " WHERE NOT (filled AND _t.trid IS NULL)",
    )


def _find_by_identity(
    cursor: Cursor, name: str, plan: TablePlan, target_sql: str, unmoved: str | None
) -> None:
    """Reads the target's rows; of those it has not written since the base only where they are, if versions tell."""
    base, target, merged = plan.base, plan.target, plan.merged
    assert target is not None
    found, states = f"{name}_found", name + "_states"
    hidden = f"{RID} AS rid, {RID} AS trid, {VERSION} AS tver, {PLACE} AS place"
    listed = [column.name for column in target.columns]
    whole = f"SELECT {hidden}, {names.columns(listed)} FROM ({target_sql}) AS _target"
    same = base is not None and merged is not None and base.columns == target.columns == merged.columns
    stored = same and all(column.generated is None for column in target.columns)
    if unmoved is None or not stored or base is None or base.storage.base != target.storage.base:
        store(cursor, found, f"{whole} WHERE {RID} IN (SELECT rid FROM {states})")
        return
    store(
        cursor,
        name + "_at",
        f"SELECT {hidden} FROM ({target_sql}) AS _target WHERE {RID} IN (SELECT rid FROM {states})",
    )
    images = ", ".join(f"_state.b{column.id} AS {quote(column.name)}" for column in target.columns)
    joined = f"FROM {name}_at AS _at JOIN {states} AS _state ON _state.rid = _at.rid"
    store(cursor, found, f"SELECT _at.rid, _at.trid, _at.tver, _at.place, {images} {joined} WHERE {unmoved}")
    moved = f"SELECT _at.rid {joined} WHERE ({unmoved}) IS NOT TRUE"
    if cursor.query(f"{moved} LIMIT 1"):
        cursor.execute(f"INSERT INTO {found} {whole} WHERE {RID} IN ({moved})")


def _key(merged: Table, target: Table, columns: tuple[Column, ...]) -> list[tuple[int, str]]:
    """(column id, name on the target) of the key; empty if there is none on both."""
    by_name = {column.name: column.id for column in columns}
    theirs = {column.id: column.name for column in target.columns}
    ids = [by_name.get(name) for name in merged.key]
    return [(i, theirs[i]) for i in ids if i is not None and i in theirs] if None not in ids and all(
        i in theirs for i in ids
    ) else []  # fmt: skip


def _decide(
    cursor: Cursor, name: str, plan: TablePlan, columns: tuple[Column, ...], target: Table, strategy: str
) -> None:
    """Adds conflicts and outcomes."""
    base_ids = {column.id for column in (plan.base.columns if plan.base else ())}
    source_ids = {column.id for column in (plan.source or target).columns}
    target_ids = {column.id for column in target.columns}
    cells, items, outcomes = [], [], []
    for column in columns:
        b, s, t, x = (f"{letter}{column.id}" for letter in "bstx")
        both = column.id in source_ids and column.id in target_ids
        if not both:
            items.append(f"false AS {x}")
        else:
            items.append(
                f"in_source AND in_target AND {distinct(s, t)} AND (NOT in_base OR ({distinct(s, b)}"
                f" AND {distinct(t, b)})) AS {x}"
            )
        conflict = s if strategy == BRANCH else t
        if column.id not in source_ids:
            taken = t
        elif column.id not in target_ids:
            taken = s
        else:
            taken = (
                f"CASE WHEN {x} THEN {conflict} WHEN in_base AND NOT {distinct(s, b)} THEN {t} ELSE {s} END"
            )
        outcomes.append(
            f"CASE WHEN NOT in_source THEN {t} WHEN NOT in_target THEN {s} ELSE {taken} END AS r{column.id}"
        )
        if column.id in target_ids:
            cells.append(distinct(t, b if column.id in base_ids else initial(column)))
    modified = any_of(cells)
    won = "branch" if strategy == BRANCH else "target"
    store(
        cursor,
        name,
        f"SELECT *, {''.join(item + ', ' for item in outcomes)}"
        f"CASE WHEN in_base AND in_target AND NOT in_source AND {modified} THEN 'delete_modify'"
        f" WHEN in_base AND in_source AND NOT in_target THEN 'modify_delete' END AS x_row,"
        f" '{won}' AS won, '' AS action"
        f" FROM (SELECT *{''.join(', ' + item for item in items)} FROM {name}) AS _conflicts",
    )


def _act(cursor: Cursor, name: str, columns: tuple[Column, ...]) -> None:
    changed = any_of([distinct(f"r{c.id}", f"t{c.id}") for c in columns])
    cursor.execute(
        f"UPDATE {name} SET action = CASE"
        f" WHEN won = 'base' AND x_row IS NOT NULL THEN CASE WHEN in_target THEN 'update' ELSE 'insert' END"
        f" WHEN in_source AND in_target THEN CASE WHEN {changed} THEN 'update' ELSE 'none' END"
        f" WHEN in_source AND (NOT in_base OR won = 'branch') THEN 'insert'"
        f" WHEN NOT in_source AND in_target AND (x_row IS NULL OR won = 'branch') THEN 'delete'"
        f" ELSE 'none' END"
    )


def _count(cursor: Cursor, name: str, columns: tuple[Column, ...]) -> tuple[Counts, bool]:
    """What the stage holds, and whether every row of the target has its place."""
    cells = " + ".join(
        f"CAST((action = 'update' AND NOT x{c.id} AND {distinct(f'r{c.id}', f't{c.id}')}) AS BIGINT)"
        for c in columns
    )
    conflicts = " + ".join(
        ["CAST((x_row IS NOT NULL) AS BIGINT)", *(f"CAST(x{c.id} AS BIGINT)" for c in columns)]
    )
    row = cursor.query(
        "SELECT count(*) FILTER (WHERE action = 'insert'), count(*) FILTER (WHERE action = 'update'),"
        f" count(*) FILTER (WHERE action = 'delete'), CAST(coalesce(sum({cells or '0'}), 0) AS BIGINT),"
        f" CAST(coalesce(sum({conflicts}), 0) AS BIGINT),"
        f" coalesce(bool_and(place IS NOT NULL) FILTER (WHERE in_target), false) FROM {name}"
    )[0]
    return Counts(*row[:5]), row[5]
