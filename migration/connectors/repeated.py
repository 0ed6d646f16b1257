"""Queries whose columns share a name: ``SELECT 1, 2``, ``SELECT a.*, b.*``. They are read under names of ours.

Every read stands around its query (``SELECT … FROM (query)``), where a column must be meant by one name. Engines that
make such names by themselves (DuckDB, SQLite) need nothing. For the others the reader says what the query's own names
are, if describing it fails (``names``), and how its columns are named anew (``renamed``).
"""

from __future__ import annotations

from collections.abc import Sequence

from migration.connectors.base import Reader, Source
from migration.errors import MigrationError
from migration.model import ColumnSpec

REPEATED = "42701"  # what a connector raises where its engine takes no such query inside another
_LONGEST = 55  # bytes; every engine takes a name of that length and a number


def described(reader: Reader, source: Source) -> tuple[Source, tuple[ColumnSpec, ...], list[str]]:
    """What to read ``source`` as, its columns under names that differ, and the names they have of their own."""
    try:
        columns = reader.describe(source)
        names = [column.name for column in columns]
    except MigrationError as error:
        own = reader.names(source) if error.sqlstate == REPEATED else None
        if own is None:
            raise
        columns, names = (), own
    text = reader.renamed(source, apart(names)) if source.query and len(set(names)) < len(names) else None
    if text is None:
        return source, columns, names
    other = Source(query=text)
    return other, reader.describe(other), names


def apart(names: Sequence[str]) -> list[str]:
    """``names`` with a number behind those that were there before, whatever their case.

    >>> apart(["a", "b", "A", "a_1"])
    ['a', 'b', 'A_2', 'a_1']
    """
    given = {name.lower() for name in names}
    taken: set[str] = set()
    found = []
    for name in names:
        shown, number = name, 0
        while shown.lower() in taken or (number and shown.lower() in given):
            number += 1
            shown = f"{name.encode()[:_LONGEST].decode(errors='ignore')}_{number}"
        taken.add(shown.lower())
        found.append(shown)
    return found
