"""Existing DuckDB files: everything in them is there, on main and on branches, and plain DuckDB still reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, OpenError, branches
from branching.connection import Connection


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sql(text)).fetchall()


def fails(connection: Connection, text: str) -> str:
    with pytest.raises(BoughError) as caught:
        connection.execute(sql(text))
    return caught.value.sqlstate


SETUP = """
CREATE SEQUENCE seq START 100;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE people (id INTEGER PRIMARY KEY DEFAULT nextval('seq'), name VARCHAR NOT NULL UNIQUE,
    age INTEGER DEFAULT 7 CHECK (age > 0), m mood, born DATE, twice INTEGER GENERATED ALWAYS AS (age * 2));
INSERT INTO people (name, age, m) VALUES ('ann', 30, 'ok'), ('bob', 40, NULL);
CREATE INDEX people_age ON people (age);
CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id), total DECIMAL(10,2));
INSERT INTO orders VALUES (1, 100, 9.50), (2, 101, 1.25);
CREATE TABLE "Odd ""name" ("a b" INTEGER, "select" VARCHAR, l INTEGER[], s STRUCT(x INTEGER, y VARCHAR));
INSERT INTO "Odd ""name" VALUES (1, 'x', [1, 2], {'x': 1, 'y': 'z'}), (NULL, NULL, NULL, NULL);
CREATE SCHEMA other;
CREATE TABLE other.people (id INTEGER, n INTEGER);
INSERT INTO other.people VALUES (1, 1);
CREATE UNIQUE INDEX other_n ON other.people (n);
CREATE VIEW adults AS SELECT name FROM people WHERE age >= 18;
CREATE VIEW joined AS SELECT p.name, o.total FROM people p JOIN orders o ON o.person = p.id;
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plain.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SETUP)
    return path


def check(connection: Connection) -> None:
    assert rows(connection, "SELECT * FROM people ORDER BY id") == [
        (100, "ann", 30, "ok", None, 60),
        (101, "bob", 40, None, None, 80),
    ]
    assert rows(connection, "SELECT * FROM orders ORDER BY id")[0][1] == 100
    assert rows(connection, 'SELECT "a b", "select", l, s.x, s.y FROM "Odd ""name" ORDER BY 1') == [
        (1, "x", [1, 2], 1, "z"),
        (None, None, None, None, None),
    ]
    assert rows(connection, "SELECT * FROM other.people") == [(1, 1)]
    assert rows(connection, "SELECT * FROM adults ORDER BY 1") == [("ann",), ("bob",)]
    assert len(rows(connection, "SELECT * FROM joined")) == 2


@pytest.mark.parametrize("place", ["main", "branch"])
def test_all_objects_are_adopted(file: Path, place: str) -> None:
    lines: list[str] = []
    database = branching.open(file, progress=lines.append)
    assert len(lines) == 4
    if place == "branch":
        branches.create(database, "branch", "main", role="me")
    connection = database.connect(place)
    check(connection)
    assert fails(connection, "INSERT INTO people (name) VALUES ('ann')") == "23505"
    assert fails(connection, "INSERT INTO people (name, age) VALUES ('c', 0)") == "23514"
    assert fails(connection, "INSERT INTO people (age) VALUES (1)") == "23502"
    assert fails(connection, "INSERT INTO orders VALUES (3, 999, 1)") == "23503"
    assert fails(connection, "DELETE FROM people WHERE id = 100") == "23503"
    assert fails(connection, "INSERT INTO other.people VALUES (5, 1)") == "23505"
    new = rows(connection, "INSERT INTO people (name) VALUES ('cid') RETURNING id, age, twice")
    assert new[0][0] > 101 and new[0][1:] == (7, 14)  # type: ignore[operator]
    assert rows(connection, "UPDATE people SET age = 50 WHERE id = 100 RETURNING twice") == [(100,)]
    assert rows(connection, "SELECT age FROM people WHERE age = 50") == [(50,)]
    connection.execute(sql("UPDATE people SET m = 'sad' WHERE id = 101"))
    connection.close()
    database.close()
    again = branching.open(file)
    assert rows(again.connect(place), "SELECT m FROM people WHERE id = 101") == [("sad",)]
    again.close()


def test_plain_duckdb_still_reads_the_file_and_may_add_to_it(file: Path) -> None:
    database = branching.open(file)
    branches.create(database, "b", "main", role="me")
    connection = database.connect("main")
    connection.execute(sql("UPDATE people SET age = 31 WHERE id = 100"))
    connection.close()
    database.close()
    with duckdb.connect(str(file)) as plain:
        assert plain.execute("SELECT name, age FROM people ORDER BY id").fetchall() == [
            ("ann", 31),
            ("bob", 40),
        ]
        assert plain.execute("SELECT * FROM adults").fetchall()
        plain.execute("INSERT INTO people (name, age) VALUES ('new', 1)")
        plain.execute("INSERT INTO other.people (id, n) VALUES (7, 7)")
        plain.execute("CREATE TABLE fresh AS SELECT 1 AS x")
    database = branching.open(file)
    main, branch = database.connect("main"), database.connect("b")
    assert rows(main, "SELECT name FROM people ORDER BY id") == [("ann",), ("bob",), ("new",)]
    assert rows(main, "SELECT * FROM other.people ORDER BY 1") == [(1, 1), (7, 7)]
    assert rows(main, "SELECT * FROM fresh") == [(1,)]
    # The branch was forked before and does not see them.
    assert rows(branch, "SELECT name, age FROM people ORDER BY id") == [("ann", 30), ("bob", 40)]
    assert rows(branch, "SELECT * FROM other.people") == [(1, 1)]
    database.close()


def test_an_interrupted_adoption_goes_on(file: Path) -> None:
    def stop(line: str) -> None:
        if "(3 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        branching.open(file, progress=stop)
    lines: list[str] = []
    database = branching.open(file, progress=lines.append)
    assert len(lines) == 2
    check(database.connect())
    database.close()


def test_what_cannot_be_opened_is_said_in_one_line_and_left_alone(tmp_path: Path) -> None:
    bad = tmp_path / "bad.duckdb"
    bad.write_bytes(b"not a database, not at all" * 1000)
    before = bad.read_bytes()
    for path in (bad, tmp_path, tmp_path / "missing" / "x.duckdb"):
        with pytest.raises(OpenError) as caught:
            branching.open(path)
        assert "\n" not in caught.value.message
    assert bad.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bad.duckdb"]


def test_a_file_in_use_is_refused(file: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print('in', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == b"in\n"
    with pytest.raises(OpenError) as caught:
        branching.open(file)
    assert "in use by another process" in caught.value.message
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()
