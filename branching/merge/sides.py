"""The three states of a merge: the source, what both sides come from, and the target, as SQL over storage.

Two cases give the base:

- **into the parent**: the branch's own changes since its base (the fork or the last merge), whose images it kept;
- **elsewhere**: what the branch was at its last merge into that target (kept as a line of state ``base``), or, at the
  first merge, the trunk as of the branch's fork.

Either way only rows the source changed are listed: the cost of a merge follows the changes, not the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

from branching import names, overlay
from branching.engine.points import Point
from branching.lines import TRUNK, CatalogRef, Line
from branching.model import Catalog, Table
from branching.names import BRANCH, RID, VERSION
from branching.physical import Physical

if TYPE_CHECKING:
    from branching.database import Database

PAIR = "base"  # state of a line that keeps what a branch was at its last merge into another
UNDO = "undo"  # state of a line that keeps what a merge's target was before it, or what the merge made of it


@dataclass(frozen=True, slots=True)
class Rows:
    """The changed rows of one table: their identities, and each state as a SELECT of columns and identity.

    ``unmoved``: SQL over a row's ``bver`` (who took its image) and ``tver`` (who wrote it on the target) that is true
    only where the target's row is still the image; None where versions alone do not tell.
    """

    rids: str
    base: str
    source: str
    unmoved: str | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """Source and base of a merge."""

    database: Database
    physical: Physical
    source: Line
    base_line: Line | None  # None: the source's own changes since its base

    @property
    def base_catalog(self) -> Catalog:
        if self.base_line is None:
            return self.database.base_catalog(self.source)
        return self.base_line.catalog

    def still_true(self) -> bool:
        """Whether what is read is kept; asked after the engine's snapshot was taken."""
        return True

    def source_catalog(self, now: Catalog) -> Catalog:
        """The source's catalog, which is ``now`` in the snapshot."""
        return now

    def visible(self, table: Table, line: Line) -> str:
        """All rows of ``table`` on ``line`` with their identities."""
        return overlay.visible(
            table, line, self.physical, plain=False, touched=table.id in line.touched, hidden=True
        )

    def rows(self, base: Table | None, source: Table | None) -> Rows:
        """The changed rows of a table that is ``base`` in the base and ``source`` on the source."""
        if base is None:
            assert source is not None
            visible = self.visible(source, self.source)
            return Rows(
                f"SELECT {RID} FROM ({visible}) AS _all", overlay.nothing(source, hidden=True), visible
            )
        if self.base_line is None:
            return self._own(base, source)
        return self._between(base, source, self.base_line)

    def _own(self, base: Table, source: Table | None) -> Rows:
        line = self.source
        hidden = line.record.base.hidden(VERSION)
        images, delta = names.before(base.storage.shape), names.delta((source or base).storage.shape)
        before = overlay.nothing(base, hidden=True)
        if self.physical.has(images):
            listed = names.columns(base.stored)
            before = (
                f"SELECT DISTINCT ON ({RID}) {listed}, {RID}, {VERSION} FROM {images}"
                f" WHERE {BRANCH} = {line.id} AND {hidden}"
            )
        now = []
        rids = f"SELECT {RID} FROM ({before}) AS _images"
        if source is not None and self.physical.has(delta):
            now.append(overlay.own(source, line))
            rids += f" UNION SELECT {RID} FROM {delta} WHERE {BRANCH} = {line.id} AND {hidden}"
        if source is not None and overlay.reads_copy(source, self.physical):
            kept = overlay.unmasked(source, line, self.physical, plain=True)
            now.append(f"SELECT * FROM ({kept}) AS _kept WHERE {hidden}")
            rids += f" UNION SELECT {RID} FROM ({kept}) AS _kept WHERE {hidden}"
        rows = " UNION ALL ".join(now) or overlay.nothing(source or base, hidden=True)
        return Rows(rids, before, rows, self._unmoved(images))

    def _unmoved(self, images: str) -> str | None:
        """A row the trunk has not written since the fork is its image: the other columns need not be read again.

        Not after a merge: the image is then what the branch had. Nor if the image is from before this file was opened:
        what plain DuckDB has changed in between keeps its version.
        """
        record = self.source.record
        if record.inherited or record.parent != TRUNK or not self.physical.has(images):
            return None
        return f"(bver > {self.database.opened} AND {record.fork.visible('tver')})"

    def _between(self, base: Table, source: Table | None, base_line: Line) -> Rows:
        line = self.source
        if source is not None and base.storage.base != source.storage.base:
            # One side has a copy, or the trunk has put another table in its place: nothing tells which rows differ.
            both = self.visible(base, base_line), self.visible(source, line)
            return Rows(" UNION ".join(f"SELECT {RID} FROM ({side}) AS _side" for side in both), *both)
        found = [
            f"SELECT {RID} FROM {name} WHERE {BRANCH} = {who}" for name, who in self._touched(base, source)
        ]
        lines = [item for item in (line, base_line) if not item.is_trunk]
        if len(lines) == 1 or len({item.record.fork for item in lines}) > 1:
            below = {table.storage.base for table in (base, source) if table is not None}
            for identifier in sorted(item for item in below if self._is_written(item)):
                for item in lines:
                    found += moved(self.physical, identifier, item.record.fork)
        rids = " UNION ".join(found) or f"SELECT CAST(NULL AS BIGINT) AS {RID} WHERE false"
        only = f"{RID} IN ({rids})"
        before = f"SELECT * FROM ({self.visible(base, base_line)}) AS _before WHERE {only}"
        now = overlay.nothing(source or base, hidden=True)
        if source is not None:
            now = f"SELECT * FROM ({self.visible(source, line)}) AS _now WHERE {only}"
        return Rows(rids, before, now)

    def _is_written(self, base: int | None) -> TypeGuard[int]:
        return base is not None and not self.physical.bases[base].is_copy

    def _touched(self, base: Table, source: Table | None) -> list[tuple[str, int]]:
        lines = [self.source.id] + ([self.base_line.id] if self.base_line is not None else [])
        tables = {names.delta(table.storage.shape) for table in (base, source) if table is not None}
        tables |= {
            names.mask(table.storage.base)
            for table in (base, source)
            if table is not None and table.storage.base is not None
        }
        return [(name, who) for name in sorted(tables) if self.physical.has(name) for who in lines]


