"""``to_char``, ``to_date``, ``to_timestamp``, ``to_number`` with literal patterns.

A pattern of dates becomes a ``strftime`` format; a pattern of numbers becomes arguments of a macro. A pattern
that is no literal, or that holds something neither knows, is refused with ``0A000``.
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.macros import call, function

_DATE = (
    ("FMMonth", "%B"), ("FMDay", "%A"), ("FMMON", None), ("FMDD", "%-d"), ("FMMM", "%-m"), ("FMHH24", "%-H"),
    ("FMHH12", "%-I"), ("FMHH", "%-I"), ("FMMI", "%-M"), ("FMSS", "%-S"), ("FMDDD", "%-j"),
    ("YYYY", "%Y"), ("IYYY", "%G"), ("YY", "%y"), ("HH24", "%H"), ("HH12", "%I"), ("HH", "%I"), ("MI", "%M"),
    ("SS", "%S"), ("MS", "%g"), ("US", "%f"), ("AM", "%p"), ("PM", "%p"), ("Mon", "%b"), ("MM", "%m"),
    ("DDD", "%j"), ("DD", "%d"), ("Dy", "%a"), ("ID", "%u"), ("IW", "%V"), ("TZ", "%Z"), ("TMMonth", "%B"),
    ("TMMon", "%b"), ("TMDay", "%A"), ("OF", None), ("WW", None), ("Month", None), ("Day", None), ("D", None),
    ("Q", None), ("J", None), ("MONTH", None), ("month", None), ("MON", None), ("mon", None), ("DAY", None),
    ("am", None), ("pm", None), ("CC", None), ("W", None), ("SSSS", None), ("RM", None), ("BC", None),
    ("AD", None), ("DY", None), ("dy", None), ("FM", ""), ("TH", None), ("th", None), ("Y,YYY", None),
)  # fmt: skip
_ORDERED = sorted(_DATE, key=lambda pair: -len(pair[0]))
_NUMBER = re.compile(r"^(FM)?(S|MI)?([09,]*)(?:[.D]([09]*))?$")


def _pattern(name: str, argument: exp.Expr) -> str:
    if not (isinstance(argument, exp.Literal) and argument.is_string):
        raise BoughError(
            "0A000", f"{name}() needs a literal pattern", hint="Write the pattern as a constant."
        )
    return argument.name


def date_format(pattern: str, name: str) -> str:
    """
    >>> date_format('YYYY-MM-DD"T"HH24:MI:SS', "to_char")
    '%Y-%m-%dT%H:%M:%S'
    """
    out, at = [], 0
    while at < len(pattern):
        if pattern[at] == '"':
            end = pattern.find('"', at + 1)
            end = len(pattern) if end < 0 else end
            out.append(pattern[at + 1 : end].replace("%", "%%"))
            at = end + 1
            continue
        for key, form in _ORDERED:
            same_case = pattern.startswith(key, at)
            numeric = form is not None and form[-1:] in "YGymdHIMSfgjuV" and form != ""
            if same_case or (
                numeric and pattern[at : at + len(key)].upper() == key.upper() and key.isupper()
            ):
                if form is None:
                    raise BoughError("0A000", f'{name}() pattern "{key}" is not supported')
                out.append(form)
                at += len(key)
                break
        else:
            if pattern[at].isalnum():
                raise BoughError("0A000", f'{name}() pattern "{pattern[at:]}" is not supported')
            out.append("%%" if pattern[at] == "%" else pattern[at])
            at += 1
    return "".join(out)


def to_char(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_char(value, pattern)``."""
    if len(arguments) != 2:
        raise BoughError("42883", "function to_char() takes a value and a pattern")
    value, pattern = arguments[0], _pattern("to_char", arguments[1])
    if (match := _NUMBER.match(pattern)) and re.search("[09]", pattern):
        return _number(value, *match.groups())
    return _moment(value, pattern)


_WORDS = {"Month": "%B", "Mon": "%b", "Day": "%A", "Dy": "%a"}
# a field that strftime has not, as an expression of the value: {} stands for it
_FIELDS = {
    "Q": "date_part('quarter', {})::VARCHAR",
    "WW": "lpad(((date_part('doy', {}) - 1) // 7 + 1)::VARCHAR, 2, '0')",
    "W": "((date_part('day', {}) - 1) // 7 + 1)::VARCHAR",
    "D": "(date_part('dow', {}) + 1)::VARCHAR",
    "CC": "lpad(date_part('century', {})::VARCHAR, 2, '0')",
    "SSSS": "(date_part('hour', {}) * 3600 + date_part('minute', {}) * 60 + date_part('second', {}))::VARCHAR",
    "J": "date_part('julian', {}::DATE)::BIGINT::VARCHAR",
    "YYY": "right(strftime({}, '%Y'), 3)",
    "Y": "right(strftime({}, '%Y'), 1)",
    "OF": "strftime({}, '%z')",
    "TZH": "left(strftime({}, '%z'), 3)",
}
_FIELDS["SSSSS"] = _FIELDS["SSSS"]
_FOUND = re.compile(
    r'"[^"]*"?|(?:FM|fm)(?:MONTH|Month|month|DAY|Day|day|MON|mon)|SSSSS?|MONTH|Month|month|MON|mon|DAY|Day|day|DY|dy|YYYY|IYYY'
    r"|YYY|YY|Y(?!,)|HH24|HH12|HH|AM|PM|am|pm|WW|IW|ID|CC|TZH|TZ|OF|DDD|DD|MI|MM|MS|SS|US|Q|W|D|J|."
)


