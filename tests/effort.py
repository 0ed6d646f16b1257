"""How much a test run tries: everything under ``CI=true``, a part of it on a developer's machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
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
