"""DuckDB in memory with our macros."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from proxy.sql.macros import MACRO_SCHEMA, MACROS


@pytest.fixture(scope="session")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(f"ATTACH ':memory:' AS {MACRO_SCHEMA}")
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()
