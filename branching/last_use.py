"""When somebody was last on a branch: its time to live counts from there.

Kept in memory, and made durable from time to time: a session that comes and goes must not cost a write.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from branching import manifest
from branching.database import Database
from branching.engine.base import EngineError
from branching.lines import Line


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
