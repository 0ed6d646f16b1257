"""DuckDB's own DataRow messages are, byte for byte, those of the reference encoder."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from branching.engine import duckdb_encode as encode
from branching.engine.base import WireFormats
from branching.engine.duckdb import connect
from branching.engine.duckdb_rows import exact_rows
from proxy import types
from proxy.types.calendar import clock
from proxy.types.intervals import engine_interval

pytestmark = pytest.mark.once_each

ROOT = duckdb.connect()
ROOT.execute("SET GLOBAL TimeZone = 'UTC'").fetchall()


@pytest.fixture
def cursor():
    opened = []

    def make():
        new = ROOT.cursor()
        encode.prepare(new)
        opened.append(new)
        return new

    yield make
    for one in opened:
        one.close()


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
odd_text = text | st.sampled_from(["", "null", "a b", 'x"y', "a\\b", "{", ",", "ü\t", "x" * 256, "y" * 300])


def integers(bits, signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1])


def decimals(width, scale):
    limit = 10**width - 1
    return (st.integers(-limit, limit) | st.integers(-9999, 9999)).map(
        lambda digits: Decimal(f"{digits}E-{scale}") if scale else Decimal(digits)
    )


days = st.dates() | st.sampled_from(["infinity", "-infinity", "0044-03-15 (BC)", "20000-01-01"])
moments = st.datetimes() | st.sampled_from(
    ["infinity", "-infinity", "0044-03-15 (BC) 10:00:00.5", "20000-01-01 00:00:00"]
)
zoned = st.datetimes(dt.datetime(2, 1, 1), timezones=st.just(dt.UTC)) | st.sampled_from(
    ["infinity", "-infinity", "0044-03-15 (BC) 10:00:00+00"]
)
interval_parts = st.tuples(
    st.integers(-100_000, 100_000), st.integers(-100_000, 100_000), st.integers(-(2**53), 2**53)
)
small_parts = st.tuples(st.integers(-13, 13), st.integers(-2, 2), st.integers(-2, 2))
clocks = st.integers(0, 86_400_000_000).map(clock)
structures = st.tuples(st.none() | st.integers(-9, 9), st.none() | st.text('ab"\\ü\n')).map(
    lambda pair: {"a": pair[0], "b": pair[1]}
)


# engine type: (values, how to write one as text the engine casts)
TYPES = {
    "BOOLEAN": (st.booleans(), str),
    "TINYINT": (integers(8), str),
    "UTINYINT": (integers(8, False), str),
    "SMALLINT": (integers(16), str),
    "USMALLINT": (integers(16, False), str),
    "INTEGER": (integers(32), str),
    "UINTEGER": (integers(32, False), str),
    "BIGINT": (integers(64), str),
    "UBIGINT": (integers(64, False), str),
    "HUGEINT": (integers(128), str),
    "UHUGEINT": (integers(128, False), str),
    "FLOAT": (st.floats(width=32) | st.sampled_from([1e6, 999999.0, 1e15, 1e16, -0.0, 1e-5]), repr),
    "DOUBLE": (st.floats() | st.sampled_from([1e15, 1e14, 1234567890123456.5, 1e16, -0.0, 1e-5]), repr),
    "DECIMAL(18,4)": (decimals(18, 4), str),
    "DECIMAL(4,4)": (decimals(4, 4), str),
    "DECIMAL(16,9)": (decimals(16, 9), str),
    "DECIMAL(18,6)": (decimals(18, 6), str),
    "DECIMAL(16,0)": (decimals(16, 0), str),
    "DECIMAL(17,0)": (decimals(17, 0), str),
    "DECIMAL(38,10)": (decimals(38, 10), str),
    "DECIMAL(38,0)": (decimals(38, 0), str),
    "VARCHAR": (odd_text, str),
    "BLOB": (st.binary(max_size=300), lambda value: "".join(f"\\x{byte:02X}" for byte in value)),
    "DATE": (days, str),
    "TIME": (clocks, str),
    "TIME WITH TIME ZONE": (
        st.tuples(clocks, st.sampled_from(["+00", "+05:30", "-11:15:10", "+15"])).map("".join),
        str,
    ),
    "TIMESTAMP": (moments, str),
    "TIMESTAMP WITH TIME ZONE": (zoned, str),
    "INTERVAL": ((interval_parts | small_parts).map(engine_interval), str),
    "UUID": (st.uuids(), str),
    "JSON": (structures.map(json.dumps), str),
    "BIT": (st.text("01", min_size=1, max_size=70), str),
    "ENUM('a b', 'null', 'c')": (st.sampled_from(["a b", "null", "c"]), str),
    "STRUCT(a INTEGER, b VARCHAR)": (structures, json.dumps),
}


def same(value):
    """Arrow and casts keep a NaN, but not which NaN."""
    return math.nan if isinstance(value, float) and math.isnan(value) else value


def reference(rows, kinds, formats):
    return types.encode_rows(rows, [types.from_engine(kind) for kind in kinds], formats)


def source(kind, texts, columns="v"):
    """A query of one column with these values; written with literals, so that it can be wrapped."""
    base = f"CAST(t.v AS {kind})"
    if kind.startswith("STRUCT"):
        base = 'from_json(t.v, \'{"a":"INTEGER","b":"VARCHAR"}\')'
    values = ", ".join(
        f"({number}, NULL)" if item is None else f"({number}, '{item.replace(chr(39), chr(39) * 2)}')"
        for number, item in enumerate(texts)
    )
    return f"SELECT {base} AS v FROM (VALUES {values}) AS t(n, v) ORDER BY t.n"


def through_query(cursor, sql, columns):
    return b"".join(frames.data for frames in encode.encode_query(cursor(), sql, columns))


def through_reader(cursor, sql, columns):
    reader = cursor().sql(sql).to_arrow_reader(1000)
    return b"".join(frames.data for frames in encode.encode_reader(reader, columns, cursor()))


@pytest.mark.parametrize("route", [through_query, through_reader])
@pytest.mark.parametrize("kind", TYPES)
@settings(
    max_examples=examples(4), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_type_in_both_formats(route, kind, cursor, data):
    strategy, spell = TYPES[kind]
    items = [None, *map(same, data.draw(st.lists(st.none() | strategy, min_size=1, max_size=40)))]
    sql = source(kind, [None if item is None else spell(item) for item in items])
    for format in (0, 1):
        columns = encode.columns_of([("v", kind)], [format])
        expected = reference([(item,) for item in items], [kind], [format])
        assert route(cursor, sql, columns) == expected


ELEMENTS = [kind for kind in TYPES if kind not in ("STRUCT(a INTEGER, b VARCHAR)", "JSON")]


@pytest.mark.parametrize("kind", ELEMENTS)
@settings(
    max_examples=examples(3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_arrays_of_every_type(kind, cursor, data):
    strategy, spell = TYPES[kind]
    items = [
        None if item is None else same(item) for item in data.draw(st.lists(st.none() | strategy, max_size=8))
    ]
    element = source(kind, [None, *(None if item is None else spell(item) for item in items)])
    numbered = element.replace(" AS v FROM", " AS v, t.n AS n FROM")
    sql = f"SELECT coalesce(list(v ORDER BY n) FILTER (n > 0), []) FROM ({numbered})"
    for format in (0, 1):
        columns = encode.columns_of([("v", f"{kind}[]")], [format])
        expected = reference([(items,)], [f"{kind}[]"], [format])
        assert through_query(cursor, sql, columns) == expected
        assert through_reader(cursor, sql, columns) == expected


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("[[1, 2], [3, NULL]]", "INTEGER[][]", [[1, 2], [3, None]]),
        ("[[['a b']], [['']]]", "VARCHAR[][][]", [[["a b"]], [[""]]]),
        ("array_value(1, 2)", "INTEGER[2]", [1, 2]),
        ("[]::INTEGER[]", "INTEGER[]", []),
        ("[{'a': 1}, NULL]", "STRUCT(a INTEGER)[]", [{"a": 1}, None]),
        ("MAP {'a': 1}", "MAP(VARCHAR, INTEGER)", {"a": 1}),
        ("union_value(a := 1)", "UNION(a INTEGER)", {"a": 1}),
        ("42::VARIANT", "VARIANT", 42),
        ("NULL", '"NULL"', None),
        (
            "TIMESTAMP_NS '2020-01-01 00:00:00.123456'",
            "TIMESTAMP_NS",
            dt.datetime(2020, 1, 1, 0, 0, 0, 123456),
        ),
        ("TIMESTAMP_S '2020-01-01 00:00:01'", "TIMESTAMP_S", dt.datetime(2020, 1, 1, 0, 0, 1)),
        ("'infinity'::TIMESTAMP_MS", "TIMESTAMP_MS", "infinity"),
    ],
)
def test_types_beside_the_table(expression, kind, value, cursor):
    for format in (0, 1):
        columns = encode.columns_of([("v", kind)], [format])
        expected = reference([(value,)], [kind], [format])
        assert through_query(cursor, f"SELECT {expression}", columns) == expected
        assert through_reader(cursor, f"SELECT {expression}", columns) == expected


def test_a_ragged_array_has_no_binary_form(cursor):
    columns = encode.columns_of([("v", "INTEGER[][]")], [1])
    with pytest.raises(duckdb.Error, match="matching dimensions"):
        through_query(cursor, "SELECT [[1], [2, 3]]", columns)


@pytest.mark.parametrize(
    ("expression", "kind", "declared", "value"),
    [
        ("42::BIGINT", "BIGINT", "oid", 42),
        ("42::BIGINT", "BIGINT", "integer", 42),
        ("42", "INTEGER", "bigint", 42),
        ("[1, 2]::BIGINT[]", "BIGINT[]", "oid[]", [1, 2]),
        ("'{}'::JSON", "JSON", "jsonb", "{}"),
        ("'x'", "VARCHAR", "character varying(3)", "x"),
        ("['x']", "VARCHAR[]", "varchar(3)[]", ["x"]),
    ],
)
def test_the_type_a_client_was_told_decides_the_binary_form(expression, kind, declared, value, cursor):
    info = types.from_engine(kind, declared)
    columns = encode.columns_of([("v", kind)], [1], [info.name])
    assert through_query(cursor, f"SELECT {expression}", columns) == types.encode_rows(
        [(value,)], [info], [1]
    )


@pytest.mark.parametrize("route", [through_query, through_reader])
def test_rows_keep_their_order_names_may_repeat_and_lengths_may_be_long(route, cursor):
    sql = "SELECT i AS a, repeat('x', i % 300) AS a, NULL::INTEGER AS A FROM range(150000) AS r(i) -- end"
    kinds = ["BIGINT", "VARCHAR", "INTEGER"]
    columns = encode.columns_of([("a", kind) for kind in kinds], [0, 0, 1])
    rows = ((i, "x" * (i % 300), None) for i in range(150000))
    assert route(cursor, sql, columns) == reference(rows, kinds, [0, 0, 1])


def test_no_columns_and_no_rows(cursor):
    columns = encode.columns_of([("a", "INTEGER")], [0])
    assert through_query(cursor, "SELECT 1 WHERE false", columns) == b""
    assert through_reader(cursor, "SELECT 1 WHERE false", columns) == b""


def test_wide_rows_come_in_small_batches(cursor):
    narrow = pa.table({"v": ["x"] * 70_000})
    wide = pa.table({"v": ["y" * 100_000] * 200})
    batches = [*narrow.to_batches(), *wide.to_batches(max_chunksize=50)]
    reader = pa.RecordBatchReader.from_batches(narrow.schema, batches)
    columns = encode.columns_of([("v", "VARCHAR")], [0])
    frames = [(len(frame.data), frame.rows) for frame in encode.encode_reader(reader, columns, cursor())]
    assert sum(rows for _, rows in frames) == 70_200
    assert max(size for size, _ in frames) <= 8 * encode.BATCH_BYTES


@pytest.mark.parametrize(("width", "rows"), [(1, 5000), (300, 5000), (40_000, 1200)])
def test_a_stream_is_cut_and_joined_by_weight(width, rows):
    """Rows of any width come in order, once each, in pieces of bounded size."""
    root = connect(":memory:")
    query = f"SELECT i, repeat('x', {width} + i % 7) FROM range({rows}) r(i)"
    _, pieces, encoded = root.stream(query, (), WireFormats((0,)))
    assert encoded
    weights, whole = [], bytearray()
    for piece in pieces:
        weights.append(len(piece.data))
        whole += piece.data
    expected = types.encode_rows(
        [(i, "x" * (width + i % 7)) for i in range(rows)],
        [types.from_engine("BIGINT"), types.from_engine("VARCHAR")],
        (0, 0),
    )
    assert whole == expected
    assert max(weights) <= 4 * encode.BATCH_BYTES
    root.close()


def test_a_stopped_stream_leaves_its_cursor_usable(cursor):
    source_cursor, encoder = cursor(), cursor()
    columns = encode.columns_of([("i", "BIGINT")], [0])
    reader = source_cursor.sql("SELECT i FROM range(1000000) AS r(i)").to_arrow_reader(10_000)
    stream = encode.encode_reader(reader, columns, encoder)
    next(stream)
    stream.close()
    for one in (source_cursor, encoder):
        assert one.execute("SELECT 1").fetchall() == [(1,)]


def test_uuid_strings_and_objects_are_one(cursor):
    value = uuid.UUID(int=7)
    info = types.from_engine("UUID")
    assert types.encode_binary(str(value), info) == types.encode_binary(value, info)


@pytest.mark.parametrize("kind", TYPES)
@settings(
    max_examples=examples(3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_exact_rows_encode_as_the_engine_does(kind, cursor, data):
    strategy, spell = TYPES[kind]
    items = [None, *map(same, data.draw(st.lists(st.none() | strategy, max_size=8)))]
    sql = source(kind, [None if item is None else spell(item) for item in items])
    both = f"SELECT v, [v] AS w FROM ({sql})"
    kinds = [kind, f"{kind}[]"]
    rows = exact_rows(cursor().sql(both).to_arrow_table(), [("v", kinds[0]), ("w", kinds[1])], cursor())
    for format in (0, 1):
        columns = encode.columns_of([("v", one) for one in kinds], [format, format])
        assert reference(rows, kinds, [format, format]) == through_query(cursor, both, columns)


def test_timestamptz_is_shown_in_the_session_zone(cursor):
    tokyo = ROOT.cursor()
    encode.prepare(tokyo, "Asia/Tokyo")
    columns = encode.columns_of([("v", "TIMESTAMP WITH TIME ZONE")], [0])
    reader = cursor().sql("SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00'").to_arrow_reader(10)
    data = b"".join(frames.data for frames in encode.encode_reader(reader, columns, tokyo))
    assert data.endswith(b"2020-01-01 09:00:00+09")
    tokyo.close()
