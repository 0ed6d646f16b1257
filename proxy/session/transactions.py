"""Transaction blocks as a client sees them: BEGIN to COMMIT, implicit blocks, savepoints, the failed state.

Savepoints: a block goes back to one as ``branching.savepoints`` says, exactly or not at all; where it cannot, the
refusal fails the block, and nothing is half undone. RELEASE undoes nothing and always works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from branching import savepoints
from branching.dml import deferred
from branching.errors import BoughError
from branching.savepoints import Mark
from proxy.gucs import no_serializable
from proxy.session.outcome import Outcome, done
from proxy.sql.statements import Kind, SetConstraints, Transaction

if TYPE_CHECKING:
    from proxy.session.session import Session

Block = Literal["none", "explicit", "implicit"]


@dataclass(slots=True)
class Savepoint:
    name: str
    mark: Mark
    cursors: frozenset[str]


class Transactions:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.block: Block = "none"
        self.failed = False
        self._savepoints: list[Savepoint] = []
        self.read_only = False

    @property
    def status(self) -> Literal["I", "T", "E"]:
        if self.failed and self.block != "none":
            return "E"
        return "T" if self.block == "explicit" else "I"

    def need_writable(self, what: str = "a write") -> None:
        """Refuses what would write in a read-only block, or outside any in a session whose transactions are."""
        read_only = self.read_only if self.block != "none" else self._default_read_only()
        if read_only:
            outside = self.block == "none"
            raise BoughError(
                "25006",
                f"cannot execute {what} in a read-only transaction",
                detail=f"{'default_transaction_read_only is on' if outside else 'The block was begun READ ONLY'}.",
                hint="SET default_transaction_read_only = off."
                if outside
                else "ROLLBACK, and BEGIN READ WRITE.",
            )

    def fail(self) -> None:
        """A statement failed: the block, if there is one, is aborted."""
        if self.block != "none":
            self.failed = True

    def check(self) -> None:
        if self.failed:
            raise BoughError(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
                hint="ROLLBACK.",
                detail="A statement before this one failed.",
            )

    # -- blocks -----------------------------------------------------------------------------------------------

    def begin_implicit(self) -> None:
        """Several statements are about to stand or fall together."""
        if self.block == "none":
            self._begin("implicit", read_only=self._default_read_only())

    def end_implicit(self, *, failed: bool) -> None:
        if self.block == "implicit":
            if failed or self.failed:
                self._rollback()
            else:
                self._commit()

    def _default_read_only(self) -> bool:
        return self._session.setting("default_transaction_read_only") == "on"

    def _begin(self, block: Block, *, read_only: bool) -> None:
        session = self._session
        connection = session.prepare_connection()
        connection.begin(read_only)
        session.settings.begin()
        self.block = block
        self.failed = False
        self.read_only = read_only
        self._savepoints.clear()

    def _end(self) -> None:
        self.block = "none"
        self.failed = False
        self.read_only = False
        self._savepoints.clear()
        self._session.statements.end_of_transaction()

    def _commit(self) -> None:
        session = self._session
        assert session.connection is not None
        try:
            session.connection.commit()
        except BaseException:
            session.settings.rollback()
            self._end()
            session.follow_branch_setting()
            raise
        session.settings.commit()
        self._end()
        session.follow_branch_setting()

    def _rollback(self) -> None:
        session = self._session
        assert session.connection is not None
        session.connection.rollback()
        session.settings.rollback()
        self._end()
        session.follow_branch_setting()

    # -- statements -------------------------------------------------------------------------------------------

    def run(self, kind: Kind, what: Transaction) -> Outcome:
        """BEGIN, COMMIT, ROLLBACK, SET TRANSACTION."""
        if what.isolation == "serializable":
            raise no_serializable()
        connection = self._session.connection
        assert connection is not None
        if kind is Kind.BEGIN:
            read_only = self._default_read_only() if what.read_only is None else what.read_only
            if self.block == "explicit":
                connection.notices.append("WARNING: there is already a transaction in progress")
                return done("BEGIN")
            if self.block == "implicit":
                self.block = "explicit"
                return done("BEGIN")
            self._begin("explicit", read_only=read_only)
            return done("BEGIN")
        if kind is Kind.SET_TRANSACTION:
            self._characteristics(what)
            return done("SET")
        chained, read_only = what.chain, self.read_only
        if kind is Kind.COMMIT:
            tag = self._end_block("COMMIT", commit=not self.failed)
        else:
            tag = self._end_block("ROLLBACK", commit=False)
        if chained:
            self._begin("explicit", read_only=read_only)
        return done(tag)

    def _end_block(self, word: str, *, commit: bool) -> str:
        connection = self._session.connection
        assert connection is not None
        if self.block == "none":
            connection.notices.append("WARNING: there is no transaction in progress")
            return word
        if commit:
            self._commit()
            return "COMMIT"
        self._rollback()
        return "ROLLBACK"

    def _characteristics(self, what: Transaction) -> None:
        session = self._session
        if what.session:
            if what.read_only is not None:
                session.settings.set("default_transaction_read_only", "on" if what.read_only else "off")
            if what.isolation is not None:
                session.settings.set("default_transaction_isolation", what.isolation)
            return
        if what.read_only is not None and self.block != "none" and what.read_only != self.read_only:
            assert session.connection is not None
            if session.connection.has_written:
                raise BoughError(
                    "25001",
                    "transaction read-write mode must be set before any query",
                    detail="The transaction has written already.",
                    hint="Say READ ONLY or READ WRITE in BEGIN.",
                )
            session.connection.rollback()
            session.connection.begin(what.read_only)
            self.read_only = what.read_only

    def set_constraints(self, what: SetConstraints) -> Outcome:
        """SET CONSTRAINTS: when deferrable foreign keys are checked, for the rest of the block."""
        connection = self._session.connection
        assert connection is not None
        if self.block == "none":
            connection.notices.append("WARNING: SET CONSTRAINTS can only be used in transaction blocks")
        else:
            deferred.set_constraints(connection, what.names, deferred=what.deferred)
        return done("SET CONSTRAINTS")

    # -- savepoints ---------------------------------------------------------------------------------------------

    def savepoint(self, kind: Kind, name: str) -> Outcome:
        if self.block != "explicit":
            raise BoughError(
                "25P01",
                f"{'SAVEPOINT' if kind is Kind.SAVEPOINT else kind.value} can only be used in transaction blocks",
                detail="No block is open.",
                hint="BEGIN opens one.",
            )
        if kind is Kind.SAVEPOINT:
            self.check()
            connection = self._session.connection
            assert connection is not None
            cursors = frozenset(self._session.statements.cursors)
            self._savepoints.append(Savepoint(name, savepoints.mark(connection), cursors))
            self._session.settings.savepoint(name)
            return done("SAVEPOINT")
        index = self._find(name)
        if kind is Kind.RELEASE:
            self.check()
            del self._savepoints[index:]
            self._session.settings.release(name)
            return done("RELEASE")
        self._go_back(index)
        self._session.settings.rollback_to(name)
        return done("ROLLBACK")

    def _find(self, name: str) -> int:
        for index in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[index].name == name:
                return index
        raise BoughError(
            "3B001",
            f'savepoint "{name}" does not exist',
            detail="It was never set in this block, or was released or rolled back since.",
            hint="SAVEPOINT sets one.",
        )

    def _go_back(self, index: int) -> None:
        savepoint = self._savepoints[index]
        connection = self._session.connection
        assert connection is not None
        savepoints.go_back(connection, savepoint.mark)
        self.failed = False
        cursors = self._session.statements.cursors
        for name in set(cursors) - savepoint.cursors:
            del cursors[name]
        del self._savepoints[index + 1 :]
