"""StarRocks. Facts: StarRocks docs, "CREATE TABLE", "Data distribution", "AUTO_INCREMENT" (*doc*); nothing
*run*.

Key columns come first, in declared order, and are neither FLOAT nor DOUBLE nor nested. Since 3.0 the
number of
buckets may be left out, since 3.1 DISTRIBUTED BY too for duplicate-key tables (random bucketing). NOT NULL on
key columns is needed for PRIMARY KEY tables only. VARCHAR lengths are bytes, up to 1,048,576 since 2.1.
"""

from __future__ import annotations

from migration.dialects.base import (
    Cell,
    Clause,
    ClockRule,
    DecimalRule,
    DialectContract,
    IdentifierRules,
    TextRule,
    TypeTable,
)
from migration.dialects.reserved import kept_by_sqlglot
from migration.dialects.spelling import (
    INTEGERS,
    byte_strings,
    decimals,
    lists,
    maps,
    others,
    spellings,
    structs,
    texts,
)
from migration.types import json, of, timestamp

MAX_VARCHAR = 1_048_576
WIDE = Cell(
    "VARCHAR(65533)", "widening", "DECIMAL holds 38 digits; text keeps every digit", "text", ("octets:65533",)
)
INSTANT = "DATETIME has no zone: every value must be converted to UTC first"

SPELLINGS = spellings(
    INTEGERS,
    {
        "boolean|bool": of("bool"),
        "largeint": of("int128"),
        "decimal|numeric|decimalv2|decimal32|decimal64|decimal128": decimals(10, 0),
        "float": of("float32"),
        "double|double precision": of("float64"),
        "varchar|character varying": texts("bytes", 1),
        "string|text": texts("bytes", 65533),
        "char|character": texts("bytes", 1, fixed=True),
        "varbinary|binary": byte_strings(MAX_VARCHAR),
        "date": of("date"),
        "datetime|timestamp": timestamp(6),
        "json": json(normalised=True),
        "array": lists,
        "map": maps,
        "struct": structs,
    },
    others("bitmap", "hll", "percentile", "variant"),
)
CELLS = {
    "bool": Cell("BOOLEAN"),
    "int8": Cell("TINYINT"),
    "int16": Cell("SMALLINT"),
    "int32": Cell("INT"),
    "int64": Cell("BIGINT"),
    "int128": Cell("LARGEINT"),
    "uint8": Cell("SMALLINT", "widening", "no unsigned integers"),
    "uint16": Cell("INT", "widening", "no unsigned integers"),
    "uint32": Cell("BIGINT", "widening", "no unsigned integers"),
    "uint64": Cell("LARGEINT", "widening", "no unsigned integers"),
    "uint128": Cell("VARCHAR(40)", "widening", "LARGEINT is signed; text keeps every digit", "text"),
    "float32": Cell("FLOAT", guards=("finite",)),
    "float64": Cell("DOUBLE", guards=("finite",)),
    "bytes": Cell("VARBINARY", "lossy", "VARBINARY holds 1 MB", "", (f"octets:{MAX_VARCHAR}",)),
    "date": Cell("DATE", guards=("finite", "year:0..9999")),
    "interval": Cell("VARCHAR(64)", "widening", "no interval type", "text"),
    "uuid": Cell("VARCHAR(36)", "widening", "no uuid type", "uuid_text"),
    "json": Cell(
        "JSON",
        "widening",
        "key order is not kept, numbers become BIGINT or DOUBLE",
        "json",
        ("json_unique_keys", "json_double", "octets:16777216"),
    ),
    "enum": Cell("VARCHAR({octets})", "widening", "the set of values is not enforced", "text"),
    "bit": Cell(f"VARCHAR({MAX_VARCHAR})", "widening", "no bit strings", "text", (f"octets:{MAX_VARCHAR}",)),
    "unknown": Cell(f"VARCHAR({MAX_VARCHAR})", "unsupported", "a type we have no meaning for", "text"),
}
TIME = ClockRule("VARCHAR(32)", 9, "text", "widening", "no type for a time of day")
TYPES = TypeTable(
    cells=CELLS,
    text=TextRule(f"VARCHAR({MAX_VARCHAR})", "VARCHAR({n})", MAX_VARCHAR, "bytes", cap=MAX_VARCHAR),
    decimal=DecimalRule("DECIMAL({p},{s})", 38, 38, unbounded=WIDE, wide=WIDE),
    clocks={
        "time": TIME,
        "timetz": TIME,
        "timestamp": ClockRule("DATETIME", 6, guards=("finite", "year:0..9999")),
        "instant": ClockRule("DATETIME", 6, "utc", "widening", INSTANT, ("finite", "year:0..9999")),
    },
    list="ARRAY<{element}>",
    map="MAP<{key}, {element}>",
    struct="STRUCT<{fields}>",
    json=Cell("JSON", "widening", "stored as JSON", "json", ("octets:16777216",)),
    json_decimals=False,
    earlier=(
        ("bytes", "3.0", Cell("STRING", "unsupported", "VARBINARY exists since 3.0", "text")),
        ("map", "3.1", Cell("JSON", "widening", "MAP exists since 3.1", "json")),
        ("struct", "3.1", Cell("JSON", "widening", "STRUCT exists since 3.1", "json")),
    ),
)

