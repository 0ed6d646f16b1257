"""The same bytes and options, read here and by a real PostgreSQL: the same rows, or the same error."""

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow as pa
import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from branching.errors import BoughError
from proxy.copying import CopyColumn, CopyReader, CopyWriter, read_options
from proxy.sql.parse import parse
from proxy.sql.split import Source
from proxy.types import from_engine

pytestmark = pytest.mark.postgres

TABLES = {
    "one": ["VARCHAR"],
    "two": ["VARCHAR", "VARCHAR"],
    "mixed": ["INTEGER", "VARCHAR", "BOOLEAN"],
    "numbers": ["DECIMAL(6,2)", "DOUBLE", "SMALLINT"],
}
NATIVE = {"VARCHAR": "text", "DOUBLE": "double precision"}
OPTIONS = [
    "",
    "(FORMAT text, NULL '')",
    "(FORMAT text, DELIMITER ',', NULL 'a', HEADER)",
    "(FORMAT csv)",
    "(FORMAT csv, HEADER, NULL 'a')",
    "(FORMAT csv, HEADER match)",
    "(FORMAT csv, QUOTE '''', ESCAPE '\\')",
    "(FORMAT csv, ESCAPE '\\', DELIMITER '|')",
    "(FORMAT csv, FORCE_NULL (c0), NULL 'a')",
    "(FORMAT csv, FORCE_NOT_NULL (c0))",
]
TOKENS = [
    "a", "b", "1", "-2", "0", "t", "\t", ",", "|", '"', '""', "'", "\\", "\\\\", "\n", "\r\n", "\r",
    "\\N", "\\.", "\\.\n", "\\.\r\n", "\\t", "\\n", "\\\n", "\\x41", "\\101", "\\x", "ü", " ", "c0", "true", "x",
    '"a"', '"a\nb"', '"",', "1,b,t\n", "1\tb\tt\n", '1,"b",t\n', "c0,c1\n", "1.005", "1e3\n", "1e-5\t", "99999",
    "9999.995", "2020-01-31", "2020-01-31 10:11:12", "1.5\t2\t3\n", ".5", "NaN", "0x1", "1_0", "inf", "a,b\n",
    "a\tb\n", "\\N\t\\N\n", ",\n", '""\n', "''", "\\'", '\\"',
]  # fmt: skip
NOT_TEXT = ["\udcff", "\udcc3", "\0"]
data = st.lists(st.sampled_from(TOKENS + NOT_TEXT), max_size=14).map("".join)


@pytest.fixture(scope="module")
def tables(postgres: psycopg.Connection) -> psycopg.Connection:
    for name, kinds in TABLES.items():
        columns = ", ".join(f"c{n} {NATIVE.get(kind, kind)}" for n, kind in enumerate(kinds))
        postgres.execute(f"DROP TABLE IF EXISTS {name}")
        postgres.execute(f"CREATE TABLE {name} ({columns})")
    return postgres


def sent(body: str) -> bytes:
    """Surrogates are bytes that are no UTF-8."""
    return body.encode(errors="surrogateescape")


def theirs(postgres: psycopg.Connection, table: str, options: str, body: bytes) -> Any:
    postgres.execute(f"TRUNCATE {table}")
    try:
        with postgres.cursor().copy(f"COPY {table} FROM STDIN {options}") as copy:
            copy.write(body)
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary, error.diag.message_hint, error.diag.context
    return [tuple(map(shown, row)) for row in postgres.execute(f"SELECT * FROM {table} ORDER BY ctid")]


def ours(table: str, options: str, body: bytes, cuts: list[int]) -> Any:
    payload: Any = parse(Source(f"COPY {table} FROM STDIN {options}")).payload
    columns = [CopyColumn(f"c{n}", kind, from_engine(kind)) for n, kind in enumerate(TABLES[table])]
    reader = CopyReader(table, columns, read_options(payload.options, from_client=True))
    batches, at = [], 0
    try:
        for cut in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
            batches += reader.add(body[at:cut])
            at = cut
        batches += reader.finish()
    except BoughError as error:
        return error.sqlstate, error.message, error.hint, error.context
    rows = pa.Table.from_batches(batches, reader.schema)
    return [
        tuple(map(shown, row)) for row in zip(*(column.to_pylist() for column in rows.columns), strict=True)
    ]


