"""Datasource commands carried out: each dataclass of ``proxy.commands.remote`` has its method. Runs on the pool.

Rules:

1. ``local`` is the session's branch; every other name is a datasource of the server.
2. A path is ``datasource.schema.table``. Where its first part is no datasource, it is a table of ``local``.
3. Connectors are opened for one command and closed with it; a cancel interrupts all that are open.
4. Commands see committed data and commit on their own, whatever the session's transaction does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any

from branching.errors import BoughError
from migration.connectors import telling
from migration.connectors.base import Connector, Path, Source
from migration.datasources.datasource import LOCAL
from migration.errors import MigrationError
from migration.reconcile import compare as reconcile
from migration.reconcile.rows import Watch
from proxy.commands import Command
from proxy.commands import remote as c
from proxy.session.local import text as local_text
from proxy.session.local.endpoint import LocalConnector
from proxy.session.outcome import Outcome, done, table
from proxy.session.remote import availability
from proxy.session.remote import contracts as contract_commands
from proxy.session.remote import rows as remote_rows
from proxy.session.remote import tools as tool_calls
from proxy.session.remote import transfers as transfer_commands
from proxy.session.remote.relations import refuse_temporary_name

if TYPE_CHECKING:
    from proxy.session.session import Session


class RemoteCommands:
    """The commands of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.state = session.service.remote
        self.stop = threading.Event()
        self._open: list[Connector] = []
        self._watch: Watch | None = None

    def cancel(self) -> None:
        """Stops what runs: the session was cancelled. From any thread."""
        self.stop.set()
        if self.state.runs(self.stop):
            return  # a transfer looks at ``stop`` itself, and not while its target publishes
        for connector in tuple(self._open):
            with suppress(MigrationError):
                connector.interrupt()
        if self._watch is not None:
            self._watch.interrupt()

    @singledispatchmethod
    def run(self, command: Command) -> Outcome:
        """Carries out ``command``."""
        raise BoughError(
            "0A000", f"{command.tag} is not supported yet", hint="docs/commands.md says what is."
        )

    # -- what commands share --------------------------------------------------------------------------------------

    @contextmanager
    def opened(
        self, *names: str, branch: str | None = None, source_branch: str | None = None
    ) -> Iterator[tuple[Connector, ...]]:
        """The datasources of these names, until the command is over. ``branch``: of the last one, ``source_branch``: of
        the first, if they are local."""
        self._begin()
        with self.also_opened(*names, branch=branch, source_branch=source_branch) as found:
            yield found

    def _begin(self) -> None:
        """What now runs can be stopped; 57014 where the statement has been cancelled before."""
        self.stop = threading.Event()
        if self.session.cancelled:
            self.stop.set()
        self.check_stop()

    def check_stop(self) -> None:
        """57014 once somebody wants what runs to end."""
        if self.stop.is_set():
            raise BoughError("57014", self.session.cancel_reason())

    @contextmanager
    def also_opened(
        self, *names: str, branch: str | None = None, source_branch: str | None = None
    ) -> Iterator[tuple[Connector, ...]]:
        """``opened`` for a command that runs: its cancel ends them too."""
        found: list[Connector] = []
        try:
            for number, name in enumerate(names, 1):
                on = branch if number == len(names) else source_branch
                found.append(self.connector(name, on))
                self._open.append(found[-1])
            yield tuple(found)
        finally:
            for connector in found:
                self.release(connector)

    def connector(self, name: str, branch: str | None = None) -> Connector:
        """``local`` or a datasource; 42704 if there is none of that name."""
        if name == LOCAL:
            self._tell_of_open_writes()
            return LocalConnector(self.session, branch)
        if branch is not None:
            raise BoughError(
                "22023", "ON BRANCH is for transfers into local", hint="Leave it out, or name local."
            )
        return self.state.connector(name)

    def track(self, name: str) -> Connector:
        """A datasource that a cancel interrupts; for ``release``."""
        connector = self.connector(name)
        self._open.append(connector)
        return connector

    def release(self, connector: Connector) -> None:
        """Closes a connector of ours."""
        if connector in self._open:
            self._open.remove(connector)
        connector.close()

    def split(self, path: Path) -> tuple[str, Path]:
        """The datasource of a path, and the path there."""
        if len(path) > 1 and (path[0] == LOCAL or path[0] in self.state.datasources):
            contract_commands.check_parts(self, path)
            return path[0], path[1:]
        if len(path) > 2:
            self.state.datasources.get(path[0])  # says that there is none, and which name is near
        if len(path) == 1:
            refuse_temporary_name(self.session, path[0], "a command of datasources")
        return LOCAL, path

    def placed(self, path: Path) -> tuple[str, Path, str | None]:
        """``split``, and the branch that ``local.branch.schema.table`` or ``branch.schema.table`` names."""
        first, *rest = path
        if len(rest) == 2 and self.session.service.database.has_branch(first):
            return LOCAL, tuple(rest), first
        name, there = self.split(path)
        return (name, there[1:], there[0]) if name == LOCAL and len(there) == 3 else (name, there, None)

    def source(self, origin: c.Origin, datasource: str | None = None) -> tuple[str, Source]:
        """Where an origin reads, and what. A query for ``local`` is read as any statement of the session is."""
        if origin.path is not None:
            if datasource is None or datasource == LOCAL:
                name, path = self.split(origin.path)
            else:
                name, path = datasource, origin.path
            return name, Source(path=path)
        assert origin.query is not None
        name = datasource or LOCAL
        return name, Source(query=self.local_query(origin.query) if name == LOCAL else origin.query)

    def side(self, origin: c.Origin) -> tuple[str, Source, str | None]:
        """Where a source or a side of a comparison reads, what, and of which branch."""
        if origin.path is None:
            return *self.source(origin), None
        name, path, branch = self.placed(origin.path)
        return name, Source(path=path), branch

    def local_query(self, text: str) -> str:
        """A query of the client's dialect in the engine's."""
        return local_text.query(self.session, text)

    # -- datasources ----------------------------------------------------------------------------------------------

    @run.register
    def _create(self, command: c.CreateDatasource) -> Outcome:
        is_new = self.state.create(
            command.name, command.type, dict(command.options), if_not_exists=command.if_not_exists
        )
        if not is_new:
            self.notice(f'datasource "{command.name}" already exists, skipping')
        return done(command.tag)

    @run.register
    def _drop(self, command: c.DropDatasource) -> Outcome:
        if command.name == LOCAL:
            raise BoughError(
                "42939",
                f'"{LOCAL}" is the session\'s branch and no datasource that can be dropped',
                hint="BRANCH DISCARD drops a branch, DROP TABLE a table.",
            )
        if not self.state.drop(command.name, if_exists=command.if_exists):
            self.notice(f'datasource "{command.name}" does not exist, skipping')
        return done(command.tag)

    def notice(self, text: str) -> None:
        """A NOTICE with the result."""
        assert self.session.connection is not None
        self.session.connection.notices.append(text)

    @run.register
    def _test(self, command: c.TestDatasource) -> Outcome:
        with self.opened(command.name) as (connector,):
            version = connector.version()
            row = (command.name, self._type(command.name), True, version, None)
        return table(command.result, [row], lambda _rows: command.tag)

    def _type(self, name: str) -> str:
        return "duckdb" if name == LOCAL else self.state.datasources.get(name).type

    @run.register
    def _show(self, command: c.ShowDatasources) -> Outcome:
        return table(command.result, self.listing(), lambda _rows: "SHOW")

    def listing(self) -> list[tuple[Any, ...]]:
        """Every datasource, and whether it answers: the rows of SHOW DATASOURCES."""
        rows: list[Any] = [(LOCAL, "duckdb", True, "read_write", self._branch(), "public", None)]
        self._begin()
        items = list(self.state.datasources)
        for item, error in zip(items, availability.ask(self.state, items, self.stop), strict=True):
            schema = item.options.get("schema")
            rows.append(
                (item.name, item.type, error is None, item.role, self.database_of(item.name), schema, error)
            )
        return rows

    def database_of(self, name: str) -> str | None:
        """Where a datasource looks first, as SHOW DATASOURCES says it."""
        if name == LOCAL:
            return self._branch()
        options = self.state.datasources.get(name).options
        return options.get("database") or options.get("path")

    def _branch(self) -> str:
        assert self.session.connection is not None
        return self.session.connection.branch

    @run.register
    def _show_remote(self, command: c.ShowRemote) -> Outcome:
        return contract_commands.show(self, command)

    @run.register
    def _describe(self, command: c.DescribeTable) -> Outcome:
        return contract_commands.describe(self, command)

    @run.register
    def _show_create(self, command: c.ShowCreateTable) -> Outcome:
        return contract_commands.show_create(self, command)

    @run.register
    def _query(self, command: c.QueryDatasource) -> Outcome:
        self._begin()
        connector = self.connector(command.datasource)
        self._open.append(connector)
        query = self.local_query(command.query) if command.datasource == LOCAL else command.query
        cursor = self.session.service.database.root.cursor()
        cursor.set_time_zone(self.session.setting("TimeZone") or "UTC")
        try:
            reader = connector.reader()
            answer = telling.told(reader, Source(query=query), connector.dialect)
            if answer is not None:
                reader.close()
                cursor.close()
                self.release(connector)
                columns = [(name, "VARCHAR") for name in answer.column_names]
                rows = list(zip(*(each.to_pylist() for each in answer.columns), strict=True))
                return table(columns, rows, lambda sent: f"SELECT {sent}")
            return remote_rows.outcome(
                cursor,
                reader,
                Source(query=query),
                lambda: self.release(connector),
                direct=True,
            )
        except BaseException:
            self.release(connector)
            raise

    @run.register
    def _execute(self, command: c.ExecuteOn) -> Outcome:
        self.refuse_in_block(command)
        with self.opened(command.datasource) as (connector,), remote_rows.own_errors():
            executed = connector.execute(
                command.statement, dry_run=command.dry_run, rows_between=command.rows
            )
        if command.dry_run:
            self.notice(f"dry run: {executed.rows or 0} rows, rolled back")
        return done(f"{command.tag} {executed.rows or 0}")

    def _tell_of_open_writes(self) -> None:
        """A verdict over rows that are not committed yet would be taken for one that knows them."""
        connection = self.session.connection
        told = "what this transaction block has written is not seen: commands of datasources read what is committed"
        if connection is not None and connection.has_written and told not in connection.notices:
            self.notice(told)

    def refuse_in_block(self, command: Command) -> None:
        """25001 where the session's transaction has written: what is done elsewhere is not undone with it."""
        connection = self.session.connection
        if connection is not None and connection.has_written:
            raise BoughError(
                "25001",
                f"{command.called} cannot run in a transaction block that has written",
                hint="COMMIT or ROLLBACK first.",
            )

    # -- contracts ------------------------------------------------------------------------------------------------

    @run.register
    def _capabilities(self, command: c.ShowCapabilities) -> Outcome:
        return contract_commands.capabilities(self, command)

    @run.register
    def _type_mapping(self, command: c.ShowTypeMapping) -> Outcome:
        return contract_commands.type_mapping(self, command)

    @run.register
    def _layout(self, command: c.SuggestLayout) -> Outcome:
        return contract_commands.suggest_layout(self, command)

    @run.register
    def _validate(self, command: c.ValidateDdl) -> Outcome:
        return contract_commands.validate(self, command)

    # -- transfers ------------------------------------------------------------------------------------------------

    @run.register
    def _transfer(self, command: c.Transfer) -> Outcome:
        self.refuse_in_block(command)
        return transfer_commands.transfer(self, command)

    @run.register
    def _transfer_schema(self, command: c.TransferSchema) -> Outcome:
        self.refuse_in_block(command)
        return transfer_commands.transfer_schema(self, command)

    @run.register
    def _explain(self, command: c.ExplainTransfer) -> Outcome:
        return transfer_commands.explain(self, command)

    @run.register
    def _resume(self, command: c.ResumeTransfer) -> Outcome:
        self.refuse_in_block(command)
        return transfer_commands.resume(self, command)

    @run.register
    def _tool(self, command: c.CallTool) -> Outcome:
        return tool_calls.call(self, command)

    @run.register
    def _transfers(self, command: c.ShowTransfers) -> Outcome:
        return table(command.result, self.state.transfer_rows(), lambda _rows: "SHOW")

    @run.register
    def _cancel(self, command: c.CancelTransfer) -> Outcome:
        return transfer_commands.cancel(self, command)

    @run.register
    def _reconcile(self, command: c.Reconcile) -> Outcome:
        (left, one, of_left), (right, other, of_right) = self.side(command.left), self.side(command.right)
        with self.opened(left, right, branch=of_right, source_branch=of_left) as (a, b):
            self._watch = Watch(self.stop.is_set)
            try:
                report = reconcile.reconcile(
                    reconcile.Side(a, one),
                    reconcile.Side(b, other),
                    command.key,
                    command.checks,
                    command.tolerance,
                    watch=self._watch,
                )
            finally:
                self._watch = None
        return table(command.result, list(report.rows()), lambda _rows: command.tag)

    @run.register
    def _explain_reconcile(self, command: c.ExplainReconcile) -> Outcome:
        asked = command.reconcile
        (left, one, of_left), (right, other, of_right) = self.side(asked.left), self.side(asked.right)
        with self.opened(left, right, branch=of_right, source_branch=of_left) as (a, b):
            steps = reconcile.estimate(
                reconcile.Side(a, one), reconcile.Side(b, other), asked.key, asked.checks
            )
        return table(command.result, list(steps), lambda _rows: command.tag)
