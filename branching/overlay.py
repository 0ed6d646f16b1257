"""What a branch sees of a table, as SQL: the base as of the fork, less what the branch replaced, plus its own rows.

Every function returns the text of a SELECT over storage. Rules:

1. The trunk's own tables are read as they are: no overlay, native speed.
2. ``plain`` (no filter on versions) is right only while nothing has written the base since the fork; whoever asks
   for it must check that again after its snapshot was taken (``Line`` rule 2).
3. Point reads are planned anew most of the time, so the text has no layer it can do without.
"""

from __future__ import annotations

from branching import names
from branching.engine.points import Point
from branching.engine.protocol import Engine
from branching.lines import Line
from branching.model import Table
from branching.names import PLACE, RID, VERSION, quote
from branching.physical import BaseTable, Physical


def trunk(table: Table, base: BaseTable, *, hidden: bool = False, place_of: Engine | None = None) -> str:
    """The trunk's current rows; with ``place_of`` also where that engine has them now, if it can tell."""
    items = _direct(table, base, hidden or place_of is not None)
    if place_of is not None:
        items += f", {place_of.place(base.columns.values())} AS {PLACE}"
    return f"SELECT {items} FROM {base.sql}"


def below(table: Table, physical: Physical, point: Point, *, plain: bool, hidden: bool = True) -> str:
    """The rows under a branch: the base as of ``point``, in the shape in which the branch sees the table."""
    if table.storage.base is None:
        raise ValueError("a table born on a branch has nothing below it")
    base = physical.bases[table.storage.base]
    plain = plain or base.is_copy
    if plain and not table.storage.below:
        return trunk(table, base, hidden=hidden)
    if not table.storage.below:
        return _as_of_direct(table, base, physical, point, hidden)
    inner = _as_of(base, physical, point, plain=plain)
    computed = dict(table.storage.below)
    items = [
        f"{computed.get(column.name, f'c{column.id}')} AS {quote(column.name)}" for column in table.columns
    ]
    if hidden:
        items += [RID, VERSION]
    return f"SELECT {', '.join(items)} FROM ({inner}) AS _base"


def _as_of(base: BaseTable, physical: Physical, point: Point, *, plain: bool) -> str:
    """All base columns under the names ``c<id>``, as of ``point``."""
    current = ", ".join(f"{quote(name)} AS c{id_}" for id_, name in base.columns.items())
    text = f"SELECT {current}, {RID}, {VERSION} FROM {base.sql}"
    if plain:
        return text
    kept = ", ".join(f"c{id_}" for id_ in base.columns)
    return _at(text, f"{kept}, {RID}, {VERSION}", base, physical, point)


def _as_of_direct(table: Table, base: BaseTable, physical: Physical, point: Point, hidden: bool) -> str:
    """A table whose columns are columns of the base, as of ``point``."""
    kept = ", ".join(f"c{column.id} AS {quote(column.name)}" for column in table.columns)
    if hidden:
        kept += f", {RID}, {VERSION}"
    return _at(trunk(table, base, hidden=hidden), kept, base, physical, point)


def _at(current: str, kept: str, base: BaseTable, physical: Physical, point: Point) -> str:
    """The rows of ``current`` (all the base's) that were there at ``point``, and ``kept`` of those gone since."""
    return physical.engine.as_of(current, kept, physical.history(base.id), point)


def unmasked(table: Table, line: Line, physical: Physical, *, plain: bool, hidden: bool = True) -> str:
    """The rows below the branch that it has not replaced or deleted."""
    text = below(table, physical, line.record.fork, plain=plain, hidden=True)
    mask = names.mask(table.storage.base or 0)
    items = names.columns([column.name for column in table.columns])
    if line.record.id and physical.has(mask):
        shown = f"{items}, _below.{RID}, {VERSION}" if hidden else items
        return physical.engine.unmasked(f"({text})", shown, mask, line.id)
    return text if hidden else f"SELECT {items} FROM ({text}) AS _kept"


def reads_copy(table: Table, physical: Physical) -> bool:
    """Whether what is below the branch's own rows is a copy of its own."""
    base = physical.bases.get(table.storage.base or 0)
    return base is not None and base.is_copy


def own(table: Table, line: Line, *, hidden: bool = True) -> str:
    """The branch's own rows of the table."""
    items = names.columns([column.name for column in table.columns])
    if hidden:
        items += f", {RID}, {VERSION}"
    return f"SELECT {items} FROM {names.delta(table.storage.shape)} WHERE {names.BRANCH} = {line.id}"


def visible(
    table: Table, line: Line, physical: Physical, *, plain: bool, touched: bool, hidden: bool = False
) -> str:
    """All rows of ``table`` that ``line`` sees."""
    base = table.storage.base
    if line.is_trunk:
        if base is None:
            raise ValueError(f"{table.name}: a trunk table without a base")
        return trunk(table, physical.bases[base], hidden=hidden)
    has_own = touched and physical.has(names.delta(table.storage.shape))
    if base is None:
        return own(table, line, hidden=hidden) if has_own else nothing(table, hidden=hidden)
    if not touched:
        return below(table, physical, line.record.fork, plain=plain, hidden=hidden)
    text = unmasked(table, line, physical, plain=plain, hidden=hidden)
    if has_own:
        text += " UNION ALL " + own(table, line, hidden=hidden)
    return text


def nothing(table: Table, *, hidden: bool = False) -> str:
    """No rows, in the table's shape."""
    items = [f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in table.columns]
    if hidden:
        items += [f"CAST(NULL AS BIGINT) AS {RID}", f"CAST(NULL AS BIGINT) AS {VERSION}"]
    return f"SELECT {', '.join(items)} WHERE false"


def _direct(table: Table, base: BaseTable, hidden: bool) -> str:
    items = []
    for column in table.columns:
        stored = base.columns[column.id]
        items.append(quote(stored) if stored == column.name else f"{quote(stored)} AS {quote(column.name)}")
    if hidden:
        items += [RID, VERSION]
    return ", ".join(items)
