"""Makes a DuckDB file from CSV files: what `bough serve --sample` starts with.

The file appears under its name only when it is complete: it is written beside it under a temporary name,
checkpointed, closed and then linked. A file that is already there is never touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from branching.errors import BoughError


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table to make: its definition and the CSV file (with a header, NA for NULL) that fills it."""

    name: str
    columns: tuple[tuple[str, str], ...]  # name, engine type
    csv: Path
    not_null: frozenset[str] = frozenset()
    primary_key: tuple[str, ...] = ()


def create_file(path: Path, tables: Sequence[CsvTable]) -> None:
    """Writes a plain DuckDB file with ``tables`` to ``path``, which must not exist."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with duckdb.connect(str(temporary)) as connection:
            for table in tables:
                connection.execute(_definition(table))
                connection.execute(_load(table))
            connection.execute("CHECKPOINT")
        os.link(temporary, path)
    except FileExistsError:
        raise BoughError("58P01", f"{path} is there already", hint="It was left as it is.") from None
    except OSError as reason:
        raise BoughError("58030", f"cannot write {path}: {reason.strerror}") from None
    except duckdb.Error as reason:
        raise BoughError("58030", f"cannot make the sample file {path}: {reason}") from None
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + ".wal")):
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _definition(table: CsvTable) -> str:
    parts = [
        f"{_name(name)} {kind}{' NOT NULL' if name in table.not_null else ''}" for name, kind in table.columns
    ]
    if table.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(map(_name, table.primary_key))})")
    return f"CREATE TABLE {_name(table.name)} ({', '.join(parts)})"


def _load(table: CsvTable) -> str:
    types = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in table.columns)
    source = f"read_csv({_text(str(table.csv))}, header = true, nullstr = 'NA', columns = {{{types}}})"
    return f"INSERT INTO {_name(table.name)} SELECT * FROM {source}"
