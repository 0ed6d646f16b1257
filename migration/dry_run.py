"""Tries a CREATE TABLE on the engine itself and leaves nothing behind.

Rules:

1. Where DDL can be rolled back it is: the statement runs as it is, in a transaction that never commits.
2. Elsewhere it runs under another name beside the target (``t__stg_dry…``) and is dropped again, whatever happens. Only
   a CREATE TABLE without a query is tried that way, and only its name is replaced, at the place the reader found it.
3. An engine's answer is given a place in the text: the one it tells, else where the word is that it names. Places that
   it tells of another text than the caller's are not taken.
4. A table left by a lost connection bears the mark of staging tables and goes with the next cleanup.
"""

from __future__ import annotations

import re
import secrets

from migration.connectors.base import Connector, Path
from migration.connectors.queries import quoted_path
from migration.ddl.lexer import lex, split_top
from migration.ddl.reader import read_table
from migration.ddl.rules import Violation
from migration.ddl.table import TableStatement
from migration.dialects import contract
from migration.errors import MigrationError

# What is not understood, up to its end (MySQL), and what stands in quotes or behind the word for what it is.
_NEAR = re.compile(r"near '(.+)' at line", re.DOTALL)
_PARSED = re.compile(r"Line (\d+), Col: (\d+)")  # a parser of ours
_NAMED = re.compile(
    r"""at\ position\ \d+\ \((.+?)\): | "([^"]+)" | '([^']+)' | `([^`]+)`
    | (?:family|column|columns|database|name|function|engine|sequence)(?::\ |\ )([\w.]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_OURS = ("25006", "0A000", "HV00N", "57014")  # not the statement's fault


def dry_run(connector: Connector, ddl: str) -> list[Violation]:
    """What the engine has against ``ddl``; empty if it took it. 25006, 0A000, HV00N where it could not be asked."""
    try:
        with connector.writer() as writer:
            undoable = writer.transactional_ddl
        if undoable:
            connector.execute(ddl, dry_run=True)
            return []
        return _under_another_name(connector, ddl)
    except MigrationError as error:
        if error.sqlstate in _OURS:
            raise
        message = error.message if not error.detail else f"{error.message} ({error.detail})"
        place = error.position or _place(message, ddl, connector.dialect)
        return [Violation("dry_run", "error", place, message, error.hint or "")]


def _place(message: str, ddl: str, dialect: str) -> int:
    """Where the text has what an engine's message names, 0 if nowhere."""
    if (rest := _NEAR.search(message)) and (at := ddl.rfind(rest[1])) >= 0:
        return at + 1
    if parsed := _PARSED.search(message):
        above = ddl.split("\n")[: int(parsed[1]) - 1]
        return min(sum(len(line) + 1 for line in above) + int(parsed[2]), len(ddl))
    try:
        lexemes = lex(ddl, contract(dialect))
    except MigrationError:
        return 0
    for found in _NAMED.finditer(message):
        name = next(group for group in found.groups() if group).rstrip(".").split(".")[-1].lower()
        at = next((each.start for each in lexemes if each.text.lower() == name), -1)
        if at >= 0:
            return at + 1
    return 0


def _under_another_name(connector: Connector, ddl: str) -> list[Violation]:
    table, start, end = _named(ddl, connector.dialect)
    if table.has_query:
        raise MigrationError(
            "0A000",
            f"{connector.dialect} cannot take back a CREATE TABLE with a query",
            hint="Leave the query out: its columns and clauses can be tried.",
        )
    target: Path = tuple(part.name for part in table.path)
    with connector.writer() as writer:
        if writer.exists(target) and "not exists" not in " ".join(ddl[:start].lower().split()):
            where = table.path[0].position
            return [Violation("dry_run", "error", where, f'table "{".".join(target)}" already exists', "")]
        scratch = writer.staging(target, f"dry{secrets.token_hex(6)}")
        made = ddl[:start] + quoted_path(scratch, contract(connector.dialect)) + ddl[end:]
        try:
            writer.execute(made.strip().rstrip(";"))
        finally:
            writer.drop(scratch)
    return []


def _named(ddl: str, dialect: str) -> tuple[TableStatement, int, int]:
    """The statement, and where its table's name begins and ends in the text."""
    item = contract(dialect)
    statements = [part for part in split_top(lex(ddl, item), ";") if part]
    if len(statements) != 1:
        raise MigrationError("42601", "more than one statement", hint="Send exactly one CREATE TABLE.")
    table = read_table(statements[0], ddl, item)
    starts = [part.position - 1 for part in table.path]
    end = next(lexeme.end for lexeme in statements[0] if lexeme.start == starts[-1])
    return table, starts[0], end
