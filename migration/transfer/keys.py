"""The KEY of a transfer: every row of the source has one, and no two rows have the same.

Rules:

1. A NULL refuses the plan. The profile's measures tell of it, or a question of its own where there are none.
2. A key that repeats refuses the plan too, where the source is an engine whose GROUP BY tells values apart as the
   target will; elsewhere staging is asked. A primary or unique key of the source needs no question.
3. Texts are told apart by their bytes, whatever collation the source has. What the target then takes for one and the
   same is known to the target alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from migration.connectors.base import Reader, Source
from migration.connectors.queries import in_byte_order
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.errors import MigrationError
from migration.measures.sql import DIALECTS as MEASURED
from migration.measures.sql import source_clause
from migration.model import TableSpec
from migration.transfer.columns import ColumnPlan
from migration.values.conditions import sample_text
from migration.values.profile import Profile, Question

_ASKED = ("duckdb", "postgres", "mysql", "sqlite")
_COMPARED = ("text", "uuid", "date", "timestamp", "instant", "bool", "bytes", "decimal")


def questions(key: Sequence[str], plans: Sequence[ColumnPlan], dialect: str) -> list[Question]:
    """Whether a key column has NULLs, where the measures will not tell."""
    measured = contract(dialect).name in MEASURED
    return [
        Question(plan.name, plan.read, "no_null", plan.expression)
        for plan in plans
        if plan.name in key and plan.nullable and not (measured and plan.expression is None)
    ]


def refuse_missing(key: Sequence[str], profile: Profile) -> None:
    """23502 where rows have no key."""
    for name in key:
        count = _nulls(name, profile)
        if count:
            raise MigrationError(
                "23502",
                f"{count} row{'s' if count != 1 else ''} of the source {'have' if count != 1 else 'has'} no key "
                f"({', '.join(key)})",
                detail=f'"{name}" is NULL in {count} of {profile.rows} rows.',
                hint="Leave these rows out in a query, or choose another KEY: "
                f"TRANSFER (SELECT ... WHERE {_named(name)} IS NOT NULL).",
                column=name,
            )


def _nulls(name: str, profile: Profile) -> int:
    if profile.measure is not None and name in profile.measure.columns:
        return profile.rows - int(profile.measure.columns[name][1].get("nonnull", profile.rows))
    return sum(finding.count for finding in profile.broken(name) if finding.guard == "no_null")


def _named(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'


def refuse_repeated(
    key: Sequence[str],
    plans: Sequence[ColumnPlan],
    table: TableSpec,
    reader: Reader,
    source: Source,
    dialect: str,
) -> None:
    """21000 where two rows have one key, if the source can tell."""
    item = contract(dialect)
    parts = [plan for plan in plans if plan.name in key]
    unique = [each.columns for each in table.keys if each.kind in ("primary", "unique")]
    if not key or item.name not in _ASKED or any(set(names) <= set(key) for names in unique if names):
        return
    if any(plan.expression or plan.broken or not _is_compared(plan) for plan in parts):
        return
    names = {plan.name: quote_name(plan.name, item) for plan in parts}
    groups = [
        in_byte_order(names[plan.name], item) if plan.read.kind == "text" else names[plan.name]
        for plan in parts
    ]
    shown = [f"min({sample_text(names[name], dialect)}) AS k{number}" for number, name in enumerate(key)]
    found = reader.fetch(
        f"SELECT {', '.join(shown)} FROM {source_clause(source, dialect)} GROUP BY {', '.join(groups)} "
        "HAVING count(*) > 1 LIMIT 3"
    ).to_pylist()
    if found:
        raise MigrationError(
            "21000",
            f"the key ({', '.join(key)}) is not unique in the source",
            detail="Repeated: " + "; ".join(", ".join(map(str, row.values())) for row in found) + ".",
            hint="Choose another KEY, or select one row for each in a query.",
            column=key[0],
        )


def _is_compared(plan: ColumnPlan) -> bool:
    """Whether values that are equal there are equal everywhere, and the others different."""
    if plan.read.kind == "decimal" and plan.read.precision is None:
        return False  # 1.0 and 1.00 are two texts
    return plan.read.is_integer or plan.read.kind in _COMPARED
