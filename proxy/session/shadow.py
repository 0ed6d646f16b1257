"""SHADOW QUERY: the same query on several branches at one instant, compared without regard to order.

Rules:

1. Read-only by the grammar (a SELECT, and nothing that the session answers itself) and by the engine (a read-only
   transaction, which refuses ``nextval`` too). Tables of datasources are read once, before, for all branches.
2. Where a row stands for a branch (the default form, plans), an error is shown in it. Where rows of the query stand,
   a branch without rows would look like a branch that agrees: the error is the command's.
3. What makes two right answers differ is said in a notice: columns that differ, functions that never answer alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import EngineError, ResultColumn
from branching.errors import BoughError
from branching.shadow import Answer, Comparison
from branching.snapshot import Reading
from branching.volatility import is_volatile
from proxy.commands import Command
from proxy.commands import branch as c
from proxy.session.outcome import Outcome, described, table
from proxy.session.remote.relations import refuse_temporary
from proxy.session.remote.scans import RemoteScans
from proxy.sql.errors import from_engine
from proxy.sql.split import Source
from proxy.sql.statements import Kind
from proxy.types import from_engine as type_info

if TYPE_CHECKING:
    from proxy.session.session import Session


def with_values(command: Command, values: Sequence[Any]) -> Command:
    """The command with the values of its query's parameters."""
    return replace(command, values=tuple(values)) if isinstance(command, c.ShadowQuery) else command


def run(session: Session, command: c.ShadowQuery) -> Outcome:
    """Carries the command out."""
    comparison = _comparison(session, command)
    reading_on = False
    try:
        if command.returning == "plan":
            return table(command.columns or (), _plans(comparison), _tag)
        comparison.run(command.runs)
        if command.returning == "summary":
            return table(command.columns or (), _summary(session, comparison), _tag)
        for answer in comparison.answers:
            _check(answer, comparison.answers[0])
        found, batches = comparison.rows() if command.returning == "rows" else comparison.differences()
        outcome = Outcome(_tag, described(found), _until_read(session, comparison, batches))
        reading_on = True
        return outcome
    except EngineError as error:
        raise from_engine(error.exception, error.message) from error
    finally:
        if not reading_on:
            _close(session, comparison)


def engine_columns(session: Session, command: c.ShadowQuery) -> tuple[ResultColumn, ...]:
    """The columns of the forms whose columns are the query's; nothing runs but the binding of names."""
    comparison = _comparison(session, command, only_shape=True)
    try:
        comparison.bind()
        for answer in comparison.answers:
            _check(answer, comparison.answers[0])
        return comparison.columns(counted=command.returning == "diff")
    except EngineError as error:
        raise from_engine(error.exception, error.message) from error
    finally:
        _close(session, comparison)


def reading(session: Session) -> Reading:
    """What names and instants mean to the session."""
    connection = session.connection
    assert connection is not None
    return Reading(
        session.search_path(),
        connection.database_names,
        connection.files,
        session.setting("TimeZone") or "UTC",
        connection.schema_branch,
    )


def message(error: BoughError | EngineError) -> str:
    """An error as a client would be told of it, with its code."""
    shown = from_engine(error.exception, error.message) if isinstance(error, EngineError) else error
    return f"{shown.sqlstate}: {shown.message}"


def _comparison(session: Session, command: c.ShadowQuery, *, only_shape: bool = False) -> Comparison:
    if not session.service.settings.shadow_mode_enabled:
        raise BoughError(
            "0A000",
            "shadow queries are turned off",
            hint="Set shadow_mode_enabled to true and restart.",
            detail="The setting shadow_mode_enabled is false.",
        )
    tree, values = _query(session, command)
    for name in command.branches:
        session.service.database.line(name)
    connection = session.connection
    assert connection is not None
    if is_volatile(tree):
        connection.notices.append("the query calls a function that gives another answer each time")
    scans = RemoteScans(session, tree.copy(), values)
    if scans.relations:
        scans.describe() if only_shape else scans.load()
    comparison = Comparison(
        session.service.database,
        command.branches,
        scans.tree,
        reading=reading(session),
        parameters=values,
        tolerance=command.tolerance,
        ordered=command.ordered,
        release=scans.close,
    )
    session.reading = comparison
    return comparison


