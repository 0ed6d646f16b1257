"""Names: quoting and folding as Postgres does."""

from __future__ import annotations


def quote(name: str) -> str:
    """``name`` as a quoted identifier, in Postgres and in DuckDB.

    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def fold(name: str) -> str:
    """An unquoted identifier as Postgres reads it: ASCII letters in lower case, at most 63 bytes."""
    lowered = "".join(c.lower() if c.isascii() else c for c in name) if not name.isascii() else name.lower()
    return truncate(lowered)


def truncate(name: str) -> str:
    """Cut to 63 bytes of UTF-8 at a character boundary, as Postgres does."""
    data = name.encode()
    return name if len(data) < 64 else data[:63].decode(errors="ignore")
