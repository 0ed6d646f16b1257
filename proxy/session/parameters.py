"""Parameters of a Bind message to values the engine takes, and the types a client is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from branching.errors import BoughError
from branching.model import Catalog, Table, View
from branching.names import may_be_temporary
from branching.resolve import schema_name
from proxy.commands import VIEWS
from proxy.session.views import SCHEMA
from proxy.sql.grouping import KeyOf
from proxy.sql.parameters import ColumnsOf
from proxy.types import ValueFormatError, decode_binary, decode_text, from_engine, parameter_type, supported
from proxy.wire.description import column_formats

TEXT = 25
UNKNOWN = 705


def columns_of(
    catalog: Catalog, path: Sequence[str], temporary: Mapping[str, Table] | None = None
) -> ColumnsOf:
    """Column types of a relation by the name a statement uses; temporary tables come first."""

    def find(schema: str | None, name: str) -> dict[str, str] | None:
        if temporary and may_be_temporary(schema) and name in temporary:
            return {column.name: column.type for column in temporary[name].columns}
        if schema == SCHEMA:
            return dict(VIEWS[name]) if name in VIEWS else None
        for place in [schema_name(schema)] if schema else [schema_name(item) for item in path]:
            relation = catalog.find(place, name)
            if isinstance(relation, Table | View):
                return {column.name: column.type for column in relation.columns}
        return None

    return find


def key_of(catalog: Catalog, path: Sequence[str], temporary: Mapping[str, Table] | None = None) -> KeyOf:
    """The primary key of a table by the name a statement uses."""

    def find(schema: str | None, name: str) -> tuple[str, ...]:
        if temporary and may_be_temporary(schema) and name in temporary:
            return ()
        for place in [schema_name(schema)] if schema else [schema_name(item) for item in path]:
            relation = catalog.find(place, name)
            if isinstance(relation, Table):
                return next((item.columns for item in relation.constraints if item.kind == "p"), ())
            if relation is not None:
                return ()
        return ()

    return find


def oids(
    given: Sequence[int], inferred: Sequence[str | None], count: int, cast: Mapping[int, int]
) -> tuple[int, ...]:
    """What ParameterDescription says: what the client sent, else what was inferred, else text.

    ``cast``: OIDs of parameters, counted from 1, that the text itself casts to a type of the catalog.
    """
    found = []
    for number in range(max(count, len(given))):
        if number < len(given) and given[number] not in (0, UNKNOWN):
            if not supported(given[number]):
                raise BoughError(
                    "0A000", f"the type with OID {given[number]} of parameter ${number + 1} is not supported"
                )
            found.append(given[number])
        elif number + 1 in cast:
            found.append(cast[number + 1])
        else:
            kind = inferred[number] if number < len(inferred) else None
            found.append(from_engine(kind).oid if kind else TEXT)
    return tuple(found)


def engine_types(types: Sequence[int], values: Sequence[Any]) -> tuple[str | None, ...]:
    """What each parameter is cast to in the engine; a numeric gets the width its value needs."""
    return tuple(parameter_type(oid, value) for oid, value in zip(types, values, strict=True))


def declared(tree: exp.Expr) -> dict[int, int]:
    """OIDs of parameters cast to a type that the engine has another name for (``$1::oid[]``)."""
    found: dict[int, int] = {}
    for cast in tree.find_all(exp.Cast):
        if isinstance(cast.this, exp.Parameter | exp.Placeholder) and cast.this.name.isdigit():
            name = cast.to.sql("postgres").lower().replace('"', "")
            if name.removeprefix("pg_catalog.").removesuffix("[]") in _CATALOG_TYPES:
                found[int(cast.this.name)] = from_engine("VARCHAR", name).oid
    return found


# (not regclass and its like: what a client sends for those is a name)
_CATALOG_TYPES = frozenset({"oid", "name", "jsonb"})


def decode(values: Sequence[bytes | None], formats: Sequence[int], types: Sequence[int]) -> list[Any]:
    """Bind's values for the engine. A bad value names its parameter."""
    if len(values) != len(types):
        raise BoughError(
            "08P01",
            f"bind message supplies {len(values)} parameters, but the prepared statement requires {len(types)}",
        )
    decoded: list[Any] = []
    for number, (value, form) in enumerate(zip(values, column_formats(formats, len(values)), strict=True)):
        if value is None:
            decoded.append(None)
            continue
        try:
            decoded.append(decode_binary(value, types[number]) if form else decode_text(value, types[number]))
        except ValueFormatError as error:
            raise error.of_parameter(number + 1) from None
    return decoded


def placeholders(tree: exp.Expr) -> exp.Expr:
    """``$n`` as branching knows it: sqlglot's Postgres reader calls it by another name."""
    for parameter in list(tree.find_all(exp.Parameter)):
        parameter.replace(exp.Placeholder(this=parameter.name))
    return tree
