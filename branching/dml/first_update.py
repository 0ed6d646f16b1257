"""The first UPDATE of a table on a branch: its copies are written as the statement leaves them, not copied and changed.

A branch that has touched nothing of a table has no rows of its own there, so what is below is all that the statement
can change. Images, copies and mask are those of a touch (``dml.branch``); the copies' values are the SET list's. Only
statements that mean the same as such a SELECT take this way: plain columns, no key among them, expressions over the row
alone that give one answer. Every other UPDATE touches, and runs as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from branching import names, overlay
from branching.dml.pieces import condition
from branching.dml.statements import Written, rewritten_by_engine
from branching.model import Table
from branching.names import BRANCH, RID, VERSION, quote
from branching.volatility import is_volatile

if TYPE_CHECKING:
    from branching.dml.branch import BranchWrite


def update(write: BranchWrite, tree: exp.Update, table: Table, alias: str) -> Written | None:
    """Runs the statement this way; None where it has to go the usual one, and nothing was done."""
    changes = _changes(tree)
    imaged = write.imaged(table)
    physical = write.transaction.physical
    line = write.scope.line
    if (
        changes is None
        or imaged is None
        or imaged.storage != table.storage
        or table.storage.base is None
        or line.record.inherited
        or overlay.reads_copy(table, physical)
        or not changes.keys() <= {name.lower() for name in table.stored}
        or rewritten_by_engine(
            table, list(changes)
        )  # a key's or an index's column is checked, and marked, as usual
    ):
        return None
    version = write.transaction.take()
    binder = write.binder()
    where = condition(tree, binder)
    write.remember(table, where, binder.values, alias)
    rows, columns = write.unmasked(table), names.columns(table.stored)
    images = write.cursor.engine.touch(
        names.before(imaged.storage.shape),
        columns,
        f"({rows})",
        alias,
        where,
        branch=line.id,
        version=version,
    )
    if not write.cursor.execute(images, binder.values):
        return Written(0)
    both = write.binder()
    items = ", ".join(
        both.text(changes[name.lower()]) if name.lower() in changes else f"{quote(alias)}.{quote(name)}"
        for name in table.stored
    )
    again = condition(tree, both)
    count = write.copy(
        f"INSERT INTO {names.delta(table.storage.shape)} ({BRANCH}, {columns}, {RID}, {VERSION})"
        f" SELECT {line.id}, {items}, {RID}, {version} FROM ({rows}) AS {quote(alias)} WHERE {again}",
        both.values,
    )
    write.copy(
        f"INSERT INTO {names.mask(table.storage.base)}"
        f" SELECT {line.id}, {RID} FROM ({rows}) AS {quote(alias)} WHERE {where}",
        binder.values,
    )
    write.transaction.updated += count
    return Written(count)


def _changes(tree: exp.Update) -> dict[str, exp.Expr] | None:
    """What each column (in small letters) is set to; None where it is no expression over the row alone."""
    if any(tree.args.get(name) for name in ("from_", "with_", "returning", "order", "limit")):
        return None
    if is_volatile(tree):
        return None
    changes: dict[str, exp.Expr] = {}
    for item in tree.expressions:
        if not (isinstance(item, exp.EQ) and isinstance(item.this, exp.Column)):
            return None
        name, value = item.this.name.lower(), item.expression
        if name in changes or _is_default(value):
            return None
        changes[name] = value
    if tree.find(exp.Query, exp.Subquery, exp.Exists, exp.Window, exp.AggFunc) is not None:
        return None
    return changes


def _is_default(value: exp.Expr) -> bool:
    bare = isinstance(value, exp.Column) and not value.table and not value.this.args.get("quoted")
    return isinstance(value, exp.Var) or (bare and value.name.upper() == "DEFAULT")
