"""Pieces of a statement that writes rows: parts of its tree, and their text for the engine.

A statement of the user becomes several of the engine's: each takes the pieces it needs, with the parameters in them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from branching.engine.protocol import Engine
from branching.names import VERSION


@dataclass(slots=True)
class Binder:
    """Renders pieces of one user statement, collecting the parameters each engine statement needs."""

    engine: Engine
    parameters: Sequence[Any]
    values: list[Any] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def text(self, node: exp.Expr | None) -> str:
        if node is None:
            return ""
        if self.parameters and next(node.find_all(exp.Placeholder), None) is not None:
            node = node.copy()
            for placeholder in list(node.find_all(exp.Placeholder)):
                number = self._numbers.get(placeholder.name)
                if number is None:
                    self.values.append(self.parameters[int(placeholder.name) - 1])
                    number = self._numbers[placeholder.name] = len(self.values)
                placeholder.set("this", str(number))
        return self.engine.text(node)


def reads(engine: Engine, source: exp.Expr | None, storage: str, times: int = 1) -> bool:
    """Whether a resolved query reads a storage table (at least so many times)."""
    if not isinstance(source, exp.Query):
        return False
    return len(re.findall(re.escape(storage) + r"(?!\w)", engine.text(source))) >= times


def raw_target(sql: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.Var(this=sql), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def set_columns(tree: exp.Expr) -> list[str]:
    """The columns an UPDATE's SET list assigns."""
    found: list[str] = []
    for item in tree.expressions:
        target = item.this
        parts = target.expressions if isinstance(target, exp.Tuple) else [target]
        found += [part.name for part in parts]
    return found


def set_version(expressions: list[exp.Expr], version: int) -> None:
    expressions.append(
        exp.EQ(this=exp.column(exp.to_identifier(VERSION)), expression=exp.Literal.number(version))
    )


def sources(tree: exp.Expr, binder: Binder) -> str:
    """The FROM or USING items of an UPDATE, DELETE or MERGE, with a leading comma, or nothing."""
    from_ = tree.args.get("from_")
    items = [from_.this] if from_ is not None else []
    using = tree.args.get("using")
    if using:
        items += using if isinstance(using, list) else [using]
    return "".join(", " + binder.text(item) for item in items)


def with_prefix(tree: exp.Expr, binder: Binder) -> str:
    with_ = tree.args.get("with_")
    return binder.text(with_) + " " if with_ is not None else ""


def condition(tree: exp.Expr, binder: Binder) -> str:
    where = tree.args.get("where")
    return binder.text(where.this) if where is not None else "true"
