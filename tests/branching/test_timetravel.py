"""The past: reads AS OF, forks of a moment, resets to a version, and what the retention keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlglot
from merge_lab import column
from sqlglot import exp

import branching
from branching import Author, BoughError, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.detach import Limits
from branching.gc import collect as gc
from branching.merge import apply as merge_apply
from branching.past import moments as timetravel
from branching.reset import reset

pytestmark = pytest.mark.sampled

HOUR = 3600


def run(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def head(database: branching.Database) -> int:
    database.commit_log.flush()
    cursor = database.root.cursor()
    try:
        return int(
            cursor.query("SELECT version FROM bough_meta.commits ORDER BY committed_at DESC LIMIT 1")[0][0]
        )
    finally:
        cursor.close()


def then(connection: Connection, version: int, table: str = "t") -> list[tuple[object, ...]]:
    return run(connection, f"SELECT * FROM {table} FOR VERSION AS OF {version} ORDER BY ALL")


@pytest.fixture(params=[0, HOUR], ids=["no retention", "retention"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[branching.Database]:
    database = branching.open(tmp_path / "d.duckdb", retention=request.param)
    with_rows(database)
    yield database
    database.close()


def with_rows(database: branching.Database) -> None:
    connection = database.connect()
    run(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    run(connection, "INSERT INTO t VALUES (1, 10), (2, 20)")
    connection.close()


def test_without_retention_only_fork_points_can_be_read(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    with_rows(database)
    main = database.connect()
    first = head(database)
    run(main, "UPDATE t SET v = 11 WHERE id = 1")
    forked = head(database)
    branches.create(database, "b", "main", role="me")
    run(main, "UPDATE t SET v = 12 WHERE id = 1")
    run(main, "DELETE FROM t WHERE id = 2")
    assert then(main, forked) == [(1, 11), (2, 20)]
    with pytest.raises(BoughError) as caught:
        then(main, first)
    assert caught.value.sqlstate == "22023"
    assert f"{forked} (b)" in (caught.value.detail or "")
    with pytest.raises(BoughError) as caught:
        branches.create(database, "c", "main", role="me", as_of=first)
    assert caught.value.sqlstate == "22023"
    assert not database.has_branch("c")
    with pytest.raises(BoughError, match="does not exist yet"):
        then(main, 1000)
    database.close()


def test_a_branch_is_read_where_branches_were_forked_from_it(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    run(b, "UPDATE t SET v = 21 WHERE id = 2")
    version = head(database)
    branches.create(database, "c", "b", role="me")
    run(b, "UPDATE t SET v = 22 WHERE id = 2")
    run(b, "DELETE FROM t WHERE id = 1")
    run(b, "INSERT INTO t VALUES (3, 30)")
    c = database.connect("c")
    run(c, "UPDATE t SET v = 99")
    assert then(b, version) == [(1, 10), (2, 21)]
    assert then(b, database.line("b").record.base.version) == [(1, 10), (2, 20)], "its own fork"
    branches.create(database, "again", "b", role="me", as_of=version)
    assert run(database.connect("again"), "SELECT * FROM t ORDER BY ALL") == [(1, 10), (2, 21)]


def test_dropped_and_altered_tables_read_as_they_were(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    main = database.connect()
    run(main, "CREATE TABLE gone (x INTEGER)")
    run(main, "INSERT INTO gone VALUES (7)")
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    version = head(database)
    for connection in (main, b):
        column = sqlglot.parse_one(
            "CREATE TABLE x (added INTEGER DEFAULT 5)", dialect="duckdb"
        ).this.expressions[0]
        connection.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column), d.RenameColumn("v", "w"))))
        connection.execute(d.AlterTable(d.Name("t"), (d.DropColumn("w"),)))
        connection.execute(d.Drop("table", (d.Name("gone"),)))
        gc.collect(database)
        assert then(connection, version) == [(1, 10), (2, 20)]
        assert then(connection, version, "gone") == [(7,)]
        assert run(connection, "SELECT * FROM t ORDER BY ALL") == [(1, 5), (2, 5)]
    branches.create(database, "old", "main", role="me", as_of=version)
    old = database.connect("old")
    run(old, "INSERT INTO gone VALUES (8)")
    assert run(old, "SELECT * FROM gone ORDER BY ALL") == [(7,), (8,)]
    database.close()
    again = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    assert then(again.connect("b"), version) == [(1, 10), (2, 20)]
    assert run(again.connect("old"), "SELECT * FROM t ORDER BY ALL") == [(1, 10), (2, 20)]
    again.close()


def test_what_is_older_than_the_retention_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "b", "main", role="me")
    main, b = database.connect(), database.connect("b")
    run(b, "UPDATE t SET v = 1")
    for connection in (main, b):
        version = head(database)
        run(connection, "UPDATE t SET v = v + 1")
        run(connection, "UPDATE t SET v = v + 1")
        assert len(then(connection, version)) == 2
    old, later = version, head(database)
    monkeypatch.setattr("branching.manifest.now", lambda: datetime.now(UTC) + timedelta(hours=2))
    gc.collect(database)
    with pytest.raises(BoughError) as caught:
        then(b, old)
    assert caught.value.sqlstate == "22023"
    assert then(b, later) == run(b, "SELECT * FROM t ORDER BY ALL")
    cursor = database.root.cursor()
    names = [
        row[0]
        for row in cursor.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'bough_data'")
    ]
    left = [n for n in names if n[0] == "e" and cursor.query(f"SELECT 1 FROM bough_data.{n}")]
    cursor.close()
    assert not left, "what the branch held before is gone from the file"
    database.close()


def test_a_reset_to_a_version_keeps_what_the_branch_had_then(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    run(b, "UPDATE t SET v = 11 WHERE id = 1")
    version = head(database)
    run(b, "DELETE FROM t")
    run(b, "INSERT INTO t VALUES (9, 90)")
    run(b, "CREATE TABLE n (x INTEGER)")
    reset(database, "b", version)
    assert run(b, "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 20)]
    assert [table.name for table in b.catalog.tables()] == ["t"]
    with pytest.raises(BoughError, match="did not exist then"):
        reset(database, "b", 1)
    run(database.connect(), "UPDATE t SET v = 21 WHERE id = 2")
    from branching import Author
    from branching.merge import apply as merge_apply

    merge_apply.merge(database, "b", "main", author=Author())
    assert run(database.connect(), "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 21)], (
        "only its change is merged"
    )
    database.close()


def test_a_fork_of_a_moment_merges_against_that_moment(tmp_path: Path) -> None:
    """What the parent changed after the moment is the parent's own change, and conflicts where both changed."""
    from branching import Author
    from branching.merge import apply as merge_apply

    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "p", "main", role="me")
    for parent in ("main", "p"):
        connection = database.connect(parent)
        run(connection, "UPDATE t SET v = v WHERE id = 1")
        version = head(database)
        run(connection, "UPDATE t SET v = 21 WHERE id = 2")
        branches.create(database, f"of {parent}", parent, role="me", as_of=version)
        fork = database.connect(f"of {parent}")
        assert run(fork, "SELECT * FROM t ORDER BY ALL") == [(1, 10), (2, 20)]
        run(fork, "UPDATE t SET v = 11 WHERE id = 1")
        merge_apply.merge(database, f"of {parent}", parent, author=Author())
        assert run(connection, "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 21)]
        run(fork, "UPDATE t SET v = 22 WHERE id = 2")
        with pytest.raises(BoughError) as caught:
            merge_apply.merge(database, f"of {parent}", parent, author=Author())
        assert caught.value.sqlstate == "VB001"
    database.close()


def test_a_reset_of_a_fork_with_inherited_rows(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    run(b, "UPDATE t SET v = 11 WHERE id = 1")
    run(b, "INSERT INTO t VALUES (3, 30)")
    branches.create(database, "c", "b", role="me")
    c = database.connect("c")
    column = sqlglot.parse_one("CREATE TABLE x (k INTEGER DEFAULT 5)", dialect="duckdb").this.expressions[0]
    c.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column),)))
    c.execute(d.AlterTable(d.Name("t"), (d.AlterType("v", sqlglot.exp.DataType.build("VARCHAR")),)))
    run(c, "UPDATE t SET v = 'x' WHERE id <> 2")
    run(c, "DELETE FROM t WHERE id = 2")
    reset(database, "c")
    assert run(c, "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 20), (3, 30)]
    run(c, "UPDATE t SET v = 12 WHERE id = 1")
    assert run(c, "SELECT * FROM t ORDER BY ALL") == [(1, 12), (2, 20), (3, 30)]
    assert run(b, "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 20), (3, 30)]


def test_a_version_is_the_instant_of_its_commit(tmp_path: Path) -> None:
    """A transaction that took its version early and committed late is not in what was committed before."""
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    early, late = database.connect(), database.connect()
    early.begin()
    run(early, "INSERT INTO t VALUES (5, 50)")
    run(late, "INSERT INTO t VALUES (6, 60)")
    version = head(database)
    assert then(late, version) == [(1, 10), (2, 20), (6, 60)]
    early.commit()
    assert then(late, version) == [(1, 10), (2, 20), (6, 60)], "still"
    assert then(late, head(database)) == [(1, 10), (2, 20), (5, 50), (6, 60)]
    assert timetravel.reach(database, database.trunk, version).point is not None
    database.close()


def test_a_merge_into_a_branch_leaves_its_past(tmp_path: Path) -> None:
    """Also a merge that changes definitions, and a revert."""
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    run(b, "UPDATE t SET v = 11 WHERE id = 1")
    branches.create(database, "c", "b", role="me")
    c = database.connect("c")
    run(c, "UPDATE t SET v = 12 WHERE id = 1")
    run(c, "DELETE FROM t WHERE id = 2")
    run(c, "INSERT INTO t VALUES (3, 30)")
    run(b, "INSERT INTO t VALUES (4, 40)")
    first = head(database)
    merge = merge_apply.merge(database, "c", "b", author=Author("me"))
    second = head(database)
    c.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("v", "w"),)))
    run(c, "INSERT INTO t VALUES (5, 50)")
    merge_apply.merge(database, "c", "b", author=Author("me"))
    third = head(database)
    assert merge.id is not None
    merge_apply.revert(database, merge.id, Author("me"))
    for _ in range(2):
        b = database.connect("b")
        assert then(b, first) == [(1, 11), (2, 20), (4, 40)]
        assert then(b, second) == [(1, 12), (3, 30), (4, 40)]
        assert then(b, third) == [(1, 12), (3, 30), (4, 40), (5, 50)]
        assert run(b, "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 20), (4, 40), (5, 50)]
        database.close()
        database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    branches.create(database, "old", "b", role="me", as_of=first)
    assert run(database.connect("old"), "SELECT * FROM t ORDER BY ALL") == [(1, 11), (2, 20), (4, 40)]
    database.close()


@pytest.mark.parametrize("ends", ["TRUNCATE", "DELETE FROM t", "UPDATE t SET u = 0"])
@pytest.mark.parametrize("altered", ["nothing", "a column more", "a name", "a column less", "a type"])
def test_the_past_of_a_branch_that_has_a_copy(tmp_path: Path, ends: str, altered: str) -> None:
    """Its rows are in the copy then, and their old images in the form that the table had when they went."""
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "b", "main", role="me")
    b = database.connect("b")
    b.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column("u INTEGER DEFAULT 1")),)))
    run(b, "UPDATE t SET v = v + 1")
    run(b, "INSERT INTO t VALUES (7, 70, 2)")
    b.close()
    done = gc.collect(database, limits=Limits(0, 0))
    assert any("detached" in str(item) for item in done)
    b, version = database.connect("b"), head(database)
    if altered == "a column more":
        b.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column("n INTEGER DEFAULT 5")),)))
    elif altered == "a name":
        b.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("id", "key"),)))
        b.execute(d.AlterTable(d.Name("t"), (d.AddColumn(column("n INTEGER")),)))
    elif altered == "a column less":
        b.execute(d.AlterTable(d.Name("t"), (d.DropColumn("v"),)))
    elif altered == "a type":
        b.execute(d.AlterTable(d.Name("t"), (d.AlterType("v", exp.DataType.build("VARCHAR")),)))
        run(b, "INSERT INTO t VALUES (8, 'eight', 8)")
    if ends == "TRUNCATE":
        b.execute(d.Truncate((d.Name("t"),)))
    else:
        run(b, ends)
    wanted = [(1, 11, 1), (2, 21, 1), (7, 70, 2)]
    assert then(b, version) == wanted
    b.close()
    reset(database, "b", version)
    b = database.connect("b")
    assert run(b, "SELECT * FROM t ORDER BY ALL") == wanted
    database.close()


def test_a_reset_to_when_a_table_was_gone_keeps_what_it_was_forked_with(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb", retention=HOUR)
    with_rows(database)
    branches.create(database, "a", "main", role="me")
    a = database.connect("a")
    run(a, "INSERT INTO t VALUES (3, 30)")
    run(a, "UPDATE t SET v = 0 WHERE id = 1")
    wanted = run(a, "SELECT * FROM t ORDER BY ALL")
    branches.create(database, "b", "a", role="me")
    b = database.connect("b")
    run(b, "INSERT INTO t VALUES (4, 40)")
    b.execute(d.Drop("table", (d.Name("t"),)))
    version = head(database)
    run(b, "CREATE TABLE t (other INTEGER)")
    b.close()
    reset(database, "b", version)
    b = database.connect("b")
    assert not list(b.catalog.tables())
    b.close()
    reset(database, "b")
    assert run(database.connect("b"), "SELECT * FROM t ORDER BY ALL") == wanted
    database.close()
