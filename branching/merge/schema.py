"""Schema changes of a merge, as the ALTER TABLE actions a user would have written, run by the target's own DDL.

``alterations`` is pure: what turns one definition of a table into another. A column that comes from the other side
keeps its id, so that later merges and diffs know it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlglot
from sqlglot import exp

from branching.ddl import model as d
from branching.ddl.branch import BranchDdl
from branching.ddl.changes import Ddl
from branching.ddl.trunk import TrunkDdl
from branching.engine.versioned import column_definition
from branching.errors import BoughError
from branching.manifest import Change
from branching.merge.loose import same_constraint
from branching.merge.plan import CatalogPlan
from branching.merge.said import exactly
from branching.merge.values import added_with, conversion, initial
from branching.model import Column, Constraint, Index, Schema, Sequence, Storage, Table, View
from branching.names import RID, quote
from branching.resolve import DIALECT, Scope
from branching.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Step:
    """One action; ``column`` is the id that an added column must get."""

    action: d.Action | d.CreateIndex | d.Drop
    column: int | None = None
    index: Index | None = None


def alterations(
    have: Table, want: Table, known: tuple[Table, ...] = (), replaced: frozenset[int] = frozenset()
) -> list[Step]:
    """What turns ``have`` into ``want``; ``known`` are tables that may know how a column's type was changed."""
    steps: list[Step] = []
    wanted = {column.id: column for column in want.columns}
    mine = {column.id: column for column in have.columns}
    final = {item.name: item for item in want.constraints}
    ids = {column.name: column.id for column in have.columns}
    final_ids = {column.name: column.id for column in want.columns}

    kept: set[str] = set()
    for constraint in have.constraints:
        after = final.get(constraint.name)
        if after is not None and same_constraint(constraint, ids, after, final_ids):
            kept.add(constraint.name)
        elif all(name in ids and ids[name] in wanted for name in constraint.columns):
            steps.append(Step(d.DropConstraint(constraint.name)))
    indexes = {index.id: index for index in want.indexes}
    for index in have.indexes:
        if index.id not in indexes and all(
            ids.get(name, -1) in wanted for name in index.columns if name in ids
        ):
            steps.append(Step(d.Drop("index", (d.Name(index.name, have.schema),)), index=index))
    for column in sorted(
        have.columns, key=lambda item: item.generated is None
    ):  # before what they are made of
        if column.id not in wanted:
            steps.append(Step(d.DropColumn(column.name, if_exists=True)))
    steps += _renames(have, wanted)
    renamed = replace(
        have,
        columns=tuple(replace(c, name=wanted[c.id].name) if c.id in wanted else c for c in have.columns),
    )
    for column in want.columns:
        if column.id in mine:
            steps += _column_steps(
                replace(mine[column.id], name=column.name), column, renamed, known, replaced
            )
        else:
            steps += _added(column, known)
            if column.not_null:
                steps.append(Step(d.SetNotNull(column.name)))
    for constraint in want.constraints:
        if constraint.name not in kept:
            steps.append(Step(d.AddConstraint(_definition(constraint))))
    old_indexes = {index.id for index in have.indexes}
    for index in want.indexes:
        if index.id not in old_indexes:
            columns = tuple(
                name if name in final_ids else sqlglot.parse_one(name, dialect=DIALECT)
                for name in index.columns
            )
            steps.append(
                Step(
                    d.CreateIndex(index.name, d.Name(want.name, want.schema), columns, index.unique),
                    index=index,
                )
            )
    if want.schema != have.schema:
        steps.append(Step(d.SetSchema(want.schema)))
    if want.name != have.name:
        steps.append(Step(d.RenameTable(want.name)))
    return steps


def _added(column: Column, known: tuple[Table, ...]) -> list[Step]:
    """Adds a column with what its rows were given on the other side, whatever its default is now."""
    value = added_with(column, known)
    if value is None:
        return [Step(d.AddColumn(column_tree(column)), column.id)]
    first = Step(d.AddColumn(column_tree(replace(column, default=value))), column.id)
    if column.default is None:
        return [first, Step(d.DropDefault(column.name))]
    return [first, Step(d.SetDefault(column.name, sqlglot.parse_one(column.default, dialect=DIALECT)))]


def _renames(have: Table, wanted: dict[int, Column]) -> list[Step]:
    """Column renames in an order that never meets a name still in use; a circle goes through a name of its own."""
    steps: list[Step] = []
    names = {column.id: column.name for column in have.columns if column.id in wanted}
    while pending := [i for i, name in names.items() if name != wanted[i].name]:
        taken = {name.lower(): i for i, name in names.items()}
        free = [i for i in pending if taken.get(wanted[i].name.lower(), i) == i]
        identifier = free[0] if free else pending[0]
        name = wanted[identifier].name if free else f"renaming_{identifier}"
        steps.append(Step(d.RenameColumn(names[identifier], name)))
        names[identifier] = name
    return steps


