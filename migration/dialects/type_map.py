"""From a source's type to a target's, and what that costs.

The four losses, and what a planner does with each:

- ``exact``: every value arrives and the target's type means the same.
- ``widening``: every value arrives; the target's type admits more, or is a text or JSON form of the value.
- ``lossy``: some values change or do not fit. With ``guards`` a planner may go on after a profile of the
  source
  shows that no value breaks them; without guards only the user may allow it.
- ``unsupported``: no form we can vouch for. ``target_type`` is then what an explicit AS TEXT would use.

Guards also stand beside exact mappings, for values a type admits and the target does not:

``finite`` no NaN, no infinity (of a value's members ``finite_numbers``, ``finite_moments``) · ``no_nan`` ·
``no_nul`` no NUL character · ``year:a..b`` years within · ``time:0..24`` within a day, the end included
(``time:0..<24`` excluded) · ``fraction:n`` no digit of a second after the n-th · ``digits:n`` at most n digits ·
``octets:n`` at most n bytes of UTF-8 or data (``json_octets:n``, ``json_chars:n`` of the JSON of a list) ·
``some_bits`` no empty bit string · ``one_of:[…]`` one of an enum's values (``members``) · ``no_null`` no NULL ·
``no_null_inside`` no NULL list, map or struct in another · ``json_unique_keys`` no object repeats a key ·
``json_double`` every JSON number survives as a 64-bit integer or double · ``no_json_null`` no part is JSON's null.

``cast`` is what the source must produce: ``text`` its canonical text, ``json`` JSON text, ``utc`` the wall
clock in
UTC, ``integer`` 0 or 1, ``uuid_text`` 36 lower-case characters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from migration.dialects import contract
from migration.dialects.base import Cast, Cell, DialectContract, Loss, at_least
from migration.dialects.type_names import parse_type
from migration.types import KINDS, CanonicalType, list_of, map_of, of, struct, text

_ORDER: tuple[Loss, ...] = ("exact", "widening", "lossy", "unsupported")
_PARAMETERS = ("decimal", "text", "list", "struct", "map", "unknown")
UTF8_BYTES = 4  # the most one character takes


@dataclass(frozen=True, slots=True)
class Mapping:
    """One column's way into a target. ``source`` is the canonical type read from the source's spelling."""

    source: CanonicalType
    target_type: str
    loss: Loss
    reason: str = ""
    cast: Cast = ""
    guards: tuple[str, ...] = ()

    @property
    def is_safe(self) -> bool:
        """True if every value survives, guards aside."""
        return self.loss in ("exact", "widening")


def map_type(
    source_dialect: str, type_: str | CanonicalType, target_dialect: str, version: str | None = None
) -> Mapping:
    """How ``type_`` of one dialect is written in another; ``version`` is the target's, None = newest.

    >>> map_type("duckdb", "HUGEINT", "mysql").target_type
    'DECIMAL(39,0)'
    """
    target = contract(target_dialect)
    if isinstance(type_, CanonicalType):
        return map_canonical(type_, target, version)
    source = parse_type(type_, source_dialect)
    origin = contract(source_dialect)
    if origin.supported and target.supported:
        # ClickHouse's own JSON drops nulls and the order of keys of what is loaded; a String does not.
        loses = origin.name == "clickhouse" and source.kind == "json"
        if origin.name == target.name and not loses:
            return same_type(source, type_.strip(), target, "the same dialect")
        if origin.spellings is target.spellings and source.kind == "unknown":
            return Mapping(source, type_.strip(), "exact", f"{target.name} has the same type")
    return map_canonical(source, target, version)


def same_type(source: CanonicalType, declared: str, target: DialectContract, reason: str) -> Mapping:
    """A type of the target's own, which holds its own values, if their texts tell them."""
    for leaf in source.leaves():
        if leaf.kind == "unknown" and leaf.name in target.types.untold:
            cell, what = target.types.cells["unknown"], leaf.name.upper()
            return Mapping(
                source,
                cell.target,
                "unsupported",
                f"the text of a {what} does not say of which type its value is",
                "text",
            )
    return Mapping(source, declared, "exact", reason)


