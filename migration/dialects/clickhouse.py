"""ClickHouse. Facts: ClickHouse docs, "Data types", "CREATE TABLE", "MergeTree" (*doc*); types *run* on
26.9 (chdb).

Columns are NOT NULL unless the type says Nullable(...). A NULL sent to such a column becomes 0 or '' while
input_format_null_as_default is on, the server's default: loads must switch it off. ORDER BY belongs to the
MergeTree family only; PRIMARY KEY alone is enough there. Sort keys are not Nullable unless
allow_nullable_key.
Bool is a type, VARCHAR an alias of String.
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
from migration.dialects.spelling import (
    byte_strings,
    clocks,
    decimals,
    enums,
    floats,
    lists,
    maps,
    nested,
    others,
    scaled,
    second,
    spellings,
    structs,
    words,
    wrapped,
    zoned,
)
from migration.types import closed, decimal, instant, json, of, text

_STRINGS = (
    "string|varchar|char|character|text|tinytext|mediumtext|longtext|blob|tinyblob|mediumblob|longblob|clob"
)
SPELLINGS = spellings(
    {
        "bool|boolean": of("bool"),
        "int8|tinyint|int1": of("int8"),
        "int16|smallint": of("int16"),
        "int32|int|integer|mediumint": of("int32"),
        "int64|bigint": of("int64"),
        "int128": of("int128"),
        "int256": decimal(77, 0),
        "uint8|tinyint unsigned": of("uint8"),
        "uint16|smallint unsigned": of("uint16"),
        "uint32|int unsigned|integer unsigned": of("uint32"),
        "uint64|bigint unsigned": of("uint64"),
        "uint128": of("uint128"),
        "uint256": decimal(78, 0),
        "decimal|dec|numeric|fixed": decimals(10, 0),
        "decimal32": scaled(9),
        "decimal64": scaled(18),
        "decimal128": scaled(38),
        "decimal256": scaled(76),
        "float32|real|single": of("float32"),
        "float": floats("float32"),
        "float64|double|double precision": of("float64"),
        _STRINGS: text(),
        "national char|nchar|nvarchar|national character|character varying|char varying|bytea": text(),
        "fixedstring|binary": byte_strings(1, fixed=True),
        "date|date32": of("date"),
        "datetime": zoned(0),
        "datetime32": zoned(0),
        "datetime64": zoned(3),
        "timestamp": instant(0),
        "time": clocks("time", 0),
        "time64": clocks("time", 3),
        "uuid": of("uuid"),
        "ipv4|inet4": closed("ipv4", 15),
        "ipv6|inet6": closed("ipv6", 39),
        "json": json(normalised=True),
        "enum|enum8|enum16": enums,
        "array": lists,
        "map": maps,
        "tuple": structs,
        "nested": nested,
        "nullable|lowcardinality": wrapped,
        "simpleaggregatefunction": second,
    },
    others(
        *words(
            "aggregatefunction variant dynamic object bfloat16 point ring polygon multipolygon linestring "
            "multilinestring geometry qbit set bit year signed unsigned"
        ),
        *words(
            "nothing intervalsecond intervalminute intervalhour intervalday intervalweek "
            "intervalmonth intervalyear"
        ),
    ),
)
_YEARS = ("finite", "year:1900..2299")
_UNCOUNTED = Cell("String", "widening", "text keeps every digit", "text")
_TIME = ClockRule(
    "String", 9, "text", "widening", "stored as text: Time64 exists since 25.6 and is experimental"
)
_JSON = Cell("String", "widening", "stored as JSON text", "json")

CONTRACT = DialectContract(
    name="clickhouse",
    aliases=("ch", "chdb"),
    family="clickhouse",
    sqlglot="clickhouse",
    identifiers=IdentifierRules("`", "preserve", 206, "bytes", case_sensitive=True),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("Bool"),
            "int8": Cell("Int8"),
            "int16": Cell("Int16"),
            "int32": Cell("Int32"),
            "int64": Cell("Int64"),
            "int128": Cell("Int128"),
            "uint8": Cell("UInt8"),
            "uint16": Cell("UInt16"),
            "uint32": Cell("UInt32"),
            "uint64": Cell("UInt64"),
            "uint128": Cell("UInt128"),
            "float32": Cell("Float32"),
            "float64": Cell("Float64"),
            "bytes": Cell("String", "widening", "String holds any bytes; readers must take it as bytes"),
            "date": Cell("Date32", guards=_YEARS),
            "interval": Cell("String", "widening", "an interval type cannot be stored", "text"),
            "uuid": Cell("UUID"),
            "json": _JSON,
            "enum": Cell("LowCardinality(String)", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("String", "widening", "no bit strings", "text"),
            "unknown": Cell("String", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("String"),
        decimal=DecimalRule("Decimal({p}, {s})", 76, 76, unbounded=_UNCOUNTED, wide=_UNCOUNTED),
        clocks={
            "time": _TIME,
            "timetz": _TIME,
            "timestamp": ClockRule("DateTime64({p})", 9, guards=_YEARS),
            "instant": ClockRule("DateTime64({p}, 'UTC')", 9, guards=_YEARS),
        },
        list="Array({element})",
        map="Map({key}, {element})",
        struct="Tuple({fields})",
        json=_JSON,
        untold=frozenset({"variant", "dynamic", "object"}),
        nullable="Nullable({type})",
    ),
    clauses=frozenset(
        {
            "engine",
            "order_by",
            "partition_by",
            "primary_key",
            "sample_by",
            "ttl",
            "settings",
            "comment",
            "on_cluster",
        }
    ),
    requires=(
        Clause("engine", "ENGINE = ..."),
        Clause("order_by", "ORDER BY (...) or PRIMARY KEY (...), for the MergeTree family only"),
    ),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("distributed_by", "DISTRIBUTED BY"),
        Clause(
            "nullable_key",
            "Nullable columns in ORDER BY or PRIMARY KEY unless SETTINGS allow_nullable_key = 1",
        ),
        Clause("nullable_nested", "Nullable(Array | Map | Tuple)"),
    ),
    recommends=(
        Clause("nullable", "Nullable(T) where the source has NULLs; columns are NOT NULL by default"),
        Clause(
            "null_as_default",
            "load with input_format_null_as_default = 0: else NULL silently becomes 0 or ''",
        ),
        Clause("fraction", "DateTime64(6): (3) drops microseconds; its years are 1900 to 2299"),
        Clause("sort_order", "sort key columns from few distinct values to many"),
        Clause("lowcardinality", "LowCardinality(String) below some 10,000 distinct values"),
    ),
    example_ddl="CREATE TABLE events (\n  id Int64,\n  name Nullable(String),\n  at DateTime64(6)\n)\n"
    "ENGINE = MergeTree\nORDER BY (id)",
    publish="exchange",
    backslash_escapes=True,
    enforces_keys=False,
    column_comment="inline",
    table_comment="inline",
    load_path="native or Arrow insert, input_format_null_as_default = 0",
)
