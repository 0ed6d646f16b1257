"""Where base tables are in the database file: names by number, so that forks survive renames on the trunk.

A base table's columns are known by column id. The trunk's DDL renames tables and columns natively and records it
here in the same transaction; a column that forks still need after the trunk dropped it stays under a reserved name.

A branch that has changed much of a table reads a copy of its own (``detach``): a base as well, in the data schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from branching.engine.protocol import Engine
from branching.names import DATA_SCHEMA, ENDED, RID, VERSION, history_of, quote


@dataclass(frozen=True, slots=True)
class BaseTable:
    id: int
    schema: str
    name: str
    columns: Mapping[int, str]  # column id → name in the file

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy that branches read in the place of the trunk's table: nothing writes it, ever."""
        return self.schema == DATA_SCHEMA

    def dump_columns(self) -> str:
        return json.dumps({str(key): name for key, name in self.columns.items()})

    @classmethod
    def load(cls, base: int, schema: str, name: str, columns: str) -> BaseTable:
        return cls(base, schema, name, {int(key): value for key, value in json.loads(columns).items()})


@dataclass(frozen=True, slots=True)
class Physical:
    """All base tables, and which delta, mask, image and history tables exist, at one instant."""

    bases: Mapping[int, BaseTable]
    storage: frozenset[str]  # names in the data schema, unqualified
    engine: Engine
    _histories: dict[int, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[int, list[str]] = {}
        for name in sorted(self.storage):
            if (base := history_of(name)) is not None:
                found.setdefault(base, []).append(f"{DATA_SCHEMA}.{name}")
        object.__setattr__(self, "_histories", found)

    def histories(self, base: int) -> list[str]:
        """The history tables of a base: the one that is for all, and what could not be put there at once."""
        return self._histories.get(base, [])

    def history(self, base: int) -> str | None:
        """The history of a base as a relation, if there is any."""
        found = self.histories(base)
        if len(found) < 2:
            return found[0] if found else None
        stored = self.bases[base].columns if base in self.bases else ()
        columns = ", ".join([*(f"c{number}" for number in stored), RID, VERSION, ENDED])
        return f"({' UNION ALL '.join(f'SELECT {columns} FROM {name}' for name in found)})"

    def has(self, name: str) -> bool:
        """Whether the storage table ``name`` (as ``names`` spells it) exists."""
        return name.rpartition(".")[2] in self.storage
