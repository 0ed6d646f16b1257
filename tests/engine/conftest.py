"""One test, every engine."""

from __future__ import annotations

import pytest
from engines import ENGINES

from branching import Engine


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]()
