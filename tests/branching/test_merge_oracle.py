"""Merges against a model of plain copies: what a merge must give is computed in Python from whole tables.

Every line (main, a branch, a branch of the branch) is a dict of rows by identity. Random edits, merges in both
directions, refreshes and reverts run on both, under every strategy; manual ones are settled conflict by conflict, with
edits between opening and CONTINUE. After every step every line must read the same on both: nothing that did not
conflict may be lost. ``BOUGH_ORACLE_EXAMPLES=1000`` makes a long run of it.
"""

from __future__ import annotations

import copy
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlglot
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import branching
from branching import Author, BoughError, branches
from branching.detach import Limits
from branching.gc import collect as gc
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts
from branching.merge.choices import Choice, choose

AUTHOR = Author("tester")
EXAMPLES = int(os.environ.get("BOUGH_ORACLE_EXAMPLES", "0"))
Row = dict[str, Any]
Rows = dict[int, Row]
Conflict = tuple[int, str, str | None, Any, Any, Any]  # identity, kind, column; base, branch, target
Decide = Callable[[Conflict], tuple[str, int | None]]  # branch, target, base or value (and which)
LINES = ("main", "b", "c")
PARENT = {"b": "main", "c": "b"}
KEYS = {"keyed": ("id",), "composite": ("id", "g"), "keyless": ()}


@dataclass
class Merged:
    """A merge that may be reverted: its target before and after."""

    id: int
    target: str
    before: Rows
    after: Rows


@dataclass
class Model:
    """Whole copies of the table per line, and of what the lines came from."""

    key: tuple[str, ...]
    rows: dict[str, Rows] = field(default_factory=lambda: {"main": {}})
    base: dict[str, Rows] = field(default_factory=dict)  # of a branch against its parent
    trunk: dict[str, Rows] = field(default_factory=dict)  # main as of a branch's fork
    pair: Rows | None = None  # c as it was last merged into main
    merges: list[Merged] = field(default_factory=list)
    next: int = 0
    last_twins: dict[int, int] = field(default_factory=dict)  # of the last merge

    def fork(self, name: str) -> None:
        parent = PARENT[name]
        self.rows[name] = copy.deepcopy(self.rows[parent])
        self.base[name] = copy.deepcopy(self.rows[parent])
        self.trunk[name] = copy.deepcopy(self.trunk.get(parent, self.rows["main"]))

    def of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)

    def insert(self, line: str, row: Row) -> bool:
        if self.key and any(self.of(other) == self.of(row) for other in self.rows[line].values()):
            return False
        self.next += 1
        self.rows[line][self.next] = row
        return True

    def merged(
        self, base: Rows, source: Rows, target: Rows, decide: Decide, known: set[int]
    ) -> tuple[Rows, list[Conflict]]:
        """The three-way result, and the conflicts. ``known``: identities that are nobody else's twin."""
        result = copy.deepcopy(target)
        found: list[Conflict] = []

        def asked(*conflict: Any) -> tuple[str, int | None]:
            found.append(copy.deepcopy(conflict))  # type: ignore[arg-type]
            return decide(conflict)  # type: ignore[arg-type]

        twins = self.last_twins = self.twins(base, source, target, known)
        for uid in sorted(base.keys() | source.keys()):
            b, s = base.get(uid), source.get(uid)
            if b == s:
                continue
            there = uid if uid in target else twins.get(uid)
            t = target.get(there) if there is not None else None
            if s is None:
                assert b is not None
                if t is not None and t != b:
                    way, _ = asked(uid, "delete_modify", None, b, None, t)
                    if way == "branch":
                        del result[there]
                    elif way == "base":
                        result[there] = dict(b)
                elif t is not None:
                    del result[there]
            elif t is None:
                if b is not None:
                    way, _ = asked(uid, "modify_delete", None, b, s, None)
                    if way != "target":
                        result[uid] = dict(s if way == "branch" else b)
                else:
                    result[uid] = dict(s)
            else:
                for name in s:
                    old = b[name] if b is not None else None
                    if s[name] == t[name] or (b is not None and s[name] == old):
                        continue
                    if b is not None and t[name] == old:
                        result[there][name] = s[name]
                        continue
                    kind = "cell" if b is not None else "insert_insert"
                    way, value = asked(uid, kind, name, old, s[name], t[name])
                    result[there][name] = {"branch": s[name], "target": t[name], "base": old, "value": value}[
                        way
                    ]
        return result, found

    def twins(self, base: Rows, source: Rows, target: Rows, known: set[int]) -> dict[int, int]:
        """Rows of the target that have the key of a row it does not have; rows new on both sides come first."""
        found: dict[int, int] = {}
        changed = [uid for uid in base.keys() | source.keys() if base.get(uid) != source.get(uid)]
        for uid in sorted(changed, key=lambda uid: (uid in base, uid)) if self.key else ():
            row = base.get(uid) or source[uid]
            for other in target if uid not in target else ():
                same = self.of(target[other]) == self.of(row)
                if same and other not in known and other not in found.values():
                    found[uid] = other
        return found

    def broken(self, rows: Rows) -> str | None:
        """The state of the constraint that such rows would break."""
        keys = [self.of(row) for row in rows.values()]
        if self.key and any(None in key for key in keys):
            return "23502"
        return "23505" if self.key and len(set(keys)) < len(keys) else None


