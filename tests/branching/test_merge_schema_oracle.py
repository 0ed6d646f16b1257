"""Rows and definitions changed at the same time on both sides, merged and refreshed, against a model of plain copies.

The model knows columns by id. A merge that the engine does without conflict must be what the model computes; a merge it
refuses must have a conflict in the model too (or a column dropped on one side), and must leave everything as it was.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

import branching
from branching import Author, BoughError, branches, merge_apply
from branching import ddl_model as d

AUTHOR = Author("tester")
KEY = 0


@dataclass
class State:
    """One line's table: column id → (name, default), identity → column id → value."""

    columns: dict[int, tuple[str, int | None]]
    rows: dict[int, dict[int, Any]] = field(default_factory=dict)

    def read(self) -> list[dict[str, Any]]:
        found = [{self.columns[i][0]: row[i] for i in self.columns} for row in self.rows.values()]
        return sorted(found, key=lambda row: row["id"])


def merged(base: State, source: State, target: State) -> State | None:
    """Three ways; None where something conflicts."""
    columns: dict[int, tuple[str, int | None]] = {}
    for i, (name, default) in target.columns.items():
        if i in base.columns and i not in source.columns:
            if target.columns[i] != base.columns[i]:
                return None
            continue
        theirs = source.columns.get(i, (name, default))[0]
        before = base.columns[i][0] if i in base.columns else None
        if i in source.columns and before is not None and theirs != before:
            if name not in (before, theirs):
                return None
            name = theirs
        columns[i] = (name, default)
    for i, definition in source.columns.items():
        if i not in target.columns and i not in base.columns:
            columns[i] = definition
        elif i not in target.columns and definition != base.columns[i]:
            return None
    names = [name for name, _ in columns.values()]
    if len(set(names)) < len(names):
        return None

    def value(row: dict[int, Any] | None, i: int) -> Any:
        return None if row is None else row.get(i, columns[i][1])

    result = State(columns, {uid: {i: value(row, i) for i in columns} for uid, row in target.rows.items()})
    for uid in sorted(base.rows.keys() | source.rows.keys()):
        b, s = base.rows.get(uid), source.rows.get(uid)
        if (
            b is not None
            and s is not None
            and all(value(b, i) == value(s, i) for i in columns if i in source.columns)
        ):
            continue
        there = uid if uid in target.rows else twin(b or s or {}, base, source, target)
        t = target.rows.get(there) if there is not None else None
        if s is None:
            if t is not None and any(value(t, i) != value(b, i) for i in columns):
                return None
            if there is not None:
                result.rows.pop(there, None)
        elif t is None:
            if b is not None:
                return None
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
                elif b is not None and tv == bv:
                    result.rows[there][i] = sv
                else:
                    return None
    keys = [row[KEY] for row in result.rows.values()]
    return None if len(set(keys)) < len(keys) else result


def twin(row: dict[int, Any], base: State, source: State, target: State) -> int | None:
    for uid, other in target.rows.items():
        if other[KEY] == row[KEY] and uid not in source.rows and uid not in base.rows:
            return uid
    return None


line_name = st.sampled_from(["main", "b"])
number = st.integers(0, 4)
action = st.one_of(
    st.tuples(st.just("insert"), line_name, number, number),
    st.tuples(st.just("update"), line_name, number, number, number),
    st.tuples(st.just("update"), line_name, number, number, number),
    st.tuples(st.just("delete"), line_name, number),
    st.tuples(st.just("add"), line_name, st.one_of(st.none(), number)),
    st.tuples(st.just("rename"), line_name, number),
    st.tuples(st.just("drop"), line_name, number),
    st.tuples(st.just("merge")),
    st.tuples(st.just("refresh")),
)


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
        self.dropped = False

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
            self.combine(kind)
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
                self.dropped = True
        if alter is not None:
            self.connections[line].execute(d.AlterTable(d.Name("t"), (alter,)))

    def combine(self, kind: str) -> None:
        merging = kind == "merge"
        target = "main" if merging else "b"
        parent = self.state["main"]
        expected = merged(self.base, self.state["b"], parent)
        try:
            if merging:
                merge_apply.merge(self.database, "b", "main", author=AUTHOR)
            else:
                merge_apply.refresh(self.database, "b", author=AUTHOR)
        except BoughError as error:
            assert error.sqlstate in ("VB001", "23505"), error
            assert expected is None or self.dropped, error.detail
            return
        assert expected is not None
        self.base = copy.deepcopy(self.state["b"] if merging else parent)
        self.state[target] = expected
        self.dropped = False if not merging else self.dropped

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


@settings(max_examples=12)
@given(actions=st.lists(action, min_size=4, max_size=18))
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
    assert merged(base, one, other) is None
    other.rows[1][1] = 0
    assert merged(base, one, other) == one