def shown(value: Any) -> Any:
    return "nan" if value != value else value


@given(
    st.sampled_from(list(TABLES)), st.sampled_from(OPTIONS), data, st.lists(st.integers(0, 100), max_size=2)
)
@settings(max_examples=examples(500))
def test_the_same_bytes_mean_the_same(tables, table, options, body, cuts) -> None:
    if table == "numbers" and "NaN" in body:
        return  # a known difference: the engine's numeric has none
    found = ours(table, options, sent(body), cuts)
    expected = theirs(tables, table, options, sent(body))
    if any(bad in body for bad in NOT_TEXT) and isinstance(found, tuple):
        assert isinstance(expected, tuple)  # with two mistakes in a row, either may be seen first
    else:
        assert found == expected


BAD_OPTIONS = [
    "(FORMAT xml)", "(FORMAT csv, FORMAT csv)", "(NOPE 1)", "(DELIMITER 'ab')", "(DELIMITER 'a')",
    "(DELIMITER E'\\n')", "(NULL E'\\n')", "(FORMAT binary, DELIMITER ',')", "(FORMAT binary, NULL '')",
    "(FORMAT binary, HEADER)", "(QUOTE 'x')", "(FORMAT csv, QUOTE 'xx')", "(FORMAT csv, QUOTE ',')",
    "(ESCAPE 'x')", "(FORMAT csv, ESCAPE 'xx')", "(FORCE_QUOTE *)", "(FORMAT csv, FORCE_QUOTE *)",
    "(FORCE_NULL (c0))", "(FORCE_NOT_NULL (c0))", "(NULL E'a\\tb')", "(FORMAT csv, NULL '\"')",
    "(FORMAT csv, HEADER maybe)", "(FREEZE maybe)", "(DELIMITER '')",
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS)
@pytest.mark.parametrize("direction", ["FROM STDIN", "TO STDOUT"])
def test_the_same_options_are_wrong(tables: psycopg.Connection, options: str, direction: str) -> None:
    statement = f"COPY two {direction} {options}"
    their_error = None
    try:
        with tables.cursor().copy(statement) as copy:
            if direction == "TO STDOUT":
                list(copy)
    except psycopg.Error as error:
        their_error = (error.sqlstate, error.diag.message_primary)
    our_error = None
    try:
        payload: Any = parse(Source(statement)).payload
        read_options(payload.options, from_client=payload.from_client)
    except BoughError as error:
        our_error = (error.sqlstate, error.message)
    assert our_error == their_error


OUT = [
    "", "(DELIMITER '|', NULL '', HEADER)", "(FORMAT csv)", "(FORMAT csv, HEADER, FORCE_QUOTE (c1))",
    "(FORMAT csv, FORCE_QUOTE *, NULL 'a')", "(FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';')",
    "(FORMAT binary)",
]  # fmt: skip
words = (
    st.none() | st.lists(st.sampled_from(TOKENS), max_size=3).map("".join) | st.sampled_from(["\b\f\v", ""])
)


@given(st.lists(st.tuples(words, words), max_size=4), st.sampled_from(OUT))
@settings(max_examples=examples(300))
def test_the_same_rows_are_written_the_same(tables, rows, options) -> None:
    tables.execute("TRUNCATE two")
    with tables.cursor() as cursor:
        cursor.executemany("INSERT INTO two VALUES (%s, %s)", rows)
        with cursor.copy(f"COPY two TO STDOUT {options}") as copy:
            expected = [bytes(item) for item in copy]
    payload: Any = parse(Source(f"COPY two TO STDOUT {options}")).payload
    found = read_options(payload.options, from_client=False)
    writer = CopyWriter([("c0", from_engine("VARCHAR")), ("c1", from_engine("VARCHAR"))], found)
    parts = writer.begin(writer.rows(rows))
    written = writer.head() + b"".join(map(bytes, parts)) + writer.tail()
    messages, at = [], 0
    while at < len(written):
        size = int.from_bytes(written[at + 1 : at + 5], "big")
        messages.append(written[at + 5 : at + 1 + size])
        at += 1 + size
    assert messages == expected
