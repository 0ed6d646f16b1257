"""ClickHouse, through clickhouse-connect: a server over HTTP, or chdb in this process (option ``path``).

Rules:

1. The engine has no snapshots and no transactions: ``consistent`` is False, and what needs a rollback (DRY RUN,
   ROWS BETWEEN) is refused.
2. Rows come as Arrow in the form ``clickhouse_forms`` asks for; a primary key is not unique and not told as one.
3. ``DateTime`` without a zone is read and written in UTC, whatever the server's zone is.
4. One process can hold one chdb directory. It hands over a result whole, so batches bound the memory of what
   follows and not of the engine. It runs as the server's own user and its SQL reaches every file of it, so
   EXECUTE needs ``enable_external_access``; queries are read-only and reach none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from migration.connectors.base import (
    Answer,
    Executed,
    Misfit,
    Path,
    ReadColumn,
    RemoteTable,
    Source,
    TableEntry,
    Writer,
)
from migration.connectors.clickhouse_catalog import (
    HIDDEN,
    columns_of,
    columns_of_query,
    table_of,
    tables_of,
    target_notes,
)
from migration.connectors.clickhouse_forms import delivered, imported, undecoded
from migration.connectors.clickhouse_wire import CODES, ClickHouseError, Server, Wire, code_of
from migration.connectors.opening import TO_STOP, SqlConnector
from migration.connectors.queries import quoted, relation
from migration.connectors.reading import SqlReader
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError
from migration.model import ColumnSpec

_AT_ONCE = 200  # columns in one SELECT
_NO_SETTING = 115  # UNKNOWN_SETTING


def connect(datasource: Datasource, options: dict[str, str]) -> ClickhouseConnector:
    """Opens nothing yet."""
    return ClickhouseConnector(datasource, options)


class ClickhouseConnector(SqlConnector[Wire]):
    """One server or one chdb directory; a schema is one of its databases."""

    def __init__(self, datasource: Datasource, options: dict[str, str]) -> None:
        super().__init__(datasource, options)
        self.server = Server(options, datasource.connect_timeout, datasource.statement_timeout)

    def version(self) -> str:
        with self.session() as wire:
            return str(wire.rows("SELECT version()")[0][0])

    def databases(self) -> list[str]:
        return self.schemas()

    def schemas(self) -> list[str]:
        with self.session() as wire:
            found = wire.rows("SELECT name FROM system.databases ORDER BY name")
        return [name for (name,) in found if name not in HIDDEN]

    def tables(self, schema: str | None = None) -> list[TableEntry]:
        with self.session() as wire:
            return tables_of(wire, schema, self.item)

    def describe(self, path: Path) -> RemoteTable:
        with self.session() as wire:
            found = table_of(wire, path, self.item)
        if found is None:
            raise self.missing(path)
        return found

    def definition(self, path: Path) -> str | None:
        name = ".".join(quoted(part, self.item) for part in path)
        with self.session() as wire:
            return str(wire.rows(f"SHOW CREATE TABLE {name}")[0][0])

    def target_notes(self, path: Path, *, kept: bool) -> tuple[str, ...]:
        with self.session() as wire:
            return target_notes(wire, path, self.item, kept=kept, lasting="path" not in self.options)

    def reader(self, snapshot: str | None = None) -> ClickhouseReader:
        return ClickhouseReader(self, self.open())

    def writer(self) -> Writer:
        from migration.connectors.clickhouse_writer import ClickhouseWriter  # it needs this module

        self.refuse_writing()
        return ClickhouseWriter(self, self.open(reading=False))

    def execute(
        self, statement: str, *, dry_run: bool = False, rows_between: tuple[int, int] | None = None
    ) -> Executed:
        self.refuse_writing()
        if "path" in self.options and self.options.get("enable_external_access", "false").lower() != "true":
            raise MigrationError(
                "42501",
                f'datasource "{self.name}" runs in this process and takes no statements',
                detail="Its SQL could read and write every file of the server's user.",
                hint="enable_external_access = true in the settings file allows it; QUERY and TRANSFER work.",
            )
        return super().execute(statement, dry_run=dry_run, rows_between=rows_between)

    def stop_sessions(self) -> None:
        marks = [wire.mark for wire in tuple(self._sessions)]
        if not marks:
            return
        with (
            contextlib.suppress(MigrationError, ClickHouseError, OSError),
            contextlib.closing(self.server.killer(TO_STOP)) as killer,
        ):
            for mark in marks:
                killer.kill(mark)

    def cut(self, session: Wire) -> None:
        self.server.cut()  # HTTP has no sessions: whose connection it is, nobody knows

    def open(self, *, reading: bool = True) -> Wire:
        """A session with the settings that make values exact."""
        try:
            wire = self.brought(lambda: self.server.open(reading=reading))
        except (ClickHouseError, ValueError, OSError) as reason:
            if code_of(reason) == _NO_SETTING:
                raise self.failed("HV00N", f"this server is too old: {reason}", "It must be 23.6 or newer.")
            raise self.failed("HV00N", reason) from None
        self._sessions.append(wire)
        return wire

    def close(self) -> None:
        super().close()
        self.server.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The server's errors as ours."""
        try:
            yield
        except ClickHouseError as reason:
            code = code_of(reason)
            text = str(reason).partition("DB::Exception: ")[2] or str(reason)
            raise self.failed(CODES.get(code, "HV000" if code else "HV00N"), text) from None


