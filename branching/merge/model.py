"""What a merge is made of and what it tells: strategies, plans and result rows. Frozen values, no engine in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from branching.errors import BoughError
from branching.model import Object, Table

ABORT, BRANCH, TARGET, MANUAL = "abort", "branch_wins", "main_wins", "manual"
_SPELLINGS = {ABORT: ABORT, BRANCH: BRANCH, TARGET: TARGET, "target_wins": TARGET, MANUAL: MANUAL}


def strategy_of(text: str) -> str:
    """The strategy of that name; 22023 if there is none."""
    found = _SPELLINGS.get(text.lower())
    if found is None:
        raise BoughError(
            "22023",
            f'unknown merge strategy "{text}"',
            hint="Strategies: abort, branch_wins, main_wins (or target_wins), manual.",
            detail="A strategy says who wins a conflict.",
        )
    return found


@dataclass(frozen=True, slots=True)
class Policy:
    """Which strategy decides the conflicts of which table."""

    strategy: str = ABORT
    per_table: Mapping[str, str] = field(default_factory=dict)  # name or schema.name → strategy

    def of(self, schema: str, table: str) -> str:
        return self.per_table.get(f"{schema}.{table}") or self.per_table.get(table) or self.strategy


@dataclass(frozen=True, slots=True)
class MergeRow:
    """A row of a merge's result."""

    schema: str
    table: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    auto_merged_cells: int = 0
    conflicts: int = 0
    violations: int = 0
    action: str = "unchanged"  # merged, unchanged, created, dropped, conflict


@dataclass(frozen=True, slots=True)
class MergeResult:
    id: int | None
    rows: tuple[MergeRow, ...]


@dataclass(frozen=True, slots=True)
class SchemaConflict:
    """Both sides changed one property of a table differently."""

    what: str  # "column age: type"
    base: str | None
    branch: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What a merge does with one table; ``merged`` is what it ends as on the target (None: not there)."""

    kind: Literal["rows", "create", "drop", "keep"]
    base: Table | None
    source: Table | None
    target: Table | None
    merged: Table | None
    conflicts: tuple[SchemaConflict, ...] = ()

    @property
    def shown(self) -> Table:
        found = self.target or self.source or self.base
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class CatalogPlan:
    tables: tuple[TablePlan, ...]
    changes: tuple[tuple[Object, bool], ...]  # views, macros, schemas, sequences: (object, dropped)
    conflicts: tuple[tuple[Object, SchemaConflict], ...]
