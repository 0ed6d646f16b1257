"""Foreign keys against a model in Python: every action, at any depth, on main, on branches and on branches of those.

The model keeps whole copies of all rows. A statement changes its copy; what that does to the rows that refer follows
from the actions, generation after generation; in the end no row may be without its parent. Where the model refuses,
Bough must, and nothing may have changed. RESTRICT is driven where only one way leads from a table to another, as it
would depend on the order of the actions elsewhere. ``BOUGH_ORACLE_SECONDS`` makes a long run of it.
"""

from __future__ import annotations

import copy
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
import sqlglot
from effort import seeds

import branching
from branching import Author, BoughError, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.detach import Limits
from branching.dml import copied
from branching.gc import collect as gc
from branching.merge import apply as merge_apply

Row = dict[str, int | None]
State = dict[str, dict[int, Row]]  # by table and the model's own number of a row
SPELLED = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@dataclass(frozen=True)
class Key:
    """``child.column`` refers to ``parent.id``."""

    name: str
    child: str
    column: str
    parent: str
    on_delete: str
    on_update: str


class Refused(Exception):
    """What Postgres would answer with an error of class 23."""


@dataclass
class Branch:
    rows: State
    keys: tuple[Key, ...]
    parent: str | None = None
    session: Connection | None = None
    begun: tuple[State, tuple[Key, ...]] | None = None  # before the open block


@dataclass
class Shape:
    """Which columns each table has, what they default to and which must not be NULL."""

    columns: dict[str, tuple[str, ...]]
    defaults: dict[tuple[str, str], int] = field(default_factory=dict)
    required: set[tuple[str, str]] = field(default_factory=set)


def settle(shape: Shape, keys: tuple[Key, ...], rows: State, table: str, before: dict[int, Row]) -> None:
    """Carries out what a change of ``table`` means; ``before``: its rows as they were. Raises Refused."""
    todo = deque([(table, before)])
    while todo:
        name, old = todo.popleft()
        now = rows[name]
        gone = {row["id"] for number, row in old.items() if number not in now}
        moved = {
            row["id"]: now[number]["id"]
            for number, row in old.items()
            if number in now and now[number]["id"] != row["id"]
        }
        for key in keys:
            if key.parent != name:
                continue
            children = rows[key.child]
            then = copy.deepcopy(children)
            for number, row in list(then.items()):
                value = row[key.column]
                action = key.on_delete if value in gone else key.on_update if value in moved else "a"
                if value is None or action == "a":
                    continue
                if action == "r":
                    raise Refused("restrict")
                if action == "c" and value in gone:
                    del children[number]
                elif action == "c":
                    children[number] = {**row, key.column: moved[value]}
                elif action == "n":
                    children[number] = {**row, key.column: None}
                else:
                    children[number] = {**row, key.column: shape.defaults.get((key.child, key.column))}
            if children != then:
                todo.append((key.child, then))
    check(shape, keys, rows)


def check(shape: Shape, keys: tuple[Key, ...], rows: State) -> None:
    for table, held in rows.items():
        ids = [row["id"] for row in held.values()]
        if None in ids or len(set(ids)) < len(ids):
            raise Refused("key")
        for column in shape.columns[table]:
            if (table, column) in shape.required and any(row[column] is None for row in held.values()):
                raise Refused("not null")
    for key in keys:
        there = {row["id"] for row in rows[key.parent].values()}
        if any(row[key.column] not in (None, *there) for row in rows[key.child].values()):
            raise Refused(key.name)


