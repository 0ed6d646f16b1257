"""A write-ahead log that is damaged (flipped bits, sectors that were never written): giving up its tail, by hand.

The engine refuses such a log and names the byte at which it stops making sense; a merely torn tail it drops itself.
Rules:

1. Never by itself: what stands behind that byte was acknowledged to somebody. A person asks for it.
2. Both files are copied aside, and the copies are on the disk, before a byte is changed.
3. Only the log is cut, and only at a byte that the engine named. Everything committed before it is kept.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from branching.engine.base import OpenError
from branching.engine.duckdb import connect

_CUTS = 100  # each cut is before the last: a log that needs more is no log


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the copies are, and how many bytes the log had and has."""

    file: Path
    log: Path
    before: int
    after: int


def discard_tail(file: Path) -> Recovered:
    """Cuts the log of ``file`` where it is damaged, so that it opens again. OpenError says what could not be done."""
    log = Path(f"{file}.wal")
    if not file.is_file():
        raise OpenError(f'there is no file "{file}"')
    damage = _damage(file)
    if damage is None:
        raise OpenError(f'"{file}" opens: there is nothing to recover')
    if damage.damaged_at is None or not log.is_file():
        raise damage
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = Recovered(
        _copied(file, stamp), _copied(log, stamp), log.stat().st_size, 0
    )  # both names are said whatever happens now
    position = kept.before
    for _ in range(_CUTS):
        if damage is None:
            return Recovered(kept.file, kept.log, kept.before, position)
        if damage.damaged_at is None or damage.damaged_at >= position:
            break
        position = damage.damaged_at
        with log.open("r+b") as handle:
            handle.truncate(position)
            os.fsync(handle.fileno())
        damage = _damage(file)
    assert damage is not None
    raise OpenError(
        f'"{file}" does not open with its log cut at byte {position}: {damage.message}',
        f'the files as they were are "{kept.file}" and "{kept.log}"',
    )


def _damage(file: Path) -> OpenError | None:
    try:
        connect(str(file), read_only=True).close()
    except OpenError as error:
        return error
    return None


def _copied(path: Path, stamp: str) -> Path:
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    try:
        with path.open("rb") as source, target.open("xb") as made:
            shutil.copyfileobj(source, made, 2**20)
            made.flush()
            os.fsync(made.fileno())
    except FileExistsError:
        raise OpenError(f'"{target}" is there already', "wait a second, or move it away") from None
    except OSError as error:
        target.unlink(missing_ok=True)
        raise OpenError(
            f'cannot copy "{path}" aside: {error.strerror or error}', "nothing was changed; free space first"
        ) from error
    return target
