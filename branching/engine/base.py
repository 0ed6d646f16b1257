"""What an engine gives branching: a cursor per session, transactions, and errors by kind.

Rules:

1. One ``Cursor`` belongs to one connection and is used by one thread at a time; ``interrupt`` is the exception.
2. SQL handed to a cursor names storage, never logical tables. Exactly one statement per call.
3. Every failure is an ``EngineError`` whose ``kind`` says what a caller may do; ``message`` is the engine's own
   text and never reaches a client without translation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from branching.engine.log import Log
    from branching.engine.protocol import Engine

# How statements arrive and definitions are stored, whatever the engine: sqlglot's name of that spelling. How an engine
# wants them itself its ``text`` says.
LOGICAL_DIALECT = "duckdb"


class ErrorKind(Enum):
    CONFLICT = "conflict"  # a plain retry can succeed
    CONSTRAINT = "constraint"
    INTERRUPTED = "interrupted"
    FATAL = "fatal"  # the instance must be reopened
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Broken:
    """What a CONSTRAINT error is about, as far as the engine tells.

    ``columns`` and ``values`` are of the row that broke the rule; ``columns`` is None where the engine names only
    values. ``rule`` is the text of a check. ``primary``: whether a key is the primary one, where that is known.
    """

    kind: Literal["key", "not null", "check"]
    columns: tuple[str, ...] | None = None
    values: tuple[str, ...] = ()
    rule: str = ""
    primary: bool | None = None


class EngineError(Exception):
    """``exception`` is the engine's class of error (``BinderException``), ``message`` its text."""

    def __init__(
        self, kind: ErrorKind, exception: str, message: str, sql: str = "", broken: Broken | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.broken = broken
        self.exception = exception
        self.message = message
        self.sql = sql


class OpenError(Exception):
    """The database cannot be opened; ``message`` is one clear line, ``hint`` the next step.

    ``damaged_at``: its log makes no sense from this byte on.
    """

    def __init__(self, message: str, hint: str | None = None, *, damaged_at: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.damaged_at = damaged_at


@dataclass(frozen=True, slots=True)
class ResultColumn:
    name: str
    type: str  # the engine's spelling: DECIMAL(18,4), TIMESTAMP WITH TIME ZONE, INTEGER[]


@dataclass(frozen=True, slots=True)
class Frames:
    """Ready messages, one for each row: ``data`` is any bytes-like object, ``rows`` how many are in it."""

    data: Any
    rows: int


@dataclass(frozen=True, slots=True)
class CopyForm:
    """How rows are written as CopyData messages: Postgres' text, CSV or binary. ``force_quote``: columns by number."""

    format: str = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    quote: str = '"'
    escape: str = '"'
    force_quote: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class WireFormats:
    """How a client wants its rows: format codes as Bind gives them (none, one for all, or one per column), and what it
    was told of columns whose type the engine has another name for (``jsonb``, ``oid``), by column number."""

    codes: tuple[int, ...] = ()
    declared: tuple[str | None, ...] = ()
    copy: CopyForm | None = None  # rows are wanted as the data of a COPY


Parameters = Sequence[Any]


class Returned(Protocol):
    """The rows of a write's RETURNING, kept until read."""

    @property
    def columns(self) -> tuple[ResultColumn, ...]: ...

    def rows(self) -> list[tuple[Any, ...]]: ...

    def arrow(self) -> Any:
        """The rows as a pyarrow.Table."""


class Cursor(Protocol):
    """A session: statements, transactions, and questions about what the database holds."""

    log: Log | None = None  # where it notes what it has carried out
    zone: str = "UTC"  # in which it reads and shows instants
    made: bool = False  # by its very open, out of nothing: there is nothing in the database to adopt

    @property
    def engine(self) -> Engine: ...

    def execute(self, sql: str, parameters: Parameters = ()) -> int | None:
        """Runs a statement that returns no rows to the caller; the count of rows it changed, if it counts."""

    def execute_again(self, sql: str, parameters: Parameters, types: Sequence[str]) -> int | None:
        """``execute`` of a statement that comes again and again outside a transaction: an engine may keep its plan.

        ``types``: what the statement makes of each parameter; empty where that is not known.
        """
        return self.execute(sql, parameters)

    def query(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; for internal questions with small answers."""

    def describe(self, sql: str, parameters: Parameters = ()) -> tuple[ResultColumn, ...]:
        """The columns of a query, which is bound and not run."""

    def open(
        self, sql: str, parameters: Parameters = ()
    ) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        """Starts a query; its columns, and its rows in lists as they are made."""

    def stream(
        self, sql: str, parameters: Parameters, formats: WireFormats
    ) -> tuple[tuple[ResultColumn, ...], Iterator[Any], bool]:
        """Starts a query for a client: its columns, its rows, and whether these come as ``Frames`` (large results) or
        as lists of rows (small ones)."""

    def set_time_zone(self, name: str) -> None:
        """The zone in which this cursor reads and shows instants."""

    def arrow(self, sql: str, parameters: Parameters = ()) -> Any:
        """All rows of a query as a pyarrow.Table."""

    def arrow_batches(self, sql: str, rows: int) -> Iterator[Any]:
        """A query's rows as pyarrow.RecordBatches of at most ``rows`` each, made as they are asked for."""

    def returning(self, sql: str, parameters: Parameters = ()) -> Returned:
        """Runs a write that has a RETURNING."""

    def register(self, name: str, table: Any) -> None:
        """Makes a pyarrow.Table readable under ``name`` on this cursor until ``unregister``."""

    def unregister(self, name: str) -> None: ...

    def begin(self, read_only: bool = False) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None:
        """Ends the transaction, whatever its state; a no-op where none is open."""

    def interrupt(self) -> None:
        """Stops the running statement; where none runs, the next one, unless ``forget_interrupt`` comes first."""

    @property
    def interrupt_pending(self) -> bool:
        """Whether an interrupt has stopped nothing yet: ask again, the engine may not have noticed."""

    def forget_interrupt(self) -> None:
        """What was interrupted is over: an interrupt that stopped nothing must not hit what comes next."""

    def cursor(self) -> Cursor:
        """Another session on the same database."""

    def close(self) -> None: ...

    def on_fatal(self, act: Callable[[str], None]) -> None:
        """``act`` is called once, from any thread, with the engine's text, when the database has to be opened again.

        An engine that no error ends has nothing to tell."""
        return

    def abandon(self) -> None:
        """Lets go of the database with all its cursors, without a word to it: nothing works any more."""
        self.close()

    # -- rows and versions --------------------------------------------------------------------------------------

    def write_as(self, version: int, branch: int | None = None) -> None:
        """Rows put into storage of branches by this session carry this version and branch from now on, where a
        statement gives them none."""

    def others_read(self) -> bool:
        """Whether another session may have a snapshot now: what has gone since is still there for it."""

    def checkpoint(self) -> None:
        """Folds the log into the database, where the engine has one; an EngineError if somebody is in the way."""

    def next_start(self, sequence: str, value: int, *, given: bool = False) -> None:
        """The sequence's next value is ``value``, or the one after it (``given``). Not undone by ROLLBACK."""

    # -- what is there ------------------------------------------------------------------------------------------

    def tables(self) -> frozenset[tuple[str, str]]:
        """(schema, name) of every table of the database."""

    def columns_of(self, schema: str, table: str) -> tuple[str, ...]:
        """The names of a table's columns, hidden ones too; empty if there is no such table."""

    def last_value(self, sequence: str) -> int | None:
        """The last value that a sequence (as ``Sequence.physical`` names it) has given, if it has."""

    def has_function(self, name: str) -> bool:
        """Whether a function of that name is built in."""

    def type_name(self, text: str) -> str:
        """A type as the engine itself spells it: ``INT`` is ``INTEGER``. EngineError if there is none."""
