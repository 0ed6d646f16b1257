"""PostgreSQL. Facts: manual chapters 5 (DDL), 8 (data types), 13; cells of the type table *run* on 15.

No rule here is PostgreSQL's alone to give away: Greenplum and Redshift read its spellings and add their own.
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
from migration.dialects.reserved import POSTGRES as RESERVED
from migration.dialects.spelling import (
    bit_strings,
    clocks,
    decimals,
    floats,
    intervals,
    others,
    spellings,
    texts,
    words,
)
from migration.types import byte_string, json, of, text

SPELLINGS = spellings(
    {
        "boolean|bool": of("bool"),
        "smallint|int2|smallserial|serial2": of("int16"),
        "integer|int|int4|serial|serial4": of("int32"),
        "bigint|int8|bigserial|serial8": of("int64"),
        "numeric|decimal|dec": decimals(shifts=True),
        "real|float4": of("float32"),
        "double precision|float8": of("float64"),
        "float": floats("float64"),
        "text|character varying|char varying|varchar|national character varying|nchar varying": texts(),
        "bpchar": texts(fixed=True),
        "character|char|national character|national char|nchar": texts(default=1, fixed=True),
        "name": text(63, "bytes"),
        '"char"': text(4, "bytes"),  # one byte; its text is \\303 where that is no ASCII
        "bytea": byte_string(),
        "date": of("date"),
        "time|time without time zone": clocks("time"),
        "timetz|time with time zone": clocks("timetz"),
        "timestamp|timestamp without time zone": clocks("timestamp"),
        "timestamptz|timestamp with time zone": clocks("instant"),
        "interval": intervals(),
        **{
            f"interval {fields}": intervals(fields)
            for fields in (
                *words("year month day hour minute second"),
                "year to month",
                "day to hour",
                "day to minute",
                "day to second",
                "hour to minute",
                "hour to second",
                "minute to second",
            )
        },
        "uuid": of("uuid"),
        "json": json(),
        "jsonb": json(normalised=True),
        "bit": bit_strings(1, fixed=True),
        "bit varying|varbit": bit_strings(),
    },
    others(
        *words(
            "money inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector "
            "tsquery xml oid xid"
        ),
        *words(
            "xid8 cid tid pg_lsn pg_snapshot txid_snapshot jsonpath regclass regtype regproc "
            "regprocedure regrole"
        ),
        *words(
            "regnamespace regconfig regdictionary regoper regoperator int4range int8range numrange "
            "daterange tsrange"
        ),
        *words(
            "tstzrange int4multirange int8multirange nummultirange datemultirange tsmultirange tstzmultirange"
        ),
        *words("citext hstore ltree geometry geography vector halfvec cube seg"),
    ),
)

FINITE: tuple[str, ...] = ()  # PostgreSQL holds infinity in dates, timestamps, floats and (14) numerics
JSONB = Cell("jsonb", "widening", "jsonb holds the same values", "json", ("no_nul",))
CELLS = {
    "bool": Cell("boolean"),
    "int8": Cell("smallint", "widening", "PostgreSQL has no 1-byte integer"),
    "int16": Cell("smallint"),
    "int32": Cell("integer"),
    "int64": Cell("bigint"),
    "int128": Cell("numeric(39,0)", "widening", "a 128-bit integer has up to 39 digits"),
    "uint8": Cell("smallint", "widening", "no unsigned integers"),
    "uint16": Cell("integer", "widening", "no unsigned integers"),
    "uint32": Cell("bigint", "widening", "no unsigned integers"),
    "uint64": Cell("numeric(20,0)", "widening", "no unsigned integers"),
    "uint128": Cell("numeric(39,0)", "widening", "no unsigned integers"),
    "float32": Cell("real"),
    "float64": Cell("double precision"),
    "bytes": Cell("bytea"),
    "date": Cell("date", guards=("year:-4712..5874897",)),
    "interval": Cell("interval"),
    "uuid": Cell("uuid"),
    "json": Cell(
        "jsonb",
        "widening",
        "key order, white space and duplicate keys are not kept; json keeps the text",
        "",
        ("json_unique_keys", "no_nul"),
    ),
    "jsonb": Cell("jsonb"),
    "enum": Cell("text", "widening", "the set of values is not enforced", "text"),
    "bit": Cell("bit varying"),
    "unknown": Cell("text", "unsupported", "a type we have no meaning for", "text"),
}
TYPES = TypeTable(
    cells=CELLS,
    text=TextRule("text", "varchar({n})", 10_485_760, "chars", fixed="char({n})", guards=("no_nul",)),
    decimal=DecimalRule(
        "numeric({p},{s})", 1000, 1000, unbounded=Cell("numeric"), wide=Cell("numeric", "widening")
    ),
    clocks={
        "time": ClockRule("time({p})", 6),
        "timetz": ClockRule("time({p}) with time zone", 6),
        "timestamp": ClockRule("timestamp({p})", 6, guards=("year:-4712..294276",)),
        "instant": ClockRule("timestamp({p}) with time zone", 6, guards=("year:-4712..294276",)),
    },
    list="{element}[]",
    nested_lists=False,  # its arrays are rectangular: [[1], [2, 3]] has no form
    json=JSONB,
)
MPP_FORBIDS = (
    Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
    Clause("engine", "ENGINE ="),
    Clause("buckets", "DISTRIBUTED BY HASH (...) BUCKETS n"),
)

CONTRACT = DialectContract(
    name="postgres",
    aliases=("postgresql", "pg", "gaussdb", "hologres", "cockroachdb"),
    family="postgres-like",
    sqlglot="postgres",
    identifiers=IdentifierRules('"', "lower", 63, "bytes", RESERVED),
    spellings=SPELLINGS,
    types=TYPES,
    clauses=frozenset(
        {"partition_by", "with", "without_oids", "using", "tablespace", "inherits", "on_commit"}
    ),
    forbids=(
        *MPP_FORBIDS,
        Clause("distributed_by", "DISTRIBUTED BY in any form: distribution is Greenplum's"),
        Clause("foreign_types", "datetime, tinyint, unsigned integers, AUTO_INCREMENT: other engines' words"),
    ),
    recommends=(
        Clause("identity", "GENERATED BY DEFAULT AS IDENTITY rather than serial", since="10"),
        Clause("identity_position", "after a load, set the sequence past the greatest loaded value"),
        Clause("no_nul", "text cannot hold the NUL character"),
    ),
    example_ddl="CREATE TABLE public.users (\n  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,\n"
    "  name text NOT NULL,\n  created_at timestamp(6) with time zone DEFAULT now()\n)",
    publish="rename_in_transaction",
    transactional_ddl=True,
    identity="GENERATED BY DEFAULT AS IDENTITY",
    identity_always="GENERATED ALWAYS AS IDENTITY",
    identity_counting=" (START WITH {start} INCREMENT BY {step})",
    column_comment="statement",
    table_comment="statement",
    load_path="COPY ... FROM STDIN (binary)",
)
