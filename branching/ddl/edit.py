"""Edits of catalog values that DDL is made of: pure, but for ``check_unique``, which asks the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sqlglot
from sqlglot import exp

from branching.dml import constraint_errors
from branching.engine.base import Cursor
from branching.errors import BoughError
from branching.model import (
    Column,
    Index,
    Table,
)
from branching.model import (
    Sequence as SequenceObject,
)
from branching.names import HIDDEN_PREFIX, quote
from branching.resolve import DIALECT, Scope, parse, table_name, undefined


def refuse_reserved(name: str) -> None:
    """42939 for the names that storage itself uses."""
    if name.lower().startswith(HIDDEN_PREFIX):
        raise BoughError(
            "42939", f'name "{name}" is reserved', detail=f"Names do not begin with {HIDDEN_PREFIX}."
        )


def replace_column(table: Table, column: Column) -> Table:
    return replace(table, columns=tuple(column if item.id == column.id else item for item in table.columns))


def need_column(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise BoughError(
            "42703", f'column "{name}" of relation "{table.name}" does not exist', table=table.name
        )
    return column


def rename_in_expression(text: str | None, old: str, new: str) -> str | None:
    """A stored expression after a column's rename."""
    if text is None:
        return None
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    for column in list(tree.find_all(exp.Column)):
        if column.name.lower() == old.lower():
            column.set("this", exp.to_identifier(new, quoted=True))
    return tree.sql(DIALECT)


def renamed_column(table: Table, old: str, new: str) -> Table:
    """The table after RENAME COLUMN, in everything that names the column."""
    column = need_column(table, old)
    refuse_reserved(new)
    if table.column(new) is not None and table.column(new) != column:
        raise BoughError("42701", f'column "{new}" of relation "{table.name}" already exists')

    def rename(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == column.name else name for name in columns)

    return replace(
        table,
        columns=tuple(
            replace(
                item,
                name=new if item.id == column.id else item.name,
                generated=rename_in_expression(item.generated, column.name, new),
            )
            for item in table.columns
        ),
        constraints=tuple(
            replace(
                item,
                columns=rename(item.columns),
                expression=rename_in_expression(item.expression, column.name, new),
            )
            for item in table.constraints
        ),
        indexes=tuple(
            replace(
                item,
                columns=tuple(
                    rename((text,))[0]
                    if table.column(text) is not None
                    else rename_in_expression(text, column.name, new) or text
                    for text in item.columns
                ),
            )
            for item in table.indexes
        ),
    )


def qualified(query: exp.Expr, scope: Scope) -> exp.Expr:
    """The query with every relation's schema written out, so that a later search path does not matter."""
    from branching.resolve import _is_cte

    for node in query.find_all(exp.Table):
        if not isinstance(node.this, exp.Identifier) or node.meta.get("physical"):
            continue
        if not node.args.get("db") and _is_cte(node):
            continue
        if scope.is_temporary(table_name(node)):
            raise BoughError(
                "0A000", "a view cannot read a temporary table", hint="Make it a table, or the view a query."
            )
        found = scope.find(table_name(node))
        if found is None:
            raise undefined(table_name(node))
        if found[0] is not scope.line:
            raise BoughError("0A000", "a view cannot read another branch")
        node.set("db", exp.to_identifier(found[2].schema, quoted=True))
        node.set("catalog", None)
    return query


def sequences_in(text: str | None, scope: Scope) -> Iterator[SequenceObject]:
    if text is None or "nextval" not in text.lower():
        return
    for call in parse(text).find_all(exp.Anonymous):
        if call.name.lower() == "nextval" and call.expressions:
            argument = call.expressions[0]
            while isinstance(argument, exp.Cast):
                argument = argument.this
            yield scope.sequence(argument.name)


def without_column(table: Table, column: Column) -> Table:
    """The table after DROP COLUMN: constraints and indexes on the column, or over it, go with it."""
    known = {item.name for item in table.columns}
    return replace(
        table,
        columns=tuple(item for item in table.columns if item.id != column.id),
        constraints=tuple(
            item
            for item in table.constraints
            if column.name not in item.columns
            and not (item.expression is not None and mentions(item.expression, column.name))
        ),
        indexes=tuple(
            item
            for item in table.indexes
            if column.name not in item.columns
            and not any(text not in known and mentions(text, column.name) for text in item.columns)
        ),
    )


def mentions(text: str, column: str) -> bool:
    return rename_in_expression(text, column, "\x00") != rename_in_expression(text, "\x00", "\x00")


def check_unique(cursor: Cursor, table: Table, rows: str, index: Index) -> None:
    """Refuses (23505) a unique index that the rows break."""
    known = {column.name for column in table.columns}
    listed = ", ".join(quote(text) if text in known else f"({text})" for text in index.columns)
    present = " AND ".join(
        f"{quote(text) if text in known else f'({text})'} IS NOT NULL" for text in index.columns
    )
    found = cursor.query(
        f"SELECT {listed} FROM {rows} WHERE {present} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
    )
    if found:
        raise constraint_errors.repeated(table, index.name, index.columns, found[0])
