"""What running a statement gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from branching.engine.base import ResultColumn


@dataclass(slots=True)
class Result:
    """What a statement gave. ``batches`` yields lists of rows, or ``Frames`` where ``encoded``."""

    columns: tuple[ResultColumn, ...] | None = None
    rowcount: int | None = None
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))
    encoded: bool = False

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows; for results that are not encoded."""
        return [row for batch in self.batches for row in batch]

    def close(self) -> None:
        self.batches = iter(())
