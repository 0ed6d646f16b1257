"""Adopting a DuckDB file: every table of it becomes a table of the trunk, in place.

Each table gets its two hidden columns in a transaction of its own, so an adoption that was interrupted goes on where
it stopped. Before the first, the disk is asked whether there is room; after each, the log is folded into the file, so
that no more than one table's worth of it is ever needed. The file stays readable by plain DuckDB, in the storage format
it has, and what plain DuckDB adds to it later is adopted at the next open. Native foreign keys are taken over into the
catalog and removed from the table (it is rebuilt): see ``dml.foreign_keys``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from branching import manifest, names
from branching.database import Database
from branching.engine.base import Cursor, EngineError, OpenError
from branching.engine.duckdb_engine import HIDDEN_COLUMNS
from branching.engine.duckdb_reader import FileReader, Sequences, by_name
from branching.errors import BoughError
from branching.lines import TRUNK, Line
from branching.manifest import Author, Change
from branching.model import DEFAULT_SCHEMA, Column, Macro, Schema, Storage, Table, View
from branching.names import RID, VERSION, quote
from branching.physical import BaseTable
from branching.resolve import Scope, parse

Progress = Callable[[str], None]
_ROW_IN_FILE = 16  # bytes that the hidden columns of a row may take
_ROW_IN_LOG = 32  # … and what writing them takes in the log, until it is folded in
_SPARE = 16 << 20


def adopt(database: Database, progress: Progress) -> None:
    """Brings what the trunk's catalog does not know yet under Bough."""
    reader = FileReader(database.root, database.next_id)
    known_bases = {(base.schema, base.name) for base in database.physical.bases.values()}
    fresh = [row for row in reader.tables() if (row[0], row[1]) not in known_bases]
    _need_room(database, reader, fresh)
    dropped = _dropped_schemas(database) - {row[0] for row in fresh}
    for name in reader.schemas():
        if name not in database.trunk.catalog.schemas and name not in dropped:
            _record(database, [Change(Schema(database.next_id(), name))], [])
    sequences = _adopt_sequences(database, reader)
    total, done = sum(size for _, _, size in fresh), 0
    for number, (schema, name, size) in enumerate(fresh, 1):
        percent = f", {done * 100 // total} % done" if done else ""
        progress(f"adopting {schema}.{name} ({number} of {len(fresh)}, about {size} rows{percent})")
        _adopt_table(database, reader, schema, name, sequences)
        done += size
        if size:
            database.root.checkpoint()
    _adopt_macros(database, reader)
    _adopt_views(database, reader, progress)
    _adopt_rows(database)


def _need_room(database: Database, reader: FileReader, fresh: list[tuple[str, str, int]]) -> None:
    """Refuses, with nothing changed, where the disk cannot take what adopting needs."""
    rows = sum(size for _, _, size in fresh)
    path = Path(database.path)
    if not rows or database.path == ":memory:" or not path.exists():
        return
    rebuilt = reader.with_foreign_keys()
    share = sum(size for schema, name, size in fresh if (schema, name) in rebuilt) / rows
    needed = rows * _ROW_IN_FILE + max(size for _, _, size in fresh) * _ROW_IN_LOG + _SPARE
    needed += int(2 * share * path.stat().st_size)  # written again, to the log and to the file
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OpenError(
            f'there is not enough disk space to adopt "{path}": {_mb(needed)} are needed, {_mb(free)} are free;'
            f" it has {len(fresh)} tables with about {rows} rows that Bough has not seen yet. Nothing was changed",
            "free some space, or copy the file to a larger disk and serve it there",
        )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _adopt_rows(database: Database) -> None:
    """Gives the rows that plain DuckDB has added since the last time a version of their own: forks do not hold them."""
    cursor = database.root
    found = [
        base
        for base in database.physical.bases.values()
        if cursor.query(f"SELECT 1 FROM {base.sql} WHERE {VERSION} IS NULL LIMIT 1")
    ]
    if not found:
        return
    version = database.clock.take()
    cursor.begin()
    for base in found:
        cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {VERSION} IS NULL")
    author = Author(application_name="duckdb")
    manifest.insert_commits(
        cursor, [manifest.Commit(version, TRUNK, author, "rows added by plain DuckDB", (0, 0, 0))]
    )
    cursor.commit()
    database.clock.settle(version)


def _record(database: Database, changes: list[Change], bases: list[BaseTable]) -> None:
    """Commits catalog changes of the trunk in the root cursor's open (or a new) transaction."""
    cursor, line = database.root, database.trunk
    with database.catalog_lock:
        manifest.insert_changes(cursor, TRUNK, line.seq + 1, changes)
        for base in bases:
            manifest.put_base(cursor, base)
        if bases:
            cursor.commit()
        database.epoch += 2
        database.record_changes(line, changes)
        database.put_physical({base.id: base for base in bases}, frozenset())


def _dropped_schemas(database: Database) -> set[str]:
    """Schemas that Bough has dropped: what is left of them in the file only forks see."""
    last = {
        change.item.name: change.dropped
        for _, _, change in database.changes_of(database.trunk)
        if isinstance(change.item, Schema)
    }
    return {name for name, dropped in last.items() if dropped}


def _adopt_sequences(database: Database, reader: FileReader) -> Sequences:
    found: Sequences = {}
    known = {item.physical: item for item in database.trunk.catalog.sequences()}
    had = {getattr(change.item, "physical", None) for _, _, change in database.changes_of(database.trunk)}
    changes = []
    for item, _ in reader.sequences():
        sequence = known.get(item.physical, item)
        if item.physical in had and sequence is item:
            continue  # dropped since: defaults of forks may name it still
        if sequence is item and database.trunk.catalog.find(item.schema, item.name) is None:
            changes.append(Change(item))
        by_name(found, sequence)
    if changes:
        _record(database, changes, [])
    return found


