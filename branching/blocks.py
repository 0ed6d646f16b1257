"""Writes in a block that the client opened: nothing is tried again that the block's snapshot has a part in.

Rules:

1. A block's first statement has no snapshot to keep: what moved since BEGIN is no conflict, and it begins anew.
2. So does a block that has only read, where storage must be made that its snapshot does not show, and nothing has been
   committed since it was taken: the new snapshot shows the same.
3. All other conflicts reach the client (40001).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from branching.autocommit import TRIES
from branching.client_errors import is_conflict
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.names import MANIFEST_SCHEMA
from branching.result import Result
from branching.storage import BeginAnew
from branching.transaction import Transaction
from branching.writes import Statement

if TYPE_CHECKING:
    from branching.connection import Connection


def run(
    connection: Connection, open_: Transaction, statement: Statement, parameters: Sequence[Any]
) -> Result:
    """Runs a writing statement in the connection's open block ``open_``, which it may begin anew."""
    transaction = open_
    for _ in range(TRIES):
        fresh = not transaction.confirmed and transaction.version is None
        try:
            result = connection.writes.run(transaction, statement, parameters)
            if transaction.confirm():
                transaction.present = None
                return result
        except BeginAnew:
            if fresh:
                transaction = _begin_anew(connection, transaction)
            elif (renewed := _same_again(connection, transaction)) is not None:
                transaction = renewed
            else:
                raise
            continue
        except (BoughError, EngineError) as error:
            if not (fresh and (is_conflict(error) or not transaction.confirm())):
                raise
        if not fresh:
            break
        transaction = _begin_anew(connection, transaction)
    raise BoughError(
        "40001",
        "could not serialize access due to concurrent schema changes",
        hint="Retry.",
        detail="The catalog has changed since the transaction began.",
    )


def _begin_anew(connection: Connection, transaction: Transaction) -> Transaction:
    transaction.rollback()
    begun = connection.transaction = connection.new_transaction(explicit=True)
    begun.rebuilds_indexes = True
    begun.follow(transaction)
    return begun


def _same_again(connection: Connection, transaction: Transaction) -> Transaction | None:
    """The block anew, on a snapshot that shows what the one before did; None if that cannot be had any more."""
    before = transaction.present
    begun = _begin_anew(connection, transaction)
    connection.cursor.query(f"SELECT 1 FROM {MANIFEST_SCHEMA}.meta LIMIT 1")  # takes the snapshot
    if not begun.confirm():
        return None
    with connection.database.catalog_lock:
        same = before is not None and before == connection.database.motion.present()
    return begun if same else None
