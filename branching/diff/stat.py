"""How much of each table differs, counted in rows and in cells, as Dolt's ``dolt_diff_stat`` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branching.diff.changes import Comparison, Named, Pair, comparison, counts_of, summary_of
from branching.diff.past import NOW, Moments

if TYPE_CHECKING:
    from branching.connection import Connection


@dataclass(frozen=True, slots=True)
class TableStat:
    """A row of ``bough.diff_stat``: how much of a table changed, in rows and in cells."""

    schema: str
    table: str
    rows_unmodified: int
    rows_added: int
    rows_deleted: int
    rows_modified: int
    cells_added: int
    cells_deleted: int
    cells_modified: int
    old_row_count: int
    new_row_count: int
    old_cell_count: int
    new_cell_count: int


def stat(
    connection: Connection,
    branch: str,
    table: Named | None = None,
    against: str | None = None,
    *,
    moments: Moments = NOW,
) -> list[TableStat]:
    """The tables that differ (or one of them), with all of their rows and cells counted."""
    with comparison(connection.database, branch, against, moments=moments) as compared:
        pairs = compared.pairs() if table is None else [compared.pair(table)]
        return [_stat(compared, pair) for pair in pairs if table or summary_of(compared, pair) is not None]


def _stat(compared: Comparison, pair: Pair) -> TableStat:
    counts = counts_of(compared, pair) if compared.may_differ(pair) else (0, 0, 0, 0)
    added, removed, modified, cells = counts
    new = 0
    if pair.after is not None:
        visible = compared.sides.visible(pair.after, compared.sides.source)
        new = compared.cursor.query(f"SELECT count(*) FROM ({visible}) AS _all")[0][0]
    old, kept = new - added + removed, new - added
    mine = {column.id for column in pair.after.columns} if pair.after else set()
    theirs = {column.id for column in pair.before.columns} if pair.before else set()
    return TableStat(
        pair.shown.schema, pair.shown.name, kept - modified, added, removed, modified,
        added * len(mine) + kept * len(mine - theirs), removed * len(theirs) + kept * len(theirs - mine), cells,
        old, new, old * len(theirs), new * len(mine),
    )  # fmt: skip
