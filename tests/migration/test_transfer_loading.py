"""A staging table is filled by several sessions of the server at once, or by none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from servers import Server

from migration.connectors import connect, postgres_load
from migration.connectors.base import Connector, Source
from migration.connectors.postgres import PostgresConnector, PostgresWriter
from migration.connectors.postgres_load import CopyIn
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer.undertaking import resume
from migration.transfer_model import TransferRequest

ROWS = 100_000
STAGED = ("public", "loaded__stg_1x1")
TEXT = "something to make a row longer than a number alone would be, and then some more"

pytestmark = pytest.mark.postgres


@pytest.fixture
def writer(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresWriter]:
    """A writer whose helpers come early."""
    monkeypatch.setattr(postgres_load, "_MANY", 1 << 20)
    options = {"host": postgres.host, "port": str(postgres.port), "user": postgres.user}
    connector = connect(
        datasource("pg", "postgres", {**options, "database": postgres.database, "role": "read_write"})
    )
    assert isinstance(connector, PostgresConnector)
    with connector.writer() as found:
        found.drop(STAGED)
        yield found
        found.rollback()
        found.drop(STAGED)
    connector.close()


@pytest.fixture
def opened(writer: PostgresWriter, monkeypatch: pytest.MonkeyPatch) -> list[psycopg.Connection[object]]:
    """The sessions that came to help."""
    found: list[psycopg.Connection[object]] = []
    open_ = PostgresConnector.open

    def noted(connector: PostgresConnector) -> psycopg.Connection[object]:
        found.append(open_(connector))
        return found[-1]

    monkeypatch.setattr(PostgresConnector, "open", noted)
    return found


def batches(*last: int) -> Iterator[pa.RecordBatch]:
    """Rows 0 to ROWS, and some more at the end."""
    for start in range(0, ROWS, 10_000):
        yield batch(range(start, start + 10_000))
    if last:
        yield batch(last)


def batch(ids: range | tuple[int, ...]) -> pa.RecordBatch:
    columns = [pa.array(list(ids), pa.int64()), pa.array([TEXT] * len(ids))]
    return pa.record_batch(columns, names=["id", "s"])


def make(writer: PostgresWriter, id_: str = "bigint") -> None:
    writer.execute(f"CREATE TABLE {writer.q(STAGED)} (id {id_}, s text)")


def held(writer: PostgresWriter) -> tuple[object, ...]:
    return writer.rows(f"SELECT count(*), count(DISTINCT id), sum(id)::bigint FROM {writer.q(STAGED)}")[0]


@pytest.mark.parametrize("form", ["BINARY", "CSV"])
def test_two_sessions_bring_every_row_once(
    writer: PostgresWriter,
    opened: list[psycopg.Connection[object]],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    if form == "CSV":
        monkeypatch.setattr("migration.connectors.postgres.binary_encoder", lambda columns: None)
    make(writer)
    written = writer.write(STAGED, batches())
    assert form in written.method
    assert len(opened) == 1
    assert all(session.closed for session in opened)
    assert written.rows == ROWS
    assert held(writer) == (ROWS, ROWS, ROWS * (ROWS - 1) // 2)


def test_one_session_that_fails_leaves_nothing_of_any(
    writer: PostgresWriter, opened: list[psycopg.Connection[object]]
) -> None:
    make(writer, "bigint CHECK (id <> -1)")
    with pytest.raises(MigrationError) as refusal:
        writer.write(STAGED, batches(-1))
    assert refusal.value.sqlstate == "23514"
    assert len(opened) == 1
    assert all(session.closed for session in opened)
    assert writer.count(STAGED) == 0
    assert writer.write(STAGED, batches()).rows == ROWS


def test_a_source_that_fails_leaves_nothing(writer: PostgresWriter) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches()
        raise KeyError("the source")

    make(writer)
    with pytest.raises(KeyError, match="the source"):
        writer.write(STAGED, broken())
    assert writer.count(STAGED) == 0


def named(writer: PostgresWriter) -> list[tuple[object, ...]]:
    """Every key and index of the staging table, by name and definition."""
    return writer.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        f"WHERE conrelid = '{writer.q(STAGED)}'::regclass UNION ALL "
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
        f"WHERE indrelid = '{writer.q(STAGED)}'::regclass ORDER BY 1, 2"
    )


def test_keys_are_away_while_rows_come(
    writer: PostgresWriter, opened: list[psycopg.Connection[object]]
) -> None:
    """Two sessions with the same key would wait for each other."""
    writer.execute("DROP TABLE IF EXISTS elder")
    writer.execute("CREATE TABLE elder (id bigint PRIMARY KEY)")
    writer.execute(f"INSERT INTO elder SELECT * FROM generate_series(0, {ROWS - 1})")
    make(writer, "bigint PRIMARY KEY REFERENCES elder DEFERRABLE")
    table = writer.q(STAGED)
    writer.execute(f"CREATE UNIQUE INDEX loaded_low ON {table} (lower(s), id DESC) WHERE id > 5")
    before = named(writer)
    assert len(before) == 4
    for wrong, code in ((5, "23505"), (-1, "23503")):
        with pytest.raises(MigrationError) as refusal:
            writer.write(STAGED, batches(wrong))
        assert (refusal.value.sqlstate, writer.count(STAGED), named(writer)) == (code, 0, before)
        assert f"(id)=({wrong})" in str(refusal.value.detail)
    opened.clear()
    assert writer.write(STAGED, batches()).rows == ROWS
    assert len(opened) == 1
    assert named(writer) == before
    with pytest.raises(MigrationError, match="duplicate key"):  # into a table with rows: by one session
        writer.write(STAGED, batches())
    assert held(writer)[0] == ROWS
    writer.drop(STAGED)
    writer.drop(("public", "elder"))


def test_a_key_with_a_comment_stays(writer: PostgresWriter, opened: list[psycopg.Connection[object]]) -> None:
    make(writer, "bigint PRIMARY KEY")
    table = writer.q(STAGED)
    writer.execute(f"COMMENT ON CONSTRAINT {STAGED[1]}_pkey ON {table} IS 'ours'")
    assert writer.write(STAGED, batches()).rows == ROWS
    assert opened == []
    with pytest.raises(MigrationError) as refusal:
        writer.write(STAGED, batches(5))
    assert refusal.value.sqlstate == "23505"


def test_a_transaction_of_the_caller_is_not_left(
    writer: PostgresWriter, opened: list[psycopg.Connection[object]]
) -> None:
    make(writer)
    writer.begin()
    assert writer.write(STAGED, batches()).rows == ROWS
    writer.rollback()
    assert (opened, writer.count(STAGED)) == ([], 0)


def test_without_room_for_more_the_first_session_loads(
    writer: PostgresWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connector: PostgresConnector) -> psycopg.Connection[object]:
        raise MigrationError("53300", "too many clients")

    make(writer)
    monkeypatch.setattr(PostgresConnector, "open", full)
    assert writer.write(STAGED, batches()).rows == ROWS
    assert held(writer)[0] == ROWS


@pytest.mark.parametrize(
    "before", ["", "MAIN", "EXTERNAL", "PLAIN"], ids=["new", "main", "external", "plain"]
)
def test_decimals_are_stored_plain_in_staging_alone(
    writer: PostgresWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    with duckdb.connect(str(tmp_path / "source.duckdb")) as source:
        source.execute(
            f"CREATE TABLE t AS SELECT i AS id, '{TEXT}' AS s, i::DECIMAL(18,4) AS m FROM range({ROWS}) AS r(i)"
        )
    writer.drop(("public", "decimals"))
    if before:
        writer.execute("CREATE TABLE decimals (id bigint, s text, m numeric(18,4), wide numeric)")
        writer.execute(f"ALTER TABLE decimals ALTER COLUMN m SET STORAGE {before}")
    staged = []
    load = CopyIn.__exit__

    def loaded(self: CopyIn, *error: Any) -> None:
        load(self, *error)
        staged.append(storage(writer, "%stg%"))

    monkeypatch.setattr(CopyIn, "__exit__", loaded)
    file = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    done = run(
        plan(TransferRequest(Source(path=("main", "t")), ("public", "decimals")), file, writer.connector)
    )
    assert done.verdict == "pass"
    unchanged = [("wide", "m")] if before else []
    assert staged == [[("m", "e" if before == "EXTERNAL" else "p"), *unchanged]]
    assert storage(writer, "decimals") == [("m", (before or "MAIN")[0].lower()), *unchanged]
    if before != "EXTERNAL":
        assert writer.rows("SELECT pg_column_size(m) FROM decimals WHERE id = 1") == [
            (8,)
        ]  # 5 with a short header
    writer.drop(("public", "decimals"))


def storage(writer: PostgresWriter, name: str) -> list[tuple[Any, ...]]:
    return writer.rows(
        "SELECT attname, attstorage::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        f"WHERE relname LIKE '{name}' AND relkind = 'r' AND atttypid = 'numeric'::regtype ORDER BY attnum"
    )


KILLED = textwrap.dedent("""
    import os, signal, sys
    home, root, port, user, database = sys.argv[1:]
    sys.path.insert(0, root)
    from pathlib import Path
    from migration.connectors import connect, postgres_load
    from migration.connectors.base import Source
    from migration.datasources.datasource import datasource
    from migration.transfer.journal import Journal
    from migration.transfer.plan import plan
    from migration.transfer.run import run
    from migration.transfer_model import TransferOptions, TransferRequest

    postgres_load._MANY = 1 << 16
    leave = postgres_load.CopyIn.__exit__

    def dying(load, *error):
        leave(load, *error)
        os.kill(os.getpid(), signal.SIGKILL)

    postgres_load.CopyIn.__exit__ = dying
    place = {"host": "127.0.0.1", "port": port, "user": user, "database": database}
    source = connect(datasource("source", "duckdb", {"path": f"{home}/source.duckdb"}))
    target = connect(datasource("target", "postgres", {**place, "role": "read_write"}))
    request = TransferRequest(
        Source(path=("main", "t")), ("public", "kept"), source_name="source", target_name="target",
        options=TransferOptions(range_rows=10_000),
    )
    run(plan(request, source, target), journal=Journal(Path(home) / "journal.sqlite"))
