"""Runs changes, each in a process of its own, and kills it before a given engine statement.

    python merge_crash_worker.py

Reads requests, a line of JSON each: [FILE, merge|refresh|revert|restore|open|continue|settled|gc|detach, NUMBER].
Answers ``done`` where the change has ended before that statement, ``killed`` where not. The processes are forks: what
takes the time of a process is importing the library.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

import forks

import branching
from branching import Author, manifest
from branching.detach import Limits
from branching.engine.duckdb import DuckDBCursor
from branching.gc import collect as gc
from branching.merge import apply as merge_apply
from branching.merge import open_conflicts as conflicts


def arm(number: int) -> None:
    run = DuckDBCursor._run
    seen = 0

    def counted(self: DuckDBCursor, sql: str, parameters: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(self, sql, parameters)

    DuckDBCursor._run = counted  # type: ignore[method-assign]


def change(path: str, what: str, number: int) -> None:
    database = branching.open(path)
    author = Author("crash")
    merges = conflicts.open_merges(database)
    last = database.root.cursor().query("SELECT max(id) FROM bough_meta.merges")[0][0]
    arm(number)
    if what == "merge":
        merge_apply.merge(database, "b", "main", strategy="branch_wins", author=author)
    elif what == "refresh":
        merge_apply.refresh(database, "b", strategy="branch_wins", author=author)
    elif what in ("revert", "restore"):
        merge_apply.revert(database, last, author, strategy="branch_wins")
    elif what == "open":
        merge_apply.refresh(database, "b", strategy="manual", author=author)
    elif what == "continue":
        merge_apply.continue_merge(database, merges[0].source, author)
    elif what == "settled":
        merge_apply.continue_refresh(database, merges[0].branch, author)
    elif what == "detach":
        gc.collect(database, limits=Limits(0, 0))
    else:
        gc.collect(database, now=manifest.now() + timedelta(days=9))


if __name__ == "__main__":
    forks.serve(change)
