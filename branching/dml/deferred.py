"""Foreign keys that are checked at COMMIT: DEFERRABLE ones, in a block, while they are deferred.

Rules:

1. What is deferred is the question whether rows written have their parents, and whether keys that went are missed
   (NO ACTION). RESTRICT, CASCADE, SET NULL and SET DEFAULT act at once, as in Postgres.
2. Only what the block has touched is asked about: its rows, which carry its version, and the keys that it took away,
   which are kept until then.
3. What is noted here is a value: a savepoint keeps it, and going back brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from branching.client_errors import client_error
from branching.ddl.model import Name
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.model import Constraint, Table
from branching.names import VERSION
from branching.resolve import Scope

if TYPE_CHECKING:
    from branching.connection import Connection

Key = tuple[int, str]  # a foreign key: the table that has it, and its name
_GONE = "_bough_gone_"


@dataclass(frozen=True, slots=True)
class Deferred:
    """What a transaction has still to ask."""

    children: frozenset[Key] = frozenset()
    # Keys that went: the foreign key, the table that had them, SQL over ``_child`` for the rows that refer to them.
    parents: tuple[tuple[Key, int, str], ...] = ()
    kept: int = 0  # relations that hold such keys
    modes: Mapping[Key, bool] = field(default_factory=lambda: MappingProxyType({}))  # by SET CONSTRAINTS
    everything: bool | None = None  # by SET CONSTRAINTS ALL

    def is_deferred(self, table: Table, constraint: Constraint) -> bool:
        """Whether the foreign key waits for COMMIT now."""
        if not constraint.deferrable:
            return False
        said = self.modes.get((table.id, constraint.name), self.everything)
        return constraint.deferrable == "d" if said is None else said

    def child(self, table: Table, constraint: Constraint) -> Deferred:
        """Rows were written that may refer to no parent."""
        return replace(self, children=self.children | {(table.id, constraint.name)})

    def relation(self) -> tuple[str, Deferred]:
        """The name of a relation that is there until COMMIT."""
        return f"{_GONE}{self.kept}", replace(self, kept=self.kept + 1)

    def parent(self, child: Table, constraint: Constraint, parent: Table, referring: str) -> Deferred:
        """Keys of ``parent`` went that rows of ``child`` may refer to."""
        gone = ((child.id, constraint.name), parent.id, referring)
        return replace(self, parents=(*self.parents, gone))

    def refuse(self, table: Table, what: str) -> None:
        """55006 for a change of a table as a whole while something is to be asked of its rows."""
        if any(key[0] == table.id for key in self.children) or any(
            item[1] == table.id for item in self.parents
        ):
            raise BoughError(
                "55006",
                f'cannot {what} "{table.name}" because it has pending trigger events',
                detail="A deferred foreign key of it has not been checked yet.",
                hint="SET CONSTRAINTS ALL IMMEDIATE checks it, and so does COMMIT.",
            )

    def without(self, keys: frozenset[Key] | None) -> Deferred:
        """What is left when these foreign keys (None: all) have been checked."""
        if keys is None:
            return replace(self, children=frozenset(), parents=())
        return replace(
            self,
            children=self.children - keys,
            parents=tuple(item for item in self.parents if item[0] not in keys),
        )


def check(connection: Connection, keys: frozenset[Key] | None = None) -> None:
    """Asks what was deferred, of these foreign keys (None: of all). 23503 if one is broken."""
    from branching.dml.foreign_keys import refuse_missing, refuse_orphans

    transaction = connection.transaction
    if transaction is None or not (transaction.deferred.children or transaction.deferred.parents):
        return
    deferred, scope = transaction.deferred, connection.scope()
    for key, parent, referring in deferred.parents:
        child, constraint = _found(scope, key)
        there = next((table for table in scope.catalog.tables() if table.id == parent), None)
        if child is not None and constraint is not None and there is not None and _wanted(key, keys):
            refuse_orphans(transaction, scope, child, constraint, there, referring, still=True)
    for key in sorted(deferred.children):
        child, constraint = _found(scope, key)
        if child is not None and constraint is not None and _wanted(key, keys):
            target = scope.target(Name(constraint.ref_table or "", constraint.ref_schema))
            transaction.refer(target.id)
            which = f"{VERSION} = {transaction.write()}"
            refuse_missing(scope, transaction.cursor, child, constraint, which)
    transaction.deferred = deferred.without(keys)


def check_last(connection: Connection) -> None:
    """Before COMMIT: asks everything, and rolls back where the answer is no."""
    try:
        check(connection)
    except BaseException as error:
        connection.rollback()
        if isinstance(error, EngineError):
            raise client_error(error) from error
        raise


def set_constraints(connection: Connection, wanted: Sequence[Name] | None, *, deferred: bool) -> None:
    """SET CONSTRAINTS ALL (None) or some. What is not deferred any more is checked now."""
    transaction = connection.transaction
    assert transaction is not None
    if wanted is None:
        if not deferred:
            check(connection)
        transaction.deferred = replace(transaction.deferred, modes=MappingProxyType({}), everything=deferred)
        return
    scope = connection.scope()
    keys = frozenset(key for name in wanted for key in _named(scope, name))
    if not deferred:
        check(connection, keys)
    modes = {**transaction.deferred.modes, **dict.fromkeys(keys, deferred)}
    transaction.deferred = replace(transaction.deferred, modes=MappingProxyType(modes))


def _named(scope: Scope, name: Name) -> list[Key]:
    """The foreign keys of that name in the first schema that has one."""
    schemas = (scope.schema_name(name.schema),) if name.schema else scope.schemas()
    for schema in schemas:
        found = [
            (table, constraint)
            for table in scope.catalog.tables()
            for constraint in table.constraints
            if table.schema == schema and constraint.name == name.name
        ]
        for _, constraint in found:
            if not constraint.deferrable:
                raise BoughError("42809", f'constraint "{name.name}" is not deferrable')
        if found:
            return [(table.id, constraint.name) for table, constraint in found]
    raise BoughError("42704", f'constraint "{name.name}" does not exist')


def _found(scope: Scope, key: Key) -> tuple[Table | None, Constraint | None]:
    table = next((item for item in scope.catalog.tables() if item.id == key[0]), None)
    if table is None:
        return None, None
    return table, next((item for item in table.constraints if item.name == key[1]), None)


def _wanted(key: Key, keys: frozenset[Key] | None) -> bool:
    return keys is None or key in keys
