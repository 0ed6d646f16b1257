"""DuckDB. Facts *run* on 2.0.0.

VARCHAR(n) is accepted and not enforced; DECIMAL without parameters is DECIMAL(18,3) and holds 38 digits at
most; HUGEINT holds 128 bits. FLOAT is single precision.
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
from migration.dialects.reserved import DUCKDB as RESERVED
from migration.dialects.spelling import JSON, decimals, enums, floats, lists, maps, others, spellings, structs
from migration.types import CanonicalType, bits, byte_string, instant, of, text, time, timestamp, timetz

SPELLINGS = spellings(
    JSON,
    {
        "boolean|bool|logical": of("bool"),
        "tinyint|int1": of("int8"),
        "smallint|int2|short|int16": of("int16"),
        "integer|int|int4|signed|int32": of("int32"),
        "bigint|int8|long|int64|oid": of("int64"),
        "hugeint|int128": of("int128"),
        "utinyint|uint8": of("uint8"),
        "usmallint|uint16": of("uint16"),
        "uinteger|uint32": of("uint32"),
        "ubigint|uint64": of("uint64"),
        "uhugeint|uint128": of("uint128"),
        "decimal|numeric|dec": decimals(18, 3),
        "bignum|varint": CanonicalType("decimal", scale=0),  # whole numbers of any length
        "real|float4": of("float32"),
        "float": floats("float32"),
        "double|float8|double precision": of("float64"),
        "varchar|text|string|char|character|bpchar|character varying|char varying|nvarchar|nchar|national char": text(),
        "national character|national character varying|national char varying|nchar varying": text(),
        "blob|bytea|binary|varbinary": byte_string(),
        "date": of("date"),
        "time|time without time zone": time(6),
        "time_ns": time(9),
        "timetz|time with time zone": timetz(6),
        "timestamp|datetime|timestamp without time zone|timestamp_us": timestamp(6),
        "timestamp_s": timestamp(0),
        "timestamp_ms": timestamp(3),
        "timestamp_ns": timestamp(9),
        "timestamptz|timestamp with time zone": instant(6),
        "interval": of("interval"),
        "uuid|guid": of("uuid"),
        "bit|bitstring": bits(),
        "enum": enums,
        "struct|row": structs,
        "map": maps,
        "list|array": lists,
    },
    others("union", "geometry", "variant", "null"),
)
_WIDE = Cell("VARCHAR", "widening", "DECIMAL holds 38 digits; text keeps every digit", "text")

CONTRACT = DialectContract(
    name="duckdb",
    aliases=("motherduck",),
    family="duckdb",
    sqlglot="duckdb",
    identifiers=IdentifierRules('"', "preserve", 65535, reserved=RESERVED),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("BOOLEAN"),
            "int8": Cell("TINYINT"),
            "int16": Cell("SMALLINT"),
            "int32": Cell("INTEGER"),
            "int64": Cell("BIGINT"),
            "int128": Cell("HUGEINT"),
            "uint8": Cell("UTINYINT"),
            "uint16": Cell("USMALLINT"),
            "uint32": Cell("UINTEGER"),
            "uint64": Cell("UBIGINT"),
            "uint128": Cell("UHUGEINT"),
            "float32": Cell("FLOAT"),
            "float64": Cell("DOUBLE"),
            "bytes": Cell("BLOB"),
            "date": Cell("DATE"),
            "interval": Cell("INTERVAL"),
            "uuid": Cell("UUID"),
            "json": Cell("JSON"),
            "enum": Cell("VARCHAR", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("BIT", guards=("some_bits",)),
            "unknown": Cell("VARCHAR", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("VARCHAR"),
        decimal=DecimalRule("DECIMAL({p},{s})", 38, 38, unbounded=_WIDE, wide=_WIDE),
        clocks={
            "time": ClockRule("TIME", 6, finer="TIME_NS"),
            "timetz": ClockRule("TIME WITH TIME ZONE", 6),
            "timestamp": ClockRule("TIMESTAMP", 6, guards=("year:-290307..294247",), finer="TIMESTAMP_NS"),
            "instant": ClockRule("TIMESTAMP WITH TIME ZONE", 6, guards=("year:-290307..294247",)),
        },
        list="{element}[]",
        map="MAP({key}, {element})",
        struct="STRUCT({fields})",
        json=Cell("JSON", "widening", "stored as JSON", "json"),
        untold=frozenset({"union", "variant"}),
    ),
    clauses=frozenset({"with", "partitioned_by", "sorted_by", "on_commit"}),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("engine", "ENGINE ="),
        Clause("buckets", "DISTRIBUTED BY, BUCKETS"),
    ),
    recommends=(Clause("decimal", "DECIMAL(p,s) with both parameters: bare DECIMAL rounds to 3 digits"),),
    example_ddl="CREATE TABLE events (\n  id BIGINT PRIMARY KEY,\n  tags VARCHAR[],\n  payload JSON,\n"
    "  created_at TIMESTAMP WITH TIME ZONE\n)",
    publish="rename_in_transaction",
    transactional_ddl=True,
    column_comment="statement",
    table_comment="statement",
    load_path="INSERT from an Arrow reader",
)
