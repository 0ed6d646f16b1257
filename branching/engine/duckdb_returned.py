"""Rows that a write returned; DuckDB keeps them materialised."""

from __future__ import annotations

from typing import Any

from branching.engine import duckdb_exact as exact
from branching.engine.base import ResultColumn
from branching.engine.duckdb_rows import exact_rows


class DuckDBReturned:
    """Of a relation of the client library; ``encoder`` is a connection for conversions."""

    def __init__(self, relation: Any, encoder: Any) -> None:
        self._relation = relation
        self._encoder = encoder
        self.columns = tuple(
            ResultColumn(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
        )

    def rows(self) -> list[tuple[Any, ...]]:
        if not exact.needed(self.columns):
            rows: list[tuple[Any, ...]] = self._relation.fetchall()
            if not exact.has_sentinel(self.columns, rows):
                return rows
        pairs = [(column.name, column.type) for column in self.columns]
        return exact_rows(self._relation.to_arrow_table(), pairs, self._encoder)

    def arrow(self) -> Any:
        return self._relation.to_arrow_table()
