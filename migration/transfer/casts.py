"""A CAST that was asked for is tried on every value when the transfer is planned.

What a cast does to a value only its engine knows, and it says so while the values are read. So these columns, and no
others, are read once more: what would have stopped the rows on their way stops the plan.

PostgreSQL's money moves as its text, which another lc_monetary reads as another amount (5,00 as 500).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from migration.connectors.base import Connector, Reader, Source
from migration.dialects import contract
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.transfer.columns import ColumnPlan

_AMOUNT = "SELECT (-1234567.89)::pg_catalog.numeric::pg_catalog.money::pg_catalog.text"
_OF_A_VALUE = ("HV004", "HV000", "VT002")  # besides class 22


def refuse_failing(
    plans: Sequence[ColumnPlan], cast: Collection[str], reader: Reader, source: Source
) -> None:
    """HV004 with the column whose cast some value does not take."""
    for plan in plans:
        found_by_reader = any(guard.startswith("held:") for guard in plan.mapping.guards)  # and counted
        if plan.name not in cast or plan.expression is None or found_by_reader:
            continue
        try:
            for _ in reader.read(source, [plan.read_column]):
                pass
        except MigrationError as error:
            if error.sqlstate not in _OF_A_VALUE and not error.sqlstate.startswith("22"):
                raise
            name = spelled(plan.name)
            said = [error.message, *([error.detail] if error.detail else [])]
            raise MigrationError(
                "HV004",
                f'column "{plan.name}" has a value that cannot be cast to {plan.mapping.target_type}',
                detail=". ".join(text.rstrip(".") for text in said) + ".",
                hint=f"CAST ({name} AS type) to a type that holds every value, SKIP ({name}) or AS TEXT ({name}), or "
                "say in a query what becomes of the others.",
                column=plan.name,
            ) from error


def refuse_other_money(plans: Sequence[ColumnPlan], reader: Reader, target: Connector) -> None:
    """HV004 with the column of money that the target would read as another amount."""
    money = [
        plan for plan in plans if plan.read.kind == "unknown" and plan.declared.lower().startswith("money")
    ]
    if not money or contract(target.dialect).name not in ("postgres", "greenplum"):
        return
    here = reader.row(_AMOUNT)[0]
    with target.reader() as other:
        there = other.row(_AMOUNT)[0]
    if here == there:
        return
    name = spelled(money[0].name)
    raise MigrationError(
        "HV004",
        f'column "{money[0].name}" is money, and the two databases write it in different ways (lc_monetary)',
        detail=f"The source writes an amount as {here}, the target as {there}.",
        hint=f"CAST ({name} AS numeric), which says the same everywhere, into a numeric column.",
        column=money[0].name,
    )
