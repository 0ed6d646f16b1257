"""No lost update: of two transactions that change the same row, at most one commits, whatever they do to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.connection import Connection, Statement
from branching.ddl import model as d

pytestmark = pytest.mark.sampled

KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, l INTEGER[])"
KEYLESS = "CREATE TABLE t (id INTEGER, v INTEGER, l INTEGER[])"


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


WRITES: dict[str, Statement] = {
    "update": sql("UPDATE t SET v = v + 10 WHERE id = 1"),
    "delete": sql("DELETE FROM t WHERE id = 1"),
    "key update": sql("UPDATE t SET id = 50 WHERE id = 1"),
    "keys moving up": sql("UPDATE t SET id = id + 1"),
    "list update": sql("UPDATE t SET l = [9] WHERE id = 1"),
    "upsert": sql("INSERT INTO t VALUES (1, 7, []) ON CONFLICT (id) DO UPDATE SET v = t.v + 100"),
    "list upsert": sql("INSERT INTO t VALUES (1, 7, []) ON CONFLICT (id) DO UPDATE SET l = [5]"),
    "merge": sql(
        "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = t.v + 1000"
    ),
    "merge delete": sql("MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE"),
    "truncate": d.Truncate((d.Name("t"),)),
    "alter": d.AlterTable(d.Name("t"), (d.AlterType("v", exp.DataType.build("BIGINT")),)),
    "drop column": d.AlterTable(d.Name("t"), (d.DropColumn("l"),)),
}
PAIRS = [
    (first, second)
    for first, second in itertools.product(WRITES, WRITES)
    if not first.startswith(("alter", "drop")) or not second.startswith(("alter", "drop"))
]


# One write of each kind of conflict meets itself and two others always; every pair, in every place, in slow ones.
SOME = ("update", "delete", "key update", "upsert", "merge delete", "truncate")
SOME_PAIRS = [
    (first, SOME[(at + step) % len(SOME)]) for at, first in enumerate(SOME) for step in range(len(SOME) // 2)
]
PLACES = ("keyed main", "branch", "keyless main", "indexed main", "own table")
NUMBERS = itertools.count()
Pairs = list[tuple[str, str]]


def cases(*quick: str) -> list[object]:
    """(place, pairs): ``quick`` places with some pairs, and all with all of them."""
    found: list[object] = [pytest.param(place, SOME_PAIRS, id=f"{place}-some") for place in quick]
    return found + [pytest.param(place, PAIRS, id=f"{place}-all", marks=pytest.mark.slow) for place in PLACES]


@pytest.fixture(scope="module")
def database() -> Iterator[branching.Database]:
    database = branching.open(":memory:")
    yield database
    database.close()


def prepare(place: str, database: branching.Database, number: int) -> str:
    """A table with two rows; the branch to write on."""
    with_key = place != "keyless main"
    if place in ("branch", "own table"):
        main = database.connect()
        main.execute(d.Drop("table", (d.Name("t"),), if_exists=True))
        if place == "branch":
            main.execute(sql(KEYED))
            main.execute(sql("INSERT INTO t VALUES (1, 1, [1]), (2, 2, [])"))
        main.close()
        branches.create(database, f"b{number}", "main", role="me")
        connection = database.connect(f"b{number}")
        if place == "own table":
            connection.execute(sql(KEYED))
            connection.execute(sql("INSERT INTO t VALUES (1, 1, [1]), (2, 2, [])"))
        else:  # the branch's storage is there: what conflicts is the rows, not the making of it
            connection.execute(sql("UPDATE t SET v = 3 WHERE id = 2"))
        connection.close()
        return f"b{number}"
    connection = database.connect()
    connection.execute(d.Drop("table", (d.Name("t"),), if_exists=True))
    connection.execute(sql(KEYED if with_key else KEYLESS))
    connection.execute(sql("INSERT INTO t VALUES (1, 1, [1]), (2, 2, [])"))
    if place == "indexed main":
        connection.execute(d.CreateIndex("i", d.Name("t"), ("v",)))
    connection.close()
    return "main"


def attempt(connection: Connection, statement: Statement) -> bool:
    try:
        connection.execute(statement)
    except BoughError as error:
        assert error.sqlstate == "40001", error
        connection.rollback()
        return False
    return True


def finish(connection: Connection) -> bool:
    try:
        connection.commit()
    except BoughError as error:
        assert error.sqlstate in ("40001", "23505"), error
        return False
    return True


@pytest.mark.parametrize(
    "commit_order", ["first first", pytest.param("second first", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("name", "pairs"), cases("keyed main", "branch"))
def test_no_pair_of_writes_both_commits(
    database: branching.Database, commit_order: str, name: str, pairs: Pairs
) -> None:
    lost = []
    for first, second in pairs:
        if name == "keyless main" and "upsert" in first + second:
            continue
        branch = prepare(name, database, next(NUMBERS))
        one, two = database.connect(branch), database.connect(branch)
        for connection in (one, two):
            connection.begin()
            connection.execute(sql("SELECT * FROM t")).fetchall()
        ended = []
        done = [attempt(one, WRITES[first]), attempt(two, WRITES[second])]
        order = [(one, done[0]), (two, done[1])]
        for connection, wrote in order if commit_order == "first first" else reversed(order):
            ended.append(wrote and finish(connection))
        if all(ended):
            lost.append((first, second))
        assert any(ended), (first, second)
        one.close()
        two.close()
    assert lost == []


@pytest.mark.parametrize(("name", "pairs"), cases("branch"))
def test_a_late_writer_does_not_lose_what_was_committed(
    database: branching.Database, name: str, pairs: Pairs
) -> None:
    lost = []
    for first, second in pairs:
        if name == "keyless main" and "upsert" in first + second:
            continue
        branch = prepare(name, database, next(NUMBERS))
        one, two = database.connect(branch), database.connect(branch)
        one.begin()
        one.execute(sql("SELECT * FROM t")).fetchall()
        two.execute(WRITES[second])
        if attempt(one, WRITES[first]) and finish(one):
            lost.append((first, second))
        one.close()
        two.close()
    assert lost == []


@pytest.mark.parametrize("place", ["main", "branch"])
@pytest.mark.parametrize("child_first", [True, False])
def test_a_parent_cannot_go_while_a_child_comes(place: str, child_first: bool) -> None:
    database = branching.open(":memory:")
    main = database.connect()
    main.execute(sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
    main.execute(sql("CREATE TABLE child (p INTEGER REFERENCES parent (id))"))
    main.execute(sql("INSERT INTO parent VALUES (1)"))
    if place == "branch":
        branches.create(database, "branch", "main", role="me")
    one, two = database.connect(place), database.connect(place)
    writes = [sql("INSERT INTO child VALUES (1)"), sql("DELETE FROM parent WHERE id = 1")]
    if not child_first:
        writes.reverse()
    for connection in (one, two):
        connection.begin()
        connection.execute(sql("SELECT * FROM parent")).fetchall()
    done = [attempt(one, writes[0]) and finish(one), attempt(two, writes[1]) and finish(two)]
    assert done == [True, False]
    database.close()
