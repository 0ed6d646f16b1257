"""Who uses a table: writers of rows share it, DDL and TRUNCATE claim it, parents and children of a key mind each other.

The engine finds two writers of one row; it does not find an UPDATE and a TRUNCATE of one table, nor a parent that goes
while its child comes. Rules:

1. Nobody waits inside a block: whoever comes second is refused (40001). Outside a block a statement waits a while.
2. Whoever would work on a snapshot from before the other's commit is refused: every commit of writes has a stamp, and a
   transaction knows the stamp before its snapshot.
3. A claim of a statement outside a block is held by a token that outlives a try, so the next try finds no writers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from branching.errors import BoughError
from branching.lines import Line, TableUse

if TYPE_CHECKING:
    from branching.database import Database

LOCK_WAIT = 10.0  # seconds a statement outside a block waits for a table


class TableUser:
    """What a transaction holds of its line's tables."""

    def __init__(self, database: Database, line: Line, *, explicit: bool, token: object | None) -> None:
        self.database = database
        self.line = line
        self.explicit = explicit
        self.version: int | None = None
        self._token = self if token is None else token  # what claims are held by
        self._shared: set[int] = set()
        self._claimed: set[int] = set()
        self._referred: set[int] = set()
        self._removed: set[int] = set()
        self._committed = False
        with database.gate:
            self.stamp = database.stamp

    def take(self) -> int:
        """The transaction's version."""
        raise NotImplementedError

    def has_written(self, table: int) -> bool:
        """Whether this transaction may have changed rows of the table."""
        return table in self._shared

    def share(self, table: int) -> None:
        """Before a write of rows: others may write other rows of the table, nobody may change it as a whole."""
        version = self.take()
        gate = self.database.gate
        with gate:
            use = self.line.uses.setdefault(table, TableUse())
            if use.claimed_by not in (None, self._token):
                if self.explicit:
                    raise stale()
                if not gate.wait_for(lambda: use.claimed_by is None, timeout=LOCK_WAIT):
                    raise busy()
            if use.changed > self.stamp:
                raise stale()
            use.writers.add(version)
            self._shared.add(table)

    def claim(self, table: int) -> None:
        """Before a change of the whole table: nobody else may write it, nor have written it since our snapshot."""
        version = self.take()
        gate = self.database.gate
        with gate:
            use = self.line.uses.setdefault(table, TableUse())
            if use.claimed_by is not self._token:
                if use.claimed_by is not None and self.explicit:
                    raise stale()
                if not gate.wait_for(lambda: use.claimed_by is None, timeout=LOCK_WAIT):
                    raise busy()
                use.claimed_by = self._token
            self._claimed.add(table)
            if use.writers - {version}:
                if self.explicit:
                    raise stale()
                if not gate.wait_for(lambda: not use.writers - {version}, timeout=LOCK_WAIT):
                    raise busy()
            if max(use.written, use.changed) > self.stamp:
                raise stale()

    def refer(self, table: int) -> None:
        """Rows that refer to the table were written: nobody may remove keys of it meanwhile."""
        version = self.take()
        with self.database.gate:
            use = self.line.uses.setdefault(table, TableUse())
            if use.removers - {version} or use.removed > self.stamp:
                raise stale()
            use.referrers.add(version)
            self._referred.add(table)

    def remove_keys(self, table: int) -> None:
        """Keys of the table are removed: nobody may write rows that refer to it meanwhile."""
        version = self.take()
        with self.database.gate:
            use = self.line.uses.setdefault(table, TableUse())
            if use.referrers - {version} or use.referred > self.stamp:
                raise stale()
            use.removers.add(version)
            self._removed.add(table)

    def try_claim(self, table: int) -> bool:
        """Claims the table if nobody else uses it; never waits."""
        version = self.take()
        with self.database.gate:
            use = self.line.uses.setdefault(table, TableUse())
            if (
                use.claimed_by not in (None, self._token)
                or use.writers - {version}
                or max(use.written, use.changed) > self.stamp
            ):
                return False
            use.claimed_by = self._token
            self._claimed.add(table)
            return True

    def uses(self) -> tuple[frozenset[int], ...]:
        """The tables it shares, claims, refers to, and has removed keys of."""
        return tuple(map(frozenset, (self._shared, self._claimed, self._referred, self._removed)))

    def back_to_uses(self, kept: tuple[frozenset[int], ...]) -> None:
        """Lets go of what has been taken since ``uses`` gave that: nothing of it has been done."""
        version = self.version or 0
        with self.database.gate:
            uses = self.line.uses
            for table in self._shared - kept[0]:
                uses[table].writers.discard(version)
            for table in self._claimed - kept[1]:
                if uses[table].claimed_by is self._token:
                    uses[table].claimed_by = None
            for table in self._referred - kept[2]:
                uses[table].referrers.discard(version)
            for table in self._removed - kept[3]:
                uses[table].removers.discard(version)
            self._shared, self._claimed, self._referred, self._removed = map(set, kept)
            self.database.gate.notify_all()

    def owns(self, table: int) -> bool:
        """Whether the table is claimed: no row of it can be in anybody else's hands."""
        return table in self._claimed

    def end_uses(self, *, named: bool = True) -> None:
        """Lets go of the tables; the caller holds the gate. ``named``: it has told of every table that it wrote."""
        if self._committed:
            self.database.stamp += 1
            if not named:
                self.line.unnamed = self.database.stamp
        for table in self._shared | self._claimed:
            use = self.line.uses[table]
            use.writers.discard(self.version or 0)
            if self._committed:
                if table in self._shared:
                    use.written = self.database.stamp
                if table in self._claimed:
                    use.changed = self.database.stamp
            if use.claimed_by is self:
                use.claimed_by = None
        for table in self._referred | self._removed:
            use = self.line.uses[table]
            use.referrers.discard(self.version or 0)
            use.removers.discard(self.version or 0)
            if self._committed:
                if table in self._referred:
                    use.referred = self.database.stamp
                if table in self._removed:
                    use.removed = self.database.stamp


def release(line: Line, token: object) -> None:
    """Ends the claims held by ``token`` over several tries; the caller holds the gate."""
    for use in line.uses.values():
        if use.claimed_by is token:
            use.claimed_by = None


def stale() -> BoughError:
    return BoughError(
        "40001",
        "could not serialize access due to concurrent changes of the table",
        detail="Another transaction altered or truncated the table, or is about to.",
        hint="Retry the transaction.",
    )


def busy() -> BoughError:
    return BoughError(
        "55P03",
        "could not obtain lock on table",
        detail=f"Other transactions have used it for more than {LOCK_WAIT:.0f} s.",
        hint="Try again when they have ended; bough.sessions shows them.",
    )