class KeyOracle:
    def __init__(self, directory: Path, rnd: Random) -> None:
        self.path = directory / "keys.duckdb"
        self.database = branching.open(self.path)
        self.rnd = rnd
        copied.EMPTIED = rnd.choice((0, 10_000))  # whether tables that are emptied are replaced
        self.log: list[str] = []
        self.steps = self.number = 0
        self.shape = Shape({"p": ("id", "v"), "c": ("id", "a", "b", "v"), "g": ("id", "a", "v")})
        diamond = rnd.random() < 0.5
        actions = "acnd" if diamond else "arcnd"

        def key(name: str, child: str, column: str, parent: str) -> Key:
            return Key(name, child, column, parent, rnd.choice(actions), rnd.choice(actions))

        keys = [key("ca", "c", "a", "p"), key("ga", "g", "a", "c")]
        if diamond:
            keys.append(key("cb", "c", "b", rnd.choice(("p", "c"))))
        for child, column in (("c", "a"), ("c", "b"), ("g", "a")):
            if rnd.random() < 0.4:
                self.shape.defaults[child, column] = rnd.randrange(4)
            if rnd.random() < 0.15:
                self.shape.required.add((child, column))
        rows: State = {table: {} for table in self.shape.columns}
        self.branches = {"main": Branch(rows, tuple(keys))}
        main = self.session("main")
        for table in self.shape.columns:
            self._run(main, self._create(table, keys))

    def close(self) -> None:
        copied.EMPTIED = 10_000
        self._end()
        self.database.close()

    def next(self) -> int:
        self.number += 1
        return self.number

    def _create(self, table: str, keys: list[Key]) -> str:
        items = []
        for column in self.shape.columns[table]:
            text = f"{column} INTEGER" + (" PRIMARY KEY" if column == "id" else "")
            if (default := self.shape.defaults.get((table, column))) is not None:
                text += f" DEFAULT {default}"
            if (table, column) in self.shape.required:
                text += " NOT NULL"
            items.append(text)
        items += [
            f"CONSTRAINT {key.name} FOREIGN KEY ({key.column}) REFERENCES {key.parent} (id)"
            f" ON DELETE {SPELLED[key.on_delete]} ON UPDATE {SPELLED[key.on_update]}"
            for key in keys
            if key.child == table
        ]
        return f"CREATE TABLE {table} ({', '.join(items)})"

    # -- sessions ---------------------------------------------------------------------------------------------------

    def session(self, name: str) -> Connection:
        branch = self.branches[name]
        if branch.session is None:
            branch.session = self.database.connect(name)
        return branch.session

    def _end(self) -> None:
        """Ends all sessions, and their blocks with them."""
        for branch in self.branches.values():
            if branch.begun is not None:
                branch.rows, branch.keys = branch.begun
                branch.begun = None
            if branch.session is not None:
                branch.session.close()
                branch.session = None

    @staticmethod
    def _run(connection: Connection, text: str) -> int | None:
        result = connection.execute(sqlglot.parse_one(text, dialect="duckdb"))
        result.fetchall()
        return result.rowcount

    def compare(self) -> None:
        for name, branch in self.branches.items():
            for table, columns in self.shape.columns.items():
                text = f"SELECT {', '.join(columns)} FROM {table}"
                got = self.session(name).execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()
                expected = [tuple(row[column] for column in columns) for row in branch.rows[table].values()]
                assert sorted(map(repr, got)) == sorted(map(repr, expected)), (name, table)

    # -- steps ------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.steps += 1
        others: list[Callable[[], None]] = [self.fork, self.block, self.block, self.collect, self.alter]
        self.rnd.choice([*[self.write] * 14, *others, self.discard, self.reopen, self.merge, self.merge])()
        self.compare()

    def _value(self, *, null: bool = True) -> int | None:
        return None if null and self.rnd.random() < 0.2 else self.rnd.randrange(5)

    def attempt(self, name: str, text: str, change: Callable[[State], str]) -> None:
        """Runs a statement on both; ``change`` makes its own change in the model and says of which table."""
        branch, connection = self.branches[name], self.session(name)
        self.log.append(f"[{name}{' tx' if branch.begun else ''}] {text}")
        rows, refused = copy.deepcopy(branch.rows), False
        table = change(rows)
        try:
            settle(self.shape, branch.keys, rows, table, branch.rows[table])
        except Refused as error:
            refused = True
            self.log.append(f"  refused: {error}")
        try:
            if text.startswith("TRUNCATE"):
                connection.execute(d.Truncate((d.Name(table),), cascade=True))
            else:
                self._run(connection, text)
            assert not refused, "the model refuses"
            branch.rows = rows
        except BoughError as error:
            assert refused and error.sqlstate[:2] == "23", error
            if branch.begun is not None:
                connection.rollback()
                branch.rows, branch.keys = branch.begun
                branch.begun = None

    def write(self) -> None:
        name = self.rnd.choice(list(self.branches))
        table = self.rnd.choice(list(self.shape.columns))
        kinds = (
            self._insert,
            self._insert,
            self._insert,
            self._upsert,
            self._refer,
            self._rekey,
            self._delete,
        )
        text, change = self.rnd.choice((*kinds, self._truncate))(table, self.branches[name].keys)

        def changed(rows: State) -> str:
            change(rows)
            return table

        self.attempt(name, text, changed)

    def _insert(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        columns = self.shape.columns[table]
        made: list[Row] = []
        for number in self.rnd.sample(range(8), self.rnd.randrange(1, 3)):
            made.append({"id": number, **{column: self._value() for column in columns[1:]}})
        shown = ", ".join(_tuple(row) for row in made)

        def change(rows: State) -> None:
            rows[table].update({self.next(): row for row in made})

        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {shown}", change

    def _upsert(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        columns = self.shape.columns[table]
        column = self.rnd.choice(columns[1:])
        row: Row = {"id": self.rnd.randrange(6), **{name: self._value() for name in columns[1:]}}
        new = self._value()
        text = (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES {_tuple(row)}"
            f" ON CONFLICT (id) DO UPDATE SET {column} = {_sql(new)}"
        )

        def change(rows: State) -> None:
            same = [number for number, other in rows[table].items() if other["id"] == row["id"]]
            if same:
                rows[table][same[0]] = {**rows[table][same[0]], column: new}
            else:
                rows[table][self.next()] = row

        return text, change

    def _where(self, table: str) -> tuple[str, Callable[[Row], bool]]:
        column = self.rnd.choice(self.shape.columns[table])
        value = self.rnd.randrange(6)
        if self.rnd.random() < 0.1:
            return "true", lambda row: True
        if self.rnd.random() < 0.7:
            return f"{column} = {value}", lambda row: row[column] == value
        return f"{column} < {value}", lambda row: (row[column] is not None) and (row[column] or 0) < value

    def _refer(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        column, new = self.rnd.choice(self.shape.columns[table][1:]), self._value()
        text, matches = self._where(table)

        def change(rows: State) -> None:
            for number, row in list(rows[table].items()):
                if matches(row):
                    rows[table][number] = {**row, column: new}

        return f"UPDATE {table} SET {column} = {_sql(new)} WHERE {text}", change

    def _rekey(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        """Keys that move together, maybe into each other's places, or one that moves near."""
        one = self.rnd.randrange(6)
        new = self.rnd.randrange(6)
        if self.rnd.random() < 0.5:
            text, matches = self._where(table)
            by = self.rnd.choice((1, 1, 100, 1000))
            update = f"UPDATE {table} SET id = id + {by} WHERE {text}"
        else:
            by, matches = new - one, lambda row: row["id"] == one
            update = f"UPDATE {table} SET id = {new} WHERE id = {one}"

        def change(rows: State) -> None:
            for number, row in list(rows[table].items()):
                if matches(row):
                    rows[table][number] = {**row, "id": (row["id"] or 0) + by}

        return update, change

    def _delete(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        text, matches = self._where(table)

        def change(rows: State) -> None:
            rows[table] = {number: row for number, row in rows[table].items() if not matches(row)}

        return f"DELETE FROM {table} WHERE {text}", change

    def _truncate(self, table: str, keys: tuple[Key, ...]) -> tuple[str, Callable[[State], None]]:
        """With all that refers to it, whatever the actions are."""

        def change(rows: State) -> None:
            emptied, todo = {table}, [table]
            while todo:
                parent = todo.pop()
                for key in keys:
                    if key.parent == parent and key.child not in emptied:
                        emptied.add(key.child)
                        todo.append(key.child)
            for name in emptied:
                rows[name] = {}

        return f"TRUNCATE {table} CASCADE", change

    def alter(self) -> None:
        """A key goes, or one comes back, which the rows that are there must obey."""
        name = self.rnd.choice(list(self.branches))
        branch, connection = self.branches[name], self.session(name)
        if branch.keys and self.rnd.random() < 0.5:
            gone = self.rnd.choice(branch.keys)
            self.log.append(f"[{name}] DROP {gone}")
            connection.execute(d.AlterTable(d.Name(gone.child), (d.DropConstraint(gone.name),)))
            branch.keys = tuple(key for key in branch.keys if key is not gone)
            return
        if "ga" in {key.name for key in branch.keys}:
            return
        key = Key("ga", "g", "a", self.rnd.choice(("c", "p")), *self.rnd.choices("acnd", k=2))
        self.log.append(f"[{name}] ADD {key}")
        definition = d.ConstraintDefinition(
            "f", "ga", ("a",), None, d.Name(key.parent), ("id",), key.on_delete, key.on_update
        )
        try:
            check(self.shape, (key,), branch.rows)
            refused = False
        except Refused:
            refused = True
        try:
            connection.execute(d.AlterTable(d.Name("g"), (d.AddConstraint(definition),)))
            assert not refused, "the model refuses"
            branch.keys = (*branch.keys, key)
        except BoughError as error:
            assert refused and error.sqlstate == "23503", error
            if branch.begun is not None:
                connection.rollback()
                branch.rows, branch.keys = branch.begun
                branch.begun = None

    def block(self) -> None:
        name = self.rnd.choice(list(self.branches))
        branch, connection = self.branches[name], self.session(name)
        if branch.begun is None:
            self.log.append(f"[{name}] BEGIN")
            connection.begin()
            branch.begun = copy.deepcopy(branch.rows), branch.keys
        elif self.rnd.random() < 0.6:
            self.log.append(f"[{name}] COMMIT")
            connection.commit()
            branch.begun = None
        else:
            self.log.append(f"[{name}] ROLLBACK")
            connection.rollback()
            branch.rows, branch.keys = branch.begun
            branch.begun = None

    def fork(self) -> None:
        if len(self.branches) > 4:
            return self.discard()
        parent, name = self.rnd.choice(list(self.branches)), f"b{self.next()}"
        self._end()
        self.log.append(f"FORK {name} FROM {parent}")
        branches.create(self.database, name, parent, role="me")
        of = self.branches[parent]
        self.branches[name] = Branch(copy.deepcopy(of.rows), of.keys, parent)

    def discard(self) -> None:
        parents = {branch.parent for branch in self.branches.values()}
        leaves = [name for name in self.branches if name != "main" and name not in parents]
        if leaves:
            name = self.rnd.choice(leaves)
            self._end()
            self.log.append(f"DISCARD {name}")
            branches.discard(self.database, name)
            del self.branches[name]

    def merge(self) -> None:
        """What comes of it is the merge oracles' business; that no row is without its parent is asked here."""
        name = self.rnd.choice(list(self.branches))
        parent = self.branches[name].parent
        if parent is None or self.branches[name].keys != self.branches[parent].keys:
            return
        self._end()
        strategy = self.rnd.choice(("branch_wins", "main_wins"))
        self.log.append(f"MERGE {name} INTO {parent} {strategy}")
        try:
            merge_apply.merge(self.database, name, parent, strategy=strategy, author=Author("oracle"))
        except BoughError as error:
            assert error.sqlstate[:2] in ("23", "VB"), error
            self.log.append(f"  refused: {error}")
            return
        target = self.branches[parent]
        for table, columns in self.shape.columns.items():
            text = f"SELECT {', '.join(columns)} FROM {table}"
            got = self.session(parent).execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()
            target.rows[table] = {self.next(): dict(zip(columns, row, strict=True)) for row in got}
        check(self.shape, target.keys, target.rows)

    def collect(self) -> None:
        self._end()
        self.log.append("GC")
        gc.collect(self.database, limits=Limits(0, 0))

    def reopen(self) -> None:
        self._end()
        self.log.append("REOPEN")
        self.database.close()
        self.database = branching.open(self.path)


def _sql(value: int | None) -> str:
    return "NULL" if value is None else str(value)


def _tuple(row: Row) -> str:
    return f"({', '.join(map(_sql, row.values()))})"


@contextmanager
def _oracle(directory: Path, seed: int) -> Iterator[KeyOracle]:
    oracle = KeyOracle(directory, Random(seed))
    try:
        yield oracle
    except BaseException as error:
        keys = "\n".join(f"{name}: {branch.keys}" for name, branch in oracle.branches.items())
        error.add_note(f"seed {seed}, step {oracle.steps}:\n{keys}\n" + "\n".join(oracle.log))
        raise
    finally:
        oracle.close()


@pytest.mark.parametrize("seed", seeds(2))
def test_keys_hold_as_in_the_model(tmp_path: Path, seed: int) -> None:
    with _oracle(tmp_path, seed) as oracle:
        for _ in range(25):
            oracle.step()


@pytest.mark.slow
def test_long_histories_of_keys(tmp_path: Path) -> None:
    end = time.monotonic() + float(os.environ.get("BOUGH_ORACLE_SECONDS", "120")) / 2
    seed = int(os.environ.get("BOUGH_ORACLE_SEED", "1000"))
    while time.monotonic() < end:
        directory = tmp_path / str(seed)
        directory.mkdir()
        with _oracle(directory, seed) as oracle:
            for _ in range(100):
                oracle.step()
        seed += 1
