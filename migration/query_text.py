"""A query's text in one spelling, so that what was only formatted anew is still the same query.

Rules:

1. It is read without knowing the dialect, so only what means nothing in every dialect is evened out: blanks and line
   breaks between words and marks, the case of reserved words, semicolons at the end.
2. Names and literals stay as they are: ``T`` and ``t`` are two tables in some engines.
3. A text with comments, backslashes, dollars or brackets stays as it is: what they hold is for a dialect to say.
"""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`)|(?P<word>[\w.@]+)|\s+|.""", re.DOTALL
)
_OPEN = ("--", "/*", "#", "\\", "$", "[")
_RESERVED = frozenset(
    [
        "ALL",
        "AND",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CASE",
        "CAST",
        "CROSS",
        "DESC",
        "DISTINCT",
        "ELSE",
        "END",
        "EXCEPT",
        "EXISTS",
        "FROM",
        "FULL",
        "GROUP",
        "HAVING",
        "IN",
        "INNER",
        "INTERSECT",
        "INTO",
        "IS",
        "JOIN",
        "LEFT",
        "LIKE",
        "LIMIT",
        "NOT",
        "NULL",
        "OFFSET",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "RIGHT",
        "SELECT",
        "THEN",
        "UNION",
        "USING",
        "WHEN",
        "WHERE",
        "WITH",
    ]
)


def normalised(query: str) -> str:
    """The query in one spelling.

    >>> normalised("select a,b\\n  from t  where x='a  b';") == normalised("SELECT a, b FROM t WHERE x = 'a  b'")
    True
    """
    text = re.sub(r"[\s;]+\Z", "", query.lstrip())
    if any(mark in text for mark in _OPEN):
        return text
    parts = []
    for match in _PARTS.finditer(text):
        part = match[0]
        if match["word"] and part.upper() in _RESERVED:
            parts.append(part.upper())
        elif match["quoted"] or not part.isspace():
            parts.append(part)
    return " ".join(parts)
