"""What the system relations look like: their columns, the Postgres types of those, and the shipped rows.

The files beside this module were read from a real PostgreSQL 15 (``generate.py``). A Postgres type has one
stored shape here: every kind of OID is a 64-bit integer, every kind of text is text, and the two vector
types are lists. The Postgres type is remembered beside it, so that a row description can still say ``oid``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent

_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "bytea": pa.binary(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "oid": pa.int64(),
    "xid": pa.int64(),
    "regproc": pa.int64(),
    "regtype": pa.int64(),
    "regclass": pa.int64(),
    "int2vector": pa.list_(pa.int16()),
    "oidvector": pa.list_(pa.int64()),
}


def arrow_type(kind: str) -> pa.DataType:
    """The stored shape of a Postgres type."""
    if kind.endswith("[]"):
        return pa.list_(arrow_type(kind[:-2]))
    return _ARROW.get(kind, pa.string())


@cache
def relations() -> dict[str, dict[str, str]]:
    """Columns and Postgres types of every system relation, by ``schema.relation``."""
    found = json.loads((HERE / "relations.json").read_text(encoding="utf-8"))
    return {name: dict(columns) for name, columns in found.items()}


@cache
def schema_of(name: str) -> pa.Schema:
    """The Arrow schema of the system relation ``name``."""
    return pa.schema([(column, arrow_type(kind)) for column, kind in relations()[name].items()])


@cache
def shipped_rows(name: str) -> pa.Table:
    """The rows every PostgreSQL 15 has in ``name``; none for relations about what a server is doing."""
    path = HERE / "rows" / f"{name}.parquet"
    schema = schema_of(name)
    if not path.exists():
        return schema.empty_table()
    return pq.read_table(path).cast(schema)


@cache
def shipped_definitions(name: str) -> pa.Table:
    """The rows a lookup has for the system's own objects."""
    kinds = [("_k", pa.int64()), ("_n", pa.int64()), ("_v", pa.string()), ("_p", pa.string())]
    return pq.read_table(HERE / "rows" / f"lookup.{name}.parquet").cast(pa.schema(kinds))
