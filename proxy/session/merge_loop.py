"""A merge as HatiData's tools do it: a branch's changed tables are listed, then each replaces main's.

1. A session that lists the BASE TABLEs of a branch schema has begun a *merge loop*: pairs of ``DROP TABLE IF EXISTS
   main.t`` for a listed table and ``CREATE TABLE main.t AS SELECT * FROM branch_….t``.
2. The DROP is held. If the CREATE that belongs to it follows, both are one merge of the branch: all of its changes or,
   where any conflicts, none. The pairs after it find nothing left to do.
3. Any other statement ends the loop, and a held DROP is carried out before it. If the client goes away instead, the
   table stays: that is a merge cut off in the middle, and the last thing to lose in it is the table.
4. Only the first statement after the listing, or after a pair, can be held, and only outside a transaction block: every
   other DROP drops at once. In a block the pair would replace a table's rows by those of the branch; it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from branching.ddl import model as d
from branching.errors import BoughError
from branching.model import DEFAULT_SCHEMA
from branching.names import quote
from branching.resolve import schema_name, table_name
from proxy.commands import Command
from proxy.commands import branch as c
from proxy.session.outcome import Outcome, done
from proxy.session.portals import PreparedStatement
from proxy.sql.prepare import Prepared
from proxy.sql.statements import Kind

if TYPE_CHECKING:
    from proxy.session.branch_schemas import BranchSchemas
    from proxy.session.session import Session

STRATEGY = "hatidata_merge_strategy"
_SELECT_STAR = frozenset({"expressions", "from_", "kind"})
_MOVES = frozenset({"search_path", "branch"})


@dataclass(frozen=True, slots=True)
class Held:
    """A DROP that waits for its CREATE: the statement, its table, and which one that was."""

    statement: d.Drop
    table: str
    id: int | None


@dataclass(slots=True)
class Loop:
    """A merge under way: the branch and the tables that were listed."""

    branch: str
    listed: frozenset[str]
    held: Held | None = None
    merged: str | None = None  # the branch it was merged into


class MergeLoop:
    """What one session has done of such a merge. Runs on the pool."""

    def __init__(self, session: Session, schemas: BranchSchemas, run: Callable[[Command], Outcome]) -> None:
        self._session = session
        self._schemas = schemas
        self._run = run
        self.loop: Loop | None = None

    def before(self, statement: PreparedStatement) -> None:
        """What is about to run, seen by a merge loop: its own next step, or its end."""
        loop = self.loop
        if loop is None:
            return
        prepared = statement.prepared
        if prepared is not None:
            if prepared.kind in (Kind.SET, Kind.SHOW) and getattr(prepared.payload, "name", "") not in _MOVES:
                return
            if self._continues(loop, prepared):
                return
        self.loop = None
        if loop.held is not None:
            self._drop_now(loop.held)

    def _continues(self, loop: Loop, prepared: Prepared) -> bool:
        what = prepared.payload
        if loop.held is not None:
            return isinstance(prepared.tree, exp.Create) and self._copied(prepared.tree) == (
                loop.branch,
                loop.held.table,
            )
        if isinstance(what, d.Drop) and what.kind == "schema":
            return [name.name for name in what.names] == [loop.branch]
        return self._holdable(loop, what) is not None

    def _holdable(self, loop: Loop, what: object) -> str | None:
        """The listed table that a DROP of the loop's form drops."""
        if not isinstance(what, d.Drop) or what.kind != "table" or not what.if_exists or what.cascade:
            return None
        if len(what.names) != 1 or self._session.transactions.block != "none":
            return None
        name = what.names[0]
        return name.name if name.schema == "main" and not name.catalog and name.name in loop.listed else None

    def _drop_now(self, held: Held) -> None:
        connection = self._session.connection
        assert connection is not None
        found = connection.catalog.find(DEFAULT_SCHEMA, held.table)
        if found is not None and found.id == held.id:  # not another one that somebody made since
            connection.execute(held.statement)

    def listing(self, tree: exp.Expr) -> None:
        """Remembers which changed tables of a branch schema a query is about to list."""
        branch = _listed_schema(tree)
        connection = self._session.connection
        self.loop = None
        if (
            branch is None
            or not self._schemas.means(branch)
            or not self._session.service.database.has_branch(branch)
        ):
            return
        if connection is not None and connection.branch != branch:
            self.loop = Loop(branch, self._schemas.changed(branch))

    def ends(self, branch: str) -> str | None:
        """The loop is over; the branch that it has merged this one into, if it has."""
        loop, self.loop = self.loop, None
        return loop.merged if loop is not None and loop.branch == branch else None

    def drop(self, what: d.Drop) -> Outcome | None:
        """Holds the DROP of a pair; None where it is an ordinary one."""
        loop = self.loop
        table = self._holdable(loop, what) if loop is not None else None
        if loop is None or table is None:
            return None
        connection = self._session.connection
        assert connection is not None
        found = connection.catalog.find(DEFAULT_SCHEMA, table)
        loop.held = Held(what, table, found.id if found is not None else None)
        self._schemas.notice(
            f'table "{table}" is dropped by the next statement, unless that creates it from branch "{loop.branch}",'
            " which is then merged"
        )
        return done("DROP TABLE")

    def create_as(self, tree: exp.Expr | None) -> Outcome | None:
        """CREATE TABLE main.t AS SELECT * FROM "branch_…"."t": the second half of a pair. None for anything else."""
        copied = self._copied(tree) if isinstance(tree, exp.Create) else None
        if copied is None:
            return None
        branch, table = copied
        loop = self.loop
        if loop is None or loop.held is None:
            if self._dropped_in_block(table):
                raise BoughError(
                    "0A000",
                    f'cannot replace table "{table}" by that of branch "{branch}" in a transaction block',
                    detail="It would lose its keys, and every row that was changed here since the fork.",
                    hint=f"ROLLBACK, then BRANCH MERGE {quote(branch)}.",
                )
            return None
        loop.held = None  # whatever becomes of the merge, the table stays
        return self._merge(loop, table)

    def _dropped_in_block(self, table: str) -> bool:
        connection = self._session.connection
        assert connection is not None
        if not connection.in_transaction or connection.catalog.find(DEFAULT_SCHEMA, table) is not None:
            return False
        committed = self._session.service.database.loaded(connection.line).catalog
        return committed.find(DEFAULT_SCHEMA, table) is not None

    def _merge(self, loop: Loop, table: str) -> Outcome:
        session = self._session
        assert session.connection is not None
        here = session.connection.branch
        if loop.merged == here and not self._schemas.changes(loop.branch, here):
            return done("SELECT 0")
        strategy = session.setting(STRATEGY) or "abort"
        try:
            outcome = self._run(c.MergeBranch(loop.branch, here, strategy=strategy))
        except BoughError as error:
            self.loop = None
            detail = f'The DROP TABLE before it was not carried out: "{table}" is as it was.'
            error.detail = f"{error.detail}\n{detail}" if error.detail else detail
            raise
        loop.merged = here
        rows = [row for row in outcome.take(0) if row[-1] != "unchanged"]
        listed = ", ".join(f"{row[0]}.{row[1]} {row[-1]}" for row in rows) or "nothing to do"
        self._schemas.notice(f'branch "{loop.branch}" was merged into "{here}": {listed}')
        count = sum(sum(row[2:5]) for row in rows if (row[0], row[1]) == (DEFAULT_SCHEMA, table))
        return done(f"SELECT {count}")

    def _copied(self, tree: exp.Create) -> tuple[str, str] | None:
        """(branch, table) of a CREATE TABLE that copies a branch's table of the same name, and all of it."""
        query = tree.expression
        if not isinstance(query, exp.Select) or not isinstance(tree.this, exp.Table):
            return None
        from_ = query.args.get("from_")
        given = {key for key, value in query.args.items() if value} - _SELECT_STAR
        made = {key for key, value in tree.args.items() if value} - {"this", "kind", "expression"}
        if made or given or from_ is None or not isinstance(from_.this, exp.Table):
            return None
        if len(query.expressions) != 1 or not isinstance(query.expressions[0], exp.Star):
            return None
        source, target = table_name(from_.this), table_name(tree.this)
        if source.catalog or target.catalog or source.name != target.name or source.schema is None:
            return None
        if schema_name(target.schema or DEFAULT_SCHEMA) != DEFAULT_SCHEMA or not self._schemas.means(
            source.schema
        ):
            return None
        return source.schema, source.name


def _listed_schema(tree: exp.Expr) -> str | None:
    """The schema whose BASE TABLEs a query of information_schema.tables lists."""
    if not isinstance(tree, exp.Select):
        return None
    tables = list(tree.find_all(exp.Table))
    where = tree.args.get("where")
    if len(tables) != 1 or where is None:
        return None
    if (tables[0].text("db").lower(), tables[0].name.lower()) != ("information_schema", "tables"):
        return None
    asked: dict[str, str] = {}
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    for part in parts:
        if not isinstance(part, exp.EQ) or not isinstance(part.this, exp.Column):
            return None
        asked[part.this.name.lower()] = part.expression.name
    if asked.pop("table_type", None) != "BASE TABLE":
        return None
    schema = asked.pop("table_schema", None)
    return schema if not asked else None
