"""Upserts by MERGE, for engines that have it and no better way."""

from __future__ import annotations

from collections.abc import Sequence

from migration.connectors.base import Mode, Path, Published
from migration.connectors.dbapi import DbapiWriter
from migration.connectors.queries import quoted
from migration.connectors.writing import SqlWriter


def merged(writer: SqlWriter, staging: Path, target: Path, key: Sequence[str], names: Sequence[str]) -> int:
    """MERGE: one statement that updates the keys that are there and inserts the others."""
    rest = [quoted(name, writer.item) for name in names if name not in key]
    columns = [quoted(name, writer.item) for name in names]
    update = (
        f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = s.{name}' for name in rest)} " if rest else ""
    )
    writer.execute(
        f"MERGE INTO {writer.q(target)} AS t USING {writer.q(staging)} AS s ON {writer.match('t', 's', key)} "
        f"{update}WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) "
        f"VALUES ({', '.join(f's.{name}' for name in columns)})"
    )
    return writer.count(staging)


class MergingWriter(DbapiWriter):
    """A writer whose upserts are one MERGE, and atomic."""

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        if mode != "upsert" or not self.exists(target):
            return super().publish(staging, target, mode, key)
        self.check_key(staging, key)
        rows = merged(self, staging, target, key, self._moved(staging))
        self.drop(staging)
        return Published("MERGE", atomic=True, rows=rows)
