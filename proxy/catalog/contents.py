"""What a branch's catalog contains, in Postgres' terms: OIDs, names, keys, columns. No rows yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import sqlglot
from sqlglot import exp

from branching.model import Catalog, Column, Constraint, Index, Table, View
from branching.model import Sequence as Counter
from proxy.catalog import oids
from proxy.catalog.shapes import shipped_rows
from proxy.catalog.typenames import PgType, column_type, system_types


@dataclass(frozen=True, slots=True)
class Key:
    """An index as pg_index sees it: one the user made, or one behind a constraint."""

    oid: int
    name: str
    table: Table
    columns: tuple[str, ...]
    unique: bool
    constraint: Constraint | None = None
    comment: str | None = None

    @property
    def index(self) -> Index:
        return Index(0, self.name, self.columns, self.unique)


class Objects:
    """The objects of one catalog, with their OIDs."""

    def __init__(self, catalog: Catalog, extra: tuple[View, ...] = ()) -> None:
        self.catalog = catalog
        self.tables = list(catalog.tables())
        self.views: list[View] = [*catalog.views(), *extra]
        self.sequences = list(catalog.sequences())
        self.extra = extra

    @cached_property
    def schemas(self) -> dict[str, int]:
        """OID of every schema by name."""
        static = shipped_rows("pg_catalog.pg_namespace").to_pylist()
        found = {row["nspname"]: row["oid"] for row in static}
        for name, schema in self.catalog.schemas.items():
            found.setdefault(name, oids.object_oid(schema.id))
        for missing in {item.schema for item in self.relations} - set(found):
            found[missing] = oids.constraint_oid(0, len(found) % 255)
        return found

    @cached_property
    def by_name(self) -> dict[tuple[str, str], int]:
        """OID of every relation, the system's too, by (schema, name)."""
        names = {oid: name for name, oid in self.schemas.items()}
        found = {
            (names[space], name): oid
            for oid, name, space in zip(
                *(
                    shipped_rows("pg_catalog.pg_class").column(c).to_pylist()
                    for c in ("oid", "relname", "relnamespace")
                ),
                strict=True,
            )
            if space in names
        }
        found |= {(item.schema, item.name): oids.object_oid(item.id) for item in self.readable}
        found |= {(item.schema, item.name): oids.object_oid(item.id) for item in self.sequences}
        found |= {(key.table.schema, key.name): key.oid for key in self.keys}
        return found

    @cached_property
    def keys(self) -> list[Key]:
        found = []
        for table in self.tables:
            for position, constraint in enumerate(table.constraints):
                if constraint.kind in "pu":
                    oid = oids.constraint_index_oid(table.id, position)
                    found.append(Key(oid, constraint.name, table, constraint.columns, True, constraint))
            for index in table.indexes:
                found.append(
                    Key(
                        oids.object_oid(index.id),
                        index.name,
                        table,
                        index.columns,
                        index.unique,
                        comment=index.comment,
                    )
                )
        return found

    @cached_property
    def referenced(self) -> set[tuple[str, str]]:
        """Tables some foreign key points at: Postgres keeps triggers on those."""
        return {
            (constraint.ref_schema or table.schema, constraint.ref_table or "")
            for table in self.tables
            for constraint in table.constraints
            if constraint.kind == "f"
        }

    @cached_property
    def readable(self) -> list[Table | View]:
        """Relations with rows a query can read."""
        return [*self.tables, *self.views]

    @property
    def relations(self) -> list[Table | View | Counter]:
        """Everything that has a name among relations, indexes apart."""
        return [*self.readable, *self.sequences]

    def constraints(self) -> Iterator[tuple[int, Table, Constraint]]:
        """(OID, table, constraint) of every constraint."""
        for table in self.tables:
            for position, constraint in enumerate(table.constraints):
                yield oids.constraint_oid(table.id, position), table, constraint

    def attributes(self) -> Iterator[tuple[int, int, str, PgType, Column | None]]:
        """(relation OID, attnum, name, type, model column) of every column of every relation."""
        for item in self.readable:
            oid = oids.object_oid(item.id)
            for number, column in enumerate(item.columns, 1):
                yield oid, number, column.name, column_type(column.type, column.declared), column
        int8, boolean, text = system_types()["int8"], system_types()["bool"], system_types()["text"]
        for sequence in self.sequences:
            oid = oids.object_oid(sequence.id)
            for number, (name, kind) in enumerate(
                (("last_value", int8), ("log_cnt", int8), ("is_called", boolean)), 1
            ):
                yield oid, number, name, kind, None
        for key in self.keys:
            for number, name in enumerate(key.columns, 1):
                found = key.table.column(name)
                kind = column_type(found.type, found.declared) if found else text
                yield key.oid, number, found.name if found else "expr", kind, None

    @cached_property
    def opclasses(self) -> dict[str, int]:
        rows = shipped_rows("pg_catalog.pg_opclass").to_pylist()
        return {row["opcname"]: row["oid"] for row in rows if row["opcmethod"] == 403}


def numbers(table: Table, names: tuple[str, ...]) -> list[int]:
    """Attribute numbers of the columns; 0 stands for an expression."""
    places = {column.name.lower(): number for number, column in enumerate(table.columns, 1)}
    return [places.get(name.lower(), 0) for name in names]


def expression_columns(expression: str | None, table: Table) -> tuple[str, ...]:
    """The table's columns that an expression (a CHECK) names."""
    if expression is None:
        return ()
    try:
        tree = sqlglot.parse_one(expression, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return ()
    seen = dict.fromkeys(column.name for column in tree.find_all(exp.Column) if table.column(column.name))
    return tuple(seen)
