"""What a statement that changes the catalog asks for: frozen values, no engine, no Postgres grammar.

``Connection.execute`` takes either a sqlglot tree (queries, DML, CREATE TABLE with or without AS) or one
of the values here. Rules:

1. Names are logical (``public.flights``); ``schema`` is None where the user wrote none.
2. Expressions and types inside are sqlglot trees in the ``duckdb`` dialect, types are already the
   engine's; ``declared`` keeps the Postgres spelling where the engine forgets it
   (``character varying(10)``, ``jsonb``).
3. A statement that Postgres treats as one is one value here: all its actions happen or none does.
4. CREATE TABLE stays a tree, an ``exp.Create`` of kind TABLE. Each of its ``exp.ColumnDef`` carries in
   ``meta``: ``declared`` (str) and, for serial and identity columns, ``identity`` (``'a'``, ``'d'`` or
   ``'serial'``) and ``sequence`` (a ``SequenceOptions``); such a column also has a NOT NULL constraint
   and no default. ``AddColumn.column`` is a ``ColumnDef`` of the same making.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Name:
    """A possibly qualified name as the user wrote it. ``catalog`` is a branch (``branch.schema.table``)."""

    name: str
    schema: str | None = None
    catalog: str | None = None

    def __str__(self) -> str:
        return ".".join(part for part in (self.catalog, self.schema, self.name) if part is not None)


ObjectKind = Literal[
    "table", "view", "materialized view", "index", "sequence", "schema", "macro", "macro table", "type"
]


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    """What CREATE/ALTER SEQUENCE or an identity column said; None where it said nothing."""

    type: str | None = None  # SMALLINT, INTEGER or BIGINT
    start: int | None = None
    increment: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    no_minimum: bool = False
    no_maximum: bool = False
    cycle: bool | None = None
    cache: int | None = None
    restart: bool = False  # ALTER SEQUENCE … RESTART [WITH n]
    restart_with: int | None = None
    owned_by: tuple[Name, str] | None = None  # (table, column)
    owned_by_none: bool = False


# -- ALTER TABLE actions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddColumn:
    column: exp.ColumnDef
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropColumn:
    column: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class RenameColumn:
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class RenameTable:
    """ALTER TABLE / VIEW / INDEX / SEQUENCE … RENAME TO: the new name has no schema."""

    to: str


@dataclass(frozen=True, slots=True)
class RenameConstraint:
    constraint: str
    to: str


@dataclass(frozen=True, slots=True)
class AlterType:
    column: str
    type: exp.DataType
    declared: str | None = None
    using: exp.Expr | None = None


@dataclass(frozen=True, slots=True)
class SetDefault:
    column: str
    default: exp.Expr


@dataclass(frozen=True, slots=True)
class DropDefault:
    column: str


@dataclass(frozen=True, slots=True)
class SetNotNull:
    column: str


@dataclass(frozen=True, slots=True)
class DropNotNull:
    column: str


@dataclass(frozen=True, slots=True)
class AddIdentity:
    column: str
    identity: Literal["a", "d"]
    options: SequenceOptions = SequenceOptions()


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """``identity`` is None where only the sequence is changed."""

    column: str
    identity: Literal["a", "d"] | None = None
    options: SequenceOptions = SequenceOptions()


@dataclass(frozen=True, slots=True)
class DropIdentity:
    column: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ConstraintDefinition:
    """A table constraint: the fields of ``model.Constraint``, the expression still a tree."""

    kind: Literal["p", "u", "c", "f"]
    name: str | None = None
    columns: tuple[str, ...] = ()
    expression: exp.Expr | None = None
    references: Name | None = None
    ref_columns: tuple[str, ...] = ()  # empty: the referenced table's primary key
    on_delete: Literal["a", "r", "c", "n", "d"] = "a"
    on_update: Literal["a", "r", "c", "n", "d"] = "a"
    not_valid: bool = False
    deferrable: Literal["", "i", "d"] = ""


@dataclass(frozen=True, slots=True)
class AddConstraint:
    constraint: ConstraintDefinition


@dataclass(frozen=True, slots=True)
class DropConstraint:
    constraint: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class ValidateConstraint:
    constraint: str


@dataclass(frozen=True, slots=True)
class SetSchema:
    schema: str


Action = (
    AddColumn
    | DropColumn
    | RenameColumn
    | RenameTable
    | RenameConstraint
    | AlterType
    | SetDefault
    | DropDefault
    | SetNotNull
    | DropNotNull
    | AddIdentity
    | SetIdentity
    | DropIdentity
    | AddConstraint
    | DropConstraint
    | ValidateConstraint
    | SetSchema
)


# -- statements ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE; also ALTER VIEW / INDEX / SEQUENCE where only the name, schema or a default changes."""

    name: Name
    actions: tuple[
        Action, ...
    ]  # empty: a change Bough accepts and has no use for (OWNER TO, SET (fillfactor…))
    if_exists: bool = False
    kind: Literal["table", "view", "index", "sequence"] = "table"


@dataclass(frozen=True, slots=True)
class Drop:
    kind: ObjectKind
    names: tuple[Name, ...]  # of schemas: Name(name=…)
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    name: Name
    query: exp.Query
    columns: tuple[str, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class CreateIndex:
    name: str | None  # None: named as Postgres would (table_column_idx)
    table: Name
    columns: tuple[str | exp.Expr, ...]  # column names, or expressions
    unique: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateSequence:
    name: Name
    options: SequenceOptions = SequenceOptions()
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class AlterSequence:
    name: Name
    options: SequenceOptions
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    name: str
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameSchema:
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class CreateMacro:
    """DuckDB's CREATE MACRO / FUNCTION … AS: ``body`` is an expression, or a query where ``is_table``."""

    name: Name
    parameters: tuple[str, ...]
    body: exp.Expr
    is_table: bool = False
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CommentOn:
    """COMMENT ON kind name IS 'text' (None removes it). ``column`` is set for kind ``column`` only."""

    kind: Literal["table", "view", "column", "index", "sequence", "schema", "macro", "constraint", "database"]
    name: Name
    text: str | None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[Name, ...]
    restart_identity: bool = False
    cascade: bool = False


Ddl = (
    AlterTable
    | Drop
    | CreateView
    | CreateIndex
    | CreateSequence
    | AlterSequence
    | CreateSchema
    | RenameSchema
    | CreateMacro
    | CommentOn
    | Truncate
)
