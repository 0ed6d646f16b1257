"""A column that exists may do more to a value than its type says: it rounds, pads, cuts or reads it anew. What it would
change is refused by the plan, at any level of checking."""

# ruff: noqa: E501  (a table reads best with one case a line)
from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled

_PG, _MARIA, _CH = pytest.mark.postgres, pytest.mark.mariadb, pytest.mark.clickhouse
_UINT256 = 2**256 - 1


def source(directory: Path, type_: str, value: str) -> Connector:
    path = directory / "source.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE s (v {type_})")
        connection.execute(f"INSERT INTO s VALUES ({value})")
    return connect(datasource("here", "duckdb", {"path": str(path)}))


def target(engine: str, declared: str, directory: Path, request: pytest.FixtureRequest) -> Connector:
    there = opened_target(engine, directory, request)
    if engine in ("postgres", "mariadb", "clickhouse"):  # which other tests use too
        request.addfinalizer(lambda: there.execute("DROP TABLE IF EXISTS narrow, years"))
    more = " ENGINE = MergeTree ORDER BY tuple()" if engine == "clickhouse" else ""
    there.execute(f"CREATE TABLE narrow (v {declared}){more}")
    return there


def move(here: Connector, there: Connector, engine: str) -> None:
    path = {"duckdb": ("main", "narrow"), "sqlite": ("narrow",), "postgres": ("public", "narrow")}
    path["clickhouse"] = ("default", "narrow")
    into = path.get(engine, ("bough", "narrow"))
    request = TransferRequest(Source(path=("main", "s")), into, options=TransferOptions(verify="L0"))
    with plan(request, here, there) as decided:
        run(decided)


def stored(there: Connector) -> Any:
    with there.reader() as reader:
        return reader.fetch("SELECT v FROM narrow").column(0).to_pylist()[0]


