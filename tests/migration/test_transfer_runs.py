"""The target is old or new, never between: modes, failures at every step, cancelling, killing, resuming."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.duckdb import DuckdbReader, DuckdbWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.query_text import normalised
from migration.transfer import run as transfers
from migration.transfer import staging as stagings
from migration.transfer.explain import explain
from migration.transfer.journal import Journal
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer.undertaking import resume
from migration.transfer_model import Progress, TransferMode, TransferOptions, TransferRequest, TransferResult

pytestmark = pytest.mark.sampled

ROWS = 20_000


class World:
    """A source file, a target file and a journal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = Journal(directory / "journal.sqlite")
        with duckdb.connect(str(directory / "source.duckdb")) as connection:
            connection.execute(
                "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL DEFAULT 'x', m DECIMAL(18,4))"
            )
            connection.execute(
                f"INSERT INTO t SELECT i, 'name ' || i, i / 8 FROM range(1, {ROWS + 1}) AS r(i)"
            )
        self.source = self.open("source")
        self.target = self.open("target")

    def open(self, name: str) -> Connector:
        options = {"path": str(self.directory / f"{name}.duckdb"), "role": "read_write"}
        return connect(datasource(name, "duckdb", options))

    def request(self, mode: TransferMode = "replace", **changes: Any) -> TransferRequest:
        values: dict[str, Any] = {
            "source": Source(path=("main", "t")),
            "target": ("main", "u"),
            "source_name": "source",
            "target_name": "target",
        }
        return TransferRequest(mode=mode, **{**values, **changes})

    def run(self, mode: TransferMode = "replace", **changes: Any) -> TransferResult:
        request = self.request(mode, **changes)
        return run(plan(request, self.source, self.target, journal=self.journal), journal=self.journal)

    def change(self, statement: str) -> None:
        self.source.execute(statement)

    def rows(self, query: str = "SELECT * FROM u ORDER BY 1") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.directory / "target.duckdb")) as connection:
            return connection.execute(query).fetchall()

    def tables(self) -> list[str]:
        return [name for (name,) in self.rows("SELECT table_name FROM duckdb_tables() ORDER BY 1")]

    def old(self) -> None:
        """The target holds one old row."""
        with duckdb.connect(str(self.directory / "target.duckdb")) as connection:
            connection.execute(
                "CREATE TABLE u (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, m DECIMAL(18,4))"
            )
            connection.execute("INSERT INTO u VALUES (-1, 'old', NULL)")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.journal.close()


OLD = [(-1, "old", None)]


