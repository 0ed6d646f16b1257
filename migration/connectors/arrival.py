"""Whether a table holds the rows it was given: triggers and rules of its engine can change, move or drop them.

Rules:

1. Asked in the transaction that copies the rows, so a difference leaves the table as it was (VT002).
2. Only where something could interfere (``dependants`` says what): a comparison of all rows has its price.
3. Values are compared as the engine writes them: equality of its types (collations, JSON) may see less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from migration.connectors.base import Path
from migration.connectors.queries import quoted
from migration.errors import MigrationError

if TYPE_CHECKING:
    from migration.connectors.writing import SqlWriter

_INTERFERE = ("trigger", "rule")
_TEXT = {"mysql": "CAST({0} AS BINARY)", "sqlite": "{0} COLLATE BINARY"}


class Arrival:
    """The rows of a staging table on their way into a table; ``whole``: that table shall hold nothing else."""

    def __init__(
        self,
        writer: SqlWriter,
        staging: Path,
        target: Path,
        columns: Sequence[str],
        *,
        key: Sequence[str] = (),
        whole: bool = False,
    ) -> None:
        self._writer, self._staging, self._target = writer, staging, target
        self._columns, self._key, self._whole = columns, key, whole
        self._by = [what for what in writer.dependants(target) if what in _INTERFERE]
        self._staged = writer.count(staging) if self._by else 0

    def check(self, rows: int | None = None) -> None:
        """After the last row. ``rows``: how many the engine says it has inserted."""
        if not self._by:
            return
        self._compare("")
        there = self._writer.count(self._target) if self._whole else rows
        if there is not None and there != self._staged:
            raise self._changed(f"{self._staged} rows were given, {there} are there.")

    def check_updated(self) -> None:
        """After those rows whose keys were there already."""
        if self._by:
            match = self._writer.match("t", "s", self._key)
            self._compare(f" WHERE EXISTS (SELECT 1 FROM {self._writer.q(self._target)} AS t WHERE {match})")

    def _compare(self, where: str) -> None:
        writer = self._writer
        form = _TEXT.get(writer.item.name, "CAST({0} AS TEXT)")

        def values(table: str) -> str:
            return ", ".join(form.format(f"{table}.{quoted(name, writer.item)}") for name in self._columns)

        missing = writer.rows(
            f"SELECT {values('s')} FROM {writer.q(self._staging)} AS s{where} "
            f"EXCEPT SELECT {values('t')} FROM {writer.q(self._target)} AS t LIMIT 1"
        )
        if missing:
            row = ", ".join(
                f"{name} = {_shown(value)}" for name, value in zip(self._columns, missing[0], strict=True)
            )
            raise self._changed(f"Given and not there: {row}.")

    def _changed(self, detail: str) -> MigrationError:
        return MigrationError(
            "VT002",
            f'table "{".".join(self._target)}" does not keep the rows it is given: {", ".join(self._by)}',
            detail=f"{detail} Nothing has been published.",
            hint="SKIP the columns that a trigger fills, or disable what changes the rows while they move.",
        )


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return "NULL" if value is None else text[:40]
