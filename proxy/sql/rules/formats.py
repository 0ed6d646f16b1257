"""``to_char``, ``to_date``, ``to_timestamp``, ``to_number`` with literal patterns.

A pattern of dates becomes a ``strftime`` format; a pattern of numbers becomes arguments of a macro. A pattern
that is no literal, or that holds something neither knows, is refused with ``0A000``.
"""

from __future__ import annotations

import re

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
    if match := _NUMBER.match(pattern):
        return _number(value, *match.groups())
    return function("strftime", value, exp.Literal.string(date_format(pattern, "to_char")))


def _number(
    value: exp.Expr, fill: str | None, sign: str | None, whole: str, fraction: str | None
) -> exp.Expr:
    if sign:
        raise BoughError("0A000", "to_char() signs S and MI are not supported", hint="Use || for the sign.")
    if fill and fraction and "9" in fraction:
        raise BoughError("0A000", "to_char() with FM and 9 after the point is not supported", hint="Use 0.")
    digits = whole.replace(",", "")
    zeros = len(digits) - digits.index("0") if "0" in digits else 0
    decimals = len(fraction or "")
    width = 0 if fill else len(whole) + 1 + (decimals + 1 if fraction is not None else 0)
    numbers = [exp.Literal.number(decimals), exp.Boolean(this="," in whole), exp.Literal.number(width),
               exp.Literal.number(zeros)]  # fmt: skip
    return call("number_text", value, *numbers)


def to_date(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_date(text, pattern)``."""
    text = date_format(_pattern("to_date", arguments[1]), "to_date")
    return exp.cast(function("strptime", arguments[0], exp.Literal.string(text)), "DATE", dialect="duckdb")


def to_timestamp(arguments: list[exp.Expr]) -> exp.Expr:
    """``to_timestamp(seconds)`` and ``to_timestamp(text, pattern)``."""
    if len(arguments) == 1:
        return function("to_timestamp", arguments[0])
    text = date_format(_pattern("to_timestamp", arguments[1]), "to_timestamp")
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
