"""Defaults, checks and generated columns: what they name is there, and the engine takes such an expression.

An expression that sqlglot does not read is not judged: the engine is the one to ask, with a dry run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from migration.ddl.lexer import Lexeme, group
from migration.ddl.rules.base import Rule, Subject, Violation, error, says_null, warning
from migration.ddl.table import ColumnDefinition, Reference
from migration.dialects.clause_words import ATTRIBUTES
from migration.dialects.spelling import words
from migration.types import CanonicalType, integer_range

# Words without brackets that are no columns.
_WORDS = frozenset(
    words(
        "current_date current_time current_timestamp current_user current_role current_catalog current_schema "
        "session_user system_user user localtime localtimestamp sysdate utc_date utc_time utc_timestamp value rowid "
        "_rowid_ oid tableoid ctid xmin true false null maxvalue default"
    )
)
_NO_TOTALS = ("postgres", "greenplum", "duckdb", "mysql")
_NO_NAMES = ("postgres", "greenplum", "redshift", "duckdb")  # whose defaults name no column
_STRICT = (
    "postgres",
    "greenplum",
    "redshift",
    "mysql",
    "clickhouse",
)  # who reads a default when the table is made
_MOMENTS = ("now", "today", "yesterday", "tomorrow", "epoch", "infinity", "-infinity", "allballs")
_CONSTANTS = ("null", "true", "false", "current_time", "current_date", "current_timestamp", "+", "-")


def default_of(column: ColumnDefinition) -> tuple[Lexeme, ...]:
    """The expression behind DEFAULT, () if there is none."""
    return _behind(column, "default")


def _behind(column: ColumnDefinition, word: str) -> tuple[Lexeme, ...]:
    at = next((i for i, lexeme in enumerate(column.attributes) if lexeme.says(word)), None)
    if at is None:
        return ()
    end = start = at + 1
    while end < len(column.attributes):
        lexeme = column.attributes[end]
        if end > start and lexeme.says(*ATTRIBUTES):
            break
        end = group(column.attributes, end) if lexeme.says("(", "[") else end + 1
    return column.attributes[start:end]


def _bracketed(lexemes: Sequence[Lexeme], word: str) -> Iterator[tuple[Lexeme, ...]]:
    """What stands in the brackets behind each ``word``."""
    for index, lexeme in enumerate(lexemes):
        if lexeme.says(word) and index + 1 < len(lexemes) and lexemes[index + 1].says("("):
            yield tuple(lexemes[index + 2 : group(lexemes, index + 1) - 1])


def _tree(subject: Subject, lexemes: Sequence[Lexeme]) -> exp.Expr | None:
    if not lexemes:
        return None
    text = subject.text[lexemes[0].start : lexemes[-1].end]
    try:
        return sqlglot.parse_one(text, read=subject.contract.sqlglot or None)
    except (SqlglotError, IndexError, AttributeError, TypeError, ValueError, RecursionError):
        return None


def _names(subject: Subject, lexemes: Sequence[Lexeme]) -> Iterator[Reference]:
    """The columns an expression names."""
    tree = _tree(subject, lexemes)
    if tree is None or isinstance(tree, exp.Command):
        return
    table = subject.table.path[-1].name.lower()
    for node in tree.find_all(exp.Column):
        parts = [part for part in node.parts if isinstance(part, exp.Identifier)]
        if len(parts) > 1 and parts[0].name.lower() == table:
            parts = parts[1:]
        if not parts or node.find_ancestor(exp.Lambda, exp.Query) is not None:
            continue
        quoted = bool(parts[0].args.get("quoted"))
        if not quoted and parts[0].name.lower() in _WORDS:
            continue
        start = parts[0].meta.get("start")
        position = lexemes[0].start + (start if isinstance(start, int) else 0) + 1
        yield Reference(parts[0].name, position, quoted)


def _unknown(subject: Subject, lexemes: Sequence[Lexeme], where: str) -> Iterator[Violation]:
    table = subject.table
    if not table.columns or table.borrows or table.has_query:
        return
    for name in _names(subject, lexemes):
        if name.quoted and subject.contract.name == "sqlite":
            continue  # a text there, if no column has the name
        column = table.column(name.name)
        if column is None:
            there = ", ".join(column.name for column in table.columns)
            message = f'{where}: column "{name.name}" does not exist'
            yield error("column.unknown", name.position, message, f"The columns are {there}.")
        elif subject.differs(name, column):
            message = f'{where}: column "{name.name}" differs from "{column.name}" in letter case'
            yield error("column.unknown", name.position, message, f"Write {subject.written(column)}.")


def _queries(subject: Subject, lexemes: Sequence[Lexeme], where: str) -> Iterator[Violation]:
    asked = next((lexeme for lexeme in lexemes if lexeme.says("select")), None)
    if asked is not None:
        yield error("expression.query", asked.start + 1, f"{where} holds no query", "Write an expression.")
    tree = _tree(subject, lexemes) if subject.contract.name in _NO_TOTALS else None
    total = tree.find(exp.Sum, exp.Count, exp.Avg) if tree is not None else None
    if asked is None and total is not None and total.find_ancestor(exp.Lambda, exp.Window) is None:
        message = f"{where} holds no {total.sql().partition('(')[0].lower()}()"
        yield error("expression.total", lexemes[0].start + 1, message, "Write an expression of one row.")


def checks(subject: Subject) -> Iterator[Violation]:
    """A CHECK names columns of the table and asks no query."""
    found: list[tuple[Lexeme, ...]] = []
    for constraint in subject.table.constraints:
        if constraint.kind == "check":
            found += _bracketed(constraint.lexemes, "check")
            if subject.contract.name == "clickhouse":  # which needs no brackets
                found.append(constraint.lexemes[1:])
    for column in subject.table.columns:
        found += _bracketed(column.attributes, "check")
    for lexemes in found:
        asked = list(_queries(subject, lexemes, "a CHECK"))
        yield from asked or _unknown(subject, lexemes, "CHECK")


def generated(subject: Subject) -> Iterator[Violation]:
    """A generated column is made of columns of the table, and not all columns are."""
    made = 0
    for column in subject.table.columns:
        found = list(_bracketed(column.attributes, "as"))
        if subject.contract.name == "clickhouse":
            found += [_behind(column, word) for word in ("materialized", "alias") if column.has(word)]
        made += bool(found)
        name = subject.contract.name
        for lexemes in found:
            asked = list(_queries(subject, lexemes, "a generated column"))
            yield from asked or _unknown(subject, lexemes, "a generated column")
            if name in ("postgres", "greenplum"):
                yield from _generated_too(subject, lexemes)
        if found and column.has("default") and name != "clickhouse":
            message = "a generated column has no DEFAULT"
            yield error("generated.default", column.position, message, "Leave the DEFAULT out.")
        if found and name == "duckdb" and column.has("stored"):
            yield error(
                "generated.form", column.position, "no generated column is STORED", "Leave STORED out."
            )
        stored = column.has("stored") or (subject.since("18") and name == "postgres")
        if found and name in ("postgres", "greenplum") and not stored:
            yield error("generated.form", column.position, "a generated column must be STORED", "Add STORED.")
    whole = made and made == len(subject.table.columns) and subject.contract.name in ("duckdb", "sqlite")
    if whole:
        position = subject.table.columns[0].position
        yield error("generated.all", position, "all columns are generated", "Add a column that is not.")


def _generated_too(subject: Subject, lexemes: Sequence[Lexeme]) -> Iterator[Violation]:
    for name in _names(subject, lexemes):
        column = subject.table.column(name.name)
        if column is not None and any(_bracketed(column.attributes, "as")):
            message = f'"{column.name}" is generated itself'
            yield error("generated.chain", name.position, message, "Repeat its expression here.")


def defaults(subject: Subject) -> Iterator[Violation]:
    """A DEFAULT is one, an expression that may be one, and a value of the column's type."""
    name = subject.contract.name
    for column in subject.table.columns:
        given = default_of(column)
        if not given:
            continue
        times = sum(lexeme.says("default") for lexeme in _outside(column.attributes))
        serial = name in ("postgres", "greenplum") and "serial" in column.type_text.lower()
        if name in ("postgres", "greenplum") and column.has("identity") and not column.has("by", "default"):
            yield error("default.second", column.position, "DEFAULT and IDENTITY", "Leave one of them out.")
        if times + serial > 1:
            make = warning if name in ("mysql", "sqlite") and not serial else error
            yield make("default.second", column.position, "more than one DEFAULT", "Leave the others out.")
        asked = list(_queries(subject, given, "a DEFAULT"))
        if asked:
            yield from asked
            continue
        if name in _NO_NAMES:
            for named in _names(subject, given):
                fix = f"Write '{named.name}' if a text is meant." if named.quoted else "Write a value."
                yield error("default.column", named.position, "a DEFAULT names no column", fix)
        elif name in ("mysql", "clickhouse"):
            yield from _unknown(subject, given, "DEFAULT")
        elif name == "sqlite":
            for named in _names(subject, given) if given[0].says("(") else ():
                if not named.quoted:
                    message = "a DEFAULT names no column"
                    yield error("default.column", named.position, message, "Write a value.")
            yield from _constant(given)
        lenient = name == "clickhouse" and ("nullable" in column.type_text.lower() or says_null(column))
        if name in _STRICT and not lenient:  # what it does not read is NULL there
            yield from _value(subject, column, given)


