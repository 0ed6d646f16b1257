"""BigQuery's connector against a stand-in for its REST API: Google's own client, DuckDB behind it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from bigquery_stand_in import Service, bigquery_service

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.repeated import described
from migration.datasources.datasource import datasource
from migration.dry_run import dry_run
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytest.importorskip("google.cloud.bigquery")
pytestmark = [pytest.mark.bigquery, pytest.mark.filterwarnings("ignore")]
TABLE = (
    "CREATE TABLE d.t (id INT64 NOT NULL, name STRING(20), amount NUMERIC(18,4), seen DATETIME, moment TIMESTAMP, "
    "day DATE, at TIME, ratio FLOAT64, yes BOOL, raw BYTES, tags ARRAY<STRING>{more})"
)
ROWS = pa.record_batch(
    {
        "id": pa.array([9007199254740993, 2, 3]),
        "name": pa.array(['a"\\\n\t', "", None]),
        "amount": pa.array([Decimal("12345678901234.5678"), None, Decimal("-0.0001")], pa.decimal128(18, 4)),
        "seen": pa.array([1577836800123456, None, -1], pa.int64()).cast(pa.timestamp("us")),
        "moment": pa.array([1577836800123456, None, -1], pa.int64()).cast(pa.timestamp("us", "UTC")),
        "day": pa.array([0, None, -700000], pa.int32()).cast(pa.date32()),
        "at": pa.array([86399999999, None, 0], pa.int64()).cast(pa.time64("us")),
        "ratio": pa.array([0.1, None, float("inf")]),
        "yes": pa.array([True, None, False]),
        "raw": pa.array([b"\xff\x00", b"", None]),
        "tags": pa.array([["x", 'y"'], [], [""]]),
    }
)
T = ("d", "t")


@pytest.fixture(scope="module")
def cloud() -> Iterator[tuple[str, Service]]:
    with bigquery_service() as found:
        yield found


def opened(address: str, **more: str) -> Connector:
    options = {"project": "p", "api_endpoint": address, "auth": "anonymous", "role": "read_write", **more}
    return connect(datasource("big", "bigquery", options))


@pytest.fixture
def service(cloud: tuple[str, Service]) -> Service:
    service = cloud[1]
    service.engine.execute("DROP SCHEMA IF EXISTS d CASCADE; CREATE SCHEMA d")
    service.tables.clear()
    service.requests.clear()
    return service


@pytest.fixture
def big(cloud: tuple[str, Service], service: Service) -> Connector:
    return opened(cloud[0])


def whole(connector: Connector, path: tuple[str, ...] = T) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=path), order_by=["id"])))


def made(connector: Connector, more: str = "", batch: pa.RecordBatch = ROWS) -> str:
    with connector.writer() as writer:
        writer.execute(TABLE.format(more=more))
        result = writer.write(T, [batch.slice(0, 1), batch.slice(1)])
        assert result.rows == 3
    return result.method


@pytest.mark.parametrize(
    ("more", "method"),
    [("", "load job (Parquet)"), (", doc JSON", "load job (JSON)")],
    ids=["parquet", "json"],
)
def test_rows_go_in_by_a_load_job_and_come_out_in_arrow(big: Connector, more: str, method: str) -> None:
    batch = ROWS.append_column("doc", pa.array(['{"a":[1,null]}', "[]", None])) if more else ROWS
    assert made(big, more, batch) == method
    assert whole(big).equals(pa.Table.from_batches([batch]).sort_by("id"))


def test_it_says_what_it_is(big: Connector, service: Service) -> None:
    made(big)
    found = big.describe(T)
    assert (found.kind, found.rows) == ("table", 3)
    assert [column.declared for column in found.spec.columns][:3] == ["INT64", "STRING(20)", "NUMERIC(18,4)"]
    assert not found.spec.columns[0].nullable
    assert found.spec.columns[-1].declared == "ARRAY<STRING>"
    assert (big.databases(), big.schemas(), [entry.name for entry in big.tables("d")]) == (
        ["p"],
        ["d"],
        ["t"],
    )
    assert big.definition(T) == "CREATE TABLE t"
    service.requests.clear()
    query = Source(query="SELECT count(*) AS n, max(amount) AS most FROM d.t")
    with big.reader() as reader:
        assert not reader.consistent
        assert [(each.name, each.type.kind) for each in reader.describe(query)] == [
            ("n", "int64"),
            ("most", "decimal"),
        ]
        assert [kind for kind, _ in service.requests] == ["dry run"]
        assert reader.count(Source(path=T)) == 3
    with pytest.raises(MigrationError) as refusal:
        big.describe(("d", "nothing_here"))
    assert refusal.value.sqlstate == "HV00R"


def test_pages_are_read_one_by_one(big: Connector) -> None:
    with big.writer() as writer:
        writer.execute("CREATE TABLE d.t (id INT64)")
        writer.write(T, [pa.record_batch({"id": pa.array(range(2500))})])
    with big.reader() as reader:
        sizes = [batch.num_rows for batch in reader.read(Source(path=T), batch_rows=1000)]
    assert sizes == [1000, 1000, 500]


def staged(connector: Connector, batch: pa.RecordBatch, mode: str) -> object:
    with connector.writer() as writer:
        staging = writer.staging(T, "7")
        writer.create_like(staging, T)
        writer.write(staging, [batch])
        published = writer.publish(staging, T, mode, ["id"] if mode == "upsert" else ())  # type: ignore[arg-type]
        assert not writer.exists(staging)
    assert published.atomic
    return published.method


def test_a_replace_is_a_copy_job(big: Connector, service: Service) -> None:
    made(big)
    assert staged(big, ROWS.slice(0, 1), "replace") == "copy job"
    assert ("copy", "WRITE_TRUNCATE") in service.requests
    assert whole(big)["id"].to_pylist() == [9007199254740993]
    assert not big.describe(T).spec.columns[0].nullable


@pytest.mark.parametrize(
    "attached",
    [
        {"tableConstraints": {"primaryKey": {"columns": ["id"]}}},
        {"description": "what it is"},
        {"labels": {"team": "x"}},
    ],
)
def test_what_a_copy_would_lose_is_kept_by_a_script(
    big: Connector, service: Service, attached: dict[str, object]
) -> None:
    made(big)
    service.tables[T].update(attached)
    assert staged(big, ROWS.slice(1, 1), "replace") == "TRUNCATE + INSERT"
    assert whole(big)["id"].to_pylist() == [2]
    assert service.tables[T].items() >= attached.items()


def test_a_script_that_fails_leaves_the_old_rows(big: Connector, service: Service) -> None:
    made(big)
    service.tables[T]["description"] = "kept"
    with big.writer() as writer:
        writer.execute("CREATE TABLE d.t__stg_7 (id STRING)")
        writer.write(("d", "t__stg_7"), [pa.record_batch({"id": ["no number"]})])
        with pytest.raises(MigrationError):
            writer.publish(("d", "t__stg_7"), T, "replace")
    assert whole(big).num_rows == 3


def test_upsert_is_one_merge_and_append_one_insert(big: Connector) -> None:
    made(big)
    changed = ROWS.set_column(1, "name", pa.array(["new", "newer", "newest"])).slice(0, 2)
    assert staged(big, changed, "upsert") == "MERGE"
    assert whole(big)["name"].to_pylist() == ["newer", None, "new"]
    assert staged(big, changed, "append") == "INSERT ... SELECT"
    assert whole(big).num_rows == 5


@pytest.fixture
def duck(tmp_path: Path) -> Connector:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE s AS SELECT i::BIGINT AS id, CASE WHEN i % 7 > 0 THEN 'näme '' \\ ? ' || i END AS name, "
            "(i / 8)::DECIMAL(18,4) AS m, (i / 8)::DECIMAL(38,12) AS wide, i::SMALLINT AS small, "
            "TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL (i) SECOND AS seen, i % 2 = 0 AS b, "
            "DATE '2024-01-01' + (i % 365)::INTEGER AS day, encode('é' || i) AS raw FROM range(3000) AS r(i)"
        )
    return connect(datasource("duck", "duckdb", {"path": str(path), "role": "read_write"}))


def test_a_table_moves_there_and_back(big: Connector, duck: Connector) -> None:
    for mode in ("create", "replace", "append"):
        request = TransferRequest(
            Source(path=("main", "s")), ("d", "moved"), mode=mode, options=TransferOptions(verify="L4")
        )
        result = run(plan(request, duck, big))
        assert (result.verdict, result.rows_transferred, result.method) == (
            "pass",
            3000,
            "load job (Parquet)",
        )
    with big.reader() as reader:
        assert reader.count(Source(path=("d", "moved"))) == 6000
    sides = (
        Side(duck, Source(path=("main", "s"))),
        Side(big, Source(query="SELECT DISTINCT * FROM d.moved")),
    )
    report = reconcile(*sides, key=("id",), checks=("count", "nulls", "sums", "rows"))
    assert [check for check in report.checks if check.verdict == "fail"] == []
    back = TransferRequest(Source(query="SELECT DISTINCT id, name, seen FROM d.moved"), ("main", "back"))
    assert run(plan(back, big, duck)).verdict == "pass"


def test_many_bytes_go_up_in_one_job(big: Connector, service: Service) -> None:
    wide = pa.record_batch({"id": range(3), "name": [chr(97 + n) * 3_000_000 for n in range(3)]})
    noise = pa.record_batch(
        {
            "id": range(3),
            "name": [
                base64.b64encode(bytes((i * j * 7 + i // 251) % 256 for i in range(2_000_000))).decode()
                for j in (3, 5, 11)
            ],
        }
    )
    with big.writer() as writer:
        writer.execute("CREATE TABLE d.t (id INT64, name STRING)")
        assert writer.write(T, [wide, noise]).rows == 6
    assert service.requests.count(("load", "PARQUET")) == 1
    assert sorted(len(name) for name in whole(big)["name"].to_pylist()) == [2666668] * 3 + [3000000] * 3


def test_nothing_is_loaded_when_the_rows_break_off(big: Connector, service: Service) -> None:
    with big.writer() as writer:
        writer.execute(TABLE.format(more=""))

        def broken() -> Iterator[pa.RecordBatch]:
            yield ROWS
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            writer.write(T, broken())
        assert ("load", "PARQUET") not in service.requests
        assert writer.count(T) == 0


@pytest.mark.parametrize("value", [None, ["a", None]])
def test_a_null_in_or_instead_of_an_array_is_refused(big: Connector, value: object) -> None:
    with big.writer() as writer:
        writer.execute("CREATE TABLE d.t (id INT64, tags ARRAY<STRING>)")
        rows = pa.record_batch({"id": pa.array([1]), "tags": pa.array([value], pa.list_(pa.string()))})
        with pytest.raises(MigrationError, match="NULL where BigQuery has none") as refusal:
            writer.write(T, [rows])
    assert refusal.value.sqlstate == "HV004"


def test_a_dry_run_is_the_services_own(big: Connector, service: Service) -> None:
    made(big)
    service.requests.clear()
    assert big.execute("DELETE FROM d.t WHERE true", dry_run=True).committed is False
    assert [kind for kind, _ in service.requests] == ["dry run"]
    assert whole(big).num_rows == 3
    assert dry_run(big, "CREATE TABLE d.n (id INT64)") == []
    found = dry_run(big, "CREATE TABLE d.n (id INT65)")
    assert [violation.id for violation in found] == ["dry_run"]
    assert [entry.name for entry in big.tables("d")] == ["t"]
    with pytest.raises(MigrationError) as refusal:
        big.execute("DELETE FROM d.t WHERE true", rows_between=(0, 1))
    assert refusal.value.sqlstate == "0A000"


def test_a_running_query_can_be_interrupted(big: Connector) -> None:
    done = threading.Event()

    def keep_interrupting() -> None:
        while not done.wait(0.2):
            big.interrupt()

    with big.reader() as reader:
        thread = threading.Thread(target=keep_interrupting)
        thread.start()
        try:
            with pytest.raises(MigrationError) as refusal:
                reader.rows(  # type: ignore[attr-defined]
                    "SELECT count(*) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
                    "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE a * b = -1"
                )
        finally:
            done.set()
            thread.join()
    assert refusal.value.sqlstate == "57014"


def test_a_default_dataset_and_errors(cloud: tuple[str, Service], service: Service) -> None:
    home = opened(cloud[0], dataset="d")
    made(home)
    assert home.describe(("t",)).spec.path == T
    with home.reader() as reader:
        assert reader.fetch("SELECT count(*) AS n FROM t").to_pylist() == [{"n": 3}]
        with pytest.raises(MigrationError) as refusal:
            reader.rows("SELECT nothing FROM t")  # type: ignore[attr-defined]
    assert refusal.value.sqlstate == "42601"
    with pytest.raises(MigrationError) as homeless:
        opened(cloud[0]).describe(("t",))
    assert (homeless.value.sqlstate, "dataset" in (homeless.value.hint or "")) == ("3F000", True)
    read_only = opened(cloud[0], role="read_only")
    with pytest.raises(MigrationError) as no:
        read_only.execute("DELETE FROM d.t WHERE true", dry_run=True)
    assert no.value.sqlstate == "25006"


def test_nobody_there_and_secrets_in_no_message() -> None:
    key = {"type": "service_account", "private_key": "very secret", "client_email": "a@b", "token_uri": "x"}
    text = json.dumps(key)
    item = datasource("big", "bigquery", {"project": "p", "credentials_info": text})
    assert "very secret" not in repr(item.shown())
    for options in (
        {"credentials_info": text},
        {"credentials_base64": base64.b64encode(text.encode()).decode()},
        {"credentials_info": "no json, very secret"},
        {"api_endpoint": "http://127.0.0.1:1", "auth": "anonymous", "connect_timeout": "1s"},
    ):
        with pytest.raises(MigrationError) as refusal:
            connect(datasource("big", "bigquery", {"project": "p", **options})).test()
        assert refusal.value.sqlstate == "HV00N"
        assert "very secret" not in f"{refusal.value.message} {refusal.value.detail}"


def test_a_query_whose_columns_share_a_name_is_refused_as_it_is_there(big: Connector) -> None:
    with big.reader() as reader, pytest.raises(MigrationError) as refusal:
        described(reader, Source(query="SELECT 1 AS a, 2 AS a"))
    assert refusal.value.sqlstate == "42701"
    assert refusal.value.hint == "Name the query's columns apart with AS."
