"""Lines: what versions advance. The trunk is line 0; every branch is a line over the trunk as of its fork point.

A ``Record`` is what the manifest stores of a line; a ``Line`` is the living thing in memory. Rules:

1. A line's catalog is replaced, never changed, and only by the transaction that commits the change.
2. ``touched`` is set before the first write to a table begins and never unset while the line lives: a reader that
   still finds a table untouched after its own snapshot was taken may read the table below as it is. A transaction that
   rolls back leaves it set; ``stored`` says what a restart will know.
3. ``base`` says since when changes count as the branch's own: the fork, or the last merge between it and its parent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from branching.engine.points import Point
from branching.errors import BoughError
from branching.model import Catalog
from branching.names import quote

TRUNK = 0
MAIN = "main"


@dataclass(frozen=True, slots=True)
class CatalogRef:
    """A line's catalog after its ``seq``-th change."""

    line: int
    seq: int


@dataclass(frozen=True, slots=True)
class Record:
    id: int
    name: str
    parent: int | None
    fork: Point  # what of the trunk the branch sees
    parent_catalog: CatalogRef  # what it started with
    base: Point  # its own changes are those hidden from this point
    base_catalog: CatalogRef
    created_at: datetime
    created_by: str
    state: str = "live"  # live, trash
    ttl: int | None = None  # seconds after the last use; None: never
    last_used_at: datetime | None = None
    last_write_at: datetime | None = None
    discarded_at: datetime | None = None
    protected: bool = False
    comment: str | None = None
    owner: str | None = None
    inherited: bool = False  # holds rows that are part of its base (forked from a branch, or merged since)


@dataclass(slots=True)
class TableUse:
    """Who writes a table of a line now, and when that last ended well. Guarded by the database's ``gate``."""

    writers: set[int] = field(default_factory=set)  # versions that write rows
    claimed_by: object | None = None  # who changes it as a whole: its shape, or all of its rows
    written: int = 0  # the database's stamp after the last commit that wrote rows
    changed: int = 0  # … that changed it as a whole
    referrers: set[int] = field(default_factory=set)  # versions that wrote rows referring to this table
    referred: int = 0
    removers: set[int] = field(default_factory=set)  # versions that removed keys others may refer to
    removed: int = 0


@dataclass(slots=True, eq=False)
class Line:
    record: Record
    catalog: Catalog
    seq: int = 0
    touched: set[int] = field(default_factory=set)  # ids of tables with rows or masks of its own
    stored: set[int] = field(default_factory=set)  # those of them that the manifest has durably
    sessions: int = 0
    writers: set[int] = field(default_factory=set)  # versions in flight on this line
    receiving: int = 0  # merges that write into it: its own base must not move
    uses: dict[int, TableUse] = field(default_factory=dict)  # by table id
    sealed: object | None = None  # the merge that is moving the line's base: nobody else may begin to write
    blocks: int = 0  # transactions that clients have opened on it
    ready: tuple[int, int] | None = None  # catalog and storage for which nothing is left to be made
    moved: int = 0  # the database's stamp after rows of it were last put elsewhere
    unnamed: int = 0  # … after the last commit that does not tell which tables it wrote: a merge's

    @property
    def id(self) -> int:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def is_trunk(self) -> bool:
        return self.record.id == TRUNK

    def need_writable(self) -> None:
        """Refuses (25006) whatever would change or end a protected line."""
        if self.record.protected:
            raise BoughError(
                "25006",
                f'branch "{self.name}" is protected',
                detail="It can be read and forked; it cannot be written, merged into, reset or discarded.",
                hint=f"BRANCH ALTER {quote(self.name)} SET (protected false) first,"
                f" or work on a branch of it: BRANCH CREATE … FROM {quote(self.name)}.",
            )
