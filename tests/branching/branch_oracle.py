"""The oracle: Bough on a real file against plain copies, driven by one random source.

The model of a branch is a schema of an ordinary in-memory DuckDB that holds a full copy of every table; a fork copies
all of them. The same statement runs natively on the copy, so rows, counts, RETURNING and the kind of error must agree.
Where the engine cannot alter a table, the copy is rebuilt from its description. Nothing of Bough is used by the model.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

import branching
from branching import BoughError, Database, Engine, EngineError, branches
from branching.connection import Connection
from branching.ddl import model as d
from branching.detach import Limits
from branching.dml import copied
from branching.engine.duckdb_engine import DuckDBEngine
from branching.gc import collect as gc
from branching.reset import reset
from branching.row_counts import row_counts

TYPES = ("INTEGER", "VARCHAR", "DECIMAL(8,2)", "TIMESTAMP", "INTEGER[]")
NAMES = ("a", "B c", "käse", "group", 'q"t', "v", "w", "x")
TABLES = ("t", "Tä b", "order", "u")


def q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Col:
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    check: str | None = None  # over {c}

    def sql(self) -> str:
        text = f"{q(self.name)} {self.type}"
        if self.default is not None:
            text += f" DEFAULT {self.default}"
        if self.not_null:
            text += " NOT NULL"
        if self.check is not None:
            text += f" CHECK ({self.check.format(c=q(self.name))})"
        return text


@dataclass(frozen=True)
class Tab:
    uid: int
    name: str
    cols: tuple[Col, ...]
    pk: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()  # named u<n>
    unique_names: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str, bool], ...] = ()  # name, column, unique
    comment: str | None = None

    def body(self) -> str:
        items = [col.sql() for col in self.cols]
        if self.pk:
            items.append(f"PRIMARY KEY ({', '.join(map(q, self.pk))})")
        items += [
            f"CONSTRAINT {q(name)} UNIQUE ({', '.join(map(q, columns))})"
            for name, columns in zip(self.unique_names, self.uniques, strict=True)
        ]
        return ", ".join(items)

    def model_body(self) -> str:
        items = [self.body()]
        items += [f"UNIQUE ({q(column)})" for _, column, unique in self.indexes if unique]
        return ", ".join(items)

    @property
    def keys(self) -> list[tuple[str, ...]]:
        found = [self.pk] if self.pk else []
        return found + list(self.uniques) + [(c,) for _, c, unique in self.indexes if unique]

    def col(self, name: str) -> Col:
        return next(item for item in self.cols if item.name == name)

    def used(self) -> set[str]:
        """Columns in a key or an index."""
        return {name for key in self.keys for name in key} | {column for _, column, _ in self.indexes}


@dataclass
class ModelBranch:
    schema: str
    catalog: dict[str, Tab] = field(default_factory=dict)
    views: dict[str, int] = field(default_factory=dict)
    origin: str | None = None  # schema with the state at the fork
    origin_catalog: dict[str, Tab] = field(default_factory=dict)
    origin_views: dict[str, int] = field(default_factory=dict)
    parent: str | None = None
    born: int = 0  # the step
    floor: int = 0  # the step before which its own past cannot be read
    facts: Any = None  # what further oracles know of it


@dataclass
class Memory:
    """All branches as they were at one moment."""

    step: int
    version: int
    committed: datetime  # when the version was: branches made since have had no such version
    instant: datetime
    branches: dict[str, ModelBranch]


@dataclass
class Session:
    branch: str
    bough: Connection
    model: duckdb.DuckDBPyConnection
    open: bool = False
    wrote: bool = False
    touched: set[int] = field(default_factory=set)  # what ``Oracle.wrote`` has noted of the open transaction
    catalog: dict[str, Tab] = field(default_factory=dict)
    views: dict[str, int] = field(default_factory=dict)


class Mismatch(AssertionError):
    pass


def kind_of(error: BaseException) -> str:
    """A class of errors both sides can be compared by."""
    if isinstance(error, BoughError):
        return error.sqlstate if error.sqlstate[:2] in ("23", "40") else "other"
    text = str(error)
    if isinstance(error, EngineError):
        if "Conversion" in error.exception or "Constraint" not in error.exception:
            return "other"
        return f"raw {text}"
    if isinstance(error, duckdb.ConstraintException):
        if "uplicate key" in text or "unique constraint" in text.lower() or "UNIQUE" in text:
            return "23505"
        if "NOT NULL" in text:
            return "23502"
        if "CHECK" in text:
            return "23514"
        return text
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return "40001"
    if "Failed to commit" in text:
        return "40001"
    return "other"


def bag(rows: list[tuple[Any, ...]]) -> Counter[str]:
    return Counter(map(repr, rows))


class Oracle:
    """Both worlds and the random steps over them."""

    def __init__(
        self,
        directory: Path,
        max_branches: int = 6,
        retention: int = 0,
        *,
        engine: Engine | None = None,
        types: tuple[str, ...] = TYPES,
    ) -> None:
        self.engine = engine or DuckDBEngine()
        self.types = types
        self.directory = directory
        self.retention = retention
        self.memories: list[Memory] = []
        self.file = 0
        self.path = directory / "oracle0.duckdb"
        self.database = self._opened()
        self.plain = duckdb.connect(":memory:")
        self._settings(self.plain)
        self.log: list[str] = []
        self.number = 0
        self.max_branches = max_branches
        self.branches: dict[str, ModelBranch] = {"main": ModelBranch("m0")}
        self.trash: dict[str, ModelBranch] = {}
        self.plain.execute("CREATE SCHEMA m0")
        self.sessions: list[Session] = []
        self.audits: dict[str, Connection] = {}
        self.steps = 0

    def _opened(self) -> Database:
        return branching.open(self.path, retention=self.retention, engine=self.engine)

    @staticmethod
    def _settings(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("SET integer_division = true")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET default_null_order = 'NULLS_LAST'")

    def close(self) -> None:
        copied.EMPTIED = 10_000
        self._end_sessions()
        self.database.close()
        self.plain.close()

    def next(self) -> int:
        self.number += 1
        return self.number

    # -- sessions -------------------------------------------------------------------------------------------------

    def _session(self, branch: str) -> Session:
        model = self.plain.cursor()
        self._settings(model)
        model.execute(f"SET schema = '{self.branches[branch].schema}'")
        session = Session(branch, self.database.connect(branch), model)
        self.sessions.append(session)
        return session

    def _end_sessions(self, branch: str | None = None) -> None:
        for session in list(self.sessions):
            if branch is None or session.branch == branch:
                if session.open:
                    session.model.execute("ROLLBACK")
                session.bough.close()
                session.model.close()
                self.sessions.remove(session)
        for name, connection in list(self.audits.items()):
            if branch is None or name == branch:
                connection.close()
                del self.audits[name]

    def _audit(self, branch: str) -> Connection:
        if branch not in self.audits:
            self.audits[branch] = self.database.connect(branch)
        return self.audits[branch]

    def catalog_of(self, session: Session) -> dict[str, Tab]:
        return session.catalog if session.open else self.branches[session.branch].catalog

    def views_of(self, session: Session) -> dict[str, int]:
        return session.views if session.open else self.branches[session.branch].views

    # -- comparing ------------------------------------------------------------------------------------------------

    def compare(self, branch: str) -> None:
        model = self.branches[branch]
        connection = self._audit(branch)
        self._compare(branch, connection, self.plain, model.schema, model.catalog, model.views)
        known = {table.name for table in connection.catalog.tables()}
        if known != set(model.catalog):
            raise Mismatch(f"{branch}: tables {known} expected {set(model.catalog)}")
        comments = {table.name: table.comment for table in connection.catalog.tables()}
        if comments != {tab.name: tab.comment for tab in model.catalog.values()}:
            raise Mismatch(f"{branch}: comments {comments}")
        counts = row_counts(connection, list(connection.catalog.tables()))
        for table in connection.catalog.tables():
            (rows,) = self.plain.execute(f"SELECT count(*) FROM {model.schema}.{q(table.name)}").fetchall()
            if counts.get(table.id) != rows[0]:
                raise Mismatch(
                    f"{branch}.{table.name}: {counts.get(table.id)} rows counted, {rows[0]} are there"
                )

    def _compare(
        self,
        label: str,
        bough: Connection,
        plain: duckdb.DuckDBPyConnection,
        schema: str,
        catalog: dict[str, Tab],
        views: dict[str, int],
        when: str = "",
    ) -> None:
        for tab in catalog.values():
            columns = ", ".join(q(col.name) for col in tab.cols)
            expected = plain.execute(f"SELECT {columns} FROM {schema}.{q(tab.name)}").fetchall()
            result = bough.execute(sqlglot.parse_one(f"SELECT * FROM {q(tab.name)}{when}", dialect="duckdb"))
            got = result.fetchall()
            names = [column.name for column in result.columns or ()]
            if names != [col.name for col in tab.cols]:
                raise Mismatch(f"{label}.{tab.name}: columns {names}")
            if bag(got) != bag(expected):
                raise Mismatch(
                    f"{label}.{tab.name}:\n got      {sorted(map(repr, got))}\n expected {sorted(map(repr, expected))}"
                )
            if tab.pk and expected and not when:
                # A point read goes another way than a scan.
                key = expected[0]
                position = {col.name: number for number, col in enumerate(tab.cols)}
                where = exp.and_(
                    *[
                        exp.EQ(
                            this=exp.column(exp.to_identifier(name, quoted=True)),
                            expression=exp.Placeholder(this=str(n)),
                        )
                        for n, name in enumerate(tab.pk, 1)
                    ]
                )
                tree = exp.select("*").from_(exp.table_(tab.name, quoted=True)).where(where)
                point = bough.execute(tree, [key[position[name]] for name in tab.pk]).fetchall()
                if bag(point) != bag([key]):
                    raise Mismatch(f"{label}.{tab.name}: point read {point} expected {key}")
        by_uid = {tab.uid: tab for tab in catalog.values()}
        for view, uid in views.items():
            if uid < 0:  # a macro, which adds that much
                if not when:
                    added = bough.execute(sqlglot.parse_one(f"SELECT {view}(1)", dialect="duckdb")).fetchall()
                    if added != [(1 - uid,)]:
                        raise Mismatch(f"{label}.{view}: {added}, not {1 - uid}")
                continue
            expected = plain.execute(f"SELECT count(*) FROM {schema}.{q(by_uid[uid].name)}").fetchall()
            got = bough.execute(
                sqlglot.parse_one(f"SELECT n FROM {q(view)}{when}", dialect="duckdb")
            ).fetchall()
            if got != expected:
                raise Mismatch(f"{label}.{view}: {got} expected {expected}")

    def compare_all(self) -> None:
        for name in self.branches:
            self.compare(name)

    def compare_session(self, session: Session) -> None:
        self._compare(
            f"session on {session.branch}",
            session.bough,
            session.model,
            self.branches[session.branch].schema,
            self.catalog_of(session),
            self.views_of(session),
        )

    # -- a step ---------------------------------------------------------------------------------------------------

    def actions(self) -> list[Callable[[Random], None]]:
        """The steps to choose from, as often as they should come."""
        return (
            [self.dml] * 24
            + [self.alter] * 8
            + [self.create_table] * 3
            + [self.drop_table]
            + [self.fork] * 4
            + [self.transaction] * 6
            + [
                self.discard,
                self.restore,
                self.reset,
                self.remember,
                self.remember,
                self.look_back,
                self.look_back,
                self.reopen,
                self.crash,
                self.collect,
                self.collect,
                self.collect,
                self.view,
                self.view,
            ]
        )

    def wrote(self, session: Session, tab: Tab | None) -> None:
        """A statement of the session has written a table or its definition, or (None) a view or macro."""

    def committed(self, session: Session) -> None:
        """The session's block has committed."""

    def forked(self, name: str, *, now: bool) -> None:
        """A branch was made, of the present or of the past."""

    def was_reset(self, name: str, *, whole: bool) -> None:
        """A branch was reset, to its base or to a version."""

    def step(self, rnd: Random) -> None:
        self.steps += 1
        rnd.choice(self.actions())(rnd)
        picked = [name for name in self.branches if rnd.random() < 0.4]
        for name in picked:
            self.compare(name)
        for session in self.sessions:
            if session.open and rnd.random() < 0.5:
                self.compare_session(session)
        if self.steps % 5 == 0:
            self.compare_all()

    def _pick_session(self, rnd: Random, *, write: bool) -> Session:
        """A session that may write: at most one open writer per branch."""
        branch = rnd.choice(list(self.branches))
        writer = next((s for s in self.sessions if s.branch == branch and s.open and s.wrote), None)
        if write and writer is not None:
            return writer
        idle = [s for s in self.sessions if s.branch == branch]
        fresh = [s for s in idle if not s.open]
        if fresh:
            return rnd.choice(fresh)
        return self._session(branch)

    def _both(self, session: Session, label: str, bough: Any, model: Any) -> tuple[Any, Any] | None:
        """Runs on both sides; None when both failed alike."""
        self.log.append(f"[{session.branch}{' tx' if session.open else ''} s{id(session) % 997}] {label}")
        got = expected = None
        problem: BaseException | None = None
        other: BaseException | None = None
        begun = False
        try:
            if not session.open:
                session.model.execute("BEGIN")
                begun = True
            expected = model()
            if begun:
                session.model.execute("COMMIT")
        except duckdb.Error as error:
            other = error
            if begun or session.open:
                with contextlib.suppress(duckdb.Error):
                    session.model.execute("ROLLBACK")
        try:
            got = bough()
        except (BoughError, EngineError) as error:
            problem = error
        if problem is not None or other is not None:
            mine = kind_of(problem) if problem else "no error"
            theirs = kind_of(other) if other else "no error"
            if mine != theirs and not (mine[:2] == theirs[:2] == "23"):
                detail = getattr(problem, "sql", "") or getattr(
                    getattr(problem, "__cause__", None), "sql", ""
                )
                raise Mismatch(
                    f"{label}\n bough: {mine}: {problem!r} {detail}\n model: {theirs}: {other!r}"
                ) from problem
            if session.open:
                if not session.bough.failed:
                    raise Mismatch(f"{label}: the transaction is not failed after an error")
                session.bough.rollback()
                session.open = session.wrote = False
                session.touched = set()
            return None
        if session.open:
            session.wrote = True
        return got, expected

    # -- transactions ---------------------------------------------------------------------------------------------

    def transaction(self, rnd: Random) -> None:
        open_ = [s for s in self.sessions if s.open]
        if open_ and rnd.random() < 0.6:
            session = rnd.choice(open_)
            if rnd.random() < 0.6:
                self.log.append(f"[{session.branch} s{id(session) % 997}] COMMIT")
                session.model.execute("COMMIT")
                session.bough.commit()
                self.committed(session)
                if session.wrote:
                    self.branches[session.branch].catalog = session.catalog
                    self.branches[session.branch].views = session.views
            else:
                self.log.append(f"[{session.branch} s{id(session) % 997}] ROLLBACK")
                session.model.execute("ROLLBACK")
                session.bough.rollback()
            session.open = session.wrote = False
            session.touched = set()
            return
        if len(open_) >= 3:
            return
        branch = rnd.choice(list(self.branches))
        if not self.branches[branch].catalog and any(s.branch == branch and s.wrote for s in open_):
            return  # it would count as the branch's writer too
        free = [s for s in self.sessions if s.branch == branch and not s.open]
        session = free[0] if free else self._session(branch)
        self.log.append(f"[{branch} s{id(session) % 997}] BEGIN")
        session.bough.begin()
        session.model.execute("BEGIN")
        session.catalog = dict(self.branches[branch].catalog)
        session.views = dict(self.branches[branch].views)
        session.open, session.wrote = True, False
        if session.catalog:
            self.compare_session(session)  # takes both snapshots
        else:
            session.wrote = True  # nothing to read: nobody else may move the branch
        # Only one open transaction per branch may write later; the others are readers.

    # -- DML ------------------------------------------------------------------------------------------------------

    def value(self, rnd: Random, kind: str, *, null: bool = True) -> str:
        if null and rnd.random() < 0.15:
            return "NULL"
        number = rnd.randrange(6)
        if kind == "INTEGER" or kind == "BIGINT":
            return str(number)
        if kind == "VARCHAR":
            return rnd.choice(("'a'", "'b'", "'ü''x'", "''", "'NULL'", "'日本'", "'7'"))
        if kind.startswith("DECIMAL"):
            return rnd.choice(("1.50", "0.00", "-2.25", "7"))
        if kind == "TIMESTAMP":
            return f"TIMESTAMP '2020-01-0{number + 1} 00:00:00'"
        return rnd.choice(("[1, 2]", "[]", "[3]", "[NULL]"))

    def predicate(self, rnd: Random, tab: Tab, prefix: str = "") -> str:
        dot = f"{prefix}." if prefix else ""
        choice = rnd.random()
        col = rnd.choice(tab.cols)
        if choice < 0.15:
            return "true"
        if choice < 0.75:
            op = rnd.choice(("=", "<", ">=", "<>", "IS NOT DISTINCT FROM"))
            return f"{dot}{q(col.name)} {op} {self.value(rnd, col.type, null=op.startswith('IS'))}"
        if choice < 0.85:
            return f"{dot}{q(col.name)} IS NULL"
        other = next((c for c in tab.cols if c.type == col.type), col)
        return (
            f"{dot}{q(col.name)} IN (SELECT {q(other.name)} FROM {q(tab.name)} WHERE {self.simple(rnd, tab)})"
        )

    def simple(self, rnd: Random, tab: Tab) -> str:
        col = rnd.choice(tab.cols)
        return f"{q(col.name)} >= {self.value(rnd, col.type, null=False)}"

    def row(self, rnd: Random, cols: list[Col], whole: frozenset[str] = frozenset()) -> str:
        """``whole``: columns that never get a NULL; others that must have none do so now and then."""
        return (
            "("
            + ", ".join(
                self.value(rnd, c.type, null=c.name not in whole and not (c.not_null and rnd.random() < 0.9))
                for c in cols
            )
            + ")"
        )

    def dml(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog = self.catalog_of(session)
        if not catalog:
            return self.create_table(rnd)
        tab = rnd.choice(list(catalog.values()))
        kind = rnd.choice(
            (
                self._insert,
                self._insert,
                self._insert,
                self._insert_select,
                self._upsert,
                self._update,
                self._update,
                self._delete,
                self._merge,
                self._defaults,
                self._truncate,
            )
        )
        statement = kind(rnd, tab)
        if statement is None:
            return
        if rnd.random() < 0.3 and not statement.startswith(("TRUNCATE", "MERGE")):
            picked = rnd.choice(
                (
                    "*",
                    ", ".join(q(c.name) for c in tab.cols[:2]),
                    f"{q(tab.cols[0].name)} AS zz, 1 + 1 AS two",
                )
            )
            statement += f" RETURNING {picked}"
        self.run(session, statement, tab)

    def run(self, session: Session, statement: str, tab: Tab) -> None:
        tree: Any
        if statement.startswith("TRUNCATE"):
            name = sqlglot.parse_one(
                statement.removeprefix("TRUNCATE "), into=exp.Table, dialect="duckdb"
            ).name
            tree = d.Truncate((d.Name(name),))
        else:
            tree = sqlglot.parse_one(statement, dialect="duckdb")

        def bough() -> tuple[Any, Any]:
            result = session.bough.execute(tree)
            return result.rowcount, result.fetchall()

        def model() -> tuple[Any, Any]:
            if statement.startswith("UPDATE") and tab.keys:
                rows = self._updated(session, statement, tab)
            else:
                rows = session.model.execute(statement).fetchall()
            if "RETURNING" in statement:
                return len(rows), rows
            return (rows[0][0] if rows else None), []

        both = self._both(session, statement, bough, model)
        if both is None:
            return
        self.wrote(session, tab)
        (count, rows), (expected_count, expected) = both
        if not statement.startswith("TRUNCATE") and count != expected_count:
            raise Mismatch(f"{statement}: count {count}, expected {expected_count}")
        if bag(rows) != bag(expected):
            raise Mismatch(f"{statement}: returned {rows}, expected {expected}")

    def _updated(self, session: Session, statement: str, tab: Tab) -> list[tuple[Any, ...]]:
        """Keys are asked of what stands in the end: the UPDATE runs on a copy that has none."""
        scratch, table = q(f"scratch{self.next()}"), q(tab.name)
        session.model.execute(f"CREATE TABLE {scratch} AS SELECT * FROM {table}")
        rows = session.model.execute(
            f"UPDATE {scratch}{statement.removeprefix(f'UPDATE {table}')}"
        ).fetchall()
        session.model.execute(f"DELETE FROM {table}")
        session.model.execute(f"INSERT INTO {table} SELECT * FROM {scratch}")
        session.model.execute(f"DROP TABLE {scratch}")
        return rows

    def _insert(self, rnd: Random, tab: Tab) -> str:
        cols = list(tab.cols)
        listed = ""
        if rnd.random() < 0.5:
            required = {c.name for c in cols if c.not_null} | set(tab.pk)
            cols = [c for c in cols if c.name in required or rnd.random() < 0.7] or cols
            rnd.shuffle(cols)
            listed = f" ({', '.join(q(c.name) for c in cols)})"
        rows = ", ".join(self.row(rnd, cols) for _ in range(rnd.randrange(1, 4)))
        return f"INSERT INTO {q(tab.name)}{listed} VALUES {rows}"

    def _insert_select(self, rnd: Random, tab: Tab) -> str:
        items = [
            f"{q(c.name)} + 6" if c.type == "INTEGER" and rnd.random() < 0.7 else q(c.name) for c in tab.cols
        ]
        source = f"SELECT {', '.join(items)} FROM {q(tab.name)} WHERE {self.predicate(rnd, tab)}"
        return f"INSERT INTO {q(tab.name)} {source}"

    def _defaults(self, rnd: Random, tab: Tab) -> str:
        return f"INSERT INTO {q(tab.name)} DEFAULT VALUES"

    def _upsert(self, rnd: Random, tab: Tab) -> str | None:
        if not tab.keys:
            return None
        key = rnd.choice(tab.keys)
        rest = [c for c in tab.cols if c.name not in tab.used()]
        # Whether a NULL is told of a row that meets one with its key is each engine's own affair.
        required = frozenset({c.name for c in tab.cols if c.not_null} | set(tab.pk))
        rows = self.row(rnd, list(tab.cols), frozenset() if self.engine.name == "duckdb" else required)
        text = f"INSERT INTO {q(tab.name)} VALUES {rows} ON CONFLICT"
        if rnd.random() < 0.3 or not rest:
            return text + rnd.choice((" DO NOTHING", f" ({', '.join(map(q, key))}) DO NOTHING"))
        col = rnd.choice(rest)
        value = rnd.choice((f"excluded.{q(col.name)}", self.value(rnd, col.type)))
        return text + f" ({', '.join(map(q, key))}) DO UPDATE SET {q(col.name)} = {value}"

    def _update(self, rnd: Random, tab: Tab) -> str:
        col = rnd.choice(tab.cols)
        value = self.value(rnd, col.type)
        if col.type == "INTEGER" and rnd.random() < 0.5:
            value = f"{q(col.name)} + {rnd.choice((1, 1, 10, 100))}"
        choice = rnd.random()
        if choice < 0.15:
            first = tab.cols[0]
            return (
                f"UPDATE {q(tab.name)} AS tt SET {q(col.name)} = {value if '+' not in value else 'tt.' + value}"
                f" FROM (SELECT DISTINCT {q(first.name)} AS k FROM {q(tab.name)} WHERE {self.simple(rnd, tab)}) AS ss"
                f" WHERE tt.{q(first.name)} = ss.k"
            )
        if choice < 0.25 and col.type == "INTEGER":
            value = f"(SELECT max({q(col.name)}) FROM {q(tab.name)})"
        second = rnd.choice(tab.cols)
        more = (
            f", {q(second.name)} = {self.value(rnd, second.type)}"
            if second is not col and rnd.random() < 0.3
            else ""
        )
        return f"UPDATE {q(tab.name)} SET {q(col.name)} = {value}{more} WHERE {self.predicate(rnd, tab)}"

    def _delete(self, rnd: Random, tab: Tab) -> str:
        if rnd.random() < 0.2:
            first = tab.cols[0]
            return (
                f"DELETE FROM {q(tab.name)} AS tt USING (SELECT DISTINCT {q(first.name)} AS k FROM {q(tab.name)}"
                f" WHERE {self.simple(rnd, tab)}) AS ss WHERE tt.{q(first.name)} = ss.k"
            )
        return f"DELETE FROM {q(tab.name)} WHERE {self.predicate(rnd, tab)}"

    def _truncate(self, rnd: Random, tab: Tab) -> str | None:
        copied.EMPTIED = rnd.choice((0, 10_000))  # at once, or row by row; also what DELETE does from now on
        return f"TRUNCATE {q(tab.name)}" if rnd.random() < 0.4 else None

    def _merge(self, rnd: Random, tab: Tab) -> str | None:
        if not tab.keys or not self.engine.capabilities.merge_into:
            return None
        key = rnd.choice(tab.keys)
        rest = [c for c in tab.cols if c.name not in tab.used()]
        columns = ", ".join(q(c.name) for c in tab.cols)
        row = ", ".join(f"{self.value(rnd, c.type, null=False)}::{c.type} AS {q(c.name)}" for c in tab.cols)
        on = " AND ".join(f"tt.{q(name)} = ss.{q(name)}" for name in key)
        matched = rnd.choice(("DELETE", "DO NOTHING"))
        if rest and rnd.random() < 0.7:
            col = rnd.choice(rest)
            matched = f"UPDATE SET {q(col.name)} = ss.{q(col.name)}"
        values = ", ".join(f"ss.{q(c.name)}" for c in tab.cols)
        return (
            f"MERGE INTO {q(tab.name)} AS tt USING (SELECT {row}) AS ss ON {on}"
            f" WHEN MATCHED THEN {matched} WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        )

    # -- DDL ------------------------------------------------------------------------------------------------------

    def _new_column(self, rnd: Random, name: str) -> Col:
        kind = rnd.choice(self.types)
        default = self.value(rnd, kind, null=False) if rnd.random() < 0.4 else None
        check = "{c} < 1000" if kind == "INTEGER" and rnd.random() < 0.3 else None
        return Col(
            name, kind, not_null=default is not None and rnd.random() < 0.3, default=default, check=check
        )

    def create_table(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog = self.catalog_of(session)
        names = [name for name in TABLES if name not in catalog]
        if not names:
            return
        columns = [self._new_column(rnd, name) for name in rnd.sample(NAMES, rnd.randrange(2, 5))]
        shape = rnd.random()
        scalar = [n for n, c in enumerate(columns) if not c.type.endswith("]")]
        pk: tuple[str, ...] = ()
        uniques: tuple[tuple[str, ...], ...] = ()
        if shape < 0.5:
            columns[0] = replace(columns[0], type="INTEGER", default=None, not_null=False)
            pk = (columns[0].name,)
        elif shape < 0.7 and len(scalar) >= 2:
            pk = (columns[scalar[0]].name, columns[scalar[1]].name)
        if rnd.random() < 0.3:
            free = [columns[n].name for n in scalar if columns[n].name not in pk]
            if free:
                uniques = ((rnd.choice(free),),)
        uid = self.next()
        tab = Tab(
            uid,
            rnd.choice(names),
            tuple(columns),
            pk,
            uniques,
            tuple(f"u{uid}_{n}" for n in range(len(uniques))),
        )
        source = rnd.choice(list(catalog.values())) if catalog and rnd.random() < 0.2 else None
        if source is not None:
            tab = Tab(uid, tab.name, tuple(Col(c.name, c.type) for c in source.cols))
            statement = f"CREATE TABLE {q(tab.name)} AS SELECT * FROM {q(source.name)}"
        else:
            statement = f"CREATE TABLE {q(tab.name)} ({tab.body()})"
        both = self._both(
            session,
            statement,
            lambda: session.bough.execute(sqlglot.parse_one(statement, dialect="duckdb")),
            lambda: session.model.execute(statement),
        )
        if both is not None:
            catalog[tab.name] = tab
            self.wrote(session, tab)

    def drop_table(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog, views = self.catalog_of(session), self.views_of(session)
        if not catalog:
            return
        tab = rnd.choice(list(catalog.values()))
        both = self._both(
            session,
            f"DROP TABLE {q(tab.name)} CASCADE",
            lambda: session.bough.execute(d.Drop("table", (d.Name(tab.name),), cascade=True)),
            lambda: session.model.execute(f"DROP TABLE {q(tab.name)}"),
        )
        if both is not None:
            self.wrote(session, tab)
            del catalog[tab.name]
            for name in [name for name, uid in views.items() if uid == tab.uid]:
                del views[name]

    def view(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog, views = self.catalog_of(session), self.views_of(session)
        if not catalog:
            return
        there = [name for name, uid in views.items() if uid > 0]
        if there and rnd.random() < 0.4:
            name = rnd.choice(there)
            if self._both(
                session,
                f"DROP VIEW {name}",
                lambda: session.bough.execute(d.Drop("view", (d.Name(name),))),
                lambda: 1,
            ):
                del views[name]
                self.wrote(session, None)
            return
        tab = rnd.choice(list(catalog.values()))
        name = f"view{self.next()}"
        query = sqlglot.parse_one(f"SELECT count(*) AS n FROM {q(tab.name)}", dialect="duckdb")
        if self._both(
            session,
            f"CREATE VIEW {name} ON {tab.name}",
            lambda: session.bough.execute(d.CreateView(d.Name(name), query)),
            lambda: 1,
        ):
            views[name] = tab.uid
            self.wrote(session, None)

    def alter(self, rnd: Random) -> None:
        session = self._pick_session(rnd, write=True)
        catalog = self.catalog_of(session)
        if not catalog:
            return self.create_table(rnd)
        tab = rnd.choice(list(catalog.values()))
        changes = (
            self._add_column,
            self._add_column,
            self._drop_column,
            self._rename_column,
            self._alter_type,
            self._default,
            self._not_null,
            self._add_unique,
            self._drop_unique,
            self._rename_table,
            self._index,
            self._add_key,
        )
        made = rnd.choice(changes)(rnd, tab, catalog)
        if made is None:
            return
        statement, changed, values = made
        label = repr(statement)
        if isinstance(statement, d.AlterTable):
            label = f"ALTER {tab.name} " + ", ".join(
                str(a) if not isinstance(a, d.AddColumn) else f"AddColumn({a.column.sql('duckdb')})"
                for a in statement.actions
            )

        def model() -> None:
            scratch = q(f"scratch{self.next()}")
            session.model.execute(f"CREATE TABLE {scratch} ({changed.model_body()})")
            items = [values.get(c.name, q(c.name)) for c in changed.cols]
            session.model.execute(f"INSERT INTO {scratch} SELECT {', '.join(items)} FROM {q(tab.name)}")
            session.model.execute(f"DROP TABLE {q(tab.name)}")
            session.model.execute(f"ALTER TABLE {scratch} RENAME TO {q(changed.name)}")

        both = self._both(session, label, lambda: session.bough.execute(statement), model)
        if both is not None:
            self.wrote(session, tab)
            del catalog[tab.name]
            catalog[changed.name] = changed

    def _free(self, rnd: Random, tab: Tab) -> str | None:
        taken = {c.name for c in tab.cols}
        free = [name for name in NAMES if name not in taken]
        return rnd.choice(free) if free else None

    def _add_column(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        name = self._free(rnd, tab)
        if name is None:
            return None
        col = replace(self._new_column(rnd, name), check=None)
        tree = sqlglot.parse_one(f"CREATE TABLE x ({col.sql()})", dialect="duckdb").this.expressions[0]
        changed = replace(tab, cols=(*tab.cols, col))
        return d.AlterTable(d.Name(tab.name), (d.AddColumn(tree),)), changed, {name: col.default or "NULL"}

    def _drop_column(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        if len(tab.cols) < 3:
            return None
        col = rnd.choice(tab.cols)
        pk = () if col.name in tab.pk else tab.pk
        kept = [n for n, key in enumerate(tab.uniques) if col.name not in key]
        changed = replace(
            tab,
            cols=tuple(c for c in tab.cols if c is not col),
            pk=pk,
            uniques=tuple(tab.uniques[n] for n in kept),
            unique_names=tuple(tab.unique_names[n] for n in kept),
            indexes=tuple(i for i in tab.indexes if i[1] != col.name),
        )
        if pk != tab.pk:  # the other columns of the key stay NOT NULL
            changed = replace(
                changed, cols=tuple(replace(c, not_null=c.not_null or c.name in tab.pk) for c in changed.cols)
            )
        return d.AlterTable(d.Name(tab.name), (d.DropColumn(col.name),)), changed, {}

    def _rename_column(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        to = self._free(rnd, tab)
        if to is None:
            return None
        col = rnd.choice(tab.cols)

        def new(name: str) -> str:
            return to if name == col.name else name

        changed = replace(
            tab,
            cols=tuple(replace(c, name=new(c.name)) for c in tab.cols),
            pk=tuple(map(new, tab.pk)),
            uniques=tuple(tuple(map(new, key)) for key in tab.uniques),
            indexes=tuple((n, new(c), u) for n, c, u in tab.indexes),
        )
        return d.AlterTable(d.Name(tab.name), (d.RenameColumn(col.name, to),)), changed, {to: q(col.name)}

    def _alter_type(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        pairs = [
            c
            for c in tab.cols
            if c.type in ("INTEGER", "VARCHAR", "BIGINT") and c.default is None and c.check is None
        ]
        if not pairs:
            return None
        col = rnd.choice(pairs)
        to = {"INTEGER": rnd.choice(("BIGINT", "VARCHAR")), "VARCHAR": "INTEGER", "BIGINT": "VARCHAR"}[
            col.type
        ]
        changed = replace(tab, cols=tuple(replace(c, type=to) if c is col else c for c in tab.cols))
        action = d.AlterType(col.name, exp.DataType.build(to, dialect="duckdb"))
        return d.AlterTable(d.Name(tab.name), (action,)), changed, {col.name: f"CAST({q(col.name)} AS {to})"}

    def _default(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        col = rnd.choice(tab.cols)
        if col.default is not None and rnd.random() < 0.5:
            changed, action = replace(col, default=None), d.DropDefault(col.name)
        else:
            text = self.value(rnd, col.type, null=False)
            changed = replace(col, default=text)
            action = d.SetDefault(col.name, sqlglot.parse_one(text, dialect="duckdb"))
        return (
            d.AlterTable(d.Name(tab.name), (action,)),
            replace(tab, cols=tuple(changed if c is col else c for c in tab.cols)),
            {},
        )

    def _not_null(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        col = rnd.choice([c for c in tab.cols if c.name not in tab.pk] or [None])
        if col is None:
            return None
        action = d.DropNotNull(col.name) if col.not_null else d.SetNotNull(col.name)
        changed = replace(col, not_null=not col.not_null)
        return (
            d.AlterTable(d.Name(tab.name), (action,)),
            replace(tab, cols=tuple(changed if c is col else c for c in tab.cols)),
            {},
        )

    def _add_unique(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        free = [c for c in tab.cols if not c.type.endswith("]") and (c.name,) not in tab.keys]
        if not free or len(tab.uniques) > 1:
            return None
        col = rnd.choice(free)
        name = f"u{self.next()}"
        changed = replace(tab, uniques=(*tab.uniques, (col.name,)), unique_names=(*tab.unique_names, name))
        return (
            d.AlterTable(
                d.Name(tab.name), (d.AddConstraint(d.ConstraintDefinition("u", name, (col.name,))),)
            ),
            changed,
            {},
        )

    def _drop_unique(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        if not tab.uniques:
            return None
        number = rnd.randrange(len(tab.uniques))
        changed = replace(
            tab,
            uniques=tab.uniques[:number] + tab.uniques[number + 1 :],
            unique_names=tab.unique_names[:number] + tab.unique_names[number + 1 :],
        )
        return d.AlterTable(d.Name(tab.name), (d.DropConstraint(tab.unique_names[number]),)), changed, {}

    def _add_key(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        free = [c for c in tab.cols if not c.type.endswith("]")]
        if tab.pk or not free:
            return None
        col = rnd.choice(free)
        changed = replace(tab, pk=(col.name,))
        return (
            d.AlterTable(
                d.Name(tab.name), (d.AddConstraint(d.ConstraintDefinition("p", None, (col.name,))),)
            ),
            changed,
            {},
        )

    def _rename_table(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        names = [name for name in TABLES if name not in catalog]
        if not names:
            return None
        to = rnd.choice(names)
        return d.AlterTable(d.Name(tab.name), (d.RenameTable(to),)), replace(tab, name=to), {}

    def _index(self, rnd: Random, tab: Tab, catalog: Any) -> Any:
        if tab.indexes and rnd.random() < 0.4:
            gone = rnd.choice(tab.indexes)
            changed = replace(tab, indexes=tuple(i for i in tab.indexes if i is not gone))
            return d.Drop("index", (d.Name(gone[0]),)), changed, {}
        free = [c for c in tab.cols if not c.type.endswith("]") and c.name not in tab.used()]
        if not free or len(tab.indexes) > 1:
            return None
        col = rnd.choice(free)
        name, unique = f"ix{self.next()}", rnd.random() < 0.5
        changed = replace(tab, indexes=(*tab.indexes, (name, col.name, unique)))
        return d.CreateIndex(name, d.Name(tab.name), (col.name,), unique=unique), changed, {}

    # -- branches -------------------------------------------------------------------------------------------------

    def _copy(self, catalog: dict[str, Tab], source: str, target: str) -> None:
        self.plain.execute(f"CREATE SCHEMA {target}")
        for tab in catalog.values():
            self.plain.execute(f"CREATE TABLE {target}.{q(tab.name)} ({tab.model_body()})")
            self.plain.execute(f"INSERT INTO {target}.{q(tab.name)} SELECT * FROM {source}.{q(tab.name)}")

    def fork(self, rnd: Random) -> None:
        if len(self.branches) >= self.max_branches:
            return self.discard(rnd)
        parent = rnd.choice(list(self.branches))
        name = rnd.choice(("b", "Ünï b", 'x"y')) + str(self.next())
        memory = rnd.choice(self.memories) if self.memories and rnd.random() < 0.4 else None
        then = self._then(memory, parent) if memory is not None else None
        model, when = self.branches[parent], None
        if memory is not None and then is not None:
            parent, model = then
            when = self._moment(rnd, memory, parent)
        self.branch_of(parent, name, model, when)

    def branch_of(
        self, parent: str, name: str, model: ModelBranch | None = None, when: int | datetime | None = None
    ) -> None:
        """Makes a branch on both sides: of what the parent is, or was at a moment (``model``, ``when``)."""
        model = model or self.branches[parent]
        self.log.append(f"FORK {name} FROM {parent}" + (f" AS OF {when}" if when is not None else ""))
        branches.create(self.database, name, parent, role="me", as_of=when)
        schema, origin = f"m{self.next()}", f"o{self.next()}"
        self._copy(model.catalog, model.schema, schema)
        self._copy(model.catalog, model.schema, origin)
        self.branches[name] = ModelBranch(
            schema,
            dict(model.catalog),
            dict(model.views),
            origin,
            dict(model.catalog),
            dict(model.views),
            parent,
            self.steps,
            self.steps,
        )
        self.forked(name, now=when is None)

    # -- the past -------------------------------------------------------------------------------------------------

    def remember(self, rnd: Random) -> None:
        """Keeps a copy of everything as it is now, to be asked for later."""
        if not self.retention:
            return
        self.database.commit_log.flush()
        cursor = self.database.root.cursor()
        found = cursor.query(
            "SELECT version, committed_at FROM bough_meta.commits ORDER BY committed_at DESC LIMIT 1"
        )
        cursor.close()
        if not found:
            return
        kept = {}
        for name, model in self.branches.items():
            schema = f"r{self.next()}"
            self._copy(model.catalog, model.schema, schema)
            kept[name] = replace(model, schema=schema, catalog=dict(model.catalog), views=dict(model.views))
        self.log.append(f"REMEMBER {found[0][0]}")
        self.memories = [*self.memories[-3:], Memory(self.steps, *found[0], datetime.now(UTC), kept)]

    def _then(self, memory: Memory, name: str) -> tuple[str, ModelBranch] | None:
        """What a live branch was at the moment: itself, or the branch that it was forked from later. None if gone."""
        while True:
            model = self.branches.get(name)
            if model is None:
                return None
            if model.born < memory.step:  # unless it was in the trash then
                known = model.floor <= memory.step and name in memory.branches
                return (name, memory.branches[name]) if known else None
            if model.parent is None:
                return None
            name = model.parent

    def _moment(self, rnd: Random, memory: Memory, name: str) -> int | datetime:
        made = self.database.line(name).record.created_at
        return memory.version if made < memory.committed and rnd.random() < 0.5 else memory.instant

    def look_back(self, rnd: Random) -> None:
        """Every branch must read as it did then."""
        if not self.memories:
            return
        memory = rnd.choice(self.memories)
        for name in self.branches:
            then = self._then(memory, name)
            if then is None:
                continue
            when = self._moment(rnd, memory, then[0])
            text = f" FOR VERSION AS OF {when}" if isinstance(when, int) else f" FOR TIMESTAMP AS OF '{when}'"
            model = then[1]
            self.log.append(f"LOOK BACK {name}{text}")
            self._compare(
                f"{name}{text}", self._audit(name), self.plain, model.schema, model.catalog, model.views, text
            )

    def _leaf(self, rnd: Random) -> str | None:
        parents = {item.parent for item in [*self.branches.values()]}
        leaves = [name for name in self.branches if name != "main" and name not in parents]
        return rnd.choice(leaves) if leaves else None

    def discard(self, rnd: Random) -> None:
        name = self._leaf(rnd)
        if name is None:
            return
        self.log.append(f"DISCARD {name}")
        self._end_sessions(name)
        branches.discard(self.database, name)
        self.trash[name] = self.branches.pop(name)

    def restore(self, rnd: Random) -> None:
        names = [n for n, item in self.trash.items() if item.parent in self.branches]
        if not names or len(self.branches) >= self.max_branches:
            return
        name = rnd.choice(names)
        self.log.append(f"RESTORE {name}")
        branches.restore(self.database, name)
        self.branches[name] = self.trash.pop(name)

    def reset(self, rnd: Random) -> None:
        names = [n for n in self.branches if n != "main"]
        if not names:
            return
        name = rnd.choice(names)
        item = self.branches[name]
        then = [m for m in self.memories if name in m.branches and item.floor <= m.step]
        self._end_sessions(name)
        schema = f"m{self.next()}"
        whole = not (then and rnd.random() < 0.6)
        if not whole:
            memory = rnd.choice(then)
            self.log.append(f"RESET {name} TO {memory.version}")
            reset(self.database, name, self._moment(rnd, memory, name))
            old = memory.branches[name]
            self._copy(old.catalog, old.schema, schema)
            item.catalog, item.views = dict(old.catalog), dict(old.views)
        else:
            self.log.append(f"RESET {name}")
            reset(self.database, name)
            assert item.origin is not None
            self._copy(item.origin_catalog, item.origin, schema)
            item.catalog, item.views = dict(item.origin_catalog), dict(item.origin_views)
        item.schema, item.floor = schema, self.steps
        self.was_reset(name, whole=whole)

    def reopen(self, rnd: Random) -> None:
        self.log.append("REOPEN")
        self._end_sessions()
        self.database.close()
        self.database = self._opened()
        self.compare_all()

    def collect(self, rnd: Random) -> None:
        emptied = rnd.random() < 0.5
        self.log.append(f"GC{' with the trash' if emptied else ''}")
        limits = Limits(0, 0) if rnd.random() < 0.7 else Limits()
        done = gc.collect(self.database, grace=timedelta(0) if emptied else gc.GRACE, limits=limits)
        self.log += [f"  {branch} {what}" for branch, what, _ in done]
        if emptied:
            self.trash.clear()
        self.compare_all()

    def crash(self, rnd: Random) -> None:
        """What a killed process leaves behind: the file and its log as they are now."""
        if not self.engine.capabilities.exchanges_files:
            return  # without files there is nothing that a killed process could leave
        self.log.append("CRASH")
        self.file += 1
        target = self.directory / f"oracle{self.file}.duckdb"
        shutil.copy(self.path, target)
        wal = Path(f"{self.path}.wal")
        if wal.exists():
            shutil.copy(wal, f"{target}.wal")
        self._end_sessions()
        self.database.close()
        self.path.unlink()
        self.path = target
        self.database = self._opened()
        self.compare_all()
