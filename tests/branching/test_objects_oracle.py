"""Schemas, sequences and temporary tables against a model in Python, on main, on branches and on branches of those.

What each branch has is kept by (schema, name): tables with a serial key and a value, and sequences. The laws of
numbers: one counter gives rising numbers whoever asks, so rows of different branches have different keys; a counter
that one branch sets back is that branch's own from then on, and nobody else's INSERT fails for it. Temporary tables
belong to a session: they hide the table of their name, on whatever branch it is, and end with it or with their block.
``BOUGH_ORACLE_SECONDS`` makes a long run of it.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

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

SCHEMAS = ("s", "S t", "other")
NAMES = ("t", "u", "Ta b")
Key = tuple[str, str]  # schema, name


def q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Counted:
    """A sequence: which counter it has, and what that gives first."""

    counter: int
    start: int = 1
    table: int | None = None  # uid of the table whose key it fills
    first: int | None = None  # where it was set to another number than ``start``


@dataclass
class Table:
    uid: int
    rows: list[tuple[int, int]]
    sequence: int  # uid


@dataclass
class Objects:
    """All that a branch has. Tables and sequences share their names, as in Postgres."""

    schemas: set[str] = field(default_factory=set)
    tables: dict[Key, Table] = field(default_factory=dict)
    sequences: dict[Key, tuple[int, Counted]] = field(default_factory=dict)  # with its uid

    def taken(self, key: Key) -> bool:
        return key in self.tables or key in self.sequences

    def of(self, table: Table) -> Counted | None:
        return next((found for uid, found in self.sequences.values() if uid == table.sequence), None)


@dataclass
class Branch:
    now: Objects
    parent: str | None = None
    session: Connection | None = None
    begun: tuple[Objects, dict[str, list[int]]] | None = None
    temporary: dict[str, list[int]] = field(default_factory=dict)
    forked: Objects = field(default_factory=Objects)
    base: Objects | None = None  # the parent when nothing has been written there since; None: not known


class ObjectsOracle:
    def __init__(self, directory: Path, rnd: Random) -> None:
        self.path = directory / "objects.duckdb"
        self.database = branching.open(self.path)
        self.rnd = rnd
        copied.EMPTIED = rnd.choice((0, 10_000))  # whether tables that are emptied are replaced
        self.log: list[str] = []
        self.steps = self.number = 0
        self.last: dict[int, int] = {}  # by counter: the last number it gave
        self.branches = {"main": Branch(Objects({"public"}))}

    def close(self) -> None:
        copied.EMPTIED = 10_000
        self._end()
        self.database.close()

    def next(self) -> int:
        self.number += 1
        return self.number

    # -- sessions ---------------------------------------------------------------------------------------------------

    def session(self, name: str) -> Connection:
        branch = self.branches[name]
        if branch.session is None:
            branch.session = self.database.connect(name)
        return branch.session

    def _end(self) -> None:
        for branch in self.branches.values():
            if branch.begun is not None:
                branch.now = branch.begun[0]
                branch.begun = None
            if branch.session is not None:
                branch.session.close()
                branch.session = None
            branch.temporary = {}

    def _rolled_back(self, branch: Branch) -> None:
        if branch.begun is not None:
            self.session(next(n for n, b in self.branches.items() if b is branch)).rollback()
            branch.now, branch.temporary = branch.begun
            branch.begun = None

    def rows(self, name: str, text: str) -> list[tuple[Any, ...]]:
        return self.session(name).execute(sqlglot.parse_one(text, dialect="duckdb")).fetchall()

    def attempt(
        self, name: str, label: str, run: Any, change: Callable[[Objects], None], *, valid: bool
    ) -> None:
        """Runs a definition on both; ``valid``: whether Postgres would take it."""
        branch = self.branches[name]
        self.log.append(f"[{name}{' tx' if branch.begun else ''}] {label}{'' if valid else '  -- refused'}")
        try:
            statement = sqlglot.parse_one(run, dialect="postgres") if isinstance(run, str) else run
            self.session(name).execute(statement)
        except BoughError as error:
            assert not valid, error
            self._rolled_back(branch)
            return
        assert valid, "the model refuses"
        change(branch.now)
        self._written(name)

    def _written(self, name: str) -> None:
        for branch in self.branches.values():
            if branch.parent == name:
                branch.base = None

    # -- comparing --------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        for name, branch in self.branches.items():
            catalog = self.session(name).catalog
            assert set(catalog.schemas) == branch.now.schemas, name
            assert {(item.schema, item.name) for item in catalog.tables()} == set(branch.now.tables), name
            sequences = {(item.schema, item.name) for item in catalog.sequences()}
            assert sequences == set(branch.now.sequences), (sequences, branch.now.sequences)
            for (schema, table), known in branch.now.tables.items():
                got = self.rows(name, f"SELECT id, v FROM {q(schema)}.{q(table)}")
                assert sorted(got) == sorted(known.rows), (name, schema, table)
            for table in NAMES:
                if table in branch.temporary:
                    got = self.rows(name, f"SELECT x FROM {q(table)}")
                    assert sorted(got) == sorted((x,) for x in branch.temporary[table]), (name, table)
                elif ("public", table) in branch.now.tables:
                    expected = len(branch.now.tables["public", table].rows)
                    assert self.rows(name, f"SELECT count(*) FROM {q(table)}") == [(expected,)]

    # -- steps ------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.steps += 1
        few = [
            self.fork,
            self.block,
            self.block,
            self.discard,
            self.collect,
            self.reopen,
            self.merge,
            self.merge,
        ]
        ddl = [self.make_schema, self.make_schema, self.drop_schema, self.rename_schema, self.drop, self.move]
        make = [self.make_table] * 3 + [self.make_sequence] * 2
        use = [self.insert] * 8 + [
            self.delete,
            self.truncate,
            self.truncate,
            self.ask,
            self.ask,
            self.restart,
        ]
        self.rnd.choice([*few, *ddl, *make, *use, *[self.temporary] * 4])()
        self.compare()

    def _any(self) -> str:
        return self.rnd.choice(list(self.branches))

    def _key(self, name: str) -> Key:
        schemas = sorted(self.branches[name].now.schemas)
        schema = self.rnd.choice(schemas) if self.rnd.random() < 0.9 else self.rnd.choice(SCHEMAS)
        return schema, self.rnd.choice(NAMES)

    def make_schema(self) -> None:
        name, schema = self._any(), self.rnd.choice(SCHEMAS)
        valid = schema not in self.branches[name].now.schemas
        self.attempt(
            name,
            f"CREATE SCHEMA {schema}",
            d.CreateSchema(schema),
            lambda n: n.schemas.add(schema),
            valid=valid,
        )

    @staticmethod
    def _inside(now: Objects, schema: str) -> list[Key]:
        return [key for key in [*now.tables, *now.sequences] if key[0] == schema]

    def drop_schema(self) -> None:
        name, schema, cascade = self._any(), self.rnd.choice(SCHEMAS), self.rnd.random() < 0.6
        now = self.branches[name].now
        valid = schema in now.schemas and (cascade or not self._inside(now, schema))

        def change(now: Objects) -> None:
            for key in self._inside(now, schema):
                if key in now.tables:
                    self._drop_table(now, key)
            for key in self._inside(now, schema):
                now.sequences.pop(key, None)
            now.schemas.discard(schema)

        # A sequence whose table was moved out of the schema stays behind, and a table that needs it keeps it.
        elsewhere = {
            key
            for key, table in now.tables.items()
            if key[0] != schema and (now.of(table) and self._place(now, table.sequence)[0] == schema)
        }
        if elsewhere:
            return
        self.attempt(
            name,
            f"DROP SCHEMA {schema}{' CASCADE' if cascade else ''}",
            d.Drop("schema", (d.Name(schema),), cascade=cascade),
            change,
            valid=valid,
        )

    @staticmethod
    def _place(now: Objects, uid: int) -> Key:
        return next(key for key, (found, _) in now.sequences.items() if found == uid)

    def _drop_table(self, now: Objects, key: Key) -> None:
        gone = now.tables.pop(key)
        for at, (_, counted) in list(now.sequences.items()):
            if counted.table == gone.uid:
                del now.sequences[at]

    def rename_schema(self) -> None:
        name, (old, new) = self._any(), self.rnd.sample(SCHEMAS, 2)
        now = self.branches[name].now

        def change(now: Objects) -> None:
            now.tables = {(new if k[0] == old else k[0], k[1]): t for k, t in now.tables.items()}
            now.sequences = {(new if k[0] == old else k[0], k[1]): s for k, s in now.sequences.items()}
            now.schemas.discard(old)
            now.schemas.add(new)

        valid = old in now.schemas and new not in now.schemas
        self.attempt(name, f"RENAME SCHEMA {old} TO {new}", d.RenameSchema(old, new), change, valid=valid)

    def make_table(self) -> None:
        name, key = self._any(), self._key(self._any())
        now = self.branches[name].now
        valid = key[0] in now.schemas and not now.taken(key)

        def change(now: Objects) -> None:
            uid, sequence, number = self.next(), self.next(), 0
            wanted = (key[0], f"{key[1]}_id_seq")
            while now.taken(wanted):
                number += 1
                wanted = (key[0], f"{key[1]}_id_seq{number}")
            now.tables[key] = Table(uid, [], sequence)
            now.sequences[wanted] = sequence, Counted(self.next(), table=uid)

        serial = "id INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
        text = f"CREATE TABLE {q(key[0])}.{q(key[1])} ({serial}, v INTEGER)"
        self.attempt(name, text, text, change, valid=valid)

    def make_sequence(self) -> None:
        name, key, start = self._any(), self._key(self._any()), self.rnd.choice((1, 1, 50))
        now = self.branches[name].now
        valid = key[0] in now.schemas and not now.taken(key)

        def change(now: Objects) -> None:
            now.sequences[key] = self.next(), Counted(self.next(), start)

        statement = d.CreateSequence(d.Name(key[1], key[0]), d.SequenceOptions(start=start))
        self.attempt(name, f"CREATE SEQUENCE {key} {start}", statement, change, valid=valid)

    def drop(self) -> None:
        name = self._any()
        now = self.branches[name].now
        if now.tables and self.rnd.random() < 0.6:
            key = self.rnd.choice(list(now.tables))
            statement = d.Drop("table", (d.Name(key[1], key[0]),))
            self.attempt(
                name, f"DROP TABLE {key}", statement, lambda now: self._drop_table(now, key), valid=True
            )
            return
        free = [key for key, (_, counted) in now.sequences.items() if counted.table is None]
        if free:
            at = self.rnd.choice(free)

            def change(now: Objects) -> None:
                del now.sequences[at]

            self.attempt(
                name, f"DROP SEQUENCE {at}", d.Drop("sequence", (d.Name(at[1], at[0]),)), change, valid=True
            )

    def move(self) -> None:
        """ALTER … RENAME TO, or SET SCHEMA."""
        name = self._any()
        now = self.branches[name].now
        free = [key for key, (_, counted) in now.sequences.items() if counted.table is None]
        if not now.tables and not free:
            return
        key = self.rnd.choice([*now.tables, *free])
        kind: Any = "table" if key in now.tables else "sequence"
        if self.rnd.random() < 0.5:
            to, action = (key[0], self.rnd.choice(NAMES)), None
            action = d.RenameTable(to[1])
        else:
            to = (self.rnd.choice(["public", *SCHEMAS]), key[1])
            action = d.SetSchema(to[0])
        if to == key:
            return

        def change(now: Objects) -> None:
            if key in now.tables:
                now.tables[to] = now.tables.pop(key)
            else:
                now.sequences[to] = now.sequences.pop(key)

        valid = to[0] in now.schemas and not now.taken(to)
        statement = d.AlterTable(d.Name(key[1], key[0]), (action,), kind=kind)
        self.attempt(name, f"ALTER {kind} {key} TO {to}", statement, change, valid=valid)

    # -- numbers ----------------------------------------------------------------------------------------------------

    def _given(self, counted: Counted, number: int) -> None:
        """A counter gives rising numbers, the first of them where it starts."""
        last = self.last.get(counted.counter)
        assert number > last if last is not None else number == (counted.first or counted.start), (
            counted,
            last,
            number,
        )
        self.last[counted.counter] = number

    def ask(self) -> None:
        name = self._any()
        sequences = self.branches[name].now.sequences
        if not sequences:
            return
        key = self.rnd.choice(list(sequences))
        text = f"SELECT nextval('{q(key[0])}.{q(key[1])}')"
        self.log.append(f"[{name}] {text}")
        self._given(sequences[key][1], self.rows(name, text)[0][0])

    def insert(self) -> None:
        name = self._any()
        now = self.branches[name].now
        if not now.tables:
            return
        key = self.rnd.choice(list(now.tables))
        table, value = now.tables[key], self.rnd.randrange(5)
        text = f"INSERT INTO {q(key[0])}.{q(key[1])} (v) VALUES ({value}) RETURNING id"
        self.log.append(f"[{name}{' tx' if self.branches[name].begun else ''}] {text}")
        counted = now.of(table)
        assert counted is not None
        number = self.rows(name, text)[0][0]
        self._given(counted, number)
        table.rows.append((number, value))
        self._written(name)

    def delete(self) -> None:
        name = self._any()
        now = self.branches[name].now
        if not now.tables:
            return
        key, value = self.rnd.choice(list(now.tables)), self.rnd.randrange(5)
        text = f"DELETE FROM {q(key[0])}.{q(key[1])} WHERE v = {value}"

        def change(now: Objects) -> None:
            now.tables[key].rows = [row for row in now.tables[key].rows if row[1] != value]

        self.attempt(name, text, text, change, valid=True)

    def truncate(self) -> None:
        name, again = self._any(), self.rnd.random() < 0.6
        now = self.branches[name].now
        if not now.tables:
            return
        key = self.rnd.choice(list(now.tables))

        def change(now: Objects) -> None:
            table = now.tables[key]
            table.rows = []
            for at, (uid, counted) in list(now.sequences.items()):
                if again and counted.table == table.uid:
                    now.sequences[at] = uid, Counted(self.next(), counted.start, counted.table)

        statement = d.Truncate((d.Name(key[1], key[0]),), restart_identity=again)
        self.attempt(
            name, f"TRUNCATE {key}{' RESTART IDENTITY' if again else ''}", statement, change, valid=True
        )

    def restart(self) -> None:
        """Of a sequence that fills no key: another's would give keys that are taken."""
        name = self._any()
        now = self.branches[name].now
        free = [key for key, (_, counted) in now.sequences.items() if counted.table is None]
        if not free:
            return
        key, value = self.rnd.choice(free), self.rnd.choice((None, 7))

        def change(now: Objects) -> None:
            uid, counted = now.sequences[key]
            now.sequences[key] = uid, Counted(self.next(), counted.start, None, value)

        statement = d.AlterSequence(
            d.Name(key[1], key[0]), d.SequenceOptions(restart=True, restart_with=value)
        )
        self.attempt(name, f"ALTER SEQUENCE {key} RESTART {value or ''}", statement, change, valid=True)

    # -- temporary tables ---------------------------------------------------------------------------------------------

    def temporary(self) -> None:
        name, table = self._any(), self.rnd.choice(NAMES)
        branch = self.branches[name]
        mine = branch.temporary
        if table not in mine:
            text = f"CREATE TEMPORARY TABLE {q(table)} (x INTEGER)"
        elif self.rnd.random() < 0.7:
            text = f"INSERT INTO {q(table)} VALUES ({self.rnd.randrange(9)})"
        else:
            text = f"DROP TABLE {q(table)}"
        self.log.append(f"[{name}{' tx' if branch.begun else ''}] {text}")
        if text.startswith("DROP"):
            self.session(name).execute(d.Drop("table", (d.Name(table),)))
            branch.temporary = {key: held for key, held in mine.items() if key != table}
            return
        self.rows(name, text)
        held = [int(text.rpartition("(")[2][0])] if text.startswith("INSERT") else []
        branch.temporary = {**mine, table: [*mine.get(table, []), *held]}

    # -- branches -----------------------------------------------------------------------------------------------------

    def block(self) -> None:
        name = self._any()
        branch, connection = self.branches[name], self.session(name)
        if branch.begun is None:
            self.log.append(f"[{name}] BEGIN")
            connection.begin()
            self.rows(name, "SELECT 1")
            branch.begun = copy.deepcopy(branch.now), branch.temporary
        elif self.rnd.random() < 0.6:
            self.log.append(f"[{name}] COMMIT")
            connection.commit()
            branch.begun = None
            self._written(name)
        else:
            self.log.append(f"[{name}] ROLLBACK")
            self._rolled_back(branch)

    def fork(self) -> None:
        if len(self.branches) > 4:
            return self.discard()
        parent, name = self._any(), f"b{self.next()}"
        self._end()
        self.log.append(f"FORK {name} FROM {parent}")
        branches.create(self.database, name, parent, role="me")
        now = copy.deepcopy(self.branches[parent].now)
        self.branches[name] = Branch(now, parent, base=now)

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
        """Where only the branch has changed, its parent becomes what it is; its own counters it keeps to itself."""
        name = self._any()
        branch = self.branches[name]
        self._end()
        if branch.parent is None or branch.base is None:
            return
        self.log.append(f"MERGE {name} INTO {branch.parent}")
        merge_apply.merge(self.database, name, branch.parent, author=Author("oracle"))
        target = self.branches[branch.parent]
        before = dict(target.now.sequences.values())
        target.now = copy.deepcopy(branch.now)
        for key, (uid, counted) in target.now.sequences.items():
            if (old := before.get(uid)) is not None:
                target.now.sequences[key] = uid, Counted(old.counter, old.start, counted.table, old.first)
        parent = branch.parent
        self._written(parent)
        branch.base = branch.now

    def collect(self) -> None:
        self._end()
        self.log.append("GC")
        gc.collect(self.database, limits=Limits(0, 0))

    def reopen(self) -> None:
        self._end()
        self.log.append("REOPEN")
        self.database.close()
        self.database = branching.open(self.path)


@contextmanager
def _oracle(directory: Path, seed: int) -> Iterator[ObjectsOracle]:
    oracle = ObjectsOracle(directory, Random(seed))
    try:
        yield oracle
    except BaseException as error:
        error.add_note(f"seed {seed}, step {oracle.steps}:\n" + "\n".join(oracle.log))
        raise
    finally:
        oracle.close()


@pytest.mark.parametrize("seed", seeds(2))
def test_objects_are_those_of_the_model(tmp_path: Path, seed: int) -> None:
    with _oracle(tmp_path, seed) as oracle:
        for _ in range(40):
            oracle.step()


@pytest.mark.slow
def test_long_histories_of_objects(tmp_path: Path) -> None:
    end = time.monotonic() + float(os.environ.get("BOUGH_ORACLE_SECONDS", "120")) / 2
    seed = int(os.environ.get("BOUGH_ORACLE_SEED", "1000"))
    while time.monotonic() < end:
        directory = tmp_path / str(seed)
        directory.mkdir()
        with _oracle(directory, seed) as oracle:
            for _ in range(120):
                oracle.step()
        seed += 1
