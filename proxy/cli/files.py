"""``bough export`` and ``bough import``: one branch as a plain DuckDB file, and such a file as a branch."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import branching
from branching import Database, branches, manifest
from branching.engine.base import OpenError
from branching.engine.duckdb_engine import DuckDBEngine
from proxy.sql import macros


def export_branch(file: str, branch: str, target: Path, *, force: bool) -> int:
    """Writes ``branch`` of ``file`` to ``target``; what had to be left out goes to stderr."""
    source = Path(file)
    if not source.is_file():
        raise OpenError(f'there is no file "{file}"')
    if not _has_branches(source):
        raise OpenError(f'"{file}" is a plain DuckDB file', "it needs no export: copy it")
    database = _open(source)
    try:
        made = database.engine.export(
            database, branch, target, functions=macros.by_name(), force=force, progress=_say
        )
    finally:
        database.close()
    for note in made.notes:
        _warn(note)
    _say(f"exported branch {branch} of {file} to {target}: {len(made.tables)} tables")
    return 0


def import_file(source: Path, into: str, branch: str | None) -> int:
    """Loads ``source`` into a new file, or into a new branch of a file."""
    target = Path(into)
    if not source.is_file():
        raise OpenError(f'there is no file "{source}"')
    if _has_branches(source):
        raise OpenError(
            f'"{source}" is a file with branches itself', "export one of them first: bough export --branch …"
        )
    if branch is None:
        if target.exists():
            raise OpenError(f'"{into}" already exists', "name the branch to make in it: --branch …")
        _as_main(source, target)
        _say(f"imported {source} as main of {into}")
        return 0
    database = _open(target)
    try:
        branches.create(database, branch, "main", role=getpass.getuser(), ttl=None)
        try:
            notes = database.engine.load(database, source, branch, _say)
        except BaseException:
            branches.discard(database, branch, force=True)
            raise
    finally:
        database.close()
    for note in notes:
        _warn(note)
    _say(f"imported {source} as branch {branch} of {into}")
    return 0


def _as_main(source: Path, target: Path) -> None:
    """A copy of the file, adopted, and only then under its name."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copyfile(source, scratch)
        log = Path(f"{source}.wal")
        if log.exists():
            shutil.copyfile(log, f"{scratch}.wal")
        _open(scratch).close()
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        os.link(scratch, target)
    finally:
        for leftover in (scratch, Path(f"{scratch}.wal")):
            with suppress(FileNotFoundError):
                leftover.unlink()


def _open(path: Path) -> Database:
    with _explained():
        return branching.open(path, progress=_say, prepare=macros.install)


def _has_branches(path: Path) -> bool:
    with _explained():
        cursor = DuckDBEngine().connect(str(path), read_only=True)
    try:
        return manifest.exists(cursor)
    finally:
        cursor.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Says what to do where a server holds the file."""
    try:
        yield
    except OpenError as error:
        if "in use by another process" not in error.message:
            raise
        raise OpenError(
            error.message, "stop the server first, or copy tables while it runs with TRANSFER to a datasource"
        ) from error


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(f"bough: {line}", file=sys.stderr)
