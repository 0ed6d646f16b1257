"""Type names: from sqlglot's types to the engine's, and to Postgres' own spelling (``format_type``).

Rules: what DuckDB lacks is mapped to the type that loses nothing (``jsonb`` to JSON, ``name`` and ``citext``
to VARCHAR, ``oid`` to BIGINT); what has no such type (``money``, ranges, geometry) is refused with ``0A000``.
A bare ``numeric`` becomes DECIMAL(38, 10): DuckDB's own default keeps three decimals only.
"""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError

D = exp.DType
BARE_NUMERIC = (38, 10)

# sqlglot type -> (engine type, Postgres' spelling)
_TYPES: dict[exp.DType, tuple[str, str]] = {
    D.BOOLEAN: ("BOOLEAN", "boolean"),
    D.SMALLINT: ("SMALLINT", "smallint"),
    D.TINYINT: ("TINYINT", "smallint"),
    D.INT: ("INT", "integer"),
    D.BIGINT: ("BIGINT", "bigint"),
    D.INT128: ("INT128", "numeric"),
    D.FLOAT: ("FLOAT", "real"),
    D.DOUBLE: ("DOUBLE", "double precision"),
    D.TEXT: ("TEXT", "text"),
    D.VARCHAR: ("TEXT", "character varying"),
    D.CHAR: ("TEXT", "character"),
    D.BPCHAR: ("TEXT", "bpchar"),
    D.NCHAR: ("TEXT", "character"),
    D.NAME: ("TEXT", "name"),
    D.BINARY: ("BLOB", "bytea"),
    D.VARBINARY: ("BLOB", "bytea"),
    D.BLOB: ("BLOB", "bytea"),
    D.DATE: ("DATE", "date"),
    D.TIME: ("TIME", "time without time zone"),
    D.TIMETZ: ("TIMETZ", "time with time zone"),
    D.TIMESTAMP: ("TIMESTAMP", "timestamp without time zone"),
    D.TIMESTAMPNTZ: ("TIMESTAMP", "timestamp without time zone"),
    D.TIMESTAMPTZ: ("TIMESTAMPTZ", "timestamp with time zone"),
    D.TIMESTAMPLTZ: ("TIMESTAMPTZ", "timestamp with time zone"),
    D.INTERVAL: ("INTERVAL", "interval"),
    D.UUID: ("UUID", "uuid"),
    D.JSON: ("JSON", "json"),
    D.JSONB: ("JSON", "jsonb"),
    D.BIT: ("BIT", "bit varying"),
    D.INET: ("TEXT", "inet"),
    D.XML: ("TEXT", "xml"),
}
# names that sqlglot keeps as text
_NAMED = {
    "citext": ("TEXT", "text"),
    "bpchar": ("TEXT", "bpchar"),
    "oid": ("BIGINT", "oid"),
    "xid": ("BIGINT", "xid"),
    "name": ("TEXT", "name"),
    "char": ("TEXT", '"char"'),
    "regclass": ("BIGINT", "regclass"),
    "regtype": ("BIGINT", "regtype"),
    "regproc": ("BIGINT", "regproc"),
    "regprocedure": ("BIGINT", "regprocedure"),
    "regnamespace": ("BIGINT", "regnamespace"),
    "regrole": ("BIGINT", "regrole"),
    "hugeint": ("INT128", "numeric"),
    "cidr": ("TEXT", "cidr"),
    "macaddr": ("TEXT", "macaddr"),
    "jsonpath": ("TEXT", "jsonpath"),
    "unknown": ("TEXT", "text"),
    "json": ("JSON", "json"),  # keywords of newer grammars come quoted
    "xml": ("TEXT", "xml"),
}
# kept as they are: DuckDB's own types, reached from either dialect
_ENGINE_ONLY = {
    D.ARRAY, D.LIST, D.STRUCT, D.MAP, D.UNION, D.UTINYINT, D.USMALLINT, D.UINT, D.UBIGINT, D.UINT128, D.ENUM,
    D.TIMESTAMP_S, D.TIMESTAMP_MS, D.TIMESTAMP_NS, D.NULL, D.UNKNOWN, D.VARIANT,
}  # fmt: skip

