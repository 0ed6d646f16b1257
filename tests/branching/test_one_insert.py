"""INSERT of given rows outside a block: one statement of the engine, whose log entry is written a moment later."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlglot

import branching
from branching import BoughError, branches, commit_log
from branching.connection import Connection
from branching.ddl import model as d
from branching.engine.base import EngineError, ErrorKind
from branching.engine.duckdb import DuckDBCursor
from branching.manifest import Author
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled

ROOT = Path(branching.__file__).parent.parent
INSERT = "INSERT INTO t VALUES ($1, $2)"


def run(connection: Connection, text: str, *parameters: Any, key: object = None) -> list[tuple[Any, ...]]:
    tree = sqlglot.parse_one(text, dialect="duckdb")
    return connection.execute(tree, parameters, None, key).fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = branching.open(tmp_path / "d.duckdb")
    connection = opened.connect()
    run(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER CHECK (v < 100))")
    connection.close()
    yield opened
    opened.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine is asked from now on."""
    asked: list[str] = []
    original = DuckDBCursor._run

    def noted(self: DuckDBCursor, sql: str, parameters: Any) -> Any:
        asked.append(sql)
        return original(self, sql, parameters)

    monkeypatch.setattr(DuckDBCursor, "_run", noted)
    return asked


def log(database: branching.Database) -> list[tuple[Any, ...]]:
    database.commit_log.flush()
    return database.root.cursor().query(
        "SELECT version, role, statement, inserted, committed_at FROM bough_meta.commits ORDER BY version"
    )


def test_it_is_one_statement_and_the_log_tells_of_it(
    database: branching.Database, statements: list[str]
) -> None:
    connection = database.connect(role="ada")
    connection.statement_text = "insert it"
    before = len(log(database))
    run(connection, INSERT, 1, 10)
    del statements[:]
    result = connection.execute(sqlglot.parse_one("INSERT INTO t VALUES (2, 20), (3, 30)", dialect="duckdb"))
    assert result.rowcount == 2
    assert len([text for text in statements if "commits" not in text]) == 1
    new = log(database)[before:]
    assert [row[1:4] for row in new] == [("ada", "insert it", 1), ("ada", "insert it", 2)]
    assert new[0][0] < new[1][0] and new[0][4] <= new[1][4]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT 1, 2",
        "INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES (1, 2) RETURNING id",
        "INSERT INTO t VALUES (1, (SELECT 2))",
        "INSERT INTO child VALUES (1, 5)",
    ],
)
def test_what_is_not_simple_is_a_transaction(
    database: branching.Database, statements: list[str], text: str
) -> None:
    connection = database.connect()
    run(connection, "CREATE TABLE child (id INTEGER, t INTEGER REFERENCES t (id))")
    run(connection, "INSERT INTO t VALUES (5, 5)")
    del statements[:]
    run(connection, text)
    assert "COMMIT" in statements


def test_errors_are_those_of_any_insert(database: branching.Database) -> None:
    connection = database.connect()
    run(connection, INSERT, 1, 10)
    before = len(log(database))
    for values, sqlstate in (((1, 11), "23505"), ((2, 100), "23514"), ((None, 1), "23502")):
        with pytest.raises(BoughError) as raised:
            run(connection, INSERT, *values)
        assert raised.value.sqlstate == sqlstate
    assert run(connection, "SELECT * FROM t") == [(1, 10)]
    assert len(log(database)) == before


