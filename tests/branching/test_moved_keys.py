"""An UPDATE may pass keys on between its rows: what stands in the end is asked, on main and on branches alike."""

from __future__ import annotations

import pytest
import sqlglot

import branching
from branching import BoughError, branches
from branching.connection import Connection

pytestmark = pytest.mark.sampled

MANY = 5000  # more rows than the engine changes at a time
PLACES = ("main", "branch", "touched", "open", "fork of a branch")


def run(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def place(name: str, table: str = "id INTEGER PRIMARY KEY, u INTEGER UNIQUE, v INTEGER") -> Connection:
    database = branching.open(":memory:")
    main = database.connect()
    run(main, f"CREATE TABLE t ({table})")
    run(main, f"INSERT INTO t SELECT i, -i, 0 FROM range({MANY}) AS r(i)")
    if name == "main":
        return main
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    if name == "branch":
        return branch
    run(branch, "UPDATE t SET v = 1 WHERE id % 2 = 0")
    if name == "open":
        branch.begin()
        run(branch, "UPDATE t SET v = 2 WHERE id % 3 = 0")
    if name == "fork of a branch":
        branches.create(database, "c", "b", role="me")
        return database.connect("c")
    return branch


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("value", ["id + 1", "id - 1", f"{MANY - 1} - id"])
def test_keys_move_up_and_down_and_around(where: str, value: str) -> None:
    connection = place(where)
    before = run(connection, f"SELECT {value}, u, v FROM t ORDER BY ALL")
    found = connection.execute(sqlglot.parse_one(f"UPDATE t SET id = {value}", dialect="duckdb"))
    assert found.rowcount == MANY
    assert run(connection, "SELECT id, u, v FROM t ORDER BY ALL") == before
    assert run(connection, "SELECT v FROM t WHERE id = 17") == [row[2:] for row in before if row[0] == 17]
    connection.close()
    connection.database.close()


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(
    "text",
    [
        "UPDATE t SET id = id + 1 WHERE id < 10",  # the tenth is there still
        "UPDATE t SET id = id // 2",
        "UPDATE t SET u = u - 1 WHERE id % 2 = 0",
        "UPDATE t SET id = id + 1, u = (SELECT max(u) FROM t WHERE id > 0)",
    ],
)
def test_what_two_rows_have_in_the_end_is_refused(where: str, text: str) -> None:
    connection = place(where)
    before = run(connection, "SELECT * FROM t ORDER BY ALL")
    with pytest.raises(BoughError) as refused:
        run(connection, text)
    assert refused.value.sqlstate == "23505" and refused.value.constraint in ("t_pkey", "t_u_key")
    assert "bough" not in str(refused.value.message) + str(refused.value.detail)
    if connection.in_transaction:
        connection.rollback()
    else:
        assert run(connection, "SELECT * FROM t ORDER BY ALL") == before
    connection.close()
    connection.database.close()


@pytest.mark.parametrize("where", PLACES)
def test_what_comes_back_is_the_new_rows(where: str) -> None:
    connection = place(where)
    got = run(
        connection, "UPDATE t AS x SET id = x.id + 1 WHERE x.id >= 4997 RETURNING id, *, id * 2 AS twice"
    )
    assert sorted((row[0], row[1], row[2], row[4]) for row in got) == [
        (key + 1, key + 1, -key, 2 * (key + 1)) for key in (4997, 4998, 4999)
    ]
    got = run(
        connection,
        "UPDATE t SET id = t.id - s.by FROM (SELECT 1 AS by UNION ALL SELECT 1) AS s WHERE t.id > 4997 RETURNING id",
    )
    assert sorted(got) == [(4997,), (4998,), (4999,)]
    connection.close()
    connection.database.close()


def test_forks_and_the_past_keep_the_rows_as_they_were() -> None:
    connection = place("main")
    database = connection.database
    branches.create(database, "b", "main", role="me")
    run(connection, "UPDATE t SET id = id + 1")
    branch = database.connect("b")
    assert run(branch, "SELECT min(id), max(id), count(*) FROM t") == [(0, MANY - 1, MANY)]
    run(branch, "UPDATE t SET id = id + 2")
    branches.create(database, "c", "b", role="me")
    run(branch, "UPDATE t SET id = id + 2")
    assert run(database.connect("c"), "SELECT min(id), max(id) FROM t") == [(2, MANY + 1)]
    assert run(connection, "SELECT min(id), max(id) FROM t") == [(1, MANY)]
    database.close()


def test_keys_of_several_columns_and_null_keys() -> None:
    database = branching.open(":memory:")
    main = database.connect()
    run(main, "CREATE TABLE t (a INTEGER, b INTEGER, c VARCHAR, UNIQUE (a, b))")
    run(main, "INSERT INTO t VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z'), (NULL, 1, 'n'), (NULL, 1, 'm')")
    run(main, "UPDATE t SET a = b, b = a")
    run(main, "UPDATE t SET b = b + 1")
    assert run(main, "SELECT * FROM t ORDER BY c") == [
        (1, None, "m"),
        (1, None, "n"),
        (1, 2, "x"),
        (2, 2, "y"),
        (1, 3, "z"),
    ]
    database.close()
