"""UPDATEs whose rows take over each other's keys: ``SET id = id + 1``.

The engine changes rows a few thousand at a time, and rows of the open transaction apart from others, so whether a key
is free yet would depend on where its row happens to be, on main and on a branch differently. Postgres asks row by row.
The standard asks what stands in the end, and so do we: the new rows are worked out first, the old ones go, and the new
ones come. A key that two rows have then, and no other, is a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from branching import names
from branching.dml import constraint_errors
from branching.dml.pieces import condition, raw_target, sources, with_prefix
from branching.dml.statements import Write, Written, key_columns
from branching.model import Table
from branching.names import BRANCH, RID, VERSION, quote
from branching.volatility import is_volatile

_MOVED = "_bough_moved"


def moves_keys(tree: exp.Update, table: Table) -> bool:
    """Whether the UPDATE can give a row a key that another row has before it."""
    keys = {name.lower() for _, columns in key_columns(table) for name in columns}
    moves = False
    for item in tree.expressions:
        value = item.expression
        if not isinstance(item.this, exp.Column) or value is None or _is_default(value):
            return False
        if item.this.name.lower() in keys:
            moves = moves or is_volatile(value) or next(value.find_all(exp.Column), None) is not None
    return moves


def _is_default(value: exp.Expr) -> bool:
    return isinstance(value, exp.Column | exp.Var) and value.name.upper() == "DEFAULT"


def move(
    write: Write,
    tree: exp.Update,
    table: Table,
    alias: str,
    target: str,
    version: int,
    insert: Callable[[exp.Insert], Written],
    branch: int | None = None,
) -> Written | None:
    """Carries out the UPDATE on ``target``, on rows of ``branch`` only if one is given; None where at most one row
    changes, which is left to the engine. ``insert`` runs what brings the new rows."""
    name = quote(alias)
    own = f"{name}.{BRANCH} = {branch} AND " if branch is not None else ""
    binder = write.binder()
    with_, extra = with_prefix(tree, binder), sources(tree, binder)
    where = f"FROM {target} AS {name}{extra} WHERE {own}({condition(tree, binder)})"
    some = f"{with_}SELECT count(*) FROM (SELECT 1 {where} LIMIT 2) AS _some"
    if write.cursor.query(some, binder.values)[0][0] < 2:
        return None
    binder = write.binder()
    with_, extra = with_prefix(tree, binder), sources(tree, binder)
    assigned = {item.this.name.lower(): item.expression for item in tree.expressions}
    items = []
    for column in table.columns:
        if column.generated is None:
            value = assigned.get(column.name.lower())
            text = f"{name}.{quote(column.name)}" if value is None else binder.text(value)
            items.append(f"CAST({text} AS {column.type}) AS {quote(column.name)}")
    items += [f"{name}.{RID}", f"{version} AS {VERSION}"]
    columns = [*table.stored, RID, VERSION]
    if branch is not None:
        items.append(f"{branch} AS {BRANCH}")
        columns.append(BRANCH)
    once = f"DISTINCT ON ({name}.{RID}) " if extra else ""
    where = f"FROM {target} AS {name}{extra} WHERE {own}({condition(tree, binder)})"
    engine, cursor = write.cursor.engine, write.cursor
    cursor.execute(
        engine.replace_temporary(_MOVED, f"{with_}SELECT {once}{', '.join(items)} {where}"), binder.values
    )
    _refuse_doubles(write, table, set(assigned))
    mine = f"{BRANCH} = {branch} AND " if branch is not None else ""
    cursor.execute(f"DELETE FROM {target} WHERE {mine}{RID} IN (SELECT {RID} FROM {_MOVED})")
    identifiers = [exp.to_identifier(column, quoted=True) for column in columns]
    listed = [exp.column(identifier.copy()) for identifier in identifiers]
    written = insert(
        exp.Insert(
            this=exp.Schema(this=raw_target(target, alias), expressions=identifiers),
            expression=exp.select(*listed).from_(exp.Table(this=exp.Var(this=_MOVED))),
            returning=tree.args.get("returning"),
        )
    )
    cursor.execute(f"DROP TABLE {_MOVED}")
    return written


def _refuse_doubles(write: Write, table: Table, assigned: set[str]) -> None:
    """Where two of the new rows share a key; the engine finds one that another row has."""
    for name, columns in key_columns(table):
        if not assigned & {column.lower() for column in columns}:
            continue
        listed = names.columns(columns)
        present = " AND ".join(f"{quote(column)} IS NOT NULL" for column in columns)
        found = write.cursor.query(
            f"SELECT {listed} FROM {_MOVED} WHERE {present} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        )
        if found:
            raise constraint_errors.taken(table, name, columns, found[0])
