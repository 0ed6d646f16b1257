"""Spark SQL for real: pyspark's own Thrift server. What goes in comes back, errors are ours, nothing is half there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.repeated import described
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # the driver's deprecations
TABLE = pa.table(
    {
        "id": pa.array([1, 9007199254740993, None], pa.int64()),
        "name": pa.array(["ä'\\n ? ${env:HOME}\n\x00\"`", "", None]),
        "amount": pa.array(
            [Decimal(0), Decimal("-123456789012345678.00000000000000000001"), None], pa.decimal128(38, 20)
        ),
        "at": pa.array(
            [datetime(2024, 1, 1, 0, 0, 0, 1), datetime(1, 1, 1), None], pa.timestamp("us", "UTC")
        ),
        "wall": pa.array(
            [datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1582, 10, 10), None], pa.timestamp("us")
        ),
        "day": pa.array([date(1, 1, 1), date(9999, 12, 31), None]),
        "raw": pa.array([b"\xff\x00", b"", None], pa.binary()),
        "ratio": pa.array([0.1, float("-inf"), None], pa.float64()),
        "small": pa.array([0.1, 3.4e38, None], pa.float32()),
        "many": pa.array([[1, None, 9007199254740993], [], None], pa.list_(pa.int64())),
        "yes": pa.array([True, False, None]),
        "code": pa.array(["12345", "", None]),
    }
)
DDL = (
    "CREATE TABLE kinds (id BIGINT, name STRING COMMENT 'a name', amount DECIMAL(38,20), at TIMESTAMP,"
    " wall TIMESTAMP_NTZ, day DATE, raw BINARY, ratio DOUBLE, small FLOAT, many ARRAY<BIGINT>,"
    " yes BOOLEAN, code VARCHAR(5)) USING parquet"
)


@pytest.fixture
def lake(spark: Server) -> Iterator[Connector]:
    options = {"host": spark.host, "port": str(spark.port), "role": "read_write"}
    with closing(connect(datasource("lake", "spark", options))) as connector:
        for entry in connector.tables():
            connector.execute(f"DROP TABLE `{entry.name}`")
        yield connector


def whole(connector: Connector, table: str) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=("default", table)), order_by=["id"])))


def test_every_value_comes_back_and_a_swap_keeps_it(lake: Connector) -> None:
    lake.execute(DDL)
    with lake.writer() as writer:
        assert writer.write(("default", "kinds"), TABLE.to_batches(max_chunksize=2)).rows == 3
    found = whole(lake, "kinds")
    for name in TABLE.column_names:
        assert found[name].to_pylist() == [TABLE[name].to_pylist()[i] for i in (2, 0, 1)], name
    described = lake.describe(("kinds",)).spec
    assert (described.column("name").comment, described.column("amount").declared) == (
        "a name",
        "decimal(38,20)",
    )  # type: ignore[union-attr]
    with lake.writer() as writer:
        staging = writer.staging(("default", "kinds"), "1")
        writer.create_like(staging, ("default", "kinds"))
        writer.write(staging, TABLE.slice(0, 1).to_batches())
        published = writer.publish(staging, ("default", "kinds"), "upsert", ["id"])
        assert (published.method, published.atomic) == ("two renames", False)
        assert writer.leftovers("default") == ()
        with pytest.raises(MigrationError) as refusal:  # a cast would have cut it
            writer.write(("default", "kinds"), [pa.record_batch({"code": ["123456"]})])
        assert refusal.value.sqlstate == "22001"
        with pytest.raises(MigrationError):
            writer.publish(("default", "not there"), ("default", "kinds"), "replace")
    assert whole(lake, "kinds").equals(found)


def test_errors_are_ours(lake: Connector, spark: Server) -> None:
    lake.execute("CREATE TABLE t (id BIGINT) USING parquet")
    assert (lake.dialect, lake.version()[0].isdigit(), lake.schemas()) == ("spark", True, ["default"])
    with lake.reader() as reader:
        for query, sqlstate in (
            ("SELECT nothing FROM t", "42703"),
            ("SELECT * FROM nowhere", "HV00R"),
            ("SELEC", "25006"),
        ):
            with pytest.raises(MigrationError) as refusal:
                reader.fetch(query)
            assert refusal.value.sqlstate == sqlstate, query
            assert "org.apache" not in f"{refusal.value.message}{refusal.value.detail}"
        for query in ("DROP TABLE t", "INSERT INTO t VALUES (1)", "SELECT 1; DROP TABLE t"):
            with pytest.raises(MigrationError):
                reader.fetch(query)
    with pytest.raises(MigrationError) as refusal:
        lake.describe(("default", "nowhere"))
    assert refusal.value.sqlstate == "HV00R"
    with pytest.raises(MigrationError, match="cannot take back"):
        lake.execute("TRUNCATE TABLE t", dry_run=True)
    options = {"host": spark.host, "port": str(spark.port)}
    with pytest.raises(MigrationError) as refusal:
        connect(datasource("lake", "spark", options)).execute("DROP TABLE t")
    assert refusal.value.sqlstate == "25006"
    assert [entry.name for entry in lake.tables()] == ["t"]


def test_a_table_moves_there_and_back(lake: Connector, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' \\ ' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS m, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, i % 2 = 0 AS b, "
            "TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) MINUTE AS at, encode('é' || i) AS raw, i / 3.0 AS d, "
            "[i, NULL] AS l FROM range(3000) AS r(i)"
        )
    duck = connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))
    for mode, rows in (("create", 3_000), ("replace", 3_000), ("append", 6_000)):
        request = TransferRequest(
            Source(path=("main", "s")),
            ("default", "moved"),
            mode=mode,
            options=TransferOptions(verify="L3"),  # type: ignore[arg-type]
        )
        assert run(plan(request, duck, lake)).verdict == "pass"
        with lake.reader() as reader:
            assert reader.count(Source(path=("default", "moved"))) == rows
    back = TransferRequest(Source(query="SELECT DISTINCT * FROM moved"), ("main", "back"))
    assert run(plan(back, lake, duck)).rows_transferred == 3_000
    sides = [Side(duck, Source(path=("main", name))) for name in ("s", "back")]
    report = reconcile(*sides, ("id",), ("count", "rows"))
    assert report.verdict != "fail", report.reasons


def test_a_statement_is_interrupted(lake: Connector) -> None:
    caught: list[Any] = []

    def slow() -> None:
        try:
            with lake.reader() as reader:
                reader.fetch(
                    "SELECT count(*) AS n FROM range(3000000) AS a JOIN range(3000000) AS b ON a.id + b.id = 7"
                )
        except MigrationError as error:
            caught.append(error.sqlstate)

    thread = threading.Thread(target=slow)
    thread.start()
    while thread.is_alive():
        lake.interrupt()
        thread.join(0.1)
    assert caught == ["57014"]


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("pyhive")
    with pytest.raises(MigrationError) as refusal:
        connect(datasource("lake", "spark", {"host": "127.0.0.1", "port": "1"})).test()
    assert refusal.value.sqlstate == "HV00N"


def test_nested_values_that_json_would_change_are_refused(lake: Connector) -> None:
    lake.execute("CREATE TABLE odd (id BIGINT, seen ARRAY<TIMESTAMP>) USING parquet")
    with pytest.raises(MigrationError) as refusal:
        whole(lake, "odd")
    assert refusal.value.sqlstate == "HV004"


def test_a_query_whose_columns_share_a_name_is_read_under_names_of_ours(lake: Connector) -> None:
    with lake.reader() as reader:
        source, columns, names = described(reader, Source(query="SELECT 1 AS a, 2 AS b, 3 AS a -- twice"))
        found = pa.Table.from_batches(list(reader.read(source)))
    assert names == ["a", "b", "a"]
    assert [column.name for column in columns] == ["a", "b", "a_1"]
    assert [tuple(row.values()) for row in found.to_pylist()] == [(1, 2, 3)]
