"""Collection: expired branches go to the trash, the trash is emptied, and what no fork needs any more leaves the file.

Branches that have changed much of a table get a copy of it on the way (``detach``).

``expired`` decides about branches and is pure; ``collect`` runs one pass. Rules:

1. A branch with a session, an open merge or a live child is never collected.
2. Every step is a bounded transaction of its own, one at a time: a crash between two leaves a file that the next pass
   finishes. Nothing takes a lock that a reader waits for; a step that meets a writer is left for the next pass.
3. A base table, a column or a history row goes only when no catalog and no fork point of any line, live or discarded,
   can reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from branching import branches, manifest, names
from branching.branch_info import expires_at
from branching.database import Database
from branching.detach import Limits, detach
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.gc import storage as gc_storage
from branching.lines import TRUNK, Line, Record
from branching.merge.open_conflicts import open_merges
from branching.merge.sides import PAIR, UNDO

GRACE = timedelta(hours=24)
REVERTIBLE = timedelta(hours=24)  # how long a merge can be reverted
GONE = "gone"  # state of a branch that is being deleted: it can no longer be restored
M = names.MANIFEST_SCHEMA


@dataclass(frozen=True, slots=True)
class Action:
    branch: int
    kind: Literal["trash", "delete"]


def expired(
    records: Iterable[Record],
    sessions: Collection[int],
    now: datetime,
    grace: timedelta = GRACE,
    held: Collection[int] = (),
    undo: timedelta = REVERTIBLE,
) -> list[Action]:
    """What is to become of which branch. ``sessions``: branches in use; ``held``: those an open merge needs.

    What is kept of a branch for its merges goes with it, and before it: it is read over the branch's catalog.
    """
    records = list(records)
    found = _branches(records, sessions, now, grace, held)
    gone = {action.branch for action in found if action.kind == "delete"}
    by_id = {record.id: record for record in records}

    def left(record: Record) -> bool:
        if record.state == PAIR:
            return any(item not in by_id or item in gone for item in _pair(record))
        return record.created_at + undo <= now or record.parent not in by_id or record.parent in gone

    kept = [record for record in by_id.values() if record.state in (PAIR, UNDO) and left(record)]
    return [*(Action(record.id, "delete") for record in kept), *found]


def _branches(
    records: Iterable[Record],
    sessions: Collection[int],
    now: datetime,
    grace: timedelta,
    held: Collection[int],
) -> list[Action]:
    known = [record for record in records if record.state not in (PAIR, UNDO)]
    busy = set(sessions) | set(held)
    live = {record.id for record in known if record.state == "live"}
    leaving: set[int] = set()
    actions: list[Action] = []
    for record in sorted(known, key=lambda item: -item.id):  # children before their parents
        if record.id == TRUNK:
            continue
        if record.state == "live":
            due = expires_at(record)
            children = {r.id for r in known if r.parent == record.id and r.id in live} - leaving
            if (
                due is not None
                and due <= now
                and record.id not in busy
                and not children
                and not record.protected
            ):
                leaving.add(record.id)
                actions.append(Action(record.id, "trash"))
        elif record.state == GONE or (
            (record.discarded_at or record.created_at) + grace <= now and record.id not in busy
        ):
            referring = any(
                record.id in (r.parent, r.parent_catalog.line, r.base_catalog.line)
                for r in known
                if r.id != record.id
            )
            if not referring:
                actions.append(Action(record.id, "delete"))
    return actions


def _needs(line: Line) -> tuple[int, ...]:
    """The branches whose catalog a line that is kept for merges, or half deleted, is read over."""
    if line.record.state not in (PAIR, UNDO, GONE):
        return ()
    return line.record.parent_catalog.line, line.record.base_catalog.line


def _pair(record: Record) -> tuple[int, int]:
    source, _, target = record.name.partition(" into ")
    return int(source), int(target)


def collect(
    database: Database,
    *,
    now: datetime | None = None,
    grace: timedelta = GRACE,
    undo: timedelta = REVERTIBLE,
    limits: Limits = Limits(),  # noqa: B008 -- immutable
    limit: Callable[[], bool] = lambda: False,
) -> list[tuple[str, str, int]]:
    """One pass; (branch, action, bytes freed) per thing done. ``limit`` may end it early.

    A second pass waits until the first has ended.
    """
    with database.passes:
        return _pass(database, now or manifest.now(), grace, undo, limits, limit)


def _pass(
    database: Database,
    now: datetime,
    grace: timedelta,
    undo: timedelta,
    limits: Limits,
    limit: Callable[[], bool],
) -> list[tuple[str, str, int]]:
    done: list[tuple[str, str, int]] = []
    for action in _plan(database, now, grace, undo):
        if limit():
            return done
        found = _trash(database, action) if action.kind == "trash" else _delete(database, action)
        if found is not None:
            done.append(found)
    for made in detach(database, limits):
        done.append(made)
        if limit():
            return done
    for step in gc_storage.STEPS:
        if limit():
            return done
        done += _quietly(lambda step=step: step(database))  # type: ignore[misc]
    done += _quietly(lambda: gc_storage.drop_undo(database, now - undo))
    return done


def _quietly(step: Callable[[], gc_storage.Done]) -> gc_storage.Done:
    """A step that met a writer is left for the next pass."""
    try:
        return step()
    except EngineError:
        return []


def _lines(database: Database) -> list[Line]:
    return [*database.lines.values(), *database.trash.values()]


def _plan(database: Database, now: datetime, grace: timedelta, undo: timedelta) -> list[Action]:
    waiting = {name for merge in open_merges(database) for name in (merge.source, merge.target)}
    with database.gate:
        lines = _lines(database)
        sessions = {line.id for line in lines if line.sessions}
        held = {line.id for line in lines if line.name in waiting or line.writers or line.sealed is not None}
        return expired([line.record for line in lines], sessions, now, grace, held, undo)


def _trash(database: Database, action: Action) -> tuple[str, str, int] | None:
    line = database.lines.get(action.branch)
    if line is None:
        return None
    try:
        branches.discard(database, line.name)
    except BoughError:  # somebody has just come to it
        return None
    return line.name, "expired", 0


def _delete(database: Database, action: Action) -> tuple[str, str, int] | None:
    """Physically: rows first, in pieces; the branch's own row last, so that a crash leaves it to the next pass."""
    line = database.trash.get(action.branch)
    if line is None:
        return None
    with database.gate:
        if line.record.state == "live" or line.sessions:
            return None
        if any(line.id in _needs(other) for other in database.trash.values() if other is not line):
            return None  # what is kept for its merges could not be deleted
        database.change(line, state=GONE)
    try:
        size = gc_storage.delete_rows(database, line.id)
        cursor = database.root.cursor()
        try:
            cursor.begin()
            manifest.delete_branch(cursor, line.id)
            cursor.execute(f"DELETE FROM {M}.objects WHERE line = ?", (line.id,))
            cursor.commit()
        finally:
            cursor.rollback()
            cursor.close()
    except EngineError:
        return None
    with database.catalog_lock, database.gate:
        database.trash.pop(line.id, None)
    return line.name, "deleted", size


__all__ = ["GRACE", "Action", "collect", "expired"]
