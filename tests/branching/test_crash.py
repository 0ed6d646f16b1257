"""After kill -9 at any instant: every acknowledged commit and branch is there, and nothing is there by halves."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlglot
from effort import seeds

import branching
from branching.ddl import model as d

WORKER = Path(__file__).with_name("crash_worker.py")
ROOT = Path(branching.__file__).parent.parent


def prepare(path: Path) -> None:
    database = branching.open(path)
    connection = database.connect()
    for table in ("a", "b"):
        connection.execute(
            sqlglot.parse_one(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v INTEGER)", dialect="duckdb")
        )
    connection.close()
    database.close()


def run(path: Path, seed: int, *point: str, kill_after: float | None = None) -> list[list[str]]:
    """What the worker said before it was killed."""
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(path), str(seed), *point],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None and process.stderr is not None
    timer = threading.Timer(kill_after or 30.0, process.kill)
    said = [process.stdout.readline().decode().split()]
    timer.start()
    said += [line.decode().split() for line in process.stdout.readlines()]
    process.wait()
    timer.cancel()
    problems = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == -9, problems
    assert "Traceback" not in problems, problems
    assert said[0] == ["ready"]
    return said


def verify(path: Path, said: list[list[str]]) -> None:
    database = branching.open(path)
    acknowledged: dict[str, set[int]] = {"main": set()}
    maybe: dict[str, set[int]] = {"main": set()}
    for line in said[1:]:
        if line[0] == "try":
            maybe[line[1]].add(int(line[2]))
        elif line[0] == "done":
            acknowledged[line[1]].add(int(line[2]))
        elif line[0] == "forked":
            assert database.has_branch(line[1]), f"{line[1]} is lost"
            acknowledged[line[1]] = set(acknowledged[line[2]])
            maybe[line[1]] = set(maybe[line[2]])
    for branch, numbers in acknowledged.items():
        connection = database.connect(branch)
        found = {}
        for table in ("a", "b"):
            tree = sqlglot.parse_one(f"SELECT id, v FROM {table} ORDER BY id", dialect="duckdb")
            found[table] = connection.execute(tree).fetchall()
        assert found["a"] == found["b"], branch
        ids = {row[0] for row in found["a"]}
        assert numbers <= ids, f"{branch} lost {numbers - ids}"
        assert ids <= numbers | maybe[branch], f"{branch} has {ids - numbers} from nowhere"
        total = len(found["a"])
        assert [row[1] for row in found["a"]] == list(range(total, 0, -1)), branch
        # It can be written and altered.
        connection.execute(sqlglot.parse_one("INSERT INTO a VALUES (-1, 0)", dialect="duckdb"))
        connection.execute(d.AlterTable(d.Name("b"), (d.DropNotNull("v"),)))
        connection.close()
    database.close()


@pytest.mark.parametrize("seed", seeds(3))
def test_killed_at_a_random_instant(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "d.duckdb"
    prepare(path)
    verify(path, run(path, seed, kill_after=0.2 + seed * 0.13))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 40))
def test_killed_at_many_random_instants(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "d.duckdb"
    prepare(path)
    verify(path, run(path, seed, kill_after=0.05 + seed * 0.02))


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("after commit", 12),
        pytest.param("before commit", 9, marks=pytest.mark.slow),
        pytest.param("statement", 61, marks=pytest.mark.slow),
    ],
)
def test_killed_between_two_engine_calls(tmp_path: Path, point: str, number: int) -> None:
    path = tmp_path / "d.duckdb"
    prepare(path)
    verify(path, run(path, 7, point, str(number)))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 200, 5))
def test_killed_at_every_fifth_statement(tmp_path: Path, number: int) -> None:
    path = tmp_path / "d.duckdb"
    prepare(path)
    verify(path, run(path, 3, "statement", str(number)))
