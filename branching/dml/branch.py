"""Writes on a branch: touch, then run natively against the branch's own rows.

Touch copies the rows a statement is about to change from below into the branch's delta (``d``), remembers their images
as of the branch's base (``b``) and masks them below (``m``). Nobody can see that: the branch reads the same rows as
before. Then the user's statement runs against ``d``, whose keys, checks and defaults are native.

Rules:

1. Order: images, copies, mask. Each is one statement over the state before it, so predicates with subqueries on the
   same table see what the user's statement would. What is to be deleted needs no copy.
2. The mask's key (branch, identity) is what makes two sessions touching the same row conflict.
3. New keys are checked against the rows below after the statement: the delta's own keys cover the rest.
4. Rows of the delta, or of a copy (``detach``), that are part of the base get their image when first changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlglot import exp

from branching import history, names, overlay
from branching.dml import copied, expression_keys, first_update, inherited, twice
from branching.dml.branch_keys import refuse_taken
from branching.dml.moved import move, moves_keys
from branching.dml.pieces import condition, raw_target, reads, set_columns, set_version, sources, with_prefix
from branching.dml.statements import Write, Written, insert_columns, key_columns, rewritten_by_engine
from branching.dml.trunk import expand_insert, expand_update
from branching.engine.base import EngineError, ErrorKind
from branching.model import Table
from branching.names import BRANCH, RID, VERSION
from branching.storage import ensure_delta, make_ahead
from branching.temporary import carry_identities
from branching.volatility import is_volatile


class BranchWrite(Write):
    _gone = 0  # rows below that the statement has deleted
    _first = False  # nobody has touched the table on this branch: nothing is masked yet

    def insert(self, tree: exp.Insert, table: Table, alias: str) -> Written:
        version = self.transaction.write()
        columns = insert_columns(tree, table)
        conflict = tree.args.get("conflict")
        if conflict is None and reads(self.cursor.engine, tree.expression, names.delta(table.storage.shape)):
            self.stage_source(tree, columns)  # or it would read what it inserts
        if conflict is not None:
            if tree.expression is not None:
                self.stage_source(tree, columns)
                twice.refuse_upsert(self, conflict, table, columns)
                found = self.conflicting(conflict, table, columns)
                self.remember(table, " OR ".join(found))
                for same in found:
                    self.touch(table, same, alone=True)
                    if rewritten_by_engine(table, set_columns(conflict)):
                        self._mark(names.delta(table.storage.shape), (same, []), version, alias)
            if conflict.expressions:
                set_version(conflict.expressions, version)
            if named := conflict.args.get("conflict_keys"):
                named.insert(0, exp.Ordered(this=exp.column(exp.to_identifier(BRANCH)), nulls_first=False))
                conflict.set("conflict_keys", named)
        columns = carry_identities(tree, columns)
        target = raw_target(names.delta(table.storage.shape), alias)
        if not tree.args.get("default") and not tree.args.get("by_name"):
            identifiers = [exp.to_identifier(name, quoted=True) for name in columns]
            tree.set("this", exp.Schema(this=target, expressions=identifiers))
        else:
            tree.set("this", target)
        written = self._native_checked(tree, table, key_columns(table))
        expression_keys.refuse_doubles(self.transaction, self.scope, table)
        self.transaction.inserted += written.count
        return written

    def update(self, tree: exp.Update, table: Table, alias: str) -> Written:
        if self._first and (written := first_update.update(self, tree, table, alias)) is not None:
            return written
        version = self.transaction.take()
        assigned = {name.lower() for name in set_columns(tree)}
        selected = self._touch_selected(tree, table, alias)
        delta = names.delta(table.storage.shape)
        if rewritten_by_engine(table, sorted(assigned)):
            self._mark(delta, selected, version, alias)
        keys = [key for key in key_columns(table) if assigned & {name.lower() for name in key[1]}]
        written = None
        if moves_keys(tree, table):
            checked = partial(self._native_checked, table=table, keys=keys)
            written = move(self, tree, table, alias, delta, version, checked, self.scope.line.id)
        if written is None:
            self._aim(tree, delta, alias)
            set_version(tree.expressions, version)
            written = self._native_checked(tree, table, keys)
        expression_keys.refuse_doubles(self.transaction, self.scope, table)
        self.transaction.updated += written.count
        return written

    def delete(self, tree: exp.Delete, table: Table, alias: str) -> Written:
        version = self.transaction.take()
        # What a RETURNING shows must be in the delta; else rows below only need their masks.
        gone = not tree.args.get("returning")
        selected = self._touch_selected(tree, table, alias, gone=gone)
        delta = names.delta(table.storage.shape)
        self._mark(delta, selected, version, alias)
        self._aim(tree, delta, alias)
        written = self.native(tree)
        written.count += self._gone
        self.transaction.deleted += written.count
        return written

    def merge(self, tree: exp.Merge, table: Table, alias: str) -> Written:
        version = self.transaction.write()
        visible = self.scope.relation_sql(table, self.scope.line, hidden=True)
        twice.refuse_merge(self, tree, f"({visible})", alias)
        whens = tree.args["whens"].expressions
        for when in whens:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                expand_update(then, table, tree.args["using"].alias_or_name)
                set_version(then.expressions, version)
            elif isinstance(then, exp.Insert):
                expand_insert(then, table)
        self.limit(tree, table)
        binder = self.binder()
        delta = names.delta(table.storage.shape)
        if any(not when.args.get("matched") and when.args.get("source") for when in whens):
            self.touch(table, "true", alone=True)
            self.remember(table, "true")
            self._mark(delta, ("true", []), version, alias)
        else:
            on, using = binder.text(tree.args["on"]), binder.text(tree.args["using"])
            matched = f"SELECT {_q(alias)}.{RID} FROM ({visible}) AS {_q(alias)}, {using} WHERE {on}"
            staged = f"{RID} IN ({self.stage_rids(matched, binder.values)})"
            self.touch(table, staged, alone=True)
            self.remember(table, staged)
            self._mark(delta, (staged, []), version, alias)
        tree.set("this", raw_target(delta, alias))
        here = exp.Var(this=f"{_q(alias)}.{BRANCH} = {self.scope.line.id}")
        tree.set("on", exp.And(this=here, expression=exp.Paren(this=tree.args["on"])))
        for when in whens:
            if not when.args.get("matched") and when.args.get("source"):
                guard: exp.Expr = exp.Var(this=f"{_q(alias)}.{BRANCH} = {self.scope.line.id}")
                if existing := when.args.get("condition"):
                    guard = exp.And(this=guard, expression=exp.Paren(this=existing))
                when.set("condition", guard)
        written = self._native_checked(tree, table, key_columns(table))
        expression_keys.refuse_doubles(self.transaction, self.scope, table)
        self.transaction.updated += written.count
        return written

    # -- touch --------------------------------------------------------------------------------------------------

    def prepare(self, table: Table) -> None:
        make_ahead(self.transaction, self.scope, table)
        if expression_keys.expression_keys(table):
            self.transaction.claim(table.id)

    def open(self, table: Table) -> None:
        """The branch is about to have rows of its own in ``table``."""
        imaged = self.imaged(table)
        if not self.transaction.physical.has(names.delta(table.storage.shape)):
            table = self.scope.with_storage_defaults(table)
        ensure_delta(self.transaction, table, imaged)
        self._first = table.id not in self.scope.line.touched
        self.transaction.touch(table.id)
        self.scope.physical = self.transaction.physical

    def imaged(self, table: Table) -> Table | None:
        """The table as the branch's base has it."""
        base = self.scope.database.base_catalog(self.scope.line)
        return next((item for item in base.tables() if item.id == table.id), None)

    def _touch_selected(
        self, tree: exp.Expr, table: Table, alias: str, *, gone: bool = False
    ) -> tuple[str, list[Any]]:
        """Touches what the statement's WHERE, FROM and USING select; the selection over the delta.

        ``gone``: it is a DELETE, and no row of below needs to come into the delta.
        """
        binder = self.binder()
        extra = sources(tree, binder)
        predicate = condition(tree, binder)
        with_ = with_prefix(tree, binder)
        volatile = is_volatile(tree.args.get("where"), tree.args.get("from_"), tree.args.get("with_"))
        if not (volatile or extra or with_):
            where = tree.args.get("where")
            own = where is None or where.find(exp.Query, exp.Subquery, exp.Exists) is None
            if own or not gone:
                self.remember(table, predicate, binder.values, alias)
                self.touch(table, predicate, binder.values, alias, alone=own, gone=gone)
                return predicate, binder.values
        visible = self.scope.relation_sql(table, self.scope.line, hidden=True)
        rids = f"{with_}SELECT {_q(alias)}.{RID} FROM ({visible}) AS {_q(alias)}{extra} WHERE {predicate}"
        staged = f"{_q(alias)}.{RID} IN ({self.stage_rids(rids, binder.values)})"
        self.remember(table, staged, (), alias)
        self.touch(table, staged, (), alias, alone=True, gone=gone)
        if volatile or gone:
            tree.set("where", exp.Where(this=exp.Var(this=staged)))
        if gone:  # asked again, they would miss what is gone
            tree.set("using", None)
            tree.set("with_", None)
        return staged, []

    def touch(
        self,
        table: Table,
        where: str,
        values: Sequence[Any] = (),
        alias: str = "_row",
        *,
        alone: bool = False,
        gone: bool = False,
    ) -> None:
        """Copies the rows matching ``where`` (over the branch's view of the table, called ``alias``) from below.

        ``alone``: ``where`` looks at nothing that touching changes, so it may be asked again after the copies.
        ``gone``: they are to be deleted, so they only get their images and masks.
        """
        scope, transaction = self.scope, self.transaction
        line, version = scope.line, transaction.take()
        delta = names.delta(table.storage.shape)
        imaged = self.imaged(table)
        history.keep_own(transaction, table, where, values, alias)
        if line.record.inherited and imaged is not None:
            inherited.take_images(self, table, imaged, where, values, alias)
        if overlay.reads_copy(table, transaction.physical):
            self._touch_copied(table, imaged, where, values, alias, alone=alone, gone=gone)
            return
        if table.storage.base is None or imaged is None:
            return
        source = self.unmasked(table)
        shared = names.columns(table.stored)
        images = names.before(imaged.storage.shape)
        if imaged.storage == table.storage:
            rows, columns, selected = source, shared, where
        else:
            rows = self.unmasked(imaged)
            columns = names.columns(imaged.stored)
            selected = f"{RID} IN (SELECT {RID} FROM ({source}) AS {_q(alias)} WHERE {where})"
        touch = partial(self.cursor.engine.touch, branch=line.id, version=version)
        count = self.cursor.execute(touch(images, columns, f"({rows})", alias, selected), values)
        if count == 0:
            return
        self._first = False
        if gone:
            self._gone += count or 0
        else:
            self.copy(touch(delta, shared, f"({source})", alias, where), values)
        mask = names.mask(table.storage.base)
        if alone:
            self.copy(
                f"INSERT INTO {mask} SELECT {line.id}, {RID} FROM ({source}) AS {_q(alias)} WHERE {where}",
                values,
            )
            return
        self.copy(
            f"INSERT INTO {mask} SELECT DISTINCT {line.id}, {RID} FROM {images} AS _new"
            f" WHERE {BRANCH} = {line.id} AND {VERSION} = {version}"
            f" AND NOT EXISTS (SELECT 1 FROM {mask} AS _old WHERE _old.{BRANCH} = {line.id}"
            f" AND _old.{RID} = _new.{RID})"
        )

    def _touch_copied(
        self,
        table: Table,
        imaged: Table | None,
        where: str,
        values: Sequence[Any],
        alias: str,
        *,
        alone: bool,
        gone: bool,
    ) -> None:
        """Touches rows of the branch's own copy of the table: those that are not its own changes get their images."""
        line, transaction = self.scope.line, self.transaction
        touch = partial(self.cursor.engine.touch, branch=line.id, version=transaction.take())
        source = self.unmasked(table)
        if not alone:
            where = f"{RID} IN ({self.stage_rids(_rids(f'({source})', alias, where), values)})"
            values = ()
        history.keep_copied(transaction, table, source, where, values, alias)
        if imaged is not None:
            copied.take_images(
                self, table, imaged, f"{RID} IN ({_rids(f'({source})', alias, where)})", values
            )
        delta, shared = names.delta(table.storage.shape), names.columns(table.stored)
        if not gone:
            self.copy(touch(delta, shared, f"({source})", alias, where), values)
        masked = self.copy(
            f"INSERT INTO {names.mask(table.storage.base or 0)}"
            f" SELECT {line.id}, {RID} FROM ({source}) AS {_q(alias)} WHERE {where}",
            values,
        )
        if gone:
            self._gone += masked

    def unmasked(self, table: Table) -> str:
        """The rows below the branch that it has not replaced.

        Before anybody touches the table that is all of them. Should another session touch it between that question and
        our snapshot, the same row twice in the mask is a conflict.
        """
        line, physical = self.scope.line, self.transaction.physical
        plain = self.scope.plain(table, line)
        if self._first:
            return overlay.below(table, physical, line.record.fork, plain=plain)
        return overlay.unmasked(table, line, physical, plain=plain)

    def copy(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Inserts what a touch copies; how many rows.

        A key that is taken was taken by a transaction our snapshot does not hold: it has touched the same row, and the
        engine calls that a duplicate where it has committed, a conflict where it has not. What the copies break besides
        keys, an UPDATE has put there.
        """
        try:
            return self.cursor.execute(sql, values) or 0
        except EngineError as error:
            if error.kind is not ErrorKind.CONSTRAINT or (error.broken and error.broken.kind != "key"):
                raise
            raise EngineError(ErrorKind.CONFLICT, error.exception, error.message, error.sql) from error

    # -- run --------------------------------------------------------------------------------------------------------

    def _aim(self, tree: exp.Expr, delta: str, alias: str) -> None:
        """Makes the statement run against the branch's rows in ``delta`` only."""
        tree.set("this", raw_target(delta, alias))
        here = exp.Var(this=f"{_q(alias)}.{BRANCH} = {self.scope.line.id}")
        where = tree.args.get("where")
        if where is None:
            tree.set("where", exp.Where(this=here))
        else:
            where.set("this", exp.And(this=here, expression=exp.Paren(this=where.this)))

    def _mark(self, delta: str, selected: tuple[str, list[Any]], version: int, alias: str) -> None:
        """Makes the engine see a conflict where a row is about to be deleted, or written anew."""
        predicate, values = selected
        where = f"{BRANCH} = {self.scope.line.id} AND ({predicate})"
        if (sql := self.cursor.engine.mark(delta, alias, where, version)) is not None:
            self.cursor.execute(sql, values)

    def _native_checked(
        self, tree: exp.Expr, table: Table, keys: list[tuple[str, tuple[str, ...]]]
    ) -> Written:
        """Runs the statement and refuses keys that rows below already have."""
        if not keys or table.storage.base is None:
            return self.native(tree)
        returning = tree.args.get("returning")
        asked = list(returning.expressions) if returning is not None else []
        extra = sorted({name for _, columns in keys for name in columns})
        items = asked + [exp.column(exp.to_identifier(name, quoted=True)) for name in extra]
        tree.set("returning", exp.Returning(expressions=items))
        binder = self.binder()
        returned = self.cursor.returning(binder.text(tree), binder.values)
        if returning is None:
            new_keys = returned.arrow().rename_columns(extra)
            count = new_keys.num_rows
            for name, columns in keys:
                refuse_taken(
                    self.scope, self.cursor, self.transaction.physical, table, name, columns, new_keys
                )
            return Written(count)
        rows = returned.rows()
        self.returned(tree, rows)
        shown = len(returned.columns) - len(extra)
        new_keys = returned.arrow()
        new_keys = new_keys.select(list(range(shown, new_keys.num_columns))).rename_columns(extra)
        for name, columns in keys:
            refuse_taken(self.scope, self.cursor, self.transaction.physical, table, name, columns, new_keys)
        return Written(len(rows), returned.columns[:shown], [row[:shown] for row in rows])


def _rids(source: str, alias: str, where: str) -> str:
    return f"SELECT {_q(alias)}.{RID} FROM {source} AS {_q(alias)} WHERE {where}"


def _q(alias: str) -> str:
    return names.quote(alias)
