"""A branch cleans the rows and then declares what they now keep: one merge brings both, to main and to a branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, branches
from branching.connection import Connection
from branching.database import Database
from branching.ddl import model as d
from branching.manifest import Author
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled

CONSTRAINTS = {
    "pk": d.ConstraintDefinition("p", "pk", ("a",)),
    "uq": d.ConstraintDefinition("u", "uq", ("a",)),
    "ck": d.ConstraintDefinition("c", "ck", (), sqlglot.parse_one("b >= 0", dialect="duckdb")),
}
Statement = exp.Expr | d.AlterTable | d.CreateIndex


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def alter(*actions: d.Action) -> d.AlterTable:
    return d.AlterTable(d.Name("t"), actions)


def new_column(text: str = "k INTEGER") -> exp.ColumnDef:
    found = sqlglot.parse_one(f"CREATE TABLE x ({text})", dialect="duckdb").this.expressions[0]
    assert isinstance(found, exp.ColumnDef)
    return found


CASES: dict[
    str, tuple[list[Statement], str, str]
] = {  # what the branch does, a row that it refuses, with what
    "not null": (
        [sql("UPDATE t SET b = 0 WHERE b IS NULL"), alter(d.SetNotNull("b"))],
        "INSERT INTO t (a) VALUES (9)",
        "23502",
    ),
    "check": (
        [sql("UPDATE t SET b = 1 WHERE b < 0"), alter(d.AddConstraint(CONSTRAINTS["ck"]))],
        "INSERT INTO t VALUES (9, -1)",
        "23514",
    ),
    "unique": (
        [sql("DELETE FROM t WHERE b = 6"), alter(d.AddConstraint(CONSTRAINTS["uq"]))],
        "INSERT INTO t VALUES (2, 1)",
        "23505",
    ),
    "primary key": (
        [sql("DELETE FROM t WHERE b = 6 OR a IS NULL"), alter(d.AddConstraint(CONSTRAINTS["pk"]))],
        "INSERT INTO t VALUES (NULL, 1)",
        "23502",
    ),
    "unique index": (
        [sql("UPDATE t SET a = 7 WHERE b = 6"), d.CreateIndex("tx", d.Name("t"), ("a",), unique=True)],
        "INSERT INTO t VALUES (7, 1)",
        "23505",
    ),
    "new column with a default that is NULL": (
        [
            alter(d.AddColumn(new_column("k INTEGER DEFAULT NULL"))),
            sql("UPDATE t SET k = 10 * coalesce(b, 0)"),
            alter(d.SetNotNull("k")),
        ],
        "INSERT INTO t (a) VALUES (9)",
        "23502",
    ),
    "new column": (
        [
            alter(d.AddColumn(new_column())),
            sql("UPDATE t SET k = 10 * coalesce(b, 0)"),
            alter(d.SetNotNull("k")),
        ],
        "INSERT INTO t (a) VALUES (9)",
        "23502",
    ),
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = branching.open(tmp_path / "d.duckdb")
    setup = opened.connect()
    setup.execute(sql("CREATE TABLE t (a INTEGER, b INTEGER)"))
    setup.execute(sql("INSERT INTO t VALUES (1, NULL), (2, 5), (2, 6), (3, -1), (NULL, 8)"))
    setup.close()
    branches.create(opened, "parent", "main", role="me")
    yield opened
    opened.close()


def rows(connection: Connection) -> list[str]:
    return sorted(map(repr, connection.execute(sql("SELECT * FROM t")).fetchall()))


@pytest.mark.parametrize("target", ["main", "parent"])
@pytest.mark.parametrize("case", CASES)
def test_cleaned_rows_and_the_constraint_come_in_one_merge(
    database: Database, target: str, case: str
) -> None:
    statements, refused, state = CASES[case]
    branches.create(database, "b", target, role="me")
    branch = database.connect("b")
    for statement in statements:
        branch.execute(statement.copy() if isinstance(statement, exp.Expr) else statement)
    merge_apply.merge(database, "b", target, author=Author("me"))
    connection = database.connect(target)
    assert rows(connection) == rows(branch)
    with pytest.raises(BoughError) as caught:
        connection.execute(sql(refused))
    assert caught.value.sqlstate == state
    branch.close()
    connection.close()


@pytest.mark.parametrize("target", ["main", "parent"])
def test_rows_that_the_branch_did_not_see_are_asked_too(database: Database, target: str) -> None:
    """The target has written what the new constraint forbids: refused, and nothing has changed."""
    branches.create(database, "b", target, role="me")
    branch, connection = database.connect("b"), database.connect(target)
    branch.execute(sql("UPDATE t SET b = 0 WHERE b IS NULL"))
    branch.execute(alter(d.SetNotNull("b")))
    connection.execute(sql("INSERT INTO t (a) VALUES (99)"))
    before = rows(connection)
    with pytest.raises(BoughError) as caught:
        merge_apply.merge(database, "b", target, author=Author("me"))
    assert caught.value.sqlstate == "23502"
    assert rows(connection) == before
    connection.execute(sql("INSERT INTO t (a) VALUES (100)"))  # still nullable
    branch.close()
    connection.close()


def test_a_generated_column_goes_with_what_it_was_made_of(database: Database) -> None:
    connection = database.connect()
    connection.execute(sql("CREATE TABLE g (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2), c INTEGER)"))
    branches.create(database, "b", "main", role="me")
    branch = database.connect("b")
    branch.execute(d.AlterTable(d.Name("g"), (d.DropColumn("b"), d.DropColumn("a"))))
    merge_apply.merge(database, "b", "main", author=Author("me"))
    assert [item.name for item in connection.execute(sql("SELECT * FROM g")).columns] == ["c"]
    branch.close()
    connection.close()
