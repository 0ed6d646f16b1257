"""Rows of two tables that have the same key: the same texts, whatever else a collation takes for equal.

``A`` and ``a ``, where a column's collation takes them for ``a``, are other keys: a row that is updated by such a key
would keep the one it has. So they do not match, and where the column is unique the engine refuses the second (23505).
The plain comparison stays beside the exact one: it is the one that an index serves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from migration.connectors.base import Path
from migration.connectors.queries import in_byte_order, quoted
from migration.dialects import DialectContract
from migration.dialects.quoting import quote_text

if TYPE_CHECKING:
    from migration.connectors.writing import SqlWriter


def same_key(
    left: str, right: str, key: Sequence[str], folding: Collection[str], item: DialectContract
) -> str:
    """The condition that two aliased tables have the same key; ``folding`` are the columns that tell too little."""
    found = []
    for name in key:
        one, two = (f"{table}.{quoted(name, item)}" for table in (left, right))
        found.append(f"{one} = {two}")
        if name in folding:
            found.append(f"{in_byte_order(one, item)} = {in_byte_order(two, item)}")
    return " AND ".join(found)


def folding_columns(writer: SqlWriter, target: Path) -> frozenset[str]:
    """The columns of a table whose equality may take different texts for one."""
    if writer.item.name == "postgres":  # a property of collations since 12
        found = writer.rows(
            "SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
            f"WHERE a.attrelid = {quote_text(writer.q(target), writer.item)}::regclass AND a.attnum > 0 "
            "AND to_jsonb(c) ->> 'collisdeterministic' = 'false'"
        )
        return frozenset(str(row[0]) for row in found)
    if writer.item.name == "duckdb":
        if not is_collated(writer, target):
            return frozenset()
    elif writer.item.name not in ("mysql", "sqlite"):
        return frozenset()
    return frozenset(column.name for column in writer.describe(target).columns if column.type.kind == "text")


def is_collated(writer: SqlWriter, target: Path) -> bool:
    """Whether a table of DuckDB's has a collation: its catalog shows them in the table's text alone."""
    name = quote_text(target[-1].lower(), writer.item)
    return bool(
        writer.rows(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
            f"AND lower(table_name) = {name} AND contains(upper(sql), 'COLLATE') LIMIT 1"
        )
    )
