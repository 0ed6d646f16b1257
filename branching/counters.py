"""Sequences that are set back.

All branches draw from one counter, so rows that they insert never meet under one key. A counter that one of them set
back would give the others numbers that their rows have already, and a ROLLBACK would not set it forward again: so the
sequence gets a counter of its own, on this branch alone, by a change of the catalog like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from branching import ddl_model as d
from branching import names
from branching.ddl_edit import sequences_in
from branching.model import Sequence
from branching.resolve import parse

if TYPE_CHECKING:
    from branching.ddl_objects import ObjectDdl


def restart(ddl: ObjectDdl, sequence: Sequence, value: int) -> None:
    """The sequence's next number is ``value``."""
    transaction = ddl.transaction
    if not transaction.explicit and not transaction.database.has_forks():
        ddl.cursor.next_start(sequence.physical, value)
        return
    users = [
        (table.id, column.name)
        for table in ddl.catalog.tables()
        for column in table.columns
        if any(found.id == sequence.id for found in sequences_in(column.default, ddl.scope))
    ]
    own = replace(sequence, physical=f"{names.DATA_SCHEMA}.s{ddl.next_id()}")
    ddl.cursor.execute(ddl.cursor.engine.create_sequence(replace(own, start=value)))
    ddl.put(own)
    for number, name in users:  # storage knows the counter, not the sequence
        transaction.claim(number)
        table = next(item for item in ddl.catalog.tables() if item.id == number)
        column = table.column(name)
        assert column is not None and column.default is not None
        ddl.put(ddl.alter(table, d.SetDefault(name, parse(column.default).copy())))
