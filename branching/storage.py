"""The tables that hold what branches change, made when they are first needed. What they are: ``engine.versioned``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from branching import names
from branching.model import Table

if TYPE_CHECKING:
    from branching.transaction import Transaction


def ensure_delta(transaction: Transaction, table: Table, imaged: Table | None) -> None:
    """Creates what ``table`` (its defaults naming storage) needs to be written on the transaction's branch.

    ``imaged`` is the table in the branch's base, where it is there.
    """
    storage, engine = table.storage, transaction.cursor.engine
    _ensure(transaction, names.delta(storage.shape), lambda: engine.create_delta(table))
    if imaged is not None:
        image = imaged
        _ensure(transaction, names.before(image.storage.shape), lambda: engine.create_images(image))
    if storage.base is not None:
        base = storage.base
        _ensure(transaction, names.mask(base), lambda: engine.create_mask(base))


def _ensure(transaction: Transaction, name: str, make: Callable[[], str]) -> None:
    if not transaction.physical.has(name):
        transaction.cursor.execute(make())
        transaction.add_storage(name)
