"""The macros that the rules call: ``MACRO_SCHEMA`` and the statements that make them.

The engine installs ``MACROS`` once, in a schema (or an attached in-memory database) of this name that no user
can write. They hold no state and call each other by their qualified names only.
"""

from __future__ import annotations

import re
from importlib import resources

from sqlglot import exp

from branching.engine.base import Cursor

MACRO_SCHEMA = "bough_fn"


def _read() -> tuple[str, ...]:
    text = resources.files("proxy.sql").joinpath("macros.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*$", "", text, flags=re.MULTILINE).replace("bough_fn.", f"{MACRO_SCHEMA}.")
    return tuple(part.strip() for part in re.split(r";\n", text) if part.strip())


MACROS: tuple[str, ...] = _read()
MACRO_NAMES = frozenset(re.findall(r"MACRO \w+\.(\w+)", "\n".join(MACROS)))


def _with_lambdas() -> frozenset[str]:
    """The macros that call a function with a lambda, themselves or through another."""
    texts = {re.findall(r"MACRO \w+\.(\w+)", statement)[0]: statement for statement in MACROS}
    found = {name for name, text in texts.items() if "lambda " in text}
    while True:
        more = {
            name
            for name, text in texts.items()
            if name not in found and found & set(re.findall(rf"{MACRO_SCHEMA}\.(\w+)", text))
        }
        if not more:
            return frozenset(found)
        found |= more


WITH_LAMBDAS = _with_lambdas()


def install(cursor: Cursor) -> None:
    """Makes the macros in an engine, unless it has them."""
    if not cursor.query("SELECT 1 FROM duckdb_databases() WHERE database_name = ?", (MACRO_SCHEMA,)):
        cursor.execute(f"ATTACH ':memory:' AS {MACRO_SCHEMA}")
        cursor.execute("; ".join(("BEGIN", *MACROS, "COMMIT")))  # one text is read a quarter faster than many


def by_name() -> dict[str, str]:
    """The statement that makes each macro."""
    return {re.findall(r"MACRO \w+\.(\w+)", statement)[0]: statement for statement in MACROS}


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of the macros."""
    if name not in MACRO_NAMES:
        raise KeyError(name)
    return exp.Dot(
        this=exp.to_identifier(MACRO_SCHEMA), expression=exp.Anonymous(this=name, expressions=list(arguments))
    )


_AGGREGATES = frozenset(
    re.findall(
        r"\w+",
        """
        sum string_agg json_group_array json_group_object bool_and bool_or bit_and bit_or bit_xor stddev_samp
        stddev_pop var_samp var_pop corr covar_pop covar_samp regr_slope regr_intercept mode any_value first
        last listagg list count_if median max_by min_by arg_max arg_min
        """,
    )
)


def has_known_type(value: exp.Expr) -> bool:
    """Whether the engine knows the type of ``value`` when it picks an overload: not yet that of an aggregate.

    A macro is chosen before aggregates and windows are bound; given one, the engine picks a wrong overload
    or none. Such calls must go to a function without overloads.
    """
    return not any(
        isinstance(node, (exp.AggFunc, exp.Window)) or node.name.lower() in _AGGREGATES
        for node in value.find_all(exp.AggFunc, exp.Window, exp.Anonymous)
    )


def function(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a function of the engine, not read again by sqlglot."""
    return exp.Anonymous(this=name, expressions=list(arguments))
