"""A process that is killed at the COMMIT that publishes: whoever comes next knows on which side of it."""

from __future__ import annotations

import json
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
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import abandon, resume

pytestmark = pytest.mark.sampled

_ENGINES = [
    "duckdb",
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.mariadb),
    pytest.param("postgres", marks=pytest.mark.postgres),
]

KILLED = textwrap.dedent("""
    import json, os, signal, sys
    from pathlib import Path
    from migration.connectors import connect
    from migration.connectors.base import Source
    from migration.datasources.datasource import datasource
    from migration.transfer.journal import Journal
    from migration.transfer_model import TransferRequest
    from migration.transfer import run as runs
    from migration.transfer.undertaking import undertake
    home, engine, options, moment, mode = Path(sys.argv[1]), *sys.argv[2:]
    source = connect(datasource("source", "duckdb", {"path": str(home / "source.duckdb")}))
    target = connect(datasource("target", engine, json.loads(options)))
    with target.writer() as writer:
        kind = type(writer)
    publish, commit = kind.publish, kind.commit
    publishing = []
    def published(self, *given):
        publishing.append(1)
        return publish(self, *given)
    def committed(self):
        if publishing and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)
        if publishing and moment == "behind":
            os.kill(os.getpid(), signal.SIGKILL)
    drop = kind.drop
    def dropped(self, path):
        if moment == "renamed" and "__old_" in path[-1]:
            os.kill(os.getpid(), signal.SIGKILL)
        drop(self, path)
    if moment == "finishing":
        runs.finish = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
    kind.publish, kind.commit, kind.drop = published, committed, dropped
    key = ("id",) if mode == "upsert" else ()
    request = TransferRequest(Source(path=("main", "s")), ("killed",), mode=mode, key=key)
    undertake(request, source, target, journal=Journal(home / "journal.sqlite"))
""")


@pytest.fixture
def options(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    engine = request.getfixturevalue("engine")
    if engine in ("duckdb", "sqlite"):
        return {"path": str(tmp_path / "target"), "role": "read_write"}
    server: Server = request.getfixturevalue("mariadb" if engine == "mysql" else "postgres")
    names: dict[str, Any] = {"host": server.host, "port": server.port, "user": server.user}
    names |= {"database": server.database, "password": server.password, "role": "read_write"}
    return {name: str(value) for name, value in names.items()}


@pytest.fixture
def target(engine: str, options: dict[str, str]) -> Iterator[Connector]:
    made = options.get("path")
    if made and engine == "duckdb":
        duckdb.connect(made).close()
    elif made:
        Path(made).touch()
    with closing(connect(datasource("target", engine, options))) as connector:
        connector.execute("DROP TABLE IF EXISTS killed")
        connector.execute("CREATE TABLE killed (id BIGINT PRIMARY KEY, v BIGINT)")
        connector.execute("INSERT INTO killed VALUES (1, 10), (50, 500)")
        yield connector
        connector.execute("DROP TABLE IF EXISTS killed")


def rows(target: Connector) -> list[tuple[Any, ...]]:
    with target.writer() as writer:
        found = writer.fetch("SELECT id, v FROM killed ORDER BY 1")
        assert not writer.leftovers()
    return [tuple(row.values()) for row in found.to_pylist()]


def finds_it_published(home: Path, target: Connector) -> None:
    source = connect(datasource("source", "duckdb", {"path": str(home / "source.duckdb")}))
    with closing(Journal(home / "journal.sqlite")) as journal, closing(source):
        (entry,) = journal.interrupt_orphans()
        with pytest.raises(MigrationError, match="it had been published"):
            resume(journal, entry.id, source, target)


def killed(home: Path, *given: str) -> None:
    """A process that undertakes the transfer and ends in the middle of it."""
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), *given],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("moment", ["before", "behind"])
def test_rows_are_published_once(
    engine: str, mode: str, moment: str, options: dict[str, str], target: Connector, tmp_path: Path
) -> None:
    first = 2 if mode == "append" else 1
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute(f"CREATE TABLE s AS SELECT id, -id AS v FROM range({first}, 5) AS r(id)")
    if engine == "duckdb":
        target.close()
    killed(tmp_path, engine, json.dumps(options), moment, mode)
    source = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    with closing(Journal(tmp_path / "journal.sqlite")) as journal, closing(source):
        (entry,) = journal.interrupt_orphans()
        assert (entry.state, entry.error) == ("publishing", "the server ended while it published")
        if moment == "behind":
            with pytest.raises(MigrationError, match="it had been published"):
                resume(journal, entry.id, source, target)
        else:
            resume(journal, entry.id, source, target)
        assert journal.entries()[0].state == "done"
    kept = [(1, 10)] if mode == "append" else []
    assert rows(target) == [*kept, *((number, -number) for number in range(first, 5)), (50, 500)]


