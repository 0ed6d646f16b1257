"""Constraints after a merge, verified on the rows it touches: both sides may be right and their sum wrong.

NOT NULL, CHECK, UNIQUE and PRIMARY KEY are asked of the staged rows before anything is written; foreign keys, which
need all tables, after: children that the merge wrote, and children of parents that it changed or deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from branching import names
from branching.dml.foreign_keys import orphan_predicate
from branching.dml.statements import key_columns
from branching.engine.base import Cursor
from branching.merge.plan import TablePlan
from branching.merge.stage import Stage
from branching.merge.values import any_of, distinct, initial
from branching.model import Constraint, Table
from branching.names import RID, VERSION, quote
from branching.resolve import Scope

_KINDS = {"p": "primary key", "u": "unique", "c": "check", "f": "foreign key", "n": "not null"}
_STATES = {"p": "23505", "u": "23505", "c": "23514", "f": "23503", "n": "23502"}


@dataclass(frozen=True, slots=True)
class Violation:
    schema: str
    table: str
    constraint: str
    kind: str
    key: str | None
    detail: str
    sqlstate: str


def violation(table: Table, name: str, letter: str, key: str | None, detail: str) -> Violation:
    return Violation(table.schema, table.name, name, _KINDS[letter], key, detail, _STATES[letter])


def violations(cursor: Cursor, stage: Stage, plan: TablePlan, target_sql: str) -> list[Violation]:
    """What the staged rows of a table would break."""
    table = plan.merged
    if table is None or plan.target is None or not stage.counts.changes:
        return []
    source_ids = {column.id for column in (plan.source or table).columns}
    items = ", ".join(
        (
            f"r{c.id}"
            if c.id in source_ids
            else f"CASE WHEN action = 'insert' THEN {initial(c)} ELSE r{c.id} END"
        )
        + f" AS {quote(c.name)}"
        for c in stage.columns
    )
    outcome = f"SELECT rid, trid, action, {items} FROM {stage.sql} WHERE action IN ('insert', 'update')"
    key = text_of(list(table.key), "_row") if table.key else "NULL"
    found: list[Violation] = []
    for column in table.columns:
        if column.not_null and column.generated is None:
            for (text,) in cursor.query(
                f"SELECT {key} FROM ({outcome}) AS _row WHERE {quote(column.name)} IS NULL LIMIT 1000"
            ):
                detail = f'column "{column.name}" would be NULL'
                found.append(violation(table, f"{table.name}_{column.name}_not_null", "n", text, detail))
    for constraint in table.constraints:
        if constraint.kind == "c":
            for (text,) in cursor.query(
                f"SELECT {key} FROM ({outcome}) AS _row WHERE NOT ({constraint.expression}) LIMIT 1000"
            ):
                detail = f"the check is ({constraint.expression})"
                found.append(violation(table, constraint.name, "c", text, detail))
    kinds: dict[str, str] = {item.name: item.kind for item in table.constraints}
    for name, columns in key_columns(table):
        found += _duplicates(cursor, stage, table, plan.target, target_sql, outcome, name, columns, kinds)
    return found


def _duplicates(
    cursor: Cursor,
    stage: Stage,
    table: Table,
    target: Table,
    target_sql: str,
    outcome: str,
    name: str,
    columns: tuple[str, ...],
    kinds: dict[str, str],
) -> list[Violation]:
    ids = {column.name: column.id for column in stage.columns}
    if not all(column in ids for column in columns):
        return []
    here = {column.id: column.name for column in target.columns}
    text = text_of(list(columns), "_row")
    present = " AND ".join(f"_row.{quote(column)} IS NOT NULL" for column in columns)
    listed = names.columns(columns)
    twice = (
        f"SELECT {text_of(list(columns), '_row')} FROM ({outcome}) AS _row WHERE {present}"
        f" GROUP BY {listed} HAVING count(*) > 1"
    )
    parts = [twice]
    moved = any_of([distinct(f"_plan.r{ids[c]}", f"_plan.t{ids[c]}") for c in columns])
    if all(ids[column] in here for column in columns):
        match = " AND ".join(f"_target.{quote(here[ids[c]])} = _row.{quote(c)}" for c in columns)
        parts.append(
            f"SELECT {text} FROM ({outcome}) AS _row"
            f" JOIN (SELECT rid AS plan_rid FROM {stage.sql} AS _plan WHERE action = 'insert' OR {moved}) AS _moved"
            f" ON _moved.plan_rid = _row.rid JOIN ({target_sql}) AS _target ON {match}"
            f" WHERE _target.{RID} NOT IN ({stage.rids('update', 'delete')})"
        )
    rows = cursor.query(" UNION ".join(parts) + " LIMIT 1000")
    letter = kinds.get(name, "u")
    return [
        violation(table, name, letter, key, f"Key ({', '.join(columns)})=({key}) would be there twice.")
        for (key,) in rows
    ]


def text_of(columns: list[str], alias: str) -> str:
    """The values of these columns as one text."""
    return "concat_ws(', ', " + ", ".join(f"CAST({alias}.{quote(c)} AS VARCHAR)" for c in columns) + ")"


def broken_foreign_keys(
    cursor: Cursor, scope: Scope, version: int, written: frozenset[int], shrunk: frozenset[int]
) -> list[Violation]:
    """Children without parents. ``written``: tables that got rows; ``shrunk``: tables whose rows changed or went."""
    tables = {(table.schema, table.name): table for table in scope.catalog.tables()}
    found: list[Violation] = []
    for child in tables.values():
        for constraint in child.constraints:
            if constraint.kind != "f":
                continue
            parent = tables.get((constraint.ref_schema or child.schema, constraint.ref_table or ""))
            if parent is None:
                continue
            if parent.id in shrunk:
                found += _orphans(cursor, scope, child, constraint, parent, "true")
            elif child.id in written:
                found += _orphans(cursor, scope, child, constraint, parent, f"{VERSION} = {version}")
    return found


def _orphans(
    cursor: Cursor, scope: Scope, child: Table, constraint: Constraint, parent: Table, which: str
) -> list[Violation]:
    rows = scope.relation_sql(child, scope.line, hidden=True)
    orphan = orphan_predicate(constraint, "_child", scope.relation_sql(parent, scope.line))
    found = cursor.query(
        f"SELECT {text_of(list(constraint.columns), '_child')} FROM ({rows}) AS _child"
        f" WHERE {which} AND {orphan} LIMIT 1000"
    )
    return [
        violation(
            child,
            constraint.name,
            "f",
            key,
            f'Key ({", ".join(constraint.columns)})=({key}) is not present in table "{parent.name}".',
        )
        for (key,) in found
    ]
