"""Plans of reading statements: the engine's text, and what of the moment it assumes. Kept per text while they hold."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from branching.lines import Line
from branching.model import Catalog
from branching.resolve import Plain, Scope, Untouched

_KEPT = 500


@dataclass(slots=True)
class Plan:
    """``scope`` is what the statement was planned in; ``small``: its result is likely small."""

    sql: str
    catalog: Catalog
    line: Line
    scope: Scope
    small: bool

    def usable(self, now: Scope) -> bool:
        """Whether the text is still right for a statement that would be planned in ``now``."""
        planned = self.scope
        return (
            self.line is now.line
            and self.catalog is now.catalog
            and planned.physical is now.physical
            and planned.search_path == now.search_path
            and planned.still_true()
            and not any(
                isinstance(item, Plain | Untouched) and item.line is not now.line
                for item in planned.assumptions
            )
        )


class Plans:
    """The plans of one connection, by the caller's key for the text (None: not kept)."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Plan] = {}

    def get(self, key: Hashable) -> Plan | None:
        return None if key is None else self._kept.get(key)

    def keep(self, key: Hashable, plan: Plan) -> None:
        if key is None:
            return
        if len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = plan
