"""BRANCH REFRESH settled by hand: open, resolve, continue or abort; and what a refresh of a merge's spelling does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from merge_lab import AUTHOR, Lab, column

from branching.ddl import model as d
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts
from branching.merge.choices import Choice, choose

pytestmark = pytest.mark.sampled


@pytest.fixture(params=["main", "p"])
def parent(request: Any) -> str:
    """What the branch was made from: the trunk, or a branch with rows of its own."""
    return str(request.param)


@pytest.fixture
def lab(tmp_path: Any, parent: str) -> Iterator[Lab]:
    lab = Lab(str(tmp_path / "lab.duckdb"))
    lab.sql("main", "create table t (id integer primary key, a integer check (a < 1000), b varchar)")
    lab.sql("main", "insert into t values (1, 10, 'x'), (2, 20, 'x'), (3, 30, 'x')")
    if parent == "p":
        lab.fork("p")
        lab.sql("p", "update t set b = 'x' where id = 1")
    lab.fork("b", parent)
    yield lab
    lab.close()


def refresh(lab: Lab, strategy: str = "manual", **options: Any) -> dict[str, Any]:
    result = merge_apply.refresh(lab.database, "b", strategy=strategy, author=AUTHOR, **options)
    return {row.table: row for row in result.rows}


def quarrel(lab: Lab, parent: str) -> None:
    """A conflict of each kind, and changes that do not conflict on either side."""
    lab.sql("b", "update t set a = 100, b = 'b' where id = 1")
    lab.sql("b", "delete from t where id = 2")
    lab.sql("b", "update t set a = 300 where id = 3")
    lab.sql("b", "insert into t values (4, 40, 'b')")
    lab.sql(parent, "update t set a = 101 where id = 1")
    lab.sql(parent, "update t set a = 102 where id = 2")
    lab.sql(parent, "delete from t where id = 3")
    lab.sql(parent, "insert into t values (5, 50, 'p')")


def test_settled_one_by_one_over_a_restart(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    before = lab.all("b")
    assert refresh(lab)["t"].action == "conflict"
    assert lab.all("b") == before
    lab.fails("55000", refresh, lab)
    lab.restart()
    found = {item.kind: item for item in conflicts.open_conflicts(lab.database, "b")}
    assert sorted(found) == ["cell", "delete_modify", "modify_delete"]
    cell = found["cell"]
    assert (cell.base, cell.branch_value, cell.target_value) == ("10", "100", "101")
    lab.fails("VB001", merge_apply.continue_refresh, lab.database, "b", AUTHOR)
    assert conflicts.resolve(lab.database, "b", using="branch") == 3
    assert conflicts.resolve(lab.database, "b", using="target", conflict=found["delete_modify"].id) == 1
    choose(lab.database, [Choice(cell.id or 0, "value", "55")])
    lab.fails("55000", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    merge_apply.continue_refresh(lab.database, "b", AUTHOR)
    assert lab.all("b") == [(1, 55, "b"), (2, 102, "x"), (3, 300, "x"), (4, 40, "b"), (5, 50, "p")]
    assert conflicts.open_conflicts(lab.database) == []
    lab.restart()
    assert lab.all("b") == [(1, 55, "b"), (2, 102, "x"), (3, 300, "x"), (4, 40, "b"), (5, 50, "p")]
    lab.merge("b", parent)
    assert lab.all(parent) == lab.all("b"), "what was settled is now the branch's own change"


def test_continue_refuses_what_has_moved(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    refresh(lab)
    conflicts.resolve(lab.database, "b", using="branch")
    lab.sql(parent, "update t set a = 111 where id = 1")
    before = lab.all("b")
    error = lab.fails("40001", merge_apply.continue_refresh, lab.database, "b", AUTHOR)
    assert error.detail == "public.t: a, row 1" and "BRANCH REFRESH" in (error.hint or "")
    assert lab.all("b") == before
    merge_apply.abort_refresh(lab.database, "b")
    assert conflicts.open_conflicts(lab.database) == []
    lab.fails("55000", merge_apply.continue_refresh, lab.database, "b", AUTHOR)
    refresh(lab, "branch_wins")
    assert lab.all("b") == [(1, 100, "b"), (3, 300, "x"), (4, 40, "b"), (5, 50, "p")]


def test_rows_outside_the_conflicts_may_move(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    refresh(lab)
    conflicts.resolve(lab.database, "b", using="base")
    lab.sql(parent, "insert into t values (6, 60, 'p')")
    lab.sql("b", "update t set b = 'late' where id = 4")
    merge_apply.continue_refresh(lab.database, "b", AUTHOR)
    assert lab.all("b") == [
        (1, 10, "b"), (2, 20, "x"), (3, 30, "x"), (4, 40, "late"), (5, 50, "p"), (6, 60, "p"),
    ]  # fmt: skip


def test_no_conflict_no_opening(lab: Lab, parent: str) -> None:
    lab.sql(parent, "update t set a = 11 where id = 1")
    assert refresh(lab)["t"].updated == 1
    assert lab.all("b")[0] == (1, 11, "x")
    assert conflicts.open_merges(lab.database) == []


def test_definitions_are_settled_as_well(lab: Lab, parent: str) -> None:
    lab.alter("b", d.RenameColumn("b", "mine"))
    lab.alter(parent, d.RenameColumn("b", "theirs"))
    lab.alter(parent, d.AddColumn(column("c integer default 5")))
    refresh(lab)
    assert conflicts.resolve(lab.database, "b", table="t", using="branch") == 1
    merge_apply.continue_refresh(lab.database, "b", AUTHOR)
    assert lab.sql("b", "select id, mine, c from t where id = 1") == [(1, "x", 5)]


def test_strategies_per_table(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    refresh(lab, "abort", per_table={"t": "main_wins"})
    assert lab.all("b") == [(1, 101, "b"), (2, 102, "x"), (4, 40, "b"), (5, 50, "p")]


def test_a_refresh_and_a_merge_may_be_open_at_once(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    refresh(lab)
    lab.merge("b", parent, strategy="manual")
    lab.fails("55000", conflicts.resolve, lab.database, "b", using="branch")
    first = conflicts.open_conflicts(lab.database, "b", "b")
    assert conflicts.resolve(lab.database, "b", using="branch", target="b") == len(first) == 3
    merge_apply.continue_refresh(lab.database, "b", AUTHOR)
    conflicts.resolve(lab.database, "b", using="branch")
    lab.fails("40001", merge_apply.continue_merge, lab.database, "b", AUTHOR)
    merge_apply.abort_merge(lab.database, "b")
    lab.merge("b", parent)
    assert lab.all(parent) == lab.all("b")


def test_a_merge_of_the_parent_is_a_refresh(lab: Lab, parent: str) -> None:
    quarrel(lab, parent)
    kinds = sorted(item.kind for item in merge_apply.preview_conflicts(lab.database, parent, "b"))
    assert kinds == ["cell", "delete_modify", "modify_delete"]
    lab.fails("0A000", lab.merge, parent, "b", tables=["t"])
    rows, token = merge_apply.explain(lab.database, parent, "b", strategy="main_wins", author=AUTHOR)
    assert [row.table for row in rows] == ["t"]
    lab.sql(parent, "insert into t values (7, 70, 'p')")
    lab.fails("40001", lab.merge, parent, "b", strategy="main_wins", token=token)
    _, token = merge_apply.explain(lab.database, parent, "b", strategy="main_wins", author=AUTHOR)
    lab.merge(parent, "b", strategy="main_wins", token=token)
    assert lab.all("b") == [(1, 101, "b"), (2, 102, "x"), (4, 40, "b"), (5, 50, "p"), (7, 70, "p")]
    assert lab.last is not None
    lab.fails("55000", merge_apply.revert, lab.database, lab.last, AUTHOR)


def test_a_column_the_branch_dropped_and_the_parent_filled_is_a_conflict(lab: Lab, parent: str) -> None:
    lab.alter("b", d.DropColumn("b"))
    lab.sql(parent, "update t set b = 'work' where id = 2")
    lab.fails("VB001", refresh, lab, "abort")
    refresh(lab, "branch_wins")
    assert lab.all("b") == [(1, 10), (2, 20), (3, 30)]
    assert lab.all(parent)[1] == (2, 20, "work")
