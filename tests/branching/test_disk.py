"""A disk that is nearly full: what writes is refused before it is, and what gives room back is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.ddl import model as ddl_model


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


@pytest.mark.parametrize("branch", ["main", "b"])
def test_only_what_gives_room_back_is_let_through(
    branch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    main = database.connect()
    main.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
    main.execute(sql("INSERT INTO t VALUES (1), (2), (3)"))
    branches.create(database, "b", "main", role="me")
    connection = database.connect(branch)
    database.disk.reserve = 64 * 2**20
    monkeypatch.setattr(database.disk, "free", lambda: 5 * 2**20)
    for text in (
        "INSERT INTO t VALUES (4)",
        "UPDATE t SET id = 9 WHERE id = 1",
        "CREATE TABLE u (i INTEGER)",
    ):
        with pytest.raises(BoughError) as caught:
            connection.execute(sql(text))
        assert caught.value.sqlstate == "53100"
        assert "5 MB" in (caught.value.detail or "") and "disk_reserve" in (caught.value.hint or "")
    connection.execute(sql("DELETE FROM t WHERE id = 1"))
    assert connection.execute(sql("SELECT count(*) FROM t")).fetchall() == [(2,)]
    connection.execute(ddl_model.Truncate((ddl_model.Name("t"),)))
    monkeypatch.undo()
    connection.execute(sql("INSERT INTO t VALUES (4)"))
    connection.close()
    main.close()
    database.close()


def test_a_log_that_the_disk_cannot_take_twice_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = branching.open(tmp_path / "d.duckdb")
    connection = database.connect()
    connection.execute(sql("CREATE TABLE t AS SELECT range AS i FROM range(1000)"))
    database.checkpointer.limit = 1
    database.disk.reserve = 1
    monkeypatch.setattr(database.disk, "free", lambda: database.checkpointer.log_size() + 1)
    assert database.checkpointer.run_if_due() is False
    monkeypatch.undo()
    assert database.checkpointer.run_if_due() is True
    connection.close()
    database.close()
