"""Macros: calls of a branch's own functions are replaced by their bodies before the engine sees the statement.

A macro is text, as it is in DuckDB: its arguments are put where its parameters are, and what it names besides is looked
up where it is called. So no engine object is needed, and a macro reads the tables of the branch that it is called on.

Rules:

1. The body's relations and macros carry their schema since the macro was made; the search path of the caller does not
   matter.
2. A function that a plain DuckDB made in the file is never called by the engine: it would read main's tables whatever
   the branch. It is a macro of the catalog, or it does not exist.
3. The names of built-in functions are not taken: which of the two were meant would depend on the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import names
from branching.engine.base import LOGICAL_DIALECT
from branching.errors import BoughError
from branching.model import Macro

if TYPE_CHECKING:
    from branching.resolve import Scope

SEVERAL = "…"  # the parameter of a macro of a file that has several forms, which cannot be called
_DEPTH = 32


def body_of(macro: Macro) -> exp.Expr:
    """The tree of a macro's body: a query, or an expression."""
    if macro.is_table:
        return sqlglot.parse_one(macro.body, dialect=LOGICAL_DIALECT)
    body: exp.Expr = sqlglot.parse_one(f"SELECT {macro.body}", dialect=LOGICAL_DIALECT).expressions[0]
    return body


def find(scope: Scope, call: exp.Anonymous) -> Macro | None:
    """The macro that a call means."""
    name, parent = call.name, call.parent
    schemas: tuple[str, ...] = scope.schemas()
    if isinstance(parent, exp.Dot) and parent.expression is call:
        schemas = (scope.schema_name(parent.this.name),)
    elif isinstance(parent, exp.Table) and parent.this is call and parent.args.get("db"):
        schemas = (scope.schema_name(parent.text("db")),)
    for schema in schemas:
        for wanted in (name, name.lower()):
            if (macro := scope.catalog.macros.get((schema, wanted))) is not None:
                return macro
    return None


def expand(tree: exp.Expr, scope: Scope, depth: int = 0) -> exp.Expr:
    """``tree``, changed in place, with every macro call replaced. Returns the new root."""
    native = scope.database.native_macros
    if not scope.catalog.macros and not native:
        return tree
    for call in reversed(list(tree.find_all(exp.Anonymous))):  # arguments before the calls they are in
        macro = find(scope, call)
        if macro is None:
            if call.name.lower() in native and not _is_foreign(call):
                raise BoughError(
                    "42883",
                    f"function {call.name}() does not exist",
                    hint="No function matches the given name and argument types.",
                )
            continue
        if depth >= _DEPTH:
            raise BoughError("54001", f'macro "{macro.name}" calls itself or is nested too deeply')
        body = expand(exp.Paren(this=_bound(macro, call)), scope, depth + 1)
        place: exp.Expr = call
        if isinstance(call.parent, exp.Dot) and call.parent.expression is call:
            place = call.parent
        table = place.parent
        if isinstance(table, exp.Table) and table.this is place:
            if not macro.is_table:
                raise BoughError(
                    "42809", f'macro "{macro.name}" gives a value, not a table', hint="SELECT it."
                )
            place, body = table, _relation(macro, table, body)
        elif macro.is_table:
            raise BoughError(
                "42809", f'macro "{macro.name}" gives a table', hint=f"Use it in FROM {macro.name}(…)."
            )
        if place is tree:
            tree = body
        else:
            place.replace(body)
    return tree


def _is_foreign(call: exp.Anonymous) -> bool:
    """Whether a call names a schema of Bough's own functions."""
    return isinstance(call.parent, exp.Dot) and call.parent.parts[0].name == names.FUNCTIONS


def _relation(macro: Macro, node: exp.Table, body: exp.Expr) -> exp.Expr:
    query = body.unnest()
    alias = node.args.get("alias")
    if alias is None or not alias.this:
        columns = alias.args.get("columns") if alias is not None else None
        alias = exp.TableAlias(this=exp.to_identifier(macro.name, quoted=True), columns=columns)
    made = exp.Subquery(this=query, alias=alias)
    for key in ("sample", "joins", "pivots", "laterals"):
        if value := node.args.get(key):
            made.set(key, value)
    return made


def _bound(macro: Macro, call: exp.Anonymous) -> exp.Expr:
    """The body with the call's arguments in place of the parameters."""
    if macro.parameters == (SEVERAL,):
        raise BoughError(
            "0A000",
            f'macro "{macro.name}" has several forms',
            detail="It comes from a DuckDB file; only macros of one form can be called on branches.",
            hint="CREATE OR REPLACE MACRO makes it one of one form.",
        )
    given: dict[str, exp.Expr] = {}
    for number, argument in enumerate(call.expressions):
        if isinstance(argument, exp.PropertyEQ | exp.Kwarg):
            name, value = argument.this.name.lower(), argument.expression
        elif number < len(macro.parameters):
            name, value = macro.parameters[number].lower(), argument
        else:
            raise _mismatch(macro, call)
        if name in given:
            raise _mismatch(macro, call)
        given[name] = value
    if set(given) != {name.lower() for name in macro.parameters}:
        raise _mismatch(macro, call)
    root = exp.Paren(this=body_of(macro))
    for column in list(root.find_all(exp.Column)):
        if not column.table and column.name.lower() in given:
            value = given[column.name.lower()].copy()
            column.replace(value if isinstance(value, exp.Literal | exp.Column) else exp.Paren(this=value))
    bound: exp.Expr = root.this
    return bound


def _mismatch(macro: Macro, call: exp.Anonymous) -> BoughError:
    return BoughError(
        "42883",
        f"function {macro.name}() does not take these {len(call.expressions)} arguments",
        detail=f"It is a macro: {macro.name}({', '.join(macro.parameters)}).",
    )


def calls(text: exp.Expr, macro: Macro) -> bool:
    """Whether a stored definition calls the macro."""
    return any(
        call.name.lower() == macro.name.lower()
        and (not isinstance(call.parent, exp.Dot) or call.parent.this.name == macro.schema)
        for call in text.find_all(exp.Anonymous)
    )
