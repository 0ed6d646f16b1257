"""Hermitage: the anomalies of isolation, by two sessions of a driver, on main and on a branch.

What is promised is what ``SHOW transaction_isolation`` says: REPEATABLE READ, a snapshot taken at the first statement,
and the first to write a row wins without anybody waiting. So everything is prevented but write skew, as in Postgres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

Session = psycopg.Connection[Any]


@dataclass
class Pair:
    """Two sessions in blocks, over a table of the test's own with (1, 10) and (2, 20)."""

    one: Session
    two: Session
    outside: Session
    table: str

    def sql(self, session: Session, text: str) -> list[Any]:
        cursor = session.execute(text.replace("test", self.table).encode())
        return cursor.fetchall() if cursor.description else []

    def rows(self, session: Session, where: str = "true") -> list[Any]:
        return self.sql(session, f"SELECT id, value FROM test WHERE {where} ORDER BY id")

    def conflicts(self, session: Session, text: str) -> None:
        with pytest.raises(psycopg.errors.SerializationFailure):
            self.sql(session, text)
        session.rollback()


@pytest.fixture(params=["main", "branch"])
def pair(request: pytest.FixtureRequest, server: ThreadServer, branch: str, name: str) -> Iterator[Pair]:
    place = "main" if request.param == "main" else branch
    with server.connect(place) as outside:
        outside.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, value int)")
        outside.execute(f"INSERT INTO {name} VALUES (1, 9), (2, 19)")
        # The first change after a fork makes room for old images, and of two first ones in blocks one gets 40001.
        outside.execute(f"UPDATE {name} SET value = value + 1")
        with psycopg.connect(server.dsn(place)) as one, psycopg.connect(server.dsn(place)) as two:
            yield Pair(one, two, outside, name)
            one.rollback()
            two.rollback()


def test_the_level_is_said(pair: Pair) -> None:
    assert pair.sql(pair.one, "SHOW transaction_isolation") == [("repeatable read",)]
    for asked in ("BEGIN ISOLATION LEVEL SERIALIZABLE", "SET default_transaction_isolation = 'serializable'"):
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            pair.outside.execute(asked.encode())
        assert "REPEATABLE READ" in str(caught.value)


def test_g0_write_cycles(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = 11 WHERE id = 1")
    pair.conflicts(pair.two, "UPDATE test SET value = 12 WHERE id = 1")
    pair.sql(pair.one, "UPDATE test SET value = 21 WHERE id = 2")
    pair.one.commit()
    assert pair.rows(pair.outside) == [(1, 11), (2, 21)]


def test_g1a_aborted_reads(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = 101 WHERE id = 1")
    assert pair.rows(pair.two) == [(1, 10), (2, 20)]
    pair.one.rollback()
    assert pair.rows(pair.two) == [(1, 10), (2, 20)]


def test_g1b_intermediate_reads(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = 101 WHERE id = 1")
    assert pair.rows(pair.two) == [(1, 10), (2, 20)]
    pair.sql(pair.one, "UPDATE test SET value = 11 WHERE id = 1")
    pair.one.commit()
    assert pair.rows(pair.two) == [(1, 10), (2, 20)]


def test_g1c_circular_information_flow(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = 11 WHERE id = 1")
    pair.sql(pair.two, "UPDATE test SET value = 22 WHERE id = 2")
    assert pair.rows(pair.one, "id = 2") == [(2, 20)]
    assert pair.rows(pair.two, "id = 1") == [(1, 10)]
    pair.one.commit()
    pair.two.commit()
    assert pair.rows(pair.outside) == [(1, 11), (2, 22)]


def test_otv_observed_transaction_vanishes(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = 11 WHERE id = 1")
    pair.sql(pair.one, "UPDATE test SET value = 19 WHERE id = 2")
    pair.conflicts(pair.two, "UPDATE test SET value = 12 WHERE id = 1")
    pair.one.commit()
    assert pair.rows(pair.two) == [(1, 11), (2, 19)]


def test_pmp_predicate_many_preceders_reading(pair: Pair) -> None:
    assert pair.rows(pair.one, "value = 30") == []
    pair.sql(pair.two, "INSERT INTO test VALUES (3, 30)")
    pair.two.commit()
    assert pair.rows(pair.one, "value % 3 = 0") == []


def test_pmp_predicate_many_preceders_writing(pair: Pair) -> None:
    pair.sql(pair.one, "UPDATE test SET value = value + 10")
    pair.conflicts(pair.two, "DELETE FROM test WHERE value = 20")
    pair.one.commit()
    assert pair.rows(pair.outside) == [(1, 20), (2, 30)]


LATER: dict[str, Callable[[Pair], None]] = {
    "UPDATE": lambda pair: pair.conflicts(pair.two, "UPDATE test SET value = 12 WHERE id = 1"),
    "DELETE": lambda pair: pair.conflicts(pair.two, "DELETE FROM test WHERE id = 1"),
    "key": lambda pair: pair.conflicts(pair.two, "UPDATE test SET id = 9 WHERE id = 1"),
    "upsert": lambda pair: pair.conflicts(
        pair.two, "INSERT INTO test VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET value = 12"
    ),
    "MERGE": lambda pair: pair.conflicts(
        pair.two, "MERGE INTO test t USING (SELECT 1 AS id) s ON s.id = t.id WHEN MATCHED THEN DELETE"
    ),
    "TRUNCATE": lambda pair: pair.conflicts(pair.two, "TRUNCATE test"),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("committed", [False, True], ids=["open", "committed"])
@pytest.mark.parametrize(
    "first",
    ["UPDATE test SET value = 11 WHERE id = 1", "DELETE FROM test WHERE id = 1"],
    ids=["update", "delete"],
)
def test_p4_lost_update(pair: Pair, first: str, committed: bool, later: str) -> None:
    assert pair.rows(pair.one) == pair.rows(pair.two) == [(1, 10), (2, 20)]
    pair.sql(pair.one, first)
    if committed:
        pair.one.commit()
    LATER[later](pair)
    pair.one.commit()
    assert pair.rows(pair.outside) == [*([(1, 11)] if "UPDATE" in first else []), (2, 20)]


def test_g_single_read_skew(pair: Pair) -> None:
    assert pair.rows(pair.one, "id = 1") == [(1, 10)]
    pair.sql(pair.two, "UPDATE test SET value = 12 WHERE id = 1")
    pair.sql(pair.two, "UPDATE test SET value = 18 WHERE id = 2")
    pair.two.commit()
    assert pair.rows(pair.one, "id = 2") == [(2, 20)]
    assert pair.rows(pair.one, "value % 5 = 0") == [(1, 10), (2, 20)]
    pair.conflicts(pair.one, "DELETE FROM test WHERE value = 20")


def test_g2_write_skew_is_allowed_as_in_postgres(pair: Pair) -> None:
    assert pair.rows(pair.one, "id IN (1, 2)") == pair.rows(pair.two, "id IN (1, 2)")
    pair.sql(pair.one, "UPDATE test SET value = 11 WHERE id = 1")
    pair.sql(pair.two, "UPDATE test SET value = 21 WHERE id = 2")
    pair.one.commit()
    pair.two.commit()
    assert pair.rows(pair.outside) == [(1, 11), (2, 21)]
