"""What there is: a row for every branch, and for every table of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from branching import names
from branching.database import Database
from branching.engine.base import Cursor
from branching.lines import TRUNK, Record
from branching.names import BRANCH, VERSION, is_pin
from branching.overlay import reads_copy, unmasked

_BYTES_PER_ROW = 64


@dataclass(frozen=True, slots=True)
class BranchInfo:
    """A row of BRANCH LIST."""

    name: str
    parent: str | None
    state: str
    created_at: datetime
    created_by: str
    fork_version: int
    head_version: int
    last_write_at: datetime | None
    expires_at: datetime | None
    protected: bool
    sessions: int
    tables_changed: int
    rows_changed: int
    bytes: int
    ahead: int
    behind: int
    owner: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class TableStatus:
    """A row of BRANCH STATUS."""

    schema: str
    table: str
    state: str  # untouched, changed, new, dropped
    inserted: int
    updated: int
    deleted: int
    bytes: int


def expires_at(record: Record) -> datetime | None:
    if record.ttl is None or record.id == 0:
        return None
    return (record.last_used_at or record.created_at) + timedelta(seconds=record.ttl)


def _copied(database: Database, cursor: Cursor) -> dict[int, tuple[int, int]]:
    """Per branch with copies of tables: how many rows of them are its own changes, and how many there are in all."""
    found: dict[int, tuple[int, int]] = {}
    if not any(base.is_copy for base in database.physical.bases.values()):
        return found
    for line in list(database.lines.values()):
        for table in database.loaded(line).catalog.tables() if line.touched else ():
            if not reads_copy(table, database.physical):
                continue
            rows = unmasked(table, line, database.physical, plain=True)
            changed, whole = cursor.query(
                f"SELECT count(*) FILTER (WHERE {line.record.base.hidden(VERSION)}), count(*) FROM ({rows}) AS _rows"
            )[0]
            before = found.get(line.id, (0, 0))
            found[line.id] = before[0] + changed, before[1] + whole
    return found


def information(database: Database, cursor: Cursor) -> list[BranchInfo]:
    """A row for every live branch, the trunk first."""
    database.commit_log.flush()
    heads = dict(
        cursor.query(f"SELECT branch, max(version) FROM {names.MANIFEST_SCHEMA}.commits GROUP BY branch")
    )
    written = dict(
        cursor.query(f"SELECT branch, max(committed_at) FROM {names.MANIFEST_SCHEMA}.commits GROUP BY branch")
    )
    rows: dict[int, int] = {}
    sizes: dict[int, int] = {}  # rows of copies
    for table in database.physical.storage:
        if table[0] in "dm" and table[1:].isdigit():
            for branch, count in cursor.query(
                f"SELECT {BRANCH}, count(*) FROM {names.DATA_SCHEMA}.{table} GROUP BY 1"
            ):
                if table[0] == "d":
                    rows[branch] = rows.get(branch, 0) + count
    for branch, (changed, whole) in _copied(database, cursor).items():
        rows[branch] = rows.get(branch, 0) + changed
        sizes[branch] = sizes.get(branch, 0) + whole
    found = []
    for line in sorted(database.lines.values(), key=lambda item: item.id):
        record = line.record
        if is_pin(record.name):
            continue
        parent = database.lines.get(record.parent) if record.parent is not None else None
        found.append(
            BranchInfo(
                record.name,
                parent.name if parent else None,
                record.state,
                record.created_at,
                record.created_by,
                record.fork.version if record.parent in (None, TRUNK) else record.base.version,
                heads.get(line.id, record.fork.version),
                written.get(line.id),
                expires_at(record),
                record.protected,
                line.sessions,
                len(line.touched),
                rows.get(line.id, 0),
                (rows.get(line.id, 0) + sizes.get(line.id, 0)) * _BYTES_PER_ROW,
                rows.get(line.id, 0),
                0,
                record.owner,
                record.comment,
            )
        )
    return found
