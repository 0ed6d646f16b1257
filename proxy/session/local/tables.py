"""A table of a branch as migration sees it: columns, keys, indexes, and what it cannot say.

Rules:

1. The engine's dialect says everything but lengths: those of texts are what the column declares, because the branch
   holds its values to them (``branching.dml.lengths``).
2. A sequence that belongs to a column is the column's identity, and no default.
"""

from __future__ import annotations

from branching.dml.lengths import limit_of
from branching.model import DEFAULT_SCHEMA, Catalog, Column, Table
from migration.dialects.type_names import parse_type
from migration.model import ColumnSpec, Counting, IndexSpec, KeyKind, KeySpec, OwnConstraint, TableSpec
from migration.types import CanonicalType, text
from proxy.session.local import definition as local_definition

DIALECT = "duckdb"
_KINDS: dict[str, KeyKind] = {"p": "primary", "u": "unique", "f": "foreign"}
_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def spec_of(table: Table, catalog: Catalog | None = None) -> TableSpec:
    """A table of a branch as migration sees it; ``catalog`` tells how its numbers count."""
    owned = local_definition.owned_sequences(table, catalog) if catalog is not None else {}
    columns = tuple(
        _column(
            column,
            owned=column.id in owned,
            computed=column.generated is not None and catalog is not None,
            counting=local_definition.counting(owned.get(column.id)),
        )
        for column in table.columns
    )
    keys = [
        KeySpec(
            _KINDS[constraint.kind],
            constraint.columns,
            constraint.name,
            (constraint.ref_schema or DEFAULT_SCHEMA, constraint.ref_table) if constraint.ref_table else (),
            constraint.ref_columns,
            _ACTIONS.get(constraint.on_delete) if constraint.kind == "f" else None,
            _ACTIONS.get(constraint.on_update) if constraint.kind == "f" else None,
        )
        for constraint in table.constraints
        if constraint.kind in _KINDS
    ]
    known = {column.name for column in table.columns}
    keys += [
        KeySpec("unique" if index.unique else "index", index.columns, index.name)
        for index in table.indexes
        if known.issuperset(index.columns)
    ]
    indexes = tuple(
        IndexSpec(index.name, index.unique, "expression", f"({', '.join(index.columns)})")
        for index in table.indexes
        if not known.issuperset(index.columns)
    )
    own = tuple(OwnConstraint(f"check {each.name}") for each in table.constraints if each.kind == "c")
    return TableSpec((table.schema, table.name), columns, tuple(keys), table.comment, DIALECT, indexes, own)


def staged_column(column: Column) -> ColumnSpec:
    """A column of a table that only the writer sees."""
    return ColumnSpec(column.name, _type(column), declared=_declared(column))


def _column(column: Column, *, owned: bool, computed: bool, counting: Counting) -> ColumnSpec:
    return ColumnSpec(
        column.name,
        _type(column),
        not column.not_null,
        None if "nextval" in (column.default or "").lower() else column.default,
        "always" if column.identity == "a" else "default" if column.identity or owned else "",
        column.comment,
        _declared(column),
        computed=computed,
        counting=counting,
    )


def _type(column: Column) -> CanonicalType:
    limit = limit_of(column)
    return parse_type(column.type, DIALECT) if limit is None else text(limit.length)


def _declared(column: Column) -> str:
    limit = limit_of(column)
    return column.type if limit is None else f"VARCHAR({limit.length})"
