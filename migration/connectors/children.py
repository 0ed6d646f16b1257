"""Rows of other tables that would go, or lose what they refer to, with rows that a replaced table no longer has.

Rules:

1. A foreign key's ON DELETE CASCADE, SET NULL or SET DEFAULT is what its owner wants of a row that somebody deletes.
   Nobody has asked a transfer to touch another table than its target: it is refused (23503), with the children named.
2. Asked in the transaction that deletes, once the rows that would go are locked: no child can come to them any more.
3. Rows of the table itself count where they stay and refer to one that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.connectors.base import Path
from migration.connectors.queries import quoted
from migration.errors import MigrationError

if TYPE_CHECKING:
    from migration.connectors.writing import SqlWriter

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT")


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key that points at a table and whose owner's rows change with what it points at."""

    table: Path
    columns: tuple[str, ...]
    referred: tuple[str, ...]
    action: str
    own: bool = False  # of the table itself


def grouped(rows: Iterable[Sequence[Any]], head: int) -> list[list[Sequence[Any]]]:
    """A catalog's rows for the columns of keys, as one list a key: those whose first ``head`` fields are alike."""
    found: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[:head]), []).append(row)
    return list(found.values())


def check_children(writer: SqlWriter, staging: Path, target: Path, key: Sequence[str]) -> None:
    """23503 where rows of ``target`` that are not staged have children that would change with them."""
    references = writer.references(target)
    if not references:
        return
    goes = f"NOT EXISTS (SELECT 1 FROM {writer.q(staging)} AS s WHERE {writer.match('t', 's', key)})"
    writer.lock_rows(target, goes)
    stays = f" AND EXISTS (SELECT 1 FROM {writer.q(staging)} AS s WHERE {writer.match('c', 's', key)})"
    facts = []
    for each in references:
        pairs = " AND ".join(
            f"c.{quoted(name, writer.item)} = t.{quoted(there, writer.item)}"
            for name, there in zip(each.columns, each.referred, strict=True)
        )
        found = writer.rows(
            f"SELECT count(*) FROM {writer.q(each.table)} AS c JOIN {writer.q(target)} AS t ON {pairs} "
            f"WHERE {goes}{stays if each.own else ''}{writer.current_read}"
        )
        count = int(found[0][0])
        if count:
            rows = f"{count} row{'s' if count != 1 else ''}"
            facts.append(
                f'{rows} of "{".".join(each.table)}" ({", ".join(each.columns)}, ON DELETE {each.action})'
            )
    if facts:
        raise MigrationError(
            "23503",
            f'table "{".".join(target)}" cannot be replaced: other rows refer to those that would go',
            detail=f"Rows that the source does not have are referred to by {', '.join(facts)}. Nothing has changed.",
            hint="Delete those rows, or let them refer to others, first; MODE upsert deletes nothing.",
        )
