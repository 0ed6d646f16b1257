"""Collection: what goes, and above all what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot

import branching
from branching import Author, BoughError, Database, branches
from branching.ddl import model as d
from branching.engine.points import Point
from branching.gc import collect as gc
from branching.gc.collect import Action, expired
from branching.lines import CatalogRef, Record
from branching.merge import apply as merge_apply

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(number: int, *, parent: int = 0, age: int = 30, **changes: Any) -> Record:
    made = NOW - age * HOUR
    ref = CatalogRef(parent, 0)
    found = Record(
        number,
        f"b{number}",
        parent,
        Point(1),
        ref,
        Point(1),
        ref,
        made,
        "x",
        ttl=24 * 3600,
        last_used_at=made,
    )
    return replace(found, **changes)


def test_only_what_nobody_holds_expires() -> None:
    assert expired([record(1)], (), NOW) == [Action(1, "trash")]
    assert expired([record(1)], {1}, NOW) == [], "a session"
    assert expired([record(1)], (), NOW, held={1}) == [], "an open merge"
    assert expired([record(1, age=2)], (), NOW) == [], "used lately"
    assert expired([record(1, ttl=None)], (), NOW) == []
    assert expired([record(1, protected=True)], (), NOW) == []
    assert expired([record(1), record(2, parent=1)], {2}, NOW) == [], "a child in use holds its parent"
    assert expired([record(1), record(2, parent=1)], (), NOW) == [Action(2, "trash"), Action(1, "trash")]


def test_the_trash_is_emptied_after_the_grace_time() -> None:
    trash = record(1, state="trash", discarded_at=NOW - 25 * HOUR)
    assert expired([trash], (), NOW) == [Action(1, "delete")]
    assert expired([replace(trash, discarded_at=NOW - HOUR)], (), NOW) == []
    assert expired([trash, record(2, parent=1, age=1)], (), NOW) == [], "its catalog is still read"
    pair = record(9, state="base", name="2 into 1", parent=2)
    assert Action(9, "delete") in expired([trash, pair], (), NOW)
    assert expired([record(1, age=1), record(2, age=1), pair], (), NOW) == []


def sql(connection: Any, text: str) -> list[tuple[Any, ...]]:
    return connection.execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = branching.open(tmp_path / "gc.duckdb")
    main = found.connect("main")
    sql(main, "create table t (id integer primary key, a integer, b integer)")
    sql(main, "insert into t select i, i, i from range(5) r(i)")
    main.close()
    yield found
    found.close()


def tables(database: Database) -> set[str]:
    return {row[0] for row in database.root.query("SELECT table_name FROM duckdb_tables() WHERE schema_name IN"
                                                  " ('main', 'bough_data')")}  # fmt: skip


def test_everything_a_branch_left_goes_with_it(database: Database) -> None:
    branches.create(database, "b", "main", role="x")
    b, main = database.connect("b"), database.connect("main")
    sql(b, "update t set a = 9 where id = 1")
    sql(main, "update t set a = 8 where id = 2")
    main.execute(d.AlterTable(d.Name("t"), (d.DropColumn("b"),)))
    assert len(tables(database)) > 1
    later = datetime.now(UTC) + timedelta(hours=30)
    gc.collect(database, now=later)
    assert database.has_branch("b") and sql(b, "select a, b from t where id < 3 order by id") == [
        (0, 0), (9, 1), (2, 2),
    ]  # fmt: skip
    b.close()
    done = gc.collect(database, now=later)
    assert ("b", "expired", 0) in done and not database.has_branch("b")
    branches.restore(database, "b")
    b = database.connect("b")
    assert sql(b, "select count(*) from t where a = 9") == [(1,)]
    b.close()
    gc.collect(database, now=later)
    done = gc.collect(database, now=later + timedelta(hours=30))
    assert ("b", "deleted") in [item[:2] for item in done]
    assert tables(database) - {"t"} <= {name for name in tables(database) if name[0] in "dbm"}
    assert database.root.query("SELECT count(*) FROM bough_meta.branches") == [(1,)]
    columns = {
        row[0]
        for row in database.root.query("SELECT column_name FROM duckdb_columns() WHERE table_name = 't'")
    }
    assert not any(name.startswith("_bough_dropped") for name in columns)
    with pytest.raises(BoughError):
        branches.restore(database, "b")
    assert sql(main, "select * from t where id = 2") == [(2, 8)]
    main.close()


def test_a_dropped_table_stays_for_the_fork_and_goes_after_it(database: Database) -> None:
    branches.create(database, "b", "main", role="x", ttl=None)
    main, b = database.connect("main"), database.connect("b")
    main.execute(d.Drop("table", (d.Name("t"),)))
    gc.collect(database)
    assert len(sql(b, "select * from t")) == 5
    b.close()
    branches.discard(database, "b")
    gc.collect(database)
    assert any(name.startswith("_bough_old") for name in tables(database)), "the trash can be restored"
    gc.collect(database, now=datetime.now(UTC) + timedelta(days=3))
    assert not any(name.startswith("_bough_old") for name in tables(database))
    main.close()


def test_history_goes_no_further_than_the_oldest_fork(database: Database) -> None:
    main = database.connect("main")
    branches.create(database, "old", "main", role="x", ttl=None)
    sql(main, "update t set a = a + 10")
    branches.create(database, "new", "main", role="x", ttl=None)
    sql(main, "update t set a = a + 10")
    old, new = database.connect("old"), database.connect("new")
    for _ in range(2):
        gc.collect(database)
        assert sql(old, "select sum(a) from t") == [(10,)] and sql(new, "select sum(a) from t") == [(60,)]
    old.close()
    branches.discard(database, "old")
    done = gc.collect(database, now=datetime.now(UTC) + timedelta(days=3))
    assert any("pruned" in item[1] for item in done)
    assert sql(new, "select sum(a) from t") == [(60,)]
    for connection in (main, new):
        connection.close()


def test_what_undoes_a_merge_is_kept_for_a_while(database: Database) -> None:
    branches.create(database, "b", "main", role="x", ttl=None)
    b, main = database.connect("b"), database.connect("main")
    sql(b, "update t set a = 9 where id = 1")
    merge = merge_apply.merge(database, "b", "main", author=Author()).id
    assert merge is not None
    sql(b, "update t set b = 9 where id = 1")
    gc.collect(database)
    gc.collect(database, now=datetime.now(UTC) + timedelta(days=3))
    with pytest.raises(BoughError) as caught:
        merge_apply.revert(database, merge, Author())
    assert caught.value.sqlstate == "VB002"
    merge_apply.merge(database, "b", "main", author=Author())
    assert sql(main, "select * from t where id = 1") == [(1, 9, 9)], "images of the base survive collection"
    for connection in (b, main):
        connection.close()
