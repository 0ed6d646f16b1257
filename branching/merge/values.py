"""A column's value as another definition of its table has it: how rows of before and after a schema change compare.

The three states of a row may come in three shapes. Each value is lifted into the merged table's column: as it is where
the type is the same, through the conversion that the change itself used where that is known, else by a cast; a column
that a side does not have yet has there what it was added with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import exp

from branching import names
from branching.model import Column, Table
from branching.names import quote
from branching.resolve import DIALECT
from branching.volatility import is_volatile

_STORED = re.compile(r"c(\d+)")


def lifted(
    have: Table, wanted: Column, alias: str, changed: tuple[Table, ...], *, strict: bool = False
) -> str:
    """SQL of ``wanted`` over a row of ``have`` called ``alias``; ``changed`` are the tables that may know how.

    A value that cannot be converted is NULL, or an error if ``strict``.
    """
    mine = next((column for column in have.columns if column.id == wanted.id), None)
    if mine is not None and mine.type == wanted.type:
        return f"{alias}.{quote(mine.name)}"
    for table in changed:
        known = next((c for c in table.columns if c.id == wanted.id and c.type == wanted.type), None)
        recipe = _recipe(table, known) if known is not None else None
        if (
            recipe is not None
            and (text := _over(have, recipe, alias, dict(table.storage.recipes))) is not None
        ):
            cast = f"CAST({text} AS {wanted.type})"
            return cast if strict else f"TRY({cast})"
    if mine is not None:
        return f"{'CAST' if strict else 'TRY_CAST'}({alias}.{quote(mine.name)} AS {wanted.type})"
    return initial(wanted)


def initial(column: Column) -> str:
    """What rows that were there before a column was added have in it."""
    default = column.default
    if default is None or is_volatile(sqlglot.parse_one(default, dialect=DIALECT)):
        return f"CAST(NULL AS {column.type})"
    return f"CAST(({default}) AS {column.type})"


def added_with(column: Column, changed: tuple[Table, ...]) -> str | None:
    """The constant that rows got in a column when it was added, where one of ``changed`` knows and the default is
    another by now, or gives another value."""
    for table in changed:
        known = next((c for c in table.columns if c.id == column.id and c.type == column.type), None)
        recipe = _recipe(table, known) if known is not None and known.generated is None else None
        if recipe is not None and sqlglot.parse_one(recipe, dialect=DIALECT).find(exp.Column) is None:
            given = constant(recipe)
            still = given is not None and column.default is not None and given == constant(column.default)
            return None if still else recipe
    return None


def constant(text: str) -> str | None:
    """The value of a constant without its type and spelling; None if it is none, or not written plainly."""
    node: exp.Expr = sqlglot.parse_one(text, dialect=DIALECT)
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return f"-{node.this.name}"
    if isinstance(node, exp.Boolean):
        return str(node.this).lower()
    return node.name if isinstance(node, exp.Literal) else None


def _recipe(table: Table, column: Column) -> str | None:
    """How the branch has worked out a column that was not there, or was of another type.

    Not where that gives another value each time (a serial column): the branch's own rows have theirs, others have none.
    """
    recipe = dict(table.storage.below).get(column.name) or dict(table.storage.recipes).get(column.id)
    if recipe is None or is_volatile(sqlglot.parse_one(recipe, dialect=DIALECT)):
        return None
    return recipe


def _over(have: Table, recipe: str, alias: str, recipes: Mapping[int, str]) -> str | None:
    """An expression over the columns of a base (``c<id>``) as one over a row of ``have``; None if one is missing.

    ``recipes``: what a copy that is the base now has worked out, by column.
    """
    by_id = {column.id: column.name for column in have.columns}
    missing = False

    def substitute(node: exp.Expr) -> exp.Expr:
        nonlocal missing
        if isinstance(node, exp.Column) and (found := _STORED.fullmatch(node.name)):
            name = by_id.get(int(found[1]))
            if name is None and (made := recipes.get(int(found[1]))) is not None:
                inner = _over(have, made, alias, {k: v for k, v in recipes.items() if k != int(found[1])})
                if inner is not None:
                    return exp.Var(this=f"({inner})")
            if name is None:
                missing = True
                return node
            return exp.Var(this=f"{alias}.{quote(name)}" if alias else quote(name))
        return node

    text = sqlglot.parse_one(recipe, dialect=DIALECT).transform(substitute).sql(DIALECT)
    return None if missing else text


def conversion(have: Table, wanted: Column, changed: tuple[Table, ...], *, strict: bool) -> exp.Expr:
    """The USING of an ALTER TYPE that makes ``wanted`` of what ``have`` holds."""
    text = lifted(have, wanted, "_row", changed, strict=strict).replace("_row.", "")
    return sqlglot.parse_one(text, dialect=DIALECT)


def distinct(left: str, right: str) -> str:
    return f"({left} IS DISTINCT FROM {right})"


def any_of(conditions: list[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "false"


__all__ = ["added_with", "any_of", "constant", "conversion", "distinct", "initial", "lifted", "names"]
