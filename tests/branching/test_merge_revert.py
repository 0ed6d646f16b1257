"""BRANCH REVERT MERGE of merges that changed definitions: all of it goes back, and nobody's later work with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlglot
from merge_lab import AUTHOR, Lab, column
from sqlglot import exp

from branching import BoughError, manifest
from branching.ddl import model as d
from branching.gc import collect as gc
from branching.merge import apply as merge_apply

pytestmark = pytest.mark.sampled

T = d.Name("t")
ROWS = [(1, 10, "x"), (2, 20, "x"), (3, 30, "x")]


@pytest.fixture(params=["main", "b"])
def into(request: Any) -> str:
    """The target of the merge: the trunk, or a branch."""
    return str(request.param)


@pytest.fixture
def lab(tmp_path: Any, into: str) -> Iterator[Lab]:
    lab = Lab(str(tmp_path / "lab.duckdb"))
    lab.sql("main", "create table t (id integer primary key, a integer check (a < 1000), b varchar)")
    lab.sql("main", "insert into t values (1, 10, 'x'), (2, 20, 'x'), (3, 30, 'x')")
    if into == "b":
        lab.fork("b")
        lab.sql("b", "update t set b = 'x' where id = 1")  # the branch has rows of its own
    lab.fork("s", into)
    yield lab
    lab.close()


def merged(lab: Lab, into: str, **options: Any) -> int:
    lab.merge("s", into, **options)
    assert lab.last is not None
    return lab.last


def shape(lab: Lab, branch: str, table: str = "t") -> list[tuple[str, str, bool, str | None]]:
    found = lab.connections[branch].catalog.find("public", table)
    assert found is not None
    return [(c.name, c.type, c.not_null, c.default) for c in found.columns]  # type: ignore[union-attr]


def revert(lab: Lab, merge: int, **options: Any) -> dict[str, Any]:
    return {row.table: row for row in merge_apply.revert(lab.database, merge, AUTHOR, **options).rows}


def test_an_added_column_goes_and_later_work_stays(lab: Lab, into: str) -> None:
    before = shape(lab, into)
    lab.alter("s", d.AddColumn(column("c integer default 5")))
    lab.sql("s", "update t set c = 7, a = 11 where id = 1")
    merge = merged(lab, into)
    assert len(lab.all(into)[0]) == 4
    lab.sql(into, "update t set b = 'later' where id = 1")
    lab.sql(into, "insert into t (id, a, b) values (9, 90, 'later')")
    revert(lab, merge)
    assert shape(lab, into) == before
    assert lab.all(into) == [(1, 10, "later"), *ROWS[1:], (9, 90, "later")]
    lab.fails("55000", merge_apply.revert, lab.database, merge, AUTHOR)


def test_an_added_column_with_values_changed_since_is_a_conflict(lab: Lab, into: str) -> None:
    lab.alter("s", d.AddColumn(column("c integer default 5")))
    merge = merged(lab, into)
    lab.sql(into, "update t set c = 70 where id = 2")
    error = lab.fails("VB001", merge_apply.revert, lab.database, merge, AUTHOR)
    assert error.detail == "public.t: 1 conflict" and "STRATEGY branch_wins" in (error.hint or "")
    assert lab.all(into)[1] == (2, 20, "x", 70)
    revert(lab, merge, strategy="main_wins")
    assert lab.all(into)[1] == (2, 20, "x", 70)


def test_a_dropped_column_comes_back_with_its_values(lab: Lab, into: str) -> None:
    lab.alter("s", d.DropColumn("b"))
    lab.sql("s", "update t set a = 11 where id = 1")
    merge = merged(lab, into)
    lab.sql(into, "update t set a = 21 where id = 2")
    lab.sql(into, "delete from t where id = 3")
    lab.sql(into, "insert into t values (9, 90)")
    revert(lab, merge)
    assert lab.all(into) == [(1, 10, "x"), (2, 21, "x"), (9, 90, None)]


def test_a_dropped_column_with_all_its_rules_comes_back(lab: Lab, into: str) -> None:
    lab.sql(into, "create table k (a integer, n integer not null default 3 check (n > 0), u varchar unique)")
    lab.sql(into, "insert into k values (1, 4, 'one'), (2, 5, 'two')")
    lab.fork("r", into)
    before = shape(lab, into, "k")
    lab.alter("r", d.DropColumn("n"), d.DropColumn("u"), table="k")
    lab.merge("r", into)
    assert lab.all(into, "k") == [(1,), (2,)]
    lab.sql(into, "insert into k values (3)")
    revert(lab, lab.last or 0)
    assert sorted(shape(lab, into, "k")) == sorted(before)
    assert lab.sql(into, "select a, n, u from k order by 1") == [(1, 4, "one"), (2, 5, "two"), (3, 3, None)]
    lab.fails("23505", lab.sql, into, "insert into k values (9, 1, 'one')")
    lab.fails("23514", lab.sql, into, "insert into k (a, n) values (9, 0)")


def test_a_renamed_column_and_table_get_their_names_back(lab: Lab, into: str) -> None:
    lab.alter("s", d.RenameColumn("b", "bb"))
    lab.connections["s"].execute(d.AlterTable(T, (d.RenameTable("tt"),)))
    merge = merged(lab, into)
    lab.sql(into, "update tt set bb = 'later' where id = 3")
    revert(lab, merge)
    assert [item[0] for item in shape(lab, into)] == ["id", "a", "b"]
    assert lab.all(into) == [*ROWS[:2], (3, 30, "later")]


def test_a_retyped_column_has_its_old_values(lab: Lab, into: str) -> None:
    lab.alter("s", d.AlterType("b", exp.DataType.build("integer"), None, exp.column("id")))
    merge = merged(lab, into)
    assert lab.all(into) == [(1, 10, 1), (2, 20, 2), (3, 30, 3)]
    lab.sql(into, "update t set a = 21 where id = 2")
    revert(lab, merge)
    assert lab.all(into) == [(1, 10, "x"), (2, 21, "x"), (3, 30, "x")]


def test_defaults_and_nullability_go_back(lab: Lab, into: str) -> None:
    before = shape(lab, into)
    lab.alter("s", d.SetDefault("a", exp.Literal.number(5)), d.SetNotNull("b"))
    merge = merged(lab, into)
    assert shape(lab, into) != before
    revert(lab, merge)
    assert shape(lab, into) == before
    lab.sql(into, "insert into t (id) values (9)")
    assert lab.all(into)[-1] == (9, None, None)


def test_a_created_table_goes_unless_somebody_works_in_it(lab: Lab, into: str) -> None:
    lab.sql("s", "create table n (id integer primary key, v varchar)")
    lab.sql("s", "insert into n values (1, 'one')")
    merge = merged(lab, into)
    lab.sql(into, "insert into n values (2, 'later')")
    lab.fails("VB001", merge_apply.revert, lab.database, merge, AUTHOR)
    assert lab.all(into, "n") == [(1, "one"), (2, "later")]
    lab.sql(into, "delete from n where id = 2")
    assert revert(lab, merge)["n"].action == "dropped"
    lab.fails("42P01", lab.sql, into, "select * from n")
    assert lab.sql("s", "select * from n") == [(1, "one")]


def test_a_dropped_table_comes_back_with_its_rows(lab: Lab, into: str) -> None:
    lab.connections["s"].execute(d.Drop("table", (T,)))
    merge = merged(lab, into)
    lab.fails("42P01", lab.sql, into, "select * from t")
    assert revert(lab, merge)["t"].action == "created"
    assert lab.all(into) == ROWS
    lab.fails("23505", lab.sql, into, "insert into t values (1, 1, 'again')")
    lab.fails("23514", lab.sql, into, "insert into t values (5, 5000, 'too much')")


def test_a_dropped_parent_and_its_foreign_key_come_back(lab: Lab, into: str) -> None:
    lab.sql(into, "create table c (id integer primary key, t_id integer references t (id))")
    lab.sql(into, "insert into c values (1, 1)")
    lab.fork("r", into)
    lab.connections["r"].execute(d.Drop("table", (T,), cascade=True))
    lab.merge("r", into)
    lab.sql(into, "insert into c values (2, 2)")
    revert(lab, lab.last or 0)
    assert lab.all(into, "c") == [(1, 1), (2, 2)]
    lab.fails("23503", lab.sql, into, "insert into c values (3, 33)")


def view(name: str, query: str) -> d.CreateView:
    tree = sqlglot.parse_one(query, dialect="duckdb")
    assert isinstance(tree, exp.Query)
    return d.CreateView(d.Name(name), tree)


def test_views_and_comments_go_back(lab: Lab, into: str) -> None:
    lab.connections[into].execute(view("v", "select id from t"))
    lab.fork("r", into)
    for statement in (
        d.Drop("view", (d.Name("v"),)),
        view("w", "select a from t"),
        d.CommentOn("table", T, "of the branch"),
        d.CreateSequence(d.Name("q"), d.SequenceOptions()),
    ):
        lab.connections["r"].execute(statement)
    lab.merge("r", into)
    assert lab.sql(into, "select count(*) from w") == [(3,)]
    assert lab.sql(into, "select nextval('q')") == [(1,)]
    revert(lab, lab.last or 0)
    assert lab.sql(into, "select count(*) from v") == [(3,)]
    lab.fails("42P01", lab.sql, into, "select * from w")
    lab.fails("42P01", lab.sql, into, "select nextval('q')")
    assert lab.sql("r", "select nextval('q')") == [(2,)]
    table = lab.connections[into].catalog.find("public", "t")
    assert table is not None and table.comment is None


def test_indexes_go_back(lab: Lab, into: str) -> None:
    lab.connections["s"].execute(d.CreateIndex("i", T, ("a",), unique=True))
    merge = merged(lab, into)
    lab.fails("23505", lab.sql, into, "insert into t values (9, 10, 'twice')")
    revert(lab, merge)
    lab.sql(into, "insert into t values (9, 10, 'twice')")


def test_a_revert_survives_a_restart_and_can_be_reverted(lab: Lab, into: str) -> None:
    lab.alter("s", d.DropColumn("b"), d.AddColumn(column("c integer default 1")))
    merge = merged(lab, into)
    lab.restart()
    result = merge_apply.revert(lab.database, merge, AUTHOR)
    assert lab.all(into) == ROWS
    lab.restart()
    assert result.id is not None
    merge_apply.revert(lab.database, result.id, AUTHOR)
    assert lab.all(into) == [(1, 10, 1), (2, 20, 1), (3, 30, 1)]


def test_what_is_kept_is_collected_in_time(lab: Lab, into: str) -> None:
    lab.alter("s", d.DropColumn("b"))
    merge = merged(lab, into)
    gc.collect(lab.database)
    assert any(line.record.state == "undo" for line in lab.database.trash.values())
    gc.collect(lab.database, now=manifest.now() + timedelta(hours=25))
    assert not any(line.record.state == "undo" for line in lab.database.trash.values())
    with pytest.raises(BoughError) as caught:
        merge_apply.revert(lab.database, merge, AUTHOR)
    assert caught.value.sqlstate == "VB002"
    assert lab.all(into) == [(1, 10), (2, 20), (3, 30)]


def test_other_branches_see_nothing_of_it(lab: Lab, into: str) -> None:
    lab.fork("other", into)
    lab.alter("s", d.DropColumn("b"))
    lab.sql("s", "update t set a = 11 where id = 1")
    merge = merged(lab, into)
    lab.fork("late", into)
    revert(lab, merge)
    assert lab.all("other") == ROWS
    assert lab.all("late") == [(1, 11), (2, 20), (3, 30)]
    assert lab.all(into) == ROWS


def test_a_row_that_comes_back_has_what_a_column_was_added_with(lab: Lab, into: str) -> None:
    lab.sql("s", "delete from t where id = 1")
    merge = merged(lab, into)
    lab.alter(into, d.AddColumn(column("c integer default 5")))
    revert(lab, merge)
    assert lab.all(into) == [(1, 10, "x", 5), (2, 20, "x", 5), (3, 30, "x", 5)]
