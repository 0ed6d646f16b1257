"""The table of types: OID, name, array OID, typlen, codec. Everything else is looked up here.

https://github.com/postgres/postgres/blob/REL_15_STABLE/src/include/catalog/pg_type.dat
"""

from __future__ import annotations

from . import datetimes, floats, integers, intervals, numerics, strings
from .arrays import array_codec
from .codec import Codec
from .info import TypeInfo

_ROWS: tuple[tuple[int, str, int, int, Codec], ...] = (
    (16, "bool", 1000, 1, integers.BOOL),
    (17, "bytea", 1001, -1, strings.BYTEA),
    (18, "char", 1002, 1, strings.TEXT),
    (19, "name", 1003, 64, strings.TEXT),
    (20, "int8", 1016, 8, integers.INT8),
    (21, "int2", 1005, 2, integers.INT2),
    (23, "int4", 1007, 4, integers.INT4),
    (24, "regproc", 1008, 4, integers.REG),
    (25, "text", 1009, -1, strings.TEXT),
    (26, "oid", 1028, 4, integers.OID),
    (28, "xid", 1011, 4, integers.OID),
    (114, "json", 199, -1, strings.JSON),
    (700, "float4", 1021, 4, floats.FLOAT4),
    (701, "float8", 1022, 8, floats.FLOAT8),
    (705, "unknown", 0, -2, strings.TEXT),
    (1042, "bpchar", 1014, -1, strings.TEXT),
    (1043, "varchar", 1015, -1, strings.TEXT),
    (1082, "date", 1182, 4, datetimes.DATE),
    (1083, "time", 1183, 8, datetimes.TIME),
    (1114, "timestamp", 1115, 8, datetimes.TIMESTAMP),
    (1184, "timestamptz", 1185, 8, datetimes.TIMESTAMPTZ),
    (1186, "interval", 1187, 16, intervals.INTERVAL),
    (1266, "timetz", 1270, 12, datetimes.TIMETZ),
    (1560, "bit", 1561, -1, strings.BITS),
    (1562, "varbit", 1563, -1, strings.BITS),
    (1700, "numeric", 1231, -1, numerics.NUMERIC),
    (2202, "regprocedure", 2207, 4, integers.REG),
    (2205, "regclass", 2210, 4, integers.REG),
    (2206, "regtype", 2211, 4, integers.REG),
    (2278, "void", 0, 4, strings.VOID),
    (2950, "uuid", 2951, 16, strings.UUID),
    (3802, "jsonb", 3807, -1, strings.JSONB),
    (4089, "regnamespace", 4090, 4, integers.REG),
    (4096, "regrole", 4097, 4, integers.REG),
)

TYPES: dict[int, TypeInfo] = {oid: TypeInfo(oid, name, array, size) for oid, name, array, size, _ in _ROWS}
CODECS: dict[int, Codec] = {oid: codec for oid, _, _, _, codec in _ROWS}
ELEMENT: dict[int, int] = {}

for _oid, _name, _array, _size, _codec in _ROWS:
    if _array:
        TYPES[_array] = TypeInfo(_array, f"_{_name}", 0)
        CODECS[_array] = array_codec(_codec, _oid, _codec.engine_type)
        ELEMENT[_array] = _oid

BY_NAME: dict[str, TypeInfo] = {info.name: info for info in TYPES.values()}
TEXT = BY_NAME["text"]


def codec_of(oid: int) -> Codec:
    """The codec of a type; unknown OIDs are text, as Postgres' own clients treat them."""
    return CODECS.get(oid, strings.TEXT)
