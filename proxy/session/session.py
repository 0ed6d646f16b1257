"""One client's session: settings, transaction, prepared statements, and the door to everything below.

Rules:

1. The client's loop calls one method at a time; whatever touches the engine runs on the pool, never on the loop.
2. The transaction state that a client sees (idle, in a block, failed) is kept here; the engine's follows it.
3. A block is *explicit* (BEGIN) or *implicit*: several statements in one simple query, or a pipeline before its Sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from branching import Author, Connection
from branching.errors import BoughError
from branching.shadow import Comparison
from proxy.commands import Command
from proxy.commands.branch import SetBranch, SetLocalBranch
from proxy.session import shadow_mode
from proxy.session.branch_commands import BranchCommands
from proxy.session.branch_schemas import BranchSchemas
from proxy.session.errors import refuse_dumps
from proxy.session.known_branches import KnownBranches, no_branch
from proxy.session.service import Service
from proxy.session.shadow_mode import Shadowing
from proxy.session.shown import shown
from proxy.session.statements import Statements
from proxy.session.transactions import Transactions
from proxy.session_settings import SessionSettings, parse_startup_options
from proxy.sql.statements import Kind
from proxy.wire import StartupMessage

_T = TypeVar("_T")
_INSIST = 0.02  # seconds until an interrupt that stopped nothing is tried again
_RESERVED = frozenset({"user", "database", "options", "replication", "branch"})


class Session:
    """Made when a client has said who it is; ``close`` ends it."""

    def __init__(self, service: Service, startup: StartupMessage, client: str) -> None:
        self.service = service
        self.client = client
        self.user = startup.parameters.get("user", "")
        self.database = startup.parameters.get("database") or self.user
        self.started_at = datetime.now(UTC)
        self.state: Literal["active", "idle", "idle in transaction", "idle in transaction (aborted)"] = "idle"
        self.statement = ""
        self.connection: Connection | None = None
        self.reading: Comparison | None = None  # a shadow query that runs, or whose rows are being read
        self.hang_up: Callable[[], None] = lambda: None
        self.teller: Callable[[str], None] = lambda _text: None  # a NOTICE to the client at once; on the loop
        self.timed_out = False
        self._watching = False
        self.cancelled = False  # what is watched has been cancelled, and may not have noticed
        self._loop = asyncio.get_running_loop()
        self._sleeper: asyncio.Event | None = None
        self._busy = threading.Event()
        self._engine = threading.Lock()
        options = parse_startup_options(startup.parameters.get("options", ""))
        given = {
            name: value
            for name, value in startup.parameters.items()
            if name not in _RESERVED and not name.startswith("_pq_.")
        }
        refuse_dumps(given.get("application_name", ""))
        branch = startup.parameters.get("branch") or options.pop("branch", None)
        self.branches = KnownBranches(service.database, self._resolve_branch(self.database, branch))
        settings = {**options, **given}
        self.settings = SessionSettings(
            {name: value for name, value in settings.items() if _acceptable(name)},
            server=service.settings,
        )
        self.settings.assign("branch", self.start_branch)
        self.pid, self.key = service.enrol(self)
        self.transactions = Transactions(self)
        self.statements = Statements(self)
        self.commands = BranchCommands(self)
        self.branch_schemas = BranchSchemas(self, self.statements.command)
        self._shown_branch = self.start_branch
        self._applied_zone = "UTC"
        self._applied: tuple[object, object] = (None, None)
        self._timed: tuple[object, object] = (None, None)
        self._statement_timeout = 0.0
        self.shadowing: Shadowing | None = None

    # -- beginning and end --------------------------------------------------------------------------------------

    def _resolve_branch(self, database: str, asked: str | None) -> str:
        """The branch a database name means. FATAL 3D000 if none."""
        known = self.service.database
        if asked is not None:
            if known.has_branch(asked):
                return asked
            raise no_branch(asked, "branch", known)
        if known.has_branch(database):
            return database
        if self.means_main(database):
            return "main"
        for mark in ("/", "@"):
            head, found, tail = database.partition(mark)
            if found and tail and self.means_main(head) and known.has_branch(tail):
                return tail
        raise no_branch(database, "database", known)

    def means_main(self, database: str) -> bool:
        """Whether a database name is one of the names of ``main``."""
        return database in self.service.main_names or database == self.user

    async def open(self) -> None:
        """Connects to the branch."""
        self.connection = await self.run(
            lambda: self.service.database.connect(self.start_branch, role=self.user)
        )
        self.connection.files = bool(self.service.guard.file_directories)  # the guard has checked each name
        self.connection.database_names = frozenset({self.database, *self.service.main_names})
        self.connection.schema_branch = self.branch_schemas.branch_of
        await self.run(lambda: self.branch_schemas.follow(self.setting("search_path")))
        shadow_mode.greet(self)

    def close(self) -> None:
        """Ends the session: an open transaction is rolled back. From the pool."""
        self.service.leave(self)
        if self.connection is not None:
            self.connection.close()

    # -- running on the engine ------------------------------------------------------------------------------------

    async def run(self, work: Callable[[], _T]) -> _T:
        """``work`` on the pool, after what may still run there although nobody waits for it any more."""

        def alone() -> _T:
            with self._engine:
                return work()

        return await self._loop.run_in_executor(self.service.pool, alone)

    def cancel(self) -> None:
        """Stops what runs now, or what it does next; nothing if nothing does."""
        self.cancelled = self._watching
        if self._sleeper is not None:
            self._loop.call_soon_threadsafe(self._sleeper.set)
        elif self._busy.is_set() and self.connection is not None:
            self.connection.interrupt()
            self._loop.call_soon_threadsafe(self._insist)
            self.commands.remote.cancel()
            if (reading := self.reading) is not None:
                reading.interrupt()

    def _insist(self) -> None:
        connection = self.connection
        if self._busy.is_set() and connection is not None and connection.interrupt_pending:
            connection.interrupt()
            self._loop.call_later(_INSIST, self._insist)

    def signal(self, pid: int, *, terminate: bool) -> bool:
        """pg_cancel_backend and pg_terminate_backend."""
        other = self.service.sessions.get(pid)
        if other is None:
            return False
        other.cancel()
        if terminate:
            self._loop.call_soon_threadsafe(other.hang_up)
        return True

    async def sleep(self, seconds: float) -> None:
        """pg_sleep: wakes early, with an error, if cancelled. The pool is not needed for it."""
        with self.watched():
            self._sleeper = self._stopping()
            try:
                await asyncio.wait_for(self._sleeper.wait(), timeout=max(seconds, 0))
            except TimeoutError:
                return
            finally:
                self._sleeper = None
        raise BoughError("57014", self.cancel_reason())

    async def wait(self, *work: asyncio.Future[Any]) -> None:
        """Until one of them is done; 57014 if the session is cancelled meanwhile."""
        sleeper = self._sleeper = self._stopping()
        stop = asyncio.ensure_future(sleeper.wait())
        try:
            await asyncio.wait({stop, *work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sleeper = None
            stop.cancel()
        if sleeper.is_set():
            raise BoughError("57014", self.cancel_reason())

    def _stopping(self) -> asyncio.Event:
        """What a cancel sets; set already if one has come."""
        event = asyncio.Event()
        if self.cancelled:
            event.set()
        return event

    def cancel_reason(self) -> str:
        if self.timed_out:
            return "canceling statement due to statement timeout"
        return "canceling statement due to user request"

    async def guarded(self, work: Callable[[], _T]) -> _T:
        """``work`` on the pool, under the statement timeout, open to cancels. Failures fail the block."""
        with self.watched():
            if self.connection is not None:
                self.connection.forget_interrupt()
            self._busy.set()
            try:
                if self.cancelled:  # while the client read, between two pieces of the work
                    raise BoughError("57014", self.cancel_reason())
                return await self.run(work)
            except BaseException as error:
                self.transactions.fail()
                if getattr(error, "sqlstate", None) == "57014":
                    known = {name: getattr(error, name, None) for name in ("detail", "hint")}
                    raise BoughError("57014", self.cancel_reason(), **known) from error
                raise
            finally:
                self._busy.clear()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """The session is active, and cancelled if that takes longer than its statement timeout."""
        if self._watching:  # part of something that is watched already
            yield
            return
        if self._timed != (
            stamp := self.settings.stamp
        ):  # compared here: a SET counts from the next statement on
            self._timed, self._statement_timeout = stamp, self.timeout_seconds("statement_timeout")
        timeout = self._statement_timeout
        timer = self._loop.call_later(timeout, self._time_out) if timeout else None
        self.timed_out = self.cancelled = False
        self._watching = True
        self.state = "active"
        try:
            yield
        finally:
            self._watching = False
            if timer is not None:
                timer.cancel()
            self.state = self.idle_state()

    def _time_out(self) -> None:
        self.timed_out = True
        self.cancel()

    def timeout_seconds(self, name: str) -> float:
        """A duration setting of the session, in seconds; 0 for none."""
        from proxy.units import parse_duration

        value = self.settings.get(name) or "0"
        return parse_duration(value, unit="ms").total_seconds()

    def idle_state(self) -> Any:
        status = self.transactions.status
        return {"I": "idle", "T": "idle in transaction", "E": "idle in transaction (aborted)"}[status]

    def transactions_allow(self, kind: Kind) -> None:
        """25P02 in a failed block for everything that does not end it."""
        if kind not in (Kind.COMMIT, Kind.ROLLBACK, Kind.ROLLBACK_TO):
            self.transactions.check()

    def allow(self, command: Command) -> None:
        """25001 for a command that commits on its own, in a block that has written; 25006 where nothing may be."""
        if command.writes:
            self.transactions.need_writable(command.called)
        if command.before_writes and self.connection is not None and self.connection.has_written:
            raise BoughError(
                "25001",
                f"{command.tag} cannot run in a transaction block that has written",
                hint="COMMIT or ROLLBACK first.",
                detail=f"{command.tag} commits on its own, and would come between the block's writes.",
            )

    @property
    def shown_statement(self) -> str:
        """What others may know of the statement: not one that may hold a password, whole or broken."""
        return shown(self.statement)

    # -- what statements see ----------------------------------------------------------------------------------------

    def setting(self, name: str) -> str:
        return self.settings.get(name) or ""

    @property
    def agent(self) -> str:
        return self.setting("hatidata_agent_id") or self.setting("bough.agent_id")

    def prepare_connection(self) -> Connection:
        """The connection, with the session's settings applied to it. From the pool."""
        connection = self.connection
        assert connection is not None
        if connection.branch != self._shown_branch:
            self._show_branch(connection.branch)
        session, local = self.settings.stamp
        if session is self._applied[0] and local is self._applied[1]:
            return connection
        connection.search_path = self.search_path()
        connection.author = Author(
            self.user,
            self.setting("application_name"),
            self.agent,
            self.setting("hatidata_request_id") or self.setting("bough.request_id"),
        )
        self.shadowing = shadow_mode.wanted(self)
        zone = self.setting("TimeZone") or "UTC"
        if zone != self._applied_zone:
            if connection.failed:
                return connection  # the engine takes it after the ROLLBACK
            connection.cursor.set_time_zone(zone)
            self._applied_zone = zone
        self._applied = (session, local)
        return connection

    def _show_branch(self, name: str) -> None:
        """Another session has renamed the branch, or this one has moved."""
        self._shown_branch = name
        if self.settings.get("branch") != name:
            self.branches.note(name)
            self.settings.assign("branch", name, local=self.settings.is_local("branch"))

    def search_path(self) -> tuple[str, ...]:
        return self.path_of(self.setting("search_path"))

    def path_of(self, text: str) -> tuple[str, ...]:
        """The schemas in a search path."""
        found = []
        for item in text.split(","):
            name = item.strip()
            if name.startswith('"') and name.endswith('"') and len(name) > 1:
                name = name[1:-1].replace('""', '"')
            if name == "$user":
                name = self.user
            if name:
                found.append(name)
        return tuple(found)

    @property
    def start_branch(self) -> str:
        """What the branch that the session started on is called now."""
        return self.branches.start

    def set_variable(self, name: str, value: str, *, local: bool = False) -> str:
        """SET, and set_config: the value as SHOW gives it."""
        if name.lower() == "branch":
            self.allow(SetLocalBranch(value) if local else SetBranch(value))
            self.commands.switch(value, local=local)
            return value
        if name.lower() == "search_path":
            return self.branch_schemas.set_path(value, local=local)
        if name.lower() == "shadow_branches":
            shadow_mode.check(self, value)
        return self.settings.set(name, value, local=local)

    def current_database(self) -> str:
        """The name the client connected with, until the session switches; then the branch's."""
        connection = self.connection
        if connection is None or self.branches.is_start(connection.line):
            return self.database
        return connection.branch

    def follow_branch_setting(self) -> None:
        """After RESET ALL or the end of a transaction: go where the setting says."""
        connection = self.connection
        wanted = self.settings.get("branch") or self.start_branch
        if connection is not None and not self.branches.is_line(wanted, connection.line):
            name = self.branches.name_of(wanted)
            if self.service.database.has_branch(name):
                connection.switch(name)
            if name != wanted or connection.branch != wanted:
                self.settings.assign("branch", connection.branch)
        self.branch_schemas.settle()

    def tell(self, text: str) -> None:
        """A NOTICE at once, while the statement runs. From the pool."""
        self._loop.call_soon_threadsafe(self.teller, text)

    def notices(self) -> Iterator[str]:
        """Notices that have come up, once each."""
        if self.connection is not None:
            while self.connection.notices:
                yield self.connection.notices.pop(0)


def _acceptable(name: str) -> bool:
    """Unknown startup parameters of strange clients are not worth refusing a connection."""
    from proxy.gucs import find_guc

    try:
        found = find_guc(name)
    except BoughError:
        return False
    return not found.read_only
