"""Columns that number their rows: the attribute each dialect has for it, and where the numbers start, step and end."""

from __future__ import annotations

from migration.dialects.base import DialectContract
from migration.dialects.type_map import Mapping
from migration.model import ColumnSpec, Counting, TableSpec

_SEVERAL_NUMBERS = ("postgres",)  # columns of a table that generate numbers


def identity_clause(
    column: ColumnSpec, mapping: Mapping, table: TableSpec, item: DialectContract, notes: list[str]
) -> str:
    """What makes the column's numbers in the dialect, "" if it has none or cannot: a note says so."""
    if not column.identity:
        return ""
    keyed = any(key.columns[:1] == (column.name,) for key in table.keys if key.kind in ("primary", "unique"))
    first = next(spec.name for spec in table.columns if spec.identity)
    fits = not item.identity_type or mapping.target_type.upper() == item.identity_type
    whole = column.type.is_integer and column.type.kind in ("int16", "int32", "int64")
    alone = first == column.name or item.name in _SEVERAL_NUMBERS
    if item.identity and fits and whole and alone and (item.name != "mysql" or keyed):
        made = (column.identity == "always" and item.identity_always) or item.identity
        return _counting(made, column, item, notes)
    notes.append(f'column "{column.name}": generated numbers are not kept')
    return ""


def _counting(made: str, column: ColumnSpec, item: DialectContract, notes: list[str]) -> str:
    """An identity with where its numbers start and how they go on, where that is not 1."""
    counting = column.counting
    bounded = counting.least is not None or counting.most is not None or counting.cycles
    if bounded and item.name not in _SEVERAL_NUMBERS:
        bounds = " and ".join(
            f"{word} {bound}"
            for word, bound in (("at", counting.least), ("at", counting.most))
            if bound is not None
        )
        notes.append(
            f'column "{column.name}": its numbers end {bounds or "with the type"}'
            f"{' and begin again' if counting.cycles else ''}, which {item.name} does not say here"
        )
    if counting == Counting():
        return made
    if not item.identity_counting:
        if (counting.start, counting.step) != (1, 1):
            notes.append(
                f'column "{column.name}": its numbers start at {counting.start} and go on by {counting.step}, which '
                f"{item.name} does not say here"
            )
        return made
    said = item.identity_counting.format(start=counting.start, step=counting.step)
    if item.name in _SEVERAL_NUMBERS:
        said = said.removesuffix(")") + _bounds(counting) + ")"
    return made.removesuffix("(1,1)") + said


def _bounds(counting: Counting) -> str:
    """What a sequence says of its bounds; it starts within them."""
    least, most = counting.least, counting.most
    if counting.step > 0 and least is None and counting.start < 1:
        least = counting.start
    if counting.step < 0 and most is None and counting.start > -1:
        most = counting.start
    said = "" if least is None else f" MINVALUE {least}"
    said += "" if most is None else f" MAXVALUE {most}"
    return said + " CYCLE" * counting.cycles
