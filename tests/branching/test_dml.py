"""Writes that once went wrong, and what the oracle does not generate; on main and on a branch alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.connection import Connection
from branching.ddl import model as d

pytestmark = pytest.mark.once_each


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sql(text)).fetchall()


def fails(connection: Connection, text: str) -> BoughError:
    with pytest.raises(BoughError) as caught:
        connection.execute(sql(text))
    return caught.value


@pytest.fixture(params=["main", "branch"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    database = branching.open(tmp_path / "d.duckdb")
    setup = database.connect()
    setup.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"))
    setup.execute(sql("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)"))
    setup.execute(sql("CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER)"))
    setup.execute(
        sql("CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON DELETE CASCADE)")
    )
    setup.execute(sql("CREATE TABLE strict (id INTEGER, p INTEGER REFERENCES parent (id))"))
    setup.execute(sql("INSERT INTO parent VALUES (1, 1), (2, 2)"))
    setup.execute(sql("INSERT INTO child VALUES (10, 1), (11, 1), (12, 2)"))
    setup.close()
    if request.param == "branch":
        branches.create(database, "branch", "main", role="me")
    made = database.connect(request.param)
    yield made
    made.close()
    database.close()


def test_a_first_update_from_its_own_table_finds_its_rows(connection: Connection) -> None:
    """Names were resolved before the branch's delta existed: the touched row was then in neither."""
    changed = connection.execute(
        sql("UPDATE t AS a SET v = 0 FROM (SELECT DISTINCT v AS k FROM t WHERE id = 2) AS s WHERE a.v = s.k")
    )
    assert changed.rowcount == 1
    assert rows(connection, "SELECT v FROM t WHERE id = 2") == [(0,)]


def test_an_insert_does_not_read_what_it_inserts(connection: Connection) -> None:
    connection.execute(sql("UPDATE t SET v = v + 1"))
    assert (
        connection.execute(
            sql("INSERT INTO t SELECT id + 10, v FROM t WHERE v IN (SELECT v FROM t)")
        ).rowcount
        == 3
    )
    doubled = "INSERT INTO t SELECT id + 100, v FROM t UNION ALL SELECT id + 200, v FROM t"
    assert connection.execute(sql(doubled)).rowcount == 12


def test_a_volatile_predicate_is_asked_once(connection: Connection) -> None:
    for _ in range(5):
        before = rows(connection, "SELECT count(*) FROM t")[0][0]
        gone = connection.execute(sql("DELETE FROM t WHERE random() < 0.5")).rowcount
        assert rows(connection, "SELECT count(*) FROM t") == [(before - gone,)]  # type: ignore[operator]


def test_hidden_columns_cannot_be_named(connection: Connection) -> None:
    assert fails(connection, "SELECT _bough_rid FROM t").sqlstate == "42703"
    assert fails(connection, "UPDATE t SET v = _bough_ver").sqlstate == "42703"
    result = connection.execute(sql("DELETE FROM t WHERE id = 1 RETURNING *"))
    assert [column.name for column in result.columns or ()] == ["id", "v"]


def test_errors_name_the_users_table(connection: Connection) -> None:
    error = fails(connection, "INSERT INTO t VALUES (1, 1)")
    assert (error.sqlstate, error.constraint, error.table) == ("23505", "t_pkey", "t")
    assert error.detail == "Key (id)=(1) already exists."
    connection.execute(sql("UPDATE t SET v = 0 WHERE id = 2"))
    error = fails(connection, "UPDATE t SET id = 2 WHERE id = 3")
    assert (error.sqlstate, error.detail) == ("23505", "Key (id)=(2) already exists.")


def test_foreign_keys(connection: Connection) -> None:
    assert fails(connection, "INSERT INTO child VALUES (20, 9)").sqlstate == "23503"
    assert fails(connection, "UPDATE child SET p = 9 WHERE id = 10").sqlstate == "23503"
    assert connection.execute(sql("DELETE FROM parent WHERE id = 1")).rowcount == 1
    assert rows(connection, "SELECT id FROM child") == [(12,)]
    connection.execute(sql("INSERT INTO strict VALUES (1, 2), (2, NULL)"))
    error = fails(connection, "DELETE FROM parent WHERE id = 2")
    assert (error.sqlstate, error.constraint) == ("23503", "strict_p_fkey")
    assert fails(connection, "UPDATE parent SET id = 7 WHERE id = 2").sqlstate == "23503"
    assert rows(connection, "SELECT * FROM parent") == [(2, 2)]


