"""COPY's formats, without a server: the two writers agree byte for byte, and what they write is read back the same."""

from __future__ import annotations

import json
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from branching.engine import duckdb_encode as encode
from branching.engine.base import CopyForm
from branching.engine.duckdb_rows import exact_rows
from branching.errors import BoughError
from proxy.copying import CopyColumn, CopyReader, CopyWriter, read_options
from proxy.copying.columns import CopyColumn as Column
from proxy.copying.spool import Spool
from proxy.types import from_engine

pytestmark = pytest.mark.once_each

ROOT = duckdb.connect()
ROOT.execute("SET GLOBAL TimeZone = 'UTC'").fetchall()
SOURCE = ROOT.cursor()
ENCODER = ROOT.cursor()
for cursor in (SOURCE, ENCODER):
    encode.prepare(cursor)

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
ODD = [
    "", "\\N", "\\.", "a\tb", "a\nb", "a\r\nb", '"', '""', "a,b", "\\", "a\\", "\\\\", "\x0b\x08\x0c", " ", "null",
    "ü\t", "x" * 300, "{}", '{"a b"}', "NULL", "'", ";", "|", "\\x41", "\\101", "\x7f",
]  # fmt: skip
strings = text | st.sampled_from(ODD)


def integers(bits: int) -> st.SearchStrategy[int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return st.integers(low, high) | st.sampled_from([low, high, 0])


def decimals(width: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**width - 1
    return (st.integers(-limit, limit) | st.integers(-9999, 9999)).map(
        lambda digits: Decimal(f"{digits}E-{scale}")
    )


moments = st.datetimes().map(str) | st.sampled_from(["infinity", "-infinity", "0044-03-15 (BC) 10:00:00.5"])
KINDS: dict[str, st.SearchStrategy[str]] = {
    "BOOLEAN": st.booleans().map(str),
    "SMALLINT": integers(16).map(str),
    "INTEGER": integers(32).map(str),
    "BIGINT": integers(64).map(str),
    "UTINYINT": st.integers(0, 255).map(str),
    "UINTEGER": st.integers(0, 2**32 - 1).map(str),
    "HUGEINT": st.integers(-(2**100), 2**100).map(str),
    "FLOAT": st.floats(width=32).map(repr),
    "DOUBLE": st.floats().map(repr),
    "DECIMAL(18,4)": decimals(18, 4).map(lambda value: format(value, "f")),
    "DECIMAL(9,9)": decimals(9, 9).map(lambda value: format(value, "f")),
    "DECIMAL(38,10)": decimals(38, 10).map(lambda value: format(value, "f")),
    "VARCHAR": strings,
    "BLOB": st.binary(max_size=30).map(lambda value: "".join(f"\\x{byte:02X}" for byte in value)),
    "DATE": st.dates().map(str) | st.sampled_from(["infinity", "-infinity", "0044-03-15 (BC)"]),
    "TIME": st.times().map(str),
    "TIME WITH TIME ZONE": st.times().map(lambda value: f"{value}+05:30"),
    "TIMESTAMP": moments,
    "TIMESTAMP WITH TIME ZONE": moments.map(lambda value: value if "inf" in value else value + "+00"),
    "INTERVAL": st.tuples(st.integers(-999, 999), st.integers(-99, 99), st.integers(-(2**40), 2**40)).map(
        lambda parts: f"{parts[0]} months {parts[1]} days {parts[2]} microseconds"
    ),
    "UUID": st.uuids().map(str),
    "JSON": strings.map(lambda value: json.dumps({"a": value}, ensure_ascii=False)),
    "BIT": st.text("01", min_size=1, max_size=30),
    "ENUM('a b', 'n\tull', 'c,\"d\"')": st.sampled_from(["a b", "n\tull", 'c,"d"']),
}
LISTS = ("INTEGER", "VARCHAR", "TIMESTAMP", "DECIMAL(18,4)", "BLOB", "BOOLEAN", "UUID", "DATE")
OPTIONS = (
    [("format", "text")],
    [("format", "text"), ("delimiter", "|"), ("null", "\\0")],
    [("format", "text"), ("delimiter", "-"), ("null", "\\NULL"), ("header", "on")],
    [("format", "csv")],
    [("format", "csv"), ("null", "\\N"), ("header", "true")],
    [("format", "csv"), ("delimiter", ";"), ("quote", "'"), ("escape", "\\"), ("force_quote", ("*",))],
    [("format", "csv"), ("delimiter", "\t"), ("null", "null"), ("force_quote", ("c0",))],
    [("format", "csv"), ("delimiter", ":"), ("quote", "1")],
    [("format", "binary")],
)


@st.composite
def results(draw: st.DrawFn) -> tuple[list[str], list[list[str | None]]]:
    """Types of columns, and rows of values as text the engine casts."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4))
    row = st.tuples(*(st.none() | KINDS[kind] for kind in kinds)).map(list)
    return kinds, draw(st.lists(row, max_size=5))


def values_query(kinds: list[str], rows: list[list[str | None]]) -> str:
    def cell(value: str | None, kind: str) -> str:
        quoted = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
        return f"CAST({quoted} AS {kind})"

    names = ", ".join(f"c{n}" for n in range(len(kinds)))
    if not rows:
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS c{n}" for n, kind in enumerate(kinds))
        return f"SELECT {nulls} WHERE false"
    listed = ", ".join("(" + ", ".join([str(n), *map(cell, row, kinds)]) + ")" for n, row in enumerate(rows))
    return f"SELECT {names} FROM (VALUES {listed}) AS t(n, {names}) ORDER BY n"


def bodies(messages: bytes) -> list[bytes]:
    """The data in CopyData messages."""
    found, at = [], 0
    while at < len(messages):
        assert messages[at : at + 1] == b"d"
        size = int.from_bytes(messages[at + 1 : at + 5], "big")
        found.append(messages[at + 5 : at + 1 + size])
        at += 1 + size
    return found


def form_of(options, names: list[str]) -> CopyForm:
    force = options.force_quote
    forced = frozenset(n for n, name in enumerate(names) if "*" in force or name in force)
    return CopyForm(options.format, options.delimiter, options.null, options.quote, options.escape, forced)


def written(kinds: list[str], sql: str, given_options) -> tuple[bytes, bytes]:
    """What the engine's encoder and the reference write for a query's rows."""
    options = read_options(given_options, from_client=False)
    names = [f"c{n}" for n in range(len(kinds))]
    pairs = list(zip(names, kinds, strict=True))
    columns = encode.columns_of(pairs, [options.code] * len(kinds))
    reader = SOURCE.sql(sql).to_arrow_reader(1000)
    frames = [frame.data for frame in encode.encode_reader(reader, columns, ENCODER, form_of(options, names))]
    by_engine = b"".join(frames)
    rows = exact_rows(SOURCE.sql(sql).to_arrow_table(), pairs, ENCODER)
    writer = CopyWriter([(name, from_engine(kind)) for name, kind in pairs], options)
    return by_engine, writer.rows(rows)


@given(results(), st.sampled_from(OPTIONS))
@settings(max_examples=examples(200))
def test_the_engine_writes_what_the_reference_writes(table, options) -> None:
    kinds, rows = table
    by_engine, by_reference = written(kinds, values_query(kinds, rows), options)
    assert bodies(by_engine) == bodies(by_reference)


def read(kinds: list[str], data: bytes, options, cuts: list[int] = ()) -> pa.Table:
    columns = [CopyColumn(f"c{n}", kind, from_engine(kind)) for n, kind in enumerate(kinds)]
    reader = CopyReader("t", columns, read_options(options, from_client=True))
    batches = []
    at = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        batches += reader.add(data[at:cut])
        at = cut
    batches += reader.finish()
    return pa.Table.from_batches(batches, reader.schema)


def loaded(kinds: list[str], table: pa.Table) -> list[tuple[object, ...]]:
    """The received rows as the engine has them, each value as its own text."""
    SOURCE.register("received", table)
    items = []
    for n, kind in enumerate(kinds):
        column = Column(f"c{n}", kind, from_engine(kind))
        items.append(f'(CAST("{n}" AS {kind}))::VARCHAR' if column.cast else f'"{n}"::{kind}::VARCHAR')
    return SOURCE.execute(f"SELECT {', '.join(items)} FROM received").fetchall()


def original(kinds: list[str], sql: str) -> list[tuple[object, ...]]:
    items = ", ".join(f"c{n}::VARCHAR" for n in range(len(kinds)))
    return SOURCE.execute(f"SELECT {items} FROM ({sql})").fetchall()


@given(results(), st.sampled_from(OPTIONS), st.lists(st.integers(0, 10_000), max_size=3))
@settings(max_examples=examples(300))
def test_what_is_written_is_read_back(table, options, cuts) -> None:
    kinds, rows = table
    sql = values_query(kinds, rows)
    out = [(name, value) for name, value in options if name != "force_quote"]
    writer = CopyWriter(
        [(f"c{n}", from_engine(kind)) for n, kind in enumerate(kinds)],
        read_options(options, from_client=False),
    )
    pairs = [(f"c{n}", kind) for n, kind in enumerate(kinds)]
    messages = writer.rows(exact_rows(SOURCE.sql(sql).to_arrow_table(), pairs, ENCODER))
    data = writer.head() + b"".join(bytes(part) for part in writer.begin(messages)) + writer.tail()
    stream = b"".join(bodies(data))
    assert loaded(kinds, read(kinds, stream, out, cuts)) == original(kinds, sql)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("form", ["text", "csv", "binary"])
@given(data=st.data())
@settings(max_examples=examples(25))
def test_arrays_are_read_back(kind: str, form: str, data: st.DataObject) -> None:
    lists = data.draw(st.lists(st.none() | st.lists(st.none() | KINDS[kind], max_size=4), max_size=4))

    def array(items: list[str | None] | None) -> str:
        if items is None:
            return "NULL"
        cells = ["NULL" if item is None else "'" + item.replace("'", "''") + "'" for item in items]
        return "CAST([" + ", ".join(f"CAST({cell} AS {kind})" for cell in cells) + f"] AS {kind}[])"

    listed = ", ".join(f"({n}, {array(items)})" for n, items in enumerate(lists)) or "(0, NULL)"
    sql = f"SELECT c0::{kind}[] AS c0 FROM (VALUES {listed}) AS t(n, c0) ORDER BY n"
    kinds = [f"{kind}[]"]
    options = read_options([("format", form)], from_client=False)
    by_engine, by_reference = written(kinds, sql, [("format", form)])
    assert bodies(by_engine) == bodies(by_reference)
    writer = CopyWriter([("c0", from_engine(kinds[0]))], options)
    stream = b"".join(bodies(b"".join(map(bytes, writer.begin(by_engine))) + writer.tail()))
    assert loaded(kinds, read(kinds, stream, [("format", form)])) == original(kinds, sql)


# -- what cannot be read ------------------------------------------------------------------------------------------

CSV, MATCH = {"format": "csv"}, {"format": "csv", "header": "match"}
MISTAKES = [
    # column types, data, options; SQLSTATE, message, CONTEXT behind "COPY t, "
    (["INTEGER", "VARCHAR"], b"1\ta\n2\n", {}, "22P04", 'missing data for column "c1"', 'line 2: "2"'),
    (["INTEGER"], b"1\n2\t3\n", {}, "22P04", "extra data after last expected column", 'line 2: "2\t3"'),
    (["INTEGER"], b"1\nx\n", {}, "22P02", 'invalid input syntax for type integer: "x"', 'line 2, column c0: "x"'),
    (["SMALLINT"], b"40000\n", {}, "22003", 'value "40000" is out of range for type smallint', None),
    (["VARCHAR"], b"a\nb\0c\n", {}, "22021", 'invalid byte sequence for encoding "UTF8": 0x00', "line 2"),
    (["VARCHAR"], b"a\n\xff\n", {}, "22021", 'invalid byte sequence for encoding "UTF8": 0xff', "line 2"),
    (["VARCHAR"], b"a\nb\r\n", {}, "22P04", "literal carriage return found in data", "line 2"),
    (["VARCHAR"], b"a\\.b\n", {}, "22P04", "end-of-copy marker corrupt", "line 1"),
    (["VARCHAR"], b'"a\n', CSV, "22P04", "unterminated CSV quoted field", None),
    (["DATE"], b"2020-02-30\n", {}, "22008", 'date/time field value out of range: "2020-02-30"', None),
    (["DECIMAL(3,1)"], b"100\n", {}, "22003", "numeric field overflow", 'line 1, column c0: "100"'),
    (["VARCHAR"], b"a,b\n", MATCH, "22P04", "wrong number of fields in header line: got 2, expected 1", None),
    (
        ["VARCHAR"], b"nope\n", MATCH, "22P04",
        'column name mismatch in header line field 1: got "nope", expected "c0"', 'line 1: "nope"',
    ),
    (["INTEGER"], b"nope", {"format": "binary"}, "22P04", "COPY file signature not recognized", None),
]  # fmt: skip


@pytest.mark.parametrize(("kinds", "data", "options", "sqlstate", "message", "context"), MISTAKES)
@pytest.mark.parametrize("cuts", [[], [1], [3, 4]])
def test_mistakes_are_named_with_their_place(kinds, data, options, sqlstate, message, context, cuts) -> None:
    with pytest.raises(BoughError) as caught:
        read(kinds, data, list(options.items()), cuts)
    assert (caught.value.sqlstate, caught.value.message) == (sqlstate, message)
    if context is not None:
        assert caught.value.context == f"COPY t, {context}"


HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)


@pytest.mark.parametrize(
    ("data", "message", "context"),
    [
        (HEAD + b"\0\1\0\0\0\4\0\0", "unexpected EOF in COPY data", "COPY t, line 1"),
        (HEAD + b"\0\2", "row field count is 2, expected 1", "COPY t, line 1"),
        (HEAD + b"\0\1\xff\xff\xff\xfe", "invalid field size", "COPY t, line 1"),
        (HEAD + b"\xff\xffx", "received copy data after EOF marker", "COPY t, line 1"),
        (
            HEAD + b"\0\1\0\0\0\4\0\0\0\1\0\1\0\0\0\2\0\0\xff\xff",
            "incorrect binary data format",
            "COPY t, line 2, column c0",
        ),
        (HEAD[:11] + b"\0\1\0\0" + HEAD[15:], "invalid COPY file header (WITH OIDS)", None),
    ],
)  # fmt: skip
def test_binary_mistakes(data: bytes, message: str, context: str | None) -> None:
    for cuts in ([], [5], [20, 24]):
        with pytest.raises(BoughError) as caught:
            read(["INTEGER"], data, [("format", "binary")], cuts)
        assert caught.value.message == message
        if context is not None:
            assert caught.value.context == context


READINGS = [
    # engine type, text that stands for one value, its value as the engine shows it
    ("DECIMAL(3,1)", "1.25", "1.3"),
    ("DECIMAL(3,1)", "-1.25", "-1.3"),
    ("DECIMAL(3,1)", " 1e1 ", "10.0"),
    ("INTEGER", " +7 ", "7"),
    ("BOOLEAN", "YES", "true"),
    ("BOOLEAN", "of", "false"),
    ("DOUBLE", "1e-400000", None),
    ("DOUBLE", "1e400", None),
    ("DOUBLE", "Infinity", "inf"),
    ("DOUBLE", "0." + "0" * 400 + "1", None),
    ("FLOAT", "1e-50", None),
    ("FLOAT", "16777217", "16777216.0"),
    ("INTEGER", "0x10", None),
    ("INTEGER", "1.0", None),
    ("INTEGER", "1_000", None),
    ("DATE", "0000-01-01", None),
    ("DATE", "0044-03-15 BC", "0044-03-15 (BC)"),
    ("TIMESTAMP", "2020-01-01 12", None),
    ("TIMESTAMP", "2020-01-01", "2020-01-01 00:00:00"),
    ("TIMESTAMP", "2020-01-01 10:00:00+05", "2020-01-01 10:00:00"),
    ("TIMESTAMP", "2020-01-01 24:00:00", "2020-01-02 00:00:00"),
    ("TIMESTAMP", "2020-01-01 10:00:00.1234567", "2020-01-01 10:00:00.123457"),
    ("TIMESTAMP WITH TIME ZONE", "2020-07-01 10:00:00+02", "2020-07-01 08:00:00+00"),
    ("TIMESTAMP WITH TIME ZONE", "2020-07-01 10:00:00", "2020-07-01 08:00:00+00"),
    ("TIMESTAMP WITH TIME ZONE", "2020-03-29 02:30:00", "2020-03-29 01:30:00+00"),  # a gap
    ("TIMESTAMP WITH TIME ZONE", "2020-10-25 02:30:00", "2020-10-25 01:30:00+00"),  # a fold
    ("TIMESTAMP WITH TIME ZONE", "2020-07-01 10:00:00 America/New_York", "2020-07-01 14:00:00+00"),
    ("UUID", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("VARCHAR", "\\x41\\102\\q\\t", "ABq\t"),
]


@pytest.mark.parametrize(("kind", "value", "shown"), READINGS)
def test_what_text_means(kind: str, value: str, shown: str | None) -> None:
    column = CopyColumn("c0", kind, from_engine(kind), "Europe/Berlin")
    reader = CopyReader("t", [column], read_options([], from_client=True))
    if shown is None:
        with pytest.raises(BoughError):
            reader.add(f"{value}\n".encode())
        return
    table = pa.Table.from_batches(reader.add(f"{value}\n".encode()), reader.schema)
    assert loaded([kind], table) == [(shown,)]


def test_rows_beyond_memory_are_kept_in_a_file(tmp_path) -> None:
    schema = pa.schema([("0", pa.int64())])
    spool = Spool(schema, tmp_path, in_memory=1000)
    for start in range(0, 5000, 500):
        spool.add(pa.RecordBatch.from_arrays([pa.array(range(start, start + 500))], schema=schema))
    assert list(tmp_path.iterdir()) == []  # the file has no name
    table = spool.table()
    assert spool.rows == 5000
    assert table.column(0).to_pylist() == list(range(5000))
    assert table.column(0).to_pylist() == list(range(5000))
    spool.close()
