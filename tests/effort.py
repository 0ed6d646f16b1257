"""How much a test run tries: everything under ``CI=true``, a part of it on a developer's machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

CI = os.environ.get("CI") == "true"


def examples(many: int) -> int:
    """How many examples a property is tried on."""
    return many if CI else max(1, many // 4)


def seeds(many: int | Iterable[Any], quick: int = 1) -> list[Any]:
    """Seeds, or other values of one kind: ``quick`` of them always, the others with the slow tests."""
    values = list(range(many) if isinstance(many, int) else many)
    return values[:quick] + [pytest.param(value, marks=pytest.mark.slow) for value in values[quick:]]


def enough(combinations: Sequence[frozenset[object]]) -> set[int]:
    """Numbers of combinations that have every value of all of them; each has one that none before it has."""
    missing = frozenset().union(*combinations)
    left, chosen, used = set(range(len(combinations))), set[int](), Counter[object]()
    while missing:  # the one with most that is missing; of several, the one whose values were used least
        best = min(
            left,
            key=lambda at: (-len(combinations[at] & missing), sum(used[v] for v in combinations[at]), at),
        )
        left.remove(best)
        chosen.add(best)
        missing -= combinations[best]
        used.update(combinations[best])
    return chosen
