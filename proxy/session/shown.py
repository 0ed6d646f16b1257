"""What others may know of a statement: its text, or its first words where a password may stand in it.

It is a guess by the text, because a statement that is mistyped, and so read by nobody, holds its password too. Where it
is wrong, too much is hidden.
"""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?i)\bDATASOURCE\b(?s:.)*\bOPTIONS\b|\b(?:CREATE|ALTER)\s+(?:DATASOURCE|ROLE|USER)\b"
    r"|\b(?:password|passwd|pass|pwd|\w*secret\w*|token|identified\s+by)\s*'|://[^/\s']*:[^@\s']*@"
)
_FIRST_WORDS = re.compile(r"\s*([A-Za-z]+(?:\s+[A-Za-z]+)?)")


def shown(statement: str) -> str:
    """
    >>> shown("alter  datasource x options (password 'secret')")
    'ALTER DATASOURCE …'
    >>> shown("SELECT 1")
    'SELECT 1'
    """
    if _SECRET.search(statement) is None:
        return statement
    words = _FIRST_WORDS.match(statement)
    return f"{' '.join(words[1].upper().split())} …" if words else "…"
