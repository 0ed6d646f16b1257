"""What drivers give becomes the same column whether Arrow takes all of it at once or value by value."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.connectors import convert
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.types import CanonicalType

TYPES = [
    parse_type(name, "duckdb")
    for name in (
        "TINYINT", "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "BOOLEAN", "VARCHAR", "BLOB", "DATE", "TIME",
        "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ", "DECIMAL(9,2)", "DECIMAL(50,4)", "JSON", "UUID",
    )
]  # fmt: skip
MOMENTS = (
    "2024-02-29", "2024-02-30", "2024-1-1", "2024-01-01 10", "2024-01-01 10:00", "2024-01-01 10:00:00",
    "2024-01-01T10:00:00.5", "2024-01-01 10:00:00.1234567", "2024-01-01 10:00:00Z", "2024-01-01 10:00:00+01",
    "2024-01-01 10:00:00-05:30", "2024-01-01 10:00+01:00", "2024-01-01 24:00:00", "0044-03-15 BC", "infinity",
    "-infinity", "0000-01-01", "12024-01-01", "2024-01-01\n", " 2024-01-01", "10:00", "10:00:00.25",
)  # fmt: skip
NUMBERS = ("1", "-1.50", "1.255", "1e3", " 1", "1_0", "0x1", "", "NaN", "Infinity", "\u0661", "+.5", "9" * 60)
ONE_KIND = [
    st.integers(-(2**70), 2**70) | st.integers(0, 1) | st.integers(-130, 260),
    st.floats() | st.floats(-10, 10).map(round).map(float),
    st.booleans(),
    st.sampled_from(MOMENTS),
    st.sampled_from(NUMBERS),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(-1000, 1000, places=2),
    st.dates(),
    st.datetimes(),
    st.times(),
]


def outcome(values: list[Any], type_: CanonicalType) -> Any:
    try:
        return convert.from_values(values, type_, "c")
    except MigrationError as error:
        return error.sqlstate, error.message


@settings(deadline=None, max_examples=400)
@given(st.data(), st.sampled_from(TYPES))
def test_all_at_once_is_what_value_by_value_gives(data: st.DataObject, type_: CanonicalType) -> None:
    kinds = data.draw(st.lists(st.sampled_from(ONE_KIND), min_size=1, max_size=2))
    values = data.draw(st.lists(st.none() | st.one_of(kinds), max_size=5))
    whole = outcome(values, type_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "_at_once", lambda *_: None)
        single = outcome(values, type_)
    if isinstance(whole, pa.Array) and isinstance(single, pa.Array):
        assert whole.type == single.type
        assert (
            whole.cast(pa.string()).equals(single.cast(pa.string()))
            if "nan" in repr(values).lower()
            else whole.equals(single)
        )
    else:
        assert whole == single


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["a", None], "VARCHAR"),
        ([1, None, -5], "BIGINT"),
        ([1, 0, None], "BOOLEAN"),
        ([1.5, None], "DOUBLE"),
        ([b"x", None], "BLOB"),
        (["1.50", None], "DECIMAL(9,2)"),
        ([Decimal("1.5")], "DECIMAL(9,2)"),
        (["2024-01-01", None], "DATE"),
        ([date(2024, 1, 1)], "DATE"),
        (["2024-01-01 10:00:00"], "TIMESTAMP"),
        (["2024-01-01 10:00:00Z"], "TIMESTAMPTZ"),
    ],
)
def test_a_column_of_one_kind_of_value_is_taken_at_once(
    values: list[Any], type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("value by value")

    monkeypatch.setattr(convert, "_value", never)
    assert len(convert.from_values(values, parse_type(type_, "duckdb"))) == len(values)


def test_a_moment_is_no_date_and_no_value_is_taken_for_another() -> None:
    for values, type_ in (
        ([date(2024, 1, 1), datetime(2024, 1, 1, 3)], "DATE"),  # Arrow would leave the hours out
        (["a", b"b"], "BLOB"),
        ([2, 1], "BOOLEAN"),
        ([time(1), "25:00"], "TIME"),
    ):
        with pytest.raises(MigrationError):
            convert.from_values(values, parse_type(type_, "duckdb"), "c")


def test_a_zero_in_a_list_keeps_its_sign() -> None:
    """As PostgreSQL writes it: a whole number to JSON, and a float to the column."""
    type_ = parse_type("DOUBLE[]", "duckdb")
    (found,) = convert.from_values(["[-0, 0, -0.0, -1]"], type_, "v").to_pylist()
    assert list(map(str, found)) == ["-0.0", "0.0", "-0.0", "-1.0"]
    (whole,) = convert.from_values(["[-1, 0]"], parse_type("INTEGER[]", "duckdb"), "v").to_pylist()
    assert whole == [-1, 0]
