"""MySQL and MariaDB. Facts: MySQL 8 reference manual, chapters 11 and 13.1.20 (*doc*).

TIMESTAMP is an instant kept in UTC until 2038; DATETIME is a wall clock, and without (6) it drops fractions.
A row holds 65,535 bytes without its TEXT and BLOB values, an InnoDB index key 3,072; utf8mb4 counts 4 bytes a
character. TINYINT(1) is read as an 8-bit integer: it may hold 2, and BOOLEAN is only its alias.
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
from migration.dialects.reserved import MARIADB, kept_by_sqlglot
from migration.dialects.spelling import (
    bit_strings,
    byte_strings,
    clocks,
    decimals,
    enums,
    floats,
    others,
    sets,
    spellings,
    texts,
    words,
)
from migration.types import byte_string, closed, json, of, text

SPELLINGS = spellings(
    {
        "tinyint|int1|boolean|bool": of("int8"),
        "smallint|int2|year": of("int16"),
        "mediumint|int3|middleint|int|integer|int4": of("int32"),
        "bigint|int8": of("int64"),
        "tinyint unsigned|int1 unsigned": of("uint8"),
        "smallint unsigned|int2 unsigned": of("uint16"),
        "mediumint unsigned|int3 unsigned|int unsigned|integer unsigned|int4 unsigned": of("uint32"),
        "bigint unsigned|int8 unsigned|serial": of("uint64"),
        "decimal|dec|numeric|fixed": decimals(10, 0),
        "decimal unsigned|dec unsigned|numeric unsigned|fixed unsigned": decimals(10, 0),
        "float|float unsigned": floats("float32"),
        "real unsigned|double precision unsigned": of("float64"),
        "float4": of("float32"),
        "double|double precision|real|float8|double unsigned": of("float64"),
        "varchar|character varying|char varying|national varchar|nvarchar": texts(),
        "national character varying|national char varying|nchar varchar|nchar varying": texts(),
        "char|character|national char|nchar": texts(default=1, fixed=True),
        "tinytext": text(255, "bytes"),
        "text": text(65535, "bytes"),
        "mediumtext|long|long varchar": text(16_777_215, "bytes"),
        "longtext": text(),
        "binary": byte_strings(1, fixed=True),
        "varbinary": byte_strings(),
        "tinyblob": byte_string(255),
        "blob": byte_string(65535),
        "mediumblob|long varbinary": byte_string(16_777_215),
        "longblob": byte_string(),
        "date": of("date"),
        "time": clocks("time", 0),
        "datetime": clocks("timestamp", 0),
        "timestamp": clocks("instant", 0),
        "json": json(normalised=True),
        "enum": enums,
        "bit": bit_strings(1, fixed=True),
        "set": sets,
        "uuid": of("uuid"),  # MariaDB 10.7
        "inet4": closed("ipv4", 15),  # MariaDB 10.10
        "inet6": closed("ipv6", 39),
    },
    others(
        *words(
            "geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection"
        ),
        *words("geomcollection vector"),
    ),
)
_NO_SPECIAL = ("finite",)
_YEARS = ("finite", "year:1..9999")  # the manual warrants 1000 and later, and keeps those before as exactly
_JSON = Cell(
    "JSON",
    "widening",
    "key order and duplicate keys are not kept; numbers beyond 64 bits become DOUBLE",
    "json",
    ("json_unique_keys", "json_double"),
)

CONTRACT = DialectContract(
    name="mysql",
    aliases=("mariadb", "tidb", "aurora-mysql", "oceanbase"),
    family="mysql-like",
    sqlglot="mysql",
    identifiers=IdentifierRules(
        "`",
        "preserve",
        64,
        reserved=kept_by_sqlglot("mysql") | MARIADB,
        never="[\U00010000-\U0010ffff]| $",
        never_said="characters beyond U+FFFF (emoji) and no blank at its end",
    ),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("TINYINT(1)", "widening", "BOOLEAN is an alias of TINYINT(1)", "integer"),
            "int8": Cell("TINYINT"),
            "int16": Cell("SMALLINT"),
            "int32": Cell("INT"),
            "int64": Cell("BIGINT"),
            "int128": Cell("DECIMAL(39,0)", "widening", "a 128-bit integer has up to 39 digits"),
            "uint8": Cell("TINYINT UNSIGNED"),
            "uint16": Cell("SMALLINT UNSIGNED"),
            "uint32": Cell("INT UNSIGNED"),
            "uint64": Cell("BIGINT UNSIGNED"),
            "uint128": Cell("DECIMAL(39,0)", "widening", "a 128-bit integer has up to 39 digits"),
            "float32": Cell("FLOAT", guards=_NO_SPECIAL),
            "float64": Cell("DOUBLE", guards=_NO_SPECIAL),
            "bytes": Cell("LONGBLOB"),
            "date": Cell("DATE", guards=_YEARS),
            "interval": Cell("VARCHAR(64)", "widening", "no interval type", "text"),
            "uuid": Cell("CHAR(36)", "widening", "no uuid type in MySQL", "uuid_text"),
            "json": _JSON,
            "enum": Cell("VARCHAR({chars})", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("LONGTEXT", "widening", "BIT holds 64 bits and is a number", "text"),
            "unknown": Cell("LONGTEXT", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("LONGTEXT", "VARCHAR({n})", 16383, "chars"),
        decimal=DecimalRule(
            "DECIMAL({p},{s})",
            65,
            30,
            unbounded=Cell("LONGTEXT", "widening", "DECIMAL holds 65 digits; text keeps every digit", "text"),
            wide=Cell("LONGTEXT", "widening", "DECIMAL holds 65 digits, 30 of them fraction", "text"),
        ),
        clocks={
            "time": ClockRule("TIME({p})", 6),
            "timetz": ClockRule("VARCHAR(32)", 9, "text", "widening", "no time of day with an offset"),
            "timestamp": ClockRule("DATETIME({p})", 6, guards=_YEARS),
            "instant": ClockRule(
                "DATETIME({p})",
                6,
                "utc",
                "widening",
                "stored as UTC in DATETIME: TIMESTAMP ends in 2038",
                _YEARS,
            ),
        },
        json=_JSON,
        json_decimals=False,
    ),
    clauses=frozenset(
        {
            "engine",
            "charset",
            "collate",
            "comment",
            "auto_increment",
            "row_format",
            "partition_by",
            "table_option",
            "versioning",
            "tablespace",
        }
    ),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("buckets", "DISTRIBUTED BY ... BUCKETS n"),
        Clause("mergetree", "ENGINE = MergeTree"),
        Clause("text_key", "TEXT, BLOB or JSON in a key without a prefix length"),
        Clause("foreign_types", "BIGSERIAL, jsonb, text[]: PostgreSQL's words"),
    ),
    recommends=(
        Clause("fraction", "DATETIME(6): DATETIME drops fractions of a second"),
        Clause(
            "charset",
            "DEFAULT CHARSET = utf8mb4 COLLATE utf8mb4_nopad_bin (MariaDB 10.2) or utf8mb4_0900_bin (MySQL 8): exact "
            "comparison of all of Unicode; utf8mb4_bin takes 'a' and 'a ' for one key",
        ),
        Clause("row_size", "at most 65,535 bytes a row, 4 for each character of a VARCHAR"),
        Clause("index_size", "at most 3,072 bytes an index key"),
    ),
    example_ddl="CREATE TABLE users (\n  id BIGINT NOT NULL AUTO_INCREMENT,\n  name VARCHAR(255) NOT NULL,\n"
    "  created_at DATETIME(6),\n  PRIMARY KEY (id)\n) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4",
    publish="rename_pair",
    backslash_escapes=True,
    identity="AUTO_INCREMENT",
    column_comment="inline",
    table_comment="inline_equals",
    load_path="LOAD DATA LOCAL INFILE, warnings counted",
)
