"""A query's rows as wire frames: binds it for its types, then lets DuckDB encode while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from branching.engine import duckdb_encode
from branching.engine.base import Frames, ResultColumn


def open_frames(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any], formats: Sequence[int]
) -> tuple[tuple[ResultColumn, ...], Iterator[Frames]]:
    """Binds ``sql`` and starts it, wrapped. ``formats`` as Bind gives them: none, one for all, or one each."""
    relation = connection.sql(sql, params=parameters) if parameters else connection.sql(sql)
    columns = tuple(
        ResultColumn(name, str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
    )
    spread = tuple(formats) if len(formats) > 1 else tuple(formats or (0,)) * len(columns)
    encoded = duckdb_encode.columns_of([(column.name, column.type) for column in columns], spread)
    query = duckdb_encode.wrap(sql, encoded)
    return columns, _frames(connection, query, parameters)


def _frames(connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]) -> Iterator[Frames]:
    relation = connection.sql(query, params=parameters) if parameters else connection.sql(query)
    reader = relation.to_arrow_reader(duckdb_encode.BATCH_ROWS)
    try:
        for batch in reader:
            for frames in duckdb_encode.frames_of(batch):
                yield Frames(frames.data, frames.rows)
    finally:
        reader.close()