def _outside(lexemes: Sequence[Lexeme]) -> Iterator[Lexeme]:
    at = 0
    while at < len(lexemes):
        if lexemes[at].says("("):
            at = group(lexemes, at)
            continue
        yield lexemes[at]
        at += 1


def _constant(given: tuple[Lexeme, ...]) -> Iterator[Violation]:
    """SQLite: a literal, a signed number, or an expression in brackets; a bare word is a text."""
    first, rest = given[0], given[1:]
    if first.says("(") or (first.says("+", "-") and len(rest) == 1):
        return
    if rest:
        yield error("default.form", first.start + 1, "such a DEFAULT stands in brackets", "DEFAULT (…)")
    elif first.kind == "word" and not first.says(*_CONSTANTS):
        message = f"a bare word as a DEFAULT is the text '{first.text}'"
        yield warning("default.column", first.start + 1, message, f"Write '{first.text}'.")


def _value(subject: Subject, column: ColumnDefinition, given: tuple[Lexeme, ...]) -> Iterator[Violation]:
    """A literal that the type does not read."""
    sign = "-" if given[0].says("-") else ""
    literal = given[-1]
    if len(given) > 2 or (len(given) == 2 and not given[0].says("+", "-")):
        return
    if literal.says("null") and column.has("not", "null") and subject.contract.name == "mysql":
        yield error("default.value", literal.start + 1, "NOT NULL and DEFAULT NULL", "Leave one of them out.")
    type_ = subject.type_of(column)
    exact = subject.contract.name in ("postgres", "greenplum")
    if exact and (
        type_.is_integer
        if literal.says("true", "false")
        else literal.kind == "number" and type_.kind == "bool"
    ):
        message = f"{column.type_text} and the default {literal.text} are of different types"
        yield error("default.value", literal.start + 1, message, "Write a value of the column's type.")
    if literal.kind not in ("string", "number"):
        return
    if (
        exact
        and literal.kind == "string"
        and type_.is_integer
        and re.fullmatch(r"\d+\.\d*", literal.text.strip())
    ):
        message = f"{column.type_text} does not read the default {literal.text!r}"
        yield error("default.value", literal.start + 1, message, "Write a whole number.")
        return
    text = sign + literal.text
    if not _reads(text, type_, subject.contract.name):
        message = f"{column.type_text} does not read the default {text!r}"
        yield error("default.value", literal.start + 1, message, "Write a value of the column's type.")


