"""Statements of the session itself: SET, SHOW, RESET, DISCARD, cursors, PREPARE, EXPLAIN, and what is idle here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from branching.ddl.model import Name
from branching.errors import BoughError
from branching.model import Table
from branching.resolve import undefined
from proxy.session import copy, functions
from proxy.session.outcome import Columns, Outcome, done, table
from proxy.session.portals import SqlCursor
from proxy.session.remote.relations import LOCKS_ELSEWHERE, check_places, refuse_name
from proxy.sql import statements as s
from proxy.sql.prepare import Prepared
from proxy.sql.statements import Kind
from proxy.types import BY_NAME, from_engine

if TYPE_CHECKING:
    from proxy.session.session import Session

_TEXT = "VARCHAR"
_NEXT = re.compile(r"nextval\('([^']+)'\)", re.IGNORECASE)
_SHOW_ALL = (("name", _TEXT), ("setting", _TEXT), ("description", _TEXT))
_IDLE = {
    Kind.VACUUM: "VACUUM",
    Kind.ANALYZE: "ANALYZE",
    Kind.CHECKPOINT: "CHECKPOINT",
    Kind.REINDEX: "REINDEX",
    Kind.LOCK: "LOCK TABLE",
    Kind.LISTEN: "LISTEN",
    Kind.UNLISTEN: "UNLISTEN",
    Kind.NOTIFY: "NOTIFY",
}
_ELSEWHERE = {  # what does it for a table of a datasource
    Kind.ANALYZE: "EXECUTE ON {datasource} AS $$ ANALYZE … $$ sends it there, in that engine's SQL.",
    Kind.VACUUM: "EXECUTE ON {datasource} AS $$ ANALYZE … $$ renews statistics there; VACUUM itself needs a session of "
    "that server, because EXECUTE ON is a transaction.",
    Kind.LOCK: LOCKS_ELSEWHERE,
}


_SYSTEM = ("pg_catalog", "information_schema", "bough")


def text_rows(name: str, lines: Sequence[str], tag: str) -> Outcome:
    return table([(name, _TEXT)], [(line,) for line in lines], lambda _rows: tag)


def describe(session: Session, prepared: Prepared) -> Columns | None:
    """The columns of a session statement."""
    what = prepared.payload
    if isinstance(what, s.ShowVariable):
        if what.name == "all":
            return tuple((name, from_engine(kind)) for name, kind in _SHOW_ALL)
        return ((session.settings.show(what.name)[0], from_engine(_TEXT)),)
    if isinstance(what, s.Explain):
        return (("QUERY PLAN", from_engine(_TEXT)),)
    if isinstance(what, s.Execute):
        return session.statements.describe(session.statements.named(what.name))
    if isinstance(what, s.Fetch) and prepared.kind is Kind.FETCH:
        return _cursor(session, what.cursor).outcome.columns
    return None


def run(session: Session, prepared: Prepared, values: Sequence[Any]) -> Outcome:
    """Carries out a session statement."""
    what, kind = prepared.payload, prepared.kind
    if isinstance(what, s.Transaction):
        return session.transactions.run(kind, what)
    if isinstance(what, s.Savepoint):
        return session.transactions.savepoint(kind, what.name)
    if isinstance(what, s.SetConstraints):
        return session.transactions.set_constraints(what)
    if isinstance(what, s.SetVariable):
        if what.value is None:
            _reset(session, what.name)
        else:
            session.set_variable(what.name, what.value, local=what.local)
        return done("SET")
    if isinstance(what, s.ResetVariable):
        _reset(session, what.name)
        return done("RESET")
    if isinstance(what, s.ShowVariable):
        return show(session, what.name)
    if isinstance(what, s.Discard):
        return discard(session, what)
    if isinstance(what, s.Prepare):
        return sql_prepare(session, what)
    if isinstance(what, s.Execute):
        return sql_execute(session, what)
    if isinstance(what, s.Deallocate):
        return deallocate(session, what.name)
    if isinstance(what, s.Explain):
        from proxy.session import plans

        return plans.explain(session, what)
    if isinstance(what, s.Declare):
        return declare(session, what)
    if isinstance(what, s.Fetch):
        return fetch(session, what, move=kind is Kind.MOVE)
    if isinstance(what, s.Close):
        return close(session, what.cursor)
    if isinstance(what, s.Extension):
        return done("CREATE EXTENSION")
    if kind in _IDLE:
        for name in what.tables if isinstance(what, s.Maintenance) else ():
            check_places(session, [name.catalog] if name.catalog is not None else [])
            refuse_name(session, name, _ELSEWHERE.get(kind, ""))
            _refuse_missing(session, name)
        for name, column in what.columns if isinstance(what, s.Maintenance) else ():
            _refuse_unknown(session, name, column)
        return done(_IDLE[kind])
    if isinstance(what, s.Copy):
        return copy.run(session, what)
    raise BoughError("0A000", f"{prepared.tag} is not supported", hint="docs/dialect.md lists what is.")


def _refuse_missing(session: Session, name: Name) -> None:
    """42P01 for a table that is nowhere; the system's own are somewhere."""
    assert session.connection is not None
    scope = session.connection.scope()
    is_systems = name.schema in _SYSTEM or (name.schema is None and name.name.startswith("pg_"))
    if not (is_systems or scope.is_temporary(name) or scope.find(name)):
        raise undefined(name)


