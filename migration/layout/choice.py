"""Chooses keys, distribution, sorting and partitions of a target table from statistics of the source.

Rules:

1. What was measured decides: distinct values, NULLs, the share of the most frequent value, how rows follow
   time, how
   many rows. Names decide nothing: ``status_id`` with five values is no distribution key.
2. What the contract forbids is never proposed: no floats or JSON as keys, no Nullable sort keys in
   ClickHouse.
3. Every choice has a reason a person can check, and a score between 0 and 1.
4. Without statistics only declared facts remain (types, NOT NULL, keys, order); the confidence says
   ``declared``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from migration.dialects import contract
from migration.dialects.type_names import is_nullable_type, parse_type
from migration.errors import MigrationError
from migration.types import CanonicalType

# Whose type names are read where the named dialect has no such type.
_OTHERS = ("postgres", "mysql", "clickhouse", "starrocks", "snowflake", "bigquery", "trino", "redshift")

Confidence = Literal["measured", "declared"]


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What is known of one column. ``skew`` is the share of the most frequent value; ``time_correlation``
    says how
    closely the physical order of rows follows the column, -1 to 1. None = not measured."""

    name: str
    type: CanonicalType
    nullable: bool = True
    distinct: int | None = None
    nulls: int | None = None
    minimum: Any = None
    maximum: Any = None
    avg_bytes: float | None = None
    skew: float | None = None
    time_correlation: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One clause of the layout: its columns or its value, why, and how sure."""

    clause: str
    columns: tuple[str, ...] = ()
    value: str = ""
    reason: str = ""
    score: float = 0.5


@dataclass(frozen=True, slots=True)
class Layout:
    """All choices for one table. ``column_order`` is the order to declare columns in, () = as they are."""

    dialect: str
    choices: tuple[Choice, ...] = ()
    confidence: Confidence = "declared"
    column_order: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def choice(self, clause: str) -> Choice | None:
        """The choice made for ``clause``, None if there is none."""
        return next((choice for choice in self.choices if choice.clause == clause), None)

    def as_dict(self) -> dict[str, Any]:
        """Clause to columns or value, in the keys of Datus' suggest_table_layout."""
        result: dict[str, Any] = {}
        for choice in self.choices:
            if choice.clause == "buckets":
                result["buckets"] = int(choice.value) if choice.value.isdigit() else choice.value
            elif choice.clause == "distkey":
                result["distkey"] = choice.columns[0]
            else:
                result[choice.clause] = (
                    list(choice.columns) if choice.columns or not choice.value else choice.value
                )
        return result


def suggest(
    dialect: str,
    columns: Sequence[ColumnStatistics],
    row_count: int | None = None,
    *,
    primary_key: Sequence[str] = (),
    unique_keys: Sequence[Sequence[str]] = (),
    total_bytes: int | None = None,
    version: str | None = None,
) -> Layout:
    """A layout for ``dialect``; an engine with nothing to choose gives an empty one."""
    from migration.layout.families import FAMILIES, Facts

    item = contract(dialect)
    names = {column.name for column in columns}
    for name in primary_key:
        if name not in names:
            raise MigrationError("42703", f'key column "{name}" is not among the columns')
    measured = row_count is not None and any(column.distinct is not None for column in columns)
    facts = Facts(
        item,
        tuple(columns),
        row_count,
        tuple(primary_key),
        tuple(map(tuple, unique_keys)),
        total_bytes,
        version,
    )
    family = FAMILIES.get(item.name)
    choices = family(facts) if family and columns else ()
    notes: tuple[str, ...] = ()
    if not measured:
        notes = ("no statistics: chosen from types, NOT NULL and keys only",)
    empty = [each for each in choices if each.clause == "duplicate_key" and not each.columns]
    notes += tuple(each.reason for each in empty)  # nobody could write DUPLICATE KEY ()
    choices = tuple(each for each in choices if each not in empty)
    return Layout(item.name, choices, "measured" if measured else "declared", facts.order(choices), notes)


def suggest_from_json(
    dialect: str, columns_json: str, source_dialect: str = "duckdb", version: str | None = None
) -> Layout:
    """The layout for Datus' ``[{"name", "type", "nullable"}]``; confidence is always ``declared``. A type that
    ``source_dialect`` has not is read as that of another one that has it."""

    def refused(detail: str) -> MigrationError:
        return MigrationError(
            "22023",
            "columns_json is not a list of columns",
            detail=detail,
            hint='Send [{"name": "id", "type": "BIGINT", "nullable": false}, ...].',
        )

    try:
        rows = json.loads(columns_json)
    except ValueError as error:
        raise refused(f"It is no JSON: {error}.") from error
    if not isinstance(rows, list):
        raise refused(f"It is {columns_json.strip()[:40]}, and no list.")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("name", "type")):
            raise refused(
                f"Item {number} has no name or no type: {json.dumps(row, ensure_ascii=False)[:80]}."
            )
    found = [(row["name"], row["type"], bool(row.get("nullable", True))) for row in rows]
    columns = [
        ColumnStatistics(name, _anyones(type_, source_dialect), nullable or is_nullable_type(type_))
        for name, type_, nullable in found
    ]
    return suggest(dialect, columns, version=version)


def _anyones(type_: str, dialect: str) -> CanonicalType:
    """The tool is not told whose types they are: ``int unsigned`` is MySQL's, ``UInt32`` ClickHouse's."""
    for name in (dialect, *_OTHERS):
        with suppress(MigrationError):  # no type at all over there
            found = parse_type(type_, name)
            if found.kind != "unknown":
                return found
    return parse_type(type_, dialect)
