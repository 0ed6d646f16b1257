"""Rendered DDL passes its own dialect's rules, and the engines at hand run it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.connectors.base import RemoteTable
from migration.ddl.validation import read, render, validate
from migration.definitions import declared_layout
from migration.dialects import CONTRACTS, contract
from migration.dialects.quoting import quote_name
from migration.errors import MigrationError
from migration.layout.choice import ColumnStatistics, suggest
from migration.model import ColumnSpec, Counting, KeySpec, TableSpec
from migration.types import (
    CanonicalType,
    byte_string,
    decimal,
    enum,
    instant,
    json,
    list_of,
    map_of,
    of,
    struct,
    text,
    time,
    timestamp,
)

pytestmark = pytest.mark.sampled

TARGETS = [contract.name for contract in CONTRACTS]
PG = Path("/usr/lib/postgresql/15/bin")

scalar_types = st.one_of(
    st.sampled_from(["bool", "int8", "int32", "int64", "int128", "uint64", "float32", "float64"]).map(
        lambda kind: of(kind)
    ),
    st.sampled_from(["date", "interval", "uuid"]).map(lambda kind: of(kind)),
    st.sampled_from(
        [decimal(18, 4), decimal(38, 10), decimal(), decimal(76, 20), text(), text(10), text(300)]
    ),
    st.sampled_from([text(20000), byte_string(), time(6), timestamp(6), timestamp(9), instant(6), json()]),
    st.just(enum("a", "b'c")),
)
column_types = st.one_of(
    scalar_types,
    scalar_types.map(list_of),
    scalar_types.map(lambda inner: struct(("a b", inner), ("select", of("int64")))),
    scalar_types.map(lambda inner: map_of(text(), inner)),
    scalar_types.map(lambda inner: list_of(list_of(inner))),
)
names = st.one_of(
    st.sampled_from(
        [
            "id",
            "order",
            "select",
            "Key",
            "user id",
            "comment",
            "at",
            "date",
            "weiß",
            "x-y",
            "primary",
            "index",
        ]
    ),
    st.text("abcXYZ_09 '", min_size=1, max_size=20).filter(lambda name: name.strip() == name),
)
texts = st.text("ab'\\\"`;-/*ä\n", max_size=12)
defaults = st.sampled_from(
    [
        None,
        "1",
        "-2.5",
        "'x''y'",
        "'a\\b'",
        "true",
        "NULL",
        "now()",
        "CURRENT_DATE",
        "nextval('s')",
        "1 + 1",
        "'NaN'",
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> TableSpec:
    chosen = draw(st.lists(names, min_size=1, max_size=6, unique_by=str.lower))
    columns = tuple(
        ColumnSpec(
            name,
            draw(column_types),
            nullable=draw(st.booleans()),
            default=draw(defaults),
            identity=draw(st.sampled_from(["", "", "", "default"])),
            comment=draw(st.none() | texts),
        )
        for name in chosen
    )
    keys = []
    simple = [column.name for column in columns if not column.type.is_nested]
    if simple and draw(st.booleans()):
        keys.append(KeySpec("primary", tuple(draw(st.permutations(simple)))[: draw(st.integers(1, 2))]))
    if simple and draw(st.booleans()):
        keys.append(KeySpec("unique", (draw(st.sampled_from(simple)),)))
    if simple and draw(st.booleans()):
        keys.append(KeySpec("index", (draw(st.sampled_from(simple)),)))
    return TableSpec(("orders",), columns, tuple(keys), draw(st.none() | texts), "postgres")


@st.composite
def measured(draw: st.DrawFn, table: TableSpec) -> list[ColumnStatistics]:
    rows = 1_000_000
    return [
        ColumnStatistics(
            column.name,
            column.type,
            column.nullable and column.name not in table.primary_key,
            distinct=draw(st.none() | st.integers(0, rows)),
            nulls=draw(st.none() | st.integers(0, rows)) if column.nullable else 0,
            skew=draw(st.none() | st.floats(0, 1)),
            avg_bytes=draw(st.none() | st.floats(1, 100)),
            time_correlation=draw(st.none() | st.floats(-1, 1)),
        )
        for column in table.columns
    ]


@pytest.mark.parametrize("target", TARGETS)
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=examples(40),
)
@given(data=st.data())
def test_rendered_ddl_passes_the_rules(target: str, data: st.DataObject) -> None:
    table = data.draw(tables())
    layout = None
    if data.draw(st.booleans()):
        statistics = data.draw(measured(table))
        uniques = [key.columns for key in table.keys if key.kind == "unique"]
        rows = data.draw(st.sampled_from([None, 0, 1000, 50_000_000]))
        layout = suggest(target, statistics, rows, primary_key=table.primary_key, unique_keys=uniques)
    try:
        rendered = render(table, target, layout)
    except MigrationError as refusal:
        assert refusal.sqlstate in ("42602", "42622")
        return
    found = [
        violation
        for violation in validate(rendered.sql, target, target_table="orders")
        if violation.severity == "error"
    ]
    assert found == [], rendered.sql
    written = [column.name for column in read(rendered.statements[0], target).columns]
    assert set(written) <= {column.name for column in table.columns}
    if target != "hive":
        assert len(written) == len(table.columns)


ONE_OF_EACH = (
    *map(of, ("bool", "int8", "int16", "int32", "int64", "int128", "uint8", "uint16", "uint32", "uint64", "uint128")),
    *map(of, ("float32", "float64", "date", "interval", "uuid", "timetz", "bit", "unknown")),
    decimal(), decimal(18, 4), decimal(38, 10), decimal(76, 20), text(), text(10), text(300), text(20000), text(70000),
    text(10, fixed=True), byte_string(), time(6), timestamp(0), timestamp(6), timestamp(9), instant(6), json(),
    enum("a", "b"), list_of(of("int64")), list_of(list_of(text())), struct(("a", text())), map_of(text(), of("int64")),
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_table_of_one_column_is_rendered_as_it_is_judged(target: str) -> None:
    """Of each type, with no key and with one, with a layout and without: as SHOW CREATE TABLE … FOR and TRANSFER do."""
    for type_ in ONE_OF_EACH:
        for kind in ("", "primary", "unique"):
            keys = (KeySpec(kind, ("c",)),) if kind else ()
            table = TableSpec(("t",), (ColumnSpec("c", type_, comment="x"),), keys, "said", "duckdb")
            for layout in (
                None,
                *(declared_layout(RemoteTable(table, rows=rows), target) for rows in (None, 10**9)),
            ):
                written = render(table, target, layout)
                found = [each for each in validate(written.sql, target) if each.severity == "error"]
                assert found == [], (str(type_), kind, written.sql)


@pytest.mark.parametrize(
    ("target", "counting", "said"),
    [
        ("postgres", Counting(), "GENERATED ALWAYS AS IDENTITY,"),
        ("postgres", Counting(100, 5), "GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5),"),
        ("postgres", Counting(0, 1), "(START WITH 0 INCREMENT BY 1 MINVALUE 0),"),
        ("postgres", Counting(9, -1), "(START WITH 9 INCREMENT BY -1 MAXVALUE 9),"),
        ("postgres", Counting(1, 1, 1, 90, True), " INCREMENT BY 1 MINVALUE 1 MAXVALUE 90 CYCLE),"),
        ("redshift", Counting(100, 5), " IDENTITY(100,5),"),
        ("snowflake", Counting(100, 5), " AUTOINCREMENT START 100 INCREMENT 5,"),
        ("mysql", Counting(100, 5), " AUTO_INCREMENT,"),
    ],
)
def test_numbers_start_and_go_on_as_they_did(target: str, counting: Counting, said: str) -> None:
    column = ColumnSpec("id", of("int64"), False, identity="always", counting=counting)
    table = TableSpec(("t",), (column,), (KeySpec("primary", ("id",)),), dialect="postgres")
    written = render(table, target)
    assert said in written.sql
    assert [each for each in validate(written.sql, target) if each.severity == "error"] == []
    noted = any("start at 100 and go on by 5" in note for note in written.notes)
    assert noted == (target == "mysql")


def test_doris_keeps_a_text_that_is_too_long_for_a_key() -> None:
    table = TableSpec(("t",), (ColumnSpec("c", text()),), (), dialect="duckdb")
    written = render(table, "doris", declared_layout(RemoteTable(table), "doris"))
    assert (written.guards, "STRING" in written.sql) == ((), True)
    assert written.sql.endswith('PROPERTIES ("enable_duplicate_without_keys_by_default" = "true")')
    assert [each.id for each in validate(written.sql, "doris", "1.2") if each.severity == "error"] == [
        "key.model"
    ]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(60))
@given(table=tables())
def test_duckdb_runs_it(table: TableSpec) -> None:
    with duckdb.connect() as connection:
        for statement in render(table, "duckdb").statements:
            connection.execute(statement)
        described = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'orders' ORDER BY column_index"
        ).fetchall()
    assert [name for (name,) in described] == [column.name for column in table.columns]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(60))
@given(table=tables())
def test_sqlite_runs_it(table: TableSpec) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for statement in render(table, "sqlite").statements:
            connection.execute(statement)
        described = connection.execute("SELECT name FROM pragma_table_info('orders')").fetchall()
    assert [name for (name,) in described] == [column.name for column in table.columns]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own on a socket in a temporary directory."""
    if not (PG / "initdb").exists():
        pytest.skip("no PostgreSQL 15 binaries")
    home = tmp_path_factory.mktemp("pg")
    as_user = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    if as_user:
        mine = [folder for folder in home.parents if Path(tempfile.gettempdir()) in folder.parents]
        for folder in (home, *mine):
            folder.chmod(0o755)
        shutil.chown(home, "postgres", "postgres")
    data = home / "data"
    run = {"check": True, "capture_output": True, "cwd": "/"}
    subprocess.run(
        [*as_user, str(PG / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-N"], **run
    )
    options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
    start = [*as_user, str(PG / "pg_ctl"), "-D", str(data), "-w", "-l", str(home / "log"), "-o", options]
    subprocess.run(
        [*start, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    yield f"host={home} user=postgres dbname=postgres"
    # Not checked: a server that is already gone is as good as stopped.
    stop = [*as_user, str(PG / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop"]
    subprocess.run(stop, check=False, capture_output=True, cwd="/")


@pytest.mark.postgres
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=examples(40),
)
@given(table=tables())
def test_postgres_runs_it(postgres: str, table: TableSpec) -> None:
    import psycopg

    with psycopg.connect(postgres) as connection:
        for statement in render(table, "postgres").statements:
            connection.execute(statement.encode())
        query = "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 ORDER BY attnum"
        described = [name for (name,) in connection.execute(query).fetchall()]
        connection.rollback()
    assert described == [column.name for column in table.columns]


def one(type_: CanonicalType, **settings: object) -> TableSpec:
    return TableSpec(("t",), (ColumnSpec("a", type_, **settings),))  # type: ignore[arg-type]


def test_a_nullable_column_is_nullable_in_clickhouse() -> None:
    assert "a Nullable(Int64)" in render(one(of("int64")), "clickhouse").sql
    assert "a Int64" in render(one(of("int64"), nullable=False), "clickhouse").sql


def test_a_text_key_in_mysql_gets_a_length_and_a_guard() -> None:
    table = TableSpec(("t",), (ColumnSpec("a", text(), nullable=False),), (KeySpec("primary", ("a",)),))
    rendered = render(table, "mysql")
    assert "VARCHAR(384)" in rendered.sql
    assert ("a", "chars:384") in rendered.guards


def test_snowflake_names_keep_the_case_of_the_source() -> None:
    assert '"a" NUMBER(38,0)' in render(one(of("int64")), "snowflake").sql


def test_a_default_that_cannot_be_vouched_for_is_noted() -> None:
    rendered = render(one(of("int64"), default="nextval('s')"), "mysql")
    assert "DEFAULT" not in rendered.sql.split("ENGINE")[0]
    assert any("nextval" in note for note in rendered.notes)


def test_literals_are_escaped_where_backslash_escapes() -> None:
    table = one(text(10), default="'a\\b''c'")
    assert r"DEFAULT 'a\\b''c'" in render(table, "mysql").sql
    assert r"DEFAULT 'a\b''c'" in render(table, "sqlite").sql


def test_a_name_that_does_not_fit_is_refused_with_the_limit() -> None:
    with pytest.raises(MigrationError) as refusal:
        render(TableSpec(("t",), (ColumnSpec("a" * 64, of("int64")),)), "postgres")
    assert refusal.value.sqlstate == "42622"
    assert "63" in (refusal.value.detail or "")


def test_the_same_dialect_keeps_the_declared_type() -> None:
    table = TableSpec(("t",), (ColumnSpec("a", text(), declared="citext"),), dialect="postgres")
    assert "a citext" in render(table, "postgres").sql


def test_an_identity_column_is_required() -> None:
    statement = render(one(of("int64"), identity="default"), "postgres").sql
    assert "NOT NULL" in statement


def test_an_identity_that_is_always_generated_says_so_where_it_can() -> None:
    column = one(of("int64"), identity="always")
    said = {name: render(column, name).sql for name in ("postgres", "redshift", "snowflake")}
    assert "GENERATED ALWAYS AS IDENTITY" in said["postgres"]
    assert " IDENTITY(1,1)" in said["redshift"] and "BY DEFAULT" not in said["redshift"]
    assert "AUTOINCREMENT" in said["snowflake"]


def test_a_required_column_has_no_null_default() -> None:
    table = TableSpec(("t",), (ColumnSpec("a", text(), default="NULL"),), (KeySpec("primary", ("a",)),))
    assert "DEFAULT NULL" not in render(table, "clickhouse").sql


def test_a_default_that_is_no_uuid_is_not_kept() -> None:
    rendered = render(one(of("uuid"), default="'x'"), "postgres")
    assert "DEFAULT" not in rendered.sql
    assert any("is not kept" in note for note in rendered.notes)
    kept = render(one(of("uuid"), default="'6f3c1f2e-0000-4000-8000-000000000001'"), "postgres")
    assert "DEFAULT" in kept.sql


@pytest.mark.parametrize(
    ("dialect", "word"), [("mysql", "portion"), ("mysql", "rank"), ("sqlite", "nothing")]
)
def test_a_word_that_one_server_alone_reserves_is_quoted(dialect: str, word: str) -> None:
    item = contract(dialect)
    assert quote_name(word, item) == item.identifiers.quoted(word)


@pytest.mark.parametrize(("version", "kept"), [("2.3", False), ("3.1", True)])
def test_hive_says_not_null_since_it_has_it(version: str, kept: bool) -> None:
    table = TableSpec(("t",), (ColumnSpec("a", of("int32"), False),))
    rendered = render(table, "hive", None, version)
    assert ("NOT NULL" in rendered.sql, any("NOT NULL" in note for note in rendered.notes)) == (
        kept,
        not kept,
    )
    assert not [each for each in validate(rendered.sql, "hive", version) if each.severity == "error"]
