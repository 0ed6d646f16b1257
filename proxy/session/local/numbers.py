"""Generated numbers of a branch's table, after a transfer has brought numbers of its own.

A sequence counts for all branches, so it only ever goes forward. A column that was generated where it came from is
made so here, in the transaction that makes its table: the next INSERT without it works, and gives no number twice.
"""

from __future__ import annotations

from sqlglot import exp

from branching import Connection
from branching.ddl.counters import INTEGER_RANGE
from branching.ddl.edit import sequences_in
from branching.ddl.model import AddIdentity, AlterSequence, AlterTable, Name, SequenceOptions
from branching.model import Column, Table


def generate(connection: Connection, table: Table, name: str, staging: str) -> None:
    """Numbers for a column of a new table, behind those that ``staging`` is going to give it; none where it takes NULL,
    or where its type has no number left."""
    column = table.column(name)
    start = _following(connection, exp.table_(staging, quoted=True), name)
    if (
        column is None
        or not column.not_null
        or start > INTEGER_RANGE.get(column.type, INTEGER_RANGE["BIGINT"])
    ):
        return
    action = AddIdentity(name, "d", SequenceOptions(start=start))
    connection.execute(AlterTable(Name(table.name, table.schema), (action,)))


def count_on(connection: Connection, table: Table, column: Column) -> int | None:
    """Generated numbers go on behind those in the table; the one that comes next, None where nothing had to be done."""
    sequence = next(sequences_in(column.default, connection.scope()), None)
    if sequence is None:
        return None
    start = _following(connection, exp.table_(table.name, db=table.schema, quoted=True), column.name)
    last = connection.cursor.last_value(sequence.physical)
    if last is not None and last >= start - 1:
        return None
    if last is not None or sequence.start != start:
        options = SequenceOptions(restart=True, restart_with=start)
        connection.execute(AlterSequence(Name(sequence.name, sequence.schema), options))
    return start


def _following(connection: Connection, table: exp.Table, column: str) -> int:
    """The number behind the greatest of a column."""
    query = exp.select(exp.Max(this=exp.column(column, quoted=True))).from_(table)
    ((greatest,),) = connection.execute(query).fetchall()
    return max(int(greatest or 0), 0) + 1
