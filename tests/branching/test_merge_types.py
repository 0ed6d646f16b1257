"""Columns that one side retypes, and columns that come to one name: no value is lost, and nothing is lost silently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from merge_lab import AUTHOR, Lab, column
from sqlglot import exp

from branching import branches
from branching.ddl import model as d
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled

INTEGER = d.AlterType("v", exp.DataType.build("INTEGER"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(str(tmp_path / "types.duckdb"))
    made.sql("main", "create table t (id integer primary key, v varchar not null)")
    made.sql("main", "insert into t values (1, '1'), (2, '2'), (3, 'three')")
    made.fork("other")
    made.sql("main", "update t set v = '3' where id = 3")
    made.fork()
    yield made
    made.close()


def violations(lab: Lab) -> list[Any]:
    cursor = lab.database.root.cursor()
    try:
        return cursor.query(
            "SELECT table_name, constraint_name, kind, key, detail FROM bough_meta.violations ORDER BY ALL"
        )
    finally:
        cursor.close()


@pytest.mark.parametrize("retyped", ["b", "main"])
@pytest.mark.parametrize("strategy", ["abort", "branch_wins", "main_wins"])
def test_a_value_that_the_new_type_cannot_hold_refuses_the_merge(
    lab: Lab, retyped: str, strategy: str
) -> None:
    written = "main" if retyped == "b" else "b"
    lab.alter(retyped, INTEGER)
    lab.sql(written, "update t set v = 'one' where id = 1")
    lab.sql(written, "insert into t values (9, 'nine'), (10, '10')")
    before = [lab.all(name) for name in ("main", "b")]
    rows, _ = merge_apply.explain(lab.database, "b", "main", strategy=strategy, author=AUTHOR)
    assert rows[0].violations == 2
    lab.fails("22P02", lab.merge, strategy=strategy)
    detail = '"{}" in column "v" is no integer'
    assert violations(lab) == [
        ("t", "t_v_type", "type", "1", detail.format("one")),
        ("t", "t_v_type", "type", "9", detail.format("nine")),
    ]
    assert [lab.all(name) for name in ("main", "b")] == before
    lab.sql(written, "update t set v = '7' where v in ('one', 'nine')")
    lab.merge(strategy=strategy)
    assert lab.all("main") == [(1, 7), (2, 2), (3, 3), (9, 7), (10, 10)]


@pytest.mark.parametrize("target", ["main", "other"])
def test_a_branch_cleans_a_column_and_retypes_it(lab: Lab, target: str) -> None:
    branches.create(lab.database, "c", "other", role="tester")
    lab.open("main", "b", "other", "c")
    source = "c" if target == "other" else "d"
    if target == "main":
        lab.sql("main", "insert into t values (4, 'four')")
        lab.fork("d")
    lab.sql(source, "update t set v = '0' where v in ('three', 'four')")
    lab.alter(source, INTEGER)
    lab.sql(target, "insert into t values (5, '55')")
    lab.merge(source, target)
    found = lab.all(target)
    assert found == [*lab.sql(source, "select * from t order by all"), (5, 55)]
    assert (3, 0) in found or (4, 0) in found
    lab.fails("23502", lab.sql, target, "insert into t values (8, null)")


def test_a_conflict_that_the_branch_wins_may_take_such_a_value(lab: Lab) -> None:
    lab.alter("b", INTEGER)
    lab.sql("b", "update t set v = 100 where id = 1")
    lab.sql("main", "update t set v = 'one' where id = 1")
    lab.fails("VB001", lab.merge)
    lab.fails("22P02", lab.merge, strategy="main_wins")
    lab.merge(strategy="branch_wins")
    assert lab.all("main") == [(1, 100), (2, 2), (3, 3)]


def test_a_refresh_asks_the_same(lab: Lab) -> None:
    lab.alter("main", INTEGER)
    lab.sql("b", "update t set v = 'one' where id = 1")
    lab.fails("22P02", merge_apply.refresh, lab.database, "b", author=AUTHOR)
    assert lab.all("b") == [(1, "one"), (2, "2"), (3, "3")]
    lab.sql("b", "update t set v = '11' where id = 1")
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    assert lab.all("b") == [(1, 11), (2, 2), (3, 3)]


def test_columns_of_one_name_and_two_types(lab: Lab) -> None:
    lab.alter("b", d.AddColumn(column("n integer")))
    lab.sql("b", "update t set n = 7 where id = 1")
    lab.alter("main", d.AddColumn(column("n varchar")))
    lab.sql("main", "update t set n = 'm' where id = 2")
    lab.fails("VB001", lab.merge)
    lab.fork("again", "b")
    lab.merge(strategy="branch_wins")
    assert lab.all("main") == [(1, "1", 7), (2, "2", None), (3, "3", None)]


@pytest.mark.parametrize("renamer", ["b", "main"])
def test_a_column_renamed_to_the_name_of_another(lab: Lab, renamer: str) -> None:
    """What was an endless search for an order of the renames, or a column that went without a word."""
    adder = "main" if renamer == "b" else "b"
    lab.alter(renamer, d.RenameColumn("v", "w"))
    lab.alter(adder, d.AddColumn(column("w varchar")))
    lab.sql(adder, "update t set w = 'new' where id = 1")
    lab.fails("VB001", lab.merge)
    lab.merge(strategy="main_wins" if adder == "main" else "branch_wins")
    assert lab.sql("main", "select id, v, w from t order by id") == [
        (1, "1", "new"), (2, "2", None), (3, "3", None),
    ]  # fmt: skip


def test_a_default_that_the_other_side_s_type_cannot_hold(lab: Lab) -> None:
    lab.alter("b", INTEGER)
    lab.alter("main", d.SetDefault("v", exp.Literal.string("none")))
    lab.fails("22P02", lab.merge)
    assert violations(lab) == [("t", "t_v_type", "type", None, '"none" in column "v" is no integer')]
    lab.alter("main", d.SetDefault("v", exp.Literal.string("0")))
    lab.merge()
    lab.sql("main", "insert into t (id) values (4)")
    assert lab.all("main")[-1] == (4, 0)
