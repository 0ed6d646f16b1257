"""DDL on main with forks alive and on branches: what the oracle does not generate, and what it once found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from merge_lab import column
from sqlglot import exp

import branching
from branching import BoughError, EngineError, branches
from branching.connection import Connection
from branching.ddl import model as d

pytestmark = pytest.mark.once_each


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def rows(connection: Connection, text: str) -> list[tuple[object, ...]]:
    return connection.execute(sql(text)).fetchall()


def fails(connection: Connection, statement: exp.Expr | d.Ddl) -> BoughError:
    with pytest.raises(BoughError) as caught:
        connection.execute(statement)
    return caught.value


def alter(table: str, *actions: d.Action) -> d.AlterTable:
    return d.AlterTable(d.Name(table), actions)


def serial(table: str) -> exp.Expr:
    tree = sql(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v INTEGER)")
    tree.this.expressions[0].meta["identity"] = "serial"
    return tree


@pytest.fixture(params=["main", "branch"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    database = branching.open(tmp_path / "d.duckdb")
    setup = database.connect()
    setup.execute(sql("CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR)"))
    setup.execute(sql("INSERT INTO t VALUES (1, '1'), (2, 'two')"))
    setup.close()
    branches.create(database, "branch", "main", role="me")
    made = database.connect(request.param)
    yield made
    made.close()
    database.close()


def test_serial_ids_are_unique_across_branches(connection: Connection) -> None:
    database = connection.database
    main = database.connect("main")
    main.execute(serial("s"))
    branches.create(database, "other", "main", role="me")
    other = database.connect("other")
    ids = [rows(c, "INSERT INTO s (v) VALUES (0) RETURNING id")[0][0] for c in (main, other, main, other)]
    assert len(set(ids)) == 4
    main.close()
    other.close()


def test_a_type_can_change_when_the_misfits_were_replaced(connection: Connection) -> None:
    with pytest.raises(EngineError, match="Could not convert"):
        connection.execute(alter("t", d.AlterType("s", exp.DataType.build("INTEGER"))))
    connection.execute(sql("UPDATE t SET s = '2' WHERE id = 2"))
    connection.execute(alter("t", d.AlterType("s", exp.DataType.build("INTEGER"))))
    assert rows(connection, "SELECT s + 1 FROM t ORDER BY 1") == [(2,), (3,)]


def test_a_column_can_be_filled_and_made_not_null_in_one_block(connection: Connection) -> None:
    connection.execute(sql("create table filled (id integer, v varchar)"))
    connection.execute(sql("insert into filled values (1, null), (2, 'b')"))
    connection.begin()
    connection.execute(sql("update filled set v = 'x' where v is null"))
    connection.execute(alter("filled", d.SetNotNull("v")))
    connection.commit()
    assert rows(connection, "select * from filled order by id") == [(1, "x"), (2, "b")]
    assert fails(connection, sql("insert into filled values (3, null)")).sqlstate == "23502"


def test_an_index_can_be_made_in_the_block_that_wrote_its_rows(connection: Connection) -> None:
    connection.begin()
    connection.execute(sql("UPDATE t SET s = s || 'x'"))
    connection.execute(sql("DELETE FROM t WHERE id = 1"))
    connection.execute(sql("INSERT INTO t VALUES (1, 'new')"))
    connection.execute(d.CreateIndex("i", d.Name("t"), ("s",), unique=True))
    connection.execute(alter("t", d.SetNotNull("s")))
    connection.commit()
    assert fails(connection, sql("INSERT INTO t VALUES (9, 'new')")).sqlstate == "23505"


def test_an_index_can_be_made_while_others_read_the_table_as_it_was(connection: Connection) -> None:
    reader = connection.database.connect(connection.branch)
    reader.begin()
    assert len(rows(reader, "SELECT * FROM t")) == 2
    connection.execute(sql("UPDATE t SET s = s || 'x'"))
    connection.execute(d.CreateIndex("i", d.Name("t"), ("s",)))
    assert rows(reader, "SELECT s FROM t ORDER BY 1") == [("1",), ("two",)]
    reader.close()
    assert rows(connection, "SELECT id FROM t WHERE s = '1x'") == [(1,)]


def test_a_column_can_be_added_to_an_indexed_table(connection: Connection) -> None:
    connection.execute(d.CreateIndex("i", d.Name("t"), ("s",)))
    connection.execute(alter("t", d.AddColumn(column("n INTEGER DEFAULT 7 NOT NULL"))))
    assert rows(connection, "SELECT n FROM t") == [(7,), (7,)]


def test_refusals_name_constraint_and_key(connection: Connection) -> None:
    connection.execute(sql("INSERT INTO t VALUES (3, 'two')"))
    error = fails(connection, alter("t", d.AddConstraint(d.ConstraintDefinition("u", "once", ("s",)))))
    assert (error.sqlstate, error.constraint, error.detail) == (
        "23505",
        "once",
        "Key (s)=(two) is duplicated.",
    )
    error = fails(connection, d.CreateIndex("once", d.Name("t"), ("s",), unique=True))
    assert (error.sqlstate, error.constraint) == ("23505", "once")
    connection.execute(sql("INSERT INTO t VALUES (4, NULL)"))
    assert fails(connection, alter("t", d.SetNotNull("s"))).sqlstate == "23502"


def test_views_follow_renames_and_go_with_their_table(connection: Connection) -> None:
    query = sqlglot.parse_one("SELECT id FROM t WHERE id > 1", dialect="duckdb")
    assert isinstance(query, exp.Query)
    connection.execute(d.CreateView(d.Name("v"), query))
    connection.execute(alter("t", d.RenameTable("renamed")))
    assert rows(connection, "SELECT * FROM v") == [(2,)]
    assert fails(connection, d.Drop("table", (d.Name("renamed"),))).sqlstate == "2BP01"
    connection.execute(d.Drop("table", (d.Name("renamed"),), cascade=True))
    assert fails(connection, sql("SELECT * FROM v")).sqlstate == "42P01"


def test_a_block_of_ddl_is_undone_as_one(connection: Connection) -> None:
    connection.begin()
    connection.execute(alter("t", d.RenameColumn("s", "renamed"), d.AddColumn(column("n INTEGER"))))
    connection.execute(sql("CREATE TABLE more AS SELECT * FROM t"))
    connection.execute(d.Drop("table", (d.Name("t"),)))
    connection.rollback()
    assert rows(connection, "SELECT s FROM t ORDER BY id") == [("1",), ("two",)]
    assert fails(connection, sql("SELECT * FROM more")).sqlstate == "42P01"


def test_schemas_branch_too(connection: Connection) -> None:
    connection.execute(d.CreateSchema("own"))
    connection.execute(sql("CREATE TABLE own.t (id INTEGER)"))
    connection.execute(sql("INSERT INTO own.t VALUES (1)"))
    other = connection.database.connect("branch" if connection.branch == "main" else "main")
    assert fails(other, sql("SELECT * FROM own.t")).sqlstate == "42P01"
    other.close()
    assert rows(connection, "SELECT * FROM own.t") == [(1,)]
    assert fails(connection, d.Drop("schema", (d.Name("own"),))).sqlstate == "2BP01"
    connection.execute(d.Drop("schema", (d.Name("own"),), cascade=True))
    assert fails(connection, sql("SELECT * FROM own.t")).sqlstate == "42P01"
