"""Whether a source's column fits a column that exists in the target already, and on what condition.

Creating a table, the target's type follows from the source (``dialects.type_map``). Writing into a table that is there,
its type is given, and the question is turned round: which values of the source does it hold exactly?

Rules:

1. What ``dialects.type_map`` would have chosen always fits, with the guards it names.
2. A narrower type fits on a condition about the values, never by rounding or cutting.
3. Any value fits text, as its canonical text; JSON text fits JSON.
4. What a declaration does beyond its canonical type (blanks that ``char(n)`` drops, a ``YEAR`` of two digits, SQLite's
   numbers made of texts) is a condition too (``narrowed``).
5. Everything else is ``lossy`` without guards: only a CAST in the request can bridge it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from migration.dialects import contract
from migration.dialects.base import Cast
from migration.dialects.type_map import Mapping, as_json, map_canonical
from migration.dialects.type_names import parse_type
from migration.types import CanonicalType, integer_range
from migration.values.members import into_enum

_DOUBLE_INTEGERS = 1 << 53
_FLOAT_INTEGERS = 1 << 24
_MEASURED = frozenset({"float32", "float64", "date", "timestamp", "instant"})
_SPECIAL = frozenset({"finite", "finite_moments", "finite_numbers", "no_nan"})
_NANOSECONDS = "seconds:-9223372036..9223372035"  # that 64 bits count
_SQLITE_DIGITS = 15  # a REAL stands for every decimal number of so many


def fit(source: CanonicalType, target: CanonicalType, declared: str, dialect: str) -> Mapping:
    """How ``source`` is stored in a column declared ``declared`` (canonically ``target``) of ``dialect``."""
    found = _fit(source, target, declared, dialect)
    if found.loss == "unsupported" or (found.loss == "lossy" and not found.guards):
        return found
    narrower = narrowed(source, target, declared, dialect)
    if narrower is None:
        return Mapping(source, declared, "lossy", f"{declared} changes what it is given")
    added = tuple(guard for guard in (*narrower, *beyond(target, dialect)) if guard not in found.guards)
    return replace(found, guards=(*found.guards, *added)) if added else found


def beyond(target: CanonicalType, dialect: str) -> tuple[str, ...]:
    """What no rounding makes fit a column: what is not finite, and other years than the engine knows."""
    if target.kind not in _MEASURED:
        return ()
    guards = map_canonical(target, contract(dialect)).guards
    return tuple(guard for guard in guards if guard in _SPECIAL or guard.startswith("year:"))


def _fit(source: CanonicalType, target: CanonicalType, declared: str, dialect: str) -> Mapping:
    item = contract(dialect)
    chosen = map_canonical(source, item)
    if chosen.loss != "unsupported" and _same(parse_type(chosen.target_type, dialect), target):
        return Mapping(source, declared, chosen.loss, chosen.reason, chosen.cast, chosen.guards)
    if source == target or _same(source, target):
        return Mapping(source, declared, "exact")
    if (member := into_enum(source, target, declared)) is not None:
        return member
    if source.kind == target.kind == "interval":
        return _interval(source, target, declared)
    if source.is_integer and target.is_integer:
        return _ranged(source, *integer_range(target.kind), declared)
    if source.is_integer and target.kind == "decimal":
        if target.precision is None:
            return Mapping(source, declared, "widening")
        whole = target.precision - (target.scale or 0)
        return Mapping(source, declared, "lossy", "fewer digits", "", (f"digits:{whole}",))
    if source.is_integer and target.kind in ("float32", "float64"):
        most = _DOUBLE_INTEGERS if target.kind == "float64" else _FLOAT_INTEGERS
        return _ranged(source, -most, most, declared)
    if source.kind == "decimal" and target.kind == "decimal":
        return _decimal(source, target, declared)
    if source.kind == "bool" and target.is_integer:
        return Mapping(source, declared, "widening", "stored as 0 and 1", "integer")
    if source.kind == "float32" and target.kind == "float64":
        return Mapping(source, declared, "widening")
    if source.kind == target.kind and source.kind in ("timestamp", "instant", "time", "timetz"):
        return _clock(source, target, declared)
    if target.kind == "text":
        return _text(source, target, declared, chosen)
    if source.kind == "bytes" and target.kind == "bytes":
        limit = (f"octets:{target.length}",) if target.length is not None else ()
        return Mapping(source, declared, "lossy" if limit else "exact", "", "", limit)
    if target.kind == "json" and source.kind in ("json", "list", "struct", "map"):
        kept = ("json_unique_keys", "no_nul") if target.normalised and not source.normalised else ()
        if source.kind != "json":
            made = as_json(source, item)
            if made.loss == "unsupported":
                return replace(made, target_type=declared)
            of_documents = item.types.cells["json"].guards
            kept = (*kept, *(guard for guard in made.guards if guard not in of_documents))
        return Mapping(source, declared, "widening", "stored as JSON", "json", kept)
    if source.kind == "json" and target.kind in ("struct", "map", "list"):
        return Mapping(source, declared, "lossy", f"{source} does not fit {declared}")
    return Mapping(source, declared, "lossy", f"{source} does not fit {declared}")


def narrowed(
    source: CanonicalType, target: CanonicalType, declared: str, dialect: str
) -> tuple[str, ...] | None:
    """What a column's declaration asks of values besides its canonical type; None if it changes them by itself."""
    name = contract(dialect).name
    if target.fixed and target.kind == "text" and name != "sqlite":
        return ("unpadded",) if source.kind in ("text", "enum", "json") and not source.fixed else ()
    if target.fixed and target.kind == "bytes":
        return (f"octets_exactly:{target.length}",)
    if name == "mysql":
        return _mysql(declared.lower())
    if contract(dialect).family == "postgres-like":
        return _postgres(source, declared)
    if name == "clickhouse":
        return _clickhouse(declared)
    if name == "sqlite" and makes_numbers(declared):
        if target.kind in ("text", "json"):
            return ("no_number",)
        if source.is_integer and target.kind == "decimal":  # beyond 64 bits it makes a double
            return (f"range:{-(1 << 63)}..{(1 << 63) - 1}",)
        return (f"digits:{_SQLITE_DIGITS}",) if source.kind == target.kind == "decimal" else ()
    if name == "duckdb" and declared.startswith("TIMESTAMP_NS"):
        return (_NANOSECONDS,)
    if name == "duckdb" and source.kind == "list" and (sized := re.search(r"\[(\d+)\]$", declared)):
        return (f"items:{sized[1]}",)
    return ()


