"""Plans of statements: the engine's text, and what of the moment it assumes. Kept per text while they hold."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from branching.resolve import Scope

_KEPT = 500
T = TypeVar("T")


@dataclass(slots=True)
class Plan:
    """``scope`` is what the statement was planned in; ``small``: its result is likely small."""

    sql: str
    scope: Scope
    small: bool

    def usable(self, now: Scope) -> bool:
        """Whether the text is still right for a statement that would be planned in ``now``."""
        planned = self.scope
        return planned.means_the_same(now) and planned.still_true() and not planned.elsewhere


class Kept(Generic[T]):
    """Plans of one connection, by the caller's key for the text (None: not kept)."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[object, T]] = {}

    def get(self, key: Hashable, tree: object) -> T | None:
        """The plan kept for this very ``tree``."""
        found = None if key is None else self._kept.get(key)
        return found[1] if found is not None and found[0] is tree else None

    def keep(self, key: Hashable, tree: object, plan: T) -> None:
        if key is None:
            return
        if len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = (tree, plan)
