"""Writing to ClickHouse: one INSERT of an Arrow stream, and EXCHANGE TABLES.

There are no transactions, so everything is made ready in the staging table and shown by one EXCHANGE:

1. ``replace`` exchanges. ``append`` first gives staging the target's parts (links, no copies), ``upsert`` the
   target's rows whose key is not staged. Rows that others wrote to the target meanwhile are noticed: before the
   exchange the work is dropped, after it the exchange is taken back; either way 40001.
2. EXCHANGE leaves the old table under the staging's name, and a killed transfer is judged by whether staging is
   still there. So the target is marked in its comment just before it is exchanged, and a marked table is not
   staging any more.
3. Materialized views see inserts, not exchanges. Where some hang on the target, ``append`` inserts into it,
   which is not atomic and said so; ``replace`` and ``upsert`` note that they keep what they had. Staging is marked
   before: if the insert breaks off, nobody knows how many of its blocks have arrived.
4. Only engines that keep their own rows can be staged: a copy of a Distributed or Kafka table would write into
   the live one.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from migration.connectors.base import Mode, Path, Published, WriteResult
from migration.connectors.clickhouse import ClickhouseConnector, ClickhouseReader
from migration.connectors.clickhouse_catalog import (
    Facts,
    facts_of,
    place,
    refuse_unstaged,
    table_of,
    tables_of,
)
from migration.connectors.clickhouse_forms import outgoing
from migration.connectors.clickhouse_wire import Wire
from migration.connectors.fitting import Fit, fit, fit_batch
from migration.connectors.queries import quoted
from migration.connectors.staged_names import made_meanwhile
from migration.connectors.writing import SqlWriter
from migration.dialects.quoting import quote_text
from migration.errors import MigrationError
from migration.model import TableSpec
from migration.types import CanonicalType, byte_string

_REPLACED = " [bough: replaced]"
_ADDED = " [bough: added]"


class ClickhouseWriter(SqlWriter):
    """One session that writes."""

    swaps_always = True
    transactions = False
    transactional_ddl = False

    def __init__(self, connector: ClickhouseConnector, wire: Wire) -> None:
        self.connector, self.wire, self.item = connector, wire, connector.item

    def execute(self, statement: str) -> int | None:
        with self.connector.errors():
            return self.wire.command(statement)

    def rows(self, text: str) -> list[tuple[object, ...]]:
        with self.connector.errors():
            return self.wire.rows(text)

    def fetch(self, query: str) -> pa.Table:
        return ClickhouseReader(self.connector, self.wire).fetch(query)

    def describe(self, path: Path) -> TableSpec:
        with self.connector.errors():
            found = table_of(self.wire, path, self.item)
        if found is None:
            raise self.connector.missing(path)
        return found.spec

    def exists(self, path: Path) -> bool:
        found = self._facts(path)
        return found is not None and not found.comment.endswith(_REPLACED)

    def has_published(self, staging: Path, rows: int) -> bool | None:
        found = self._facts(staging)
        if found is not None and found.comment.endswith(_ADDED):
            return None
        return found is None or found.comment.endswith(_REPLACED)

    def names(self, schema: str | None) -> list[Path]:
        with self.connector.errors():
            found = tables_of(self.wire, schema, self.item)
        return [(entry.schema, entry.name) for entry in found if entry.kind == "table"]

    def dependants(self, path: Path) -> tuple[str, ...]:
        found = self._facts(path)
        return found.views if found is not None else ()

    def create_like(self, staging: Path, target: Path) -> None:
        found = self._facts(target)
        if found is not None:
            refuse_unstaged(target, found.engine)
        self.execute(f"CREATE TABLE {self.q(staging)} AS {self.q(target)}")
        if found is not None and found.comment.endswith(
            _REPLACED
        ):  # a transfer was killed before its exchange
            self._comment(staging, found.comment.removesuffix(_REPLACED))

    def check(self, path: Path, schema: pa.Schema) -> None:
        self.moved = tuple(item.column.name for item in self._fits(schema, path))

    def write(self, path: Path, batches: Iterable[pa.RecordBatch]) -> WriteResult:
        waiting = iter(batches)
        first = next(waiting, None)
        if first is None:
            return WriteResult(0, 0, "INSERT FORMAT ArrowStream")
        fits = self._fits(first.schema, path)
        body = _Body(first, waiting, fits)
        names = [item.column.name for item in fits]
        try:
            with self.connector.errors():
                written = self.wire.insert(self.q(path), names, body)
        finally:
            if body.failure is not None:  # the driver wraps what its body raises
                raise body.failure
        return WriteResult(body.rows if written is None else written, body.size, "INSERT FORMAT ArrowStream")

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        found = self._facts(target)
        if found is None:
            with made_meanwhile(target):
                self.execute(f"RENAME TABLE {self.q(staging)} TO {self.q(target)}")
            return Published("rename", atomic=True, rows=self.count(target))
        if mode == "create":
            raise MigrationError(
                "42P07",
                f'table "{".".join(target)}" already exists',
                hint="Use MODE replace, append or upsert.",
            )
        staged = self.count(staging)
        notes = tuple(f"materialized view {view} keeps what it had" for view in found.views)
        if mode in ("replace", "recreate"):
            return self._exchange(staging, target, found, notes, None)
        columns = ", ".join(quoted(name, self.item) for name in self._names(staging))
        if mode == "append" and found.views:
            self._comment(staging, _ADDED)
            self.execute(f"INSERT INTO {self.q(target)} ({columns}) SELECT {columns} FROM {self.q(staging)}")
            self.drop(staging)
            return Published("INSERT ... SELECT", False, staged, ("so that materialized views see the rows",))
        state = self._state(target)
        if mode == "upsert":
            self.check_key(staging, key)
            self.refuse_in_part(staging, target)
            kept = ", ".join(f"t.{quoted(name, self.item)}" for name in self._names(staging))
            self.execute(
                f"INSERT INTO {self.q(staging)} ({columns}) SELECT {kept} FROM {self.q(target)} AS t "
                f"LEFT ANTI JOIN {self.q(staging)} AS s ON {self.match('t', 's', key)}"
            )
        elif found.engine.endswith("MergeTree"):
            for partition in self._partitions(target):
                self.execute(
                    f"ALTER TABLE {self.q(staging)} ATTACH PARTITION ID {quote_text(partition, self.item)} "
                    f"FROM {self.q(target)}"
                )
        else:
            self.execute(f"INSERT INTO {self.q(staging)} ({columns}) SELECT {columns} FROM {self.q(target)}")
        published = self._exchange(staging, target, found, notes, state)
        method = "parts attached + " if mode == "append" else "rows merged by key + "
        return Published(method + published.method, published.atomic, staged, published.notes)

    def begin(self) -> None:
        raise MigrationError("0A000", "ClickHouse has no transactions")

    def commit(self) -> None:
        """There is nothing to commit."""

    def rollback(self) -> None:
        """There is nothing to roll back."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Each statement stands for itself."""
        yield

    def close(self) -> None:
        self.connector.closed(self.wire)

    def _exchange(
        self,
        staging: Path,
        target: Path,
        found: Facts,
        notes: tuple[str, ...],
        expected: tuple[object, ...] | None,
    ) -> Published:
        """Staging takes the target's place; ``expected`` is what the target must still be."""
        if expected is not None and self._state(target) != expected:
            raise self._meanwhile(target)
        comment = found.comment.removesuffix(_REPLACED)
        with contextlib.suppress(MigrationError):  # an engine without comments
            self._comment(target, comment + _REPLACED)
        try:
            self.execute(f"EXCHANGE TABLES {self.q(staging)} AND {self.q(target)}")
            method, atomic = "EXCHANGE TABLES", True
        except MigrationError as error:
            if error.sqlstate != "0A000":  # the database's engine is older than Atomic
                raise
            old = self.replaced(staging, target)
            self.drop(old)
            self.execute(
                f"RENAME TABLE {self.q(target)} TO {self.q(old)}, {self.q(staging)} TO {self.q(target)}"
            )
            staging, method, atomic = old, "RENAME TABLE pair", False
        if expected is not None and atomic and self._state(staging) != expected:
            self.execute(f"EXCHANGE TABLES {self.q(staging)} AND {self.q(target)}")
            self._comment(target, comment)
            raise self._meanwhile(target)
        self.drop(staging)
        return Published(method, atomic, self.count(target), notes)

    def _meanwhile(self, target: Path) -> MigrationError:
        return MigrationError(
            "40001",
            f'others wrote to table "{".".join(target)}" while the rows were merged',
            detail="ClickHouse has no transactions; the target is as they left it.",
            hint="Run the transfer again.",
        )

    def _state(self, path: Path) -> tuple[object, ...]:
        """What changes with every insert, delete and update, and not with merges of parts."""
        parts = self.rows(
            "SELECT sum(rows), max(max_block_number), max(data_version) FROM system.parts "
            f"WHERE {place(path, self.item)} AND active"
        )
        return (*parts[0], self.count(path))

    def _partitions(self, path: Path) -> list[str]:
        found = self.rows(
            f"SELECT DISTINCT partition_id FROM system.parts WHERE {place(path, self.item)} AND active"
        )
        return [str(row[0]) for row in found]

    def _facts(self, path: Path) -> Facts | None:
        with self.connector.errors():
            return facts_of(self.wire, path, self.item)

    def _comment(self, path: Path, text: str) -> None:
        self.execute(f"ALTER TABLE {self.q(path)} MODIFY COMMENT {quote_text(text, self.item)}")

    def _fits(self, schema: pa.Schema, path: Path) -> tuple[Fit, ...]:
        table = self.describe(path)
        columns = []
        for column in table.columns:
            given = schema.field(column.name).type if column.name in schema.names else None
            if given is not None and column.type.kind == "json":
                raise MigrationError(
                    "HV004",
                    f'column "{column.name}" is a JSON of ClickHouse, which drops nulls and the order of keys',
                    hint="Make it a String: JSON text is kept as it is.",
                    column=column.name,
                )
            if given is not None:
                column = replace(column, type=_as_bytes(column.type, given))
            columns.append(column)
        return fit(schema, TableSpec(table.path, tuple(columns), dialect=table.dialect))


