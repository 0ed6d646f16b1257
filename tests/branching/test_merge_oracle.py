"""Merges against a model of plain copies: what a merge must give is computed in Python from whole tables.

Every line (main, a branch, a branch of the branch) is a dict of rows by identity. Random edits, merges in both
directions and refreshes run on both; after every step every line must read the same on both. Nothing that did not
conflict may be lost, under any strategy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

import branching
from branching import Author, BoughError, branches, merge_apply

AUTHOR = Author("tester")
Row = dict[str, Any]
Rows = dict[int, Row]
LINES = ("main", "b", "c")
PARENT = {"b": "main", "c": "b"}


@dataclass
class Model:
    """Whole copies of both tables per line, and of what the lines came from."""

    keyed: bool
    rows: dict[str, Rows] = field(default_factory=lambda: {"main": {}})
    base: dict[str, Rows] = field(default_factory=dict)  # of a branch against its parent
    trunk: dict[str, Rows] = field(default_factory=dict)  # main as of a branch's fork
    pair: Rows | None = None  # c as it was last merged into main
    next: int = 0

    def fork(self, name: str) -> None:
        parent = PARENT[name]
        self.rows[name] = copy.deepcopy(self.rows[parent])
        self.base[name] = copy.deepcopy(self.rows[parent])
        self.trunk[name] = copy.deepcopy(self.trunk.get(parent, self.rows["main"]))

    def insert(self, line: str, row: Row) -> bool:
        if self.keyed and any(other["id"] == row["id"] for other in self.rows[line].values()):
            return False
        self.next += 1
        self.rows[line][self.next] = row
        return True

    def merged(self, base: Rows, source: Rows, target: Rows, wins: str) -> tuple[Rows, int]:
        """The three-way result, and the number of conflicts."""
        result = copy.deepcopy(target)
        conflicts = 0
        for uid in sorted(base.keys() | source.keys()):
            b, s = base.get(uid), source.get(uid)
            if b == s:
                continue
            there = uid if uid in target else self.twin(b or s or {}, base, source, target)
            t = target.get(there) if there is not None else None
            if s is None:
                assert b is not None
                if t is not None and t != b:
                    conflicts += 1
                    if wins == "branch_wins":
                        del result[there]
                elif t is not None:
                    del result[there]
            elif t is None:
                if b is not None:
                    conflicts += 1
                    if wins != "branch_wins":
                        continue
                result[uid] = dict(s)
            else:
                for name in s:
                    old = b[name] if b is not None else None
                    if s[name] == t[name] or (b is not None and s[name] == old):
                        continue
                    if b is not None and t[name] == old:
                        result[there][name] = s[name]
                        continue
                    conflicts += 1
                    if wins == "branch_wins":
                        result[there][name] = s[name]
        return result, conflicts

    def twin(self, row: Row, base: Rows, source: Rows, target: Rows) -> int | None:
        if not self.keyed:
            return None
        for uid, other in target.items():
            if other["id"] == row["id"] and uid not in source and uid not in base:
                return uid
        return None

    def duplicates(self, rows: Rows) -> bool:
        keys = [row["id"] for row in rows.values()]
        return self.keyed and len(set(keys)) < len(keys)


value = st.integers(0, 3)
identifier = st.integers(0, 6)
line_name = st.sampled_from(LINES)
edit = st.one_of(
    st.tuples(st.just("insert"), line_name, identifier, value, value),
    st.tuples(st.just("update"), line_name, identifier, st.sampled_from(["a", "b"]), value),
    st.tuples(st.just("rekey"), line_name, identifier, identifier),
    st.tuples(st.just("delete"), line_name, identifier),
)
strategy = st.sampled_from(["abort", "branch_wins", "main_wins"])
whole = st.one_of(
    st.tuples(st.just("merge"), st.sampled_from([("b", "main"), ("c", "b"), ("c", "main")]), strategy),
    st.tuples(st.just("refresh"), st.sampled_from(["b", "c"]), strategy),
    st.tuples(st.just("restart")),
)
script = st.lists(st.one_of(edit, edit, edit, whole), min_size=4, max_size=22)


class Run:
    """One script on the engine and on the model."""

    def __init__(self, keyed: bool, path: str) -> None:
        self.model = Model(keyed)
        self.path = path
        self.database = branching.open(path)
        self.open()
        key = "id integer primary key" if keyed else "id integer"
        self.sql("main", f"create table t ({key}, a integer, b integer)")
        for number in range(4):
            row = {"id": number, "a": 0, "b": 0}
            self.model.insert("main", row)
            self.sql("main", f"insert into t values ({number}, 0, 0)")
        for name in ("b", "c"):
            branches.create(self.database, name, PARENT[name], role="tester")
            self.model.fork(name)
        self.open()

    def open(self) -> None:
        self.connections = {
            name: self.database.connect(name) for name in LINES if self.database.has_branch(name)
        }

    def sql(self, line: str, text: str) -> list[tuple[Any, ...]]:
        return self.connections[line].execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()

    def step(self, action: tuple[Any, ...]) -> None:
        kind = action[0]
        if kind == "restart":
            self.database.close()
            self.database = branching.open(self.path)
            self.open()
        elif kind == "merge":
            self.merge(*action[1], action[2])
        elif kind == "refresh":
            self.refresh(action[1], action[2])
        else:
            self.edit(*action)

    def edit(self, kind: str, line: str, number: int, *rest: Any) -> None:
        rows = self.model.rows[line]
        hit = [row for row in rows.values() if row["id"] == number]
        if kind == "insert":
            if self.model.insert(line, {"id": number, "a": rest[0], "b": rest[1]}):
                self.sql(line, f"insert into t values ({number}, {rest[0]}, {rest[1]})")
        elif kind == "update":
            self.sql(line, f"update t set {rest[0]} = {rest[1]} where id = {number}")
            for row in hit:
                row[rest[0]] = rest[1]
        elif kind == "rekey":
            if self.model.keyed and any(row["id"] == rest[0] for row in rows.values()):
                return
            self.sql(line, f"update t set id = {rest[0]} where id = {number}")
            for row in hit:
                row["id"] = rest[0]
        else:
            self.sql(line, f"delete from t where id = {number}")
            self.model.rows[line] = {uid: row for uid, row in rows.items() if row["id"] != number}

    def merge(self, source: str, target: str, wins: str) -> None:
        model = self.model
        direct = PARENT[source] == target
        base = model.base[source] if direct else model.pair if model.pair is not None else model.trunk["c"]
        result, conflicts = model.merged(base, model.rows[source], model.rows[target], wins)
        expected = "VB001" if conflicts and wins == "abort" else "23505" if model.duplicates(result) else None
        if expected is not None:
            with pytest.raises(BoughError) as caught:
                merge_apply.merge(self.database, source, target, strategy=wins, author=AUTHOR)
            assert caught.value.sqlstate == expected, caught.value
            return
        merge_apply.merge(self.database, source, target, strategy=wins, author=AUTHOR)
        model.rows[target] = result
        if direct:
            model.base[source] = copy.deepcopy(model.rows[source])
        else:
            model.pair = copy.deepcopy(model.rows[source])

    def refresh(self, name: str, wins: str) -> None:
        model, parent = self.model, PARENT[name]
        result, conflicts = model.merged(model.base[name], model.rows[name], model.rows[parent], wins)
        expected = "VB001" if conflicts and wins == "abort" else "23505" if model.duplicates(result) else None
        if expected is not None:
            with pytest.raises(BoughError) as caught:
                merge_apply.refresh(self.database, name, strategy=wins, author=AUTHOR)
            assert caught.value.sqlstate == expected, caught.value
            return
        merge_apply.refresh(self.database, name, strategy=wins, author=AUTHOR)
        model.rows[name] = result
        model.base[name] = copy.deepcopy(model.rows[parent])
        model.trunk[name] = copy.deepcopy(model.trunk.get(parent, model.rows["main"]))

    def check(self) -> None:
        for line in LINES:
            got = sorted(self.sql(line, "select id, a, b from t"))
            assert got == sorted((r["id"], r["a"], r["b"]) for r in self.model.rows[line].values()), line

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.database.close()


@pytest.mark.parametrize("keyed", [True, False])
@settings(max_examples=7)
@given(actions=script)
def test_merges_agree_with_plain_copies(
    keyed: bool, actions: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(keyed, str(tmp_path_factory.mktemp("oracle") / "o.duckdb"))
    try:
        for action in actions:
            run.step(action)
            run.check()
    finally:
        run.close()
