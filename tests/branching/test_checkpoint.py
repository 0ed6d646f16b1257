"""The log is folded into the file under steady writers, and never at their cost."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlglot
from sqlglot import exp

import branching


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def test_steady_writers_do_not_starve_checkpoints(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    database.checkpointer.limit = 100_000
    setup = database.connect()
    setup.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR)"))
    failures: list[BaseException] = []
    largest = 0

    def writes(number: int) -> None:
        nonlocal largest
        try:
            connection = database.connect()
            for item in range(40):
                connection.execute(
                    sql(
                        f"INSERT INTO t SELECT {number * 100000 + item * 100} + i, repeat('x', 100) FROM range(50) r(i)"
                    )
                )
                largest = max(largest, database.checkpointer.log_size())
            connection.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=writes, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert database.checkpointer.done > 0
    assert largest < 6 * database.checkpointer.limit
    assert setup.execute(sql("SELECT count(*) FROM t")).fetchall() == [(8000,)]
    setup.close()
    database.close()


def test_an_open_writer_puts_it_off(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    connection = database.connect()
    connection.execute(sql("CREATE TABLE t (id INTEGER)"))
    connection.begin()
    connection.execute(sql("INSERT INTO t VALUES (1)"))
    database.checkpointer.limit, database.checkpointer._pause = 0, 600.0
    assert database.checkpointer.run_if_due() is False and database.checkpointer.failed == 1
    assert database.checkpointer.run_if_due() is False and database.checkpointer.failed == 1, (
        "not again at once"
    )
    connection.commit()
    assert database.checkpointer.run() is True
    assert database.checkpointer.log_size() == 0
    assert connection.execute(sql("SELECT * FROM t")).fetchall() == [(1,)]
    connection.close()
    database.close()
