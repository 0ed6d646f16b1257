"""What every rule takes and gives, and the questions many rules ask of a table.

A rule is a plain function from a ``Subject`` to violations. It never raises and never looks at text:
everything
it needs is in the statement the reader made. One family of rules per file; ``RULES`` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from migration.ddl.lexer import Lexeme, group
from migration.ddl.reader import listed_columns
from migration.ddl.table import ColumnDefinition, Reference, TableClause, TableStatement
from migration.dialects.base import DialectContract, at_least
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.types import CanonicalType, unknown

KEY_MODELS = ("duplicate_key", "primary_key", "unique_key", "aggregate_key")


@dataclass(frozen=True, slots=True)
class Violation:
    """One finding. ``position`` is the 1-based character, 0 where none; an ``error`` is refused by the
    engine."""

    id: str
    severity: Literal["error", "warning"]
    position: int
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A statement with the contract and version it is judged by."""

    table: TableStatement
    contract: DialectContract
    version: str | None
    target: str | None
    text: str

    def since(self, version: str) -> bool:
        """True if the target is that version or newer (or not stated)."""
        return at_least(self.version, version)

    @property
    def mariadb(self) -> bool:
        """True if the target is a MariaDB, whose versions begin where MySQL's are not yet."""
        return is_mariadb(self.contract, self.version)

    @property
    def external(self) -> bool:
        """True of a table whose rows lie elsewhere, where that has clauses of its own."""
        elsewhere = self.contract.name in ("redshift", "greenplum", "snowflake", "bigquery")
        return elsewhere and any(word.says("external", "foreign") for word in self.table.modifiers)

    def key_of(self, name: Reference | ColumnDefinition) -> str:
        """What two names have in common that are the same to the engine."""
        rules = self.contract.identifiers
        if self.contract.name in ("postgres", "greenplum", "snowflake"):
            return name.name if name.quoted else rules.folded(name.name)
        return name.name if rules.case_sensitive else name.name.lower()

    def differs(self, name: Reference, column: ColumnDefinition) -> bool:
        """True if ``name`` is another than every column's, though letter case aside it is ``column``'s."""
        wanted = self.key_of(name)
        return wanted != self.key_of(column) and all(
            wanted != self.key_of(each) for each in self.table.columns
        )

    def written(self, column: ColumnDefinition) -> str:
        """The column's name as it is to be written."""
        return self.contract.identifiers.quoted(column.name) if column.quoted else column.name

    def type_of(self, column: ColumnDefinition) -> CanonicalType:
        """The column's canonical type, ``unknown`` if it cannot be read."""
        try:
            return parse_type(column.type_text, self.contract.name)
        except MigrationError:
            return unknown(column.type_text)


Rule = Callable[[Subject], Iterator[Violation]]


def is_mariadb(contract: DialectContract, version: str | None) -> bool:
    """True of a version that only MariaDB has: they begin where MySQL's are not yet."""
    return contract.name == "mysql" and version is not None and at_least(version, "10")


def error(id_: str, position: int, message: str, fix: str) -> Violation:
    """A violation the engine would refuse."""
    return Violation(id_, "error", position, message, fix)


def warning(id_: str, position: int, message: str, fix: str) -> Violation:
    """A violation the engine would let pass."""
    return Violation(id_, "warning", position, message, fix)


def base_name(column: ColumnDefinition) -> str:
    """The type's first word, lower case, without parameters."""
    return (
        column.type_text.lower().replace("(", " ").replace("<", " ").split(" ")[0] if column.type_text else ""
    )


def repeated(values: Iterable[str]) -> str | None:
    """The first value that has been there before, None if each is there once."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def is_required(column: ColumnDefinition) -> bool:
    """True if the column says NOT NULL or is a primary key by itself."""
    return column.has("not", "null") or column.has("primary", "key")


def clause_columns(clause: TableClause) -> tuple[Reference, ...]:
    """The columns in a clause's first parenthesised list, or the bare name after it."""
    for index, lexeme in enumerate(clause.lexemes):
        if lexeme.says("("):
            return listed_columns(clause.lexemes[index + 1 : group(clause.lexemes, index) - 1])
    return listed_columns(clause.lexemes)


def expression_names(lexemes: tuple[Lexeme, ...]) -> tuple[Reference, ...]:
    """Names in an expression that are neither functions nor qualified nor words of its grammar."""
    found = []
    for index, lexeme in enumerate(lexemes):
        following = lexemes[index + 1] if index + 1 < len(lexemes) else None
        before = lexemes[index - 1] if index else None
        if not lexeme.is_name or (following is not None and following.says("(", ".")):
            continue
        if before is not None and before.says(".", "::", "collate"):
            continue
        if before is not None and (before.is_name or before.says(")")) and not before.says(*_GRAMMAR):
            continue  # behind an expression: an operator class
        if lexeme.kind == "word" and lexeme.text.lower() in _GRAMMAR:
            continue
        found.append(Reference(lexeme.text, lexeme.start + 1, lexeme.kind == "quoted"))
    return tuple(found)


def says_null(column: ColumnDefinition) -> bool:
    """True if the column says NULL: not as a part of NOT NULL, DEFAULT NULL or SET NULL."""
    before = zip((None, *column.attributes), column.attributes, strict=False)
    nulls = [b for b, lexeme in before if lexeme.says("null")]
    return any(b is None or not b.says("not", "default", "set") for b in nulls)


def primary_key(table: TableStatement) -> tuple[Reference, ...]:
    """The primary key's columns, wherever it is written."""
    for constraint in table.constraints:
        if constraint.kind == "primary":
            return constraint.columns
    for column in table.columns:
        if column.has("primary", "key"):
            return (Reference(column.name, column.position, column.quoted),)
    clause = table.clause("primary_key")
    return clause_columns(clause) if clause else ()


def unique_keys(table: TableStatement) -> list[tuple[Reference, ...]]:
    """Primary and unique keys."""
    keys = [
        constraint.columns for constraint in table.constraints if constraint.kind in ("primary", "unique")
    ]
    keys += [
        (Reference(column.name, column.position, column.quoted),)
        for column in table.columns
        if column.has("primary", "key") or column.has("unique")
    ]
    return keys


_GRAMMAR = frozenset(
    (
        "asc",
        "desc",
        "nulls",
        "first",
        "last",
        "hash",
        "random",
        "randomly",
        "replicated",
        "range",
        "list",
        "by",
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "interval",
        "null",
        "true",
        "false",
        "and",
        "or",
        "not",
        "in",
        "is",
        "between",
        "collate",
        "linear",
        "key",
        "columns",
        "auto",
        "date",
        "as",
        "case",
        "when",
        "then",
        "else",
        "end",
    )
)
