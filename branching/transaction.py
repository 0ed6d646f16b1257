"""One transaction of one connection: what it has changed, and how that becomes durable in one engine transaction.

Rules:

1. The catalog and the storage map are those of the engine snapshot: taken before the first statement and confirmed
   after it (``confirm``).
2. The first write takes a version. What the transaction writes carries it; the ``commits`` row with it is the truth
   about whether the transaction is durable.
3. Writers of rows share a table, DDL and TRUNCATE claim it: the engine alone would let an UPDATE and a TRUNCATE of the
   same table both commit. A claim waits for running writers (outside a block) and refuses (40001) whoever would work
   on a snapshot from before the other's commit.
4. Where no fork exists, a write to the trunk leaves no history. Should a fork be taken before such a transaction
   commits, ``settle`` writes the history then: nobody else can have changed those rows meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from branching import manifest, names
from branching.database import change_key
from branching.engine.base import Cursor, EngineError, ErrorKind, Parameters
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author, Change, Commit
from branching.model import Catalog
from branching.names import RID, VERSION
from branching.physical import BaseTable, Physical
from branching.repeatable import Repeatable
from branching.table_uses import LOCK_WAIT, stale

if TYPE_CHECKING:
    from branching.database import Database
    from branching.lines import Line, Record

_DELETED = "_bough_deleted"


class Transaction(Repeatable):
    """Begun by a connection; ended by ``commit`` or ``rollback``, exactly once."""

    def __init__(
        self,
        database: Database,
        cursor: Cursor,
        line: Line,
        author: Author,
        *,
        explicit: bool,
        read_only: bool = False,
        token: object | None = None,
        begun: bool = True,
        keeps_own: bool = False,
        guarded: bool = False,
    ) -> None:
        super().__init__(database, line, explicit=explicit, token=token)
        self.cursor = cursor
        self.read_only = read_only
        self.zone = cursor.zone
        self.author = author
        self.changes: list[Change] = []
        self.bases: dict[int, BaseTable | None] = {}
        self.storage: set[str] = set()
        self.records: list[Record] = []
        self.afterwards: list[Callable[[], None]] = []  # run with the commit, before anyone sees it
        self.fork = line.record.fork
        self.inserted = self.updated = self.deleted = 0
        self.statement: str | None = None
        self.merge: int | None = None
        self.keeps_own = keeps_own and not line.is_trunk  # a branch's rows leave their old images behind
        self.guarded = guarded  # a client's: a protected line refuses its first write
        self.forgets = False  # something of the trunk went without leaving an image
        self._unarmed: set[int] = set()
        self._deleted_noted = False
        self.confirmed = False
        self._newly_touched: set[int] = set()
        self._defaults_set = False
        self.indexed: set[int] = set()  # base tables that it has made an index of
        self.rebuilds_indexes = False  # a try before this one found old row versions in the way of an index
        with database.catalog_lock:
            self.epoch = database.epoch
            self.catalog: Catalog = line.catalog
            self.seq = line.seq
            self.physical: Physical = database.physical
            # None: it has done more than read, or began while something was being committed
            self.present = database.motion.present()
        self.begun_with = self.physical
        if begun:
            cursor.begin(read_only)
        if explicit:
            cursor.log = self.log
        self._committing = False
        self._block = explicit  # counted among the line's
        if explicit:
            with database.gate:
                line.blocks += 1

    # -- reading --------------------------------------------------------------------------------------------

    def confirm(self) -> bool:
        """After the first statement: whether the catalog really is the one of the engine's snapshot."""
        if not self.confirmed:
            if self.database.stable_epoch() != self.epoch:
                return False
            self.confirmed = True
        return True

    # -- writing --------------------------------------------------------------------------------------------

    def take(self) -> int:
        """This transaction's version; the first call takes it."""
        if self.version is None:
            if self.guarded:
                self.line.need_writable()
            with self.database.gate:
                self._await_turn()
                if self.line.moved > self.stamp:
                    raise stale()
                self.version = self.database.clock.take()
                self.line.writers.add(self.version)
        return self.version

    def write(self) -> int:
        """This transaction's version, which rows of storage get by default from now on."""
        version = self.take()
        if not self._defaults_set:
            self._defaults_set = True
            self.cursor.write_as(version, None if self.line.is_trunk else self.line.id)
        return version

    def _await_turn(self) -> None:
        """Waits while a merge moves the line's base (what are its own changes is settled then) or a checkpoint runs."""
        line = self.line
        free = self.database.gate.wait_for(
            lambda: line.sealed is None and not self.database.holding, timeout=LOCK_WAIT
        )
        if not free and line.sealed is not None:
            raise BoughError(
                "55P03",
                f'branch "{line.name}" is being merged',
                detail=f"The merge has been running for {LOCK_WAIT:.0f} s.",
                hint="Try again when it has ended.",
            )
        self.check_fork()  # what was waited for may have been a refresh

    def check_fork(self) -> None:
        """Refuses (40001) where a refresh has moved what is under the branch since this transaction's snapshot."""
        if self.confirmed and self.fork is not self.line.record.fork:
            raise BoughError(
                "40001",
                f'branch "{self.line.name}" was refreshed while the transaction was open',
                hint="Retry the transaction.",
                detail="Its snapshot is of what was under the branch before.",
            )

    def put_record(self, record: Record) -> None:
        """Stores a line's changed record; it becomes current with the commit."""
        self.write()
        manifest.update_branch(self.cursor, record)
        self.records.append(record)

    def arm(self, base: int) -> bool:
        """Before a write to a base of the trunk: whether old images must be kept."""
        version = self.take()
        with self.database.gate:
            self.database.note_write(base, version)
            if base in self._unarmed:
                return False  # the commit leaves history for all that this transaction wrote there
            if self.database.has_forks():
                return True
            self._unarmed.add(base)
            if not self.explicit:
                self.database.unarmed_running.add(self)
            return False

    def note_deleted(self, base: int, rids: str, parameters: Parameters = ()) -> None:
        """Remembers identities about to be deleted without history, should a fork come before the commit."""
        if not self.explicit:
            return
        if not self._deleted_noted:
            nothing = "SELECT CAST(NULL AS BIGINT) AS base, CAST(NULL AS BIGINT) AS rid WHERE false"
            self.cursor.execute(self.cursor.engine.replace_temporary(_DELETED, nothing))
            self._deleted_noted = True
        self.cursor.execute(f"INSERT INTO {_DELETED} SELECT {base}, {RID} FROM ({rids}) AS _gone", parameters)

    def touch(self, table: int) -> None:
        """The line is about to have rows or masks of its own in the table; the commit stores that."""
        self.take()
        if table not in self.line.stored and table not in self._newly_touched:
            self._newly_touched.add(table)
            self.line.touched.add(table)

    def change(self, change: Change) -> None:
        self.write()
        self.changes.append(change)
        self.catalog = change.apply(self.catalog)

    def put_base(self, base: BaseTable) -> None:
        manifest.put_base(self.cursor, base)
        self.bases[base.id] = base
        self.refresh_physical()

    def remove_base(self, base: int) -> None:
        manifest.delete_base(self.cursor, base)
        self.bases[base] = None
        self.refresh_physical()

    def add_storage(self, name: str) -> None:
        """A storage table was created in this transaction."""
        self.storage.add(name.rpartition(".")[2])
        self.refresh_physical()

    def may_make(self, name: str) -> bool:
        """Whether nobody else has made the storage table, which the transaction does not see, nor is about to.
        From then on it is this transaction's to make."""
        return self.database.motion.reserve(name, self)

    def may_begin_anew(self) -> bool:
        """Whether the transaction could be begun anew without anybody noticing: it has done nothing, and what it has
        read is still the present."""
        if self.version is not None or not self.confirmed:
            return self.version is None
        with self.database.catalog_lock:
            return self.present is not None and self.present == self.database.motion.present()

    def refresh_physical(self) -> None:
        """Puts this transaction's own storage over what is committed."""
        if not self.bases and not self.storage:
            self.physical = self.begun_with
            return
        bases = {**self.begun_with.bases}
        for identifier, base in self.bases.items():
            if base is None:
                bases.pop(identifier, None)
            else:
                bases[identifier] = base
        self.physical = Physical(bases, self.begun_with.storage | self.storage, self.physical.engine)

    def begin_again(self, stamp: int, epoch: int, physical: Physical) -> None:
        """The engine's transaction is another since, on a snapshot taken after these."""
        self.stamp, self.epoch, self.confirmed = stamp, epoch, True
        self.begun_with = physical

    # -- ending ---------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Makes everything durable, or nothing and raises."""
        if self.version is None:
            try:
                self.cursor.commit()
            finally:
                self._done()
            return
        self.begin_commit()
        try:
            manifest.insert_touched(self.cursor, self.line.id, sorted(self._newly_touched))
            self._prepare_forks()
            at = self.database.clock.instant(manifest.now())
            manifest.insert_commits(self.cursor, [self.entry(self.version, at, kept=self._kept())])
            if self.changes or self.bases or self.storage or self.records or self.afterwards:
                self._commit_catalog()
            else:
                self._commit_engine()
            self.line.stored |= self._newly_touched
            self._committed = True
        except BaseException:
            self.cursor.rollback()
            raise
        finally:
            self._done()
        self.database.checkpointer.after_commit()

    def begin_commit(self) -> None:
        """Before anything of it can be seen."""
        self._committing = True
        self.database.motion.begin_commit()

    def entry(self, version: int, at: datetime, *, kept: bool) -> Commit:
        """What the log says of this transaction."""
        counts = (self.inserted, self.updated, self.deleted)
        return Commit(version, self.line.id, self.author, self.statement, counts, self.merge, at, kept)

    def _kept(self) -> bool:
        """Whether the line before this transaction can still be read; if not, so it is noted."""
        assert self.version is not None
        kept = not (self._unarmed or self.forgets) if self.line.is_trunk else self.keeps_own
        if not kept:
            with self.database.gate:
                self.database.raise_floor(self.line.id, self.version)
        return kept

    def _prepare_forks(self) -> None:
        """Leaves history for forks taken since this transaction wrote without."""
        while True:
            with self.database.gate:
                if not self._unarmed or not self.database.has_forks():
                    if self._unarmed:
                        self.database.unarmed_running.add(self)
                    return
                bases, self._unarmed = self._unarmed, set()
            for base in sorted(bases):
                self._settle(base)

    def _settle(self, base: int) -> None:
        from branching.history import insert_images, own_history

        table = self.physical.bases.get(base)
        if table is None or base not in self.database.physical.bases:
            return
        rids = f"SELECT {RID} FROM {table.sql} WHERE {VERSION} = {self.version}"
        if self._deleted_noted:
            rids += f" UNION SELECT rid FROM {_DELETED} WHERE base = {base}"
        touched = self.cursor.arrow(rids)
        outside = self.database.root.cursor()
        try:
            outside.register("_bough_rids", touched)
            committed = self.database.physical.bases[base]
            columns = ", ".join(f"{names.quote(name)} AS c{id_}" for id_, name in committed.columns.items())
            images = outside.arrow(
                f"SELECT {columns}, {RID}, {VERSION} FROM {committed.sql}"
                f" WHERE {RID} IN (SELECT {RID} FROM _bough_rids)"
            )
        finally:
            outside.close()
        into = own_history(
            self, table
        )  # by its own name of the table, which this transaction may have renamed
        insert_images(self, committed, into, images)

    def _commit_catalog(self) -> None:
        database, line = self.database, self.line
        with database.catalog_lock:
            mine = {change_key(change) for change in self.changes}
            if mine & database.changed_since(line, self.seq):
                raise BoughError(
                    "40001",
                    "could not change the schema due to concurrent changes",
                    hint="Retry the transaction.",
                    detail="Another transaction has changed the same object since this one began.",
                )
            manifest.insert_changes(self.cursor, line.id, line.seq + 1, self.changes, self.version or 0)
            database.epoch += 1
            try:
                self._commit_engine()
                database.record_changes(line, self.changes, self.version or 0)
                database.put_physical(self.bases, frozenset(self.storage))
                database.put_records(self.records)
                for step in self.afterwards:
                    step()
            finally:
                database.epoch += 1
                self._forget_version()

    def _commit_engine(self) -> None:
        try:
            self.cursor.commit()
        except EngineError as error:
            # A COMMIT that reports an error may still be durable; our own row is the truth.
            if error.kind is not ErrorKind.CONFLICT and self.version is not None:
                other = self.database.root.cursor()
                try:
                    if manifest.committed(other, self.version):
                        return
                finally:
                    other.close()
            raise

    def rollback(self) -> None:
        self.cursor.rollback()
        self._done()

    def _forget_version(self) -> None:
        if self.version is not None:
            self.database.clock.settle(self.version)

    def done(self, *, committed: bool = False) -> None:
        """Ends a transaction that never began one of the engine: its one statement was one."""
        self._committed = committed
        self._done()

    def _done(self) -> None:
        if self.cursor.log is self.log:
            self.cursor.log = None
        with self.database.gate:
            self._forget_version()
            self.line.blocks -= self._block
            self._block = False
            if self.version is not None:
                self.line.writers.discard(self.version)
            self.database.unarmed_running.discard(self)
            self.database.motion.release(self)
            if self._committing:
                self._committing = False
                self.database.motion.end_commit()
            self.end_uses(named=self.guarded)
            self.database.gate.notify_all()
