"""Temporary tables: the engine's own, private to a session and never branched.

The engine looks for a name among temporary tables first, even where ``main.`` is written before it. So each has a name
in the engine that no table of a branch has (``names.temporary``): a temporary table hides the table of the same name
from the user, as in Postgres, and never from us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import names
from branching.ddl import model as d
from branching.errors import BoughError
from branching.model import Column, Table
from branching.names import quote
from branching.resolve import DIALECT
from branching.result import Result
from branching.steady import is_unsteady, settle_temporary

if TYPE_CHECKING:
    from branching.connection import Connection


_IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class TemporaryTable(Table):
    on_commit: str = ""  # drop, delete (its rows), or nothing


def create(connection: Connection, tree: exp.Create, node: exp.Table, parameters: Sequence[Any]) -> Result:
    """CREATE TEMP TABLE, also AS a query."""
    made = tree.copy()
    scope = connection.scope()
    target = made.this.this if isinstance(made.this, exp.Schema) else made.this
    if made.expression is not None:
        made.set("expression", scope.resolve(made.expression))
        if connection.transaction is not None:
            settle_temporary(connection.transaction, scope, made.expression, node.name)
    properties = made.args.get("properties")
    if properties is None or properties.find(exp.TemporaryProperty) is None:
        made.set("properties", exp.Properties(expressions=[exp.TemporaryProperty()]))
    target.replace(exp.Table(this=exp.to_identifier(_short(node.name), quoted=True)))
    count = connection.cursor.execute(connection.cursor.engine.text(made), parameters)
    declared = {item.name: item.meta.get("declared") for item in made.find_all(exp.ColumnDef)}
    _know(connection, node.name, _drawn_defaults(made), declared, tree.meta.get("on_commit", ""))
    return Result(None, count if made.expression is not None else None)


def identify(connection: Connection, name: str) -> None:
    """Gives each row that comes into an empty temporary table an identity at once, in a column that is not listed.
    Its INSERTs name their columns.

    An engine may draw identities with one thread only. An INSERT that is ``identified`` takes these, with all threads.
    """
    connection.cursor.execute(connection.cursor.engine.identify(names.temporary(name)))


def identified(tree: exp.Insert) -> exp.Insert:
    """Marks an INSERT of all rows of a table that ``identify`` was called for. No row may be inserted twice."""
    tree.meta[_IDENTIFIED] = True
    return tree


def carry_identities(tree: exp.Insert, columns: Sequence[str]) -> list[str]:
    """Has the rows of a marked INSERT, its names resolved, bring their identities; the columns it fills then."""
    source = tree.expression
    if not tree.meta.get(_IDENTIFIED) or not isinstance(source, exp.Select):
        return list(columns)
    from_ = source.args.get("from_")
    rows = from_.this.this if from_ is not None else None
    # Lengths, say, are looked after in a query around it, which shows no hidden column.
    if not isinstance(rows, exp.Var) or names.TEMPORARY_PREFIX not in rows.name:
        return list(columns)
    source.append("expressions", exp.column(exp.to_identifier(names.RID, quoted=True)))
    return [*columns, names.RID]


def ddl(connection: Connection, statement: d.Ddl) -> bool:
    """Carries out DROP, ALTER and CREATE INDEX of a temporary table; True if that is what it was."""
    if isinstance(statement, d.Drop) and statement.kind == "table":
        mine = [name for name in statement.names if _is_mine(connection, name)]
        if not mine or len(mine) != len(statement.names):
            return False
        for name in mine:
            connection.cursor.execute(f"DROP TABLE {names.temporary(name.name)}")
            _forget(connection, name.name)
        return True
    if (
        isinstance(statement, d.AlterTable)
        and statement.kind == "table"
        and _is_mine(connection, statement.name)
    ):
        altered = statement.name.name
        for action in statement.actions:
            altered = _alter(connection, altered, action)
        return True
    if not isinstance(statement, d.CreateIndex) or not _is_mine(connection, statement.table):
        return False
    if statement.unique:
        raise BoughError(
            "0A000",
            f'a unique index on temporary table "{statement.table.name}" is not supported',
            detail="The engine would keep it under a name that all sessions share.",
            hint="Declare the columns UNIQUE in CREATE TEMP TABLE.",
        )
    return True  # any other would serve nobody: the table ends with the session


def truncate(connection: Connection, name: d.Name) -> bool:
    """TRUNCATE of a temporary table; True if that is what it was."""
    if not _is_mine(connection, name):
        return False
    connection.cursor.execute(f"DELETE FROM {names.temporary(name.name)}")
    return True


def at_commit(connection: Connection) -> None:
    """What ON COMMIT says, as the transaction's last act."""
    for name, table in connection.temporary.items():
        if table.on_commit == "drop":
            connection.cursor.execute(f"DROP TABLE {names.temporary(name)}")
            _forget(connection, name)
        elif table.on_commit == "delete":
            connection.cursor.execute(f"DELETE FROM {names.temporary(name)}")


