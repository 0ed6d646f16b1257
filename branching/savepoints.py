"""Savepoints: where a block that a client has opened was, and going back there.

The engine undoes whole transactions only, and an error of its own undoes this one. So to go back to a savepoint the
engine's transaction is undone and begun anew, and what the block had written by then is written again. Rules:

1. The block stays the one it was: its version, its place among the writers of its tables and its time of day.
2. It is written again only if that gives the same: nobody has committed to a table that the block has read or written
   since it began, no definition of its branch has changed, and every statement gives its first answer again. What the
   engine or the clock chose has been put into the statements when they first ran (``steady``).
3. Otherwise 40001, and nothing of the block is in the database any more: never half of it.
4. Where nothing has reached the engine since the savepoint, nothing is to be done.
5. A block that had written nothing by then begins anew, and reads the present.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from branching import names
from branching.engine.base import EngineError, ErrorKind
from branching.engine.log import OtherAnswer, Place
from branching.errors import BoughError
from branching.lines import Line, TableUse
from branching.names import MANIFEST_SCHEMA, VERSION
from branching.temporary import TemporaryTable
from branching.transaction import Transaction
from branching.watch import Look

if TYPE_CHECKING:
    from branching.connection import Connection

_PIN = f"SELECT 1 FROM {MANIFEST_SCHEMA}.branches LIMIT 1"  # the engine's snapshot begins with it
# What a transaction knows of its changes, and forgets when they are undone.
_STATE = (
    "changes", "bases", "storage", "records", "afterwards", "inserted", "updated", "deleted", "forgets", "catalog",
    "_unarmed", "_deleted_noted", "_newly_touched", "doubtful", "sequences", "deferred",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A savepoint: where the block was."""

    transaction: Transaction
    place: Place
    instant: str
    state: Mapping[str, Any]
    uses: tuple[frozenset[int], ...]
    temporary: dict[str, TemporaryTable]


def mark(connection: Connection) -> Mark:
    """Sets a savepoint in the open block."""
    transaction = connection.transaction
    assert transaction is not None
    instant = transaction.instant()
    transaction.marked = True
    _ask_doubtful(connection, transaction)
    state = {name: copy(getattr(transaction, name)) for name in _STATE}
    return Mark(
        transaction, transaction.log.place(), instant, state, transaction.uses(), connection.temporary
    )


def _ask_doubtful(connection: Connection, transaction: Transaction) -> None:
    """Notes a digest of what the engine has chosen."""
    if not transaction.doubtful or transaction.log.broken is not None:
        return
    scope = connection.scope()
    tables = {table.id: table for table in transaction.catalog.tables()}
    for key, whole in transaction.doubtful.items():
        table = connection.temporary.get(key) if isinstance(key, str) else tables.get(key)
        if table is None:
            continue
        if isinstance(key, str):
            rows = f"SELECT * FROM {names.temporary(key)}"
        else:
            rows = scope.relation_sql(table, scope.line, hidden=True)
            if not whole:
                rows = f"SELECT * FROM ({rows}) AS _all WHERE {VERSION} = {transaction.version}"
        sql = transaction.cursor.engine.digest(rows, [column.name for column in table.columns])
        transaction.log.add("query", sql, (), transaction.cursor.query(sql))
    transaction.doubtful.clear()


def go_back(connection: Connection, mark: Mark) -> None:
    """Undoes what the open block has done since ``mark``. Raises BoughError 0A000 or 40001 where it cannot: the block
    has to be rolled back then."""
    transaction = connection.transaction
    assert transaction is not None
    same = transaction is mark.transaction
    if same and transaction.log.taken == mark.place.taken and _stands(connection, transaction):
        _restore(connection, transaction, mark)
    elif mark.place.taken == 0:
        connection.rollback()
        connection.begin(transaction.read_only)
        assert connection.transaction is not None
        connection.transaction.pin(mark.instant)
        connection.transaction.deferred = mark.state["deferred"]
    elif mark.place.broken is not None or not same:
        reason = mark.place.broken or "the transaction has been begun anew since"
        raise BoughError(
            "0A000",
            "cannot roll back to this savepoint",
            detail=f"To go back, what came before it has to be written again, and {reason}.",
            hint="ROLLBACK the whole transaction.",
        )
    else:
        _write_again(connection, transaction, mark)
    connection.failed = False


def cannot_repeat(connection: Connection, reason: str) -> None:
    """The open block is about to write what it could not write again: no later savepoint can be gone back to."""
    if connection.transaction is not None:
        connection.transaction.log.stop(reason)


def _stands(connection: Connection, transaction: Transaction) -> bool:
    """Whether the engine still has what the block has done."""
    return not transaction.lost and (not connection.failed or connection.stands())


def _restore(connection: Connection, transaction: Transaction, mark: Mark) -> None:
    for name, value in mark.state.items():
        setattr(transaction, name, copy(value))
    transaction.back_to_uses(mark.uses)
    transaction.refresh_physical()
    connection.temporary = mark.temporary


