"""The stages between a reader and a writer: many rows by a second connection, bytes sent by a second thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Source
from migration.connectors.postgres import PostgresConnector
from migration.connectors.postgres_stream import CopyOut
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.queues import ByteQueue, Stopped
from migration.transfer.plan import plan
from migration.transfer_model import TransferRequest

MANY = 60_000  # more than what the first connection is used for


@pytest.fixture
def pg(postgres: Server) -> Iterator[PostgresConnector]:
    """A table of many rows whose texts have quotes, commas and line ends."""
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
    found = connect(
        datasource("pg", "postgres", {**options, "database": postgres.database, "role": "read_write"})
    )
    assert isinstance(found, PostgresConnector)
    with found.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS many")
        writer.execute(
            "CREATE TABLE many AS SELECT i AS id, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' "
            "ELSE E'a,\"b\"\\n' || i || E'\\n' END AS s, "
            "CASE WHEN i = 30000 THEN 'infinity' ELSE timestamp '2020-01-01' + i * interval '1 microsecond' END "
            "AS seen, "
            "(i / 7.0)::numeric(18,4) AS m FROM generate_series(1, 60000) AS r(i)"
        )
        writer.execute("ANALYZE many")
    yield found
    with found.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS many, few")
    found.close()


def read(connector: PostgresConnector, query: str = "SELECT * FROM many ORDER BY id") -> list[pa.RecordBatch]:
    with connector.reader() as reader:
        return list(reader.read(Source(query=query), batch_rows=5_000))


def backends(postgres: Server) -> int:
    """How many sessions of ours the server still has; one that was closed has a moment to go."""
    conninfo = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    with psycopg.connect(conninfo, autocommit=True) as session:
        for _ in range(100):
            found = session.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bough'")
            count = int(found.fetchall()[0][0])
            if not count:
                break
            time.sleep(0.1)
    return count


@pytest.mark.postgres
def test_both_ways_deliver_the_same_rows(pg: PostgresConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = read(pg)
    monkeypatch.setattr("migration.connectors.postgres._MANY", 1 << 60)
    plain = read(pg)
    assert max(batch.num_rows for batch in (*fast, *plain)) <= 5_000
    left, right = pa.Table.from_batches(fast), pa.Table.from_batches(plain)
    assert left.num_rows == MANY
    assert left.equals(right)


@pytest.mark.postgres
def test_the_second_connection_sees_the_snapshot_of_the_first(
    pg: PostgresConnector, postgres: Server
) -> None:
    with pg.reader() as reader:
        pg.execute("DELETE FROM many WHERE id > 10")
        batches = reader.read(Source(path=("many",)))
        rows = next(batches).num_rows
        assert len(pg.copies) == 1  # not by the reader's own connection
        assert rows + sum(batch.num_rows for batch in batches) == MANY
    assert backends(postgres) == 0


@pytest.mark.postgres
def test_a_reader_that_is_left_early_ends_the_statement(pg: PostgresConnector, postgres: Server) -> None:
    with pg.reader() as reader:
        batches = reader.read(
            Source(query="SELECT a.* FROM many AS a, generate_series(1, 1000) AS g"), batch_rows=1_000
        )
        assert 0 < next(batches).num_rows <= 1_000
        batches.close()  # type: ignore[attr-defined]
        assert reader.count(Source(path=("many",))) == MANY  # the reader itself goes on
    assert backends(postgres) == 0


@pytest.mark.postgres
def test_a_value_that_fails_late_is_the_servers_error(pg: PostgresConnector, postgres: Server) -> None:
    with pytest.raises(MigrationError, match="division by zero") as refusal:
        read(pg, "SELECT id, 1 / (id - 59000) AS x FROM many")
    assert refusal.value.sqlstate == "22012"
    assert backends(postgres) == 0


@pytest.mark.postgres
@pytest.mark.parametrize("asleep", [False, True])
def test_a_copy_is_interrupted_at_once(pg: PostgresConnector, postgres: Server, asleep: bool) -> None:
    """Between two rows, and while the server has not sent one."""
    endless = "(SELECT count(*) FROM generate_series(1, 100000000000))" if asleep else "1"
    done = threading.Event()

    def keep_interrupting() -> None:
        while not done.wait(0.01):
            if pg.copies:
                pg.interrupt()

    thread = threading.Thread(target=keep_interrupting)
    thread.start()
    try:
        with pytest.raises(MigrationError) as refusal:
            read(pg, f"SELECT id, {endless} AS s FROM many, generate_series(1, 100000000) AS g")
    finally:
        done.set()
        thread.join()
    assert refusal.value.sqlstate == "57014"
    assert backends(postgres) == 0


@pytest.mark.postgres
def test_rows_without_end_are_left_by_who_wants_no_more(pg: PostgresConnector, postgres: Server) -> None:
    """The server sends and sends: who closes the reader does not wait for the last row."""
    with pg.reader() as reader:
        copy = CopyOut(
            reader.session, str(reader.snapshot), pg.prepare(), "SELECT generate_series(1, 1000000000000)"
        )
        assert copy.open(1_000, 10_000)
        blocks = copy.blocks()
        assert next(blocks).startswith(b"1\n2\n")
        blocks.close()
    assert backends(postgres) == 0


@pytest.mark.postgres
def test_the_server_notices_that_nobody_listens(pg: PostgresConnector, postgres: Server) -> None:
    """A query that sends nothing, and a client that is gone without having cancelled it."""
    with pg.session() as kept:
        if kept.info.server_version < 140_000:
            pytest.skip("the server cannot tell")
    session = pg.open()
    session.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 100000000000)")
    session.pgconn.finish()
    pg.close()
    assert backends(postgres) == 0


@pytest.mark.postgres
def test_without_a_second_connection_the_first_one_reads(
    pg: PostgresConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(**given: object) -> None:
        raise OSError("no more connections")

    monkeypatch.setattr("migration.connectors.postgres_stream.asyncpg.connect", refused)
    assert sum(batch.num_rows for batch in read(pg)) == MANY


@pytest.mark.postgres
def test_who_alters_the_table_meanwhile_waits_and_the_rows_arrive(
    pg: PostgresConnector, postgres: Server
) -> None:
    conninfo = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    refused: list[psycopg.Error] = []

    def alter() -> None:
        with psycopg.connect(conninfo, autocommit=True) as session:
            session.execute("SET lock_timeout = '60s'")
            try:
                session.execute("ALTER TABLE many ADD late int")
            except psycopg.Error as error:
                refused.append(error)

    altering = threading.Thread(target=alter)
    with pg.reader() as reader, psycopg.connect(conninfo, autocommit=True) as session:
        assert reader.fetch("SELECT count(*) AS n FROM many").to_pylist() == [{"n": MANY}]  # holds the table
        altering.start()
        while session.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is None:
            time.sleep(0.01)
        batches = list(reader.read(Source(query="SELECT id, s FROM many"), batch_rows=5_000))
    altering.join()
    assert sum(batch.num_rows for batch in batches) == MANY
    assert refused == []


def test_a_writer_reports_what_the_server_refuses(pg: PostgresConnector) -> None:
    with pg.writer() as writer:
        writer.execute("DROP TABLE IF EXISTS few")
        writer.execute("CREATE TABLE few (id bigint PRIMARY KEY)")
        ids = [*range(300_000), 5]
        batches = [
            pa.record_batch([pa.array(ids[at : at + 50_000])], names=["id"])
            for at in range(0, 300_001, 50_000)
        ]
        with pytest.raises(MigrationError) as refusal:
            writer.write(("few",), batches)
        assert refusal.value.sqlstate == "23505"
        assert writer.count(("few",)) == 0
        assert writer.write(("few",), batches[:-1]).rows == 300_000


def test_a_full_queue_holds_back_and_wakes_when_stopped() -> None:
    queue = ByteQueue(limit=10)
    queue.put("larger than the limit", 100)
    outcome: list[str] = []

    def put() -> None:
        try:
            queue.put("more", 1)
        except Stopped:
            outcome.append("stopped")

    thread = threading.Thread(target=put)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    queue.stop()
    thread.join(10)
    assert outcome == ["stopped"]


def test_a_source_that_refuses_does_not_wait_for_the_target(
    pg: PostgresConnector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    describe = pg.describe
    monkeypatch.setattr(pg, "describe", lambda path: answers.wait() and describe(path))
    source = connect(datasource("file", "duckdb", {"path": str(tmp_path / "x.duckdb"), "role": "read_write"}))
    try:
        with pytest.raises(MigrationError) as refusal:
            plan(TransferRequest(Source(path=("main", "none")), ("public", "few")), source, pg)
        assert refusal.value.sqlstate == "HV00R"
        assert not answers.is_set()
    finally:
        answers.set()
