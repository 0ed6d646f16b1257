"""Existing DuckDB files: everything in them is there, on main and on branches, and plain DuckDB still reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import sqlglot
from effort import seeds
from sqlglot import exp

import branching
from branching import BoughError, OpenError, branches
from branching.connection import Connection

pytestmark = pytest.mark.sampled


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


def test_views_of_everything_have_no_hidden_columns(tmp_path: Path) -> None:
    path = tmp_path / "plain.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute(
            "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS a, 2 AS b; CREATE VIEW s.z AS SELECT * FROM s.t"
        )
        plain.execute("CREATE VIEW a (x) AS SELECT * FROM s.z; CREATE TABLE gone (g INTEGER)")
        plain.execute("CREATE VIEW twins AS SELECT * FROM s.t JOIN s.z ON true")
        plain.execute("CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone")
    lines: list[str] = []
    database = branching.open(path, progress=lines.append)
    connection = database.connect()
    for view, columns in (("s.z", ["a", "b"]), ("a", ["x", "b"]), ("twins", ["a", "b", "a_1", "b_1"])):
        result = connection.execute(sql(f"SELECT * FROM {view}"))
        assert [column.name for column in result.columns or ()] == columns
        assert result.fetchall() == [(1, 2, 1, 2)[: len(columns)]]
    assert any("broken is left out" in line for line in lines)
    database.close()
    with duckdb.connect(str(path)) as plain:
        assert plain.execute("SELECT x FROM a").fetchall() == [(1,)]


def test_a_foreign_key_beside_a_sequence_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "plain.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute("CREATE SEQUENCE sq START 7; CREATE TABLE a (id INTEGER PRIMARY KEY)")
        plain.execute(
            "CREATE TABLE z (id INTEGER PRIMARY KEY DEFAULT nextval('sq'), a INTEGER REFERENCES a (id), y INTEGER)"
        )
        plain.execute("CREATE INDEX zy ON z (y); COMMENT ON TABLE a IS 'all'; COMMENT ON COLUMN z.y IS 'why'")
        plain.execute("INSERT INTO a VALUES (1); INSERT INTO z (a) VALUES (1)")
    database = branching.open(path)
    connection = database.connect()
    assert rows(connection, "INSERT INTO z (a) VALUES (1) RETURNING id") == [(8,)]
    assert fails(connection, "INSERT INTO z (a) VALUES (2)") == "23503"
    tables = {table.name: table for table in connection.catalog.tables()}
    assert tables["a"].comment == "all"
    assert [column.comment for column in tables["z"].columns] == [None, None, "why"]
    database.close()
    with duckdb.connect(str(path)) as plain:
        assert plain.execute("INSERT INTO z (a) VALUES (1) RETURNING id").fetchall()[0][0] > 8


@pytest.mark.parametrize("version", ["v1.0.0", "v1.2.0", "v1.4.0"])
def test_files_of_older_storage_stay_as_old_as_they_are(tmp_path: Path, version: str) -> None:
    path = tmp_path / "old.duckdb"
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION '{version}')")
        plain.execute("CREATE TABLE old.t AS SELECT i AS id, 'text ' || i AS v FROM range(5000) AS r(i)")
        plain.execute(
            "CREATE TABLE old.k (id INTEGER PRIMARY KEY, l INTEGER[]); INSERT INTO old.k VALUES (1, [1])"
        )
        written = plain.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'old'").fetchall()
    database = branching.open(path)
    branches.create(database, "b", "main", role="me")
    connection = database.connect("b")
    connection.execute(sql("UPDATE t SET v = 'new' WHERE id < 3"))
    database.connect().execute(sql("DELETE FROM t WHERE id >= 10"))
    database.close()
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{path}' AS old")
        assert (
            plain.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'old'").fetchall()
            == written
        )
        assert plain.execute("SELECT count(*) FROM old.t").fetchall() == [(10,)]
    database = branching.open(path)
    assert rows(database.connect("b"), "SELECT count(*) FROM t WHERE v = 'new' OR id > 2") == [(5000,)]
    database.close()


def test_too_little_disk_is_said_before_anything_is_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(file.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1_000_000))
    with pytest.raises(OpenError) as caught:
        branching.open(file)
    assert "MB are needed, 1 MB are free" in caught.value.message
    monkeypatch.undo()
    with duckdb.connect(str(file)) as plain:
        names = [row[0] for row in plain.execute("SELECT column_name FROM duckdb_columns()").fetchall()]
        assert not any(name.startswith("_bough") for name in names)
    branching.open(file).close()


@pytest.mark.parametrize("line", seeds((2, 1, 3, 4)))
def test_an_adoption_that_was_killed_goes_on(file: Path, line: int) -> None:
    """kill -9 while the n-th table is being adopted."""
    program = (
        "import branching, os, sys\n"
        f"def say(text):\n    if '({line} of' in text: os.kill(os.getpid(), 9)\n"
        f"branching.open({str(file)!r}, progress=say)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=Path(branching.__file__).parent.parent)
    assert killed.returncode == -9
    database = branching.open(file)
    check(database.connect())
    database.close()
    with duckdb.connect(str(file)) as plain:
        assert plain.execute("SELECT count(*) FROM people").fetchall() == [(2,)]


@pytest.mark.slow
def test_an_adoption_killed_at_any_moment_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute(
            "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p SELECT i FROM range(50000) AS r(i)"
        )
        plain.execute(
            "CREATE TABLE c (id INTEGER, p INTEGER REFERENCES p (id));"
            " INSERT INTO c SELECT i, i FROM range(50000) AS r(i)"
        )
        for name in ("d", "e"):
            plain.execute(f"CREATE TABLE {name} AS SELECT i AS id, 'x' || i AS v FROM range(300000) AS r(i)")
    program = f"import branching\nprint('begun', flush=True)\nbranching.open({str(path)!r})\n"
    for delay in (0.05, 0.15, 0.3, 0.5):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            cwd=Path(branching.__file__).parent.parent,
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
    database = branching.open(path)
    connection = database.connect()
    for name, count in (("p", 50000), ("c", 50000), ("d", 300000), ("e", 300000)):
        assert rows(connection, f"SELECT count(*) FROM {name}") == [(count,)]
        cursor = database.root.cursor()
        assert cursor.query(f"SELECT count(DISTINCT _bough_rid), count(_bough_ver) FROM main.{name}") == [
            (count, count)
        ]
        cursor.close()
    assert fails(connection, "INSERT INTO c VALUES (1, -1)") == "23503"
    database.close()


def test_a_file_with_a_schema_of_its_own_name_must_be_renamed(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "old.duckdb")) as plain:
        plain.execute("CREATE SCHEMA prod")
        plain.execute("CREATE TABLE prod.t AS SELECT 1 AS a")
    (tmp_path / "old.duckdb").rename(tmp_path / "Prod.duckdb")
    with pytest.raises(OpenError) as caught:
        branching.open(tmp_path / "Prod.duckdb")
    assert "rename the file" in (caught.value.hint or "")
    (tmp_path / "Prod.duckdb").rename(tmp_path / "new.duckdb")
    branching.open(tmp_path / "new.duckdb").close()


def test_indexes_over_names_that_need_quotes_and_over_expressions_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "d.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute(
            """CREATE TABLE t ("B c" INTEGER, "q""t" INTEGER, "it's" INTEGER, "a, b" INTEGER, v VARCHAR)"""
        )
        plain.execute(
            """CREATE UNIQUE INDEX i1 ON t ("B c"); CREATE INDEX i2 ON t ("q""t", v, "it's", "a, b")"""
        )
        plain.execute("""CREATE INDEX i3 ON t ((lower(v))); INSERT INTO t VALUES (1, 2, 3, 4, 'X')""")
    database = branching.open(path)
    found = next(database.connect().catalog.tables()).indexes
    assert [index.columns for index in found[:2]] == [("B c",), ('q"t', "v", "it's", "a, b")]
    assert found[2].columns[0].lower().startswith("lower(")
    branches.create(database, "b", "main", role="me")
    connection = database.connect("b")
    connection.execute(sql("""UPDATE t SET "B c" = "B c" + 1"""))
    with pytest.raises(BoughError) as refused:
        connection.execute(sql("INSERT INTO t VALUES (2, 2, 3, 4, 'Y')"))
    assert refused.value.sqlstate == "23505"
    database.close()


def test_a_file_made_by_plain_duckdb_with_functions_only_is_adopted(tmp_path: Path) -> None:
    """Only what an open has made itself is known to hold nothing, not what has no tables."""
    path = tmp_path / "functions.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute("CREATE MACRO twice(x) AS x * 2")
    for _ in range(2):
        database = branching.open(path)
        assert rows(database.connect(), "SELECT twice(21)") == [(42,)]
        database.close()
    with duckdb.connect(str(path)) as plain:
        plain.execute("CREATE SCHEMA more; CREATE TABLE more.t (i INTEGER); CREATE MACRO thrice(x) AS x * 3")
    database = branching.open(path)
    assert rows(database.connect(), "SELECT thrice(14), count(*) FROM more.t") == [(42, 0)]
    database.close()
