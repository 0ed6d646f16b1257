"""Datasources that are files: one file, or a pattern whose matches are databases named by their stems."""

from __future__ import annotations

import glob
from pathlib import Path

from migration.errors import MigrationError


def database_files(options: dict[str, str]) -> dict[str, str]:
    """Database name -> file."""
    pattern = options.get("path_pattern")
    if pattern:
        return {Path(file).stem: file for file in sorted(glob.glob(pattern, recursive=True))}  # noqa: PTH207
    path = options.get("path", ":memory:")
    return {"memory" if path == ":memory:" else Path(path).stem: path}


def refuse_passing(name: str, file: str) -> None:
    """0A000 for a database in memory: each command opens its own, and what one writes is gone with it."""
    if file.startswith(":memory:"):  # DuckDB takes a name behind it
        raise MigrationError(
            "0A000",
            f'datasource "{name}" is in memory: what is written there is gone at once',
            hint="Give it a path to a file, with role 'read_write'.",
        )


def to_read(file: str, *, may_be_made: bool) -> str:
    """What stands for ``file`` until somebody has made it: nothing is in it yet."""
    path = Path(file)
    return ":memory:" if may_be_made and not path.exists() and path.parent.is_dir() else file


def database_file(options: dict[str, str]) -> str:
    """The file that is meant: the option ``database``, or the only one."""
    files = database_files(options)
    wanted = options.get("database")
    if not options.get("path_pattern"):
        return next(iter(files.values()))
    if wanted in files:
        return files[wanted]
    if wanted is None and len(files) == 1:
        return next(iter(files.values()))
    raise MigrationError(
        "HV00J",
        f'no database "{wanted}" in {options["path_pattern"]}' if wanted else "several files match, name one",
        detail=f"Databases: {', '.join(files) or 'none'}.",
        hint="Set the option database to a file's name without its suffix.",
    )