def drop_all(connection: Connection) -> None:
    for name in connection.temporary:
        connection.cursor.execute(f"DROP TABLE IF EXISTS {names.temporary(name)}")
    connection.temporary = {}


def _alter(connection: Connection, name: str, action: d.Action) -> str:
    table = names.temporary(name)
    if isinstance(action, d.RenameTable):
        if action.to in connection.temporary:
            raise BoughError("42P07", f'relation "{action.to}" already exists')
        connection.cursor.execute(f"ALTER TABLE {table} RENAME TO {quote(_short(action.to))}")
        connection.temporary = {**connection.temporary, action.to: connection.temporary[name]}
        _forget(connection, name)
        _know(connection, action.to)
        return action.to
    connection.cursor.execute(f"ALTER TABLE {table} {_clause(action)}")
    changed: dict[str, str] = {}
    declared: dict[str, str | None] = {}
    if isinstance(action, d.AddColumn):
        changed = _drawn_defaults(action.column)
        declared = {action.column.name: action.column.meta.get("declared")}
    elif isinstance(action, d.AlterType):
        declared = {action.column: action.declared}
    elif isinstance(action, d.RenameColumn):
        known = connection.temporary[name].column(action.column)
        declared = {action.to: known.declared if known is not None else None}
    elif isinstance(action, d.SetDefault) and is_unsteady(text := action.default.sql(DIALECT)):
        changed = {action.column: text}
    _know(connection, name, changed, declared)
    return name


def _clause(action: d.Action) -> str:
    if isinstance(action, d.AddColumn):
        exists = "IF NOT EXISTS " if action.if_not_exists else ""
        return f"ADD COLUMN {exists}{action.column.sql(DIALECT)}"
    if isinstance(action, d.DropColumn):
        return f"DROP COLUMN {'IF EXISTS ' if action.if_exists else ''}{quote(action.column)}"
    if isinstance(action, d.RenameColumn):
        return f"RENAME COLUMN {quote(action.column)} TO {quote(action.to)}"
    if isinstance(action, d.AlterType):
        using = f" USING {action.using.sql(DIALECT)}" if action.using is not None else ""
        return f"ALTER COLUMN {quote(action.column)} TYPE {action.type.sql(DIALECT)}{using}"
    if isinstance(action, d.SetDefault):
        return f"ALTER COLUMN {quote(action.column)} SET DEFAULT {action.default.sql(DIALECT)}"
    if isinstance(action, d.DropDefault):
        return f"ALTER COLUMN {quote(action.column)} DROP DEFAULT"
    if isinstance(action, d.SetNotNull):
        return f"ALTER COLUMN {quote(action.column)} SET NOT NULL"
    if isinstance(action, d.DropNotNull):
        return f"ALTER COLUMN {quote(action.column)} DROP NOT NULL"
    raise BoughError(
        "0A000",
        "this change of a temporary table is not supported",
        hint="CREATE TEMP TABLE … with what it shall have, and INSERT the rows.",
    )


def _is_mine(connection: Connection, name: d.Name) -> bool:
    return name.catalog is None and names.may_be_temporary(name.schema) and name.name in connection.temporary


def _drawn_defaults(tree: exp.Expr) -> dict[str, str]:
    """By column, the defaults in a definition that give something else each time."""
    return {
        column.name: text
        for column in tree.find_all(exp.ColumnDef)
        for default in column.find_all(exp.DefaultColumnConstraint)
        if is_unsteady(text := default.this.sql(DIALECT))
    }


def _know(
    connection: Connection,
    name: str,
    drawn: Mapping[str, str] | None = None,
    declared: Mapping[str, str | None] | None = None,
    on_commit: str = "",
) -> None:
    described = connection.cursor.describe(f"SELECT * FROM {names.temporary(name)}")
    known = connection.temporary.get(name) or TemporaryTable(0, "pg_temp", name, (), on_commit=on_commit)
    defaults = {column.name: column.default for column in known.columns} | dict(drawn or {})
    said = {column.name: column.declared for column in known.columns} | dict(declared or {})
    columns = tuple(
        Column(i, item.name, item.type, default=defaults.get(item.name), declared=said.get(item.name))
        for i, item in enumerate(described, 1)
    )
    connection.temporary = {**connection.temporary, name: replace(known, columns=columns)}


def _forget(connection: Connection, name: str) -> None:
    connection.temporary = {key: table for key, table in connection.temporary.items() if key != name}


def _short(name: str) -> str:
    return names.TEMPORARY_PREFIX + name