_WITHOUT_MODIFIERS = {
    D.BOOLEAN, D.SMALLINT, D.TINYINT, D.INT, D.BIGINT, D.INT128, D.DOUBLE, D.TEXT, D.NAME, D.BINARY,
    D.VARBINARY, D.BLOB, D.DATE, D.UUID, D.JSON, D.JSONB, D.XML, D.INET,
}  # fmt: skip


def named(type_: exp.DataType) -> str | None:
    """The bare lower-case name of a type that sqlglot does not know (``regclass``), else None."""
    if type_.this not in (D.USERDEFINED, D.NAME):
        return None
    kind = type_.args.get("kind")
    text = "name" if type_.this == D.NAME else kind if isinstance(kind, str) else kind.sql() if kind else ""
    return text.replace('"', "").lower().rpartition(".")[2]


def engine_type(type_: exp.DataType) -> exp.DataType:
    """The engine's type for a Postgres or DuckDB type (a new node)."""
    this = type_.this
    if this in (D.ARRAY, D.LIST) or (this in _ENGINE_ONLY and this != D.ENUM):
        copy = type_.copy()
        for inner in copy.expressions:
            for item in [inner] if isinstance(inner, exp.DataType) else inner.find_all(exp.DataType):
                item.replace(engine_type(item)) if item.parent else None
        return copy
    if this in _ENGINE_ONLY:
        return type_.copy()
    if this == D.DECIMAL:
        if type_.expressions:
            _check_numeric(type_)
            return type_.copy()
        return exp.DataType.build(f"DECIMAL{BARE_NUMERIC}", dialect="duckdb")
    name = named(type_)
    if name in _NAMED and (not type_.expressions or name in ("bpchar", "char")):
        return exp.DataType.build(_NAMED[name][0], dialect="duckdb")
    if type_.expressions and (this in _WITHOUT_MODIFIERS or name in _NAMED):
        if this == D.TINYINT:
            raise BoughError(
                "42704",
                'type "tinyint" does not exist with a length',
                hint="Use boolean or smallint; tinyint without a length is the engine's type of one byte.",
            )
        spelled = name or _TYPES[this][1]
        raise BoughError("42601", f'type modifier is not allowed for type "{spelled}"')
    if this in _TYPES:
        return exp.DataType.build(_TYPES[this][0], dialect="duckdb")
    if this == D.USERDEFINED:
        raise BoughError("42704", f'type "{name}" does not exist')
    raise BoughError(
        "0A000", f"type {type_.sql('postgres').lower()} is not supported", hint="Use numeric, text or json."
    )


def _check_numeric(type_: exp.DataType) -> None:
    precision = int(type_.expressions[0].name)
    if precision > 38:
        raise BoughError(
            "0A000",
            f"numeric precision {precision} is more than the engine's 38 digits",
            hint="Use numeric(38, s), double precision or text.",
        )


def declared(type_: exp.DataType) -> str:
    """As Postgres' ``format_type`` spells it: ``character varying(10)``, ``integer[]``."""
    this = type_.this
    if this in (D.ARRAY, D.LIST) and type_.expressions:
        return declared(type_.expressions[0]) + "[]"
    arguments = ",".join(parameter.sql() for parameter in type_.expressions)
    suffix = f"({arguments})" if arguments else ""
    if this == D.DECIMAL:
        if arguments and "," not in arguments:
            suffix = f"({arguments},0)"
        return f"numeric{suffix}"
    name = named(type_)
    if name in _NAMED:
        return _NAMED[name][1]
    if this in _TYPES:
        text = _TYPES[this][1]
        if this == D.CHAR and not suffix:
            return "character(1)"
        if text.startswith(("timestamp", "time ")) and suffix:
            first, _, rest = text.partition(" ")
            return f"{first}{suffix} {rest}"
        return text + (suffix if this in (D.VARCHAR, D.CHAR, D.BIT, D.TEXT) else "")
    return type_.sql("postgres").lower()