CONTRACT = DialectContract(
    name="starrocks",
    aliases=("sr", "celerdata"),
    family="mysql-like",
    sqlglot="starrocks",
    identifiers=IdentifierRules("`", "preserve", 1023, reserved=kept_by_sqlglot("starrocks")),
    spellings=SPELLINGS,
    types=TYPES,
    clauses=frozenset(
        {
            "engine",
            "duplicate_key",
            "primary_key",
            "unique_key",
            "aggregate_key",
            "comment",
            "partition_by",
            "distributed_by",
            "order_by",
            "properties",
        }
    ),
    requires=(
        Clause("key_model", "DUPLICATE KEY, PRIMARY KEY, UNIQUE KEY or AGGREGATE KEY (...)", until="3.0"),
        Clause(
            "key_model_update",
            "a key model, unless the table is a duplicate-key table by default",
            since="3.0",
        ),
        Clause("distributed_by", "DISTRIBUTED BY HASH (...) BUCKETS n", until="3.0"),
        Clause(
            "distributed_by_hash",
            "DISTRIBUTED BY HASH (...) [BUCKETS n] for PRIMARY, UNIQUE and AGGREGATE KEY",
        ),
    ),
    forbids=(
        Clause("auto_increment_old", "AUTO_INCREMENT", until="3.0"),
        Clause("auto_increment_type", "AUTO_INCREMENT on anything but one BIGINT column", since="3.0"),
        Clause("foreign_key", "FOREIGN KEY"),
        Clause("fulltext", "FULLTEXT INDEX"),
        Clause("check", "CHECK constraints"),
        Clause("key_order", "key columns that are not the leading columns in declared order", source="known"),
        Clause(
            "key_type",
            "FLOAT, DOUBLE, JSON, ARRAY, MAP, STRUCT, VARBINARY as key, distribution or sort column",
        ),
    ),
    recommends=(
        Clause("replication", "replication_num 3 in production; 1 is for a single test node"),
        Clause("buckets_auto", "leave BUCKETS out: the number is chosen from the data", since="3.0"),
        Clause("stream_load", "load by Stream Load: each INSERT VALUES makes a version", source="known"),
    ),
    example_ddl="CREATE TABLE orders (\n  id BIGINT NOT NULL,\n  amount DECIMAL(18, 2)\n)\nDUPLICATE KEY (id)"
    "\nDISTRIBUTED BY HASH (id) BUCKETS 10",
    publish="swap",
    backslash_escapes=True,
    identity="AUTO_INCREMENT",
    identity_type="BIGINT",
    column_comment="inline",
    table_comment="inline",
    load_path="Stream Load over HTTP",
)
