"""Types in, types out: nothing is lost without saying so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.dialects import CONTRACTS
from migration.dialects.type_map import map_type, type_matrix
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.types import (
    KINDS,
    CanonicalType,
    bits,
    byte_string,
    decimal,
    enum,
    instant,
    integer_range,
    json,
    list_of,
    map_of,
    of,
    struct,
    text,
    time,
    timestamp,
    timetz,
    unknown,
)

TARGETS = [contract.name for contract in CONTRACTS]
PLAIN = ["bool", "date", "interval", "uuid", "float32", "float64"]
PLAIN += [kind for kind in KINDS if kind.startswith(("int", "uint")) and kind != "interval"]

lengths = st.none() | st.integers(1, 100_000)
scalars = st.one_of(
    st.sampled_from(PLAIN).map(lambda kind: of(kind)),
    st.tuples(st.integers(1, 100), st.integers(0, 100)).map(lambda ps: decimal(ps[0], min(ps))),
    st.just(decimal()),
    st.builds(text, lengths, st.sampled_from(["chars", "bytes"])),
    st.builds(byte_string, lengths),
    st.builds(bits, lengths),
    st.builds(time, st.sampled_from([0, 3, 6, 9])),
    st.builds(timetz, st.sampled_from([0, 3, 6])),
    st.builds(timestamp, st.sampled_from([0, 3, 6, 9])),
    st.builds(instant, st.sampled_from([0, 3, 6, 9])),
    st.builds(json),
    st.builds(lambda: json(normalised=True)),
    st.lists(st.text("abcä'", min_size=1, max_size=8), min_size=1, max_size=4, unique=True).map(
        lambda v: enum(*v)
    ),
    st.just(unknown("mood")),
)
types = st.recursive(
    scalars,
    lambda inner: st.one_of(
        inner.map(list_of),
        st.builds(map_of, st.builds(text, st.just(None)), inner),
        st.lists(st.tuples(st.sampled_from(["a", "b b", "select"]), inner), min_size=1, max_size=3).map(
            lambda fields: struct(*dict(fields).items())
        ),
    ),
    max_leaves=4,
)


def holds(wide: CanonicalType, narrow: CanonicalType) -> bool:
    """Whether every value of ``narrow`` is a value of ``wide``, by an independent reading of both."""
    if narrow.is_integer or narrow.kind == "bool":
        low, high = integer_range(narrow.kind) if narrow.is_integer else (0, 1)
        if wide.is_integer:
            least, most = integer_range(wide.kind)
            return least <= low and high <= most
        if wide.kind == "decimal":
            return wide.precision is None or max(-low, high) < 10 ** (wide.precision - (wide.scale or 0))
        return wide.kind == narrow.kind
    if narrow.kind == "decimal":
        if wide.kind != "decimal" or wide.precision is None:
            return wide.kind == "decimal"
        if narrow.precision is None:
            return False
        scale, wide_scale = narrow.scale or 0, wide.scale or 0
        return wide_scale >= scale and wide.precision - wide_scale >= narrow.precision - scale
    if narrow.kind in ("float32", "float64"):
        return wide.kind in (narrow.kind, "float64")
    if narrow.kind in ("time", "timetz", "timestamp", "instant"):
        return wide.kind == narrow.kind and (wide.precision or 0) >= (narrow.precision or 0)
    if narrow.kind in ("text", "bytes"):
        if wide.kind != narrow.kind:
            return narrow.kind == "bytes" and wide == text()  # ClickHouse's String
        if wide.length is None:
            return True
        if narrow.length is None:
            return wide.length >= 1 << 24
        need = narrow.length * (4 if narrow.unit == "chars" and wide.unit == "bytes" else 1)
        return wide.length >= need
    if narrow.kind == "enum" and wide.kind == "text":  # a member's: by itself it is cast to text
        longest = max(len(value.encode() if wide.unit == "bytes" else value) for value in narrow.values)
        return wide.length is None or wide.length >= longest
    if narrow.kind == "list":
        return wide.kind == "list" and holds(wide.element or text(), narrow.element or text())
    if narrow.kind == "map":
        return wide.kind == "map" and holds(wide.element or text(), narrow.element or text())
    if narrow.kind == "struct":
        pairs = zip(wide.fields, narrow.fields, strict=True)
        return wide.kind == "struct" and all(w[0] == n[0] and holds(w[1], n[1]) for w, n in pairs)
    return wide.kind == narrow.kind


@pytest.mark.parametrize("target", TARGETS)
@given(source=types)
def test_a_safe_mapping_holds_every_value(target: str, source: CanonicalType) -> None:
    mapping = map_type("duckdb", source, target)
    assert mapping.target_type
    if mapping.is_safe and not mapping.cast:
        written = parse_type(mapping.target_type, target)
        assert holds(written, source), f"{source} -> {mapping.target_type} = {written}"
    else:
        assert mapping.reason


@pytest.mark.parametrize("target", TARGETS)
@given(source=types)
def test_whatever_is_written_is_a_type_of_the_target(target: str, source: CanonicalType) -> None:
    written = parse_type(map_type("duckdb", source, target).target_type, target)
    assert all(leaf.kind != "unknown" for leaf in written.leaves())


@pytest.mark.parametrize("target", TARGETS)
@given(source=scalars)
def test_an_exact_scalar_reads_back_as_itself(target: str, source: CanonicalType) -> None:
    mapping = map_type("duckdb", source, target)
    if mapping.loss != "exact" or mapping.cast or source.kind in ("bit", "json"):
        return
    written = parse_type(mapping.target_type, target)
    assert written.kind == source.kind
    assert (written.precision, written.scale) == (source.precision, source.scale)


def test_every_kind_has_a_cell_in_every_target() -> None:
    for target in TARGETS:
        for kind in KINDS:
            if kind in ("list", "map", "struct"):
                continue
            precision = 6 if kind in ("time", "timetz", "timestamp", "instant") else None
            assert map_type("duckdb", CanonicalType(kind, precision=precision), target).target_type


@pytest.mark.parametrize("target", TARGETS)
def test_decimal_38_10_is_never_narrowed_silently(target: str) -> None:
    mapping = map_type("postgres", "numeric(38,10)", target)
    written = parse_type(mapping.target_type, target)
    if mapping.is_safe and not mapping.cast:
        assert written == decimal(38, 10)
    else:
        assert mapping.cast == "text" or mapping.loss in ("lossy", "unsupported")


@pytest.mark.parametrize(
    ("dialect", "spelling", "expected"),
    [
        ("postgres", "timestamp(3) with time zone", instant(3)),
        ("postgres", "timestamp with time zone", instant(6)),
        ("postgres", "character varying(10)", text(10)),
        ("postgres", "character varying", text()),
        ("postgres", "numeric", decimal()),
        ("postgres", "numeric(2,-3)", decimal(5, 0)),
        ("postgres", "numeric(3,5)", decimal(5, 5)),
        ("postgres", "integer[]", list_of(of("int32"))),
        ("postgres", "jsonb", json(normalised=True)),
        ("postgres", "bit varying(8)", bits(8)),
        ("postgres", "double precision", of("float64")),
        ("postgres", "float(24)", of("float32")),
        ("postgres", "pg_catalog.int4", of("int32")),
        (
            "postgres",
            "interval day to second(3)",
            CanonicalType("interval", precision=3, name="day to second"),
        ),
        ("mysql", "int(10) unsigned", of("uint32")),
        ("mysql", "int unsigned zerofill", of("uint32")),
        ("mysql", "tinyint(1)", of("int8")),
        ("mysql", "datetime", timestamp(0)),
        ("mysql", "timestamp(6)", instant(6)),
        ("mysql", "varchar(20) character set utf8mb4 collate utf8mb4_bin", text(20)),
        ("mysql", "enum('a','it''s')", enum("a", "it's")),
        ("mysql", r"enum('a\\b','it\'s','c\nd')", enum("a\\b", "it's", "c\nd")),
        ("mysql", "text", text(65535, "bytes")),
        ("clickhouse", "LowCardinality(Nullable(String))", text()),
        ("clickhouse", "Nullable(Decimal(18, 4))", decimal(18, 4)),
        ("clickhouse", "Decimal128(5)", decimal(38, 5)),
        ("clickhouse", "DateTime64(6, 'UTC')", instant(6)),
        ("clickhouse", "DateTime64(6)", timestamp(6)),
        ("clickhouse", "Enum8('a' = 1, 'b' = 2)", enum("a", "b")),
        ("clickhouse", "Array(Tuple(a Int8, b Map(String, UInt64)))", None),
        ("snowflake", "NUMBER(18,4)", decimal(18, 4)),
        ("snowflake", "NUMBER", decimal(38, 0)),
        ("snowflake", "TIMESTAMP_NTZ(6)", timestamp(6)),
        ("snowflake", "TIMESTAMP_LTZ", instant(9)),
        ("redshift", "varchar", text(256, "bytes")),
        ("redshift", "varchar(max)", text(65535, "bytes")),
        ("bigquery", "TIMESTAMP", instant(6)),
        ("bigquery", "DATETIME", timestamp(6)),
        ("bigquery", "ARRAY<STRUCT<a INT64, b STRING>>", list_of(struct(("a", of("int64")), ("b", text())))),
        ("spark", "TIMESTAMP", instant(6)),
        ("spark", "STRUCT<a: INT, time: TIMESTAMP_NTZ>", struct(("a", of("int32")), ("time", timestamp(6)))),
        ("hive", "timestamp", timestamp(9)),
        ("trino", "timestamp", timestamp(3)),
        ("trino", "row(a bigint, b array(varchar))", struct(("a", of("int64")), ("b", list_of(text())))),
        ("starrocks", "LARGEINT", of("int128")),
        ("duckdb", "DECIMAL", decimal(18, 3)),
        ("duckdb", "UHUGEINT", of("uint128")),
        ("duckdb", "STRUCT(a INTEGER, b VARCHAR[])[]", None),
        ("duckdb", "INTEGER[3]", list_of(of("int32"))),
        ("postgres", "mood", unknown("mood")),
    ],
)
def test_spellings(dialect: str, spelling: str, expected: CanonicalType | None) -> None:
    found = parse_type(spelling, dialect)
    if expected is None:
        assert all(leaf.kind != "unknown" for leaf in found.leaves())
    else:
        assert found == expected


@pytest.mark.parametrize(
    "wrong", ["", "(", "int)", "varchar(10", "1", "struct<a int", "a;b", "int; DROP TABLE t"]
)
def test_text_that_is_no_type_is_refused(wrong: str) -> None:
    with pytest.raises(MigrationError) as refusal:
        parse_type(wrong, "duckdb")
    assert refusal.value.sqlstate == "42601"


@pytest.mark.parametrize(
    ("source", "spelling", "target", "expected", "loss"),
    [
        ("duckdb", "HUGEINT", "mysql", "DECIMAL(39,0)", "widening"),
        ("duckdb", "HUGEINT", "postgres", "numeric(39,0)", "widening"),
        ("duckdb", "HUGEINT", "snowflake", "NUMBER(38,0)", "lossy"),
        ("duckdb", "HUGEINT", "redshift", "DECIMAL(38,0)", "lossy"),
        ("duckdb", "HUGEINT", "trino", "decimal(38,0)", "lossy"),
        ("duckdb", "HUGEINT", "bigquery", "BIGNUMERIC(38,0)", "lossy"),
        ("duckdb", "HUGEINT", "clickhouse", "Int128", "exact"),
        ("duckdb", "HUGEINT", "starrocks", "LARGEINT", "exact"),
        ("duckdb", "HUGEINT", "sqlite", "TEXT", "widening"),
        ("duckdb", "UBIGINT", "postgres", "numeric(20,0)", "widening"),
        ("duckdb", "BLOB", "postgres", "bytea", "exact"),
        ("duckdb", "INTEGER[]", "postgres", "integer[]", "exact"),
        ("duckdb", "INTEGER[][]", "postgres", "jsonb", "widening"),
        ("duckdb", "STRUCT(a INTEGER)", "postgres", "jsonb", "widening"),
        ("duckdb", "TIMESTAMP_NS", "postgres", "timestamp(6)", "lossy"),
        ("duckdb", "TIMESTAMP_NS", "clickhouse", "DateTime64(9)", "exact"),
        ("duckdb", "BOOLEAN", "clickhouse", "Bool", "exact"),
        ("duckdb", "TIMESTAMP", "clickhouse", "DateTime64(6)", "exact"),
        ("duckdb", "TIMESTAMP", "mysql", "DATETIME(6)", "exact"),
        ("postgres", "time", "starrocks", "VARCHAR(32)", "widening"),
        ("postgres", "timestamptz", "starrocks", "DATETIME", "widening"),
        ("postgres", "numeric", "duckdb", "VARCHAR", "widening"),
        ("postgres", "varchar(10)", "redshift", "VARCHAR(40)", "widening"),
        ("postgres", "bytea", "redshift", "VARBYTE(16777216)", "lossy"),
        ("postgres", "integer[]", "redshift", "SUPER", "widening"),
        ("postgres", "uuid", "redshift", "CHAR(36)", "widening"),
        ("postgres", "bytea", "doris", "STRING", "unsupported"),
        ("postgres", "numeric(18,4)", "sqlite", "TEXT", "widening"),
        ("postgres", "inet", "greenplum", "inet", "exact"),
        ("postgres", "inet", "mysql", "LONGTEXT", "unsupported"),
        ("mysql", "bigint unsigned", "starrocks", "LARGEINT", "widening"),
        ("mysql", "decimal(65,30)", "duckdb", "VARCHAR", "widening"),
        ("bigquery", "BIGNUMERIC", "snowflake", "VARCHAR", "widening"),
        ("duckdb", "DECIMAL(38,10)", "bigquery", "BIGNUMERIC(38,10)", "exact"),
        ("postgres", "numeric(38,0)", "bigquery", "BIGNUMERIC(38,0)", "exact"),
    ],
)
def test_mappings(source: str, spelling: str, target: str, expected: str, loss: str) -> None:
    mapping = map_type(source, spelling, target)
    assert (mapping.target_type, mapping.loss) == (expected, loss)


def test_an_instant_in_an_engine_without_zones_must_be_converted() -> None:
    assert map_type("postgres", "timestamptz", "starrocks").cast == "utc"
    assert map_type("postgres", "timestamptz", "mysql").cast == "utc"


def test_guards_name_what_a_profile_must_show() -> None:
    assert "fraction:6" in map_type("duckdb", "TIMESTAMP_NS", "postgres").guards
    assert "digits:38" in map_type("duckdb", "HUGEINT", "snowflake").guards
    assert "no_nul" in map_type("duckdb", "VARCHAR", "postgres").guards
    assert "year:1900..2299" in map_type("postgres", "timestamp", "clickhouse").guards
    assert "finite" in map_type("duckdb", "DOUBLE", "mysql").guards
    assert "finite" in map_type("postgres", "numeric(18,4)", "duckdb").guards
    assert "finite" not in map_type("postgres", "numeric(18,4)", "greenplum").guards
    assert "time:0..24" in map_type("mysql", "time(6)", "postgres").guards
    assert "time:0..<24" in map_type("postgres", "time", "snowflake").guards
    assert "no_null" in map_type("duckdb", "INTEGER[]", "clickhouse").guards
    assert "octets:65535" in map_type("postgres", "text", "redshift").guards


def test_bytes_have_no_json_form() -> None:
    assert map_type("duckdb", "STRUCT(a BLOB)", "postgres").loss == "unsupported"


def test_an_older_version_takes_the_older_type() -> None:
    assert map_type("duckdb", "MAP(VARCHAR, INTEGER)", "starrocks", "3.0").target_type == "JSON"
    assert map_type("duckdb", "MAP(VARCHAR, INTEGER)", "starrocks", "3.1.2").target_type.startswith("MAP<")
    assert map_type("duckdb", "TIMESTAMP", "spark", "3.3").loss == "lossy"


def test_twenty_nine_common_spellings_are_read_by_their_dialects() -> None:
    common = (
        "smallint|integer|bigint|numeric(18,4)|decimal(10,2)|real|double precision|boolean|text|varchar(255)|"
    )
    common += "character varying(10)|character varying|char(5)|bytea|date|time|time with time zone|timestamp|"
    common += (
        "timestamp with time zone|timestamp without time zone|timestamptz|interval|uuid|json|jsonb|integer[]|"
    )
    common += "timestamp(3)|bit(8)|float8"
    for spelling in common.split("|"):
        for target in TARGETS:
            if (spelling, target) == ("bytea", "doris"):
                continue  # Doris has no type for bytes in CREATE TABLE
            assert map_type("postgres", spelling, target).loss != "unsupported", (spelling, target)


@pytest.mark.parametrize("source", TARGETS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_matrix_has_every_type_name_with_a_note_where_something_changes(source: str, target: str) -> None:
    rows = type_matrix(source, target)
    assert rows
    for name, written, loss, note in rows:
        assert written and (loss == "exact" or note), (name, written, loss)


def test_types_that_are_nothing_without_members_are_not_in_the_matrix() -> None:
    names = {row[0] for row in type_matrix("mysql", "postgres")}
    assert {"inet4", "inet6", "uuid"} <= names
    assert not {"enum", "set"} & names


def test_clickhouse_writes_type_names_with_its_escapes() -> None:
    assert parse_type(r"Enum8('a\'b' = 1, 'c\\d' = 2, 'e\nf' = 3)", "clickhouse") == enum(
        "a'b", "c\\d", "e\nf"
    )
    assert parse_type(r"Tuple(`a\`b` Int8)", "clickhouse").fields[0][0] == "a`b"


@pytest.mark.parametrize("target", TARGETS)
def test_only_postgres_writes_jsonb(target: str) -> None:
    found = map_type("postgres", "jsonb", target)
    assert (found.target_type == "jsonb") == (target in ("postgres", "greenplum")), found