def _query(session: Session, command: c.ShadowQuery) -> tuple[exp.Expr, list[Any]]:
    """The query with its parameters typed, and their values (NULLs while it is only described)."""
    statements = session.statements
    statement = statements.prepare("", Source(command.query, command.query_offset))
    prepared = statement.prepared
    if prepared is None:
        raise BoughError(
            "0A000",
            "SHADOW QUERY takes a SELECT",
            detail="This is a command.",
            hint="Write the query whose results are to be compared.",
        )
    if prepared.kind is not Kind.SELECT or prepared.tree is None:
        raise BoughError(
            "0A000",
            "SHADOW QUERY takes a SELECT",
            detail=f"This is {prepared.tag}.",
            hint="Writes belong on one branch: BRANCH SWITCH there.",
        )
    found = statements.analyse(prepared)
    statements.reads_elsewhere(prepared)  # says where a name of three parts is of nothing
    if not found.is_plain or found.sleeps:
        raise BoughError(
            "0A000",
            "SHADOW QUERY reads tables and views of the branches",
            detail="This query reads the system's, or calls a function that the session answers.",
            hint="BRANCH DIFF … WITH (format 'schema') compares the definitions of two branches.",
        )
    refuse_temporary(session, prepared.tree, "SHADOW QUERY")
    values = list(command.values if command.values is not None else [None] * prepared.parameter_count)
    if len(values) != prepared.parameter_count:
        raise BoughError(
            "42P02",
            f"there is no parameter ${len(values) + 1}",
            detail=f"The query has {prepared.parameter_count} parameters.",
            hint="Write the values into the query, or give them with the statement.",
        )
    return statements.tree(statement, values), values


def _tag(rows: int) -> str:
    return f"SELECT {rows}"


def _close(session: Session, comparison: Comparison) -> None:
    if session.reading is comparison:
        session.reading = None
    comparison.close()


def _until_read(session: Session, comparison: Comparison, batches: Iterator[Any]) -> Iterator[Any]:
    """The rows as the client takes them; their snapshot lives as long."""
    try:
        yield from batches
    except EngineError as error:
        raise from_engine(error.exception, error.message) from error
    finally:
        _close(session, comparison)


def _plans(comparison: Comparison) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for answer, (name, lines) in zip(comparison.answers, comparison.plans(), strict=True):
        if answer.error is not None:
            rows.append((name, f"ERROR: {message(answer.error)}"))
        rows += [(name, line) for line in lines]
    return rows


def _summary(session: Session, comparison: Comparison) -> list[tuple[Any, ...]]:
    first = comparison.answers[0]
    fingerprints = {answer.branch: comparison.fingerprint(answer) for answer in comparison.alive}
    rows: list[tuple[Any, ...]] = []
    for answer in comparison.answers:
        if answer.error is not None:
            rows.append((answer.branch, None, None, None, False, None, message(answer.error)))
            continue
        if first.error is None and answer.columns != first.columns:
            _notice(session, f"the columns differ: {_columns(first)}; {_columns(answer)}")
        same = first.error is None and comparison.same(first, answer)
        shown = (answer.rows, round(answer.elapsed_ms, 3), fingerprints[answer.branch], same)
        rows.append((answer.branch, *shown, comparison.cost(answer), None))
    return rows


def _notice(session: Session, text: str) -> None:
    assert session.connection is not None
    session.connection.notices.append(text)


def _columns(answer: Answer) -> str:
    return f"{answer.branch}: " + ", ".join(f"{item.name} {type_name(item.type)}" for item in answer.columns)


def type_name(kind: str) -> str:
    """An engine's type in Postgres' word."""
    return type_info(kind).name


def _check(answer: Answer, first: Answer) -> None:
    """Where rows are shown, the query must work on every branch and return the same columns."""
    error = answer.error
    if error is not None:
        shown = from_engine(error.exception, error.message) if isinstance(error, EngineError) else error
        raise BoughError(
            shown.sqlstate,
            f'the query fails on branch "{answer.branch}": {shown.message}',
            detail=shown.detail,
            hint="The default form of SHADOW QUERY shows the error of each branch beside the others' results.",
        )
    if [item.name for item in answer.columns] != [item.name for item in first.columns]:
        raise BoughError(
            "42804",
            "the branches return different columns",
            detail=f"{_columns(first)}; {_columns(answer)}",
            hint="Name the columns in the query, or use the default form, which compares without rows.",
        )
