"""The engine's constraint errors in Postgres' words: constraint name, table, key, and never a storage name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from branching import names
from branching.ddl import model as d
from branching.engine.base import Broken, EngineError
from branching.errors import BoughError
from branching.model import Constraint, Table


def explain(error: EngineError, table: Table) -> BoughError | None:
    """The error for a client, if ``error`` is a constraint of ``table`` that a statement broke."""
    broken = error.broken
    if broken is None:
        return None
    if broken.kind == "key":
        return _duplicate(table, broken)
    if broken.kind == "not null":
        column = (broken.columns or ("",))[0]
        return BoughError(
            "23502",
            f'null value in column "{column}" of relation "{table.name}" violates not-null constraint',
            schema=table.schema,
            table=table.name,
            column=column,
        )
    constraint = _check(table, broken.rule)
    return BoughError(
        "23514",
        f'new row for relation "{table.name}" violates check constraint "{constraint}"',
        detail=f"The check is {_shown(broken.rule)}.",
        schema=table.schema,
        table=table.name,
        constraint=constraint,
    )


def explain_existing(error: EngineError, table: Table, action: d.Action) -> BoughError | None:
    """The error for a client whose ALTER TABLE the table's own rows refuse."""
    if isinstance(action, d.AddConstraint):
        wanted = action.constraint
        name = wanted.name or f"{table.name}_{'pkey' if wanted.kind == 'p' else 'key'}"
        if wanted.kind in "pu" and not _is_null(error):
            return not_unique(error, table, name, wanted.columns)
        if wanted.kind == "c":
            return BoughError(
                "23514",
                f'check constraint "{wanted.name or table.name + "_check"}" of relation "{table.name}"'
                " is violated by some row",
                table=table.name,
                constraint=wanted.name,
            )
    if error.broken is not None and _is_null(error):
        column = (error.broken.columns or ("",))[0]
        return BoughError(
            "23502",
            f'column "{column}" of relation "{table.name}" contains null values',
            table=table.name,
            column=column,
        )
    return explain(error, table)


def not_unique(error: EngineError, table: Table, name: str, columns: tuple[str, ...]) -> BoughError:
    """Rows that are there already are not unique in ``columns``."""
    broken = error.broken
    known = broken is not None and broken.kind == "key"
    return repeated(table, name, columns, broken.values if broken is not None and known else ())


def repeated(table: Table, name: str, columns: Sequence[str], values: Sequence[object]) -> BoughError:
    """A key that is to be unique, which several rows have; no ``values``: nobody knows which."""
    return _of_key(table, name, f'could not create unique index "{name}"', columns, values, "is duplicated")


def taken(table: Table, name: str, columns: Sequence[str], values: Sequence[object]) -> BoughError:
    """A key that a row has already, or that two of the rows that come have."""
    message = f'duplicate key value violates unique constraint "{name}"'
    return _of_key(table, name, message, columns, values, "already exists")


def _of_key(
    table: Table, name: str, message: str, columns: Sequence[str], values: Sequence[object], what: str
) -> BoughError:
    key = f"({', '.join(columns)})=({', '.join(map(str, values))})"
    return BoughError(
        "23505",
        message,
        detail=f"Key {key} {what}." if columns and values else None,
        schema=table.schema,
        table=table.name,
        constraint=name,
    )


def _is_null(error: EngineError) -> bool:
    return error.broken is not None and error.broken.kind == "not null"


def _duplicate(table: Table, broken: Broken) -> BoughError:
    columns, values, primary = broken.columns, broken.values, broken.primary
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
    return taken(table, name, shown, values)


def _shown(rule: str) -> str:
    """A check as the client knows it, in one pair of parentheses."""
    text = rule.replace(f"{names.FUNCTIONS}.", "").strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    return f"({text})"


def _closing(text: str) -> int:
    """Where the first parenthesis closes."""
    depth, quote = 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if not depth:
                return at
    return -1


def _check(table: Table, text: str) -> str:
    def bare(sql: str) -> str:
        return re.sub(r"[\s()\"]", "", sql).lower()

    for constraint in table.constraints:
        if constraint.kind == "c" and constraint.expression and bare(constraint.expression) == bare(text):
            return constraint.name
    # the engine spells a rule in its own way: the one that has most of its words
    said = set(re.findall(r"\w+", text.lower()))
    checks = [item for item in table.constraints if item.kind == "c" and item.expression]
    if not checks:
        return f"{table.name}_check"
    return max(checks, key=lambda item: _likeness(said, item.expression or "")).name


def _likeness(said: set[str], expression: str) -> float:
    words = set(re.findall(r"\w+", expression.lower()))
    return len(said & words) / max(len(said | words), 1)
