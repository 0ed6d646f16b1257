"""The rows of a table at an instant that ``timetravel`` has reached, as SQL.

On the trunk they are what a fork of that instant would read. A branch's are the rows below it as of its fork, less
those it had replaced by then, plus its own of then: what it still has, and what it has replaced since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from branching import names, overlay
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import Line
from branching.model import Table
from branching.names import BRANCH, ENDED, RID, VERSION
from branching.past.moments import Reached
from branching.physical import Physical

if TYPE_CHECKING:
    from branching.database import Database


def rows_sql(
    database: Database, physical: Physical, reached: Reached, table: Table, *, hidden: bool = False
) -> str:
    """SQL of the rows of ``table`` (as its catalog had it) at the instant."""
    line, point = reached.rows, reached.point
    base = table.storage.base
    if base is not None:
        need_storage(physical, line, table)
    if line.is_trunk:
        assert point is not None
        return overlay.below(table, physical, point, plain=False, hidden=hidden)
    own = own_sql(database, physical, reached, table)
    shown = f"SELECT {_columns(table, hidden)} FROM ({own}) AS _own"
    if base is None:
        return shown
    below = overlay.below(table, physical, line.record.fork, plain=False, hidden=True)
    masked = mask_sql(database, physical, reached, table, own)
    listed = names.columns([column.name for column in table.columns]) + (
        f", {RID}, {VERSION}" if hidden else ""
    )
    return f"SELECT {listed} FROM ({below}) AS _below WHERE {RID} NOT IN ({masked}) UNION ALL {shown}"


def need_storage(physical: Physical, line: Line, table: Table) -> None:
    """Refuses tables of which something has been collected."""
    stored = physical.bases.get(table.storage.base or 0)
    computed = {name for name, _ in table.storage.below}
    if stored is None or any(
        column.id not in stored.columns for column in table.columns if column.name not in computed
    ):
        raise BoughError(
            "22023",
            f'table "{table.name}" of branch "{line.name}" is no longer kept as it was then',
            detail="It was dropped or altered since, and what the change left behind has been collected.",
            hint="The setting retention keeps old versions; a branch keeps the version it was forked at.",
        )


def _columns(table: Table, hidden: bool) -> str:
    """A select list over stored columns that computes the generated ones."""
    items = [
        names.quote(column.name)
        if column.generated is None
        else f"CAST(({column.generated}) AS {column.type}) AS {names.quote(column.name)}"
        for column in table.columns
    ]
    return ", ".join([*items, RID, VERSION] if hidden else items)


def own_sql(database: Database, physical: Physical, reached: Reached, table: Table) -> str:
    """A branch's own rows of the table at the instant: stored columns, identity and version."""
    line, point = reached.rows, reached.point
    if point is None:
        return _own_base(database, physical, line, table)
    listed = f"{names.columns(table.stored)}, {RID}, {VERSION}"
    parts = []
    delta, ended = names.delta(table.storage.shape), names.ended(table.storage.shape)
    if physical.has(delta):
        parts.append(f"SELECT {listed} FROM {delta} WHERE {BRANCH} = {line.id} AND {point.visible(VERSION)}")
    if physical.has(ended):
        # What a statement might have changed and did not is there twice, and still in the delta.
        still = f"SELECT {RID} FROM {delta} WHERE {BRANCH} = {line.id} AND {point.visible(VERSION)}"
        parts.append(
            f"(SELECT DISTINCT ON ({RID}) {listed} FROM {ended}"
            f" WHERE {BRANCH} = {line.id} AND {point.visible(VERSION)} AND {point.hidden(ENDED)}"
            + (f" AND {RID} NOT IN ({still})" if physical.has(delta) else "")
            + ")"
        )
    if gone := _gone_from_copy(database, physical, line, table, point):
        # They went when the table had another form, which may lack columns: the copy still has the rows.
        known = (
            f" AND {RID} NOT IN (SELECT {RID} FROM ({' UNION ALL '.join(parts)}) AS _known)" if parts else ""
        )
        below = overlay.below(table, physical, line.record.fork, plain=False)
        parts.append(f"SELECT {listed} FROM ({below}) AS _below WHERE {RID} IN ({gone}){known}")
    return " UNION ALL ".join(parts) or _nothing(table)


def _gone_from_copy(
    database: Database, physical: Physical, line: Line, table: Table, point: Point
) -> str | None:
    """Identities of rows of the branch's copy of the table that went after the point, in another form than this one."""
    stored = physical.bases.get(table.storage.base or 0)
    if stored is None or not stored.is_copy:
        return None
    forms = {  # over this copy: what a later one has lost this one still has below
        change.item.storage.shape
        for _, _, change in database.changes_of(line)
        if isinstance(change.item, Table)
        and change.item.id == table.id
        and change.item.storage.base == table.storage.base
    }
    stores = [names.ended(shape) for shape in sorted(forms - {table.storage.shape})]
    return " UNION ".join(
        f"SELECT {RID} FROM {name} WHERE {BRANCH} = {line.id} AND {point.visible(VERSION)} AND {point.hidden(ENDED)}"
        for name in stores
        if physical.has(name)
    )


