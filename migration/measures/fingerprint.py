"""A fingerprint of a table that its own engine computes: the same on every engine that has the recipe.

The recipe: each value becomes text; ``length:text`` (octets), or ``-`` for NULL, joined by ``|``; MD5 of that; the
first and the second fifteen hexadecimal digits as numbers; each summed over all rows. With the number of rows the
two sums are the fingerprint. The order of rows has no part in it.

Rules:

1. It is for a slow network: over a fast one reading both sides back is quicker (``migration.reconcile.rows``).
2. A column has a text form that all engines agree on, or the whole table is ``None`` here and is read back:
   integers, decimals at their scale, booleans as 0 and 1, dates and timestamps in ISO form to the microsecond,
   text, bytes in hexadecimal, uuids. Floats have none (engines write exponents differently), nor have lists.
3. Infinity, and years that are not four digits, are written differently too: such tables are read back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migration.connectors.base import Source
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.measures.sql import source_clause
from migration.types import CanonicalType


@dataclass(frozen=True, slots=True)
class _Recipe:
    texts: Mapping[str, str]  # kind to text, {c} = the column, {s} = a decimal's scale
    framed: str  # {t} = the text of one column
    joined: tuple[str, str, str]  # before, between, behind
    limb: str  # {t} = the row's text, {n} = 1 or 16
    total: str  # {e} = the limb


_COMMON = dict.fromkeys(
    ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"), "CAST({c} AS VARCHAR)"
)
_RECIPES: Mapping[str, _Recipe] = {
    "duckdb": _Recipe(
        {
            **_COMMON,
            "uint64": "CAST({c} AS VARCHAR)",
            "int128": "CAST({c} AS VARCHAR)",
            "decimal": "CAST({c} AS VARCHAR)",
            "bool": "CAST(CAST({c} AS INTEGER) AS VARCHAR)",
            "text": "CAST({c} AS VARCHAR)",
            "enum": "CAST({c} AS VARCHAR)",
            "uuid": "CAST({c} AS VARCHAR)",
            "bytes": "lower(hex({c}))",
            "date": "strftime({c}, '%Y-%m-%d')",
            "timestamp": "strftime(CAST({c} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f')",
            "instant": "strftime({c} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')",
        },
        "coalesce(strlen({t}) || ':' || {t}, '-')",
        ("", " || '|' || ", ""),
        "CAST(('0x' || substr(md5({t}), {n}, 15)) AS BIGINT)",
        "CAST(coalesce(sum({e}), 0) AS VARCHAR)",
    ),
    "postgres": _Recipe(
        {
            **dict.fromkeys((*_COMMON, "decimal", "text", "enum", "uuid"), "{c}::text"),
            "bool": "{c}::int::text",
            "bytes": "encode({c}, 'hex')",
            "date": "to_char({c}, 'YYYY-MM-DD')",
            "timestamp": "to_char({c}, 'YYYY-MM-DD HH24:MI:SS.US')",
            "instant": "to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
        },
        "coalesce(octet_length({t}) || ':' || {t}, '-')",
        ("", " || '|' || ", ""),
        "('x' || substr(md5({t}), {n}, 15))::bit(60)::bigint",
        "coalesce(sum({e}), 0)::text",
    ),
    "mysql": _Recipe(
        {
            **dict.fromkeys((*_COMMON, "uint64", "decimal"), "CAST({c} AS CHAR)"),
            "bool": "CAST({c} AS CHAR)",
            "text": "{c}",
            "enum": "CAST({c} AS CHAR)",
            "bytes": "LOWER(HEX({c}))",
            "date": "DATE_FORMAT({c}, '%Y-%m-%d')",
            "timestamp": "DATE_FORMAT({c}, '%Y-%m-%d %H:%i:%s.%f')",
        },
        "COALESCE(CONCAT(OCTET_LENGTH({t}), ':', {t}), '-')",
        ("CONCAT(", ", '|', ", ")"),
        "CAST(CONV(SUBSTR(MD5({t}), {n}, 15), 16, 10) AS UNSIGNED)",
        "CAST(COALESCE(SUM({e}), 0) AS CHAR)",
    ),
    "clickhouse": _Recipe(
        {
            **dict.fromkeys((*_COMMON, "uint64", "int128"), "toString({c})"),
            "decimal": "toDecimalString({c}, {s})",
            "bool": "toString(toUInt8({c}))",
            "text": "{c}",
            "enum": "toString({c})",
            "uuid": "toString({c})",
            "date": "toString({c})",
            "timestamp": "toString(toDateTime64({c}, 6))",
            "instant": "toString(toDateTime64({c}, 6, 'UTC'))",
        },
        "ifNull(concat(toString(length({t})), ':', {t}), '-')",
        ("concat(", ", '|', ", ")"),
        "toInt128(reinterpretAsUInt64(reverse(unhex(concat('0', substring(lower(hex(MD5({t}))), {n}, 15))))))",
        "toString(sum({e}))",
    ),
}


def fingerprint_query(
    dialect: str, source: Source, columns: Sequence[tuple[str, CanonicalType]], forms: Sequence[CanonicalType]
) -> str | None:
    """One row of texts: rows, first sum, second sum. None where the engine or a column has no common form.

    ``forms`` are the types both sides agree to write the columns as: a bool in one engine and a small integer
    in the other are both written as integers, decimals at the larger scale.
    """
    item = contract(dialect)
    recipe = _RECIPES.get(item.name)
    if recipe is None or not columns:
        return None
    framed = []
    for (name, own), form in zip(columns, forms, strict=True):
        template = recipe.texts.get(own.kind)
        if template is None or (form.kind == "decimal" and form.precision is None):
            return None
        if own.kind == "decimal" and own.scale != form.scale:
            return None
        text = template.replace("{c}", quote_name(name, item)).replace("{s}", str(form.scale or 0))
        framed.append(recipe.framed.replace("{t}", text))
    before, between, behind = recipe.joined
    row = before + between.join(framed) + behind if len(framed) > 1 else framed[0]
    sums = [
        recipe.total.replace("{e}", recipe.limb.replace("{t}", row).replace("{n}", str(start)))
        for start in (1, 16)
    ]
    return f"SELECT count(*) AS n, {sums[0]} AS a, {sums[1]} AS b FROM {source_clause(source, dialect)}"
