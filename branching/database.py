"""An open database: its lines, versions and storage, shared by all connections.

Locks, always taken in this order and never held while a client is waited for:

1. ``catalog_lock``: no catalog changes while it is held. A commit that changes a catalog holds it over the engine's
   COMMIT, so whoever holds it sees a catalog and an engine snapshot of the same instant.
2. ``gate``: who may begin to write and which forks exist. A fork announces itself here first; from then on every
   writer leaves history behind. Writers that were already running without are waited for (statements) or leave the
   history at their commit (open transactions).

``epoch`` is even while no catalog change is being committed and differs after each: a reader that finds the same even
number before planning and after its snapshot was taken has planned on the right catalog.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from branching import commit_log, manifest, names
from branching.checkpoint import Checkpointer
from branching.disk import Disk
from branching.engine.base import Cursor, OpenError
from branching.engine.points import Clock, Point
from branching.engine.protocol import Engine, Progress
from branching.errors import BoughError
from branching.lines import MAIN, TRUNK, CatalogRef, Line, Record
from branching.manifest import Author, Change
from branching.model import DEFAULT_SCHEMA, Catalog, Schema
from branching.motion import Motion
from branching.past.catalogs import PastCatalogs
from branching.physical import BaseTable, Physical

if TYPE_CHECKING:
    from branching.connection import Connection
    from branching.transaction import Transaction

FORK_WAIT = 10.0  # seconds a fork waits for running statements
_ID_BLOCK = 1000
_NOTHING = Catalog(
    schemas=MappingProxyType({DEFAULT_SCHEMA: Schema(0, DEFAULT_SCHEMA)})
)  # what the trunk stands on


class Database:
    """Made by ``branching.open``."""

    def __init__(self, root: Cursor, path: str, retention: int = 0) -> None:
        self.root = root
        self.engine = root.engine
        self.path = path
        self.retention = retention
        self.catalog_lock = threading.RLock()
        self.gate = threading.Condition(threading.RLock())
        self.epoch = 0
        self.lines: dict[int, Line] = {}
        self.names: dict[str, int] = {}
        self.trash: dict[int, Line] = {}
        self.clock = Clock(0, 0)
        self.opened = 0  # the last version from before this process had the file
        self.physical = Physical(MappingProxyType({}), frozenset(), self.engine)
        self._changes: dict[int, list[tuple[int, Change]]] = {}
        self._past = PastCatalogs()
        self._change_versions: dict[tuple[int, int], int] = {}  # (line, seq): the version that changed it
        self.floors: dict[int, int] = {}  # by line, the last version without old images; guarded by the gate
        self._last_write: dict[int, int] = {}
        self._reserved = 0
        self.unarmed_running: set[Transaction] = set()
        self.motion = Motion(self)
        self.pending_forks = 0
        self.stamp = 0  # counts commits of writes; guarded by the gate
        self.closed = False
        self.passes = threading.Lock()  # held by a pass of collection: one at a time
        self.native_macros: frozenset[str] = frozenset()  # functions in the file that plain DuckDB made
        self.stored_uses: dict[int, datetime | None] = {}  # last_used_at of branches, as the manifest has it
        self.holding = False  # a checkpoint holds new writers for a moment; guarded by the gate
        self.checkpointer = Checkpointer(self)
        self.disk = Disk(path)
        self.commit_log = commit_log.CommitLog(self)
        self._registry: Cursor | None = None
        self._registry_lock = threading.Lock()

    # -- opening --------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Reads the manifest. The file must have one."""
        found = manifest.read_format(self.root)
        if found != manifest.FORMAT:
            raise OpenError(
                f'"{self.path}" has manifest format {found}; this Bough reads {manifest.FORMAT}',
                "use the Bough version that wrote it",
            )
        manifest.complete(self.root)
        records = manifest.branch_rows(self.root)
        bases = manifest.base_rows(self.root)
        commit_log.recover(self.root, bases)
        self.floors = manifest.floors(self.root)
        version, last_id = manifest.last_numbers(self.root)
        # A point may name versions of transactions that never committed: they must not be handed out again.
        points = (point.version for record in records for point in (record.fork, record.base))
        self.clock = Clock(max(version, *points), last_id)
        self.opened = self.clock.version
        if (instant := manifest.last_instant(self.root)) is not None:
            self.clock.instant(instant)
        self._reserved = last_id
        self.physical = Physical(
            MappingProxyType({base.id: base for base in bases}),
            manifest.storage_tables(self.root),
            self.engine,
        )
        for owner, seq, change, made in manifest.change_rows(self.root):
            self._changes.setdefault(owner, []).append((seq, change))
            self._change_versions[owner, seq] = made
        for record in records:
            line = Line(record, _LAZY)
            line.seq = self._changes[line.id][-1][0] if self._changes.get(line.id) else 0
            if record.state != "live":
                self.trash[line.id] = line
            else:
                self.lines[line.id] = line
                self.names[record.name] = line.id
        self.trunk.catalog = self.catalog_at(CatalogRef(TRUNK, self.trunk.seq))
        for branch, table in manifest.touched_rows(self.root):
            if holder := self.lines.get(branch) or self.trash.get(branch):
                holder.touched.add(table)
                holder.stored.add(table)

    def catalog_at(self, ref: CatalogRef) -> Catalog:
        """A line's catalog after its ``ref.seq``-th change."""
        live = self.lines.get(ref.line)
        if live is not None and live.catalog is not _LAZY and live.seq == ref.seq:
            return live.catalog
        if ref.line == TRUNK:
            below = _NOTHING
        else:
            line = live or self.trash[ref.line]
            below = self.catalog_at(line.record.parent_catalog)
        return self._past.at(below, ref.line, ref.seq, self._changes.get(ref.line, ()))

    def changes_of(self, line: Line) -> Iterator[tuple[int, int, Change]]:
        """The line's own changes of its catalog: (seq, version, change)."""
        for seq, change in list(self._changes.get(line.id, ())):
            yield seq, self._change_versions.get((line.id, seq), 0), change

    def raise_floor(self, line: int, version: int) -> None:
        """Nothing of the line from before ``version`` can be read from now on. The caller holds the gate."""
        self.floors[line] = max(version, self.floors.get(line, 0))

    def close(self) -> None:
        """Ends all work: checkpoints and lets go of the file."""
        if self.closed:
            return
        self.closed = True
        self.commit_log.close()
        manifest.reserve_ids(self.root, self.clock.next_id())
        if self._registry is not None:
            self._registry.close()
        try:
            self.root.checkpoint()
        finally:
            self.root.close()

    def abandon(self) -> None:
        """Lets go of a file whose engine has failed: nothing is written, and no cursor works any more."""
        self.closed = True
        self.commit_log.abandon()
        self.root.abandon()

    def connect(
        self, branch: str = MAIN, *, role: str = "bough", application_name: str = "", agent: str = ""
    ) -> Connection:
        """A new session on ``branch``. Raises BoughError 42704 if there is none."""
        from branching.connection import Connection

        return Connection(self, branch, Author(role, application_name, agent))

    # -- lines ----------------------------------------------------------------------------------------------

    @property
    def trunk(self) -> Line:
        return self.lines[TRUNK]

    def has_branch(self, name: str) -> bool:
        return name in self.names and not names.is_pin(name)

    def line(self, name: str) -> Line:
        """The live branch called ``name``."""
        if names.is_pin(name):
            raise self.no_branch(name)
        return self.any_line(name)

    def any_line(self, name: str) -> Line:
        """The live branch or pin (``pins``) called ``name``."""
        line = self.lines.get(self.names.get(name, -1))
        if line is None:  # or somebody is making it just now
            raise self.no_branch(name)
        return self.loaded(line)

    def no_branch(self, name: str) -> BoughError:
        """The refusal of a name that no live branch has."""
        count = sum(not names.is_pin(item) for item in self.names)
        return BoughError(
            "42704",
            f'branch "{name}" does not exist',
            detail="There is 1 branch." if count == 1 else f"There are {count} branches.",
            hint="BRANCH LIST shows them; BRANCH CREATE makes one.",
        )

    def loaded(self, line: Line) -> Line:
        """``line`` with its catalog in memory."""
        if line.catalog is _LAZY:
            with self.catalog_lock:
                if line.catalog is _LAZY:
                    line.catalog = self.catalog_at(CatalogRef(line.id, line.seq))
        return line

    def base_catalog(self, line: Line) -> Catalog:
        """The catalog that ``line``'s own changes are changes of."""
        return self.catalog_at(line.record.base_catalog)

    def has_forks(self) -> bool:
        return len(self.lines) > 1 or bool(self.trash) or self.pending_forks > 0 or self.retention > 0

    def change(self, line: Line, **values: Any) -> None:
        """Stores these fields of a line's record and makes them current. Other fields are not written: a merge may be
        moving the branch's base at this moment."""
        with self.registry() as cursor:
            manifest.update_columns(cursor, line.id, values)
        with self.gate:
            line.record = replace(line.record, **values)

    def put_records(self, records: Sequence[Record]) -> None:
        """Makes records that a transaction stored current, keeping what is only known here."""
        with self.gate:
            for record in records:
                line = self.lines.get(record.id) or self.trash[record.id]
                line.record = replace(record, last_used_at=line.record.last_used_at)

    @contextmanager
    def registry(self) -> Iterator[Cursor]:
        """The cursor for one-row changes of the manifest, one at a time."""
        with self._registry_lock:
            if self._registry is None:
                self._registry = self.root.cursor()
            yield self._registry

    def next_id(self) -> int:
        """A fresh id, durable in blocks."""
        number = self.clock.next_id()
        if number > self._reserved:
            with self.gate:
                if number > self._reserved:
                    cursor = self.root.cursor()
                    try:
                        manifest.reserve_ids(cursor, number + _ID_BLOCK)
                    finally:
                        cursor.close()
                    self._reserved = number + _ID_BLOCK
        return number

    # -- catalogs -------------------------------------------------------------------------------------------

    def fork_point(self) -> Point:
        """What a fork of now holds. The caller keeps writers from beginning, or knows why it need not."""
        return self.engine.fork_point(self.clock)

    def stable_epoch(self) -> int:
        with self.catalog_lock:
            return self.epoch

    def record_changes(self, line: Line, changes: Sequence[Change], version: int = 0) -> None:
        """Makes committed changes current. The caller holds ``catalog_lock``."""
        log = self._changes.setdefault(line.id, [])
        catalog = line.catalog
        for change in changes:
            self._change_versions[line.id, line.seq + 1] = version
            log.append((line.seq + 1, change))  # first, so that nobody replays a log without it
            line.seq += 1
            catalog = change.apply(catalog)
        line.catalog = catalog

    def changed_since(self, line: Line, seq: int) -> set[tuple[str, str, str]]:
        """Kinds and names of what changed on ``line`` after its ``seq``-th change."""
        return {change_key(change) for number, change in self._changes.get(line.id, ()) if number > seq}

    # -- writes ---------------------------------------------------------------------------------------------

    def note_write(self, base: int, version: int) -> None:
        """``version`` is about to write ``base``. Must come before the write begins."""
        with self.gate:
            self.last_write(base)
            self._last_write[base] = max(self._last_write.get(base, 0), version)

    def last_write(self, base: int) -> int:
        """The highest version that may have written ``base``."""
        known = self._last_write.get(base)
        if known is not None:
            return known
        table = self.physical.bases.get(base)
        if table is None:  # made by a transaction that has not committed
            return 0
        cursor = self.root.cursor()
        try:
            known = cursor.query(self.engine.last_change(table.sql, self.physical.history(base)))[0][0]
        finally:
            cursor.close()
        return self._last_write.setdefault(base, known)

    def unchanged_since(self, base: int, point: Point) -> bool:
        """Whether nothing has written ``base``, nor begun to, since ``point``."""
        stored = self.physical.bases.get(base)
        if stored is not None and stored.is_copy:
            return True
        return self.engine.capabilities.sole_writer and point.holds_all_up_to(self.last_write(base))

    def forget_storage(self, gone: set[str]) -> None:
        """Storage tables that were dropped. The caller holds ``catalog_lock``."""
        self.physical = Physical(self.physical.bases, self.physical.storage - gone, self.engine)

    def put_physical(self, bases: dict[int, BaseTable | None], storage: frozenset[str]) -> None:
        """Makes committed changes of storage current. ``None`` removes a base."""
        merged = dict(self.physical.bases)
        for identifier, base in bases.items():
            if base is None:
                merged.pop(identifier, None)
            else:
                merged[identifier] = base
        self.physical = Physical(MappingProxyType(merged), self.physical.storage | storage, self.engine)


