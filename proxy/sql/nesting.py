"""What no reader may be given: statements so deep that reading them would take minutes, or the process down.

sqlglot is compiled: deep enough, a tree overruns the C stack, and no RecursionError comes before that. And it reads
``ARRAY[ARRAY[…]]`` and ``ROW(ROW(…))`` in a time that grows by a factor with each level. Nothing can stop either, so
the text is measured first, by its tokens: brackets inside brackets, operators and subscripts in a row. Postgres refuses
such statements too, some levels later; six dimensions of arrays are its own limit.
"""

from __future__ import annotations

import re

from sqlglot import TokenType
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import TokenError

from branching.errors import BoughError

_SHORT = 1000  # characters: nothing shorter is too deep, but for arrays and rows
_BRACKETS = 500
_CHAIN = 10_000
_SUBSCRIPTS = 50
_ARRAYS = 6
_ROWS = 10
_OPENING = re.compile(r"\barray\s*\[|\brow\s*\(", re.IGNORECASE)
_OPEN = (TokenType.L_BRACKET, TokenType.L_PAREN, TokenType.L_BRACE)
_CLOSE = (TokenType.R_BRACKET, TokenType.R_PAREN, TokenType.R_BRACE)
# These make no tree deeper.
_FLAT = frozenset(
    {
        TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.NULL, TokenType.TRUE,
        TokenType.FALSE, TokenType.WHEN, TokenType.THEN, TokenType.ELSE, TokenType.END, TokenType.PARAMETER, *_CLOSE,
    }
)  # fmt: skip


def check(text: str) -> None:
    """Refuses (54000, 54001) what nests too deeply to be read."""
    if len(text) < _SHORT and len(_OPENING.findall(text)) <= _ARRAYS:
        return
    try:
        tokens = Dialect.get_or_raise("postgres").tokenize(text)
    except TokenError:
        return  # whoever reads it says so
    levels: list[tuple[str, int]] = []  # of each open bracket: what it belongs to, the operators before it
    arrays = rows = chain = subscripts = 0
    before = ""
    for token in tokens:
        kind = token.token_type
        if kind in _OPEN:
            mark = before if before in ("ARRAY", "ROW") else ""
            levels.append((mark, chain))
            arrays += mark == "ARRAY"
            rows += mark == "ROW"
            subscripts = subscripts + 1 if before == "]" and kind is TokenType.L_BRACKET else 0
            if arrays > _ARRAYS:
                raise BoughError(
                    "54000", f"number of array dimensions ({arrays}) exceeds the maximum allowed ({_ARRAYS})"
                )
            if rows > _ROWS or len(levels) > _BRACKETS or subscripts > _SUBSCRIPTS:
                raise _too_deep()
        elif kind in _CLOSE and levels:
            mark, outside = levels.pop()
            arrays -= mark == "ARRAY"
            rows -= mark == "ROW"
            chain = outside
        elif kind in (TokenType.COMMA, TokenType.SEMICOLON):
            chain = levels[-1][1] if levels else 0
        elif kind not in _FLAT:
            chain += 1
            if chain > _CHAIN:
                raise _too_deep()
        before = token.text.upper()


def _too_deep() -> BoughError:
    return BoughError(
        "54001",
        "stack depth limit exceeded",
        hint="Simplify the statement: it nests too deep, or chains too much.",
    )
