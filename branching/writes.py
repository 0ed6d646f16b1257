"""Statements that write, inside a transaction that is already open: DML, DDL, TRUNCATE, temporary tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import temporary
from branching.ddl import counters
from branching.ddl import model as ddl_model
from branching.ddl.branch import BranchDdl
from branching.ddl.changes import Ddl
from branching.ddl.trunk import TrunkDdl
from branching.dml import constraint_errors, emptying
from branching.dml.foreign_keys import ForeignKeys, referrers
from branching.dml.statements import Written
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Column, Table
from branching.names import TEMPORARY_SCHEMAS
from branching.resolve import Scope, table_name
from branching.result import Result
from branching.steady import settle_definition
from branching.transaction import Transaction

if TYPE_CHECKING:
    from branching.connection import Connection

Statement = exp.Expr | ddl_model.Ddl


class Writes:
    """The writes of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, transaction: Transaction, statement: Statement, parameters: Sequence[Any]) -> Result:
        transaction.statement = self._connection.statement_text
        if not isinstance(statement, exp.Delete | ddl_model.Drop | ddl_model.Truncate):
            self._connection.database.disk.check()
        if isinstance(statement, ddl_model.Truncate):
            return self._truncate(transaction, statement)
        if not isinstance(statement, exp.Expr):
            settle_definition(transaction, statement, self._connection.scope())
            if not temporary.ddl(self._connection, statement):
                self._ddl(transaction).run(statement)
            return Result()
        if isinstance(statement, exp.Create):
            return self._create(transaction, statement, parameters)
        for name, rows in self._connection.sources.items():  # in each try: a rollback forgets them
            self._connection.cursor.register(name, rows)
        scope = self._connection.scope()
        tree = statement.copy()
        node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        write = self._connection.writer(transaction, scope, parameters)
        table = self._target(scope, node)
        keys = ForeignKeys(self._connection, transaction)
        drawn = dict(transaction.drawn)
        if table is not None:
            keys.prepare(write, scope, table, statement)
        try:
            written = None
            if table is not None and emptying.takes_all(tree):
                written = emptying.deleted(write, table, lambda: self._ddl(transaction))
            if written is None:
                written = write.run(tree)
        except EngineError as error:
            if table is not None and error.kind is ErrorKind.CONSTRAINT:
                raise constraint_errors.explain(error, table) or error from error
            raise
        keys.check()
        if table is not None and isinstance(tree, exp.Insert):
            self._connection.numbers.inserted(transaction, write.scope, table, write.given, drawn)
        return self._written(written)

    @staticmethod
    def _target(scope: Scope, node: exp.Expr) -> Table | None:
        if not isinstance(node, exp.Table) or scope.is_temporary(table_name(node)):
            return None
        found = scope.find(table_name(node))
        return found[2] if found is not None and isinstance(found[2], Table) else None

    def _ddl(self, transaction: Transaction) -> Ddl:
        if transaction.explicit and not self._connection.cursor.engine.capabilities.transactional_ddl:
            raise BoughError(
                "0A000",
                "this engine cannot change definitions in a transaction block",
                hint="COMMIT first, and run the statement by itself.",
            )
        kind = TrunkDdl if self._connection.line.is_trunk else BranchDdl
        return kind(transaction, self._connection.scope(), self._connection.notices.append)

    def _written(self, written: Written) -> Result:
        if written.columns is None:
            return Result(None, written.count)
        return Result(written.columns, written.count, iter([written.rows] if written.rows else []))

    def _create(self, transaction: Transaction, tree: exp.Create, parameters: Sequence[Any]) -> Result:
        node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        properties = tree.args.get("properties")
        private = properties is not None and properties.find(exp.TemporaryProperty) is not None
        if tree.args.get("kind", "").upper() != "TABLE" or not isinstance(node, exp.Table):
            raise BoughError("0A000", "this form of CREATE is not supported")
        if private or node.text("db") in TEMPORARY_SCHEMAS:
            return temporary.create(self._connection, tree, node, parameters)
        query = tree.expression
        if query is None:
            self._ddl(transaction).create_table(tree)
            return Result()
        scope = self._connection.scope()
        resolved = scope.resolve(query.copy())
        described = self._connection.cursor.describe(
            self._connection.cursor.engine.text(resolved), list(parameters)
        )
        columns = [
            Column(self._connection.database.next_id(), item.name, _storable(item.type)) for item in described
        ]
        ddl = self._ddl(transaction)
        table = ddl.create_table(tree, columns)
        if table is None:
            return Result(None, 0)
        insert = exp.Insert(
            this=exp.table_(
                exp.to_identifier(table.name, quoted=True), db=exp.to_identifier(table.schema, quoted=True)
            ),
            expression=query.copy(),
        )
        if tree.args.get("no_data"):
            return Result(None, 0)
        written = self._connection.writer(transaction, self._connection.scope(), parameters).run(insert)
        return Result(None, written.count)

    def _truncate(self, transaction: Transaction, statement: ddl_model.Truncate) -> Result:
        lasting = [name for name in statement.tables if not temporary.truncate(self._connection, name)]
        tables = self._truncated(lasting, cascade=statement.cascade)
        for table in tables:
            self._connection.writer(transaction, self._connection.scope(), ()).prepare(table)
        for table in tables:
            transaction.deferred.refuse(table, "TRUNCATE")
            transaction.claim(table.id)
            scope = self._connection.scope()
            if any(True for _ in referrers(scope, table)):
                transaction.remove_keys(table.id)
            target = exp.table_(table.name, db=table.schema, quoted=True)
            write = self._connection.writer(transaction, scope, ())
            if not emptying.truncated(write, table, lambda: self._ddl(transaction)):
                write.run(exp.Delete(this=target))
            if statement.restart_identity:
                for sequence in scope.catalog.sequences():
                    if sequence.owned_by and sequence.owned_by[0] == table.id:
                        counters.restart(self._ddl(transaction), sequence, sequence.start)
        return Result()

    def _truncated(self, wanted: Sequence[ddl_model.Name], *, cascade: bool) -> list[Table]:
        """The tables that TRUNCATE empties: no table that others refer to without those."""
        scope = self._connection.scope()
        tables = {table.id: table for table in map(scope.target, wanted)}
        todo = list(tables.values())
        while todo:
            table = todo.pop()
            for child, _ in referrers(scope, table):
                if child.id in tables:
                    continue
                if not cascade:
                    raise BoughError(
                        "0A000",
                        "cannot truncate a table referenced in a foreign key constraint",
                        detail=f'Table "{child.name}" references "{table.name}".',
                        hint=f'Truncate table "{child.name}" at the same time, or use TRUNCATE ... CASCADE.',
                    )
                self._connection.notices.append(f'truncate cascades to table "{child.name}"')
                tables[child.id] = child
                todo.append(child)
        return list(tables.values())


def _storable(kind: str) -> str:
    return "INTEGER" if kind in ('"NULL"', "NULL") else kind
