"""Runs an INSERT of many rows of constants or parameters (``proxy.sql.given_rows``) the way COPY brings rows in.

Rules:

1. It is the same statement: its tag, its defaults, its errors. Whatever this way does not take (a column of another
   kind, text that is no value of its type) gives None before anything is done, and the statement runs as any other:
   then it also says what is wrong, in its own words.
2. The rows go in by one ``INSERT … SELECT``, which on main and on a branch does what any INSERT does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from branching import EngineError
from branching.ddl.model import Name
from branching.errors import BoughError
from branching.model import Column, Table
from proxy.copying import CopyColumn, CopyReader, read_options
from proxy.session import copy
from proxy.session.outcome import Outcome, done
from proxy.session.parameters import UNKNOWN, oids
from proxy.session.portals import PreparedStatement
from proxy.sql.errors import from_engine
from proxy.sql.given_rows import GivenRows, copy_lines, read, read_parameters
from proxy.sql.split import MAX_TEXT, Source
from proxy.sql.statements import Copy, Kind
from proxy.sql.table import column_type
from proxy.types import ValueFormatError

if TYPE_CHECKING:
    from proxy.session.session import Session

_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")
_KINDS = {
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "number"),
    "BOOLEAN": "boolean",
    **dict.fromkeys(("VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "BLOB"), "text"),
}
_PYTHON: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_INTEGERS, (int,)),
    "FLOAT": (float, int), "DOUBLE": (float, int), "DECIMAL": (int, Decimal), "BOOLEAN": (bool,), "VARCHAR": (str,),
    "DATE": (date,), "TIMESTAMP": (datetime,), "TIMESTAMP WITH TIME ZONE": (datetime,), "BLOB": (bytes,),
}  # fmt: skip

_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_LARGEST = {"FLOAT": 2.0**24, "DOUBLE": 1.7e308}


def run(session: Session, source: Source) -> Outcome | None:
    """The outcome of the INSERT; None if it has to run as any other statement, with nothing done."""
    if len(source.text) > MAX_TEXT or (given := read(source.text)) is None:
        return None
    if session.branch_schemas.merging.loop is not None:
        return None
    session.statement = source.text
    session.transactions.check()
    session.statements.spare_open_results()
    session.prepare_connection().statement_text = session.shown_statement
    try:
        return _run(session, given)
    except EngineError as error:
        raise from_engine(error.exception, error.message) from error


def _run(session: Session, given: GivenRows) -> Outcome | None:
    found = _columns(session, given.target, given.columns, len(given.cells))
    if found is None:
        return None
    table, columns = found
    rows = _rows(table, columns, given)
    return None if rows is None else _insert(session, given.target, columns, rows)


# -- parameters -------------------------------------------------------------------------------------------------


def prepare(session: Session, name: str, source: Source, given: Sequence[int]) -> PreparedStatement | None:
    """A statement of many rows of parameters, known by its first row; None if it is none."""
    if len(source.text) > MAX_TEXT or (rows := read_parameters(source.text)) is None:
        return None
    first = session.statements.prepare("", Source(rows.first))
    if first.prepared is None or first.prepared.kind is not Kind.INSERT or len(first.types) != rows.width:
        return None
    types = oids([*given, *([0] * (rows.width * rows.count - len(given)))], (), 0, {})
    types = tuple(
        first.types[number % rows.width] if number >= len(given) or given[number] in (0, UNKNOWN) else type_
        for number, type_ in enumerate(types)
    )
    return PreparedStatement(
        name, source, first.prepared, types=types, read_in=first.read_in, rows=rows, given=tuple(given)
    )


def run_prepared(session: Session, statement: PreparedStatement, values: Sequence[Any]) -> Outcome | None:
    """The outcome of such a statement; None if it has to run as any other, with nothing done."""
    rows = statement.rows
    assert rows is not None
    if session.branch_schemas.merging.loop is not None:
        return None
    found = _columns(session, rows.target, rows.columns, rows.width)
    if found is None:
        return None
    _, columns = found
    for column, cast in zip(columns, rows.casts, strict=True):
        if cast and column_type(cast)[0].sql("duckdb") != exp.DataType.build(
            column.type, dialect="duckdb"
        ).sql("duckdb"):
            return None
    arrays = []
    for number, column in enumerate(columns):
        typed = all(oid == column.info.oid for oid in statement.types[number :: rows.width])
        array = _array(column, values[number :: rows.width], typed)
        if array is None:
            return None
        arrays.append(array)
    schema = pa.schema([(str(number), column.arrow) for number, column in enumerate(columns)])
    return _insert(session, rows.target, columns, pa.Table.from_arrays(arrays, schema=schema))


def _array(column: CopyColumn, values: Sequence[Any], typed: bool) -> pa.Array | None:
    """Values as they were decoded, each of the very kind the column holds; None if one is not.

    ``typed``: they were sent as values of the column's type. Moments that Python has no object for are texts then.
    """
    kinds = _PYTHON[column.base] + ((str,) if typed and column.base in _MOMENTS else ())
    if not all(value is None or type(value) in kinds for value in values):
        return None
    if column.base in _LARGEST and any(
        value is not None and _LARGEST[column.base] < abs(value) < math.inf for value in values
    ):
        return None  # another number, or none, in the column
    if column.base.startswith("TIMESTAMP"):
        zoned = column.base != "TIMESTAMP"
        if any(isinstance(value, datetime) and (value.tzinfo is not None) is not zoned for value in values):
            return None
    try:
        return column.array([None if value is None else column.carried(value) for value in values])
    except (pa.ArrowException, ValueFormatError, ValueError, OverflowError, TypeError):
        return None


# -- both -------------------------------------------------------------------------------------------------------


def _insert(
    session: Session, target: tuple[str, ...], columns: tuple[CopyColumn, ...], rows: pa.Table
) -> Outcome:
    names = tuple(column.name for column in columns)
    into = Copy(_name(target), None, names, from_client=True, filename=None, program=False)
    insert = copy.insert_from(session, into, columns)
    session.statements.writing()
    return done(f"INSERT 0 {copy.bring_in(session, insert, rows)}")


def _columns(
    session: Session, target: tuple[str, ...], named: tuple[str, ...], width: int
) -> tuple[Table, tuple[CopyColumn, ...]] | None:
    """The table and the columns that are filled, if all of them are plain."""
    table = _target(session, target)
    if table is None:
        return None
    try:
        columns = copy.copied_of(table, named)[:width]
    except BoughError:
        return None
    if len(columns) < width or not all(_is_plain(column) for column in columns):
        return None
    return table, copy.carriers(columns, session.setting("TimeZone") or "UTC")


def _name(target: tuple[str, ...]) -> Name:
    *qualifiers, name = target
    return Name(name, *reversed(qualifiers))


def _target(session: Session, target: tuple[str, ...]) -> Table | None:
    connection = session.prepare_connection()
    try:
        table = copy.relation_named(session, _name(target), "to")
        if table is not None and table.schema != "pg_temp":
            connection.scope().target(_name(target))
    except BoughError:
        return None
    return table


def _is_plain(column: Column) -> bool:
    """Whether COPY and INSERT mean the same by a constant for the column."""
    base = column.type.partition("(")[0].strip().upper()
    if base not in _KINDS or column.identity == "a":
        return False
    # A limit of length, or blanks that fill up, are the statement's own business.
    return base != "VARCHAR" or column.declared in (None, "text", "varchar", "character varying")


def _rows(table: Table, carriers: tuple[CopyColumn, ...], given: GivenRows) -> pa.Table | None:
    lines = copy_lines(given, [_KINDS[carrier.base] for carrier in carriers])
    if lines is None:
        return None
    reader = CopyReader(table.name, carriers, read_options((), from_client=True))
    try:
        batches = [*reader.add(lines), *reader.finish()]
    except (BoughError, ValueFormatError):
        return None
    found = pa.Table.from_batches(batches, reader.schema)
    return found if found.num_rows == given.rows else None
