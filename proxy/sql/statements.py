"""Statements that are not queries, as frozen values read from Postgres' own parse tree.

Nobody above needs a parser for them. Statements that change the catalog are not here: they are
``branching.ddl.model``, because branching carries them out. Inner statements (PREPARE, DECLARE, EXPLAIN,
COPY) are kept as text with their offset, to be parsed like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import Literal

from branching.ddl.model import Ddl, Name
from proxy.sql.split import Source


@unique
class Kind(Enum):
    """What a statement is; the value is its command tag without counts."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    MERGE = "MERGE"
    TRUNCATE = "TRUNCATE TABLE"
    CREATE_TABLE = "CREATE TABLE"
    CREATE_TABLE_AS = "CREATE TABLE AS"
    ALTER_TABLE = "ALTER TABLE"
    DROP = "DROP"
    CREATE_VIEW = "CREATE VIEW"
    CREATE_INDEX = "CREATE INDEX"
    CREATE_SEQUENCE = "CREATE SEQUENCE"
    ALTER_SEQUENCE = "ALTER SEQUENCE"
    CREATE_SCHEMA = "CREATE SCHEMA"
    ALTER_SCHEMA = "ALTER SCHEMA"
    CREATE_MACRO = "CREATE MACRO"
    COMMENT = "COMMENT"
    COPY = "COPY"
    EXPLAIN = "EXPLAIN"
    SET = "SET"
    RESET = "RESET"
    SHOW = "SHOW"
    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    SAVEPOINT = "SAVEPOINT"
    RELEASE = "RELEASE"
    ROLLBACK_TO = "ROLLBACK TO"
    SET_TRANSACTION = "SET TRANSACTION"
    SET_CONSTRAINTS = "SET CONSTRAINTS"
    PREPARE = "PREPARE"
    EXECUTE = "EXECUTE"
    DEALLOCATE = "DEALLOCATE"
    DECLARE = "DECLARE CURSOR"
    FETCH = "FETCH"
    MOVE = "MOVE"
    CLOSE = "CLOSE CURSOR"
    DISCARD = "DISCARD"
    LISTEN = "LISTEN"
    UNLISTEN = "UNLISTEN"
    NOTIFY = "NOTIFY"
    VACUUM = "VACUUM"
    ANALYZE = "ANALYZE"
    CHECKPOINT = "CHECKPOINT"
    REINDEX = "REINDEX"
    LOCK = "LOCK TABLE"
    CALL = "CALL"
    DO = "DO"
    GRANT = "GRANT"
    REVOKE = "REVOKE"
    CREATE_ROLE = "CREATE ROLE"
    ALTER_ROLE = "ALTER ROLE"
    DROP_ROLE = "DROP ROLE"
    CREATE_DATABASE = "CREATE DATABASE"
    DROP_DATABASE = "DROP DATABASE"
    ALTER_DATABASE = "ALTER DATABASE"
    ALTER_SYSTEM = "ALTER SYSTEM"
    CREATE_EXTENSION = "CREATE EXTENSION"
    PIVOT = "PIVOT"
    SUMMARIZE = "SUMMARIZE"
    DESCRIBE = "DESCRIBE"


@dataclass(frozen=True, slots=True)
class SetVariable:
    """SET [LOCAL] name = value, …; ``values`` is None for TO DEFAULT."""

    name: str
    values: tuple[str, ...] | None
    local: bool = False

    @property
    def value(self) -> str | None:
        """The values as one text, as ``SHOW`` gives it back."""
        return None if self.values is None else ", ".join(self.values)


@dataclass(frozen=True, slots=True)
class ResetVariable:
    """RESET name; ``name`` is None for RESET ALL."""

    name: str | None


@dataclass(frozen=True, slots=True)
class ShowVariable:
    """SHOW name; ``all`` is the name of SHOW ALL."""

    name: str


