"""A CREATE TABLE as it was read: columns, constraints and clauses of any dialect, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from migration.ddl.lexer import Lexeme, find_words


@dataclass(frozen=True, slots=True)
class Reference:
    """A column named in a key or clause; ``prefix`` is MySQL's prefix length."""

    name: str
    position: int
    quoted: bool = False
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """One column as written. ``attributes`` are the lexemes after the type."""

    name: str
    position: int
    quoted: bool
    type_text: str
    type_position: int
    attributes: tuple[Lexeme, ...] = ()

    def has(self, *words: str) -> bool:
        """True if the (lower-case) words follow each other among the attributes, outside parentheses."""
        return find_words(self.attributes, words) is not None


@dataclass(frozen=True, slots=True)
class ConstraintDefinition:
    """A constraint or index in the element list."""

    kind: Literal["primary", "unique", "foreign", "check", "index", "fulltext", "other"]
    position: int
    columns: tuple[Reference, ...] = ()
    lexemes: tuple[Lexeme, ...] = ()
    name: Reference | None = None


@dataclass(frozen=True, slots=True)
class TableClause:
    """A clause after the element list, by its canonical name (``distributed_by``)."""

    name: str
    position: int
    lexemes: tuple[Lexeme, ...]  # without the words that start it
    spelled: str

    def has(self, *words: str) -> bool:
        """True if the (lower-case) words follow each other in it, outside parentheses."""
        return find_words(self.lexemes, words) is not None


@dataclass(frozen=True, slots=True)
class TableStatement:
    """A CREATE TABLE."""

    path: tuple[Reference, ...]
    columns: tuple[ColumnDefinition, ...]
    constraints: tuple[ConstraintDefinition, ...]
    clauses: tuple[TableClause, ...]
    has_query: bool = False
    stray: tuple[Lexeme, ...] = field(default=())
    copies: bool = False  # LIKE or PARTITION OF another table, whose columns it has, and no list
    listed: bool = False  # whether there is a list of columns, an empty one perhaps
    modifiers: tuple[Lexeme, ...] = ()  # the words between CREATE and TABLE

    @property
    def borrows(self) -> bool:
        """Whether it has columns of another table, which are not known here: LIKE, INHERITS, PARTITION OF."""
        return (
            self.copies
            or self.clause("inherits") is not None
            or any(item.lexemes[:1] and item.lexemes[0].says("like") for item in self.constraints)
        )

    def clause(self, *names: str) -> TableClause | None:
        """The first clause of one of those names."""
        return next((clause for clause in self.clauses if clause.name in names), None)

    def column(self, name: str) -> ColumnDefinition | None:
        """The column of that name, letter case aside."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)