def changes(before: Rows, after: Rows) -> tuple[int, int, int]:
    """How many rows came, changed and went."""
    both = before.keys() & after.keys()
    changed = sum(before[uid] != after[uid] for uid in both)
    return len(after.keys() - before.keys()), changed, len(before.keys() - after.keys())


def by_strategy(wins: str) -> Decide:
    return lambda _conflict: ("branch" if wins == "branch_wins" else "target", None)


def by_hand(salt: int) -> Decide:
    """A decision that depends on nothing but what a row of ``bough.conflicts`` shows."""

    def decide(conflict: Conflict) -> tuple[str, int | None]:
        _, kind, column, *values = conflict
        shown = [None if value is None else str(value) for value in values] if column is not None else []
        number = zlib.crc32(repr((salt, kind, column, shown)).encode())
        ways = ["branch", "target", "base"] if kind != "insert_insert" else ["branch", "target"]
        if column in ("a", "b"):
            ways.append("value")
        way = ways[number % len(ways)]
        return way, number % 7 if way == "value" else None

    return decide


value = st.integers(0, 3)
identifier = st.integers(0, 6)
line_name = st.sampled_from(LINES)
edit = st.one_of(
    st.tuples(st.just("insert"), line_name, identifier, value, value),
    st.tuples(st.just("update"), line_name, identifier, st.sampled_from(["a", "b"]), value),
    st.tuples(st.just("rekey"), line_name, identifier, identifier),
    st.tuples(st.just("delete"), line_name, identifier),
)
pairs = st.sampled_from([("b", "main"), ("c", "b"), ("c", "main")])
both = st.sampled_from(
    [
        (("update", "a", 1), ("update", "a", 2)),
        (("update", "b", 1), ("update", "b", 3)),
        (("update", "a", 3), ("delete",)),
        (("delete",), ("update", "b", 2)),
        (("insert", 1, 2), ("insert", 1, 3)),
    ]
)
quarrels = st.lists(st.tuples(st.integers(0, 3), both), min_size=1, max_size=4)
strategy = st.sampled_from(["abort", "branch_wins", "main_wins"])
manual = st.tuples(st.just("manual"), st.integers(0, 99), st.one_of(st.none(), st.none(), edit))
way = st.one_of(strategy, manual)
fight = st.tuples(st.just("fight"), pairs, quarrels, way, st.booleans())  # likely conflicts
whole = st.one_of(
    st.tuples(st.just("merge"), pairs, way),
    st.tuples(st.just("merge"), pairs, way),
    st.tuples(st.just("refresh"), st.sampled_from(["b", "c"]), way),
    st.tuples(st.just("revert"), st.integers(0, 9), strategy),
    st.tuples(st.just("restart")),
    st.tuples(st.just("collect")),
    st.tuples(st.just("collect")),
)
script = st.lists(st.one_of(edit, fight, whole), min_size=6, max_size=30)