def _moment(value: exp.Expr, pattern: str) -> exp.Expr:
    """Of a time: what strftime knows in one call, the other fields beside it."""
    parts: list[exp.Expr] = []
    plain = ""
    for piece in _FOUND.findall(pattern):
        other = _other_field(value, piece)
        if other is None:
            plain += piece
            continue
        parts += [_strftime(value, plain)] if plain else []
        parts, plain = [*parts, other], ""
    if plain or not parts:
        parts.append(_strftime(value, plain))
    whole = parts[0]
    for part in parts[1:]:
        whole = exp.DPipe(this=whole, expression=part)
    return whole if len(parts) == 1 else exp.Paren(this=whole)


def _strftime(value: exp.Expr, pattern: str) -> exp.Expr:
    return function("strftime", value.copy(), exp.Literal.string(date_format(pattern, "to_char")))


def _other_field(value: exp.Expr, piece: str) -> exp.Expr | None:
    if piece in _FIELDS:
        return sqlglot.parse_one(_FIELDS[piece].replace("{}", value.sql("duckdb")), read="duckdb")
    word = piece.removeprefix("FM").removeprefix("fm")
    form = _WORDS.get(word.capitalize())
    if piece in ("am", "pm"):
        return function("lower", function("strftime", value.copy(), exp.Literal.string("%p")))
    if form is None or word in ("Mon", "Dy") or (word in _WORDS and piece != word):
        return None
    said = function("strftime", value.copy(), exp.Literal.string(form))
    if piece == word and len(form) == 2 and form in ("%B", "%A"):
        said = function("rpad", said, exp.Literal.number(9), exp.Literal.string(" "))
    return said if word in _WORDS else function("upper" if word.isupper() else "lower", said)


def _number(
    value: exp.Expr, fill: str | None, sign: str | None, whole: str, fraction: str | None
) -> exp.Expr:
    if sign:
        raise BoughError("0A000", "to_char() signs S and MI are not supported", hint="Use || for the sign.")
    digits = whole.replace(",", "")
    zeros = len(digits) - digits.index("0") if "0" in digits else 0
    decimals = len(fraction or "")
    width = 0 if fill else len(whole) + 1 + (decimals + 1 if fraction is not None else 0)
    numbers = [exp.Literal.number(decimals), exp.Boolean(this="," in whole), exp.Literal.number(width),
               exp.Literal.number(zeros), exp.Literal.number(len(digits))]  # fmt: skip
    hashes = re.sub(r"\d", "#", whole) + (f".{'#' * decimals}" if fraction is not None else "")
    shown = call("number_shown", value, *numbers, exp.Literal.string(hashes))
    nines = decimals - len((fraction or "").rstrip("9"))
    if not fill or not nines:
        return shown
    return call("number_trimmed", shown, exp.Literal.string(f"0{{1,{nines}}}$"))


def _read(pattern: str) -> str:
    """Names are read whatever their letters."""
    return re.sub(
        r"MONTH|Month|month", "FMMonth", re.sub(r"(?<![A-Za-z])(?:MON|mon)(?![A-Za-z])", "Mon", pattern)
    )


def to_date(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_date(text, pattern)``."""
    text = date_format(_read(_pattern("to_date", arguments[1])), "to_date")
    return exp.cast(function("strptime", arguments[0], exp.Literal.string(text)), "DATE", dialect="duckdb")


def to_timestamp(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_timestamp(seconds)`` and ``to_timestamp(text, pattern)``."""
    if len(arguments) == 1:
        return function("to_timestamp", arguments[0])
    text = date_format(_read(_pattern("to_timestamp", arguments[1])), "to_timestamp")
    parsed = function("strptime", arguments[0], exp.Literal.string(text))
    return exp.cast(parsed, "TIMESTAMPTZ", dialect="duckdb")


def to_number(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_number(text, pattern)`` of digits, commas and a point."""
    pattern = _pattern("to_number", arguments[1])
    match = _NUMBER.match(pattern)
    if match is None or match.group(2):
        raise BoughError("0A000", f'to_number() pattern "{pattern}" is not supported')
    plain = function("replace", arguments[0], exp.Literal.string(","), exp.Literal.string(""))
    return exp.cast(plain, f"DECIMAL(38,{len(match.group(4) or '')})", dialect="duckdb")
