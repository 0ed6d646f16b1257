"""The words of a command, read one at a time.

Rules:

1. Lexical rules are Postgres': nested comments, ``"a ""b"" c"``, ``'it''s'``, ``E'\\n'``, ``$tag$ … $tag$``.
2. Reading is lazy. Whether a text is a command is decided by its first words, and a megabyte INSERT
   must not be read to its end to find out that it is none.
3. Positions are character offsets into the text; the errors they end up in count from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from branching.errors import BoughError

Kind = Literal["word", "quoted", "string", "number", "parameter", "symbol", "end"]

LONGEST_SHOWN = 200  # characters of the text that an error repeats

_SPACE = re.compile(r"[ \t\n\r\f\v]+|--[^\n\r]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[^\W\d]\w*(?:\$\w*)*")
_NUMBER = re.compile(r"(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
_STRING = re.compile(r"'([^']*(?:''[^']*)*)'")
_ESCAPE_STRING = re.compile(r"[eE]'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_DOLLAR = re.compile(r"\$((?:[^\W\d]\w*)?)\$")
_PARAMETER = re.compile(r"\$\d+")
_SYMBOL = re.compile(r"=>|::|<=|>=|<>|!=|.", re.DOTALL)
_ESCAPE = re.compile(
    r"''|\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL
)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_FOLD = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


@dataclass(frozen=True, slots=True)
class Token:
    """One lexical unit: ``value`` is what it means, ``raw`` how it was written."""

    kind: Kind
    value: str
    raw: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.raw)


def fold(name: str) -> str:
    """An unquoted name as Postgres folds it: ASCII letters only."""
    return name.translate(_FOLD)


def skip_space(text: str, position: int) -> int:
    """The first offset at or after ``position`` that is neither white space nor comment."""
    while True:
        space = _SPACE.match(text, position)
        if space:
            position = space.end()
        elif text.startswith("/*", position):
            position = _comment_end(text, position)
        else:
            return position


def _comment_end(text: str, start: int) -> int:
    depth, position = 0, start
    for edge in _COMMENT_EDGE.finditer(text, start):
        if edge.start() < position:
            continue
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
        if depth == 0:
            return position
    raise _unterminated("/* comment", text, start)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of ``text``, ending with one of kind ``end``, made on demand."""
    position = 0
    while True:
        position = skip_space(text, position)
        token = _token(text, position)
        yield token
        if token.kind == "end":
            return
        position = token.end


def _token(text: str, start: int) -> Token:
    if start >= len(text):
        return Token("end", "", "", len(text))
    first = text[start]
    if first == '"':
        match = _QUOTED.match(text, start)
        if not match:
            raise _unterminated("quoted identifier", text, start)
        return Token("quoted", match[1].replace('""', '"'), match[0], start)
    if first == "'":
        match = _STRING.match(text, start)
        if not match:
            raise _unterminated("quoted string", text, start)
        return Token("string", match[1].replace("''", "'"), match[0], start)
    if first in "eE" and text.startswith("'", start + 1):
        match = _ESCAPE_STRING.match(text, start)
        if not match:
            raise _unterminated("quoted string", text, start)
        return Token("string", _unescape(match[1], start), match[0], start)
    if first == "$":
        return _dollar(text, start)
    match = _WORD.match(text, start)
    if match:
        return Token("word", fold(match[0]), match[0], start)
    match = _NUMBER.match(text, start)
    if match:
        return Token("number", match[0].replace("_", ""), match[0], start)
    match = _SYMBOL.match(text, start)
    assert match is not None  # any one character is a symbol
    return Token("symbol", match[0], match[0], start)


def _dollar(text: str, start: int) -> Token:
    opening = _DOLLAR.match(text, start)
    if opening:
        end = text.find(opening[0], opening.end())
        if end < 0:
            raise _unterminated("dollar-quoted string", text, start)
        return Token("string", text[opening.end() : end], text[start : end + len(opening[0])], start)
    parameter = _PARAMETER.match(text, start)
    if parameter:
        return Token("parameter", parameter[0], parameter[0], start)
    return Token("symbol", "$", "$", start)


def _unescape(body: str, start: int) -> str:
    def one(match: re.Match[str]) -> str:
        if match[0] == "''":
            return "'"
        short, long, hexadecimal, octal, letter = match.groups()
        if letter is not None:
            return _LETTERS.get(letter, letter)
        code = int(short or long or hexadecimal, 16) if octal is None else int(octal, 8)
        if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise BoughError("22025", f"invalid escape {match[0]} in a string", position=start + 1)
        return chr(code)

    return _ESCAPE.sub(one, body)


def _unterminated(what: str, text: str, start: int) -> BoughError:
    return BoughError(
        "42601", f'unterminated {what} at or near "{text[start : start + LONGEST_SHOWN]}"', position=start + 1
    )