@pytest.mark.parametrize("done", [True, False])
def test_an_error_at_the_end_of_a_durable_statement_is_none(
    database: branching.Database, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    connection = database.connect()
    run(connection, INSERT, 1, 10)
    original, met = DuckDBCursor.execute, []

    def interrupted(self: DuckDBCursor, sql: str, parameters: Any = ()) -> int | None:
        if sql.startswith("EXECUTE"):  # the second time, the statement has a plan
            met.append(sql)
            if done:
                original(self, sql, parameters)
            raise EngineError(ErrorKind.INTERRUPTED, "InterruptException", "interrupted", sql)
        return original(self, sql, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBCursor, "execute", interrupted)
        if done:
            run(connection, 'INSERT INTO "t" VALUES ($1, $2)', 2, 20)
        else:
            with pytest.raises(BoughError) as raised:
                run(connection, 'INSERT INTO "t" VALUES ($1, $2)', 2, 20)
            assert raised.value.sqlstate == "57014"
    assert met and run(connection, "SELECT count(*) FROM t") == [(1 + done,)]


def test_after_a_crash_versions_of_rows_that_were_changed_since_are_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a row is an old image by now. Without the entry a look at what was before would show it."""
    monkeypatch.setattr(commit_log, "_DELAY", 600.0)
    opened = branching.open(tmp_path / "d.duckdb", retention=3600)
    main = opened.connect()
    main.execute(sqlglot.parse_one("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", dialect="duckdb"))
    before = opened.clock.version
    run(main, "INSERT INTO t VALUES (1, 0)")
    inserted = opened.clock.version
    run(main, "UPDATE t SET v = 1")
    for end in ("", ".wal"):
        shutil.copy(f"{opened.path}{end}", f"{tmp_path / 'crashed.duckdb'}{end}")
    main.close()
    opened.close()
    again = branching.open(tmp_path / "crashed.duckdb", retention=3600)
    assert again.root.query(f"SELECT branch FROM bough_meta.commits WHERE version = {inserted}") == [(0,)]
    branches.create(again, "b", "main", role="ada", as_of=before)
    assert run(again.connect("b"), "SELECT * FROM t") == []
    again.close()


def test_after_kill_9_every_version_of_a_row_is_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "d.duckdb"
    program = (
        "import branching, os, signal, sqlglot, sys\n"
        "c = branching.open(sys.argv[1]).connect()\n"
        "def run(text): c.execute(sqlglot.parse_one(text, dialect='duckdb'))\n"
        "run('CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)')\n"
        "for number in range(40): run(f'INSERT INTO t VALUES ({number}, 0)')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, timeout=60, check=False)
    assert killed.returncode == -9
    opened = branching.open(path)
    try:
        assert run(opened.connect(), "SELECT count(*) FROM t") == [(40,)]
        unknown = (
            "SELECT count(*) FROM main.t WHERE _bough_ver NOT IN (SELECT version FROM bough_meta.commits)"
        )
        assert opened.root.cursor().query(unknown) == [(0,)]
        highest = opened.root.cursor().query("SELECT max(_bough_ver) FROM main.t")[0][0]
        assert opened.clock.version >= highest
        fork = branches.create(opened, "b", "main", role="ada")
        assert fork.record.fork.version >= highest
        run(opened.connect(), "INSERT INTO t VALUES (100, 0)")
        assert run(opened.connect("b"), "SELECT count(*) FROM t") == [(40,)]
    finally:
        opened.close()


def test_the_mark_goes_with_a_clean_end(tmp_path: Path) -> None:
    path = tmp_path / "d.duckdb"
    opened = branching.open(path)
    connection = opened.connect()
    run(connection, "CREATE TABLE t (id INTEGER)")
    run(connection, "INSERT INTO t VALUES (1)")
    mark = "SELECT count(*) FROM bough_meta.meta WHERE key = 'commits_marked'"
    assert opened.root.cursor().query(mark) == [(1,)]
    entries = len(log(opened))
    opened.close()
    opened = branching.open(path)
    assert opened.root.cursor().query(mark) == [(0,)]
    assert len(log(opened)) == entries
    opened.close()


def test_forks_and_alterations_in_a_storm_of_inserts(database: branching.Database) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []
    done: list[int] = []

    def insert(start: int) -> None:
        connection = database.connect()
        number = start
        try:
            while not stop.is_set():
                run(connection, "INSERT INTO t (id, v) VALUES ($1, 1)", number, key="k")
                done.append(number)
                number += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=insert, args=(start * 1_000_000,)) for start in range(3)]
    for thread in threads:
        thread.start()
    main = database.connect()
    seen = []
    for number in range(6):
        line = branches.create(database, f"f{number}", "main", role="ada")
        fork = database.connect(line.name)
        seen.append((fork, run(fork, "SELECT count(*), sum(id) FROM t")))
        column = sqlglot.parse_one(f"CREATE TABLE x (c{number} INTEGER DEFAULT {number})", dialect="duckdb")
        main.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column.this.expressions[0]),)))
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert run(main, "SELECT id FROM t ORDER BY id") == [(number,) for number in sorted(done)]
    assert run(main, "SELECT count(*) FROM t WHERE c0 IS DISTINCT FROM 0 OR c5 IS DISTINCT FROM 5") == [(0,)]
    for fork, counted in seen:
        assert run(fork, "SELECT count(*), sum(id) FROM t") == counted


def test_a_merge_explained_before_an_insert_is_refused(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="ada")
    branch, main = database.connect("b"), database.connect()
    run(branch, "INSERT INTO t VALUES (1, 1)")
    token = merge_apply.explain(database, "b", "main", author=Author())[1]
    assert token == merge_apply.explain(database, "b", "main", author=Author())[1]
    run(main, "INSERT INTO t VALUES (2, 2)")
    with pytest.raises(BoughError) as raised:
        merge_apply.merge(database, "b", "main", token=token, author=Author())
    assert raised.value.sqlstate == "40001"
    token = merge_apply.explain(database, "b", "main", author=Author())[1]
    database.commit_log.flush()
    merge_apply.merge(database, "b", "main", token=token, author=Author())
    assert run(main, "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
