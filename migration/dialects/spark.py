"""Spark SQL and Hive. Facts: Spark 4 docs, "Data Types", "CREATE DATASOURCE TABLE" (*doc*); basics *run*
on 4.1.

TIMESTAMP is an instant in Spark and a wall clock in Hive. Partition columns in Spark name columns of the
list, in
Hive they are declared in PARTITIONED BY only. Neither enforces keys; only NOT NULL holds.
"""

from __future__ import annotations

from dataclasses import replace

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
from migration.dialects.reserved import SPARK as RESERVED
from migration.dialects.spelling import (
    INTEGERS,
    clocks,
    decimals,
    lists,
    maps,
    others,
    spellings,
    structs,
    texts,
)
from migration.types import byte_string, instant, json, of, text, timestamp

SPELLINGS = spellings(
    INTEGERS,
    {
        "boolean": of("bool"),
        "byte": of("int8"),
        "short": of("int16"),
        "long": of("int64"),
        "decimal|dec|numeric": decimals(10, 0),
        "float|real": of("float32"),
        "double": of("float64"),
        "string": text(),
        "varchar": texts(),
        "char|character": texts(default=1, fixed=True),
        "binary": byte_string(),
        "date": of("date"),
        "timestamp|timestamp_ltz": instant(6),
        "timestamp_ntz": timestamp(6),
        "interval": of("interval"),
        "variant": json(normalised=True),
        "array": lists,
        "map": maps,
        "struct": structs,
    },
    others("void", "geometry", "geography", "object"),
)
_WIDE = Cell("STRING", "widening", "DECIMAL holds 38 digits; text keeps every digit", "text")
_TIME = ClockRule("STRING", 9, "text", "widening", "no type for a time of day")
_YEARS = ("finite", "year:1..9999")
_TYPES = TypeTable(
    cells={
        "bool": Cell("BOOLEAN"),
        "int8": Cell("TINYINT"),
        "int16": Cell("SMALLINT"),
        "int32": Cell("INT"),
        "int64": Cell("BIGINT"),
        "int128": Cell("DECIMAL(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)),
        "uint8": Cell("SMALLINT", "widening", "no unsigned integers"),
        "uint16": Cell("INT", "widening", "no unsigned integers"),
        "uint32": Cell("BIGINT", "widening", "no unsigned integers"),
        "uint64": Cell("DECIMAL(20,0)", "widening", "no unsigned integers"),
        "uint128": Cell(
            "DECIMAL(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
        ),
        "float32": Cell("FLOAT"),
        "float64": Cell("DOUBLE"),
        "bytes": Cell("BINARY"),
        "date": Cell("DATE", guards=_YEARS),
        "interval": Cell("STRING", "widening", "interval types split months from seconds", "text"),
        "uuid": Cell("STRING", "widening", "no uuid type", "uuid_text"),
        "json": Cell("STRING", "widening", "stored as JSON text", "json"),
        "enum": Cell("STRING", "widening", "the set of values is not enforced", "text"),
        "bit": Cell("STRING", "widening", "no bit strings", "text"),
        "unknown": Cell("STRING", "unsupported", "a type we have no meaning for", "text"),
    },
    text=TextRule("STRING", "VARCHAR({n})", 65535, "chars"),
    decimal=DecimalRule("DECIMAL({p},{s})", 38, 38, unbounded=_WIDE, wide=_WIDE),
    clocks={
        "time": _TIME,
        "timetz": _TIME,
        "timestamp": ClockRule("TIMESTAMP_NTZ", 6, guards=_YEARS),
        "instant": ClockRule("TIMESTAMP", 6, guards=_YEARS),
    },
    list="ARRAY<{element}>",
    map="MAP<{key}, {element}>",
    struct="STRUCT<{fields}>",
    struct_field="{name}: {type}",
    json=Cell("STRING", "widening", "stored as JSON text", "json"),
    earlier=(
        (
            "timestamp",
            "3.4",
            Cell(
                "TIMESTAMP",
                "lossy",
                "TIMESTAMP_NTZ exists since 3.4; TIMESTAMP shifts with the session's zone",
            ),
        ),
    ),
)

CONTRACT = DialectContract(
    name="spark",
    aliases=("databricks", "sparksql"),
    family="spark",
    sqlglot="spark",
    identifiers=IdentifierRules("`", "lower", 255, reserved=RESERVED),
    spellings=SPELLINGS,
    types=_TYPES,
    clauses=frozenset(
        {
            "using",
            "options",
            "partitioned_by",
            "clustered_by",
            "cluster_by",
            "sorted_by",
            "location",
            "comment",
            "tblproperties",
            "stored_as",
            "row_format",
            "table_option",
        }
    ),
    forbids=(
        Clause("keys", "UNIQUE, CHECK, AUTO_INCREMENT in open-source Spark"),
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("engine", "ENGINE ="),
    ),
    recommends=(
        Clause("format", "USING delta or iceberg where replacing must be atomic; Parquet otherwise"),
    ),
    example_ddl="CREATE TABLE events (\n  id BIGINT NOT NULL,\n  ds DATE\n)"
    "\nUSING parquet\nPARTITIONED BY (ds)",
    publish="none",
    backslash_escapes=True,
    enforces_keys=False,
    column_comment="inline",
    table_comment="inline",
    default_values=False,
    load_path="Parquet at the table's location, then INSERT ... SELECT",
)
HIVE = replace(
    CONTRACT,
    name="hive",
    aliases=(),
    family="hive",
    sqlglot="hive",
    identifiers=replace(CONTRACT.identifiers, max_length=128),
    spellings=spellings(
        SPELLINGS, {"timestamp": clocks("timestamp", 9), "timestamp with local time zone": instant(9)}
    ),
    types=replace(
        _TYPES,
        clocks={
            "time": _TIME,
            "timetz": _TIME,
            "timestamp": ClockRule("TIMESTAMP", 9, guards=_YEARS),
            "instant": ClockRule("TIMESTAMP", 9, "utc", "widening", "stored as UTC in a wall clock", _YEARS),
        },
        earlier=(),
    ),
    clauses=frozenset(
        {
            "partitioned_by",
            "clustered_by",
            "sorted_by",
            "location",
            "comment",
            "tblproperties",
            "stored_as",
            "row_format",
        }
    ),
    recommends=(
        Clause("format", "STORED AS ORC or PARQUET"),
        Clause("partitioned_by", "PARTITIONED BY (column type): declared there, not in the column list"),
    ),
    example_ddl="CREATE TABLE events (\n  id BIGINT\n)\nPARTITIONED BY (ds DATE)\nSTORED AS ORC",
)