@pytest.mark.parametrize(
    ("engine", "declared", "type_", "value"),
    [
        pytest.param("postgres", "interval(0)", "INTERVAL", "INTERVAL '1.5 seconds'", marks=_PG),
        pytest.param("postgres", "interval year to month", "INTERVAL", "INTERVAL '1 month 3 days'", marks=_PG),
        pytest.param("postgres", "interval day to second(3)", "INTERVAL", "INTERVAL '0.0001 seconds'", marks=_PG),
        pytest.param("postgres", "interval(0)[]", "INTERVAL[]", "[INTERVAL '1.5 seconds']", marks=_PG),
        pytest.param("postgres", "char(5)", "VARCHAR", "'ab '", marks=_PG),
        pytest.param("postgres", "real NOT NULL", "DOUBLE", "0.1", marks=_PG),
        pytest.param("postgres", "numeric(5,-2)", "SMALLINT", "255", marks=_PG),
        pytest.param("postgres", "numeric(5,-2)", "DECIMAL(7,1)", "12.5", marks=_PG),
        pytest.param("postgres", "numeric(3,5)", "DECIMAL(7,5)", "-0.01", marks=_PG),
        pytest.param("postgres", '"char"', "INTEGER[]", "[1]", marks=_PG),
        pytest.param("postgres", "varchar(4)", "VARCHAR[]", "['ü😀']", marks=_PG),
        pytest.param("postgres", "json", "DOUBLE[]", "['nan'::DOUBLE]", marks=_PG),
        pytest.param("postgres", "text", "BLOB[]", "['a'::BLOB]", marks=_PG),
        pytest.param("mariadb", "VARCHAR(6)", "VARCHAR[]", "['ab', 'cd']", marks=_MARIA),
        pytest.param("postgres", "timestamp NOT NULL", "TIMESTAMPTZ", "'2024-01-01 00:00:00+02'", marks=_PG),
        pytest.param("postgres", "date NOT NULL", "TIMESTAMP", "'2024-01-01 12:00:00'", marks=_PG),
        pytest.param("postgres", '"char"', "VARCHAR", "'ab'", marks=_PG),
        pytest.param("mariadb", "CHAR(5)", "VARCHAR", "'ab '", marks=_MARIA),
        pytest.param("mariadb", "BINARY(4)", "BLOB", "'ab'::BLOB", marks=_MARIA),
        pytest.param("mariadb", "YEAR", "SMALLINT", "5", marks=_MARIA),
        pytest.param("mariadb", "FLOAT(7,2)", "FLOAT", "1.23456", marks=_MARIA),
        pytest.param("mariadb", "DOUBLE(7,2)", "DOUBLE", "1.23456", marks=_MARIA),
        pytest.param("mariadb", "MEDIUMINT", "INTEGER", "9000000", marks=_MARIA),
        pytest.param("mariadb", "DECIMAL(5,2) UNSIGNED", "DECIMAL(5,2)", "-1", marks=_MARIA),
        pytest.param("mariadb", "DOUBLE UNSIGNED", "DOUBLE", "-1", marks=_MARIA),
        pytest.param("mariadb", "TIMESTAMP NULL", "TIMESTAMPTZ", "'2050-01-01 00:00:00+00'", marks=_MARIA),
        pytest.param("mariadb", "TIMESTAMP(6) NULL", "TIMESTAMPTZ", "'infinity'", marks=_MARIA),
        pytest.param("mariadb", "DATETIME", "TIMESTAMP", "'infinity'", marks=_MARIA),
        pytest.param("mariadb", "DATETIME", "TIMESTAMP", "'20000-01-01'", marks=_MARIA),
        pytest.param("mariadb", "DOUBLE", "FLOAT", "'NaN'", marks=_MARIA),
        pytest.param("clickhouse", "Nullable(UInt256)", "TINYINT", "-128", marks=_CH),
        pytest.param("clickhouse", "Nullable(UInt256)", "HUGEINT", "-5", marks=_CH),
        pytest.param("clickhouse", "Nullable(Date)", "DATE", "'1969-12-31'", marks=_CH),
        pytest.param("clickhouse", "Nullable(DateTime)", "TIMESTAMP", "'2200-01-01'", marks=_CH),
        pytest.param("clickhouse", "Nullable(DateTime64(9))", "TIMESTAMP", "'2290-01-01'", marks=_CH),
        pytest.param("clickhouse", "Nullable(Time)", "TIME", "'12:00:00.5'", marks=_CH),
        pytest.param("clickhouse", "JSON", "JSON", "'{}'", marks=_CH),
        pytest.param("postgres", "char(4)", "JSON", "'1 '", marks=_PG),
        pytest.param("mariadb", "YEAR", "BOOLEAN", "true", marks=_MARIA),
        ("duckdb", "TIMESTAMP_NS", "TIMESTAMP", "'9999-12-31'"),
        ("duckdb", "INTEGER[3]", "INTEGER[]", "[1, 2]"),
        ("sqlite", "NUMERIC", "UBIGINT", "18446744073709551615"),
        ("sqlite", "STRING", "VARCHAR", "'007'"),
        ("sqlite", "JSON", "JSON", "'123456789012345678901234567890'"),
        ("sqlite", "DECIMAL(20,5)", "DECIMAL(20,5)", "123456789012345.12345"),
        ("duckdb", "DATE NOT NULL", "TIMESTAMP", "'2024-01-01 12:00:00'"),
        ("duckdb", "FLOAT NOT NULL", "DOUBLE", "0.1"),
    ],
)  # fmt: skip
def test_what_the_column_would_change_is_refused(
    engine: str, declared: str, type_: str, value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target(engine, declared, tmp_path, request)
    with pytest.raises(MigrationError) as caught:
        move(source(tmp_path, type_, value), there, engine)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert "AS TEXT" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("engine", "declared", "type_", "value", "expected"),
    [
        pytest.param("postgres", "interval(2)", "INTERVAL", "INTERVAL '1.25 seconds'", "00:00:01.25", marks=_PG),
        pytest.param("postgres", "interval day to second", "INTERVAL", "INTERVAL '1 month 1 second'", "1 mon 00:00:01", marks=_PG),
        pytest.param("postgres", "char(5)", "VARCHAR", "'ab'", "ab   ", marks=_PG),
        pytest.param("postgres", "integer NOT NULL", "BIGINT", "5", 5, marks=_PG),
        pytest.param("postgres", "numeric(5,-2)", "INTEGER", "-25500", -25500, marks=_PG),
        pytest.param("postgres", "numeric(3,5)", "DECIMAL(7,5)", "0.00123", Decimal("0.00123"), marks=_PG),
        pytest.param("postgres", '"char"', "VARCHAR", "'a'", "a", marks=_PG),
        pytest.param("postgres", "varchar(6)", "VARCHAR[]", "['ü😀']", '["ü😀"]', marks=_PG),
        pytest.param("mariadb", "VARCHAR(11)", "VARCHAR[]", "['ab', 'cd']", '["ab","cd"]', marks=_MARIA),
        pytest.param("mariadb", "YEAR", "SMALLINT", "2024", 2024, marks=_MARIA),
        pytest.param("mariadb", "DECIMAL(5,2) UNSIGNED", "DECIMAL(5,2)", "1", 1, marks=_MARIA),
        pytest.param("clickhouse", "Nullable(UInt256)", "HUGEINT", "5", "5", marks=_CH),
        pytest.param("clickhouse", "Nullable(Int128)", "BOOLEAN", "true", 1, marks=_CH),
        pytest.param("clickhouse", "Nullable(Date)", "DATE", "'2149-06-06'", date(2149, 6, 6), marks=_CH),
        pytest.param("clickhouse", "Nullable(Time)", "TIME", "'12:00:00'", time(12), marks=_CH),
        pytest.param("mariadb", "DECIMAL(10,0) UNSIGNED", "INTEGER", "5", 5, marks=_MARIA),
        ("duckdb", "INTEGER[3]", "INTEGER[]", "[1, 2, 3]", [1, 2, 3]),
        ("duckdb", "UHUGEINT", "SMALLINT", "5", 5),
        ("sqlite", "NUMERIC", "UBIGINT", "9223372036854775807", "9223372036854775807"),
        ("sqlite", "STRING", "VARCHAR", "'a7'", "a7"),
        ("sqlite", "TIMESTAMPTZ", "TIMESTAMPTZ", "'2024-01-01 00:00:00+02'", "2023-12-31 22:00:00.000000Z"),
    ],
)  # fmt: skip
def test_what_it_keeps_is_moved(
    engine: str,
    declared: str,
    type_: str,
    value: str,
    expected: object,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    there = target(engine, declared, tmp_path, request)
    move(source(tmp_path, type_, value), there, engine)
    if declared == "TIMESTAMPTZ":
        with there.reader() as reader:
            assert reader.fetch("SELECT v || '' AS v FROM narrow").column(0).to_pylist() == [expected]
    else:
        assert stored(there) == expected


@pytest.mark.postgres
@pytest.mark.clickhouse
@pytest.mark.parametrize(
    ("declared", "value", "fits"),
    [
        ("Int256", f"{2**255 - 1}", True),
        ("Int256", f"{2**255}", False),
        ("Int256", f"{-(2**255)}", True),
        ("Int256", f"{-(2**255) - 1}", False),
        ("UInt256", "-1", False),
        ("UInt256", f"{_UINT256}", True),
        ("UInt256", f"{_UINT256 + 1}", False),
    ],
)
@pytest.mark.parametrize("allowed", [(), ("v",)], ids=["strict", "lossy"])
def test_the_ends_of_256_bits(
    declared: str,
    value: str,
    fits: bool,
    allowed: tuple[str, ...],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    here = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: here.execute("DROP TABLE IF EXISTS wide"))
    here.execute("CREATE TABLE wide (v numeric(78,0))")
    here.execute(f"INSERT INTO wide VALUES ({value})")
    there = target("clickhouse", f"Nullable({declared})", tmp_path, request)
    options = TransferOptions(verify="L0", allow_lossy=allowed)
    asked = TransferRequest(Source(path=("public", "wide")), ("default", "narrow"), options=options)
    if not fits and not allowed:
        with pytest.raises(MigrationError) as caught:
            plan(asked, here, there)
        assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
        return
    with plan(asked, here, there) as decided:
        run(decided)
    with there.reader() as reader:
        found = reader.fetch("SELECT toString(v) AS v FROM narrow").column(0).to_pylist()[0]
    assert found == (value if fits else None)


@pytest.mark.postgres
@pytest.mark.parametrize("value", ["1.5", "-0.25", "0"])
def test_a_number_of_many_zeros_is_not_made_0(
    value: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = opened_target("postgres", tmp_path, request)
    request.addfinalizer(lambda: here.execute("DROP TABLE IF EXISTS zeros"))
    here.execute("CREATE TABLE zeros (v numeric(1000,500))")
    here.execute(f"INSERT INTO zeros VALUES ({value})")
    there = target("duckdb", "DECIMAL(5,2)", tmp_path, request)
    options = TransferOptions(verify="L0")
    with plan(
        TransferRequest(Source(path=("public", "zeros")), ("main", "narrow"), options=options), here, there
    ) as decided:
        run(decided)
    assert stored(there) == Decimal(value)


@pytest.mark.postgres
def test_an_array_of_boxes_has_marks_of_its_own(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    there = target("postgres", "box[]", tmp_path, request)
    there.execute("INSERT INTO narrow VALUES ('{(1,1),(0,0);(2,2),(1,1)}'), ('{NULL}')")
    asked = TransferRequest(Source(path=("public", "narrow")), ("public", "years"))
    with plan(asked, there, there) as decided:
        assert run(decided).verdict == "pass"
    with there.reader() as reader:
        found = reader.fetch("SELECT v::text AS v FROM years").column(0).to_pylist()
    assert sorted(found) == ["{(1,1),(0,0);(2,2),(1,1)}", "{NULL}"]


@pytest.mark.postgres
def test_a_list_too_long_as_json_becomes_null_where_that_is_allowed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = target("postgres", "varchar(5)", tmp_path, request)
    options = TransferOptions(allow_lossy=("v",))
    asked = TransferRequest(Source(path=("main", "s")), ("public", "narrow"), options=options)
    with plan(asked, source(tmp_path, "VARCHAR[]", "['ab', 'cd']"), there) as decided:
        run(decided)
    assert stored(there) is None


@pytest.mark.mariadb
def test_the_year_0_of_mysql_stays_the_year_0(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    there = target("mariadb", "YEAR", tmp_path, request)
    there.execute("INSERT INTO narrow VALUES ('0000'), (2024)")
    run(plan(TransferRequest(Source(path=("bough", "narrow")), ("bough", "years")), there, there))
    with there.reader() as reader:
        assert sorted(reader.fetch("SELECT v FROM years").column(0).to_pylist()) == [0, 2024]


@pytest.mark.mariadb
@pytest.mark.parametrize("name", ["a😀", "a ", "汉 "])
def test_a_name_that_mariadb_cannot_have_is_refused_by_the_plan(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "names.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f'CREATE TABLE s AS SELECT 1 AS id, 2 AS "{name}"')
    here = connect(datasource("here", "duckdb", {"path": str(file)}))
    there = opened_target("mariadb", tmp_path, request)
    into = ("bough", "named")
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=("main", "s")), into), here, there)
    assert caught.value.sqlstate == "42602"
    assert f'SELECT "{name}" AS other' in (caught.value.hint or "")
    query = f'SELECT id, "{name}" AS "汉字 b" FROM s'
    with plan(TransferRequest(Source(query=query), into), here, there) as decided:
        assert run(decided).verdict == "pass"
    there.execute("DROP TABLE bough.named")