""")


def test_a_process_killed_while_keys_are_away_loses_none(
    writer: PostgresWriter, postgres: Server, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "source.duckdb")) as source:
        source.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, s VARCHAR)")
        source.execute(f"INSERT INTO t SELECT i, '{TEXT}' FROM range(40000) AS r(i)")
    writer.drop(("public", "kept"))
    writer.execute("CREATE TABLE kept (id bigint PRIMARY KEY, s text)")
    writer.execute("INSERT INTO kept VALUES (7, 'old')")
    place = [str(postgres.port), postgres.user, postgres.database]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).resolve().parents[2]), *place],
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert writer.rows("SELECT id, s FROM kept") == [(7, "old")]
    (staging,) = writer.leftovers("public")
    assert writer.count(staging) == 10_000
    assert not writer.describe(staging).keys  # or this test would prove nothing
    journal = Journal(tmp_path / "journal.sqlite")
    journal.interrupt_orphans()
    file: Connector = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    assert resume(journal, 1, file, writer.connector).rows_transferred == 40_000
    journal.close()
    file.close()
    assert writer.leftovers("public") == ()
    assert writer.describe(("public", "kept")).primary_key == ("id",)
    assert writer.rows("SELECT count(*), min(id), max(id) FROM kept") == [(40_000, 0, 39_999)]
    writer.drop(("public", "kept"))


@pytest.mark.parametrize(("rows", "size"), [(0, 0), (1, 24), (16, 390)])
def test_bytes_are_those_of_the_rows_however_few(
    writer: PostgresWriter, tmp_path: Path, rows: int, size: int
) -> None:
    """Two octets of a row's head, four of each value's length, the values; nothing of what begins and ends a COPY."""
    with duckdb.connect(str(tmp_path / "few.duckdb")) as session:
        session.execute(
            f"CREATE TABLE few AS SELECT i::BIGINT AS id, 'name ' || i AS name FROM range({rows}) AS r(i)"
        )
    with closing(connect(datasource("few", "duckdb", {"path": str(tmp_path / "few.duckdb")}))) as duck:
        journal = Journal()
        request = TransferRequest(Source(path=("main", "few")), ("public", "few"))
        result = run(plan(request, duck, writer.connector), journal=journal)
        entry = journal.entry(result.transfer_id)
    assert entry is not None
    assert (result.rows_transferred, result.bytes, entry.bytes) == (rows, size, size)
    writer.drop(("public", "few"))
