"""Copies of tables that a branch has changed much of: nobody can tell but by what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from merge_lab import AUTHOR, Lab, column

from branching import BoughError, branch_info, branches, detach
from branching.ddl import model as d
from branching.detach import Limits
from branching.diff import changes as diff
from branching.dml import copied
from branching.gc import collect as gc
from branching.merge import apply as merge_apply
from branching.reset import reset

pytestmark = pytest.mark.sampled

ALL = Limits(0.15, 1)
DONE = ("b", "table public.t detached", 0)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(str(tmp_path / "d.duckdb"))
    found.sql("main", "create table t (id integer primary key, a integer, v varchar)")
    found.sql("main", "insert into t select i, 0, 'v' || i from range(20) r(i)")
    found.fork()
    found.sql("b", "update t set a = 1 where id < 5")
    found.sql("b", "delete from t where id = 5")
    found.sql("b", "insert into t values (100, 7, 'new')")
    yield found
    found.close()


def stored(lab: Lab, letter: str) -> dict[str, int]:
    """Rows per storage table of that kind."""
    names = sorted(name for name in lab.database.physical.storage if name[0] == letter)
    return {name: lab.database.root.query(f"SELECT count(*) FROM bough_data.{name}")[0][0] for name in names}


def collect(lab: Lab, limits: Limits = ALL) -> list[tuple[str, str, int]]:
    return gc.collect(lab.database, limits=limits)


def test_a_branch_that_changed_much_reads_a_copy_of_its_own(lab: Lab) -> None:
    before = lab.all("b"), diff.summary(lab.connections["b"], "b")
    done = collect(lab)
    assert done[0] == DONE
    assert ("b", "6 rows deleted that its copy has") in [item[:2] for item in done]
    assert stored(lab, "c") == {next(iter(stored(lab, "c"))): 20} and sum(stored(lab, "d").values()) == 0
    assert (lab.all("b"), diff.summary(lab.connections["b"], "b")) == before
    lab.restart()
    assert (lab.all("b"), diff.summary(lab.connections["b"], "b")) == before
    assert collect(lab) == []


def test_few_changes_are_not_worth_a_copy(lab: Lab) -> None:
    assert collect(lab, Limits()) == collect(lab, Limits(0.5, 1)) == [] and not stored(lab, "c")


def test_what_changes_later_is_few_rows_over_the_copy(lab: Lab) -> None:
    collect(lab)
    lab.sql("b", "update t set v = 'later' where id in (1, 10)")
    lab.sql("b", "delete from t where id in (2, 11, 100)")
    assert sum(stored(lab, "d").values()) == 2
    (found,) = diff.summary(lab.connections["b"], "b")
    assert (found.rows_added, found.rows_removed, found.rows_modified) == (0, 3, 5)
    with pytest.raises(BoughError) as caught:
        lab.sql("b", "insert into t values (3, 0, 'taken in the copy')")
    assert caught.value.sqlstate == "23505"
    lab.merge()
    assert lab.all("main") == lab.all("b")


def test_a_fork_of_it_copies_nothing_and_lives_on(lab: Lab) -> None:
    collect(lab)
    lab.fork("c", "b")
    assert sum(stored(lab, "d").values()) == 0 and lab.all("c") == lab.all("b")
    lab.sql("c", "update t set a = 9 where id = 7")
    lab.connections["b"].execute(d.Drop("table", (d.Name("t"),)))
    assert len(lab.all("c")) == 20
    lab.connections.pop("c").close()
    branches.discard(lab.database, "c")
    gc.collect(lab.database, now=datetime.now(UTC) + timedelta(days=3))
    assert not stored(lab, "c"), "no catalog has it any more"


def test_a_column_that_the_branch_filled_merges_as_it_would_have(lab: Lab) -> None:
    lab.alter("b", d.AddColumn(column("n integer default 3")))
    lab.sql("b", "update t set n = id where id > 3")
    assert collect(lab)[0] == DONE
    lab.alter("b", d.RenameColumn("v", "w"), d.DropColumn("a"))
    lab.sql("b", "update t set w = 'x' where id = 8")
    lab.sql("main", "insert into t (id, v) values (50, 'main')")
    lab.merge()
    expected = sorted([*lab.all("b"), (50, "main", 3)])
    assert lab.all("main") == expected


def test_a_refresh_tells_what_it_brings(lab: Lab) -> None:
    collect(lab)
    lab.sql("main", "delete from t where id = 10")
    (told,) = merge_apply.refresh(lab.database, "b", author=AUTHOR).rows
    assert (told.inserted, told.updated, told.deleted) == (0, 0, 1)
    assert len(lab.all("b")) == 19


def test_reset_goes_back_behind_it(lab: Lab) -> None:
    collect(lab)
    lab.sql("b", "update t set v = 'later' where id in (1, 10)")
    reset(lab.database, "b")
    assert lab.all("b") == lab.all("main")


def test_nobody_who_works_on_the_branch_is_refused_or_waits(lab: Lab) -> None:
    b = lab.connections["b"]
    b.begin()
    assert len(lab.all("b")) == 20
    assert collect(lab) == []
    lab.sql("b", "update t set a = 2 where id = 1")
    b.commit()
    assert collect(lab)[0] == DONE


def test_a_transaction_that_slipped_in_is_told_to_try_again(lab: Lab) -> None:
    b = lab.connections["b"]
    b.begin()
    rows = lab.all("b")
    b.line.blocks = 0  # as if it had begun after the pass had looked
    collect(lab)
    assert lab.all("b") == rows, "what it reads is as it was"
    with pytest.raises(BoughError) as caught:
        lab.sql("b", "update t set a = 2 where id = 1")
    assert caught.value.sqlstate == "40001"
    b.line.blocks = 1
    b.rollback()
    assert lab.all("b") == rows


def test_a_copy_of_what_has_changed_meanwhile_is_thrown_away(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = detach._turn

    def late(*arguments: object) -> bool:
        lab.sql("b", "update t set a = a + 1 where id = 1")
        return turn(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(detach, "_turn", late)
    assert [what.split()[-1] for _, what, _ in collect(lab)] == ["dropped", "dropped"]
    assert not stored(lab, "c") and lab.sql("b", "select a from t where id = 1") == [(3,)]


def test_what_was_before_it_is_read_while_the_retention_lasts_and_refused_behind(lab: Lab) -> None:
    lab.database.retention = 3600
    version, then = lab.database.clock.version, lab.all("b")
    asked = f"select * from t for version as of {version} order by all"
    assert collect(lab)[0] == DONE and sum(stored(lab, "d").values()) == 6
    assert lab.sql("b", asked) == then
    lab.database.retention = 1e-6  # type: ignore[assignment]
    assert ("b", "6 rows deleted that its copy has") in [item[:2] for item in collect(lab)]
    lab.restart()
    lab.database.retention = 3600
    with pytest.raises(BoughError) as caught:
        lab.sql("b", asked)
    assert caught.value.sqlstate == "22023"
    assert lab.all("b") == then


def test_a_table_that_lost_a_column_gets_a_copy_that_images_can_be_taken_from(lab: Lab) -> None:
    lab.alter("b", d.DropColumn("a"), d.RenameColumn("v", "w"))
    lab.sql("b", "update t set w = 'changed' where id < 8")
    before, start = lab.all("b"), lab.all("main")
    assert collect(lab)[0] == DONE
    assert lab.all("b") == before
    lab.fork("c", "b")
    lab.sql("b", "update t set w = 'later' where id > 16")
    lab.sql("b", "delete from t where id = 15")
    expected = lab.all("b")
    lab.sql("main", "insert into t values (50, 1, 'main')")
    lab.restart()
    assert lab.all("b") == expected and lab.all("c") == before
    lab.merge(strategy="branch_wins")  # main has written the column that went
    assert lab.all("main") == sorted([*expected, (50, "main")])
    lab.connections.pop("c").close()
    branches.discard(lab.database, "c")
    merge_apply.revert(lab.database, lab.last, AUTHOR)
    assert lab.sql("main", "select id, a, v from t order by id") == [*start, (50, 1, "main")]


def test_a_reset_behind_the_copy_of_a_table_that_lost_a_column(lab: Lab) -> None:
    start = lab.all("main")
    lab.alter("b", d.DropColumn("a"))
    lab.sql("b", "update t set v = 'changed' where id < 8")
    collect(lab)
    lab.sql("b", "delete from t")
    lab.connections.pop("b").close()
    reset(lab.database, "b")
    lab.connections["b"] = lab.database.connect("b")
    assert lab.all("b") == start


def test_a_branch_that_lost_a_column_and_all_rows_of_a_large_table_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "EMPTIED", 1)
    lab.alter("b", d.DropColumn("a"))
    lab.sql("b", "delete from t")
    lab.sql("b", "insert into t values (1, 'x'), (2, 'y')")
    lab.sql("b", "update t set v = 'z' where id = 1")
    lab.sql("b", "delete from t where id = 2")
    assert lab.all("b") == [(1, "z")]
    lab.merge()
    assert lab.all("main") == [(1, "z")]


def test_the_past_between_two_copies_has_each_row_once(lab: Lab) -> None:
    """What went from the second copy is still below in the first."""
    lab.database.retention = 3600
    lab.sql("b", "update t set a = a + 1")
    collect(lab)
    lab.sql("b", "update t set a = a + 1 where id < 9")
    between, version = lab.all("b"), lab.database.clock.version
    collect(lab)
    lab.sql("b", "update t set a = a + 1")
    lab.sql("b", "delete from t where id > 15")
    assert lab.sql("b", f"select * from t for version as of {version} order by all") == between


def test_a_large_table_that_is_emptied_reads_an_empty_copy_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "EMPTIED", 1)
    b, rows = lab.connections["b"], lab.all("b")
    b.begin()
    b.execute(d.Truncate((d.Name("t"),)))
    assert lab.all("b") == []
    b.rollback()
    assert lab.all("b") == rows and not stored(lab, "c")
    b.execute(d.Truncate((d.Name("t"),)))
    assert lab.all("b") == [] and list(stored(lab, "c").values()) == [0]
    assert sum(stored(lab, "m").values()) == 6, "no row got a mask"
    lab.sql("b", "insert into t values (1, 1, 'again')")
    (found,) = diff.summary(b, "b")
    assert (found.rows_added, found.rows_removed, found.rows_modified) == (0, 19, 1)
    collect(lab, Limits())
    assert lab.all("b") == [(1, 1, "again")] and sum(stored(lab, "d").values()) == 1
    lab.merge()
    assert lab.all("main") == [(1, 1, "again")]
    reset(lab.database, "b")


@pytest.mark.parametrize("emptied", [False, True])
def test_the_rows_of_a_base_are_in_the_copy_when_its_table_is_dropped(
    lab: Lab, emptied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "EMPTIED", 1)
    lab.fork("c", "b")
    start = lab.all("c")
    lab.sql("c", "delete from t where id = 7")
    if emptied:
        lab.connections["c"].execute(d.Truncate((d.Name("t"),)))
    collect(lab)
    lab.sql("c", "update t set a = a + 1 where id < 3")
    lab.connections["c"].execute(d.Drop("table", (d.Name("t"),)))
    collect(lab)
    lab.restart()
    collect(lab)
    lab.connections.pop("c").close()
    reset(lab.database, "c")
    lab.connections["c"] = lab.database.connect("c")
    assert lab.all("c") == start
    collect(lab)
    assert not stored(lab, "c") or lab.all("c") == start


def test_what_went_wrong_is_told_and_changes_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab.all("b")
    broken = "CREATE TABLE bough_data.nonsense (x NO_SUCH_TYPE)"
    monkeypatch.setattr(type(lab.database.engine), "create_copy", lambda *_: broken)
    ((branch, what, _),) = collect(lab)
    assert branch == "b" and what.startswith("table public.t could not be detached: ")
    assert not stored(lab, "c") and lab.all("b") == before


def test_no_copy_is_made_where_the_disk_has_no_room(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(lab.database.disk), "free", lambda _: 1)
    assert collect(lab) == [] and not stored(lab, "c")


def test_the_list_of_branches_still_counts_its_changes(lab: Lab) -> None:
    def listed() -> branch_info.BranchInfo:
        found = branch_info.information(lab.database, lab.database.root)
        return next(item for item in found if item.name == "b")

    before = listed()
    collect(lab)
    after = listed()
    assert after.rows_changed == before.rows_changed and after.bytes > before.bytes


def test_rows_of_its_base_are_read_once_where_a_column_was_dropped(lab: Lab) -> None:
    lab.sql("b", "update t set a = 7")
    collect(lab)
    lab.fork("c", "b")
    start = lab.all("c")
    lab.alter("c", d.DropColumn("a"))
    lab.sql("c", "update t set v = 'changed' where id < 8")
    collect(lab)
    lab.connections.pop("c").close()
    reset(lab.database, "c")
    lab.connections["c"] = lab.database.connect("c")
    assert lab.all("c") == start
