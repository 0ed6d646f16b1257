"""The branch commands: one dataclass each.

A synonym that Postgres' own tools send (``CREATE DATABASE``, ``SET branch``) is a subclass with its own tag,
so that whoever carries out the command need not know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from . import results
from .model import UNSET, Command, Moment, TableName, Ttl, Unset
from .results import Columns


@dataclass(frozen=True, slots=True)
class BranchChange(Command):
    """A command that changes branches, and therefore commits on its own."""

    privilege: ClassVar[str] = "branch"
    changes_branches: ClassVar[bool] = True
    before_writes: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class CreateBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH CREATE"
    form: ClassVar[str] = (
        "BRANCH CREATE [IF NOT EXISTS] name [FROM branch [AS OF VERSION n | AS OF TIMESTAMP 't']] "
        "[WITH (ttl '24h', protected true, comment '…')]"
    )

    name: str
    source: str | None = None
    as_of: Moment | None = None
    if_not_exists: bool = False
    ttl: Ttl = UNSET
    protected: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class CreateDatabase(CreateBranch):
    tag: ClassVar[str] = "CREATE DATABASE"
    form: ClassVar[str] = "CREATE DATABASE name [TEMPLATE branch]"


@dataclass(frozen=True, slots=True)
class SwitchBranch(BranchChange):
    privilege: ClassVar[str] = "read"
    tag: ClassVar[str] = "BRANCH SWITCH"
    form: ClassVar[str] = "BRANCH SWITCH name"

    name: str | None  # None: the branch the session started on


@dataclass(frozen=True, slots=True)
class SetBranch(SwitchBranch):
    tag: ClassVar[str] = "SET"
    form: ClassVar[str] = "SET [LOCAL] branch = 'name'"


@dataclass(frozen=True, slots=True)
class SetLocalBranch(SetBranch):
    """Until the transaction ends: it must not end it."""

    changes_branches: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class ResetBranch(SwitchBranch):
    tag: ClassVar[str] = "RESET"
    form: ClassVar[str] = "RESET branch"

    name: None = None


@dataclass(frozen=True, slots=True)
class ShowBranch(Command):
    tag: ClassVar[str] = "SHOW"
    form: ClassVar[str] = "SHOW branch"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.SHOW_BRANCH


@dataclass(frozen=True, slots=True)
class ListBranches(Command):
    tag: ClassVar[str] = "BRANCH LIST"
    form: ClassVar[str] = "BRANCH LIST"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.BRANCHES


@dataclass(frozen=True, slots=True)
class BranchStatus(Command):
    tag: ClassVar[str] = "BRANCH STATUS"
    form: ClassVar[str] = "BRANCH STATUS [name]"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.STATUS

    branch: str | None = None


@dataclass(frozen=True, slots=True)
class DiffBranch(Command):
    tag: ClassVar[str] = "BRANCH DIFF"
    form: ClassVar[str] = (
        "BRANCH DIFF [branch [AS OF VERSION n | AS OF TIMESTAMP 't']] "
        "[AGAINST branch [AS OF VERSION n | AS OF TIMESTAMP 't']] [TABLE table] "
        "[WITH (format 'summary'|'rows'|'schema'|'sql', limit n, offset n, direct true)]"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.DIFF_SUMMARY

    branch: str | None = None
    against: str | None = None
    table: TableName | None = None
    format: str = "summary"
    limit: int | None = None
    offset: int = 0
    direct: bool = False
    as_of: Moment | None = None
    against_as_of: Moment | None = None

    @property
    def columns(self) -> Columns | None:
        return {
            "summary": results.DIFF_SUMMARY,
            "schema": results.DIFF_SCHEMA,
            "sql": results.DIFF_SQL,
        }.get(self.format)


@dataclass(frozen=True, slots=True)
class MergeBranch(BranchChange):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "BRANCH MERGE"
    form: ClassVar[str] = (
        "BRANCH MERGE branch [INTO target] [TABLES (t, …)] [STRATEGY abort|branch_wins|main_wins|manual] "
        "[ON CONFLICT table USING strategy]… [IF TOKEN '…'] [WITH (discard true)]"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str
    target: str | None = None  # None: the branch's parent
    strategy: str = "abort"
    per_table: tuple[tuple[TableName, str], ...] = ()
    tables: tuple[TableName, ...] = ()  # none named: all of them
    token: str | None = None
    discard: bool = False


@dataclass(frozen=True, slots=True)
class ExplainMerge(Command):
    tag: ClassVar[str] = "EXPLAIN"
    form: ClassVar[str] = "EXPLAIN " + MergeBranch.form
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE_PLAN

    merge: MergeBranch


@dataclass(frozen=True, slots=True)
class ContinueMerge(BranchChange):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "BRANCH MERGE"
    form: ClassVar[str] = "BRANCH MERGE branch [INTO target] CONTINUE"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str
    target: str | None = None  # None: the only one it is being merged into


@dataclass(frozen=True, slots=True)
class AbortMerge(BranchChange):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "BRANCH MERGE"
    form: ClassVar[str] = "BRANCH MERGE branch [INTO target] ABORT"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str
    target: str | None = None  # None: the only one it is being merged into


@dataclass(frozen=True, slots=True)
class ShowConflicts(Command):
    tag: ClassVar[str] = "BRANCH CONFLICTS"
    form: ClassVar[str] = "BRANCH CONFLICTS [branch] [INTO target]"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.CONFLICTS

    branch: str | None = None
    target: str | None = None
    preview: bool = False  # only those a merge would have now, also where a manual merge is open


@dataclass(frozen=True, slots=True)
class ResolveConflicts(BranchChange):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "BRANCH RESOLVE"  # the number of settled conflicts follows
    form: ClassVar[str] = (
        "BRANCH RESOLVE branch [INTO target] [TABLE table] [CONFLICT id] USING branch|target|base"
    )

    branch: str
    resolution: str
    table: TableName | None = None
    conflict: int | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class RevertMerge(BranchChange):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "BRANCH REVERT"
    form: ClassVar[str] = (
        "BRANCH REVERT MERGE id [STRATEGY abort|branch_wins|main_wins] [ON CONFLICT table USING strategy]…"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    merge: int
    strategy: str = "abort"
    per_table: tuple[tuple[TableName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH REFRESH"
    form: ClassVar[str] = (
        "BRANCH REFRESH branch [STRATEGY abort|branch_wins|main_wins|manual] [ON CONFLICT table USING strategy]…"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str
    strategy: str = "abort"
    per_table: tuple[tuple[TableName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ContinueRefresh(BranchChange):
    tag: ClassVar[str] = "BRANCH REFRESH"
    form: ClassVar[str] = "BRANCH REFRESH branch CONTINUE"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str


@dataclass(frozen=True, slots=True)
class AbortRefresh(BranchChange):
    tag: ClassVar[str] = "BRANCH REFRESH"
    form: ClassVar[str] = "BRANCH REFRESH branch ABORT"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.MERGE

    branch: str


@dataclass(frozen=True, slots=True)
class ResetBranchData(BranchChange):
    tag: ClassVar[str] = "BRANCH RESET"
    form: ClassVar[str] = "BRANCH RESET branch [TO VERSION n]"

    branch: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class AlterBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH ALTER"
    form: ClassVar[str] = "BRANCH ALTER branch SET (ttl '48h'|NONE, protected true|false, comment '…'|NONE)"

    branch: str
    ttl: Ttl = UNSET
    protected: bool | Literal[Unset.UNSET] = UNSET
    comment: str | Literal[Unset.UNSET] | None = UNSET


@dataclass(frozen=True, slots=True)
class CommentOnDatabase(AlterBranch):
    tag: ClassVar[str] = "COMMENT"
    form: ClassVar[str] = "COMMENT ON DATABASE branch IS 'comment'|NULL"


@dataclass(frozen=True, slots=True)
class RenameBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH RENAME"
    form: ClassVar[str] = "BRANCH RENAME branch TO name"

    branch: str
    name: str


@dataclass(frozen=True, slots=True)
class RenameDatabase(RenameBranch):
    tag: ClassVar[str] = "ALTER DATABASE"
    form: ClassVar[str] = "ALTER DATABASE branch RENAME TO name"


@dataclass(frozen=True, slots=True)
class DiscardBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH DISCARD"
    form: ClassVar[str] = "BRANCH DISCARD [IF EXISTS] branch [CASCADE] [WITH (force true)]"

    branch: str
    if_exists: bool = False
    cascade: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class DropDatabase(DiscardBranch):
    tag: ClassVar[str] = "DROP DATABASE"
    form: ClassVar[str] = "DROP DATABASE [IF EXISTS] branch [WITH (FORCE)]"


@dataclass(frozen=True, slots=True)
class RestoreBranch(BranchChange):
    tag: ClassVar[str] = "BRANCH RESTORE"
    form: ClassVar[str] = "BRANCH RESTORE branch"

    branch: str


@dataclass(frozen=True, slots=True)
class CollectGarbage(Command):
    privilege: ClassVar[str] = "admin"
    tag: ClassVar[str] = "BRANCH GC"
    form: ClassVar[str] = "BRANCH GC"
    returns_rows: ClassVar[bool] = True
    changes_branches: ClassVar[bool] = True
    before_writes: ClassVar[bool] = True
    result: ClassVar[Columns] = results.GC


@dataclass(frozen=True, slots=True)
class ShadowQuery(Command):
    tag: ClassVar[str] = "SHADOW QUERY"
    form: ClassVar[str] = (
        "SHADOW QUERY ON branch, branch[, …] AS SELECT … "
        "[WITH (return 'summary'|'rows'|'diff'|'plan', tolerance 1e-9, ordered true, runs n)]"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.SHADOW

    branches: tuple[str, ...]
    query: str
    returning: str = "summary"
    tolerance: float = 0.0
    ordered: bool = False
    runs: int = 1
    query_offset: int = field(default=0, compare=False)  # where ``query`` begins in the command's text
    values: tuple[Any, ...] | None = None  # of the query's parameters; None where they are not known

    @property
    def columns(self) -> Columns | None:
        return {"summary": results.SHADOW, "plan": results.SHADOW_PLAN}.get(self.returning)


@dataclass(frozen=True, slots=True)
class DiffTable(Command):
    """``bough.diff('schema.table', from, to)``, a function only."""

    tag: ClassVar[str] = "SELECT"
    form: ClassVar[str] = "SELECT * FROM bough.diff('schema.table' [, from, to])"
    returns_rows: ClassVar[bool] = True

    table: TableName
    source: str | None = None
    target: str | None = None

    @property
    def columns(self) -> Columns | None:
        return None


@dataclass(frozen=True, slots=True)
class DiffStat(Command):
    """``bough.diff_stat('schema.table', from, to)``, a function only; without a table, all that differ."""

    tag: ClassVar[str] = "SELECT"
    form: ClassVar[str] = "SELECT * FROM bough.diff_stat(['schema.table' [, from, to]])"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.DIFF_STAT

    table: TableName | None = None
    source: str | None = None
    target: str | None = None
