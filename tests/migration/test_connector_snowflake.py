"""Snowflake's connector against fakesnow, a stand-in: its own driver over DuckDB. What it cannot do (SWAP, Arrow
results, GET_DDL, session settings, cancelling) is not tested here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Predicate, Source
from migration.connectors.repeated import described
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.snowflake, pytest.mark.filterwarnings("ignore")]
TABLE = (
    "CREATE TABLE t (id NUMBER(38,0) NOT NULL, name VARCHAR, amount NUMBER(18,4), stamp TIMESTAMP_NTZ(6), "
    "fine TIMESTAMP_NTZ(9), moment TIMESTAMP_TZ(6), day DATE, at TIME(6), ratio FLOAT, yes BOOLEAN, raw BINARY, "
    "doc VARIANT)",
    "INSERT INTO t SELECT 9007199254740993, 'a\"\\\\\\\\', 1.25, '2020-01-01 00:00:00.123456', "
    "'2020-01-01 00:00:00.123456789', '2020-01-01 00:00:00+02:00', '9999-12-31', '23:59:59.5', 0.1, TRUE, "
    "TO_BINARY('FF00', 'HEX'), PARSE_JSON('{\"a\": [1, null]}')",
    "INSERT INTO t (id, name) VALUES (2, ''), (3, NULL)",
)


@pytest.fixture
def snow() -> Iterator[Connector]:
    fakesnow = pytest.importorskip("fakesnow")
    options = {
        "account": "a",
        "user": "u",
        "password": "p",
        "database": "db",
        "schema": "s",
        "access": "read_write",
    }
    with fakesnow.patch():
        connector = connect(datasource("snow", "snowflake", options))
        with connector.writer() as writer:
            for statement in TABLE:
                writer.execute(statement)
        yield connector


def whole(connector: Connector, table: str = "T") -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=("S", table)), order_by=["ID"])))


def test_a_table_goes_out_and_comes_back_unchanged(snow: Connector) -> None:
    before = whole(snow)
    assert before["ID"].to_pylist() == [2, 3, 9007199254740993]
    assert before["RAW"].to_pylist()[2] == b"\xff\x00"
    with snow.writer() as writer:
        for path in (("S", "T"), ("s", "t")):  # in capitals, where it was made without quotes
            staging = writer.staging(path, "1")
            writer.create_like(staging, path)
            assert writer.write(staging, before.to_batches(max_chunksize=2)).rows == 3
            published = writer.publish(staging, path, "replace")
            assert (published.method, published.atomic) == ("DELETE + INSERT", True)
    assert whole(snow).equals(before)
    assert [entry.name for entry in snow.tables("S")] == ["T"]


def test_names_in_small_letters_find_what_was_folded(snow: Connector) -> None:
    assert snow.describe(("s", "t")).spec.path == ("S", "T")
    with snow.reader() as reader:
        assert reader.count(Source(path=("s", "t")), [Predicate("NAME", "=", "")]) == 1
    with pytest.raises(MigrationError, match="nothing_here") as refusal:
        snow.describe(("s", "nothing_here"))
    assert refusal.value.sqlstate == "HV00R"


def test_upsert_is_one_merge(snow: Connector) -> None:
    before = whole(snow)
    with snow.writer() as writer:
        staging = writer.staging(("S", "T"), "1")
        writer.create_like(staging, ("S", "T"))
        writer.write(staging, before.slice(0, 2).to_batches())
        assert writer.publish(staging, ("S", "T"), "upsert", ["ID"]).rows == 2
    assert whole(snow).equals(before)


def test_a_failed_publish_leaves_the_old_rows(snow: Connector) -> None:
    with snow.writer() as writer:
        writer.execute("CREATE TABLE S.BAD (ID VARCHAR)")
        writer.execute("INSERT INTO S.BAD VALUES ('no number')")
        with pytest.raises(MigrationError):
            writer.publish(("S", "BAD"), ("S", "T"), "replace")
    assert whole(snow).num_rows == 3


def test_a_table_moves_there_and_back(snow: Connector, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' ? ' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS m, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS seen, "
            "DATE '2024-01-01' + (i % 365)::INTEGER AS day, i % 2 = 0 AS b, encode('é' || i) AS raw "
            "FROM range(3000) AS r(i)"
        )
    duck = connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))
    for mode in ("create", "replace", "append"):
        request = TransferRequest(
            Source(path=("main", "s")), ("S", "MOVED"), mode=mode, options=TransferOptions(verify="L3")
        )
        assert run(plan(request, duck, snow)).verdict == "pass"
    with snow.reader() as reader:
        assert reader.count(Source(path=("S", "MOVED"))) == 6000
        types = {column.name: column.declared for column in reader.describe(Source(path=("S", "MOVED")))}
    assert types["m"] == "NUMBER(18,4)"
    sides = (
        Side(duck, Source(path=("main", "s"))),
        Side(snow, Source(query='SELECT DISTINCT * FROM S.MOVED')),
    )  # fmt: skip
    report = reconcile(*sides, key=("id",), checks=("count", "nulls", "sums", "rows"))
    assert [check for check in report.checks if check.verdict == "fail"] == []


def test_a_password_is_not_in_messages() -> None:
    pytest.importorskip("snowflake.connector")
    options = {"account": "a", "user": "u", "password": "very secret", "private_key_file": "/nowhere"}
    with pytest.raises(MigrationError) as refusal:
        connect(datasource("snow", "snowflake", options)).test()
    assert refusal.value.sqlstate == "HV00N"
    assert "very secret" not in f"{refusal.value.message} {refusal.value.detail}"


def test_a_query_whose_columns_share_a_name_is_read_under_names_of_ours(
    snow: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Source(query="SELECT 1 AS a, 2 AS b, 3 AS a -- twice")
    with snow.reader() as reader:
        given, describe = reader.describe(query), type(reader).describe
        told = tuple(replace(column, name=name) for column, name in zip(given, "ABA", strict=True))
        monkeypatch.setattr(  # fakesnow's engine names them apart by itself
            type(reader), "describe", lambda self, source: told if source == query else describe(self, source)
        )
        source, columns, names = described(reader, query)
        found = pa.Table.from_batches(list(reader.read(source)))
    assert names == ["A", "B", "A"]
    assert [column.name for column in columns] == ["A", "B", "A_1"]
    assert [tuple(row.values()) for row in found.to_pylist()] == [(1, 2, 3)]
