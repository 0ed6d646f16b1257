"""Sums of moments and of decimals that no 128-bit number holds: exact, and the same wherever the rows are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.measures.columns import MeasureClass, TableMeasure, differences, measure_batches
from migration.measures.sql import measured_by

PLENTY = Context(prec=200)
MOST = "9" * 38
# Sums that need 39 digits and more, with values on both sides of zero and digits at both ends.
NUMBERS = [MOST, MOST, MOST, "-1", "12345678901234567890123456789012345678", "-" + MOST[:37], "0", None]
SCALES = (0, 8, 28, 38)


def scaled(text: str | None, scale: int) -> Decimal | None:
    return None if text is None else PLENTY.create_decimal(text).scaleb(-scale, PLENTY)


def total(values: list[Decimal | None]) -> Decimal:
    found = Decimal(0)
    for value in values:
        found = PLENTY.add(found, value or Decimal(0))
    return found


def measured(connector: Connector, table: str) -> TableMeasure:
    source = Source(path=(table,))
    with connector.reader() as reader:
        columns = [(column.name, column.type) for column in reader.describe(source)]
        there = measured_by(reader.row, connector.dialect, source, columns)
        here = measure_batches(reader.read(source), columns)
    assert there is not None
    assert [item for item in differences(here, there) if not item[2]] == []
    return there


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Connector]:
    with closing(
        connect(datasource("d", "duckdb", {"path": str(tmp_path / "a.duckdb"), "role": "read_write"}))
    ) as it:
        yield it


@pytest.fixture
def pg(postgres: Server) -> Iterator[Connector]:
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user, "role": "read_write"}
    with closing(connect(datasource("p", "postgres", {**options, "database": postgres.database}))) as it:
        yield it


@pytest.fixture
def click(clickhouse: Server) -> Iterator[Connector]:
    options = {
        "host": clickhouse.host,
        "port": str(clickhouse.port),
        "user": clickhouse.user,
        "role": "read_write",
    }
    with closing(connect(datasource("c", "clickhouse", {**options, "password": clickhouse.password}))) as it:
        yield it


ENGINES = [
    pytest.param("duck", "DECIMAL(38,{})", "", id="duckdb"),
    pytest.param("pg", "numeric(38,{})", "", id="postgres", marks=pytest.mark.postgres),
    pytest.param(
        "click", "Nullable(Decimal(38,{}))", " ENGINE Memory", id="clickhouse", marks=pytest.mark.clickhouse
    ),
]


@pytest.mark.parametrize(("engine", "type_", "end"), ENGINES)
def test_sums_of_wide_decimals_are_exact(
    request: pytest.FixtureRequest, engine: str, type_: str, end: str
) -> None:
    connector: Connector = request.getfixturevalue(engine)
    columns = [[scaled(text, scale) for text in NUMBERS] for scale in SCALES]
    with connector.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS wide")
        names = ", ".join(f"s{scale} {type_.format(scale)}" for scale in SCALES)
        writer.execute(f"CREATE TABLE wide ({names}){end}")
        arrays = [
            pa.array(values, pa.decimal128(38, scale)) for values, scale in zip(columns, SCALES, strict=True)
        ]
        writer.write(("wide",), [pa.record_batch(arrays, names=[f"s{scale}" for scale in SCALES])])
    found = measured(connector, "wide")
    for scale, values in zip(SCALES, columns, strict=True):
        got = found.columns[f"s{scale}"][1]
        if engine == "duck" and scale == 38:
            assert "sum" not in got  # a fraction alone would need more than 38 digits
        else:
            assert got["sum"] == total(values)
    connector.execute("DROP TABLE wide")


def test_duckdb_adds_plainly_what_its_extremes_bound(duck: Connector) -> None:
    with duck.writer() as writer:
        writer.execute("CREATE TABLE t (d DECIMAL(38,8), h HUGEINT, u UHUGEINT, none DECIMAL(38,8))")
        writer.execute(
            "INSERT INTO t SELECT i * 1000000007 - 0.00000001, -i, i, NULL FROM range(1000) AS r(i)"
        )
    asked: list[str] = []
    source = Source(path=("t",))
    with duck.reader() as reader:

        def ask(query: str) -> Any:
            asked.append(query)
            return reader.row(query)

        columns = [(column.name, column.type) for column in reader.describe(source)]
        found = measured_by(ask, "duckdb", source, columns)
    assert found is not None
    sums = {name: values.get("sum") for name, (_, values) in found.columns.items()}
    assert sums == {
        "d": Decimal("499500003496499.99999"), "h": -499500, "u": 499500, "none": None,
    }  # fmt: skip
    assert len(asked) == 2 and ">>" not in asked[1] and "none" not in asked[1]


def test_whole_numbers_of_128_bits_are_added_by_halves(duck: Connector) -> None:
    with duck.writer() as writer:
        writer.execute("CREATE TABLE t (h HUGEINT, u UHUGEINT)")
        writer.execute(
            f"INSERT INTO t SELECT {'1' * 39}::HUGEINT * CASE WHEN i = 0 THEN -1 ELSE 1 END, {'3' * 39}::UHUGEINT "
            "FROM range(5) AS r(i)"
        )
    found = measured(duck, "t").columns
    assert found["h"][1]["sum"] == Decimal("3" * 39)
    assert found["u"][1]["sum"] == 5 * int("3" * 39)


MOMENTS = [1577836800123456, -1, 253402300799999999, -62135596800000000, 0, None]


@pytest.mark.parametrize(
    ("engine", "columns", "end"),
    [
        pytest.param("duck", "a TIMESTAMP, b TIMESTAMPTZ, c TIMESTAMP_NS, d TIME", "", id="duckdb"),
        pytest.param(
            "click",
            "a Nullable(DateTime64(6)), b Nullable(DateTime64(6, 'UTC')), c Nullable(DateTime64(9))",
            " ENGINE Memory",
            id="clickhouse",
            marks=pytest.mark.clickhouse,
        ),
    ],
)
def test_sums_of_moments_are_exact(
    request: pytest.FixtureRequest, engine: str, columns: str, end: str
) -> None:
    connector: Connector = request.getfixturevalue(engine)
    moments = (
        [MOMENTS[0], MOMENTS[1], 4102444800000001, -2208988700000000, 0, None]
        if engine == "click"
        else MOMENTS
    )
    clocks = [None if value is None else abs(value) % 86_400_000_000 for value in moments]
    fine = [None if value is None else value % 4_000_000_000_000_000_000 for value in moments]
    batch = {
        "a": pa.array(moments, pa.int64()).cast(pa.timestamp("us")),
        "b": pa.array(moments, pa.int64()).cast(pa.timestamp("us", "UTC")),
        "c": pa.array(fine, pa.int64()).cast(pa.timestamp("ns")),
        "d": pa.array(clocks, pa.int64()).cast(pa.time64("us")),
    }
    if "TIME" not in columns:
        del batch["d"]
    with connector.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS moments")
        writer.execute(f"CREATE TABLE moments ({columns}){end}")
        writer.write(("moments",), [pa.record_batch(batch)])
    found = measured(connector, "moments").columns
    wanted = {"a": sum(v or 0 for v in moments) * 1000, "c": sum(v or 0 for v in fine)}
    wanted |= {"b": wanted["a"], "d": sum(v or 0 for v in clocks) * 1000}
    assert {name: values["sum"] for name, (_, values) in found.items()} == {
        name: wanted[name] for name in batch
    }
    connector.execute("DROP TABLE moments")


@pytest.mark.parametrize("kind", ["clock", "wide"])
def test_a_change_between_the_extremes_shows_where_both_sides_have_sums(kind: MeasureClass) -> None:
    def made(**more: int) -> TableMeasure:
        return TableMeasure(3, {"c": (kind, {"nonnull": 3, "min": 1, "max": 9, **more})})

    assert all(agrees for _, _, agrees, _, _ in differences(made(sum=15), made(sum=15)))
    assert [item[0] for item in differences(made(sum=15), made(sum=16)) if not item[2]] == ["sum"]
    for pair in ((made(sum=15), made()), (made(), made(sum=15))):
        assert [item[0] for item in differences(*pair)] == ["rows", "nonnull", "min", "max"]


def test_a_row_that_moved_in_time_is_found_at_the_usual_level(duck: Connector) -> None:
    with duck.writer() as writer:
        writer.execute(
            "CREATE TABLE t AS SELECT TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS seen FROM range(9) AS r(i)"
        )
    before = measured(duck, "t")
    duck.execute(
        "UPDATE t SET seen = seen + INTERVAL 1 MICROSECOND WHERE seen = TIMESTAMP '2024-01-01 03:00:00'"
    )
    after = measured(duck, "t")
    assert [item[:2] for item in differences(before, after) if not item[2]] == [("sum", "seen")]


@pytest.mark.postgres
def test_a_table_of_many_columns_is_measured_in_parts(pg: Connector) -> None:
    """PostgreSQL takes 1664 expressions in one SELECT, and each of these columns needs four."""
    columns = [f"c{number} int" for number in range(450)]
    pg.execute(f"CREATE TABLE many_columns ({', '.join(columns)})")
    pg.execute("INSERT INTO many_columns (c0, c449) VALUES (1, 7), (2, NULL)")
    found = measured(pg, "many_columns")
    pg.execute("DROP TABLE many_columns")
    assert found.rows == 2
    assert found.columns["c0"][1] == {"nonnull": 2, "min": 1, "max": 2, "sum": 3}
    assert found.columns["c449"][1]["sum"] == 7
    assert found.columns["c448"][1]["nonnull"] == 0
