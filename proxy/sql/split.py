"""Cutting a query string into statements.

Rules:

1. Postgres' own parser decides where it can read the whole text; our small lexer decides otherwise (DuckDB's
   dialect, our own commands such as ``BRANCH CREATE x; SELECT 1``).
2. Where both can read the text and do not agree on the cuts, the text is refused: nothing is smuggled
   through a quote that one of them does not see.
3. Offsets count characters from 0, so that error positions can be given in the text the client sent.
4. What holds only comments, blanks or semicolons is no statement: the result is empty.

``standard_conforming_strings`` is on: a backslash means something in ``E'…'`` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from branching.errors import BoughError
from proxy.sql import postgres_grammar

MAX_TEXT = 64 * 1024 * 1024  # whatever the setting says: the parsers below count in 32 bits

_BLANK = re.compile(r"\s+")
_LINE_COMMENT = re.compile(r"--[^\r\n]*")
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_ESCAPE_STRING = re.compile(r"[eE]'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_STRING = re.compile(r"'(?:[^']|'')*'")
_QUOTED_NAME = re.compile(r'"(?:[^"]|"")*"')
_DOLLAR_TAG = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*|[0-9][\w.$]*")
_DOLLAR_NUMBER = re.compile(r"\$[0-9]+")


@dataclass(frozen=True, slots=True)
class Source:
    """One statement's text and where it began in the query string."""

    text: str
    offset: int = 0


def split(text: str, longest: int = 1024 * 1024) -> list[Source]:
    """The statements of ``text``, which has at most ``longest`` bytes, without their semicolons.

    >>> [s.text for s in split("select ';' ; /* ; */ select $$;$$; -- end")]
    ["select ';'", 'select $$;$$']
    """
    limit = min(longest, MAX_TEXT)
    if len(text) > limit or (4 * len(text) > limit and len(text.encode()) > limit):
        raise BoughError(
            "54000",
            f"the query string is longer than {limit} bytes",
            hint="Load data with COPY, or with parameters instead of literals; or raise max_statement_bytes.",
        )
    if "\x00" in text:
        raise BoughError("22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    ours = list(lex_split(text))
    if len(ours) <= 1 and ";" not in text:
        return ours
    theirs = postgres_grammar.split(text)
    if theirs is not None:
        cut = [Source(text[start:stop], start) for start, stop in theirs]
        if [_core(source.text) for source in cut] != [_core(source.text) for source in ours]:
            raise BoughError(
                "0A000",
                "the statements in this query string cannot be told apart safely",
                hint="Send the statements one by one.",
            )
    return ours


def _core(text: str) -> str:
    start, stop = _trim(text, 0, len(text))
    return text[start:stop].rstrip()


def lex_split(text: str) -> Iterator[Source]:
    """The same by quotes and comments alone; an unterminated quote runs to the end of the text."""
    start = 0
    for at in _semicolons(text):
        yield from _source(text, start, at)
        start = at + 1
    yield from _source(text, start, len(text))


def _source(text: str, start: int, stop: int) -> Iterator[Source]:
    start, stop = _trim(text, start, stop)
    if start < stop:
        yield Source(text[start:stop].rstrip(), start)


def _trim(text: str, start: int, stop: int) -> tuple[int, int]:
    """Without the blanks and comments before the first token."""
    while start < stop:
        skipped = _skip_blank(text, start, stop)
        if skipped == start:
            break
        start = skipped
    return start, stop


def _skip_blank(text: str, at: int, stop: int) -> int:
    if match := _BLANK.match(text, at, stop):
        return match.end()
    if match := _LINE_COMMENT.match(text, at, stop):
        return match.end()
    if text.startswith("/*", at):
        return min(_block_comment_end(text, at), stop)
    return at


def _block_comment_end(text: str, at: int) -> int:
    depth = 0
    for match in _BLOCK_EDGE.finditer(text, at):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)


def separate_parameters(text: str) -> str:
    """``text`` with a blank after each ``$n``: sqlglot reads ``$1,$`` as the tag of a dollar quote.

    >>> separate_parameters("VALUES ($1,$2,'$3,$4')")
    "VALUES ($1 ,$2 ,'$3,$4')"
    """
    if "$" not in text:
        return text
    parts, start = [], 0
    for at in _marks(text, "$"):
        if match := _DOLLAR_NUMBER.match(text, at):
            parts += [text[start : match.end()], " "]
            start = match.end()
    return "".join([*parts, text[start:]])


def _semicolons(text: str) -> Iterator[int]:
    return _marks(text, ";")


def _marks(text: str, wanted: str) -> Iterator[int]:
    """Where ``wanted`` stands outside quotes and comments."""
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if char == wanted:
            yield at
        if char == ";":
            at += 1
        elif char in "-/":
            at = max(_skip_blank(text, at, end), at + 1)
        elif char == "$":
            at = _dollar_end(text, at)
        elif char in "eE" and at + 1 < end and text[at + 1] == "'":
            at = _quoted_end(_ESCAPE_STRING, text, at)
        elif char == "'":
            at = _quoted_end(_STRING, text, at)
        elif char == '"':
            at = _quoted_end(_QUOTED_NAME, text, at)
        elif match := _WORD.match(text, at):
            at = match.end()
        else:
            at += 1


def _quoted_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else len(text)


def _dollar_end(text: str, at: int) -> int:
    if match := _DOLLAR_NUMBER.match(text, at):
        return match.end()
    if not (match := _DOLLAR_TAG.match(text, at)):
        return at + 1
    closing = text.find(match.group(), match.end())
    return len(text) if closing < 0 else closing + len(match.group())
