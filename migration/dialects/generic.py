"""The rules for an engine we do not know: standard SQL, the widest safe types, no clause after the columns.

An unknown dialect's capabilities are these with ``supported = false`` and a warning.
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
from migration.dialects.postgres import CELLS
from migration.dialects.postgres import SPELLINGS as POSTGRES_SPELLINGS
from migration.dialects.reserved import POSTGRES as RESERVED
from migration.dialects.spelling import byte_strings, clocks, spellings, texts
from migration.types import byte_string, of, text

_STANDARD = Cell("CLOB", "widening", "DECIMAL of 38 digits is the widest we can assume", "text")
_JSON = Cell("CLOB", "widening", "stored as JSON text", "json")
_ZONE = "a zone cannot be assumed: stored as UTC"

CONTRACT = DialectContract(
    name="generic",
    aliases=("sqlalchemy", "ansi", "sql"),
    family="generic",
    sqlglot="",
    identifiers=IdentifierRules('"', "preserve", 30, reserved=RESERVED),
    spellings=spellings(
        POSTGRES_SPELLINGS,
        {
            "tinyint": of("int8"),
            "double": of("float64"),
            "clob|character large object": text(),
            "blob|binary large object": byte_string(),
            "varbinary|binary varying": byte_strings(),
            "binary": byte_strings(1, fixed=True),
            "nvarchar": texts(),
            "datetime": clocks("timestamp"),
        },
    ),
    types=TypeTable(
        cells={
            **{kind: cell for kind, cell in CELLS.items() if kind != "jsonb"},  # no word of standard SQL
            "int8": Cell("SMALLINT", "widening", "no 1-byte integer in standard SQL"),
            "int16": Cell("SMALLINT"),
            "int32": Cell("INTEGER"),
            "int64": Cell("BIGINT"),
            "int128": Cell(
                "DECIMAL(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
            ),
            "uint128": Cell(
                "DECIMAL(38,0)", "lossy", "a 128-bit integer has up to 39 digits", "", ("digits:38",)
            ),
            "uint64": Cell("DECIMAL(20,0)", "widening", "no unsigned integers"),
            "float32": Cell("REAL", guards=("finite",)),
            "float64": Cell("DOUBLE PRECISION", guards=("finite",)),
            "bytes": Cell("BLOB"),
            "date": Cell("DATE", guards=("finite", "year:1..9999")),
            "interval": Cell("VARCHAR(64)", "widening", "stored as text", "text"),
            "uuid": Cell("CHAR(36)", "widening", "stored as text", "uuid_text"),
            "json": _JSON,
            "enum": Cell("VARCHAR({chars})", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("CLOB", "widening", "stored as text", "text"),
            "unknown": Cell("CLOB", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("CLOB", "VARCHAR({n})", 4000, "chars"),
        decimal=DecimalRule("DECIMAL({p},{s})", 38, 38, unbounded=_STANDARD, wide=_STANDARD),
        clocks={
            "time": ClockRule("VARCHAR(32)", 12, "text", "widening", "stored as text"),
            "timetz": ClockRule("VARCHAR(32)", 12, "text", "widening", "stored as text"),
            "timestamp": ClockRule("TIMESTAMP({p})", 6, guards=("finite", "year:1..9999")),
            "instant": ClockRule("TIMESTAMP({p})", 6, "utc", "widening", _ZONE, ("finite", "year:1..9999")),
        },
        json=_JSON,
    ),
    clauses=frozenset(),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("buckets", "DISTRIBUTED BY, BUCKETS"),
    ),
    recommends=(Clause("varchar_length", "a length on every VARCHAR"),),
    example_ddl="CREATE TABLE users (\n  id BIGINT NOT NULL,\n  name VARCHAR(255),\n  PRIMARY KEY (id)\n)",
)
