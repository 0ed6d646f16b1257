"""Several branches as they are at one instant, for reading: what a shadow query and shadow mode compare.

Rules:

1. One engine transaction, read only, serves all branches. Whatever a writer commits is seen on all of them or on none,
   so nothing has to hold the writers up.
2. The engine takes its snapshot with ``catalog_lock`` held, so that catalogs and storage are of the same instant. What
   is planned after that sees everything that had begun by then; should a catalog change commit meanwhile, all begins
   anew.
3. An engine error ends the transaction, and with it the instant. Whoever goes on takes another snapshot, for all.
4. No branch is held: one that is discarded meanwhile is still read as it was, a later snapshot does not have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from branching.client_errors import client_error
from branching.database import Database
from branching.engine.base import Cursor, EngineError
from branching.errors import BoughError, kept_changing
from branching.model import DEFAULT_SCHEMA
from branching.names import MANIFEST_SCHEMA
from branching.resolve import Scope

_TRIES = 12
# The engine begins to read a file's state at the first statement that touches the file.
_PIN = f"SELECT 1 FROM {MANIFEST_SCHEMA}.branches LIMIT 1"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a session reads: what names mean to it, and in which zone."""

    search_path: tuple[str, ...] = (DEFAULT_SCHEMA,)
    database_names: frozenset[str] = frozenset()
    files: bool = False
    time_zone: str = "UTC"
    schema_branch: Callable[[str], str | None] = lambda _schema: None


class Snapshot:
    """Used by one thread at a time; ``interrupt`` is for the others."""

    def __init__(self, database: Database, reading: Reading) -> None:
        self._database = database
        self._reading = reading
        self.cursor: Cursor = database.root.cursor()
        self.interrupted = False
        if reading.time_zone != "UTC":
            self.cursor.set_time_zone(reading.time_zone)

    def take(self, branches: Sequence[str], tree: exp.Expr) -> dict[str, str | BoughError]:
        """A snapshot of now; the engine's text of ``tree`` on each branch, or why there is none."""
        database = self._database
        for _ in range(_TRIES):
            self.cursor.rollback()
            with database.catalog_lock:
                epoch, physical = database.epoch, database.physical
                self.cursor.begin(read_only=True)
                self.cursor.query(_PIN)
            planned: dict[str, str | BoughError] = {}
            for name in branches:
                try:
                    line = database.line(name)
                    scope = Scope(
                        database, line, line.catalog, physical, self._reading.search_path,
                        database_names=self._reading.database_names, files=self._reading.files,
                        schema_branch=self._reading.schema_branch,
                    )  # fmt: skip
                    planned[name] = database.engine.text(scope.resolve(tree.copy()))
                except BoughError as error:
                    planned[name] = error
            self.check()
            if database.stable_epoch() == epoch:
                return planned
        raise kept_changing("statement")

    def check(self) -> None:
        """57014 if somebody has interrupted."""
        if self.interrupted:
            raise BoughError(
                "57014",
                "canceling statement due to user request",
                detail="The query was stopped before it had ended.",
                hint="Run it again, with a longer statement_timeout if that was the reason.",
            )

    def interrupt(self) -> None:
        """Stops what runs and what would run next. From any thread."""
        self.interrupted = True
        self.cursor.interrupt()

    def end(self) -> None:
        """Lets the instant go; ``take`` begins another."""
        self.cursor.rollback()

    def close(self) -> None:
        self.cursor.rollback()
        self.cursor.close()


def failure(error: BoughError | EngineError) -> BoughError | EngineError:
    """The error of one branch; raises what is no branch's own: a cancel, an engine that is gone."""
    from branching.engine.base import ErrorKind

    if isinstance(error, EngineError):
        if error.kind is ErrorKind.FATAL:
            raise error
        error = client_error(error)
    if isinstance(error, BoughError) and error.sqlstate in ("57014", "40001"):
        raise error
    return error
