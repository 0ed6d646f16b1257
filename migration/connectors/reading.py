"""What all readers share: they are context managers, check what they run, and count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from migration.connectors.arrow import arrow_type
from migration.connectors.base import BATCH_BYTES, BATCH_ROWS, Answer, Misfit, Predicate, ReadColumn, Source
from migration.connectors.queries import select
from migration.dialects import DialectContract
from migration.model import ColumnSpec
from migration.statements import check_query


class SqlReader(ABC):
    """A reader over SQL: an engine adds how columns are described and rows are fetched."""

    item: DialectContract
    consistent = True
    snapshot: str | None = None
    engine_refuses_writes = False  # its transaction is read-only to the engine
    _checked = ""  # the query that was read last: describing and reading it parses it once

    @abstractmethod
    def describe(self, source: Source) -> tuple[ColumnSpec, ...]:
        """The columns of a source."""

    @abstractmethod
    def stream(
        self, text: str, columns: Sequence[ReadColumn], rows: int, size: int
    ) -> Iterator[pa.RecordBatch]:
        """Runs a projection made by ``projection`` and yields its batches."""

    @abstractmethod
    def projection(self, column: ReadColumn) -> str:
        """The SQL that delivers a column in the form ``stream`` expects."""

    def projections(self, columns: Sequence[ReadColumn]) -> list[str]:
        """What stands after SELECT."""
        return [self.projection(column) for column in columns]

    @abstractmethod
    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """A small result as Python rows."""

    @abstractmethod
    def close(self) -> None:
        """Ends the snapshot."""

    def names(self, source: Source) -> list[str] | None:
        """``describe`` tells them."""
        return None

    def renamed(self, source: Source, names: Sequence[str]) -> str | None:
        """The engine makes names that differ by itself."""
        return None

    def count(self, source: Source, where: Sequence[Predicate] = ()) -> int:
        """The number of rows, in this snapshot."""
        self.check(source)
        return int(self.rows(select(self.item, source, ["count(*)"], where))[0][0])

    def read(
        self,
        source: Source,
        columns: Sequence[ReadColumn] | None = None,
        *,
        where: Sequence[Predicate] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = BATCH_BYTES,
    ) -> Iterator[pa.RecordBatch]:
        """The rows in batches of the canonical form."""
        self.check(source)
        chosen = self.columns(source) if columns is None else tuple(columns)
        text = select(self.item, source, self.projections(chosen), where, order_by, limit)
        return self.stream(text, chosen, batch_rows, batch_bytes)

    def fetch(self, query: str) -> pa.Table:
        """A small result in canonical form."""
        source = Source(query=query)
        if self.engine_refuses_writes:  # it is text of ours; to read it again costs more than many an answer
            self._checked = query
        self.check(source)
        columns = self.columns(source)
        schema = pa.schema([pa.field(column.name, arrow_type(column.type)) for column in columns])
        return pa.Table.from_batches(list(self.read(source, columns)), schema)

    def row(self, query: str) -> Sequence[Any]:
        """The one row of a query that gives only texts and whole numbers; their types need not be asked for."""
        return self.rows(query)[0]

    def misfits(self, source: Source, columns: Sequence[ReadColumn]) -> Sequence[Misfit]:
        """None: columns have types, unless an engine says so."""
        return ()

    def step_aside(self, target: object) -> None:
        """Nothing: who reads keeps nobody from writing, unless an engine says so."""
        return None

    def notes(self, source: Source) -> Sequence[str]:
        """None, unless an engine hides rows from some users."""
        return ()

    def keeps_extremes(self, source: Source) -> bool:
        """No, unless an engine says so."""
        return False

    def answer(self, text: str) -> Answer | None:
        """None, unless an engine has statements that tell."""
        return None

    def columns(self, source: Source) -> tuple[ReadColumn, ...]:
        """Every column of a source, as it is."""
        return tuple(ReadColumn(column.name, column.type) for column in self.describe(source))

    def check(self, source: Source) -> None:
        """Refuses a query that is not one reading statement."""
        if source.query and source.query != self._checked:
            check_query(source.query, self.item.name)
            self._checked = source.query

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
