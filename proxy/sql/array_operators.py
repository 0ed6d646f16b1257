"""Operators of arrays, whose texts without a type are arrays too, and subscripts, which count from 1."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.array_text import parse_array
from proxy.sql.macros import call, function
from proxy.sql.parameters import TypesInPlace
from proxy.sql.rules.functions import FROM_THE_END


def listed(side: exp.Expr, type_: str) -> exp.Expr | None:
    """NULL, or a text without a type, beside an array: an array."""
    if isinstance(side, exp.Null):
        return exp.cast(side.copy(), type_, dialect="duckdb")
    if isinstance(side, exp.Literal) and side.is_string:
        return exp.cast(parse_array(side.name), type_, dialect="duckdb")
    return None


def subscript(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A subscript below 1 names no element, where the engine counts from the end."""
    if len(node.expressions) != 1 or not (types.of_expression(node.this) or "").endswith("[]"):
        return None
    place = node.expressions[0]
    if not isinstance(place, exp.Slice):
        if isinstance(place, exp.Literal):
            return None
        above = exp.If(
            this=exp.GT(this=exp.Paren(this=place.copy()), expression=exp.Literal.number(0)),
            true=place.copy(),
        )
        return function("list_extract", node.this.copy(), exp.Case(ifs=[above]))
    bounds = [place.this, place.expression]
    if all(bound is None or isinstance(bound, exp.Literal) for bound in bounds):
        return None
    least = [_at_least(bound, number) for bound, number in zip(bounds, (1, 0), strict=True)]
    return function(
        "list_slice",
        node.this.copy(),
        least[0] or exp.Literal.number(1),
        least[1] or exp.Literal.number(2**31 - 1),
    )


def from_the_end(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A subscript below 0 of jsonb."""
    place = node.meta.get(FROM_THE_END)
    if place is None or types.of_expression(node.expressions[0]) != "JSON":
        return None
    return call("json_at", node.expressions[0].copy(), place.copy())


def _at_least(bound: exp.Expr | None, number: int) -> exp.Expr | None:
    if bound is None or isinstance(bound, exp.Literal):
        return bound.copy() if bound is not None else None
    low = exp.Literal.number(number)
    below = exp.If(this=exp.LT(this=exp.Paren(this=bound.copy()), expression=low), true=low.copy())
    return exp.Case(ifs=[below], default=bound.copy())


def _typed_lists(sides: list[exp.Expr], types: TypesInPlace) -> list[exp.Expr] | None:
    """Two sides, a text without a type as an array beside an array; None if there is none."""
    kind = next((kind for side in sides if (kind := types.of_expression(side) or "").endswith("[]")), None)
    if kind is None or not any(isinstance(side, exp.Literal) for side in sides):
        return None
    return [listed(side, kind) or side.copy() for side in sides]


def containing(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    sides = _typed_lists(node.expressions, types) if isinstance(node.parent, exp.Dot) else None
    return exp.Anonymous(this=node.name, expressions=sides) if sides else None


def overlapping(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    sides = _typed_lists([node.this, node.expression], types)
    return exp.ArrayOverlaps(this=sides[0], expression=sides[1]) if sides else None


def joined(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    if not isinstance(node.parent, exp.Dot) or types.of_expression(node.expressions[0]) != "BOOLEAN[]":
        return None
    arguments = [call("truths", node.expressions[0].copy()), *[item.copy() for item in node.expressions[1:]]]
    return exp.Anonymous(this=node.name, expressions=arguments)
