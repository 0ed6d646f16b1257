"""The life of branches: fork, discard, restore, rename, and what a branch holds.

A fork of the trunk is one row in the manifest: the trunk's read point and a reference to its catalog. A fork of a
branch also copies the branch's own rows, which is as much as the branch has changed, so chains stay one level deep
however often one forks from forks. A fork of a moment in the past is the same with
that moment's point, catalog and rows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from branching import manifest, names
from branching.database import FORK_WAIT, Database
from branching.engine.base import Cursor
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import CatalogRef, Line, Record
from branching.model import Catalog
from branching.names import BRANCH, RID, VERSION, quote
from branching.overlay import reads_copy
from branching.past.moments import Moment, Reached, catalog_ref, reach
from branching.past.rows import mask_sql, need_storage
from branching.physical import Physical
from branching.trash import discard as discard
from branching.trash import need_plain_branch
from branching.trash import restore as restore

DEFAULT_TTL = 24 * 3600
_MAX_BYTES = 63


def check_name(name: str) -> None:
    """Refuses names no branch may have (42602)."""
    if (
        not name
        or len(name.encode()) > _MAX_BYTES
        or any(ord(char) < 32 or ord(char) == 127 for char in name)
    ):
        raise BoughError(
            "42602",
            f'invalid branch name "{name[:80]}"',
            detail=f"A name has 1 to {_MAX_BYTES} bytes and no control characters.",
            hint="Choose another name.",
        )


def create(
    database: Database,
    name: str,
    parent: str,
    *,
    role: str,
    if_not_exists: bool = False,
    ttl: int | None = DEFAULT_TTL,
    protected: bool = False,
    comment: str | None = None,
    limit: int | None = None,
    notice: Callable[[str], None] = lambda _text: None,
    as_of: Moment | None = None,
) -> Line:
    """Forks ``parent`` as it is now, or was then.

    42710 if the name is taken, 53400 over ``limit``, 55P03 if writers do not end.
    """
    check_name(name)
    source = database.line(parent)
    with database.gate:
        if name in database.names:
            if if_not_exists:
                notice(f'branch "{name}" already exists, skipping')
                return database.line(name)
            raise BoughError(
                "42710",
                f'branch "{name}" already exists',
                hint="Choose another name, or BRANCH SWITCH to it.",
                detail=_made(database, name),
            )
        if limit is not None and sum(not names.is_pin(item) for item in database.names) > limit:
            raise BoughError(
                "53400",
                f"too many branches: the limit is {limit}",
                hint="BRANCH DISCARD some, BRANCH GC, or raise the setting max_branches.",
                detail=f"There are {sum(not names.is_pin(item) for item in database.names)}, main included.",
            )
        database.names[name] = -1  # taken until the fork stands
        database.pending_forks += 1
    try:
        reached = None
        if as_of is not None:
            reached = reach(database, source, as_of)
            source = reached.line
        fork = _fork_trunk if source.is_trunk else _fork_branch
        now = manifest.now()
        draft = Record(
            database.next_id(), name, source.id, Point(0), CatalogRef(source.id, 0), Point(0), CatalogRef(source.id, 0),
            now, role, ttl=ttl, last_used_at=now, protected=protected, comment=comment, owner=role,
        )  # fmt: skip
        line = fork(database, source, draft, reached)
    except BaseException:
        with database.gate:
            del database.names[name]
            database.pending_forks -= 1
        raise
    with database.gate:
        database.lines[line.id] = line
        database.names[name] = line.id
        database.pending_forks -= 1
    return line


def _made(database: Database, name: str) -> str:
    line = database.lines.get(database.names[name])
    if line is None:
        return "It is being made just now."
    parent = database.lines.get(line.record.parent or 0)
    made = f" from {quote(parent.name)}" if parent is not None and parent is not line else ""
    return f"{line.record.created_by} made it{made} at {line.record.created_at:%Y-%m-%d %H:%M:%S}."


def _fork_trunk(database: Database, source: Line, draft: Record, reached: Reached | None) -> Line:
    with database.gate:
        # Statements that are running without leaving history end first; transactions leave it at their commit.
        if not database.gate.wait_for(lambda: not database.unarmed_running, timeout=FORK_WAIT):
            raise BoughError(
                "55P03",
                f'could not fork "{source.name}": a statement that writes it has been running for {FORK_WAIT:.0f} s',
                hint="Try again when it has ended; bough.sessions shows it.",
                detail="Old images of the rows it changes are needed before the fork, and it keeps none.",
            )
        # Lock order: the catalog lock comes first, so it is only tried for here.
    with database.catalog_lock, database.gate:
        if database.unarmed_running:
            pass  # began after the wait: they saw the pending fork and leave history
        point = database.fork_point()
        ref = CatalogRef(source.id, source.seq)
        catalog = source.catalog
        if reached is not None and reached.point is not None:
            if not reached.still_true(database):
                raise BoughError(
                    "40001",
                    f'that state of "{source.name}" has just been collected',
                    hint="Retry.",
                    detail="No live branch and no retention held it any more.",
                )
            point, ref = reached.point, catalog_ref(database, reached)
            catalog = database.catalog_at(ref)
            for table in catalog.tables():
                need_storage(database.physical, source, table)
    record = replace(draft, fork=point, parent_catalog=ref, base=point, base_catalog=ref)
    with database.registry() as cursor:
        manifest.insert_branch(cursor, record)
    return Line(record, catalog)


def _fork_branch(database: Database, source: Line, draft: Record, reached: Reached | None) -> Line:
    cursor = database.root.cursor()
    made: list[str] = []
    try:
        with database.catalog_lock:
            database.loaded(source)
            ref = CatalogRef(source.id, source.seq)
            catalog, physical = source.catalog, database.physical
            touched = set(source.touched)
            if reached is not None:
                ref = catalog_ref(database, reached)
                catalog = database.catalog_at(ref)
                for table in catalog.tables():
                    if table.storage.base is not None:
                        need_storage(physical, source, table)
            cursor.begin()
            cursor.query(
                f"SELECT 1 FROM {names.MANIFEST_SCHEMA}.meta LIMIT 1"
            )  # the snapshot is of this instant
            base = Point(database.clock.version)
            if reached is not None:
                base = reached.point or reached.rows.record.base
        record = replace(
            draft,
            fork=source.record.fork,
            parent_catalog=ref,
            base=base,
            base_catalog=ref,
            inherited=bool(touched),
        )
        if reached is not None:
            made = _copy_past(database, cursor, reached, catalog, touched, record)
        else:
            _copy_present(database, cursor, physical, source, catalog, touched, record)
        manifest.insert_branch(cursor, record)
        manifest.insert_touched(cursor, record.id, sorted(touched))
        with database.catalog_lock if made else nullcontext():
            database.epoch += 2 * bool(made)
            cursor.commit()
            database.put_physical({}, frozenset(made))
    finally:
        cursor.rollback()
        cursor.close()
    return Line(record, catalog, touched=touched, stored=set(touched))


def _copy_present(
    database: Database,
    cursor: Cursor,
    physical: Physical,
    source: Line,
    catalog: Catalog,
    touched: set[int],
    record: Record,
) -> None:
    for table in catalog.tables():
        if table.id not in touched:
            continue
        delta = names.delta(table.storage.shape)
        if physical.has(delta):
            _copy_rows(
                cursor, delta, f"{names.columns(table.stored)}, {RID}, {VERSION}", source.id, record.id
            )
    for base_id in masks_of(database, physical, source, catalog, touched):
        if physical.has(names.mask(base_id)):
            _copy_rows(cursor, names.mask(base_id), RID, source.id, record.id)


def _copy_past(
    database: Database, cursor: Cursor, reached: Reached, catalog: Catalog, touched: set[int], record: Record
) -> list[str]:
    """The rows of a branch at an instant; storage tables that had to be made for them."""
    from branching.reset import put_rows, stage_rows
    from branching.resolve import Scope

    scope = Scope(database, reached.line, catalog, database.physical)
    made = []
    for table in catalog.tables():
        if table.id not in touched:
            continue
        stage_rows(cursor, database, reached, table, "_bough_past")
        base = table.storage.base
        if base is not None and database.physical.has(names.mask(base)):
            masked = mask_sql(database, database.physical, reached, table, f"SELECT {RID} FROM _bough_past")
            cursor.execute(
                f"INSERT INTO {names.mask(base)} ({BRANCH}, {RID}) SELECT DISTINCT {record.id}, {RID} FROM ({masked})"
            )
        made += put_rows(
            cursor,
            scope,
            table,
            "_bough_past",
            record.id,
            record.base if reached.point is None else None,
        )
        cursor.execute("DROP TABLE _bough_past")
    return made


def masks_of(
    database: Database, physical: Physical, line: Line, catalog: Catalog, touched: set[int]
) -> list[int]:
    """The bases whose masks say what ``line`` sees; not those that a copy has taken the place of."""
    now = [table for table in catalog.tables() if table.id in touched]
    copied = {table.id for table in now if reads_copy(table, physical)}
    then = (table for table in database.base_catalog(line).tables() if table.id in touched - copied)
    found = {table.storage.base for table in (*now, *then)}
    return sorted(base for base in found if base is not None)


def _copy_rows(cursor: Cursor, table: str, columns: str, source: int, target: int) -> None:
    cursor.execute(
        f"INSERT INTO {table} ({BRANCH}, {columns}) SELECT {target}, {columns} FROM {table} WHERE {BRANCH} = {source}"
    )


# -- the rest of its life -------------------------------------------------------------------------------------------


def rename(database: Database, name: str, to: str) -> None:
    line = database.line(name)
    need_plain_branch(line, "rename")
    check_name(to)
    with database.gate:
        if database.has_branch(to):
            raise BoughError(
                "42710",
                f'branch "{to}" already exists',
                detail="A name belongs to one branch at a time.",
                hint="Choose another name; BRANCH LIST shows those in use.",
            )
        with database.registry() as cursor:
            cursor.begin()
            try:
                manifest.rename_branch(cursor, line.id, name, to)
                cursor.commit()
            finally:
                cursor.rollback()
        line.record = replace(line.record, name=to)
        del database.names[name]
        database.names[to] = line.id


def alter(database: Database, name: str, **changes: Any) -> None:
    """Changes ``ttl`` (seconds or None), ``protected`` or ``comment``."""
    line = database.line(name)
    database.change(line, **changes)


def delete_rows(database: Database, cursor: Cursor, branch: int) -> int:
    """Deletes everything the branch holds in storage; how many rows that were."""
    count = 0
    for table in sorted(database.physical.storage):
        if names.holds_branches(table):
            count += cursor.execute(f"DELETE FROM {names.DATA_SCHEMA}.{table} WHERE {BRANCH} = {branch}") or 0
    return count


def catalog_changes(old: Catalog, new: Catalog) -> list[manifest.Change]:
    """The changes that turn one catalog into another."""
    changes: list[manifest.Change] = []
    for attribute in ("schemas", "relations", "macros"):
        before, after = getattr(old, attribute), getattr(new, attribute)
        changes += [manifest.Change(item, dropped=True) for key, item in before.items() if key not in after]
        changes += [manifest.Change(item) for key, item in after.items() if before.get(key) != item]
    return changes
