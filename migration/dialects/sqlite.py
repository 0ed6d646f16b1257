"""SQLite. Facts: "Datatypes In SQLite" (*doc*), *run* on 3.40.

A declared type only sets the affinity: NUMERIC affinity stores large decimals as 64-bit floats, so TEXT is
the
exact choice for decimals. The type names here are kept readable (DATE, TIMESTAMP ... would have NUMERIC
affinity
and turn a text of digits into a number, so they are not written).
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
from migration.dialects.reserved import SQLITE as RESERVED
from migration.dialects.spelling import JSON, clocks, decimals, others, spellings
from migration.types import byte_string, json, of, text

SPELLINGS = spellings(
    JSON,
    {
        "integer|int|bigint|smallint|tinyint|mediumint|int2|int8": of("int64"),
        "unsigned big int|int unsigned|bigint unsigned": of("int64"),
        "boolean|bool": of("bool"),
        "real|double|double precision|float": of("float64"),
        "numeric|decimal": decimals(),
        "text|varchar|char|character|clob|nchar|nvarchar|character varying|string": text(),
        "blob": byte_string(),
        "date": of("date"),
        "datetime|timestamp": clocks("timestamp", 6),
        "timestamptz|timestamp with time zone": clocks("instant", 6),
        "time": clocks("time", 6),
        "uuid": of("uuid"),
        "jsonb": json(normalised=True),
    },
    others("any", "native character", "varying character"),
)


def _as_text(reason: str, cast: str = "text") -> ClockRule:
    return ClockRule("TEXT", 12, "utc" if cast == "utc" else "text", "widening", reason)


_DIGITS = Cell(
    "TEXT", "widening", "NUMERIC would store large values as floating point; text keeps every digit", "text"
)
_INTEGER = "INTEGER holds 64 bits"

CONTRACT = DialectContract(
    name="sqlite",
    aliases=("sqlite3", "libsql"),
    family="sqlite",
    sqlglot="sqlite",
    identifiers=IdentifierRules('"', "preserve", 65535, reserved=RESERVED),
    spellings=SPELLINGS,
    types=TypeTable(
        cells={
            "bool": Cell("INTEGER", "widening", "stored as 0 and 1", "integer"),
            **{
                kind: Cell("INTEGER", "widening", _INTEGER)
                for kind in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
            },
            "int64": Cell("INTEGER"),
            "int128": _DIGITS,
            "uint64": _DIGITS,
            "uint128": _DIGITS,
            "float32": Cell("REAL", "widening", "REAL is double precision", "", ("no_nan",)),
            "float64": Cell("REAL", guards=("no_nan",)),
            "bytes": Cell("BLOB", "lossy", "a value holds 1,000,000,000 bytes", "", ("octets:1000000000",)),
            "date": Cell("TEXT", "widening", "stored as ISO 8601 text", "text"),
            "interval": Cell("TEXT", "widening", "no interval type", "text"),
            "uuid": Cell("TEXT", "widening", "no uuid type", "uuid_text"),
            "json": Cell("TEXT", "widening", "stored as JSON text", "json"),
            "enum": Cell("TEXT", "widening", "the set of values is not enforced", "text"),
            "bit": Cell("TEXT", "widening", "no bit strings", "text"),
            "unknown": Cell("TEXT", "unsupported", "a type we have no meaning for", "text"),
        },
        text=TextRule("TEXT", guards=("no_nul",)),
        decimal=DecimalRule("TEXT", 0, 0, unbounded=_DIGITS, wide=_DIGITS),
        clocks={
            "time": _as_text("stored as ISO 8601 text"),
            "timetz": _as_text("stored as ISO 8601 text"),
            "timestamp": _as_text("stored as ISO 8601 text"),
            "instant": _as_text("stored as ISO 8601 text in UTC"),
        },
        json=Cell("TEXT", "widening", "stored as JSON text", "json"),
    ),
    clauses=frozenset({"without_rowid", "strict"}),
    forbids=(
        Clause("duplicate_key", "DUPLICATE KEY and the other StarRocks/Doris key models"),
        Clause("engine", "ENGINE ="),
        Clause("buckets", "DISTRIBUTED BY, BUCKETS"),
        Clause("truncate", "TRUNCATE: replace by DELETE or by a rename pair in one transaction"),
    ),
    recommends=(
        Clause("decimal_text", "TEXT for decimals: NUMERIC affinity keeps 15 digits"),
        Clause("strict", "STRICT refuses values of another type", since="3.37"),
    ),
    example_ddl="CREATE TABLE events (\n  id INTEGER PRIMARY KEY,\n  amount TEXT,\n  at TEXT\n)",
    publish="rename_in_transaction",
    transactional_ddl=True,
    load_path="executemany with bound parameters in one transaction",
)
