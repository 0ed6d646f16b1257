"""Values in json as Postgres writes them: ``"2024-01-31T10:20:30"``, where the engine leaves a blank for the ``T``, and
``"0044-03-15 BC"``, where it has ``(BC)``."""

from __future__ import annotations

from sqlglot import exp

from proxy.sql.macros import call, function
from proxy.sql.parameters import TypesInPlace

_WRITTEN = {
    "DATE": "date_json",
    "DATE[]": "dates_json",
    "TIMESTAMP": "moment_json",
    "TIMESTAMP WITH TIME ZONE": "zoned_json",
    "TIMESTAMP[]": "moments_json",
    "TIMESTAMP WITH TIME ZONE[]": "zoneds_json",
}
# as in a cast to text, which is spelled later
_TEXTS = ("INTERVAL", "BLOB")


def with_values(node: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A call that makes json, its arguments written so; None if they are as they are."""
    made = [written(item, types) for item in node.expressions]
    if not any(made):
        return None
    return function(node.name, *[new or old.copy() for new, old in zip(made, node.expressions, strict=True)])


def written(item: exp.Expr, types: TypesInPlace) -> exp.Expr | None:
    """A value, or a whole row, written so; None if it is as it is."""
    if isinstance(item, (exp.Order, exp.Distinct)):
        return None
    type_ = types.of_expression(item) or ""
    if type_ in _WRITTEN:
        return call(_WRITTEN[type_], item.copy())
    if type_ in _TEXTS:
        return exp.cast(item.copy(), "TEXT", dialect="duckdb")
    changed = {
        name: new
        for name, kind in types.of_row(item).items()
        if kind in _WRITTEN or kind in _TEXTS
        if (new := _field(item, name, kind)) is not None
    }
    if not changed:
        return None
    fields = [
        exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=new)
        for name, new in changed.items()
    ]
    return function("struct_update", item.copy(), *fields)


def _field(row: exp.Expr, name: str, kind: str) -> exp.Expr:
    column = exp.Column(
        this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(row.name, quoted=True)
    )
    return call(_WRITTEN[kind], column) if kind in _WRITTEN else exp.cast(column, "TEXT", dialect="duckdb")
