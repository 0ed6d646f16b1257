"""Old images of rows, kept only while a fork (or the retention) needs them.

A history table has one column ``c<id>`` per column the base ever had, so renames and drops on the trunk do not
disturb it, plus the row's identity, the version that wrote the image and the one that ended it.

There is one such table for all, made by the first who needs it. A transaction that cannot see it, as its snapshot is
older, or that finds another one making it, leaves its images in a table of its own (``h<base>_<version>``): rows of
which nobody else can have changed are no reason to refuse anybody. A pass of collection puts them together.

A branch's own rows leave old images only within the retention: forks of a branch copy them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from branching import names
from branching.model import Table
from branching.names import BRANCH, ENDED, RID, VERSION, quote
from branching.physical import BaseTable
from branching.storage import ensure

if TYPE_CHECKING:
    from branching.transaction import Transaction


def own_history(transaction: Transaction, base: BaseTable) -> str:
    """The history table that the transaction writes; made if need be."""
    shared, apart = names.history(base.id), names.history(base.id, transaction.take())
    for name in (shared, apart):
        if transaction.physical.has(name):
            return name
    name = shared if transaction.may_make(shared) else apart
    cursor = transaction.cursor
    cursor.execute(cursor.engine.create_history(cursor, base, name))
    transaction.add_storage(name)
    return name


def keep(
    transaction: Transaction,
    base: BaseTable,
    where: str,
    *,
    alias: str | None = None,
    parameters: Sequence[Any] = (),
) -> None:
    """Copies the rows of ``base`` that match ``where`` into its history, ended by this transaction's version."""
    version = transaction.write()
    into = own_history(transaction, base)
    ids = ", ".join(f"c{id_}" for id_ in base.columns)
    stored = ", ".join(quote(name) for name in base.columns.values())
    transaction.cursor.execute(
        f"INSERT INTO {into} ({ids}, {RID}, {VERSION}, {ENDED})"
        f" SELECT {stored}, {RID}, {VERSION}, {version} FROM {base.sql} AS {quote(alias or base.name)}"
        f" WHERE {VERSION} <> {version} AND ({where})",
        parameters,
    )


def insert_images(transaction: Transaction, base: BaseTable, into: str, images: Any) -> None:
    """Puts images read elsewhere (columns ``c<id>``, identity, version) into ``into``, a history of the base."""
    ids = ", ".join(f"c{id_}" for id_ in base.columns)
    cursor = transaction.cursor
    cursor.register("_bough_images", images)
    try:
        cursor.execute(
            f"INSERT INTO {into} ({ids}, {RID}, {VERSION}, {ENDED})"
            f" SELECT {ids}, {RID}, {VERSION}, {transaction.write()} FROM _bough_images"
        )
    finally:
        cursor.unregister("_bough_images")


def keep_own(
    transaction: Transaction, table: Table, where: str, values: Sequence[Any] = (), alias: str = "_row"
) -> None:
    """Before a change of a branch's own rows that match ``where``: keeps them, ended by this transaction's version."""
    delta, ended = names.delta(table.storage.shape), names.ended(table.storage.shape)
    if not transaction.keeps_own or not transaction.physical.has(delta):
        return
    columns = f"{names.columns(table.stored)}, {RID}, {VERSION}"
    version = transaction.write()
    _ensure_ended(transaction, table)
    transaction.cursor.execute(
        f"INSERT INTO {ended} ({BRANCH}, {columns}, {ENDED})"
        f" SELECT {BRANCH}, {columns}, {version} FROM {delta} AS {quote(alias)}"
        f" WHERE {BRANCH} = {transaction.line.id} AND {VERSION} <> {version} AND ({where})",
        values,
    )


def keep_copied(
    transaction: Transaction, table: Table, source: str, where: str, values: Sequence[Any], alias: str
) -> None:
    """The same for rows of its copy of the table, read by ``source``, that it is about to replace."""
    if not transaction.keeps_own:
        return
    columns = f"{names.columns(table.stored)}, {RID}, {VERSION}"
    _ensure_ended(transaction, table)
    transaction.cursor.execute(
        f"INSERT INTO {names.ended(table.storage.shape)} ({BRANCH}, {columns}, {ENDED})"
        f" SELECT {transaction.line.id}, {columns}, {transaction.write()} FROM ({source}) AS {quote(alias)}"
        f" WHERE {where}",
        values,
    )


def _ensure_ended(transaction: Transaction, table: Table) -> None:
    ended = names.ended(table.storage.shape)
    ensure(transaction, ended, lambda: transaction.cursor.engine.create_ended(table))
