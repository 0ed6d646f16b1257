"""DDL on macros: see ``macros`` for what they are."""

from __future__ import annotations

from sqlglot import exp

from branching import macros
from branching.ddl import model as d
from branching.ddl.edit import qualified
from branching.ddl.indexes import IndexDdl
from branching.errors import BoughError
from branching.model import Macro
from branching.resolve import DIALECT, parse


class MacroDdl(IndexDdl):
    """Adds macros to what ``ObjectDdl`` can do."""

    def _create_macro(self, statement: d.CreateMacro) -> None:
        schema, name = self.new_name(statement.name)
        existing = self.catalog.macros.get((schema, name))
        if existing is not None and not statement.or_replace:
            if statement.if_not_exists:
                self.notice(f'macro "{name}" already exists, skipping')
                return
            raise BoughError(
                "42723", f'function "{name}" already exists', hint="CREATE OR REPLACE MACRO replaces it."
            )
        if self.cursor.has_function(name):
            raise BoughError(
                "42723",
                f'function "{name}" already exists',
                detail="It is built in.",
                hint="Choose another name.",
            )
        parameters = [item.lower() for item in statement.parameters]
        if len(set(parameters)) != len(parameters):
            raise BoughError("42P13", f'a parameter name of "{name}" is used more than once')
        if next(statement.body.find_all(exp.Placeholder, exp.Parameter), None) is not None:
            raise BoughError("42P02", "there is no parameter in a macro's body", hint="Use the macro's own.")
        body = exp.Paren(this=statement.body.copy())
        qualified(body, self.scope)
        for call in list(body.find_all(exp.Anonymous)):
            inner = macros.find(self.scope, call)
            if inner is not None and not isinstance(call.parent, exp.Dot | exp.Table):
                call.replace(
                    exp.Dot(this=exp.to_identifier(inner.schema, quoted=True), expression=call.copy())
                )
            elif inner is not None and isinstance(call.parent, exp.Table) and call.parent.this is call:
                call.parent.set("db", exp.to_identifier(inner.schema, quoted=True))
        macro = Macro(
            existing.id if existing is not None else self.next_id(),
            schema,
            name,
            statement.parameters,
            body.this.sql(DIALECT),
            statement.is_table,
            existing.comment if existing is not None else None,
        )
        self.put(macro)
        macros.expand(macros.body_of(macro), self.scope)  # refuses what would never end

    def _drop_macro(self, name: d.Name, statement: d.Drop) -> None:
        schemas = (self.scope.schema_name(name.schema),) if name.schema else self.scope.schemas()
        macro = next(
            (
                found
                for schema in schemas
                if (found := self.catalog.macros.get((schema, name.name))) is not None
            ),
            None,
        )
        if macro is None:
            if statement.if_exists:
                self.notice(f'function "{name}" does not exist, skipping')
                return
            raise BoughError("42883", f'function "{name}" does not exist')
        views = [view for view in self.catalog.views() if macros.calls(parse(view.sql), macro)]
        others = [
            other
            for other in self.catalog.macros.values()
            if other.id != macro.id and macros.calls(macros.body_of(other), macro)
        ]
        if (views or others) and not statement.cascade:
            raise BoughError(
                "2BP01",
                f"cannot drop function {macro.name} because other objects depend on it",
                detail="\n".join(
                    [f"view {view.name} depends on function {macro.name}" for view in views]
                    + [f"function {other.name} depends on function {macro.name}" for other in others]
                ),
                hint="Use DROP ... CASCADE to drop the dependent objects too.",
            )
        self.remove(macro)
        for view in views:
            self._drop_view(view, cascade=True)
        for other in others:
            if (other.schema, other.name) in self.catalog.macros:
                self._drop_macro(d.Name(other.name, other.schema), statement)
