"""What the engines' own parsers have against a text, where one is at hand: PostgreSQL's, DuckDB's and SQLite's.

They are asked last and only where no rule has said it better. Nothing is looked up and nothing runs: an object that is
not there is no fault of the text.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cache
from typing import Any

import pglast

from migration.ddl.rules.base import Violation, error
from migration.local_engine import EngineError, open_engine

_FIX = "The engine's manual has the grammar of CREATE TABLE."
_SHOWN = re.compile(r"\nLINE (\d+): (.*)\n( *)\^")  # where DuckDB points
_NAMED = re.compile(r'(?:near|unrecognized token:) "(.+)"', re.DOTALL)  # what SQLite names
_ABSENT = ("no such", "unknown database")  # what SQLite says of objects that may be there
_TRIES = 50  # places of one word that are tried


def of_postgres(text: str) -> Iterator[Violation]:
    """PostgreSQL's parser."""
    try:
        pglast.parse_sql(text)
    except RecursionError:  # nested deeper than its tree can be taken over: the engine is the one to ask
        return
    except pglast.parser.ParseError as reason:
        at = reason.args[1] if len(reason.args) > 1 and isinstance(reason.args[1], int) else 0
        yield error("syntax", at + 1, str(reason.args[0]), "The manual's page CREATE TABLE has the grammar.")


def of_duckdb(text: str) -> Iterator[Violation]:
    """DuckDB's parser."""
    try:
        _duckdb().cursor().extract_statements(text)
    except EngineError as reason:
        message = str(reason)
        said = message.partition("\n")[0].removeprefix("Parser Error: ")
        yield error("syntax", _pointed(message, text), said, _FIX)


@cache
def _duckdb() -> Any:
    return open_engine(threads=1)


def _pointed(message: str, text: str) -> int:
    """The place in ``text`` that DuckDB's message shows, 0 if it shows none."""
    found = _SHOWN.search(message)
    if found is None:
        return 0
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: int(found[1]) - 1]))
    column = len(found[3]) - len(f"LINE {found[1]}: ")
    shown = found[2]
    if shown.startswith("...") and not text.startswith("...", start):  # the middle of a long line
        start = max(text.find(shown[3:].removesuffix("..."), start), start)
        column -= 3
    return min(start + max(column, 0), len(text)) + 1


def of_sqlite(text: str) -> Iterator[Violation]:
    """SQLite's parser: it reads a statement to explain it."""
    message = _explained(text)
    if message and not message.startswith(_ABSENT):
        yield error("syntax", _tried(message, text), message, _FIX)


def _explained(text: str) -> str:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("EXPLAIN " + text)
        except (sqlite3.Error, sqlite3.Warning) as reason:
            return str(reason)
    return ""


def _tried(message: str, text: str) -> int:
    """Where the word is that SQLite's message names: where it comes more than once, the first place up to which the
    text is refused in the same way."""
    named = _NAMED.search(message)
    places = list(re.finditer(re.escape(named[1]), text))[:_TRIES] if named else []
    refused = (each for each in places if len(places) == 1 or _explained(text[: each.end()]) == message)
    return next((each.start() + 1 for each in refused), 0)


GRAMMARS: Mapping[str, Callable[[str], Iterator[Violation]]] = {  # by the name of the dialect as it is given
    **dict.fromkeys(("postgres", "postgresql", "pg"), of_postgres),
    **dict.fromkeys(("duckdb", "motherduck"), of_duckdb),
    **dict.fromkeys(("sqlite", "sqlite3"), of_sqlite),
}
