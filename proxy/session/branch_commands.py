"""Branch commands carried out: each dataclass of ``proxy.commands.branch`` has its method here. Runs on the pool.

They work on the committed state, in engine transactions of their own, whatever the session's transaction sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any

from branching import Author, branches
from branching.diff import changes as diff
from branching.errors import BoughError
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts
from branching.reset import reset
from proxy.commands import UNSET, Command, TableName
from proxy.commands import branch as c
from proxy.commands.results import BRANCHES
from proxy.session import shadow, views
from proxy.session.diff_commands import DiffCommands
from proxy.session.outcome import Outcome, done, table
from proxy.session.remote.commands import RemoteCommands

if TYPE_CHECKING:
    from proxy.session.session import Session


class BranchCommands(DiffCommands):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.remote = RemoteCommands(session)

    @singledispatchmethod
    def run(self, command: Command) -> Outcome:
        """Carries out ``command``; those of datasources and transfers have a home of their own."""
        return self.remote.run(command)

    # -- helpers ------------------------------------------------------------------------------------------------

    def _author(self) -> Author:
        session = self._session
        return Author(
            session.user,
            session.setting("application_name"),
            session.agent,
            session.setting("hatidata_request_id"),
        )

    def _notice(self, text: str) -> None:
        assert self._session.connection is not None
        self._session.connection.notices.append(text)

    def _need_isolation(self) -> None:
        if not self._session.service.settings.branch_isolation_enabled:
            raise BoughError(
                "0A000",
                "branches are turned off",
                hint="Set branch_isolation_enabled to true and restart.",
                detail="The setting branch_isolation_enabled is false.",
            )

    # -- making, switching, ending ------------------------------------------------------------------------------

    @run.register
    def _create(self, command: c.CreateBranch) -> Outcome:
        self._need_isolation()
        settings = self._session.service.settings
        source = command.source or self._here()
        if self._session.means_main(source) and not self._database.has_branch(source):
            source = "main"
        if source in ("template0", "template1"):
            source = self._here()
        ttl = settings.branch_ttl if command.ttl is UNSET else command.ttl
        branches.create(
            self._database,
            command.name,
            source,
            role=self._session.user,
            if_not_exists=command.if_not_exists,
            ttl=_seconds(ttl),
            protected=command.protected,
            comment=command.comment,
            limit=settings.max_branches,
            notice=self._notice,
            as_of=self._moment(command.as_of),
        )
        return done(command.tag)

    @run.register
    def _switch(self, command: c.SwitchBranch) -> Outcome:
        self.switch(command.name or self._session.start_branch, local=isinstance(command, c.SetLocalBranch))
        return done(command.tag)

    def switch(self, name: str, *, local: bool = False) -> None:
        """Moves the session to a branch."""
        session = self._session
        connection = session.connection
        assert connection is not None
        if not self._database.has_branch(name) and session.means_main(name):
            name = "main"
        connection.switch(name)
        session.branches.note(name)
        session.settings.assign("branch", name, local=local)
        session.branch_schemas.moved(local=local)

    @run.register
    def _show(self, command: c.ShowBranch) -> Outcome:
        return table(command.result, [(self._here(),)], lambda _rows: "SHOW")

    @run.register
    def _list(self, command: c.ListBranches) -> Outcome:
        return table(BRANCHES, views.branch_rows(self._session), lambda rows: f"SELECT {rows}")

    @run.register
    def _discard(self, command: c.DiscardBranch) -> Outcome:
        session = self._session
        connection = session.connection
        assert connection is not None
        here = connection.line
        if not here.is_trunk and command.branch == here.name:
            raise BoughError(
                "55006",
                f'cannot discard the branch "{command.branch}" that the session is on',
                hint="BRANCH SWITCH main first.",
                detail="The session would be left without one.",
            )
        branches.discard(
            self._database,
            command.branch,
            if_exists=command.if_exists,
            cascade=command.cascade,
            force=command.force,
            sessions=session.service.on_branch,
            notice=self._notice,
        )
        return done(command.tag)

    @run.register
    def _restore(self, command: c.RestoreBranch) -> Outcome:
        branches.restore(self._database, command.branch)
        return done(command.tag)

    @run.register
    def _rename(self, command: c.RenameBranch) -> Outcome:
        branches.rename(self._database, command.branch, command.name)
        self._session.service.remote.renamed(command.branch, command.name)
        return done(command.tag)

    @run.register
    def _alter(self, command: c.AlterBranch) -> Outcome:
        changes: dict[str, object] = {}
        if command.ttl is not UNSET:
            changes["ttl"] = _seconds(command.ttl)
        if command.protected is not UNSET:
            changes["protected"] = command.protected
        if command.comment is not UNSET:
            changes["comment"] = command.comment
        branches.alter(self._database, command.branch, **changes)
        return done(command.tag)

    @run.register
    def _reset(self, command: c.ResetBranchData) -> Outcome:
        reset(self._database, command.branch, command.version, self._author())
        return done(command.tag)

    @run.register
    def _collect(self, command: c.CollectGarbage) -> Outcome:
        return self._rows(command, self._session.service.collect())

    # -- looking ----------------------------------------------------------------------------------------------------

    @run.register
    def _status(self, command: c.BranchStatus) -> Outcome:
        assert self._session.connection is not None
        return self._rows(command, diff.status(self._session.connection, command.branch or self._here()))

    @run.register
    def _diff(self, command: c.DiffBranch | c.DiffTable | c.DiffStat) -> Outcome:
        return self.look(command)

    @run.register
    def _conflicts(self, command: c.ShowConflicts) -> Outcome:
        branch = command.branch or self._here()
        found: Sequence[Any] = []
        if not command.preview:
            found = conflicts.open_conflicts(self._database, branch, command.target)
        if not found:
            found = merge_apply.preview_conflicts(
                self._database, branch, self._target(branch, command.target)
            )
        return self._rows(command, list(found))

    # -- merging ------------------------------------------------------------------------------------------------------

    def _merge_arguments(self, command: c.MergeBranch) -> dict[str, Any]:
        return {
            **_strategies(command),
            "tables": [_dotted(name) for name in command.tables] or None,
        }

    @run.register
    def _merge(self, command: c.MergeBranch) -> Outcome:
        target = self._target(command.branch, command.target)
        result = merge_apply.merge(
            self._database,
            command.branch,
            target,
            **self._merge_arguments(command),
            token=command.token,
            discard=command.discard,
            author=self._author(),
        )
        return self._rows(command, result.rows)

    @run.register
    def _explain(self, command: c.ExplainMerge) -> Outcome:
        merge = command.merge
        target = self._target(merge.branch, merge.target)
        rows, token = merge_apply.explain(
            self._database, merge.branch, target, **self._merge_arguments(merge), author=self._author()
        )
        columns = command.columns or ()
        found = [(*(getattr(row, name) for name, _ in columns if name != "token"), token) for row in rows]
        return table(columns, found, lambda _rows: "EXPLAIN")

    @run.register
    def _continue(self, command: c.ContinueMerge) -> Outcome:
        result = merge_apply.continue_merge(self._database, command.branch, self._author(), command.target)
        return self._rows(command, result.rows)

    @run.register
    def _abort(self, command: c.AbortMerge) -> Outcome:
        merge_apply.abort_merge(self._database, command.branch, command.target)
        return self._rows(command, ())

    @run.register
    def _resolve(self, command: c.ResolveConflicts) -> Outcome:
        count = conflicts.resolve(
            self._database,
            command.branch,
            table=_dotted(command.table) if command.table is not None else None,
            conflict=command.conflict,
            using=command.resolution,
            target=command.target,
        )
        return done(f"{command.tag} {count}")

    @run.register
    def _revert(self, command: c.RevertMerge) -> Outcome:
        result = merge_apply.revert(
            self._database,
            command.merge,
            self._author(),
            **_strategies(command),
        )
        return self._rows(command, result.rows)

    @run.register
    def _refresh(self, command: c.RefreshBranch) -> Outcome:
        result = merge_apply.refresh(
            self._database, command.branch, **_strategies(command), author=self._author()
        )
        return self._rows(command, result.rows)

    @run.register
    def _continue_refresh(self, command: c.ContinueRefresh) -> Outcome:
        result = merge_apply.continue_refresh(self._database, command.branch, self._author())
        return self._rows(command, result.rows)

    @run.register
    def _abort_refresh(self, command: c.AbortRefresh) -> Outcome:
        merge_apply.abort_refresh(self._database, command.branch)
        return self._rows(command, ())

    @run.register
    def _shadow(self, command: c.ShadowQuery) -> Outcome:
        return shadow.run(self._session, command)


def _seconds(ttl: Any) -> int | None:
    if ttl is None:
        return None
    assert isinstance(ttl, timedelta)
    return int(ttl.total_seconds()) or None


def _strategies(command: c.MergeBranch | c.RevertMerge | c.RefreshBranch) -> dict[str, Any]:
    per_table = {_dotted(name): strategy for name, strategy in command.per_table}
    return {"strategy": command.strategy, "per_table": per_table or None}


def _dotted(name: TableName) -> str:
    return f"{name.schema}.{name.name}" if name.schema else name.name
