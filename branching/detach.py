"""Detaching: a branch that has changed much of a table gets a copy of the table, and reads that.

A read of a branch subtracts a mask from the table below and adds the branch's own rows. Where these are a large part
of the table that costs several times a plain read, and each fork of the branch copies them. So a pass of collection
gives the branch a *copy*: a table of the engine with all rows the branch sees, their identities and versions, that is
the base of the table on this branch from then on. What the branch changes later is again few rows over it, and forks of
the branch share it.

Rules:

1. A copy is never written. Which of its rows are the branch's own changes, their versions tell; images of what they
   were stay where they are. So diffs, merges and the past read the same as before.
2. The copy is made and filled beside all work, in one transaction that nobody sees; then, in a second one that holds
   writers of the branch for its moment, the catalog turns to it. If somebody has written the branch meanwhile the
   second does not happen, and the copy, which no catalog names, is dropped.
3. Nobody waits for a pass. A branch on which a client has a transaction open is left for the next one, so that no
   client is refused; a transaction that slips in between is told to try again (``Line.moved``).
4. Rows that the copy has taken the place of stay while the retention, or the base of the branch, is read from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from branching import manifest, names
from branching.database import Database
from branching.dml.copied import copy_of, over_copy, with_gone
from branching.engine.base import Cursor, EngineError, ErrorKind
from branching.engine.points import Point
from branching.lines import Line, TableUse
from branching.manifest import Author, Change, Commit
from branching.model import Storage, Table
from branching.names import BRANCH, DATA_SCHEMA, RID, VERSION, quote
from branching.overlay import own, unmasked, visible
from branching.past import moments as timetravel
from branching.physical import BaseTable, Physical

M = names.MANIFEST_SCHEMA
SHARE = 0.15  # of a table's rows, from which on a copy is made
LEAST = 50_000  # changed rows below which it is not worth it
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a table is copied: this share of its rows, and at least so many of them, are the branch's own."""

    share: float = SHARE
    least: int = LEAST


@dataclass(frozen=True, slots=True)
class _Made:
    """A copy, and what must not have moved since its snapshot."""

    base: BaseTable
    table: Table
    fork: Point
    head: int


def detach(database: Database, limits: Limits) -> Iterator[tuple[str, str, int]]:
    """Gives every branch a copy of the tables that it has changed much of; (branch, what was done, bytes freed)."""
    for line, table in list(_heavy(database, limits)):
        try:
            if _detached(database, line, table):
                yield line.name, f"table {table.schema}.{table.name} detached", 0
        except EngineError as error:
            if error.kind is ErrorKind.FATAL:
                raise
            if error.kind is not ErrorKind.CONFLICT:
                why = error.message.partition("\n")[0]
                yield line.name, f"table {table.schema}.{table.name} could not be detached: {why}", 0


def _detached(database: Database, line: Line, table: Table) -> bool:
    for _ in range(_TRIES):
        made = _copy(database, line, table)
        if made is None:
            return False
        if _turn(database, line, made):
            return True
    return False


# -- which ---------------------------------------------------------------------------------------------------------


def _heavy(database: Database, limits: Limits) -> Iterator[tuple[Line, Table]]:
    cursor = database.root.cursor()
    try:
        rows: dict[int, dict[str, int]] = {}  # branch → storage table → its rows
        for name in sorted(database.physical.storage):
            if name[0] in "dm" and names.holds_branches(name):
                for branch, count in cursor.query(
                    f"SELECT {BRANCH}, count(*) FROM {DATA_SCHEMA}.{name} GROUP BY 1"
                    f" HAVING count(*) >= {limits.least}"
                ):
                    rows.setdefault(branch, {})[name] = count
        for branch, held in sorted(rows.items()):
            line = database.lines.get(branch)
            if line is None or names.is_pin(line.name):
                continue
            for table in list(database.loaded(line).catalog.tables()):
                count = max(held.get(f"d{table.storage.shape}", 0), held.get(f"m{table.storage.base}", 0))
                if (
                    count
                    and table.id in line.touched
                    and count >= limits.share * _size(database, cursor, table)
                    and _wide(database, line, table) is not None
                ):
                    yield line, table
    finally:
        cursor.close()