def test_a_new_target_gets_keys_not_null_and_defaults(world: World) -> None:
    result = world.run()
    assert (result.rows_transferred, result.source_row_count, result.transferred_row_count) == (ROWS,) * 3
    assert result.source_row_count_verified
    assert result.verdict == "pass"
    assert result.target_table_created
    assert "PRIMARY KEY (id)" in result.target_table_create_sql
    assert "DEFAULT 'x'" in result.target_table_create_sql
    assert world.tables() == ["u"]
    assert world.rows("SELECT count(*), sum(id) FROM u") == [(ROWS, ROWS * (ROWS + 1) // 2)]


def test_the_result_has_the_documented_keys_in_order(world: World) -> None:
    from proxy.commands.results import TRANSFER

    assert list(world.run().as_dict()) == [column.name for column in TRANSFER]


def test_replace_keeps_the_targets_own_shape(world: World) -> None:
    world.old()
    world.rows("ALTER TABLE u ALTER m TYPE DECIMAL(30,6)")
    result = world.run()
    assert (result.target_table_created, result.target_table_create_sql) == (False, "")
    assert world.rows("SELECT count(*), typeof(any_value(m)) FROM u") == [(ROWS, "DECIMAL(30,6)")]
    anew = world.run(options=TransferOptions(recreate=True))
    assert anew.target_table_created is False
    assert anew.target_table_create_sql.startswith("CREATE TABLE main.u")  # as EXPLAIN says it


def test_append_adds_and_create_refuses_what_exists(world: World) -> None:
    world.old()
    world.run("append")
    assert world.rows("SELECT count(*), min(id) FROM u") == [(ROWS + 1, -1)]
    with pytest.raises(MigrationError) as caught:
        world.run("create")
    assert caught.value.sqlstate == "42P07"
    assert world.run("create", target=("main", "v")).target_table_created


def test_upsert_updates_by_key_and_inserts_the_rest(world: World) -> None:
    world.old()
    world.rows("INSERT INTO u VALUES (5, 'to be updated', 0) RETURNING 1")
    world.run("upsert", key=("id",))
    assert world.rows("SELECT count(*) FROM u") == [(ROWS + 1,)]
    assert world.rows("SELECT name FROM u WHERE id = 5") == [("name 5",)]
    with pytest.raises(MigrationError, match="needs a key"):
        world.request("upsert")


def test_incremental_moves_what_is_new_and_keeps_its_watermark(world: World) -> None:
    assert world.run("incremental", cursor="id").rows_transferred == ROWS
    assert world.run("incremental", cursor="id").rows_transferred == 0
    world.change(f"INSERT INTO t VALUES ({ROWS + 1}, 'new', 1)")
    result = world.run("incremental", cursor="id")
    assert (result.rows_transferred, result.source_row_count) == (1, 1)
    assert world.rows("SELECT count(*) FROM u") == [(ROWS + 1,)]
    assert world.journal.watermark("source.main.t", "target.main.u", "id") == str(ROWS + 1)


def test_a_watermark_ends_where_the_target_is_replaced(world: World) -> None:
    """Of rows that came another way nobody knows which are missing and which would come twice."""
    world.run("incremental", cursor="id")
    few = Source(query="SELECT * FROM main.t WHERE id <= 5")
    world.run("replace", source=few)
    with pytest.raises(MigrationError, match="was replaced by transfer") as refusal:
        world.run("incremental", cursor="id")
    assert refusal.value.sqlstate == "55000"
    assert world.rows("SELECT count(*) FROM u") == [(5,)]
    assert world.run("incremental", cursor="id", key=("id",)).rows_transferred == ROWS
    assert world.rows("SELECT count(*), count(DISTINCT id) FROM u") == [(ROWS, ROWS)]
    world.change(f"INSERT INTO t VALUES ({ROWS + 1}, 'new', 1)")
    assert world.run("incremental", cursor="id").rows_transferred == 1  # and goes on from there


def test_the_first_incremental_transfer_adds_no_row_for_the_second_time(world: World) -> None:
    """After a full load somebody goes over to incremental ones: nobody knows how far the target is."""
    world.run("replace")
    with pytest.raises(MigrationError, match="has rows and no watermark") as refusal:
        world.run("incremental", cursor="id")
    assert refusal.value.sqlstate == "55000"
    assert world.rows("SELECT count(*) FROM u") == [(ROWS,)]
    assert world.run("incremental", cursor="id", key=("id",)).rows_transferred == ROWS
    assert world.run("incremental", cursor="id").rows_transferred == 0
    world.rows("CREATE TABLE v AS SELECT * FROM u WHERE false")
    assert world.run("incremental", cursor="id", target=("main", "v")).rows_transferred == ROWS


def test_a_cursor_is_for_incremental_alone(world: World) -> None:
    """Behind a watermark there may be no row: replace would empty the target."""
    world.run("incremental", cursor="id")
    for mode, key in (("replace", ()), ("append", ()), ("create", ()), ("upsert", ("id",))):
        with pytest.raises(MigrationError, match="takes no cursor") as refusal:
            world.run(mode, cursor="id", key=key)  # type: ignore[arg-type]
        assert refusal.value.sqlstate == "22023"
        assert (refusal.value.hint or "").startswith("MODE incremental CURSOR id")
    assert world.rows("SELECT count(*) FROM u") == [(ROWS,)]


@pytest.mark.parametrize(
    ("option", "value", "detail"),
    [
        ("batch_bytes", "1GB", "write a whole number"),
        ("batch_size", "0", "greater than zero"),
        ("ranges", "-1", "not be negative"),
        ("ranges", "1_000", "write a whole number"),
        ("tolerance", "x", "write a number"),
        ("verify", "L9", "the levels are"),
    ],
)
def test_an_option_s_value_is_refused_in_words(option: str, value: str, detail: str) -> None:
    with pytest.raises(MigrationError) as refusal:
        TransferOptions.from_pairs([(option, value)])
    assert refusal.value.sqlstate == "22023"
    assert detail in (refusal.value.detail or "")


def test_a_query_that_is_formatted_anew_keeps_its_watermark(world: World) -> None:
    first = "select id,name, m from main.t\nwhere name <> 'x  y';"
    assert world.run("incremental", cursor="id", source=Source(query=first)).rows_transferred == ROWS
    again = "SELECT id, name,m\n  FROM main.t WHERE name<>'x  y'"
    assert world.run("incremental", cursor="id", source=Source(query=again)).rows_transferred == 0
    other = "SELECT id, name, m FROM main.t WHERE name <> 'x y'"  # another literal: another query
    assert world.request("incremental", cursor="id", source=Source(query=other)).watermark_key != (
        world.request("incremental", cursor="id", source=Source(query=again)).watermark_key
    )
    # a watermark from before queries were evened out
    world.change(f"INSERT INTO t VALUES ({ROWS + 1}, 'new', 1)")
    item = world.request("incremental", cursor="id", source=Source(query=first), target=("main", "v"))
    world.rows("CREATE TABLE v AS SELECT * FROM u")
    world.journal.finish(
        world.journal.begin(source="", target="", mode=""),
        watermark_of=item.earlier_watermark_key,
        watermark=str(ROWS),
    )
    result = world.run("incremental", cursor="id", source=Source(query=first), target=("main", "v"))
    assert result.rows_transferred == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("select a from t", "SELECT  a\nFROM t ;", True),
        ("SELECT f(a)::int+1 FROM t", "SELECT f ( a ) :: int + 1 FROM t", True),
        ("SELECT a FROM t", "SELECT a FROM T", False),
        ("SELECT A FROM t", "SELECT a FROM t", False),
        ("SELECT 'a  b'", "SELECT 'a b'", False),
        ('SELECT "a  b" FROM t', 'SELECT "a b" FROM t', False),
        ("SELECT `a  b` FROM t", "SELECT `a b` FROM t", False),
        ("SELECT 'it''s  a'", "SELECT 'it''s a'", False),
        ("SELECT [a  b] FROM t", "SELECT [a b] FROM t", False),
        ("SELECT a -- x\n, b", "SELECT a -- x , b", False),
        ("SELECT a # x\n, b", "SELECT a # x , b", False),
        ("SELECT 5--3\n", "SELECT 5--4\n", False),
        ("SELECT '\\'  || 'x'", "SELECT '\\' || 'x'", False),
        ("SELECT $a$ x  y $a$", "SELECT $a$ x y $a$", False),
        ("SELECT 1.5", "SELECT 1 .5", False),
    ],
)
def test_only_what_means_nothing_is_evened_out(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


def test_incremental_by_timestamp_with_a_key_writes_the_last_instant_again(world: World) -> None:
    world.change("ALTER TABLE t ADD COLUMN seen TIMESTAMPTZ DEFAULT TIMESTAMPTZ '2024-01-01 00:00:00.5+00'")
    world.run("incremental", cursor="seen", key=("id",))
    world.change("UPDATE t SET name = 'changed', seen = TIMESTAMPTZ '2024-01-02 00:00:00+00' WHERE id = 3")
    result = world.run("incremental", cursor="seen", key=("id",), source=Source(path=("main", "t")))
    assert result.rows_transferred == ROWS  # all share the watermark's instant
    assert world.run("incremental", cursor="seen", key=("id",)).rows_transferred == 1
    assert world.rows("SELECT name FROM u WHERE id = 3") == [("changed",)]


def test_a_null_cursor_would_never_move_and_is_refused(world: World) -> None:
    with pytest.raises(MigrationError) as caught:
        world.run("incremental", cursor="m", source=Source(query="SELECT id, NULL::INTEGER AS m FROM t"))
    assert caught.value.sqlstate == "HV004"


def test_skip_leaves_a_column_out(world: World) -> None:
    world.run(options=TransferOptions.from_pairs([("skip", "m")]))
    assert world.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = 'u'") == [
        ("id",),
        ("name",),
    ]


