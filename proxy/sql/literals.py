"""Strings without a type, where the engine would read them otherwise than Postgres: they get the type they meet.

Postgres reads ``'\\x00ff'`` as two bytes where it meets a bytea, and ``'{1,2}'`` as an array where it meets one; the
engine takes the first for one byte and two letters, and refuses the second. What a string meets is found as the type
of a parameter in its place is; strings that both read alike are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from sqlglot import exp

from branching.ddl.model import Action, AddColumn, AddConstraint, AlterTable, CreateView, Ddl, SetDefault
from proxy.sql.expression_types import TEXT, expression_type
from proxy.sql.interval_text import engine_text
from proxy.sql.numbers import IS_NUMBER, NUMBER, NUMBERS, check_number
from proxy.sql.parameters import ColumnsOf, TypesInPlace
from proxy.sql.parse import Parsed
from proxy.sql.rules.types import ENDS_IN_WORD, ERA, clock_text, types

_WORDS = ("now", "today", "tomorrow", "yesterday", "on", "off")
_CLOCK = r"\s*\d{1,2}:\d\d[:.\d]*\s*(?:[-+][:\d]+|Z|UTC|GMT)\s*"  # with an offset
# a time and an offset with a blank between, as Sequelize writes it
_SPACED = r"[^']*:[\d.]+\s+[-+]\d[\d:]*\s*"
# the beginning of an interval that is more than one number and its unit
_PARTS = (
    r"\s*(?:@|P\d|[-+]?[\d.]+\s*[a-z]+\s+[-+\da-z]|[-+]?\d+\s*(?:mon|m?secs?\b|min|hr)"
    r"|[-+]?\d+\s+[-+]?\d+:|[-+]?\d{1,3}-\d{1,2}\s*')"
)
MAY_DIFFER = re.compile(
    rf"\\|'\s*\{{|[^\x00-\x7f]|'(?:{NUMBER}|{_CLOCK}|{_SPACED}|\s*(?:{'|'.join(_WORDS)})\s*)'|'{_PARTS}"
    r"|\d ?(?:BC|AD)\s*'|(?:Z|UTC|GMT) (?:BC|AD)\s*'|:\d\d[\d.]* ?[a-z][\w/+-]+\s*'|\bfrom\s*\(\s*values|\bunion\b"
    r"|'\s*[-+*/%]\s*\d|\d\s*[-+*/%]\s*'",
    re.IGNORECASE,
)


class _NoColumns:
    """The scope of a constant."""

    def of(self, column: exp.Column) -> str | None:
        return None


_NO_COLUMNS = _NoColumns()
_IS_CLOCK = re.compile(_CLOCK, re.IGNORECASE)
_IS_SPACED = re.compile(_SPACED)
_HAS_PARTS = re.compile(_PARTS, re.IGNORECASE)
_CLOCKS = ("TIME", "TIME WITH TIME ZONE")
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def with_types(parsed: Parsed, columns_of: ColumnsOf) -> Parsed | None:
    """``parsed`` with such strings cast to the types they meet; None if there is none.

    >>> from proxy.sql.parse import parse
    >>> found = with_types(parse(r"INSERT INTO t (b) VALUES ('\\x00ff')"), lambda _schema, _name: {"b": "BLOB"})
    >>> found.tree.expression.sql("postgres")
    "VALUES (CAST('\\\\x00ff' AS BYTEA))"
    """
    if parsed.tree is None or MAY_DIFFER.search(parsed.text) is None:
        return None
    tree = parsed.tree.copy()
    if not _retype(tree, TypesInPlace(tree, columns_of)):
        return None
    return replace(parsed, tree=tree)


def in_definition(what: exp.Expr | Ddl, columns_of: ColumnsOf) -> exp.Expr | Ddl:
    """The same for what a definition keeps: a view's query, defaults and checks of ALTER TABLE."""
    if isinstance(what, CreateView):
        query = _translated(what.query, TypesInPlace(what.query, columns_of))
        return replace(what, query=cast(exp.Query, query))
    if not isinstance(what, AlterTable):
        return what
    own = columns_of(what.name.schema, what.name.name) or {}
    return replace(what, actions=tuple(_action(action, own) for action in what.actions))


