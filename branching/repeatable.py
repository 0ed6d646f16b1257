"""What a transaction remembers of itself so that its block can be written again (``savepoints``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.dml.deferred import Deferred
from branching.engine.base import Cursor
from branching.engine.log import Log
from branching.table_uses import TableUser
from branching.watch import Plain, Watch

if TYPE_CHECKING:
    from branching.database import Database
    from branching.lines import Line
    from branching.plans import Plan

_NOW = exp.select(exp.cast(exp.CurrentTimestamp(), "VARCHAR"))


class Repeatable(TableUser):
    """What a transaction has done and read, what it drew, and when it began."""

    cursor: Cursor

    def __init__(self, database: Database, line: Line, *, explicit: bool, token: object | None) -> None:
        super().__init__(database, line, explicit=explicit, token=token)
        self.log = Log()  # of a block: what it has done so far
        self.watch = Watch()  # and read
        self.assumed: set[Any] = set()  # by the texts of its statements
        # Tables where the engine had a choice, by id or name; True: also of which rows went.
        self.doubtful: dict[int | str, bool] = {}
        self.sequences: set[str] = set()  # counters made here
        self.drawn: dict[str, int] = {}  # the last number that a write took from a sequence
        self.defaults: dict[int, tuple[Any, exp.Expr]] = {}  # that draw, by column, as they were last put in
        self.deferred = Deferred()  # what foreign keys have still to ask
        self.marked = False  # a savepoint has been set
        self.lost = False  # its engine transaction is gone, and what it had done with it
        self.pinned = False  # the engine's transaction is not the first: reading must be told the time
        self.known_instant: str | None = None  # when the block began, if that has been asked

    def follow(self, before: Repeatable) -> None:
        """The block was begun with ``before``, which had done nothing yet."""
        self.watch.add(before.watch)
        self.deferred = before.deferred
        if before.known_instant is not None:
            self.pin(before.known_instant)

    def look(self) -> Watch | None:
        """What watches over the next statement of a block; None outside."""
        if not self.explicit:
            return None
        return Watch(self.watch.seen, self.watch.lines, self.instant)

    def read(self, plan: Plan) -> None:
        """A query of the block is about to be run."""
        if not self.explicit or plan.scope.watch is None:
            return
        self.watch.add(plan.scope.watch)
        if self.sequences and ("nextval" in plan.sql or "setval" in plan.sql):
            self.log.stop("a query has drawn numbers of a sequence that the transaction has made")

    def instant(self) -> str:
        """When the block began, as text with its offset."""
        if self.known_instant is None:
            self.known_instant = str(self.cursor.query(self.cursor.engine.text(_NOW))[0][0])
        return self.known_instant

    def pin(self, instant: str) -> None:
        """The block began then, whenever the engine's transaction did."""
        self.known_instant, self.pinned = instant, True

    def assumed_still_true(self) -> bool:
        """Whether what the texts of its writes took for granted of what is under the branch still holds."""
        return all(
            self.database.unchanged_since(item.base, item.line.record.fork)
            for item in self.assumed
            if isinstance(item, Plain)
        )
