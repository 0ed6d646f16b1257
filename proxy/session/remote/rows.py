"""Another database's rows as a result of ours, batch by batch.

The engine itself turns a batch's columns into its own types: the same values, spelled as in any other result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import pyarrow as pa

from branching.engine.base import Cursor, ResultColumn
from migration.connectors import repeated
from migration.connectors.base import Reader, Source
from migration.connectors.duckdb_forms import plain, restored
from migration.dialects import contract
from migration.dialects.type_map import map_canonical
from migration.errors import MigrationError
from proxy.session.outcome import Outcome
from proxy.types import from_engine

_GIVEN = "bough_remote_rows"
_BARE = 10_000  # rows without columns at a time


@contextmanager
def own_errors() -> Iterator[None]:
    """What an engine says of a value in a statement that is sent as it is has the code that Postgres has for it
    (22P02): in a transfer it is a value that cannot be moved (HV004)."""
    try:
        yield
    except MigrationError as error:
        if error.sqlstate == "HV004" and error.is_drivers:
            error.sqlstate = "22P02"
        raise


def outcome(
    cursor: Cursor,
    reader: Reader,
    source: Source,
    close: Callable[[], None],
    *,
    limit: int | None = None,
    direct: bool = False,
    numbers: bool = False,
) -> Outcome:
    """The rows of ``source``, read as they are sent. ``reader``, ``cursor`` and the rest end with them. ``direct``:
    they go to the client as they are: a number with more digits than the engine holds, or of any size, as the numeric
    it is and not as text; columns under their own names, whether they differ or not. ``numbers``: such numbers alone;
    their columns have no engine's type then (``BIGNUM``)."""
    local = contract("duckdb")
    with own_errors():
        source, columns, names = repeated.described(reader, source)
    types = [map_canonical(column.type, local).target_type for column in columns]
    unbounded = [
        number
        for number, (column, type_) in enumerate(zip(columns, types, strict=True))
        if (direct or numbers) and column.type.kind == "decimal" and type_ == "VARCHAR"
    ]
    casts = ", ".join(
        restored(f'"c{number}"', column.type, type_)
        for number, (column, type_) in enumerate(zip(columns, types, strict=True))
    )

    with ExitStack() as left_open:
        left_open.callback(close)
        left_open.callback(cursor.close)
        left_open.callback(reader.close)
        release = left_open.pop_all().close  # at most once: whoever reads the rows, or does not want them

    def read() -> Iterator[list[Any]]:
        try:
            if not columns:  # PostgreSQL has such rows, Arrow has not
                left = reader.count(source) if limit is None else min(limit, reader.count(source))
                for start in range(0, left, _BARE):
                    yield [()] * min(_BARE, left - start)
                return
            for batch in reader.read(source, limit=limit):
                arrays = [plain(array) for array in batch.columns]
                cursor.register(
                    _GIVEN, pa.table(arrays, names=[f"c{number}" for number in range(len(arrays))])
                )
                try:
                    for found in cursor.open(f"SELECT {casts} FROM {_GIVEN}")[1]:
                        yield [_with_numbers(row, unbounded) for row in found] if unbounded else found
                finally:
                    cursor.unregister(_GIVEN)
        finally:
            release()

    def rows() -> Iterator[list[Any]]:
        with own_errors():
            yield from read()

    engine = tuple(
        ResultColumn(column.name, "BIGNUM" if numbers and number in unbounded else type_)
        for number, (column, type_) in enumerate(zip(columns, types, strict=True))
    )
    shown = tuple(
        (
            names[number] if direct else column.name,
            from_engine(
                "BIGNUM" if number in unbounded else type_,
                column.declared if direct and column.declared in ("jsonb", "jsonb[]") else None,
            ),
        )
        for number, (column, type_) in enumerate(zip(columns, types, strict=True))
    )
    return Outcome(lambda sent: f"SELECT {sent}", shown, rows(), engine=engine, release=release)


def _with_numbers(row: Any, columns: list[int]) -> Any:
    values = list(row)
    for number in columns:
        if values[number] is not None:
            values[number] = Decimal(values[number])
    return tuple(values)
