"""Rows and definitions changed at the same time on both sides, merged and refreshed, against a model of plain copies.

The model knows columns by id. Merges, refreshes and reverts under each strategy must give what the model computes, or
be refused where it finds a conflict or a broken key, and then leave everything as it was.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlglot
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

import branching
from branching import Author, BoughError, branches
from branching.ddl import model as d
from branching.detach import Limits
from branching.gc import collect as gc
from branching.merge import apply as merge_apply

AUTHOR = Author("tester")
EXAMPLES = int(os.environ.get("BOUGH_ORACLE_EXAMPLES", "0"))
KEY = 0


@dataclass
class State:
    """One line's table: column id → (name, default), identity → column id → value."""

    columns: dict[int, tuple[str, int | None]]
    rows: dict[int, dict[int, Any]] = field(default_factory=dict)

    def read(self) -> list[dict[str, Any]]:
        found = [{self.columns[i][0]: row[i] for i in self.columns} for row in self.rows.values()]
        return sorted(found, key=lambda row: row["id"])


class Conflicted(Exception):
    """Both sides changed one thing differently, and nobody is to win."""


def merged(base: State, source: State, target: State, wins: str = "abort", *, undo: str = "") -> State:
    """Three ways. ``undo``: the merge that is reverted changed ``rows`` only, or the ``schema``."""

    def branch_wins() -> bool:
        if wins == "abort":
            raise Conflicted
        return wins == "branch_wins"

    columns: dict[int, tuple[str, int | None]] = {}
    for i, (name, default) in target.columns.items():
        if i in base.columns and i not in source.columns:
            changed = target.columns[i] != base.columns[i] or differs(base, target, i)
            if not changed or branch_wins():
                continue
        theirs = source.columns.get(i, (name, default))[0]
        before = base.columns[i][0] if i in base.columns else None
        renamed = i in source.columns and before is not None and theirs != before
        if renamed and (name in (before, theirs) or branch_wins()):
            name = theirs
        columns[i] = (name, default)
    for i, definition in source.columns.items():
        if i in target.columns:
            continue
        if i not in base.columns:
            columns[i] = definition
        elif undo != "rows":
            changed = definition != base.columns[i] or differs(base, source, i)
            if changed and branch_wins():
                columns[i] = definition

    def value(row: dict[int, Any] | None, i: int) -> Any:
        return None if row is None else row.get(i, columns[i][1])

    result = State(columns, {uid: {i: value(row, i) for i in columns} for uid, row in target.rows.items()})
    filled = {i for i in columns if i in source.columns and i not in target.columns}
    for uid, row in result.rows.items():
        for i in filled if uid in source.rows else ():
            row[i] = value(source.rows[uid], i)
    for uid in sorted(base.rows.keys() | source.rows.keys()):
        b, s = base.rows.get(uid), source.rows.get(uid)
        back = filled if undo == "schema" else set()  # comes back for every row: no change of any
        if (
            b is not None
            and s is not None
            and all(value(b, i) == value(s, i) for i in columns if i in source.columns and i not in back)
        ):
            continue
        there = uid if uid in target.rows else twin(b or s or {}, base, source, target)
        t = target.rows.get(there) if there is not None else None
        if s is None:
            modified = t is not None and any(value(t, i) != value(b, i) for i in columns)
            if there is not None and (not modified or branch_wins()):
                result.rows.pop(there, None)
        elif t is None:
            if b is None or branch_wins():
                result.rows[uid] = {i: value(s, i) for i in columns}
        else:
            assert there is not None
            for i in columns:
                if i not in source.columns:
                    continue
                sv, tv, bv = value(s, i), value(t, i), value(b, i)
                if i not in target.columns:
                    result.rows[there][i] = sv
                elif sv == tv or (b is not None and sv == bv):
                    continue
                elif (b is not None and tv == bv) or branch_wins():
                    result.rows[there][i] = sv
    return result


def differs(before: State, after: State, i: int) -> bool:
    """Whether one side has changed values in a column that the other dropped."""
    default = after.columns[i][1]
    return any(
        row[i] != before.rows[uid].get(i, before.columns[i][1])
        if uid in before.rows
        else row[i] is not None and row[i] != default
        for uid, row in after.rows.items()
    )


def broken(state: State) -> str | None:
    keys = [row[KEY] for row in state.rows.values()]
    return "23505" if len(set(keys)) < len(keys) else None


def twin(row: dict[int, Any], base: State, source: State, target: State) -> int | None:
    for uid, other in target.rows.items():
        if other[KEY] == row[KEY] and uid not in source.rows and uid not in base.rows:
            return uid
    return None


