"""How each engine lays out tables: one function per family from ``Facts`` to choices.

Numbers that decide are named constants with the source of each: the engines' own guides where they give one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from migration.dialects.base import DialectContract, at_least
from migration.layout.choice import Choice, ColumnStatistics
from migration.layout.clauses import KEYLESS

_UNSORTABLE = ("float32", "float64", "json", "list", "map", "struct", "bytes", "unknown", "interval", "bit")
_EVEN = 0.02  # the most frequent value may hold this share before a distribution counts as skewed
_ENOUGH_DISTINCT = 1000  # values needed to fill some hundred segments evenly
_LOW_CARDINALITY = 10_000  # ClickHouse docs, LowCardinality: "less than 10,000 distinct values"
_LARGE_ROWS = 10_000_000
_PARTITION_ROWS = 1_000_000
_MAX_PARTITIONS = 4000  # BigQuery allows 10,000, Hive metastores suffer much earlier
_BUCKET_BYTES = 1 << 30  # StarRocks and Doris advise tablets of 1 to 10 GB
_CLUSTER_BYTES = 10**12  # Snowflake docs: "multi-terabyte"
_DEFAULT_BUCKETS = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """What a family decides from."""

    contract: DialectContract
    columns: tuple[ColumnStatistics, ...]
    row_count: int | None
    primary_key: tuple[str, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    total_bytes: int | None
    version: str | None

    def column(self, name: str) -> ColumnStatistics:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def evenness(self, column: ColumnStatistics) -> float:
        """0 to 1: how evenly rows spread by this column's values. 0 if it cannot be told."""
        if not self.row_count or column.distinct is None:
            return 0.0
        spread = min(1.0, column.distinct / min(self.row_count, _ENOUGH_DISTINCT))
        filled = 1 - (column.nulls or 0) / self.row_count
        return max(0.0, spread * filled * (1 - min(1.0, (column.skew or 0.0) / 0.5)))

    def sortable(self) -> list[ColumnStatistics]:
        """Columns that may be keys in any engine, those not null first."""
        found = [column for column in self.columns if column.type.kind not in _UNSORTABLE]
        return sorted(found, key=lambda column: column.nullable)

    def best_spread(self, among: Sequence[ColumnStatistics]) -> tuple[ColumnStatistics, float] | None:
        """The column that spreads rows best; declared order and whole numbers decide without statistics."""
        if not among:
            return None
        scored = [(self.evenness(column), column) for column in among]
        best = max(scored, key=lambda pair: pair[0])
        if best[0] > 0:
            return best[1], best[0]
        if any(column.distinct is not None for column in among) and self.row_count:
            return None
        integers = [column for column in among if column.type.is_integer and not column.nullable]
        return (integers or [column for column in among if column.type.is_integer] or list(among))[0], 0.3

    def time_column(self) -> ColumnStatistics | None:
        """The temporal column that rows follow best; the only one if nothing was measured."""
        temporal = [column for column in self.columns if column.type.is_temporal]
        followed = [column for column in temporal if column.time_correlation is not None]
        if followed:
            best = max(followed, key=lambda column: abs(column.time_correlation or 0))
            return best if abs(best.time_correlation or 0) >= 0.5 else None
        return temporal[0] if len(temporal) == 1 else None

    def why_spread(self, column: ColumnStatistics) -> str:
        """The measurements behind a distribution column."""
        if column.distinct is None or not self.row_count:
            return f"{column.type} column; spread not measured"
        skew = f", most frequent value {column.skew:.1%}" if column.skew is not None else ""
        nulls = f"{column.nulls or 0:,} NULL"
        return f"{column.distinct:,} distinct values in {self.row_count:,} rows, {nulls}{skew}"

    def order(self, choices: Sequence[Choice]) -> tuple[str, ...]:
        """Declaration order: StarRocks and Doris keys first, Hive partition columns last."""
        names = [column.name for column in self.columns]
        for choice in choices:
            if choice.clause in ("duplicate_key", "primary_key", "unique_key"):
                return (*choice.columns, *(name for name in names if name not in choice.columns))
            if choice.clause == "partitioned_by" and self.contract.name in ("trino-hive", "hive"):
                return (*(name for name in names if name not in choice.columns), *choice.columns)
        return ()


def _days(column: ColumnStatistics) -> int | None:
    """Days between the least and greatest value."""
    low, high = column.minimum, column.maximum
    if isinstance(low, datetime) and isinstance(high, datetime):
        return (high - low).days
    if isinstance(low, date) and isinstance(high, date) and not isinstance(low, datetime):
        return (high - low).days
    return None