def _refuse_unknown(session: Session, name: Name, column: str) -> None:
    """42703 for a column that a table of the branch does not have."""
    assert session.connection is not None
    found = session.connection.scope().find(name)
    table = found[2] if found is not None else None
    if isinstance(table, Table) and column not in [item.name for item in table.columns]:
        raise BoughError("42703", f'column "{column}" of relation "{name.name}" does not exist')


def _reset(session: Session, name: str | None) -> None:
    if name is None:
        session.settings.reset_all()
        path = session.setting("search_path")
        session.branches.note(session.start_branch)
        session.settings.assign("branch", session.start_branch)
        session.follow_branch_setting()
        session.branch_schemas.follow(path)
    elif name.lower() == "branch":
        session.commands.switch(session.start_branch)
    elif name.lower() == "search_path":
        session.branch_schemas.reset()
        session.settings.reset(name)
        session.branch_schemas.follow(session.setting("search_path"))
    else:
        session.settings.reset(name)


def show(session: Session, name: str) -> Outcome:
    if name == "all":
        return table(_SHOW_ALL, list(session.settings.rows()), lambda _rows: "SHOW")
    shown, value = session.settings.show(name)
    return table([(shown, _TEXT)], [(value,)], lambda _rows: "SHOW")


def named_sequences(session: Session, outcome: Outcome) -> Outcome:
    """What DESCRIBE tells, with sequences in defaults by their names: the engine calls each by its place in storage."""
    columns = [name for name, _ in outcome.columns or ()]
    assert session.connection is not None
    if "default" not in columns:
        return outcome
    place = columns.index("default")
    known = {item.physical: f"{item.schema}.{item.name}" for item in session.connection.catalog.sequences()}
    rows = []
    for row in outcome.take(0):
        match = _NEXT.fullmatch(row[place] or "")
        named = f"nextval('{known[match[1]]}')" if match is not None and match[1] in known else row[place]
        rows.append((*row[:place], named, *row[place + 1 :]))
    return replace(outcome, batches=iter([rows] if rows else []), sent=0)


def discard(session: Session, what: s.Discard) -> Outcome:
    if what.what == "all":
        if session.transactions.block == "explicit":
            raise BoughError("25001", "DISCARD ALL cannot run inside a transaction block")
        session.statements.prepared.clear()
        session.statements.portals.clear()
        session.statements.cursors.clear()
        _reset(session, None)
    if what.what in ("all", "temp"):
        assert session.connection is not None
        session.connection.drop_temporary()
    if what.what == "plans":
        pass  # plans are checked before each use
    return done(f"DISCARD {what.what.upper()}")


