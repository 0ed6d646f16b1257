"""Snowflake. Facts: Snowflake docs, "Data types", "CREATE TABLE", "Clustering keys" (*doc*); nothing *run*.

Every integer is NUMBER(38,0): 38 digits, one short of a 128-bit integer. Unquoted names fold to upper
case, so
we always quote what is not upper case already. Keys are not enforced; a clustering key costs credits.
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
from migration.dialects.reserved import SNOWFLAKE as RESERVED
from migration.dialects.spelling import (
    byte_strings,
    clocks,
    decimals,
    lists,
    maps,
    others,
    spellings,
    structs,
    texts,
)
from migration.types import decimal, json, of

MAX_TEXT = 16_777_216
SPELLINGS = spellings(
    {
        "boolean": of("bool"),
        "number|decimal|dec|numeric": decimals(38, 0),
        "int|integer|bigint|smallint|tinyint|byteint": decimal(38, 0),
        "float|float4|float8|double|double precision|real": of("float64"),
        "varchar|string|text|nvarchar|nvarchar2|char varying|nchar varying": texts(default=MAX_TEXT),
        "char|character|nchar": texts(default=1),
        "binary|varbinary": byte_strings(8_388_608),
        "date": of("date"),
        "time": clocks("time", 9),
        "timestamp_ntz|timestampntz|datetime|timestamp without time zone|timestamp": clocks("timestamp", 9),
        "timestamp_tz|timestamptz|timestamp with time zone": clocks("instant", 9),
        "timestamp_ltz|timestampltz|timestamp with local time zone": clocks("instant", 9),
        "variant": json(normalised=True),
        "object": lambda arguments: structs(arguments) if arguments else json(normalised=True),
        "array": lists,
        "map": maps,
    },
    others("geography", "geometry", "vector", "file"),
)
_INTEGER = "every integer is NUMBER(38,0)"
_WIDE = Cell("VARCHAR", "widening", "NUMBER holds 38 digits; text keeps every digit", "text")
_OBJECT = "VARIANT holds the same values; key order and duplicate keys are not kept"

CONTRACT = DialectContract(
    name="snowflake",
    family="snowflake",
    sqlglot="snowflake",
    identifiers=IdentifierRules('"', "upper", 255, reserved=RESERVED),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("BOOLEAN"),
            **{
                kind: Cell("NUMBER(38,0)", "widening", _INTEGER)
                for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
            },
            "uint64": Cell("NUMBER(20,0)", "widening", "no unsigned integers"),
            "int128": Cell(
                "NUMBER(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
            ),
            "uint128": Cell(
                "NUMBER(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
            ),
            "float32": Cell("FLOAT", "widening", "FLOAT is always double precision"),
            "float64": Cell("FLOAT"),
            "bytes": Cell("BINARY", "lossy", "BINARY holds 8 MB", "", ("octets:8388608",)),
            "date": Cell("DATE", guards=("finite", "year:0..9999")),
            "interval": Cell("VARCHAR", "widening", "no interval column type", "text"),
            "uuid": Cell("VARCHAR(36)", "widening", "no uuid type", "uuid_text"),
            "json": Cell("VARIANT", "widening", _OBJECT, "json", ("json_unique_keys", "octets:16777216")),
            "enum": Cell("VARCHAR", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("VARCHAR", "widening", "no bit strings", "text"),
            "unknown": Cell("VARCHAR", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("VARCHAR", "VARCHAR({n})", MAX_TEXT, "chars", cap=MAX_TEXT),
        decimal=DecimalRule("NUMBER({p},{s})", 38, 37, unbounded=_WIDE, wide=_WIDE),
        clocks={
            "time": ClockRule("TIME({p})", 9),
            "timetz": ClockRule("VARCHAR(32)", 9, "text", "widening", "no time of day with an offset"),
            "timestamp": ClockRule("TIMESTAMP_NTZ({p})", 9, guards=("finite", "year:0..9999")),
            "instant": ClockRule("TIMESTAMP_TZ({p})", 9, guards=("finite", "year:0..9999")),
        },
        json=Cell("VARIANT", "widening", _OBJECT, "json", ("octets:16777216",)),
    ),
    clauses=frozenset({"cluster_by", "comment", "with", "table_option", "row_access"}),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("distributed_by", "DISTRIBUTED BY"),
        Clause("engine", "ENGINE = MergeTree"),
    ),
    recommends=(
        Clause("cluster_by", "CLUSTER BY only for tables of a terabyte or so: it costs credits"),
        Clause("quoting", "quote names that are not upper case, in DDL and in INSERT alike"),
    ),
    example_ddl="CREATE TABLE EVENTS (\n  ID NUMBER(38,0) NOT NULL,\n  PAYLOAD VARIANT,"
    "\n  AT TIMESTAMP_NTZ(6)\n)",
    publish="swap",
    backslash_escapes=True,
    enforces_keys=False,
    identity="AUTOINCREMENT",
    identity_counting=" START {start} INCREMENT {step}",
    column_comment="inline",
    table_comment="inline_equals",
    load_path="Parquet, PUT, COPY INTO",
)
