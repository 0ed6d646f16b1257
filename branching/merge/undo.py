"""What a merge that changes definitions leaves for its undo: its target as it was before, and as the merge made it.

Both are lines of state ``undo`` that nobody can connect to: forks of the target around the merge, so old columns,
dropped tables and replaced rows stay in the file by the rules of any fork. On the trunk they copy nothing; on a branch,
its own rows. The collector drops them when the merge can no longer be reverted. (A merge of rows alone keeps only those
rows.)
"""

from __future__ import annotations

from branching import manifest, names
from branching.database import Database
from branching.engine.points import Point
from branching.lines import CatalogRef, Line, Record
from branching.merge.attempt import Attempt
from branching.merge.pairs import copy_rows
from branching.merge.sides import UNDO

M = names.MANIFEST_SCHEMA


def undo_name(merge: int, which: str) -> str:
    return f"{which} merge {merge}"


def undo_lines(database: Database, merge: int) -> tuple[Line, Line] | None:
    """The target before the merge and after it; None where they are gone, or the merge changed rows only."""
    found = {line.name: line for line in database.trash.values() if line.record.state == UNDO}
    before, after = (found.get(undo_name(merge, which)) for which in ("before", "after"))
    return None if before is None or after is None else (database.loaded(before), database.loaded(after))


def keep_before(attempt: Attempt) -> Line:
    """The target as the transaction's snapshot has it. To be called before anything is written."""
    transaction, target = attempt.transaction, attempt.target
    point = _snapshot(attempt) if target.is_trunk else target.record.fork
    here = CatalogRef(target.id, transaction.seq)
    record = _record(attempt, "before", point, here)
    return _keep(attempt, Line(record, transaction.catalog), target)


def keep_after(attempt: Attempt, before: Line) -> None:
    """The target as the merge has made it. To be called when all is written."""
    transaction, target = attempt.transaction, attempt.target
    point = before.record.fork
    if target.is_trunk:
        point = point.with_version(transaction.write())
    record = _record(attempt, "after", point, before.record.parent_catalog)
    now = Line(target.record, transaction.catalog, touched=set(target.touched))
    line = _keep(attempt, Line(record, before.catalog), now)
    changes = list(transaction.changes)
    manifest.insert_changes(attempt.cursor, record.id, 1, changes)
    transaction.afterwards.append(lambda: attempt.database.record_changes(line, changes))


def _record(attempt: Attempt, which: str, point: Point, catalog: CatalogRef) -> Record:
    target, now = attempt.target, manifest.now()
    return Record(
        id=attempt.database.next_id(),
        name=undo_name(attempt.merge_id, which),
        parent=target.id,
        fork=point,
        parent_catalog=catalog,
        base=point,
        base_catalog=catalog,
        created_at=now,
        created_by=attempt.transaction.author.role,
        state=UNDO,
        discarded_at=now,
    )


def _keep(attempt: Attempt, line: Line, like: Line) -> Line:
    """Stores ``line`` with the own rows that ``like`` has now."""
    transaction, record = attempt.transaction, line.record
    if not like.is_trunk:
        copy_rows(transaction, like, record)
        line.touched = set(like.touched)
        line.stored = set(like.touched)
        manifest.insert_touched(attempt.cursor, record.id, sorted(line.touched))
    manifest.insert_branch(attempt.cursor, record)

    def current() -> None:
        with attempt.database.gate:
            attempt.database.trash[record.id] = line

    transaction.afterwards.append(current)
    return line


def _snapshot(attempt: Attempt) -> Point:
    """Exactly what the transaction's snapshot holds: a version in flight a moment ago may have been in time."""
    started, now = attempt.started, attempt.database.fork_point()
    unsure = {*started.in_flight, *range(started.version + 1, now.version + 1)}
    if unsure:
        rows = attempt.cursor.query(f"SELECT version FROM {M}.commits WHERE version >= ?", (min(unsure),))
        unsure -= {row[0] for row in rows}
    return Point(now.version, tuple(sorted(unsure)))


__all__ = ["keep_after", "keep_before", "undo_lines"]
