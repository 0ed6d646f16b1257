"""Casts: type names the engine lacks, ``varchar(n)``, array literals, ``reg*`` names, booleans as text.

``'{1,2}'::int[]`` becomes a list (DuckDB cannot read Postgres' array text), ``'t'::regclass`` a call of
``to_regclass`` which the catalog answers, ``x::varchar(3)`` keeps three characters, ``'12:00+02'::timetz`` gets the
seconds that the engine asks for.
"""

from __future__ import annotations

import re

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.array_text import parse_array
from proxy.sql.interval_text import engine_text
from proxy.sql.json_text import last_members
from proxy.sql.macros import call, function
from proxy.sql.numbers import check_number
from proxy.sql.type_names import D, engine_type, named
from proxy.types.calendar import offset_text
from proxy.zones import ABBREVIATIONS

_REG = {
    "regclass": "to_regclass",
    "regtype": "to_regtype",
    "regproc": "to_regproc",
    "regprocedure": "to_regproc",
    "regnamespace": "to_regnamespace",
    "regrole": "to_regrole",
}
_CLOCK = re.compile(
    r"\s*(\d{1,2}):(\d\d)(:\d\d(?:\.\d+)?)?\s*(?:(Z|UTC|GMT)|([+-])(\d{1,2})(?::?(\d\d))?(:\d\d)?)\s*",
    re.IGNORECASE,
)
_SIGN = re.compile(
    r"([+-])\s+(?=[\d.])"
)  # '1 month - 1 day': the engine wants a sign and its number together
_NUMBERS = {
    D.SMALLINT: "smallint", D.INT: "integer", D.BIGINT: "bigint", D.FLOAT: "real", D.DOUBLE: "double precision",
}  # fmt: skip
_TEXTS = (D.TEXT, D.VARCHAR, D.CHAR, D.BPCHAR, D.NCHAR, D.NAME)


