"""The first UPDATE of a table on a branch does what a later one does, and what one on main does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.connection import Connection
from branching.dml import first_update
from branching.engine.base import EngineError

pytestmark = pytest.mark.sampled

TABLE = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL DEFAULT 7 CHECK (v < 1000), s VARCHAR, "
    'u INTEGER UNIQUE, d DECIMAL(8,2), "Odd ""name" VARCHAR, l INTEGER[], g INTEGER GENERATED ALWAYS AS (v * 2))'
)
FAST = [
    "UPDATE t SET v = 5 WHERE id < 3",
    "UPDATE t SET v = v + id, s = s || v, d = 1.239 WHERE t.v > 10 AND s IS NOT NULL",
    "UPDATE t AS a SET s = a.s || a.id, v = '12' WHERE a.id IN (1, 3)",
    "UPDATE t SET s = NULL",
    'UPDATE t SET "Odd ""name" = upper("Odd ""name"), V = V - 1',
    "UPDATE t SET v = 1 WHERE id = 99",
    "UPDATE t SET v = 5000 WHERE id = 2",  # the check
    "UPDATE t SET v = NULL WHERE id = 2",  # NOT NULL
    "UPDATE t SET v = s WHERE id = 2",  # no number
]
USUAL = [
    "UPDATE t SET v = DEFAULT WHERE id = 2",
    "UPDATE t SET v = (SELECT max(v) FROM t) WHERE id = 1",
    "UPDATE t SET u = u + 100 WHERE id = 1",
    "UPDATE t SET u = 10 WHERE id = 1",
    "UPDATE t SET id = id + 10",
    "UPDATE t SET l = [9] WHERE id = 1",
    "UPDATE t SET v = x.n FROM (SELECT 1 AS k, 44 AS n) AS x WHERE x.k = t.id",
    "UPDATE t SET v = 1 WHERE id IN (SELECT id FROM t WHERE v > 20)",
    "UPDATE t SET v = 3, v = 4",
    "UPDATE t SET g = 4",
]


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def outcome(connection: Connection, text: str, parameters: Any = ()) -> tuple[Any, ...]:
    """What the statement answers, and what the table holds afterwards."""
    try:
        done: Any = connection.execute(sql(text), parameters).rowcount
    except BoughError as error:
        done = error.sqlstate
    except EngineError as error:
        done = error.exception
    return done, connection.execute(sql("SELECT * FROM t ORDER BY id")).fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = branching.open(tmp_path / "d.duckdb")
    setup = opened.connect()
    setup.execute(sql(TABLE))
    setup.execute(
        sql(
            "INSERT INTO t (id, v, s, u, d, \"Odd \"\"name\", l) VALUES (1, 10, 'a', 1, 1.5, 'o', [1]), "
            "(2, 20, 'b', 2, NULL, 'p', NULL), (3, 30, NULL, 3, 2.25, NULL, [3, NULL]), (4, 40, 'd', NULL, 0, '', [])"
        )
    )
    setup.close()
    for name in ("first", "later"):
        branches.create(opened, name, "main", role="me")
    yield opened
    opened.close()


@pytest.mark.parametrize("text", FAST + USUAL)
def test_a_first_update_is_like_any_other(database: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    original = first_update.update

    def watched(*given: Any) -> Any:
        found = original(*given)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(first_update, "update", watched)
    first, later, main = (database.connect(name) for name in ("first", "later", "main"))
    later.execute(sql("UPDATE t SET s = s"))  # touches every row
    taken.clear()
    found = outcome(first, text)
    fast = list(taken)
    assert found == outcome(later, text) == outcome(main, text)
    if isinstance(found[0], int):
        assert fast == [text in FAST]
    again = database.connect("first")
    assert again.execute(sql("SELECT * FROM t ORDER BY id")).fetchall() == found[1]


def test_parameters_reach_the_right_places(database: Any) -> None:
    text = "UPDATE t SET s = $2 || $1, v = $3 WHERE id = $3 OR s = $1"
    first, main = database.connect("first"), database.connect("main")
    assert outcome(first, text, ["a", "x", 2]) == outcome(main, text, ["a", "x", 2])
    assert first.execute(sql("SELECT s FROM t WHERE id = 1")).fetchall() == [("xa",)]


def test_it_is_undone_seen_by_its_own_transaction_and_by_nobody_else(database: Any) -> None:
    first, other = database.connect("first"), database.connect("first")
    before = outcome(first, "UPDATE t SET v = 1 WHERE id = 99")[1]
    first.begin()
    assert outcome(first, "UPDATE t SET v = 100 WHERE id = 1")[1][0][1] == 100
    assert outcome(first, "UPDATE t SET v = v + 1 WHERE id < 3")[1][0][1] == 101
    assert outcome(other, "UPDATE t SET v = 1 WHERE id = 99")[1] == before
    first.rollback()
    assert outcome(first, "UPDATE t SET v = v + 1 WHERE id = 1")[1][0][1] == 11


@pytest.mark.parametrize(("value", "sqlstate"), [("5000", "23514"), ("NULL", "23502")])
def test_what_it_breaks_in_a_block_is_no_conflict(database: Any, value: str, sqlstate: str) -> None:
    first = database.connect("first")
    first.begin()
    first.execute(sql("SELECT * FROM t")).fetchall()
    first.execute(sql("CREATE TEMP TABLE x (i int)"))
    with pytest.raises(BoughError) as caught:
        first.execute(sql(f"UPDATE t SET v = {value} WHERE id = 2"))
    assert caught.value.sqlstate == sqlstate
    first.rollback()


def test_two_sessions_do_not_change_one_row_both(database: Any) -> None:
    one, two = database.connect("first"), database.connect("first")
    one.begin()
    two.begin()
    two.execute(sql("SELECT * FROM t")).fetchall()
    one.execute(sql("UPDATE t SET v = v + 1 WHERE id = 1"))
    with pytest.raises(BoughError) as caught:
        two.execute(sql("UPDATE t SET v = v + 100 WHERE id = 1"))
        one.commit()
        two.commit()
    assert caught.value.sqlstate == "40001"
    for each in (one, two):
        each.rollback()
