"""kill -9 before any statement of a transfer: the target has the old rows or the new ones, and whoever resumes it, or
runs it again, finds the new ones and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from servers import Server

from migration import scratch
from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import resume, undertake
from migration.transfer_model import TransferMode, TransferOptions, TransferRequest

WORKER = Path(__file__).with_name("kill_worker.py")
ROWS = 2000
ENGINES = [
    "duckdb",
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.mariadb),
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),
]
TABLE = {"duckdb": ("main", "struck"), "postgres": ("public", "struck")}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them have their temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def worker(temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=WORKER.parents[2],
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "PYTHONPATH": f"{WORKER.parents[2]}:{WORKER.parents[1]}",
        },
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


class World:
    """A target, what is moved there, and the worker that does it."""

    def __init__(self, home: Path, engine: str, options: dict[str, str], mode: TransferMode) -> None:
        self.home, self.engine, self.options, self.mode = home, engine, options, mode
        self.rows_file = str(home / "source.duckdb")
        first = 2 if mode == "append" else 1
        with duckdb.connect(self.rows_file) as connection:
            connection.execute("CREATE TABLE s (id BIGINT PRIMARY KEY, v BIGINT)")
            connection.execute(f"INSERT INTO s SELECT id, -id FROM range({first}, {ROWS + 1}) AS r(id)")
        kept = [(1, 10)] if mode == "append" else []
        self.old = [(1, 10), (ROWS + 7, 70)]
        self.new = [*kept, *((id_, -id_) for id_ in range(first, ROWS + 1))]
        self.new += [] if mode == "replace" else [(ROWS + 7, 70)]
        self.request = TransferRequest(
            Source(path=("main", "s")),
            TABLE.get(engine, ("struck",)),
            mode=mode,
            key=("id",) if mode == "upsert" else (),
            options=TransferOptions(range_rows=700),
            source_name="here",
            target_name="there",
        )

    def target(self) -> Connector:
        return connect(datasource("there", self.engine, self.options))

    def journal(self) -> Journal:
        return Journal(self.home / "journal.sqlite")

    def prepare(self) -> None:
        for file in self.home.glob("journal.sqlite*"):
            file.unlink()
        with closing(self.target()) as target:
            if self.engine in ("duckdb", "sqlite"):
                Path(self.options["path"]).unlink(missing_ok=True)
                if self.engine == "duckdb":
                    duckdb.connect(self.options["path"]).close()
            self.drop(target)
            more = (
                ", PRIMARY KEY (id)) ENGINE = MergeTree"
                if self.engine == "clickhouse"
                else ", PRIMARY KEY (id))"
            )
            target.execute(f"CREATE TABLE struck (id BIGINT NOT NULL, v BIGINT{more}")
            target.execute(f"INSERT INTO struck VALUES {', '.join(map(str, self.old))}")

    def drop(self, target: Connector) -> None:
        with target.writer() as writer:
            writer.cleanup()
            writer.drop(self.request.target)

    def found(self, target: Connector) -> list[tuple[Any, ...]]:
        with target.reader() as reader:
            table = reader.fetch("SELECT id, v FROM struck ORDER BY id")
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def run(self, worker: subprocess.Popen[bytes], number: int, action: str = "begin") -> bool:
        """Whether the transfer ended before the process was killed."""
        assert worker.stdin is not None and worker.stdout is not None
        file = str(self.home / "journal.sqlite")
        asked = [file, self.rows_file, self.engine, self.options, self.request.to_json(), number, action]
        worker.stdin.write(json.dumps(asked).encode() + b"\n")
        worker.stdin.flush()
        answer = worker.stdout.readline().decode().strip()
        assert answer in ("done", "killed"), answer
        return answer == "done"

    def recover(self, target: Connector, journal: Journal, *, resumed: bool) -> None:
        """Resumes it, or runs it again."""
        entries = journal.interrupt_orphans()
        with closing(connect(datasource("here", "duckdb", {"path": self.rows_file}))) as source:
            try:
                if entries and resumed:
                    resume(journal, entries[0].id, source, target)
                else:
                    undertake(self.request, source, target, journal=journal)
            except MigrationError as error:
                assert "had been published" in error.message

    def check(
        self,
        worker: subprocess.Popen[bytes],
        number: int,
        *,
        resumed: bool,
        then: tuple[int, str] | None = None,
    ) -> bool:
        """Kills it before that statement, and then perhaps what deals with that, and looks what is there. True if it
        ended before."""
        self.prepare()
        ended = self.run(worker, number)
        if then is not None and not ended and self.open():
            self.run(worker, *then)
        with closing(self.target()) as target, closing(self.journal()) as journal:
            found = self.found(target)
            assert found in (self.old, self.new), number
            if not ended and (found == self.old or self.open()):
                self.recover(target, journal, resumed=resumed)
            assert self.found(target) == self.new, number
            with target.writer() as writer:
                assert writer.leftovers() == (), number
            entries = journal.entries()
            assert "done" in [entry.state for entry in entries], number
            assert not [e for e in entries if e.staging or e.state in ("running", "publishing")], number
            scratch.remove_abandoned()
            assert not list(Path(tempfile.gettempdir()).iterdir()), number
            self.drop(target)
        return ended

    def open(self) -> bool:
        """Whether a transfer broke off, and nobody knows how it ended."""
        with closing(self.journal()) as journal:
            return bool(journal.interrupt_orphans())

    def check_failing(self, worker: subprocess.Popen[bytes], number: int, *, resumed: bool) -> bool:
        """The same where a key of the last rows is there already: it fails until that row is gone."""
        self.prepare()
        clash = (ROWS, 5)
        with closing(self.target()) as target:
            target.execute(f"INSERT INTO struck VALUES {clash}")
        old = sorted([*self.old, clash])
        ended = self.run(worker, number)
        with closing(self.target()) as target, closing(self.journal()) as journal:
            assert self.found(target) == old, number
            entries = journal.interrupt_orphans() or [e for e in journal.entries() if e.state == "failed"]
            with closing(connect(datasource("here", "duckdb", {"path": self.rows_file}))) as source:
                for clashes in (True, False):
                    if not clashes:
                        target.execute(f"DELETE FROM struck WHERE id = {ROWS}")
                    try:
                        if entries and resumed:
                            resume(journal, entries[0].id, source, target)
                        else:
                            undertake(self.request, source, target, journal=journal)
                    except MigrationError as error:
                        assert clashes and error.sqlstate == "23505", (number, error)
                    else:
                        assert not clashes, number
                    assert self.found(target) == (old if clashes else self.new), number
            with target.writer() as writer:
                assert writer.leftovers() == (), number
            self.drop(target)
        return ended


@pytest.fixture
def world(
    engine: str,
    mode: TransferMode,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    if engine in ("duckdb", "sqlite"):
        options = {"path": str(tmp_path / "target"), "role": "read_write"}
    else:
        server: Server = request.getfixturevalue("mariadb" if engine == "mysql" else engine)
        options = {**server.options, "role": "read_write"}
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # not of servers that start
    return World(tmp_path, engine, options, mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_somewhere_it_is_old_or_new_and_can_be_done_again(
    world: World, worker: subprocess.Popen[bytes]
) -> None:
    random = Random(f"{world.engine} {world.mode}")
    for number in random.sample(range(3, 100), 3):
        world.check(worker, number, resumed=random.random() < 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize("engine", ENGINES)
def test_who_resumes_or_cancels_may_be_killed_too(world: World, worker: subprocess.Popen[bytes]) -> None:
    random = Random(f"{world.engine} {world.mode} twice")
    for action in ("resume", "resume", "cancel", "begin"):
        then = (random.randrange(1, 40), action)
        world.check(worker, random.randrange(30, 100), resumed=random.random() < 0.5, then=then)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["append"])
@pytest.mark.parametrize("engine", ["duckdb", "sqlite", *ENGINES[2:4]])
def test_what_failed_and_was_killed_then_has_not_been_published(
    world: World, worker: subprocess.Popen[bytes]
) -> None:
    random = Random(f"{world.engine} fails")
    for number in random.sample(range(60, 110), 3):
        world.check_failing(worker, number, resumed=random.random() < 0.8)
