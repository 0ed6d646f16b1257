"""Casts to text, where the engine would spell a value otherwise than Postgres.

To the engine ``2.0::float8::text`` is ``2.0``, a bytea's text its letters, an array's ``[1, 2]``; to Postgres ``2``,
``\\x…`` and ``{1,2}``. Where the type of what is cast is certain and one of these, the cast becomes the expression that
also makes values for clients; a join with ``||`` casts doubles, intervals and moments likewise. Of a moment before our
era the engine writes ``(BC)`` behind the date, Postgres ``BC`` behind all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlglot
from sqlglot import exp

from proxy.sql.expression_types import TEXT
from proxy.sql.macros import call
from proxy.sql.parameters import ColumnsOf, TypesInPlace

TextForm = Callable[[str, str], str]  # (the engine's type, an expression) -> the expression of its text
_TEXTS = (exp.DType.TEXT, exp.DType.VARCHAR)
_SPELLED = ("DOUBLE", "FLOAT", "INTERVAL", "DECIMAL(38,10)")
_CAST_ONLY = ("BLOB",)
_WITH_ERA = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")  # whose text differs before our era alone


def with_texts(tree: exp.Expr, columns_of: ColumnsOf, form: TextForm) -> exp.Expr | None:
    """A copy of a translated ``tree`` with such casts spelled out; None if it has none."""
    if tree.find(exp.Cast, exp.DPipe) is None:
        return None
    copy = tree.copy()
    found = list(_found(copy, TypesInPlace(copy, columns_of)))
    if not found:
        return None
    for node, value, type_ in sorted(
        found, key=lambda item: -item[0].depth
    ):  # what is inside another comes first
        if type_ in _WITH_ERA:
            text = exp.cast(value.copy(), "TEXT", dialect="duckdb")
            spelled = exp.Paren(this=call("with_era", value.copy(), text))
        else:
            written = form(type_, f"({value.sql('duckdb')})")
            spelled = exp.Paren(this=sqlglot.parse_one(written, dialect="duckdb"))
        if node is copy:
            copy = spelled
        else:
            node.replace(spelled)
    return copy


def _found(tree: exp.Expr, types: TypesInPlace) -> Iterator[tuple[exp.Expr, exp.Expr, str]]:
    """(What is to be replaced, the value in it, its type)."""
    for cast in tree.find_all(exp.Cast):
        if isinstance(cast.to, exp.DataType) and cast.to.this in _TEXTS:
            type_ = types.of_expression(cast.this)
            if type_ in _SPELLED + _CAST_ONLY + _WITH_ERA or (type_ or "").endswith("[]"):
                assert type_ is not None
                yield cast, cast.this, type_
    for pipe in tree.find_all(exp.DPipe):
        sides = [(side, types.of_expression(side)) for side in (pipe.this, pipe.expression)]
        if TEXT in (sides[0][1], sides[1][1]):
            for side, type_ in sides:
                if type_ in _SPELLED + _WITH_ERA and not isinstance(side, exp.Literal):
                    assert type_ is not None
                    yield side, side, type_


__all__ = ["TextForm", "with_texts"]
