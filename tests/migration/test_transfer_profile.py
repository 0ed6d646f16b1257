"""What the extremes of a column prove, and what is asked again where they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.postgres_encoding import ENCODED_BYTES, ENCODED_ROWS, slices
from migration.datasources.datasource import datasource
from migration.dialects.type_names import parse_type
from migration.measures.columns import TableMeasure
from migration.measures.sql import measure_query, measured_by, read_row
from migration.types import CanonicalType
from migration.values import conditions
from migration.values.profile import Profile, Question, rows_within, take

pytestmark = pytest.mark.sampled

DAY = 86_400_000_000_000
STAMP, DATE = parse_type("TIMESTAMP", "duckdb"), parse_type("DATE", "duckdb")
NUMBER, DOUBLE = parse_type("DECIMAL(10,2)", "duckdb"), parse_type("DOUBLE", "duckdb")
COLUMNS = [("moment", STAMP), ("day", DATE), ("plain", STAMP), ("d", DOUBLE)]


@pytest.mark.parametrize(
    ("guard", "type_", "measured", "proven"),
    [
        ("year:1970..1999", DATE, {"min": 400, "max": 9000, "nonnull": 2}, True),
        ("year:1970..1999", DATE, {"min": -1, "max": 9000, "nonnull": 2}, False),
        ("year:1970..1999", DATE, {"min": 400, "max": 10_957, "nonnull": 2}, False),
        ("year:1970..1999", STAMP, {"min": 400 * DAY, "max": 9000 * DAY, "nonnull": 2}, True),
        ("year:1970..1999", STAMP, {"min": 400 * DAY, "max": 10_957 * DAY, "nonnull": 2}, False),
        ("year:-4712..294276", STAMP, {"nonnull": 3}, False),  # all of them infinite
        ("year:-4712..294276", STAMP, {"nonnull": 0}, True),
        ("finite", NUMBER, {"min": Decimal(1), "max": Decimal(2), "nonnull": 2}, True),
        ("finite", NUMBER, {"min": Decimal(1), "max": math.nan, "nonnull": 2}, False),
        ("no_nan", DOUBLE, {"min": 1.0, "max": math.inf, "nonnull": 2}, False),
        ("range:-5..5", NUMBER, {"min": Decimal(-5), "max": Decimal(5), "nonnull": 2}, True),
        ("range:-5..5", NUMBER, {"min": Decimal(-5), "max": Decimal("5.01"), "nonnull": 2}, False),
    ],
)
def test_extremes_prove_a_condition(
    guard: str, type_: CanonicalType, measured: dict[str, Any], proven: bool
) -> None:
    assert conditions.by_extremes(guard, type_)
    assert conditions.is_proven(guard, type_, measured) is proven


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: FilePath) -> Iterator[Connector]:
    """A table with infinite times among others."""
    if request.param == "duckdb":
        options = {"path": str(tmp_path / "a.duckdb")}
    else:
        server: Server = request.getfixturevalue("postgres")
        options = {"host": server.host, "port": str(server.port), "user": server.user}
        options["database"] = server.database
    found = connect(datasource("d", request.param, {**options, "role": "read_write"}))
    with found.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS seen")
        writer.execute("CREATE TABLE seen (moment timestamp, day date, plain timestamp, d double precision)")
        writer.execute(
            "INSERT INTO seen VALUES ('infinity', '-infinity', '2020-01-01 01:02:03.000004', 1.5), "
            "('1969-12-31 23:59:59.999999', '0099-03-01', '2021-01-01', 'nan'), (NULL, NULL, NULL, NULL)"
        )
    yield found
    with found.writer() as writer:
        writer.execute("DROP TABLE seen")
    found.close()


def test_a_column_with_infinite_times_is_measured_exactly(engine: Connector) -> None:
    source = Source(path=("seen",))
    exact = measure_query(engine.dialect, source, COLUMNS)
    assert exact is not None
    with engine.reader() as reader:
        asked: list[str] = []

        def ask(query: str) -> Any:
            asked.append(query)
            return reader.row(query)

        found = measured_by(ask, engine.dialect, source, COLUMNS)
        assert found is not None
        wanted = read_row(exact, reader.row(exact.sql))
    assert repr(found) == repr(wanted)  # NaN is not equal to itself
    sums = {} if engine.dialect == "postgres" else {"sum": -1000}
    assert found.columns["moment"][1] == {"nonnull": 2, "infinite": 1, "min": -1000, "max": -1000, **sums}
    assert len(asked) == 2 and "plain" not in asked[1]


def test_what_is_expected_to_be_tame_and_is_not_is_measured_all_the_same(engine: Connector) -> None:
    tame = TableMeasure(
        3,
        {
            "d": ("float", {"nonnull": 2, "min": 1.0, "max": 2.0}),
            "day": ("days", {"nonnull": 2, "infinite": 0}),
        },
    )
    source, columns = Source(path=("seen",)), [("day", DATE), ("d", DOUBLE)]
    with engine.writer() as writer:
        writer.execute(
            "INSERT INTO seen (d) VALUES (1e308), (1e308), (1e308)"
        )  # their sum is beyond a double
        exact = measure_query(engine.dialect, source, columns)
        assert exact is not None
        found = measured_by(writer.row, engine.dialect, source, columns, tame)
        assert repr(found) == repr(read_row(exact, writer.row(exact.sql)))
        # an expectation that holds changes nothing either
        writer.execute("DELETE FROM seen WHERE d > 1e300 OR d = 'nan'")
        found = measured_by(writer.row, engine.dialect, source, columns, tame)
        assert found == read_row(exact, writer.row(exact.sql))
        assert found is not None and found.columns["d"][1]["sum"] == 1.5


@pytest.mark.parametrize(
    "change", ["", "DELETE FROM t WHERE i % 3 = 0 OR i > 90000", "UPDATE t SET s = 'm', d = 'nan'"]
)
def test_a_table_s_statistics_say_what_a_scan_says(tmp_path: FilePath, change: str) -> None:
    options = {"path": str(tmp_path / "a.duckdb"), "role": "read_write"}
    source = connect(datasource("d", "duckdb", options))
    with source.writer() as writer:
        writer.execute(
            "CREATE TABLE t AS SELECT CASE WHEN i % 7 > 0 THEN i END AS i, repeat('é', 40) || i AS s, "
            "CASE WHEN i % 5 = 0 THEN 'nan' ELSE i / 3.0 END::DOUBLE AS d, NULL::TIMESTAMP AS seen, "
            "DATE '2020-01-01' + i::INTEGER AS day FROM range(100000) AS r(i)"
        )
        writer.execute("CREATE VIEW v AS SELECT * FROM t")
        writer.execute("CHECKPOINT")
        if change:
            writer.execute(change)
        texts = {"i": "BIGINT", "s": "VARCHAR", "d": "DOUBLE", "seen": "TIMESTAMP", "day": "DATE"}
        columns = [(name, parse_type(text, "duckdb")) for name, text in texts.items()]
        asked = [Question("s", columns[1][1], "no_nul"), Question("i", columns[0][1], "no_null")]
        with source.reader() as reader:
            assert reader.keeps_extremes(Source(path=("t",))) and not reader.keeps_extremes(
                Source(path=("v",))
            )
            by_statistics = take(reader, Source(path=("main", "t")), "duckdb", asked, columns)
            by_scan = take(reader, Source(query="SELECT * FROM t"), "duckdb", asked, columns)
            of_view = take(reader, Source(path=("main", "v")), "duckdb", asked, columns)
    source.close()
    assert repr(by_statistics) == repr(by_scan) == repr(of_view)
    assert by_scan.measure is not None and by_scan.measure.columns["seen"][1]["nonnull"] == 0


def test_what_the_extremes_do_not_prove_is_counted(engine: Connector) -> None:
    asked = [
        Question("moment", STAMP, "year:1970..9999"),
        Question("day", DATE, "year:1..9999"),
        Question("plain", STAMP, "year:2020..2021"),
        Question("plain", STAMP, "year:1900..2100"),
        Question("d", DOUBLE, "no_nan"),
    ]
    with engine.reader() as reader:
        found = take(reader, Source(path=("seen",)), engine.dialect, asked, COLUMNS)
    assert [finding.count for finding in found.findings] == [1, 0, 0, 0, 1]
    assert found.findings[0].samples == ("1969-12-31 23:59:59.999999",)


def test_wide_rows_are_read_and_encoded_a_few_at_a_time() -> None:
    wide = TableMeasure(1_000, {"s": ("text", {"nonnull": 1_000, "octets": 10_000_000})})
    assert rows_within(Profile(1_000, (), wide), 16 << 20) == (16 << 20) * 1_000 // (10_008_000 + 1)
    assert rows_within(Profile(0, (), wide), 16 << 20) == rows_within(Profile(9, ()), 16 << 20) == 16 << 20
    batch = pa.record_batch([pa.array(["x" * 10_000] * 1_000)], names=["s"])
    pieces = list(slices(batch))
    assert max(piece.nbytes for piece in pieces) <= ENCODED_BYTES
    assert pa.Table.from_batches(pieces).equals(pa.Table.from_batches([batch]))
    narrow = pa.record_batch([pa.nulls(40_000, pa.int64())], names=["n"])
    assert [piece.num_rows for piece in slices(narrow)] == [
        ENCODED_ROWS,
        ENCODED_ROWS,
        40_000 - 2 * ENCODED_ROWS,
    ]
