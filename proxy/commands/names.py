"""What a name of a branch, table or datasource may be, and the four merge strategies.

A name is stored in Unicode's NFC form, so that two spellings which look the same are the same branch.
Characters nobody can see (controls, zero-width, direction marks) are refused: people read
branch lists.
"""

from __future__ import annotations

import unicodedata

from branching.errors import BoughError

LONGEST_NAME = 63  # bytes of UTF-8, as Postgres' NAMEDATALEN - 1
STRATEGIES = ("abort", "branch_wins", "main_wins", "manual")
STRATEGY_ALIASES = {"target_wins": "main_wins"}
RESOLUTIONS = ("branch", "target", "base")

_INVISIBLE = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half a character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def check_name(name: str, what: str = "name", *, position: int | None = None) -> str:
    """``name`` in NFC, or 42602 where it cannot be a name."""
    normal = unicodedata.normalize("NFC", name)
    hint = f"A {what} has 1 to {LONGEST_NAME} bytes of UTF-8 and only visible characters."
    if not normal.strip():
        raise BoughError(
            "42602",
            f"the {what} is empty",
            hint=hint,
            position=position,
            detail="A name has at least one character.",
        )
    for character in normal:
        reason = _INVISIBLE.get(unicodedata.category(character))
        if reason:
            raise BoughError(
                "42602",
                f"the {what} {_shown(normal)} contains {reason}",
                detail=f"The character is U+{ord(character):04X}.",
                hint=hint,
                position=position,
            )
    size = len(normal.encode())
    if size > LONGEST_NAME:
        raise BoughError(
            "42602",
            f"the {what} {_shown(normal)} is too long",
            detail=f"It has {size} bytes.",
            hint=hint,
            position=position,
        )
    return normal


def check_strategy(strategy: str, *, position: int | None = None) -> str:
    """One of the four strategies, its alias resolved, or 22023."""
    folded = strategy.strip().lower()
    folded = STRATEGY_ALIASES.get(folded, folded)
    if folded not in STRATEGIES:
        raise BoughError(
            "22023",
            f"unknown merge strategy {_shown(strategy)}",
            hint=f"The strategies are {', '.join(STRATEGIES)}.",
            position=position,
            detail="A strategy says who wins a conflict.",
        )
    return folded


def check_choice(value: str, choices: tuple[str, ...], what: str, *, position: int | None = None) -> str:
    """One of ``choices`` in lower case, or 22023 that lists them."""
    folded = value.strip().lower()
    if folded not in choices:
        raise BoughError(
            "22023",
            f"unknown {what} {_shown(value)}",
            hint=f"Choose one of {', '.join(choices)}.",
            position=position,
            detail="There is a fixed set of them.",
        )
    return folded


def _shown(name: str) -> str:
    """``name`` in quotes, what cannot be seen escaped, a long one cut."""
    visible = "".join(
        character if unicodedata.category(character) not in _INVISIBLE else f"\\u{ord(character):04x}"
        for character in name[:LONGEST_NAME]
    )
    return f'"{visible}…"' if len(name) > LONGEST_NAME else f'"{visible}"'