def _as_bytes(type_: CanonicalType, given: pa.DataType) -> CanonicalType:
    """A String holds any bytes, in an Array too."""
    if type_.kind == "text" and pa.types.is_binary(given):
        return byte_string()
    if type_.kind == "list" and type_.element is not None and pa.types.is_list(given):
        return replace(type_, element=_as_bytes(type_.element, given.value_type))
    return type_


class _Body:
    """Batches as one Arrow stream, made while it is sent."""

    def __init__(self, first: pa.RecordBatch, rest: Iterator[pa.RecordBatch], fits: Sequence[Fit]) -> None:
        self.rows = self.size = 0
        self.failure: BaseException | None = None
        self._batches, self._fits = itertools.chain([first], rest), fits

    def __iter__(self) -> Iterator[bytes]:
        try:
            sink = _Sink()
            stream = None
            for batch in self._batches:
                ready = self._ready(batch)
                if stream is None:
                    stream = pa.ipc.new_stream(sink, ready.schema)
                stream.write_batch(ready)
                self.rows += ready.num_rows
                yield self._counted(sink.taken())
            if stream is not None:
                stream.close()
            yield self._counted(sink.taken())
        except BaseException as reason:
            self.failure = reason
            raise

    def _counted(self, data: bytes) -> bytes:
        self.size += len(data)
        return data

    def _ready(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = []
        for item, array in zip(self._fits, fit_batch(batch, self._fits).columns, strict=True):
            column = item.column
            if array.null_count and not column.nullable and column.type.kind not in ("list", "struct", "map"):
                raise MigrationError(
                    "23502",
                    f'column "{column.name}" is NOT NULL and a row has no value for it',
                    detail=f"Its type is {column.declared}.",
                    hint=f"Make it Nullable({column.declared}), or leave the rows out.",
                    column=column.name,
                )
            arrays.append(outgoing(array, column.type, column.name, column.declared or ""))
        return pa.record_batch(arrays, names=[item.column.name for item in self._fits])


class _Sink(io.RawIOBase):
    """Where Arrow writes and the request takes from."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        found, self._parts = b"".join(self._parts), []
        return found
