"""TRUNCATE, and DELETE of all rows, of a large table: an empty table takes the place of the full one.

On the trunk that costs the same for any number of rows: forks go on reading the old one, which leaves the file when no
fork needs it. On a branch (``copied.empty``) it costs the images of the rows, which diffs and merges are made of, and
reads of it are plain reads again; deleted one by one, each row below would have its mask for good.

A DELETE does so outside a block only, where nobody else uses the table: it has to claim it, as TRUNCATE does.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from branching.ddl.changes import Ddl
from branching.ddl.trunk import TrunkDdl
from branching.dml import copied
from branching.dml.branch import BranchWrite
from branching.dml.statements import Write, Written
from branching.model import Table

_PARTS = frozenset({"this", "where"})


def takes_all(tree: exp.Expr) -> bool:
    """Whether the statement is a DELETE of all rows that gives nothing back."""
    if not isinstance(tree, exp.Delete) or any(
        value for part, value in tree.args.items() if part not in _PARTS
    ):
        return False
    where = tree.args.get("where")
    return where is None or (isinstance(where.this, exp.Boolean) and bool(where.this.this))


def deleted(write: Write, table: Table, ddl: Callable[[], Ddl]) -> Written | None:
    """A DELETE of all rows; None where it is to go row by row."""
    transaction = write.transaction
    if transaction.explicit or not _is_large(write, table):
        return None
    write.prepare(table)
    if not transaction.try_claim(table.id):
        return None
    write.remember(table, "true")
    return Written(_emptied(write, table, ddl))


def truncated(write: Write, table: Table, ddl: Callable[[], Ddl]) -> bool:
    """Empties a table that the transaction has claimed; False where it is to go row by row."""
    large = _is_large(write, table)
    if large:
        _emptied(write, table, ddl)
    return large


def _is_large(write: Write, table: Table) -> bool:
    base = write.transaction.physical.bases.get(table.storage.base or 0)
    if base is None or not write.cursor.engine.capabilities.transactional_ddl:
        return False
    return bool(write.cursor.query(f"SELECT count(*) FROM {base.sql}")[0][0] >= copied.EMPTIED)


def _emptied(write: Write, table: Table, ddl: Callable[[], Ddl]) -> int:
    """The rows that were there."""
    rows = write.scope.relation_sql(table, write.scope.line)
    count = int(write.cursor.query(f"SELECT count(*) FROM ({rows}) AS _rows")[0][0])
    if isinstance(write, BranchWrite):
        copied.empty(write, table)
    else:
        made = ddl()
        assert isinstance(made, TrunkDdl)
        made.put(made.emptied(table))
    write.transaction.deleted += count
    return count
