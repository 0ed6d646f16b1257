"""``bough recover``: opens a file whose write-ahead log is damaged, without what stands behind the damage."""

from __future__ import annotations

import shlex
from pathlib import Path

import branching
from branching import manifest
from branching.engine.base import OpenError
from branching.engine.duckdb_recover import discard_tail
from proxy.sql import macros


def recover(file: str, *, discard_wal_tail: bool) -> int:
    if not discard_wal_tail:
        raise OpenError(
            "say what may be given up",
            f"bough recover --discard-wal-tail {shlex.quote(file)} gives up what the log holds behind its damage",
        )
    done = discard_tail(Path(file))
    print(f"kept as they were: {done.file} and {done.log}", flush=True)
    print(f"the log had {done.before} bytes; those from byte {done.after} on are given up", flush=True)
    database = branching.open(file, prepare=macros.install)
    try:
        last = manifest.last_commit(database.root)
    finally:
        database.close()
    if last is None:
        print(f"{file} opens; it has no commit")
    else:
        version, branch, at = last
        print(
            f"{file} opens; its last commit is version {version} on branch {branch}, of {at:%Y-%m-%d %H:%M:%S} UTC"
        )
    return 0