def _reads(text: str, type_: CanonicalType, dialect: str) -> bool:
    exact = dialect in ("postgres", "greenplum")
    if type_.kind == "uuid" and dialect in ("postgres", "greenplum", "clickhouse"):
        return re.fullmatch(r"\s*\{?(?:[0-9a-fA-F]{4}-?){8}\}?\s*", text) is not None
    if type_.kind == "json" and exact:
        return _is_json(text)
    if type_.is_integer:
        try:
            number = float(text)
            whole = int(text) if text.lstrip("+-").isdigit() else int(number)
        except (ValueError, OverflowError):
            return text[:2].lower() == "0x"
        least, most = integer_range(type_.kind)
        return dialect == "clickhouse" or least <= whole <= most
    if type_.kind in ("decimal", "float32", "float64"):
        try:
            float(text)
        except ValueError:
            return text[:2].lower() == "0x"
        return True
    if type_.kind in ("date", "timestamp", "instant"):
        return text.strip().lower() in _MOMENTS or any(character.isdigit() for character in text)
    if dialect == "mysql" and type_.kind == "text" and type_.length is not None and type_.unit == "chars":
        return len(text.rstrip(" ")) <= type_.length
    if dialect == "mysql" and type_.kind == "enum" and type_.values:
        return any(text.lower() == member.lower() for member in type_.values)
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


RULES: tuple[Rule, ...] = (checks, generated, defaults)