def test_a_failed_block_runs_nothing_until_rollback(connection: Connection) -> None:
    connection.begin()
    connection.execute(sql("DELETE FROM t WHERE id = 1"))
    fails(connection, "INSERT INTO t VALUES (2, 2)")
    assert fails(connection, "SELECT 1").sqlstate == "25P02"
    connection.rollback()
    assert rows(connection, "SELECT count(*) FROM t") == [(3,)]


def test_a_rolled_back_first_write_leaves_the_next_one_durable(tmp_path: Path) -> None:
    """The table was taken for recorded as touched, and a restart lost what was written then."""
    path = tmp_path / "r.duckdb"
    database = branching.open(path)
    main = database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    branch.begin()
    branch.execute(sql("INSERT INTO t VALUES (1)"))
    branch.rollback()
    branch.execute(sql("INSERT INTO t VALUES (2)"))
    database.close()
    database = branching.open(path)
    assert rows(database.connect("b"), "SELECT * FROM t") == [(2,)]
    database.close()


def test_versions_of_transactions_that_never_committed_are_not_used_again(tmp_path: Path) -> None:
    """A fork's point counted them: after a restart new rows of main showed on the branch."""
    path = tmp_path / "v.duckdb"
    database = branching.open(path)
    main = database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER)"))
    for _ in range(3):
        main.begin()
        main.execute(sql("INSERT INTO t VALUES (1)"))
        main.rollback()
    branches.create(database, "b", "main", role="me")
    database.close()
    database = branching.open(path)
    database.connect().execute(sql("INSERT INTO t VALUES (5)"))
    assert rows(database.connect("b"), "SELECT * FROM t") == []
    database.close()


def test_large_writes_leave_forks_alone(tmp_path: Path) -> None:
    """Such a write leaves rows their version; the fork taken before and the one after must not mind."""
    database = branching.open(tmp_path / "l.duckdb")
    main = database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER, v INTEGER)"))
    main.execute(sql("INSERT INTO t SELECT i, 0 FROM range(120000) r(i)"))
    main.execute(sql("UPDATE t SET v = 1"))
    branches.create(database, "b", "main", role="me")
    main.execute(sql("UPDATE t SET v = 2"))
    main.execute(sql("DELETE FROM t WHERE v = 2"))
    assert rows(database.connect("b"), "SELECT v, count(*) FROM t GROUP BY v") == [(1, 120000)]
    database.close()


def test_a_large_write_without_forks_conflicts_with_open_transactions(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "l.duckdb")
    main, other = database.connect(), database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)"))
    main.execute(sql("INSERT INTO t SELECT i, 0 FROM range(120000) r(i)"))
    other.begin()
    assert rows(other, "SELECT v FROM t WHERE id = 1") == [(0,)]
    main.execute(sql("UPDATE t SET v = v + 1"))
    assert fails(other, "UPDATE t SET v = v + 1 WHERE id = 1").sqlstate == "40001"
    other.rollback()
    assert rows(main, "SELECT v, count(*) FROM t GROUP BY v") == [(1, 120000)]
    database.close()


def test_truncate_tells_conflicts_by_table(connection: Connection) -> None:
    connection.execute(d.Truncate((d.Name("t"),)))
    assert rows(connection, "SELECT count(*) FROM t") == [(0,)]
    connection.execute(sql("INSERT INTO t VALUES (1, 1)"))
    assert rows(connection, "SELECT * FROM t") == [(1, 1)]


def test_a_kept_plan_gives_way_to_a_temporary_table_of_the_name(connection: Connection) -> None:
    tree = sql("SELECT count(*) FROM t")
    assert connection.execute(tree, key="kept").fetchall() == [(3,)]
    connection.execute(sql("CREATE TEMP TABLE t (id INTEGER)"))
    assert connection.execute(tree, key="kept").fetchall() == [(0,)]
    connection.execute(d.Drop("table", (d.Name("t"),)))
    assert connection.execute(tree, key="kept").fetchall() == [(3,)]


def test_an_indexed_column_may_have_any_name(connection: Connection) -> None:
    connection.execute(sql('CREATE TABLE odd ("q""t" INTEGER, "a b" INTEGER, "select" INTEGER)'))
    for number, column in enumerate(('q"t', "a b", "select")):
        connection.execute(d.CreateIndex(f"i{number}", d.Name("odd"), (column,)))
    connection.execute(sql("INSERT INTO odd VALUES (1, 1, 1)"))
    connection.execute(sql('UPDATE odd SET "q""t" = 2, "a b" = 3, "select" = 4'))
    assert rows(connection, "SELECT * FROM odd") == [(2, 3, 4)]
