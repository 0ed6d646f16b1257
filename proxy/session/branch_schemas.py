"""Branches as HatiData's tools spell them: a schema ``branch_<12 hex digits>`` stands for the branch of that name.

Those tools know schemas only. What they send means here:

1. ``CREATE SCHEMA`` forks the session's branch; the view per table that follows makes nothing, because a fork has all
   tables. ``DROP SCHEMA … CASCADE`` discards the branch, to the trash.
2. ``SET search_path`` with such a schema first moves the session to the branch, and one without it moves it back to
   where it was. Like ``SET branch`` it is not undone by ROLLBACK. The path never names a branch the session is not on:
   a path that would is refused if there is no such branch, and loses that name if the session has been moved since.
3. Tables replaced by those of a branch schema are merged: ``merge_loop``.
4. An ordinary schema of such a name (in an adopted file) is an ordinary schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.ddl import model as d
from branching.diff import changes as diff
from branching.errors import BoughError
from branching.model import DEFAULT_SCHEMA
from branching.names import quote
from branching.resolve import schema_name, table_name
from proxy.catalog.context import BranchSchema
from proxy.commands import Command
from proxy.commands import branch as c
from proxy.session.merge_loop import MergeLoop
from proxy.session.outcome import Outcome, done
from proxy.sql.prepare import Prepared
from proxy.sql.statements import SetVariable

if TYPE_CHECKING:
    from proxy.session.session import Session

_NAME = re.compile(r"branch_[0-9a-f]{12}\Z")
_PREFIX = "branch"
_PATH = "search_path"


class BranchSchemas:
    """What one session says about branch schemas. Runs on the pool."""

    def __init__(self, session: Session, run: Callable[[Command], Outcome]) -> None:
        self._session = session
        self._run = run
        self._database = session.service.database
        settings = session.service.settings
        self._enabled = bool(settings.hatidata_branch_schemas and settings.branch_isolation_enabled)
        self.merging = MergeLoop(session, self, run)
        self._on: str | None = None  # the branch the search path brought the session to …
        self._back: str | None = None  # … and the one it came from
        self._leaving: str | None = None  # the path to take once the block ends

    # -- names --------------------------------------------------------------------------------------------------

    def means(self, schema: str) -> bool:
        """Whether a schema's name can only stand for a branch."""
        if not self._enabled or _NAME.match(schema) is None:
            return False
        connection = self._session.connection
        return connection is None or schema not in connection.catalog.schemas

    def branch_of(self, schema: str) -> str | None:
        """The live branch a schema's name stands for."""
        if self._enabled and _NAME.match(schema) is not None and self._database.has_branch(schema):
            return schema
        return None

    def shown(self, tree: exp.Expr, values: Sequence[Any]) -> tuple[BranchSchema, ...]:
        """The branch schemas a statement about the catalog shall see.

        All are schemas. Their tables are shown to who asks for a branch schema: anybody else sees every table once.
        """
        if not self._enabled:
            return ()
        names = sorted(name for name in list(self._database.names) if self.means(name))
        if not names:
            return ()
        asked = {node.name for node in tree.find_all(exp.Literal) if node.is_string}
        asked |= {value for value in values if isinstance(value, str)}
        asked = {text for text in asked if text.startswith(_PREFIX)}
        every = any(_NAME.match(text) is None for text in asked)
        return tuple(self._shown(name, tables=every or name in asked) for name in names)

    def _shown(self, name: str, *, tables: bool) -> BranchSchema:
        if tables:
            try:
                catalog = self._database.line(name).catalog
                return BranchSchema(name, catalog, self.changed(name))
            except BoughError:  # discarded a moment ago
                pass
        return BranchSchema(name)

    def changed(self, branch: str) -> frozenset[str]:
        """The tables of the default schema that a branch has changed or made."""
        return frozenset(
            table
            for schema, table, change in self.changes(branch)
            if schema == DEFAULT_SCHEMA and change != "removed"
        )

    def changes(self, branch: str, against: str | None = None) -> list[tuple[str, str, str]]:
        """(schema, table, change) of what merging the branch (into its parent) would bring."""
        assert self._session.connection is not None
        found = diff.summary(self._session.connection, branch, against)
        return [(row.schema, row.table, row.change) for row in found]

    # -- the search path ----------------------------------------------------------------------------------------

    def set_path(self, value: str, *, local: bool = False) -> str:
        """SET search_path: goes to the branch it names first, or back. The value as SHOW gives it."""
        session, settings = self._session, self._session.settings
        connection = session.connection
        head = session.path_of(value)[:1]
        if connection is None or (local and session.transactions.block == "none"):
            return settings.set(_PATH, value, local=local)
        if head and self.means(head[0]):
            self._go(head[0], local=local)
        elif self._on == connection.branch:
            try:
                self._return(local=local)
            except BoughError:
                self._leaving = value
                raise
        else:
            return settings.set(_PATH, value, local=local)
        settings.assign(_PATH, value, local=local)
        self._leaving = None
        return value

    def _go(self, branch: str, *, local: bool) -> None:
        session = self._session
        assert session.connection is not None
        here = session.connection.branch
        if not self._database.has_branch(branch):
            raise BoughError(
                "42704",
                f'branch "{branch}" does not exist',
                detail="The search path names it as a schema. It was discarded, has expired, or never was.",
                hint=f"BRANCH RESTORE {quote(branch)} within the grace time; BRANCH LIST shows what there is.",
            )
        if here == branch:
            return
        back = self._back if self._on == here else here
        session.commands.switch(branch, local=local)
        self._on, self._back = branch, back

    def _return(self, *, local: bool = False) -> None:
        back = self._session.branches.name_of(self._back) if self._back else self._session.start_branch
        if not self._database.has_branch(back):
            back = self._session.start_branch
        self._session.commands.switch(back, local=local)

    def moved(self, *, local: bool) -> None:
        """The session is on another branch now, whatever its path says."""
        self._on = self._back = self._leaving = None
        self._agree(local=local)

    def reset(self) -> None:
        """RESET search_path, before it is done: away from the branch the path led to."""
        connection = self._session.connection
        if connection is not None and self._on == connection.branch:
            self._return()

    def settle(self) -> None:
        """At the end of a transaction, and after RESET: path and branch agree again."""
        connection = self._session.connection
        if connection is None:
            return
        if self._leaving is not None and self._on == connection.branch:
            path, self._leaving = self._leaving, None
            self._return()
            self._session.settings.assign(_PATH, path)
        if self._on != connection.branch:
            self._on = self._back = None
        self._agree(local=False)

    def follow(self, path: str) -> None:
        """Goes where the path that the session started with says."""
        schemas = self._session.path_of(path)
        if schemas and self.means(schemas[0]):
            self.set_path(path)

    def _agree(self, *, local: bool) -> None:
        session = self._session
        path = session.search_path()
        if (
            path
            and session.connection is not None
            and path[0] != session.connection.branch
            and self.means(path[0])
        ):
            rest = ", ".join(quote(name) for name in path[1:]) or DEFAULT_SCHEMA
            session.settings.assign(_PATH, rest, local=local)

    def refused(self, prepared: Prepared) -> None:
        """A statement that a failed block refuses: to leave the branch is then done when the block ends."""
        what = prepared.payload
        connection = self._session.connection
        if isinstance(what, SetVariable) and what.name == _PATH and what.value is not None:
            path = self._session.path_of(what.value)
            if connection is not None and self._on == connection.branch and path[:1] != (self._on,):
                self._leaving = what.value

    # -- statements ---------------------------------------------------------------------------------------------

    def ddl(self, what: object) -> Outcome | None:
        """A statement about a branch schema, carried out; None where it is an ordinary one."""
        if not self._enabled:
            return None
        if isinstance(what, d.CreateSchema):
            return self._create(what) if self.means(what.name) else None
        if isinstance(what, d.CreateView) and what.name.schema is not None:
            return self._view(what) if self.means(what.name.schema) else None
        if isinstance(what, d.Drop):
            return self._discard(what) if what.kind == "schema" else self.merging.drop(what)
        return None

    def _create(self, what: d.CreateSchema) -> Outcome:
        session = self._session
        if self._database.has_branch(what.name):
            if what.if_not_exists:
                self.notice(f'schema "{what.name}" already exists, skipping')
                return done("CREATE SCHEMA")
            raise BoughError(
                "42P06",
                f'schema "{what.name}" already exists',
                detail="It is the branch of that name.",
                hint=f"BRANCH SWITCH {quote(what.name)} goes there; BRANCH DISCARD {quote(what.name)} lets go of it.",
            )
        assert session.connection is not None
        here = session.connection.branch
        self._run(c.CreateBranch(what.name, here))
        self.notice(f'schema "{what.name}" is a branch of "{here}"')
        return done("CREATE SCHEMA")

    def _view(self, what: d.CreateView) -> Outcome | None:
        """A view per table is what a branch consists of elsewhere; here it has the table already."""
        schema = what.name.schema
        assert schema is not None and self._session.connection is not None
        branch = self.branch_of(schema)
        source = _viewed(what)
        if branch is None or source is None or source != what.name.name:
            return None
        if self._session.connection.catalog.find(DEFAULT_SCHEMA, source) is None:
            return None  # the ordinary error
        if self._database.line(branch).catalog.find(DEFAULT_SCHEMA, source) is None:
            self.notice(f'table "{source}" is younger than branch "{branch}", which does not have it')
        return done("CREATE VIEW")

    def _discard(self, what: d.Drop) -> Outcome | None:
        branches = [name.name for name in what.names if self.means(name.name) and self.branch_of(name.name)]
        if not branches:
            return None
        branch = branches[0]
        if len(what.names) > 1:
            raise BoughError(
                "0A000",
                f'cannot drop schema "{branch}", which is a branch, together with others',
                hint="Drop each in a statement of its own.",
                detail="A branch is discarded on its own, outside the transaction of the others.",
            )
        if not what.cascade:
            raise BoughError(
                "2BP01",
                f"cannot drop schema {branch} because other objects depend on it",
                detail="It is a branch: all of its tables would go with it.",
                hint=f"Use DROP SCHEMA … CASCADE, or BRANCH DISCARD {quote(branch)}.",
            )
        into = self.merging.ends(branch)
        if into is not None and (rest := self.changes(branch, into)):
            raise BoughError(
                "55000",
                f'branch "{branch}" has changes that are not merged',
                detail="\n".join(f"{schema}.{table}: {change}" for schema, table, change in rest),
                hint=f"BRANCH MERGE {quote(branch)} merges them; BRANCH DISCARD {quote(branch)} lets go of them.",
            )
        self._run(c.DiscardBranch(branch, if_exists=what.if_exists))
        self.notice(f'branch "{branch}" is in the trash; BRANCH RESTORE {quote(branch)} brings it back')
        return done("DROP SCHEMA")

    def notice(self, text: str) -> None:
        assert self._session.connection is not None
        self._session.connection.notices.append(text)


def _viewed(what: d.CreateView) -> str | None:
    """The table of the default schema that a view is nothing but a ``SELECT *`` of."""
    query = what.query
    if not isinstance(query, exp.Select) or what.columns or not isinstance(query.expressions[0], exp.Star):
        return None
    tables = list(query.find_all(exp.Table))
    given = {key for key, value in query.args.items() if value} - {"expressions", "from_", "kind"}
    if given or len(tables) != 1 or len(query.expressions) != 1:
        return None
    name = table_name(tables[0])
    return name.name if schema_name(name.schema or "") == DEFAULT_SCHEMA and not name.catalog else None
