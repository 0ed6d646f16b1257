"""How another database is reached: the protocols every connector keeps, and the values that cross them.

Rules:

1. Everything blocks, and one object is used by one thread at a time (as in ``branching``); whoever has an
   event loop calls from a worker thread. Only ``Connector.interrupt``, ``abandon`` and ``let_go`` may come from another
   thread.
2. Rows cross as ``pyarrow.RecordBatch``es in *canonical* form: a column of canonical type ``t`` has the
   Arrow type ``migration.connectors.arrow.arrow_type(t)``, whatever the engine. A reader delivers exactly
   that or raises; it never guesses, rounds or replaces.
3. Batches are pulled: nothing is read before it is asked for, so a slow writer holds its reader back and
   memory is bounded by a batch (``batch_rows`` and ``batch_bytes``, whichever is met first).
4. A ``Reader`` is one snapshot, read-only by the engine and by the grammar. Where the engine has no
   snapshots ``consistent`` is False and the report says so.
5. A ``Writer`` commits each call by itself unless ``begin`` was called. It compares the schema of what it
   is given with the target's catalog before the first byte is sent, because some wire formats carry no types.
6. ``publish`` is old or new, never between; where the engine cannot, ``Published.atomic`` is False.
7. Errors are ``MigrationError``s: ``HV00N`` unreachable, ``HV00R`` no such table, ``HV004`` a value or
   type that would not survive, ``25006`` a write where only reading is allowed, ``57014`` interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import pyarrow as pa

from migration.model import ColumnSpec, SequenceSpec, TableSpec
from migration.types import CanonicalType

Path = tuple[str, ...]
Mode = Literal["replace", "recreate", "append", "upsert", "create"]
TableKind = Literal["table", "view", "materialized view", "foreign table"]
Operator = Literal["=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null"]

BATCH_ROWS = 65_536
BATCH_BYTES = 5 << 20


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One row of SHOW TABLES; ``rows`` is the engine's own estimate."""

    schema: str
    name: str
    kind: TableKind = "table"
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What the engine's catalog knows about a column; None where it knows nothing."""

    null_fraction: float | None = None
    distinct: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteTable:
    """A table over there: its shape, and what its catalog estimates."""

    spec: TableSpec
    kind: TableKind = "table"
    rows: int | None = None
    statistics: dict[str, ColumnStatistics] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """What is read: a table by its path, or the text of one SELECT; exactly one of the two."""

    path: Path = ()
    query: str = ""

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.query):
            raise ValueError("a source is a path or a query")


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """One column to read.

    ``type`` is what arrives, in canonical form. ``expression`` is SQL of the source's dialect over the
    source's columns; None reads the column ``name`` as it is. ``spared``: a value that ``type`` cannot hold is NULL
    instead of an error, where ``Reader.misfits`` can find such values.
    """

    name: str
    type: CanonicalType
    expression: str | None = None
    spared: bool = False


@dataclass(frozen=True, slots=True)
class Misfit:
    """Values that their column's type cannot hold: how many, and up to three; ``guard`` is the condition they break."""

    column: str
    guard: str
    count: int
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition the source evaluates: ``column operator value``. ``in`` takes a tuple of values."""

    column: str
    operator: Operator
    value: Any = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What the target acknowledged. ``method`` names the path taken, as ``COPY BINARY (pgpq)``."""

    rows: int
    bytes: int
    method: str


@dataclass(frozen=True, slots=True)
class Published:
    """How the target was replaced: ``method`` in words; ``rows`` the target holds or gained."""

    method: str
    atomic: bool
    rows: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Executed:
    """What a statement did: its rows (None for DDL) and, where it returned some, its result."""

    rows: int | None
    tag: str
    committed: bool
    result: pa.Table | None = None


Answer = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of columns, and rows


