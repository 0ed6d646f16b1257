"""Values in both formats, against what PostgreSQL 15 writes, and back."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import types
from proxy.types.calendar import civil, days_of
from proxy.types.intervals import read_interval

UTC = dt.UTC
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))

# type, value, text, binary (hex); every line was checked against PostgreSQL's own output functions
SAMPLES = [
    ("bool", True, "t", "01"),
    ("bool", False, "f", "00"),
    ("int2", -2, "-2", "fffe"),
    ("int4", 1, "1", "00000001"),
    ("int8", -(2**63), "-9223372036854775808", "8000000000000000"),
    ("oid", 2**32 - 1, "4294967295", "ffffffff"),
    ("float8", 1.0, "1", "3ff0000000000000"),
    ("float8", 1e15, "1e+15", "430c6bf526340000"),
    ("float8", 1e14, "100000000000000", "42d6bcc41e900000"),
    ("float8", 1234567890123456.0, "1.234567890123456e+15", "43118b54f22aeb00"),
    ("float8", 1e-5, "1e-05", "3ee4f8b588e368f1"),
    ("float8", 0.0001, "0.0001", "3f1a36e2eb1c432d"),
    ("float8", -0.0, "-0", "8000000000000000"),
    ("float8", math.inf, "Infinity", "7ff0000000000000"),
    ("float8", -math.inf, "-Infinity", "fff0000000000000"),
    ("float4", 1e6, "1e+06", "49742400"),
    ("float4", 123456.0, "123456", "47f12000"),
    ("float4", 0.10000000149011612, "0.1", "3dcccccd"),
    ("numeric", Decimal("12345.6700"), "12345.6700", "0003000100000004000109291a2c"),
    ("numeric", Decimal("-0.0001"), "-0.0001", "0001ffff400000040001"),
    ("numeric", Decimal("0.00"), "0.00", "0000000000000002"),
    ("numeric", Decimal("100000000"), "100000000", "00010002000000000001"),
    ("numeric", Decimal("NaN"), "NaN", "00000000c0000000"),
    ("numeric", Decimal("Infinity"), "Infinity", "00000000d0000020"),
    ("text", "ü", "ü", "c3bc"),
    ("text", "", "", ""),
    ("bytea", b"\0\xff", "\\x00ff", "00ff"),
    ("uuid", uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001", "00" * 15 + "01"),
    ("json", '{"a":1}', '{"a":1}', "7b2261223a317d"),
    ("jsonb", "{}", "{}", "017b7d"),
    ("varbit", "101", "101", "00000003a0"),
    ("date", dt.date(1999, 12, 31), "1999-12-31", "ffffffff"),
    ("date", "infinity", "infinity", "7fffffff"),
    ("date", "-infinity", "-infinity", "80000000"),
    ("date", "0044-03-15 (BC)", "0044-03-15 BC", "fff49d7b"),
    ("time", "01:02:03.5", "01:02:03.5", "00000000ddf019e0"),
    ("time", "24:00:00", "24:00:00", "000000141dd76000"),
    ("timetz", "10:00:00-05:30", "10:00:00-05:30", "0000000861c4680000004d58"),
    ("timestamp", dt.datetime(2000, 1, 1, 0, 0, 0, 500000), "2000-01-01 00:00:00.5", "000000000007a120"),
    ("timestamp", "infinity", "infinity", "7fffffffffffffff"),
    ("timestamp", "0044-03-15 (BC) 10:00:00", "0044-03-15 10:00:00 BC", "ff1af9e74e1f8800"),
    ("timestamptz", dt.datetime(2020, 1, 1, 4, 30, tzinfo=UTC), "2020-01-01 04:30:00+00", "00023e0b4c5ac200"),
    ("interval", "14 months 3 days 00:00:00.000001", "1 year 2 mons 3 days 00:00:00.000001", None),
    ("interval", "-14 months 3 days 4 hours", "-1 years -2 mons +3 days 04:00:00", None),
    ("interval", "-1 day 1 hour", "-1 days +01:00:00", None),
    ("interval", "0 days", "00:00:00", "00" * 16),
    ("interval", "1 month", "1 mon", "00" * 15 + "01"),
    ("_int4", [1, None], "{1,NULL}", "00000001000000010000001700000002000000010000000400000001ffffffff"),
    ("_int4", [], "{}", "000000000000000000000017"),
    ("_text", ["a b", None, 'x"y', "", "null", "a\\"], '{"a b",NULL,"x\\"y","","null","a\\\\"}', None),
    ("_bool", [True, False], "{t,f}", None),
]


@pytest.mark.parametrize(("name", "value", "text", "binary"), SAMPLES)
def test_samples_both_ways(name, value, text, binary):
    info = types.BY_NAME[name]
    assert types.encode_text(value, info) == text.encode()
    data = types.encode_binary(value, info)
    if binary is not None:
        assert data.hex() == binary
    for back in (types.decode_text(text.encode(), info.oid), types.decode_binary(data, info.oid)):
        assert types.encode_text(back, info) == text.encode()
        assert types.encode_binary(back, info) == data


def test_more_than_one_dimension_is_written():
    info = types.BY_NAME["_int4"]
    assert types.encode_text([[1, 2], [3, None]], info) == b"{{1,2},{3,NULL}}"
    assert types.encode_binary([[1], [2]], info).hex().startswith("00000002000000000000001700000002")
    with pytest.raises(types.ValueFormatError) as caught:
        types.encode_binary([[1], [2, 3]], info)
    assert caught.value.sqlstate == "2202E"


finite = st.floats(allow_nan=False)
VALUES = {
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": finite,
    "float4": st.floats(width=32, allow_nan=False),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=6)
    | st.decimals(-(10**30), 10**30, allow_nan=False, places=0),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "bytea": st.binary(),
    "uuid": st.uuids(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(
        dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.sampled_from([UTC, EAST])
    ),
    "varbit": st.text("01"),
}


@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
def test_round_trips(name, data):
    info, value = types.BY_NAME[name], data.draw(VALUES[name])
    text, binary = types.encode_text(value, info), types.encode_binary(value, info)
    back = types.decode_text(text, info.oid)
    again = types.decode_binary(binary, info.oid)
    assert types.encode_text(back, info) == text
    assert types.encode_binary(again, info) == types.encode_binary(back, info) == binary
    if name in ("int8", "float8", "numeric", "text", "bytea", "uuid"):
        assert back == again == value


@given(st.lists(st.none() | VALUES["text"]))
def test_arrays_of_any_text(items):
    info = types.BY_NAME["_text"]
    assert types.decode_text(types.encode_text(items, info), info.oid) == items
    assert types.decode_binary(types.encode_binary(items, info), info.oid) == items


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**62), 2**62))
def test_intervals(months, days, micros):
    info = types.BY_NAME["interval"]
    text = types.encode_text((months, days, micros), info)
    assert read_interval(text.decode()) == (months, days, micros)


@given(st.dates())
def test_the_calendar_agrees_with_python(day):
    days = day.toordinal() - dt.date(2000, 1, 1).toordinal()
    assert days_of(day.year, day.month, day.day) == days
    assert civil(days) == (day.year, day.month, day.day)


@given(st.integers(-2_000_000, 3_000_000))
def test_days_beyond_python_count_without_gaps(days):
    assert days_of(*civil(days)) == days


BAD_TEXT = [
    ("int4", "x", "22P02", 'invalid input syntax for type integer: "x"'),
    ("int4", "", "22P02", 'invalid input syntax for type integer: ""'),
    ("int4", "1.5", "22P02", 'invalid input syntax for type integer: "1.5"'),
    ("int2", "99999", "22003", 'value "99999" is out of range for type smallint'),
    ("int8", "9" * 6000, "22003", None),
    ("float8", "1e999", "22003", '"1e999" is out of range for type double precision'),
    ("float8", "abc", "22P02", 'invalid input syntax for type double precision: "abc"'),
    ("numeric", "1,5", "22P02", 'invalid input syntax for type numeric: "1,5"'),
    ("bool", "maybe", "22P02", 'invalid input syntax for type boolean: "maybe"'),
    ("uuid", "12", "22P02", 'invalid input syntax for type uuid: "12"'),
    ("json", "{", "22P02", "invalid input syntax for type json"),
    ("date", "yesterwhen", "22007", 'invalid input syntax for type date: "yesterwhen"'),
    ("date", "2020-02-30", "22008", 'date/time field value out of range: "2020-02-30"'),
    ("timestamp", "2020-01-01 25:00:00", "22008", None),
    ("time", "1", "22007", 'invalid input syntax for type time: "1"'),
    ("interval", "1 fortnight", "22007", 'invalid input syntax for type interval: "1 fortnight"'),
    ("_int4", "1,2", "22P02", 'malformed array literal: "1,2"'),
    ("_int4", "{1,", "22P02", 'malformed array literal: "{1,"'),
    ("_int4", "{1}x", "22P02", 'malformed array literal: "{1}x"'),
    ("_int4", "{a}", "22P02", 'invalid input syntax for type integer: "a"'),
    ("_int4", "{{1}}", "0A000", None),
    ("varbit", "102", "22P02", '"2" is not a valid binary digit'),
    ("bytea", "\\xabc", "22023", "invalid hexadecimal data: odd number of digits"),
    ("bytea", "\\9", "22P02", "invalid input syntax for type bytea"),
]


@pytest.mark.parametrize(("name", "text", "sqlstate", "message"), BAD_TEXT)
def test_bad_text_is_refused_in_postgres_words(name, text, sqlstate, message):
    with pytest.raises(types.ValueFormatError) as caught:
        types.decode_text(text.encode(), types.BY_NAME[name].oid)
    assert caught.value.sqlstate == sqlstate
    assert message is None or caught.value.message == message


FIXED = ["bool", "int2", "int4", "int8", "oid", "float4", "float8", "date", "time", "timetz"]
FIXED += ["timestamp", "timestamptz", "interval", "uuid", "numeric", "jsonb", "_int4", "varbit"]


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("size", [0, 3, 5, 17])
def test_a_binary_value_of_the_wrong_size_names_its_parameter(name, size):
    info = types.BY_NAME[name]
    with pytest.raises(types.ValueFormatError) as caught:
        types.decode_binary(b"\7" * size, info.oid)
    error = caught.value.of_parameter(3)
    assert error.sqlstate == "22P03"
    assert error.message == "incorrect binary data format in bind parameter 3"


@given(st.sampled_from(sorted(types.TYPES)), st.binary(max_size=40))
def test_garbage_is_a_value_or_an_error(oid, data):
    for decode in (types.decode_text, types.decode_binary):
        try:
            decode(data, oid)
        except types.ValueFormatError as error:
            assert len(error.sqlstate) == 5


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1 mon 2 days 03:04:05", (1, 2, 11_045_000_000)),
        ("P1Y2M3DT4H5M6.5S", (14, 3, 14_706_500_000)),
        ("PT1M", (0, 0, 60_000_000)),
        ("1.5 days", (0, 1, 43_200_000_000)),
        ("@ 1 day ago", (0, -1, 0)),
        ("1 year -2 months", (10, 0, 0)),
        ("-00:00:00.000001", (0, 0, -1)),
        ("5", (0, 0, 5_000_000)),
    ],
)
def test_intervals_are_read_in_every_style(text, parts):
    assert read_interval(text) == parts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-01-01T10:00:00Z", dt.datetime(2020, 1, 1, 10, tzinfo=UTC)),
        ("2020-01-01 10:00+05:30", dt.datetime(2020, 1, 1, 10, tzinfo=EAST)),
        ("2020-01-01 10:00:00", "2020-01-01 10:00:00"),
        ("2020-01-01 10:00:00 Europe/Berlin", "2020-01-01 10:00:00 Europe/Berlin"),
        ("2020-01-01 24:00:00Z", dt.datetime(2020, 1, 2, tzinfo=UTC)),
    ],
)
def test_timestamptz_keeps_or_leaves_its_zone(text, value):
    assert types.decode_text(text.encode(), 1184) == value


def test_bytea_escapes():
    assert types.decode_text(b"a\\\\b\\001", 17) == b"a\\b\1"