def map_canonical(source: CanonicalType, target: DialectContract, version: str | None = None) -> Mapping:
    """How a canonical type is written in ``target``."""
    kind = source.kind
    for changed, since, before in target.types.earlier:
        if changed == kind and version is not None and not at_least(version, since):
            return _from_cell(source, before)
    if kind == "decimal":
        return _decimal(source, target)
    if kind == "text":
        return _text(source, target)
    if kind in target.types.clocks:
        return _clock(source, target)
    if source.is_nested:
        return _nested(source, target, version)
    if kind == "json" and source.normalised and "jsonb" in target.types.cells:
        return _from_cell(source, target.types.cells["jsonb"])
    if kind == "bytes" and source.length is not None:
        return _sized_bytes(source, target)
    cell = target.types.cells[kind]
    if kind == "enum" and source.name and "{" not in cell.target:
        return _from_cell(source, replace(cell, target=target.types.text.unbounded))
    if kind == "bit" and source.length is not None and cell.loss == "exact" and target.name != "duckdb":
        template = "bit({n})" if source.fixed else "bit varying({n})"
        return _from_cell(source, replace(cell, target=template.format(n=source.length)))
    if kind == "bit" and (source.length is not None or source.fixed) and cell.loss == "exact":
        return _from_cell(source, replace(cell, loss="widening", reason="the length is not enforced"))
    return _from_cell(source, cell)


def type_hints(dialect: str, version: str | None = None) -> dict[str, str]:
    """Kind to preferred type with the reason, for people and models who write DDL by hand."""
    target = contract(dialect)
    samples: dict[str, CanonicalType] = {kind: of(kind) for kind in KINDS if kind not in _PARAMETERS}
    samples |= {
        kind: replace(samples[kind], precision=6) for kind in ("time", "timetz", "timestamp", "instant")
    }
    samples |= {
        "text": text(),
        "text(n)": text(100),
        "decimal(p,s)": CanonicalType("decimal", precision=18, scale=4),
        "decimal unbounded": CanonicalType("decimal"),
        "list": list_of(of("int64")),
        "struct": struct(("a", of("int64"))),
        "map": map_of(text(), of("int64")),
    }
    hints = {}
    for name, sample in samples.items():
        mapping = map_canonical(sample, target, version)
        notes = [mapping.reason] if mapping.reason else []
        notes += [f"only if {guard}" for guard in mapping.guards]
        hints[name] = mapping.target_type + (f" ({mapping.loss}: {'; '.join(notes)})" if notes else "")
    return hints


def type_matrix(
    source_dialect: str, target_dialect: str, version: str | None = None
) -> list[tuple[str, str, str, str]]:
    """Every type name of one dialect with its target, loss and note, as SHOW TYPE MAPPING shows them.

    Names that need parameters are read with the dialect's defaults.
    """
    rows: list[tuple[str, str, str, str]] = []
    for name, entry in contract(source_dialect).spellings.items():
        if "(" in name or (not isinstance(entry, CanonicalType) and _needs_members(name)):
            continue
        mapping = map_type(source_dialect, name, target_dialect, version)
        notes = [mapping.reason, *(f"only if {guard}" for guard in mapping.guards)]
        rows.append((name, mapping.target_type, mapping.loss, "; ".join(note for note in notes if note)))
    return rows


def _needs_members(name: str) -> bool:
    members = (
        "array",
        "map",
        "struct",
        "row",
        "tuple",
        "nested",
        "list",
        "enum",
        "set",
        "nullable",
        "lowcardinality",
    )
    return name.startswith((*members, "simpleaggregate"))


def _from_cell(source: CanonicalType, cell: Cell) -> Mapping:
    most = 255 if source.length is None else source.length
    longest = max((len(value) for value in source.values), default=most) or 1
    octets = max((len(value.encode()) for value in source.values), default=UTF8_BYTES * most) or 1
    target = cell.target.replace("{chars}", str(longest)).replace("{octets}", str(octets))
    return Mapping(source, target, cell.loss, cell.reason, cell.cast, cell.guards)


def _decimal(source: CanonicalType, target: DialectContract) -> Mapping:
    rule = target.types.decimal
    if source.precision is None:
        return _from_cell(source, rule.unbounded)
    precision, scale = source.precision, source.scale or 0
    loss: Loss = "exact"
    reason = ""
    if not 0 <= scale <= precision and target.family != "postgres-like":
        # PostgreSQL's numeric(2,-3) holds 99000, its numeric(3,5) holds 0.00999.
        precision, scale = (precision - scale, 0) if scale < 0 else (scale, scale)
        loss, reason = "widening", "scale outside 0..precision is PostgreSQL's alone"
    for max_precision, max_scale, template in (
        (rule.max_precision, rule.max_scale, rule.template),
        *rule.wider,
    ):
        # A target such as NUMERIC(38,9) limits the digits before the point too: 29 of them.
        whole = max_precision - max_scale if rule.wider else max_precision
        if precision <= max_precision and scale <= max_scale and precision - scale <= whole:
            # PostgreSQL's numeric also holds NaN and infinity; no other DECIMAL does.
            guards = () if target.spellings is contract("postgres").spellings else ("finite",)
            return Mapping(source, template.format(p=precision, s=scale), loss, reason, "", guards)
    return _from_cell(source, rule.wide)