@pytest.mark.mariadb
@pytest.mark.parametrize("engine", ["mysql"])
def test_staged_rows_that_a_crashed_server_has_lost_are_not_taken_for_published(
    options: dict[str, str], target: Connector, tmp_path: Path
) -> None:
    """``innodb_flush_log_at_trx_commit`` 0 or 2: what was committed in the last second is gone."""
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT id, -id AS v FROM range(2, 5) AS r(id)")
    killed(tmp_path, "mysql", json.dumps(options), "before", "append")
    source = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    with closing(Journal(tmp_path / "journal.sqlite")) as journal, closing(source):
        (entry,) = journal.interrupt_orphans()
        assert entry.staging is not None
        target.execute(f"DELETE FROM {entry.staging[-1]} LIMIT 2")
        resume(journal, entry.id, source, target)
    assert rows(target) == [(1, 10), (2, -2), (3, -3), (4, -4), (50, 500)]


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("mysql", marks=pytest.mark.mariadb)])
@pytest.mark.parametrize("moment", ["before", "behind"])
def test_what_was_published_cannot_be_cancelled(
    engine: str, moment: str, options: dict[str, str], target: Connector, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT id, -id AS v FROM range(2, 5) AS r(id)")
    killed(tmp_path, engine, json.dumps(options), moment, "append")
    source = connect(datasource("source", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    with closing(Journal(tmp_path / "journal.sqlite")) as journal, closing(source):
        (entry,) = journal.interrupt_orphans()
        if moment == "behind":
            with pytest.raises(MigrationError, match="it had been published"):
                abandon(journal, entry.id, source, target)
        else:
            abandon(journal, entry.id, source, target)
        assert journal.entries()[0].state == ("done" if moment == "behind" else "cancelled")
    assert len(rows(target)) == (5 if moment == "behind" else 2)


@pytest.mark.mariadb
@pytest.mark.parametrize("engine", ["mysql"])
def test_the_old_table_goes_where_a_process_was_killed_before_it_dropped_it(
    options: dict[str, str], target: Connector, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT id, -id AS v FROM range(2, 5) AS r(id)")
    killed(tmp_path, "mysql", json.dumps(options), "renamed", "replace")
    finds_it_published(tmp_path, target)
    assert rows(target) == [(number, -number) for number in range(2, 5)]


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres"])
def test_generated_numbers_go_on_behind_rows_whose_process_was_killed(
    options: dict[str, str], target: Connector, tmp_path: Path
) -> None:
    target.execute("ALTER TABLE killed ALTER id ADD GENERATED BY DEFAULT AS IDENTITY")
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT id, -id AS v FROM range(1, 5) AS r(id)")
    killed(tmp_path, "postgres", json.dumps(options), "finishing", "replace")
    finds_it_published(tmp_path, target)
    target.execute("INSERT INTO killed (v) VALUES (0)")
    assert rows(target) == [(1, -1), (2, -2), (3, -3), (4, -4), (5, 0)]
