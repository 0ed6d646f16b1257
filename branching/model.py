"""The logical catalog of a branch: frozen values, no engine in them.

Rules:

1. Names here are logical: what the user wrote. The default schema is ``public``. Where a table's rows
   physically live is recorded beside the definition and means something only to the engine.
2. Everything is immutable. A change of the catalog makes a new ``Catalog`` that shares what did not change,
   so a fork keeps its parent's catalog by keeping a reference.
3. Tables and columns have ids that survive renames; diff and merge compare by id, never by name.
4. Column types are spelled as the engine spells them (``DECIMAL(18,4)``, ``VARCHAR``, ``INTEGER[]``);
   ``declared`` keeps what the user said where the engine forgets it (``character varying(10)``, ``jsonb``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeVar

DEFAULT_SCHEMA = "public"


@dataclass(frozen=True, slots=True)
class Column:
    id: int
    name: str
    type: str
    not_null: bool = False
    default: str | None = None  # an expression in the engine's dialect
    generated: str | None = None  # GENERATED ALWAYS AS (…) expression
    identity: Literal["", "a", "d"] = ""  # GENERATED ALWAYS / BY DEFAULT AS IDENTITY
    declared: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    name: str
    kind: Literal["p", "u", "c", "f"]  # primary key, unique, check, foreign key
    columns: tuple[str, ...] = ()
    expression: str | None = None  # of a CHECK
    ref_schema: str | None = None
    ref_table: str | None = None
    ref_columns: tuple[str, ...] = ()
    on_delete: Literal["a", "r", "c", "n", "d"] = "a"  # as pg_constraint.confdeltype
    on_update: Literal["a", "r", "c", "n", "d"] = "a"
    comment: str | None = None
    # A foreign key that may wait for COMMIT: initially immediate, or deferred.
    deferrable: Literal["", "i", "d"] = ""


@dataclass(frozen=True, slots=True)
class Index:
    id: int
    name: str
    columns: tuple[str, ...]  # column names or expressions
    unique: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a table's rows are. Names numbers only; the engine turns them into tables.

    ``base`` is the table below this one: the trunk's, or a branch's own copy (None for a table born on a branch);
    ``shape`` names the delta tables of branches that see the table with exactly these columns; ``below`` gives, for
    columns that are not simply a column of the base, their expression over the base's columns, which it calls
    ``c<column id>``; ``recipes`` are such expressions that a copy has worked out, by column id, for merges.
    """

    base: int | None
    shape: int
    below: tuple[tuple[str, str], ...] = ()
    recipes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None
    storage: Storage = Storage(None, 0)

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row for a user: the primary key, else a unique key of NOT NULL columns, else ()."""
        required = {column.name for column in self.columns if column.not_null}
        for constraint in self.constraints:
            if constraint.kind == "p":
                return constraint.columns
        for constraint in self.constraints:
            if constraint.kind == "u" and required.issuperset(constraint.columns):
                return constraint.columns
        return ()

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns that hold a value: all but generated ones."""
        return tuple(column.name for column in self.columns if column.generated is None)

    def column(self, name: str) -> Column | None:
        """The column called ``name`` (exact, then ignoring case), or None."""
        for column in self.columns:
            if column.name == name:
                return column
        folded = name.lower()
        for column in self.columns:
            if column.name.lower() == folded:
                return column
        return None


@dataclass(frozen=True, slots=True)
class View:
    id: int
    schema: str
    name: str
    sql: str  # the SELECT, in the engine's dialect, with logical schema-qualified names
    columns: tuple[Column, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    id: int
    schema: str
    name: str
    physical: str  # one global counter for all branches: ids never collide
    type: str = "BIGINT"
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cycle: bool = False
    owned_by: tuple[int, int] | None = None  # (table id, column id) of a serial or identity column
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Macro:
    id: int
    schema: str
    name: str
    parameters: tuple[str, ...]
    body: str
    is_table: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    id: int
    name: str
    comment: str | None = None


Relation = Table | View | Sequence
Object = Table | View | Sequence | Macro | Schema
_V = TypeVar("_V")


def _frozen(mapping: dict[str, _V]) -> Mapping[str, _V]:
    return MappingProxyType(mapping)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All objects of one branch at one instant, by (schema, name). Immutable and shared between branches."""

    schemas: Mapping[str, Schema] = field(default_factory=lambda: _frozen({}))
    relations: Mapping[tuple[str, str], Relation] = field(default_factory=lambda: MappingProxyType({}))
    macros: Mapping[tuple[str, str], Macro] = field(default_factory=lambda: MappingProxyType({}))

    def find(self, schema: str, name: str) -> Relation | None:
        return self.relations.get((schema, name))

    def tables(self) -> Iterator[Table]:
        return (relation for relation in self.relations.values() if isinstance(relation, Table))

    def views(self) -> Iterator[View]:
        return (relation for relation in self.relations.values() if isinstance(relation, View))

    def sequences(self) -> Iterator[Sequence]:
        return (relation for relation in self.relations.values() if isinstance(relation, Sequence))

    def with_object(self, item: Object) -> Catalog:
        """This catalog with ``item`` added, or put in place of the one of the same name."""
        if isinstance(item, Schema):
            return replace(self, schemas=MappingProxyType({**self.schemas, item.name: item}))
        if isinstance(item, Macro):
            return replace(self, macros=MappingProxyType({**self.macros, (item.schema, item.name): item}))
        return replace(self, relations=MappingProxyType({**self.relations, (item.schema, item.name): item}))

    def without(self, item: Object) -> Catalog:
        """This catalog without ``item`` (matched by kind and name)."""
        if isinstance(item, Schema):
            return replace(
                self, schemas=MappingProxyType({k: v for k, v in self.schemas.items() if k != item.name})
            )
        key = (item.schema, item.name)
        if isinstance(item, Macro):
            return replace(self, macros=MappingProxyType({k: v for k, v in self.macros.items() if k != key}))
        return replace(
            self, relations=MappingProxyType({k: v for k, v in self.relations.items() if k != key})
        )
