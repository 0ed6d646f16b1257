"""What no line can reach any more leaves the file: rows of gone branches, history, old bases, empty storage.

Each function is one kind of step: (branch, what was done, bytes freed) for each thing, each in a transaction of its
own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from branching import detach, manifest, names
from branching.database import Database
from branching.engine.base import Cursor, EngineError
from branching.lines import TRUNK, CatalogRef
from branching.model import Catalog, Table
from branching.names import BRANCH, ENDED, RID, VERSION, quote
from branching.past import moments as timetravel
from branching.past import rows as past_rows
from branching.physical import BaseTable

M = names.MANIFEST_SCHEMA
_PIECE = 100_000
_BYTES_PER_ROW = 64
Done = list[tuple[str, str, int]]  # branch (empty: of none), what was done, bytes freed


@contextlib.contextmanager
def _transaction(database: Database) -> Iterator[Cursor]:
    cursor = database.root.cursor()
    try:
        cursor.begin()
        yield cursor
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()


def _branch_tables(database: Database) -> list[str]:
    return [name for name in sorted(database.physical.storage) if names.holds_branches(name)]


def delete_rows(database: Database, branch: int) -> int:
    """Everything a branch holds; the bytes that were freed."""
    own = f"{BRANCH} = {branch}"
    return sum(_delete(database, table, own) for table in _branch_tables(database)) * _BYTES_PER_ROW


def _delete(database: Database, table: str, where: str) -> int:
    """Deletes rows of a storage table, so many in a transaction; how many there were."""
    full, count = f"{names.DATA_SCHEMA}.{table}", 0
    while True:
        with _transaction(database) as cursor:
            gone = cursor.execute(cursor.engine.delete_some(full, where, _PIECE)) or 0
        count += gone
        if gone < _PIECE:
            return count


def drop_superseded(database: Database) -> Done:
    """Rows of branches that read a copy now."""
    done: Done = []
    for line, table, version in list(detach.superseded(database)):
        with database.gate:
            _put_floor(database, line.id, version)
        if gone := _delete(database, table, f"{BRANCH} = {line.id}"):
            done.append((line.name, f"{gone} rows deleted that its copy has", gone * _BYTES_PER_ROW))
    return done


def _retained(database: Database) -> list[Table]:
    """Tables as they were within the retention."""
    return list(timetravel.retained_tables(database, timetravel.retained_since(database, manifest.now())))


def catalogs(database: Database) -> list[Catalog]:
    """Every catalog that some line, live or discarded, sees or counts its changes from: each once.

    Most branches share theirs. Logs are replayed in their order, so each is gone through once.
    """
    found: list[Catalog] = []
    referred: set[CatalogRef] = set()
    for line in [*database.lines.values(), *database.trash.values()]:
        found.append(database.loaded(line).catalog)
        if not line.is_trunk:
            referred |= {line.record.base_catalog, line.record.parent_catalog}
    found += [database.catalog_at(ref) for ref in sorted(referred, key=lambda ref: (ref.line, ref.seq))]
    return list({id(catalog): catalog for catalog in found}.values())


def _tables(database: Database) -> list[Table]:
    found = [table for catalog in catalogs(database) for table in catalog.tables()] + _retained(database)
    return [*found, *past_rows.forms_of_bases(database)]


@dataclass(frozen=True, slots=True)
class _Needed:
    """What some line needs of the file, by number. Asked for without the lock, then again of what is left, with it."""

    bases: frozenset[int | None]
    shapes: frozenset[int]

    @classmethod
    def of(cls, database: Database) -> _Needed:
        tables = _tables(database)
        return cls(
            frozenset(table.storage.base for table in tables),
            frozenset(table.storage.shape for table in tables),
        )

    def has(self, name: str) -> bool:
        """Whether a line has the shape, or the base, that a branch table's rows are of."""
        return int(name[1:]) in (self.bases if name[0] == "m" else self.shapes)


def _forks(database: Database) -> list[int]:
    """Per fork, the version up to which it sees everything: images that ended by then are not for it."""
    return [
        line.record.fork.complete
        for line in [*database.lines.values(), *database.trash.values()]
        if not line.is_trunk
    ]


