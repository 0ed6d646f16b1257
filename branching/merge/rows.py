"""Applying a staged plan to the target's rows, through what users' own writes go through.

On the trunk: old images are kept where a fork needs them, then the base is written. On a branch: the rows are touched,
then the branch's own are written. Deletes come before updates of keys and inserts last, so that a key may move from row
to row; versions are set before rows go (see ``dml``, rule 1).
"""

from __future__ import annotations

from branching import history, names
from branching.dml.branch import BranchWrite
from branching.dml.statements import key_columns, rewritten_by_engine
from branching.engine.base import Cursor
from branching.engine.protocol import Engine
from branching.errors import BoughError
from branching.merge.stage import Stage
from branching.merge.values import distinct
from branching.model import Table
from branching.names import BRANCH, RID, VERSION, quote
from branching.physical import BaseTable
from branching.resolve import Scope
from branching.transaction import Transaction


def apply(transaction: Transaction, scope: Scope, stage: Stage, table: Table) -> None:
    """Writes the staged rows into ``table``, which has its merged shape by now."""
    if not stage.counts.changes:
        return
    if scope.line.is_trunk:
        assert table.storage.base is not None
        base = transaction.physical.bases[table.storage.base]
        if transaction.arm(base.id):
            _keep(transaction, stage, base)
        elif stage.counts.deleted:
            transaction.note_deleted(
                base.id, f"SELECT trid AS {RID} FROM {stage.sql} WHERE action = 'delete'"
            )
        _write(transaction, stage, table, base.sql, "true", [])
    else:
        write = BranchWrite(transaction, scope, ())
        write.open(table)
        if stage.counts.updated or stage.counts.deleted:
            write.touch(table, f"{RID} IN ({stage.rids('update', 'delete')})")
        delta = names.delta(table.storage.shape)
        _write(
            transaction, stage, table, delta, f"{BRANCH} = {scope.line.id}", [(BRANCH, str(scope.line.id))]
        )
    transaction.inserted += stage.counts.inserted
    transaction.updated += stage.counts.updated
    transaction.deleted += stage.counts.deleted


def _keep(transaction: Transaction, stage: Stage, base: BaseTable) -> None:
    """Old images into the history: from the stage, which has read them, where it has all columns as they are stored."""
    target = stage.plan.target
    same = (
        target is not None and stage.plan.merged is not None and target.columns == stage.plan.merged.columns
    )
    if not same or set(base.columns) != {column.id for column in stage.columns}:
        history.keep(transaction, base, f"{RID} IN ({stage.rids('update', 'delete')})")
        return
    into, ids = history.own_history(transaction, base), list(base.columns)
    transaction.cursor.execute(
        f"INSERT INTO {into} ({', '.join(f'c{i}' for i in ids)}, {RID}, {VERSION}, {names.ENDED})"
        f" SELECT {', '.join(f't{i}' for i in ids)}, trid, tver, {transaction.write()} FROM {stage.sql}"
        " WHERE action IN ('update', 'delete')"
    )


