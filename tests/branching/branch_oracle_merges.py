"""The oracle's further steps: merges, refreshes, reverts, diffs, macros, comments, files, and crashes inside a step.

What a merge makes of two sides that both changed is the business of the merge oracles, which follow every row. Here the
histories are wilder (definitions, nested forks, resets, collection, crashes, transactions), and the laws are those that
need no identity of rows:

* where only the branch has changed since the two parted, a merge makes the target what the branch is, and its revert
  makes the target what it was; where only the parent has, a refresh makes the branch what the parent is;
* where both have, tables that only one side has written are that side's, definitions that only one side has changed
  are that side's, and merging again changes nothing;
* a refused merge changes nothing;
* a diff turns one side into the other: what it takes away was there, and with what it brings it is the other;
* whatever happens inside a step, a copy of the file made between any two of its engine transactions has every branch
  as it was before the step or as it is after it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import sqlglot
from branch_oracle import Col, Mismatch, ModelBranch, Oracle, Session, Tab, bag, q
from sqlglot import exp

import branching
from branching import Author, BoughError
from branching.ddl import model as d
from branching.diff import rows as diff_rows
from branching.diff.changes import Named
from branching.engine.duckdb import DuckDBCursor
from branching.engine.duckdb_export import export
from branching.engine.duckdb_load import load
from branching.merge import apply as merge_apply

AUTHOR = Author("oracle")
_EVERYTHING = -1  # written: more than is known
_NO_TABLE = 0  # written: a view or a macro


@dataclass
class Facts:
    """What has been written on a branch, and since when that counts."""

    writes: int = 0
    touched: set[int] = field(default_factory=set)  # uids of tables written since the base
    parent_writes: int | None = 0  # the parent's ``writes`` at the base; None: not known
    parent_touched: set[int] = field(default_factory=set)  # tables that the parent has written since


@dataclass
class Undo:
    """A merge into a target that nothing else has written since."""

    merge: int
    target: str
    writes: int
    before: ModelBranch


class MergingOracle(Oracle):
    def __init__(self, directory: Path, max_branches: int = 6, retention: int = 0) -> None:
        super().__init__(directory, max_branches, retention)
        self.undo: list[Undo] = []

    def actions(self) -> list[Callable[[Random], None]]:
        return [
            *super().actions(),
            *[self.merge] * 4,
            *[self.refresh] * 3,
            self.revert,
            self.diff,
            self.diff,
            self.macro,
            self.comment,
            self.exported,
            self.imported,
            self.torn,
        ]

    # -- what has been written ------------------------------------------------------------------------------------

    def of(self, name: str) -> Facts:
        model = self.branches[name]
        model.facts = model.facts or Facts()
        found: Facts = model.facts
        return found

    def noted(self, name: str, tables: set[int]) -> None:
        """``name`` has been written, which its children see as their parent's change."""
        self.of(name).writes += 1
        self.of(name).touched |= tables
        for model in [*self.branches.values(), *self.trash.values()]:
            if model.parent == name and model.facts is not None:
                model.facts.parent_touched |= tables

    def wrote(self, session: Session, tab: Tab | None) -> None:
        tables = {_NO_TABLE if tab is None else tab.uid}
        if session.open:
            session.touched |= tables
        else:
            self.noted(session.branch, tables)

    def committed(self, session: Session) -> None:
        if session.touched:
            self.noted(session.branch, session.touched)
            session.touched = set()

    def based(self, name: str, *, known: bool = True) -> None:
        """The branch's changes count from here."""
        facts, parent = self.of(name), self.branches[name].parent
        facts.touched, facts.parent_touched = set(), set()
        facts.parent_writes = self.of(parent).writes if known and parent in self.branches else None

    def forked(self, name: str, *, now: bool) -> None:
        self.based(name, known=now)

    def was_reset(self, name: str, *, whole: bool) -> None:
        touched = set(self.of(name).touched)
        self.noted(name, {_EVERYTHING})
        self.of(name).touched = set() if whole else touched | {_EVERYTHING}

    # -- merging --------------------------------------------------------------------------------------------------

    def _pair(self, rnd: Random) -> tuple[str, str] | None:
        """A branch and its parent, both free of open transactions."""
        names = [n for n, m in self.branches.items() if m.parent in self.branches and m.origin is not None]
        if not names:
            return None
        name = rnd.choice(names)
        parent = self.branches[name].parent
        assert parent is not None
        self._end_sessions(name)
        self._end_sessions(parent)
        return name, parent

    def _copied(self, model: ModelBranch, prefix: str) -> str:
        schema = f"{prefix}{self.next()}"
        self._copy(model.catalog, model.schema, schema)
        return schema

    def _becomes(self, name: str, source: ModelBranch) -> None:
        """The model of ``name`` is a copy of ``source`` from now on."""
        model = self.branches[name]
        model.schema = self._copied(source, "m")
        model.catalog, model.views = dict(source.catalog), dict(source.views)

    def _based(self, name: str, source: ModelBranch) -> None:
        model = self.branches[name]
        model.origin = self._copied(source, "o")
        model.origin_catalog, model.origin_views = dict(source.catalog), dict(source.views)
        model.floor = self.steps
        self.based(name)

    def merge(self, rnd: Random) -> None:
        pair = self._pair(rnd)
        if pair is None:
            return
        name, parent = pair
        source, target = self.branches[name], self.branches[parent]
        facts = self.of(name)
        one_sided = facts.parent_writes == self.of(parent).writes
        same = source.catalog == source.origin_catalog == target.catalog
        same = same and source.views == source.origin_views == target.views
        merged = None if one_sided or same else self._three_way(name, parent)
        if not one_sided and not same and merged is None:
            return  # what becomes of one table that both sides have changed is the schema oracle's
        strategy = "abort" if one_sided else rnd.choice(("abort", "branch_wins", "main_wins"))
        self.log.append(f"MERGE {name} INTO {parent} {strategy}{' (one-sided)' if one_sided else ''}")
        before = replace(
            target, schema=self._copied(target, "z"), catalog=dict(target.catalog), views=dict(target.views)
        )
        try:
            done = merge_apply.merge(self.database, name, parent, strategy=strategy, author=AUTHOR)
        except BoughError as error:
            if one_sided or error.sqlstate not in ("VB001", "23505", "23502", "23514"):
                raise
            self.log.append(f"  refused: {error.sqlstate}")
            self.compare(parent)
            self.compare(name)
            return
        if one_sided:
            self._becomes(parent, source)
        else:
            if merged is not None:
                self._takes_definitions(parent, *merged)
            self._adopt(name, parent)
        touched = set(facts.touched)
        self._based(name, source)
        self.noted(parent, touched)
        self.of(name).parent_writes, self.of(name).parent_touched = self.of(parent).writes, set()
        if not one_sided:
            self.of(
                name
            ).parent_writes = None  # what only the parent had is still to be brought into the branch
        assert done.id is not None
        self.undo = [item for item in self.undo if item.target != parent]
        if before.catalog == target.catalog and before.views == target.views:
            self.undo.append(Undo(done.id, parent, self.of(parent).writes, before))
        self.compare(parent)
        self.compare(name)
        again = merge_apply.merge(self.database, name, parent, author=AUTHOR)
        if any(row.action != "unchanged" for row in again.rows):
            raise Mismatch(f"merging {name} again: {again.rows}")
        self.compare(parent)

    def _three_way(self, name: str, parent: str) -> tuple[dict[str, Tab], dict[str, int]] | None:
        """The definitions after a merge, where each object was changed on one side only; None if that is not so."""
        source, target, facts = self.branches[name], self.branches[parent], self.of(name)
        base, theirs, ours = (
            {tab.uid: tab for tab in catalog.values()}
            for catalog in (source.origin_catalog, source.catalog, target.catalog)
        )
        tables: list[Tab] = []
        for uid in dict.fromkeys([*ours, *theirs, *base]):
            chosen = _changed_once(base.get(uid), theirs.get(uid), ours.get(uid))
            if chosen is _BOTH:
                return None
            if chosen is not None:
                tables.append(chosen)
                kept = {col.name for col in chosen.cols}
                lost = uid in base and any(col.name not in kept for col in base[uid].cols)
                both = facts.touched & {uid, _EVERYTHING} and facts.parent_touched & {uid, _EVERYTHING}
                if lost and (both or facts.parent_writes is None):
                    return None  # the other side may have written the column that goes
            written = facts.touched if uid not in ours else facts.parent_touched
            if chosen is None and uid in (ours | theirs) and written & {uid, _EVERYTHING}:
                return None  # dropped on one side, written on the other
        views: dict[str, int] = {}
        for view in dict.fromkeys([*target.views, *source.views, *source.origin_views]):
            kept = _changed_once(
                source.origin_views.get(view), source.views.get(view), target.views.get(view)
            )
            if kept is _BOTH:
                return None
            if kept is not None:
                views[view] = kept
        catalog = {tab.name: tab for tab in tables}
        known = {tab.uid for tab in tables}
        if len(catalog) < len(tables) or any(uid > 0 and uid not in known for uid in views.values()):
            return None
        renamed = {
            uid
            for uid, tab in base.items()
            for side in (ours, theirs)
            if uid in side and side[uid].name != tab.name
        }
        fresh = {uid for view, uid in views.items() if view not in source.origin_views}
        return (
            None if renamed & fresh else (catalog, views)
        )  # a new view over a table that the other side renames

    def _takes_definitions(self, parent: str, catalog: dict[str, Tab], views: dict[str, int]) -> None:
        """The parent's model has these definitions; the rows of tables that are not as they were are Bough's."""
        target = self.branches[parent]
        before, schema = {tab.uid: tab for tab in target.catalog.values()}, f"m{self.next()}"
        same = {name: tab for name, tab in catalog.items() if before.get(tab.uid) == tab}
        self._copy(same, target.schema, schema)
        connection = self._audit(parent)
        for name, tab in catalog.items():
            if name not in same:
                self.plain.execute(f"CREATE TABLE {schema}.{q(name)} ({tab.model_body()})")
                marks = ", ".join(f"CAST(? AS {col.type})" for col in tab.cols)
                for row in connection.execute(_whole(name)).fetchall():
                    self.plain.execute(f"INSERT INTO {schema}.{q(name)} VALUES ({marks})", list(row))
        target.schema, target.catalog, target.views = schema, dict(catalog), dict(views)

    def _adopt(self, name: str, parent: str) -> None:
        """Both sides have changed: the rows are taken from Bough, after the laws have been asked."""
        source, target, facts = self.branches[name], self.branches[parent], self.of(name)
        schema = f"m{self.next()}"
        self._copy(target.catalog, target.schema, schema)
        connection = self._audit(parent)
        for tab in target.catalog.values():
            got = connection.execute(_whole(tab.name)).fetchall()
            whole = f"SELECT * FROM {{}}.{q(tab.name)}"
            ours = self.plain.execute(whole.format(target.schema)).fetchall()
            alike = source.catalog.get(tab.name) == tab
            theirs = self.plain.execute(whole.format(source.schema)).fetchall() if alike else []
            mine, other = (
                facts.touched & {tab.uid, _EVERYTHING},
                facts.parent_touched & {tab.uid, _EVERYTHING},
            )
            if not mine and bag(got) != bag(ours):
                raise Mismatch(
                    f"{parent}.{tab.name} changed by a merge of a branch that had not written it: {got}, {ours}"
                )
            known = facts.parent_writes is not None and alike
            if known and not other and bag(got) != bag(theirs):
                raise Mismatch(f"{parent}.{tab.name} is not what only {name} had written: {got}, {theirs}")
            self.plain.execute(f"DELETE FROM {schema}.{q(tab.name)}")
            marks = ", ".join(f"CAST(? AS {col.type})" for col in tab.cols)
            for row in got:
                self.plain.execute(f"INSERT INTO {schema}.{q(tab.name)} VALUES ({marks})", list(row))
        target.schema = schema

    def refresh(self, rnd: Random) -> None:
        pair = self._pair(rnd)
        if pair is None:
            return
        name, parent = pair
        model, facts = self.branches[name], self.of(name)
        idle = not facts.touched
        strategy = "abort" if idle else rnd.choice(("branch_wins", "main_wins", "abort"))
        if not idle and not (model.catalog == model.origin_catalog == self.branches[parent].catalog):
            return
        if not idle and not (model.views == model.origin_views == self.branches[parent].views):
            return
        self.log.append(f"REFRESH {name} FROM {parent} {strategy}{' (idle)' if idle else ''}")
        try:
            merge_apply.refresh(self.database, name, strategy=strategy, author=AUTHOR)
        except BoughError as error:
            if idle or error.sqlstate not in ("VB001", "23505", "23502", "23514"):
                raise
            self.log.append(f"  refused: {error.sqlstate}")
            self.compare(name)
            return
        touched = set(facts.touched)
        if idle:
            self._becomes(name, self.branches[parent])
        else:
            self._taken(name, parent)
        self.noted(name, {_EVERYTHING})
        self._based(name, self.branches[parent])
        self.of(name).touched = touched
        self.compare(name)
        self.compare(parent)

    def _taken(self, name: str, parent: str) -> None:
        model, facts = self.branches[name], self.of(name)
        schema = self._copied(model, "m")
        connection = self._audit(name)
        for tab in model.catalog.values():
            got = connection.execute(_whole(tab.name)).fetchall()
            whole = f"SELECT * FROM {{}}.{q(tab.name)}"
            theirs = self.plain.execute(whole.format(self.branches[parent].schema)).fetchall()
            if not facts.touched & {tab.uid, _EVERYTHING} and bag(got) != bag(theirs):
                raise Mismatch(
                    f"{name}.{tab.name}, which it has not written, is not its parent's: {got}, {theirs}"
                )
            self.plain.execute(f"DELETE FROM {schema}.{q(tab.name)}")
            marks = ", ".join(f"CAST(? AS {col.type})" for col in tab.cols)
            for row in got:
                self.plain.execute(f"INSERT INTO {schema}.{q(tab.name)} VALUES ({marks})", list(row))
        model.schema = schema

    def revert(self, rnd: Random) -> None:
        known = [
            item
            for item in self.undo
            if item.target in self.branches and self.of(item.target).writes == item.writes
        ]
        if not known:
            return
        item = rnd.choice(known)
        self.undo.remove(item)
        self._end_sessions(item.target)
        self.log.append(f"REVERT {item.merge} ON {item.target}")
        merge_apply.revert(self.database, item.merge, AUTHOR)
        self._becomes(item.target, item.before)
        self.noted(item.target, {_EVERYTHING})
        self.compare(item.target)

    # -- diffs ----------------------------------------------------------------------------------------------------

    def diff(self, rnd: Random) -> None:
        one, other = rnd.choice(list(self.branches)), rnd.choice(list(self.branches))
        new = self.branches[one]
        shared = [
            tab
            for tab in new.catalog.values()
            if (old := self.branches[other].catalog.get(tab.name)) is not None
            and old.uid == tab.uid
            and old.cols == tab.cols
        ]
        for tab in shared if one != other else ():
            self._turned(one, other, tab, self.branches[other].schema, direct=True)
        if new.parent in self.branches and new.origin is not None:
            for tab in new.catalog.values():
                if new.origin_catalog.get(tab.name) == tab:
                    self._turned(one, new.parent, tab, new.origin, direct=False)

    def _turned(self, one: str, other: str, tab: Tab, base: str, *, direct: bool) -> None:
        """What the diff of ``one`` says, done to the base, gives ``one``."""
        wanted = diff_rows.Wanted(one, Named(tab.name), other, direct)
        found = diff_rows.rows(self.database, wanted)[1]
        listed = ", ".join(q(col.name) for col in tab.cols)
        now = bag(
            self.plain.execute(f"SELECT {listed} FROM {self.branches[one].schema}.{q(tab.name)}").fetchall()
        )
        was = bag(self.plain.execute(f"SELECT {listed} FROM {base}.{q(tab.name)}").fetchall())
        gone = bag([row[1::2] for row in found if row[0] != "added"])
        came = bag([row[2::2] for row in found if row[0] != "removed"])
        if gone - was or was - gone + came != now:
            raise Mismatch(f"diff of {one} against {other}, {tab.name}: {found}\n was {was}\n now {now}")
        if tab.pk and any(row[0] == "modified" and row[1::2] == row[2::2] for row in found):
            raise Mismatch(f"diff of {one} against {other}, {tab.name}: a change of nothing: {found}")

    # -- other objects --------------------------------------------------------------------------------------------

    def macro(self, rnd: Random) -> None:
        """In the model a macro is a view with a negative number: what it adds to its argument."""
        session = self._pick_session(rnd, write=True)
        views = self.views_of(session)
        name, number = f"mac{rnd.randrange(3)}", self.next()
        statement: d.Ddl
        if name in views and rnd.random() < 0.5:
            statement = d.Drop("macro", (d.Name(name),))
        else:
            body = sqlglot.parse_one(f"x + {number}", dialect="duckdb")
            statement = d.CreateMacro(d.Name(name), ("x",), body, or_replace=True)
        if self._both(session, repr(statement), lambda: session.bough.execute(statement), lambda: 1):
            self.wrote(session, None)
            views.pop(name, None)
            if isinstance(statement, d.CreateMacro):
                views[name] = -number

    def comment(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog = self.catalog_of(session)
        if not catalog:
            return
        tab = rnd.choice(list(catalog.values()))
        text = rnd.choice((None, "it's", "ü", str(self.next())))
        statement = d.CommentOn("table", d.Name(tab.name), text)
        if self._both(session, repr(statement), lambda: session.bough.execute(statement), lambda: 1):
            self.wrote(session, None)
            catalog[tab.name] = replace(tab, comment=text)

    def exported(self, rnd: Random) -> None:
        """One branch as a plain file."""
        name = rnd.choice(list(self.branches))
        model = self.branches[name]
        self.log.append(f"EXPORT {name}")
        target = self.directory / f"export{self.next()}.duckdb"
        export(self.database, name, target, functions={}, force=False, progress=lambda _line: None)
        with contextlib.closing(duckdb.connect(str(target), read_only=True)) as plain:
            self._settings(plain)
            for tab in model.catalog.values():
                expected = self.plain.execute(f"SELECT * FROM {model.schema}.{q(tab.name)}").fetchall()
                result = plain.execute(f"SELECT * FROM {q(tab.name)}")
                names = [item[0] for item in result.description or ()]
                if names != [col.name for col in tab.cols] or bag(result.fetchall()) != bag(expected):
                    raise Mismatch(f"export of {name}: {tab.name}")
        target.unlink()

    def imported(self, rnd: Random) -> None:
        """A branch as a plain file, edited there, comes back as a branch, which is what the file is."""
        if len(self.branches) >= self.max_branches:
            return
        parent = rnd.choice(list(self.branches))
        name, target = f"i{self.next()}", self.directory / f"import{self.next()}.duckdb"
        export(self.database, parent, target, functions={}, force=False, progress=lambda _line: None)
        self.branch_of(parent, name)
        model = self.branches[name]
        written, changed = set[int](), self.plain.cursor()
        with contextlib.closing(duckdb.connect(str(target))) as plain, contextlib.closing(changed):
            self._settings(plain)
            self._settings(changed)
            changed.execute(f"SET schema = '{model.schema}'")
            for tab in rnd.sample(list(model.catalog.values()), min(2, len(model.catalog))):
                statement = self._edit(rnd, tab)
                self.log.append(f"  in the file: {statement}")
                outcomes = []
                for side in (changed, plain):
                    try:
                        outcomes.append(str(side.execute(statement).fetchall()))
                    except duckdb.Error as error:
                        outcomes.append(type(error).__name__)
                if outcomes[0] != outcomes[1]:
                    raise Mismatch(f"{statement}: {outcomes[1]} in the file, {outcomes[0]} in the model")
                if statement.startswith(("ALTER", "DROP")) and outcomes[0].startswith("["):
                    written.add(_EVERYTHING)
                    del model.catalog[tab.name]
                    if statement.startswith("ALTER"):  # which gives the branch another table of that name
                        added = replace(tab, uid=self.next(), cols=(*tab.cols, Col("added", "INTEGER")))
                        model.catalog[tab.name] = added
                        model.views = {
                            view: added.uid if uid == tab.uid else uid for view, uid in model.views.items()
                        }
                written.add(tab.uid)
        self.log.append(f"IMPORT {name}, of {parent}")
        notes = load(self.database, target, name)
        if notes:
            raise Mismatch(f"import of {name}: {notes}")
        target.unlink()
        self._name_uniques(name)
        self.noted(name, written)
        self.compare(name)

    def _name_uniques(self, branch: str) -> None:
        """A file does not keep the names of constraints: a table that is new to the branch has others."""
        catalog = self.branches[branch].catalog
        for table in self.database.line(branch).catalog.tables():
            names = {item.columns: item.name for item in table.constraints if item.kind == "u"}
            tab = catalog[table.name]
            catalog[table.name] = replace(tab, unique_names=tuple(names[key] for key in tab.uniques))

    def _edit(self, rnd: Random, tab: Tab) -> str:
        """A statement that does the same whatever the order of the rows is."""
        if rnd.random() < 0.1 and "added" not in {col.name for col in tab.cols}:
            return f"ALTER TABLE {q(tab.name)} ADD COLUMN added INTEGER"
        if rnd.random() < 0.05 and all(
            tab.uid not in model.views.values() for model in self.branches.values()
        ):
            return f"DROP TABLE {q(tab.name)}"
        free = [col for col in tab.cols if col.name not in tab.used()]
        if free and rnd.random() < 0.4:
            col = rnd.choice(free)
            return (
                f"UPDATE {q(tab.name)} SET {q(col.name)} = {self.value(rnd, col.type)}"
                f" WHERE {self.predicate(rnd, tab)}"
            )
        return self._insert(rnd, tab) if rnd.random() < 0.6 else self._delete(rnd, tab)

    # -- crashes inside a step --------------------------------------------------------------------------------------

    def torn(self, rnd: Random) -> None:
        """A step of which copies of the file are made between its engine transactions: each is before or after it."""
        before = self._seen()
        step = rnd.choice(
            (
                self.merge,
                self.refresh,
                self.revert,
                self.fork,
                self.discard,
                self.restore,
                self.reset,
                self.collect,
            )
        )
        self.log.append("TORN:")
        with _copies(self.path, self.directory) as copies:
            step(rnd)
        after = self._seen()
        for copy in copies:
            database = branching.open(copy, retention=self.retention)
            try:
                found = self._read(database)
                states = (before, after)
                if not all(
                    any(found.get(name) == state.get(name) for state in states) for name in {*before, *after}
                ):
                    raise Mismatch(f"torn in the middle: {found}\n before {before}\n after {after}")
                known = {frozenset(state) for state in states}
                if frozenset(found) not in known:
                    raise Mismatch(
                        f"branches {sorted(found)}, before {sorted(before)}, after {sorted(after)}"
                    )
            finally:
                database.close()
                copy.unlink()

    def _seen(self) -> dict[str, Any]:
        return self._read(self.database)

    def _read(self, database: Any) -> dict[str, Any]:
        """All rows of all branches."""
        found: dict[str, Any] = {}
        for name in sorted(database.names):
            connection = database.connect(name)
            try:
                found[name] = {
                    table.name: bag(connection.execute(_whole(table.name)).fetchall())
                    for table in connection.catalog.tables()
                }
            finally:
                connection.close()
        return found


_BOTH: Any = object()


def _changed_once(base: Any, theirs: Any, ours: Any) -> Any:
    """What a merge makes of an object that one side has changed, at most; _BOTH if both have."""
    if theirs in (base, ours):
        return ours
    return theirs if ours == base else _BOTH


def _whole(table: str) -> exp.Expr:
    return exp.select("*").from_(exp.table_(table, quoted=True))


@contextlib.contextmanager
def _copies(path: Path, directory: Path) -> Iterator[list[Path]]:
    """Copies of a file and its log, one after each of the engine's first COMMITs."""
    commit, made = DuckDBCursor.commit, list[Path]()

    def copied(self: DuckDBCursor) -> None:
        commit(self)
        if len(made) < 12:
            target = directory / f"torn{len(made)}.duckdb"
            shutil.copy(path, target)
            log = Path(f"{target}.wal")
            log.unlink(missing_ok=True)
            if (source := Path(f"{path}.wal")).exists():
                shutil.copy(source, log)
            made.append(target)

    DuckDBCursor.commit = copied  # type: ignore[method-assign]
    try:
        yield made
    finally:
        DuckDBCursor.commit = commit  # type: ignore[method-assign]
