"""What a branch was at its last merge into a branch that is not its parent: the base of the next such merge.

It is kept as a line of state ``base`` with a copy of the branch's own rows, which is as much as the branch has changed.
Nobody can connect to it; the collector drops it when either branch is gone.
"""

from __future__ import annotations

from dataclasses import replace

from branching import manifest, names
from branching.branches import masks_of
from branching.lines import CatalogRef, Line, Record
from branching.merge.sides import PAIR, pair_base, pair_name
from branching.names import BRANCH, RID, VERSION
from branching.transaction import Transaction


def keep_pair(transaction: Transaction, source: Line, target: Line) -> None:
    """Keeps ``source`` as it is in the transaction's snapshot, in place of what was kept before."""
    database, cursor = transaction.database, transaction.cursor
    old = pair_base(database, source, target)
    record = replace(
        source.record,
        id=database.next_id(),
        name=pair_name(source, target),
        state=PAIR,
        parent=source.id,
        parent_catalog=CatalogRef(source.id, source.seq),
        base_catalog=CatalogRef(source.id, source.seq),
        created_at=manifest.now(),
        discarded_at=manifest.now(),
    )
    copy_rows(transaction, source, record)
    manifest.insert_branch(cursor, record)
    manifest.insert_touched(cursor, record.id, sorted(source.touched))
    kept = Line(record, source.catalog, touched=set(source.touched))
    if old is not None:
        delete_rows_of(transaction, old.id)
        manifest.delete_branch(cursor, old.id)

    def current() -> None:
        with database.gate:
            if old is not None:
                database.trash.pop(old.id, None)
            database.trash[record.id] = kept

    transaction.afterwards.append(current)


def copy_rows(transaction: Transaction, source: Line, record: Record) -> None:
    """Copies the source's own rows and masks to the line of ``record``."""
    physical = transaction.physical
    tables = [table for table in source.catalog.tables() if table.id in source.touched]
    for table in tables:
        delta = names.delta(table.storage.shape)
        if physical.has(delta):
            columns = f"{names.columns(table.stored)}, {RID}, {VERSION}"
            _copy(transaction, delta, columns, source.id, record.id)
    for base in masks_of(transaction.database, physical, source, source.catalog, source.touched):
        if physical.has(names.mask(base)):
            _copy(transaction, names.mask(base), RID, source.id, record.id)


def _copy(transaction: Transaction, table: str, columns: str, source: int, target: int) -> None:
    transaction.cursor.execute(
        f"INSERT INTO {table} ({BRANCH}, {columns}) SELECT {target}, {columns} FROM {table} WHERE {BRANCH} = {source}"
    )


def delete_rows_of(transaction: Transaction, branch: int) -> None:
    for table in sorted(transaction.physical.storage):
        if names.holds_branches(table):
            transaction.cursor.execute(f"DELETE FROM {names.DATA_SCHEMA}.{table} WHERE {BRANCH} = {branch}")