def types(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> types(sqlglot.parse_one("SELECT 'abc'::varchar(2)", read="postgres")).sql("duckdb")
    "SELECT LEFT(CAST('abc' AS TEXT), 2)"
    """
    for node in reversed(list(tree.find_all(exp.Cast))):
        new = _cast(node)
        if new is not node:
            if node is tree:
                tree = new
            else:
                node.replace(new)
    for bits in list(tree.find_all(exp.BitString, exp.HexString)):
        if bits.parent is not None:
            bits.replace(_bits(bits))
    for interval in tree.find_all(exp.Interval):
        if isinstance(interval.this, exp.Literal) and interval.this.is_string:
            interval.this.set("this", _SIGN.sub(r"\1", interval.this.name))
    for frame in tree.find_all(exp.WindowSpec):
        for key in ("start", "end"):
            bound = frame.args.get(
                key
            )  # RANGE BETWEEN '7 days' PRECEDING …: the engine does not guess the type
            if isinstance(bound, exp.Literal) and bound.is_string and not bound.name.strip().isdecimal():
                text = exp.Literal.string(engine_text(bound.name))
                frame.set(key, exp.cast(text, "INTERVAL", dialect="duckdb"))
    for column in tree.find_all(exp.ColumnDef):
        if isinstance(column.args.get("kind"), exp.DataType) and "declared" not in column.meta:
            column.set("kind", engine_type(column.args["kind"]))
    return tree


def _cast(node: exp.Cast) -> exp.Expr:
    to, value = node.to, node.this
    known = isinstance(to, exp.DataType) and isinstance(to.this, exp.DType)
    name = (named(to) or "" if known else to.name).lower()
    if name in _REG:
        return _registered(name, value)
    if not known and name in ("oid", "xid", "cid"):
        return exp.cast(value.copy(), "BIGINT", dialect="duckdb")
    if not known:
        raise BoughError("42704", f'type "{to.sql("postgres").lower()}" does not exist')
    if to.this in (D.ARRAY, D.LIST) and isinstance(value, exp.Literal) and value.is_string:
        return _array(value.name, node)
    if to.this == D.INTERVAL and to.args.get("unit"):
        raise BoughError("0A000", "interval with a field restriction is not supported")
    length = _length(to)
    literal_text = isinstance(value, exp.Literal) and value.is_string
    if literal_text and to.this in (D.TIMESTAMP, D.TIMESTAMPTZ, D.DATE, D.TIMESTAMPNTZ):
        if (special := _SPECIAL.get(value.name.strip().lower())) is not None:
            value = special.copy()
        elif (moment := _plain_moment(value.name)) is not None:
            value = exp.Literal.string(moment)
        elif to.this != D.TIMESTAMPTZ and ENDS_IN_WORD.fullmatch(value.name):
            value = call("moment_text", value)
    elif literal_text and to.this == D.BOOLEAN:
        if value.name.strip().lower() in ("on", "off"):
            value = exp.Literal.string("true" if value.name.strip().lower() == "on" else "false")
    elif literal_text and to.this == D.JSONB:
        value = exp.Literal.string(last_members(value.name) or value.name)
    elif literal_text and to.this == D.INTERVAL:
        value = exp.Literal.string(engine_text(value.name))
    elif literal_text and to.this in (D.TIME, D.TIMETZ):
        value = exp.Literal.string(clock_text(value.name) or value.name)
    elif literal_text and to.this in (D.VARBINARY, D.BINARY, D.BLOB):
        return _bytes(value.name)
    elif literal_text and to.this in _NUMBERS and not isinstance(node, exp.TryCast):
        check_number(value.name, _NUMBERS[to.this])
    node.set("this", value)
    node.set("to", engine_type(to))
    precision = _precision(to)
    if precision is not None:
        return call("places", node.copy(), exp.Literal.number(precision)) if precision < 6 else node
    return node if length is None else function("left", node.copy(), exp.Literal.number(length))


def _bits(node: exp.Expr) -> exp.Expr:
    """``B'101'`` and ``X'1F'`` are strings of bits, where the engine has a number and bytes."""
    digits = node.name
    if isinstance(node, exp.HexString):
        digits = "".join(f"{int(digit, 16):04b}" for digit in digits)
    return exp.cast(exp.Literal.string(digits), "BIT", dialect="duckdb")


def clock_text(text: str) -> str | None:
    """A time with an offset as the engine reads it; None for any other text.

    >>> clock_text("9:30 -5")
    '09:30:00-05:00'
    """
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute, second, _, sign, hours, minutes, seconds = found.groups()
    offset = f"{sign}{hours:0>2}:{minutes or '00'}{seconds or ''}" if sign else "+00"
    return f"{hour:0>2}:{minute}{second or ':00'}{offset}"


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = re.compile(
    r"(?:(?P<d>\d{1,2})[ -])?(?P<m>[A-Za-z]{3,9})[ -](?:(?P<e>\d{1,2}),? +)?(?P<y>\d{4})(?P<rest> +\d.*)?"
)
_PACKED = re.compile(r"(?P<y>\d{4})(?P<n>\d\d)(?P<d>\d\d)(?P<rest>[ T]\d.*)?")
_SLASHED = re.compile(r"(?P<n>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?P<rest> +\d.*)?")
ERA = re.compile(
    r"\s*(?P<date>\d{4,6}-\d\d?-\d\d?)(?P<time>[ T]\d\d?:[\d:.]+)?(?P<zone> *(?:[+-]\d\d?(?::?\d\d){0,2}|Z|UTC|GMT)?)"
    r"\s*(?P<era>BC|AD)\s*",
    re.IGNORECASE,
)
# a time and a zone's name, or AM and PM
ENDS_IN_WORD = re.compile(r"\s*(\d{4,6}-\d\d?-\d\d?[ T])(\d\d?)(:[\d:.]+) ?([A-Za-z][\w/+-]+)\s*")
_OFFSET = re.compile(r"(\d{4}-\d\d?-\d\d?[ T][\d:.]+) +([+-]\d\d(?::?\d\d)?)")


def _plain_moment(text: str) -> str | None:
    """A date or time in one of Postgres' other spellings, in the engine's; None for any other text.

    >>> _plain_moment("Jan 5, 2024"), _plain_moment("20240105"), _plain_moment("1/5/2024 10:00")
    ('2024-01-05', '2024-01-05', '2024-01-05 10:00')
    """
    text = text.strip()
    if found := ERA.fullmatch(text):
        era = " (BC)" if found["era"].upper() == "BC" else ""
        zone = found["zone"].strip()
        time = (found["time"] or "").replace("T", " ").replace("t", " ")
        return f"{found['date']}{era}{time}{' ' * zone.isalpha()}{zone}"
    if found := _OFFSET.fullmatch(text):
        return found[1] + found[2]
    if (found := ENDS_IN_WORD.fullmatch(text)) and (word := found[4].upper()):
        hour = int(found[2])
        if word in ("AM", "PM") and 0 < hour < 13:
            return f"{found[1]}{hour % 12 + 12 * (word == 'PM'):02}{found[3]}"
        minutes = ABBREVIATIONS.get(word)
        return None if minutes is None else f"{found[1]}{found[2]}{found[3]}{offset_text(minutes * 60)}"
    found = _PACKED.fullmatch(text) or _SLASHED.fullmatch(text) or _NAMED.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    name = (parts.get("m") or "").lower()
    month = _MONTHS.index(name[:3]) + 1 if name[:3] in _MONTHS else int(parts.get("n") or 0)
    day = parts.get("d") or parts.get("e")
    if not month or not day or (parts.get("d") and parts.get("e")):
        return None
    return f"{parts['y']}-{month:02}-{int(day):02}{parts['rest'] or ''}"


_SPECIAL: dict[str, exp.Expr] = {
    "now": exp.CurrentTimestamp(),
    "today": exp.CurrentDate(),
    "tomorrow": exp.Add(this=exp.CurrentDate(), expression=exp.Literal.number(1)),
    "yesterday": exp.Sub(this=exp.CurrentDate(), expression=exp.Literal.number(1)),
}


def _length(to: exp.DataType) -> int | None:
    if to.this not in _TEXTS or not to.expressions:
        return 1 if to.this == D.CHAR and named(to) is None and not to.expressions else None
    return int(to.expressions[0].name)


def _precision(to: exp.DataType) -> int | None:
    return int(to.expressions[0].name) if to.this in (D.TIMESTAMP, D.TIMESTAMPTZ) and to.expressions else None


def _registered(name: str, value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Literal) and value.is_string and not value.name.isdecimal():
        return function(_REG[name], value.copy())
    if isinstance(value, exp.Literal):
        return exp.cast(value.copy(), "BIGINT", dialect="duckdb")
    return function(_REG[name], value.copy())


def _array(text: str, node: exp.Cast) -> exp.Expr:
    parsed = parse_array(text)
    node.set("this", parsed)
    node.set("to", engine_type(node.to))
    return node


def _bytes(text: str) -> exp.Expr:
    """A bytea literal, hex or escape form, as a BLOB."""
    if text.startswith("\\x"):
        digits = "".join(text[2:].split())
        try:
            data = bytes.fromhex(digits)
        except ValueError:
            raise BoughError("22023", "invalid hexadecimal data")
    else:
        data = _unescape(text)
    return function("unhex", exp.Literal.string(data.hex()))


def _unescape(text: str) -> bytes:
    out, at = bytearray(), 0
    raw = text.encode()
    while at < len(raw):
        if raw[at] != 0x5C:
            out.append(raw[at])
            at += 1
        elif raw[at + 1 : at + 2] == b"\\":
            out.append(0x5C)
            at += 2
        elif (digits := raw[at + 1 : at + 4]).isdigit() and len(digits) == 3:
            out.append(int(digits, 8) & 0xFF)
            at += 4
        else:
            raise BoughError("22P02", "invalid input syntax for type bytea")
    return bytes(out)