def _action(action: Action, own: Mapping[str, str]) -> Action:
    if isinstance(action, SetDefault):
        literal = action.default
        type_ = own.get(action.column)
        if isinstance(literal, exp.Literal) and literal.is_string and type_ and _differs(literal.name, type_):
            return replace(action, default=types(_cast(literal, type_)))
    if isinstance(action, AddColumn):
        column = _translated(action.column, TypesInPlace(action.column, lambda _schema, _name: None, own))
        return replace(action, column=cast(exp.ColumnDef, column))
    if isinstance(action, AddConstraint) and action.constraint.expression is not None:
        held = exp.Paren(this=action.constraint.expression.copy())
        checked = _translated(held, TypesInPlace(held, lambda _schema, _name: None, own))
        return replace(action, constraint=replace(action.constraint, expression=checked.this))
    return action


def _translated(tree: exp.Expr, in_place: TypesInPlace) -> exp.Expr:
    """A copy of a tree that is translated already, with such strings in the engine's form."""
    wanted = [_wanted(node, in_place) if node.is_string else None for node in tree.find_all(exp.Literal)]
    if not any(wanted):
        return tree
    tree = tree.copy()
    for node, type_ in zip(list(tree.find_all(exp.Literal)), wanted, strict=True):
        if type_ is not None:
            node.replace(types(_cast(node, type_)))
    return tree


def _retype(tree: exp.Expr, in_place: TypesInPlace) -> bool:
    """Casts such strings in a tree of Postgres' dialect; whether there was one."""
    found = [
        (node, type_)
        for node in tree.find_all(exp.Literal)
        if node.is_string and (type_ := _wanted(node, in_place)) is not None
    ]
    for node, type_ in found:
        node.replace(_cast(node, type_))
    return bool(found)


def _cast(literal: exp.Literal, type_: str) -> exp.Cast:
    return exp.Cast(this=literal.copy(), to=exp.DataType.build(type_, dialect="duckdb"))


def _wanted(literal: exp.Literal, in_place: TypesInPlace) -> str | None:
    """The type a string is to be cast to, if the engine would read it otherwise."""
    if isinstance(literal.parent, exp.Cast):
        return None
    number = _number_beside(literal)
    if number is not None:
        if number in NUMBERS:
            check_number(literal.name, NUMBERS[number])
        return number
    beside = in_place.beside(literal)
    if beside is not None and beside != TEXT:
        return beside
    type_ = in_place.of(literal) if _may_differ(literal.name) else None
    return type_ if type_ is not None and _differs(literal.name, type_) else None


def _number_beside(literal: exp.Literal) -> str | None:
    """The type of a constant number that a text is added to, or the like."""
    parent = literal.parent
    if not isinstance(parent, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)):
        return None
    other = parent.expression if parent.this is literal else parent.this
    if not isinstance(other, exp.Literal) or other.is_string:
        return None
    return expression_type(other, _NO_COLUMNS)


def _may_differ(text: str) -> bool:
    folded = text.strip().lower()
    return (
        "\\" in text
        or folded.startswith("{")
        or folded in _WORDS
        or not text.isascii()
        or IS_NUMBER.fullmatch(text) is not None
        or _IS_CLOCK.fullmatch(text) is not None
        or _IS_SPACED.fullmatch(text) is not None
        or _HAS_PARTS.match(f"{text}'") is not None
        or ERA.fullmatch(text) is not None
        or ENDS_IN_WORD.fullmatch(text) is not None
    )


def _differs(text: str, type_: str) -> bool:
    """Whether the engine would read a string otherwise than Postgres where a value of ``type_`` is due.

    What is no value to Postgres is refused here, where the engine would make one of it.
    """
    folded = text.strip().lower()
    if type_ in NUMBERS:
        check_number(text, NUMBERS[type_])
    if type_ == "BLOB":
        return "\\" in text or not text.isascii()
    if type_.endswith("[]"):
        return folded.startswith("{")
    if type_ in _CLOCKS:
        return clock_text(text) not in (None, text)
    if type_ == "INTERVAL":
        return engine_text(text) != text
    if type_ == "BOOLEAN":
        return folded in ("on", "off")
    special = folded in _WORDS[:4] or any(form.fullmatch(text) for form in (ERA, ENDS_IN_WORD, _IS_SPACED))
    return type_ in _MOMENTS and special
