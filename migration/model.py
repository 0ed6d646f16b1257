"""A table as migration sees it: frozen values with canonical types and no engine in them.

Rules:

1. Names are as the user wrote them; folding and quoting belong to the dialect that renders them.
2. A column's type is canonical. ``declared`` keeps the source's spelling, which is rendered unchanged when
   source and target speak the same dialect.
3. Default expressions are SQL of the table's own ``dialect``; rendering translates them or says that it
   cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from migration.types import CanonicalType

KeyKind = Literal["primary", "unique", "foreign", "index"]
Identity = Literal["", "always", "default"]


@dataclass(frozen=True, slots=True)
class Counting:
    """Where the numbers of an identity start, and how they go on. ``least`` and ``most`` are bounds that its type does
    not have by itself; ``cycles``: behind the last one it begins again."""

    start: int = 1
    step: int = 1
    least: int | None = None
    most: int | None = None
    cycles: bool = False


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column. ``identity`` is for generated numbers (serial, AUTO_INCREMENT, IDENTITY), ``computed`` for
    values that the table makes of its others (GENERATED ALWAYS AS) and nobody may give, ``term`` what of, where the
    catalog says it. ``charset`` is MySQL's name of the character set of its texts."""

    name: str
    type: CanonicalType
    nullable: bool = True
    default: str | None = None
    identity: Identity = ""
    comment: str | None = None
    declared: str | None = None
    computed: bool = False
    charset: str | None = None
    counting: Counting = Counting()
    term: str | None = None


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A primary key, unique key, foreign key or plain index, over named columns in order."""

    kind: KeyKind
    columns: tuple[str, ...]
    name: str | None = None
    ref_table: tuple[str, ...] = ()
    ref_columns: tuple[str, ...] = ()
    on_delete: str | None = None
    on_update: str | None = None


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index that names of columns do not say: ``text`` is what stands behind the table in its engine's CREATE INDEX,
    ``what`` why it is none of the keys (``partial``, ``expression``, the engine's name of its kind)."""

    name: str
    unique: bool
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """A sequence of no column. ``last`` is the number it gave last, None if it gave none."""

    path: tuple[str, ...]
    type: str
    start: int
    least: int
    greatest: int
    step: int
    cache: int
    cycle: bool
    last: int | None


@dataclass(frozen=True, slots=True)
class OwnConstraint:
    """A constraint that no other engine is told: ``label`` says which (``check positive``), ``text`` is its clause in
    its engine's CREATE TABLE, empty where the catalog does not say it."""

    label: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table: ``path`` is its name in parts (``("public", "users")``), ``dialect`` that of its defaults."""

    path: tuple[str, ...]
    columns: tuple[ColumnSpec, ...]
    keys: tuple[KeySpec, ...] = ()
    comment: str | None = None
    dialect: str = "duckdb"
    indexes: tuple[IndexSpec, ...] = ()
    own: tuple[OwnConstraint, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key's columns, () if there is none."""
        return next((key.columns for key in self.keys if key.kind == "primary"), ())

    def column(self, name: str) -> ColumnSpec | None:
        """The column of that exact name."""
        return next((column for column in self.columns if column.name == name), None)
