"""Runs an INSERT of many constant rows (``proxy.sql.given_rows``) the way COPY brings rows in.

Rules:

1. It is the same statement: its tag, its defaults, its errors. Whatever this way does not take (a column of another
   kind, text that is no value of its type) gives None before anything is done, and the statement runs as any other:
   then it also says what is wrong, in its own words.
2. The rows go in by one ``INSERT … SELECT``, which on main and on a branch does what any INSERT does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from branching import EngineError
from branching.ddl_model import Name
from branching.errors import BoughError
from branching.model import Column, Table
from proxy.copying import CopyColumn, CopyReader, read_options
from proxy.session import copy
from proxy.session.outcome import Outcome, done
from proxy.sql.errors import from_engine
from proxy.sql.given_rows import GivenRows, copy_lines, read
from proxy.sql.split import MAX_TEXT, Source
from proxy.sql.statements import Copy
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
    table = _target(session, given)
    if table is None:
        return None
    width = len(given.cells)
    try:
        columns = copy.copied_of(table, given.columns)[:width]
    except BoughError:
        return None
    if len(columns) < width or not all(_is_plain(column) for column in columns):
        return None
    carriers = copy.carriers(columns, session.setting("TimeZone") or "UTC")
    rows = _rows(table, carriers, given)
    if rows is None:
        return None
    names = tuple(column.name for column in columns)
    into = Copy(_name(given), None, names, from_client=True, filename=None, program=False)
    insert = copy.insert_from(session, into, carriers)
    session.statements.writing()
    connection = session.prepare_connection()
    connection.sources[copy.ROWS] = rows
    try:
        connection.execute(insert)
    finally:
        connection.sources.clear()
    return done(f"INSERT 0 {given.rows}")


def _name(given: GivenRows) -> Name:
    *qualifiers, name = given.target
    return Name(name, *reversed(qualifiers))


def _target(session: Session, given: GivenRows) -> Table | None:
    connection = session.prepare_connection()
    try:
        table = copy.relation_named(session, _name(given), "to")
        if table is not None and table.schema != "pg_temp":
            connection.scope().target(_name(given))
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
