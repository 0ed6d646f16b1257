"""Rows that a branch got from the branch it was forked from: they are in its delta, and part of its base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from branching import names
from branching.model import Table
from branching.names import BRANCH, RID, VERSION

if TYPE_CHECKING:
    from branching.dml.branch import BranchWrite


def take_images(
    write: BranchWrite, table: Table, imaged: Table, where: str, values: Sequence[Any], alias: str
) -> None:
    """Images of those that match ``where`` (over the delta, called ``alias``), about to change for the first time."""
    line, version, engine = write.scope.line, write.transaction.take(), write.cursor.engine
    images = names.before(imaged.storage.shape)
    columns = names.columns(imaged.stored)
    now = {column.id: column.name for column in table.columns}
    stored = [column.id for column in imaged.columns if column.generated is None]
    if not now.keys() >= set(stored):
        return  # a column was dropped since: the images were taken then
    where = f"{BRANCH} = {line.id} AND {line.record.base.visible(VERSION)} AND ({where})"
    delta = names.delta(table.storage.shape)
    if [now[number] for number in stored] != list(imaged.stored):  # renamed since
        items = [
            f"{names.quote(now[number])} AS {names.quote(name)}"
            for number, name in zip(stored, imaged.stored, strict=True)
        ]
        rows = f"SELECT {names.quote(alias)}.{RID} FROM {delta} AS {names.quote(alias)} WHERE {where}"
        where = f"{RID} IN ({rows})"
        delta = f"(SELECT {', '.join(items)}, {RID} FROM {delta} WHERE {BRANCH} = {line.id})"
    text = engine.touch(images, columns, delta, alias, where, branch=line.id, version=version)
    write.cursor.execute(text, values)