def test_explain_prints_every_step_and_writes_nothing(world: World) -> None:
    with plan(world.request(), world.source, world.target) as item:
        rows = explain(item)
    steps = [step for step, _, _ in rows]
    assert steps == sorted(
        steps, key=["source", "column", "condition", "create", "staging", "move", "verify", "publish"].index
    )
    assert rows[0][2] == ROWS
    assert world.tables() == []


def test_progress_reports_phases_and_counts(world: World) -> None:
    seen: list[Progress] = []
    run(plan(world.request(), world.source, world.target), progress=seen.append)
    assert [item.phase for item in seen] == ["staging", "move", "verify", "publish"]
    assert (seen[-1].rows_done, seen[-1].percent) == (ROWS, 100)


def test_a_running_transfer_is_seen_in_the_journal(world: World) -> None:
    states = []

    def look(_: Progress) -> None:
        entry = world.journal.entries()[0]
        states.append((entry.state, entry.rows_total))

    run(plan(world.request(), world.source, world.target), journal=world.journal, progress=look)
    assert states == [("running", ROWS)] * 4
    entry = world.journal.entries()[0]
    assert (entry.state, entry.rows_done, entry.verdict, entry.staging) == ("done", ROWS, "pass", None)
    assert len(entry.row) == 15


class Broken(Exception):
    """An injected failure."""


