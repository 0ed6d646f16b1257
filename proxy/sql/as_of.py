"""``FROM t AS OF VERSION n`` and ``AS OF TIMESTAMP 't'``: what no grammar here knows.

The clause is taken out of the text before it is read and put into the tree afterwards. In between, the name before it
carries a mark that no text of a client can hold. The text keeps its length, so positions in it stay right.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql import postgres_grammar as grammar
from proxy.sql.split import Source

_MARK = "\ue000"
_KINDS = {"VERSION_P": "VERSION", "TIMESTAMP": "TIMESTAMP"}
_CONSTANTS = {"ICONST", "SCONST", "PARAM"}


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """A text with marks in place of its clauses, and the clauses in their order."""

    text: str
    clauses: tuple[exp.Version, ...]


def mark(text: str) -> Marked | None:
    """``text`` without its AS OF clauses; None where it has none."""
    if " of " not in text.lower() or _MARK in text:
        return None
    try:
        tokens = grammar.tokens(text)
    except Exception as error:  # what even the scanner cannot read has an error of its own further on
        if type(error).__name__ != "ParseError":
            raise
        return None
    clauses: list[exp.Version] = []
    pieces, end = [], 0
    for before, as_, of, kind, value in zip(
        tokens, tokens[1:], tokens[2:], tokens[3:], tokens[4:], strict=False
    ):
        if (as_.name, of.name) != ("AS", "OF") or kind.name not in _KINDS or value.name not in _CONSTANTS:
            continue
        clauses.append(_clause(_KINDS[kind.name], value.name, text[value.start : value.stop]))
        name = text[end : before.stop]
        sign = _MARK + chr(ord(_MARK) + len(clauses))
        name = name[:-1] + sign + '"' if name.endswith('"') else name + sign
        pieces.append(name + " " * (value.stop - before.stop - len(sign)))
        end = value.stop
    return Marked("".join(pieces) + text[end:], tuple(clauses)) if clauses else None


def _clause(kind: str, constant: str, text: str) -> exp.Version:
    if constant == "PARAM":
        raise BoughError(
            "0A000",
            "AS OF does not take a parameter",
            hint="Write the version or the time into the statement.",
        )
    if kind == "VERSION" and constant != "ICONST":
        raise BoughError("22023", f"invalid version {text}", hint="bough.commits lists the versions.")
    if kind == "TIMESTAMP" and (constant != "SCONST" or not text.startswith("'")):
        raise BoughError("22007", f"invalid time {text}", hint="Write it as '2026-01-31 12:00:00'.")
    value = (
        exp.Literal.number(text)
        if constant == "ICONST"
        else exp.Literal.string(text[1:-1].replace("''", "'"))
    )
    return exp.Version(this=kind, expression=value, kind="AS OF")


def put_back(marked: Marked, source: Source, tree: exp.Expr | None, payload: Any) -> Any:
    """Puts the clauses into the tree (in place) and into what a payload holds; the payload as it is then."""
    found = 0
    trees = [tree] if tree is not None else []
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(payload) if dataclasses.is_dataclass(payload) else ():
        value = getattr(payload, field.name)
        if isinstance(value, Source):
            start = value.offset - source.offset
            end = start + len(value.text)
            while marked.text[end : end + 1] == " ":  # a clause at the end left blanks, which were cut off
                end += 1
            changes[field.name] = Source(source.text[start:end].rstrip(), value.offset)
            found += value.text.count(_MARK)
        elif isinstance(value, exp.Expr):
            trees.append(value)
    for root in trees:
        for identifier in root.find_all(exp.Identifier):
            if _MARK not in identifier.name:
                continue
            name, _, rest = identifier.name.partition(_MARK)
            table = identifier.parent
            if not isinstance(table, exp.Table) or table.this is not identifier or _is_target(table):
                raise _misplaced()
            identifier.set("this", name)
            table.set("version", marked.clauses[ord(rest) - ord(_MARK) - 1].copy())
            found += 1
    if found != len(marked.clauses):
        raise _misplaced()
    return dataclasses.replace(payload, **changes) if changes else payload


def _is_target(table: exp.Table) -> bool:
    """Whether a statement writes the table."""
    node: exp.Expr = table
    if isinstance(node.parent, exp.Schema):
        node = node.parent
    return isinstance(node.parent, exp.DML | exp.Create | exp.Merge) and node.parent.this is node


def _misplaced() -> BoughError:
    return BoughError("0A000", "AS OF is possible after a table or view in a query only")
