"""Where base tables are in the database file: names by number, so that forks survive renames on the trunk.

A base table's columns are known by column id. The trunk's DDL renames tables and columns natively and records it
here in the same transaction; a column that forks still need after the trunk dropped it stays under a reserved name.

A branch that has changed much of a table reads a copy of its own (``detach``): a base as well, in the data schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from branching.engine.protocol import Engine
from branching.names import DATA_SCHEMA, history, quote


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

    def history(self, base: int) -> str | None:
        """The history table of a base, if there is one."""
        name = history(base)
        return name if self.has(name) else None

    def has(self, name: str) -> bool:
        """Whether the storage table ``name`` (as ``names`` spells it) exists."""
        return name.rpartition(".")[2] in self.storage
