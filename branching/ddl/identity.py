"""Identity columns and the sequences that columns own, as ALTER TABLE changes them.

Rules:

1. What a column says of its identity is in the catalog only: the table in the engine has a default that draws a number.
2. A sequence that was made for a column is the column's: it goes when the column, its identity or its table goes.
"""

from __future__ import annotations

from dataclasses import replace

from branching.ddl import counters
from branching.ddl import model as d
from branching.ddl.dependants import DependantDdl
from branching.ddl.edit import need_column, replace_column, sequences_in
from branching.errors import BoughError
from branching.model import Table


class IdentityDdl(DependantDdl):
    def own_sequences(self, table: Table) -> None:
        """Ties the sequences of serial and identity columns to the table."""
        for column in table.columns:
            for sequence in sequences_in(column.default, self.scope):
                own = sequence.name.rstrip("0123456789") == f"{table.name}_{column.name}_seq"
                if sequence.owned_by is None and own:
                    self.put(replace(sequence, owned_by=(table.id, column.id)))

    def changes_identity(self, table: Table, action: d.Action) -> bool:
        """False where an action is about an identity that is not there, and may be; 55000 where it must not."""
        if not isinstance(action, d.AddIdentity | d.SetIdentity | d.DropIdentity):
            return True
        column = need_column(table, action.column)
        where = f'column "{column.name}" of relation "{table.name}"'
        if isinstance(action, d.AddIdentity):
            problem = (
                "must be declared NOT NULL before identity can be added"
                if not column.not_null
                else "is already an identity column"
                if column.identity
                else "already has a default value"
                if column.default is not None
                else None
            )
            if problem is not None:
                raise BoughError("55000", f"{where} {problem}", table=table.name, column=column.name)
        elif not column.identity:
            if isinstance(action, d.DropIdentity) and action.if_exists:
                self.notice(f"{where} is not an identity column, skipping")
                return False
            raise BoughError(
                "55000", f"{where} is not an identity column", table=table.name, column=column.name
            )
        return True

    def set_identity(self, table: Table, action: d.SetIdentity) -> Table:
        """SET GENERATED, and what SET and RESTART say of the column's sequence."""
        column = need_column(table, action.column)
        if action.identity is not None:
            self.put(replace_column(table, replace(column, identity=action.identity)))
        for sequence in list(sequences_in(column.default, self.scope)):
            counters.alter(self, sequence, action.options)
        return self._current(table)

    def follow(self, before: Table, changed: Table, action: d.Action) -> None:
        super().follow(before, changed, action)
        if isinstance(action, d.AddColumn | d.AddIdentity):
            self.own_sequences(changed)
        elif isinstance(action, d.DropColumn | d.DropIdentity):
            column = before.column(action.column)
            owner = column and (before.id, column.id)
            for sequence in [item for item in self.catalog.sequences() if item.owned_by == owner and owner]:
                self.remove(sequence)
