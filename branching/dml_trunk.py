"""Writes on the trunk: keep old images if a fork needs them, then run natively."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from branching import history, names
from branching.dml import (
    SOURCE,
    Binder,
    Write,
    Written,
    condition,
    insert_columns,
    is_volatile,
    key_columns,
    raw_target,
    reads,
    rewritten_by_engine,
    set_columns,
    set_version,
    sources,
    with_prefix,
)
from branching.model import Table
from branching.names import RID, VERSION
from branching.physical import BaseTable


class TrunkWrite(Write):
    def _base(self, table: Table) -> BaseTable:
        assert table.storage.base is not None
        return self.transaction.physical.bases[table.storage.base]

    def insert(self, tree: exp.Insert, table: Table, alias: str) -> Written:
        base = self._base(table)
        transaction = self.transaction
        version = transaction.write()
        columns = insert_columns(tree, table)
        target = raw_target(base.sql, alias)
        conflict = tree.args.get("conflict")
        armed = transaction.arm(base.id)
        if conflict is None and reads(tree.expression, base.sql, times=2):
            self.stage_source(tree, columns)  # or it would read what it inserts
        if conflict is not None and conflict.expressions:
            replaces = rewritten_by_engine(table, set_columns(conflict))
            set_version(conflict.expressions, version)
            if (armed or replaces) and tree.expression is not None:
                self.stage_source(tree, columns)
                for key in _conflict_keys(conflict, table):
                    if set(key) <= set(columns):
                        same = f"({names.columns(key)}) IN (SELECT {names.columns(key)} FROM {SOURCE})"
                        if armed:
                            history.keep(transaction, base, same)
                        if replaces:
                            self.cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {same}")
        if not tree.args.get("default") and not tree.args.get("by_name"):
            tree.set(
                "this",
                exp.Schema(
                    this=target, expressions=[exp.to_identifier(name, quoted=True) for name in columns]
                ),
            )
        else:
            tree.set("this", target)
        written = self.native(tree)
        transaction.inserted += written.count
        return written

    def update(self, tree: exp.Update, table: Table, alias: str) -> Written:
        base = self._base(table)
        version = self.transaction.write()
        assigned = set_columns(tree)
        self._prepare(tree, base, alias, touch=rewritten_by_engine(table, assigned))
        tree.set("this", raw_target(base.sql, alias))
        set_version(tree.expressions, version)
        written = self.native(tree)
        self.transaction.updated += written.count
        return written

    def delete(self, tree: exp.Delete, table: Table, alias: str) -> Written:
        base = self._base(table)
        self._prepare(tree, base, alias, touch=True, deletes=True)
        tree.set("this", raw_target(base.sql, alias))
        written = self.native(tree)
        self.transaction.deleted += written.count
        return written

    def merge(self, tree: exp.Merge, table: Table, alias: str) -> Written:
        base = self._base(table)
        transaction = self.transaction
        version = transaction.write()
        whens = tree.args["whens"].expressions
        for when in whens:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                expand_update(then, table, tree.args["using"].alias_or_name)
                set_version(then.expressions, version)
            elif isinstance(then, exp.Insert):
                expand_insert(then, table)
        armed = transaction.arm(base.id)
        by_source = any(not when.args.get("matched") and when.args.get("source") for when in whens)
        binder = self.binder()
        match = "true" if by_source else None
        if match is None:
            on, using = binder.text(tree.args["on"]), binder.text(tree.args["using"])
            match = f"{RID} IN (SELECT {_q(alias)}.{RID} FROM {base.sql} AS {_q(alias)}, {using} WHERE {on})"
        if armed:
            self._keep(base, match, binder)
        else:
            transaction.note_deleted(base.id, f"SELECT {RID} FROM {base.sql} WHERE {match}", binder.values)
        self.cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {match}", binder.values)
        tree.set("this", raw_target(base.sql, alias))
        written = self.native(tree)
        transaction.updated += written.count
        return written

    # -- before the statement ---------------------------------------------------------------------------------

    def _prepare(
        self, tree: exp.Expr, base: BaseTable, alias: str, *, touch: bool, deletes: bool = False
    ) -> None:
        """Keeps images and marks the rows that ``tree`` is about to change."""
        transaction = self.transaction
        version = transaction.write()
        armed = transaction.arm(base.id)
        if not armed and not touch:
            return
        binder = self.binder()
        extra = sources(tree, binder)
        predicate = condition(tree, binder)
        with_ = with_prefix(tree, binder)
        if is_volatile(tree.args.get("where"), tree.args.get("from_"), tree.args.get("with_")):
            rids = self.stage_rids(
                f"{with_}SELECT {_q(alias)}.{RID} FROM {base.sql} AS {_q(alias)}{extra} WHERE {predicate}",
                binder.values,
            )
            binder = self.binder()
            selected = f"{RID} IN ({rids})"
            tree.set("where", exp.Where(this=exp.Var(this=f"{_q(alias)}.{selected}")))
        elif extra or with_:
            selected = (
                f"{RID} IN ({with_}SELECT {_q(alias)}.{RID} FROM {base.sql} AS {_q(alias)}{extra}"
                f" WHERE {predicate})"
            )
        else:
            selected = predicate
        if armed:
            self._keep(base, selected, binder, alias)
        elif deletes:
            self._note_deleted(base, selected, binder, alias)
        if touch:
            self.cursor.execute(
                f"UPDATE {base.sql} AS {_q(alias)} SET {VERSION} = {version} WHERE {selected}", binder.values
            )

    def _keep(self, base: BaseTable, selected: str, binder: Binder, alias: str | None = None) -> None:
        history.keep(self.transaction, base, selected, alias=alias, parameters=binder.values)

    def _note_deleted(self, base: BaseTable, selected: str, binder: Binder, alias: str) -> None:
        self.transaction.note_deleted(
            base.id, f"SELECT {RID} FROM {base.sql} AS {_q(alias)} WHERE {selected}", binder.values
        )


def _conflict_keys(conflict: exp.OnConflict, table: Table) -> list[tuple[str, ...]]:
    named = conflict.args.get("conflict_keys")
    if named:
        return [tuple(item.name for item in named)]
    return [columns for _, columns in key_columns(table)]


def expand_update(then: exp.Update, table: Table, source: str) -> None:
    """``UPDATE SET *`` spelled out: all columns, from the source's columns of the same name."""
    if len(then.expressions) == 1 and isinstance(then.expressions[0], exp.Star):
        then.set("expressions", [_copy_column(name, source) for name in _settable(table)])


def _copy_column(name: str, source: str) -> exp.Expr:
    column = exp.to_identifier(name, quoted=True)
    value = exp.column(column.copy(), table=exp.to_identifier(source, quoted=True))
    return exp.EQ(this=exp.column(column), expression=value)


def expand_insert(then: exp.Insert, table: Table) -> None:
    """An INSERT without a column list, spelled out: hidden columns must not be filled."""
    if then.this is None and isinstance(then.expression, exp.Tuple):
        wanted = _settable(table)[: len(then.expression.expressions)]
        then.set(
            "this", exp.Tuple(expressions=[exp.column(exp.to_identifier(n, quoted=True)) for n in wanted])
        )


def _settable(table: Table) -> Sequence[str]:
    return [column.name for column in table.columns if column.generated is None]


def _q(alias: str) -> str:
    return names.quote(alias)