line_name = st.sampled_from(["main", "b"])
strategy = st.sampled_from(["abort", "branch_wins", "main_wins"])
number = st.integers(0, 4)
action = st.one_of(
    st.tuples(st.just("insert"), line_name, number, number),
    st.tuples(st.just("update"), line_name, number, number, number),
    st.tuples(st.just("update"), line_name, number, number, number),
    st.tuples(st.just("delete"), line_name, number),
    st.tuples(st.just("add"), line_name, st.one_of(st.none(), number)),
    st.tuples(st.just("rename"), line_name, number),
    st.tuples(st.just("drop"), line_name, number),
    st.tuples(st.just("merge"), strategy),
    st.tuples(st.just("refresh"), strategy),
    st.tuples(st.just("revert"), number, strategy),
    st.tuples(st.just("collect")),
)


# what the branch and main do to one row or column
QUARRELS = [
    (("update", 1), ("update", 2)), (("delete",), ("update", 3)), (("update", 3), ("delete",)),
    (("drop",), ("update", 2)), (("update", 2), ("drop",)), (("rename",), ("rename",)), (("rename",), ("drop",)),
    (("drop",), ("rename",)), (("drop",), ("delete",)), (("add", 3), ("drop",)), (("insert",), ("insert",)),
]  # fmt: skip
fight = st.tuples(
    st.just("fight"),
    st.lists(st.tuples(number, number, st.sampled_from(QUARRELS)), min_size=1, max_size=3),
    st.sampled_from(["merge", "refresh"]),
    strategy,
    st.lists(action, max_size=2),
    st.one_of(st.none(), strategy),
)
script = st.lists(st.one_of(action, fight), min_size=4, max_size=14)


