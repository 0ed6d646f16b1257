"""What the commands return: column names and engine types, as data.

These lists are a public contract (names, order and types are stable). The system views of schema ``bough``
are here too, because several commands return the rows of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ResultColumn(NamedTuple):
    name: str
    type: str  # in the engine's spelling


Columns = tuple[ResultColumn, ...]

_SHORT = {
    "text": "VARCHAR",
    "text[]": "VARCHAR[]",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float8": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "json": "JSON",
    "jsonb": "JSONB",  # the engine has JSON alone; to a client it is the type that is named
}


def columns(**types: str) -> Columns:
    return tuple(ResultColumn(name.rstrip("_"), _SHORT[short]) for name, short in types.items())


BRANCHES = columns(
    name="text",
    parent="text",
    state="text",
    created_at="timestamptz",
    created_by="text",
    fork_version="int8",
    head_version="int8",
    last_write_at="timestamptz",
    expires_at="timestamptz",
    protected="bool",
    sessions="int8",
    tables_changed="int8",
    rows_changed="int8",
    bytes="int8",
    ahead="int8",
    behind="int8",
    owner="text",
    comment="text",
)
COMMITS = columns(
    version="int8",
    branch="text",
    at="timestamptz",
    role="text",
    application_name="text",
    agent="text",
    request_id="text",
    merge_id="int8",
    statement="text",
    inserted="int8",
    updated="int8",
    deleted="int8",
)
MERGES = columns(
    id="int8", at="timestamptz", source="text", target="text", strategy="text", state="text", role="text"
)
CONFLICTS = columns(
    id="int8",
    merge_id="int8",
    schema="text",
    table="text",
    key="text",
    kind="text",
    column="text",
    base="text",
    branch_value="text",
    target_value="text",
    resolution="text",
    value="text",
)
VIOLATIONS = columns(
    merge_id="int8", schema="text", table="text", constraint="text", kind="text", key="text", detail="text"
)
SESSIONS = columns(
    pid="int4",
    role="text",
    branch="text",
    application_name="text",
    agent="text",
    client="text",
    started_at="timestamptz",
    state="text",
    statement="text",
)
TRANSFERS = columns(
    id="int8",
    at="timestamptz",
    role="text",
    source="text",
    target="text",
    branch="text",
    mode="text",
    state="text",
    rows_total="int8",
    rows_done="int8",
    bytes="int8",
    seconds="float8",
    method="text",
    verdict="text",
    error="text",
)
SHADOW_LOG = columns(
    at="timestamptz",
    role="text",
    statement="text",
    branch="text",
    shadow="text",
    same="bool",
    elapsed_ms="float8",
    shadow_elapsed_ms="float8",
    rows="int8",
    shadow_rows="int8",
    error="text",
    note="text",
    parameters="text[]",
    pid="int4",
    lag_ms="float8",
)
SHADOW_STATS = columns(
    branch="text",
    shadow="text",
    replayed="int8",
    same="int8",
    different="int8",
    errors="int8",
    skipped="int8",
    dropped="int8",
    elapsed_ms="float8",
    shadow_elapsed_ms="float8",
)
SETTINGS = columns(name="text", setting="text", source="text", default="text", description="text")

VIEWS: Mapping[str, Columns] = MappingProxyType(
    {
        "branches": BRANCHES,
        "commits": COMMITS,
        "merges": MERGES,
        "conflicts": CONFLICTS,
        "violations": VIOLATIONS,
        "sessions": SESSIONS,
        "transfers": TRANSFERS,
        "shadow_log": SHADOW_LOG,
        "shadow_stats": SHADOW_STATS,
        "settings": SETTINGS,
    }
)

STATUS = columns(
    schema="text", table="text", state="text", inserted="int8", updated="int8", deleted="int8", bytes="int8"
)
DIFF_SUMMARY = columns(
    schema="text",
    table="text",
    change="text",
    rows_added="int8",
    rows_removed="int8",
    rows_modified="int8",
    cells_modified="int8",
    columns_added="text[]",
    columns_removed="text[]",
    columns_changed="text[]",
)
DIFF_SCHEMA = columns(
    schema="text", table="text", object="text", change="text", from_definition="text", to_definition="text"
)
DIFF_SQL = columns(sql="text")
DIFF_STAT = columns(
    schema="text",
    table="text",
    rows_unmodified="int8",
    rows_added="int8",
    rows_deleted="int8",
    rows_modified="int8",
    cells_added="int8",
    cells_deleted="int8",
    cells_modified="int8",
    old_row_count="int8",
    new_row_count="int8",
    old_cell_count="int8",
    new_cell_count="int8",
)
MERGE = columns(
    schema="text",
    table="text",
    inserted="int8",
    updated="int8",
    deleted="int8",
    auto_merged_cells="int8",
    conflicts="int8",
    violations="int8",
    action="text",
)
MERGE_PLAN: Columns = (*MERGE, ResultColumn("token", "VARCHAR"))
GC = columns(branch="text", action="text", bytes_freed="int8")
SHADOW = columns(
    branch="text",
    rows="int8",
    elapsed_ms="float8",
    fingerprint="text",
    same_as_first="bool",
    plan_cost="text",
    error="text",
)
SHADOW_PLAN = columns(branch="text", plan="text")
SHOW_BRANCH = columns(branch="text")
DONE = columns(result="text")  # what a command without rows returns when it is called as a function: its tag

DATASOURCES = columns(
    name="text",
    type="text",
    available="bool",
    role="text",
    database="text",
    schema="text",
    error="text",
)
DATASOURCE_TEST = columns(name="text", type="text", available="bool", version="text", error="text")
REMOTE_DATABASES = columns(database="text")
REMOTE_SCHEMAS = columns(schema="text")
REMOTE_TABLES = columns(schema="text", name="text", kind="text", est_rows="int8")
REMOTE_COLUMNS = columns(
    name="text",
    type="text",
    canonical_type="text",
    local_type="text",
    nullable="bool",
    default="text",
    primary_key="bool",
    unique="bool",
    references="text",
    comment="text",
    null_fraction="float8",
    n_distinct="int8",
)
REMOTE_DEFINITION = columns(table="text", ddl="text", notes="text[]")
CAPABILITIES = columns(kind="text", item="text", detail="text", since_version="text", supported="bool")
TYPE_MAPPING = columns(source="text", target="text", loss="text", note="text")
LAYOUT = columns(clause="text", columns="text", reason="text", score="float8")
DDL_VERDICT = columns(rule="text", severity="text", position="int8", message="text", fix="text")
TRANSFER = columns(
    rows_transferred="int8",
    source_row_count="int8",
    source_row_count_verified="bool",
    transferred_row_count="int8",
    target_table="text",
    target_datasource="text",
    source_datasource="text",
    mode="text",
    target_table_created="bool",
    target_table_create_sql="text",
    transfer_id="int8",
    bytes="int8",
    seconds="float8",
    method="text",
    verdict="text",
    checks="jsonb",
)
TRANSFER_PLAN = columns(step="text", detail="text", rows="int8")
RECONCILIATION = columns(
    check="text", column="text", source="text", target="text", status="text", detail="text"
)
