"""DuckDB expressions that put a value's text into COPY's text and CSV formats.

Rules:

1. They take the text form of a value (``duckdb_forms.text_form``) and give the field as it stands in its line, NULLs
   included: the result is never NULL.
2. Most values need no escape, so they are looked at once before anything is replaced; types whose text never has a
   special character are not even looked at.

https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/commands/copyto.c
"""

from __future__ import annotations

from branching.engine.base import CopyForm
from branching.names import literal

from .duckdb_forms import split_type

# Text of these has digits, letters and the characters of ``_INSIDE`` only.
_HARMLESS = frozenset(
    {
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
    }
    | {"UHUGEINT", "BIGNUM", "FLOAT", "DOUBLE", "DECIMAL", "DECIMAL WITHOUT WHOLE DIGITS", "UUID", "BIT"}
    | {
        "DATE",
        "TIME",
        "TIME_NS",
        "TIME WITH TIME ZONE",
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
    }
    | {"TIMESTAMP WITH TIME ZONE", "INTERVAL"}
)
_INSIDE = frozenset("+-.: ")
_CONTROL = {8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}


def copy_form(type_text: str, text: str, copy: CopyForm, *, force: bool, alone: bool) -> str:
    """The field for a value of type ``type_text`` whose text form is ``text``.

    ``force``: it is quoted whatever it holds. ``alone``: it is the only column.
    """
    null = literal(copy.null)
    base, depth = split_type(type_text)
    marks = copy.delimiter + (copy.quote if copy.format == "csv" else "")
    harmless = (
        not depth and base in _HARMLESS and not any(mark in _INSIDE or mark.isalnum() for mark in marks)
    )
    if copy.format == "csv":
        return f"coalesce({_csv(text, copy, force=force, alone=alone, harmless=harmless)}, {null})"
    return f"coalesce({text if harmless else _text(text, copy)}, {null})"


def _class(characters: str) -> str:
    """A regular expression for one of these characters, as an SQL literal."""
    return literal("[" + "".join(f"\\x{ord(char):02x}" for char in characters) + "]")


def _text(x: str, copy: CopyForm) -> str:
    escaped = f"replace({x}, '\\', '\\\\')"
    for code, letter in _CONTROL.items():
        escaped = f"replace({escaped}, chr({code}), '\\{letter}')"
    if ord(copy.delimiter) not in _CONTROL:
        mark = literal(copy.delimiter)
        escaped = f"replace({escaped}, {mark}, {literal(chr(92) + copy.delimiter)})"
    special = _class("\\" + copy.delimiter + "".join(map(chr, _CONTROL)))
    return f"CASE WHEN regexp_matches({x}, {special}) THEN {escaped} ELSE {x} END"


def _csv(x: str, copy: CopyForm, *, force: bool, alone: bool, harmless: bool) -> str:
    inside = x
    for mark in dict.fromkeys((copy.escape, copy.quote)):
        inside = f"replace({inside}, {literal(mark)}, {literal(copy.escape + mark)})"
    quote = literal(copy.quote)
    quoted = f"({quote} || {inside} || {quote})"
    if force:
        return quoted
    tests = [f"{x} = {literal(copy.null)}"]
    if alone:
        tests.append(f"{x} = '\\.'")
    if not harmless:
        tests.append(f"regexp_matches({x}, {_class(copy.delimiter + copy.quote + chr(10) + chr(13))})")
    elif copy.null == "":
        return x  # no such value has an empty text
    return f"CASE WHEN {' OR '.join(tests)} THEN {quoted} ELSE {x} END"