def _size(database: Database, cursor: Cursor, table: Table) -> int:
    base = database.physical.bases.get(table.storage.base or 0)
    return 0 if base is None else int(cursor.query(f"SELECT count(*) FROM {base.sql}")[0][0])


def _wide(database: Database, line: Line, table: Table) -> Table | None:
    """What a copy of the table holds: also columns that the branch has dropped, as images will be taken from the copy.
    None where they can no longer be told, or a column has another type now."""
    base = next((item for item in database.base_catalog(line).tables() if item.id == table.id), None)
    if base is None:
        return table
    types = {column.id: column.type for column in table.columns}
    if any(types.get(column.id, column.type) != column.type for column in base.columns):
        return None
    wide = with_gone(table, base)
    stored = database.physical.bases.get(table.storage.base or 0)
    if wide is table:
        return table
    if stored is None or line.record.inherited:
        return None  # rows that are part of the base have images, and would be in the copy too
    now = {column.id: column.name for column in wide.columns[len(table.columns) :]}
    computed = dict(base.storage.below) if base.storage.base == table.storage.base else {}
    below = tuple(
        (now[column.id], computed[column.name])
        for column in base.columns
        if column.id in now and column.name in computed
    )
    told = {name for name, _ in below}
    if any(number not in stored.columns and name not in told for number, name in now.items()):
        return None
    return replace(wide, storage=replace(table.storage, below=(*table.storage.below, *below)))


def _rows(wide: Table, table: Table, line: Line, physical: Physical) -> str:
    """All rows that the branch sees; its own have had their images taken before a column of theirs went."""
    if wide is table:
        return visible(table, line, physical, plain=False, touched=True, hidden=True)
    below = unmasked(wide, line, physical, plain=False)
    gone = wide.columns[len(table.columns) :]
    items = [quote(column.name) for column in table.columns]
    items += [f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in gone]
    return f"{below} UNION ALL SELECT {', '.join(items)}, {RID}, {VERSION} FROM ({own(table, line)}) AS _own"


def _free(line: Line) -> bool:
    """Whether nobody is writing the branch or about to; the caller holds the gate."""
    return not (line.sealed or line.receiving or line.writers or line.blocks) and line.record.state == "live"


# -- the copy --------------------------------------------------------------------------------------------------------


def _copy(database: Database, line: Line, table: Table) -> _Made | None:
    """Makes the copy; None where the branch is busy, the table has just been altered or the disk has no room."""
    cursor = database.root.cursor()
    try:
        with database.catalog_lock:
            with database.gate:
                if not _free(line):
                    return None
            if line.catalog.find(table.schema, table.name) is not table or not _has_room(database):
                return None
            if (wide := _wide(database, line, table)) is None:
                return None
            base = copy_of(wide, database.next_id())
            fork, physical = line.record.fork, database.physical
            cursor.begin()
            head = _head(cursor, line)
        rows = _rows(wide, table, line, physical)
        cursor.execute(cursor.engine.create_copy(base, wide))
        stored = ", ".join(quote(name) for name in base.columns.values())
        items = ", ".join(quote(column.name) for column in wide.columns)
        cursor.execute(
            f"INSERT INTO {base.sql} ({stored}, {RID}, {VERSION})"
            f" SELECT {items}, {RID}, {VERSION} FROM ({rows}) AS _rows ORDER BY {RID}"
        )
        manifest.put_base(cursor, base)
        cursor.commit()  # which may take a while: with no lock held
        with database.catalog_lock:
            database.put_physical({base.id: base}, frozenset({base.name}))
    finally:
        cursor.rollback()
        cursor.close()
    return _Made(base, table, fork, head)


def _has_room(database: Database) -> bool:
    """Whether the disk could take the whole file once more."""
    path, free = Path(database.path), database.disk.free()
    return free is None or not path.exists() or free > database.disk.reserve + path.stat().st_size


