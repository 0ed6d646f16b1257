"""Writes outside a block: each is a transaction of its own, tried again on conflict.

Only conflicts in a block that the client opened reach the client (40001).
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import temporary
from branching.client_errors import is_conflict
from branching.dml import one_insert
from branching.dml.one_insert import OneInsert
from branching.engine.base import EngineError
from branching.errors import BoughError
from branching.plans import Kept
from branching.result import Result
from branching.table_uses import release
from branching.writes import Statement

if TYPE_CHECKING:
    from branching.connection import Connection

TRIES = 12


class Autocommit:
    """The writes of one connection outside a block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inserts: Kept[OneInsert] = Kept()

    def run(self, statement: Statement, parameters: Sequence[Any], key: Hashable) -> Result:
        connection = self._connection
        token = object()  # claims on tables outlive a try: the next one finds them free of writers
        try:
            if (planned := self._one_insert(statement, parameters, key)) is not None:
                with connection.sealed():
                    if (result := one_insert.run(connection, planned, parameters, token)) is not None:
                        return result
            return self._tried(statement, parameters, token)
        finally:
            with connection.database.gate:
                release(connection.line, token)
                connection.database.gate.notify_all()

    def _one_insert(self, statement: Statement, parameters: Sequence[Any], key: Hashable) -> OneInsert | None:
        if not isinstance(statement, exp.Insert):
            return None
        scope = self._connection.scope()
        planned = self._inserts.get(key, statement)
        if planned is None or not planned.scope.means_the_same(scope):
            planned = one_insert.plan(statement, scope, len(parameters))
            if planned is not None:
                self._inserts.keep(key, statement, planned)
        return planned

    def _tried(self, statement: Statement, parameters: Sequence[Any], token: object) -> Result:
        connection = self._connection
        last: EngineError | BoughError | None = None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(0.002 * 2**attempt, 0.25))
            transaction = connection.new_transaction(explicit=False, token=token)
            connection.transaction = transaction
            transaction.rebuilds_indexes = attempt > 0
            try:
                result = connection.writes.run(transaction, statement, parameters)
                if transaction.confirm():
                    temporary.at_commit(connection)
                    with connection.sealed():
                        transaction.commit()
                    return result
                transaction.rollback()
            except (BoughError, EngineError) as error:
                # An error on a catalog that was not the snapshot's says nothing.
                moved = not transaction.confirm()
                transaction.rollback()
                if not moved and not is_conflict(error):
                    raise
                last = error
            except BaseException:
                transaction.rollback()
                raise
            finally:
                connection.transaction = None
        if last is not None:
            raise last
        raise BoughError(
            "40001",
            "could not serialize access due to concurrent schema changes",
            hint="Retry.",
            detail="Each try found the catalog changed since it was planned.",
        )
