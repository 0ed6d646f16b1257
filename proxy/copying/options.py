"""The options of a COPY, checked as Postgres checks them and in its order.

https://www.postgresql.org/docs/15/sql-copy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from branching.errors import BoughError

Format = Literal["text", "csv", "binary"]
Value = str | bool | tuple[str, ...]

_TRUE = frozenset({"true", "on", "1"})
_FALSE = frozenset({"false", "off", "0"})
# A delimiter that may be part of an escape sequence or of \. would make text ambiguous.
_NOT_DELIMITERS = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789")
_UTF8 = frozenset({"utf8", "utf_8", "utf-8", "unicode"})
_KNOWN = frozenset(
    {"format", "freeze", "delimiter", "null", "header", "quote", "escape", "encoding"}
    | {"force_quote", "force_not_null", "force_null"}
)
_FORCE = {"force_quote": "force quote", "force_not_null": "force not null", "force_null": "force null"}


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """``header`` is ``match`` where the first line must name the columns; ``force_*`` are names, ``*`` is all."""

    format: Format = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    quote: str = '"'
    escape: str = '"'
    header: bool | Literal["match"] = False
    force_quote: tuple[str, ...] = ()
    force_not_null: tuple[str, ...] = ()
    force_null: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The format code of the wire: 1 for binary."""
        return int(self.format == "binary")


def _refuse(message: str, sqlstate: str = "0A000") -> BoughError:
    return BoughError(sqlstate, message)


def _one_byte(value: str) -> bool:
    return len(value.encode()) == 1


def read_options(given: Iterable[tuple[str, Value]], *, from_client: bool) -> CopyOptions:
    """The options as they were written, in their order, or what Postgres says is wrong with them."""
    seen: dict[str, Value] = {}
    for name, value in given:
        if name in seen:
            raise _refuse("conflicting or redundant options", "42601")
        if name not in _KNOWN:
            raise _refuse(f'option "{name}" not recognized', "42601")
        if name == "format" and value not in ("text", "csv", "binary"):
            raise _refuse(f'COPY format "{value}" not recognized', "22023")
        if name in _FORCE and not isinstance(value, tuple):
            raise _refuse(f'argument to option "{name}" must be a list of column names', "22023")
        if name == "encoding" and str(value).lower() not in _UTF8:
            raise BoughError(
                "0A000",
                f'encoding "{value}" is not supported',
                hint="Send and read UTF8 only, or convert it.",
            )
        if name == "freeze":
            _boolean(name, value)  # rows are visible at commit and never need freezing here
        seen[name] = value
    header = _header(seen.get("header", False), from_client)
    options = _with_defaults(seen, header)
    _check(options, seen, from_client)
    return options


def _boolean(name: str, value: Value) -> bool:
    if value is True or (isinstance(value, str) and value.lower() in _TRUE):
        return True
    if value is False or (isinstance(value, str) and value.lower() in _FALSE):
        return False
    raise _refuse(f"{name} requires a Boolean value", "42601")


def _header(value: Value, from_client: bool) -> bool | Literal["match"]:
    if isinstance(value, str) and value.lower() == "match":
        if not from_client:
            raise _refuse('cannot use "match" with HEADER in COPY TO')
        return "match"
    try:
        return _boolean("header", value)
    except BoughError:
        raise _refuse('header requires a Boolean value or "match"', "42601") from None


def _with_defaults(seen: dict[str, Value], header: bool | Literal["match"]) -> CopyOptions:
    form = seen.get("format", "text")
    csv = form == "csv"
    quote = str(seen.get("quote", '"'))

    def names(option: str) -> tuple[str, ...]:
        value = seen.get(option, ())
        return value if isinstance(value, tuple) else ()

    return CopyOptions(
        format="csv" if csv else "binary" if form == "binary" else "text",
        delimiter=str(seen.get("delimiter", "," if csv else "\t")),
        null=str(seen.get("null", "" if csv else "\\N")),
        quote=quote,
        escape=str(seen.get("escape", quote)),
        header=header,
        force_quote=names("force_quote"),
        force_not_null=names("force_not_null"),
        force_null=names("force_null"),
    )


def _check(options: CopyOptions, seen: dict[str, Value], from_client: bool) -> None:
    csv, binary = options.format == "csv", options.format == "binary"
    if binary and "delimiter" in seen:
        raise _refuse("cannot specify DELIMITER in BINARY mode", "42601")
    if binary and "null" in seen:
        raise _refuse("cannot specify NULL in BINARY mode", "42601")
    delimiter = options.delimiter
    if not _one_byte(delimiter):
        raise _refuse("COPY delimiter must be a single one-byte character")
    if delimiter in "\r\n":
        raise _refuse("COPY delimiter cannot be newline or carriage return", "22023")
    if "\r" in options.null or "\n" in options.null:
        raise _refuse("COPY null representation cannot use newline or carriage return", "22023")
    if not csv and delimiter in _NOT_DELIMITERS:
        raise _refuse(f'COPY delimiter cannot be "{delimiter}"', "22023")
    if binary and options.header:
        raise _refuse("cannot specify HEADER in BINARY mode")
    for name in ("quote", "escape"):
        if not csv and name in seen:
            raise _refuse(f"COPY {name} available only in CSV mode")
        if csv and not _one_byte(getattr(options, name)):
            raise _refuse(f"COPY {name} must be a single one-byte character")
        if name == "quote" and csv and delimiter == options.quote:
            raise _refuse("COPY delimiter and quote must be different", "22023")
    for name, words in _FORCE.items():
        if name in seen and not csv:
            raise _refuse(f"COPY {words} available only in CSV mode")
        if name in seen and from_client == (name == "force_quote"):
            raise _refuse(f"COPY {words} only available using COPY {'TO' if from_client else 'FROM'}")
    if delimiter in options.null:
        raise _refuse("COPY delimiter must not appear in the NULL specification")
    if csv and options.quote in options.null:
        raise _refuse("CSV quote character must not appear in the NULL specification")


def check_columns(names: Sequence[str], options: CopyOptions) -> None:
    """FORCE_… may name only columns that are copied."""
    for option, words in (
        ("force_quote", "FORCE_QUOTE"),
        ("force_not_null", "FORCE_NOT_NULL"),
        ("force_null", "FORCE_NULL"),
    ):
        for name in getattr(options, option):
            if name != "*" and name not in names:
                raise BoughError("42P10", f'{words} column "{name}" not referenced by COPY')
