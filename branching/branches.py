"""The life of branches: fork, discard, restore, rename, and what a branch holds.

A fork of the trunk is one row in the manifest: the trunk's read point and a reference to its catalog. A fork of a
branch also copies the branch's own rows, which is as much as the branch has changed, so chains stay one level deep
however often one forks from forks. A fork of a moment in the past is the same with
that moment's point, catalog and rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from branching import manifest, names
from branching.database import FORK_WAIT, Database
from branching.engine.base import Cursor, EngineError
from branching.errors import BoughError
from branching.lines import MAIN, CatalogRef, Line, Record
from branching.model import Catalog, Table
from branching.names import BRANCH, RID, VERSION
from branching.past_rows import mask_sql, need_storage
from branching.physical import Physical
from branching.points import Point
from branching.timetravel import Moment, Reached, catalog_ref, reach

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
            )
        if limit is not None and sum(not names.is_pin(item) for item in database.names) > limit:
            raise BoughError(
                "53400",
                f"too many branches: the limit is {limit}",
                hint="BRANCH DISCARD some, BRANCH GC, or raise the setting max_branches.",
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


def _fork_trunk(database: Database, source: Line, draft: Record, reached: Reached | None) -> Line:
    with database.gate:
        # Statements that are running without leaving history end first; transactions leave it at their commit.
        if not database.gate.wait_for(lambda: not database.unarmed_running, timeout=FORK_WAIT):
            raise BoughError(
                "55P03",
                f'could not fork "{source.name}": a statement that writes it has been running for {FORK_WAIT:.0f} s',
                hint="Try again when it has ended; bough.sessions shows it.",
            )
        # Lock order: the catalog lock comes first, so it is only tried for here.
    with database.catalog_lock, database.gate:
        if database.unarmed_running:
            pass  # began after the wait: they saw the pending fork and leave history
        point = database.clock.now()
        ref = CatalogRef(source.id, source.seq)
        catalog = source.catalog
        if reached is not None and reached.point is not None:
            if not reached.still_true(database):
                raise BoughError(
                    "40001", f'that state of "{source.name}" has just been collected', hint="Retry."
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
    masks = {table.storage.base for table in _tables_ever(database, source) if table.id in touched}
    for base_id in sorted(item for item in masks if item is not None):
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


def _tables_ever(database: Database, line: Line) -> list[Table]:
    return [*line.catalog.tables(), *database.base_catalog(line).tables()]


def _copy_rows(cursor: Cursor, table: str, columns: str, source: int, target: int) -> None:
    cursor.execute(
        f"INSERT INTO {table} ({BRANCH}, {columns}) SELECT {target}, {columns} FROM {table} WHERE {BRANCH} = {source}"
    )


# -- the end and the trash -----------------------------------------------------------------------------------------


def _need_plain_branch(line: Line, verb: str) -> None:
    if line.is_trunk:
        raise BoughError(
            "42809", f'cannot {verb} branch "{MAIN}"', detail="It is the trunk that all branches stand on."
        )


def discard(
    database: Database,
    name: str,
    *,
    if_exists: bool = False,
    cascade: bool = False,
    force: bool = False,
    sessions: Callable[[Line], list[str]] = lambda _line: [],
    own_sessions: int = 0,
    notice: Callable[[str], None] = lambda _text: None,
) -> list[str]:
    """Moves a branch (and with ``cascade`` its children) to the trash. The names that went."""
    if if_exists and not database.has_branch(name):
        notice(f'branch "{name}" does not exist, skipping')
        return []
    line = database.any_line(name)
    _need_plain_branch(line, "discard")
    children = [other for other in database.lines.values() if other.record.parent == line.id]
    if any(not names.is_pin(child.name) for child in children) and not cascade:
        raise BoughError(
            "2BP01",
            f'cannot discard branch "{name}" because other branches were made from it',
            detail="Branches: " + ", ".join(sorted(child.name for child in children)),
            hint="BRANCH DISCARD … CASCADE discards them too.",
        )
    if line.record.protected and not force:
        raise BoughError(
            "25006", f'branch "{name}" is protected', hint=f"BRANCH ALTER {name} SET (protected false) first."
        )
    gone = []
    for child in children:
        gone += discard(database, child.name, cascade=True, force=force, sessions=sessions)
    with database.gate:
        if line.sessions > own_sessions and not force:
            raise BoughError(
                "55006",
                f'branch "{name}" is being accessed by other sessions',
                detail="\n".join(sessions(line))
                or f"There are {line.sessions - own_sessions} other sessions on it.",
                hint="End them, or BRANCH DISCARD … WITH (force true).",
            )
    with database.gate:
        database.change(line, state="trash", discarded_at=manifest.now())
        database.lines.pop(line.id, None)
        database.names.pop(name, None)
        database.trash[line.id] = line
    return [*gone, name]


def restore(database: Database, name: str) -> Line:
    """Takes the newest discarded branch of that name out of the trash."""
    found = [line for line in database.trash.values() if line.name == name and line.record.state == "trash"]
    if not found:
        raise BoughError(
            "42704", f'no discarded branch "{name}"', hint="The trash is emptied after the grace time."
        )
    if database.has_branch(name):
        raise BoughError("42710", f'branch "{name}" already exists', hint=f"BRANCH RENAME {name} TO … first.")
    line = max(found, key=lambda item: item.record.discarded_at or item.record.created_at)
    with database.gate:
        database.change(line, state="live", discarded_at=None, last_used_at=manifest.now())
        del database.trash[line.id]
        database.lines[line.id] = line
        database.names[name] = line.id
    return line


def rename(database: Database, name: str, to: str) -> None:
    line = database.line(name)
    _need_plain_branch(line, "rename")
    check_name(to)
    with database.gate:
        if database.has_branch(to):
            raise BoughError("42710", f'branch "{to}" already exists')
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


def used(line: Line) -> None:
    """Somebody has just been on the branch: its TTL counts from now."""
    if not line.is_trunk and line.record.state == "live":
        line.record = replace(line.record, last_used_at=manifest.now())


def store_uses(database: Database) -> None:
    """Makes the times of last use durable, where they have changed: a restart must not age a branch."""
    for line in list(database.lines.values()):
        if line.sessions:
            with database.gate:
                used(line)
        record = line.record
        if not line.is_trunk and database.stored_uses.get(line.id) != record.last_used_at:
            with contextlib.suppress(EngineError):  # a merge is writing the row: the next pass will do
                database.change(line, last_used_at=record.last_used_at)
                database.stored_uses[line.id] = record.last_used_at


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