def _raising(*_: Any, **__: Any) -> Any:
    raise Broken("injected")


STEPS: list[tuple[str, Callable[[pytest.MonkeyPatch], None]]] = [
    ("create staging", lambda patch: patch.setattr(transfers.stagings, "create", _raising)),
    ("check", lambda patch: patch.setattr(DuckdbWriter, "check", _raising)),
    ("write", lambda patch: patch.setattr(DuckdbWriter, "write", _raising)),
    ("verify", lambda patch: patch.setattr(transfers.verification, "verify", _raising)),
    ("publish", lambda patch: patch.setattr(DuckdbWriter, "publish", _raising)),
    ("inside publish", lambda patch: patch.setattr(DuckdbWriter, "commit", _raising)),
]


QUICK_STEPS = ("write", "inside publish")
SLOW_MODES = [pytest.param(mode, marks=pytest.mark.slow) for mode in ("append", "upsert")]


@pytest.mark.parametrize("mode", ["replace", *SLOW_MODES])
@pytest.mark.parametrize(
    ("step", "breaks"),
    [
        pytest.param(*step, id=step[0], marks=() if step[0] in QUICK_STEPS else pytest.mark.slow)
        for step in STEPS
    ],
)
def test_a_failure_at_any_step_leaves_the_old_rows(
    world: World, step: str, breaks: Callable[[pytest.MonkeyPatch], None], mode: TransferMode
) -> None:
    world.old()
    key = ("id",) if mode == "upsert" else ()
    with pytest.MonkeyPatch.context() as patch:
        breaks(patch)
        with pytest.raises(MigrationError) as caught:
            world.run(mode, key=key)
    assert caught.value.sqlstate == "VT001"
    assert world.rows() == OLD
    assert world.tables() == ["u"]
    entry = world.journal.entries()[0]
    assert (entry.state, entry.error) == ("failed", "injected")
    result = resume(world.journal, entry.id, world.source, world.target)
    assert (result.transfer_id, result.rows_transferred) == (entry.id, ROWS)


