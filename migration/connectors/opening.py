"""What all connectors share: who they are, what a read-only one refuses, and how EXECUTE is guarded."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

from migration.connectors.base import BATCH_ROWS, Executed, Path, Writer
from migration.datasources.datasource import Datasource
from migration.datasources.secrets import mask
from migration.dialects import contract
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.model import SequenceSpec
from migration.statements import check_statement, refuse_uncounted

_ALONE = re.compile(r"cannot run inside a transaction block|cannot VACUUM from within a transaction")
_FULL = re.compile(r"No space left on device|No more room in record file")
_LOST = re.compile(r"(?i)\b(lost|closed|terminat\w+|gone away|reset|shut ?down|killed|broken pipe)\b")
NO_LIMIT = 1 << 62  # rows that no statement touches


def guard_rows(rows: int | None, between: tuple[int, int] | None) -> None:
    """P0004 where a statement touched another number of rows, 0A000 where nobody counts them; leaving the writer rolls
    it back."""
    if between is None:
        return
    if rows is None:
        raise MigrationError(
            "0A000",
            "the rows that this statement touches are not counted",
            detail="It was rolled back; nothing changed.",
            hint="ROWS BETWEEN guards INSERT, UPDATE, DELETE and MERGE. Run it without.",
        )
    if not between[0] <= rows <= between[1]:
        raise MigrationError(
            "P0004",
            f"the statement touches {rows} rows, not {_range(*between)}",
            detail="It was rolled back; nothing changed.",
            hint="Correct the statement or the ROWS BETWEEN guard.",
        )


def _range(least: int, most: int) -> str:
    return f"{least} or more" if most >= NO_LIMIT else f"{least} to {most}"


TO_STOP = 2.0  # seconds that an engine has to answer who wants it to stop


class Closable(Protocol):
    """A driver's connection, as far as all drivers agree."""

    def close(self) -> None: ...


S = TypeVar("S", bound=Closable)


def _come(coming: Future[Any], connect: Callable[[], Any]) -> None:
    try:
        session = connect()
    except BaseException as reason:
        with suppress(InvalidStateError):
            coming.set_exception(reason)
        return
    try:
        coming.set_result(session)
    except InvalidStateError:  # nobody waits for it any more
        with suppress(Exception):
            session.close()


