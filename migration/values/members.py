"""Enums that exist already take the texts that are among their values, and no others.

The condition ``one_of:["red","two words"]`` has the values as JSON. They are compared as bytes: a collation that takes
``'A'`` for ``'a'`` would let one through that the enum stores as the other.
"""

from __future__ import annotations

import json

from migration.dialects import contract
from migration.dialects.quoting import quote_text
from migration.dialects.type_map import Mapping
from migration.types import CanonicalType

_WORD = "one_of"
_TEXTS = ("text", "enum")


def into_enum(source: CanonicalType, target: CanonicalType, declared: str) -> Mapping | None:
    """How texts, or lists of them, are stored in an enum, or a list of one; None if it is something else."""
    lists = source.kind == target.kind == "list"
    one, other = (source.element, target.element) if lists else (source, target)
    if one is None or other is None or one.kind not in _TEXTS or other.kind != "enum" or not other.values:
        return None
    if one.kind == "enum" and one.values and set(one.values) <= set(other.values):
        return Mapping(source, declared, "widening", "an enum with more values")
    guard = f"{_WORD}:{json.dumps(other.values, ensure_ascii=False)}"
    return Mapping(source, declared, "lossy", "an enum has only some texts", "", (guard,))


def outside(values: str, column: str, dialect: str) -> str:
    """SQL that is true for texts of ``column`` that are not among ``values`` (JSON)."""
    item = contract(dialect)
    found: list[str] = json.loads(values)
    if dialect == "mysql":
        listed = ", ".join(f"x'{value.encode().hex()}'" for value in found)
        return f"CAST({column} AS BINARY) NOT IN ({listed})"
    quoted = [quote_text(value, item) for value in found]
    if dialect == "duckdb":
        return f"encode({column}) NOT IN ({', '.join(f'encode({value})' for value in quoted)})"
    return f'{column} COLLATE "C" NOT IN ({", ".join(quoted)})'


def listed(values: str) -> str:
    """The values as they are said to people."""
    found = [quote_text(value, contract("duckdb")) for value in json.loads(values)]
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
