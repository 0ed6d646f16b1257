"""One engine with the reference schema, shared by the tests of a module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import reference

from proxy.catalog import SystemCatalog


@pytest.fixture(scope="module")
def engine() -> Iterator[reference.Engine]:
    found = reference.Engine()
    yield found
    found.connection.close()


@pytest.fixture(scope="module")
def system(engine: reference.Engine) -> SystemCatalog:
    return SystemCatalog(engine)


@pytest.fixture(scope="module")
def ask(engine: reference.Engine, system: SystemCatalog) -> Callable[..., list[tuple[Any, ...]]]:
    """Rows of a query on the reference schema."""
    objects = reference.catalog()

    def run(text: str, **changes: Any) -> list[tuple[Any, ...]]:
        return reference.ask(engine, system, text, objects, **changes)[1]

    return run
