"""Trino's connector against a stand-in: the real client, the protocol, and DuckDB instead of Trino."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from trino_stand_in import trino_server

from migration.connectors import connect
from migration.connectors.base import Connector, Predicate, Source
from migration.connectors.repeated import described
from migration.connectors.trino import TrinoWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer.undertaking import abandon, resume, undertake
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.sampled]  # the client's own deprecations
TABLE = (
    "CREATE TABLE t (id bigint, name varchar, amount decimal(18,4), stamp timestamp(6), "
    "moment timestamp(6) with time zone, day date, ratio double, yes boolean, raw varbinary)",
    "INSERT INTO t SELECT 9007199254740993, 'a\"\\ ? ''x''', CAST('1.25' AS decimal(18,4)), "
    "TIMESTAMP '2020-01-01 00:00:00.123456', TIMESTAMP '2020-01-01 00:00:00.5+02:00', DATE '9999-12-31', 0.1, true, "
    "from_hex('FF00')",
    "INSERT INTO t (id, name) VALUES (2, ''), (3, NULL)",
)


@pytest.fixture
def port() -> Iterator[int]:
    pytest.importorskip("trino")
    with trino_server() as port:
        yield port


@pytest.fixture
def lake(port: int) -> Connector:
    options = {
        "host": "127.0.0.1",
        "port": str(port),
        "catalog": "memory",
        "schema": "main",
        "role": "read_write",
    }
    connector = connect(datasource("lake", "trino", options))
    with connector.writer() as writer:
        for statement in TABLE:
            writer.execute(statement)
    return connector


def whole(connector: Connector) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=("main", "t")), order_by=["id"])))


def test_a_table_goes_out_and_comes_back_unchanged(lake: Connector) -> None:
    before = whole(lake)
    assert before["id"].to_pylist() == [2, 3, 9007199254740993]
    assert before["name"].to_pylist() == ["", None, "a\"\\ ? 'x'"]
    assert before["stamp"].cast(pa.int64()).to_pylist()[2] % 1_000_000 == 123456
    assert before["raw"].to_pylist()[2] == b"\xff\x00"
    assert (lake.version(), lake.dialect) == ("476", "trino")
    with lake.writer() as writer:
        staging = writer.staging(("main", "t"), "1")
        writer.create_like(staging, ("main", "t"))
        assert writer.write(staging, before.to_batches(max_chunksize=2)).rows == 3
        published = writer.publish(staging, ("main", "t"), "replace")
        assert (published.method, published.atomic) == ("two renames", False)
        assert writer.leftovers("main") == ()
    assert whole(lake).equals(before)


def test_counts_and_predicates(lake: Connector) -> None:
    with lake.reader() as reader:
        assert reader.count(Source(path=("t",)), [Predicate("name", "=", "")]) == 1
        assert reader.fetch("SELECT id FROM t WHERE id = 2").to_pylist() == [{"id": 2}]
        with pytest.raises(MigrationError) as refusal:
            reader.fetch("INSERT INTO t (id) VALUES (1)")
        assert refusal.value.sqlstate == "25006"
    with pytest.raises(MigrationError, match="nothing_here") as refusal:
        lake.describe(("main", "nothing_here"))
    assert refusal.value.sqlstate == "HV00R"
    with pytest.raises(MigrationError, match="cannot take back"):
        lake.execute("DELETE FROM t WHERE id = 2", dry_run=True)


def test_a_failed_second_rename_is_taken_back(lake: Connector) -> None:
    with lake.writer() as writer, pytest.raises(MigrationError):
        writer.publish(("main", "not there"), ("main", "t"), "replace")
    assert whole(lake).num_rows == 3


@pytest.mark.slow
def test_a_table_moves_there_and_back(lake: Connector, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' ? ' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS m, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, "
            "DATE '2024-01-01' + (i % 365)::INTEGER AS day, i % 2 = 0 AS b, encode('é' || i) AS raw, i / 3.0 AS d "
            "FROM range(2500) AS r(i)"
        )
    duck = connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))
    for mode, rows in (("create", 2500), ("replace", 2500), ("append", 5000)):
        request = TransferRequest(
            Source(path=("main", "s")), ("main", "moved"), mode=mode, options=TransferOptions(verify="L3")
        )
        assert run(plan(request, duck, lake)).verdict == "pass"
        with lake.reader() as reader:
            assert reader.count(Source(path=("main", "moved"))) == rows
    request = TransferRequest(
        Source(query="SELECT DISTINCT * FROM moved"), ("main", "u"), options=TransferOptions(verify="L3")
    )
    assert run(plan(request, lake, duck)).rows_transferred == 2500


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("trino")
    with pytest.raises(MigrationError) as refusal:
        connect(datasource("lake", "trino", {"host": "127.0.0.1", "port": "1"})).test()
    assert refusal.value.sqlstate == "HV00N"


def test_rows_that_were_added_or_not_are_not_added_again(
    lake: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends between INSERT and DROP leaves both tables: nothing tells it from one that ends before."""
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT id, 'new' AS name FROM range(10, 13) AS r(id)")
    source = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    drop = TrinoWriter.drop

    def ended(writer: TrinoWriter, path: tuple[str, ...]) -> None:
        if writer.exists(path):
            raise KeyboardInterrupt
        drop(writer, path)

    def count() -> tuple[int, int]:
        with lake.writer() as writer:
            return writer.count(("main", "t")), len(writer.leftovers("main"))

    request = TransferRequest(Source(path=("main", "s")), ("main", "t"), mode="append")
    with closing(Journal(tmp_path / "journal.sqlite")) as journal, closing(source):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(TrinoWriter, "drop", ended)
            undertake(request, source, lake, journal=journal)
        journal.update(1, state="publishing")  # what a process that is gone has left there
        with pytest.raises(MigrationError, match="cannot tell") as refusal:
            resume(journal, 1, source, lake)
        assert (refusal.value.sqlstate, "CANCEL TRANSFER 1" in str(refusal.value.hint)) == ("55000", True)
        assert count() == (6, 1)
        abandon(journal, 1, source, lake)
        assert (journal.entries()[0].state, count()) == ("cancelled", (6, 0))


def test_a_query_whose_columns_share_a_name_is_read_under_names_of_ours(lake: Connector) -> None:
    with lake.reader() as reader:
        source, columns, names = described(reader, Source(query="SELECT 1 AS a, 2 AS b, 3 AS a -- twice"))
        found = pa.Table.from_batches(list(reader.read(source)))
    assert names == ["a", "b", "a"]
    assert [column.name for column in columns] == ["a", "b", "a_1"]
    assert [tuple(row.values()) for row in found.to_pylist()] == [(1, 2, 3)]
