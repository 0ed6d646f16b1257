"""What a layout is chosen from, asked of the source itself: rows, distinct values, NULLs, skew, spans and time order.

Rules:

1. One snapshot. One scan for all columns; then one count by value for each of a few candidates; then the temporal
   columns of the first rows as they lie, because no engine's catalog says whether rows follow time.
2. Columns that can be no key anywhere (floats, JSON, nested, bytes) are only counted, never compared.
3. Above ``EXACT_ROWS`` rows distinct values are estimated where the engine can (``HyperLogLog`` and its kin).
4. An engine that cannot answer leaves the statistics out, not the layout: it is then chosen from declared facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from migration.connectors.base import ReadColumn, Reader, Source
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.errors import MigrationError
from migration.layout.choice import ColumnStatistics
from migration.measures.sql import source_clause
from migration.model import ColumnSpec
from migration.types import fixed_bytes

EXACT_ROWS = 5_000_000
_CANDIDATES = 8  # columns whose most frequent value is counted
_ORDER_ROWS = 50_000  # rows whose order tells whether a table follows time
_UNCOMPARED = ("float32", "float64", "json", "list", "map", "struct", "bytes", "unknown", "interval", "bit")
_ESTIMATE = {
    "duckdb": "approx_count_distinct({})",
    "clickhouse": "uniq({})",
    "snowflake": "APPROX_COUNT_DISTINCT({})",
    "bigquery": "APPROX_COUNT_DISTINCT({})",
    "redshift": "APPROXIMATE COUNT(DISTINCT {})",
    "starrocks": "approx_count_distinct({})",
    "doris": "approx_count_distinct({})",
    "spark": "approx_count_distinct({})",
    "trino": "approx_distinct({})",
}


def take(
    reader: Reader, source: Source, dialect: str, columns: Sequence[ColumnSpec], keys: Sequence[str] = ()
) -> tuple[tuple[ColumnStatistics, ...], int]:
    """The statistics of ``columns`` and the number of rows. Columns of ``keys`` count as NOT NULL."""
    rows = reader.count(source)
    declared = [ColumnStatistics(c.name, c.type, c.nullable and c.name not in keys) for c in columns]
    if not rows:
        return tuple(declared), rows
    try:
        known = _scan(reader, source, dialect, columns, rows)
        skews = _skews(reader, source, dialect, columns, known, rows)
        orders = _orders(reader, source, columns)
    except MigrationError as error:
        if error.sqlstate in ("57014", "HV00N"):
            raise
        return tuple(declared), rows
    return tuple(
        ColumnStatistics(
            item.name, item.type, item.nullable, skew=skews.get(item.name),
            time_correlation=orders.get(item.name), **known[item.name],
        )
        for item in declared
    ), rows  # fmt: skip


def _scan(
    reader: Reader, source: Source, dialect: str, columns: Sequence[ColumnSpec], rows: int
) -> dict[str, dict[str, Any]]:
    """NULLs of every column; distinct values, least and greatest of those that can be compared; widths of texts."""
    item = contract(dialect)
    form = _ESTIMATE.get(item.name.partition("-")[0], "") if rows > EXACT_ROWS else ""
    wanted: list[tuple[str, str]] = []
    parts: list[str] = []
    for column in columns:
        quoted = quote_name(column.name, item)
        asked = {"filled": f"count({quoted})"}
        if column.type.kind not in _UNCOMPARED:
            asked["distinct"] = (form or "count(DISTINCT {})").format(quoted)
        if column.type.is_temporal and column.type.kind not in _UNCOMPARED:
            asked |= {"minimum": f"min({quoted})", "maximum": f"max({quoted})"}
        if column.type.kind == "text":
            asked["width"] = f"sum(length({quoted}))"
        for what, expression in asked.items():
            wanted.append((column.name, what))
            parts.append(f"{expression} AS s{len(parts)}")
    table = reader.fetch(f"SELECT {', '.join(parts)} FROM {source_clause(source, dialect)}")
    found: dict[str, dict[str, Any]] = {column.name: {} for column in columns}
    for number, (name, what) in enumerate(wanted):
        try:
            found[name][what] = table.column(number)[0].as_py()
        except (OverflowError, ValueError):  # an infinite date, or one before year 1: no span
            found[name][what] = None
    for column in columns:
        values = found[column.name]
        filled = int(values.pop("filled") or 0)
        width = values.pop("width", None)
        values["nulls"] = rows - filled
        values["avg_bytes"] = float(width) / rows if width is not None else float(fixed_bytes(column.type))
        if "distinct" in values:
            values["distinct"] = min(int(values["distinct"] or 0), filled)
    return found


def _skews(
    reader: Reader,
    source: Source,
    dialect: str,
    columns: Sequence[ColumnSpec],
    known: dict[str, dict[str, Any]],
    rows: int,
) -> dict[str, float]:
    """The share of the most frequent value, of the columns that might spread rows. Nearly unique ones need no count."""
    item = contract(dialect)
    spread = sorted(
        ((known[c.name]["distinct"], c.name) for c in columns if known[c.name].get("distinct", 0) > 1),
        reverse=True,
    )
    found = {name: 1 / distinct for distinct, name in spread if distinct >= 0.9 * rows}
    for _, name in [pair for pair in spread if pair[1] not in found][:_CANDIDATES]:
        quoted = quote_name(name, item)
        table = reader.fetch(
            f"SELECT max(n) AS m FROM (SELECT count(*) AS n FROM {source_clause(source, dialect)} "
            f"WHERE {quoted} IS NOT NULL GROUP BY {quoted}) AS bough_counted"
        )
        found[name] = int(table.column(0)[0].as_py() or 0) / rows
    return found


def _orders(reader: Reader, source: Source, columns: Sequence[ColumnSpec]) -> dict[str, float]:
    """How closely the first rows, in the order they come, follow each temporal column."""
    temporal = [c for c in columns if c.type.kind in ("date", "timestamp", "instant")]
    if not temporal:
        return {}
    asked = [ReadColumn(column.name, column.type) for column in temporal]
    batches = list(reader.read(source, asked, limit=_ORDER_ROWS))
    if not batches:
        return {}
    found = {}
    table = pa.Table.from_batches(batches)
    for number, column in enumerate(temporal):
        values = table.column(number).cast(pa.int32() if column.type.kind == "date" else pa.int64())
        filled = np.asarray(values.is_valid())
        series = np.asarray(values.drop_null(), dtype=np.float64)
        if len(series) > 2 and series.min() < series.max():
            found[column.name] = float(np.corrcoef(np.flatnonzero(filled), series)[0, 1])
    return found
