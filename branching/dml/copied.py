"""Writes where a branch has a copy of a table (``detach``), and TRUNCATE, which gives it an empty one at once.

A copy is never written and has no rows but those that the branch saw: versions tell which of them are its own changes,
so only the others need an image before they change. A large table that is emptied gets an empty copy: that costs the
images of its rows, and no mask of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from branching import names
from branching.dml import inherited
from branching.manifest import Change
from branching.model import Column, Storage, Table
from branching.names import DATA_SCHEMA, VERSION
from branching.physical import BaseTable

if TYPE_CHECKING:
    from branching.dml.branch import BranchWrite

EMPTIED = 10_000  # rows from which on a table that is emptied is replaced by an empty one


def copy_of(table: Table, number: int) -> BaseTable:
    """A copy of a table, by its number: it does not exist yet."""
    columns = {column.id: f"c{column.id}" for column in table.columns}
    return BaseTable(number, DATA_SCHEMA, names.copy(number), columns)


def with_gone(table: Table, imaged: Table | None) -> Table:
    """``table`` and, behind its own, the columns of it in the branch's base that the branch has dropped since: what is
    below has them still, and images of its rows are taken from the copy."""
    there = {column.id for column in table.columns}
    gone = [
        Column(column.id, f"{names.HIDDEN_PREFIX}gone_{column.id}", column.type)
        for column in (imaged.columns if imaged is not None else ())
        if column.id not in there
    ]
    return replace(table, columns=(*table.columns, *gone)) if gone else table


def over_copy(table: Table, copy: BaseTable, shape: int) -> Table:
    """The table as it is once it is read from the copy."""
    by_name = {column.name: column.id for column in table.columns}
    worked_out = {by_name[name]: text for name, text in table.storage.below}
    recipes = tuple({**dict(table.storage.recipes), **worked_out}.items())
    return replace(table, storage=Storage(copy.id, shape, (), recipes))


def take_images(
    write: BranchWrite, table: Table, imaged: Table, selected: str, values: Sequence[Any] = ()
) -> None:
    """Images of the copy's rows that are ``selected`` and no changes of the branch's own."""
    line = write.scope.line
    if imaged.storage.base == table.storage.base:
        then = write.unmasked(imaged)
    else:  # the copy has all columns of before it, whatever has been altered since
        then = write.unmasked(replace(imaged, storage=Storage(table.storage.base, 0)))
    _take(write, imaged, then, f"{line.record.base.visible(VERSION)} AND {selected}", values)


def _take(write: BranchWrite, imaged: Table, rows: str, where: str, values: Sequence[Any] = ()) -> None:
    touch, images = write.cursor.engine.touch, names.before(imaged.storage.shape)
    version, branch = write.transaction.take(), write.scope.line.id
    text = touch(
        images, names.columns(imaged.stored), f"({rows})", "_then", where, branch=branch, version=version
    )
    write.cursor.execute(text, values)


def empty(write: BranchWrite, table: Table) -> None:
    """Empties a table that the transaction has claimed."""
    transaction, line = write.transaction, write.scope.line
    base = transaction.physical.bases[table.storage.base or 0]
    transaction.write()
    write.open(table)
    if (imaged := write.imaged(table)) is not None:
        if line.record.inherited:
            inherited.take_images(write, table, imaged, "true", (), "_row")
        if base.is_copy:
            take_images(write, table, imaged, "true")
        else:
            _take(write, imaged, write.unmasked(imaged), "true")
    wide = with_gone(table, imaged)
    copy = copy_of(wide, write.scope.database.next_id())
    write.cursor.execute(write.cursor.engine.create_copy(copy, wide))
    transaction.put_base(copy)
    transaction.add_storage(copy.name)
    transaction.change(Change(over_copy(table, copy, write.scope.database.next_id())))


__all__ = ["EMPTIED", "copy_of", "empty", "over_copy", "take_images", "with_gone"]
