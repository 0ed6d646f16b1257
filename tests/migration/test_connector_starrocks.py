"""StarRocks and Doris against stand-ins: MariaDB for the MySQL protocol, a small frontend and backend for Stream Load.
Swapping tables is the engines' own statement; here it is translated for MariaDB and proves only when it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pyarrow as pa
import pytest
from servers import Server
from stream_load_stand_in import Cluster, stream_load_cluster

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.starrocks import StarrocksWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError

pytestmark = pytest.mark.mariadb
ROWS = pa.record_batch(
    {
        "id": pa.array([9007199254740993, 2, 3]),
        "name": pa.array(['a"\\\n\t', "", None]),
        "amount": pa.array([Decimal("12345678901234.5678"), None, Decimal("-0.0001")], pa.decimal128(18, 4)),
        "seen": pa.array([1577836800123456, None, -1], pa.int64()).cast(pa.timestamp("us")),
        "raw": pa.array([b"\xff\x00", b"", None]),
        "ratio": pa.array([0.1, None, 1e300]),
    }
)


def rows(stars: Connector) -> pa.RecordBatch:
    """Doris has no column of bytes."""
    return ROWS if stars.dialect == "starrocks" else ROWS.drop_columns(["raw"])


@pytest.fixture
def cluster(mariadb: Server) -> Iterator[tuple[int, Cluster]]:
    with stream_load_cluster(mariadb) as found:
        yield found


def opened(kind: str, server: Server, http: int, **more: str) -> Connector:
    options = {
        "host": server.host, "port": str(server.port), "user": server.user, "password": server.password,
        "database": server.database, "http_port": str(http), "role": "read_write", **more,
    }  # fmt: skip
    return connect(datasource("stars", kind, options))


@pytest.fixture(params=["starrocks", "doris"])
def stars(request: pytest.FixtureRequest, mariadb: Server, cluster: tuple[int, Cluster]) -> Connector:
    connector = opened(request.param, mariadb, cluster[0])
    with connector.writer() as writer:
        for name in ("t", "t__stg_1"):
            writer.execute(f"DROP TABLE IF EXISTS {name}")
        writer.execute(
            "CREATE TABLE t (id bigint NOT NULL, name varchar(20), amount decimal(18,4), seen datetime(6), "
            "raw varbinary(20), ratio double)"
        )
    return connector


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """MariaDB swaps in its own words."""
    sent: list[str] = []
    execute = StarrocksWriter.execute

    def spoken(writer: StarrocksWriter, statement: str) -> int | None:
        sent.append(statement)
        if " SWAP WITH " in statement:
            statement = "RENAME TABLE t TO between_, t__stg_1 TO t, between_ TO t__stg_1"
        if " REPLACE WITH TABLE " in statement:
            execute(writer, "RENAME TABLE t TO between_, t__stg_1 TO t")
            statement = "DROP TABLE between_"
        return execute(writer, statement)

    monkeypatch.setattr(StarrocksWriter, "execute", spoken)
    return sent


def whole(connector: Connector) -> pa.Table:
    with connector.reader() as reader:
        return pa.Table.from_batches(list(reader.read(Source(path=("t",)), order_by=["id"])))


def test_rows_go_through_the_frontend_to_a_backend(stars: Connector, cluster: tuple[int, Cluster]) -> None:
    with stars.writer() as writer:
        written = writer.write(("t",), [rows(stars)])
        assert (written.rows, written.method) == (3, "Stream Load")
    found = whole(stars)
    assert found["id"].to_pylist() == [2, 3, 9007199254740993]
    for name in rows(stars).schema.names:
        expected = dict(zip(ROWS["id"].to_pylist(), ROWS[name].to_pylist(), strict=True))
        assert dict(zip(found["id"].to_pylist(), found[name].to_pylist(), strict=True)) == expected
    kinds = [kind for kind, _ in cluster[1].requests]
    assert kinds[0] == "Frontend" and "Backend" in kinds
    assert not cluster[1].open  # every load was ended


def test_one_row_that_does_not_fit_takes_the_whole_load_back(
    stars: Connector, cluster: tuple[int, Cluster]
) -> None:
    long = pa.record_batch({"id": pa.array([1, 2]), "name": pa.array(["ok", "x" * 21])})
    with stars.writer() as writer:
        with pytest.raises(MigrationError, match="Stream Load refused") as refusal:
            writer.write(("t",), [long])
        assert refusal.value.sqlstate == "HV004"
        assert "1 fit, 1 did not" in str(refusal.value.detail)
        assert writer.count(("t",)) == 0
    assert not cluster[1].open


def test_a_commit_whose_answer_is_lost_is_asked_for_again(
    mariadb: Server, cluster: tuple[int, Cluster]
) -> None:
    connector = opened("starrocks", mariadb, cluster[0])
    with connector.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS t")
        writer.execute("CREATE TABLE t (id bigint NOT NULL)")
        cluster[1].drop_answers = 1
        assert writer.write(("t",), [ROWS.select(["id"])]).rows == 3
        assert writer.count(("t",)) == 3


def test_replace_is_the_engines_own_swap(stars: Connector, translated: list[str]) -> None:
    with stars.writer() as writer:
        writer.execute("INSERT INTO t (id) VALUES (1)")
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        writer.write(staging, [rows(stars)])
        published = writer.publish(staging, ("t",), "replace")
        assert (published.method, published.atomic, published.rows) == ("swap", True, 3)
        assert not writer.exists(staging)
    word = "REPLACE WITH TABLE" if stars.dialect == "doris" else "SWAP WITH"
    assert sum(word in statement for statement in translated) == 1


def test_append_and_upsert(stars: Connector, translated: list[str]) -> None:
    with stars.writer() as writer:
        staging = writer.staging(("t",), "1")
        writer.create_like(staging, ("t",))
        writer.write(staging, [rows(stars)])
        with pytest.raises(MigrationError, match="does not replace rows by") as refusal:
            writer.publish(staging, ("t",), "upsert", ["id"])
        assert refusal.value.sqlstate == "0A000"
        assert writer.publish(staging, ("t",), "append").rows == 3
        assert writer.count(("t",)) == 3


def test_what_the_engines_cannot_hold(stars: Connector) -> None:
    with stars.writer() as writer:
        for values in ([float("nan")], [float("inf")]):
            with pytest.raises(MigrationError, match="cannot hold"):
                writer.write(("t",), [pa.record_batch({"id": pa.array([1]), "ratio": pa.array(values)})])
        assert writer.count(("t",)) == 0
        with pytest.raises(MigrationError):
            writer.begin()


def test_reading_is_typed_by_the_server(stars: Connector) -> None:
    with stars.writer() as writer:
        writer.write(("t",), [rows(stars)])
    with stars.reader() as reader:
        assert reader.fetch("SELECT amount FROM t WHERE id = 3").to_pylist() == [
            {"amount": Decimal("-0.0001")}
        ]
        with pytest.raises(MigrationError) as refusal:
            reader.fetch("DELETE FROM t WHERE id = 3")
        assert refusal.value.sqlstate == "25006"
        assert reader.count(Source(path=("t",))) == 3
    with pytest.raises(MigrationError, match="nothing_here"):
        stars.describe(("nothing_here",))


@pytest.mark.parametrize("kind", ["starrocks", "doris"])
def test_who_cannot_be_reached_is_said_in_words(kind: str) -> None:
    """Not as the pair of number and text that the driver raises."""
    options = {"host": "127.0.0.1", "port": "1", "user": "u"}
    with (
        closing(connect(datasource("stars", kind, options))) as stars,
        pytest.raises(MigrationError) as refusal,
    ):
        stars.test()
    assert refusal.value.sqlstate == "HV00N"
    assert (refusal.value.detail or "").startswith("Can't connect to MySQL server on '127.0.0.1'")


def test_a_wrong_password_for_loading(mariadb: Server, cluster: tuple[int, Cluster]) -> None:
    from migration.connectors.stream_load import StreamLoad

    with pytest.raises(MigrationError) as refusal:
        StreamLoad("doris", "127.0.0.1", cluster[0], "bough", "wrong").load("bough", "t", "`id`", b"[]", 0)
    assert refusal.value.sqlstate == "28P01"
