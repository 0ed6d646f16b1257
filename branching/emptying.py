"""TRUNCATE, and DELETE of all rows, of a large table on a branch: an empty table takes the place of the full one.

That costs the images of the rows (``copied.empty``), which diffs and merges are made of, and reads of it are plain
reads again; deleted one by one, each row below would have its mask for good.

A DELETE does so outside a block only, where nobody else uses the table: it has to claim it, as TRUNCATE does.

On the trunk rows are deleted. To rename the table and make another in its place takes no time, but after it DuckDB
2.0.1 was seen to leave a log that it could not read after a crash (``_bough_old_… does not exist``).
"""

from __future__ import annotations

from sqlglot import exp

from branching import copied
from branching.dml import Write, Written
from branching.dml_branch import BranchWrite
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


def deleted(write: Write, table: Table) -> Written | None:
    """A DELETE of all rows; None where it is to go row by row."""
    transaction = write.transaction
    if not isinstance(write, BranchWrite) or transaction.explicit or not _is_large(write, table):
        return None
    write.prepare(table)
    if not transaction.try_claim(table.id):
        return None
    write.remember(table, "true")
    return Written(_emptied(write, table))


def truncated(write: Write, table: Table) -> bool:
    """Empties a table that the transaction has claimed; False where it is to go row by row."""
    if not isinstance(write, BranchWrite) or not _is_large(write, table):
        return False
    _emptied(write, table)
    return True


def _is_large(write: Write, table: Table) -> bool:
    base = write.transaction.physical.bases.get(table.storage.base or 0)
    if base is None or not write.cursor.engine.capabilities.transactional_ddl:
        return False
    return bool(write.cursor.query(f"SELECT count(*) FROM {base.sql}")[0][0] >= copied.EMPTIED)


def _emptied(write: BranchWrite, table: Table) -> int:
    """The rows that were there."""
    rows = write.scope.relation_sql(table, write.scope.line)
    count = int(write.cursor.query(f"SELECT count(*) FROM ({rows}) AS _rows")[0][0])
    copied.empty(write, table)
    write.transaction.deleted += count
    return count
