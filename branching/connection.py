"""One client's view of the database: a branch, a transaction, statements. Used by one thread at a time.

Rules:

1. A read outside a transaction runs at once; what its text assumed is checked after its snapshot was taken, and if
   something moved in between the statement is planned again. The client never notices.
2. A write outside a transaction is its own transaction, tried again on conflict: only conflicts in a block the client
   opened reach the client (40001).
3. After an error in a block nothing runs until ROLLBACK; the caller asks ``failed``.
4. ``interrupt`` never reaches a COMMIT.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlglot import exp

from branching import blocks, plan_text, temporary
from branching.autocommit import TRIES, Autocommit
from branching.client_errors import client_error
from branching.database import Database
from branching.dml import deferred
from branching.dml.branch import BranchWrite
from branching.dml.statements import Write, returning_query
from branching.dml.trunk import TrunkWrite
from branching.engine.base import Cursor, EngineError, ResultColumn, WireFormats
from branching.errors import BoughError, kept_changing
from branching.last_use import used
from branching.manifest import Author
from branching.model import DEFAULT_SCHEMA, Catalog
from branching.numbers import Numbers
from branching.plans import Kept, Plan
from branching.resolve import Scope
from branching.result import Result
from branching.shape import likely_small
from branching.storage import make_ready
from branching.transaction import Transaction
from branching.watch import Watch
from branching.writes import Statement, Writes

_DML = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


class Connection:
    def __init__(self, database: Database, branch: str, author: Author) -> None:
        self.database = database
        self.author = author
        self.search_path: tuple[str, ...] = (DEFAULT_SCHEMA,)
        self.database_names: frozenset[str] = frozenset()
        self.files = False  # whether names of files may be read as tables; whoever sets it checks them first
        self.schema_branch: Callable[[str], str | None] = lambda _schema: None
        self.notices: list[str] = []
        self.sources: dict[str, Any] = {}  # Arrow tables that the next write reads, by the name it calls them
        self.line = database.any_line(branch)
        self.cursor = database.root.cursor()
        self.temporary: dict[str, temporary.TemporaryTable] = {}
        self._temporary_before: dict[str, temporary.TemporaryTable] = {}  # when the open block began
        self.transaction: Transaction | None = None
        self.failed = False
        self.statement_text: str | None = None
        self._masked = threading.Lock()
        self._closed = False
        self.numbers = Numbers()
        self.writes = Writes(self)
        self._autocommit = Autocommit(self)
        self._plans: Kept[Plan] = Kept()
        self._aside: Cursor | None = None
        with database.gate:
            self.line.sessions += 1

    # -- state ------------------------------------------------------------------------------------------------

    @property
    def branch(self) -> str:
        return self.line.name

    @property
    def catalog(self) -> Catalog:
        """The catalog that the next statement will see."""
        if self.transaction is not None:
            return self.transaction.catalog
        return self.database.loaded(self.line).catalog

    @property
    def in_transaction(self) -> bool:
        return self.transaction is not None

    @property
    def has_written(self) -> bool:
        return self.transaction is not None and self.transaction.version is not None

    def switch(self, branch: str) -> None:
        """Makes ``branch`` the session's branch. 25001 once the transaction has written."""
        line = self.database.line(branch)
        if line is self.line:
            return
        if self.has_written:
            raise BoughError(
                "25001",
                f'cannot switch to branch "{branch}" in a transaction that has written',
                hint="COMMIT or ROLLBACK first.",
                detail=f'The transaction has written to branch "{self.line.name}".',
            )
        with self.database.gate:
            self.line.sessions -= 1
            line.sessions += 1
            used(self.line)
            used(line)
        self.line = line
        if self.transaction is not None:
            self.restart()

    def restart(self) -> None:
        """Begins the open, still unwritten transaction anew: it sees the present."""
        if self.transaction is not None and self.transaction.version is None:
            before, self.transaction = self.transaction, None
            before.rollback()
            self.transaction = self.new_transaction(explicit=True, read_only=before.read_only)
            self.transaction.deferred = before.deferred

    def begin(self, read_only: bool = False) -> None:
        self._check_alive()
        self.failed = False
        self._temporary_before = self.temporary
        if not read_only:
            make_ready(self.scope())
        self.transaction = self.new_transaction(explicit=True, read_only=read_only)

    def commit(self) -> None:
        deferred.check_last(self)
        temporary.at_commit(self)
        transaction, self.transaction = self.transaction, None
        self.failed = False
        if transaction is None:
            return
        with self.sealed():
            try:
                transaction.commit()
            except BaseException as error:
                self.temporary = self._temporary_before
                if isinstance(error, EngineError):
                    raise client_error(error) from error
                raise

    def rollback(self) -> None:
        transaction, self.transaction = self.transaction, None
        self.failed = False
        if transaction is not None:
            self.temporary = self._temporary_before
            transaction.rollback()
        self.cursor.rollback()

    def stands(self) -> bool:
        """Whether the engine still has the open transaction: an error of its own ends it, one of ours does not."""
        if not self.database.engine.capabilities.errors_end_transactions:
            return True
        try:
            self.cursor.query("SELECT 1")
        except EngineError:
            return False
        return True

    def interrupt(self) -> None:
        """Stops the running statement, also one that is still being planned; a COMMIT that has begun is left alone.
        From any thread."""
        if self._masked.acquire(blocking=False):
            try:
                self.cursor.interrupt()
            finally:
                self._masked.release()

    @property
    def interrupt_pending(self) -> bool:
        """Whether an interrupt has stopped nothing yet; the engine forgets one that comes just before it begins."""
        return self.cursor.interrupt_pending

    def forget_interrupt(self) -> None:
        """Before a new statement: an interrupt that came too late for the last one does not count."""
        self.cursor.forget_interrupt()

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """A COMMIT: no interrupt reaches it, for nobody could tell whether it was durable."""
        with self._masked:
            self.cursor.forget_interrupt()
            yield

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.rollback()
        self.cursor.close()
        if self._aside is not None:
            self._aside.close()
        with self.database.gate:
            self.line.sessions -= 1
            used(self.line)

    def _check_alive(self) -> None:
        if self.line.record.state != "live":
            raise BoughError(
                "55000",
                f'branch "{self.line.name}" no longer exists',
                detail="It was discarded or has expired.",
                hint="BRANCH SWITCH main, or BRANCH RESTORE within the grace time.",
            )

    def new_transaction(
        self, *, explicit: bool, read_only: bool = False, token: object | None = None
    ) -> Transaction:
        self.database.loaded(self.line)
        return Transaction(
            self.database,
            self.cursor,
            self.line,
            self.author,
            explicit=explicit,
            read_only=read_only,
            token=token,
            keeps_own=self.database.retention > 0,
            guarded=True,
        )

    def scope(self) -> Scope:
        """What a statement sees now."""
        transaction = self.transaction
        more: dict[str, Any] = {}
        if transaction is not None:
            transaction.check_fork()
            catalog, physical = transaction.catalog, transaction.physical
            more = {"watch": transaction.look(), "assumptions": transaction.assumed}
        else:
            with self.database.catalog_lock:
                catalog, physical = self.database.loaded(self.line).catalog, self.database.physical
        return Scope(
            self.database, self.line, catalog, physical,
            self.search_path, self.temporary, self.database_names, self.files,
            schema_branch=self.schema_branch, timestamp=self.timestamp, numbers=self.numbers, **more,
        )  # fmt: skip

    def timestamp(self, text: str) -> datetime:
        """A point in time as this session writes it."""
        instant: datetime = self.cursor.query("SELECT CAST(? AS TIMESTAMPTZ)", (text,))[0][0]
        return instant

    # -- statements -------------------------------------------------------------------------------------------

    def plan(self, tree: exp.Expr) -> Plan:
        """The engine's text of a reading statement, and what it assumes."""
        transaction = self.transaction
        watch = Watch(instant=transaction.instant if transaction is not None and transaction.pinned else None)
        scope = replace(self.scope(), watch=watch, assumptions=set(), drew=[])
        small = likely_small(tree, scope)
        resolved = scope.resolve(tree.copy())
        return Plan(self.database.engine.text(resolved), scope, small)

    def describe(self, tree: Statement, parameters: Sequence[Any] = ()) -> tuple[ResultColumn, ...] | None:
        """The result columns of a statement, which does not run; None where it returns no rows."""
        self._check_alive()
        if not isinstance(tree, exp.Expr):
            return None
        if isinstance(tree, (*_DML, exp.Create)):
            query = returning_query(tree)
            if query is None:
                return None
            tree = query
        plan = self.plan(tree)
        used = {node.name for node in tree.find_all(exp.Placeholder)}
        values = list(parameters) if used else []
        try:
            return self.cursor.describe(plan.sql, values)
        except EngineError as error:
            raise client_error(error) from error

    def execute(
        self,
        statement: Statement,
        parameters: Sequence[Any] = (),
        formats: WireFormats | None = None,
        key: Hashable = None,
    ) -> Result:
        """Runs one statement: autocommit if no transaction is open.

        ``formats`` asks for wire bytes where the result is likely large. ``key`` stands for the statement's text:
        the plan of a read is kept under it and used again while nothing it assumes has changed.
        """
        self._check_alive()
        if self.failed:
            raise BoughError(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
                detail="A statement before this one failed.",
                hint="ROLLBACK ends the block.",
            )
        try:
            if isinstance(statement, exp.Expr) and not isinstance(statement, (*_DML, exp.Create)):
                return self.read(statement, parameters, formats, key)
            return self._write(statement, parameters, key)
        except EngineError as error:
            self.failed = self.transaction is not None
            raise client_error(error, self.catalog) from error
        except BaseException:
            self.failed = self.transaction is not None
            raise

    def read(
        self,
        tree: exp.Expr,
        parameters: Sequence[Any] = (),
        formats: WireFormats | None = None,
        key: Hashable = None,
    ) -> Result:
        transaction = self.transaction
        if transaction is not None and transaction.pinned:
            key = None  # the text holds the time
        plan = self._plans.get(key, tree)
        for _ in range(TRIES):
            epoch = self.database.stable_epoch() if self.transaction is None else 0
            if plan is None or not plan.usable(self.scope()):
                plan = self.plan(tree)
                self._plans.keep(key, tree, plan)
            if self.transaction is not None:
                self.transaction.read(plan)
            try:
                result = self._start(plan, parameters, formats)
            except EngineError:
                if plan.scope.still_true() and self._catalog_held(epoch):
                    raise
                plan = None
                continue
            if plan.scope.still_true() and self._catalog_held(epoch):
                self.numbers.drew(plan.scope.drew)
                return result
            result.close()
            plan = None
        raise kept_changing("statement")

    @property
    def aside(self) -> Cursor:
        """A cursor outside any transaction of this connection."""
        if self._aside is None:
            self._aside = self.database.root.cursor()
        return self._aside

    def read_aside(self, sql: str, parameters: Sequence[Any] = ()) -> Result:
        """Runs a query over catalog relations only, outside any transaction of this connection."""
        columns, rows = self.aside.open(sql, parameters)
        return Result(columns, None, rows)

    def describe_aside(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[ResultColumn, ...]:
        """The columns of a query over catalog relations."""
        return self.aside.describe(sql, parameters)

    def explain(self, tree: exp.Expr, *, analyze: bool = False) -> list[str]:
        """The engine's plan of a query, a line each, naming no storage."""
        if not self.database.engine.capabilities.explains:
            raise BoughError("0A000", "this engine shows no plans")
        plan = self.plan(tree)
        rows = self.cursor.query(self.database.engine.explain(plan.sql, analyze=analyze))
        return plan_text.logical(line for row in rows for line in str(row[-1]).splitlines())

    def drop_temporary(self) -> None:
        """Drops this session's temporary tables."""
        temporary.drop_all(self)

    def _catalog_held(self, epoch: int) -> bool:
        if self.transaction is None:
            return self.database.epoch == epoch
        if self.transaction.confirm():
            return True
        self.restart()
        return False

    def _start(self, plan: Plan, parameters: Sequence[Any], formats: WireFormats | None) -> Result:
        if formats is not None and not plan.small:
            columns, rows, encoded = self.cursor.stream(plan.sql, parameters, formats)
            return Result(columns, None, rows, encoded)
        columns, rows = self.cursor.open(plan.sql, parameters)
        return Result(columns, None, rows)

    # -- writes -----------------------------------------------------------------------------------------------

    def _write(self, statement: Statement, parameters: Sequence[Any], key: Hashable) -> Result:
        if self.transaction is not None:
            return blocks.run(self, self.transaction, statement, parameters)
        return self._autocommit.run(statement, parameters, key)

    def writer(self, transaction: Transaction, scope: Scope, parameters: Sequence[Any]) -> Write:
        """What carries out DML on this connection's branch."""
        kind = TrunkWrite if self.line.is_trunk else BranchWrite
        return kind(transaction, scope, parameters)