def _key_model(facts: Facts) -> tuple[Choice, ...]:
    doris = facts.contract.name == "doris"
    usable = [column for column in facts.sortable() if not (doris and _is_unbounded(column))]
    names = [column.name for column in usable]
    choices: list[Choice] = []
    if facts.primary_key and all(name in names for name in facts.primary_key):
        clause = "unique_key" if doris else "primary_key"
        choices.append(Choice(clause, facts.primary_key, reason="the source's primary key", score=1.0))
        candidates = [facts.column(name) for name in facts.primary_key]
    else:
        candidates = usable
    kinds = [
        column for column in candidates if column.type.kind not in ("time", "timetz", "uuid") or not doris
    ]
    best = facts.best_spread(kinds)
    if best is None and choices:
        best = (candidates[0], 0.1)
    if not choices:
        time, keys = facts.time_column(), []
        if time is not None and time.time_correlation is not None and time.name in names:
            keys.append(time.name)
        keys += [best[0].name] if best and best[0].name not in keys else []
        keys = keys or names[:1]
        if not keys:
            first = ", ".join(column.name for column in facts.columns[:1])
            reason = f"no column can be a key (first is {first})"
            if doris:
                spread = Choice("distributed_by", (), "RANDOM", "no column to hash by", 0.5)
                return (
                    Choice("properties", (), f'"{KEYLESS}" = "true"', reason, 0.5),
                    spread,
                    _buckets(facts),
                )
            return (Choice("duplicate_key", (), reason=reason, score=0.0),)
        reason = (
            "sort prefix: rows follow it in time"
            if len(keys) > 1
            else "sort prefix of the best spread column"
        )
        choices.append(Choice("duplicate_key", tuple(keys), reason=reason, score=best[1] if best else 0.2))
    if best is None:
        if choices[0].clause == "duplicate_key" and at_least(facts.version, "3.1"):
            reason = "no column spreads rows evenly: random buckets"
            choices.append(Choice("distributed_by", (), "RANDOM", reason, 0.5))
        else:
            choices.append(
                Choice("distributed_by", choices[0].columns[:1], reason="first key column", score=0.2)
            )
    else:
        choices.append(Choice("distributed_by", (best[0].name,), "", facts.why_spread(best[0]), best[1]))
    choices.append(_buckets(facts))
    return tuple(choices)


def _is_unbounded(column: ColumnStatistics) -> bool:
    return column.type.kind == "text" and (column.type.length is None or column.type.length * 4 > 65533)


def _buckets(facts: Facts) -> Choice:
    size = facts.total_bytes
    if size is None and facts.row_count and all(column.avg_bytes is not None for column in facts.columns):
        size = int(facts.row_count * sum(column.avg_bytes or 0 for column in facts.columns))
    if size is None:
        return Choice("buckets", (), str(_DEFAULT_BUCKETS), "size not measured", 0.3)
    count = min(128, max(1, round(size / _BUCKET_BYTES)))
    return Choice("buckets", (), str(count), f"{size / 1e9:.1f} GB at about 1 GB a bucket", 0.9)


def _greenplum(facts: Facts) -> tuple[Choice, ...]:
    keys = [set(key) for key in (facts.primary_key, *facts.unique_keys) if key]
    inside = set.intersection(*keys) if keys else None
    candidates = [column for column in facts.sortable() if inside is None or column.name in inside]
    choices: list[Choice] = []
    best = facts.best_spread(candidates)
    if keys and not candidates:
        choices.append(
            Choice(
                "distributed_by", (), "REPLICATED", "the unique keys share no column to distribute by", 0.4
            )
        )
    elif best and (keys or best[1] >= 0.5 or best[0].distinct is None):
        reason = facts.why_spread(best[0]) + (", part of every key" if keys else "")
        choices.append(Choice("distributed_by", (best[0].name,), "", reason, best[1]))
    elif keys:
        choices.append(Choice("distributed_by", (candidates[0].name,), "", "part of every key", 0.2))
    else:
        choices.append(Choice("distributed_by", (), "RANDOMLY", "no column spreads rows evenly", 0.6))
    if facts.row_count and facts.row_count >= _LARGE_ROWS and not keys:
        value = "appendoptimized=true, orientation=column, compresstype=zstd"
        choices.append(Choice("with", (), value, f"{facts.row_count:,} rows: columnar and compressed", 0.8))
    return tuple(choices)


def _clickhouse(facts: Facts) -> tuple[Choice, ...]:
    solid = [column for column in facts.sortable() if not column.nullable]
    by_name = {column.name: column for column in solid}
    unit = "few distinct values first, many last"
    if facts.primary_key and all(name in by_name for name in facts.primary_key):
        keys = [by_name[name] for name in facts.primary_key]
        reason = f"the source's primary key, {unit}"
    else:
        few = [
            column
            for column in solid
            if column.distinct is not None and 1 < column.distinct <= _LOW_CARDINALITY
        ]
        few.sort(key=lambda column: column.distinct or 0)
        best = facts.best_spread([column for column in solid if column not in few[:2]])
        time = facts.time_column()
        keys = few[:2] + ([time] if time is not None and time in solid and time not in few[:2] else [])
        keys += [best[0]] if best and best[0] not in keys else []
        reason = unit if few else "not Nullable; cardinality not measured"
    keys.sort(key=lambda column: column.distinct or 0)
    measured = 0.8 if any(column.distinct is not None for column in keys) else 0.3
    names = tuple(column.name for column in keys[:4])
    empty = "no column without NULLs can sort: tuple()"
    choices = [
        Choice("engine", (), "MergeTree()", "the engine for large tables", 0.9),
        Choice("order_by", names, "" if names else "tuple()", reason if names else empty, measured),
    ]
    time = facts.time_column()
    days = _days(time) if time is not None else None
    if (
        time is not None
        and not time.nullable
        and days
        and 60 <= days <= 36_500
        and (facts.row_count or 0) >= _LARGE_ROWS
    ):
        reason = f"{facts.row_count:,} rows over {days:,} days: one part a month"
        choices.append(Choice("partition_by", (time.name,), "toYYYYMM", reason, 0.7))
    low = [
        column.name
        for column in facts.columns
        if column.type.kind == "text" and column.distinct is not None and column.distinct <= _LOW_CARDINALITY
        if (facts.row_count or 0) > 10 * column.distinct
    ]
    if low:
        choices.append(Choice("low_cardinality", tuple(low), "", "fewer than 10,000 distinct values", 0.8))
    return tuple(choices)


