"""The extended protocol: Parse, Bind, Describe, Execute, Close, and what a Sync ends.

A statement outside a block commits on its own if Sync follows it at once; if more messages of a pipeline are already
here, all of them up to Sync are one implicit block, as in Postgres.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from branching.errors import BoughError
from proxy.session import functions
from proxy.session.outcome import Columns, Outcome, done
from proxy.session.parameters import decode
from proxy.session.portals import Portal, PreparedStatement
from proxy.sql.split import split
from proxy.sql.statements import Kind
from proxy.wire import Bind, Close, Describe, Parse

if TYPE_CHECKING:
    from proxy.session.session import Session

_CONTROL = frozenset({Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK})


class Extended:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._statements = session.statements

    async def parse(self, message: Parse) -> None:
        statements = self._statements
        if message.statement and message.statement in statements.prepared:
            raise BoughError("42P05", f'prepared statement "{message.statement}" already exists')
        if not message.statement:
            statements.prepared.pop("", None)

        def work() -> PreparedStatement:
            sources = split(message.text, self._session.service.settings.max_statement_bytes)
            if len(sources) > 1:
                raise BoughError("42601", "cannot insert multiple commands into a prepared statement")
            return statements.prepare(
                message.statement, sources[0] if sources else None, message.parameter_types
            )

        statements.prepared[message.statement] = await self._session.guarded(work)

    async def bind(self, message: Bind) -> None:
        statements = self._statements
        statement = statements.named(message.statement)
        if message.portal and message.portal in statements.portals:
            raise BoughError("42P03", f'cursor "{message.portal}" already exists')
        values = decode(message.parameters, message.parameter_formats, statement.types)
        portal = Portal(message.portal, statement, values, message.result_formats)
        statements.portals[message.portal] = portal

    def portal(self, name: str) -> Portal:
        found = self._statements.portals.get(name)
        if found is None:
            raise BoughError("34000", f'portal "{name}" does not exist')
        return found

    async def describe(
        self, message: Describe
    ) -> tuple[tuple[int, ...] | None, Columns | None, tuple[int, ...]]:
        """(parameter types of a statement, its columns, the formats of a portal)."""
        if message.target == "S":
            statement = self._statements.named(message.name)
            columns = await self._columns(statement)
            statement.told = columns if self._varies(statement) else None
            return statement.types, columns, ()
        cursor = self._statements.cursors.get(message.name)
        if cursor is not None and message.name not in self._statements.portals:
            return None, cursor.outcome.columns, ()
        portal = self.portal(message.name)
        if portal.outcome is not None:
            return None, portal.outcome.columns, portal.formats
        columns = await self._columns(portal.statement, portal.values)
        portal.told = columns if self._varies(portal.statement) else None
        return None, columns, portal.formats

    def _varies(self, statement: PreparedStatement) -> bool:
        """Whether the columns may be others when the statement runs: a command's, which its data tells."""
        prepared = statement.prepared
        return statement.command is not None or (
            prepared is not None and self._statements.analyse(prepared).commands
        )

    async def _columns(
        self, statement: PreparedStatement, bound: Sequence[Any] | None = None
    ) -> Columns | None:
        """The statement's columns; without a visit of the pool where they were found before and still hold."""
        prepared = statement.prepared
        if statement.command is None and prepared is not None and prepared.is_silent:
            return None
        connection = self._session.connection
        if (
            statement.columns is not None
            and connection is not None
            and statement.described is connection.catalog
        ):
            return statement.columns
        return await self._session.guarded(lambda: self._statements.describe(statement, bound))

    async def close(self, message: Close) -> None:
        if message.target == "S":
            self._statements.prepared.pop(message.name, None)
        else:
            self._statements.portals.pop(message.name, None)

    async def start(self, portal: Portal, max_rows: int, *, more_follows: bool) -> Outcome | None:
        """Runs a portal if it has not run yet. None for an empty statement."""
        statement = portal.statement
        if statement.source is None:
            return None
        if portal.completed:
            raise BoughError("55000", f'portal "{portal.name}" cannot be run anymore')
        if portal.outcome is not None:
            return portal.outcome
        session = self._session
        prepared = statement.prepared
        if prepared is not None and prepared.tree is not None and self._statements.analyse(prepared).sleeps:
            argument = functions.sleep_seconds(prepared.tree)
            assert argument is not None
            session.transactions.check()
            await session.sleep(float(functions.evaluate(argument, portal.values)))
            portal.outcome = sleep_outcome()
            return portal.outcome
        control = prepared is not None and prepared.kind in _CONTROL
        formats = portal.formats if not max_rows else None

        def work() -> Outcome:
            if more_follows and not control and statement.command is None:
                session.transactions.begin_implicit()
            return self._statements.run(statement, portal.values, formats)

        outcome = await session.guarded(work)
        _check_told(portal.told or statement.told, outcome.columns)
        portal.outcome = outcome
        return outcome


def _check_told(told: Columns | None, columns: Columns | None) -> None:
    """Refuses rows of another shape than the client was told: it could not read them."""
    if told is None or columns is None or told is columns:
        return
    if [(name, info.oid) for name, info in told] != [(name, info.oid) for name, info in columns]:
        raise BoughError(
            "0A000",
            "cached plan must not change result type",
            hint="The columns depend on the arguments or have been altered since: prepare the statement again.",
        )


def sleep_outcome() -> Outcome:
    """What ``SELECT pg_sleep(n)`` returns: one empty value."""
    from proxy.session.introspection import VOID

    batches: Iterator[Any] = iter([[("",)]])
    return Outcome(lambda rows: f"SELECT {rows}", (("pg_sleep", VOID),), batches)


__all__ = ["Extended", "done", "sleep_outcome"]
