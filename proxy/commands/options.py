"""``(name value, …)`` lists: what follows WITH, SET and OPTIONS.

A value is a string, a number, a word, or nothing (then it is true); ``=`` or ``=>`` may stand between.
Which options a command has is a table from name to converter; the converters here are that table's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from branching.errors import BoughError
from proxy.units import parse_duration

from .names import check_choice
from .reader import Reader
from .tokens import Token

Converter = Callable[[str, int | None], Any]
_TRUE = frozenset({"true", "on", "yes", "1", "t", "y"})
_FALSE = frozenset({"false", "off", "no", "0", "f", "n"})


def read_options(reader: Reader, known: Mapping[str, Converter], command: str) -> dict[str, Any]:
    """The options at the reader, converted; unknown and repeated ones are refused."""
    values: dict[str, Any] = {}
    for name, value in read_pairs(reader):
        if name.value not in known:
            raise BoughError(
                "42601",
                f'unrecognized {command} option "{name.value}"',
                hint=f"The options are {', '.join(known)}.",
                position=name.start + 1,
                detail=f"{command} takes options of its own.",
            )
        if name.value in values:
            raise BoughError(
                "42601",
                f'option "{name.value}" is given twice',
                hint=f"The form is: {reader.form}" if reader.form else None,
                position=name.start + 1,
                detail="Which of them counts is not to be guessed.",
            )
        values[name.value] = known[name.value](value.value, value.start + 1)
    return values


def read_pairs(reader: Reader) -> list[tuple[Token, Token]]:
    """``(name value, …)`` as tokens; a missing value is the word ``true``."""
    pairs = []
    reader.expect_symbol("(")
    while True:
        name = reader.take()
        if name.kind not in ("word", "quoted"):
            raise reader.error(name)
        if not reader.accept_symbol("="):
            reader.accept_symbol("=>")
        pairs.append((name, _value(reader)))
        if not reader.accept_symbol(","):
            break
    reader.expect_symbol(")")
    return pairs


def _value(reader: Reader) -> Token:
    if reader.at_symbol(",") or reader.at_symbol(")"):
        return Token("word", "true", "", reader.peek().start)
    token = reader.take()
    if token.kind == "symbol" and token.value == "-" and reader.peek().kind == "number":
        number = reader.take()
        return Token("number", "-" + number.value, "-" + number.raw, token.start)
    if token.kind == "number":
        unit = reader.peek()
        if unit.kind == "word" and unit.start == token.end:  # 24h, without quotes
            reader.take()
            return Token("string", token.value + unit.value, token.raw + unit.raw, token.start)
    if token.kind not in ("word", "quoted", "string", "number"):
        raise reader.error(token)
    return token


def boolean(value: str, position: int | None = None) -> bool:
    folded = value.strip().lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise BoughError(
        "22023",
        f'"{value}" is not a boolean',
        hint="Write true or false.",
        position=position,
        detail="The option is on or off.",
    )


def text(value: str, position: int | None = None) -> str:
    if len(value) > 4096 or "\x00" in value:
        raise BoughError(
            "22023",
            "the text is longer than 4096 characters",
            position=position,
            detail=f"It has {len(value)}, or a NUL among them.",
            hint="Shorten it.",
        )
    return value


def optional_text(value: str, position: int | None = None) -> str | None:
    return None if value.lower() in ("none", "null") else text(value, position)


def ttl(value: str, position: int | None = None) -> timedelta | None:
    """A duration; NONE never expires."""
    if value.strip().lower() in ("none", "null", "never", "infinity"):
        return None
    try:
        duration = parse_duration(value)
    except ValueError as reason:
        raise BoughError(
            "22023",
            f"bad ttl: {reason}",
            hint="Write '30m', '24h', '7d', or NONE.",
            position=position,
            detail="A ttl is how long a branch lives after its last use.",
        ) from None
    if not duration:
        raise BoughError(
            "22023",
            "a ttl must be longer than zero",
            hint="ttl NONE keeps a branch.",
            position=position,
            detail="A branch would be gone as soon as it is made.",
        )
    return duration


def count(value: str, position: int | None = None) -> int:
    if not value.isdecimal() or len(value) > 18:
        raise BoughError(
            "22023",
            f'"{value}" is not a whole number',
            position=position,
            detail="It is a number of things, from 0 on.",
            hint="Write digits only: limit 100.",
        )
    return int(value)


def runs(value: str, position: int | None = None) -> int:
    number = count(value, position)
    if not 1 <= number <= 1000:
        raise BoughError(
            "22023",
            "runs must be between 1 and 1000",
            position=position,
            detail="Each run makes the whole result on each branch.",
            hint="WITH (runs 5) is enough for a median.",
        )
    return number


def tolerance(value: str, position: int | None = None) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise BoughError(
            "22023",
            f'"{value}" is not a tolerance',
            hint="Write a number such as 1e-9.",
            position=position,
            detail="It is how far apart equal floats may be.",
        )
    return number


def choice(*choices: str) -> Converter:
    """A converter that takes one of ``choices``."""

    def convert(value: str, position: int | None = None) -> str:
        return check_choice(value, choices, "value", position=position)

    return convert
