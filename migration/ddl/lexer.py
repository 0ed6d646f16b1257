"""DDL as a row of words, names, literals and marks, each with its place in the text.

sqlglot's tokenizer for the dialect does the cutting, so comments are gone and a quoted name or literal is
one piece
however it escapes. Words the tokenizer joins (``ORDER BY``) are taken apart again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import TokenError

from migration.dialects.base import DialectContract
from migration.errors import MigrationError

LexemeKind = Literal["word", "quoted", "string", "number", "symbol"]


@dataclass(frozen=True, slots=True)
class Lexeme:
    """One word, name, literal or mark; ``start`` and ``end`` are offsets into the text."""

    kind: LexemeKind
    text: str
    start: int
    end: int

    def says(self, *words: str) -> bool:
        """True if this is one of the (lower-case) words or marks, unquoted."""
        return self.kind in ("word", "symbol") and self.text.lower() in words

    @property
    def is_name(self) -> bool:
        """True if this can name something."""
        return self.kind in ("word", "quoted")


def find_words(lexemes: Sequence[Lexeme], words: Sequence[str]) -> int | None:
    """Index at which the words follow each other outside parentheses, None if nowhere."""
    depth = 0
    for index, lexeme in enumerate(lexemes):
        if lexeme.says("("):
            depth += 1
        elif lexeme.says(")"):
            depth -= 1
        elif depth == 0 and len(lexemes) - index >= len(words):
            window = lexemes[index : index + len(words)]
            if all(part.says(word) for part, word in zip(window, words, strict=True)):
                return index
    return None


def split_top(lexemes: Sequence[Lexeme], mark: str = ",") -> list[tuple[Lexeme, ...]]:
    """The parts between the marks outside parentheses and brackets."""
    parts: list[list[Lexeme]] = [[]]
    open_: list[str] = []
    for index, lexeme in enumerate(lexemes):
        opens_type = lexeme.says("<") and index > 0 and lexemes[index - 1].says(*_GENERICS)
        if lexeme.says("(", "[", "{") or opens_type:
            open_.append(lexeme.text)
        elif (open_ and lexeme.says(")", "]", "}")) or (lexeme.says(">") and open_ and open_[-1] == "<"):
            open_.pop()
        if not open_ and lexeme.says(mark):
            parts.append([])
        else:
            parts[-1].append(lexeme)
    return [tuple(part) for part in parts]


_GENERICS = (
    "array",
    "map",
    "struct",
    "row",
    "range",
)  # a "<" after these opens a type, elsewhere it compares
_CLOSING = {"(": ")", "[": "]", "<": ">"}


def group(lexemes: Sequence[Lexeme], at: int) -> int:
    """Index just after the group that opens at ``at``."""
    opening = lexemes[at].text
    depth = 0
    for index in range(at, len(lexemes)):
        depth += lexemes[index].says(opening) - lexemes[index].says(_CLOSING[opening])
        if depth == 0:
            return index + 1
    raise MigrationError(
        "42601",
        "a parenthesis is never closed",
        position=lexemes[at].start + 1,
        hint=f"Write its {_CLOSING[opening]}.",
    )


def lex(text: str, contract: DialectContract) -> list[Lexeme]:
    """The text's lexemes; 42601 where a literal or comment is never closed."""
    try:
        tokens = Dialect.get_or_raise(contract.sqlglot or None).tokenize(text)
    except TokenError as error:
        raise MigrationError(
            "42601",
            "the text cannot be split into words",
            detail=str(error),
            hint="Close each quote and each comment.",
        ) from error
    lexemes: list[Lexeme] = []
    for token in tokens:
        start, end = token.start, token.end + 1
        raw = text[start:end]
        kind = token.token_type.name
        if kind == "IDENTIFIER":
            lexemes.append(Lexeme("quoted", token.text, start, end))
        elif kind == "STRING" or kind.endswith("_STRING"):  # LINESTRING is a type
            lexemes.append(Lexeme("string", token.text, start, end))
        elif kind == "NUMBER":
            lexemes.append(Lexeme("number", token.text, start, end))
        elif raw[:1].isalpha() or raw[:1] in "_@#$" or kind == "VAR":
            offset = start
            for word in raw.split():
                offset = text.index(word, offset)
                lexemes.append(Lexeme("word", word, offset, offset + len(word)))
                offset += len(word)
        elif raw and set(raw) <= {">"}:
            lexemes.extend(Lexeme("symbol", ">", start + i, start + i + 1) for i in range(len(raw)))
        else:
            lexemes.append(Lexeme("symbol", raw, start, end))
    return lexemes
