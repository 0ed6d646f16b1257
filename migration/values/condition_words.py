"""What is said of values that break a condition (``conditions``)."""

from __future__ import annotations

from datetime import datetime, timedelta

from migration.dialects import contract
from migration.dialects.quoting import quote_text
from migration.values.members import listed


def in_words(guard: str) -> str:
    """What is wrong with a value that breaks ``guard``: "… are …"."""
    word, _, argument = guard.partition(":")
    low, _, high = argument.partition("..")
    plain = {
        "finite": "NaN or infinite",
        "finite_moments": "infinite",
        "finite_numbers": "NaN or infinite",
        "no_nan": "NaN",
        "no_nul": "with a NUL character",
        "no_null": "NULL",
        "no_json_null": "with the null of JSON inside",
        "no_null_inside": "with a NULL list, map or struct inside",
        "unpadded": "with blanks at their end",
        "no_number": "texts that the column would take for numbers",
        "not_negative": "below zero",
        "some_bits": "of no bits at all",
        "calendar": "no dates of the calendar",
        "json_unique_keys": "no JSON, or objects that repeat a key",
        "json_double": "numbers beyond a 64-bit integer or double",
        "uuid": "no uuids",
        "utf8": "that are no UTF-8",
        "well_formed": "no JSON",
        "dimensions": "arrays of more than one dimension, or not counted from 1",
    }
    if word in plain:
        return plain[word]
    if word in ("whole", "scale") and argument.startswith("-"):
        return f"not below 1E{argument}" if word == "whole" else f"no multiples of 1E{argument[1:]}"
    if word == "one_of":
        return f"none of {listed(argument)}"
    if word == "seconds":
        return f"outside the years {_year(low)} to {_year(high)}"
    return {
        "year": f"outside the years {low} to {high}",
        "time": "outside a day of 24 hours",
        "fraction": f"finer than {argument} digits of a second",
        "digits": f"longer than {argument} digits",
        "whole": f"longer than {argument} digits before the point",
        "scale": f"longer than {argument} digits behind the point",
        "items": f"of another length than {argument}",
        "octets_exactly": f"of another length than {argument} bytes",
        "json_octets": f"whose JSON is longer than {argument} bytes",
        "json_chars": f"whose JSON is longer than {argument} characters",
        "octets": f"longer than {argument} bytes",
        "chars": f"longer than {argument} characters",
        "range": f"outside {low} to {high}",
        "charset": f"with characters that {argument} lacks",
        "held": f"that {argument} cannot hold",
    }.get(word, f"against {quote_text(guard, contract('duckdb'))}")


def _year(seconds: str) -> int:
    return (datetime(1970, 1, 1) + timedelta(seconds=int(seconds))).year
