"""Branches shown as schemas of information_schema, beside the schemas of the session's own branch.

The rows are those of the other branch's default schema under the name of that branch. Branches that share a catalog
(a fork shares its parent's until it changes a definition) share the stored rows too.
"""

from __future__ import annotations

from collections.abc import Iterable

from branching.model import DEFAULT_SCHEMA, Catalog
from branching.names import literal
from proxy.catalog.context import BranchSchema, Context
from proxy.catalog.relations import Lease, Store

_I = "information_schema."
_SCHEMATA, _TABLES, _COLUMNS = _I + "schemata", _I + "tables", _I + "columns"
RELATIONS = frozenset({_SCHEMATA, _TABLES, _COLUMNS})


def with_branches(name: str, stored: str, context: Context, store: Store) -> tuple[str, list[Lease]]:
    """``stored``, the rows of a relation on the session's branch, with those of the branch schemas; what they hold."""
    if name not in RELATIONS or not context.branch_schemas:
        return stored, []
    if name == _SCHEMATA:
        more = f"{stored} AS s, {_names(context.branch_schemas)} WHERE s.schema_name = {_PUBLIC}"
        return (
            f"(SELECT * FROM {stored} UNION ALL SELECT s.* REPLACE (b.name AS schema_name) FROM {more})",
            [],
        )
    parts, leases = [f"SELECT * FROM {stored}"], []
    sharing: dict[int, tuple[Catalog, list[BranchSchema]]] = {}
    for item in context.branch_schemas:
        if item.catalog is not None:
            sharing.setdefault(id(item.catalog), (item.catalog, []))[1].append(item)
    for catalog, items in sharing.values():
        epoch, lease = store.epoch(catalog, context)
        leases.append(lease)
        rows = store.table(epoch, name, context).sql("duckdb")
        replaced = "b.name AS table_schema"
        if name == _TABLES:
            replaced += f", {_kind(items)} AS table_type"
        parts.append(
            f"SELECT s.* REPLACE ({replaced}) FROM {rows} AS s, {_names(items)} WHERE s.table_schema = {_PUBLIC}"
        )
    return f"({' UNION ALL '.join(parts)})", leases


_PUBLIC = literal(DEFAULT_SCHEMA)


def _names(items: Iterable[BranchSchema]) -> str:
    return f"(VALUES {', '.join(f'({literal(item.name)})' for item in items)}) AS b(name)"


def _kind(items: Iterable[BranchSchema]) -> str:
    """A table that the branch has not changed is a view of what it was forked from."""
    changed = [
        f"({literal(item.name)}, {literal(table)})" for item in items for table in sorted(item.changed)
    ]
    if not changed:
        return "'VIEW'"
    return f"CASE WHEN (b.name, s.table_name) IN ({', '.join(changed)}) THEN s.table_type ELSE 'VIEW' END"
