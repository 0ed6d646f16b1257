"""Writes: what INSERT, UPDATE, DELETE, MERGE and TRUNCATE become on the trunk and on a branch.

The user's own statement always runs natively, once, against one physical table, so keys, checks, defaults, RETURNING
and row counts are the engine's own. What differs is what must happen before:

- on the trunk, old images are kept where a fork needs them (``dml.trunk``);
- on a branch, the rows the statement is about to change are first copied from below (``dml.branch``: touch).

Rules:

1. Version of a row: every UPDATE sets it, in place, to the transaction's version. That is also what makes the engine
   see UPDATE against DELETE as a conflict; a DELETE, and an UPDATE that the engine runs as delete and insert (keys,
   indexed and list columns), is preceded by an UPDATE of the version alone.
2. A predicate with a volatile function is evaluated once: the identities it selects are staged first.
3. Parameters are renumbered per engine statement: the engine refuses ones a statement does not use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from branching import names, numbers
from branching.ddl.edit import mentions
from branching.ddl.model import Name
from branching.direct import refuse_place
from branching.dml import generated, identity, lengths, taken
from branching.dml.pieces import Binder, raw_target, with_prefix
from branching.engine.base import ResultColumn
from branching.errors import BoughError
from branching.model import Table
from branching.names import quote
from branching.resolve import Scope, table_name
from branching.steady import settle, settle_temporary
from branching.transaction import Transaction
from branching.volatility import is_volatile

STAGE = "_bough_stage"
SOURCE = "_bough_source"


@dataclass(slots=True)
class Written:
    """What a write did: its exact count and, with RETURNING, its columns and rows."""

    count: int
    columns: tuple[ResultColumn, ...] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)


class Write:
    """One DML statement on its way to storage. Subclasses know the trunk and the branch."""

    def __init__(self, transaction: Transaction, scope: Scope, parameters: Sequence[Any]) -> None:
        self.transaction = transaction
        self.scope = scope
        self.parameters = parameters
        self.cursor = transaction.cursor
        self._keys: tuple[str, tuple[str, ...]] | None = None
        self.remembered = False
        self.given: Sequence[str] = ()  # the columns that an INSERT has values for

    def keep_keys(self, stage: str, columns: tuple[str, ...]) -> None:
        """Has ``run`` keep in ``stage`` what these columns of the rows it changes were (``o0`` …), with identities."""
        self._keys = stage, columns

    def remember(self, table: Table, selected: str, values: Sequence[Any] = (), alias: str = "_row") -> None:
        """Before the rows ``selected`` (over the visible table, called ``alias``) are changed: keeps their keys."""
        if self._keys is None or not selected:
            return
        stage, columns = self._keys
        self.remembered = True
        rows = self.scope.relation_sql(table, self.scope.line, hidden=True)
        items = ", ".join(f"{quote(alias)}.{quote(name)} AS o{i}" for i, name in enumerate(columns))
        sql = f"SELECT {quote(alias)}.{names.RID}, {items} FROM ({rows}) AS {quote(alias)} WHERE {selected}"
        self.cursor.execute(self.cursor.engine.replace_temporary(stage, sql), values)

    def binder(self) -> Binder:
        return Binder(self.cursor.engine, self.parameters)

    def run(self, tree: exp.Expr) -> Written:
        """Executes a resolved-to-be DML tree (which it may change)."""
        node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if not isinstance(node, exp.Table):
            raise BoughError("0A000", "this form of write is not supported", hint="Write to a table by name.")
        name = table_name(node)
        if self.scope.is_temporary(name):
            return self._temporary(tree, node, name)
        table = self.scope.target(name)
        self.prepare(table)
        self.transaction.share(table.id)
        alias = node.alias or node.name
        self.open(table)  # before names are resolved: subqueries on the same table must see what is touched
        self.scope.resolve(tree, skip=node)
        refuse_place(tree, table, alias, self.scope.catalog.tables())
        _plain_target_columns(tree)
        self._expand_returning(tree, table, alias)
        generated.settle(tree, table)
        identity.settle(tree, table, _listed(tree, table))
        self.given = numbers.given(tree, _listed(tree, table))
        settle(self, tree, table, _listed(tree, table))
        if not isinstance(tree, exp.Merge):  # whose lists are spelled out later
            self.limit(tree, table)
        if isinstance(tree, exp.Insert):
            _name_keys(tree, table)
            taken.refuse(self, tree, table, _listed(tree, table), key_columns(table))
            return self.insert(tree, table, alias)
        if isinstance(tree, exp.Update):
            return self.update(tree, table, alias)
        if isinstance(tree, exp.Delete):
            return self.delete(tree, table, alias)
        if isinstance(tree, exp.Merge):
            if not self.cursor.engine.capabilities.merge_into:
                raise BoughError(
                    "0A000", "this engine has no MERGE", hint="Use INSERT … ON CONFLICT, UPDATE and DELETE."
                )
            return self.merge(tree, table, alias)
        raise BoughError("0A000", "this kind of write is not supported")

    def limit(self, tree: exp.Expr, table: Table) -> None:
        """Holds the tree to the lengths that columns declare."""

        def width(query: exp.Expr) -> int:
            binder = self.binder()
            return len(self.cursor.describe(with_prefix(tree, binder) + binder.text(query), binder.values))

        values = self.parameters
        listed = _listed(tree, table)
        lengths.settle(self.scope, tree, table, listed, width, lambda place, limit: limit.fits(values[place]))

    def prepare(self, table: Table) -> None:
        """Before anything of a write to ``table`` is done: what is better done outside its transaction."""

    def open(self, table: Table) -> None:
        """Makes storage ready for a write to ``table``."""

    def insert(self, tree: exp.Insert, table: Table, alias: str) -> Written:
        raise NotImplementedError

    def update(self, tree: exp.Update, table: Table, alias: str) -> Written:
        raise NotImplementedError

    def delete(self, tree: exp.Delete, table: Table, alias: str) -> Written:
        raise NotImplementedError

    def merge(self, tree: exp.Merge, table: Table, alias: str) -> Written:
        raise NotImplementedError

    def conflicting(self, conflict: exp.OnConflict, table: Table, columns: Sequence[str]) -> list[str]:
        """SQL over the table for each key: the row shares it with a row of the staged source, which has ``columns``."""
        return [
            f"({names.columns(key)}) IN (SELECT {names.columns(key)} FROM {SOURCE})"
            for key in conflict_keys(conflict, table)
            if set(key) <= set(columns)
        ]

    # -- shared ---------------------------------------------------------------------------------------------

    def _temporary(self, tree: exp.Expr, node: exp.Table, name: Name) -> Written:
        self.scope.resolve(tree, skip=node)
        alias, own = node.alias or node.name, self.scope.temporary[name.name]
        refuse_place(tree, own, alias, self.scope.catalog.tables())
        settle_temporary(self.transaction, self.scope, tree, name.name)
        self.limit(tree, own)
        target: exp.Expr = raw_target(names.temporary(name.name), alias)
        if isinstance(tree, exp.Insert) and not isinstance(tree.this, exp.Schema):
            filled = insert_columns(tree, own)
            if len(filled) < len(
                own.columns
            ):  # the engine wants a value for each column, where none is named
                listed = [exp.to_identifier(column, quoted=True) for column in filled]
                target = exp.Schema(this=target, expressions=listed)
        node.replace(target)
        return self.native(tree)

    def native(self, tree: exp.Expr) -> Written:
        """Runs the tree as it now stands."""
        # Of an UPDATE … FROM the engine counts a row as often as it is met; it returns it once.
        counted = isinstance(tree, exp.Update) and tree.args.get("from_") and not tree.args.get("returning")
        if counted:
            tree.set("returning", exp.Returning(expressions=[exp.Literal.number(1)]))
        binder = self.binder()
        sql = binder.text(tree)
        if counted:
            return Written(self.cursor.returning(sql, binder.values).arrow().num_rows)
        if tree.args.get("returning"):
            returned = self.cursor.returning(sql, binder.values)
            rows = returned.rows()
            self.returned(tree, rows)
            return Written(len(rows), returned.columns, rows)
        return Written(self.cursor.execute(sql, binder.values) or 0)

    def returned(self, tree: exp.Expr, rows: list[tuple[Any, ...]]) -> None:
        """Notes what a RETURNING gave: done again, the statement must give it again."""
        if self.transaction.explicit and not is_volatile(tree.args["returning"]):
            self.transaction.log.returned(rows)

    def _expand_returning(self, tree: exp.Expr, table: Table, alias: str) -> None:
        returning = tree.args.get("returning")
        if returning is None:
            return
        for column in returning.find_all(exp.Column):
            if column.table and column.table.lower() != alias.lower():
                raise BoughError(
                    "0A000",
                    f'RETURNING gives columns of "{table.name}" only, not of "{column.table}"',
                    hint="Read the other columns in a query of its own.",
                )
        items: list[exp.Expr] = []
        for item in returning.expressions:
            star = isinstance(item, exp.Star) or (
                isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
            )
            if star and not (isinstance(item, exp.Star) and item.args.get("except_")):
                items += [exp.column(exp.to_identifier(c.name, quoted=True)) for c in table.columns]
            else:
                items.append(item)
        returning.set("expressions", items)
        # a branch's rows go into a storage table of another name
        for column in list(returning.find_all(exp.Column)):
            if column.table and column.find_ancestor(exp.Query) is None:
                column.replace(exp.column(column.this.copy()))

    def stage_rids(self, sql: str, values: Sequence[Any]) -> str:
        """Stages identities once; returns a SELECT over them."""
        self.cursor.execute(self.cursor.engine.replace_temporary(STAGE, sql), values)
        return f"SELECT {names.RID} FROM {STAGE}"

    def stage_source(self, tree: exp.Insert, columns: Sequence[str]) -> None:
        """Evaluates an INSERT's source once and makes the statement read the staged rows."""
        binder = self.binder()
        source = tree.expression
        with_ = tree.args.get("with_")
        prefix = binder.text(with_) + " " if with_ else ""
        rows = f"{prefix}SELECT * FROM ({binder.text(source)}) AS _source({names.columns(list(columns))})"
        self.cursor.execute(self.cursor.engine.replace_temporary(SOURCE, rows), binder.values)
        tree.set("with_", None)
        tree.set("expression", exp.select("*").from_(exp.Table(this=exp.Var(this=SOURCE))))