def test_what_staging_refuses_is_said_before_the_source_gives_a_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source is read while staging is made; who waits there for a first row is woken."""
    woken, waits = threading.Event(), []

    def read(*_: object, **__: object) -> Iterator[Any]:
        waits.append(woken.wait(60))
        yield from ()

    monkeypatch.setattr(DuckdbReader, "read", read)
    monkeypatch.setattr(world.source, "interrupt", woken.set)
    monkeypatch.setattr(transfers.stagings, "create", _raising)
    with pytest.raises(MigrationError, match="injected"):
        world.run()
    assert waits == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("transfer-")]


def test_a_duplicate_key_in_the_last_rows_leaves_the_old_rows(world: World) -> None:
    world.old()
    query = f"SELECT * FROM t UNION ALL SELECT {ROWS}, 'twice', 0"
    with pytest.raises(MigrationError) as caught:
        world.run(source=Source(query=query))
    assert caught.value.sqlstate == "23505"
    assert world.rows() == OLD
    assert world.tables() == ["u"]


def test_a_row_lost_on_the_way_is_found_before_it_is_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.old()
    write = DuckdbWriter.write

    def losing(self: DuckdbWriter, path: tuple[str, ...], batches: Any) -> Any:
        result = write(self, path, batches)
        self.execute(f"DELETE FROM {self.q(path)} WHERE id = 7")
        return result

    monkeypatch.setattr(DuckdbWriter, "write", losing)
    with pytest.raises(MigrationError) as caught:
        world.run()
    assert caught.value.sqlstate == "VT002"
    assert "count: source 20000, target 19999" in str(caught.value.detail)
    assert world.rows() == OLD


def test_a_value_changed_on_the_way_is_found_by_its_column(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = DuckdbWriter.write

    def changing(self: DuckdbWriter, path: tuple[str, ...], batches: Any) -> Any:
        result = write(self, path, batches)
        self.execute(f"UPDATE {self.q(path)} SET m = m + 0.0001 WHERE id = 7")
        return result

    monkeypatch.setattr(DuckdbWriter, "write", changing)
    with pytest.raises(MigrationError) as caught:
        world.run()
    assert 'sum of "m"' in str(caught.value.detail)


def test_cancelling_removes_staging(world: World) -> None:
    world.old()
    calls = iter(range(1000))
    with pytest.raises(MigrationError) as caught:
        run(
            plan(world.request(), world.source, world.target),
            journal=world.journal,
            cancelled=lambda: next(calls) >= 2,
        )
    assert caught.value.sqlstate == "57014"
    assert world.rows() == OLD
    assert world.tables() == ["u"]
    assert world.journal.entries()[0].state == "cancelled"


def test_nobody_interrupts_the_cleaning_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches for the cancel interrupts both engines until it is over: not when staging is dropped."""
    watching: list[bool] = []
    drop = stagings.drop_quietly

    def watched(target: Connector, staging: tuple[str, ...]) -> None:
        watching.append(any(thread.name == "transfer-watcher" for thread in threading.enumerate()))
        drop(target, staging)

    monkeypatch.setattr(stagings, "drop_quietly", watched)
    calls = iter(range(1000))
    with pytest.raises(MigrationError):
        run(plan(world.request(), world.source, world.target), cancelled=lambda: next(calls) >= 2)
    assert watching == [False]


def break_off(world: World, monkeypatch: pytest.MonkeyPatch) -> MigrationError:
    """A transfer in four pieces whose third fails, into a target with an old row."""
    world.old()
    write = DuckdbWriter.write
    calls = iter(range(10))

    def failing(self: DuckdbWriter, path: tuple[str, ...], batches: Any) -> Any:
        if next(calls) == 2:
            raise Broken("the third piece")
        return write(self, path, batches)

    with monkeypatch.context() as patch:
        patch.setattr(DuckdbWriter, "write", failing)
        with pytest.raises(MigrationError) as caught:
            world.run(options=TransferOptions.from_pairs([("ranges", "5000")]))
    return caught.value


def test_ranges_are_committed_one_by_one_and_resumed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = break_off(world, monkeypatch)
    assert refusal.hint is not None
    assert refusal.hint.startswith("RESUME TRANSFER 1")
    assert world.rows() == OLD
    staged = next(name for name in world.tables() if name != "u")
    assert world.rows(f"SELECT count(*) FROM {staged}") == [(10_000,)]
    written: list[int] = []
    write = DuckdbWriter.write

    def counting(self: DuckdbWriter, path: tuple[str, ...], batches: Any) -> Any:
        result = write(self, path, batches)
        written.append(result.rows)
        return result

    monkeypatch.setattr(DuckdbWriter, "write", counting)
    result = resume(world.journal, 1, world.source, world.target)
    assert sum(written) == 10_000
    assert result.rows_transferred == ROWS
    assert any(check.check == "fingerprint" for check in result.checks)
    assert world.tables() == ["u"]


def test_a_resume_notices_that_the_source_has_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_off(world, monkeypatch)
    world.change("UPDATE t SET name = 'NAME 1' WHERE id = 1")
    with pytest.raises(MigrationError) as caught:
        resume(world.journal, 1, world.source, world.target)
    assert caught.value.sqlstate == "VT002"
    assert world.rows() == OLD
    assert resume(world.journal, 1, world.source, world.target).rows_transferred == ROWS