class SqlConnector(ABC, Generic[S]):
    """A datasource that is opened; ``options`` are filled, so this object is never shown."""

    taken_rows = BATCH_ROWS
    keeps_lengths = False
    charset: str | None = None
    keeps_snapshots = False

    def __init__(self, datasource: Datasource, options: dict[str, str]) -> None:
        self.datasource = datasource
        self.options = options
        self.name = datasource.name
        self.item = contract(datasource.dialect)
        self.dialect = self.item.name
        self.read_only = datasource.read_only
        self._secrets = datasource.secret_texts()
        self._sessions: list[S] = []  # open driver sessions, for interrupt
        self._coming: list[Future[S]] = []  # sessions that somebody waits for
        self.seen_version: str | None = None  # what the last session was told, where sessions are told

    @abstractmethod
    def version(self) -> str:
        """The engine's version, as numbers and dots."""

    @abstractmethod
    def writer(self) -> Writer:
        """A connection that writes."""

    def interrupt(self) -> None:
        """Stops what readers and writers are doing, and who waits for a session; from any thread."""
        self.let_go()
        self.stop_sessions()

    @abstractmethod
    def stop_sessions(self) -> None:
        """Stops what open sessions are doing; from any thread."""

    def abandon(self) -> None:
        """Cuts the connections of a server that does not answer: who waits for it has an error. Waits for nothing."""
        self.let_go()
        for session in tuple(self._sessions):
            self.cut(session)

    def cut(self, session: S) -> None:
        """Cuts the connection of one session; nothing where the engine is in this process, or the driver hides it."""
        return None

    def let_go(self) -> None:
        """Who waits for a session waits no longer (57014); from any thread."""
        for coming in tuple(self._coming):
            with suppress(InvalidStateError):  # it has just come
                coming.set_exception(MigrationError("57014", "canceling statement due to user request"))

    def brought(self, connect: Callable[[], S]) -> S:
        """What ``connect`` opens. A server may take a connection and say nothing, and a driver may wait for it for
        ever: it does so on a thread of its own, and ``let_go`` leaves it there."""
        coming: Future[S] = Future()
        self._coming.append(coming)
        try:
            threading.Thread(
                target=_come, args=(coming, connect), name="datasource-opening", daemon=True
            ).start()
            return coming.result()
        finally:
            self._coming.remove(coming)

    @abstractmethod
    def open(self) -> S:
        """A driver session of its own, in ``_sessions`` until it is ``closed``."""

    @abstractmethod
    def errors(self) -> AbstractContextManager[None]:
        """The driver's errors as ours."""

    def closed(self, session: S) -> None:
        """Forgets a session and closes it."""
        if session in self._sessions:
            self._sessions.remove(session)
        session.close()

    @contextmanager
    def session(self, **how: Any) -> Iterator[S]:
        """A session for one question; ``how`` goes to ``open``."""
        session = self.open(**how)
        try:
            with self.errors():
                yield session
        finally:
            self.closed(session)

    def test(self) -> None:
        """Connects and asks for the version."""
        self.version()

    def definition(self, path: Path) -> str | None:
        """No engine text by default."""
        return None

    def pin(self, holder: str) -> str:
        """Refused: no snapshot outlives its session."""
        raise MigrationError("0A000", f"{self.name} keeps no snapshots")

    def unpin(self, snapshot: str) -> None:
        """Nothing, as nothing is kept."""

    def count_on(self, path: Path, column: str) -> int | None:
        """Nothing, unless an engine's numbers do not follow what is written."""
        return None

    def sequences(self, schema: str) -> Sequence[SequenceSpec]:
        """None, unless an engine tells them."""
        return ()

    def make_sequence(self, path: Path, found: SequenceSpec) -> bool:
        """None is made, unless an engine gets them."""
        return False

    def target_notes(self, path: Path, *, kept: bool) -> tuple[str, ...]:
        """What is to be known before rows go to a table; by default nothing."""
        return ()

    def close(self) -> None:
        """Stops what still runs; readers and writers close their own sessions. A server that does not answer is not
        waited for: its connections are cut."""
        if not self._sessions:
            self.interrupt()
            return
        stopping = threading.Thread(target=self._stop, name="datasource-closing", daemon=True)
        stopping.start()
        stopping.join(TO_STOP)
        if stopping.is_alive():
            self.abandon()

    def _stop(self) -> None:
        with suppress(MigrationError):
            self.interrupt()

    def refuse_writing(self) -> None:
        """25006 where the datasource is read-only."""
        if self.read_only:
            raise MigrationError(
                "25006",
                f'datasource "{self.name}" is read-only',
                hint=f"DROP DATASOURCE {spelled(self.name)}, and create it again with the option role 'read_write'; "
                "where a settings file names it, write its role there.",
            )

    def refuse_lasting(self, statement: str) -> None:
        """0A000 where a rollback would leave behind what ``statement`` writes; by default nothing does."""

    def execute(
        self, statement: str, *, dry_run: bool = False, rows_between: tuple[int, int] | None = None
    ) -> Executed:
        """One statement; the guard is judged before COMMIT, a dry run never commits."""
        self.refuse_writing()
        kind = check_statement(statement, self.dialect)
        with self.writer() as writer:
            undoable = writer.transactional_ddl if kind == "ddl" else writer.transactions
            if (dry_run or rows_between) and not undoable:
                raise MigrationError(
                    "0A000",
                    f"{self.dialect} cannot take back {'DDL' if kind == 'ddl' else 'this statement'}",
                    detail="DRY RUN and ROWS BETWEEN need a transaction that can be rolled back.",
                    hint="Run it without them.",
                )
            if dry_run or rows_between:
                self.refuse_lasting(statement)
            if rows_between:
                refuse_uncounted(statement, self.dialect)
            if undoable:
                writer.begin()
            try:
                rows = writer.execute(statement)
            except MigrationError as error:
                # The engine says so before it has done anything: CREATE DATABASE, VACUUM, CREATE INDEX CONCURRENTLY.
                if _ALONE.search(error.message) is None:
                    raise
                if dry_run or rows_between:
                    error.hint = "Run it without DRY RUN and ROWS BETWEEN."
                    raise
                writer.rollback()
                undoable, rows = False, writer.execute(statement)
            guard_rows(rows, rows_between)
            if dry_run:
                writer.rollback()
            elif undoable:
                writer.commit()
        return Executed(rows, kind.upper(), committed=not dry_run)

    def failed(self, sqlstate: str, reason: object, hint: str | None = None) -> MigrationError:
        """A driver's error as ours, without secrets."""
        text = mask(str(reason).strip() or type(reason).__name__, self._secrets)
        first, _, rest = text.partition("\n")
        detail = rest.strip() or None
        if sqlstate == "HV000" and _FULL.search(text):
            sqlstate = "53100"
        if sqlstate == "53100":
            hint = hint or f"Free space on the disk of {spelled(self.name)}."
        if sqlstate == "HV00N":
            where = (
                "the path"
                if {"path", "path_pattern"} & self.options.keys()
                else "host, port, user or password"
            )
            hint = hint or f"TEST DATASOURCE {spelled(self.name)} after mending {where}."
            lost = _LOST.search(text) is not None and not text.startswith("connection failed")
            what = "lost the connection" if lost else "cannot connect"
            detail, first = text, f'{what} to datasource "{self.name}"'
        if sqlstate == "HV00R":
            hint = hint or f"SHOW TABLES FROM {spelled(self.name)} lists them."
        if sqlstate == "42701":
            hint = hint or "Name the query's columns apart with AS."
        if sqlstate == "3D000":
            hint = hint or f"SHOW DATABASES FROM {spelled(self.name)} lists them."
        if sqlstate == "3F000":
            hint = hint or f"SHOW SCHEMAS FROM {spelled(self.name)} lists them."
        error = MigrationError(sqlstate, first, detail=detail, hint=hint)
        error.is_drivers = True
        return error

    def missing(self, path: Iterable[str]) -> MigrationError:
        """HV00R for a table that is not there."""
        return MigrationError(
            "HV00R",
            f'datasource "{self.name}" has no table "{".".join(path)}"',
            hint=f"SHOW TABLES FROM {spelled(self.name)} lists them.",
        )
