"""What only a table's own engine can be told: its checks, the terms of its computed columns, its special indexes."""

from __future__ import annotations

from dataclasses import dataclass, field

from migration.dialects import DialectContract, contract
from migration.dialects.quoting import quote_name, quote_path
from migration.model import TableSpec


@dataclass(slots=True)
class OwnTerms:
    """Texts of one dialect: what stands behind a column, beside the columns, and behind the table's statement."""

    columns: dict[str, str] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)


def own_terms(table: TableSpec, item: DialectContract, notes: list[str]) -> OwnTerms:
    """Those of ``table``; where ``item`` is another engine's, or the catalog does not say them, notes name them."""
    found, is_own = OwnTerms(), contract(table.dialect).name == item.name
    for index in table.indexes:
        if is_own:
            kind = "UNIQUE INDEX" if index.unique else "INDEX"
            place = f"{quote_name(index.name, item)} ON {quote_path(table.path, item)}"
            found.indexes.append(f"CREATE {kind} {place} {index.text}")
        else:
            notes.append(f"index {index.name} ({index.what}) is not kept")
    for constraint in table.own:
        if is_own and constraint.text:
            found.constraints.append(constraint.text)
        else:
            notes.append(f"{constraint.label} is not kept")
    for column in table.columns:
        if is_own and column.term:
            found.columns[column.name] = f" GENERATED ALWAYS AS ({column.term}) STORED"
        elif column.computed:
            notes.append(f'column "{column.name}" is computed: its term is not kept')
    return found
