"""What SQLAlchemy's drivers make other values of, and what they are asked for instead.

Rules:

1. Python's moments have no infinity, no year 10000 and no 24:00, its intervals no months, and its JSON neither a key
   twice nor digits beyond a double's. Of these PostgreSQL gives its texts, which are the canonical form's own. Some
   drivers raise where a value has no place in Python's type, psycopg2 gives the nearest.
2. MySQL's text of a FLOAT has six digits, and its drivers read that text; as a DOUBLE it has all of them.
3. What the values of a query do not tell (a FLOAT is a float to Python, the offset of a time is gone) the server's own
   number of the type does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migration.dialects import DialectContract
from migration.types import CanonicalType, json, list_of, of, timetz

_AS_TEXTS = frozenset({"date", "time", "timetz", "timestamp", "instant", "interval", "json"})
_OIDS = {  # of a type, and of its arrays
    (114, 199): json(),
    (3802, 3807): json(normalised=True),
    (1186, 1187): of("interval"),
    (1266, 1270): timetz(),
}
_NUMBERED: dict[str, dict[int, CanonicalType]] = {
    "postgres": {number: type_ for (number, _), type_ in _OIDS.items()}
    | {number: list_of(type_) for (_, number), type_ in _OIDS.items()},
    "mysql": {4: of("float32")},
}


def asked(name: str, type_: CanonicalType, item: DialectContract) -> str:
    """SQL for the column ``name`` (quoted), as its driver hands it over unchanged."""
    if item.name == "postgres" and type_.innermost.kind in _AS_TEXTS:
        return f"CAST({name} AS text{'[]' if type_.kind == 'list' else ''})"
    if item.name == "mysql" and type_.kind == "float32":
        return f"CAST({name} AS DOUBLE)"
    return name


def told_types(result: Any, item: DialectContract) -> Sequence[CanonicalType | None]:
    """The types of a result's columns as far as only the server's numbers tell them."""
    known = _NUMBERED.get(item.name, {})
    return [known.get(column[1]) for column in result.cursor.description]
