"""Macros: text of the catalog, expanded on the branch that calls them, and never the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlglot

import branching
from branching import Author, BoughError, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.diff import sql as diff_sql
from branching.diff import statements as diff_statements
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled


def run(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def macro(connection: Connection, name: str, parameters: str, body: str, **more: bool) -> None:
    tree = sqlglot.parse_one(body if body.startswith("SELECT") else f"SELECT {body}", dialect="duckdb")
    is_table = body.startswith("SELECT")
    connection.execute(
        d.CreateMacro(
            d.Name(name),
            tuple(parameters.split()),
            tree if is_table else tree.expressions[0],
            is_table,
            **more,
        )
    )


def refused(connection: Connection, text: str) -> str:
    with pytest.raises(BoughError) as caught:
        run(connection, text)
    return caught.value.sqlstate


@pytest.fixture
def database(tmp_path: Path) -> Iterator[branching.Database]:
    database = branching.open(tmp_path / "d.duckdb")
    connection = database.connect()
    run(connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
    run(connection, "INSERT INTO t VALUES (1, 10), (2, 20)")
    macro(connection, "plus", "a b", "a + b")
    macro(connection, "total", "", "(SELECT sum(v) FROM t)")
    macro(connection, "above", "n", "SELECT id FROM t WHERE v > n")
    connection.close()
    yield database
    database.close()


def test_a_macro_reads_the_branch_that_it_is_called_on(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    main, b = database.connect(), database.connect("b")
    connection = database.connect("b")
    connection.execute(
        d.CreateView(
            d.Name("w"), sqlglot.parse_one("SELECT total() AS n, plus(1, 1) AS two", dialect="duckdb")
        )
    )
    run(b, "UPDATE t SET v = plus(v, 100) WHERE id IN (SELECT id FROM above(15))")
    assert run(b, "SELECT total(), plus(1, plus(2, 3)) * 2") == [(130, 12)]
    assert run(main, "SELECT total()") == [(30,)]
    assert run(b, "SELECT * FROM above(50) AS x") == [(2,)]
    assert run(main, "SELECT above.id FROM above(5) ORDER BY 1") == [(1,), (2,)]
    assert run(b, "SELECT * FROM w") == [(130, 2)]
    macro(b, "plus", "a b", "a * b", or_replace=True)
    assert run(b, "SELECT plus(3, 4)") == [(12,)]
    assert run(b, "SELECT two FROM w") == [(1,)]
    assert run(main, "SELECT plus(3, 4), plus(b := 1, a := 2)") == [(7, 3)]
    assert run(main, "INSERT INTO t VALUES (plus(2, 1), plus(?, 1)) RETURNING v".replace("?", "5")) == [(6,)]


def test_arguments_are_what_they_were(database: branching.Database) -> None:
    main = database.connect()
    macro(main, "twice", "x", "x * 2")
    macro(main, "same", "x", "x")
    assert run(main, "SELECT twice(1 + 2), -twice(3), 10 - same(3 - 2)") == [(6, -6, 9)]
    assert run(main, "SELECT twice(v) FROM t WHERE same(id) = 2") == [(40,)]
    assert run(main, "SELECT same(count(*)), twice(sum(v)) FROM t") == [(2, 60)]
    macro(main, "hidden", "", "_bough_rid")
    for text, sqlstate in (
        ("SELECT plus(1)", "42883"),
        ("SELECT plus(1, 2, 3)", "42883"),
        ("SELECT plus(1, c := 2)", "42883"),
        ("SELECT above(1)", "42809"),
        ("SELECT * FROM plus(1, 2)", "42809"),
        ("SELECT hidden() FROM t", "42703"),
    ):
        assert refused(main, text) == sqlstate, text


def test_making_and_dropping(database: branching.Database) -> None:
    main = database.connect()

    def fails(statement: d.Ddl) -> str:
        with pytest.raises(BoughError) as caught:
            main.execute(statement)
        return caught.value.sqlstate

    body = sqlglot.parse_one("1")
    assert fails(d.CreateMacro(d.Name("plus"), (), body)) == "42723"
    assert fails(d.CreateMacro(d.Name("length"), (), body)) == "42723"
    assert fails(d.CreateMacro(d.Name("loop"), (), sqlglot.parse_one("loop()", dialect="duckdb"))) == "54001"
    assert fails(d.CreateMacro(d.Name("m"), ("a", "A"), body)) == "42P13"
    assert fails(d.CreateMacro(d.Name("m"), (), sqlglot.parse_one("(SELECT 1 FROM nope)"))) == "42P01"
    macro(main, "more", "a", "plus(a, 1)")
    assert fails(d.Drop("macro", (d.Name("plus"),))) == "2BP01"
    main.begin()
    main.execute(d.Drop("macro", (d.Name("plus"),), cascade=True))
    assert not {("public", "plus"), ("public", "more")} & set(main.catalog.macros)
    main.rollback()
    assert run(main, "SELECT more(1)") == [(2,)]
    assert fails(d.Drop("macro", (d.Name("nope"),))) == "42883"
    main.execute(d.Drop("macro", (d.Name("nope"),), if_exists=True))


def test_diff_and_merge_carry_macros(database: branching.Database) -> None:
    branches.create(database, "b", "main", role="me")
    b, main = database.connect("b"), database.connect()
    macro(b, "plus", "a b", "a - b", or_replace=True)
    macro(b, "fresh", "a", "plus(a, 1)")
    b.execute(d.Drop("macro", (d.Name("above"),)))
    found = {(row.table, row.object, row.change) for row in diff_sql.schema(main, "b", "main")}
    assert found == {("plus", "macro", "changed"), ("fresh", "macro", "added"), ("above", "macro", "removed")}
    statements = diff_statements.sql(main, "b", "main")
    assert any("MACRO" in text and "fresh" in text for text in statements)
    merge_apply.merge(database, "b", "main", author=Author())
    assert run(main, "SELECT plus(5, 3), fresh(3)") == [(2, 2)]
    assert ("public", "above") not in main.catalog.macros


def test_a_time_past_has_its_macros(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "d.duckdb", retention=3600)
    main = database.connect()
    run(main, "CREATE TABLE t AS SELECT 1 AS v")
    macro(main, "f", "a", "a + 1")
    main.execute(d.CreateView(d.Name("w"), sqlglot.parse_one("SELECT f(v) AS n FROM t")))
    database.commit_log.flush()
    version = database.clock.version
    macro(main, "f", "a", "a + 2", or_replace=True)
    assert run(main, "SELECT n FROM w") == [(3,)]
    assert run(main, f"SELECT n FROM w FOR VERSION AS OF {version}") == [(2,)]
    database.close()


def test_macros_of_a_file_are_adopted_and_stay_on_their_branch(tmp_path: Path) -> None:
    path = tmp_path / "plain.duckdb"
    with duckdb.connect(str(path)) as plain:
        plain.execute("CREATE TABLE t AS SELECT 1 AS v; CREATE MACRO total() AS (SELECT sum(v) FROM t)")
        plain.execute(
            "CREATE MACRO above(n) AS TABLE SELECT v FROM t WHERE v > n; CREATE MACRO f(a) AS a, (a, b) AS a + b"
        )
        plain.execute("CREATE VIEW w AS SELECT total() AS n; CREATE VIEW x AS SELECT v FROM t")
    database = branching.open(path)
    branches.create(database, "b", "main", role="me")
    main, b = database.connect(), database.connect("b")
    run(b, "UPDATE t SET v = 5")
    assert run(b, "SELECT total(), n FROM w") == [(5, 5)]
    assert run(b, "SELECT * FROM above(1)") == [(5,)]
    assert run(main, "SELECT total() FROM w") == [(1,)]
    assert refused(b, "SELECT f(1)") == "0A000"
    b.execute(d.Drop("macro", (d.Name("total"),), cascade=True))
    assert refused(b, "SELECT total()") == "42883", "the engine's own would read main"
    main.execute(d.Drop("macro", (d.Name("above"),)))
    main.execute(d.Drop("view", (d.Name("x"),)))
    database.close()
    database = branching.open(path)
    main = database.connect()
    assert refused(main, "SELECT * FROM above(0)") == "42883", "dropped is dropped"
    assert refused(main, "SELECT * FROM x") == "42P01"
    assert run(main, "SELECT total()") == [(1,)]
    database.close()
    with duckdb.connect(str(path)) as plain:
        assert plain.execute("SELECT total()").fetchall() == [(1,)]
