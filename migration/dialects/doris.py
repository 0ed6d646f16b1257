"""Apache Doris. Facts: Doris docs, "CREATE TABLE", "Data Model", "AUTO_INCREMENT" (*doc*); nothing *run*.

Like StarRocks, stricter: no PRIMARY KEY, no STRING key columns, and we require explicit BUCKETS because the
engine would choose ten silently.
"""

from __future__ import annotations

from dataclasses import replace

from migration.dialects import starrocks
from migration.dialects.base import Cell, Clause, ClockRule, TextRule
from migration.dialects.spelling import clocks, decimals, others, spellings, texts

SPELLINGS = spellings(
    {
        name: entry
        for name, entry in starrocks.SPELLINGS.items()
        if name not in ("varbinary", "binary", "percentile")
    },
    {
        "datetime|datetimev2|timestamp": clocks("timestamp", 0),
        "date|datev2": starrocks.SPELLINGS["date"],
        "decimal|decimalv3|numeric": decimals(9, 0),
        "string|text": texts("bytes", 2_147_483_643),
        "jsonb": starrocks.SPELLINGS["json"],
    },
    others("ipv4", "ipv6", "quantile_state", "agg_state", "variant", "hll", "bitmap"),
)
_YEARS = ("finite", "year:0..9999")

CONTRACT = replace(
    starrocks.CONTRACT,
    name="doris",
    aliases=("apache-doris", "selectdb", "velodb"),
    sqlglot="doris",
    identifiers=replace(starrocks.CONTRACT.identifiers, max_length=64),
    spellings=SPELLINGS,
    types=replace(
        starrocks.TYPES,
        cells={
            **starrocks.CELLS,
            "bytes": Cell("STRING", "unsupported", "VARBINARY cannot be used in CREATE TABLE", "text"),
            "unknown": Cell("STRING", "unsupported", "a type we have no meaning for", "text"),
            "bit": Cell("STRING", "widening", "no bit strings", "text"),
        },
        text=TextRule("STRING", "VARCHAR({n})", 65533, "bytes"),
        clocks={
            "time": starrocks.TIME,
            "timetz": starrocks.TIME,
            "timestamp": ClockRule("DATETIME({p})", 6, guards=_YEARS),
            "instant": ClockRule("DATETIME({p})", 6, "utc", "widening", starrocks.INSTANT, _YEARS),
        },
        earlier=(),
    ),
    clauses=frozenset(starrocks.CONTRACT.clauses - {"primary_key"}),
    requires=(
        Clause(
            "key_model",
            "DUPLICATE KEY, UNIQUE KEY or AGGREGATE KEY (...); without one, since 2.0, "
            'PROPERTIES ("enable_duplicate_without_keys_by_default" = "true")',
        ),
        Clause("distributed_by", "DISTRIBUTED BY HASH (...) or RANDOM"),
        Clause("buckets", "BUCKETS n or BUCKETS AUTO, said explicitly", source="our policy"),
    ),
    forbids=(
        Clause("primary_key", "PRIMARY KEY"),
        Clause("foreign_key", "FOREIGN KEY"),
        Clause("fulltext", "FULLTEXT INDEX"),
        Clause("check", "CHECK constraints"),
        Clause("time", "TIME columns"),
        Clause("key_type", "FLOAT, DOUBLE, STRING, JSON, VARIANT, ARRAY, MAP, STRUCT as key columns"),
        Clause("key_order", "key columns that are not the leading columns in declared order"),
        Clause(
            "auto_increment",
            "AUTO_INCREMENT except on one BIGINT NOT NULL column without default",
            since="2.1",
        ),
        Clause("auto_increment_old", "AUTO_INCREMENT", until="2.1"),
        Clause("auto_increment_aggregate", "AUTO_INCREMENT in an AGGREGATE KEY table"),
        Clause("random_unique", "DISTRIBUTED BY RANDOM in a UNIQUE KEY table"),
    ),
    recommends=(
        Clause("replication", "replication_num 3 in production; 1 is for a single test node"),
        Clause("stream_load", "load by Stream Load: each INSERT VALUES makes a version"),
    ),
    example_ddl="CREATE TABLE orders (\n  id BIGINT NOT NULL,\n  amount DECIMAL(18, 2)\n)\nDUPLICATE KEY (id)"
    "\nDISTRIBUTED BY HASH (id) BUCKETS AUTO",
)
