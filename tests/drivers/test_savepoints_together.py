"""Sessions that go back to savepoints while others commit: no write is lost or half there, no block sees two states."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
import pytest
from effort import examples
from server_thread import ThreadServer

ACCOUNTS = 12
BLOCKS = examples(25)
pytestmark = pytest.mark.sampled


def block(connection: psycopg.Connection[Any], name: str, choice: random.Random, number: int) -> None:
    """Moves money about, tries things and takes them back. What it keeps is written to the journal."""

    def total() -> int:
        found = connection.execute(f"SELECT sum(v)::int FROM {name}").fetchone()
        assert found is not None
        return int(found[0])

    def move() -> tuple[int, int, int]:
        giver, taker, amount = choice.randrange(ACCOUNTS), choice.randrange(ACCOUNTS), choice.randrange(1, 9)
        connection.execute(f"UPDATE {name} SET v = v - %s WHERE id = %s", (amount, giver))
        connection.execute(f"UPDATE {name} SET v = v + %s WHERE id = %s", (amount, taker))
        connection.execute(
            f"INSERT INTO j{name} (giver, taker, amount) VALUES (%s, %s, %s)", (giver, taker, amount)
        )
        return giver, taker, amount

    connection.execute("BEGIN")
    before = total()
    assert before == ACCOUNTS * 100
    move()
    for depth in range(choice.randrange(1, 4)):
        connection.execute(f"SAVEPOINT s{depth}")
        move()
        if choice.random() < 0.7:
            if choice.random() < 0.5:
                with pytest.raises(psycopg.Error) as caught:
                    connection.execute(f"INSERT INTO j{name} (id, giver) VALUES (-1, 1), (-1, 1)")
                if caught.value.sqlstate != "23505":
                    raise caught.value
            connection.execute(f"ROLLBACK TO s{depth}")
        assert total() == before, number
    connection.execute("COMMIT")


@pytest.mark.parametrize("where", ["main", "branch"])
@pytest.mark.parametrize("seed", range(examples(4)))
def test_money_is_neither_made_nor_lost(server: ThreadServer, name: str, where: str, seed: int) -> None:
    with server.connect() as main:
        main.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)")
        main.execute(f"CREATE TABLE j{name} (id serial PRIMARY KEY, giver int, taker int, amount int)")
        main.execute(f"INSERT INTO {name} SELECT i, 100 FROM generate_series(0, {ACCOUNTS - 1}) AS g(i)")
        if where == "branch":
            main.execute(f"BRANCH CREATE {name} FROM main")
    place = name if where == "branch" else "main"
    outcomes: list[str] = []
    broken: list[BaseException] = []

    def session(number: int) -> None:
        choice = random.Random(seed * 100 + number)
        try:
            with server.connect(place) as connection:
                for turn in range(BLOCKS):
                    try:
                        block(connection, name, choice, turn)
                        outcomes.append("COMMIT")
                    except psycopg.errors.SerializationFailure:
                        outcomes.append("40001")
                        connection.execute("ROLLBACK")
        except BaseException as error:
            broken.append(error)

    def forker() -> None:
        with server.connect() as connection:
            for number in range(6):
                connection.execute(f"BRANCH CREATE f{number}{name} FROM {place}")
                with server.connect(f"f{number}{name}") as fork:
                    found = fork.execute(f"SELECT sum(v)::int FROM {name}").fetchone()
                    assert found == (ACCOUNTS * 100,)

    threads = [threading.Thread(target=session, args=(number,)) for number in range(3)]
    threads.append(threading.Thread(target=forker))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert "COMMIT" in outcomes
    with server.connect(place) as connection:
        journal = connection.execute(f"SELECT giver, taker, amount FROM j{name}").fetchall()
        expected = dict.fromkeys(range(ACCOUNTS), 100)
        for giver, taker, amount in journal:
            expected[giver] -= amount
            expected[taker] += amount
        assert dict(connection.execute(f"SELECT id, v FROM {name}").fetchall()) == expected
        ids = connection.execute(f"SELECT count(*), count(DISTINCT id) FROM j{name}").fetchone()
        assert ids is not None and ids[0] == ids[1]