def prune_history(database: Database) -> Done:
    """Old images that ended before every fork and the retention; whole history tables where neither needs any."""
    done: Done = []
    with database.gate:
        if database.pending_forks:
            return done
        forks = _forks(database)
        retained = timetravel.retained_since(database, manifest.now())
        oldest = min([*forks, *([retained] if retained is not None else [])], default=None)
        gone_up_to = database.clock.version if oldest is None else oldest
        tables = sorted(n for n in database.physical.storage if names.history_of(n) is not None)
        if tables:
            _put_floor(database, TRUNK, gone_up_to)
    for name in tables:
        if oldest is None:
            if _drop_unused(database, name, database.has_forks):
                done.append(("", f"history {name} dropped", 0))
            continue
        # An image is needed by a fork at f iff it was written by f and ended after it.
        if gone := _delete(database, name, f"{ENDED} <= {oldest}"):
            done.append(("", f"history {name} pruned", gone * _BYTES_PER_ROW))
    return done


def _put_floor(database: Database, line: int, version: int) -> None:
    """Nothing of the line from before the version can be read from now on. The caller holds the gate."""
    if version > database.floors.get(line, 0):
        with database.registry() as cursor:
            manifest.put_floor(cursor, line, version)
        database.raise_floor(line, version)


def join_history(database: Database) -> Done:
    """Images that a transaction had to leave in a table of its own go to those of all."""
    done: Done = []
    for base in list(database.physical.bases.values()):
        shared = names.history(base.id)
        for history in database.physical.histories(base.id):
            if history != shared and _join(database, base.id, shared, history):
                done.append(("", f"history {history.rpartition('.')[2]} joined", 0))
    return done


def _join(database: Database, number: int, shared: str, apart: str) -> bool:
    """Copies beside all work; a change of the table's definition meanwhile is a conflict, and the next pass tries."""
    physical = database.physical
    base = physical.bases.get(number)
    if base is None or not physical.has(shared):
        return False  # there is one as soon as somebody writes the table again
    columns = ", ".join([*(f"c{column}" for column in base.columns), RID, VERSION, ENDED])
    cursor = database.root.cursor()
    try:
        cursor.begin()
        cursor.execute(f"INSERT INTO {shared} ({columns}) SELECT {columns} FROM {apart}")
        cursor.execute(f"DROP TABLE {apart}")
        with database.catalog_lock:
            database.epoch += 1
            try:
                cursor.commit()
                database.forget_storage({apart.rpartition(".")[2]})
            finally:
                database.epoch += 1
    except EngineError:
        return False
    finally:
        cursor.rollback()
        cursor.close()
    return True


def prune_own_history(database: Database) -> Done:
    """What branches held of their own, once the retention no longer covers it."""
    done: Done = []
    with database.gate:
        retained = timetravel.retained_since(database, manifest.now())
        oldest = database.clock.version if retained is None else retained
    for name in [n for n in _branch_tables(database) if n[0] == "e"]:
        full = f"{names.DATA_SCHEMA}.{name}"
        cursor = database.root.cursor()
        try:
            held = cursor.query(f"SELECT DISTINCT {BRANCH} FROM {full} WHERE {ENDED} <= {oldest}")
        finally:
            cursor.close()
        if not held:
            continue
        with database.gate:
            for (branch,) in held:
                _put_floor(database, branch, oldest)
        gone = _delete(database, name, f"{ENDED} <= {oldest}")
        done.append(("", f"history {name} pruned", gone * _BYTES_PER_ROW))
    return done


def drop_old_bases(database: Database) -> Done:
    """Base tables that were dropped or rebuilt on the trunk, and copies, that no line sees any more."""
    done: Done = []
    needed = _Needed.of(database)
    for base in list(database.physical.bases.values()):
        if (
            not (base.is_copy or base.name.startswith(f"{names.HIDDEN_PREFIX}old_"))
            or base.id in needed.bases
        ):
            continue
        with database.catalog_lock:
            with database.gate:
                if database.pending_forks:
                    return done
            if base.id in _Needed.of(database).bases:
                continue
            histories = database.physical.histories(base.id)
            if not _drop_base(database, base, histories, whole=True):
                _drop_base(database, base, histories, whole=False)
            database.epoch += 2
            database.put_physical({base.id: None}, frozenset())
            database.forget_storage({base.name, *(history.rpartition(".")[2] for history in histories)})
        done.append(("", f"table {base.name} dropped", 0))
    return done


def _drop_base(database: Database, base: BaseTable, histories: list[str], *, whole: bool) -> bool:
    """``whole``: with its schema, where that is there for nothing else; False if the engine finds something in it."""
    drops_schema = whole and _was_last(database, base)
    try:
        with _transaction(database) as cursor:
            for table in (base.sql, *histories):
                cursor.execute(f"DROP TABLE {table}")
            manifest.delete_base(cursor, base.id)
            if drops_schema:
                cursor.execute(f"DROP SCHEMA IF EXISTS {quote(base.schema)}")
    except EngineError:
        if not drops_schema:
            raise
        return False
    return True


