"""Trino. Facts: Trino docs, "Data types", connector pages (*doc*); nothing *run*.

The catalog decides. Families: hive, iceberg, delta, jdbc, generic. A JDBC catalog does not pass DDL through:
Trino's types are translated to the database behind it. Hive partition columns must be the last columns.
A statement's text is limited to 1,000,000 characters.
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
from migration.dialects.reserved import kept_by_sqlglot
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
from migration.types import byte_string, json, of

SPELLINGS = spellings(
    INTEGERS,
    {
        "boolean": of("bool"),
        "decimal|dec|numeric": decimals(38, 0),
        "real": of("float32"),
        "double|double precision": of("float64"),
        "varchar": texts(),
        "char": texts(default=1, fixed=True),
        "varbinary": byte_string(),
        "date": of("date"),
        "time|time without time zone": clocks("time", 3),
        "time with time zone": clocks("timetz", 3),
        "timestamp|timestamp without time zone": clocks("timestamp", 3),
        "timestamp with time zone": clocks("instant", 3),
        "interval": of("interval"),
        "uuid": of("uuid"),
        "json": json(normalised=True),
        "array": lists,
        "map": maps,
        "row": structs,
    },
    others("ipaddress", "hyperloglog", "p4hyperloglog", "qdigest", "tdigest", "geometry", "color", "number"),
)
_WIDE = Cell("varchar", "widening", "decimal holds 38 digits; text keeps every digit", "text")
_INSTANT = "no timestamp with time zone in this catalog: stored as UTC"
_TYPES = TypeTable(
    cells={
        "bool": Cell("boolean"),
        "int8": Cell("tinyint"),
        "int16": Cell("smallint"),
        "int32": Cell("integer"),
        "int64": Cell("bigint"),
        "int128": Cell("decimal(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)),
        "uint8": Cell("smallint", "widening", "no unsigned integers"),
        "uint16": Cell("integer", "widening", "no unsigned integers"),
        "uint32": Cell("bigint", "widening", "no unsigned integers"),
        "uint64": Cell("decimal(20,0)", "widening", "no unsigned integers"),
        "uint128": Cell(
            "decimal(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
        ),
        "float32": Cell("real"),
        "float64": Cell("double"),
        "bytes": Cell("varbinary"),
        "date": Cell("date", guards=("finite",)),
        "interval": Cell("varchar", "widening", "intervals cannot be stored", "text"),
        "uuid": Cell("uuid"),
        "json": Cell(
            "json", "widening", "key order and duplicate keys are not kept", "json", ("json_unique_keys",)
        ),
        "enum": Cell("varchar", "widening", "the set of values is not enforced", "text"),
        "bit": Cell("varchar", "widening", "no bit strings", "text"),
        "unknown": Cell("varchar", "unsupported", "a type we have no meaning for", "text"),
    },
    text=TextRule("varchar", "varchar({n})", 2_147_483_646, "chars"),
    decimal=DecimalRule("decimal({p},{s})", 38, 38, unbounded=_WIDE, wide=_WIDE),
    clocks={
        "time": ClockRule("time({p})", 12),
        "timetz": ClockRule("time({p}) with time zone", 12),
        "timestamp": ClockRule("timestamp({p})", 12, guards=("finite",)),
        "instant": ClockRule("timestamp({p}) with time zone", 12, guards=("finite",)),
    },
    list="array({element})",
    map="map({key}, {element})",
    struct="row({fields})",
    json=Cell("varchar", "widening", "stored as JSON text", "json"),
)
_TEXT_TIME = ClockRule("varchar", 12, "text", "widening", "no time of day in this catalog")
_LAKE_CELLS = {**_TYPES.cells, "json": Cell("varchar", "widening", "stored as JSON text", "json")}
_UUID = Cell("varchar", "widening", "no uuid in this catalog", "uuid_text")
_NARROW = {
    "int8": Cell("integer", "widening", "no tinyint in this catalog"),
    "int16": Cell("integer", "widening", "no smallint in this catalog"),
    "uint8": Cell("integer", "widening", "no unsigned integers"),
}

CONTRACT = DialectContract(
    name="trino",
    aliases=("presto", "prestodb", "athena", "starburst", "trino-generic"),
    family="trino-generic",
    sqlglot="trino",
    identifiers=IdentifierRules('"', "lower", 128, reserved=kept_by_sqlglot("trino")),
    spellings=SPELLINGS,
    types=_TYPES,
    clauses=frozenset({"comment", "with"}),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("engine", "ENGINE ="),
        Clause("keys", "PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK, serial types"),
    ),
    notes=(Clause("text_limit", "a statement is at most 1,000,000 characters: no large INSERT ... VALUES"),),
    example_ddl="CREATE TABLE orders (\n  id bigint,\n  name varchar\n)",
    publish="none",
    enforces_keys=False,
    column_comment="inline",
    table_comment="inline",
    default_values=False,
    load_path="Parquet written to the lake, else multi-row INSERT below the statement limit",
)
HIVE = replace(
    CONTRACT,
    name="trino-hive",
    aliases=("trino_hive",),
    family="trino-hive",
    types=replace(
        _TYPES,
        cells={**_LAKE_CELLS, "uuid": _UUID},
        clocks={
            "time": _TEXT_TIME,
            "timetz": _TEXT_TIME,
            "timestamp": ClockRule("timestamp({p})", 9, guards=("finite",)),
            "instant": ClockRule("timestamp({p})", 9, "utc", "widening", _INSTANT, ("finite",)),
        },
    ),
    forbids=(
        *CONTRACT.forbids,
        Clause("partition_last", "partition columns that are not the last columns"),
        Clause("not_null", "NOT NULL columns"),
    ),
    recommends=(
        Clause("format", "WITH (format = 'PARQUET')"),
        Clause("partitioned_by", "partitioned_by = ARRAY[...] of few values; bucketed_by with bucket_count"),
    ),
    example_ddl="CREATE TABLE orders (\n  id bigint,\n  ds date\n)\n"
    "WITH (format = 'PARQUET', partitioned_by = ARRAY['ds'])",
)
ICEBERG = replace(
    CONTRACT,
    name="trino-iceberg",
    aliases=("trino_iceberg", "iceberg"),
    family="trino-iceberg",
    types=replace(
        _TYPES,
        cells={**_LAKE_CELLS, **_NARROW},
        clocks={
            "time": ClockRule("time(6)", 6),
            "timetz": _TEXT_TIME,
            "timestamp": ClockRule("timestamp(6)", 6, guards=("finite",)),
            "instant": ClockRule("timestamp(6) with time zone", 6, guards=("finite",)),
        },
    ),
    recommends=(
        Clause("partitioning", "partitioning = ARRAY['month(at)', 'bucket(id, 16)'] from the filters in use"),
        Clause("format", "WITH (format = 'PARQUET')"),
    ),
    example_ddl="CREATE TABLE orders (\n  id bigint,\n  at timestamp(6)\n)\n"
    "WITH (format = 'PARQUET', partitioning = ARRAY['month(at)'])",
    publish="create_or_replace",
)
DELTA = replace(
    HIVE,
    name="trino-delta",
    aliases=("trino_delta", "trino-delta_lake"),
    family="trino-delta",
    types=replace(
        _TYPES,
        cells={**_LAKE_CELLS, "uuid": _UUID},
        clocks={
            "time": _TEXT_TIME,
            "timetz": _TEXT_TIME,
            "timestamp": ClockRule("timestamp(6)", 6, guards=("finite",)),
            "instant": ClockRule("timestamp(3) with time zone", 3, guards=("finite",)),
        },
    ),
    forbids=CONTRACT.forbids,
    recommends=(Clause("partitioned_by", "partitioned_by = ARRAY[...] of few values; location"),),
    example_ddl="CREATE TABLE orders (\n  id bigint,\n  ds date\n)\nWITH (partitioned_by = ARRAY['ds'])",
    publish="create_or_replace",
)
JDBC = replace(
    CONTRACT,
    name="trino-jdbc",
    aliases=("trino_jdbc",),
    family="trino-jdbc",
    notes=(
        *CONTRACT.notes,
        Clause(
            "translated",
            "Trino's types are translated to the database behind the catalog; DDL is not passed through",
        ),
    ),
)
