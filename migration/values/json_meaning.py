"""JSON by what it means: one text for each meaning, so that two spellings of it are equal.

Keys are sorted, numbers exact and without needless digits. What is no JSON is itself.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any


def canonical_json(text: str | None) -> str | None:
    """One text for each meaning: keys sorted, numbers exact and without needless digits."""
    if text is None:
        return None
    try:
        value = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return text
    return _dumped(value)


def canonical_value(value: Any) -> str | None:
    """The same for a value of a list column, or a plain one beside JSON."""
    return None if value is None else _dumped(_as_json(value))


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value))
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | str | Decimal) else str(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        plain = value.normalize()
        return {"#": f"{plain:f}" if abs(plain.adjusted()) < 400 else str(plain)}
    raise TypeError(type(value).__name__)
