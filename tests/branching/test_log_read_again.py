"""What a block did to definitions is there again when the engine's log is read: at every start after a kill."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import sqlglot
from effort import seeds
from merge_lab import column
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.dml import copied

pytestmark = pytest.mark.sampled

Statement = exp.Expr | d.AlterTable | d.CreateIndex | d.Drop | d.Truncate


@pytest.fixture(autouse=True)
def _small_tables_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is emptied is replaced by an empty table, as large ones are."""
    monkeypatch.setattr(copied, "EMPTIED", 0)


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def alter(table: str, *actions: d.Action) -> d.AlterTable:
    return d.AlterTable(d.Name(table), actions)


def check(name: str) -> d.AddConstraint:
    return d.AddConstraint(d.ConstraintDefinition("c", name, (), sql("y > 0")))


def index(name: str, table: str) -> d.CreateIndex:
    return d.CreateIndex(name, d.Name(table), ("y",))


CASES: dict[str, list[Statement]] = {
    "index, rename": [index("i", "n"), alter("n", d.RenameTable("m"))],
    "new table, index, rename": [
        sql("CREATE TABLE o (x INTEGER PRIMARY KEY, y INTEGER)"),
        sql("INSERT INTO o VALUES (1, 1)"),
        index("i", "o"),
        alter("o", d.RenameTable("o2")),
    ],
    "index, constraint": [index("i", "n"), alter("n", check("c"))],
    "index, several constraints": [
        index("i", "n"),
        alter("n", check("c"), check("c2")),
        alter("n", check("c3")),
    ],
    "index, emptied twice": [
        index("i", "n"),
        *[d.Truncate((d.Name("n"),)), sql("INSERT INTO n VALUES (7, 7)")] * 2,
    ],
    "index, drop": [index("i", "n"), d.Drop("table", (d.Name("n"),))],
    "index, dropped, rename": [
        index("i", "n"),
        d.Drop("index", (d.Name("i"),)),
        alter("n", d.RenameTable("m")),
        alter("m", d.RenameTable("n")),
    ],
}


def state(path: Path) -> list[tuple[str, list[str], list[str]]]:
    database = branching.open(path)
    connection = database.connect()
    found = []
    for table in sorted(connection.catalog.tables(), key=lambda item: item.name):
        rows = connection.execute(sql(f'SELECT * FROM "{table.name}"')).fetchall()
        shape = [item.name for item in (*table.columns, *table.constraints, *table.indexes)]
        found.append((table.name, shape, sorted(map(repr, rows))))
    connection.close()
    database.close()
    return found


def read_again(path: Path, aside: Path) -> None:
    """The file and its log as a kill would leave them now hold what the database says it holds."""
    for name in (path.name, f"{path.name}.wal"):
        if (path.parent / name).exists():
            shutil.copy(path.parent / name, aside / name)
    assert [name for name, _, _ in state(aside / path.name)]


def begun(path: Path, *, fork: bool) -> Connection:
    database = branching.open(path)
    connection = database.connect()
    connection.execute(sql("CREATE TABLE n (x INTEGER PRIMARY KEY, y INTEGER)"))
    connection.execute(sql("INSERT INTO n VALUES (1, 1), (2, 2)"))
    if fork:
        branches.create(database, "b", "main", role="me")
    return connection


@pytest.mark.once_each
@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_an_index_made_before_a_rename(tmp_path: Path, case: str, block: bool, fork: bool) -> None:
    (tmp_path / "aside").mkdir()
    path = tmp_path / "d.duckdb"
    connection = begun(path, fork=fork)
    if block:
        connection.begin()
    for statement in CASES[case]:
        connection.execute(statement)
    if block:
        connection.commit()
    connection.execute(sql("CREATE TABLE last (z INTEGER)"))
    read_again(path, tmp_path / "aside")
    connection.close()
    connection.database.close()
    assert state(tmp_path / "aside" / path.name) == state(path)


def test_actions_of_one_statement(tmp_path: Path) -> None:
    """A table with an index, altered in several ways at once: the index is made and dropped in between."""
    (tmp_path / "aside").mkdir()
    path = tmp_path / "d.duckdb"
    connection = begun(path, fork=False)
    connection.execute(index("i", "n"))
    connection.execute(alter("n", d.AddColumn(column("z INTEGER DEFAULT 3")), check("c"), d.DropColumn("z")))
    read_again(path, tmp_path / "aside")
    connection.close()
    connection.database.close()
    assert state(tmp_path / "aside" / path.name) == state(path)


@pytest.mark.parametrize("seed", seeds(12))
def test_random_blocks(tmp_path: Path, seed: int) -> None:
    (tmp_path / "aside").mkdir()
    path = tmp_path / "d.duckdb"
    connection, random_ = begun(path, fork=seed % 3 == 0), random.Random(seed)
    name, made = "n", 0
    for _ in range(6):
        connection.begin()
        try:
            for _ in range(random_.randint(1, 5)):
                made += 1
                kind = random_.choice(
                    ["index", "drop", "rename", "add", "check", "write", "type", "null", "empty"]
                )
                indexes = connection.catalog.find("public", name)
                if kind == "index":
                    connection.execute(index(f"i{made}", name))
                elif kind == "drop" and indexes is not None and getattr(indexes, "indexes", ()):
                    connection.execute(d.Drop("index", (d.Name(indexes.indexes[0].name),)))  # type: ignore[union-attr]
                elif kind == "rename":
                    connection.execute(alter(name, d.RenameTable(f"n{made}")))
                    name = f"n{made}"
                elif kind == "add":
                    connection.execute(alter(name, d.AddColumn(column(f"c{made} INTEGER DEFAULT {made}"))))
                elif kind == "check":
                    connection.execute(alter(name, check(f"k{made}")))
                elif kind == "type":
                    connection.execute(alter(name, d.AlterType("y", exp.DataType.build("BIGINT", "duckdb"))))
                elif kind == "empty":
                    connection.execute(d.Truncate((d.Name(name),)))
                elif kind == "null":
                    connection.execute(alter(name, d.SetNotNull("y")))
                else:
                    connection.execute(sql(f"INSERT INTO {name} (x, y) VALUES ({100 + made}, {made})"))
            connection.commit()
        except BoughError:
            connection.rollback()
            name = next(table.name for table in connection.catalog.tables())
        read_again(path, tmp_path / "aside")
    connection.close()
    connection.database.close()
