"""Versions and read points: which writes a snapshot holds.

Every transaction that writes takes the next version at its first write. Versions are handed out before commit, so
"everything up to version v" is not a snapshot: a transaction below v may still be open. A ``Point`` therefore lists
the versions that were in flight at its instant; a row is in the snapshot iff its version is not above the point's
and not in that list.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Point:
    """An instant of the whole database, storable as text: the read point of engines with versions in hidden columns."""

    version: int
    in_flight: tuple[int, ...] = ()

    def holds_all_up_to(self, version: int) -> bool:
        """Whether everything written by versions up to ``version`` is in the snapshot."""
        return version <= self.version and (not self.in_flight or version < min(self.in_flight))

    @property
    def complete(self) -> int:
        """The version up to which everything is in the snapshot."""
        return min([self.version, *(version - 1 for version in self.in_flight)])

    def with_version(self, version: int) -> Point:
        """This snapshot and what ``version`` writes, and nothing else that has begun since."""
        unseen = {*self.in_flight, *range(self.version + 1, version)} - {version}
        return Point(max(version, self.version), tuple(sorted(unseen)))

    def holds(self, version: int) -> bool:
        """Whether what ``version`` wrote is in the snapshot."""
        return version <= self.version and version not in self.in_flight

    def visible(self, column: str) -> str:
        """SQL: the row whose version is ``column`` is in the snapshot."""
        text = f"{column} <= {self.version}"
        if self.in_flight:
            text += f" AND {column} NOT IN ({', '.join(map(str, self.in_flight))})"
        return f"({text})"

    def hidden(self, column: str) -> str:
        """SQL: the row whose version is ``column`` was written after the snapshot."""
        text = f"{column} > {self.version}"
        if self.in_flight:
            text += f" OR {column} IN ({', '.join(map(str, self.in_flight))})"
        return f"({text})"

    def dump(self) -> str:
        return json.dumps([self.version, *self.in_flight])

    @classmethod
    def load(cls, text: str) -> Point:
        version, *in_flight = json.loads(text)
        return cls(version, tuple(in_flight))


class Clock:
    """Hands out versions and ids; knows which versions are in flight. All methods are safe from any thread."""

    def __init__(self, last_version: int, last_id: int) -> None:
        self._lock = threading.Lock()
        self._version = last_version
        self._id = last_id
        self._in_flight: set[int] = set()
        self._instant = datetime.min.replace(tzinfo=UTC)

    @property
    def version(self) -> int:
        return self._version

    @property
    def in_flight(self) -> bool:
        """Whether some version is in flight."""
        return bool(self._in_flight)

    def next_id(self) -> int:
        """A number never used before for a branch, a catalog object, a column, a shape or a storage table."""
        with self._lock:
            self._id += 1
            return self._id

    def take(self) -> int:
        """The next version; it is in flight until ``settle``."""
        with self._lock:
            self._version += 1
            self._in_flight.add(self._version)
            return self._version

    def settle(self, version: int) -> None:
        """The transaction of ``version`` has ended, either way."""
        with self._lock:
            self._in_flight.discard(version)

    def instant(self, now: datetime) -> datetime:
        """``now`` as the time of a commit: later than every one before, though the system's clock be set back."""
        with self._lock:
            self._instant = max(now, self._instant + timedelta(microseconds=1))
            return self._instant

    def now(self) -> Point:
        with self._lock:
            return Point(self._version, tuple(sorted(self._in_flight)))
