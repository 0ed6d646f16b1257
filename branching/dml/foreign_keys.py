"""Foreign keys, verified by query on what a statement touched: the engine's own are too eager, and know no branches.

A statement on a table that others refer to first keeps the keys of the rows it is about to change (``Write.remember``).
Afterwards those that are gone, and those that have become others, decide what happens to the rows that refer to them.

Rules:

1. Only rows that refer to such a key are looked at: what refers to nobody for another reason stays as it is.
2. CASCADE, SET NULL and SET DEFAULT run as writes of their own, generation after generation, at any depth. RESTRICT
   refuses at once; NO ACTION, and whether the rows written have their parents, is asked when all that has come to rest.
3. A snapshot alone would let one session delete a parent while another adds its child: per table, whoever comes second
   is refused with 40001 (``Transaction.refer``, ``remove_keys``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from branching import names
from branching.ddl.model import Name
from branching.dml import constraint_errors
from branching.dml.pieces import set_columns
from branching.dml.statements import Write
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Constraint, Table
from branching.names import RID, VERSION, quote
from branching.resolve import DIALECT, Scope
from branching.transaction import Transaction

if TYPE_CHECKING:
    from branching.connection import Connection

_GENERATIONS = 10_000
_KEPT = "_bough_keys_"


@dataclass(slots=True)
class _Step:
    """One write that has happened: ``kept`` holds the keys that its rows had, if others may refer to them."""

    write: Write
    table: Table
    statement: exp.Expr
    kept: str
    columns: tuple[str, ...]


class ForeignKeys:
    """What one statement of a client means to the foreign keys of its branch."""

    def __init__(self, connection: Connection, transaction: Transaction) -> None:
        self._connection = connection
        self._transaction = transaction
        self._number = 0
        self._todo: deque[_Step] = deque()
        self._children: dict[
            tuple[int, str], tuple[Table, Constraint]
        ] = {}  # rows written: have they parents?
        self._parents: list[tuple[Table, Constraint, Table, str]] = []  # keys that went: does a row miss one?

    def prepare(self, write: Write, scope: Scope, table: Table, statement: exp.Expr) -> None:
        """To be called before a write: has it keep the keys that it may take away."""
        if scope.line.is_trunk and self._transaction.cursor.engine.capabilities.native_foreign_keys:
            return
        columns = referred(scope, table, statement)
        kept = f"{_KEPT}{self._number}"
        if columns:
            self._number += 1
            write.keep_keys(kept, columns)
        self._todo.append(_Step(write, table, statement, kept, columns))

    def check(self) -> None:
        """To be called after it: carries out the actions and verifies the rest."""
        while self._todo:
            if self._number > _GENERATIONS:
                raise BoughError("54001", "foreign key actions are nested too deeply")
            self._follow(self._todo.popleft())
        scope = self._connection.scope()
        for child, constraint, parent, missing in self._parents:
            refuse_orphans(self._transaction, scope, child, constraint, parent, missing, still=True)
        for table, constraint in self._children.values():
            self._check_child(scope, table, constraint)
        for number in range(self._number):
            self._transaction.cursor.execute(f"DROP TABLE IF EXISTS {_KEPT}{number}")

    def _follow(self, step: _Step) -> None:
        table, statement = step.table, step.statement
        if not isinstance(statement, exp.Delete):
            for constraint in table.constraints:
                if constraint.kind == "f" and _may_refer(statement, constraint):
                    self._children[table.id, constraint.name] = table, constraint
        if not step.write.remembered:
            return
        scope = self._connection.scope()
        moved = self._moved(scope, step)
        for child, constraint in referrers(scope, table):
            if not _may_remove(statement, constraint):
                continue
            self._transaction.remove_keys(table.id)
            for gone, action in ((True, constraint.on_delete), (False, constraint.on_update)):
                if isinstance(statement, exp.Delete) and not gone:
                    continue
                keys = _Keys(moved, step.columns, constraint, gone)
                if action == "a" and self._waits(child, constraint):
                    self._defer(child, constraint, table, step, moved, gone)
                elif action == "a":
                    self._parents.append((child, constraint, table, keys.referring()))
                elif action == "r":
                    refuse_orphans(
                        self._transaction, scope, child, constraint, table, keys.referring(), still=False
                    )
                else:
                    self._act(child, constraint, action, keys)

    def _moved(self, scope: Scope, step: _Step) -> str:
        """A relation of the old keys (``o0`` …), the new ones (``n0`` …) and whether the row is gone."""
        if isinstance(step.statement, exp.Delete):
            return f"(SELECT *, true AS gone FROM {step.kept})"
        rows = scope.relation_sql(step.table, scope.line, hidden=True)
        numbers = range(len(step.columns))
        items = [f"_old.o{i}" for i in numbers]
        items += [f"_new.{quote(name)} AS n{i}" for i, name in enumerate(step.columns)]
        changed = [f"_old.o{i} IS DISTINCT FROM _new.{quote(name)}" for i, name in enumerate(step.columns)]
        kept = f"{_KEPT}{self._number}"
        self._number += 1
        sql = (
            f"SELECT {', '.join(items)}, _new.{RID} IS NULL AS gone FROM {step.kept} AS _old"
            f" LEFT JOIN ({rows}) AS _new ON _new.{RID} = _old.{RID}"
            f" WHERE _new.{RID} IS NULL OR {' OR '.join(changed)}"
        )
        cursor = self._transaction.cursor
        cursor.execute(cursor.engine.replace_temporary(kept, sql))
        return kept

    def _act(self, child: Table, constraint: Constraint, action: str, keys: _Keys) -> None:
        connection, transaction = self._connection, self._transaction
        scope = connection.scope()
        rows = scope.relation_sql(child, scope.line)
        referring = keys.referring()
        if not transaction.cursor.query(f"SELECT 1 FROM ({rows}) AS _child WHERE {referring} LIMIT 1"):
            return
        target = f"{quote(child.schema)}.{quote(child.name)} AS _child"
        where: exp.Expr = exp.Var(this=referring)
        if action == "c" and keys.gone:
            tree = sqlglot.parse_one(f"DELETE FROM {target}", dialect=DIALECT)
        elif action == "c":
            items = [f"{quote(mine)} = _moved.n{i}" for mine, i in keys.pairs()]
            tree = sqlglot.parse_one(f"UPDATE {target} SET {', '.join(items)}", dialect=DIALECT)
            source = exp.Subquery(this=exp.Var(this=keys.both()), alias=exp.to_identifier("_moved"))
            tree.set("from_", exp.From(this=source))
            same = [f"_child.{quote(mine)} = _moved.o{i}" for mine, i in keys.pairs()]
            where = exp.Var(this=" AND ".join(same))
        else:
            values = {column.name: column.default for column in child.columns if action == "d"}
            items = [f"{quote(name)} = {values.get(name) or 'NULL'}" for name in constraint.columns]
            tree = sqlglot.parse_one(f"UPDATE {target} SET {', '.join(items)}", dialect=DIALECT)
        tree.set("where", exp.Where(this=where))
        write = connection.writer(transaction, scope, ())
        self.prepare(write, scope, child, tree.copy())
        try:
            write.run(tree)
        except EngineError as error:
            if error.kind is ErrorKind.CONSTRAINT:
                raise constraint_errors.explain(error, child) or error from error
            raise

    def _waits(self, table: Table, constraint: Constraint) -> bool:
        transaction = self._transaction
        return transaction.explicit and transaction.deferred.is_deferred(table, constraint)

    def _defer(
        self, child: Table, constraint: Constraint, parent: Table, step: _Step, moved: str, gone: bool
    ) -> None:
        """Keeps the keys that went until COMMIT."""
        transaction = self._transaction
        name, deferred = transaction.deferred.relation()
        cursor = transaction.cursor
        cursor.execute(cursor.engine.replace_temporary(name, f"SELECT * FROM {moved} AS _moved"))
        referring = _Keys(name, step.columns, constraint, gone).referring()
        transaction.deferred = deferred.parent(child, constraint, parent, referring)

    def _check_child(self, scope: Scope, table: Table, constraint: Constraint) -> None:
        if self._waits(table, constraint):
            self._transaction.deferred = self._transaction.deferred.child(table, constraint)
            return
        parent = scope.target(Name(constraint.ref_table or "", constraint.ref_schema))
        transaction = self._transaction
        transaction.refer(parent.id)
        refuse_missing(scope, transaction.cursor, table, constraint, f"{VERSION} = {transaction.write()}")


class _Keys:
    """The keys of one constraint that went with their rows (``gone``), or that their rows have changed."""

    def __init__(self, moved: str, columns: tuple[str, ...], constraint: Constraint, gone: bool) -> None:
        self._moved = moved
        self._constraint = constraint
        self._numbers = [columns.index(name) for name in constraint.ref_columns]
        self.gone = gone

    def pairs(self) -> Iterator[tuple[str, int]]:
        """The columns that refer, each with the number of the column it refers to."""
        return zip(self._constraint.columns, self._numbers, strict=True)

    def _which(self) -> str:
        parts = ["gone" if self.gone else "NOT gone", *(f"o{i} IS NOT NULL" for i in self._numbers)]
        if not self.gone:
            parts.append("(" + " OR ".join(f"o{i} IS DISTINCT FROM n{i}" for i in self._numbers) + ")")
        return " AND ".join(parts)

    def both(self) -> str:
        """A query of the old and the new keys."""
        items = ", ".join(f"{letter}{i}" for letter in "on" for i in self._numbers)
        return f"SELECT {items} FROM {self._moved} AS _moved WHERE {self._which()}"

    def referring(self) -> str:
        """SQL over the child, called ``_child``: the row refers to one of the old keys."""
        same = " AND ".join(f"_moved.o{i} = _child.{quote(mine)}" for mine, i in self.pairs())
        return f"EXISTS (SELECT 1 FROM {self._moved} AS _moved WHERE {self._which()} AND {same})"


def referrers(scope: Scope, table: Table) -> Iterator[tuple[Table, Constraint]]:
    """The foreign keys that refer to the table, each with the table that has it."""
    for child in scope.catalog.tables():
        for constraint in child.constraints:
            if constraint.kind == "f" and (constraint.ref_schema, constraint.ref_table) == (
                table.schema,
                table.name,
            ):
                yield child, constraint


def referred(scope: Scope, table: Table, statement: exp.Expr) -> tuple[str, ...]:
    """The columns of the table that others refer to, and from which the statement may take a key away."""
    found: dict[str, None] = {}
    for _, constraint in referrers(scope, table):
        if _may_remove(statement, constraint):
            found.update(dict.fromkeys(constraint.ref_columns))
    return tuple(found)


def _may_refer(statement: exp.Expr, constraint: Constraint) -> bool:
    """Whether a write to the child can make it refer to another parent. Where a parent's end changes one key of a row,
    another key of the same row may still wait for its own turn."""
    return not isinstance(statement, exp.Update) or _sets(statement, constraint.columns)


def _may_remove(statement: exp.Expr, constraint: Constraint) -> bool:
    """Whether a write to the parent can take away a key that the constraint refers to."""
    if isinstance(statement, exp.Insert):
        conflict = statement.args.get("conflict")
        return conflict is not None and _sets(conflict, constraint.ref_columns)
    return not isinstance(statement, exp.Update) or _sets(statement, constraint.ref_columns)


def _sets(statement: exp.Expr, columns: tuple[str, ...]) -> bool:
    wanted = {name.lower() for name in columns}
    return any(name.lower() in wanted for name in set_columns(statement))


def orphan_predicate(constraint: Constraint, child: str, parent_sql: str) -> str:
    """SQL over ``child``: the row refers to a parent that is not there."""
    present = " AND ".join(f"{child}.{quote(name)} IS NOT NULL" for name in constraint.columns)
    match = " AND ".join(
        f"_parent.{quote(theirs)} = {child}.{quote(mine)}"
        for mine, theirs in zip(constraint.columns, constraint.ref_columns, strict=True)
    )
    return f"{present} AND NOT EXISTS (SELECT 1 FROM ({parent_sql}) AS _parent WHERE {match})"


def refuse_orphans(
    transaction: Transaction,
    scope: Scope,
    child: Table,
    constraint: Constraint,
    parent: Table,
    missing: str,
    *,
    still: bool,
) -> None:
    """23503 if a row refers to a key that went; with ``still``, one that nobody has brought back."""
    rows = scope.relation_sql(child, scope.line)
    if still:
        missing += f" AND {orphan_predicate(constraint, '_child', scope.relation_sql(parent, scope.line))}"
    found = transaction.cursor.query(
        f"SELECT {names.columns(constraint.columns)} FROM ({rows}) AS _child WHERE {missing} LIMIT 1"
    )
    if found:
        raise BoughError(
            "23503",
            f'update or delete on table "{parent.name}" violates foreign key constraint "{constraint.name}"'
            f' on table "{child.name}"',
            detail=f"Key ({', '.join(constraint.ref_columns)})=({_shown(found[0])}) is still referenced from"
            f' table "{child.name}".',
            schema=child.schema,
            table=child.name,
            constraint=constraint.name,
        )


def refuse_missing(scope: Scope, cursor: Any, table: Table, constraint: Constraint, which: str) -> None:
    """23503 if one of the table's rows ``which`` has no parent."""
    parent = scope.target(Name(constraint.ref_table or "", constraint.ref_schema))
    rows = scope.relation_sql(table, scope.line, hidden=True)
    found = cursor.query(
        f"SELECT {names.columns(constraint.columns)} FROM ({rows}) AS _child WHERE {which}"
        f" AND {orphan_predicate(constraint, '_child', scope.relation_sql(parent, scope.line))} LIMIT 1"
    )
    if found:
        raise BoughError(
            "23503",
            f'insert or update on table "{table.name}" violates foreign key constraint "{constraint.name}"',
            detail=f"Key ({', '.join(constraint.columns)})=({_shown(found[0])}) is not present in table"
            f' "{parent.name}".',
            schema=table.schema,
            table=table.name,
            constraint=constraint.name,
        )


def _shown(key: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in key)


__all__ = ["ForeignKeys", "orphan_predicate", "referrers", "refuse_missing", "refuse_orphans"]
