"""What is under way in a database: commits that change what there is to read, and storage that is being made.

A block that has only read may be begun anew without its client noticing, if nothing has been committed since its
snapshot; storage belongs to whoever reserved its name first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from branching.database import Database


class Motion:
    """Guarded by the database's ``gate``; ``steps`` by its ``catalog_lock``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._makers: dict[str, object] = {}  # storage tables that nobody sees yet, and who makes them
        self._begun = self._running = 0  # commits of transactions that have written
        self.steps = 0  # of the database's ``epoch``, those that only made storage

    def reserve(self, name: str, maker: object) -> bool:
        """Whether ``maker`` is to make a storage table: nobody else has, nor is about to."""
        with self._database.gate:
            other = self._makers.get(name)
            if other is not maker and (other is not None or self._database.physical.has(name)):
                return False
            self._makers[name] = maker
            return True

    def release(self, maker: object) -> None:
        """What ``maker`` reserved it has made by now, or never will."""
        with self._database.gate:
            for name in [name for name, other in self._makers.items() if other is maker]:
                del self._makers[name]

    def begin_commit(self) -> None:
        """Before anything of a transaction can be seen: what others have read may not be the present any more."""
        with self._database.gate:
            self._begun += 1
            self._running += 1

    def end_commit(self) -> None:
        with self._database.gate:
            self._running -= 1

    def present(self) -> tuple[int, int] | None:
        """A mark of what there is to read: the same as before only if nothing was committed meanwhile. None while
        something is being committed. The caller holds ``catalog_lock``."""
        with self._database.gate:
            return None if self._running else (self._begun, self._database.epoch - self.steps)