def mask_sql(database: Database, physical: Physical, reached: Reached, table: Table, own: str) -> str:
    """Identities of rows below the branch that it had replaced or deleted by the instant."""
    line, point = reached.rows, reached.point
    mask = names.mask(table.storage.base or 0)
    if not physical.has(mask):
        return f"SELECT CAST(NULL AS BIGINT) AS {RID} WHERE false"
    masked = f"SELECT {RID} FROM {mask} WHERE {BRANCH} = {line.id}"
    if point is not None and (later := later_images(database, physical, line, table, point)):
        masked += f" AND ({RID} NOT IN ({later}) OR {RID} IN (SELECT {RID} FROM ({own}) AS _mine))"
    return masked


def _own_base(database: Database, physical: Physical, line: Line, table: Table) -> str:
    """The branch's own rows of the table in its base: what it inherited, and the images of what it changed since."""
    listed = f"{names.columns(table.stored)}, {RID}, {VERSION}"
    base = line.record.base
    parts = []
    images = names.before(table.storage.shape)
    if imaged := physical.has(images):
        parts.append(
            f"SELECT DISTINCT ON ({RID}) {listed} FROM {images}"
            f" WHERE {BRANCH} = {line.id} AND {base.hidden(VERSION)}"
        )
    shapes = _shapes(database, line, table)
    found = (physical.bases.get(now.storage.base or 0) for now in shapes)
    copied = next((item for item in found if item is not None and item.is_copy), None)
    if copied is not None and copied.id == table.storage.base:
        copied = None  # below the rows of the base as well
    if line.record.inherited:
        # What a statement might have changed and did not has its image and is still as it was.
        replaced = f" AND {RID} NOT IN (SELECT {RID} FROM ({parts[0]}) AS _images)" if imaged else ""
        for now in shapes:
            if physical.has(names.delta(now.storage.shape)):
                items = _items(table, {column.id: column.name for column in now.columns})
                parts.append(
                    f"SELECT {items}, {RID}, {VERSION} FROM {names.delta(now.storage.shape)}"
                    f" WHERE {BRANCH} = {line.id} AND {base.visible(VERSION)}{replaced}"
                )
        if copied is not None:
            parts.append(
                f"SELECT {_items(table, copied.columns)}, {RID}, {VERSION} FROM {copied.sql}"
                f" WHERE {base.visible(VERSION)}{replaced}"
            )
    text = " UNION ALL ".join(parts) or _nothing(table)
    if copied is None or table.storage.base is None:
        return text
    # The copy holds what is below as well, and images of its rows are taken with no mask there.
    mask, below = (
        names.mask(table.storage.base),
        overlay.below(table, physical, line.record.fork, plain=False),
    )
    only = f"{RID} NOT IN (SELECT {RID} FROM ({below}) AS _below)"
    if physical.has(mask):
        only += f" OR {RID} IN (SELECT {RID} FROM {mask} WHERE {BRANCH} = {line.id})"
    return f"SELECT * FROM ({text}) AS _base WHERE {only}"


def _items(table: Table, there: Mapping[int, str]) -> str:
    """The stored columns of ``table``, which are called ``there`` where they are read, and may be of a later type."""
    return ", ".join(
        f"CAST({names.quote(there[column.id])} AS {column.type}) AS {names.quote(column.name)}"
        for column in table.columns
        if column.generated is None
    )


def _shapes(database: Database, line: Line, table: Table) -> list[Table]:
    """The forms that the table has had on the branch since its base, each once, that still have all its columns.

    Rows of before a copy was made are in the copy.
    """
    wanted = {column.id for column in table.columns if column.generated is None}
    found, base = {table.storage.shape: table}, table.storage.base
    for _, _, change in database.changes_of(line):
        item = change.item
        if not isinstance(item, Table) or item.id != table.id:
            continue
        if item.storage.base != base:
            found, base = {}, item.storage.base
        if wanted <= {c.id for c in item.columns}:
            found.setdefault(item.storage.shape, item)
    return list(found.values())


def forms_of_bases(database: Database) -> Iterator[Table]:
    """The forms of tables that rows of some branch's base are read from: its copy of a table, once it has one.

    They are none of the present, where the branch has dropped the table, nor of the base.
    """
    for line in [*database.lines.values(), *database.trash.values()]:
        if line.is_trunk or not line.record.inherited:
            continue
        changed = {c.item.id for _, _, c in database.changes_of(line) if isinstance(c.item, Table)}
        for table in database.base_catalog(line).tables() if changed else ():
            if table.id in changed:
                yield from _shapes(database, line, table)


def _nothing(table: Table) -> str:
    items = [
        f"CAST(NULL AS {column.type}) AS {names.quote(column.name)}"
        for column in table.columns
        if column.generated is None
    ]
    hidden = f"CAST(NULL AS BIGINT) AS {RID}, CAST(NULL AS BIGINT) AS {VERSION}"
    return f"SELECT {', '.join([*items, hidden])} WHERE false"


def later_images(
    database: Database, physical: Physical, line: Line, table: Table, point: Point
) -> str | None:
    """Identities of rows below that the branch touched only after the point."""
    imaged = next((item for item in database.base_catalog(line).tables() if item.id == table.id), None)
    if imaged is None or not physical.has(names.before(imaged.storage.shape)):
        return None
    return (
        f"SELECT {RID} FROM {names.before(imaged.storage.shape)}"
        f" WHERE {BRANCH} = {line.id} AND {point.hidden(VERSION)}"
    )
