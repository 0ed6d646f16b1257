"""A branch's schema changes, described as definitions before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import names
from branching.diff.changes import Comparison, Named, Pair, SchemaDiff, comparison
from branching.diff.past import NOW, Moments
from branching.model import Catalog, Column, Constraint, Index, Macro, Sequence, Table, View
from branching.names import quote
from branching.resolve import DIALECT

if TYPE_CHECKING:
    from branching.connection import Connection


def schema(
    connection: Connection,
    branch: str,
    against: str | None = None,
    *,
    direct: bool = False,
    moments: Moments = NOW,
    table: Named | None = None,
) -> list[SchemaDiff]:
    """What differs in definitions: tables, columns, constraints, indexes, views, macros, sequences."""
    with comparison(connection.database, branch, against, direct=direct, moments=moments) as compared:
        found: list[SchemaDiff] = []
        for pair in compared.pairs():
            found += _table(pair)
        found += objects(compared)
        named = None if table is None else compared.named(table)
    return [item for item in found if named is None or (item.schema, item.table) in named]


def _table(pair: Pair) -> Iterator[SchemaDiff]:
    before, after, shown = pair.before, pair.after, pair.shown
    if before is None or after is None:
        change = "added" if before is None else "removed"
        texts = (create_sql(before) if before else None, create_sql(after) if after else None)
        yield SchemaDiff(shown.schema, shown.name, "table", change, *texts)
        return
    if (before.schema, before.name) != (after.schema, after.name):
        yield SchemaDiff(after.schema, after.name, "table", "renamed", full(before), full(after))
    if before.comment != after.comment:
        yield SchemaDiff(after.schema, after.name, "comment", "changed", before.comment, after.comment)
    for what, old, new in (
        (
            "column",
            {c.id: (c.name, column_text(c)) for c in before.columns},
            {c.id: (c.name, column_text(c)) for c in after.columns},
        ),
        ("constraint", _constraints(before), _constraints(after)),
        ("index", _indexes(before), _indexes(after)),
    ):
        for key in dict.fromkeys([*old, *new]):
            left, right = old.get(key), new.get(key)
            if left == right:
                continue
            change = "added" if left is None else "removed" if right is None else "changed"
            if left is not None and right is not None and left[0] != right[0]:
                change = "renamed"
            name = right[0] if right is not None else left[0] if left is not None else ""
            yield SchemaDiff(
                after.schema, after.name, f"{what} {name}", change, left and left[1], right and right[1]
            )


def full(table: Table) -> str:
    """A table's name with its schema, quoted."""
    return f"{quote(table.schema)}.{quote(table.name)}"


def column_text(column: Column) -> str:
    """A column as CREATE TABLE has it."""
    text = f"{quote(column.name)} {column.declared or column.type}"
    if column.generated is not None:
        return f"{text} GENERATED ALWAYS AS ({column.generated}) STORED"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    return text + (" NOT NULL" if column.not_null else "")


def _constraints(table: Table) -> dict[str, tuple[str, str]]:
    return {item.name: (item.name, constraint_text(item)) for item in table.constraints}


def _indexes(table: Table) -> dict[int, tuple[str, str]]:
    return {item.id: (item.name, index_text(table, item)) for item in table.indexes}


def constraint_text(item: Constraint) -> str:
    """A constraint as CREATE TABLE has it."""
    head = f"CONSTRAINT {quote(item.name)} "
    listed = names.columns(item.columns)
    if item.kind == "c":
        return f"{head}CHECK ({item.expression})"
    if item.kind == "f":
        actions = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
        text = (
            f"{head}FOREIGN KEY ({listed}) REFERENCES {quote(item.ref_schema or 'public')}."
            f"{quote(item.ref_table or '')} ({names.columns(item.ref_columns)})"
        )
        if item.on_delete in actions:
            text += f" ON DELETE {actions[item.on_delete]}"
        if item.on_update in actions:
            text += f" ON UPDATE {actions[item.on_update]}"
        return text + {"": "", "i": " DEFERRABLE", "d": " DEFERRABLE INITIALLY DEFERRED"}[item.deferrable]
    return f"{head}{'PRIMARY KEY' if item.kind == 'p' else 'UNIQUE'} ({listed})"


def index_text(table: Table, item: Index) -> str:
    """What makes an index."""
    known = {column.name for column in table.columns}
    columns = ", ".join(quote(text) if text in known else f"({text})" for text in item.columns)
    return f"CREATE {'UNIQUE ' if item.unique else ''}INDEX {quote(item.name)} ON {full(table)} ({columns})"


def create_sql(table: Table) -> str:
    """What makes a table, without its rows and indexes."""
    items = [column_text(column) for column in table.columns] + [
        constraint_text(c) for c in table.constraints
    ]
    return f"CREATE TABLE {full(table)} ({', '.join(items)})"


def objects(compared: Comparison) -> Iterator[SchemaDiff]:
    """Views, macros and sequences that differ."""
    before: dict[tuple[str, str, str], object] = _named(compared.before)
    after = _named(compared.after)
    for key in dict.fromkeys([*before, *after]):
        left, right = before.get(key), after.get(key)
        item = right or left
        if left == right or not isinstance(item, View | Sequence | Macro):
            continue
        if _said(left) == _said(right):  # made on both sides, alike
            continue
        change = "added" if left is None else "removed" if right is None else "changed"
        yield SchemaDiff(
            key[1], key[2], type(item).__name__.lower(), change, object_sql(left), object_sql(right)
        )


def _said(item: object) -> tuple[str | None, str | None]:
    return object_sql(item), getattr(item, "comment", None)


def _named(catalog: Catalog) -> dict[tuple[str, str, str], object]:
    """Relations and macros, which have names of their own each."""
    found: dict[tuple[str, str, str], object] = {("", *key): item for key, item in catalog.relations.items()}
    return found | {("macro", *key): item for key, item in catalog.macros.items()}


def object_sql(item: object) -> str | None:
    """What makes a view, macro or sequence."""
    if isinstance(item, View):
        listed = [column.name for column in item.columns]
        query = sqlglot.parse_one(item.sql, dialect=DIALECT)
        own = isinstance(query, exp.Query) and listed == query.named_selects
        columns = "" if own or not listed else f" ({names.columns(listed)})"
        return f"CREATE OR REPLACE VIEW {quote(item.schema)}.{quote(item.name)}{columns} AS {item.sql}"
    if isinstance(item, Macro):
        body = f"TABLE {item.body}" if item.is_table else item.body
        parameters = ", ".join(quote(name) for name in item.parameters)
        return f"CREATE OR REPLACE MACRO {quote(item.schema)}.{quote(item.name)}({parameters}) AS {body}"
    if isinstance(item, Sequence):
        return (
            f"CREATE SEQUENCE {quote(item.schema)}.{quote(item.name)} AS {item.type} INCREMENT BY {item.increment}"
            f" MINVALUE {item.minimum} MAXVALUE {item.maximum} START WITH {item.start}"
            f"{' CYCLE' if item.cycle else ''}"
        )
    return None