def _text(source: CanonicalType, target: DialectContract) -> Mapping:
    rule = target.types.text
    length = source.length
    if length is None:
        if rule.cap is None:
            return Mapping(source, rule.unbounded, "exact", guards=rule.guards)
        octets = f"octets:{rule.cap}"
        loss: Loss = "exact" if rule.cap >= 1 << 24 else "lossy"
        return Mapping(source, rule.unbounded, loss, f"holds {rule.cap:,} bytes", "", (octets, *rule.guards))
    if source.fixed and rule.fixed and source.unit == "chars":
        return Mapping(source, rule.fixed.format(n=length), "exact", guards=rule.guards)
    needed = length * UTF8_BYTES if rule.unit == "bytes" and source.unit == "chars" else length
    if rule.bounded and 0 < needed <= rule.max_length:
        same = rule.unit == source.unit and not source.fixed
        reason = "" if same else f"{length} {source.unit} need at most {needed} {rule.unit}"
        if source.fixed:
            reason = "padding of char(n) is not kept"
        return Mapping(
            source, rule.bounded.format(n=needed), "exact" if same else "widening", reason, "", rule.guards
        )
    if rule.cap is None or rule.cap >= length * (UTF8_BYTES if source.unit == "chars" else 1):
        return Mapping(source, rule.unbounded, "widening", "the length is not enforced", "", rule.guards)
    guards = (f"octets:{rule.cap}", *rule.guards)
    return Mapping(source, rule.unbounded, "lossy", f"holds {rule.cap:,} bytes", "", guards)


def _sized_bytes(source: CanonicalType, target: DialectContract) -> Mapping:
    cell = target.types.cells["bytes"]
    caps = [int(guard.removeprefix("octets:")) for guard in cell.guards if guard.startswith("octets:")]
    length = source.length or 0
    if cell.loss == "lossy" and caps and length <= caps[0]:
        cell = replace(cell, loss="widening", reason="the length is not enforced", guards=())
    elif cell.loss == "exact":
        cell = replace(cell, loss="widening", reason="the length is not enforced")
    return _from_cell(source, cell)


def _clock(source: CanonicalType, target: DialectContract) -> Mapping:
    rule = target.types.clocks[source.kind]
    if source.kind == "time" and rule.cast != "text" and target.name != "mysql":
        # MySQL's TIME runs to 838 hours; PostgreSQL and DuckDB count 24:00:00 in.
        inclusive = target.name in ("postgres", "greenplum", "duckdb")
        rule = replace(rule, guards=(*rule.guards, "time:0..24" if inclusive else "time:0..<24"))
    precision = 6 if source.precision is None else source.precision
    if precision <= rule.max_precision:
        named = "{p}" in rule.template
        same = named or precision == rule.max_precision or rule.cast == "text"
        loss: Loss = rule.loss if same or rule.loss != "exact" else "widening"
        reason = rule.reason or ("" if same else f"always {rule.max_precision} digits of a second")
        return Mapping(source, rule.template.format(p=precision), loss, reason, rule.cast, rule.guards)
    if rule.finer and precision <= 9:
        return Mapping(
            source, rule.finer, "exact" if precision == 9 else "widening", "", rule.cast, rule.guards
        )
    most = 9 if rule.finer else rule.max_precision
    reason = f"holds {most} digits of a second, not {precision}"
    guards = (f"fraction:{most}", *rule.guards)
    return Mapping(source, rule.finer or rule.template.format(p=most), "lossy", reason, rule.cast, guards)


