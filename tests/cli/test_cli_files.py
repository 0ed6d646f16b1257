"""``bough export`` and ``bough import``: what leaves is a plain DuckDB database and comes back as a branch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

import branching
from branching import branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.diff import changes as diff
from branching.model import Table
from proxy.cli.main import main
from proxy.sql import macros, parse, translate

pytestmark = pytest.mark.sampled

SETUP = """
CREATE TABLE people (id serial PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, age int DEFAULT 7 CHECK (age > 0),
    l int[], twice int GENERATED ALWAYS AS (age * 2) STORED);
INSERT INTO people (name, age, l) VALUES ('ann', 30, ARRAY[1, 2]), ('bob', 40, NULL);
CREATE SCHEMA "Other s";
CREATE TABLE "Other s"."Odd "" t" (a int, "select" text, PRIMARY KEY (a, "select"));
INSERT INTO "Other s"."Odd "" t" VALUES (1, 'x'), (2, 'y');
CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people (id), total numeric(10,2));
CREATE TABLE lines (id int, o int REFERENCES orders (id) ON DELETE CASCADE);
INSERT INTO orders VALUES (1, 1, 9.50);
CREATE INDEX orders_total ON orders (total);
CREATE UNIQUE INDEX orders_pair ON orders (person, total);
CREATE SEQUENCE free START 50 INCREMENT 5;
CREATE VIEW all_people AS SELECT * FROM adults;
CREATE VIEW adults AS SELECT name, initcap(name) AS shown FROM people WHERE age >= 18;
CREATE MACRO grown(n) AS TABLE SELECT id FROM people WHERE age > n;
CREATE MACRO plus(a, b) AS a + b;
CREATE VIEW odd AS SELECT plus(id, 1) AS n FROM grown(45);
CREATE VIEW ages AS SELECT id, sum(age) OVER (ORDER BY id) AS so_far FROM people;
CREATE VIEW members AS SELECT id, e.key, '{"a": 1}'::jsonb || jsonb_build_object(e.key, e.value -> 'b') AS j
    FROM people, jsonb_each('{"k": {"b": 2}}') AS e;