def _mysql(declared: str) -> tuple[str, ...] | None:
    if re.match(r"(float|double|real)[^(]*\(\d+,", declared):
        return None
    if declared.startswith("mediumint") and "unsigned" not in declared:
        return ("range:-8388608..8388607",)
    if declared.startswith("mediumint"):
        return ("range:0..16777215",)
    if declared.startswith("year"):
        return ("range:1901..2155",)
    if declared.startswith("timestamp"):
        return ("seconds:1..2147483647",)
    if "unsigned" in declared and declared.startswith(("decimal", "float", "double")):
        return ("not_negative",)
    return ()


def _clickhouse(declared: str) -> tuple[str, ...] | None:
    base = declared
    while match := re.fullmatch(r"(?:Nullable|LowCardinality|Array)\((.*)\)", base, re.DOTALL):
        base = match[1]
    word = base.partition("(")[0]
    if word == "JSON":
        return None
    if base == "DateTime64(9)" or base.startswith("DateTime64(9,"):
        return ("seconds:-2208988800..9223372035",)  # from 1900 on
    guard = {
        "Date": "seconds:0..5662224000",
        "DateTime": "seconds:0..4294967295",
        "Int256": f"range:{-(1 << 255)}..{(1 << 255) - 1}",
        "UInt256": f"range:0..{(1 << 256) - 1}",
    }.get(word)
    return (guard,) if guard else ()


def _postgres(source: CanonicalType, declared: str) -> tuple[str, ...]:
    if declared.startswith('"char"'):
        return ("json_octets:1" if source.is_nested else "octets:1",)
    shifted = re.match(r"(?:numeric|decimal)\((\d+),\s*(-?\d+)\)", declared)
    if shifted is None:
        return ()
    precision, scale = int(shifted[1]), int(shifted[2])
    if scale < 0:  # numeric(5,-2) has hundreds only
        return (f"scale:{scale}",)
    return (f"whole:{precision - scale}",) if scale > precision else ()  # numeric(3,5): below a hundredth


