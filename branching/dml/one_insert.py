"""INSERT of a few given rows on the trunk, outside a block: one statement of the engine, which commits by itself.

Everybody's most frequent write. As a transaction of three statements and a row in ``commits`` it costs twice what the
engine needs for it. Rules:

1. The table is shared before the catalog is looked at: nobody can alter it between that look and the COMMIT.
2. A fork waits for the statement, or finds its version in flight; old images are never needed for new rows.
3. After an error the rows' own version tells whether they are durable; the statement is never repeated blindly.
4. What is not this simple, or meets a conflict, goes the long way (None).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import manifest, numbers
from branching.dml import constraint_errors, generated, identity, lengths
from branching.dml.lengths import Limit
from branching.dml.pieces import Binder
from branching.dml.statements import insert_columns
from branching.dml.trunk import SHORT, insert_target, with_version
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Table
from branching.names import VERSION
from branching.physical import BaseTable
from branching.resolve import DIALECT, Scope, table_name
from branching.result import Result
from branching.transaction import Transaction

if TYPE_CHECKING:
    from branching.connection import Connection

_PARTS = frozenset({"this", "expression"})


@dataclass(frozen=True, slots=True)
class OneInsert:
    """The engine's text, which parameters it takes in which order (the version is the last), and what it assumes."""

    sql: str
    takes: tuple[int, ...]
    types: tuple[str, ...]  # what each of them becomes; empty where that is not known of all
    rows: int
    table: Table
    base: BaseTable
    scope: Scope
    given: Sequence[str]  # columns that the statement has values for
    measured: tuple[tuple[int, Limit], ...]  # parameters, by place, that must be so short


def plan(tree: exp.Expr, scope: Scope, parameters: int) -> OneInsert | None:
    """``tree`` as one statement of the engine, if it is simple enough. ``parameters``: how many it is given."""
    if not scope.line.is_trunk or not isinstance(tree, exp.Insert) or not _is_simple(tree):
        return None
    tree = tree.copy()
    measured: list[tuple[int, Limit]] = []

    def note(place: int, limit: Limit) -> bool:
        measured.append((place, limit))
        return True

    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    name = table_name(node)
    if scope.is_temporary(name):
        return None
    try:
        table = scope.target(name)
        generated.settle(tree, table)
        identity.settle(tree, table, insert_columns(tree, table))
        lengths.settle(scope, tree, table, insert_columns(tree, table), lambda _query: 0, note)  # no query
        columns = insert_columns(tree, table)
        given = numbers.given(tree, columns)
        scope.resolve(tree, skip=node)
    except BoughError:
        return None  # told where the statement is run
    base = scope.physical.bases.get(table.storage.base or 0)
    if scope.elsewhere or scope.drew or tree.expression is None:
        return None
    if base is None or any(constraint.kind == "f" for constraint in table.constraints):
        return None
    rows = len(tree.expression.expressions)
    if not with_version(tree, columns, exp.Placeholder(this=str(parameters + 1))):
        return None
    tree.set("this", insert_target(base, node.alias or node.name, [*columns, VERSION]))
    kinds = {column.name: column.type for column in table.columns}
    types = _types(tree, [*(kinds[name] for name in columns), "BIGINT"])
    binder = Binder(scope.database.engine, range(parameters + 1))
    text = binder.text(tree)
    taken = tuple(types.get(str(number + 1), "") for number in binder.values)
    known = taken if all(taken) else ()
    return OneInsert(text, tuple(binder.values), known, rows, table, base, scope, given, tuple(measured))


def _types(tree: exp.Expr, columns: Sequence[str]) -> dict[str, str]:
    """What each parameter becomes, by its number: what it is cast to, or its column's type; empty for one that becomes
    several things, or is part of an expression."""
    found: dict[str, str] = {}
    for node in tree.find_all(exp.Placeholder):
        type_ = ""
        if isinstance(node.parent, exp.Cast):
            type_ = node.parent.to.sql(DIALECT)
        elif isinstance(node.parent, exp.Tuple) and isinstance(node.parent.parent, exp.Values):
            type_ = columns[node.index or 0]
        found[node.name] = type_ if found.get(node.name, type_) == type_ else ""
    return found


def _is_simple(tree: exp.Insert) -> bool:
    values = tree.expression
    return (
        isinstance(values, exp.Values)
        and len(values.expressions) <= SHORT
        and not any(value for part, value in tree.args.items() if part not in _PARTS)
        and isinstance(tree.this.this if isinstance(tree.this, exp.Schema) else tree.this, exp.Table)
        and next(values.find_all(exp.Query), None) is None
    )


def run(
    connection: Connection, planned: OneInsert, parameters: Sequence[Any], token: object
) -> Result | None:
    """Carries it out; None if it has to go the long way, with nothing done."""
    if not all(limit.fits(parameters[place]) for place, limit in planned.measured):
        return None  # cut, or refused
    database, line = connection.database, connection.line
    database.disk.check()
    transaction = Transaction(
        database,
        connection.cursor,
        line,
        connection.author,
        explicit=False,
        token=token,
        begun=False,
        guarded=True,
    )
    transaction.statement = connection.statement_text
    committed = False
    try:
        transaction.share(planned.table.id)
        transaction.arm(planned.base.id)
        version = transaction.take()
        if not planned.scope.means_the_same(connection.scope()):
            return None
        database.commit_log.mark(version)
        at = database.clock.instant(manifest.now())  # before anybody can see it
        given = [*parameters, version]
        transaction.begin_commit()
        try:
            values = [given[number] for number in planned.takes]
            connection.cursor.execute_again(planned.sql, values, planned.types)
        except EngineError as error:
            if error.kind is ErrorKind.CONSTRAINT:
                raise constraint_errors.explain(error, planned.table) or error from error
            if not _durable(connection, planned, version):
                if error.kind is ErrorKind.CONFLICT:
                    return None
                raise
        committed = True
        transaction.inserted = planned.rows
        connection.numbers.inserted(transaction, planned.scope, planned.table, planned.given)
        database.commit_log.note(transaction.entry(version, at, kept=True))
    except BoughError as error:
        if error.sqlstate == "40001":
            return None
        raise
    finally:
        transaction.done(committed=committed)
    database.checkpointer.after_commit()
    return Result(None, planned.rows)


def _durable(connection: Connection, planned: OneInsert, version: int) -> bool:
    cursor = connection.database.root.cursor()
    try:
        sql = f"SELECT count(*) FROM {planned.base.sql} WHERE {VERSION} = ?"
        return bool(cursor.query(sql, (version,))[0][0])
    finally:
        cursor.close()
