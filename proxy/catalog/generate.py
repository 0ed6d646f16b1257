"""Reads the system catalogs of a real, empty PostgreSQL 15 into the files this package ships.

Run by hand when the pretended server version moves, never at run time::

    initdb -D /tmp/reference -U postgres -A trust -E UTF8 --locale=C.UTF-8
    python -m proxy.catalog.generate "host=127.0.0.1 dbname=postgres user=postgres"

Rules:

1. Every relation of ``pg_catalog`` and ``information_schema`` gets its columns and types into
   ``relations.json``, so that one we give no rows to is still a typed empty relation.
2. Rows go to ``rows/<schema>.<relation>.parquet``, and only for relations whose rows describe the system
   itself: what the server does right now (locks, statistics, sessions) is left out, as are the bodies of
   system views and rules, which nobody's client reads and which are most of the bytes.
3. The output depends on the server's version alone: rows are sorted, and the writing is deterministic.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from proxy.catalog.shapes import arrow_type

HERE = Path(__file__).parent

COLUMNS = """
    SELECT n.nspname, c.relname, c.relkind::text, c.oid, a.attname,
           CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, NULL) ELSE format_type(t.oid, NULL) END
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND c.relkind IN ('r', 'v') AND n.nspname IN ('pg_catalog', 'information_schema')
    ORDER BY n.nspname, c.relname, a.attnum
