"""DuckDB expressions that give values the form Postgres puts on the wire.

For a column of an engine type, ``text_form`` is an expression of type VARCHAR and ``binary_form`` one of type
BLOB; both are NULL where the value is. They agree byte for byte with the Postgres output functions.

Rules:

1. The common case is the cheap branch of a CASE; the rare one (years BC, infinities, exponents) may cost.
2. ``(x::BIT)::BLOB`` is the big-endian form of every integer and float type.
3. A type without an expression of its own is cast to VARCHAR, in both formats, as an unknown type is text.
4. ``wire`` names the Postgres type a client was told where that is not the engine type's own: ``jsonb`` has a
   version byte, an ``oid`` four bytes although the engine keeps it in eight.

https://github.com/postgres/postgres/tree/REL_15_STABLE/src/backend/utils/adt
"""

from __future__ import annotations

import re

_FRACTION = "DECIMAL WITHOUT WHOLE DIGITS"
_BARE = (38, 10)  # a numeric of no stated scale: the zeros that the fixed scale adds are not shown
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)", re.IGNORECASE)
_ARRAY = re.compile(r"(.*)\[\d*\]\Z", re.DOTALL)

# Postgres' OIDs of array elements, which the binary form of an array names.
_OID = {
    "BOOLEAN": 16,
    "BLOB": 17,
    "BIGINT": 20,
    "UINTEGER": 20,
    "TINYINT": 21,
    "SMALLINT": 21,
    "UTINYINT": 21,
    "INTEGER": 23,
    "USMALLINT": 23,
    "FLOAT": 700,
    "DOUBLE": 701,
    "DATE": 1082,
    "TIME": 1083,
    "TIME_NS": 1083,
    "TIMESTAMP": 1114,
    "TIMESTAMP_S": 1114,
    "TIMESTAMP_MS": 1114,
    "TIMESTAMP_NS": 1114,
    "TIMESTAMP WITH TIME ZONE": 1184,
    "INTERVAL": 1186,
    "TIME WITH TIME ZONE": 1266,
    "BIT": 1562,
    "UUID": 2950,
    **dict.fromkeys(("DECIMAL", _FRACTION, "HUGEINT", "UHUGEINT", "UBIGINT", "BIGNUM"), 1700),
    **dict.fromkeys(("JSON", "STRUCT", "MAP", "UNION", "VARIANT"), 114),
}
_WIRE_OID = {"jsonb": 3802, "oid": 26, "name": 19, "char": 18, "varchar": 1043, "bpchar": 1042}
# Where a client was told one of these, the engine's integer is narrowed to its four or two bytes.
_FOUR_BYTES = frozenset(
    {"oid", "xid", "regproc", "regprocedure", "regclass", "regtype", "regnamespace", "regrole"}
)
_WIRE_INTEGER = {"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT"}
_INTEGERS = {
    "TINYINT": "SMALLINT",
    "UTINYINT": "SMALLINT",
    "SMALLINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "INTEGER": "INTEGER",
    "UINTEGER": "BIGINT",
    "BIGINT": "BIGINT",
}
_JSON = frozenset({"JSON", "STRUCT", "MAP", "UNION", "VARIANT"})
_NUMERIC = frozenset({"DECIMAL", _FRACTION, "HUGEINT", "UHUGEINT", "UBIGINT", "BIGNUM"})
_UNQUOTED = frozenset(_INTEGERS) | _NUMERIC | {"BOOLEAN", "FLOAT", "DOUBLE", "UUID", "TIME", "BIT"}
_TIMESTAMPS = frozenset(
    {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
)

NULL_SIZE = r"'\xFF\xFF\xFF\xFF'::BLOB"


def split_type(type_text: str) -> tuple[str, int]:
    """An engine type's innermost base (without its parameters) and how many times it is a list."""
    depth, text = 0, type_text.strip()
    while found := _ARRAY.match(text):
        depth, text = depth + 1, found[1]
    base = text.partition("(")[0].strip().upper()
    width, scale = _width(text)
    return (_FRACTION if base == "DECIMAL" and width == scale else base), depth


def _width(type_text: str) -> tuple[int, int]:
    """Width and scale of a DECIMAL; 39 digits (more than there are) where they are not known."""
    found = _DECIMAL.match(type_text.strip())
    return (int(found[1]), int(found[2])) if found else (39, 0)


def size_form(length: str) -> str:
    """Four big-endian bytes of an integer expression; ``bough_sizes`` holds those of 0 to 255."""
    return (
        f"CASE WHEN {length} < 256 THEN getvariable('bough_sizes')[{length} + 1] "
        f"ELSE ({length})::INTEGER::BIT::BLOB END"
    )


# -- text


def _float_text(x: str, limit: int) -> str:
    """Postgres has no ``.0`` and writes an exponent from 1e+``limit`` on, DuckDB from 1e+16 on."""
    shown = f"(({x})::VARCHAR)"
    # The exponent of what DuckDB writes out in full is where its point stands.
    digits = f"rtrim(replace(abs({x})::VARCHAR, '.', ''), '0')"
    scientific = (
        f"concat(CASE WHEN {x} < 0 THEN '-' ELSE '' END, {digits}[1], "
        f"CASE WHEN strlen({digits}) > 1 THEN concat('.', {digits}[2:]) ELSE '' END, "
        f"'e+', lpad((strpos(abs({x})::VARCHAR, '.') - 2)::VARCHAR, 2, '0'))"
    )
    # Looking at the number costs half of looking at its text for the ``.0``.
    return (
        f"CASE WHEN abs({x}) < 1e{limit} AND {x} <> trunc({x}) THEN {shown} "
        f"WHEN abs({x}) < 1e{limit} AND {x} <> 0 THEN ({x})::BIGINT::VARCHAR "
        f"WHEN {x} = 0 THEN CASE WHEN signbit({x}) THEN '-0' ELSE '0' END "
        f"WHEN isnan({x}) THEN 'NaN' "
        f"WHEN isinf({x}) THEN CASE WHEN {x} > 0 THEN 'Infinity' ELSE '-Infinity' END "
        f"WHEN abs({x}) < 1e16 THEN {scientific} ELSE {shown} END"
    )


def _interval_parts(x: str) -> tuple[str, str, str]:
    months = f"(datepart('year', {x}) * 12 + datepart('month', {x}))"
    micros = (
        f"(datepart('hour', {x}) * 3600000000 + datepart('minute', {x}) * 60000000"
        f" + datepart('microsecond', {x}))"
    )
    return months, f"datepart('day', {x})", micros


def _interval_text(x: str) -> str:
    _, days, micros = _interval_parts(x)
    words = []
    for part, unit in (("year", "year"), ("month", "mon")):
        number = f"datepart('{part}', {x})"
        words.append(
            f"CASE WHEN {number} <> 0 THEN "
            f"concat({number}, ' {unit}', CASE WHEN {number} = 1 THEN '' ELSE 's' END) END"
        )
    before_days = f"(datepart('year', {x}) < 0 OR datepart('month', {x}) < 0)"
    words.append(
        f"CASE WHEN {days} <> 0 THEN concat(CASE WHEN {days} > 0 AND {before_days} THEN '+' ELSE '' END, "
        f"{days}, ' day', CASE WHEN {days} = 1 THEN '' ELSE 's' END) END"
    )
    before_time = f"({days} < 0 OR ({days} = 0 AND {before_days}))"
    words.append(
        f"CASE WHEN {micros} <> 0 OR {x} = INTERVAL '0 seconds' THEN concat(CASE WHEN {micros} < 0 THEN '-' "
        f"WHEN {before_time} THEN '+' ELSE '' END, to_microseconds(abs({micros}))::VARCHAR) END"
    )
    return f"CASE WHEN {x} IS NULL THEN NULL ELSE concat_ws(' ', {', '.join(words)}) END"


def _era(x: str, first: str) -> str:
    """Postgres writes BC at the end, DuckDB behind the date."""
    shown = f"({x})::VARCHAR"
    return (
        f"CASE WHEN {x} >= {first} THEN {shown} "
        f"WHEN contains({shown}, ' (BC)') THEN concat(replace({shown}, ' (BC)', ''), ' BC') ELSE {shown} END"
    )


def _base_text(base: str, x: str) -> str:
    if base == "BOOLEAN":
        return f"CASE WHEN {x} THEN 't' WHEN NOT {x} THEN 'f' END"
    if base in ("FLOAT", "DOUBLE"):
        return _float_text(x, 6 if base == "FLOAT" else 15)
    if base == "BLOB":
        return f"'\\x' || lower(hex({x}))"
    if base == "DATE":
        return _era(x, "DATE '0001-01-01'")
    if base == "TIMESTAMP_NS":
        return f"({x})::TIMESTAMP::VARCHAR"
    if base == "TIME_NS":
        return f"({x})::TIME::VARCHAR"
    if base == "TIMESTAMP WITH TIME ZONE":
        return _era(x, "TIMESTAMPTZ '0001-01-02 00:00:00+00'")
    if base in _TIMESTAMPS:
        return _era(x, "TIMESTAMP '0001-01-01'")
    if base == "INTERVAL":
        return _interval_text(x)
    if base == _FRACTION:
        # DuckDB leaves out the zero before the point of a number that has only decimals.
        return f"regexp_replace(({x})::VARCHAR, '^(-?)\\.', '\\10.')"
    if base in ("STRUCT", "MAP", "UNION", "VARIANT"):
        return f"CASE WHEN {x} IS NOT NULL THEN to_json({x})::VARCHAR END"
    return x if base == "VARCHAR" else f"({x})::VARCHAR"


def text_form(type_text: str, x: str) -> str:
    """An expression for the text format of ``x``, an expression of type ``type_text``."""
    base, depth = split_type(type_text)
    if depth:
        return _list_text(base, depth, x)
    if base == "DECIMAL" and _width(type_text) == _BARE:
        return f"rtrim(rtrim(CAST({x} AS VARCHAR), '0'), '.')"
    return _base_text(base, x)


def _list_text(base: str, depth: int, x: str) -> str:
    element = f"e{depth}"
    if depth > 1:
        item = f"coalesce({_list_text(base, depth - 1, element)}, 'NULL')"
    elif base in _UNQUOTED:
        item = f"coalesce({_base_text(base, element)}, 'NULL')"
    else:
        shown = _base_text(base, element)
        quoted = rf"""concat('"', regexp_replace(({shown}), '(["\\])', '\\\1', 'g'), '"')"""
        special = r"""(?i)[\s\x0b{},"\\]|^null$|^$"""
        item = (
            f"CASE WHEN {element} IS NULL THEN 'NULL' "
            f"WHEN regexp_matches(({shown}), '{special}') THEN {quoted} ELSE {shown} END"
        )
    items = f"list_transform({x}, lambda {element}: {item})"
    return f"CASE WHEN {x} IS NOT NULL THEN '{{' || array_to_string({items}, ',') || '}}' END"


# -- binary


def _numeric_binary(type_text: str, x: str) -> str:
    """numeric_send: groups of four digits without zero groups at either end."""
    width, scale = _width(type_text)
    return (
        _short_numeric(scale, x) if width <= 18 and width - scale <= 16 and scale <= 9 else _long_numeric(x)
    )


def _short_numeric(scale: int, x: str) -> str:
    """Four groups before the point and ``after`` behind it, each side packed into one integer.

    With more than nine decimals the engine's own product would overflow.
    """
    after = {0: 0, 1: 1, 2: 2, 3: 4}[-(-scale // 4)]
    whole = f"trunc(abs({x}))::BIGINT"
    decimals = f"((abs({x}) % 1 * {10**scale})::BIGINT * {10 ** (4 * after - scale)})"

    def packed(value: str, groups: int) -> str:
        parts = [
            f"({value} // {10 ** (4 * group)}{' % 10000' if group < groups - 1 else ''} << {16 * group})"
            for group in reversed(range(groups))
        ]
        integer = {1: "SMALLINT", 2: "INTEGER", 4: "BIGINT"}[groups]
        return f"({' | '.join(parts)})::{integer}::BIT::BLOB"

    # How many groups of zeros stand in front and behind.
    heads = [f"{whole} >= {10**power}" for power in (12, 8, 4, 0)]
    heads += [f"{decimals} >= {10 ** (4 * power)}" for power in reversed(range(after))]
    tails = [f"{decimals} % {10 ** (4 * power)} > 0" for power in range(1, after + 1)]
    tails += [f"{whole} % {10 ** (4 * power)} > 0" for power in range(1, 4)]
    front = f"(CASE {' '.join(f'WHEN {test} THEN {at}' for at, test in enumerate(heads))} END)"
    behind = (
        f"(CASE {' '.join(f'WHEN {test} THEN {at}' for at, test in enumerate(tails))} ELSE {after + 3} END)"
    )
    total = 4 + after
    head = (
        f"((({total} - {front} - {behind})::BIGINT << 48) | (((3 - {front}) & 65535)::BIGINT << 32) | "
        f"CASE WHEN {x} < 0 THEN {0x4000 << 16 | scale} ELSE {scale} END)::BIGINT::BIT::BLOB"
    )
    digits = packed(whole, 4) + (f" || {packed(decimals, after)}" if after else "")
    groups = f"({digits})[2 * {front} + 1:{2 * total} - 2 * {behind}]"
    return f"CASE WHEN {x} = 0 THEN unhex('{scale:016x}') WHEN {x} IS NOT NULL THEN {head} || {groups} END"


def _long_numeric(x: str) -> str:
    """Any number of groups, cut out of the number's own text."""
    shown = f"ltrim(({x})::VARCHAR, '-')"
    whole = f"split_part({shown}, '.', 1)"
    decimals = f"split_part({shown}, '.', 2)"
    padded = (
        f"lpad({whole}, ((strlen({whole}) + 3) // 4 * 4)::INTEGER, '0') || "
        f"rpad({decimals}, ((strlen({decimals}) + 3) // 4 * 4)::INTEGER, '0')"
    )
    size = "strlen(n.d)"
    # Zero groups in front and behind; a number that is all zeros has none left and weight 0.
    front = f"(({size} - strlen(ltrim(n.d, '0'))) // 4)"
    behind = f"(({size} - strlen(rtrim(n.d, '0'))) // 4)"
    groups = f"({size} // 4 - {front} - {behind})"
    digits = (
        f"unhex(array_to_string(list_transform(range({front}, {size} // 4 - {behind}), "
        "lambda g: lpad(to_hex(n.d[4 * g + 1:4 * g + 4]::INTEGER), 4, '0')), ''))"
    )
    nothing = "ltrim(n.d, '0') = ''"
    scale = f"strlen({decimals})::SMALLINT::BIT::BLOB"
    filled = (
        f"{groups}::SMALLINT::BIT::BLOB || ((strlen({whole}) + 3) // 4 - 1 - {front})::SMALLINT::BIT::BLOB || "
        rf"CASE WHEN {x} < 0 THEN '\x40\x00'::BLOB ELSE '\x00\x00'::BLOB END || {scale} || {digits}"
    )
    body = rf"CASE WHEN {nothing} THEN '\x00\x00\x00\x00\x00\x00'::BLOB || {scale} ELSE {filled} END"
    # A one-element list gives the padded digits a name inside an expression.
    return f"CASE WHEN {x} IS NOT NULL THEN list_transform([{{'d': {padded}}}], lambda n: {body})[1] END"


def _micros_binary(micros: str, x: str, middle: str) -> str:
    infinite = (
        rf"CASE WHEN {x} > {middle} THEN '\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB "
        rf"ELSE '\x80\x00\x00\x00\x00\x00\x00\x00'::BLOB END"
    )
    return (
        f"CASE WHEN isfinite({x}) THEN ({micros})::BIGINT::BIT::BLOB WHEN {x} IS NOT NULL THEN {infinite} END"
    )


def _base_binary(type_text: str, x: str, wire: str) -> str:
    base = split_type(type_text)[0]
    if base in _INTEGERS:
        target = "UINTEGER" if wire in _FOUR_BYTES else _WIRE_INTEGER.get(wire, _INTEGERS[base])
        return f"({x})::{target}::BIT::BLOB"
    if base == "BOOLEAN":
        return rf"CASE WHEN {x} THEN '\x01'::BLOB WHEN NOT {x} THEN '\x00'::BLOB END"
    if base in ("FLOAT", "DOUBLE"):
        return f"({x})::BIT::BLOB"
    if base in _NUMERIC:
        return _numeric_binary(type_text, x)
    if base == "BLOB":
        return x
    if base == "DATE":
        return (
            f"CASE WHEN isfinite({x}) THEN ({x} - DATE '2000-01-01')::INTEGER::BIT::BLOB "
            rf"WHEN {x} > DATE '2000-01-01' THEN '\x7F\xFF\xFF\xFF'::BLOB "
            rf"WHEN {x} IS NOT NULL THEN '\x80\x00\x00\x00'::BLOB END"
        )
    if base in ("TIME", "TIME_NS"):
        return f"epoch_us(({x})::TIME)::BIT::BLOB"
    if base == "TIME WITH TIME ZONE":
        return f"epoch_us({x})::BIT::BLOB || (-datepart('timezone', {x}))::INTEGER::BIT::BLOB"
    if base == "TIMESTAMP WITH TIME ZONE":
        return _micros_binary(f"epoch_us({x}) - 946684800000000", x, "TIMESTAMPTZ '2000-01-01 00:00:00+00'")
    if base in _TIMESTAMPS:
        x = x if base == "TIMESTAMP" else f"({x})::TIMESTAMP"
        return _micros_binary(f"epoch_us({x}) - 946684800000000", x, "TIMESTAMP '2000-01-01'")
    if base == "INTERVAL":
        months, days, micros = _interval_parts(x)
        return f"{micros}::BIGINT::BIT::BLOB || {days}::INTEGER::BIT::BLOB || {months}::INTEGER::BIT::BLOB"
    if base == "UUID":
        return f"unhex(replace(({x})::VARCHAR, '-', ''))"
    if base == "BIT":
        bits = f"({x})::VARCHAR"
        filled = f"rpad({bits}, ((strlen({bits}) + 7) // 8 * 8)::INTEGER, '0')"
        return f"strlen({bits})::INTEGER::BIT::BLOB || ({filled})::BIT::BLOB"
    if base in _JSON and wire == "jsonb":
        return rf"'\x01'::BLOB || encode({_base_text(base, x)})"
    return f"encode({_base_text(base, x)})"


def binary_form(type_text: str, x: str, wire: str = "") -> str:
    """An expression for the binary format of ``x``, an expression of type ``type_text``."""
    depth = split_type(type_text)[1]
    return _list_binary(type_text, x, wire) if depth else _base_binary(type_text, x, wire)


def _list_binary(type_text: str, x: str, wire: str) -> str:
    base, depth = split_type(type_text)
    wire, element = wire.removeprefix("_"), type_text.strip()
    while found := _ARRAY.match(element):
        element = found[1]
    value = _base_binary(element, "e", wire)
    field = f"coalesce(hex(octet_length({value})::INTEGER::BIT::BLOB || ({value})), 'FFFFFFFF')"
    flat, sizes = f"({x})", [f"len({x})"]
    for level in range(1, depth):
        sizes.append(f"len({x}{'[1]' * level})")
        flat = f"flatten({flat})"
    oid = _WIRE_OID.get(wire, _OID.get(base, 25))
    head = (
        f"({depth})::INTEGER::BIT::BLOB || (list_contains(list_transform({flat}, lambda e: e IS NULL), true)"
    )
    head += f")::INTEGER::BIT::BLOB || ({oid})::INTEGER::BIT::BLOB"
    shape = " || ".join(rf"{size}::INTEGER::BIT::BLOB || '\x00\x00\x00\x01'::BLOB" for size in sizes)
    items = f"unhex(array_to_string(list_transform({flat}, lambda e: {field}), ''))"
    full = f"{head} || {shape} || {items}"
    if depth > 1:
        full = (
            f"CASE WHEN len({flat}) = {' * '.join(sizes)} THEN {full} ELSE "
            "error('multidimensional arrays must have sub-arrays with matching dimensions') END"
        )
    empty = rf"'\x00\x00\x00\x00\x00\x00\x00\x00'::BLOB || ({oid})::INTEGER::BIT::BLOB"
    return f"CASE WHEN {x} IS NULL THEN NULL WHEN len({flat}) = 0 THEN {empty} ELSE {full} END"