def _write_again(connection: Connection, transaction: Transaction, mark: Mark) -> None:
    database, cursor = transaction.database, transaction.cursor
    numbers = _numbers(connection, transaction, mark)
    zone, since = cursor.zone, transaction.stamp
    cursor.log = None
    connection.failed = transaction.lost = True  # until all is well
    try:
        with database.catalog_lock:
            with database.gate:
                stamp = database.stamp
            epoch, physical = database.epoch, database.physical
            cursor.rollback()
            cursor.begin(transaction.read_only)
            cursor.query(_PIN)
        _refuse_news(transaction, since, stamp)
        _refuse_moved_storage(transaction, physical)
        if cursor.zone != transaction.zone:
            cursor.set_time_zone(transaction.zone)
        transaction.log.repeat(mark.place, cursor)
        for sequence, value in numbers.items():
            cursor.next_start(sequence, value, given=True)
    except OtherAnswer as error:
        cursor.rollback()
        raise _changed("A statement that was run again gave another answer than the first time.") from error
    except EngineError as error:
        cursor.rollback()
        if error.kind in (ErrorKind.INTERRUPTED, ErrorKind.FATAL):
            raise
        raise _changed("A statement that was run again failed.") from error
    except BaseException:
        cursor.rollback()
        raise
    finally:
        if cursor.zone != zone:
            with suppress(EngineError):
                cursor.set_time_zone(zone)
        cursor.log = transaction.log
    transaction.lost = False
    transaction.log.back_to(mark.place)
    transaction.pin(mark.instant)
    transaction.begin_again(stamp, epoch, physical)
    _restore(connection, transaction, mark)


def _numbers(connection: Connection, transaction: Transaction, mark: Mark) -> dict[str, int]:
    """The last numbers of sequences that were made in the block: they are not given twice."""
    made: Collection[str] = mark.state["sequences"]
    if not made:
        return {}
    stands = _stands(connection, transaction)
    found = {}
    for sequence in made:
        last = transaction.cursor.last_value(sequence) if stands else transaction.drawn.get(sequence)
        if last is not None:
            found[sequence] = last
    return found


def _refuse_news(transaction: Transaction, since: int, stamp: int) -> None:
    """40001 if anything that the block has read or written is another in the snapshot that has just been taken.

    A commit is in the snapshot before its stamp is counted: whoever is in between still counts as a writer.
    """
    database, watch = transaction.database, transaction.watch
    own = transaction.line
    seen = set(watch.seen)
    for tables in transaction.uses():
        seen |= {(own, table) for table in tables}
    looks: dict[Line, Look] = {**watch.lines, own: (transaction.seq, transaction.fork)}
    writing: set[int] = set()
    with database.gate:
        for line, look in looks.items():
            if (line.seq, line.record.fork) != look or database.lines.get(line.id) is not line:
                raise _changed(f'The definitions of branch "{line.name}" have changed, or what is under it.')
            if max(line.unnamed, line.moved) > since:
                raise _changed(f'Another transaction has changed branch "{line.name}" as a whole.')
            writing |= line.writers
        for line, table in seen:
            use = line.uses.get(table, TableUse())
            if max(use.written, use.changed) > since:
                raise _changed(f"Another transaction has changed {_named(line, table)}.")
    writing.discard(transaction.version or 0)
    if writing and _any_visible(transaction, seen, writing):
        raise _changed("Another transaction has just committed.")


def _any_visible(transaction: Transaction, seen: set[tuple[Line, int]], versions: set[int]) -> bool:
    """Whether the snapshot holds one of these versions: by the log, or by a row of one that is not in it yet."""
    listed = ", ".join(map(str, sorted(versions)))
    cursor = transaction.cursor
    if cursor.query(f"SELECT 1 FROM {MANIFEST_SCHEMA}.commits WHERE version IN ({listed}) LIMIT 1"):
        return True
    for line, identifier in seen:
        if not line.is_trunk:
            continue
        table = next((item for item in line.catalog.tables() if item.id == identifier), None)
        base = table and transaction.database.physical.bases.get(table.storage.base or 0)
        if base and cursor.query(f"SELECT 1 FROM {base.sql} WHERE {VERSION} IN ({listed}) LIMIT 1"):
            return True
    return False


def _refuse_moved_storage(transaction: Transaction, now: Any) -> None:
    """40001 where the text of a statement would mean other storage than it did, or leave something out."""
    before = transaction.begun_with.bases
    if any(now.bases.get(number, base) != base for number, base in before.items()):
        raise _changed("Another transaction has changed where a table is kept.")
    if not transaction.assumed_still_true():
        raise _changed("Another transaction was the first to write what is under the branch.")


def _named(line: Line, table: int) -> str:
    name = next((item.name for item in line.catalog.tables() if item.id == table), None)
    return f'table "{name}"' if name else "a table"


def _changed(detail: str) -> BoughError:
    return BoughError(
        "40001",
        "could not go back to the savepoint: the transaction cannot be repeated up to it",
        detail=f"To go back, what came before it has to be written again. {detail}",
        hint="ROLLBACK, and run the whole transaction again.",
    )


__all__ = ["Mark", "cannot_repeat", "go_back", "mark"]
