"""Layouts follow measurements, never names."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from migration.ddl.validation import render_ddl, validate
from migration.dialects import CONTRACTS
from migration.errors import MigrationError
from migration.layout.choice import ColumnStatistics, suggest, suggest_from_json
from migration.model import ColumnSpec, TableSpec
from migration.types import decimal, json, of, text, timestamp

pytestmark = pytest.mark.sampled

ROWS = 20_000_000
STATUS = ColumnStatistics("status_id", of("int64"), False, distinct=5, nulls=0, skew=0.6)
KEY = ColumnStatistics("order_key", text(20), False, distinct=ROWS, nulls=0, skew=0.0)
AMOUNT = ColumnStatistics("amount_id", of("float64"), False, distinct=ROWS, nulls=0, skew=0.0)
TAGS = ColumnStatistics("tags_id", json(), False)
PLACED = ColumnStatistics(
    "placed",
    of("date"),
    False,
    distinct=730,
    nulls=0,
    minimum=date(2020, 1, 1),
    maximum=date(2021, 12, 31),
    time_correlation=0.98,
)
COLUMNS = [STATUS, KEY, AMOUNT, TAGS, PLACED]


def test_greenplum_takes_the_even_column_not_the_one_named_id() -> None:
    layout = suggest("greenplum", [STATUS, KEY], ROWS)
    assert layout.as_dict()["distributed_by"] == ["order_key"]
    choice = layout.choice("distributed_by")
    assert choice is not None and "20,000,000 distinct" in choice.reason


def test_greenplum_goes_random_when_everything_is_skewed() -> None:
    assert suggest("greenplum", [STATUS], ROWS).as_dict()["distributed_by"] == "RANDOMLY"


def test_greenplum_stays_inside_every_key() -> None:
    layout = suggest(
        "greenplum", [STATUS, KEY], ROWS, primary_key=("status_id", "order_key"), unique_keys=[("status_id",)]
    )
    assert layout.as_dict()["distributed_by"] == ["status_id"]


def test_starrocks_never_proposes_floats_or_json_as_keys() -> None:
    layout = suggest("starrocks", COLUMNS, ROWS)
    assert layout.as_dict() == {
        "duplicate_key": ["placed", "order_key"],
        "distributed_by": ["order_key"],
        "buckets": 10,
    }
    assert layout.column_order[:2] == ("placed", "order_key")


def test_starrocks_buckets_follow_the_size() -> None:
    assert suggest("starrocks", COLUMNS, ROWS, total_bytes=40 << 30).as_dict()["buckets"] == 40
    assert suggest("starrocks", COLUMNS, ROWS, total_bytes=1000).as_dict()["buckets"] == 1


def test_clickhouse_sorts_from_few_values_to_many() -> None:
    layout = suggest("clickhouse", COLUMNS, ROWS).as_dict()
    assert layout["engine"] == "MergeTree()"
    assert layout["order_by"] == ["status_id", "placed", "order_key"]
    assert layout["partition_by"] == ["placed"]


def test_clickhouse_leaves_nullable_columns_out_of_the_sort_key() -> None:
    nullable = ColumnStatistics("a", of("int64"), True, distinct=10, nulls=3)
    assert suggest("clickhouse", [nullable], ROWS).as_dict()["order_by"] == "tuple()"


def test_redshift_is_auto_unless_measured() -> None:
    assert suggest("redshift", [ColumnStatistics("id", of("int64"))]).as_dict() == {
        "diststyle": "AUTO",
        "sortkey": "AUTO",
    }
    measured = suggest("redshift", COLUMNS, ROWS).as_dict()
    assert (measured["distkey"], measured["sortkey"]) == ("order_key", ["placed"])


def test_snowflake_clusters_terabytes_only() -> None:
    assert suggest("snowflake", COLUMNS, ROWS).as_dict() == {}
    assert suggest("snowflake", COLUMNS, ROWS, total_bytes=2 * 10**12).as_dict() == {"cluster_by": ["placed"]}


def test_trino_partitions_by_measured_dates_whatever_their_name() -> None:
    hive = suggest("trino-hive", COLUMNS, ROWS)
    assert hive.as_dict() == {"format": "PARQUET", "partitioned_by": ["placed"]}
    assert hive.column_order[-1] == "placed"
    named = ColumnStatistics("ds", text(), False)
    assert "partitioned_by" not in suggest("trino-hive", [STATUS, named], ROWS).as_dict()


def test_iceberg_uses_a_transform() -> None:
    choice = suggest("trino-iceberg", COLUMNS, ROWS).choice("partitioning")
    assert choice is not None and choice.value == "month"


def test_bigquery_partitions_and_clusters() -> None:
    at = ColumnStatistics(
        "at",
        timestamp(6),
        False,
        minimum=datetime(2020, 1, 1),
        maximum=datetime(2020, 3, 1),
        time_correlation=1.0,
    )
    assert suggest("bigquery", [KEY, at], ROWS).as_dict() == {
        "partition_by": ["at"],
        "cluster_by": ["order_key"],
    }


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "duckdb", "sqlite", "generic"])
def test_row_stores_have_nothing_to_choose(dialect: str) -> None:
    assert suggest(dialect, COLUMNS, ROWS).as_dict() == {}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_a_layout_renders_into_valid_ddl(contract: object) -> None:
    name = contract.name  # type: ignore[attr-defined]
    table = TableSpec(("orders",), tuple(ColumnSpec(c.name, c.type, c.nullable) for c in COLUMNS))
    for layout in (
        suggest(name, COLUMNS, ROWS),
        suggest(name, [ColumnStatistics(c.name, c.type) for c in COLUMNS]),
    ):
        ddl = render_ddl(table, name, layout)
        assert [found for found in validate(ddl, name) if found.severity == "error"] == [], ddl


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_choice_has_a_reason(contract: object) -> None:
    for choice in suggest(contract.name, COLUMNS, ROWS).choices:  # type: ignore[attr-defined]
        assert choice.reason and 0 <= choice.score <= 1


def test_columns_alone_give_a_declared_layout() -> None:
    columns = '[{"name": "order_id", "type": "bigint", "nullable": false}, {"name": "n", "type": "text"}]'
    layout = suggest_from_json("starrocks", columns, "mysql")
    assert layout.as_dict() == {"duplicate_key": ["order_id"], "distributed_by": ["order_id"], "buckets": 10}
    assert layout.confidence == "declared"
    assert layout.notes
    assert suggest("starrocks", COLUMNS, ROWS).confidence == "measured"


def test_types_of_any_dialect_are_read() -> None:
    """The tool is told the target's dialect and not whose types the columns have."""
    for type_ in (
        "int unsigned",
        "bigint(20) unsigned",
        "UInt32",
        "Nullable(Int64)",
        "NUMBER(10,0)",
        "bigserial",
    ):
        columns = f'[{{"name": "note", "type": "varchar(10)"}}, {{"name": "id", "type": "{type_}", "nullable": false}}]'
        assert suggest_from_json("greenplum", columns).as_dict() == {"distributed_by": ["id"]}, type_
    keyless = suggest_from_json("starrocks", '[{"name": "a", "type": "wat"}]')
    assert (keyless.as_dict(), keyless.notes[-1]) == ({}, "no column can be a key (first is a)")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ("", "It is no JSON"),
        ("{}1", "It is no JSON"),
        ("{}", "It is {}, and no list."),
        ("[1]", "Item 1 has no name or no type: 1."),
        ('[{"name": "a", "type": "INT"}, {"name": "b"}]', 'Item 2 has no name or no type: {"name": "b"}.'),
        ('[{"name": 5, "type": "INT"}]', "Item 1 has no name or no type"),
    ],
)
def test_bad_columns_json_is_refused(wrong: str, detail: str) -> None:
    with pytest.raises(MigrationError) as refusal:
        suggest_from_json("starrocks", wrong)
    assert refusal.value.sqlstate == "22023"
    assert detail in (refusal.value.detail or "")


def test_an_unknown_key_column_is_refused() -> None:
    with pytest.raises(MigrationError):
        suggest("starrocks", COLUMNS, ROWS, primary_key=("nope",))


def test_decimal_keys_are_allowed() -> None:
    column = ColumnStatistics("n", decimal(38, 0), False, distinct=ROWS, nulls=0)
    assert suggest("starrocks", [column], ROWS).as_dict()["duplicate_key"] == ["n"]


def test_a_partition_column_is_quoted_inside_its_transform() -> None:
    for name in ("at", "Mixed Case", 'a"b', "select"):
        known = ColumnStatistics(
            name, timestamp(6), True, 5000, 0, datetime(2000, 1, 1), datetime(2024, 1, 1)
        )
        chosen = suggest("trino-iceberg", [known], ROWS)
        table = TableSpec(("s", "t"), (ColumnSpec(name, timestamp(6)),))
        sql = render_ddl(table, "trino-iceberg", chosen)
        assert "partitioning = ARRAY['" in sql
        assert [found for found in validate(sql, "trino-iceberg") if found.severity == "error"] == []