def _head(cursor: Cursor, line: Line) -> int:
    """The branch's last version in the cursor's snapshot: every write of a branch leaves one."""
    sql = f"SELECT coalesce(max(version), 0) FROM {M}.commits WHERE branch = ?"
    return int(cursor.query(sql, (line.id,))[0][0])


# -- the turn --------------------------------------------------------------------------------------------------------


def _turn(database: Database, line: Line, made: _Made) -> bool:
    """The branch reads the copy from now on; False where something has moved since it was made."""
    token = object()
    with database.gate:
        if not _free(line):
            return False
        line.sealed = token
    version: int | None = None
    cursor = database.root.cursor()
    try:
        with database.catalog_lock:
            table = made.table
            cursor.begin()
            if (
                line.catalog.find(table.schema, table.name) is not table
                or line.record.fork is not made.fork
                or _head(cursor, line) != made.head
            ):
                return False
            version = database.clock.take()
            change = Change(over_copy(table, made.base, database.next_id()))
            manifest.insert_changes(cursor, line.id, line.seq + 1, [change], version)
            manifest.insert_commits(cursor, [_entry(database, line, table, version)])
            database.epoch += 1
            try:
                _commit(database, cursor, version)
                database.record_changes(line, [change], version)
                _let_know(database, line, table, version)
            finally:
                database.epoch += 1
        return True
    finally:
        cursor.rollback()
        cursor.close()
        if version is not None:
            database.clock.settle(version)
        with database.gate:
            line.sealed = None
            database.gate.notify_all()


def _entry(database: Database, line: Line, table: Table, version: int) -> Commit:
    """The log's entry: no row has changed. The state before can be read as before where the retention keeps it."""
    text = f"table {table.schema}.{table.name} detached"
    at = database.clock.instant(manifest.now())
    return Commit(version, line.id, Author(), text, (0, 0, 0), None, at, database.retention > 0)


def _commit(database: Database, cursor: Cursor, version: int) -> None:
    """A COMMIT that reports an error may still be durable; our own row is the truth."""
    try:
        cursor.commit()
    except EngineError:
        other = database.root.cursor()
        try:
            if not manifest.committed(other, version):
                raise
        finally:
            other.close()


def _let_know(database: Database, line: Line, table: Table, version: int) -> None:
    """Whoever works on a snapshot from before must not write the table where its rows were."""
    with database.gate:
        database.stamp += 1
        line.moved = line.uses.setdefault(table.id, TableUse()).changed = database.stamp
        if not database.retention:
            database.raise_floor(line.id, version)


# -- what is left behind -----------------------------------------------------------------------------------------------


def superseded(database: Database) -> Iterator[tuple[Line, str, int]]:
    """(branch, storage table, version) where rows of the branch lie that a copy has taken the place of, at that
    version, and that nothing reads any more."""
    since = timetravel.retained_since(database, manifest.now())
    retained = {table.storage.shape for table in timetravel.retained_tables(database, since)}
    for line in [*database.lines.values(), *database.trash.values()]:
        found, before = dict[int, int](), dict[int, Storage]()
        for _, version, change in database.changes_of(line):
            item = change.item
            if not isinstance(item, Table):
                continue
            base = database.physical.bases.get(item.storage.base or 0)
            if base is not None and base.is_copy:
                old = before.get(item.id) or _inherited_storage(database, line, item.id)
                if old is not None and old.base != base.id:
                    found[old.shape] = version
            before[item.id] = item.storage
        if not found:
            continue
        needed = list(database.loaded(line).catalog.tables())
        needed += database.base_catalog(line).tables() if line.record.inherited else ()
        for shape in sorted(found.keys() - retained - {table.storage.shape for table in needed}):
            if database.physical.has(names.delta(shape)):
                yield line, f"d{shape}", found[shape]


def _inherited_storage(database: Database, line: Line, table: int) -> Storage | None:
    """Where the table was when the line began."""
    catalog = database.catalog_at(line.record.parent_catalog)
    return next((item.storage for item in catalog.tables() if item.id == table), None)
