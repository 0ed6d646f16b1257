"""Statements for ``local`` that stand inside a command: QUERY, EXECUTE ON, TRANSFER, RECONCILE and the tools.

Rules:

1. They are read and guarded as the session's own are, macros of the branch included; their strings and casts to text
   have the types and the texts that they have there.
2. What the session answers itself (current_user, current_database) is put in its place.
3. Tables of datasources may be read: the connector puts rows in their place (``remote.places``, ``placed``). Commands,
   system views and the system catalog are refused (0A000): they are put in place for a statement of the session only,
   whose rows do not come through a connector.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from branching.ddl import model as ddl_model
from branching.errors import BoughError
from branching.model import Catalog
from proxy.catalog.rewrite import mentions_catalog
from proxy.session import introspection, views
from proxy.session.functions import called, commands_in, session_calls
from proxy.session.parameters import columns_of, key_of
from proxy.session.remote.relations import refuse_in_definition, refuse_temporary, relations
from proxy.session.remote.scans import RemoteScans, columns_elsewhere
from proxy.sql.guard import with_macros
from proxy.sql.in_place import in_place
from proxy.sql.prepare import Prepared
from proxy.sql.statements import Kind

if TYPE_CHECKING:
    from proxy.session.session import Session


def query(session: Session, text: str) -> str:
    """A query of the client's dialect in the engine's."""
    assert session.connection is not None
    prepared = _read(session, text, session.connection.catalog)
    if prepared.kind is not Kind.SELECT or prepared.tree is None or prepared.parameter_count:
        raise BoughError("42601", "only a SELECT without parameters can be read here")
    if prepared.catalog:
        raise BoughError(
            "0A000", "a query here cannot read the system catalog", hint="Name tables of the branch."
        )
    _refuse(prepared.tree, "a query of local")
    refuse_temporary(session, prepared.tree, "a query of local")
    relations(session, tree := prepared.tree.copy())  # takes ``local.`` off
    return _answered(session, tree).sql("duckdb")


def statement(session: Session, text: str, catalog: Catalog) -> Prepared:
    """A writing statement for a branch with this ``catalog``; 42601 for any other."""
    found = _read(session, text, catalog)
    if found.statement is None or found.catalog or found.parameter_count or found.kind is Kind.SELECT:
        raise BoughError("42601", "only one writing statement without parameters can be executed here")
    tree = found.tree
    if tree is None:
        if isinstance(found.payload, ddl_model.CreateView):
            _refuse(found.payload.query, "a view")
        refuse_in_definition(session, found.statement)
        return found
    _refuse(tree, "a statement for local")
    refuse_temporary(session, tree, "a statement for local")
    relations(session, tree := tree.copy())  # takes ``local.`` off
    return replace(found, tree=_answered(session, tree))


@contextmanager
def placed(session: Session, prepared: Prepared) -> Iterator[exp.Expr | ddl_model.Ddl]:
    """What the engine runs of a ``statement``: with rows in the place of tables elsewhere, which are let go of then."""
    assert prepared.statement is not None
    if prepared.tree is None:
        yield prepared.statement
        return
    scans = RemoteScans(session, prepared.tree.copy(), (), within=True)
    try:
        yield scans.load() if scans.relations else prepared.tree
    finally:
        scans.close()


def refuse_elsewhere(session: Session, tree: exp.Expr) -> None:
    """0A000 for a statement that reads datasources, where it is run in several steps."""
    for relation in relations(session, tree.copy()):
        raise BoughError(
            "0A000",
            f"a statement that is validated cannot read {relation.label}",
            detail="Its query runs a second time, and would read other rows.",
            hint="TRANSFER (SELECT …) TO local.table checks what it moves; or run it without validate.",
        )


def _read(session: Session, text: str, catalog: Catalog) -> Prepared:
    allowed = with_macros(session.statements.guard, catalog)
    prepared = session.service.statements.prepare(text, allowed)
    connection = session.prepare_connection()
    known = columns_of(catalog, session.search_path(), connection.temporary)
    if prepared.tree is not None and session.statements.reads_elsewhere(prepared):
        known = columns_elsewhere(session, prepared.tree, known, within=True)
    keys = key_of(catalog, session.search_path(), connection.temporary)
    return in_place(prepared, known, keys, connection.database.engine.spelled)[0]


def _answered(session: Session, tree: exp.Expr) -> exp.Expr:
    return introspection.rewrite(session, tree, relations=False).tree if mentions_catalog(tree) else tree


def _refuse(tree: exp.Expr, what: str) -> None:
    for node in session_calls(tree):
        raise BoughError(
            "0A000",
            f"{what} cannot call {called(node)}() here",
            hint=f"SELECT {called(node)}(…) by itself, and write its value here.",
        )
    calls = [(called(node), "(…)") for node in commands_in(tree)]
    for name, call in [*calls, *((f"bough.{node.name}", "") for node in views.mentioned(tree))]:
        raise BoughError(
            "0A000",
            f"{what} cannot read {name}{call} here",
            detail="It is put in its place in statements of the session itself.",
            hint=f"SELECT … FROM {name}{call} by itself, or CREATE TABLE … AS it first.",
        )
