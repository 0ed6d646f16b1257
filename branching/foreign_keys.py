"""Foreign keys, verified by query on what a statement touched: the engine's own are too eager, and know no branches.

After a write to a child, the rows this transaction wrote must have their parents. After a delete or a key change on a
parent, no child may be left without: NO ACTION and RESTRICT refuse, CASCADE deletes the orphans, SET NULL and
SET DEFAULT give them another key.
A snapshot alone would let one session delete a parent while another adds its child: per table, whoever comes second is
refused with 40001 (``Transaction.refer``, ``remove_keys``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import names
from branching.ddl_model import Name
from branching.dml import set_columns
from branching.errors import BoughError
from branching.model import Constraint, Table
from branching.names import VERSION, quote
from branching.resolve import DIALECT, Scope
from branching.transaction import Transaction

if TYPE_CHECKING:
    from branching.connection import Connection

_DEPTH = 64


def check(
    connection: Connection,
    transaction: Transaction,
    scope: Scope,
    table: Table,
    statement: exp.Expr,
    depth: int = 0,
) -> None:
    """Verifies every foreign key that ``statement``'s write to ``table`` may have broken."""
    if scope.line.is_trunk and transaction.cursor.engine.capabilities.native_foreign_keys:
        return
    if depth > _DEPTH:
        raise BoughError("54001", "foreign key actions are nested too deeply")
    if not isinstance(statement, exp.Delete):
        for constraint in table.constraints:
            if constraint.kind == "f" and _may_refer(statement, constraint):
                _check_child(transaction, scope, table, constraint)
    if isinstance(statement, exp.Insert) and statement.args.get("conflict") is None:
        return
    for child in scope.catalog.tables():
        for constraint in child.constraints:
            if (
                constraint.kind == "f"
                and (constraint.ref_schema, constraint.ref_table) == (table.schema, table.name)
                and _may_remove(statement, constraint)
            ):
                transaction.remove_keys(table.id)
                _check_parent(connection, transaction, scope, child, constraint, table, statement, depth)


def _may_refer(statement: exp.Expr, constraint: Constraint) -> bool:
    """Whether a write to the child can make it refer to another parent. Where a parent's end changes one key of a row,
    another key of the same row may still wait for its own turn."""
    if not isinstance(statement, exp.Update):
        return True
    keys = {name.lower() for name in constraint.columns}
    return any(name.lower() in keys for name in set_columns(statement))


def _may_remove(statement: exp.Expr, constraint: Constraint) -> bool:
    """Whether a write to the parent can take away a key that the constraint refers to."""
    if not isinstance(statement, exp.Update):
        return True
    keys = {name.lower() for name in constraint.ref_columns}
    return any(name.lower() in keys for name in set_columns(statement))


def orphan_predicate(constraint: Constraint, child: str, parent_sql: str) -> str:
    """SQL over ``child``: the row refers to a parent that is not there."""
    present = " AND ".join(f"{child}.{quote(name)} IS NOT NULL" for name in constraint.columns)
    match = " AND ".join(
        f"_parent.{quote(theirs)} = {child}.{quote(mine)}"
        for mine, theirs in zip(constraint.columns, constraint.ref_columns, strict=True)
    )
    return f"{present} AND NOT EXISTS (SELECT 1 FROM ({parent_sql}) AS _parent WHERE {match})"


def _check_child(transaction: Transaction, scope: Scope, table: Table, constraint: Constraint) -> None:
    parent = scope.target(Name(constraint.ref_table or "", constraint.ref_schema))
    transaction.refer(parent.id)
    rows = scope.relation_sql(table, scope.line, hidden=True)
    found = transaction.cursor.query(
        f"SELECT {names.columns(constraint.columns)} FROM ({rows}) AS _child"
        f" WHERE {VERSION} = {transaction.write()}"
        f" AND {orphan_predicate(constraint, '_child', scope.relation_sql(parent, scope.line))} LIMIT 1"
    )
    if found:
        key = ", ".join(str(value) for value in found[0])
        raise BoughError(
            "23503",
            f'insert or update on table "{table.name}" violates foreign key constraint "{constraint.name}"',
            detail=f'Key ({", ".join(constraint.columns)})=({key}) is not present in table "{parent.name}".',
            schema=table.schema,
            table=table.name,
            constraint=constraint.name,
        )


def _check_parent(
    connection: Connection,
    transaction: Transaction,
    scope: Scope,
    child: Table,
    constraint: Constraint,
    parent: Table,
    statement: exp.Expr,
    depth: int,
) -> None:
    rows = scope.relation_sql(child, scope.line)
    orphans = orphan_predicate(constraint, "_child", scope.relation_sql(parent, scope.line))
    found = transaction.cursor.query(
        f"SELECT {names.columns(constraint.columns)} FROM ({rows}) AS _child WHERE {orphans} LIMIT 1"
    )
    if not found:
        return
    action = constraint.on_delete if isinstance(statement, exp.Delete) else "a"
    if action in "ar":
        key = ", ".join(str(value) for value in found[0])
        raise BoughError(
            "23503",
            f'update or delete on table "{parent.name}" violates foreign key constraint "{constraint.name}"'
            f' on table "{child.name}"',
            detail=f'Key ({", ".join(constraint.ref_columns)})=({key}) is still referenced from table "{child.name}".',
            schema=child.schema,
            table=child.name,
            constraint=constraint.name,
        )
    target = f"{quote(child.schema)}.{quote(child.name)}"
    parent_name = f"{quote(parent.schema)}.{quote(parent.name)}"
    where = orphan_predicate(constraint, "_child", f"SELECT * FROM {parent_name}")
    if action == "c":
        text = f"DELETE FROM {target} AS _child WHERE {where}"
    else:
        values = {column.name: column.default for column in child.columns if action == "d"}
        assigned = ", ".join(f"{quote(name)} = {values.get(name) or 'NULL'}" for name in constraint.columns)
        text = f"UPDATE {target} AS _child SET {assigned} WHERE {where}"
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    fresh = connection.scope()
    connection.writer(transaction, fresh, ()).run(tree.copy())
    check(connection, transaction, connection.scope(), child, tree, depth + 1)
