"""BRANCH RESET: a branch is again what it was, at its base or at a version of its own.

Rules:

1. Without a version the branch is what its changes are changes of: what it was forked as, or was at its last merge or
   refresh. Its own images have that, so it works however long ago that was.
2. It is one transaction and a commit of the branch. Versions before it can no longer be read on the branch.
"""

from __future__ import annotations

from branching import branches, manifest, names
from branching.database import Database
from branching.engine.base import Cursor
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author, Commit
from branching.merge.attempt import sealed
from branching.model import Table
from branching.names import BRANCH, RID, VERSION
from branching.past import moments as timetravel
from branching.past import rows as past_rows
from branching.past.moments import Moment, Reached
from branching.resolve import Scope

_STAGED = "_bough_reset_"


def reset(database: Database, name: str, moment: Moment | None = None, author: Author | None = None) -> None:
    """Throws away what the branch has changed since ``moment``, or all that it has changed of its own."""
    line = database.line(name)
    if line.is_trunk:
        raise BoughError(
            "42809",
            f'cannot reset branch "{name}"',
            detail="It is the trunk that all branches stand on.",
            hint="BRANCH CREATE … FROM main AS OF VERSION n makes a branch of what it was.",
        )
    line.need_writable()
    with database.gate:
        if line.writers:
            raise BoughError(
                "55006",
                f'branch "{name}" has open transactions that write',
                hint="End them first.",
                detail="A reset would take what they have written.",
            )
    cursor = database.root.cursor()
    version: int | None = None
    try:
        with sealed(database, line, line), database.catalog_lock:
            reached = _reached(database, line, moment)
            version = database.clock.take()
            cursor.begin()
            changes = branches.catalog_changes(line.catalog, timetravel.catalog_of(database, reached))
            made = _put_rows(database, cursor, line, reached)
            manifest.insert_changes(cursor, line.id, line.seq + 1, changes, version)
            at = database.clock.instant(manifest.now())
            entry = Commit(
                version, line.id, author or Author(), f'BRANCH RESET "{name}"', (0, 0, 0), None, at
            )
            manifest.insert_commits(cursor, [entry])
            with database.gate:
                database.raise_floor(line.id, version)
            database.epoch += 1
            try:
                cursor.commit()
                database.record_changes(line, changes, version)
                database.put_physical({}, frozenset(made))
                with database.gate:
                    database.stamp += 1
                    line.unnamed = database.stamp
            finally:
                database.epoch += 1
    finally:
        cursor.rollback()
        cursor.close()
        if version is not None:
            database.clock.settle(version)


def _reached(database: Database, line: Line, moment: Moment | None) -> Reached:
    if moment is None:
        return Reached(line, line, None)
    reached = timetravel.reach(database, line, moment)
    if reached.line is not line:
        raise BoughError(
            "22023",
            f'branch "{line.name}" did not exist then',
            detail=f"It was made at version {line.record.base.version}.",
            hint=f"BRANCH CREATE … FROM {reached.line.name} AS OF … makes a branch of what was there.",
        )
    return reached


def _put_rows(database: Database, cursor: Cursor, line: Line, reached: Reached) -> list[str]:
    """Puts the rows of the moment in the place of the branch's; the storage tables that had to be made."""
    if reached.point is None and not line.record.inherited:
        branches.delete_rows(database, cursor, line.id)
        return []
    catalog = timetravel.catalog_of(database, reached)
    scope = Scope(database, line, catalog, database.physical)
    staged = []
    for number, table in enumerate(catalog.tables()):
        if table.id in line.touched:
            stage_rows(cursor, database, reached, table, f"{_STAGED}{number}")
            staged.append((table, f"{_STAGED}{number}"))
    _unmask(database, cursor, line, reached, staged)
    keep_images = reached.point.hidden(VERSION) if reached.point is not None else "true"
    absent = _inherited_elsewhere(database, line, {table.id for table, _ in staged})
    for name in sorted(database.physical.storage):
        if names.holds_branches(name) and name[0] != "m":
            where = f" AND {keep_images}" if name[0] == "b" else ""
            if name in absent:
                where = f" AND NOT ({line.record.base.visible(VERSION)})"
            cursor.execute(f"DELETE FROM {names.DATA_SCHEMA}.{name} WHERE {BRANCH} = {line.id}{where}")
    made = []
    for table, rows in staged:
        base = line.record.base if reached.point is None else None
        made += put_rows(cursor, scope, table, rows, line.id, base)
        cursor.execute(f"DROP TABLE {rows}")
    return made


def _inherited_elsewhere(database: Database, line: Line, there: set[int]) -> set[str]:
    """Storage with rows of the branch's base whose tables are not there at the moment: a later reset needs them."""
    if not line.record.inherited:
        return set()
    changed = [change.item for _, _, change in database.changes_of(line) if isinstance(change.item, Table)]
    gone = {table.id for table in database.base_catalog(line).tables()} - there
    forms = [*changed, *database.base_catalog(line).tables()]
    return {names.delta(table.storage.shape).rpartition(".")[2] for table in forms if table.id in gone}


def _unmask(
    database: Database, cursor: Cursor, line: Line, reached: Reached, staged: list[tuple[Table, str]]
) -> None:
    """What the branch has only touched since is read from below again."""
    for table, rows in staged:
        base = table.storage.base
        if base is None or reached.point is None or not database.physical.has(names.mask(base)):
            continue
        later = past_rows.later_images(database, database.physical, line, table, reached.point)
        if later is not None:
            cursor.execute(
                f"DELETE FROM {names.mask(base)} WHERE {BRANCH} = {line.id} AND {RID} IN ({later})"
                f" AND {RID} NOT IN (SELECT {RID} FROM {rows})"
            )


def stage_rows(cursor: Cursor, database: Database, reached: Reached, table: Table, name: str) -> None:
    """The branch's own rows of the table at the moment, as a temporary table."""
    own = past_rows.own_sql(database, database.physical, reached, table)
    cursor.execute(cursor.engine.replace_temporary(name, own))


def put_rows(
    cursor: Cursor, scope: Scope, table: Table, rows: str, branch: int, base: Point | None
) -> list[str]:
    """Makes staged rows a branch's; the storage table, if it had to be made.

    ``base``: the rows are part of it, so their versions must be too; those of images are not.
    """
    if not cursor.query(f"SELECT 1 FROM {rows} LIMIT 1"):
        return []
    delta = names.delta(table.storage.shape)
    made = []
    if not scope.physical.has(delta):
        cursor.execute(cursor.engine.create_delta(scope.with_storage_defaults(table)))
        made.append(delta.rpartition(".")[2])
    listed = names.columns(table.stored)
    version = VERSION if base is None else f"CASE WHEN {base.visible(VERSION)} THEN {VERSION} ELSE 0 END"
    cursor.execute(
        f"INSERT INTO {delta} ({BRANCH}, {listed}, {RID}, {VERSION})"
        f" SELECT {branch}, {listed}, {RID}, {version} FROM {rows}"
    )
    return made
