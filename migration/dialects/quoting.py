"""The only place that makes SQL text from names and strings.

A name is written bare if it is simple, survives the dialect's folding and is no reserved word; else
quoted. Engines
that take a backslash as an escape get it doubled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from migration.dialects.base import DialectContract
from migration.dialects.clause_words import CONSTRAINTS
from migration.dialects.reserved import POSTGRES
from migration.errors import MigrationError

_SIMPLE = {
    "lower": re.compile(r"[a-z_][a-z0-9_]*"),
    "upper": re.compile(r"[A-Z_][A-Z0-9_]*"),
    "preserve": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
}
# Words that would be read as something else at the place of a name, whatever the dialect's list says.
_ALWAYS = (
    POSTGRES
    | set(CONSTRAINTS)
    | {"key", "index", "projection", "period", "ttl", "date", "time", "timestamp", "interval"}
)


def quote_name(name: str, item: DialectContract) -> str:
    """``name`` as the dialect writes it; 42622 if it is too long, 42602 if it cannot be a name there."""
    rules = item.identifiers
    length = len(name.encode()) if rules.limit_unit == "bytes" else len(name)
    if length > rules.max_length:
        raise MigrationError(
            "42622",
            f'name "{name[:60]}" is too long for {item.name}',
            detail=f"It has {length} {rules.limit_unit}; the limit is {rules.max_length}.",
            hint="Give the column another name in the query: SELECT ... AS shorter.",
        )
    if not rules.takes(name):
        raise MigrationError(
            "42602",
            f"{name!r} cannot be a name in {item.name}",
            detail=f"A name there has no {rules.never_said}." if rules.never_said else None,
            hint=f"Give it another name in the query: SELECT {spelled(name)} AS other.",
        )
    simple = _SIMPLE[rules.fold].fullmatch(name)
    if simple and name.lower() not in rules.reserved and name.lower() not in _ALWAYS:
        return name
    return rules.quoted(name.replace("\\", "\\\\") if item.name == "clickhouse" else name)


def spelled(name: str) -> str:
    """A name as our own commands take it: for hints that can be sent as they are.

    >>> spelled("pg"), spelled("My DS")
    ('pg', '"My DS"')
    """
    is_plain = _SIMPLE["lower"].fullmatch(name) and name not in _ALWAYS
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def quote_path(path: Sequence[str], item: DialectContract) -> str:
    """A dotted name."""
    return ".".join(quote_name(part, item) for part in path)


def quote_text(text: str, item: DialectContract) -> str:
    """A string literal."""
    if item.backslash_escapes:
        text = text.replace("\\", "\\\\")
        if item.name in ("bigquery", "spark", "hive"):  # adjacent quotes would not be one literal there
            return "'" + text.replace("'", "\\'").replace("\n", "\\n") + "'"
    return "'" + text.replace("'", "''") + "'"