def deallocate(session: Session, name: str | None) -> Outcome:
    if name is None:
        session.statements.prepared.clear()
        return done("DEALLOCATE ALL")
    session.statements.named(name)
    del session.statements.prepared[name]
    return done("DEALLOCATE")


def declare(session: Session, what: s.Declare) -> Outcome:
    if session.transactions.block == "none" and not what.hold:
        raise BoughError(
            "25P01",
            "DECLARE CURSOR can only be used in transaction blocks",
            hint="BEGIN first, or WITH HOLD.",
        )
    if what.scroll:
        raise BoughError(
            "0A000", "scrollable cursors are not supported", hint="Leave SCROLL out and fetch forward."
        )
    if what.name in session.statements.cursors:
        raise BoughError("42P03", f'cursor "{what.name}" already exists')
    outcome = session.statements.run(session.statements.prepare("", what.inner), [], None)
    if what.hold:
        outcome.materialise()
    session.statements.cursors[what.name] = SqlCursor(what.name, outcome, what.hold)
    return done("DECLARE CURSOR")


def _cursor(session: Session, name: str) -> SqlCursor:
    """A cursor, which may be a portal of the extended protocol: to Postgres they are one and the same."""
    statements = session.statements
    found = statements.cursors.get(name)
    if found is not None:
        return found
    portal = statements.portals.get(name)
    if portal is None or not name or portal.statement.source is None:
        raise BoughError("34000", f'cursor "{name}" does not exist')
    if portal.outcome is None:
        portal.outcome = statements.run(portal.statement, portal.values, None)
    return SqlCursor(name, portal.outcome, False)


def fetch(session: Session, what: s.Fetch, *, move: bool) -> Outcome:
    cursor = _cursor(session, what.cursor)
    if what.direction not in ("forward", "relative") or (what.count is not None and what.count < 0):
        raise BoughError("55000", "cursor can only scan forward", hint="Declare it anew to begin again.")
    if what.count == 0:
        rows: list[Any] = []
    else:
        rows = cursor.outcome.take(what.count or 0)
    word = "MOVE" if move else "FETCH"
    if move:
        return done(f"MOVE {len(rows)}")
    return Outcome(lambda sent: f"{word} {sent}", cursor.outcome.columns, iter([rows] if rows else []))


def close(session: Session, name: str | None) -> Outcome:
    if name is None:
        session.statements.cursors.clear()
        return done("CLOSE CURSOR ALL")
    _cursor(session, name)
    session.statements.cursors.pop(name, None)
    session.statements.portals.pop(name, None)
    return done("CLOSE CURSOR")


def type_oids(types: Sequence[str]) -> list[int]:
    """OIDs of the types a PREPARE declares."""
    return [from_engine("VARCHAR", name).oid if name != "unknown" else 0 for name in types]


def constant_argument(session: Session, text: str) -> Any:
    """The value of an EXECUTE's argument: a constant, or an expression the engine evaluates."""
    prepared = session.service.statements.prepare(f"SELECT {text}", session.statements.guard)
    assert prepared.tree is not None
    item = prepared.tree.expressions[0].unalias()
    try:
        return functions.evaluate(item, ())
    except BoughError:
        assert session.connection is not None
        return session.connection.execute(prepared.tree).fetchall()[0][0]


__all__ = ["BY_NAME", "describe", "run"]


def sql_prepare(session: Session, what: s.Prepare) -> Outcome:
    statements = session.statements
    if what.name in statements.prepared:
        raise BoughError("42P05", f'prepared statement "{what.name}" already exists')
    statement = statements.prepare(what.name, what.inner, type_oids(what.types))
    statements.prepared[what.name] = statement
    return done("PREPARE")


def sql_execute(session: Session, what: s.Execute) -> Outcome:
    statement = session.statements.named(what.name)
    values = [constant_argument(session, text) for text in what.arguments]
    if len(values) != len(statement.types):
        raise BoughError(
            "42601",
            f'wrong number of parameters for prepared statement "{what.name}"',
            detail=f"Expected {len(statement.types)} parameters but got {len(values)}.",
        )
    return session.statements.run(statement, values, None)
