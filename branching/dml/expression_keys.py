"""Unique indexes over expressions, on a branch.

The engine keeps keys of columns in the tables that branches share, and on the trunk any index. On a branch a key of an
expression is asked for after each write: whether a row that it wrote has the key of another one that is seen. So that
two sessions cannot both ask before the other is seen, a write to such a table has it for itself.
"""

from __future__ import annotations

from branching import names
from branching.dml import constraint_errors
from branching.model import Index, Table
from branching.names import BRANCH, VERSION, quote
from branching.resolve import Scope
from branching.transaction import Transaction


def expression_keys(table: Table) -> list[Index]:
    known = {column.name for column in table.columns}
    return [index for index in table.indexes if index.unique and not known.issuperset(index.columns)]


def items(transaction: Transaction, table: Table, columns: tuple[str, ...]) -> list[str]:
    """The columns and expressions of a key as the engine reads them."""
    known = {column.name for column in table.columns}
    engine = transaction.cursor.engine
    return [quote(text) if text in known else f"({engine.expression(text)})" for text in columns]


def refuse_doubles(transaction: Transaction, scope: Scope, table: Table) -> None:
    """23505 where a row that this transaction wrote to the branch has an expression's key that another row has."""
    for index in expression_keys(table):
        listed = ", ".join(items(transaction, table, index.columns))
        rows = scope.relation_sql(table, scope.line, hidden=True)
        written = (
            f"SELECT {listed} FROM {names.delta(table.storage.shape)}"
            f" WHERE {BRANCH} = {scope.line.id} AND {VERSION} = {transaction.take()}"
        )
        found = transaction.cursor.query(
            f"SELECT {listed} FROM ({rows}) AS _rows WHERE ({listed}) IN ({written})"
            f" GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        )
        if found:
            raise constraint_errors.taken(table, index.name, index.columns, found[0])
