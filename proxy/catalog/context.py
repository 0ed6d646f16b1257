"""What the catalog needs to know about the session and the server, besides the branch's own objects.

All of it is plain values, so that a rewrite is a function of its arguments: nothing here looks anything up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa

from branching.model import Catalog, View

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Executor(Protocol):
    """Where the catalog keeps its relations: a connection of the engine, not inside anyone's transaction."""

    def execute(self, sql: str) -> object:
        """Run one statement for its effect."""
        ...

    def load(self, table: str, rows: pa.Table) -> None:
        """Create ``table`` (a quoted, three-part name) with the columns and rows of ``rows``."""
        ...


@dataclass(frozen=True, slots=True)
class Role:
    """One row of pg_roles. The owner of everything has OID 10, as Postgres' bootstrap superuser has."""

    oid: int
    name: str
    superuser: bool = False
    login: bool = True


@dataclass(frozen=True, slots=True)
class Database:
    """One row of pg_database: a branch, under its id, which outlives renames."""

    oid: int
    name: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One session, for pg_stat_activity."""

    pid: int
    role: str
    database: str
    application_name: str = ""
    client: str | None = None
    started_at: datetime | None = None
    state: str = "idle"
    statement: str = ""


@dataclass(frozen=True, slots=True)
class BranchSchema:
    """A branch shown as a schema: its tables are the branch's, those it has not changed are views."""

    name: str
    catalog: Catalog | None = None  # None: its tables are not shown
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """The session a statement is rewritten for."""

    database: str = "main"
    user: str = "postgres"
    session_user: str | None = None
    databases: tuple[Database, ...] = (Database(5, "main"),)
    search_path: tuple[str, ...] = ("public",)
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pid: int = 0
    port: int = 5439
    backends: tuple[Backend, ...] = ()
    roles: tuple[Role, ...] = (Role(10, "postgres", superuser=True),)
    extra_relations: tuple[View, ...] = ()
    branch_schemas: tuple[BranchSchema, ...] = ()
    version: str = "PostgreSQL 15.0 (Bough)"
    started_at: datetime = EPOCH

    @property
    def owner(self) -> str:
        """The role that owns every object."""
        return next((role.name for role in self.roles if role.oid == 10), self.user)

    @property
    def path(self) -> tuple[str, ...]:
        """Schemas searched for an unqualified name, ``pg_catalog`` first as Postgres does."""
        names = tuple("public" if name == "main" else name for name in self.search_path if name != "$user")
        return names if "pg_catalog" in names else ("pg_catalog", *names)

    @property
    def names_system(self) -> bool:
        """Whether the search path itself names ``pg_catalog``, which is else searched first without being named."""
        return "pg_catalog" in self.search_path