class Run:
    """One script on the engine and on the model."""

    def __init__(self, kind: str, path: str) -> None:
        self.model = Model(KEYS[kind])
        self.path = path
        self.database = branching.open(path)
        self.open()
        key = f", primary key ({', '.join(self.model.key)})" if self.model.key else ""
        self.sql("main", f"create table t (id integer, g integer, a integer, b integer{key})")
        for number in range(4):
            self.edit("insert", "main", number, 0, 0)
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
            self.restart()
        elif kind == "collect":  # every branch gets copies of what it has changed
            gc.collect(self.database, limits=Limits(0, 0))
        elif kind == "merge":
            self.combine(action[1][0], action[1][1], action[2], refresh=False)
        elif kind == "refresh":
            self.combine(PARENT[action[1]], action[1], action[2], refresh=True)
        elif kind == "revert":
            self.revert(action[1], action[2])
        elif kind == "fight":
            self.fight(*action[1:])
        else:
            self.edit(*action)

    def fight(self, pair: tuple[str, str], quarrels: list[Any], wanted: Any, refresh: bool) -> None:
        for number, edits in quarrels:
            for line, (verb, *rest) in zip(pair, edits, strict=True):
                self.edit(verb, line, number, *rest)
        if refresh and PARENT[pair[0]] == pair[1]:
            self.combine(pair[1], pair[0], wanted, refresh=True)
        else:
            self.combine(*pair, wanted, refresh=False)

    def restart(self) -> None:
        self.database.close()
        self.database = branching.open(self.path)
        self.open()

    def edit(self, kind: str, line: str, number: int, *rest: Any) -> None:
        rows = self.model.rows[line]
        hit = [row for row in rows.values() if row["id"] == number]
        if kind == "insert":
            group = rest[0] % 2
            if self.model.insert(line, {"id": number, "g": group, "a": rest[0], "b": rest[1]}):
                self.sql(line, f"insert into t values ({number}, {group}, {rest[0]}, {rest[1]})")
        elif kind == "update":
            self.sql(line, f"update t set {rest[0]} = {rest[1]} where id = {number}")
            for row in hit:
                row[rest[0]] = rest[1]
        elif kind == "rekey":
            taken = {self.model.of(row) for row in rows.values() if row["id"] == rest[0]}
            if self.model.key and taken:
                return
            self.sql(line, f"update t set id = {rest[0]} where id = {number}")
            for row in hit:
                row["id"] = rest[0]
        else:
            self.sql(line, f"delete from t where id = {number}")
            self.model.rows[line] = {uid: row for uid, row in rows.items() if row["id"] != number}

    # -- merges and refreshes -----------------------------------------------------------------------------------

    def base(self, source: str, target: str) -> Rows:
        if PARENT.get(source) == target:
            return self.model.base[source]
        return self.model.pair if self.model.pair is not None else self.model.trunk["c"]

    def expected(
        self, source: str, target: str, refresh: bool, decide: Decide
    ) -> tuple[Rows, list[Conflict]]:
        model = self.model
        if refresh:  # a merge of the branch into its parent, whose outcome the branch takes
            source, target = target, source
        base = self.base(source, target)
        known = set(model.rows[source]) | set(base)
        return model.merged(base, model.rows[source], model.rows[target], decide, known)

    def combine(self, source: str, target: str, wanted: Any, *, refresh: bool) -> None:
        if isinstance(wanted, tuple):
            self.by_hand(source, target, wanted[1], wanted[2], refresh)
            return
        result, found = self.expected(source, target, refresh, by_strategy(wanted))
        failure = "VB001" if found and wanted == "abort" else self.model.broken(result)

        def run() -> Any:
            if refresh:
                return merge_apply.refresh(self.database, target, strategy=wanted, author=AUTHOR)
            return merge_apply.merge(self.database, source, target, strategy=wanted, author=AUTHOR)

        self.carried_out(run, failure, source, target, result, refresh)

    def by_hand(self, source: str, target: str, salt: int, between: Any, refresh: bool) -> None:
        result, found = self.expected(source, target, refresh, by_hand(salt))
        branch = target if refresh else source

        def begin() -> Any:
            if refresh:
                return merge_apply.refresh(self.database, target, strategy="manual", author=AUTHOR)
            return merge_apply.merge(self.database, source, target, strategy="manual", author=AUTHOR)

        def go_on() -> Any:
            if refresh:
                return merge_apply.continue_refresh(self.database, branch, AUTHOR)
            return merge_apply.continue_merge(self.database, branch, AUTHOR, target)

        if not found:
            self.carried_out(begin, self.model.broken(result), source, target, result, refresh)
            return
        opened = begin()
        listed = conflicts.open_conflicts(self.database, branch)
        assert len(listed) == len(found)
        choices = []
        for item in listed:
            decided, value = by_hand(salt)(
                (0, item.kind, item.column, item.base, item.branch_value, item.target_value)
            )
            choices.append(Choice(item.id or 0, decided, None if value is None else str(value)))
        assert choose(self.database, choices) == len(found)
        if salt % 5 == 0:
            self.restart()
        if between is not None:
            self.edit(*between)
        again, now = self.expected(source, target, refresh, by_hand(salt))
        moved = sorted(map(repr, now)) != sorted(map(repr, found))
        failure = "40001" if moved else self.model.broken(again)
        if self.carried_out(go_on, failure, source, target, again, refresh):
            return
        assert [item.id for item in conflicts.open_merges(self.database, branch)] == [opened.id]
        if refresh:
            merge_apply.abort_refresh(self.database, branch)
        else:
            merge_apply.abort_merge(self.database, branch)

    def carried_out(
        self,
        run: Callable[[], Any],
        failure: str | None,
        source: str,
        target: str,
        result: Rows,
        refresh: bool,
    ) -> bool:
        model = self.model
        if failure is not None:
            with pytest.raises(BoughError) as caught:
                run()
            assert caught.value.sqlstate == failure, (failure, caught.value, caught.value.detail)
            return False
        merged = run()
        twins = model.last_twins if refresh else {}
        before = {twins.get(uid, uid): row for uid, row in model.rows[target].items()}
        told = [(row.inserted, row.updated, row.deleted) for row in merged.rows if row.table == "t"]
        assert told == [changes(before, result)], (told, before, result)
        if refresh:
            parent = PARENT[target]
            model.base[target] = copy.deepcopy(model.rows[parent])
            model.trunk[target] = copy.deepcopy(model.trunk.get(parent, model.rows["main"]))
        else:
            model.merges.append(Merged(merged.id, target, model.rows[target], copy.deepcopy(result)))
            if PARENT.get(source) == target:
                model.base[source] = copy.deepcopy(model.rows[source])
            else:
                model.pair = copy.deepcopy(model.rows[source])
        model.rows[target] = result
        return True

    def revert(self, which: int, wins: str) -> None:
        model = self.model
        if not model.merges:
            return
        merge = model.merges[which % len(model.merges)]
        changed = {
            uid
            for uid in merge.before.keys() | merge.after.keys()
            if merge.before.get(uid) != merge.after.get(uid)
        }
        now = model.rows[merge.target]
        result, found = model.merged(
            {uid: merge.after[uid] for uid in changed & merge.after.keys()},
            {uid: merge.before[uid] for uid in changed & merge.before.keys()},
            now, by_strategy(wins), changed,
        )  # fmt: skip
        failure = "VB001" if found and wins == "abort" else model.broken(result)
        if failure is not None:
            with pytest.raises(BoughError) as caught:
                merge_apply.revert(self.database, merge.id, AUTHOR, strategy=wins)
            assert caught.value.sqlstate == failure, (failure, caught.value, caught.value.detail)
            return
        undone = merge_apply.revert(self.database, merge.id, AUTHOR, strategy=wins)
        told = [(row.inserted, row.updated, row.deleted) for row in undone.rows if row.table == "t"]
        assert told == [changes(now, result)] or (not told and now == result), (told, now, result)
        model.merges.remove(merge)
        assert undone.id is not None
        model.merges.append(Merged(undone.id, merge.target, now, copy.deepcopy(result)))
        model.rows[merge.target] = result

    def check(self) -> None:
        for line in LINES:
            got = sorted(self.sql(line, "select id, g, a, b from t"), key=repr)
            rows = self.model.rows[line].values()
            assert got == sorted(((r["id"], r["g"], r["a"], r["b"]) for r in rows), key=repr), line

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.database.close()


@pytest.mark.parametrize("kind", list(KEYS))
@settings(max_examples=EXAMPLES or examples(7))
@given(actions=script)
def test_merges_agree_with_plain_copies(
    kind: str, actions: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(kind, str(tmp_path_factory.mktemp("oracle") / "o.duckdb"))
    try:
        for action in actions:
            run.step(action)
            run.check()
    finally:
        run.close()
