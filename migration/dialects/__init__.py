"""The dialect contracts, found by name or alias; what each engine wants as a plain dictionary.

>>> contract("PostgreSQL").name
'postgres'
>>> capabilities("frobnicate")["supported"]
False
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from migration.dialects import (
    bigquery,
    clickhouse,
    doris,
    duckdb,
    generic,
    greenplum,
    mysql,
    postgres,
    redshift,
    snowflake,
    spark,
    sqlite,
    starrocks,
    trino,
)
from migration.dialects.base import Clause, DialectContract, applies

__all__ = ["CONTRACTS", "DialectContract", "capabilities", "capability_rows", "contract", "is_known"]

CONTRACTS: tuple[DialectContract, ...] = (
    starrocks.CONTRACT,
    doris.CONTRACT,
    greenplum.CONTRACT,
    postgres.CONTRACT,
    mysql.CONTRACT,
    clickhouse.CONTRACT,
    trino.CONTRACT,
    trino.HIVE,
    trino.ICEBERG,
    trino.DELTA,
    trino.JDBC,
    snowflake.CONTRACT,
    redshift.CONTRACT,
    duckdb.CONTRACT,
    sqlite.CONTRACT,
    bigquery.CONTRACT,
    spark.CONTRACT,
    spark.HIVE,
    generic.CONTRACT,
)
_BY_NAME = {name: item for item in CONTRACTS for name in (item.name, *item.aliases)}


def is_known(dialect: str) -> bool:
    """True if a contract goes by that name or alias."""
    return dialect.strip().lower() in _BY_NAME


def contract(dialect: str) -> DialectContract:
    """The contract of ``dialect``; the generic one, marked unsupported, if nobody knows it."""
    found = _BY_NAME.get(dialect.strip().lower())
    return found or replace(generic.CONTRACT, supported=False)


def capabilities(dialect: str, version: str | None = None) -> dict[str, Any]:
    """What a target requires, forbids and prefers, in the keys of Datus' get_migration_capabilities and
    more."""
    item = contract(dialect)

    def texts(clauses: tuple[Clause, ...]) -> list[str]:
        return [clause.text for clause in clauses if applies(clause, version)]

    rules = item.identifiers
    result: dict[str, Any] = {
        "supported": item.supported,
        "dialect": item.name,
        "dialect_family": item.family,
        "version": version,
        "requires": texts(item.requires),
        "forbids": texts(item.forbids),
        "recommends": texts(item.recommends),
        "notes": texts(item.notes),
        "type_hints": _type_hints(item.name, version),
        "example_ddl": item.example_ddl,
        "identifiers": {
            "quote": rules.quote,
            "fold": rules.fold,
            "max_length": rules.max_length,
            "length_unit": rules.limit_unit,
        },
        "transactional_ddl": item.transactional_ddl,
        "publish": item.publish,
        "load_path": item.load_path,
        "enforces_keys": item.enforces_keys,
    }
    if not item.supported:
        result["dialect"] = dialect
        result["warning"] = f"No contract for dialect {dialect!r}: generic rules apply. Known: " + ", ".join(
            known.name for known in CONTRACTS
        )
    return result


def capability_rows(dialect: str, version: str | None = None) -> list[tuple[str, str, str, str | None]]:
    """The same facts as rows (kind, item, detail, since_version), as SHOW MIGRATION CAPABILITIES shows
    them."""
    item = contract(dialect)
    groups = (("requires", item.requires), ("forbids", item.forbids), ("recommends", item.recommends))
    rows: list[tuple[str, str, str, str | None]] = [
        (kind, clause.id, clause.text, clause.since)
        for kind, clauses in (*groups, ("note", item.notes))
        for clause in clauses
        if applies(clause, version)
    ]
    rows += [("type_hint", kind, hint, None) for kind, hint in _type_hints(item.name, version).items()]
    rows += [
        (
            "publish",
            item.publish,
            "transactional DDL" if item.transactional_ddl else "no transactional DDL",
            None,
        ),
        ("load", item.load_path, "", None),
        ("example", "ddl", item.example_ddl, None),
    ]
    if not item.supported:
        rows.insert(0, ("warning", dialect, "no contract: generic rules apply", None))
    return rows


def _type_hints(dialect: str, version: str | None) -> dict[str, str]:
    from migration.dialects.type_map import type_hints  # needs the contracts above

    return type_hints(dialect, version)
