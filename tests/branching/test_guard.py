"""A checkpoint that is killed inside a write of the engine: the file opens as it was before it, with every commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlglot

import branching
from branching.engine import duckdb_guard
from branching.engine.base import OpenError
from branching.engine.duckdb import DuckDBCursor

BLOCK = 262_144
HEADERS = 3 * 4096


def sql(connection: Any, text: str) -> Any:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def torn(path: Path, copy: Path) -> None:
    """A database whose checkpoint stopped in the middle of a block, as ``copy``: what a kill leaves behind."""
    database = branching.open(path)
    connection = database.connect()
    sql(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    sql(connection, "INSERT INTO t SELECT i, 0 FROM range(100) r(i)")
    assert database.checkpointer.run()
    sql(connection, "UPDATE t SET v = 1 WHERE id = 7")
    cursor = database.root
    run = DuckDBCursor.execute

    def killed(self: DuckDBCursor, text: str, parameters: Any = ()) -> Any:
        if text == "CHECKPOINT":
            for suffix in ("", ".wal", ".guard"):
                Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
            raise KeyboardInterrupt
        return run(self, text, parameters)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DuckDBCursor, "execute", killed)
        cursor.checkpoint()
    connection.close()
    database.close()
    number = _a_metadata_block(copy)
    with copy.open("r+b") as file:  # a part of the block is of another state
        file.seek(HEADERS + number * BLOCK + 2 * 4096)
        file.write(b"\x55" * 4096)


def _a_metadata_block(path: Path) -> int:
    content = Path(f"{path}.guard").read_bytes()
    start = content.index(b"DUCK") - 8
    return int.from_bytes(content[start + HEADERS : start + HEADERS + 8], "little")


def test_what_a_killed_checkpoint_wrote_over_comes_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    torn(path, copy)
    database = branching.open(copy)
    connection = database.connect()
    assert sql(connection, "SELECT count(*), sum(v) FROM t") == [(100, 1)]
    sql(connection, "INSERT INTO t VALUES (1000, 1)")
    assert database.checkpointer.run()
    assert not duckdb_guard.guard_path(str(copy)).exists()
    connection.close()
    database.close()
    database = branching.open(copy)
    connection = database.connect()
    assert sql(connection, "SELECT count(*), sum(v) FROM t") == [(101, 2)]
    connection.close()
    database.close()


@pytest.mark.parametrize("how", ["gone", "cut", "of another state"])
def test_nothing_else_is_ever_brought_back(tmp_path: Path, how: str) -> None:
    path, copy = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    torn(path, copy)
    guard = duckdb_guard.guard_path(str(copy))
    if how == "gone":
        guard.unlink()
    elif how == "cut":
        guard.write_bytes(guard.read_bytes()[:-1])
    else:
        with copy.open("r+b") as file:
            file.seek(4096 + 8)
            file.write((1 << 40).to_bytes(8, "little"))
    before = copy.read_bytes()
    with pytest.raises(OpenError):
        branching.open(copy)
    assert copy.read_bytes() == before


def test_a_checkpoint_leaves_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    database = branching.open(path)
    connection = database.connect()
    sql(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    assert database.checkpointer.run()
    connection.close()
    database.close()
    assert {item.name for item in tmp_path.iterdir()} == {"a.duckdb"}
