"""The TTL of a branch counts from its last use, also across a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import branching
from branching import branches, last_use
from branching.branch_info import expires_at
from branching.gc import collect as gc
from branching.manifest import now


def test_a_use_is_remembered_and_keeps_a_branch(tmp_path: Path) -> None:
    path = tmp_path / "uses.duckdb"
    database = branching.open(path)
    line = branches.create(database, "b", "main", role="me", ttl=3600)
    created = line.record.created_at
    connection = database.connect("b")
    connection.close()
    used = line.record.last_used_at
    assert used is not None and used > created
    last_use.store_uses(database)
    database.close()

    database = branching.open(path)
    try:
        record = database.line("b").record
        assert record.last_used_at == used
        expiry = expires_at(record)
        assert expiry == used + timedelta(hours=1)
        assert gc.collect(database, now=expiry - timedelta(seconds=1)) == []
        assert "b" in [name for name, _, _ in gc.collect(database, now=expiry)]
        assert not database.has_branch("b")
    finally:
        database.close()


def test_a_session_holds_its_branch() -> None:
    database = branching.open(":memory:")
    try:
        branches.create(database, "b", "main", role="me", ttl=1)
        connection = database.connect("b")
        gc.collect(database, now=now() + timedelta(days=2))
        assert database.has_branch("b")
        connection.close()
    finally:
        database.close()