def returning_query(tree: exp.Expr) -> exp.Expr | None:
    """A query with the columns that a write returns, and no rows; None where it returns none."""
    returning = tree.args.get("returning")
    if returning is None:
        return None
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return exp.select(*[item.copy() for item in returning.expressions]).from_(node.copy()).limit(0)


def insert_columns(tree: exp.Insert, table: Table) -> list[str]:
    """The columns an INSERT fills, by name; makes the list explicit in the tree."""
    by_lower = {column.name.lower(): column.name for column in table.columns}
    if isinstance(tree.this, exp.Schema):
        wanted = [item.name for item in tree.this.expressions]
        for name in wanted:
            if name.lower() not in by_lower:
                raise BoughError(
                    "42703", f'column "{name}" of relation "{table.name}" does not exist', table=table.name
                )
        return [by_lower[name.lower()] for name in wanted]
    fillable = [column.name for column in table.columns if column.generated is None]
    source = tree.expression
    if isinstance(source, exp.Values) and source.expressions:
        given = len(source.expressions[0].expressions)
        if given > len(fillable):
            raise BoughError("42601", "INSERT has more expressions than target columns")
        fillable = fillable[:given]
    elif isinstance(source, exp.Select) and not source.is_star:
        fillable = fillable[: len(source.expressions)]
    return fillable


