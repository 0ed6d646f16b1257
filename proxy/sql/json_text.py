"""Constants of jsonb: of a repeated key the last value counts, where the engine finds the first."""

from __future__ import annotations

import json
from typing import Any


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def last_members(text: str) -> str | None:
    """JSON without the members that a later one of the same key replaces; None if it has none, or is no JSON.

    >>> last_members('{"a": 1.50, "a": [2e3, {"b": null, "b": "x"}]}'), last_members('{"a": 1}')
    ('{"a":[2e3,{"b":"x"}]}', None)
    """
    repeated = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        found = dict(pairs)
        repeated = repeated or len(found) < len(pairs)
        return found

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
    except (ValueError, RecursionError):
        return None
    return _written(value) if repeated else None


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