def makes_numbers(declared: str) -> bool:
    """Whether SQLite makes a number of a text that looks like one in a column declared so (its rules of affinity)."""
    upper = declared.upper()
    if "INT" in upper:
        return True
    return bool(upper) and not any(word in upper for word in ("CHAR", "CLOB", "TEXT", "BLOB"))


def _interval(source: CanonicalType, target: CanonicalType, declared: str) -> Mapping:
    if target.name not in ("", "day to second", source.name):
        return Mapping(source, declared, "lossy", f"{declared} leaves out the other fields")
    if target.precision in (None, 6) or (
        source.precision is not None and source.precision <= (target.precision or 0)
    ):
        return Mapping(source, declared, "widening")
    return Mapping(
        source, declared, "lossy", "fewer digits of a second", "", (f"fraction:{target.precision}",)
    )


def _same(one: CanonicalType, other: CanonicalType) -> bool:
    if one == other:
        return True
    if one.kind != other.kind or one.is_nested or one.kind in ("unknown", "decimal", "enum"):
        return False
    if one.kind in ("timestamp", "instant", "time", "timetz"):
        return (6 if one.precision is None else one.precision) == (
            6 if other.precision is None else other.precision
        )
    if one.kind == "interval":
        return False  # other fields, or another precision
    if one.kind in ("text", "bytes", "bit"):
        return one.length == other.length and one.unit == other.unit
    return one.kind != "json" or one.normalised == other.normalised


def _ranged(source: CanonicalType, low: int, high: int, declared: str) -> Mapping:
    least, greatest = integer_range(source.kind)
    if low <= least and greatest <= high:
        return Mapping(source, declared, "widening")
    return Mapping(source, declared, "lossy", "a smaller range", "", (f"range:{low}..{high}",))


def _decimal(source: CanonicalType, target: CanonicalType, declared: str) -> Mapping:
    if target.precision is None and target.scale is None:
        return Mapping(source, declared, "widening")
    if target.precision is None:
        if source.scale != target.scale:  # its text is its own, and 1.00 is not that of a whole number
            return Mapping(source, declared, "lossy", f"{declared} has whole numbers only")
        return Mapping(source, declared, "widening", "", "", ("finite",))
    scale = target.scale or 0
    whole = target.precision - scale
    guards = ["finite"]
    if source.precision is None or source.precision - (source.scale or 0) > whole:
        guards.append(f"whole:{whole}")
    if source.precision is None or (source.scale or 0) > scale:
        guards.append(f"scale:{scale}")
    loss: tuple[str, str] = ("widening", "") if len(guards) == 1 else ("lossy", "fewer digits")
    return Mapping(
        source, declared, "lossy" if loss[0] == "lossy" else "widening", loss[1], "", tuple(guards)
    )


def _clock(source: CanonicalType, target: CanonicalType, declared: str) -> Mapping:
    have = 6 if source.precision is None else source.precision
    room = 6 if target.precision is None else target.precision
    if have <= room:
        return Mapping(source, declared, "widening")
    return Mapping(source, declared, "lossy", "fewer digits of a second", "", (f"fraction:{room}",))


def _text(source: CanonicalType, target: CanonicalType, declared: str, chosen: Mapping) -> Mapping:
    guards: list[str] = [guard for guard in chosen.guards if guard == "no_nul"]
    if target.length is not None:
        # Of a list, an engine's own text is not the JSON that is stored.
        kind = "json_" if source.is_nested else ""
        guards.append(f"{kind}{'octets' if target.unit == 'bytes' else 'chars'}:{target.length}")
    cast: Cast = "text"
    if source.kind == "text":
        shorter = target.length is not None and (source.length is None or source.length > target.length)
        return Mapping(source, declared, "lossy" if shorter else "widening", "", "", tuple(guards))
    if source.kind in ("json", "list", "struct", "map"):
        cast = "json"
    if any(leaf.kind in ("unknown", "bytes") for leaf in source.leaves()):
        return Mapping(source, declared, "unsupported", "no text form we can vouch for", "text")
    return Mapping(source, declared, "widening", "stored as text", cast, tuple(guards))
