"""Looking like Postgres: system relations and functions put in place, declared types, columns of commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from sqlglot import exp

from branching import Connection
from branching.ddl import model as ddl_model
from branching.diff import rows as diff_rows
from branching.errors import BoughError
from branching.model import Catalog, Column, Schema, Table
from branching.names import CATALOG_DATABASE, SHOWN_TEMPORARY_SCHEMA, is_pin
from branching.resolve import table_name
from proxy.catalog.context import Backend, BranchSchema, Context, Database, Role
from proxy.catalog.rewrite import Rewritten
from proxy.commands import Command, from_function
from proxy.commands.branch import ShadowQuery
from proxy.commands.functions import SHAPING, function_columns
from proxy.commands.remote import CallTool
from proxy.commands.results import ResultColumn
from proxy.gucs import SERVER_VERSION
from proxy.session import functions, shadow, views
from proxy.session.outcome import Columns, described, of_shown
from proxy.session.parameters import columns_of, key_of
from proxy.session.remote.relations import refuse_in_definition
from proxy.sql.grouping import with_determined
from proxy.sql.jsonb import is_jsonb
from proxy.sql.literals import in_definition
from proxy.sql.operators import with_operators
from proxy.sql.texts import with_texts
from proxy.types import BY_NAME, from_engine

if TYPE_CHECKING:
    from proxy.session.session import Session

VOID = BY_NAME.get("void", from_engine("VARCHAR"))
_FIRST_BRANCH_OID = 20000
# ids that no object of a branch comes to: see docs/design/catalog.md
_TEMPORARY_ID = 262_100
_Shown = tuple[tuple[Catalog, Mapping[str, Table]], Catalog]
_TEMPORARY: WeakKeyDictionary[Connection, _Shown] = WeakKeyDictionary()
_DECLARED = frozenset({"jsonb", "varchar", "bpchar", "name", "oid", "char"})


def context(session: Session, branch_schemas: tuple[BranchSchema, ...] = ()) -> Context:
    """What the system catalog is told of the session."""
    service = session.service
    databases = [
        Database(5 if line.is_trunk else _FIRST_BRANCH_OID + line.id, name, line.record.comment)
        for name, line in sorted((line.name, line) for line in list(service.database.lines.values()))
        if not is_pin(name)
    ]
    current = session.current_database()
    if current not in {item.name for item in databases}:
        databases.insert(0, Database(4, current))
    backends = tuple(
        Backend(
            other.pid, other.user, other.connection.branch, other.setting("application_name"), other.client,
            other.started_at, other.state, other.shown_statement,
        )
        for other in list(service.sessions.values())
        if other.connection is not None
    )  # fmt: skip
    names = {session.user} | {backend.role for backend in backends}
    owner = "bough"
    roles = [Role(10, owner, superuser=True)]
    roles += [
        Role(16000 + number, name, superuser=True) for number, name in enumerate(sorted(names - {owner}))
    ]
    settings = {name: value for name, value, _ in session.settings.rows()}
    return Context(
        database=current,
        user=session.user,
        databases=tuple(databases),
        search_path=session.search_path(),
        settings=MappingProxyType(settings),
        pid=session.pid,
        port=service.settings.port,
        backends=backends,
        roles=tuple(roles),
        version=f"PostgreSQL {SERVER_VERSION} (Bough), with branches",
        started_at=service.started_at,
        branch_schemas=branch_schemas,
    )


def rewrite(session: Session, tree: exp.Expr, relations: bool, values: Sequence[Any] = ()) -> Rewritten:
    """``tree``, run with ``values``, with system functions, and if it has any, system ``relations``, in place."""
    for node in tree.find_all(exp.Table):
        if node.text("catalog") == CATALOG_DATABASE:
            raise BoughError("42P01", f'relation "{node.name}" does not exist')
    assert session.connection is not None
    catalog = session.service.catalog
    fill = catalog.rewrite if relations else catalog.session_functions
    shown = session.branch_schemas.shown(tree, values) if relations else ()
    return fill(tree, _with_temporary(session.connection), context(session, shown))


def _with_temporary(connection: Connection) -> Catalog:
    """The session's catalog, with its temporary tables in a schema of their own."""
    if not connection.temporary:
        return connection.catalog
    key = connection.catalog, connection.temporary
    kept = _TEMPORARY.get(connection)
    if kept is not None and kept[0][0] is key[0] and kept[0][1] is key[1]:
        return kept[1]
    catalog = key[0].with_object(Schema(_TEMPORARY_ID, SHOWN_TEMPORARY_SCHEMA))
    for number, (name, table) in enumerate(key[1].items(), 1):
        catalog = catalog.with_object(
            Table(_TEMPORARY_ID - number, SHOWN_TEMPORARY_SCHEMA, name, table.columns, table.constraints)
        )
    _TEMPORARY[connection] = key, catalog
    return catalog


