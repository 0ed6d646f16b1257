"""Writes of a block that can be done again: what gives something else each time is asked once, before the statement.

``ROLLBACK TO`` does a block's writes again up to a savepoint (``savepoints``), so they must write the same rows then.
Rules:

1. Rows that are given (VALUES) get what they draw - numbers of a sequence, random values, also by a default - as plain
   values: the engine is asked for them first. Their text then says all they are.
2. An INSERT from a query that draws is staged in memory while it is small. A larger one, and an UPDATE, DELETE or MERGE
   that draws, is run as it stands: no savepoint that is set after it can be gone back to.
3. Where the engine chooses (a LIMIT, a sum of doubles), the table is noted: a savepoint keeps a digest of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from branching import macros, names
from branching.ddl import model as d
from branching.model import Column, Table
from branching.names import literal, quote
from branching.resolve import DIALECT, parse
from branching.watch import draws, is_unordered, tells_time

if TYPE_CHECKING:
    from branching.dml.statements import Write
    from branching.resolve import Scope
    from branching.transaction import Transaction

SMALL = 10_000  # rows of a query that are staged
_GIVEN = "_bough_given"
_NUMBERS = {"nextval": "BIGINT", "currval": "BIGINT", "setval": "BIGINT", "random": "DOUBLE"}
_UUIDS = frozenset({"uuid", "gen_random_uuid", "uuidv4", "uuidv7"})


@lru_cache(maxsize=1024)
def is_unsteady(text: str) -> bool:
    """Whether a default gives something else each time."""
    tree = parse(text)
    return next(draws(tree), None) is not None or tells_time(tree)


def settle(write: Write, tree: exp.Expr, table: Table, columns: Sequence[str]) -> None:
    """Before a write in a block, its names resolved: changes ``tree`` so that it can be done again, or notes that it
    cannot. ``columns``: those that an INSERT names."""
    transaction = write.transaction
    if isinstance(tree, exp.Insert) and tree.args.get("conflict") is not None:
        _spell_defaults(write, tree.expression, table, columns)
    if not transaction.explicit or (transaction.log.broken is not None and not transaction.pinned):
        return
    watch = write.scope.watch
    if is_unordered(tree) or (watch is not None and watch.unordered):
        transaction.doubtful[table.id] = transaction.doubtful.get(table.id, False) or not _adds(tree)
    hidden = watch is not None and watch.drawn
    if isinstance(tree, exp.Insert):
        _settle_insert(write, tree, table, list(columns), hidden)
    elif hidden or next(draws(tree), None) is not None or _sets_unsteady_default(tree, table):
        _stop(transaction, tree)


def settle_temporary(transaction: Transaction, scope: Scope, tree: exp.Expr, name: str) -> None:
    """The same for a write to a temporary table, or its CREATE … AS."""
    if not transaction.explicit:
        return
    unsteady = (
        any(column.default for column in scope.temporary[name].columns) if name in scope.temporary else False
    )
    if unsteady or (scope.watch is not None and scope.watch.drawn) or next(draws(tree), None) is not None:
        _stop(transaction, tree)
    elif is_unordered(tree) or (scope.watch is not None and scope.watch.unordered):
        transaction.doubtful[name] = True


def settle_definition(transaction: Transaction, statement: d.Ddl, scope: Scope) -> None:
    """Before a change of definitions in a block."""
    if not transaction.explicit or not isinstance(statement, d.AlterTable):
        return
    for action in statement.actions:
        if isinstance(action, d.AddColumn):
            identity = action.column.find(exp.GeneratedAsIdentityColumnConstraint) is not None
            unsteady = identity or bool(action.column.meta.get("identity")) or _unsteady(action.column)
        else:
            unsteady = (
                isinstance(action, d.AlterType) and action.using is not None and _unsteady(action.using)
            )
        if unsteady and _has_rows(transaction, scope, statement.name):
            transaction.log.stop(
                "the transaction has put drawn values into a column of a table that has rows"
            )


def _has_rows(transaction: Transaction, scope: Scope, name: d.Name) -> bool:
    """Whether a new column has rows to fill; where that is not a table of the branch, it is taken to have."""
    if scope.is_temporary(name):
        return True
    found = scope.find(name)
    if found is None or not isinstance(found[2], Table):
        return True
    rows = scope.relation_sql(found[2], scope.line)
    return bool(transaction.cursor.query(f"SELECT 1 FROM ({rows}) AS _rows LIMIT 1"))


def _unsteady(tree: exp.Expr) -> bool:
    return next(draws(tree), None) is not None or tells_time(tree)


def _adds(tree: exp.Expr) -> bool:
    """Whether the rows that a statement changes are there afterwards."""
    return isinstance(tree, exp.Insert | exp.Update)


def _stop(transaction: Transaction, tree: exp.Expr) -> None:
    transaction.log.stop(
        f"the transaction has run an {tree.key.upper()} whose values were drawn (a sequence, a random value)"
        " and are not kept"
    )


def _sets_unsteady_default(tree: exp.Expr, table: Table) -> bool:
    if not any(column.default and is_unsteady(column.default) for column in table.columns):
        return False
    return isinstance(tree, exp.Merge) or any(_is_default(node) for node in tree.find_all(exp.Var))


def _changes(write: Write, default: str) -> bool:
    if is_unsteady(default):
        return True
    if not write.scope.catalog.macros:
        return False
    return _unsteady(macros.expand(parse(default).copy(), write.scope))


def _is_default(node: exp.Expr) -> bool:
    return isinstance(node, exp.Var) and node.name.upper() == "DEFAULT"


def _settle_insert(write: Write, tree: exp.Insert, table: Table, columns: list[str], hidden: bool) -> None:
    transaction, source = write.transaction, tree.expression
    drawn = {
        column.name: column
        for column in table.columns
        if column.generated is None and column.default and _changes(write, column.default)
    }
    if next(draws(tree.args.get("conflict")), None) is not None or (
        tree.args.get("conflict") is not None and _sets_unsteady_default(tree.args["conflict"], table)
    ):
        _stop(transaction, tree)
        return
    if tree.args.get("default"):
        if not drawn:
            return
        source = exp.Values(expressions=[exp.Tuple(expressions=[])])
        columns = []
    missing = [column for name, column in drawn.items() if name not in columns]
    if not missing and not hidden and next(draws(source), None) is None and not _has_default(source, drawn):
        return
    if tree.args.get("by_name") or source is None:
        _stop(transaction, tree)
        return
    rows = _given(source, len(columns))
    if rows is not None and not hidden:
        for row in rows:
            cells = [
                _default(write, drawn[name]) if _is_default(cell) and name in drawn else cell
                for name, cell in zip(columns, row.expressions, strict=True)
            ]
            row.set("expressions", [*cells, *(_default(write, column) for column in missing)])
        if not _draw(transaction, rows):
            _stop(transaction, tree)
        tree.set("default", False)
        tree.set("expression", source)
    elif not _stage(write, tree, columns, missing):
        _stop(transaction, tree)
        return
    node = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    listed = [exp.to_identifier(name, quoted=True) for name in [*columns, *(item.name for item in missing)]]
    tree.set("this", exp.Schema(this=node, expressions=listed))


def _spell_defaults(write: Write, source: exp.Expr | None, table: Table, columns: Sequence[str]) -> None:
    """The defaults themselves for the word DEFAULT, which the engine does not know beside ON CONFLICT."""
    if not isinstance(source, exp.Values):
        return
    for row in source.expressions:
        for name, cell in zip(columns, list(row.expressions), strict=False):
            column = table.column(name) if _is_default(cell) else None
            if column is None:
                continue
            if column.default is not None:
                cell.replace(_default(write, column))
            else:
                kind = exp.DataType.build(column.type, dialect=DIALECT, udt=True)
                cell.replace(exp.Cast(this=exp.null(), to=kind))


def _has_default(source: exp.Expr | None, drawn: dict[str, Column]) -> bool:
    return bool(drawn) and isinstance(source, exp.Values) and any(map(_is_default, source.find_all(exp.Var)))


def _given(source: exp.Expr, width: int) -> list[exp.Tuple] | None:
    """The rows of a VALUES list that are plain expressions."""
    if not isinstance(source, exp.Values) or source.args.get("alias"):
        return None
    rows = source.expressions
    if not all(isinstance(row, exp.Tuple) and len(row.expressions) == width for row in rows):
        return None
    return None if any(row.find(exp.Query) is not None for row in rows) else rows


def _default(write: Write, column: Column) -> exp.Expr:
    """A column's default, its names storage's and the time put in."""
    assert column.default is not None
    kept = write.transaction.defaults
    key = column.default, column.type, write.scope.catalog
    if (found := kept.get(column.id)) is None or found[0] != key:
        value = write.scope.resolve(parse(column.default).copy())
        if not _calls_directly(value):
            value = exp.Cast(this=value, to=exp.DataType.build(column.type, dialect=DIALECT, udt=True))
        found = kept[column.id] = (key, value)
    return found[1].copy()


def _calls_directly(value: exp.Expr) -> bool:
    return isinstance(value, exp.Anonymous) and value.name.lower() in _NUMBERS


def _draw(transaction: Transaction, rows: Sequence[exp.Tuple]) -> bool:
    """Puts values in the place of the calls that draw; False where one cannot be asked by itself."""
    cursor = transaction.cursor
    wanted: dict[str, list[exp.Func]] = {}
    for row in rows:
        for call in draws(row):
            if call.find(exp.Placeholder, exp.Column) is not None:
                return False
            wanted.setdefault(cursor.engine.text(call), []).append(call)
    kinds = {text: _kind(text) for text in wanted}
    if None in kinds.values():
        return False
    asked = {text: f"CAST({text} AS VARCHAR)" if kind == "UUID" else text for text, kind in kinds.items()}
    if all(len(calls) == 1 for calls in wanted.values()):
        found = (
            {}
            if not asked
            else dict(zip(asked, cursor.query(f"SELECT {', '.join(asked.values())}")[0], strict=True))
        )
        values = {text: [value] for text, value in found.items()}
    else:
        values = {
            text: [row[0] for row in cursor.query(f"SELECT {asked[text]} FROM {_rows(len(calls))}")]
            for text, calls in wanted.items()
        }
    for text, calls in wanted.items():
        for call, value in zip(calls, values[text], strict=True):
            shown = literal(value) if kinds[text] == "UUID" else repr(value)
            call.replace(exp.Var(this=f"CAST({shown} AS {kinds[text]})"))
            _note(transaction, call, value)
    return True


def _kind(text: str) -> str | None:
    """The type of a call's value; None for a call that is not known."""
    name = text.partition("(")[0].lower()
    return "UUID" if name in _UUIDS else _NUMBERS.get(name)