def _column_steps(
    have: Column, want: Column, table: Table, known: tuple[Table, ...], replaced: frozenset[int]
) -> list[Step]:
    steps = []
    if want.id in replaced and have.not_null:  # until the rows are written
        steps.append(Step(d.DropNotNull(have.name)))
        have = replace(have, not_null=False)
    if want.type != have.type:
        using = conversion(table, want, known, strict=want.id not in replaced)
        if have.default is not None:
            steps.append(Step(d.DropDefault(have.name)))
            have = replace(have, default=None)
        steps.append(
            Step(d.AlterType(have.name, exp.DataType.build(want.type, DIALECT), want.declared, using))
        )
    if want.default != have.default:
        if want.default is None:
            steps.append(Step(d.DropDefault(have.name)))
        else:
            default = sqlglot.parse_one(want.default, dialect=DIALECT)
            steps.append(Step(d.SetDefault(have.name, default)))
    if want.not_null != have.not_null:
        steps.append(Step(d.SetNotNull(have.name) if want.not_null else d.DropNotNull(have.name)))
    return steps


def column_tree(column: Column) -> exp.ColumnDef:
    """The column as ADD COLUMN takes it: nullable, because it is filled afterwards."""
    text = column_definition(replace(column, not_null=False))
    tree = sqlglot.parse_one(f"CREATE TABLE _t ({text})", dialect=DIALECT).find(exp.ColumnDef)
    assert tree is not None
    if column.declared is not None:
        tree.meta["declared"] = column.declared
    return tree


def _definition(constraint: Constraint) -> d.ConstraintDefinition:
    expression = constraint.expression
    return d.ConstraintDefinition(
        constraint.kind,
        constraint.name,
        constraint.columns,
        sqlglot.parse_one(expression, dialect=DIALECT) if expression is not None else None,
        d.Name(constraint.ref_table, constraint.ref_schema) if constraint.ref_table else None,
        constraint.ref_columns,
        constraint.on_delete,
        constraint.on_update,
        deferrable=constraint.deferrable,
    )


# -- applying -----------------------------------------------------------------------------------------------------


class _SameIds(Ddl):
    """DDL whose next new column gets a given id."""

    forced: int | None = None

    def next_id(self) -> int:
        forced, self.forced = self.forced, None
        return super().next_id() if forced is None else forced


class MergeTrunkDdl(_SameIds, TrunkDdl):
    def _add_column(self, table: Table, action: d.AddColumn) -> Table:
        """A column that was dropped and that forks still read is in the file: it gets its name back, and its values."""
        base = self._base(table)
        aside = base.columns.get(self.forced) if self.forced is not None else None
        added = self.with_new_column(table, action) if aside is not None else None
        if aside is None or added is None:
            return super()._add_column(table, action)
        changed, column = added
        self._drop_indexes(table, base)
        self._rename_column(base, replace(column, name=aside), column.name)
        base = self._base(table)
        if column.default is not None:
            default = self.default_sql(column.default)
            self.cursor.execute(f"ALTER TABLE {base.sql} ALTER {quote(column.name)} SET DEFAULT {default}")
        self.own_sequences(changed)
        return self._indexed(self._reshaped(changed))

    def fill_others(self, table: Table, columns: frozenset[int], known: str) -> None:
        """Rows that the winner does not know have in a column that came back what it is added with.

        Nobody sees them with it so far: no version, no history.
        """
        values = ", ".join(f"{quote(c.name)} = {initial(c)}" for c in table.columns if c.id in columns)
        self.cursor.execute(
            f"UPDATE {self._base(table).sql} SET {values}"
            f" WHERE {RID} NOT IN (SELECT {RID} FROM ({known}) AS _known)"
        )

    def tighten(self, table: Table, merged: Table) -> None:
        """Gives the table what its rows could not keep before they were filled."""
        self.put(self._rebuild(table, replace(merged, storage=table.storage), {}))


class MergeBranchDdl(_SameIds, BranchDdl):
    def fill_others(self, table: Table, columns: frozenset[int], known: str) -> None:
        """Nothing: a branch adds a column with its value."""

    def tighten(self, table: Table, merged: Table) -> None:
        """Gives the table what its rows could not keep before they were filled."""
        for column in merged.columns:
            if column.not_null:
                self._check_not_null(table, column.name)
        for constraint in merged.constraints:
            self._check_constraint(table, constraint)
        for index in merged.indexes:
            if index.unique:
                self._check_unique(table, index.name, index.columns)
        self.put(self._reshape(table, merged))