def command_columns(session: Session, command: Command) -> Columns | None:
    """The columns of a command; those that only the data tells are found by running it (it only reads)."""
    if not command.returns_rows:
        return None
    if command.columns is None and isinstance(command, ShadowQuery):
        return described(shadow.engine_columns(session, command))
    if (wanted := session.commands.changed_rows(command)) is not None:
        return of_shown(diff_rows.columns(session.service.database, wanted))
    if command.columns is None:
        outcome = session.commands.run(command)
        outcome.close()
        return outcome.columns
    return tuple((name, from_engine(kind)) for name, kind in command.columns)


def empty_stand_ins(session: Session, tree: exp.Expr, bound: Sequence[Any] | None = None) -> exp.Expr:
    """``tree`` (which it changes) with commands and system views replaced by no rows of their shape."""
    from proxy.commands import VIEWS

    for node in functions.commands_in(tree):
        if not isinstance(node, exp.Table):
            holder = node.parent if isinstance(node.parent, exp.Dot) else node
            holder.replace(exp.Var(this=f"CAST(NULL AS {functions.value_kind(node)})"))
            continue
        command = _described_command(session, node, bound)
        if (wanted := session.commands.changed_rows(command)) is not None:
            shown = diff_rows.columns(session.service.database, wanted)
            made = views.replace(
                node, views.values_sql(tuple(ResultColumn(item.name, item.type) for item in shown), [])
            )
            made.meta[functions.SHOWN] = shown
            continue
        columns = function_columns(command)
        if columns is None:
            columns = functions.data_columns(session, command)
        views.replace(node, views.values_sql(columns, []))
    for node in views.mentioned(tree):
        if node.name not in VIEWS:
            raise BoughError("42P01", f'relation "bough.{node.name}" does not exist')
        views.replace(node, views.values_sql(VIEWS[node.name], []))
    return tree


def _described_command(session: Session, node: exp.Expr, bound: Sequence[Any] | None) -> Command:
    """The command a call stands for. Where its values are not known yet, others stand for them, which it would take."""
    assert session.connection is not None
    call = node.this if isinstance(node, exp.Table) else node
    given: set[str] = set()
    if bound is None:
        given = {name for name, _ in functions.parameters_of(node).values()}
        bound = functions.stand_ins(node, session.connection.branch)
    positional, named = functions.arguments(call, bound)
    if unknown := given & SHAPING:
        raise _depends(node, unknown.pop())
    command = from_function(functions.called(node), positional, named)
    if command.columns is None:
        if unknown := given & {"table", "sql"}:
            raise _depends(node, unknown.pop())
        is_shaped = isinstance(command, CallTool) and command.name in ("read_query", "suggest_table_layout")
        if is_shaped and (unknown := given - {"limit"}):
            raise _depends(node, min(unknown))
        if isinstance(command, ShadowQuery) and "branches" in given:
            return changed(command, branches=(session.connection.branch,))
    return command


def _depends(node: exp.Expr, parameter: str) -> BoughError:
    return BoughError(
        "0A000",
        f"the columns of {functions.called(node)} depend on its {parameter}, which is a parameter",
        detail="They are asked for before there are values.",
        hint=f"Write the {parameter} into the statement; the other arguments may be parameters.",
    )


