"""The macros that the rules call: ``MACRO_SCHEMA`` and the statements that make them.

The engine installs ``MACROS`` once, in a schema (or an attached in-memory database) of this name that no user
can write. They hold no state and call each other by their qualified names only.
"""

from __future__ import annotations

import re
from importlib import resources

from sqlglot import exp

MACRO_SCHEMA = "bough_fn"


def _read() -> tuple[str, ...]:
    text = resources.files("proxy.sql").joinpath("macros.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*$", "", text, flags=re.MULTILINE).replace("bough_fn.", f"{MACRO_SCHEMA}.")
    return tuple(part.strip() for part in re.split(r";\n", text) if part.strip())


MACROS: tuple[str, ...] = _read()
MACRO_NAMES = frozenset(re.findall(r"MACRO \w+\.(\w+)", "\n".join(MACROS)))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of the macros."""
    if name not in MACRO_NAMES:
        raise KeyError(name)
    return exp.Dot(
        this=exp.to_identifier(MACRO_SCHEMA), expression=exp.Anonymous(this=name, expressions=list(arguments))
    )


def function(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a function of the engine, not read again by sqlglot."""
    return exp.Anonymous(this=name, expressions=list(arguments))