MergeDdl = MergeTrunkDdl | MergeBranchDdl


def ddl_for(transaction: Transaction, scope: Scope) -> MergeDdl:
    kind = MergeTrunkDdl if scope.line.is_trunk else MergeBranchDdl
    return kind(transaction, scope, lambda _notice: None)


def reshape(
    ddl: MergeDdl,
    table: Table,
    merged: Table,
    known: tuple[Table, ...],
    replaced: frozenset[int] = frozenset(),
) -> Table:
    """Alters the target's ``table`` until it is ``merged``; returns it as it then stands in the catalog.

    ``replaced``: columns some of whose values cannot be converted, and are written anew afterwards.
    """
    identifier = table.id
    for step in alterations(table, merged, known, replaced):
        current = by_id(ddl, identifier)
        action = step.action
        if isinstance(action, d.CreateIndex):
            assert step.index is not None
            made = ddl.create_index_storage(current, step.index)
            ddl.put(replace(made, indexes=(*made.indexes, step.index)))
        elif isinstance(action, d.Drop):
            assert step.index is not None
            dropped = ddl.drop_index_storage(current, step.index)
            ddl.put(replace(dropped, indexes=tuple(i for i in dropped.indexes if i.id != step.index.id)))
        elif isinstance(action, d.RenameTable | d.SetSchema):
            ddl._move(current, action)
        else:
            ddl.forced = step.column
            changed = ddl.alter(current, action)
            ddl.forced = None
            if changed is not current:
                ddl.put(changed)
    current = by_id(ddl, identifier)
    exact = exactly(current, merged)
    if exact != current:
        ddl.put(exact)
    return exact


def by_id(ddl: Ddl, identifier: int) -> Table:
    """A table as the transaction has it now."""
    return next(table for table in ddl.catalog.tables() if table.id == identifier)


def apply_objects(ddl: Ddl, plan: CatalogPlan, *, late: bool) -> None:
    """What comes before the tables and what comes after them (``late``).

    Before: schemas and sequences that tables use, and views and macros that go, for a table may take such a name.
    After: what reads tables, and sequences that go, and last the schemas that go, once nothing is in them.
    """
    for item, dropped in sorted(plan.changes, key=lambda change: change[1] and isinstance(change[0], Schema)):
        early = isinstance(item, Schema | Sequence) != dropped
        if early == late:
            continue
        if isinstance(item, Schema):
            if dropped:
                if not any(other.schema == item.name for other in ddl.catalog.relations.values()):
                    ddl.drop_schema_storage(item.name)
                    ddl.remove(item)
            else:
                if item.name not in ddl.catalog.schemas:
                    ddl.create_schema_storage(item.name)
                ddl.put(item)
        elif dropped:
            taken = ddl.catalog.find(item.schema, item.name) if isinstance(item, View | Sequence) else None
            if not isinstance(taken, Table):  # a table that has taken the name since is not what goes
                ddl.transaction.change(Change(item, dropped=True))
        elif isinstance(item, Sequence):
            there = next((found for found in ddl.catalog.sequences() if found.id == item.id), item)
            ddl.transaction.change(
                Change(replace(item, physical=there.physical))
            )  # each side has its own counter
        elif _free(ddl, item):
            ddl.transaction.change(Change(item))
        ddl.scope.catalog = ddl.transaction.catalog


def _free(ddl: Ddl, item: object) -> bool:
    """Whether a view or macro may take its name: a table of that name is never replaced by it."""
    schema, name = getattr(item, "schema", ""), getattr(item, "name", "")
    found = ddl.catalog.find(schema, name)
    if isinstance(found, Table):
        raise BoughError(
            "42P07",
            f'cannot merge view "{schema}.{name}": the target has a table of that name',
            hint="Rename one of them, then merge again.",
            detail="One name cannot be both.",
        )
    return True


def create(ddl: MergeDdl, table: Table) -> Table:
    """The branch's new table on the target, still empty."""
    if table.schema not in ddl.catalog.schemas:
        ddl.create_schema_storage(table.schema)
        ddl.put(Schema(ddl.next_id(), table.schema))
    bare = replace(table, storage=Storage(None, 0))
    made = ddl.create_storage(bare)
    ddl.put(made)
    if isinstance(ddl, MergeTrunkDdl):
        for index in made.indexes:
            ddl._make_index(made, index)
    return made


__all__ = [
    "Step", "alterations", "apply_objects", "by_id", "column_tree", "create", "ddl_for", "quote", "reshape",
]  # fmt: skip