def declared_types(session: Session, tree: exp.Expr, parsed: exp.Expr | None) -> Sequence[str | None]:
    """Declared types of result columns that are plain columns of tables (``jsonb``, ``varchar(10)``), or jsonb to
    Postgres by what ``parsed`` says, place for place; none where it is not certain which column stands where."""
    if not isinstance(tree, exp.Select) or session.connection is None:
        return ()
    from_ = tree.args.get("from_")
    joins = tree.args.get("joins") or []
    nodes = ([from_.this] if from_ is not None else []) + [join.this for join in joins]
    sources = {node.alias_or_name.lower(): _declarations(session, tree, node) for node in nodes}
    written = parsed.expressions if isinstance(parsed, exp.Select) else []
    if len(written) != len(tree.expressions):
        written = []
    if not any(not isinstance(item.unalias(), (exp.Column, exp.Literal)) for item in written) and not any(
        type_ for known in sources.values() for _, type_ in known or ()
    ):
        return ()
    plain = len(nodes) == len(sources) and not any(
        join.args.get("using") or join.args.get("method") or join.kind.upper() in ("SEMI", "ANTI")
        for join in joins
    )
    types: list[str | None] = []
    for at, item in enumerate(tree.expressions):
        if not item.is_star:
            known = _declared(item.unalias(), sources)
            if known is None and written and is_jsonb(written[at], lambda column: _declared(column, sources)):
                known = "jsonb"
            types.append(known)
            continue
        star = item.this if isinstance(item, exp.Column) else item
        table = item.table.lower() if isinstance(item, exp.Column) else None
        meant = list(sources.values()) if table is None else [sources.get(table)]
        if not isinstance(star, exp.Star) or any(star.args.values()) or None in meant or not (plain or table):
            return ()
        types += [type_ for known in meant for _, type_ in known or ()]
    return types


_Declarations = Sequence[
    tuple[str, str | None]
]  # the names and declared types of a relation's columns, in order


def _declarations(session: Session, tree: exp.Select, node: exp.Expr) -> _Declarations | None:
    """What is known of a relation in FROM, under the names that its alias gives; None if nothing is."""
    columns: Sequence[Column | diff_rows.Shown] = ()
    if functions.SHOWN in node.meta:
        columns = node.meta[functions.SHOWN]
    elif isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        assert session.connection is not None
        own = () if node.args.get("db") else tree.ctes
        found = session.connection.scope().find(table_name(node))
        if (
            any(cte.alias.lower() == node.name.lower() for cte in own)
            or found is None
            or not isinstance(found[2], Table)
            or found[1] is not session.connection.catalog
        ):
            return None
        columns = found[2].columns
    else:
        return None
    alias = node.args.get("alias")
    given = [name.name for name in alias.columns] if isinstance(alias, exp.TableAlias) else []
    names = given + [column.name for column in columns[len(given) :]]
    return [(name, column.declared) for name, column in zip(names, columns, strict=False)]


def _declared(item: exp.Expr, sources: Mapping[str, _Declarations | None]) -> str | None:
    if not isinstance(item, exp.Column):
        return None
    tables = [sources.get(item.table.lower())] if item.table else list(sources.values())
    found = [known for columns in tables if (known := _named(columns or (), item.name)) is not None]
    return found[0][1] if len(found) == 1 else None


def _named(columns: _Declarations, name: str) -> tuple[str, str | None] | None:
    exact = next((column for column in columns if column[0] == name), None)
    return exact or next((column for column in columns if column[0].lower() == name.lower()), None)


def stored_definition(session: Session, what: exp.Expr | ddl_model.Ddl) -> exp.Expr | ddl_model.Ddl:
    """A definition as it is kept, its strings read as they are now. A view over system relations cannot be: their place
    in storage is of the moment."""
    refuse_in_definition(session, what)
    if isinstance(what, ddl_model.CreateView) and views.mentioned(what.query):
        raise BoughError("0A000", "a view cannot read the system views of schema bough")
    if isinstance(what, ddl_model.CreateView) and (called := functions.commands_in(what.query)):
        raise BoughError(
            "0A000",
            f"a view cannot call {functions.called(called[0])}",
            detail="Commands are put in their place in the statement that runs.",
            hint=f"CREATE TABLE … AS SELECT … FROM {functions.called(called[0])}(…) keeps its rows as they are now.",
        )
    connection = session.prepare_connection()
    known = columns_of(connection.catalog, session.search_path(), connection.temporary)
    what = in_definition(what, known)
    if isinstance(what, ddl_model.CreateView):
        query = with_operators(what.query, known) or what.query
        keys = key_of(connection.catalog, session.search_path(), connection.temporary)
        query = with_determined(query, known, keys) or query
        query = with_texts(query, known, connection.database.engine.spelled) or query
        return what if query is what.query else changed(what, query=cast(exp.Query, query))
    return what


__all__ = ["changed", "context", "rewrite"]
