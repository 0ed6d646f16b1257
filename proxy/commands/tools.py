"""The data tools by the names agents know, as table functions: their parameters in both spellings and their columns.

``SELECT * FROM bough.transfer_query_result(source_sql => '…', target_table => 'public.t', target_database => 'pg')``.
What a tool does is ``migration.tools``' to say; here is only what a caller may write and what comes back. A value of
JSON stands for what is a list or an object in the tool's own result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .results import DATASOURCES, Columns, columns


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. ``result`` None: only the data tells the columns. ``writes``: on the branch or elsewhere."""

    name: str
    parameters: tuple[str, ...]
    required: int
    result: Columns | None
    synonyms: Mapping[str, str]
    yielding: frozenset[str] = frozenset()
    writes: bool = False


# Arguments whose empty text says no more than leaving them out: agents write their defaults down.
OPTIONAL = frozenset({"datasource", "source_datasource", "target_datasource", "schema", "dialect"})
_WRITING = frozenset({"transfer_query_result", "execute_ddl", "execute_write"})
_SPELLINGS = {
    "source_database": "source_datasource",
    "target_database": "target_datasource",
    "database": "datasource",
    "schema_name": "schema",
    "table": "table_name",
    "sql": "query",
}
_TRANSFER = columns(
    message="text",
    source_sql="text",
    source_datasource="text",
    target_table="text",
    target_datasource="text",
    mode="text",
    rows_transferred="int8",
    target_table_created="bool",
    target_table_create_sql="text",
    source_row_count="int8",
    source_row_count_verified="bool",
    transferred_row_count="int8",
    batch_size="int8",
    deliverable_target="json",
    transfer_id="int8",
    bytes="int8",
    seconds="float8",
    method="text",
    verdict="text",
    checks="json",
)
_COLUMN = columns(
    name="text",
    type="text",
    canonical_type="text",
    nullable="bool",
    default="text",
    primary_key="bool",
    unique="bool",
    references="text",
    comment="text",
    null_fraction="float8",
    n_distinct="int8",
)
_CAPABILITIES = columns(
    supported="bool",
    dialect="text",
    dialect_family="text",
    version="text",
    requires="json",
    forbids="json",
    recommends="json",
    notes="json",
    type_hints="json",
    example_ddl="text",
    identifiers="json",
    transactional_ddl="bool",
    publish="text",
    load_path="text",
    enforces_keys="bool",
    warning="text",
)
_TABLE: tuple[tuple[str, str, int, Columns | None], ...] = (
    (
        "transfer_query_result",
        "source_sql source_datasource target_table target_datasource mode batch_size key",
        1,
        _TRANSFER,
    ),
    ("get_migration_capabilities", "datasource", 1, _CAPABILITIES),
    ("suggest_table_layout", "datasource columns_json", 2, None),
    (
        "validate_ddl",
        "datasource ddl target_table",
        2,
        columns(valid="bool", errors="text[]", validated="bool"),
    ),
    (
        "list_databases",
        "",
        0,
        DATASOURCES,
    ),
    (
        "list_tables",
        "datasource schema",
        0,
        columns(schema="text", name="text", kind="text", est_rows="int8"),
    ),
    ("describe_table", "table_name datasource schema", 1, _COLUMN),
    (
        "get_table_ddl",
        "table_name datasource dialect schema",
        1,
        columns(table="text", ddl="text", notes="text[]"),
    ),
    ("read_query", "query datasource limit", 1, None),
    (
        "execute_ddl",
        "query datasource dry_run validate",
        1,
        columns(tag="text", committed="bool", checks="json"),
    ),
    (
        "execute_write",
        "query datasource dry_run min_rows max_rows validate",
        1,
        columns(tag="text", rows_affected="int8", committed="bool", checks="json"),
    ),
)


def _tools() -> Mapping[str, Tool]:
    found = {}
    for name, parameters, required, result in _TABLE:
        synonyms = {**_SPELLINGS, "sql": "ddl"} if name == "validate_ddl" else _SPELLINGS
        # Some callers name the datasource and its database; a text is judged the same in any database of it.
        yielding = frozenset({"database"}) if name == "validate_ddl" else frozenset[str]()
        found[name] = Tool(
            name,
            tuple(parameters.split()),
            required,
            result,
            MappingProxyType(synonyms),
            yielding,
            name in _WRITING,
        )
    return MappingProxyType(found)


TOOLS: Mapping[str, Tool] = _tools()