IsolationLevel = Literal["read uncommitted", "read committed", "repeatable read", "serializable"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """BEGIN, START TRANSACTION, COMMIT, END, ROLLBACK, ABORT; SET TRANSACTION / SESSION CHARACTERISTICS."""

    isolation: IsolationLevel | None = None
    read_only: bool | None = None
    deferrable: bool | None = None
    chain: bool = False
    session: bool = False  # SET SESSION CHARACTERISTICS AS TRANSACTION


@dataclass(frozen=True, slots=True)
class Savepoint:
    """SAVEPOINT, RELEASE, ROLLBACK TO: which one is the statement's kind."""

    name: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """``types`` are as declared in Postgres' spelling (``pg_catalog.int4`` -> ``integer``)."""

    name: str
    types: tuple[str, ...]
    inner: Source


@dataclass(frozen=True, slots=True)
class Execute:
    """``arguments`` are expressions as Postgres text."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deallocate:
    """``name`` is None for DEALLOCATE ALL."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Declare:
    name: str
    inner: Source
    scroll: bool | None = None  # None: not said
    hold: bool = False
    binary: bool = False
    insensitive: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and MOVE. ``count`` None means ALL; with ABSOLUTE and RELATIVE it is the position."""

    cursor: str
    direction: Literal["forward", "backward", "absolute", "relative"] = "forward"
    count: int | None = 1


@dataclass(frozen=True, slots=True)
class Close:
    """``cursor`` is None for CLOSE ALL."""

    cursor: str | None


@dataclass(frozen=True, slots=True)
class Discard:
    what: Literal["all", "plans", "sequences", "temp"]


@dataclass(frozen=True, slots=True)
class SetConstraints:
    """SET CONSTRAINTS names (None: ALL) DEFERRED or IMMEDIATE."""

    names: tuple[Name, ...] | None
    deferred: bool


@dataclass(frozen=True, slots=True)
class Channel:
    """LISTEN, UNLISTEN (``name`` None for ``*``), NOTIFY."""

    name: str | None
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY. ``target`` or ``query``; ``filename`` None means STDIN or STDOUT. Option names are lower case;
    flags without a value are ``True``, column lists tuples."""

    target: Name | None
    query: Source | None
    columns: tuple[str, ...]
    from_client: bool  # COPY … FROM
    filename: str | None
    program: bool
    options: tuple[tuple[str, str | bool | tuple[str, ...]], ...] = ()
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Explain:
    """Option names are lower case; flags without a value are ``True``."""

    inner: Source
    options: tuple[tuple[str, str | bool], ...] = ()

    @property
    def analyze(self) -> bool:
        """Whether the inner statement runs."""
        return any(
            name == "analyze" and str(value).lower() in ("true", "on", "1") for name, value in self.options
        )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """VACUUM, ANALYZE, CHECKPOINT, REINDEX, LOCK: names only."""

    tables: tuple[Name, ...] = ()
    columns: tuple[tuple[Name, str], ...] = ()  # those that are named, with their tables


@dataclass(frozen=True, slots=True)
class Database:
    """CREATE, DROP, ALTER DATABASE. ``owner`` and the like are in ``options``."""

    name: str
    template: str | None = None
    if_exists: bool = False
    force: bool = False
    rename_to: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """GRANT and REVOKE, as Postgres text without passwords: which is the statement's kind."""

    privileges: tuple[str, ...]
    object_kind: str
    objects: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """CREATE, ALTER, DROP ROLE or USER. Never log ``options``: a password may be among them."""

    names: tuple[str, ...]
    options: tuple[tuple[str, str | bool], ...] = ()
    if_exists: bool = False

    def __repr__(self) -> str:
        return f"Role(names={self.names!r})"


@dataclass(frozen=True, slots=True)
class Extension:
    """CREATE EXTENSION: accepted where the functions are built in, refused otherwise."""

    name: str
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """A statement known by its kind alone (SET CONSTRAINTS, ALTER SYSTEM, CALL, DO)."""


Utility = (
    SetVariable
    | ResetVariable
    | ShowVariable
    | Transaction
    | Savepoint
    | SetConstraints
    | Prepare
    | Execute
    | Deallocate
    | Declare
    | Fetch
    | Close
    | Discard
    | Channel
    | Copy
    | Explain
    | Maintenance
    | Database
    | Grant
    | Role
    | Extension
    | Empty
)
Payload = Utility | Ddl
