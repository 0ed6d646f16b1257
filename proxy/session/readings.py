"""Statements whose meaning depends on the catalog (``proxy.sql.in_place``) are read again when it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.session.portals import PreparedStatement

if TYPE_CHECKING:
    from proxy.session.session import Session


def readings(session: Session) -> tuple[Any, ...]:
    """What such a statement is read in: each of these is another object as soon as it has changed."""
    connection = session.prepare_connection()
    return connection.catalog, *connection.temporary.values()


def read_again(session: Session, statement: PreparedStatement) -> None:
    """Makes the statement what it reads as now. One of many rows finds its columns when it runs."""
    if statement.read_in is None or statement.rows is not None:
        return
    now = readings(session)
    if len(now) == len(statement.read_in) and all(
        a is b for a, b in zip(now, statement.read_in, strict=True)
    ):
        return
    fresh = session.statements.prepare("", statement.source, statement.given)
    statement.prepared, statement.read_in = fresh.prepared, fresh.read_in
    statement.trees, statement.columns = fresh.trees, None
