"""Diffs: counts, rows, definitions, and statements that really make the base what the branch is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, Connection, branches, compare
from branching.ddl import model as d
from branching.diff import changes as diff
from branching.diff import rows as diff_rows
from branching.diff import sql as diff_sql
from branching.diff import statements as diff_statements
from branching.diff.past import Moments

pytestmark = pytest.mark.sampled


def sql(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


def column(text: str) -> exp.ColumnDef:
    found = sqlglot.parse_one(f"create table x ({text})", dialect="duckdb").find(exp.ColumnDef)
    assert found is not None
    return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Connection, Connection]]:
    database = branching.open(tmp_path / "diff.duckdb")
    main = database.connect("main")
    sql(main, "create table t (id integer primary key, a integer, b varchar)")
    sql(main, "insert into t select i, i, 'it''s ' || i from range(6) r(i)")
    sql(main, "create table k (v integer, w varchar)")
    sql(main, "insert into k values (1, 'x'), (1, 'x'), (2, null)")
    branches.create(database, "b", "main", role="tester")
    b = database.connect("b")
    yield main, b
    main.close()
    b.close()
    database.close()


def change(b: Connection) -> None:
    sql(b, "update t set a = 50 where id = 1")
    sql(b, "update t set id = 40 where id = 4")
    sql(b, "delete from t where id = 2")
    sql(b, "insert into t values (9, null, 'new')")
    sql(b, "delete from k where v = 2")
    sql(b, "insert into k values (7, 'seven')")


def test_a_row_that_came_with_the_fork_is_modified_under_a_new_column_name(
    pair: tuple[Connection, Connection],
) -> None:
    main, b = pair
    sql(b, "update t set a = 50 where id = 1")
    branches.create(main.database, "c", "b", role="tester")
    c = main.database.connect("c")
    c.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("b", "text"),)))
    sql(c, "update t set a = 51 where id = 1")
    (found,) = diff.summary(main, "c")
    assert (found.rows_added, found.rows_modified, found.cells_modified) == (0, 1, 1)
    c.close()


def test_summary_counts_rows_and_cells(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    assert diff.summary(main, "b") == []
    change(b)
    sql(b, "update t set a = a where id = 5")
    found = {item.table: item for item in diff.summary(main, "b")}
    t, k = found["t"], found["k"]
    assert (t.rows_added, t.rows_removed, t.rows_modified, t.cells_modified) == (1, 1, 2, 2)
    assert (k.rows_added, k.rows_removed, k.rows_modified) == (1, 1, 0)
    sql(main, "update t set a = 77 where id = 5")
    assert diff.summary(main, "b") == list(found.values()), "what the parent did since is not the branch's"
    direct = {item.table: item for item in diff.summary(main, "b", direct=True)}
    assert direct["t"].rows_modified == 3
    other = diff.summary(main, "main", "b", direct=True)
    assert [item.rows_added for item in other] == [1, 1]


def rows(connection: Connection, table: str, **more: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    schema, _, name = table.rpartition(".")
    wanted = diff_rows.Wanted("b", diff.Named(name, schema or None), **more)
    shown, found = diff_rows.rows(connection.database, wanted)
    assert diff_rows.columns(connection.database, wanted) == shown
    return [f"{column.name} {column.type}" for column in shown], found


def test_rows_in_key_order_page_by_page(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    change(b)
    columns, found = rows(main, "t")
    assert columns == [
        "change_type VARCHAR", "from_id INTEGER", "to_id INTEGER", "from_a INTEGER", "to_a INTEGER",
        "from_b VARCHAR", "to_b VARCHAR",
    ]  # fmt: skip
    assert [(row[0], row[1], row[2]) for row in found] == [
        ("modified", 1, 1),
        ("removed", 2, None),
        ("added", None, 9),
        ("modified", 4, 40),
    ]
    pages = [rows(main, "public.t", limit=2, offset=n)[1] for n in (0, 2)]
    assert pages[0] + pages[1] == found
    columns, keyed = rows(main, "t", key=True)
    assert columns[:2] == ["change_type VARCHAR", "id INTEGER"]
    assert [row[1] for row in keyed] == [1, 2, 9, 40]


def test_pages_of_a_table_without_a_key_fit_together(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    sql(b, "update k set w = w || '!'")
    sql(b, "insert into k select i, 'same' from range(5) r(i), range(2)")
    _, found = rows(main, "k")
    taken = []
    for offset in range(0, len(found), 3):
        taken += rows(main, "k", limit=3, offset=offset)[1]
        sql(main, f"insert into t values (100 + {offset}, 1, 'x')")
        sql(b, f"insert into t values (200 + {offset}, 1, 'x')")
    assert taken == found and len(found) == 12


def test_a_relation_by_its_name(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    b.execute(d.CreateSchema("s"))
    sql(b, "create table s.ü (id integer)")
    with pytest.raises(BoughError) as caught:
        rows(main, "nothing")
    assert (caught.value.sqlstate, caught.value.hint) == (
        "42P01", 'BRANCH DIFF "b" lists the tables that changed.',
    )  # fmt: skip
    with pytest.raises(BoughError) as caught:
        rows(main, "ü")
    assert caught.value.hint == 'There is "s"."ü": name its schema.'
    assert [row[0] for row in rows(main, "s.ü")[1]] == []
    b.execute(d.CreateView(d.Name("v"), sqlglot.parse_one("select 1 as x", dialect="duckdb")))
    with pytest.raises(BoughError) as caught:
        rows(main, "v")
    assert caught.value.sqlstate == "42809"
    assert [item.object for item in diff_sql.schema(main, "b", table=diff.Named("v"))] == ["view"]


def test_both_halves_have_the_wider_type(pair: tuple[Connection, Connection]) -> None:
    """Columns retyped, renamed, dropped with their name taken, and generated ones."""
    main, b = pair
    sql(main, "create table r (id integer primary key, n integer, m integer, x date, g integer as (n * 2))")
    sql(main, "insert into r (id, n, m, x) values (1, 5, 6, '2020-01-01'), (2, 1, 1, null)")
    branches.discard(main.database, "b", force=True)
    b.close()
    branches.create(main.database, "b", "main", role="tester")
    b = main.database.connect("b")
    for action in (
        d.AlterType("n", sqlglot.exp.DataType.build("bigint", dialect="duckdb")),
        d.AlterType("x", sqlglot.exp.DataType.build("timestamp", dialect="duckdb")),
        d.DropColumn("m"),
        d.AddColumn(column("m varchar")),
    ):
        try:
            b.execute(d.AlterTable(d.Name("r"), (action,)))
        except BoughError as error:  # a generated column may stand on the one that is retyped
            assert error.sqlstate == "0A000", action
    sql(b, "update r set m = 'six', n = 50 where id = 1")
    columns, found = rows(main, "r")
    shown = dict(text.split(" ", 1) for text in columns)
    assert shown["from_m"] == shown["to_m"] == "VARCHAR" and shown["to_x"] == "TIMESTAMP"
    cells = dict(zip(shown, found[0], strict=True))
    assert (cells["from_m"], cells["to_m"], cells["from_n"], cells["to_n"]) == ("6", "six", 5, 50)
    assert (cells["from_g"], cells["to_g"]) == (10, 100)


@pytest.mark.parametrize(
    ("types", "common"),
    [
        ({"INTEGER", "BIGINT"}, "BIGINT"),
        ({"UINTEGER", "INTEGER"}, "BIGINT"),
        ({"INTEGER", "DECIMAL(10,2)"}, "DECIMAL(12,2)"),
        ({"DECIMAL(38,0)", "DECIMAL(10,2)"}, "VARCHAR"),
        ({"DECIMAL(10,2)", "DOUBLE"}, "DOUBLE"),
        ({"DATE", "TIMESTAMP"}, "TIMESTAMP"),
        ({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}, "VARCHAR"),
        ({"INTEGER", "VARCHAR"}, "VARCHAR"),
    ],
)
def test_the_wider_type(types: set[str], common: str) -> None:
    assert compare.wider(types) == common


def test_definitions_by_identity(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    b.execute(
        d.AlterTable(d.Name("t"), (d.AddColumn(column("c integer default 5")), d.RenameColumn("b", "bb")))
    )
    sql(b, "create table n (id integer primary key)")
    found = {(item.table, item.object): item.change for item in diff_sql.schema(main, "b")}
    assert found == {("n", "table"): "added", ("t", "column bb"): "renamed", ("t", "column c"): "added"}
    (new, t) = diff.summary(main, "b")
    assert new.change == "added" and t.columns_added == ("c",) and t.columns_changed == ("bb",)
    states = {item.table: item.state for item in diff.status(main, "b")}
    assert states == {"t": "changed", "k": "untouched", "n": "new"}


def test_statements_reproduce_the_branch(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    b.execute(
        d.AlterTable(d.Name("t"), (d.AddColumn(column("c integer default 5")), d.RenameColumn("b", "bb")))
    )
    change_after = "update t set c = 6, bb = 'it''s' where id = 3"
    sql(b, change_after)
    sql(b, "delete from t where id = 0")
    sql(b, "update k set w = 'y' where v = 2")
    sql(b, "insert into k values (1, 'x')")
    sql(b, "create table n (id integer primary key, at timestamp, l integer[])")
    sql(b, "insert into n values (1, '2020-01-01 10:00:00', [1, 2])")
    statements = diff_statements.sql(main, "b")
    for text in statements:
        run(main, text)
    for table in ("t", "k", "n"):
        assert sql(main, f"select * from {table} order by all") == sql(
            b, f"select * from {table} order by all"
        )


def run(connection: Connection, text: str) -> None:
    """A statement as the front end would hand it down."""
    tree = sqlglot.parse_one(text, dialect="duckdb")
    if isinstance(tree, exp.Alter):
        (action,) = tree.args["actions"]
        name = d.Name(tree.this.name)
        if isinstance(action, exp.ColumnDef):
            connection.execute(d.AlterTable(name, (d.AddColumn(action),)))
        elif isinstance(action, exp.RenameColumn):
            connection.execute(
                d.AlterTable(name, (d.RenameColumn(action.this.name, action.args["to"].name),))
            )
        else:
            raise AssertionError(text)
    elif isinstance(tree, exp.Drop):
        connection.execute(d.Drop("table", (d.Name(tree.find(exp.Table).name),)))  # type: ignore[union-attr]
    else:
        connection.execute(tree)


def test_a_dropped_table_lists_its_rows(pair: tuple[Connection, Connection]) -> None:
    main, b = pair
    sql(b, "delete from t where id = 1")
    b.execute(d.Drop("table", (d.Name("t"),)))
    assert [row[:2] for row in rows(main, "t")[1]] == [("removed", number) for number in range(6)]
    (found,) = diff.summary(main, "b")
    assert (found.change, found.rows_removed) == ("removed", 6)
    assert diff_statements.sql(main, "b") == ['DROP TABLE "public"."t" CASCADE;']


def test_a_diff_between_moments(tmp_path: Path) -> None:
    database = branching.open(tmp_path / "past.duckdb", retention=3600)
    try:
        main = database.connect()

        def run(connection: Any, text: str) -> Any:
            return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()

        run(main, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
        run(main, "INSERT INTO t SELECT i, 0 FROM range(5) r(i)")
        first = database.clock.version
        run(main, "UPDATE t SET v = 1 WHERE id = 1")
        run(main, "DELETE FROM t WHERE id = 2")
        second = database.clock.version
        run(main, "INSERT INTO t VALUES (9, 9)")
        branches.create(database, "b", "main", role="me")
        b = database.connect("b")
        run(b, "UPDATE t SET v = 5 WHERE id IN (1, 4)")
        third = database.clock.version
        run(b, "DELETE FROM t WHERE id = 3")
        run(b, "UPDATE t SET v = 6 WHERE id = 4")

        def changes(branch: str, against: str, *moments: int | None) -> Any:
            wanted = diff_rows.Wanted(branch, diff.Named("t"), against, moments=Moments(*moments))
            return diff_rows.rows(database, wanted)[1]

        assert changes("main", "main", second, first) == [
            ("modified", 1, 1, 0, 1),
            ("removed", 2, None, 0, None),
        ]
        assert changes("main", "main", None, second) == [("added", None, 9, None, 9)]
        assert changes("main", "main", first, second) == [
            ("modified", 1, 1, 1, 0),
            ("added", None, 2, None, 0),
        ]
        assert changes("b", "main", None, first) == [
            ("modified", 1, 1, 0, 5),
            ("removed", 2, None, 0, None),
            ("removed", 3, None, 0, None),
            ("modified", 4, 4, 0, 6),
            ("added", None, 9, None, 9),
        ]
        assert changes("b", "b", None, third) == [("removed", 3, None, 0, None), ("modified", 4, 4, 5, 6)]
        assert changes("b", "b", third, None) == [("added", None, 3, None, 0), ("modified", 4, 4, 6, 5)]
        (found,) = diff.summary(main, "main", "main", moments=Moments(second, first))
        assert (found.rows_removed, found.rows_modified, found.cells_modified) == (1, 1, 1)
    finally:
        database.close()


def test_a_serial_column_of_the_branch_is_read_and_never_asked_for_a_number(
    pair: tuple[Connection, Connection],
) -> None:
    main, b = pair
    serial = column("k bigint not null")
    serial.meta["identity"] = "serial"
    b.execute(d.AlterTable(d.Name("t"), (d.AddColumn(serial),)))
    given = sql(b, "select id, k from t order by id")
    first = diff_statements.sql(main, "b")
    assert {text for text in first if text.startswith("UPDATE")} == {
        f'UPDATE "public"."t" SET "k" = {number} WHERE "id" = {key};' for key, number in given
    }
    assert diff_statements.sql(main, "b") == first
    assert sql(b, "select id, k from t order by id") == given


def test_the_statements_name_a_views_columns(pair: tuple[Connection, Connection]) -> None:
    main, branch = pair
    query = sqlglot.parse_one("SELECT count(*), max(id) FROM t", dialect="duckdb")
    assert isinstance(query, exp.Query)
    branch.execute(d.CreateView(d.Name("counted"), query, ("x", "y")))
    made = next(text for text in diff_statements.sql(main, "b") if "VIEW" in text)
    tree = sqlglot.parse_one(made, dialect="duckdb")
    assert [item.name for item in tree.this.expressions] == ["x", "y"]


def test_a_change_of_type_is_said_in_words_that_postgres_has(pair: tuple[Connection, Connection]) -> None:
    main, branch = pair
    branch.execute(
        d.AlterTable(d.Name("t"), (d.AlterType("a", exp.DataType.build("BIGINT", "duckdb"), "bigint"),))
    )
    made = [text for text in diff_statements.sql(main, "b") if "TYPE" in text]
    assert len(made) == 1 and "bigint" in made[0] and "TRY" not in made[0].upper()