COMMENT ON TABLE people IS 'who';
COMMENT ON COLUMN people.age IS 'in years';
COMMENT ON VIEW adults IS 'grown';
"""


def run(connection: Connection, text: str) -> Any:
    parsed = parse.parse(text)
    if parsed.payload is not None:
        return connection.execute(parsed.payload)  # type: ignore[arg-type]
    return connection.execute(translate.translate(parsed))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    database = branching.open(path, prepare=macros.install)
    connection = database.connect()
    statements = [text for text in SETUP.split(";\n") if text.strip()]
    statements.sort(key=lambda text: text.startswith("\nCREATE VIEW all") or "VIEW all_people" in text)
    for text in statements:
        run(connection, text)
    run(connection, "SELECT nextval('free')").fetchall()
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    run(branch, "INSERT INTO people (name, age) VALUES ('cid', 50)")
    run(branch, "UPDATE people SET age = 41 WHERE name = 'bob'")
    run(branch, "ALTER TABLE orders ADD COLUMN note text DEFAULT 'none'")
    run(connection, "DELETE FROM orders")
    connection.close()
    branch.close()
    database.close()
    return path


def test_a_branch_becomes_a_clean_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.duckdb"
    assert main(["export", str(file), "--branch", "b", "--to", str(out)]) == 0
    said = capsys.readouterr()
    assert "foreign key lines_o_fkey of public.lines is left out" in said.err
    assert [item.name for item in tmp_path.iterdir() if ".tmp" in item.name] == []
    with duckdb.connect(str(out)) as plain:

        def rows(text: str) -> list[tuple[Any, ...]]:
            return plain.execute(text).fetchall()

        assert rows("FROM people ORDER BY id") == [
            (1, "ann", 30, [1, 2], 60),
            (2, "bob", 41, None, 82),
            (3, "cid", 50, None, 100),
        ]
        assert rows('FROM "Other s"."Odd "" t" ORDER BY a') == [(1, "x"), (2, "y")]
        assert [str(value) for value in rows("FROM orders")[0]] == ["1", "1", "9.50", "none"]
        assert rows("FROM all_people ORDER BY 1") == [("ann", "Ann"), ("bob", "Bob"), ("cid", "Cid")]
        assert rows("SELECT n, plus(1, 1) FROM odd") == [(4, 2)]
        assert rows("FROM ages ORDER BY id") == [(1, 30), (2, 71), (3, 121)]
        assert rows("FROM members ORDER BY id")[0] == (1, "k", '{"a":1,"k":2}')
        assert rows("SELECT nextval('free')") == [(55,)]
        assert rows("INSERT INTO people (name) VALUES ('dan') RETURNING id, age") == [(4, 7)]
        assert rows("SELECT comment FROM duckdb_tables() WHERE table_name = 'people'") == [("who",)]
        assert rows("SELECT comment FROM duckdb_columns() WHERE column_name = 'age'") == [("in years",)]
        assert rows("SELECT comment FROM duckdb_views() WHERE view_name = 'adults'") == [("grown",)]
        assert rows("SELECT index_name, is_unique FROM duckdb_indexes() ORDER BY 1") == [
            ("orders_pair", True),
            ("orders_total", False),
        ]
        for text in (
            "INSERT INTO people (name) VALUES ('ann')",
            "INSERT INTO people (name) VALUES (NULL)",
            "INSERT INTO people (name, age) VALUES ('x', 0)",
            "INSERT INTO orders (id, person) VALUES (9, 99)",
            "INSERT INTO orders (id, person, total) VALUES (9, 1, 9.50)",
        ):
            with pytest.raises(duckdb.ConstraintException):
                plain.execute(text)
        columns = rows("SELECT column_name FROM duckdb_columns() WHERE NOT internal")
        assert not [name for (name,) in columns if "bough" in name]


def test_what_was_exported_is_adopted_again(file: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out.duckdb", tmp_path / "again.duckdb"
    assert main(["export", str(file), "--branch", "b", "--to", str(out)]) == 0
    assert main(["import", str(out), "--into", str(again)]) == 0
    first, second = (
        branching.open(file, prepare=macros.install),
        branching.open(again, prepare=macros.install),
    )
    one, other = first.connect("b"), second.connect("main")
    assert other.execute(sqlglot.parse_one("SELECT plus(1, 2)")).fetchall() == [(3,)]
    for name in ("people", "orders", "odd", "ages", "members", '"Other s"."Odd "" t"', "all_people"):
        text = f"SELECT * FROM {name} ORDER BY ALL"
        assert (
            one.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()
            == other.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()
        )
    assert {(t.schema, t.name, t.comment) for t in one.catalog.tables()} == {
        (t.schema, t.name, t.comment) for t in other.catalog.tables()
    }
    first.close()
    second.close()


def test_an_import_is_a_branch_whose_diff_is_what_was_edited(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.duckdb"
    assert main(["export", str(file), "--to", str(out)]) == 0
    with duckdb.connect(str(out)) as plain:
        plain.execute("UPDATE people SET age = 31 WHERE id = 1")
        plain.execute("DELETE FROM people WHERE id = 2")
        plain.execute("INSERT INTO people (name) VALUES ('eve')")
        plain.execute(
            "CREATE TABLE fresh AS SELECT 1 AS x; DROP TABLE lines; CREATE VIEW v AS SELECT * FROM fresh"
        )
    assert main(["import", str(out), "--into", str(file), "--branch", "edited"]) == 0
    database = branching.open(file, prepare=macros.install)
    connection = database.connect("main")
    found = {row.table: row for row in diff.summary(connection, "edited", "main")}
    people = found["people"]
    assert (people.rows_added, people.rows_removed, people.rows_modified) == (1, 1, 1)
    assert found["fresh"].change == "added" and found["lines"].change == "removed"
    assert "orders" not in found or not found["orders"].rows_removed
    edited = database.connect("edited")
    assert run(edited, "SELECT * FROM v").fetchall() == [(1,)]
    new = run(edited, "INSERT INTO people (name) VALUES ('fay') RETURNING id").fetchall()
    assert new[0][0] > 4, "counters are shared"
    assert run(connection, "SELECT count(*) FROM people").fetchall() == [(2,)]
    database.close()


def test_nothing_is_overwritten(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.duckdb"
    out.write_text("mine")
    assert main(["export", str(file), "--to", str(out)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main(["export", str(file), "--to", str(file), "--force"]) == 1
    assert main(["export", str(file), "--to", str(tmp_path / "none" / "x")]) == 1
    assert main(["export", str(file), "--branch", "nope", "--to", str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()
    assert main(["export", str(file), "--to", str(out), "--force"]) == 0
    assert main(["import", str(out), "--into", str(file)]) == 1
    assert main(["import", str(file), "--into", str(tmp_path / "y")]) == 1
    assert main(["import", str(out), "--into", str(file), "--branch", "b"]) == 1
    assert not (tmp_path / "y").exists()
    assert "\n\n" not in capsys.readouterr().err


def test_a_failed_import_leaves_no_branch(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.duckdb"
    assert main(["export", str(file), "--branch", "b", "--to", str(out)]) == 0
    with duckdb.connect(str(out)) as plain:
        plain.execute("INSERT INTO lines VALUES (1, 77)")
    assert main(["import", str(out), "--into", str(file), "--branch", "new"]) == 1
    assert "break foreign key" in capsys.readouterr().err
    database = branching.open(file, prepare=macros.install)
    assert sorted(database.names) == ["b", "main"]
    database.close()


def test_a_served_file_is_said_to_be_in_use(file: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    database = branching.open(file)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "export", str(file), "--to", str(tmp_path / "x")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(branching.__file__).parent.parent)},
        )
    finally:
        database.close()
    assert done.returncode == 1
    assert "in use by another process" in done.stderr and "TRANSFER" in done.stderr


def test_a_table_that_nobody_edited_stays_the_same(file: Path, tmp_path: Path) -> None:
    """With an index over an expression, which the engine spells its own way, and a length, which it does not know."""
    out = tmp_path / "out.duckdb"
    database = branching.open(file, prepare=macros.install)
    connection = database.connect("main")
    tree = sqlglot.parse_one("CREATE TABLE tags (a VARCHAR NOT NULL, n INTEGER)", dialect="duckdb")
    tree.this.expressions[0].meta["declared"] = "character varying(3)"
    connection.execute(tree)
    lower = sqlglot.parse_one("lower(a)", dialect="duckdb")
    connection.execute(d.CreateIndex("tags_lower", d.Name("tags"), (lower,), unique=True))
    run(connection, "INSERT INTO tags VALUES ('x', 1), ('y', 2)")
    database.close()
    assert main(["export", str(file), "--to", str(out)]) == 0
    assert main(["import", str(out), "--into", str(file), "--branch", "same"]) == 0
    database = branching.open(file, prepare=macros.install)
    connection = database.connect("main")
    assert [row for row in diff.summary(connection, "same", "main") if row.table == "tags"] == []
    same = database.connect("same").catalog.find("public", "tags")
    assert isinstance(same, Table) and same.columns[0].declared == "character varying(3)"
    database.close()