def _write(
    transaction: Transaction, stage: Stage, table: Table, where: str, own: str, fixed: list[tuple[str, str]]
) -> None:
    cursor, version, counts = transaction.cursor, transaction.write(), stage.counts
    by_id = {column.id: column.name for column in table.columns}
    columns = [column for column in stage.columns if column.id in by_id]
    here, there = _matching(cursor.engine, stage, table, fixed)

    def mark(action: str, expected: int) -> None:
        which = f"SELECT {there} FROM {stage.sql} WHERE action = '{action}'"
        sql = cursor.engine.mark(where, "_row", f"{own} AND {here} IN ({which})", version)
        if sql is not None:
            _write_exactly(cursor, sql, expected)

    def delete() -> None:
        which = f"SELECT {there} FROM {stage.sql} WHERE action = 'delete'"
        _write_exactly(cursor, f"DELETE FROM {where} WHERE {own} AND {here} IN ({which})", counts.deleted)

    if not counts.updated and counts.deleted:
        mark("delete", counts.deleted)
        delete()
    if counts.updated:
        flags = cursor.query(
            "SELECT "
            + ", ".join(f"coalesce(bool_or({distinct(f'r{c.id}', f't{c.id}')}), false)" for c in columns)
            + f" FROM {stage.sql} WHERE action = 'update'"
        )[0]
        assigned = [column for column, flag in zip(columns, flags, strict=True) if flag]
        values = "".join(f"{quote(by_id[c.id])} = _new.r{c.id}, " for c in assigned)
        # In place, an update may mark the deleted rows as well: one search for both. What the engine runs as delete
        # and insert needs its keys free first.
        at_once = not rewritten_by_engine(table, [by_id[column.id] for column in assigned])
        if counts.deleted and not at_once:
            mark("delete", counts.deleted)
            delete()
        if not at_once:
            mark("update", counts.updated)
        actions = "('update', 'delete')" if at_once else "('update')"
        _write_exactly(
            cursor,
            f"UPDATE {where} AS _row SET {values}{VERSION} = {version}"
            f" FROM (SELECT * FROM {stage.sql} WHERE action IN {actions}) AS _new"
            f" WHERE {own} AND _row.{here} = _new.{there}",
            counts.updated + (counts.deleted if at_once else 0),
        )
        if counts.deleted and at_once:
            delete()
    if stage.counts.inserted:
        source_ids = {column.id for column in (stage.plan.source or table).columns}
        filled = [column for column in columns if column.id in source_ids]
        listed = [quote(name) for name, _ in fixed] + [quote(by_id[column.id]) for column in filled]
        items = [value for _, value in fixed] + [f"r{column.id}" for column in filled]
        cursor.execute(
            f"INSERT INTO {where} ({', '.join([*listed, RID, VERSION])})"
            f" SELECT {', '.join([*items, 'rid', str(version)])} FROM {stage.sql} WHERE action = 'insert'"
        )


def _matching(engine: Engine, stage: Stage, table: Table, fixed: list[tuple[str, str]]) -> tuple[str, str]:
    """How rows are found again: by place where that is known and the merge has not moved them, else by identity."""
    target = stage.plan.target
    if stage.placed and not fixed and target is not None and table.storage == target.storage:
        return engine.place(()), "place"
    return RID, "trid"


def _write_exactly(cursor: Cursor, sql: str, expected: int) -> None:
    """Runs a write of staged rows, every one of which must be there."""
    count = cursor.execute(sql) or 0
    if count != expected:
        raise BoughError(
            "XX000",
            f"the merge would have written {count} rows instead of {expected}",
            hint="Nothing was changed. This is an error in Bough: please report it.",
        )


def copy_in(
    transaction: Transaction, scope: Scope, table: Table, rows: str, columns: list[tuple[str, str]]
) -> int:
    """Fills a table that the merge has just created; ``columns``: (name here, expression over ``rows``)."""
    version = transaction.write()
    listed = ", ".join(quote(name) for name, _ in columns)
    items = ", ".join(text for _, text in columns)
    if scope.line.is_trunk:
        assert table.storage.base is not None
        target, first, value = transaction.physical.bases[table.storage.base].sql, "", ""
    else:
        target, first, value = names.delta(table.storage.shape), f"{BRANCH}, ", f"{scope.line.id}, "
    count = transaction.cursor.execute(
        f"INSERT INTO {target} ({first}{listed}, {RID}, {VERSION})"
        f" SELECT {value}{items}, {RID}, {version} FROM ({rows}) AS _rows"
    )
    transaction.inserted += count or 0
    return count or 0


def keys(table: Table) -> list[tuple[str, tuple[str, ...]]]:
    return key_columns(table)


def keep_undo(transaction: Transaction, merge: int, stage: Stage, table: Table) -> None:
    """Keeps what each touched row was on the target and what it became: what BRANCH REVERT MERGE works from."""
    name = names.undo(merge, table.id)
    by_id = {column.id for column in table.columns}
    columns = [column for column in stage.columns if column.id in by_id]
    values = ", ".join(f"t{c.id} AS b{c.id}, r{c.id} AS a{c.id}" for c in columns)
    transaction.cursor.execute(
        f"CREATE TABLE {name} AS SELECT coalesce(trid, rid) AS {RID}, in_target AS was_there,"
        f" action <> 'delete' AS is_there, {values} FROM {stage.sql} WHERE action <> 'none'"
    )
    transaction.add_storage(name)
