"""A CAST that was asked for is tried on every value when the transfer is planned.

What a cast does to a value only its engine knows, and it says so while the values are read. So these columns, and no
others, are read once more: what would have stopped the rows on their way stops the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from migration.connectors.base import Reader, Source
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.transfer.columns import ColumnPlan

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