def moved(physical: Physical, base: int, point: Point) -> list[str]:
    """SELECTs of the identities of trunk rows changed since ``point``."""
    return physical.engine.changed_since(physical.bases[base].sql, physical.history(base), point)


def sides_of(database: Database, physical: Physical, source: Line, target: Line) -> Sides:
    """The sides of a merge of ``source`` into ``target``."""
    if source.record.parent == target.id:
        return Sides(database, physical, source, None)
    return Sides(
        database, physical, source, pair_base(database, source, target) or fork_line(database, source)
    )


def pair_name(source: Line, target: Line) -> str:
    return f"{source.id} into {target.id}"


def pair_base(database: Database, source: Line, target: Line) -> Line | None:
    """What ``source`` was when it was last merged into ``target``."""
    wanted = pair_name(source, target)
    for line in database.trash.values():
        if line.record.state == PAIR and line.record.name == wanted:
            return database.loaded(line)
    return None


def fork_line(database: Database, source: Line) -> Line:
    """The trunk as of the source's fork, as a line that has changed nothing."""
    root = source
    while root.record.parent not in (None, TRUNK):
        parent = root.record.parent or TRUNK
        root = database.lines.get(parent) or database.trash[parent]
    moved = root.record.base_catalog.line == TRUNK
    ref = root.record.base_catalog if moved else root.record.parent_catalog
    if ref.line != TRUNK:
        ref = CatalogRef(TRUNK, 0)
    record = replace(source.record, base=source.record.fork, base_catalog=ref, inherited=False)
    return Line(record, database.catalog_at(ref))


def target_rows(sides: Sides, base: Table, target: Table, line: Line) -> Rows:
    """What the target changed in a table since the base: for drops, which must not take changed values with them."""
    if line.is_trunk and target.storage.base is not None:
        point = sides.source.record.base if sides.base_line is None else sides.base_line.record.fork
        found = moved(sides.physical, target.storage.base, point)
        before = overlay.below(target, sides.physical, point, plain=False)
        now = sides.visible(target, line)
        rids = " UNION ".join(found)
        only = f"{RID} IN ({rids})"
        return Rows(
            rids,
            f"SELECT * FROM ({before}) AS _before WHERE {only}",
            f"SELECT * FROM ({now}) AS _now WHERE {only}",
        )
    if sides.base_line is not None:
        return replace(sides, source=line).rows(base, target)
    since = replace(line.record, base=sides.source.record.base)
    there = Line(since, line.catalog, touched=line.touched)
    imaged = next((item for item in sides.database.base_catalog(line).tables() if item.id == target.id), None)
    if imaged is None:
        hidden = since.base.hidden(VERSION)
        visible = sides.visible(target, line)
        return Rows(
            f"SELECT {RID} FROM ({visible}) AS _all WHERE {hidden}",
            overlay.nothing(target, hidden=True),
            visible,
        )
    return Sides(sides.database, sides.physical, there, None).rows(imaged, target)
