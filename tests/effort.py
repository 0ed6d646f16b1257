"""How much a test run tries: everything under ``CI=true``, a part of it on a developer's machine."""

from __future__ import annotations

import os

CI = os.environ.get("CI") == "true"


def examples(many: int) -> int:
    """How many examples a property is tried on."""
    return many if CI else max(1, many // 4)
