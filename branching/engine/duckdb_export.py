"""A branch as a DuckDB file of its own.

It is written to a file beside the target and put in its place when it is whole: the target is never half a database,
and one that is there is not touched unless that was asked for. All rows are of one instant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import duckdb

from branching.connection import Connection
from branching.database import Database
from branching.engine.duckdb_errors import classify
from branching.engine.duckdb_script import Script, full, script
from branching.errors import BoughError
from branching.model import Catalog
from branching.names import columns, literal, quote

_ATTACHED = "bough_other_file"
Progress = Callable[[str], None]


def export(
    database: Database,
    branch: str,
    target: Path,
    *,
    functions: Mapping[str, str],
    force: bool = False,
    progress: Progress = lambda _line: None,
) -> Script:
    """Writes ``branch`` to ``target``. What was left out is in the script's notes."""
    _check_target(database, target, force)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    connection = database.connect(branch)
    try:
        made = _write(database, connection, scratch, functions, progress)
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        _put_in_place(scratch, target, force)
    finally:
        connection.close()
        for leftover in (scratch, Path(f"{scratch}.wal")):
            with suppress(FileNotFoundError):
                leftover.unlink()
    return made


def _check_target(database: Database, target: Path, force: bool) -> None:
    if target.is_dir():
        raise BoughError("58P02", f'"{target}" is a directory')
    if not target.parent.is_dir():
        raise BoughError("58P01", f'directory "{target.parent}" does not exist', hint="Make it first.")
    if target.exists() and Path(database.path).exists() and target.samefile(database.path):
        raise BoughError("58P02", f'"{target}" is the file that the branch is in', hint="Name another file.")
    if target.exists() and not force:
        raise _exists(target)


def _exists(target: Path) -> BoughError:
    return BoughError("58P02", f'"{target}" already exists', hint="--force replaces it.")


def _put_in_place(scratch: Path, target: Path, force: bool) -> None:
    if force:
        scratch.replace(target)
        with suppress(FileNotFoundError):  # a log of the file that was there says nothing about this one
            Path(f"{target}.wal").unlink()
    else:
        try:
            os.link(scratch, target)  # unlike a rename, it never replaces
        except FileExistsError:
            raise _exists(target) from None
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(
    database: Database,
    connection: Connection,
    scratch: Path,
    functions: Mapping[str, str],
    progress: Progress,
) -> Script:
    catalog = connection.catalog
    made = script(catalog, functions)
    with duckdb.connect(str(scratch)) as plain:
        for statement in [*made.before, *(create for _, create in made.tables)]:
            _run(plain, statement)
    cursor = connection.cursor
    cursor.execute(f"ATTACH {literal(str(scratch))} AS {_ATTACHED}")
    try:
        connection.begin()
        _copy(connection, catalog, made, progress)
        connection.commit()
    finally:
        connection.rollback()
        cursor.execute(f"DETACH {_ATTACHED}")
    known = positions(database)
    with duckdb.connect(str(scratch)) as plain:
        for sequence in made.sequences:
            if (last := known.get(sequence.physical)) is not None:
                name = full(sequence.schema, sequence.name)
                _run(plain, f"SELECT setval({literal(name)}, {last})")
        _views(plain, made)
        for statement in made.after:
            with suppress(duckdb.CatalogException):  # a comment on a view that was left out
                plain.execute(statement)
        plain.execute("CHECKPOINT")
    return made


def _copy(connection: Connection, catalog: Catalog, made: Script, progress: Progress) -> None:
    scope = connection.scope()
    for number, (table, _) in enumerate(made.tables, 1):
        progress(f"exporting {table.schema}.{table.name} ({number} of {len(made.tables)})")
        listed = columns(table.stored)
        connection.cursor.execute(
            f"INSERT INTO {_ATTACHED}.{full(table.schema, table.name)} ({listed})"
            f" SELECT {listed} FROM ({scope.relation_sql(table, connection.line)}) AS _rows"
        )
    assert connection.transaction is not None
    if scope.catalog is not catalog or not scope.still_true() or not connection.transaction.confirm():
        raise BoughError("40001", "the branch or its parent changed while it was exported", hint="Try again.")


def positions(database: Database) -> dict[str, int]:
    """The last value of every sequence, by both ways in which its name may be written."""
    rows = database.root.query(
        "SELECT schema_name, sequence_name, last_value FROM duckdb_sequences()"
        " WHERE last_value IS NOT NULL AND database_name = current_database()"
    )
    found = {f"{schema}.{name}": last for schema, name, last in rows}
    return found | {f"{quote(schema)}.{quote(name)}": last for schema, name, last in rows}


def _run(plain: duckdb.DuckDBPyConnection, statement: str) -> None:
    try:
        plain.execute(statement)
    except duckdb.Error as error:
        raise classify(error, statement) from error


def _views(plain: duckdb.DuckDBPyConnection, made: Script) -> None:
    """Views and macros after those that they use, whatever their order; the rest is left out and said."""
    waiting = made.views
    while waiting:
        failed: list[tuple[str, str, str]] = []
        for shown, create in waiting:
            try:
                plain.execute(create)
            except duckdb.Error as error:
                failed.append((shown, create, str(error).splitlines()[0]))
        if len(failed) == len(waiting):
            made.notes += [f"{shown} is left out: {why}" for shown, _, why in failed]
            return
        waiting = [(shown, create) for shown, create, _ in failed]
