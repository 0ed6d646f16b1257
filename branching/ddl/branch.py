"""DDL on a branch: only the branch's view of a table changes; the rows below stay where they are.

Adding, dropping and renaming a column are changes of the catalog plus a move of the branch's own few rows into a
delta of the new shape. A constraint is checked against all rows the branch sees, once; the new delta enforces it from
then on.
"""

from __future__ import annotations

from dataclasses import replace

import sqlglot
from sqlglot import exp

from branching import history, names, overlay
from branching.ddl import model as d
from branching.ddl.changes import Ddl
from branching.ddl.edit import need_column, renamed_column, replace_column, without_column
from branching.dml import constraint_errors, expression_keys, inherited, lengths
from branching.dml.branch import BranchWrite
from branching.errors import BoughError
from branching.model import Column, Constraint, Index, Storage, Table
from branching.names import BRANCH, RID, VERSION, quote
from branching.resolve import DIALECT
from branching.volatility import is_volatile


class BranchDdl(Ddl):
    # -- tables -----------------------------------------------------------------------------------------------

    def create_storage(self, table: Table) -> Table:
        table = replace(table, storage=Storage(None, table.storage.shape or self.next_id()))
        self._make_delta(table)
        self.transaction.touch(table.id)
        return table

    def _make_delta(self, table: Table) -> None:
        self.cursor.execute(self.cursor.engine.create_delta(self.physical(table)))
        self.transaction.add_storage(names.delta(table.storage.shape))
        self.scope.physical = self.transaction.physical

    def drop_storage(self, table: Table) -> None:
        """Nothing: the branch's rows stay until the branch is reset or collected."""

    # -- columns and constraints --------------------------------------------------------------------------------

    def alter(self, table: Table, action: d.Action) -> Table:
        if isinstance(action, d.AddColumn):
            return self._add_column(table, action)
        if isinstance(action, d.DropColumn):
            column = table.column(action.column)
            if column is None:
                if action.if_exists:
                    self.notice(
                        f'column "{action.column}" of relation "{table.name}" does not exist, skipping'
                    )
                    return table
                need_column(table, action.column)
            assert column is not None
            self._image_inherited(table)
            changed = without_column(table, column)
            below = tuple(item for item in table.storage.below if item[0] != column.name)
            return self._reshape(table, changed, below)
        if isinstance(action, d.RenameColumn):
            column = need_column(table, action.column)
            changed = renamed_column(table, action.column, action.to)
            below = tuple(
                (action.to if name == column.name else name, text) for name, text in table.storage.below
            )
            return self._reshape(table, changed, below, {action.to: quote(column.name)})
        if isinstance(action, d.AlterType):
            return self._alter_type(table, action)
        if isinstance(action, d.SetDefault):
            column = replace(need_column(table, action.column), default=action.default.sql(DIALECT))
            return self._reshape(table, replace_column(table, column))
        if isinstance(action, d.DropDefault):
            column = replace(need_column(table, action.column), default=None)
            return self._reshape(table, replace_column(table, column))
        if isinstance(action, d.SetNotNull):
            column = need_column(table, action.column)
            self._check_not_null(table, column.name)
            return self._reshape(table, replace_column(table, replace(column, not_null=True)))
        if isinstance(action, d.DropNotNull):
            column = need_column(table, action.column)
            if any(item.kind == "p" and column.name in item.columns for item in table.constraints):
                raise BoughError("42P16", f'column "{column.name}" is in a primary key')
            return self._reshape(table, replace_column(table, replace(column, not_null=False)))
        if isinstance(action, d.AddConstraint):
            taken = {item.name for item in table.constraints}
            changed = self._with_constraint(table, action.constraint, taken)
            constraint = changed.constraints[-1]
            self._check_constraint(table, constraint)
            return changed if constraint.kind == "f" else self._reshape(table, changed)
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
            return changed if found[0].kind == "f" else self._reshape(table, changed)
        if isinstance(action, d.ValidateConstraint):
            return table
        if isinstance(action, d.RenameConstraint):
            constraints = tuple(
                replace(c, name=action.to) if c.name == action.constraint else c for c in table.constraints
            )
            return replace(table, constraints=constraints)
        if isinstance(action, d.AddIdentity):
            column = self._serial(table.schema, table.name, need_column(table, action.column), action.options)
            return self._reshape(table, replace_column(table, replace(column, identity=action.identity)))
        if isinstance(action, d.DropIdentity):
            column = replace(need_column(table, action.column), identity="", default=None)
            return self._reshape(table, replace_column(table, column))
        raise BoughError("0A000", "this ALTER TABLE action is not supported")

    def _reshape(
        self,
        table: Table,
        changed: Table,
        below: tuple[tuple[str, str], ...] | None = None,
        values: dict[str, str] | None = None,
    ) -> Table:
        """``changed`` with a shape of its own; the branch's rows moved into it. ``values``: new column → expression."""
        storage = replace(
            table.storage, shape=self.next_id(), below=table.storage.below if below is None else below
        )
        changed = replace(changed, storage=storage)
        old = names.delta(table.storage.shape)
        line = self.scope.line
        touched = table.id in line.touched and self.transaction.physical.has(old)
        if not touched and table.storage.base is not None:
            return changed
        self._make_delta(changed)
        if not self.transaction.physical.has(old):
            return changed
        given = values or {}
        stored = changed.stored
        items = [given.get(name) or quote(name) for name in stored]
        self.cursor.execute(
            f"INSERT INTO {names.delta(storage.shape)} ({BRANCH}, {names.columns(stored)}, {RID}, {VERSION})"
            f" SELECT {BRANCH}, {', '.join(items)}, {RID}, {VERSION} FROM {old} WHERE {BRANCH} = {line.id}"
        )
        history.keep_own(self.transaction, table, "true")
        self.cursor.execute(f"DELETE FROM {old} WHERE {BRANCH} = {line.id}")
        return changed

    def _image_inherited(self, table: Table) -> None:
        """Takes the images of rows that are part of the base before a column of theirs goes away."""
        line = self.scope.line
        if not line.record.inherited or table.id not in line.touched:
            return
        write = BranchWrite(self.transaction, self.scope, ())
        write.open(table)
        write.touch(table, f"{RID} IS NULL")  # nothing from below
        image = next((t for t in self.scope.database.base_catalog(line).tables() if t.id == table.id), None)
        if image is not None:
            inherited.take_images(write, table, image, "true", (), "_row")
            history.keep_own(self.transaction, table, line.record.base.visible(VERSION))
            self.cursor.execute(
                f"UPDATE {names.delta(table.storage.shape)} SET {VERSION} = {self.transaction.write()}"
                f" WHERE {BRANCH} = {line.id} AND {line.record.base.visible(VERSION)}"
            )

    def _add_column(self, table: Table, action: d.AddColumn) -> Table:
        added = self.with_new_column(table, action)
        if added is None:
            return table
        changed, column = added
        value = self._initial(table, column)
        if column.not_null and column.default is None and column.generated is None:
            count = self.cursor.query(
                f"SELECT count(*) FROM ({self.scope.relation_sql(table, self.scope.line)}) AS _t"
            )
            if count[0][0]:
                raise BoughError(
                    "23502",
                    f'column "{column.name}" of relation "{table.name}" contains null values',
                    column=column.name,
                )
        below = (*table.storage.below, (column.name, value)) if table.storage.base is not None else ()
        if column.generated is not None:
            below = (*table.storage.below, (column.name, self._over_below(table, column.generated)))
        changed = self._reshape(table, changed, below, {column.name: value})
        for constraint in changed.constraints[len(table.constraints) :]:
            self._check_constraint(changed, constraint)
        return changed

    def _initial(self, table: Table, column: Column) -> str:
        """What existing rows get in a new column: one constant, or (volatile defaults) a value per own row."""
        sql = self.default_sql(column.default)
        if sql is None:
            return f"CAST(NULL AS {column.type})"
        tree = sqlglot.parse_one(sql, dialect=DIALECT)
        if is_volatile(tree):
            write = BranchWrite(self.transaction, self.scope, ())
            write.open(table)
            write.touch(table, "true")
            return sql
        text = self.cursor.query(f"SELECT CAST(CAST({sql} AS {column.type}) AS VARCHAR)")[0][0]
        if text is None:
            return f"CAST(NULL AS {column.type})"
        return f"CAST({names.literal(text)} AS {column.type})"

    def _over_below(self, table: Table, expression: str) -> str:
        """An expression over the table's columns, as one over the columns of the base."""
        computed = {name.lower(): text for name, text in table.storage.below}
        tree = sqlglot.parse_one(expression, dialect=DIALECT)
        by_name = {column.name.lower(): column for column in table.columns}

        def substitute(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and node.name.lower() in by_name:
                name = node.name.lower()
                text = computed.get(name, f"c{by_name[name].id}")
                return exp.Paren(this=exp.Var(this=text))
            return node

        return tree.transform(substitute).sql(DIALECT)

    def _alter_type(self, table: Table, action: d.AlterType) -> Table:
        column = need_column(table, action.column)
        kind = self.engine_type(action.type.sql(DIALECT))
        value = action.using.sql(DIALECT) if action.using is not None else quote(column.name)
        changed = replace_column(table, replace(column, type=kind, declared=action.declared))
        visible = self.scope.relation_sql(table, self.scope.line)
        value = lengths.retyped(self.cursor, f"({visible})", need_column(changed, column.name), value)
        if kind == column.type:
            if value != quote(column.name):
                self._assign(table, column, value)
            return replace_column(self._current(table), need_column(changed, column.name))
        cast = f"CAST({value} AS {kind})"
        self.cursor.query(
            f"SELECT count({cast}) FROM ({visible}) AS _t"
        )  # fails here if a value does not fit
        self._image_inherited(table)  # a cast may lose what a value was
        below = [item for item in table.storage.below if item[0] != column.name]
        if table.storage.base is not None:
            # The rows that the branch sees do fit; ones it has replaced need not, and are computed all the same.
            over = self._over_below(table, value)
            fitting = (
                f"TRY_CAST({over} AS {kind})"
                if value == quote(column.name)
                else f"TRY(CAST({over} AS {kind}))"
            )
            below.append((column.name, fitting))
        return self._reshape(table, changed, tuple(below), {column.name: cast})

    def _assign(self, table: Table, column: Column, value: str) -> None:
        """Gives all rows another value of the same type: their change, which a merge brings like any other."""
        tree = exp.Update(
            this=exp.table_(table.name, db=table.schema, quoted=True),
            expressions=[
                exp.EQ(
                    this=exp.column(exp.to_identifier(column.name, quoted=True)),
                    expression=sqlglot.parse_one(value, dialect=DIALECT),
                )
            ],
        )
        BranchWrite(self.transaction, self.scope, ()).run(tree)

    # -- checks over all rows -------------------------------------------------------------------------------------

    def _check_not_null(self, table: Table, column: str) -> None:
        visible = self.scope.relation_sql(table, self.scope.line)
        if self.cursor.query(f"SELECT 1 FROM ({visible}) AS _t WHERE {quote(column)} IS NULL LIMIT 1"):
            raise BoughError(
                "23502", f'column "{column}" of relation "{table.name}" contains null values', column=column
            )

    def _check_constraint(self, table: Table, constraint: Constraint) -> None:
        visible = self.scope.relation_sql(table, self.scope.line)
        if constraint.kind == "c":
            if self.cursor.query(
                f"SELECT 1 FROM ({visible}) AS _t WHERE NOT ({constraint.expression}) LIMIT 1"
            ):
                raise BoughError(
                    "23514",
                    f'check constraint "{constraint.name}" of relation "{table.name}" is violated by some row',
                    constraint=constraint.name,
                )
        elif constraint.kind in "pu":
            if constraint.kind == "p":
                for column in constraint.columns:
                    self._check_not_null(table, column)
            self._check_unique(table, constraint.name, constraint.columns)

    def _check_unique(self, table: Table, name: str, columns: tuple[str, ...]) -> None:
        visible = self.scope.relation_sql(table, self.scope.line)
        items = expression_keys.items(self.transaction, table, columns)
        listed, present = ", ".join(items), " AND ".join(f"{item} IS NOT NULL" for item in items)
        found = self.cursor.query(
            f"SELECT {listed} FROM ({visible}) AS _t WHERE {present} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        )
        if found:
            raise constraint_errors.repeated(table, name, columns, found[0])

    # -- indexes and schemas ------------------------------------------------------------------------------------------

    def create_index_storage(self, table: Table, index: Index) -> Table:
        if not index.unique:
            return table
        self._check_unique(table, index.name, index.columns)
        reshaped = self._reshape(table, replace(table, indexes=(*table.indexes, index)))
        return replace(reshaped, indexes=table.indexes)

    def drop_index_storage(self, table: Table, index: Index) -> Table:
        if not index.unique:
            return table
        kept = tuple(item for item in table.indexes if item.id != index.id)
        return replace(self._reshape(table, replace(table, indexes=kept)), indexes=table.indexes)

    def create_schema_storage(self, name: str) -> None:
        """Nothing: a branch's schemas are names only."""

    def drop_schema_storage(self, name: str) -> None:
        """Nothing: a branch's schemas are names only."""


__all__ = ["BranchDdl", "overlay"]
