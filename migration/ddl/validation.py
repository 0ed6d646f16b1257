"""Judges a CREATE TABLE for a dialect and version, without a connection.

Rules:

1. The statement is read into a structure first (``migration.ddl.reader``); no rule searches its text, so a
   word in a
   comment, a literal or a quoted name is never taken for a clause.
2. A violation says where, what and how to mend it. ``error`` means the engine refuses it, or accepts it
   and means
   something else than it says; ``warning`` means it works and may surprise.
3. After the CREATE TABLE only what belongs to it may follow: COMMENT ON and CREATE INDEX, as rendering
   makes them.
4. No statement but CREATE TABLE passes. A dry run on the engine is the caller's next step, not ours.

>>> [violation.id for violation in validate("DROP TABLE t", "postgres")]
['statement.kind']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migration.ddl.executable import uncovered
from migration.ddl.lexer import Lexeme, lex, split_top
from migration.ddl.reader import read_table
from migration.ddl.render import Rendered, key_clause, render, render_ddl
from migration.ddl.rules import RULES, Subject, Violation
from migration.ddl.rules.base import error, is_mariadb
from migration.ddl.rules.grammars import GRAMMARS
from migration.ddl.table import TableStatement
from migration.dialects import contract
from migration.errors import MigrationError

__all__ = ["Rendered", "Violation", "errors", "key_clause", "read", "render", "render_ddl", "validate"]


_NEWEST = {"mariadb": "11"}  # a name of a contract that says which of its engines it is


def validate(
    ddl: str, dialect: str, version: str | None = None, target_table: str | None = None
) -> list[Violation]:
    """Everything wrong with ``ddl``, by position; an empty list means the contract has no objection."""
    item = contract(dialect)
    version = version or _NEWEST.get(dialect.strip().lower())
    try:
        if item.name == "mysql":
            ddl = uncovered(ddl, version, mariadb=is_mariadb(item, version))
        statements = [part for part in split_top(lex(ddl, item), ";") if part]
        if not statements:
            return [error("statement.empty", 0, "there is no statement", "Write CREATE TABLE name (…).")]
        table = read_table(statements[0], ddl, item)
        subject = Subject(table, item, version, target_table, ddl)
        found = [violation for rule in RULES for violation in rule(subject)]
        found += _followers(statements[1:])
        parser = GRAMMARS.get(dialect.strip().lower())
        if parser is not None and not _texts(found):
            found += parser(_of_one(ddl, statements) if item.name == "sqlite" else ddl)
    except MigrationError as refusal:
        kind = "statement.kind" if refusal.sqlstate == "0A000" else "syntax"
        fix = "Only CREATE TABLE is judged here." if kind == "statement.kind" else refusal.hint or ""
        return [error(kind, refusal.position or 0, refusal.message, fix)]
    return sorted(dict.fromkeys(found), key=lambda violation: violation.position)


def _of_one(ddl: str, statements: Sequence[tuple[Lexeme, ...]]) -> str:
    """The text up to the end of the first statement."""
    end = statements[1][0].start if len(statements) > 1 else len(ddl)
    return ddl[:end].rstrip(" \t\r\n;")


def validate_local(ddl: str, target_table: str | None = None) -> list[Violation]:
    """The same for a branch here, whose clients write PostgreSQL or DuckDB: wrong is what both object to."""
    found = [validate(ddl, dialect, None, target_table) for dialect in ("duckdb", "postgres")]
    return next((each for each in found if not _texts(each)), found[0])


def errors(ddl: str, dialect: str, version: str | None = None, target_table: str | None = None) -> list[str]:
    """Only the errors, as text: the answer in the form of Datus' validate_ddl."""
    return _texts(validate(ddl, dialect, version, target_table))


def local_errors(ddl: str, target_table: str | None = None) -> list[str]:
    """``errors`` of a branch here."""
    return _texts(validate_local(ddl, target_table))


def _texts(found: Sequence[Violation]) -> list[str]:
    return [
        f"{violation.message}. {violation.fix}".rstrip(" ")
        for violation in found
        if violation.severity == "error"
    ]


def read(ddl: str, dialect: str) -> TableStatement:
    """The structure of a CREATE TABLE; raises 42601 or 0A000 where there is none."""
    item = contract(dialect)
    lexemes = split_top(lex(ddl, item), ";")[0]
    if not lexemes:
        raise MigrationError("42601", "there is no statement")
    return read_table(lexemes, ddl, item)


def _followers(statements: Sequence[tuple[Lexeme, ...]]) -> Iterator[Violation]:
    for statement in statements:
        comment = statement[0].says("comment") and len(statement) > 1 and statement[1].says("on")
        words = [lexeme.text.lower() for lexeme in statement[:3]]
        index = words[:2] == ["create", "index"] or words == ["create", "unique", "index"]
        if not comment and not index:
            message = f"a second statement: {statement[0].text} ..."
            yield error(
                "statement.multiple", statement[0].start + 1, message, "Send one CREATE TABLE at a time."
            )