"""

# Relations about the running server, or too large for what they tell.
LEFT_OUT = {
    "pg_authid", "pg_backend_memory_contexts", "pg_config", "pg_cursors", "pg_database", "pg_file_settings",
    "pg_group", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_init_privs", "pg_largeobject", "pg_locks",
    "pg_prepared_statements", "pg_roles", "pg_shadow", "pg_shmem_allocations", "pg_statistic", "pg_stats",
    "pg_stats_ext", "pg_stats_ext_exprs", "pg_user", "pg_amop", "pg_amproc", "pg_ts_config_map",
    "column_privileges", "role_column_grants", "column_udt_usage", "parameters", "view_column_usage",
    "view_routine_usage", "view_table_usage", "routine_privileges", "role_routine_grants", "role_udt_grants",
    "udt_privileges", "sql_features", "triggers", "applicable_roles", "enabled_roles",
    "administrable_role_authorizations", "pg_timezone_abbrevs", "attributes", "role_usage_grants",
    "usage_privileges", "column_domain_usage", "routine_column_usage", "routine_table_usage",
    "routine_routine_usage", "routine_sequence_usage",
}  # fmt: skip

# Columns that would carry a parsed tree or a system view's text.
BLANK = {
    "pg_rewrite.ev_action": "''",
    "pg_rewrite.ev_qual": "''",
    "pg_views.definition": "NULL",
    "pg_rules.definition": "NULL",
    "views.view_definition": "NULL",
    "pg_proc.prosqlbody": "NULL",
    "pg_proc.proargdefaults": "NULL",
    "pg_class.relpages": "0",
    "pg_class.reltuples": "-1",
    "pg_class.relfilenode": "0",
    "pg_class.relallvisible": "0",
    "pg_class.relfrozenxid": "0",
    "pg_class.relminmxid": "0",
    "pg_settings.sourcefile": "NULL",
    "pg_settings.sourceline": "NULL",
}

# The one set-returning function that is kept as a relation.
KEYWORDS = [
    ("word", "text"), ("catcode", '"char"'), ("barelabel", "boolean"), ("catdesc", "text"), ("baredesc",
    "text"),
]  # fmt: skip

# The definitions of the system's own indexes and constraints, as the lookups of the same names have them.
DEFINITIONS = {
    "index_def": """SELECT indexrelid::int8, n::int8, pg_get_indexdef(indexrelid, n, false),
        pg_get_indexdef(indexrelid, n, true) FROM pg_index, generate_series(0, indnatts) n ORDER BY 1, 2""",
    "constraint_def": """SELECT oid::int8, 0::int8, pg_get_constraintdef(oid), pg_get_constraintdef(oid, true)
        FROM pg_constraint ORDER BY 1""",
}

# What a column of this type is read as: the value behind the text that Postgres would show.
READ_AS = {
    "regproc": "bigint",
    "regtype": "bigint",
    "regclass": "bigint",
    "oid": "bigint",
    "xid": "text::bigint",
    "oid[]": "bigint[]",
    "regtype[]": "bigint[]",
    "oidvector": "oid[]::bigint[]",
    "int2vector": "int2[]",
    "name[]": "text[]",
    '"char"[]': "text[]",
}


def read_expression(relation: str, column: str, kind: str) -> str:
    """The select-list item that fetches one column in the shape we store."""
    if blank := BLANK.get(f"{relation}.{column}"):
        return blank
    name = '"' + column.replace('"', '""') + '"'
    if kind == "xid":
        return f"{name}::text::bigint"
    if kind in ("regproc", "regtype", "regclass"):
        return f"{name}::oid::bigint"
    if kind in READ_AS:
        return f"{name}::{READ_AS[kind]}"
    if kind in ("boolean", "smallint", "integer", "bigint", "real", "double precision", "bytea"):
        return name
    if kind in (
        "timestamp with time zone",
        "smallint[]",
        "text[]",
        "boolean[]",
        "real[]",
        "double precision[]",
    ):
        return name
    return f"{name}::text[]" if kind == "aclitem[]" else f"{name}::text"


def write(path: Path, columns: list[tuple[str, str]], found: list[tuple[Any, ...]]) -> None:
    """Write rows as one Parquet file, always the same bytes for the same rows."""
    arrays = [
        pa.array([row[place] for row in found], arrow_type(kind)) for place, (_, kind) in enumerate(columns)
    ]
    table = pa.table(arrays, names=[column for column, _ in columns])
    pq.write_table(
        table, path, compression="zstd", compression_level=19, write_statistics=False, store_schema=False
    )


def generate(dsn: str) -> None:
    """Write ``relations.json`` and the row files from the server at ``dsn``."""
    relations: dict[str, list[tuple[str, str]]] = {}
    rows = HERE / "rows"
    rows.mkdir(exist_ok=True)
    for old in rows.glob("*.parquet"):
        old.unlink()
    with psycopg.connect(dsn) as connection:
        for schema, relation, _, _, column, kind in connection.execute(COLUMNS).fetchall():
            domain = kind.removeprefix("information_schema.")
            shown = {
                "sql_identifier": "name", "character_data": "character varying",
                "yes_or_no": "character varying",
                "cardinal_number": "integer", "time_stamp": "timestamp with time zone",
            }.get(domain, kind)  # fmt: skip
            relations.setdefault(f"{schema}.{relation}", []).append((column, str(shown)))
        relations["pg_catalog.pg_get_keywords"] = KEYWORDS
        for qualified, columns in relations.items():
            schema, _, relation = qualified.partition(".")
            if relation in LEFT_OUT or relation.startswith(("pg_stat", "_pg_", "pg_replication")):
                continue
            items = ", ".join(read_expression(relation, column, kind) for column, kind in columns)
            call = "()" if columns is KEYWORDS else ""
            text = f'SELECT {items} FROM {schema}."{relation}"{call} ORDER BY 1, 2'
            if len(columns) < 2:
                text = text.removesuffix(", 2")
            found = connection.execute(text).fetchall()
            if not found:
                continue
            write(rows / f"{qualified}.parquet", columns, found)
        for name, query in DEFINITIONS.items():
            columns = [("_k", "oid"), ("_n", "bigint"), ("_v", "text"), ("_p", "text")]
            write(rows / f"lookup.{name}.parquet", columns, connection.execute(query).fetchall())
    text = json.dumps(relations, separators=(",", ":"), sort_keys=True).replace('],"', '],\n"')
    (HERE / "relations.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    generate(sys.argv[1])
