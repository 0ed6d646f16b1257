"""TRUNCATE and DELETE of all rows of a large table: at once, and with nobody the wiser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
import sqlglot

import branching
from branching import Author, BoughError, branches
from branching.connection import Connection, Statement
from branching.ddl import model as d
from branching.diff import rows as diff_rows
from branching.diff.changes import Named
from branching.gc import collect as gc
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled

MANY = 10_000
EMPTY = d.Truncate((d.Name("t"),))
WAYS: list[str | Statement] = [EMPTY, "DELETE FROM t", "DELETE FROM t WHERE true"]


def run(connection: Connection, statement: str | Statement) -> list[tuple[object, ...]]:
    tree = sqlglot.parse_one(statement, dialect="duckdb") if isinstance(statement, str) else statement
    return connection.execute(tree).fetchall()


def count(connection: Connection, text: str = "") -> object:
    return run(connection, f"SELECT count(*) FROM t {text}")[0][0]


def base(connection: Connection) -> int | None:
    return next(table.storage.base for table in connection.catalog.tables() if table.name == "t")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[branching.Database]:
    database = branching.open(tmp_path / "d.duckdb")
    main = database.connect()
    run(main, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    run(main, d.CreateIndex("i", d.Name("t"), ("v",), unique=True))
    run(main, f"INSERT INTO t SELECT i, i FROM range({MANY}) AS r(i)")
    main.close()
    yield database
    database.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forked", [False, True])
def test_main_is_emptied_at_once_and_keeps_its_shape(
    database: branching.Database, way: str | Statement, forked: bool
) -> None:
    main, before = database.connect(), base(database.connect())
    if forked:
        branches.create(database, "b", "main", role="me")
        run(database.connect("b"), "UPDATE t SET v = -v WHERE id < 100")
    statement = sqlglot.parse_one(way, dialect="duckdb") if isinstance(way, str) else way
    assert main.execute(statement).rowcount == (None if way is EMPTY else MANY)
    assert base(main) != before and count(main) == 0
    run(main, "INSERT INTO t VALUES (1, 1)")
    for again in ("INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (2, 1)"):
        with pytest.raises(BoughError) as refused:
            run(main, again)
        assert refused.value.sqlstate == "23505"
    run(main, d.Drop("index", (d.Name("i"),)))
    run(main, "INSERT INTO t VALUES (2, 1)")
    if forked:
        branch = database.connect("b")
        assert count(branch) == MANY and count(branch, "WHERE v < 0") == 99
        branches.create(database, "c", "b", role="me")
        assert count(database.connect("c"), "WHERE v < 0") == 99
        with pytest.raises(BoughError) as refused:
            merge_apply.merge(database, "b", "main", author=Author("me"))
        assert refused.value.sqlstate == "VB001"  # rows that one side changed and the other deleted
    assert count(main) == 2


@pytest.mark.parametrize("way", WAYS)
def test_the_old_rows_leave_the_file_when_no_fork_needs_them(
    database: branching.Database, way: str | Statement
) -> None:
    branches.create(database, "b", "main", role="me")
    main, old = database.connect(), base(database.connect())
    run(main, way)
    gc.collect(database, grace=timedelta(0))
    assert old in database.physical.bases
    branches.discard(database, "b")
    gc.collect(database, grace=timedelta(0))
    assert old not in database.physical.bases
    path = database.path
    main.close()
    database.close()
    with duckdb.connect(path, read_only=True) as plain:
        found = plain.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
        assert found == [("t",)]


def test_a_rollback_brings_all_back_and_the_past_is_read(database: branching.Database) -> None:
    database.retention = 3600
    main = database.connect()
    run(main, "UPDATE t SET v = -1 WHERE id = 0")
    version = database.clock.version
    main.begin()
    run(main, "INSERT INTO t VALUES (-5, -5)")
    run(main, EMPTY)
    run(main, "INSERT INTO t VALUES (3, 3)")
    assert count(main) == 1
    main.rollback()
    assert count(main) == MANY
    run(main, "DELETE FROM t")
    assert count(main) == 0 and count(main, f"FOR VERSION AS OF {version}") == MANY


@pytest.mark.parametrize("place", ["main", "b"])
def test_rows_that_refer_follow(database: branching.Database, place: str) -> None:
    main = database.connect()
    run(main, "CREATE TABLE c (id INTEGER REFERENCES t (id) ON DELETE CASCADE)")
    run(main, "CREATE TABLE n (id INTEGER REFERENCES t (id) ON DELETE SET NULL)")
    run(main, "INSERT INTO c VALUES (1), (2), (NULL)")
    run(main, "INSERT INTO n VALUES (1), (2)")
    branches.create(database, "b", "main", role="me")
    connection = database.connect(place)
    with pytest.raises(BoughError) as refused:
        run(connection, EMPTY)
    assert refused.value.sqlstate == "0A000"
    run(connection, "DELETE FROM t")
    assert count(connection) == 0
    assert (
        run(connection, "SELECT * FROM c") == [(None,)]
        and run(connection, "SELECT * FROM n") == [(None,)] * 2
    )
    run(main, d.Drop("table", (d.Name("c"), d.Name("n")), cascade=True))


@pytest.mark.parametrize("place", ["main", "b"])
def test_beside_other_writers_a_delete_goes_row_by_row_and_loses_nothing(
    database: branching.Database, place: str
) -> None:
    branches.create(database, "b", "main", role="me")
    one, other = database.connect(place), database.connect(place)
    other.begin()
    run(other, f"INSERT INTO t VALUES ({MANY}, {MANY})")
    before = base(one)
    run(one, "DELETE FROM t")
    assert base(one) == before
    other.commit()
    assert run(one, "SELECT id FROM t") == [(MANY,)]
    other.begin()
    assert count(other) == 1
    run(one, f"INSERT INTO t SELECT i, i FROM range({MANY}) AS r(i)")
    run(one, EMPTY)
    with pytest.raises(BoughError) as refused:
        run(other, "INSERT INTO t VALUES (7, 7)")
    assert refused.value.sqlstate == "40001"
    other.rollback()
    assert count(one) == 0


def test_on_a_branch_no_row_keeps_a_mask(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    run(branch, "DELETE FROM t")
    assert count(branch) == 0
    masks = [name for name in database.physical.storage if name.startswith("m")]
    assert [database.root.query(f"SELECT count(*) FROM bough_data.{name}") for name in masks] == [
        [(0,)]
    ] * len(masks)
    done = merge_apply.merge(database, "b", "main", author=Author("me"))
    assert done.rows[0].deleted == MANY and count(database.connect()) == 0


def test_a_diff_knows_of_rows_that_went_with_a_table_that_was_replaced(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    main = database.connect()
    run(main, "DELETE FROM t WHERE id > 10")
    key = d.ConstraintDefinition("u", "other", ("v", "id"))
    run(main, d.AlterTable(d.Name("t"), (d.AddConstraint(key),)))  # which makes the table again
    run(main, "DELETE FROM t WHERE id > 5")
    run(main, d.AlterTable(d.Name("t"), (d.DropConstraint("other"),)))
    gc.collect(database)
    wanted = diff_rows.Wanted("b", Named("t"), "main", direct=True)
    assert len(diff_rows.rows(database, wanted)[1]) == MANY - 6
    run(main, EMPTY)
    assert len(diff_rows.rows(database, wanted)[1]) == MANY
    done = merge_apply.refresh(database, "b", author=Author("me"))
    assert done.rows[0].deleted == MANY and count(database.connect("b")) == 0