class Run:
    def __init__(self) -> None:
        self.database = branching.open(":memory:")
        self.connections = {"main": self.database.connect("main")}
        self.next = 10
        start = State({KEY: ("id", None), 1: ("a", None), 2: ("b", None)})
        self.sql("main", "create table t (id integer primary key, a integer, b integer)")
        self.state = {"main": start}
        for i in range(3):
            self.sql("main", f"insert into t values ({i}, 0, 0)")
            start.rows[i] = {KEY: i, 1: 0, 2: 0}
        branches.create(self.database, "b", "main", role="tester")
        self.connections["b"] = self.database.connect("b")
        self.state["b"] = copy.deepcopy(start)
        self.base = copy.deepcopy(start)
        self.merges: list[tuple[int, State, State]] = []  # into main: what it was before, and after

    def sql(self, line: str, text: str) -> list[tuple[Any, ...]]:
        return self.connections[line].execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()

    def fresh(self) -> int:
        self.next += 1
        return self.next

    def column(self, line: str, which: int) -> int:
        """The which-th column but the key."""
        others = [i for i in self.state[line].columns if i != KEY]
        return others[which % len(others)] if others else KEY

    def step(self, kind: str, *rest: Any) -> None:
        if kind in ("merge", "refresh"):
            self.combine(kind, rest[0])
            return
        if kind == "revert":
            self.revert(*rest)
            return
        if kind == "fight":
            self.fight(*rest)
            return
        if kind == "collect":  # the branch gets copies of what it has changed
            gc.collect(self.database, limits=Limits(0, 0))
            return
        line, *values = rest
        state = self.state[line]
        alter = None
        if kind == "insert":
            if any(row[KEY] == values[0] for row in state.rows.values()):
                return
            row = {i: values[1] if i != KEY else values[0] for i in state.columns}
            listed = ", ".join(state.columns[i][0] for i in row)
            self.sql(line, f"insert into t ({listed}) values ({', '.join(map(str, row.values()))})")
            state.rows[self.fresh()] = row
        elif kind == "update":
            i = self.column(line, values[1])
            if i == KEY:
                return
            self.sql(line, f"update t set {state.columns[i][0]} = {values[2]} where id = {values[0]}")
            for row in state.rows.values():
                if row[KEY] == values[0]:
                    row[i] = values[2]
        elif kind == "delete":
            self.sql(line, f"delete from t where id = {values[0]}")
            state.rows = {uid: row for uid, row in state.rows.items() if row[KEY] != values[0]}
        elif kind == "add":
            i = self.fresh()
            state.columns[i] = (f"c{i}", values[0])
            for row in state.rows.values():
                row[i] = values[0]
            default = "" if values[0] is None else f" default {values[0]}"
            tree = sqlglot.parse_one(f"create table x (c{i} integer{default})", dialect="duckdb").find(
                exp.ColumnDef
            )
            assert tree is not None
            alter = d.AddColumn(tree)
        elif (i := self.column(line, values[0])) != KEY:
            name, default_value = state.columns[i]
            if kind == "rename":
                new = f"r{self.fresh()}"
                state.columns[i] = (new, default_value)
                alter = d.RenameColumn(name, new)
            else:
                del state.columns[i]
                for row in state.rows.values():
                    del row[i]
                alter = d.DropColumn(name)
        if alter is not None:
            self.connections[line].execute(d.AlterTable(d.Name("t"), (alter,)))

    def fight(self, quarrels: Any, kind: str, wins: str, later: Any, undo: str | None) -> None:
        """Likely conflicts, a merge or refresh, some more work, and (if that was a merge) its undoing."""
        for row, column, edits in quarrels:
            for line, (verb, *values) in zip(("b", "main"), edits, strict=True):
                where = {"add": (), "rename": (column,), "drop": (column,), "delete": (row,)}
                self.step(verb, line, *where.get(verb, (row, column)), *values)
        count = len(self.merges)
        self.combine(kind, wins)
        for item in later:
            self.step(*item)
        if undo is not None and len(self.merges) > count:
            self.revert(count, undo)

    def combine(self, kind: str, wins: str) -> None:
        merging = kind == "merge"
        target = "main" if merging else "b"
        parent = self.state["main"]

        def run() -> Any:
            if merging:
                return merge_apply.merge(self.database, "b", "main", strategy=wins, author=AUTHOR)
            return merge_apply.refresh(self.database, "b", strategy=wins, author=AUTHOR)

        made = self.carried_out(run, lambda: merged(self.base, self.state["b"], parent, wins))
        if made is None:
            return
        result, state = made
        if merging:
            self.merges.append((result.id, copy.deepcopy(parent), copy.deepcopy(state)))
        self.base = copy.deepcopy(self.state["b"] if merging else parent)
        self.state[target] = state

    def carried_out(self, run: Any, model: Any) -> tuple[Any, State] | None:
        try:
            state = model()
            failure = broken(state)
        except Conflicted:
            failure = "VB001"
        if failure is None:
            return run(), state
        try:
            run()
        except BoughError as error:
            assert error.sqlstate == failure, (failure, error, error.detail)
            return None
        raise AssertionError(f"{failure} was expected")

    def revert(self, which: int, wins: str) -> None:
        if not self.merges:
            return
        merge, before, after = self.merges[which % len(self.merges)]
        now = self.state["main"]
        changed = {
            uid
            for uid in before.rows.keys() | after.rows.keys()
            if before.rows.get(uid) != after.rows.get(uid)
        }
        undo = "schema" if list(before.columns.items()) != list(after.columns.items()) else "rows"
        one, other = after, before
        if undo == "rows":  # only those were kept
            one = State(after.columns, {uid: row for uid, row in after.rows.items() if uid in changed})
            other = State(before.columns, {uid: row for uid, row in before.rows.items() if uid in changed})
        made = self.carried_out(
            lambda: merge_apply.revert(self.database, merge, AUTHOR, strategy=wins),
            lambda: merged(one, other, now, wins, undo=undo),
        )
        if made is None:
            return
        self.merges.remove((merge, before, after))
        self.merges.append((made[0].id, copy.deepcopy(now), copy.deepcopy(made[1])))
        self.state["main"] = made[1]

    def check(self) -> None:
        for line, state in self.state.items():
            result = self.connections[line].execute(
                sqlglot.parse_one("select * from t order by id", dialect="duckdb")
            )
            names = [column.name for column in result.columns or ()]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            assert rows == state.read(), line

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.database.close()


@settings(max_examples=EXAMPLES or examples(12))
@given(actions=script)
def test_schema_and_rows_merge_as_in_plain_copies(actions: list[tuple[Any, ...]]) -> None:
    run = Run()
    try:
        for step in actions:
            run.step(*step)
            run.check()
    finally:
        run.close()


def test_the_model_refuses_what_conflicts() -> None:
    base = State({KEY: ("id", None), 1: ("a", None)}, {1: {KEY: 1, 1: 0}})
    one, other = copy.deepcopy(base), copy.deepcopy(base)
    one.rows[1][1], other.rows[1][1] = 1, 2
    with pytest.raises(Conflicted):
        merged(base, one, other)
    assert merged(base, one, other, "branch_wins") == one
    other.rows[1][1] = 0
    assert merged(base, one, other) == one