def _redshift(facts: Facts) -> tuple[Choice, ...]:
    choices: list[Choice] = []
    best = facts.best_spread(facts.sortable())
    if best and best[1] >= 0.9 and (facts.row_count or 0) >= _LARGE_ROWS:
        choices.append(Choice("distkey", (best[0].name,), "", facts.why_spread(best[0]), best[1]))
    else:
        choices.append(Choice("diststyle", (), "AUTO", "no measured join key on a large table", 0.7))
    time = facts.time_column()
    if time is not None and time.time_correlation is not None:
        reason = f"rows follow it in time (correlation {time.time_correlation:.2f})"
        choices.append(Choice("sortkey", (time.name,), "", reason, abs(time.time_correlation)))
    else:
        choices.append(Choice("sortkey", (), "AUTO", "no column known to follow time", 0.5))
    return tuple(choices)


def _partition(facts: Facts) -> tuple[ColumnStatistics, int] | None:
    """A temporal column worth partitioning by, with its span in days."""
    time = facts.time_column()
    if time is None or (facts.row_count is not None and facts.row_count < _PARTITION_ROWS):
        return None
    days = _days(time)
    return None if days is None else (time, days)


def _bigquery(facts: Facts) -> tuple[Choice, ...]:
    choices: list[Choice] = []
    found = _partition(facts)
    if found:
        column, days = found
        unit = "DAY" if days <= _MAX_PARTITIONS else "MONTH"
        choices.append(Choice("partition_by", (column.name,), unit, f"rows span {days:,} days", 0.8))
    good = [column for column in facts.sortable() if column.distinct and column.type.kind != "time"]
    good.sort(key=lambda column: -(column.distinct or 0))
    taken = choices[0].columns if choices else ()
    names = tuple(column.name for column in good if column.name not in taken)[:2]
    if names and (facts.row_count or 0) >= _PARTITION_ROWS:
        choices.append(Choice("cluster_by", names, "", "most distinct values: filters skip most blocks", 0.5))
    return tuple(choices)


def _hive_like(facts: Facts) -> tuple[Choice, ...]:
    choices = [Choice("format", (), "ORC" if facts.contract.name == "hive" else "PARQUET", "columnar", 0.8)]
    if facts.contract.name == "trino-delta":
        choices = []
    few = [
        column
        for column in facts.columns
        if column.type.kind == "date"
        and column.distinct is not None
        and 1 < column.distinct <= _MAX_PARTITIONS
    ]
    if few and (facts.row_count or 0) >= _PARTITION_ROWS and len(facts.columns) > 1:
        column = min(few, key=lambda item: item.distinct or 0)
        rows = (facts.row_count or 0) // (column.distinct or 1)
        reason = f"{column.distinct:,} dates, about {rows:,} rows each"
        choices.append(Choice("partitioned_by", (column.name,), "", reason, 0.7))
    return tuple(choices)


def _iceberg(facts: Facts) -> tuple[Choice, ...]:
    choices = [Choice("format", (), "PARQUET", "columnar", 0.8)]
    found = _partition(facts)
    if found:
        column, days = found
        unit = "day" if days <= 90 else "month"
        choices.append(Choice("partitioning", (column.name,), unit, f"rows span {days:,} days", 0.8))
    return tuple(choices)


def _snowflake(facts: Facts) -> tuple[Choice, ...]:
    time = facts.time_column()
    if time is None or (facts.total_bytes or 0) < _CLUSTER_BYTES:
        return ()
    reason = f"{(facts.total_bytes or 0) / 1e12:.1f} TB: pruning pays for reclustering"
    return (Choice("cluster_by", (time.name,), "", reason, 0.6),)


FAMILIES: dict[str, Callable[[Facts], tuple[Choice, ...]]] = {
    "starrocks": _key_model,
    "doris": _key_model,
    "greenplum": _greenplum,
    "clickhouse": _clickhouse,
    "redshift": _redshift,
    "bigquery": _bigquery,
    "trino-hive": _hive_like,
    "trino-delta": _hive_like,
    "trino-iceberg": _iceberg,
    "spark": _hive_like,
    "hive": _hive_like,
    "snowflake": _snowflake,
}
