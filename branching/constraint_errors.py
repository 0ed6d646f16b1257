"""The engine's constraint errors in Postgres' words: constraint name, table, key, and never a storage name."""

from __future__ import annotations

import re

from branching import ddl_model as d
from branching import names
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.model import Constraint, Table

_NAMED_KEY = re.compile(
    r'Duplicate key "(?P<key>.*)" violates (?P<kind>primary key|unique) constraint', re.DOTALL
)
_PLAIN_KEY = re.compile(r'constraint violation: duplicate key "(?P<key>.*)"', re.DOTALL)
_NOT_NULL = re.compile(r"NOT NULL constraint failed: (?P<table>[^.]+)\.(?P<column>.+)")
_CHECK = re.compile(
    r"CHECK constraint failed on table \"?(?P<table>[^\"]+)\"? with expression CHECK\s?\((?P<text>.*)\)",
    re.DOTALL,
)


def explain(error: EngineError, table: Table) -> BoughError | None:
    """The error for a client, if ``error`` is a constraint of ``table`` that a statement broke."""
    text = error.message
    if found := _NAMED_KEY.search(text):
        pairs = [part.partition(": ") for part in found["key"].split(", ")]
        pairs = [pair for pair in pairs if pair[0] != names.BRANCH]
        columns = tuple(pair[0] for pair in pairs)
        return _duplicate(table, columns, [pair[2] for pair in pairs], found["kind"] == "primary key")
    if found := _PLAIN_KEY.search(text):
        values = found["key"].split(", ")
        return _duplicate(table, None, values, None)
    if found := _NOT_NULL.search(text):
        column = found["column"].strip().strip('"')
        return BoughError(
            "23502",
            f'null value in column "{column}" of relation "{table.name}" violates not-null constraint',
            schema=table.schema,
            table=table.name,
            column=column,
        )
    if found := _CHECK.search(text):
        constraint = _check(table, found["text"])
        return BoughError(
            "23514",
            f'new row for relation "{table.name}" violates check constraint "{constraint}"',
            detail=f"The check is ({found['text'].strip('()')}).",
            schema=table.schema,
            table=table.name,
            constraint=constraint,
        )
    return None


def explain_existing(error: EngineError, table: Table, action: d.Action) -> BoughError | None:
    """The error for a client whose ALTER TABLE the table's own rows refuse."""
    if isinstance(action, d.AddConstraint):
        wanted = action.constraint
        name = wanted.name or f"{table.name}_{'pkey' if wanted.kind == 'p' else 'key'}"
        if wanted.kind in "pu" and not _NOT_NULL.search(error.message):
            return not_unique(error, table, name, wanted.columns)
        if wanted.kind == "c":
            return BoughError(
                "23514",
                f'check constraint "{wanted.name or table.name + "_check"}" of relation "{table.name}"'
                " is violated by some row",
                table=table.name,
                constraint=wanted.name,
            )
    if found := _NOT_NULL.search(error.message):
        column = found["column"].strip().strip('"')
        return BoughError(
            "23502",
            f'column "{column}" of relation "{table.name}" contains null values',
            table=table.name,
            column=column,
        )
    return explain(error, table)


def not_unique(error: EngineError, table: Table, name: str, columns: tuple[str, ...]) -> BoughError:
    """Rows that are there already are not unique in ``columns``."""
    found = _NAMED_KEY.search(error.message) or _PLAIN_KEY.search(error.message)
    if found is None:
        detail = None
    else:
        values = [part.partition(": ")[2] or part for part in found["key"].split(", ")]
        detail = f"Key ({', '.join(columns)})=({', '.join(values)}) is duplicated."
    return BoughError(
        "23505",
        f'could not create unique index "{name}"',
        detail=detail,
        schema=table.schema,
        table=table.name,
        constraint=name,
    )


def _duplicate(
    table: Table, columns: tuple[str, ...] | None, values: list[str], primary: bool | None
) -> BoughError:
    keys = [item for item in table.constraints if item.kind in "pu"]
    keys += [Constraint(index.name, "u", index.columns) for index in table.indexes if index.unique]
    match = next(
        (
            item
            for item in keys
            if (columns is None and len(item.columns) in (len(values), len(values) - 1))
            or (
                columns is not None
                and set(item.columns) == set(columns)
                and (primary is None or primary == (item.kind == "p"))
            )
        ),
        None,
    )
    if match is not None and columns is None:
        values = values[-len(match.columns) :]  # a delta's keys begin with the branch
    name = match.name if match is not None else f"{table.name}_key"
    shown = columns or (match.columns if match is not None else ())
    return BoughError(
        "23505",
        f'duplicate key value violates unique constraint "{name}"',
        detail=f"Key ({', '.join(shown)})=({', '.join(values)}) already exists." if shown else None,
        schema=table.schema,
        table=table.name,
        constraint=name,
    )


def _check(table: Table, text: str) -> str:
    def bare(sql: str) -> str:
        return re.sub(r"[\s()\"]", "", sql).lower()

    for constraint in table.constraints:
        if constraint.kind == "c" and constraint.expression and bare(constraint.expression) == bare(text):
            return constraint.name
    checks = [item for item in table.constraints if item.kind == "c"]
    return checks[0].name if checks else f"{table.name}_check"
