"""What a dialect contract is: plain frozen data, one value per dialect, read by everything else.

Rules:

1. A contract states facts; it runs nothing. Rules that need a syntax tree live in ``migration.ddl.rules``.
2. A fact that holds for some versions only carries ``since`` or ``until``; a caller that names no version
   gets the newest. Versions compare as numbers part by part.
3. Each fact's source stands in the ``source`` field or in the comment beside it: *doc* = the engine's
   documentation, *run* = seen on a real engine, *known* = general knowledge, untested here.
4. ``spellings`` reads the dialect's type names, ``types`` writes them. A name that is in no spelling table is
   not a type of that dialect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from migration.dialects.spelling import Spellings
from migration.types import Unit

Loss = Literal["exact", "widening", "lossy", "unsupported"]
Cast = Literal["", "text", "json", "utc", "integer", "uuid_text"]
Publish = Literal[
    "rename_in_transaction",  # BEGIN; rename old away, new in place; COMMIT
    "rename_pair",  # one statement renames both
    "exchange",  # EXCHANGE TABLES
    "swap",  # ALTER TABLE .. SWAP WITH
    "create_or_replace",  # CREATE OR REPLACE TABLE .. AS SELECT, atomic in the table format
    "none",  # no atomic way: the result must say so
]


@dataclass(frozen=True, slots=True)
class Clause:
    """Something a CREATE TABLE must, must not or should contain."""

    id: str
    text: str
    since: str | None = None
    until: str | None = None
    source: str = "doc"


@dataclass(frozen=True, slots=True)
class Cell:
    """How one canonical kind is written, and what that costs. ``guards`` are conditions on values."""

    target: str
    loss: Loss = "exact"
    reason: str = ""
    cast: Cast = ""
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextRule:
    """Character strings. ``cap`` is the most the unbounded form holds, in ``unit``; None = gigabytes."""

    unbounded: str
    bounded: str = ""  # template with {n}; "" if the engine does not enforce a length
    max_length: int = 0
    unit: Unit = "chars"
    fixed: str = ""  # template of a padded char(n) with the SQL standard's meaning
    cap: int | None = None
    guards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecimalRule:
    """Exact numbers. ``unbounded`` is used for numerics with no declared limit, ``wide`` beyond the
    maxima."""

    template: str
    max_precision: int
    max_scale: int
    unbounded: Cell
    wide: Cell
    wider: tuple[tuple[int, int, str], ...] = ()  # (precision, scale, template) of a second, wider type


@dataclass(frozen=True, slots=True)
class ClockRule:
    """Times and timestamps. ``template`` may hold {p}; without it the type always has ``max_precision``."""

    template: str
    max_precision: int
    cast: Cast = ""
    loss: Loss = "exact"
    reason: str = ""
    guards: tuple[str, ...] = ()
    finer: str = ""  # a second type for nanoseconds


@dataclass(frozen=True, slots=True)
class TypeTable:
    """Canonical to target. ``cells`` serves every kind that no rule below serves."""

    cells: Mapping[str, Cell]
    text: TextRule
    decimal: DecimalRule
    clocks: Mapping[str, ClockRule] = field(default_factory=dict)  # time, timetz, timestamp, instant
    list: str = ""  # template with {element}
    map: str = ""  # template with {key} and {element}
    struct: str = ""  # template with {fields}
    struct_field: str = "{name} {type}"
    nested_lists: bool = True  # lists may hold lists and structs
    json: Cell = Cell(
        "TEXT", "widening", "stored as JSON text", "json"
    )  # nested values without a native type
    json_decimals: bool = True  # its numbers keep every digit
    untold: frozenset[str] = frozenset()  # types of its own whose texts do not tell the value
    nullable: str = ""  # template with {type} for engines whose columns are NOT NULL by default
    earlier: tuple[tuple[str, str, Cell], ...] = ()  # (kind, version, the cell before that version)


@dataclass(frozen=True, slots=True)
class IdentifierRules:
    """How names are quoted, folded and limited. ``limit_unit`` says what ``max_length`` counts; ``never`` is a regular
    expression of what no name may have, ``never_said`` the same in words."""

    quote: str
    fold: Literal["lower", "upper", "preserve"]
    max_length: int
    limit_unit: Unit = "chars"
    reserved: frozenset[str] = frozenset()
    case_sensitive: bool = False
    never: str = ""
    never_said: str = ""

    def takes(self, name: str) -> bool:
        """Whether the characters of ``name`` can be a name, in quotes."""
        return bool(name) and "\x00" not in name and not (self.never and re.search(self.never, name))

    def quoted(self, name: str) -> str:
        """``name`` as a quoted identifier."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def folded(self, name: str) -> str:
        """What an unquoted ``name`` becomes in the engine's catalog."""
        return {"lower": name.lower(), "upper": name.upper()}.get(self.fold, name)


@dataclass(frozen=True, slots=True)
class DialectContract:
    """Everything we know about one target."""

    name: str
    family: str
    sqlglot: str  # the grammar used for expressions
    identifiers: IdentifierRules
    spellings: Spellings
    types: TypeTable
    example_ddl: str
    clauses: frozenset[str]  # trailing clauses of CREATE TABLE it knows; see ddl_clauses
    aliases: tuple[str, ...] = ()
    requires: tuple[Clause, ...] = ()
    forbids: tuple[Clause, ...] = ()
    recommends: tuple[Clause, ...] = ()
    notes: tuple[Clause, ...] = ()
    publish: Publish = "none"
    transactional_ddl: bool = False
    backslash_escapes: bool = False
    enforces_keys: bool = True
    identity: str = ""  # the column attribute that makes a generated number; "" = none
    identity_always: str = ""  # the same where nobody may give another; "" = it cannot say that
    identity_counting: str = (
        ""  # behind it, where numbers count otherwise: {start} and {step}; "" = it cannot say that
    )
    identity_type: str = ""  # the only type it may have
    column_comment: Literal["inline", "statement", "options", "none"] = "none"
    table_comment: Literal["inline", "inline_equals", "statement", "options", "none"] = "none"
    default_values: bool = True
    supported: bool = True
    load_path: str = "batch INSERT with bound parameters"


def version_number(version: str) -> tuple[int, ...]:
    """``"3.1.4-rc1"`` as (3, 1, 4)."""
    parts: list[int] = []
    for part in version.split("."):
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            break
        parts.append(int(digits))
        if digits != part:
            break
    return tuple(parts)


def applies(clause: Clause, version: str | None) -> bool:
    """True if ``clause`` holds in ``version``; None is the newest."""
    if version is None:
        return clause.until is None
    return at_least(version, clause.since) and not (clause.until and at_least(version, clause.until))


def at_least(version: str | None, since: str | None) -> bool:
    """True if ``version`` is ``since`` or newer; None for version is the newest, for since the first."""
    return version is None or since is None or version_number(version) >= version_number(since)