def _adopt_table(
    database: Database, reader: FileReader, schema: str, name: str, sequences: Sequences
) -> None:
    cursor = database.root
    table = reader.table(schema, name, sequences)
    target = f"{quote(schema)}.{quote(name)}"
    hidden = reader.hidden_columns(schema, name)
    cursor.begin()
    try:
        base = BaseTable(
            database.next_id(), schema, name, {column.id: column.name for column in table.columns}
        )
        table = replace(table, storage=Storage(base.id, database.next_id()))
        if any(item.kind == "f" for item in table.constraints):
            trunk = database.trunk
            physical = Scope(database, trunk, trunk.catalog, database.physical).with_storage_defaults(table)
            _rebuild(cursor, physical, schema, name, RID in hidden)
        else:
            if RID not in hidden:
                cursor.execute(f"ALTER TABLE {target} ADD COLUMN {HIDDEN_COLUMNS[0]}")
            if VERSION not in hidden:
                cursor.execute(f"ALTER TABLE {target} ADD COLUMN {VERSION} BIGINT DEFAULT 0")
                cursor.execute(f"ALTER TABLE {target} ALTER COLUMN {VERSION} DROP DEFAULT")
        cursor.execute(f"UPDATE {target} SET {VERSION} = 0 WHERE {VERSION} IS NULL")
        _record(database, [Change(table)], [base])
    except BaseException:
        cursor.rollback()
        raise


def _rebuild(cursor: Cursor, table: Table, schema: str, name: str, hidden: bool) -> None:
    """The table again, without the engine's foreign keys."""
    scratch = f"{names.HIDDEN_PREFIX}adopt_{table.id}"
    cursor.execute(cursor.engine.create_base(schema, scratch, table))
    listed = names.columns(table.stored) + (f", {RID}" if hidden else "")
    cursor.execute(
        f"INSERT INTO {quote(schema)}.{quote(scratch)} ({listed}) SELECT {listed} FROM {quote(schema)}.{quote(name)}"
    )
    cursor.execute(f"DROP TABLE {quote(schema)}.{quote(name)}")
    cursor.execute(f"ALTER TABLE {quote(schema)}.{quote(scratch)} RENAME TO {quote(name)}")
    for index in table.indexes:
        unique = "UNIQUE " if index.unique else ""
        known = {column.name for column in table.columns}
        items = ", ".join(quote(text) if text in known else f"({text})" for text in index.columns)
        cursor.execute(f"CREATE {unique}INDEX {quote(index.name)} ON {quote(schema)}.{quote(name)} ({items})")


def _adopt_macros(database: Database, reader: FileReader) -> None:
    found = list(reader.macros())
    database.native_macros = frozenset(macro.name.lower() for macro in found)
    known = database.trunk.catalog.macros
    fresh = [macro for macro in found if (macro.schema, macro.name) not in known]
    changes = [Change(macro) for macro in fresh if not _dropped_here(database, macro)]
    if changes:
        _record(database, changes, [])


def _dropped_here(database: Database, item: View | Macro) -> bool:
    """Whether Bough had this very definition and has dropped it since: it goes from the file too."""

    def meaning(other: object) -> object:
        return (
            (other.sql,)
            if isinstance(other, View)
            else isinstance(other, Macro) and (other.body, other.parameters)
        )

    gone = any(
        type(change.item) is type(item)
        and (change.item.name, getattr(change.item, "schema", "")) == (item.name, item.schema)
        and meaning(change.item) == meaning(item)
        for _, _, change in database.changes_of(database.trunk)
    )
    if gone:
        kind = "VIEW" if isinstance(item, View) else "MACRO TABLE" if item.is_table else "MACRO"
        schema = "main" if item.schema == DEFAULT_SCHEMA else item.schema
        database.root.execute(f"DROP {kind} IF EXISTS {quote(schema)}.{quote(item.name)}")
    return gone


def _adopt_views(database: Database, reader: FileReader, progress: Progress) -> None:
    """Their columns are those that Bough shows: a ``*`` in the file names the hidden ones too."""
    known = database.trunk.catalog
    waiting = [
        (view, named)
        for view, named in reader.views()
        if known.find(view.schema, view.name) is None and not _dropped_here(database, view)
    ]
    while waiting:
        failed: list[tuple[View, list[str], str]] = []
        for view, named in waiting:
            scope = Scope(database, database.trunk, database.trunk.catalog, database.physical)
            try:
                _record(database, [Change(with_columns(view, named, scope, database.root))], [])
            except (BoughError, EngineError) as error:
                failed.append((view, named, error.message.splitlines()[0]))
        if len(failed) == len(waiting):  # not just read before the views that they read
            for view, _, why in failed:
                progress(f"view {view.schema}.{view.name} is left out: {why}")
            return
        waiting = [(view, named) for view, named, _ in failed]


def with_columns(view: View, named: list[str], scope: Scope, cursor: Cursor) -> View:
    """The view with the columns that it has in the scope."""
    described = cursor.describe(cursor.engine.text(scope.resolve(parse(view.sql).copy())))
    renamed: list[str] = []
    for wanted in [*named, *(item.name for item in described[len(named) :])]:
        name, number = wanted, 0
        while name.lower() in {item.lower() for item in renamed}:  # as the engine tells twins apart
            number += 1
            name = f"{wanted}_{number}"
        renamed.append(name)
    return replace(
        view,
        columns=tuple(
            Column(scope.database.next_id(), name, item.type)
            for name, item in zip(renamed, described, strict=True)
        ),
    )


__all__ = ["Line", "adopt"]
