"""What Postgres calls the engine's types, and rows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy import types, wire
from proxy.wire.description import column_formats, row_description


@pytest.mark.parametrize(
    ("engine", "declared", "name", "typmod"),
    [
        ("BOOLEAN", None, "bool", -1),
        ("TINYINT", None, "int2", -1),
        ("UTINYINT", None, "int2", -1),
        ("USMALLINT", None, "int4", -1),
        ("UINTEGER", None, "int8", -1),
        ("UBIGINT", None, "numeric", -1),
        ("HUGEINT", None, "numeric", -1),
        ("DECIMAL(18,4)", None, "numeric", (18 << 16 | 4) + 4),
        ("VARCHAR", None, "text", -1),
        ("VARCHAR", "character varying(10)", "varchar", 14),
        ("VARCHAR", "varchar", "varchar", -1),
        ("VARCHAR", "char(3)", "bpchar", 7),
        ("VARCHAR", "char", "bpchar", 5),
        ("VARCHAR", '"char"', "char", -1),
        ("JSON", "jsonb", "jsonb", -1),
        ("VARCHAR", "name", "name", -1),
        ("BIGINT", "oid", "oid", -1),
        ("DECIMAL(10,2)", "numeric(10,2)", "numeric", (10 << 16 | 2) + 4),
        ("VARCHAR[]", "varchar(5)[]", "_varchar", 9),
        ("VARCHAR", "mood", "text", -1),
        ("TIMESTAMP_NS", None, "timestamp", -1),
        ("TIMESTAMP WITH TIME ZONE", None, "timestamptz", -1),
        ("TIME WITH TIME ZONE", None, "timetz", -1),
        ("INTEGER[]", None, "_int4", -1),
        ("INTEGER[3][]", None, "_int4", -1),
        ("ENUM('a(b)', '[]')", None, "text", -1),
        ("STRUCT(a INTEGER[])", None, "json", -1),
        ("STRUCT(a INTEGER)[]", None, "_json", -1),
        ("MAP(VARCHAR, INTEGER)", None, "json", -1),
        ("UNION(a INTEGER)", None, "json", -1),
        ("BIT", None, "varbit", -1),
        ('"NULL"', None, "text", -1),
    ],
)
def test_from_engine(engine, declared, name, typmod):
    info = types.from_engine(engine, declared)
    assert (info.name, info.typmod) == (name, typmod)


def test_every_array_is_the_array_of_its_element():
    for array, element in types.ELEMENT.items():
        assert types.TYPES[element].array_oid == array


def test_parameters_have_an_engine_type():
    assert types.engine_type(23) == "INTEGER"
    assert types.engine_type(1185) == "TIMESTAMP WITH TIME ZONE[]"
    assert types.parameter_type(1700, Decimal("1.50")) == "DECIMAL(3,2)"
    assert types.parameter_type(1700, Decimal("1E+3")) == "DECIMAL(4,0)"
    assert types.parameter_type(1700, Decimal("0.001")) == "DECIMAL(3,3)"
    assert types.parameter_type(1700, Decimal("NaN")) == "DOUBLE"
    assert types.parameter_type(1231, [Decimal("1.5"), None, Decimal("200")]) == "DECIMAL(4,1)[]"
    with pytest.raises(types.ValueFormatError):
        types.parameter_type(1700, Decimal("1" * 39))


def test_rows_are_data_row_messages():
    infos = [types.from_engine("INTEGER"), types.from_engine("VARCHAR"), types.from_engine("INTEGER")]
    rows = [(1, "x" * 300, None), (2, "", 7)]
    expected = b"".join(
        wire.DataRow(values).encode() for values in [(b"1", b"x" * 300, None), (b"2", b"", b"\0\0\0\7")]
    )
    assert types.encode_rows(rows, infos, (0, 0, 1)) == expected
    assert types.encode_rows([], infos, (0, 0, 0)) == b""
    assert types.encode_rows([()], [], ()) == wire.DataRow(()).encode()


def test_row_description():
    columns = [("a", types.from_engine("INTEGER")), ("b", types.from_engine("DECIMAL(5,2)"))]
    assert row_description(columns, (1,)).fields == (
        wire.Field("a", 23, 4, -1, 1),
        wire.Field("b", 1700, -1, (5 << 16 | 2) + 4, 1),
    )
    assert column_formats((), 2) == (0, 0)
    assert column_formats((0, 1), 2) == (0, 1)
