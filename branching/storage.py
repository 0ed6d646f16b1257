"""The tables that hold what branches change: created when first needed, dropped when nothing needs them.

``d<shape>``  rows of branches, with the table's own columns, keys, checks and defaults; keys include the branch
``b<shape>``  images, as of a branch's base, of rows it changed
``m<base>``   identities of base rows that branches replace or delete

They are shared by all branches that see the table in the same shape: a change of ten rows costs ten rows, not a
table, and thousands of branches stay cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from branching import names
from branching.model import Column, Constraint, Table
from branching.names import BRANCH, RID, VERSION, quote

if TYPE_CHECKING:
    from branching.transaction import Transaction

# Outside Bough the variable is not set: rows that plain DuckDB adds have no version until the next open.
VERSION_DEFAULT = f"getvariable('{names.VERSION_VARIABLE}')"
HIDDEN_COLUMNS = (
    f"{RID} BIGINT DEFAULT nextval('{names.RID_SEQUENCE}')",
    f"{VERSION} BIGINT DEFAULT {VERSION_DEFAULT}",
)


def column_sql(column: Column) -> str:
    """A column's definition in CREATE TABLE."""
    text = f"{quote(column.name)} {column.type}"
    if column.generated is not None:
        return f"{text} GENERATED ALWAYS AS ({column.generated})"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    if column.not_null:
        text += " NOT NULL"
    return text


def constraint_sql(constraint: Constraint, *, branch: bool) -> str | None:
    """A constraint's definition in CREATE TABLE; None for what the engine does not enforce (foreign keys)."""
    if constraint.kind == "f":
        return None
    if constraint.kind == "c":
        return f"CHECK ({constraint.expression})"
    kind = "PRIMARY KEY" if constraint.kind == "p" else "UNIQUE"
    listed = names.columns(constraint.columns)
    return f"{kind} ({BRANCH}, {listed})" if branch else f"{kind} ({listed})"


def ensure_delta(transaction: Transaction, table: Table, imaged: Table | None) -> None:
    """Creates what ``table`` (its defaults naming storage) needs to be written on the transaction's branch.

    ``imaged`` is the table in the branch's base, where it is there.
    """
    storage = table.storage
    _ensure(transaction, names.delta(storage.shape), lambda: delta_sql(table))
    if imaged is not None:
        image = imaged
        _ensure(transaction, names.before(image.storage.shape), lambda: before_sql(image))
    if storage.base is not None:
        mask = names.mask(storage.base)
        key = f"{BRANCH} BIGINT, {RID} BIGINT, PRIMARY KEY ({BRANCH}, {RID})"
        _ensure(transaction, mask, lambda: f"CREATE TABLE {mask} ({key})")


def _ensure(transaction: Transaction, name: str, make: Callable[[], str]) -> None:
    if not transaction.physical.has(name):
        transaction.cursor.execute(make())
        transaction.add_storage(name)


def delta_sql(table: Table) -> str:
    """CREATE TABLE of the rows of branches over a table of this shape."""
    items = [f"{BRANCH} BIGINT NOT NULL DEFAULT getvariable('bough_branch')"]
    items += [column_sql(column) for column in table.columns]
    items += HIDDEN_COLUMNS
    items += filter(None, (constraint_sql(item, branch=True) for item in table.constraints))
    items += [f"UNIQUE ({BRANCH}, {names.columns(index.columns)})" for index in table.indexes if index.unique]
    return f"CREATE TABLE {names.delta(table.storage.shape)} ({', '.join(items)})"


def before_sql(table: Table) -> str:
    """CREATE TABLE of images of rows in this shape."""
    items = [f"{BRANCH} BIGINT NOT NULL"]
    items += [f"{quote(column.name)} {column.type}" for column in table.columns if column.generated is None]
    items += [f"{RID} BIGINT NOT NULL", f"{VERSION} BIGINT NOT NULL"]
    return f"CREATE TABLE {names.before(table.storage.shape)} ({', '.join(items)})"


def base_sql(schema: str, name: str, table: Table) -> str:
    """CREATE TABLE of a table of the trunk."""
    items = [column_sql(column) for column in table.columns]
    items += HIDDEN_COLUMNS
    items += filter(None, (constraint_sql(item, branch=False) for item in table.constraints))
    return f"CREATE TABLE {quote(schema)}.{quote(name)} ({', '.join(items)})"
