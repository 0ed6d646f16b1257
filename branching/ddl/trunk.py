"""DDL on the trunk: the base table is altered natively, and what forks still need is kept.

Rules:

1. Forks know a base's columns by id, so renames are native and recorded in the same transaction.
2. A dropped column or table that a fork (or one taken before this transaction commits) may need keeps its rows under a
   reserved name until the collector finds that nobody needs it.
3. What the engine cannot alter in place (types, keys, checks) is rebuilt: a new base with the same identities; forks
   keep the old one.
4. The engine refuses most ALTERs on a table with an index: indexes are dropped before and made again after.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from branching import names
from branching.ddl import model as d
from branching.ddl.changes import Ddl
from branching.ddl.edit import (
    check_unique,
    mentions,
    need_column,
    renamed_column,
    replace_column,
    without_column,
)
from branching.dml import constraint_errors, lengths
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import DEFAULT_SCHEMA, Column, Index, Storage, Table
from branching.names import RID, VERSION, quote
from branching.physical import BaseTable
from branching.resolve import DIALECT, parse
from branching.volatility import is_volatile


def file_schema(name: str) -> str:
    """The schema's name in the database file."""
    return "main" if name == DEFAULT_SCHEMA else name


class TrunkDdl(Ddl):
    def _base(self, table: Table) -> BaseTable:
        assert table.storage.base is not None
        return self.transaction.physical.bases[table.storage.base]

    def _keeps(self) -> bool:
        """Whether what is removed must stay in the file: some fork may need it."""
        with self.transaction.database.gate:
            return self.transaction.explicit or self.transaction.database.has_forks()

    # -- tables -----------------------------------------------------------------------------------------------

    def create_storage(self, table: Table) -> Table:
        identifier = self.next_id()
        schema, name = file_schema(table.schema), self._free_name(table)
        self.cursor.execute(self.cursor.engine.create_base(schema, name, self.physical(table)))
        self.transaction.put_base(
            BaseTable(identifier, schema, name, {column.id: column.name for column in table.columns})
        )
        self.transaction.arm(identifier)
        return replace(table, storage=Storage(identifier, table.storage.shape or self.next_id()))

    def _free_name(self, table: Table) -> str:
        taken = {
            base.name.lower()
            for base in self.transaction.physical.bases.values()
            if base.schema.lower() == file_schema(table.schema).lower()
        }
        numbered = (f"{table.name}_{number}" for number in itertools.count(2))
        return next(name for name in itertools.chain([table.name], numbered) if name.lower() not in taken)

    def drop_storage(self, table: Table) -> None:
        base = self._base(table)
        self._drop_indexes(table, base)
        if self._keeps():
            self._set_aside(base)
        else:
            self._remove_base(base)

    def _remove_base(self, base: BaseTable) -> None:
        self.transaction.forgets = True
        self.cursor.execute(f"DROP TABLE {base.sql}")
        for history in self.transaction.physical.histories(base.id):
            self.cursor.execute(f"DROP TABLE {history}")
        self.transaction.remove_base(base.id)

    def _set_aside(self, base: BaseTable) -> BaseTable:
        """Out of the way of new tables, still readable by forks."""
        return self._rename_base(base, f"{names.HIDDEN_PREFIX}old_{base.id}")

    def _rename_base(self, base: BaseTable, name: str) -> BaseTable:
        """The table under another name. One with an index of this transaction's is copied: aside, it is only read."""
        self.transaction.arm(base.id)
        renamed = replace(base, name=name)
        if base.id in self.transaction.indexed:
            # DuckDB 2.0 logs an index by its table's last name, ahead of the rename: the log could not be read again.
            self.cursor.execute(f"CREATE TABLE {renamed.sql} AS SELECT * FROM {base.sql}")
            self.cursor.execute(f"DROP TABLE {base.sql}")
        else:
            self.cursor.execute(f"ALTER TABLE {base.sql} RENAME TO {quote(name)}")
        self.transaction.put_base(renamed)
        return renamed

    def move_storage(self, table: Table, moved: Table) -> Table:
        if moved.schema != table.schema or table.storage.base in self.transaction.indexed:
            return self._rebuild(table, moved, {})
        self._drop_indexes(table, self._base(table))
        self._rename_base(self._base(table), self._free_name(moved))
        return self._indexed(moved)

    # -- columns and constraints --------------------------------------------------------------------------------

    def alter(self, table: Table, action: d.Action) -> Table:
        try:
            return self._altered(table, action)
        except EngineError as error:
            if error.kind is ErrorKind.CONSTRAINT and (
                explained := constraint_errors.explain_existing(error, table, action)
            ):
                raise explained from error
            raise

    def _altered(self, table: Table, action: d.Action) -> Table:
        base = self._base(table)
        self.transaction.arm(base.id)
        if isinstance(action, d.AddColumn):
            return self._add_column(table, action)
        if isinstance(action, d.DropColumn):
            return self._drop_column(table, action)
        if isinstance(action, d.RenameColumn):
            column = need_column(table, action.column)
            changed = renamed_column(table, action.column, action.to)
            if self._must_rebuild(table):
                return self._rebuild(table, changed, {})
            self._drop_indexes(table, base)
            self._rename_column(base, column, action.to)
            return self._indexed(self._reshaped(changed))
        if isinstance(action, d.AlterType):
            return self._alter_type(table, action)
        if isinstance(action, d.SetDefault):
            column = replace(need_column(table, action.column), default=action.default.sql(DIALECT))
            return self._native(
                table,
                replace_column(table, column),
                f"ALTER COLUMN {quote(column.name)} SET DEFAULT {self.default_sql(column.default)}",
            )
        if isinstance(action, d.DropDefault | d.DropIdentity):
            column = replace(need_column(table, action.column), default=None)
            if isinstance(action, d.DropIdentity):
                column = replace(column, identity="")
            return self._native(
                table, replace_column(table, column), f"ALTER COLUMN {quote(column.name)} DROP DEFAULT"
            )
        if isinstance(action, d.SetNotNull):
            column = replace(need_column(table, action.column), not_null=True)
            changed = replace_column(table, column)
            if self._rows_changed(table, column):
                return self._rebuild(table, changed, {})
            return self._native(table, changed, f"ALTER COLUMN {quote(column.name)} SET NOT NULL")
        if isinstance(action, d.DropNotNull):
            column = need_column(table, action.column)
            if any(item.kind == "p" and column.name in item.columns for item in table.constraints):
                raise BoughError("42P16", f'column "{column.name}" is in a primary key')
            return self._native(
                table,
                replace_column(table, replace(column, not_null=False)),
                f"ALTER COLUMN {quote(column.name)} DROP NOT NULL",
            )
        if isinstance(action, d.AddConstraint):
            taken = {item.name for item in table.constraints}
            changed = self._with_constraint(table, action.constraint, taken)
            if action.constraint.kind == "f":
                return changed
            return self._rebuild(table, changed, {})
        if isinstance(action, d.DropConstraint):
            found = [item for item in table.constraints if item.name == action.constraint]
            if not found:
                if action.if_exists:
                    self.notice(
                        f'constraint "{action.constraint}" of relation "{table.name}" does not exist, skipping'
                    )
                    return table
                raise BoughError(
                    "42704", f'constraint "{action.constraint}" of relation "{table.name}" does not exist'
                )
            changed = replace(table, constraints=tuple(c for c in table.constraints if c is not found[0]))
            return changed if found[0].kind == "f" else self._rebuild(table, changed, {})
        if isinstance(action, d.ValidateConstraint):
            return table
        if isinstance(action, d.RenameConstraint):
            return replace(
                table,
                constraints=tuple(
                    replace(c, name=action.to) if c.name == action.constraint else c
                    for c in table.constraints
                ),
            )
        if isinstance(action, d.AddIdentity):
            column = need_column(table, action.column)
            column = self._serial(table.schema, table.name, column, action.options)
            changed = replace_column(table, replace(column, identity=action.identity))
            return self._native(
                table,
                changed,
                f"ALTER COLUMN {quote(column.name)} SET DEFAULT {self.default_sql(column.default)}",
            )
        raise BoughError("0A000", "this ALTER TABLE action is not supported")

    def _reshaped(self, table: Table) -> Table:
        return replace(table, storage=replace(table.storage, shape=self.next_id()))

    def _native(self, table: Table, changed: Table, action: str) -> Table:
        if self._must_rebuild(table) or not self.cursor.engine.capabilities.alters_columns:
            return self._rebuild(table, changed, {})
        base = self._base(table)
        self._drop_indexes(table, base)
        self._execute(f"ALTER TABLE {base.sql} {action}")
        return self._indexed(self._reshaped(changed))

    def _rows_changed(self, table: Table, column: Column) -> bool:
        """Whether this transaction may have written the column's values, which the engine would not check."""
        return self.transaction.has_written(table.id) or is_volatile(parse(column.default or "NULL"))

    def _must_rebuild(self, table: Table) -> bool:
        """Altering a table with a key or an index makes them anew: not over rows that this transaction has changed."""
        keyed = bool(table.indexes) or any(item.kind in "pu" for item in table.constraints)
        return keyed and self._needs_fresh_rows(table)

    def _execute(self, sql: str) -> None:
        try:
            self.cursor.execute(sql)
        except EngineError as error:
            self._explain_index(error)
            raise

    def _drop_indexes(self, table: Table, base: BaseTable) -> None:
        for index in table.indexes:
            self.cursor.execute(f"DROP INDEX IF EXISTS {quote(base.schema)}.{quote(index.name)}")

    def _indexed(self, table: Table) -> Table:
        """The table with its indexes made again: in place where the engine can."""
        if not table.indexes:
            return table
        if self._needs_fresh_rows(table):
            return self._rebuild(table, table, {})
        try:
            self._make_indexes(table)
        except EngineError as error:
            self._explain_index(error)
            raise
        return table

    def _needs_fresh_rows(self, table: Table) -> bool:
        """Whether an index cannot be made over the rows as they are: somebody may still see their older versions."""
        if self.cursor.engine.capabilities.indexes_live_rows:
            return False
        transaction = self.transaction
        # DuckDB 2.0.0 dies when it forgets rows that somebody still saw, if the index was made after they had gone.
        return self.cursor.others_read() or transaction.rebuilds_indexes or transaction.has_written(table.id)

    def _explain_index(self, error: EngineError) -> None:
        """Old row versions in the way: not the client's fault, and a try that rebuilds the table succeeds."""
        if self.cursor.engine.meets_old_versions(error):
            raise BoughError(
                "40001",
                "could not make an index while older versions of the rows are in use",
                detail="A session still reads the table as it was.",
                hint="Retry the transaction.",
            ) from error

    def _make_indexes(self, table: Table) -> None:
        for index in table.indexes:
            self._make_index(table, index)

    def _make_index(self, table: Table, index: Index) -> None:
        base = self._base(table)
        known = {column.name for column in table.columns}
        items = ", ".join(quote(text) if text in known else f"({text})" for text in index.columns)
        unique = "UNIQUE " if index.unique else ""
        self.cursor.execute(f"CREATE {unique}INDEX {quote(index.name)} ON {base.sql} ({items})")
        self.transaction.indexed.add(base.id)

    def create_index_storage(self, table: Table, index: Index) -> Table:
        self.transaction.arm(self._base(table).id)
        if index.unique:
            check_unique(self.cursor, table, self._base(table).sql, index)
        if self._needs_fresh_rows(table):
            made = self._rebuild(table, replace(table, indexes=(*table.indexes, index)), {})
            return replace(made, indexes=table.indexes)
        try:
            self._make_index(table, index)
        except EngineError as error:
            self._explain_index(error)
            raise
        return self._reshaped(table) if index.unique else table

    def drop_index_storage(self, table: Table, index: Index) -> Table:
        base = self._base(table)
        self.cursor.execute(f"DROP INDEX IF EXISTS {quote(base.schema)}.{quote(index.name)}")
        return self._reshaped(table) if index.unique else table

    def _add_column(self, table: Table, action: d.AddColumn) -> Table:
        added = self.with_new_column(table, action)
        if added is None:
            return table
        changed, column = added
        # A column that is drawn and NOT NULL is too much for the engine.
        drawn = column.not_null and is_volatile(parse(column.default or "NULL"))
        if (
            any(item.kind != "f" for item in changed.constraints[len(table.constraints) :])
            or column.generated
            or drawn
            or self._must_rebuild(table)
        ):
            return self._rebuild(table, changed, {column.name: self.default_sql(column.default) or "NULL"})
        base = self._base(table)
        physical = replace(column, default=self.default_sql(column.default))
        self._drop_indexes(table, base)
        self._execute(f"ALTER TABLE {base.sql} ADD COLUMN {self.cursor.engine.column(physical)}")
        for history in self.transaction.physical.histories(base.id):
            self.cursor.execute(self.cursor.engine.add_column(history, f"c{column.id} {column.type}"))
        self.transaction.put_base(replace(base, columns={**base.columns, column.id: column.name}))
        return self._indexed(self._reshaped(changed))

    def _drop_column(self, table: Table, action: d.DropColumn) -> Table:
        column = table.column(action.column)
        if column is None:
            if action.if_exists:
                self.notice(f'column "{action.column}" of relation "{table.name}" does not exist, skipping')
                return table
            need_column(table, action.column)
        assert column is not None
        changed = without_column(table, column)
        if (
            any(column.name in item.columns for item in table.constraints if item.kind in "pu")
            or any(item.generated and mentions(item.generated, column.name) for item in table.columns)
            or self._must_rebuild(table)
        ):
            return self._rebuild(table, changed, {})
        base = self._base(table)
        self._drop_indexes(table, base)
        if not self.cursor.engine.capabilities.alters_columns and (column.not_null or column.default):
            return self._rebuild(table, changed, {})
        if column.generated is None:
            if column.not_null:
                self.cursor.execute(f"ALTER TABLE {base.sql} ALTER COLUMN {quote(column.name)} DROP NOT NULL")
            if column.default is not None:
                self.cursor.execute(f"ALTER TABLE {base.sql} ALTER COLUMN {quote(column.name)} DROP DEFAULT")
        self._rename_column(base, column, f"{names.HIDDEN_PREFIX}dropped_{column.id}")
        return self._indexed(self._reshaped(changed))

    def _rename_column(self, base: BaseTable, column: Column, name: str) -> None:
        self._execute(f"ALTER TABLE {base.sql} RENAME COLUMN {quote(column.name)} TO {quote(name)}")
        self.transaction.put_base(replace(base, columns={**base.columns, column.id: name}))

    def _alter_type(self, table: Table, action: d.AlterType) -> Table:
        column = need_column(table, action.column)
        kind = self.engine_type(action.type.sql(DIALECT))
        value = action.using.sql(DIALECT) if action.using is not None else quote(column.name)
        retyped = replace(column, type=kind, declared=action.declared)
        changed = replace_column(table, retyped)
        value = lengths.retyped(self.cursor, self._base(table).sql, retyped, value)
        if action.using is None and kind == column.type and value == quote(column.name):
            return changed
        return self._rebuild(table, changed, {column.name: f"CAST({value} AS {kind})"})

    def emptied(self, table: Table) -> Table:
        """The table over a new, empty base."""
        return self._rebuild(table, table, None)

    def _rebuild(self, table: Table, changed: Table, values: dict[str, str] | None) -> Table:
        """A new base in the shape of ``changed``, with the old rows and identities; an empty one without ``values``."""
        self._drop_indexes(table, self._base(table))
        old = self._set_aside(self._base(table))
        made = self.create_storage(replace(changed, storage=Storage(None, self.next_id())))
        new = self._base(made)
        if values is not None:
            kept = [c for c in changed.columns if c.generated is None]
            by_id = {column.id: column.name for column in table.columns}
            items = [values.get(c.name) or quote(by_id[c.id]) for c in kept]
            self.cursor.execute(
                f"INSERT INTO {new.sql} ({names.columns([c.name for c in kept])}, {RID}, {VERSION})"
                f" SELECT {', '.join(items)}, {RID}, {VERSION} FROM {old.sql}"
            )
        if not self._keeps():
            self._remove_base(old)
        self._make_indexes(made)
        return made

    # -- schemas --------------------------------------------------------------------------------------------------

    def create_schema_storage(self, name: str) -> None:
        self.cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}")

    def drop_schema_storage(self, name: str) -> None:
        if not self._keeps():  # or forks may read tables in it, or draw from a sequence
            self.cursor.execute(f"DROP SCHEMA IF EXISTS {quote(name)} CASCADE")
