"""What stands below ``branching``: an engine. Everything above asks it; nothing above knows which one it is.

An engine is one value without state of its own. It opens databases and says how it spells what branches are made of.
The parts of branch storage that every engine with hidden columns has alike are in ``versioned``; an engine that keeps
versions in another way implements the same methods.

Rules:

1. Text that goes to a cursor is the engine's: trees become text through ``text``, stored expressions through
   ``expression``, and the statements that make or read storage come from here.
2. What differs in kind is in ``capabilities``.
3. Names of storage are the ones of ``branching.names``; an engine maps them to what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlglot import exp

from branching.engine.base import Cursor, EngineError
from branching.engine.capabilities import Capabilities

if TYPE_CHECKING:
    from branching.database import Database
    from branching.engine.duckdb_script import Script
    from branching.engine.points import Clock, Point
    from branching.model import Column, Table
    from branching.model import Sequence as SequenceObject
    from branching.physical import BaseTable

Progress = Callable[[str], None]


class Engine(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def dialect(self) -> str:
        """sqlglot's name of the SQL that cursors take."""

    @property
    def capabilities(self) -> Capabilities: ...

    # -- databases ----------------------------------------------------------------------------------------------

    def connect(
        self, path: str, settings: Sequence[tuple[str, str]] = (), *, read_only: bool = False
    ) -> Cursor:
        """The first session on a database, made if it is missing (or ``:memory:``). Raises OpenError."""

    def adopt(self, database: Database, progress: Progress) -> None:
        """Brings what the database holds and the trunk's catalog does not know under Bough."""

    def log_size(self, path: str) -> int:
        """Bytes of a database's log that a checkpoint would fold in."""

    def export(
        self,
        database: Database,
        branch: str,
        target: Path,
        *,
        functions: Mapping[str, str],
        force: bool = False,
        progress: Progress = ...,
    ) -> Script:
        """Writes a branch as a plain database of the engine's own."""

    def load(self, database: Database, source: Path, branch: str, progress: Progress = ...) -> list[str]:
        """Makes a branch hold what a plain database holds; notes about what could not be taken over."""

    # -- text ---------------------------------------------------------------------------------------------------

    def text(self, tree: exp.Expr) -> str:
        """A tree whose names are storage's, as text for a cursor."""

    def expression(self, logical: str) -> str:
        """A stored expression (a default, a check, a generated column) as the engine spells it."""

    def rows_of_lists(self, types: Sequence[str]) -> str | None:
        """A query of the rows that its parameters give, a list for each column; None if the engine takes no lists."""

    def replace_temporary(self, name: str, query: str) -> str:
        """A statement that makes temporary table ``name`` of a query's rows, in the place of one that is there."""

    def identify(self, table: str) -> str:
        """A statement that gives a table a column of identities, one for each row that comes in."""

    def row_text(self, cells: Mapping[str, str]) -> str:
        """An expression for a whole row as text, of its columns' expressions by name."""

    def spelled(self, type_text: str, value: str) -> str:
        """An expression for the text that clients are shown of ``value``, an expression of an engine's type."""

    def digest(self, rows: str, columns: Sequence[str]) -> str:
        """A query whose answer is alike for the same ``rows`` in any order, and differs for others."""

    def explain(self, sql: str, *, analyze: bool = False, as_json: bool = False) -> str:
        """A query for the plan of another."""

    # -- storage: what makes it ---------------------------------------------------------------------------------

    def create_manifest(self) -> Iterable[str]:
        """Statements that make room for the manifest and for storage."""

    def column(self, column: Column) -> str:
        """A column's definition in CREATE TABLE (its default naming storage)."""

    def create_base(self, schema: str, name: str, table: Table) -> str:
        """A table of the trunk (its defaults naming storage)."""

    def create_delta(self, table: Table) -> str:
        """The rows of branches over a table of this shape."""

    def create_copy(self, copy: BaseTable, table: Table) -> str:
        """A table that nobody writes once it is filled: the rows of ``table``, all its columns plain ones, its keys."""

    def create_images(self, table: Table) -> str:
        """The images of rows in this shape, as of the base of a branch."""

    def create_mask(self, base: int) -> str:
        """Identities of rows of a base that branches replace or delete."""

    def create_history(self, cursor: Cursor, base: BaseTable, name: str) -> str:
        """Old images of the rows of a base, in a table called ``name``."""

    def create_ended(self, table: Table) -> str:
        """Rows that branches held in a delta of this shape, with the version that ended them."""

    def create_sequence(self, sequence: SequenceObject) -> str: ...

    def add_column(self, target: str, definition: str) -> str:
        """A column that a storage table gets if it lacks it."""

    def meets_old_versions(self, error: EngineError) -> bool:
        """Whether an index could not be made because somebody may still read older versions of the rows."""

    # -- storage: what reads and writes it ------------------------------------------------------------------------

    def fork_point(self, clock: Clock) -> Point:
        """What a fork of this instant holds; ``clock`` knows which versions this process has in flight."""

    def as_of(self, current: str, kept: str, old: str | None, point: Point) -> str:
        """The rows of a relation at a point. ``current``: a SELECT of its rows of now; ``kept``: the same columns, of
        those that ``old``, its history, has."""

    def unmasked(self, rows: str, shown: str, mask: str, branch: int) -> str:
        """``shown`` of the rows below a branch that its mask does not hold; ``rows`` is called ``_below``."""

    def changed_since(self, relation: str, old: str | None, point: Point) -> list[str]:
        """SELECTs of the identities of a relation's rows that were changed since a point."""

    def last_change(self, relation: str, old: str | None) -> str:
        """A query for the highest version that wrote a relation."""

    def touch(
        self, into: str, columns: str, rows: str, alias: str, where: str, *, branch: int, version: int
    ) -> str:
        """Copies ``columns`` of ``rows`` that match ``where`` into a branch's own."""

    def mark(self, relation: str, alias: str, where: str, version: int) -> str | None:
        """Sets the version of rows that are about to be deleted or written anew, so that whoever overtakes fails; None
        where the engine notices that by itself."""

    def delete_some(self, relation: str, where: str, limit: int) -> str:
        """Deletes at most so many of the rows that match."""

    def place(self, columns: Iterable[str]) -> str:
        """An expression for where the engine has a row now, NULL where a relation with these columns hides it."""


__all__ = ["Any", "Engine", "Progress"]
