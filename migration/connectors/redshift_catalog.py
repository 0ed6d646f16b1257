"""What Redshift's catalog says about a table. It is PostgreSQL 8.0's with additions, so nothing newer is asked for:
no ``to_regclass``, no arrays unfolded by position, no enums; all of it runs on the leader node alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from migration.connectors.base import Path
from migration.dialects import contract
from migration.dialects.quoting import quote_text
from migration.dialects.type_names import parse_type
from migration.model import ColumnSpec, KeySpec

Rows = Callable[[str], list[tuple[Any, ...]]]  # a small result, values as texts

_ITEM = contract("redshift")
_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.col_description(a.attrelid, a.attnum)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_TABLES = """
SELECT n.nspname, c.relname, c.relkind, c.reltuples FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname = {schema} ORDER BY 1, 2"""
_KEYS = """
SELECT c.contype, c.conname, c.conkey, c.confkey, n.nspname, r.relname, c.conrelid, c.confrelid,
       pg_catalog.pg_get_constraintdef(c.oid)
FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class r ON r.oid = c.confrelid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE c.conrelid = {oid} AND c.contype IN ('p', 'u', 'f') ORDER BY c.contype, c.conname"""
# What a swap of names would lose, and a query that gives a row if it is there.
_ATTACHED = (
    (
        "view",
        "SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid "
        "WHERE d.refobjid = {oid} AND r.ev_class <> d.refobjid LIMIT 1",
    ),
    (
        "reference from another table",
        "SELECT 1 FROM pg_catalog.pg_constraint "
        "WHERE confrelid = {oid} AND contype = 'f' AND conrelid <> confrelid LIMIT 1",
    ),
    ("grant", "SELECT 1 FROM pg_catalog.pg_class WHERE oid = {oid} AND relacl IS NOT NULL"),
    ("comment", "SELECT 1 FROM pg_catalog.pg_description WHERE objoid = {oid} LIMIT 1"),
    (
        "generated numbers",
        "SELECT 1 FROM pg_catalog.pg_attrdef WHERE adrelid = {oid} "
        "AND pg_catalog.pg_get_expr(adbin, adrelid) LIKE '%identity\"(%' LIMIT 1",
    ),
)


def text(value: str) -> str:
    """A string literal."""
    return quote_text(value, _ITEM)


def oid_of(rows: Rows, path: Path) -> str | None:
    """The oid of a table or view, in digits; a lone name is looked up in the session's schema."""
    schema = text(path[-2]) if len(path) > 1 else "current_schema()"
    found = rows(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname = {schema} AND c.relname = {text(path[-1])}"
    )
    return str(int(found[0][0])) if found else None


def listed(rows: Rows, schema: str | None) -> list[tuple[str, str, str, float]]:
    """Schema, name, kind and estimated rows of the tables and views of a schema."""
    found = rows(_TABLES.format(schema="n.nspname" if schema is None else text(schema)))
    return [(row[0], row[1], row[2], float(row[3])) for row in found]


def columns_of(rows: Rows, oid: str) -> tuple[ColumnSpec, ...]:
    """The columns of a table."""
    return tuple(column(*row) for row in rows(_COLUMNS.format(oid=oid)))


def column(name: str, declared: str, not_null: str, default: str | None, comment: str | None) -> ColumnSpec:
    """A column of the catalog's words. What generates numbers stands there as a default that calls ``identity``.

    >>> column("id", "bigint", "t", '"identity"(100, 0, \\'1,1\\'::text)', None).identity
    'always'
    """
    call = (default or "").split("(", 1)[0].strip('"').removeprefix('pg_catalog."').strip('"')
    identity = {"identity": "always", "default_identity": "default"}.get(call, "")
    return ColumnSpec(
        name,
        parse_type(declared, "redshift"),
        not_null != "t",
        None if identity else default,
        identity,  # type: ignore[arg-type]
        comment,
        declared,
    )


def keys_of(rows: Rows, oid: str) -> tuple[KeySpec, ...]:
    """Its keys; Redshift believes them and checks none."""
    found = []
    for kind, name, own, other, schema, table, own_table, other_table, _ in rows(_KEYS.format(oid=oid)):
        columns = _named(rows, own_table, own)
        if kind == "f":
            found.append(
                KeySpec(
                    "foreign", columns, name, (schema, table), _named(rows, other_table, other), None, None
                )
            )
        else:
            found.append(KeySpec("primary" if kind == "p" else "unique", columns, name))
    return tuple(found)


def key_texts(rows: Rows, oid: str) -> list[str]:
    """Its keys as ALTER TABLE ADD takes them."""
    return [str(row[-1]) for row in rows(_KEYS.format(oid=oid))]


def attachments(rows: Rows, oid: str) -> tuple[str, ...]:
    """What a swap of names would lose, in words."""
    return tuple(what for what, query in _ATTACHED if rows(query.format(oid=oid)))


def view_text(rows: Rows, path: Path) -> str | None:
    """CREATE VIEW with every name in full, None for what is no view. The search path is another afterwards."""
    oid = oid_of(rows, path)
    if oid is None:
        return None
    rows("SELECT set_config('search_path', 'pg_catalog', false)")
    found = rows(
        "SELECT pg_catalog.quote_ident(relname), pg_catalog.pg_get_viewdef(oid) FROM pg_catalog.pg_class "
        f"WHERE oid = {oid} AND relkind = 'v'"
    )
    return f"CREATE VIEW {found[0][0]} AS {found[0][1]}" if found else None


def types_of(rows: Rows, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """The names of types, from their oids and modifiers."""
    if not pairs:
        return []
    calls = ", ".join(f"pg_catalog.format_type({int(oid)}, {int(modifier)})" for oid, modifier in pairs)
    return [str(name) for name in rows(f"SELECT {calls}")[0]]


def _named(rows: Rows, oid: str, numbers: str) -> tuple[str, ...]:
    """The columns of a table by their numbers, as ``{1,3}``."""
    wanted = [int(number) for number in numbers.strip("{}").split(",")]
    names: dict[str, str] = dict(
        rows(
            "SELECT attnum, attname FROM pg_catalog.pg_attribute "
            f"WHERE attrelid = {int(oid)} AND attnum IN ({', '.join(map(str, wanted))})"
        )
    )
    return tuple(names[str(number)] for number in wanted)