def change_key(change: Change) -> tuple[str, str, str]:
    kind = type(change.item).__name__
    return (
        "relation" if kind in ("Table", "View", "Sequence") else kind,
        getattr(change.item, "schema", ""),
        change.item.name,
    )


_LAZY = Catalog()
_ENFORCED = frozenset({"not null", "check", "key", "default"})  # left to the engine in a branch's own rows


def _refuse_name(path: str, root: Cursor) -> None:
    """A schema of the file's own name: the engine could not tell its tables from the file's."""
    stem = Path(path).stem.strip(":")
    taken = {schema.lower() for schema, _ in root.tables()} - {"main"}
    taken |= {names.MANIFEST_SCHEMA, names.DATA_SCHEMA, names.FUNCTIONS, names.CATALOG_DATABASE}
    if stem.lower() in taken:
        raise OpenError(
            f'"{path}" cannot have this name: "{stem}" is a schema in it',
            "rename the file: nothing in it depends on its name",
        )


def open_database(
    path: str | Path,
    engine: Engine,
    *,
    settings: Sequence[tuple[str, str]] = (),
    progress: Progress = lambda _line: None,
    retention: int = 0,
    prepare: Callable[[Cursor], None] = lambda _cursor: None,
) -> Database:
    """Opens ``path``, adopting it first if Bough has never seen it. Raises OpenError."""
    if missing := _ENFORCED - engine.capabilities.delta_enforces:
        raise OpenError(f"engine {engine.name} would not enforce {', '.join(sorted(missing))} on branches")
    root = engine.connect(str(path), settings)
    try:
        _refuse_name(str(path), root)
        prepare(root)
        database = Database(root, str(path), retention)
        if not manifest.exists(root):
            root.begin()
            manifest.create(root)
            manifest.insert_branch(root, manifest.trunk_record(manifest.now()))
            root.commit()
        database.load()
        if not root.made:
            engine.adopt(database, progress)
    except BaseException:
        root.rollback()
        root.close()
        raise
    return database


__all__ = ["MAIN", "Database", "change_key", "open_database"]
