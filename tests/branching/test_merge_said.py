"""A merge carries what is only said of constraints and indexes: comments, and whether a key may wait for COMMIT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlglot

import branching
from branching import Author, BoughError, branches
from branching.ddl import model as d
from branching.merge import apply as merge_apply


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = branching.open(tmp_path / "d.duckdb")
    setup = opened.connect()
    for text in (
        "CREATE TABLE p (id INTEGER PRIMARY KEY, v INTEGER CHECK (v > 0))",
        "CREATE TABLE c (id INTEGER, p INTEGER, q INTEGER REFERENCES p (id))",
    ):
        setup.execute(sqlglot.parse_one(text, dialect="duckdb"))
    setup.execute(d.CreateIndex("pv", d.Name("p"), ("v",)))
    setup.close()
    branches.create(opened, "b", "main", role="me")
    yield opened
    opened.close()


def said(database: Any, branch: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in database.line(branch).catalog.tables():
        found |= {item.name: (item.comment, item.deferrable) for item in table.constraints}
        found |= {item.name: item.comment for item in table.indexes}
    return found


def merge(database: Any) -> None:
    merge_apply.merge(database, "b", "main", author=Author("me"))


def key(deferrable: Any) -> d.AlterTable:
    definition = d.ConstraintDefinition(
        "f", "cp", ("p",), references=d.Name("p"), ref_columns=("id",), deferrable=deferrable
    )
    return d.AlterTable(d.Name("c"), (d.AddConstraint(definition),))


def test_a_key_that_waits_is_merged_as_one(database: Any) -> None:
    branch = database.connect("b")
    branch.execute(key("d"))
    branch.execute(d.CommentOn("constraint", d.Name("c"), "later", "cp"))
    merge(database)
    assert said(database, "main")["cp"] == ("later", "d")
    main = database.connect()
    main.begin()
    main.execute(sqlglot.parse_one("INSERT INTO c VALUES (1, 7, NULL)", dialect="duckdb"))
    with pytest.raises(BoughError) as caught:
        main.commit()
    assert caught.value.sqlstate == "23503"
    main.close()
    branch.close()


def test_comments_of_both_sides_are_merged(database: Any) -> None:
    branch, main = database.connect("b"), database.connect()
    branch.execute(d.CommentOn("index", d.Name("pv"), "fast"))
    branch.execute(d.CommentOn("constraint", d.Name("p"), "theirs", "p_pkey"))
    main.execute(d.CommentOn("constraint", d.Name("p"), "ours", "p_v_check"))
    main.execute(sqlglot.parse_one("INSERT INTO p VALUES (1, 1)", dialect="duckdb"))
    merge(database)
    found = said(database, "main")
    assert (found["pv"], found["p_pkey"][0], found["p_v_check"][0]) == ("fast", "theirs", "ours")
    for connection in (branch, main):
        connection.close()


def test_they_are_there_after_a_start(database: Any) -> None:
    connection = database.connect()
    connection.execute(d.CommentOn("index", d.Name("pv"), "fast"))
    connection.execute(key("i"))
    connection.close()
    before = said(database, "main")
    database.close()
    again = branching.open(database.path)
    assert said(again, "main") == before
    assert before["cp"] == (None, "i") and before["pv"] == "fast"
    again.close()
