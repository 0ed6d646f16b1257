"""Conditions on what stands inside documents: JSON, and structs and maps, which travel as JSON.

No SQL here looks into those, so the column is read and judged by Python. Rules:

1. A condition on a struct or map speaks of the members it can be about (``MEANT``): years of moments, NaN of numbers.
2. A text that is no JSON keeps nothing: there is nothing we can vouch for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from migration.types import CanonicalType

LENGTHS = ("json_chars:", "json_octets:")  # of the text that a list, map or struct becomes (``transform``)
IN_PYTHON = ("json_unique_keys", "json_double", "well_formed")
TEMPORAL = ("date", "timestamp", "instant")
_NUMBERS = ("float32", "float64", "decimal")
MEANT: Mapping[str, tuple[str, ...]] = {
    "finite": (*TEMPORAL, *_NUMBERS),
    "finite_moments": TEMPORAL,
    "finite_numbers": _NUMBERS,
    "no_nan": _NUMBERS,
    "year": TEMPORAL,
    "fraction": ("time", "timetz", "timestamp", "instant"),
    "time": ("time",),
    "no_json_null": ("json",),  # its document has null for NULL too, so only the source's engine can tell
}
_YEAR = re.compile(r"(-?\d+)-\d\d-\d\d")
_FRACTION = re.compile(r"\.(\d+)")


def is_meant(guard: str, type_: CanonicalType) -> bool:
    """Whether a condition on a whole value speaks of members of this type."""
    kinds = MEANT.get(guard.partition(":")[0])
    return kinds is not None and any(leaf.kind in kinds for leaf in type_.leaves())


def is_for_python(guard: str, type_: CanonicalType) -> bool:
    """True if values of ``type_`` that were read are judged by ``breaks_in_python``."""
    if guard in IN_PYTHON or guard == "no_null_inside":
        return True
    return type_.innermost.kind in ("struct", "map") and guard.partition(":")[0] in MEANT


def breaks_in_python(guard: str, type_: CanonicalType, values: Iterable[Any]) -> tuple[int, list[str]]:
    """How many values of ``type_`` break ``guard``, and the first three."""
    count = 0
    samples: list[str] = []
    for value in values:
        if not keeps(guard, type_, value):
            count += 1
            if len(samples) < 3:
                samples.append(str(value)[:80])
    return count, samples


def keeps(guard: str, type_: CanonicalType, value: Any) -> bool:
    """Whether one value in canonical form holds the condition; NULL does."""
    if guard == "no_null_inside":
        return value is None or _is_full(type_, value)
    if isinstance(value, list):
        element = type_.element or type_
        return all(keeps(guard, element, item) for item in value)
    if guard not in IN_PYTHON:
        return not isinstance(value, str) or _members_keep(guard, type_, value)
    if isinstance(value, str):
        holds_json = type_.kind in ("json", "struct", "map")
        return not holds_json or _document_keeps(guard, value)
    if guard == "json_double" and isinstance(value, int):
        return -(1 << 63) <= value < (1 << 64)
    if guard == "json_double" and isinstance(value, Decimal):
        return not value.is_finite() or Decimal(repr(float(value))) == value
    return True


def _is_full(type_: CanonicalType, value: Any) -> bool:
    """Whether a list, map or struct has no NULL where it could have another of them."""
    if not type_.is_nested:
        return True
    if value is None:
        return False
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    if type_.kind == "struct":
        return all(_is_full(of, value.get(name)) for name, of in type_.fields)
    items = value.values() if type_.kind == "map" else value
    return type_.element is None or all(_is_full(type_.element, item) for item in items)


def _members_keep(guard: str, type_: CanonicalType, document: str) -> bool:
    try:
        return _holds(guard, type_, json.loads(document))
    except (ValueError, RecursionError):
        return False


def _holds(guard: str, type_: CanonicalType, value: Any) -> bool:
    """Whether a part of a parsed document holds the condition."""
    if value is None or not is_meant(guard, type_):
        return True
    if type_.kind == "struct":
        return all(_holds(guard, of, value.get(name)) for name, of in type_.fields)
    if type_.kind == "map" and type_.key is not None and type_.element is not None:
        key, element = type_.key, type_.element
        return all(_holds(guard, key, name) and _holds(guard, element, item) for name, item in value.items())
    if type_.kind == "list" and type_.element is not None:
        of = type_.element
        return all(_holds(guard, of, item) for item in value)
    word, _, argument = guard.partition(":")
    text = str(value)
    if word == "no_json_null":
        return True
    if word in ("finite", "finite_moments", "finite_numbers", "no_nan"):
        number = (
            math.inf if text.lstrip("-") == "infinity" else 0.0 if type_.kind in TEMPORAL else float(text)
        )
        return not math.isnan(number) if word == "no_nan" else math.isfinite(number)
    if word == "year":
        low, _, high = argument.partition("..")
        found = _YEAR.match(text)
        year = int(found[1]) if found else int(low)
        return int(low) <= (1 - year if "BC" in text else year) <= int(high)
    if word == "fraction":
        digits = _FRACTION.search(text)
        return digits is None or len(digits[1].rstrip("0")) <= int(argument)
    return text < "24:00:00" if "<" in argument else text <= "24:00:00"


class _RepeatedKey(ValueError):
    pass


class _WideNumber(ValueError):
    pass


def _document_keeps(guard: str, document: str) -> bool:
    unique = guard == "json_unique_keys"
    try:
        json.loads(
            document,
            object_pairs_hook=_unique if unique else None,
            parse_int=_narrow_int if guard == "json_double" else int,
            parse_float=_narrow_float if guard == "json_double" else float,
            parse_constant=_no_constant if guard == "well_formed" else None,
        )
    except (_RepeatedKey, _WideNumber):
        return False
    except (ValueError, RecursionError):
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKey
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")  # NaN and Infinity, which Python takes


def _narrow_int(text: str) -> int:
    number = int(text)
    if not -(1 << 63) <= number < (1 << 64):
        raise _WideNumber
    return number


def _narrow_float(text: str) -> float:
    number = float(text)
    try:
        exact = Decimal(text) == Decimal(repr(number))
    except InvalidOperation:
        exact = False
    if not exact:
        raise _WideNumber
    return number
