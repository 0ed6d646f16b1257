"""The options of TRANSFER SCHEMA that name columns and tables, as those of each of its tables.

Rules:

1. ``column`` means the column of that name in every table that has one, ``table.column`` in that table alone; a name
   that fits nothing is an error (42703), not passed over.
2. ``skip_tables`` leaves tables behind; references to them are left out, and the result says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.transfer_model import TransferOptions


def of_table(options: TransferOptions, table: str, columns: Sequence[ColumnSpec]) -> TransferOptions:
    """The options with those columns alone that the table has, by their names in it."""
    has = {column.name for column in columns}

    def kept(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(found for name in names if (found := _column(name, table, has)) is not None)

    casts = {
        found: type_
        for name, type_ in options.casts.items()
        if (found := _column(name, table, has)) is not None
    }
    return replace(
        options,
        casts=casts,
        skip=kept(options.skip),
        as_text=kept(options.as_text),
        allow_lossy=kept(options.allow_lossy),
    )


def _column(name: str, table: str, has: set[str]) -> str | None:
    if name in has:
        return name
    rest = name.removeprefix(f"{table}.")
    return rest if rest != name and rest in has else None


def check_columns(options: TransferOptions, schema: str, tables: Sequence[TableSpec]) -> None:
    """42703 for a column that no table of the schema has."""
    has = [(table.name, {column.name for column in table.columns}) for table in tables]
    for name in (*options.casts, *options.skip, *options.as_text, *options.allow_lossy):
        if all(_column(name, table, columns) is None for table, columns in has):
            raise MigrationError(
                "42703",
                f'no table of schema "{schema}" that moves has a column "{name}"',
                detail=f"Its tables are {', '.join(sorted(table for table, _ in has))}.",
                hint="Write column for every table that has it, or table.column.",
                column=name,
            )


def check_tables(options: TransferOptions, tables: Iterable[str]) -> None:
    """22023 for a name in ``skip_tables`` that is no table of the schema."""
    known = sorted(tables)
    unknown = [name for name in options.skip_tables if name not in known]
    if unknown:
        raise MigrationError(
            "22023",
            f"option skip_tables names no table: {', '.join(unknown)}",
            hint=f"Tables: {', '.join(known) or 'there are none'}.",
        )
