"""BigQuery. Facts: GoogleSQL reference, "Data types", "CREATE TABLE" (*doc*); nothing *run*.

TIMESTAMP is an instant, DATETIME a wall clock. NUMERIC is DECIMAL(38,9), BIGNUMERIC holds 76 digits, 38 of
them
fraction. Keys must say NOT ENFORCED. At most four clustering columns, one partition column.
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
from migration.dialects.spelling import byte_strings, decimals, lists, others, spellings, structs, texts
from migration.types import instant, json, of, time, timestamp

SPELLINGS = spellings(
    {
        "bool|boolean": of("bool"),
        "int64|int|smallint|integer|bigint|tinyint|byteint": of("int64"),
        "numeric|decimal": decimals(38, 9),
        "bignumeric|bigdecimal": decimals(76, 38),
        "float64": of("float64"),
        "string": texts(),
        "bytes": byte_strings(),
        "date": of("date"),
        "time": time(6),
        "datetime": timestamp(6),
        "timestamp": instant(6),
        "interval": of("interval"),
        "json": json(normalised=True),
        "array": lists,
        "struct": structs,
    },
    others("geography", "range"),
)
_WIDE = Cell("STRING", "widening", "BIGNUMERIC holds 76 digits, 38 of them fraction", "text")
_YEARS = ("finite", "year:1..9999")
_INTEGER = "INT64 is the only integer"

CONTRACT = DialectContract(
    name="bigquery",
    aliases=("bq",),
    family="bigquery",
    sqlglot="bigquery",
    identifiers=IdentifierRules(
        "`",
        "preserve",
        300,
        reserved=kept_by_sqlglot("bigquery"),
        never=r"[`\\.!\"$()*,/;?@\[\]^{}~]",
        never_said="punctuation but the low line, the hyphen and a few others",
    ),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("BOOL"),
            **{
                kind: Cell("INT64", "widening", _INTEGER)
                for kind in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
            },
            "int64": Cell("INT64"),
            "uint64": Cell("NUMERIC(20,0)", "widening", "no unsigned integers"),
            "int128": Cell(
                "BIGNUMERIC(38,0)", "lossy", "BIGNUMERIC(38,0) is the widest integer", "", ("digits:38",)
            ),
            "uint128": Cell(
                "BIGNUMERIC(38,0)", "lossy", "BIGNUMERIC(38,0) is the widest integer", "", ("digits:38",)
            ),
            "float32": Cell("FLOAT64", "widening", "FLOAT64 is double precision"),
            "float64": Cell("FLOAT64"),
            "bytes": Cell("BYTES"),
            "date": Cell("DATE", guards=_YEARS),
            "interval": Cell("STRING", "widening", "intervals differ in range", "text"),
            "uuid": Cell("STRING(36)", "widening", "no uuid type", "uuid_text"),
            "json": Cell(
                "JSON",
                "widening",
                "key order and duplicate keys are not kept; numbers are 64-bit",
                "json",
                ("json_unique_keys", "json_double"),
            ),
            "enum": Cell("STRING", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("STRING", "widening", "no bit strings", "text"),
            "unknown": Cell("STRING", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("STRING", "STRING({n})", 9_223_372_036_854_775_807, "chars"),
        decimal=DecimalRule(
            "NUMERIC({p},{s})",
            38,
            9,
            unbounded=_WIDE,
            wide=_WIDE,
            wider=((76, 38, "BIGNUMERIC({p},{s})"),),
        ),
        clocks={
            "time": ClockRule("TIME", 6),
            "timetz": ClockRule("STRING", 9, "text", "widening", "no time of day with an offset"),
            "timestamp": ClockRule("DATETIME", 6, guards=_YEARS),
            "instant": ClockRule("TIMESTAMP", 6, guards=_YEARS),
        },
        list="ARRAY<{element}>",
        struct="STRUCT<{fields}>",
        nested_lists=False,  # an array of arrays is refused
        json=Cell("JSON", "widening", "stored as JSON", "json"),
        json_decimals=False,
    ),
    clauses=frozenset({"partition_by", "cluster_by", "options", "collate"}),
    forbids=(
        Clause("enforced", "PRIMARY KEY or FOREIGN KEY without NOT ENFORCED"),
        Clause("serial", "SERIAL, IDENTITY, AUTO_INCREMENT"),
        Clause("engine", "ENGINE ="),
        Clause("buckets", "DISTRIBUTED BY, BUCKETS"),
        Clause("nested_arrays", "ARRAY<ARRAY<...>>"),
    ),
    recommends=(
        Clause("partition_by", "PARTITION BY a date the filters use"),
        Clause("cluster_by", "CLUSTER BY up to four columns, the most filtered first"),
    ),
    example_ddl="CREATE TABLE dataset.events (\n  id INT64 NOT NULL,\n  created_at TIMESTAMP,\n"
    "  PRIMARY KEY (id) NOT ENFORCED\n)\nPARTITION BY DATE(created_at)\nCLUSTER BY id",
    publish="create_or_replace",
    backslash_escapes=True,
    enforces_keys=False,
    column_comment="options",
    table_comment="options",
    load_path="Parquet load job",
)
