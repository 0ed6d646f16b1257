"""Writing through SQLAlchemy: INSERT with bound values, and DELETE with INSERT in one transaction to publish.

No swap of names: what hangs on a table is not known for every engine, and few take back DDL. Where other tables'
foreign keys point at the target its rows are merged by key. Every statement is plain standard SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from migration.connectors.alchemy import AlchemyConnector, AlchemyReader, escaped
from migration.connectors.alchemy_catalog import entries, referring, remote_table
from migration.connectors.base import Path, WriteResult
from migration.connectors.convert import unfit
from migration.connectors.fitting import fit, fit_batch
from migration.connectors.queries import quoted
from migration.connectors.texts import to_texts
from migration.connectors.writing import SqlWriter
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec


class AlchemyWriter(SqlWriter):
    """One connection that writes."""

    def __init__(self, connector: AlchemyConnector, session: Any) -> None:
        self.connector, self.session, self.item = connector, session, connector.item
        self.transactional_ddl = connector.item.transactional_ddl

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            result = self.session.exec_driver_sql(escaped(self.session, statement))
            touched = None if result.returns_rows or result.rowcount < 0 else int(result.rowcount)
            result.close()
            if not self.in_transaction:
                self.session.commit()
        return touched

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        with self.connector.errors():
            found = [tuple(row) for row in self.session.exec_driver_sql(escaped(self.session, text))]
            if not self.in_transaction:
                self.session.commit()
        return found

    def fetch(self, query: str) -> pa.Table:
        return AlchemyReader(self.connector, self.session).fetch(query)

    def describe(self, path: Path) -> TableSpec:
        with self.connector.errors():
            found = remote_table(self.session, path, self.item)
        if found is None:
            raise self.connector.missing(path)
        return found.spec

    def exists(self, path: Path) -> bool:
        with self.connector.errors():
            return remote_table(self.session, path, self.item) is not None

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            found = entries(self.session, schema)
        return [
            (entry.schema, entry.name) if schema else (entry.name,)
            for entry in found
            if entry.kind == "table"
        ]

    def dependants(self, path: Path) -> tuple[str, ...]:
        with self.connector.errors():
            if referring(self.session, path):
                return ("foreign key",)
        return ("whatever hangs on the table",)

    def drop(self, path: Path) -> None:
        if self.exists(path):
            self.execute(f"DROP TABLE {self.q(path)}")

    def create_like(self, staging: Path, target: Path) -> None:
        schema = target[-2] if len(target) > 1 else None
        with self.connector.errors():
            table = sa.Table(target[-1], sa.MetaData(), schema=schema, autoload_with=self.session)
            copy = table.to_metadata(sa.MetaData(), name=staging[-1])
            copy.indexes.clear()
            for constraint in tuple(copy.constraints):
                if isinstance(constraint, sa.ForeignKeyConstraint):
                    copy.constraints.discard(constraint)
                constraint.name = None
            statement = str(
                sa.schema.CreateTable(copy, include_foreign_key_constraints=[]).compile(self.session)
            )
        self.execute(statement)

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        match = self.match(self.q(target), "s", key)
        source = f"FROM {self.q(staging)} s WHERE {match}"
        names = [quoted(name, self.item) for name in rest]
        sets = ", ".join(f"{name} = (SELECT s.{name} {source})" for name in names)
        return self.execute(f"UPDATE {self.q(target)} SET {sets} WHERE EXISTS (SELECT 1 {source})") or 0

    def insert_missing(self, staging: Path, target: Path, key: Sequence[str], names: Sequence[str]) -> int:
        columns = ", ".join(quoted(name, self.item) for name in names)
        values = ", ".join(f"s.{quoted(name, self.item)}" for name in names)
        inserted = self.execute(
            f"INSERT INTO {self.q(target)} ({columns}) SELECT {values} FROM {self.q(staging)} s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.q(target)} t WHERE {self.match('t', 's', key)})"
        )
        return inserted or 0

    def delete_missing(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        self.execute(
            f"DELETE FROM {self.q(target)} WHERE NOT EXISTS "
            f"(SELECT 1 FROM {self.q(staging)} s WHERE {self.match(self.q(target), 's', key)})"
        )

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        fits, statement, rows, size = None, None, 0, 0
        bound = _as_texts if self.connector.family == "sqlite" else _as_values
        with self.transaction():
            for batch in batches:
                if fits is None:
                    fits = fit(batch.schema, self.describe(path))
                    names = ", ".join(
                        quoted(item.column.name, self.item).replace(":", r"\:") for item in fits
                    )
                    marks = ", ".join(f":p{number}" for number in range(len(fits)))
                    table = self.q(path).replace(":", r"\:")
                    statement = sa.text(f"INSERT INTO {table} ({names}) VALUES ({marks})")
                ready = fit_batch(batch, fits)
                columns = [bound(array, item.column) for array, item in zip(ready.columns, fits, strict=True)]
                values = [
                    {f"p{number}": value for number, value in enumerate(row)}
                    for row in zip(*columns, strict=True)
                ]
                with self.connector.errors():
                    try:
                        if values:
                            self.session.execute(statement, values)
                    except OverflowError as reason:
                        raise MigrationError("HV004", f"the driver cannot send a value: {reason}") from None
                rows, size = rows + batch.num_rows, size + batch.nbytes
        return WriteResult(rows, size, "INSERT with bound values")

    def begin(self) -> None:
        self.session.rollback()  # SQLAlchemy begins at the first statement; whatever was read is over
        if self.connector.family == "sqlite":
            self.session.exec_driver_sql("BEGIN")  # Python's driver would begin at the first INSERT only
        self.in_transaction = True

    def commit(self) -> None:
        with self.connector.errors():
            self.session.commit()
        self.in_transaction = False

    def rollback(self) -> None:
        with self.connector.errors():
            self.session.rollback()
        self.in_transaction = False

    def close(self) -> None:
        try:
            self.rollback()
        finally:
            self.connector.closed(self.session)


def _as_values(array: pa.Array, column: ColumnSpec) -> list[Any]:
    """Python's own values, as every driver takes them."""
    if pa.types.is_floating(array.type) and not pc.all(pc.is_finite(array)).as_py() and _some(array):
        raise unfit(column.name, column.type, "NaN and infinity have no form that every driver sends")
    if pa.types.is_list(array.type):
        raise unfit(column.name, column.type, "lists have no form that every driver sends")
    if (
        pa.types.is_time64(array.type)
        and pc.any(pc.greater_equal(array.view(pa.int64()), _day(array))).as_py()
    ):
        raise unfit(column.name, column.type, "24:00:00 has no form that every driver sends")
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError) as reason:
        raise unfit(column.name, column.type, str(reason)) from None


def _day(array: pa.Array) -> int:
    """The end of a day, in the unit of a column of times."""
    return 86_400 * (1_000_000_000 if array.type.unit == "ns" else 1_000_000)


def _as_texts(array: pa.Array, column: ColumnSpec) -> list[Any]:
    """SQLite keeps what has no class of its own as text, and makes NULL of NaN."""
    if pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py():
        raise unfit(column.name, column.type, "NaN would become NULL in SQLite")
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    tests = (pa.types.is_integer, pa.types.is_binary, pa.types.is_floating)
    plain = any(test(array.type) for test in tests)
    return (array if plain else to_texts(array)).to_pylist()  # type: ignore[no-any-return]


def _some(array: pa.Array) -> bool:
    return bool(array.null_count < len(array))
