"""Rules of the engines in a file: DuckDB and SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.ddl.rules.base import (
    Rule,
    Subject,
    Violation,
    base_name,
    error,
    primary_key,
    repeated,
    unique_keys,
    warning,
)
from migration.dialects.spelling import words

_OTHER = "Name a column of another type."
_SIZED = frozenset(  # DuckDB's types with parameters
    words(
        "decimal numeric dec float varchar text string char character bpchar nvarchar nchar national timestamp "
        "datetime timestamp_us struct row map enum union list array bit bitstring interval geometry variant"
    )
)
_LAKE = {"with": "WITH", "partitioned_by": "PARTITIONED BY", "sorted_by": "SORTED BY"}


def duckdb(subject: Subject) -> Iterator[Violation]:
    """Intervals and nested values are no index keys (*run* on 2.0.0)."""
    if subject.contract.name != "duckdb":
        return
    for key in unique_keys(subject.table):
        for name in key:
            column = subject.table.column(name.name)
            if column is not None and (
                subject.type_of(column).kind == "interval"
                or subject.type_of(column).is_nested
                or base_name(column) == "variant"
            ):
                yield error("key.type", name.position, f"{column.type_text} cannot be a key", _OTHER)


def duckdb_forms(subject: Subject) -> Iterator[Violation]:
    """Types without parameters, constraints without options (*run* on 2.0.1)."""
    if subject.contract.name != "duckdb":
        return
    for column in subject.table.columns:
        word, text = base_name(column), column.type_text.lower()
        sized = re.match(r"(\w+)\s*\(", text)
        zoned = word == "timestamp" and "with time zone" in text
        if sized and (zoned or (word in subject.contract.spellings and word not in _SIZED)):
            plain = text[: sized.start(1)] + re.sub(r"\s*\([^()]*\)", "", text, count=1)
            yield error(
                "type.parameter", column.type_position, f"{text} takes no parameter", f"Write {plain}."
            )
        size = re.fullmatch(r"float\s*\(\s*(\d+)\s*\)", text)
        if size and not 1 <= int(size[1]) <= 53:
            message = f"{text} is outside 1 to 53 bits"
            yield error("type.precision", column.type_position, message, "Write FLOAT or DOUBLE.")
        if word in ("enum", "list", "map", "union") and word == text:
            yield error(
                "type.parameter", column.type_position, f"{word} needs its types or members", f"{word}(…)"
            )
        if column.has("collate") and subject.type_of(column).kind not in ("text", "unknown"):
            message = f"{text} has no collation"
            yield error("type.collation", column.type_position, message, "Leave COLLATE out.")
        if (twice := repeated(subject.type_of(column).values)) is not None:
            message = f"the ENUM has {twice!r} twice"
            yield error("type.members", column.type_position, message, "Name it once.")
        if column.has("comment"):
            message = "a column has no COMMENT clause"
            yield error("clause.forbidden", column.position, message, "Use COMMENT ON COLUMN t.c IS '...'.")
    attributes = [(column.position, column.attributes) for column in subject.table.columns]
    constraints = [(each.position, each.lexemes) for each in subject.table.constraints]
    for position, lexemes in (*attributes, *constraints):
        said = " ".join(lexeme.text.lower() for lexeme in lexemes if lexeme.kind == "word")
        found = re.search(r"\b(deferrable|initially|include|on (?:delete|update) (?:cascade|set))\b", said)
        if found and not re.match(r"(check|default)\b", said):
            message = f"a constraint has no {found[1].upper()}"
            yield error("constraint.option", position, message, "Leave it out.")
    for item in subject.table.constraints:
        if item.kind == "other" and item.lexemes[0].says("like", "exclude"):
            word = item.lexemes[0].text.upper()
            yield error("constraint.forbidden", item.position, f"duckdb has no {word}", "Leave it out.")
    for clause in subject.table.clauses:
        if clause.name in _LAKE:
            message = f"{_LAKE[clause.name]} is for tables of a lake's catalog"
            yield warning("clause.catalog", clause.position, message, "Leave it out in a DuckDB file.")


def lone_row(subject: Subject) -> Iterator[Violation]:
    """AUTOINCREMENT in SQLite belongs to INTEGER PRIMARY KEY; a number has 64 bits, or is a float (*run* on 3.40)."""
    if subject.contract.name != "sqlite":
        return
    for column in subject.table.columns:
        rowid = base_name(column) == "integer" and column.has("primary", "key")
        backwards = column.has("primary", "key", "desc") or subject.table.clause("without_rowid")
        if column.has("autoincrement") and (not rowid or backwards):
            yield error(
                "identity.type",
                column.position,
                "AUTOINCREMENT needs INTEGER PRIMARY KEY",
                "INTEGER PRIMARY KEY AUTOINCREMENT",
            )
    if subject.table.path[-1].name.lower().startswith("sqlite_"):
        message = "names that begin with sqlite_ are SQLite's own"
        yield error("identifier.system", subject.table.path[-1].position, message, "Rename it.")
    for constraint in subject.table.constraints:
        if constraint.kind == "other" and constraint.lexemes[0].says("like", "exclude"):
            word = constraint.lexemes[0].text.upper()
            yield error("constraint.forbidden", constraint.position, f"sqlite has no {word}", "Leave it out.")
    for column in subject.table.columns:
        type_ = subject.type_of(column)
        whole = type_.kind == "decimal" and not type_.scale
        if (type_.precision or 0) > (18 if whole else 15) or base_name(column) in (
            "hugeint",
            "uhugeint",
            "ubigint",
        ):
            message = f"{column.type_text}: a number of more digits than a float's becomes a float"
            yield warning("type.implicit", column.type_position, message, "Use TEXT.")
    strict = subject.table.clause("strict")
    for column in subject.table.columns if strict else ():
        if column.type_text.lower() not in ("int", "integer", "real", "text", "blob", "any"):
            message = f"a STRICT table has no type {column.type_text}"
            yield error("type.strict", column.type_position, message, "Use INTEGER, REAL, TEXT, BLOB or ANY.")
    if subject.table.clause("without_rowid") and not primary_key(subject.table):
        message, fix = (
            "WITHOUT ROWID needs a PRIMARY KEY",
            "Add PRIMARY KEY (column), or leave WITHOUT ROWID out.",
        )
        yield error("key.missing", subject.table.path[-1].position, message, fix)


RULES: tuple[Rule, ...] = (duckdb, duckdb_forms, lone_row)
