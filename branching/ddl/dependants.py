"""What depends on a table, a column or a key: refused, dropped along, or brought along when those change.

Rules:

1. What would be left meaning nothing is refused with 2BP01, which lists it, or dropped along where CASCADE says so.
2. What a rename concerns follows it: the text of views, and foreign keys of other tables.
3. A foreign key refers to columns that are there, unique and comparable, and holds for the rows that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as ListOf
from dataclasses import dataclass, replace

from branching import names
from branching.ddl import model as d
from branching.ddl import view_text
from branching.ddl.edit import mentions, sequences_in
from branching.ddl.macros import MacroDdl
from branching.dml import foreign_keys
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Column, Constraint, Relation, Sequence, Table, View
from branching.resolve import Scope, parse

_CASCADE = "Use DROP ... CASCADE to drop the dependent objects too."


@dataclass(frozen=True, slots=True)
class Dependants:
    """``shown``: one line each, as Postgres' DETAIL has them."""

    views: tuple[View, ...] = ()
    keys: tuple[tuple[Table, Constraint], ...] = ()
    generated: tuple[Column, ...] = ()
    shown: tuple[str, ...] = ()


class DependantDdl(MacroDdl):
    """Adds to what ``MacroDdl`` can do what changes of tables mean to others."""

    def alter(self, table: Table, action: d.Action) -> Table:
        """The table after one action of ALTER TABLE."""
        raise NotImplementedError

    # -- finding ----------------------------------------------------------------------------------------------

    def dependants(self, table: Table) -> Dependants:
        """Views that read the table and foreign keys of other tables that refer to it."""
        views = tuple(view for view in self.catalog.views() if self._reads(view, table))
        keys = tuple(pair for pair in foreign_keys.referrers(self.scope, table) if pair[0].id != table.id)
        shown = [f"view {view.name} depends on table {table.name}" for view in views]
        shown += [
            f"constraint {key.name} on table {child.name} depends on table {table.name}"
            for child, key in keys
        ]
        return Dependants(views, keys, (), tuple(shown))

    def _of_column(self, table: Table, column: Column) -> Dependants:
        views = tuple(view for view in self.catalog.views() if view_text.uses(view.sql, table, column.name))
        keys = tuple(
            (child, key)
            for child, key in foreign_keys.referrers(self.scope, table)
            if column.name in key.ref_columns and not (child.id == table.id and column.name in key.columns)
        )
        generated = tuple(
            item for item in table.columns if item.generated and mentions(item.generated, column.name)
        )
        what = f"column {column.name} of table {table.name}"
        shown = [f"column {item.name} of table {table.name} depends on {what}" for item in generated]
        shown += [f"constraint {key.name} on table {child.name} depends on {what}" for child, key in keys]
        shown += [f"view {view.name} depends on {what}" for view in views]
        return Dependants(views, keys, generated, tuple(shown))

    def _of_key(self, table: Table, constraint: Constraint) -> Dependants:
        """Foreign keys that need this key, there being no other of the same columns."""
        columns = set(constraint.columns)
        if any(
            item.kind in "pu" and set(item.columns) == columns
            for item in table.constraints
            if item is not constraint
        ):
            return Dependants()
        keys = tuple(
            (child, key)
            for child, key in foreign_keys.referrers(self.scope, table)
            if set(key.ref_columns) == columns
        )
        shown = [
            f"constraint {key.name} on table {child.name} depends on index {constraint.name}"
            for child, key in keys
        ]
        return Dependants((), keys, (), tuple(shown))

    # -- before a change ----------------------------------------------------------------------------------------

    def drop_dependants(self, what: str, found: Dependants, *, cascade: bool) -> None:
        """Drops the views and keys, or refuses (2BP01)."""
        if found.shown and not cascade:
            raise BoughError(
                "2BP01",
                f"cannot drop {what} because other objects depend on it",
                detail="\n".join(found.shown),
                hint=_CASCADE,
            )
        for view in found.views:
            self._drop_view(view, cascade=True)
        for child, key in found.keys:
            now = next(table for table in self.catalog.tables() if table.id == child.id)
            self.put(replace(now, constraints=tuple(c for c in now.constraints if c.name != key.name)))

    def free(self, table: Table, action: d.Action) -> Table:
        """The table, ready for ``action``: nothing is left that it would break."""
        if isinstance(action, d.DropColumn) and (column := table.column(action.column)) is not None:
            found = self._of_column(table, column)
            what = f"column {column.name} of table {table.name}"
            self.drop_dependants(what, found, cascade=action.cascade)
            for item in found.generated:
                self.put(self.alter(self._current(table), d.DropColumn(item.name, cascade=True)))
        elif isinstance(action, d.DropConstraint):
            for constraint in table.constraints:
                if constraint.name == action.constraint and constraint.kind in "pu":
                    what = f"constraint {constraint.name} on table {table.name}"
                    self.drop_dependants(what, self._of_key(table, constraint), cascade=action.cascade)
        elif isinstance(action, d.RenameConstraint | d.ValidateConstraint) and all(
            item.name != action.constraint for item in table.constraints
        ):
            raise BoughError(
                "42704", f'constraint "{action.constraint}" for table "{table.name}" does not exist'
            )
        return self._current(table)

    def _current(self, table: Table) -> Table:
        return next(item for item in self.catalog.tables() if item.id == table.id)

    # -- after it -----------------------------------------------------------------------------------------------

    def follow(self, before: Table, changed: Table, action: d.Action) -> None:
        """Brings along what ``action`` concerns, and verifies the foreign keys it has added."""
        if isinstance(action, d.RenameColumn):
            column = before.column(action.column)
            assert column is not None
            self._renamed_in_views(changed, column.name, action.to)
            self._renamed_in_keys(changed, column.name, action.to)
        elif isinstance(action, d.AlterType):
            self._retyped_in_views(changed)
        known = {item.name for item in before.constraints}
        for constraint in changed.constraints:
            added = constraint.name not in known and isinstance(action, d.AddConstraint | d.AddColumn)
            if isinstance(action, d.AddConstraint) and action.constraint.not_valid:
                added = False
            validated = isinstance(action, d.ValidateConstraint) and action.constraint == constraint.name
            if constraint.kind == "f" and (added or validated):
                self._verify(changed, constraint)

    def _now(self) -> Scope:
        return replace(self.scope, catalog=self.catalog, physical=self.transaction.physical)

    def _verify(self, table: Table, constraint: Constraint) -> None:
        scope = self._now()
        parent = scope.target(d.Name(constraint.ref_table or "", constraint.ref_schema))
        self.transaction.refer(parent.id)
        foreign_keys.refuse_missing(scope, self.cursor, table, constraint, "true")

    def _renamed_in_views(self, table: Table, old: str, new: str) -> None:
        columns = [column.name for column in table.columns]
        for view in list(self.catalog.views()):
            if view_text.uses(view.sql, table, old):
                self.put(replace(view, sql=view_text.with_renamed(view.sql, table, columns, old, new)))

    def _renamed_in_keys(self, table: Table, old: str, new: str) -> None:
        for child, _ in list(foreign_keys.referrers(self.scope, table)):
            now = self._current(child)
            constraints = tuple(
                replace(key, ref_columns=tuple(new if name == old else name for name in key.ref_columns))
                if key.kind == "f" and (key.ref_schema, key.ref_table) == (table.schema, table.name)
                else key
                for key in now.constraints
            )
            if constraints != now.constraints:
                self.put(replace(now, constraints=constraints))

    def _rename_in_defaults(self, old: Sequence, new: Sequence) -> None:
        """Defaults that take the sequence's next value go on doing so under its new name."""
        known = replace(self.scope, catalog=self.catalog.with_object(old))
        default = f"nextval({names.literal(f'{names.quote(new.schema)}.{names.quote(new.name)}')})"
        for table in list(self.catalog.tables()):
            columns = tuple(
                replace(column, default=default)
                if [item.id for item in sequences_in(column.default, known)] == [old.id]
                else column
                for column in table.columns
            )
            if columns != table.columns:
                self.put(replace(table, columns=columns))

    def _retyped_in_views(self, table: Table) -> None:
        todo: list[Relation] = [table]
        while todo:
            relation = todo.pop()
            for view in list(self.catalog.views()):
                if not self._reads(view, relation):
                    continue
                sql = self.cursor.engine.text(self._now().resolve(parse(view.sql).copy()))
                try:
                    found = self.cursor.describe(sql)
                except EngineError as error:
                    raise BoughError(
                        "0A000",
                        "cannot alter type of a column used by a view or rule",
                        detail=f"view {view.name} depends on table {table.name}",
                        hint=f"DROP VIEW {view.name} first.",
                    ) from error
                columns = tuple(
                    replace(column, type=item.type) for column, item in zip(view.columns, found, strict=False)
                )
                if columns != view.columns:
                    self.put(replace(view, columns=columns))
                    todo.append(view)

    # -- definitions --------------------------------------------------------------------------------------------

    def check_reference(self, table: Table, constraint: Constraint, parent: Table) -> None:
        """Refuses a foreign key to columns that are not there, not unique, or of other types."""
        theirs: list[Column] = []
        for name in constraint.ref_columns:
            column = parent.column(name)
            if column is None:
                raise BoughError(
                    "42703", f'column "{name}" referenced in foreign key constraint does not exist'
                )
            theirs.append(column)
        wanted = {column.name for column in theirs}
        keys: list[ListOf[str]] = [item.columns for item in parent.constraints if item.kind in "pu"]
        keys += [index.columns for index in parent.indexes if index.unique]
        if not any(set(key) == wanted for key in keys):
            raise BoughError(
                "42830",
                f'there is no unique constraint matching given keys for referenced table "{parent.name}"',
            )
        for name, column in zip(constraint.columns, theirs, strict=True):
            mine = table.column(name)
            assert mine is not None
            try:
                if (mine.type == "VARCHAR") != (column.type == "VARCHAR"):
                    raise EngineError(ErrorKind.OTHER, "", "the engine would cast them")
                self.cursor.describe(f"SELECT CAST(NULL AS {mine.type}) = CAST(NULL AS {column.type})")
            except EngineError as error:
                raise BoughError(
                    "42804",
                    f'foreign key constraint "{constraint.name}" cannot be implemented',
                    detail=f'Key columns "{name}" and "{column.name}" are of incompatible types:'
                    f" {mine.type} and {column.type}.",
                ) from error


def with_foreign_last(definitions: ListOf[d.ConstraintDefinition]) -> Iterator[d.ConstraintDefinition]:
    """The definitions in an order in which a table can refer to itself."""
    yield from sorted(definitions, key=lambda item: item.kind == "f")
