"""The sides of a diff between moments: a branch as it was, or is, against another (or itself) as it was.

Rows are matched by identity. Those with the same version on both sides are the same and are not looked at; finding
the others reads identities and versions of the whole table, unlike a diff against a merge base, which only reads what
changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from branching import overlay
from branching.database import Database
from branching.lines import Line
from branching.merge.sides import Rows, Sides
from branching.model import Catalog, Table
from branching.names import RID, VERSION
from branching.past import moments as timetravel
from branching.past import rows as past_rows
from branching.past.moments import Moment, Reached
from branching.physical import Physical


@dataclass(frozen=True, slots=True)
class Moments:
    """When each side of a diff is looked at; None: now."""

    branch: Moment | None = None
    against: Moment | None = None

    @property
    def past(self) -> bool:
        return self.branch is not None or self.against is not None


NOW = Moments()


@dataclass(frozen=True, slots=True)
class PastSides(Sides):
    """``source`` and ``base_line`` as they were, where they are not wanted as they are."""

    source_then: Reached | None = None
    base_then: Reached | None = None

    def still_true(self) -> bool:
        return all(
            then is None or then.still_true(self.database) for then in (self.source_then, self.base_then)
        )

    def source_catalog(self, now: Catalog) -> Catalog:
        then = self.source_then
        return now if then is None else timetravel.catalog_of(self.database, then)

    def visible(self, table: Table, line: Line) -> str:
        then = self.base_then if line is self.base_line else self.source_then
        if then is None:
            return Sides.visible(self, table, line)
        return past_rows.rows_sql(self.database, self.physical, then, table, hidden=True)

    def rows(self, base: Table | None, source: Table | None) -> Rows:
        assert self.base_line is not None
        before = None if base is None else self.visible(base, self.base_line)
        after = None if source is None else self.visible(source, self.source)
        shape = source or base
        assert shape is not None
        if before is None or after is None:
            only = before or after
            rids = f"SELECT {RID} FROM ({only}) AS _all"
        else:
            old, new = (f"SELECT {RID}, {VERSION} FROM ({side}) AS _side" for side in (before, after))
            rids = f"SELECT {RID} FROM (({old} EXCEPT {new}) UNION ALL ({new} EXCEPT {old})) AS _moved"
        return Rows(
            rids,
            before or overlay.nothing(shape, hidden=True),
            after or overlay.nothing(shape, hidden=True),
        )


def past_sides(
    database: Database, physical: Physical, line: Line, other: Line, moments: Moments
) -> PastSides:
    """``line`` against ``other`` at their moments. 22023 where a moment is no longer kept."""
    source_then, base_then = (
        None if moment is None else timetravel.reach(database, of, moment)
        for of, moment in ((line, moments.branch), (other, moments.against))
    )
    catalog = database.loaded(other).catalog
    if base_then is not None:
        catalog = timetravel.catalog_of(database, base_then)
    # A line of its own: both sides may be the same branch at two moments.
    base_line = Line(other.record, catalog, other.seq, set(other.touched))
    return PastSides(database, physical, line, base_line, source_then, base_then)
