"""Keys that are taken, asked for before an INSERT of one row behind a savepoint.

That is what savepoints are mostly for: try to insert, and go on if somebody has been there before. The engine's own
error would end its transaction, and all that the block has written would have to be written again (``savepoints``).
What is not this simple, or is refused for another reason too, is left to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from branching.dml import constraint_errors
from branching.model import Table
from branching.names import quote

if TYPE_CHECKING:
    from branching.dml.statements import Write


def refuse(
    write: Write,
    tree: exp.Insert,
    table: Table,
    columns: Sequence[str],
    keys: Sequence[tuple[str, tuple[str, ...]]],
) -> None:
    """23505 if the row that ``tree`` inserts into ``columns`` has one of the ``keys`` (names and columns) of a row that
    is there. Its names are resolved."""
    transaction = write.transaction
    if not (transaction.explicit and transaction.marked) or tree.args.get("conflict") is not None:
        return
    if not write.cursor.engine.capabilities.errors_end_transactions or not keys:
        return
    cells = _cells(tree, columns)
    if cells is None or any(item.kind == "c" for item in table.constraints):
        return
    for column in table.columns:
        given = cells.get(column.name)
        if column.not_null and (_is_null(write, given) if given is not None else column.default is None):
            return
    types = {column.name: column.type for column in table.columns}
    rows = write.scope.relation_sql(table, write.scope.line)
    for name, key in keys:
        if not all(column in cells for column in key):
            continue
        binder = write.binder()
        same = [
            f"{quote(column)} = TRY_CAST({binder.text(cells[column])} AS {types[column]})" for column in key
        ]
        shown = ", ".join(f"CAST({quote(column)} AS VARCHAR)" for column in key)
        found = write.cursor.query(
            f"SELECT {shown} FROM ({rows}) AS _rows WHERE {' AND '.join(same)} LIMIT 1", binder.values
        )
        if found:
            raise constraint_errors.taken(table, name, key, found[0])


def _cells(tree: exp.Insert, columns: Sequence[str]) -> dict[str, exp.Expr] | None:
    """The values of the one row, by column; None if it is not one row of plain values."""
    source = tree.expression
    if not isinstance(source, exp.Values) or len(source.expressions) != 1:
        return None
    row = source.expressions[0]
    if (
        not isinstance(row, exp.Tuple)
        or len(row.expressions) != len(columns)
        or row.find(exp.Query) is not None
    ):
        return None
    return {
        name: cell
        for name, cell in zip(columns, row.expressions, strict=True)
        if not (isinstance(cell, exp.Var) and cell.name.upper() == "DEFAULT")
    }


def _is_null(write: Write, cell: exp.Expr | None) -> bool:
    while isinstance(cell, exp.Cast | exp.Paren):
        cell = cell.this
    if isinstance(cell, exp.Placeholder):
        return write.parameters[int(cell.name) - 1] is None
    return isinstance(cell, exp.Null)
