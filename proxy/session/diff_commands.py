"""Diffs carried out, and what every command about branches needs: where the session is, what a name means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from branching.diff import changes as diff
from branching.diff import past as diff_past
from branching.diff import rows as diff_rows
from branching.diff import sql as diff_sql
from branching.diff import stat as diff_stat
from branching.diff import statements as diff_statements
from branching.errors import BoughError
from proxy.commands import Command, TableName
from proxy.commands import branch as c
from proxy.commands.model import Moment
from proxy.session.outcome import Outcome, of_shown, table

if TYPE_CHECKING:
    from proxy.session.session import Session

_LOOKS: dict[str, Callable[..., list[Any]]] = {
    "sql": diff_statements.sql,
    "schema": diff_sql.schema,
    "summary": diff.summary,
}


class DiffCommands:
    """The part of ``BranchCommands`` that only looks at changes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._database = session.service.database

    # -- what names mean ----------------------------------------------------------------------------------------

    def _here(self) -> str:
        connection = self._session.connection
        assert connection is not None
        return connection.branch

    def _rows(self, command: Command, rows: Sequence[Any]) -> Outcome:
        columns = command.columns or ()
        found = [
            tuple(getattr(row, name) for name, _ in columns) if not isinstance(row, tuple) else row
            for row in rows
        ]
        return table(columns, found, lambda sent: f"SELECT {sent}")

    def _target(self, branch: str, named: str | None) -> str:
        """The branch to compare with or merge into: the one named, else the parent."""
        if named is not None:
            self._database.line(named)
            return named
        record = self._database.line(branch).record
        parent = None if record.parent is None else self._database.lines.get(record.parent)
        if parent is None:
            if record.parent is None:
                raise BoughError(
                    "22023",
                    f'branch "{branch}" has no parent',
                    hint="Name the other branch.",
                    detail="It is main, or what it was made from is gone.",
                )
            return "main"
        return parent.name

    def _moment(self, moment: Moment | None) -> int | datetime | None:
        connection = self._session.connection
        assert connection is not None
        if moment is None or moment.timestamp is None:
            return None if moment is None else moment.version
        return connection.timestamp(moment.timestamp)

    # -- diffs ----------------------------------------------------------------------------------------------------

    def look(self, command: c.DiffBranch | c.DiffTable | c.DiffStat) -> Outcome:
        """What has changed, in the form that is asked for."""
        if (wanted := self.changed_rows(command)) is not None:
            shown, found = diff_rows.rows(self._database, wanted)
            return Outcome(lambda sent: f"SELECT {sent}", of_shown(shown), iter([found] if found else []))
        if isinstance(command, c.DiffBranch):
            return self._diff_branch(command)
        connection = self._session.connection
        assert connection is not None
        branch, against, moments = self._from_to(command.source, command.target)
        name = self._named(command.table) if command.table is not None else None
        return self._rows(command, diff_stat.stat(connection, branch, name, against, moments=moments))

    def _diff_branch(self, command: c.DiffBranch) -> Outcome:
        connection = self._session.connection
        assert connection is not None
        branch = command.branch or self._here()
        against = self._target(branch, command.against)
        moments = diff_past.Moments(self._moment(command.as_of), self._moment(command.against_as_of))
        named = None if command.table is None else self._named(command.table)
        found = _LOOKS[command.format](
            connection, branch, against, direct=command.direct, moments=moments, table=named
        )
        end = None if command.limit is None else command.offset + command.limit
        rows = [(row,) if isinstance(row, str) else row for row in found[command.offset : end]]
        return self._rows(command, rows)

    def _named(self, name: TableName) -> diff.Named:
        return diff.Named(name.name, name.schema, self._session.search_path())

    def changed_rows(self, command: Command) -> diff_rows.Wanted | None:
        """What a command asks for whose rows are the changed rows of a table; None for any other."""
        zone = self._session.setting("TimeZone") or "UTC"
        if isinstance(command, c.DiffTable):
            branch, against, moments = self._from_to(command.source, command.target)
            named = self._named(command.table)
            return diff_rows.Wanted(branch, named, against, key=True, zone=zone, moments=moments)
        if isinstance(command, c.DiffBranch) and command.format == "rows" and command.table is not None:
            branch = command.branch or self._here()
            return diff_rows.Wanted(
                branch,
                self._named(command.table),
                self._target(branch, command.against),
                command.direct,
                command.limit,
                command.offset,
                zone=zone,
                moments=diff_past.Moments(self._moment(command.as_of), self._moment(command.against_as_of)),
            )
        return None

    def _from_to(self, source: str | None, target: str | None) -> tuple[str, str | None, diff_past.Moments]:
        """(branch, against, moments) of a diff from ``source`` to ``target``: branches, or versions of this one."""
        here = self._here()
        versions = [
            int(name) if name is not None and name.isdigit() and not self._database.has_branch(name) else None
            for name in (target, source)
        ]
        branch = here if target is None or versions[0] is not None else target
        if versions[1] is not None:
            return branch, here, diff_past.Moments(*versions)
        return branch, self._target(branch, source), diff_past.Moments(*versions)
