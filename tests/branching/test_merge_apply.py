"""Merges on the engine: schema and rows together, conflicts settled by hand, violations, undo, tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import sqlglot
from merge_lab import AUTHOR, Lab, column
from sqlglot import exp

import branching
from branching import branches
from branching.ddl import model as d
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts
from branching.merge.choices import Choice, choose

pytestmark = pytest.mark.sampled

T = d.Name("t")


@pytest.fixture
def lab(tmp_path: Any) -> Iterator[Lab]:
    lab = Lab(str(tmp_path / "lab.duckdb"))
    lab.sql("main", "create table t (id integer primary key, a integer check (a < 1000), b varchar)")
    lab.sql("main", "insert into t values (1, 10, 'x'), (2, 20, 'x'), (3, 30, 'x')")
    lab.fork()
    yield lab
    lab.close()


def test_columns_added_renamed_and_retyped_on_either_side(lab: Lab) -> None:
    lab.alter("b", d.AddColumn(column("c integer default 5")), d.RenameColumn("b", "bb"))
    lab.sql("b", "update t set c = 7, bb = 'branch' where id = 1")
    lab.alter("main", d.AlterType("a", exp.DataType.build("bigint")))
    lab.sql("main", "update t set a = 3000000000 - 2999999999 where id = 2")
    rows = lab.merge()
    assert rows["t"].action == "merged" and rows["t"].updated == 1
    assert lab.all("main") == [(1, 10, "branch", 7), (2, 1, "x", 5), (3, 30, "x", 5)]
    table = lab.connections["main"].catalog.find("public", "t")
    assert table is not None and [c.type for c in table.columns] == [
        "INTEGER",
        "BIGINT",
        "VARCHAR",
        "INTEGER",
    ]  # type: ignore[union-attr]
    lab.fails("23505", lab.sql, "main", "insert into t values (1, 1, 'again', 1)")
    lab.sql("b", "update t set c = 8 where id = 1")
    assert lab.merge()["t"].updated == 1, "the column is known by its id afterwards"
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    assert lab.all("b") == lab.all("main")


def test_a_dropped_column_does_not_take_changed_values_with_it(lab: Lab) -> None:
    lab.alter("b", d.DropColumn("b"))
    lab.sql("main", "update t set b = 'work' where id = 2")
    error = lab.fails("VB001", lab.merge)
    assert error.detail == "public.t: 1 conflict"
    (found,) = merge_apply.preview_conflicts(lab.database, "b", "main")
    assert (found.kind, found.column, found.key, found.target_value) == ("schema", "b", "2", "work")
    assert lab.all("main")[1] == (2, 20, "work")
    lab.merge(strategy="main_wins")
    assert lab.all("main")[1] == (2, 20, "work")


def test_a_dropped_column_nobody_changed_goes(lab: Lab) -> None:
    lab.alter("b", d.DropColumn("b"))
    lab.merge()
    assert lab.all("main") == [(1, 10), (2, 20), (3, 30)]


def test_a_new_table_moves_and_a_dropped_one_goes(lab: Lab) -> None:
    lab.sql("b", "create table n (id integer primary key, v varchar default 'q')")
    lab.sql("b", "insert into n (id) values (1), (2)")
    assert lab.merge()["n"].action == "created"
    lab.sql("b", "update n set v = 'w' where id = 1")
    lab.sql("main", "insert into n values (3, 'main')")
    lab.merge()
    assert lab.all("main", "n") == [(1, "w"), (2, "q"), (3, "main")]
    lab.connections["b"].execute(d.Drop("table", (d.Name("n"),)))
    assert lab.merge()["n"].action == "dropped"
    lab.fails("42P01", lab.sql, "main", "select * from n")


def test_a_dropped_table_that_main_changed_is_a_conflict(lab: Lab) -> None:
    lab.connections["b"].execute(d.Drop("table", (T,)))
    lab.sql("main", "update t set a = 11 where id = 1")
    lab.fails("VB001", lab.merge)
    lab.merge(strategy="main_wins")
    assert len(lab.all("main")) == 3


def test_a_table_made_on_both_sides_is_merged_by_key(lab: Lab) -> None:
    for branch, row in (("b", "(1, 'same'), (2, 'b')"), ("main", "(1, 'same'), (3, 'm')")):
        lab.sql(branch, "create table n (id integer primary key, v varchar)")
        lab.sql(branch, f"insert into n values {row}")
    lab.merge()
    assert lab.all("main", "n") == [(1, "same"), (2, "b"), (3, "m")]


def test_a_strategy_for_no_table_is_a_mistake(lab: Lab) -> None:
    for known in ("t", "public.t"):
        lab.merge(per_table={known: "main_wins"})
    for wrong in ("T", "nope", "other.t"):
        lab.fails("42P01", lab.merge, per_table={wrong: "main_wins"})
        lab.fails("42P01", merge_apply.refresh, lab.database, "b", per_table={wrong: "manual"}, author=AUTHOR)


def test_one_strategy_per_table(lab: Lab) -> None:
    lab.sql("b", "update t set a = 1, b = 'b' where id = 1")
    lab.sql("main", "update t set a = 2 where id = 1")
    lab.merge(strategy="abort", per_table={"t": "main_wins"})
    assert lab.all("main")[0] == (1, 2, "b"), "what did not conflict is taken under every strategy"


def test_conflicts_settled_by_hand_survive_a_restart(lab: Lab) -> None:
    lab.sql("b", "update t set a = 100, b = 'b' where id = 1")
    lab.sql("b", "delete from t where id = 2")
    lab.sql("b", "update t set a = 300 where id = 3")
    lab.sql("main", "update t set a = 101 where id = 1")
    lab.sql("main", "update t set a = 102 where id = 2")
    lab.sql("main", "delete from t where id = 3")
    assert lab.merge(strategy="manual")["t"].action == "conflict"
    assert lab.all("main") == [(1, 101, "x"), (2, 102, "x")]
    lab.restart()
    found = {item.kind: item for item in conflicts.open_conflicts(lab.database, "b")}
    assert sorted(found) == ["cell", "delete_modify", "modify_delete"]
    assert (found["cell"].base, found["cell"].branch_value, found["cell"].target_value) == (
        "10",
        "100",
        "101",
    )
    lab.fails("VB001", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    assert conflicts.resolve(lab.database, "b", using="branch") == 3
    assert conflicts.resolve(lab.database, "b", using="target", conflict=found["delete_modify"].id) == 1
    cell = found["cell"].id
    assert cell is not None
    choose(lab.database, [Choice(cell, "value", "55")])
    merge_apply.continue_merge(lab.database, "b", AUTHOR)
    assert lab.all("main") == [(1, 55, "b"), (2, 102, "x"), (3, 300, "x")]
    assert conflicts.open_conflicts(lab.database) == []


def test_continue_refuses_what_has_moved(lab: Lab) -> None:
    lab.sql("b", "update t set a = 100 where id = 1")
    lab.sql("main", "update t set a = 101 where id = 1")
    lab.merge(strategy="manual")
    conflicts.resolve(lab.database, "b", using="branch")
    lab.sql("main", "update t set a = 102 where id = 1")
    error = lab.fails("40001", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    assert error.detail is not None and error.detail == "public.t: a, row 1"
    assert lab.all("main")[0] == (1, 102, "x")
    merge_apply.abort_merge(lab.database, "b")
    assert lab.merge(strategy="branch_wins")["t"].updated == 1


def test_a_foreign_key_broken_by_both_sides_together_refuses_the_merge(lab: Lab) -> None:
    lab.sql("main", "create table c (id integer primary key, t_id integer references t (id))")
    lab.fork("d")
    lab.sql("d", "delete from t where id = 3")
    lab.sql("main", "insert into c values (1, 3)")
    error = lab.fails("23503", lab.merge, "d")
    assert "c_t_id_fkey" in (error.detail or "")
    listed = lab.database.root.query('SELECT table_name, kind, "key" FROM bough_meta.violations')
    assert listed == [("c", "foreign key", "3")]
    assert len(lab.all("main")) == 3


def test_every_key_that_would_be_there_twice_is_listed(lab: Lab) -> None:
    lab.sql("main", "create table u (id integer primary key, e integer unique)")
    lab.fork("d")
    lab.sql("d", "insert into u values (1, 1), (2, 2), (3, 3)")
    lab.sql("main", "insert into u values (11, 1), (12, 2)")
    error = lab.fails("23505", lab.merge, "d")
    assert (error.detail or "").count("u_e_key") == 2
    assert lab.all("main", "u") == [(11, 1), (12, 2)]


def test_revert_undoes_rows_and_keeps_later_work(lab: Lab) -> None:
    lab.sql("b", "update t set a = 11 where id = 1")
    lab.sql("b", "delete from t where id = 2")
    lab.sql("b", "insert into t values (4, 40, 'new')")
    lab.merge()
    merged = lab.last
    lab.sql("main", "update t set b = 'later' where id = 1")
    assert merged is not None
    merge_apply.revert(lab.database, merged, AUTHOR)
    assert lab.all("main") == [(1, 10, "later"), (2, 20, "x"), (3, 30, "x")]
    lab.fails("55000", merge_apply.revert, lab.database, merged, AUTHOR)


def test_a_token_holds_until_either_side_moves(lab: Lab) -> None:
    lab.sql("b", "update t set a = 11 where id = 1")
    rows, token = merge_apply.explain(lab.database, "b", "main", author=AUTHOR)
    assert rows[0].updated == 1 and lab.all("main")[0] == (1, 10, "x")
    assert merge_apply.explain(lab.database, "b", "main", author=AUTHOR)[1] == token
    lab.sql("main", "update t set a = 33 where id = 3")
    lab.fails("40001", lab.merge, token=token)
    lab.merge(token=merge_apply.explain(lab.database, "b", "main", author=AUTHOR)[1])


def test_chosen_tables_only_and_the_rest_later(lab: Lab) -> None:
    lab.sql("b", "create table n (id integer)")
    lab.sql("b", "update t set a = 11 where id = 1")
    assert list(lab.merge(tables=["t"])) == ["t"]
    lab.fails("42P01", lab.sql, "main", "select * from n")
    assert lab.merge()["n"].action == "created"
    lab.fails("42P01", lab.merge, tables=["nothing"])


def test_a_transaction_open_over_a_refresh_must_retry(lab: Lab) -> None:
    lab.connections["b"].begin()
    lab.all("b")
    lab.sql("main", "update t set a = 33 where id = 3")
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    lab.fails("40001", lab.all, "b")
    lab.connections["b"].rollback()
    assert lab.all("b")[2] == (3, 33, "x")


def test_discarded_after_the_merge_if_asked(lab: Lab) -> None:
    lab.sql("b", "update t set a = 11 where id = 1")
    lab.merge(discard=True)
    assert not lab.database.has_branch("b")
    lab.fails("22023", merge_apply.merge, lab.database, "main", "main", author=AUTHOR)


def test_columns_that_change_names_with_each_other(lab: Lab) -> None:
    swap = (d.RenameColumn("a", "z"), d.RenameColumn("b", "a"), d.RenameColumn("z", "b"))
    lab.alter("b", *swap)
    lab.sql("main", "update t set b = 'main' where id = 2")
    lab.merge()
    assert lab.sql("main", "select id, a, b from t where id < 3 order by id") == [
        (1, "x", 10),
        (2, "main", 20),
    ]


def test_a_column_added_on_both_sides_is_one_column(lab: Lab) -> None:
    for branch, key in (("b", 1), ("main", 2)):
        lab.alter(branch, d.AddColumn(column("c integer default 5")))
        lab.sql(branch, f"update t set c = {key} where id = {key}")
    lab.merge()
    assert lab.all("main") == [(1, 10, "x", 1), (2, 20, "x", 2), (3, 30, "x", 5)]
    lab.sql("b", "update t set c = 9 where id = 3")
    lab.merge()
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    assert lab.all("b") == lab.all("main") == [(1, 10, "x", 1), (2, 20, "x", 2), (3, 30, "x", 9)]


def test_dropped_and_made_anew_under_the_same_name(lab: Lab) -> None:
    lab.connections["b"].execute(d.Drop("table", (T,)))
    lab.sql("b", "create table t (id integer primary key, z integer)")
    lab.sql("b", "insert into t values (1, 1)")
    lab.merge()
    assert lab.all("main") == [(1, 1)]


def test_what_plain_duckdb_changed_between_two_runs_is_not_taken_for_unchanged(lab: Lab) -> None:
    lab.sql("b", "update t set b = 'branch' where id = 1")
    lab.sql("b", "update t set a = 21 where id = 2")
    names = list(lab.connections)
    lab.close()
    with duckdb.connect(lab.path) as plain:  # the row's version stays as it is
        plain.execute("update t set a = 99 where id = 1")
    lab.database = branching.open(lab.path)
    lab.open(*names)
    lab.merge()
    assert lab.all("main") == [(1, 99, "branch"), (2, 21, "x"), (3, 30, "x")]
    merge_apply.revert(lab.database, lab.last or 0, AUTHOR)
    assert lab.all("main") == [(1, 99, "x"), (2, 20, "x"), (3, 30, "x")]


def test_a_violation_at_continue_leaves_the_merge_open(lab: Lab) -> None:
    lab.sql("b", "update t set a = 100 where id = 1")
    lab.sql("main", "update t set a = 101 where id = 1")
    lab.merge(strategy="manual")
    (found,) = conflicts.open_conflicts(lab.database, "b")
    lab.fails("22P02", choose, lab.database, [Choice(found.id or 0, "value", "much")])
    choose(lab.database, [Choice(found.id or 0, "value", "5000")])
    lab.fails("23514", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    assert [item.value for item in conflicts.open_conflicts(lab.database, "b")] == ["5000"]
    choose(lab.database, [Choice(found.id or 0, "value", "500")])
    merge_apply.continue_merge(lab.database, "b", AUTHOR)
    assert lab.all("main")[0] == (1, 500, "x")


def test_two_open_merges_of_a_branch_are_told_apart(lab: Lab) -> None:
    lab.fork("c")
    lab.sql("b", "update t set a = 100 where id = 1")
    for target in ("main", "c"):
        lab.sql(target, "update t set a = 101 where id = 1")
        lab.merge("b", target, strategy="manual")
    error = lab.fails("55000", conflicts.resolve, lab.database, "b", using="branch")
    assert "INTO" in (error.hint or "")
    assert conflicts.resolve(lab.database, "b", using="branch", target="c") == 1
    one = next(item for item in conflicts.open_conflicts(lab.database, "b", "main"))
    assert conflicts.resolve(lab.database, "b", using="target", conflict=one.id) == 1
    lab.fails("55000", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    merge_apply.continue_merge(lab.database, "b", AUTHOR, "c")
    merge_apply.continue_merge(lab.database, "b", AUTHOR)
    assert (lab.all("c")[0], lab.all("main")[0]) == ((1, 100, "x"), (1, 101, "x"))


def test_a_foreign_key_to_a_table_that_comes_with_the_merge(lab: Lab) -> None:
    lab.sql("b", "create table z (id integer primary key)")
    lab.sql("b", "insert into z values (10), (20), (30)")
    key = d.ConstraintDefinition("f", "t_a_fkey", ("a",), None, d.Name("z"), ("id",), "a", "a")
    lab.alter("b", d.AddConstraint(key))
    lab.merge()
    lab.fails("23503", lab.sql, "main", "insert into t values (4, 40, 'x')")


def test_a_column_that_comes_back_for_the_winner_takes_nobodys_work(lab: Lab) -> None:
    lab.sql("b", "update t set a = 11 where id = 1")
    lab.alter("main", d.DropColumn("a"))
    lab.sql("main", "update t set b = 'main' where id = 2")
    lab.sql("main", "delete from t where id = 3")
    lab.sql("main", "insert into t values (4, 'new')")
    lab.fails("VB001", lab.merge)
    lab.merge(strategy="branch_wins")
    assert lab.all("main") == [(1, "x", 11), (2, "main", 20), (4, "new", None)]


def test_a_table_that_takes_the_name_of_a_view_arrives(lab: Lab) -> None:
    view = d.CreateView(d.Name("v"), exp.maybe_parse("select * from t", dialect="duckdb"))
    lab.connections["main"].execute(view)
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    lab.sql("b", "create table made as select id, a from v where id < 3")
    lab.connections["b"].execute(d.Drop("view", (d.Name("v"),)))
    lab.connections["b"].execute(d.AlterTable(d.Name("made"), (d.RenameTable("v"),)))
    assert lab.merge()["v"].action == "created"
    assert lab.sql("main", "select * from v order by id") == [(1, 10), (2, 20)]


def test_a_view_that_takes_the_name_of_a_table_arrives(lab: Lab) -> None:
    lab.connections["b"].execute(d.AlterTable(T, (d.RenameTable("stored"),)))
    view = d.CreateView(T, exp.maybe_parse("select id from stored", dialect="duckdb"))
    lab.connections["b"].execute(view)
    lab.merge()
    assert lab.sql("main", "select * from t order by id") == [(1,), (2,), (3,)]
    assert len(lab.sql("main", "select * from stored")) == 3


def test_a_view_dropped_here_and_made_a_table_there_leaves_the_table(lab: Lab) -> None:
    view = d.CreateView(d.Name("v"), exp.maybe_parse("select * from t", dialect="duckdb"))
    lab.connections["main"].execute(view)
    merge_apply.refresh(lab.database, "b", author=AUTHOR)
    lab.connections["b"].execute(d.Drop("view", (d.Name("v"),)))
    lab.connections["main"].execute(d.Drop("view", (d.Name("v"),)))
    lab.sql("main", "create table v as select 42 as answer")
    lab.merge()
    assert lab.sql("main", "select * from v") == [(42,)]


def test_rows_new_on_both_sides_belong_together_before_any_other(lab: Lab) -> None:
    lab.sql("main", "delete from t where id = 1")
    lab.sql("main", "insert into t values (1, 77, 'main')")
    lab.sql("b", "update t set id = 5 where id = 1")
    lab.sql("b", "insert into t values (1, 77, 'main')")
    lab.fails("VB001", lab.merge)  # main deleted the row that is 5 on the branch; the new ones are equal
    lab.merge(strategy="branch_wins")
    assert lab.all("main") == [(1, 77, "main"), (2, 20, "x"), (3, 30, "x"), (5, 10, "x")]


def test_a_renamed_branch_keeps_its_merges(lab: Lab) -> None:
    lab.sql("b", "update t set a = 100 where id = 1")
    lab.sql("main", "update t set a = 101 where id = 1")
    lab.merge(strategy="manual")
    branches.rename(lab.database, "b", "c")
    conflicts.resolve(lab.database, "c", using="branch")
    merge_apply.continue_merge(lab.database, "c", AUTHOR)
    assert lab.all("main")[0] == (1, 100, "x")
    lab.fork("d", "c")
    lab.sql("d", "update t set a = 7 where id = 2")
    lab.merge("d", "c")
    branches.rename(lab.database, "c", "e")
    merge_apply.revert(lab.database, lab.last or 0, AUTHOR)
    connection = lab.database.connect("e")
    found = connection.execute(sqlglot.parse_one("select a from t where id = 2", dialect="duckdb")).fetchall()
    connection.close()
    assert found == [(20,)]


def test_a_serial_column_of_the_branch_is_merged_with_its_numbers(lab: Lab) -> None:
    serial = column("k bigint not null")
    serial.meta["identity"] = "serial"
    lab.alter("b", d.AddColumn(serial))
    lab.sql("b", "insert into t (id, a) values (9, 9)")
    given = lab.sql("b", "select id, k from t order by id")
    assert lab.merge()["t"].action == "merged"
    assert lab.sql("main", "select id, k from t order by id") == given
    lab.sql("main", "insert into t (id) values (10)")
    assert lab.sql("main", "select k from t where id = 10")[0][0] not in [number for _, number in given]


def test_a_view_stands_over_the_table_that_took_the_place_of_its_own(lab: Lab) -> None:
    view = d.CreateView(d.Name("w"), sqlglot.parse_one("select count(*) as n from t", dialect="duckdb"))
    lab.connections["main"].execute(view)
    lab.fork("c")
    lab.connections["c"].execute(d.Drop("table", (d.Name("t"),), cascade=True))
    lab.sql("c", "create table t (other integer)")
    lab.sql("c", "insert into t values (1), (2)")
    lab.connections["c"].execute(view)
    lab.merge("c")
    assert lab.sql("main", "select n from w") == [(2,)]
    lab.connections["c"].execute(d.Drop("table", (d.Name("t"),), cascade=True))
    lab.merge("c")
    lab.fails("42P01", lab.sql, "main", "select n from w")


@pytest.mark.parametrize("then", [d.DropDefault("n"), d.SetDefault("n", exp.Literal.number(7))])
@pytest.mark.parametrize("target", ["main", "b"])
def test_rows_get_what_a_column_was_added_with_whatever_its_default_is_now(
    lab: Lab, then: Any, target: str
) -> None:
    lab.sql("main", "create table p (id integer primary key, v varchar)")
    lab.sql("main", "insert into p values (1, 'x'), (2, 'y')")
    lab.fork("c")
    if target == "b":
        lab.connections.pop("c").close()
        branches.discard(lab.database, "c")
        lab.fork("bb")
        lab.sql("bb", "insert into p values (3, 'z')")
        lab.fork("c", "bb")
    into = "main" if target == "main" else "bb"
    lab.alter("c", d.AddColumn(column("n integer default 5")), then, table="p")
    lab.sql("c", "update p set v = 'changed' where id = 2")
    lab.sql(into, "insert into p values (9, 'there')")
    expected = lab.sql("c", "select * from p order by id")
    lab.merge("c", into)
    assert lab.sql(into, "select * from p where id < 9 order by id") == expected
    lab.sql(into, "insert into p (id) values (10)")
    now = None if isinstance(then, d.DropDefault) else 7
    assert lab.sql(into, "select n from p where id >= 9 order by id") == [(5,), (now,)]
