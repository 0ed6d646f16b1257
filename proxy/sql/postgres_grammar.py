"""Postgres' own grammar (libpg_query through pglast): the only module that knows pglast.

It cuts, classifies and fingerprints text, gives exact syntax errors, and hands out Postgres' parse tree for
the statements we read structurally. Rules:

1. Positions are 1-based characters. libpg_query counts bytes in places and pglast corrects some of them
   twice, so positions are always taken from a *shadow* of the text: every non-ASCII character replaced by
   one ASCII letter of the same lexical class, which makes bytes and characters the same thing.
2. Nodes are handed out as ``Any``; a node's kind is its class name, an enumeration value its ``.name``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pglast import ast as pg_ast
from pglast import keywords, parser
from pglast.stream import RawStream

from branching.errors import BoughError

_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_FOREIGN_TAG = re.compile(r"\$\w*[^\W\x00-\x7f]\w*\$")
RESERVED = frozenset(keywords.RESERVED_KEYWORDS | keywords.TYPE_FUNC_NAME_KEYWORDS)  # no names without quotes
_FIRST_NODE = re.compile(r'^\{"version":\d+,"stmts":\[\{"stmt":\{"(\w+)"')


@dataclass(frozen=True, slots=True)
class SyntaxFailure:
    """Why Postgres would refuse the text: its message and the 1-based character position."""

    message: str
    position: int | None


def shadow(text: str) -> str:
    """``text`` with each non-ASCII character replaced by ``q``: same length, same tokens."""
    if text.isascii():
        return text
    if _FOREIGN_TAG.search(text):
        raise BoughError("0A000", "dollar quote tags must be plain ASCII")
    return _NON_ASCII.sub("q", text)


def split(text: str) -> list[tuple[int, int]] | None:
    """Character spans of the statements; None where Postgres cannot read the text."""
    try:
        slices = parser.split(shadow(text), only_slices=True)
    except parser.ParseError:
        return None
    return [(part.start, part.stop) for part in slices]


def statement_node(text: str) -> str | SyntaxFailure:
    """The class name of the statement's node (``SelectStmt``), cheaply, or why it is none."""
    try:
        head = parser.parse_sql_json(text)
    except parser.ParseError as error:
        return _failure(text, error)
    match = _FIRST_NODE.match(head)
    return match.group(1) if match else SyntaxFailure("syntax error at end of input", len(text) + 1)


def _failure(text: str, error: parser.ParseError) -> SyntaxFailure:
    position: int | None = len(text) + 1 if "at end of input" in error.args[0] else None
    try:
        parser.parse_sql_json(shadow(text))
    except parser.ParseError as shadowed:
        if len(shadowed.args) > 1 and isinstance(shadowed.args[1], int):
            position = shadowed.args[1] + 1
    return SyntaxFailure(str(error.args[0]), position)


def statement_tree(text: str) -> Any:
    """Postgres' parse tree of the one statement in ``text``."""
    statements = parser.parse_sql(text)
    if len(statements) != 1:
        raise BoughError("42601", "cannot insert multiple commands into a prepared statement")
    return statements[0].stmt


def kind_of(node: Any) -> str:
    """The class name of a node."""
    return type(node).__name__


def is_node(value: Any) -> bool:
    """Whether ``value`` is a node of Postgres' tree."""
    return isinstance(value, pg_ast.Node)


def deparse(node: Any) -> str:
    """Postgres text of a node of the tree."""
    return str(RawStream()(node))


def quoted_arguments(text: str) -> str | None:
    """``text`` with reserved words in quotes where they name an argument (``limit => 5``), or None where none do."""
    try:
        found = tokens(text)
    except parser.ParseError:
        return None
    parts, done = [], 0
    for token, following in pairwise(found):
        word = text[token.start : token.stop]
        if following.name == "EQUALS_GREATER" and word.lower() in RESERVED:
            parts += [text[done : token.start], f'"{word.lower()}"']
            done = token.stop
    return "".join(parts) + text[done:] if parts else None


def fingerprint(text: str) -> str | None:
    """The same for texts that differ in literals only; None where Postgres cannot read the text."""
    try:
        return str(parser.fingerprint(text))
    except parser.ParseError:
        return None


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its character span ``[start, stop)`` and libpg_query's name for it."""

    name: str
    start: int
    stop: int


def tokens(text: str) -> list[Token]:
    """The tokens of ``text`` without comments."""
    return [
        Token(token.name, token.start, token.end + 1)
        for token in parser.scan(shadow(text))
        if token.name not in ("SQL_COMMENT", "C_COMMENT")
    ]