def _rows(count: int) -> str:
    return f"(VALUES {', '.join(['(0)'] * count)}) AS _rows(n)"


def _note(transaction: Transaction, call: exp.Expr, value: Any) -> None:
    """Remembers how far a sequence has come."""
    if isinstance(call, exp.Anonymous) and call.name.lower() in ("nextval", "setval"):
        transaction.drawn[call.expressions[0].name] = value


def _stage(write: Write, tree: exp.Insert, columns: list[str], missing: Sequence[Column]) -> bool:
    """Reads an INSERT's rows into memory, with what their defaults draw; False if they are too many, or draw numbers of
    a sequence themselves (which would be lost if they were)."""
    transaction, source = write.transaction, tree.expression
    cursor, watch = transaction.cursor, write.scope.watch
    if any(_calls_directly(call) and call.name.lower() != "random" for call in draws(source)):
        return False
    if watch is not None and watch.drawn:
        return False
    binder = write.binder()
    with_ = tree.args.get("with_")
    prefix = binder.text(with_) + " " if with_ is not None else ""
    listed = names.columns(columns)
    rows = cursor.arrow(
        f"{prefix}SELECT * FROM ({binder.text(source)}) AS _source({listed}) LIMIT {SMALL + 1}", binder.values
    )
    if rows.num_rows > SMALL:
        return False
    for column in missing if rows.num_rows else ():
        value = _default(write, column)
        text = cursor.engine.text(value)
        query = f"SELECT {text} AS {quote(column.name)} FROM {_rows(rows.num_rows)}"
        if _calls_directly(value):  # by a query that runs once: a relation of Arrow's would draw more numbers
            drawn = cursor.query(query)
            values: Any = pa.chunked_array([pa.array([row[0] for row in drawn])])
            _note(transaction, value, drawn[-1][0])
        elif any(map(_calls_directly, draws(value))):
            return False
        else:
            values = cursor.arrow(query).column(0)
        rows = rows.append_column(column.name, values)
    if not rows.num_rows:
        missing = ()
    cursor.register(_GIVEN, rows)
    tree.set("with_", None)
    every = [
        exp.column(exp.to_identifier(name, quoted=True)) for name in [*columns, *(c.name for c in missing)]
    ]
    tree.set("expression", exp.select(*every).from_(exp.Table(this=exp.Var(this=_GIVEN))))
    return True