def _was_last(database: Database, base: BaseTable) -> bool:
    """Whether the schema that a base table was in is there for nothing else: the trunk has dropped it."""
    others = (other for other in database.physical.bases.values() if other.id != base.id)
    kept = {*database.trunk.catalog.schemas, "main", names.DATA_SCHEMA, *(other.schema for other in others)}
    return base.schema.lower() not in {name.lower() for name in kept}


def drop_old_columns(database: Database) -> Done:
    """Columns that the trunk dropped and that no line sees any more. What the engine refuses stays."""
    done: Done = []
    for base in list(database.physical.bases.values()):
        for identifier, name in list(base.columns.items()):
            if name.startswith(f"{names.HIDDEN_PREFIX}dropped_") and _drop_column(
                database, base, identifier, name
            ):
                done.append(("", f"column {name} dropped", 0))
    return done


def _drop_column(database: Database, base: BaseTable, identifier: int, name: str) -> bool:
    with database.catalog_lock:
        current = database.physical.bases.get(base.id)
        with database.gate:
            if database.pending_forks or current is None:
                return False
        for table in _tables(database):
            if table.storage.base == base.id and (
                any(column.id == identifier for column in table.columns)
                or any(f"c{identifier}" in text for _, text in table.storage.below)
            ):
                return False
        left = {key: text for key, text in current.columns.items() if key != identifier}
        changed = replace(current, columns=left)
        try:
            with _transaction(database) as cursor:
                cursor.execute(f"ALTER TABLE {current.sql} DROP COLUMN {quote(name)}")
                manifest.put_base(cursor, changed)
        except EngineError:
            return False
        database.epoch += 2
        database.put_physical({base.id: changed}, frozenset())
    return True


def drop_stale_images(database: Database) -> Done:
    """Images of changes that a merge has made part of the branch's base."""
    done: Done = []
    for line in [*database.lines.values(), *database.trash.values()]:
        if line.is_trunk or not line.record.inherited:
            continue
        for name in [n for n in _branch_tables(database) if n[0] == "b"]:
            if gone := _delete(
                database, name, f"{BRANCH} = {line.id} AND {line.record.base.visible(VERSION)}"
            ):
                done.append((line.name, f"{gone} images deleted", gone * _BYTES_PER_ROW))
    return done


def drop_empty_storage(database: Database) -> Done:
    """Delta, image and mask tables that are empty and of a shape that no line has."""
    done: Done = []
    needed = _Needed.of(database)
    for name in _branch_tables(database):
        if _is_held(database, name) and needed.has(name):
            continue
        if _drop_unused(database, name, lambda name=name: _in_use(database, name)):  # type: ignore[misc]
            done.append(("", f"storage {name} dropped", 0))
    return done


def _is_held(database: Database, name: str) -> bool:
    """Whether a table is kept for the lines that have its shape, though it may be empty."""
    return name[0] != "e" or database.retention > 0


def _in_use(database: Database, name: str) -> bool:
    if name[0] == "d" and database.physical.has(f"e{name[1:]}"):
        return True
    needed = _Needed.of(database).has(name)
    if name[0] == "m" or (needed and _is_held(database, name)):
        return needed
    cursor = database.root.cursor()
    try:
        return bool(cursor.query(f"SELECT 1 FROM {names.DATA_SCHEMA}.{name} LIMIT 1"))
    finally:
        cursor.close()


def _drop_unused(database: Database, name: str, needed: Callable[[], bool]) -> bool:
    with database.catalog_lock:
        if needed():
            return False
        try:
            with _transaction(database) as cursor:
                cursor.execute(f"DROP TABLE {names.DATA_SCHEMA}.{name}")
        except EngineError:
            return False
        database.epoch += 2
        database.forget_storage({name})
    return True


def drop_undo(database: Database, before: datetime) -> Done:
    """What would undo merges that are too old to be reverted."""
    done: Done = []
    kept = {name for name in database.physical.storage if name[0] == "u" and "_" in name}
    if not kept:
        return done
    cursor = database.root.cursor()
    try:
        recent = {
            row[0] for row in cursor.query(f"SELECT id FROM {M}.merges WHERE merged_at >= ?", (before,))
        }
    finally:
        cursor.close()
    for name in sorted(kept):
        merge = int(name[1:].partition("_")[0])
        if merge not in recent and _drop_unused(database, name, lambda: False):
            done.append(("", f"undo of merge {merge} dropped", 0))
    return done


STEPS: tuple[Callable[[Database], Done], ...] = (
    prune_history,
    join_history,
    prune_own_history,
    drop_superseded,
    drop_stale_images,
    drop_old_bases,
    drop_old_columns,
    drop_empty_storage,
)
