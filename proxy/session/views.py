"""The system views of schema ``bough``, as subqueries put in their place in a statement.

What the manifest stores is read from it in the statement's own snapshot; what only the server knows (sessions,
settings) is written out as typed values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import branch_info
from branching.errors import BoughError
from branching.names import MANIFEST_SCHEMA as M
from branching.names import literal, quote
from proxy.commands import VIEWS
from proxy.commands.results import Columns

if TYPE_CHECKING:
    from proxy.session.session import Session

SCHEMA = "bough"
_BRANCH_NAME = f"(SELECT name FROM {M}.branches AS _b WHERE _b.id = _c.branch LIMIT 1)"
_STORED = {
    "commits": (
        f"SELECT version, {_BRANCH_NAME} AS branch, committed_at AS at, role, application_name, agent, request_id,"
        f" merge_id, statement, inserted, updated, deleted FROM {M}.commits AS _c"
    ),
    "merges": f"SELECT id, merged_at AS at, source, target, strategy, state, role FROM {M}.merges",
    "conflicts": (
        'SELECT id, merge_id, schema_name AS schema, table_name AS "table", key, kind, column_name AS "column",'
        f" base, branch_value, target_value, resolution, value FROM {M}.conflicts"
    ),
    "violations": (
        'SELECT merge_id, schema_name AS schema, table_name AS "table", constraint_name AS "constraint", kind, key,'
        f" detail FROM {M}.violations"
    ),
}


def mentioned(tree: exp.Expr) -> list[exp.Table]:
    """The system views a statement names."""
    return [
        node
        for node in tree.find_all(exp.Table)
        if isinstance(node.this, exp.Identifier) and node.text("db") == SCHEMA
    ]


def substitute(session: Session, tree: exp.Expr) -> exp.Expr:
    """``tree`` (which it changes) with every system view replaced."""
    for node in mentioned(tree):
        if node.name == "commits":
            session.service.database.commit_log.flush()
        sql = _STORED.get(node.name) or _values(session, node.name)
        if sql is None:
            raise BoughError(
                "42P01",
                f'relation "bough.{node.name}" does not exist',
                hint="The system views are " + ", ".join(f"bough.{name}" for name in VIEWS) + ".",
                detail="The schema bough has system views only.",
            )
        replace(node, sql)
    return tree


def replace(node: exp.Table, sql: str) -> exp.Subquery:
    """Puts a query over storage or constants in a table's place."""
    alias = node.args.get("alias")
    if alias is None or not alias.this:
        name = node.name if isinstance(node.this, exp.Identifier) else node.this.name
        columns = alias.args.get("columns") if alias is not None else None
        alias = exp.TableAlias(this=exp.to_identifier(name, quoted=True), columns=columns)
    made = exp.Subquery(this=exp.Var(this=sql), alias=alias.copy())
    for key in ("joins", "sample", "pivots", "laterals"):
        if value := node.args.get(key):
            made.set(key, value)
    node.replace(made)
    return made


def _values(session: Session, name: str) -> str | None:
    rows: Iterable[Sequence[Any]]
    if name == "branches":
        rows = branch_rows(session)
    elif name == "sessions":
        rows = session_rows(session)
    elif name == "settings":
        rows = [(row[0], row[1], row[2], row[3], row[4]) for row in session.service.settings.rows()]
    elif name == "shadow_log":
        rows = session.service.replays.log_rows()
    elif name == "shadow_stats":
        rows = session.service.replays.stat_rows()
    elif name == "transfers":
        rows = session.service.remote.transfer_rows()
    else:
        return None
    return values_sql(VIEWS[name], rows)


def values_sql(columns: Columns, rows: Iterable[Sequence[Any]]) -> str:
    """A query of constants with exactly these columns and types."""
    names = ", ".join(
        f"CAST(_{number} AS {kind}) AS {quote(name)}" for number, (name, kind) in enumerate(columns)
    )
    places = ", ".join(f"_{number}" for number in range(len(columns)))
    written = [f"({', '.join(constant(value) for value in row)})" for row in rows]
    if not written:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns)
        return f"SELECT {empty} WHERE false"
    return f"SELECT {names} FROM (VALUES {', '.join(written)}) AS _v({places})"


def constant(value: Any) -> str:
    """A Python value as an SQL constant."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if value == value and abs(value) != float("inf") else f"'{value}'::DOUBLE"
    if isinstance(value, bytes):
        return f"from_hex({literal(value.hex())})"
    if isinstance(value, datetime) and value.tzinfo is None:
        return f"TIMESTAMP {literal(value.isoformat(sep=' '))}"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ {literal(value.isoformat())}"
    if isinstance(value, bytes):
        return f"unhex('{value.hex()}')"
    if isinstance(value, timedelta):
        return f"to_microseconds({value // timedelta(microseconds=1)})"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(constant(item) for item in value) + "]" if value else "CAST([] AS VARCHAR[])"
    if isinstance(value, dict):
        return literal(json.dumps(value))
    return literal(str(value))


def branch_rows(session: Session) -> list[tuple[Any, ...]]:
    assert session.connection is not None
    cursor = session.service.database.root.cursor()
    try:
        found = branch_info.information(session.service.database, cursor)
    finally:
        cursor.close()
    return [tuple(getattr(row, name) for name, _ in VIEWS["branches"]) for row in found]


def session_rows(session: Session) -> list[tuple[Any, ...]]:
    return [
        (
            other.pid,
            other.user,
            other.connection.branch if other.connection is not None else None,
            other.setting("application_name"),
            other.agent,
            other.client,
            other.started_at,
            other.state,
            other.shown_statement,
        )
        for other in sorted(session.service.sessions.values(), key=lambda item: item.pid)
        if other.connection is not None
    ]
