"""What follows a publication: plain indexes, and generated numbers that go on behind the rows that moved.

Rules:

1. The rows are safe already. Whatever goes wrong here is a note in the result, never a failed transfer.
2. Indexes of the source are made for a new table only, after its rows are there: one that exists has its own.
3. A column whose numbers the target generates (identity, serial) must not give out a number that has moved. The
   connector knows how (``count_on``); engines that look at the rows themselves have no such method.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migration.dialects import contract
from migration.dialects.quoting import quote_name, quote_path
from migration.errors import MigrationError
from migration.model import ColumnSpec, IndexSpec, KeySpec
from migration.transfer.plan import TransferPlan

_SAME_INDEXES = ("postgres", "greenplum")  # one's text of an index is another's
_REFERENCES_INDEXED = ("mysql", "duckdb")  # a foreign key has an index of its own there
_INDEXED = ("postgres", "greenplum", "mysql", "duckdb", "sqlite")


def finish(item: TransferPlan, notes: Sequence[str]) -> tuple[str, ...]:
    """Makes what belongs to the published table and is not its rows; the notes of the whole transfer."""
    notes = list(notes)
    if item.create_statements:
        for key in plain_indexes(item):
            label = f"index ({', '.join(key.columns)})"
            try:
                name = _index(item, key)
            except MigrationError as error:
                notes.append(f"{label} is not made: {error.message}")
            else:
                notes.append(f"{label} made as {name}")
        notes += [_special_index(item, index) for index in item.source_table.indexes]
    for column, note in _numbers(item):
        lost = f'column "{column}": generated numbers are not kept'
        notes = [*(each for each in notes if each != lost), note]
    return tuple(notes)


def plain_indexes(item: TransferPlan) -> Iterable[KeySpec]:
    """The source's indexes that the new table can have, and has not from a key."""
    engine = contract(item.target.dialect).name
    if engine not in _INDEXED:
        return ()
    moved = {column.name for column in item.columns}
    seen = {
        key.columns
        for key in item.target_table.keys
        if key.kind != "foreign" or engine in _REFERENCES_INDEXED
    }
    found = [key for key in item.source_table.keys if key.kind == "index" and set(key.columns) <= moved]
    return [key for key in found if key.columns not in seen]


def _index(item: TransferPlan, key: KeySpec) -> str:
    """By the source's name, or where that is taken by one made of table and columns."""
    rules = contract(item.target.dialect)
    table = item.request.target[-1:] if rules.name == "sqlite" else item.request.target
    made = f"{table[-1]}_{'_'.join(key.columns)}_idx"[: min(rules.identifiers.max_length, 60)]
    for name in dict.fromkeys([key.name or made, made]):
        try:
            item.target.execute(
                f"CREATE INDEX {quote_name(name, rules)} ON {quote_path(table, rules)} "
                f"({', '.join(quote_name(column, rules) for column in key.columns)})"
            )
        except MigrationError as error:
            if name == made or "exist" not in error.message.lower():
                raise
        else:
            return name
    return made


def _special_index(item: TransferPlan, index: IndexSpec) -> str:
    """Makes an index that its columns do not say, where both engines say it alike; the note."""
    label = f"{'unique ' if index.unique else ''}index {index.name} ({index.what})"
    rules = contract(item.target.dialect)
    if rules.name not in _SAME_INDEXES or item.source_table.dialect not in _SAME_INDEXES:
        return f"{label} is not made: {rules.name} has no text for it"
    unique = "UNIQUE " if index.unique else ""
    name, table = quote_name(index.name, rules), quote_path(item.request.target, rules)
    try:
        item.target.execute(f"CREATE {unique}INDEX {name} ON {table} {index.text}")
    except MigrationError as error:
        return f"{label} is not made: {error.message}"
    return f"{label} made"


def _numbers(item: TransferPlan) -> list[tuple[str, str]]:
    notes = []
    for column in numbered(item):
        try:
            start = item.target.count_on(item.request.target, column.name)
        except MigrationError as error:
            notes.append((column.name, f'column "{column.name}": its numbers may repeat: {error.message}'))
        else:
            if start is not None:
                notes.append((column.name, f'column "{column.name}" counts on from {start}'))
    return notes


def numbered(item: TransferPlan) -> list[ColumnSpec]:
    """Columns that moved and whose numbers the target is to generate."""
    table = item.source_table if item.create_statements else item.target_table
    whole = {column.name for column in item.columns if column.target.is_integer}
    return [column for column in table.columns if column.identity and column.name in whole]