class Reader(Protocol):
    """One snapshot of a datasource; a context manager."""

    consistent: bool
    snapshot: str | None  # an id another reader can join (``Connector.reader(snapshot=...)``)

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        """The columns of a table or query, from metadata and not from values; runs nothing."""

    def count(self, source: Source, where: Sequence[Predicate] = ()) -> int:
        """The number of rows, in this snapshot."""

    def read(
        self,
        source: Source,
        columns: Sequence[ReadColumn] | None = None,
        *,
        where: Sequence[Predicate] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = BATCH_BYTES,
    ) -> Iterator[pa.RecordBatch]:
        """The rows in batches; ``columns`` None means all. No row: no batch. One read at a time."""

    def fetch(self, query: str) -> pa.Table:
        """A small result (a profile, a checksum) in canonical form; one SELECT, put together by the caller."""

    def row(self, query: str) -> Sequence[Any]:
        """The one row of such a SELECT that gives texts and whole numbers only."""

    def names(self, source: Source) -> list[str] | None:
        """A query's own names, where ``describe`` refuses those that are the same (42701); None where it never does."""

    def renamed(self, source: Source, names: Sequence[str]) -> str | None:
        """A query with its columns under other names; None where those that are the same differ when they are read."""

    def misfits(self, source: Source, columns: Sequence[ReadColumn]) -> Sequence[Misfit]:
        """Values that would stop a read of ``columns``, where an engine types values and not columns."""

    def step_aside(self, target: Connector) -> None:
        """Called before ``target`` is written to: a reader whose lock would keep it away lets go of what both use."""

    def notes(self, source: Source) -> Sequence[str]:
        """What is to be known of the rows of ``source``: where there may be others that this user does not see."""

    def keeps_extremes(self, source: Source) -> bool:
        """Whether counts, or extremes, of ``source`` are known without a scan if nothing else is asked beside them."""

    def answer(self, text: str) -> Answer | None:
        """What a statement tells that reads and is no relation (``telling``); None where the engine has none."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Writer(Protocol):
    """One connection that writes; a context manager. Leaving it rolls back what was begun."""

    transactions: bool  # begin and rollback work for rows
    transactional_ddl: bool  # and for CREATE, DROP and RENAME too
    in_transaction: bool  # ``begin`` was called and not ended
    refers_late: bool  # staging can have no foreign keys: ``refers`` brings them when the table gets its name

    def begin(self) -> None:
        """Opens a transaction; 0A000 where the engine has none (``transactions`` is False)."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def execute(self, statement: str) -> int | None:
        """Runs one statement as it is; the rows it touched, None for DDL."""

    def fetch(self, query: str) -> pa.Table:
        """As ``Reader.fetch``, on this connection: sees what it has not committed."""

    def row(self, query: str) -> Sequence[Any]:
        """As ``Reader.row``, on this connection."""

    def exists(self, path: Path) -> bool: ...
    def describe(self, path: Path) -> TableSpec: ...
    def count(self, path: Path) -> int: ...
    def staging(self, target: Path, job: str) -> Path:
        """The name of ``target``'s staging table for a job; beside it, within the length limit."""

    def create_like(self, staging: Path, target: Path) -> None:
        """An empty table with the columns, keys and defaults of ``target``, so that a swap loses nothing."""

    def counts(self, columns: Sequence[str]) -> None:
        """These columns of the new table are to give numbers of their own, where no statement can say so."""

    def refers(self, statements: Sequence[str]) -> None:
        """The new table has references, with which these ``statements`` make it."""

    def read_staging(self, path: Path, columns: Sequence[ReadColumn]) -> Iterator[pa.RecordBatch] | None:
        """Staged rows that only this connection sees; None where any reader sees them."""

    def check(self, path: Path, schema: pa.Schema) -> None:
        """Raises HV004 where ``write`` could not store a column of ``schema`` exactly."""

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        """Appends batches (all of one schema) to a table by the fastest exact way."""

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        """Makes the staged rows the target's: replace, append, upsert by ``key``, or create (42P07 if there).

        ``recreate`` is a replace that takes the staging table's columns and keys too. The staging table is gone
        afterwards. A missing target is created from it in every mode.
        """

    def has_published(self, staging: Path, rows: int) -> bool | None:
        """Whether ``publish`` has shown the ``rows`` of a staging table, asked after it broke off; None where an engine
        leaves no trace."""

    def check_recreate(self, staging: Path, target: Path) -> bool:
        """Whether ``recreate`` gives the target another shape; 2BP01 where something on it would be lost."""

    def drop(self, path: Path) -> None:
        """Drops a table if it exists."""

    def leftovers(self, schema: str | None = None) -> tuple[Path, ...]:
        """Every staging table that is there; which jobs still run is the caller's knowledge."""

    def cleanup(self, job: str | None = None, schema: str | None = None) -> tuple[Path, ...]:
        """Drops the leftover staging tables of one job, or of all."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Connector(Protocol):
    """One datasource, opened. ``dialect`` is the name of its contract in ``migration.dialects``."""

    name: str
    dialect: str
    read_only: bool
    taken_rows: int  # what its writer makes of a batch at once: a larger one would only be cut
    # Whether a text has the length that its column declares, though ``dialect`` knows none.
    keeps_lengths: bool
    charset: str | None  # of all its texts, once a session has told, if it is not all of Unicode
    keeps_snapshots: bool  # ``pin`` and ``unpin`` work

    @property
    def options(self) -> Mapping[str, str] | None:
        """How it is reached; None where that is not chosen, as of a branch."""

    @property
    def seen_version(self) -> str | None:
        """The version as the last session was told it, None where sessions are told nothing."""

    def version(self) -> str: ...
    def test(self) -> None:
        """Connects and asks for the version; HV00N says why not."""

    def databases(self) -> list[str]: ...
    def schemas(self) -> list[str]: ...
    def tables(self, schema: str | None = None) -> list[TableEntry]: ...
    def describe(self, path: Path) -> RemoteTable:
        """A table or view; HV00R if there is none. ``path`` may omit the schema."""

    def target_notes(self, path: Path, *, kept: bool) -> tuple[str, ...]:
        """What is to be known before rows go to ``path``; 0A000 where they would not stay. ``kept``: the table that is
        there keeps its definition."""

    def definition(self, path: Path) -> str | None:
        """The engine's own CREATE TABLE text, None where it has none to give."""

    def reader(self, snapshot: str | None = None) -> Reader:
        """A new snapshot, or another connection on an exported one."""

    def pin(self, holder: str) -> str:
        """Keeps what is there now; the result is a snapshot for ``reader``, also after a restart. 55P03 while writers
        do not let it."""

    def unpin(self, snapshot: str) -> None:
        """Lets go of what ``pin`` keeps."""

    def count_on(self, path: Path, column: str) -> int | None:
        """Generated numbers of a column go on behind those in the table: where, None if it generates none."""

    def sequences(self, schema: str) -> Sequence[SequenceSpec]:
        """Those that belong to no column."""

    def make_sequence(self, path: Path, found: SequenceSpec) -> bool:
        """A sequence like that one, behind its last number; False where none is made."""

    def refuse_writing(self) -> None:
        """25006 where nothing is written here: the datasource is read-only, the branch protected; 0A000 where nothing
        can be."""

    def writer(self) -> Writer:
        """A connection that writes; 25006 where the datasource is read-only."""

    def execute(
        self, statement: str, *, dry_run: bool = False, rows_between: tuple[int, int] | None = None
    ) -> Executed:
        """One statement of DDL or DML; the guard is judged before COMMIT, a dry run never commits."""

    def interrupt(self) -> None:
        """Stops what this connector's readers and writers are doing; from any thread."""

    def abandon(self) -> None:
        """Cuts the connections of a server that does not answer: who waits for it has an error. Waits for nothing."""

    def let_go(self) -> None:
        """Who waits for a session waits no longer (57014)."""

    def close(self) -> None: ...
