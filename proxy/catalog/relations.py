"""Where the system relations are kept in the engine, and for how long.

1. ``bough_catalog`` is an in-memory database, attached once per engine. Its schema ``shared`` holds what is
   the same for everyone; one schema per *epoch* holds what one immutable ``Catalog`` says.
2. A relation is loaded, in bulk, when a statement first names it. Most statements need three or four.
3. An epoch is dropped when newer ones push it out and nothing holds a ``Lease`` on it. Whoever runs a
   rewritten statement keeps the lease (it sits in ``Rewritten``) until the rows are read.
4. Loading happens on a connection of its own, outside anyone's transaction: the engine lets a transaction
   write to one database only, and what it loads must be visible to the statement that follows.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict

import pyarrow as pa
from sqlglot import exp

from branching.model import Catalog
from proxy.catalog import information, listings
from proxy.catalog.context import Context, Executor
from proxy.catalog.objects import Snapshot
from proxy.catalog.shapes import shipped_rows

DATABASE = "bough_catalog"
SHARED = "shared"
VIEWS = {**listings.VIEWS, **information.VIEWS}
_OF_OBJECTS = frozenset(
    "pg_catalog." + name.removeprefix("_")
    for name in vars(Snapshot)
    if name.startswith("_pg_")
)  # fmt: skip


class Lease:
    """While it lives, the epoch's relations stay."""

    __slots__ = ("__weakref__", "schema")

    def __init__(self, schema: str) -> None:
        self.schema = schema


class Epoch:
    """The relations of one catalog."""

    def __init__(self, number: int, catalog: Catalog, context: Context) -> None:
        self.schema = f"e{number}"
        self.catalog = catalog  # kept alive: the store knows epochs by the catalog's identity
        self.snapshot = Snapshot(catalog, context.extra_relations)
        self.loaded: set[str] = set()
        self.leases: weakref.WeakSet[Lease] = weakref.WeakSet()

    def lease(self) -> Lease:
        lease = Lease(self.schema)
        self.leases.add(lease)
        return lease


class Store:
    """All epochs of one engine."""

    def __init__(self, executor: Executor, keep: int = 8) -> None:
        self._executor = executor
        self._keep = keep
        self._lock = threading.RLock()
        self._epochs: OrderedDict[tuple[object, ...], Epoch] = OrderedDict()
        self._count = 0
        self._shared: set[str] = set()
        executor.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {DATABASE}")
        executor.execute(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.{SHARED}")

    def epoch(self, catalog: Catalog, context: Context) -> tuple[Epoch, Lease]:
        """The epoch of ``catalog``, made if it is new."""
        key = (id(catalog), context.owner, context.extra_relations)
        with self._lock:
            found = self._epochs.get(key)
            if found is None:
                self._count += 1
                found = Epoch(self._count, catalog, context)
                self._executor.execute(f"CREATE SCHEMA {DATABASE}.{found.schema}")
                self._epochs[key] = found
            self._epochs.move_to_end(key)
            lease = found.lease()
            self._sweep()
            return found, lease

    def _sweep(self) -> None:
        surplus = len(self._epochs) - self._keep
        for key, epoch in list(self._epochs.items())[: max(surplus, 0)]:
            if not epoch.leases:
                self._executor.execute(f"DROP SCHEMA {DATABASE}.{epoch.schema} CASCADE")
                del self._epochs[key]

    def table(self, epoch: Epoch, name: str, context: Context) -> exp.Table:
        """The physical table of relation ``name`` (``schema.relation``), loaded if it was not."""
        own = name in VIEWS or name in _OF_OBJECTS or name.startswith("lookup.")
        short = name.partition(".")[2]
        if name.startswith("lookup."):
            short = f"_{short}"
        with self._lock:
            loaded, schema = (epoch.loaded, epoch.schema) if own else (self._shared, SHARED)
            if name not in loaded:
                self._executor.load(f'{DATABASE}.{schema}."{short}"', self._rows(epoch, name, context))
                loaded.add(name)
        return exp.table_(short, db=schema, catalog=DATABASE, quoted=True)

    def _rows(self, epoch: Epoch, name: str, context: Context) -> pa.Table:
        if name.startswith("lookup."):
            return listings.LOOKUPS[name.partition(".")[2]](epoch.snapshot)
        if (view := VIEWS.get(name)) is not None:
            static = shipped_rows(name)
            return pa.concat_tables([static, view(epoch.snapshot, context.owner)])
        return epoch.snapshot.rows(name)