def test_a_resume_starts_again_where_the_target_has_lost_what_it_had_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not write its log at each commit (synchronous_commit = off) has fewer after a crash."""
    break_off(world, monkeypatch)
    staged = next(name for name in world.tables() if name != "u")
    world.rows(f"DELETE FROM {staged} WHERE id > 5000")
    assert resume(world.journal, 1, world.source, world.target).rows_transferred == ROWS
    assert world.tables() == ["u"]


KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from migration.connectors import connect
    from migration.connectors.base import Source
    from migration.connectors.duckdb import DuckdbWriter
    from migration.datasources.datasource import datasource
    from migration.transfer.journal import Journal
    from migration.transfer.plan import plan
    from migration.transfer.run import run
    from migration.transfer_model import TransferOptions, TransferRequest
    home, step = Path(sys.argv[1]), sys.argv[3]
    ends = [connect(datasource(n, "duckdb", {"path": str(home / (n + ".duckdb")), "role": "read_write"}))
            for n in ("source", "target")]
    original = getattr(DuckdbWriter, step)
    calls = []
    def dying(self, *arguments, **named):
        result = original(self, *arguments, **named)
        calls.append(1)
        if len(calls) == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(DuckdbWriter, step, dying)
    request = TransferRequest(Source(path=("main", "t")), ("main", "u"), source_name="source", target_name="target",
                              options=TransferOptions(range_rows=5000))
    run(plan(request, *ends), journal=Journal(home / "journal.sqlite"))
""")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "times", "published"),
    [
        ("execute", 2, False),
        ("check", 1, False),
        ("write", 1, False),
        ("write", 3, False),
        ("row", 1, False),
        ("publish", 1, True),
    ],
)
def test_a_killed_process_leaves_old_or_new_and_can_be_resumed(
    tmp_path: Path, step: str, times: int, published: bool
) -> None:
    world = World(tmp_path)
    world.old()
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), root, step, str(times)],
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    if published:
        assert world.rows("SELECT count(*) FROM u") == [(ROWS,)]
    else:
        assert world.rows() == OLD
    entries = world.journal.interrupt_orphans()
    assert [entry.id for entry in entries] == [1]
    if published:
        with pytest.raises(MigrationError, match="it had been published"):
            resume(world.journal, 1, world.source, world.target)
        assert world.journal.entries()[0].state == "done"
    else:
        assert resume(world.journal, 1, world.source, world.target).rows_transferred == ROWS
    assert world.tables() == ["u"]
    assert world.rows("SELECT count(*) FROM u") == [(ROWS,)]
    world.journal.close()


def test_replace_into_sqlite_works_on_new_and_existing_tables(world: World, tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    sqlite3.connect(path).close()
    target = connect(datasource("lite", "sqlite", {"path": str(path), "role": "read_write"}))
    for _ in range(2):
        request = world.request(target=("u",), options=TransferOptions(verify="L4"))
        assert run(plan(request, world.source, target)).verdict == "pass"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*), sum(id), min(m) FROM u").fetchall() == [
            (ROWS, ROWS * (ROWS + 1) // 2, "0.1250")
        ]
    connection.close()


def test_an_empty_source_still_makes_its_table(world: World) -> None:
    result = world.run(source=Source(query="SELECT * FROM t WHERE false"))
    assert (result.rows_transferred, result.target_table_created) == (0, True)
    assert world.rows() == []


def test_odd_names_are_names(world: World) -> None:
    world.run(
        source=Source(query='SELECT id AS "My ""Id", name AS "select" FROM t'),
        target=("main", "Grün-1 table"),
    )
    assert world.rows('SELECT count(*), max("My ""Id") FROM "Grün-1 table"') == [(ROWS, ROWS)]


@pytest.mark.parametrize(
    ("pairs", "sqlstate"),
    [
        ([("nobody", "1")], "22023"),
        ([("verify", "L9")], "22023"),
        ([("batch_size", "0")], "22023"),
        ([("cast", "m numeric")], "22023"),
    ],
)
def test_bad_options_are_refused(pairs: list[tuple[str, str]], sqlstate: str) -> None:
    with pytest.raises(MigrationError) as caught:
        TransferOptions.from_pairs(pairs)
    assert caught.value.sqlstate == sqlstate


def test_a_request_survives_the_journal(world: World) -> None:
    options = TransferOptions.from_pairs([("cast", 'm AS numeric(20,4), "a,b" AS date'), ("skip", "name")])
    assert options.casts == {"m": "numeric(20,4)", "a,b": "date"}
    request = world.request("upsert", key=("id",), options=options)
    assert TransferRequest.from_json(request.to_json()) == request
