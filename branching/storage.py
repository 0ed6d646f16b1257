"""The tables that hold what branches change, made when they are first needed. What they are: ``engine.versioned``.

All branches that see a table with the same columns share them, so two transactions that write for the first time would
both make them, and the engine lets only one. Rules:

1. They are made *ahead*: in a transaction of their own, before the statement that needs them has done anything. Its own
   transaction is then begun anew, as its snapshot does not show them (``BeginAnew``). What it has read stays true:
   where somebody has committed since, it is not begun anew.
   A block on a branch with a small catalog has it made before it begins (``make_ready``).
2. Where that cannot be, they are made on the way, in the transaction that needs them. Who comes second is told 40001.
3. Where one table lacks its own, the others of a small catalog get theirs at once: a block that has written cannot be
   begun anew when it comes to its next table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from branching import names
from branching.engine.base import EngineError, ErrorKind
from branching.errors import BoughError
from branching.model import Table

if TYPE_CHECKING:
    from branching.database import Database
    from branching.engine.protocol import Engine
    from branching.lines import Line
    from branching.resolve import Scope
    from branching.transaction import Transaction

AT_ONCE = 32  # tables of a catalog that get their storage together

Wanted = Mapping[str, Callable[[], str]]  # storage tables, as ``names`` spells them, and what makes each


class BeginAnew(BoughError):
    """Storage was made that the transaction does not see; it has done nothing that its client could tell."""


def wanted(
    engine: Engine, table: Table, imaged: Table | None, *, keeps_own: bool
) -> dict[str, Callable[[], str]]:
    """What ``table`` (its defaults naming storage) needs to be written on a branch.

    ``imaged`` is the table in the branch's base, where it is there; ``keeps_own``: the branch's past is kept.
    """
    storage = table.storage
    found = {names.delta(storage.shape): lambda: engine.create_delta(table)}
    if imaged is not None:
        image = imaged
        found[names.before(image.storage.shape)] = lambda: engine.create_images(image)
    if storage.base is not None:
        base = storage.base
        found[names.mask(base)] = lambda: engine.create_mask(base)
    if keeps_own:
        found[names.ended(storage.shape)] = lambda: engine.create_ended(table)
    return found


def ensure_delta(transaction: Transaction, table: Table, imaged: Table | None) -> None:
    """Creates what the transaction sees none of."""
    engine = transaction.cursor.engine
    for name, make in wanted(engine, table, imaged, keeps_own=transaction.keeps_own).items():
        ensure(transaction, name, make)


def ensure(transaction: Transaction, name: str, make: Callable[[], str]) -> None:
    """Creates one storage table if the transaction sees none; 40001 where somebody else has made it, or is about to."""
    if transaction.physical.has(name):
        return
    if not transaction.may_make(name):
        raise BoughError(
            "40001",
            "could not serialize access due to another first write of the table",
            detail="Another transaction has made, or is making, room for the rows that branches change in it.",
            hint="Retry the transaction.",
        )
    transaction.cursor.execute(make())
    transaction.add_storage(name)


def make_ahead(transaction: Transaction, scope: Scope, table: Table) -> None:
    """Before a write to ``table``: makes what it lacks. Raises BeginAnew where the transaction does not see it then."""
    database, line = transaction.database, transaction.line
    base = {item.id: item for item in database.base_catalog(line).tables()}
    needed = wanted(database.engine, table, base.get(table.id), keeps_own=transaction.keeps_own)
    if all(transaction.physical.has(name) for name in needed) or not transaction.may_begin_anew():
        return
    if line.catalog.find(table.schema, table.name) is not table:
        return  # of this transaction's own making
    rest = [item for item in line.catalog.tables() if item is not table]
    groups = [[table, *rest], [table]] if 0 < len(rest) < AT_ONCE else [[table]]
    for group in groups:
        try:
            _make(database, _lacking(scope, line, group, base))
            break
        except EngineError as error:
            if error.kind is not ErrorKind.CONFLICT and group is not groups[-1]:
                continue  # another table's: it is told when that one is written
            raise
    raise BeginAnew(
        "40001",
        "could not serialize access due to another first write of the table",
        detail="Room was made for the rows that branches change in it, which the transaction does not see.",
        hint="Retry the transaction.",
    )


def make_ready(scope: Scope) -> None:
    """Before a block begins: makes what the tables of a small catalog lack, for it may read before it writes."""
    database, line = scope.database, scope.line
    if line.is_trunk or line.record.protected or line.ready == (id(scope.catalog), id(scope.physical)):
        return
    tables = list(scope.catalog.tables())
    if 0 < len(tables) <= AT_ONCE and line.sealed is None:
        base = {item.id: item for item in database.base_catalog(line).tables()}
        try:
            if lacking := _lacking(scope, line, tables, base):
                database.disk.check()
                _make(database, lacking)
        except (BoughError, EngineError):
            pass  # whoever writes is told
    line.ready = id(scope.catalog), id(database.physical)


def _lacking(scope: Scope, line: Line, tables: list[Table], base: Mapping[int, Table]) -> Wanted:
    """What does not exist yet of what the tables need on a branch."""
    database, found = scope.database, dict[str, Callable[[], str]]()
    physical, keeps_own = database.physical, database.retention > 0
    for table in tables:
        if table.storage.base is not None and table.storage.base not in physical.bases:
            continue
        needed = wanted(database.engine, table, base.get(table.id), keeps_own=keeps_own)
        if not all(physical.has(name) for name in needed):
            stored = scope.with_storage_defaults(table)
            found |= wanted(database.engine, stored, base.get(table.id), keeps_own=keeps_own)
    return {name: make for name, make in found.items() if not physical.has(name)}


def _make(database: Database, lacking: Wanted) -> None:
    """Makes storage in a transaction of its own. What somebody else is making is left to them."""
    token = object()
    cursor = database.root.cursor()
    try:
        todo = [name for name in lacking if database.motion.reserve(name, token)]
        if not todo:
            return
        cursor.begin()
        for name in todo:
            cursor.execute(lacking[name]())
        with database.catalog_lock:
            database.epoch += 1
            try:
                cursor.commit()
                database.put_physical({}, frozenset(name.rpartition(".")[2] for name in todo))
                database.motion.steps += 2
            finally:
                database.epoch += 1
    finally:
        cursor.rollback()
        cursor.close()
        database.motion.release(token)
