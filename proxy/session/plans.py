"""EXPLAIN of a query: what is sent to datasources, then the engine's plan, naming no storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branching.errors import BoughError
from proxy.session import functions, introspection, utility
from proxy.session.outcome import Outcome
from proxy.session.remote.scans import RemoteScans
from proxy.sql.statements import Explain, Kind

if TYPE_CHECKING:
    from proxy.session.session import Session


def explain(session: Session, what: Explain) -> Outcome:
    """The plan, a line each. ANALYZE runs the query."""
    statements, connection = session.statements, session.connection
    assert connection is not None
    prepared = statements.prepare("", what.inner).prepared
    if prepared is None or prepared.tree is None:
        raise BoughError("0A000", "EXPLAIN of this statement is not supported")
    if prepared.kind is not Kind.SELECT:
        raise BoughError(
            "0A000",
            f"EXPLAIN{' ANALYZE' if what.analyze else ''} of a statement that writes is not supported",
            detail="It is carried out in several steps, which keep what branches need.",
            hint="EXPLAIN the SELECT that finds its rows; or run it on a branch: BRANCH CREATE, BRANCH SWITCH.",
        )
    tree = prepared.tree
    for node in functions.commands_in(prepared.parsed.tree or tree):
        raise BoughError(
            "0A000",
            f"EXPLAIN of {functions.called(node)} is not supported",
            detail="It is a command: its rows are there before the query around it is planned.",
            hint="EXPLAIN TRANSFER and EXPLAIN BRANCH MERGE show what a command would do.",
        )
    scans = RemoteScans(session, tree.copy(), ()) if statements.reads_elsewhere(prepared) else None
    try:
        lines: list[str] = []
        if scans is not None and scans.relations:
            tree = scans.load(only_shape=not what.analyze)
            lines = list(scans.queries())
        if statements.analyse(prepared).catalog:
            tree = introspection.rewrite(session, tree, prepared.catalog).tree
        lines += connection.explain(tree, analyze=what.analyze)
    finally:
        if scans is not None:
            scans.close()
    return utility.text_rows("QUERY PLAN", lines, "EXPLAIN")