def _listed(tree: exp.Expr, table: Table) -> list[str]:
    return insert_columns(tree, table) if isinstance(tree, exp.Insert) else []


def _name_keys(tree: exp.Insert, table: Table) -> None:
    """``ON CONFLICT ON CONSTRAINT name`` as the columns of that constraint: the engine knows no names."""
    conflict = tree.args.get("conflict")
    named = conflict.args.get("constraint") if conflict is not None else None
    if conflict is None or named is None:
        if conflict is not None and not (conflict.args.get("conflict_keys") or key_columns(table)):
            tree.set("conflict", None)  # DO NOTHING where nothing can be in conflict; the engine refuses it
        return
    keys = {item.name: item.columns for item in table.constraints if item.kind in "pu"}
    if named.name not in keys:
        raise BoughError(
            "42704",
            f'constraint "{named.name}" for table "{table.name}" does not exist',
            detail="A primary key or a unique constraint is wanted"
            + (f"; there is {', '.join(keys)}." if keys else ", and there is none."),
            table=table.name,
        )
    conflict.set("constraint", None)
    listed = [exp.column(exp.to_identifier(column, quoted=True)) for column in keys[named.name]]
    conflict.set("conflict_keys", [exp.Ordered(this=column, nulls_first=False) for column in listed])


def key_columns(table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """(constraint or index name, columns) of all columns that must be unique."""
    keys = [(item.name, item.columns) for item in table.constraints if item.kind in "pu"]
    known = {column.name for column in table.columns}
    return keys + [(i.name, i.columns) for i in table.indexes if i.unique and known.issuperset(i.columns)]


def conflict_keys(conflict: exp.OnConflict, table: Table) -> list[tuple[str, ...]]:
    """The keys that an ON CONFLICT is about: the one it names, or all."""
    named = conflict.args.get("conflict_keys")
    if named:
        return [tuple(item.name for item in named)]
    return [columns for _, columns in key_columns(table)]


def rewritten_by_engine(table: Table, assigned: list[str]) -> bool:
    """Whether the engine runs an UPDATE of these columns as delete and insert."""
    indexed = {name for _, columns in key_columns(table) for name in columns}
    known = {column.name for column in table.columns}
    listed = {text for index in table.indexes for text in index.columns}
    indexed |= listed & known
    indexed.update(name for text in listed - known for name in known if mentions(text, name))
    nested = {c.name for c in table.columns if c.type.endswith("]") or c.type.startswith(("STRUCT", "MAP"))}
    folded = {name.lower() for name in indexed | nested}
    return any(name.lower() in folded for name in assigned)


def _plain_target_columns(tree: exp.Expr) -> None:
    """DuckDB wants unqualified columns on the left of SET."""
    for item in tree.expressions if isinstance(tree, exp.Update) else ():
        target = item.this
        for part in target.expressions if isinstance(target, exp.Tuple) else [target]:
            if isinstance(part, exp.Column):
                part.set("table", None)


__all__ = ["SOURCE", "STAGE", "Binder", "Write", "Written", "quote"]