def _nested(source: CanonicalType, target: DialectContract, version: str | None) -> Mapping:
    table = target.types
    template = {"list": table.list, "map": table.map, "struct": table.struct}[source.kind]
    if not template:
        return as_json(source, target)
    if source.kind == "list" and not table.nested_lists and source.element and source.element.kind == "list":
        return as_json(source, target)
    children = [part for part in (source.key, source.element, *(type_ for _, type_ in source.fields)) if part]
    mapped = [map_canonical(child, target, version) for child in children]
    # A member that needs a cast of its own cannot be cast in place; the whole value goes as JSON then.
    # An enum's is none: its values are texts on their way.
    cast = [mapping.cast for mapping in mapped if mapping.source.kind != "enum"]
    if any(cast) or any(mapping.loss == "unsupported" for mapping in mapped):
        return as_json(source, target)
    if table.nullable and source.kind != "list" and any(leaf.kind == "bytes" for leaf in source.leaves()):
        return as_json(source, target)  # its strings are bytes, but members travel as JSON
    if (
        not table.nested_lists
        and any(mapping.source.is_nested for mapping in mapped)
        and source.kind == "list"
    ):
        struct_in_list = source.element is not None and source.element.kind == "struct" and bool(table.struct)
        if not struct_in_list:
            return as_json(source, target)
    if source.kind == "struct":
        quote = target.identifiers.quoted
        written = ", ".join(
            table.struct_field.format(name=quote(name), type=_member(mapping, target))
            for (name, _), mapping in zip(source.fields, mapped, strict=True)
        )
        spelled = template.format(fields=written)
    elif source.kind == "map":
        spelled = template.format(key=mapped[0].target_type, element=_member(mapped[1], target))
    else:
        spelled = template.format(element=_member(mapped[0], target))
    worst: Loss = max((mapping.loss for mapping in mapped), key=_ORDER.index, default="exact")
    reasons = dict.fromkeys(mapping.reason for mapping in mapped if mapping.reason)
    guards = dict.fromkeys(
        _of_member(guard, mapping.source, source) for mapping in mapped for guard in mapping.guards
    )
    if table.nullable:
        guards["no_null"] = (
            None  # such an engine has no NULL list, map or struct: it would become an empty one
        )
        if any(child.is_nested for child in children):
            guards["no_null_inside"] = None
    if _has_map(source):
        guards["json_unique_keys"] = None  # ClickHouse's maps are lists of pairs, DuckDB's are not
    return Mapping(source, spelled, worst, "; ".join(reasons), "", tuple(guards))


def _has_map(type_: CanonicalType) -> bool:
    parts = [part for part in (type_.element, *(of for _, of in type_.fields)) if part]
    return type_.kind == "map" or any(_has_map(part) for part in parts)


def _member(mapping: Mapping, target: DialectContract) -> str:
    """A member's type; members may be NULL wherever they come from."""
    if mapping.source.is_nested or not target.types.nullable:
        return mapping.target_type
    return nullable_type(mapping.target_type, target)


def nullable_type(type_: str, target: DialectContract) -> str:
    """A type that takes NULL, of an engine whose types do not; within ClickHouse's LowCardinality."""
    if not type_.startswith("LowCardinality("):
        return target.types.nullable.format(type=type_)
    inner = type_.removeprefix("LowCardinality(").removesuffix(")")
    return f"LowCardinality({target.types.nullable.format(type=inner)})"


def _of_member(guard: str, member: CanonicalType, whole: CanonicalType) -> str:
    """A guard said of a whole value: what must be finite are its moments, or its numbers, not the other members."""
    if guard != "finite" or member.is_nested or len(whole.leaves()) == 1:
        return guard
    return "finite_moments" if member.is_temporal else "finite_numbers"


def as_json(source: CanonicalType, target: DialectContract) -> Mapping:
    """How a list, map or struct is written as JSON in ``target``."""
    cell = target.types.json
    kinds = {leaf.kind for leaf in source.leaves()}
    if "bytes" in kinds or "unknown" in kinds:
        what = "bytes" if "bytes" in kinds else "a type we have no meaning for"
        return Mapping(
            source, cell.target, "unsupported", f"JSON has no form for {what}", "json", cell.guards
        )
    guards = list(cell.guards)
    if kinds & {"float32", "float64"}:
        guards.append(_of_member("finite", of("float64"), source))  # JSON has neither NaN nor infinity
    if any(leaf.kind == "json" and not leaf.normalised for leaf in source.leaves()) or _has_map(source):
        guards += target.types.cells["json"].guards
    if not target.types.json_decimals and kinds & {"decimal", "int128", "uint64", "uint128"}:
        reason = f"{target.name}'s JSON keeps these numbers as DOUBLE"
        return Mapping(source, cell.target, "lossy", reason, "json", (*guards, "json_double"))
    return Mapping(source, cell.target, cell.loss, cell.reason, "json", tuple(dict.fromkeys(guards)))
