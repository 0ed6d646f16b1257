"""Datasources that are files: several of them on one file, at the same time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferRequest


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "lake.duckdb")
    with duckdb.connect(path) as made:
        made.execute("CREATE TABLE t AS SELECT 1 AS id").fetchall()
    return path


def test_one_file_is_read_and_written_by_two_datasources(file: str) -> None:
    """The reader joins the writer, and cannot write for all that; the writer waits for who only reads."""
    read = connect(datasource("r", "duckdb", {"path": file}))
    write = connect(datasource("w", "duckdb", {"path": file, "role": "read_write"}))
    with write.writer() as writer:
        with read.reader() as reader:
            (batch,) = reader.read(Source(query="SELECT * FROM t"))
            assert batch.num_rows == 1
            with pytest.raises(MigrationError) as refusal:
                list(reader.read(Source(query="INSERT INTO t VALUES (2) RETURNING id")))
            assert refusal.value.sqlstate == "25006"
            with pytest.raises(MigrationError) as refusal:
                reader.rows("INSERT INTO t VALUES (2)")  # type: ignore[attr-defined]
            assert "read-only" in refusal.value.message
        assert writer.exists(("main", "t"))
    reader = read.reader()
    ended = threading.Timer(0.5, reader.close)
    began = time.monotonic()
    ended.start()
    write.execute("INSERT INTO t VALUES (2)")
    assert time.monotonic() - began > 0.4
    ended.join()
    with read.reader() as reader:
        assert sum(batch.num_rows for batch in reader.read(Source(query="SELECT * FROM t"))) == 2


def test_a_file_that_stays_open_is_in_use(file: str) -> None:
    read = connect(datasource("r", "duckdb", {"path": file}))
    write = connect(
        datasource("w", "duckdb", {"path": file, "role": "read_write", "connect_timeout": "200ms"})
    )
    with read.reader(), pytest.raises(MigrationError) as refusal:
        write.execute("INSERT INTO t VALUES (2)")
    assert refusal.value.sqlstate == "55006"


def test_a_sqlite_file_is_made_by_who_writes_first(tmp_path: Path, file: str) -> None:
    """Reading it before makes nothing, and finds nothing; where nobody may write, a missing file is an error."""
    path = tmp_path / "new.sqlite"
    connector = connect(datasource("n", "sqlite", {"path": str(path), "role": "read_write"}))
    assert connector.tables() == []
    connector.test()
    assert not path.exists()
    source = connect(datasource("s", "duckdb", {"path": file}))
    request = TransferRequest(Source(path=("main", "t")), ("main", "t"), source_name="s", target_name="n")
    assert undertake(request, source, connector, journal=Journal()).verdict == "pass"
    assert [entry.name for entry in connector.tables()] == ["t"]
    for options in (
        {"path": str(tmp_path / "no.sqlite")},
        {"path": str(tmp_path / "no" / "no.sqlite"), "role": "read_write"},
    ):
        with pytest.raises(MigrationError) as refusal:
            connect(datasource("r", "sqlite", options)).tables()
        assert refusal.value.sqlstate == "HV00N"


def test_sqlite_estimates_rows_where_it_was_analyzed(tmp_path: Path) -> None:
    there = connect(datasource("lite", "sqlite", {"path": str(tmp_path / "a.sqlite"), "role": "read_write"}))
    there.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    there.execute("CREATE INDEX i ON t (b)")
    there.execute("INSERT INTO t (b) VALUES ('x'), ('x'), (NULL)")
    assert [entry.rows for entry in there.tables()] == [None]
    there.execute("ANALYZE")
    assert [entry.rows for entry in there.tables()] == [3]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("DELETE FROM p", "23503"),
        ("INSERT INTO c VALUES (2)", "23503"),
        ("INSERT INTO p VALUES (1)", "23505"),
        ("INSERT INTO p VALUES (NULL)", "23502"),
        ("INSERT INTO p VALUES (-1)", "23514"),
    ],
)
def test_what_a_duckdb_file_refuses_has_its_sqlstate(tmp_path: Path, statement: str, sqlstate: str) -> None:
    path = str(tmp_path / "kept.duckdb")
    with duckdb.connect(path) as made:
        made.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, CHECK (id > 0))")
        made.execute("CREATE TABLE c (p INTEGER REFERENCES p)")
        made.execute("INSERT INTO p VALUES (1)")
        made.execute("INSERT INTO c VALUES (1)")
    with pytest.raises(MigrationError) as refusal:
        connect(datasource("w", "duckdb", {"path": path, "role": "read_write"})).execute(statement)
    assert refusal.value.sqlstate == sqlstate
