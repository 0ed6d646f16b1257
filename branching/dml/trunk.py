"""Writes on the trunk: keep old images if a fork needs them, then run natively."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from branching import history, names
from branching.dml import twice
from branching.dml.moved import move, moves_keys
from branching.dml.pieces import (
    Binder,
    condition,
    raw_target,
    reads,
    set_columns,
    set_version,
    sources,
    with_prefix,
)
from branching.dml.statements import Write, Written, insert_columns, key_columns, rewritten_by_engine
from branching.errors import BoughError
from branching.model import Table
from branching.names import RID, VERSION
from branching.physical import BaseTable
from branching.temporary import carry_identities
from branching.volatility import is_volatile

_LARGE = 100_000  # rows of a table from which a write that names no key takes the table for itself
SHORT = 20  # rows of a VALUES list that carry their version in the text


class TrunkWrite(Write):
    def _base(self, table: Table) -> BaseTable:
        assert table.storage.base is not None
        return self.transaction.physical.bases[table.storage.base]

    def insert(self, tree: exp.Insert, table: Table, alias: str) -> Written:
        base = self._base(table)
        transaction = self.transaction
        version = transaction.take()
        columns = insert_columns(tree, table)
        target = raw_target(base.sql, alias)
        conflict = tree.args.get("conflict")
        armed = transaction.arm(base.id)
        if conflict is None and reads(self.cursor.engine, tree.expression, base.sql, times=2):
            self.stage_source(tree, columns)  # or it would read what it inserts
        if conflict is not None and conflict.expressions:
            replaces = rewritten_by_engine(table, set_columns(conflict))
            set_version(conflict.expressions, version)
            if (armed or replaces or _many(tree)) and tree.expression is not None:
                self.stage_source(tree, columns)
                twice.refuse_upsert(self, conflict, table, columns)
            if (armed or replaces) and tree.expression is not None:
                found = self.conflicting(conflict, table, columns)
                self.remember(table, " OR ".join(found))
                for same in found:
                    if armed:
                        history.keep(transaction, base, same)
                    # A row that is kept must not stay as it was: both would be read.
                    self.cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {same}")
        columns = carry_version(tree, carry_identities(tree, columns), exp.Literal.number(version))
        tree.set("this", target if tree.args.get("by_name") else insert_target(base, alias, columns))
        written = self.native(tree)
        transaction.inserted += written.count
        return written

    def update(self, tree: exp.Update, table: Table, alias: str) -> Written:
        base = self._base(table)
        version = self.transaction.take()
        assigned = set_columns(tree)
        alone = self._alone(tree, table, base)
        self._prepare(tree, table, alias, touch=not alone and rewritten_by_engine(table, assigned))
        written = None
        if moves_keys(tree, table):
            written = move(self, tree, table, alias, base.sql, version, self.native)
        if written is None:
            tree.set("this", raw_target(base.sql, alias))
            if not alone:
                set_version(tree.expressions, version)
            written = self.native(tree)
        self.transaction.updated += written.count
        return written

    def delete(self, tree: exp.Delete, table: Table, alias: str) -> Written:
        base = self._base(table)
        alone = self._alone(tree, table, base) or self.transaction.owns(table.id)
        self._prepare(tree, table, alias, touch=not alone, deletes=True)
        tree.set("this", raw_target(base.sql, alias))
        written = self.native(tree)
        self.transaction.deleted += written.count
        return written

    def merge(self, tree: exp.Merge, table: Table, alias: str) -> Written:
        base = self._base(table)
        transaction = self.transaction
        version = transaction.take()
        twice.refuse_merge(self, tree, base.sql, alias)
        whens = tree.args["whens"].expressions
        for when in whens:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                expand_update(then, table, tree.args["using"].alias_or_name)
                set_version(then.expressions, version)
            elif isinstance(then, exp.Insert):
                expand_insert(then, table)
                _insert_version(then, version)
        self.limit(tree, table)
        armed = transaction.arm(base.id)
        by_source = any(not when.args.get("matched") and when.args.get("source") for when in whens)
        binder = self.binder()
        match = "true" if by_source else None
        if match is None:
            on, using = binder.text(tree.args["on"]), binder.text(tree.args["using"])
            match = f"{RID} IN (SELECT {_q(alias)}.{RID} FROM {base.sql} AS {_q(alias)}, {using} WHERE {on})"
        self.remember(table, match, binder.values)
        if armed:
            self._keep(base, match, binder)
        else:
            transaction.note_deleted(base.id, f"SELECT {RID} FROM {base.sql} WHERE {match}", binder.values)
        self.cursor.execute(f"UPDATE {base.sql} SET {VERSION} = {version} WHERE {match}", binder.values)
        tree.set("this", raw_target(base.sql, alias))
        written = self.native(tree)
        transaction.updated += written.count
        return written

    def _alone(self, tree: exp.Expr, table: Table, base: BaseTable) -> bool:
        """Whether a large write has the table for itself and leaves no history: rows need no new version then.

        A fork waits for such a statement, so it holds all of it; other writers wait, or are refused.
        """
        transaction = self.transaction
        if transaction.explicit or _by_key(tree, table) or transaction.arm(base.id):
            return False
        if any(item.kind == "f" for item in table.constraints):
            return False  # foreign keys are checked on the rows with this transaction's version
        if self.cursor.query(f"SELECT count(*) FROM {base.sql}")[0][0] < _LARGE:
            return False
        return transaction.try_claim(table.id)

    # -- before the statement ---------------------------------------------------------------------------------

    def _prepare(
        self, tree: exp.Expr, table: Table, alias: str, *, touch: bool, deletes: bool = False
    ) -> None:
        """Keeps images and keys of the rows that ``tree`` is about to change, and marks them."""
        transaction, base = self.transaction, self._base(table)
        version = transaction.take()
        armed = transaction.arm(base.id)
        if not (armed or touch or self._keys or (deletes and transaction.explicit)):
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
        self.remember(table, selected, binder.values, alias)
        if armed:
            self._keep(base, selected, binder, alias)
        elif deletes:
            self._note_deleted(base, selected, binder, alias)
        if touch:
            sql = self.cursor.engine.mark(base.sql, alias, selected, version)
            if sql is not None:
                self.cursor.execute(sql, binder.values)

    def _keep(self, base: BaseTable, selected: str, binder: Binder, alias: str | None = None) -> None:
        history.keep(self.transaction, base, selected, alias=alias, parameters=binder.values)

    def _note_deleted(self, base: BaseTable, selected: str, binder: Binder, alias: str) -> None:
        self.transaction.note_deleted(
            base.id, f"SELECT {RID} FROM {base.sql} AS {_q(alias)} WHERE {selected}", binder.values
        )


def insert_target(base: BaseTable, alias: str, columns: Sequence[str]) -> exp.Schema:
    named = [exp.to_identifier(name, quoted=True) for name in columns]
    return exp.Schema(this=raw_target(base.sql, alias), expressions=named)


def carry_version(tree: exp.Insert, columns: Sequence[str], version: exp.Expr) -> list[str]:
    """Has each row of an INSERT bring its version; the columns it fills then. Tables have no default for it: the engine
    keeps no plan of an INSERT into a table with a default that reads a variable."""
    source = tree.expression
    if tree.args.get("default"):
        tree.set("default", None)
        tree.set("expression", exp.Values(expressions=[exp.Tuple(expressions=[version])]))
        return [VERSION]
    if isinstance(source, exp.Values):
        if len({len(row.expressions) for row in source.expressions}) > 1:
            return list(columns)  # which the engine refuses
        for row in source.expressions:
            row.append("expressions", version.copy())
        return [*columns, VERSION]
    named = exp.alias_(version, VERSION, quoted=True)
    grouped = source.args.get("group") if isinstance(source, exp.Select) else None
    if isinstance(source, exp.Select) and not (grouped is not None and grouped.args.get("all")):
        source.append("expressions", named)
    else:
        rows = exp.Subquery(
            this=source.unnest().copy(), alias=exp.TableAlias(this=exp.to_identifier("_source"))
        )
        tree.set("expression", exp.select(exp.Star(), named).from_(rows))
    return [*columns, VERSION]


def with_version(tree: exp.Insert, columns: Sequence[str], version: exp.Expr) -> bool:
    """Writes the version into the rows of a short VALUES list; True if that was possible."""
    source = tree.expression
    if not isinstance(source, exp.Values) or len(source.expressions) > SHORT or tree.args.get("by_name"):
        return False
    rows = source.expressions
    if not all(isinstance(row, exp.Tuple) and len(row.expressions) == len(columns) for row in rows):
        return False
    carry_version(tree, columns, version)
    return True


def _insert_version(then: exp.Insert, version: int) -> None:
    """The same of a MERGE's INSERT."""
    if not isinstance(then.this, exp.Tuple) or not isinstance(then.expression, exp.Tuple):
        raise BoughError(
            "0A000",
            "this form of INSERT in MERGE is not supported",
            hint="INSERT (a, b) VALUES (s.a, s.b) names columns and values.",
        )
    then.this.append("expressions", exp.column(exp.to_identifier(VERSION, quoted=True)))
    then.expression.append("expressions", exp.Literal.number(version))


def _many(tree: exp.Insert) -> bool:
    """Whether an INSERT may have more than one row."""
    return not (isinstance(tree.expression, exp.Values) and len(tree.expression.expressions) == 1)


def _by_key(tree: exp.Expr, table: Table) -> bool:
    """Whether the WHERE asks for single rows by a key."""
    where = tree.args.get("where")
    if where is None:
        return False
    equal = {
        node.this.name.lower()
        for node in where.this.find_all(exp.EQ, exp.In)
        if isinstance(node.this, exp.Column)
    }
    return any({name.lower() for name in columns} <= equal for _, columns in key_columns(table))


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
        if not then.expression.expressions:  # DEFAULT VALUES
            then.expression.set("expressions", [exp.Var(this="DEFAULT") for _ in _settable(table)])
        wanted = _settable(table)[: len(then.expression.expressions)]
        then.set(
            "this", exp.Tuple(expressions=[exp.column(exp.to_identifier(n, quoted=True)) for n in wanted])
        )


def _settable(table: Table) -> Sequence[str]:
    return [column.name for column in table.columns if column.generated is None]


def _q(alias: str) -> str:
    return names.quote(alias)