class ClickhouseReader(SqlReader):
    """A read-only session; every query sees what is there when it starts."""

    consistent = False

    def __init__(self, connector: ClickhouseConnector, wire: Wire) -> None:
        self.connector, self.wire, self.item = connector, wire, connector.item

    def rows(self, text: str) -> list[tuple[object, ...]]:
        with self.connector.errors():
            return self.wire.rows(text)

    def answer(self, text: str) -> Answer:
        """What SHOW, EXPLAIN or DESCRIBE says."""
        with self.connector.errors():
            found = self.wire.table(text.strip().rstrip(";"))
        return found.column_names, list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        self.check(source)
        with self.connector.errors():
            if not source.path:
                return columns_of_query(self.wire, source.query)
            columns = columns_of(self.wire, source.path, self.item)
        if not columns:
            raise self.connector.missing(source.path)
        return columns

    def projection(self, column: ReadColumn) -> str:
        text = column.expression or quoted(column.name, self.item)
        if column.spared:
            text = f"if({undecoded(text, column.type)}, NULL, {text})"
        return delivered(text, column.type)

    def misfits(self, source: Source, columns: Sequence[ReadColumn]) -> Sequence[Misfit]:
        """Strings that are no UTF-8: ClickHouse's are bytes."""
        self.check(source)
        found = []
        for start in range(0, len(columns), _AT_ONCE):
            part = columns[start : start + _AT_ONCE]
            asked = []
            for column in part:
                name = column.expression or quoted(column.name, self.item)
                bad, shown = undecoded(name, column.type), f"hex(substring(toString({name}), 1, 20))"
                asked += [f"countIf({bad})", f"arrayStringConcat(groupArrayIf(3)({shown}, {bad}), ' ')"]
            row = self.rows(f"SELECT {', '.join(asked)} FROM {relation(self.item, source)}")[0]
            for column, count, samples in zip(part, row[::2], row[1::2], strict=True):
                if count:
                    texts = tuple(f"\\x{text.lower()}" for text in str(samples).split())
                    found.append(Misfit(column.name, "utf8", int(str(count)), texts))
        return found

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        found = super().projections(columns)
        return [f"{expression} AS bough_{number}" for number, expression in enumerate(found)]

    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        names = [column.name for column in columns]
        with self.connector.errors(), contextlib.closing(self.wire.batches(text)) as batches:
            for batch in batches:
                arrays = [
                    imported(array, column.type, column.name)
                    for array, column in zip(batch.columns, columns, strict=True)
                ]
                whole = pa.record_batch(arrays, names=names)
                step = max(1, min(rows, size * len(batch) // max(whole.nbytes, 1)))
                for start in range(0, len(batch), step):
                    yield whole.slice(start, step)

    def close(self) -> None:
        self.connector.closed(self.wire)
