"""The engines that the conformance suite runs on. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from branching import Engine
from branching.engine.duckdb_engine import DuckDBEngine
from branching.engine.fake import FakeEngine

ENGINES: dict[str, Callable[[], Engine]] = {
    "duckdb": DuckDBEngine,
    "fake": FakeEngine,
}
