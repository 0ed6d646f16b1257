"""The fake engine's SQL: trees and texts of branching as statements for SQLite.

Rules:

1. A table has one name in SQLite: its schema and its own with ``SEPARATOR`` between them. A name without is temporary.
2. What SQLite does not have or does silently otherwise is put in its place here: casts (that fail where a value does
   not fit), column lists behind an alias, members of a UNION in parentheses, numbered parameters.
3. ``prepare`` may be run on its own result: trees are prepared when they become text, and that text is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from branching.engine.base import EngineError, ErrorKind

SEPARATOR = "\x1f"
CAST, TRY_CAST = "bough_cast", "bough_try_cast"
DIALECT = "sqlite"
_T = exp.DataType.Type
_TYPES = {
    _T.BOOLEAN: "BOOLEAN", _T.TINYINT: "TINYINT", _T.SMALLINT: "SMALLINT", _T.INT: "INTEGER", _T.BIGINT: "BIGINT",
    _T.FLOAT: "FLOAT", _T.DOUBLE: "DOUBLE", _T.TEXT: "VARCHAR", _T.VARCHAR: "VARCHAR", _T.CHAR: "VARCHAR",
    _T.DATE: "DATE", _T.TIMESTAMP: "TIMESTAMP", _T.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE", _T.BLOB: "BLOB",
    _T.VARBINARY: "BLOB", _T.BINARY: "BLOB", _T.DATETIME: "TIMESTAMP", _T.TIMESTAMPNTZ: "TIMESTAMP",
}  # fmt: skip


def fail(message: str, exception: str = "BinderException", sql: str = "") -> EngineError:
    return EngineError(ErrorKind.OTHER, exception, message, sql)


def type_text(kind: exp.DataType) -> str:
    """A type as the fake spells it. Refuses those that it has not."""
    if kind.this is _T.DECIMAL:
        sizes = [item.name for item in kind.expressions] or ["18", "3"]
        return f"DECIMAL({sizes[0]},{sizes[1] if len(sizes) > 1 else '0'})"
    found = _TYPES.get(kind.this) if isinstance(kind.this, _T) else None
    if found is None:
        raise fail(f"Type with name {kind.sql()} does not exist!", "CatalogException")
    return found


# -- trees -----------------------------------------------------------------------------------------------------------


def text(tree: exp.Expr) -> str:
    """A tree as text for a cursor: names stay in two parts."""
    return prepare(tree.copy()).sql(DIALECT)


def prepare(tree: exp.Expr) -> exp.Expr:
    """The tree, changed in place, without what SQLite does not have. Returns the new root."""
    holder = exp.Paren(this=tree)
    for node in reversed(list(holder.walk())):  # what is inside first: what is around it may copy it
        for change in _CHANGES.get(type(node), ()):
            change(node)
    root: exp.Expr = holder.this
    while isinstance(root, exp.Subquery) and not root.alias:
        root = root.this
    source = root.args.get("expression") if isinstance(root, exp.Create | exp.Insert) else None
    if isinstance(source, exp.Subquery) and not source.alias:
        root.set("expression", source.unnest())
    return root


def _placeholder(node: exp.Expr) -> None:
    if node.name.isdigit():
        node.replace(exp.Parameter(this=exp.Literal.number(node.name)))


def _cast(node: exp.Expr) -> None:
    kind = node.args["to"]
    if isinstance(node.this, exp.Null) or (isinstance(kind, exp.DataType) and node.meta.get("kept")):
        node.meta["kept"] = True
        return
    name = TRY_CAST if isinstance(node, exp.TryCast) else CAST
    node.replace(exp.func(name, node.this, exp.Literal.string(type_text(kind)), dialect=DIALECT))


def _alias_columns(node: exp.Expr) -> None:
    """``(query) AS a(x, y)`` as a query over a CTE that can name its columns."""
    alias = node.args.get("alias")
    columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    if alias is None or not columns or not alias.this:
        return
    name = alias.this.copy()
    query = node.this if isinstance(node, exp.Subquery) else exp.Values(expressions=node.expressions)
    cte = exp.CTE(
        this=query.copy(), alias=exp.TableAlias(this=name, columns=[item.copy() for item in columns])
    )
    outer = exp.select("*").from_(exp.Table(this=name.copy()))
    outer.set("with_", exp.With(expressions=[cte]))
    made = exp.Subquery(this=outer, alias=exp.TableAlias(this=name.copy()))
    for key in ("joins", "sample", "pivots", "laterals"):
        if value := node.args.get(key):
            made.set(key, value)
    node.replace(made)


def _member(node: exp.Expr) -> None:
    for side in ("this", "expression"):
        part = node.args.get(side)
        if isinstance(part, exp.Subquery) and not part.alias:
            inner = exp.Subquery(this=part.this, alias=exp.TableAlias(this=exp.to_identifier(f"_{side}")))
            node.set(side, exp.select("*").from_(inner))


def _row_list(node: exp.Expr) -> None:
    """``(a, b) IN (SELECT (a, b) FROM t)``: SQLite compares rows with the columns of a query."""
    query = node.args.get("query")
    select = query.this if isinstance(query, exp.Subquery) else query
    if isinstance(select, exp.Select) and len(select.expressions) == 1:
        only = select.expressions[0]
        if isinstance(only, exp.Tuple):
            select.set("expressions", only.expressions)
        elif isinstance(only, exp.Paren):
            select.set("expressions", [only.this])


def _upsert(node: exp.Expr) -> None:
    """SQLite takes ON of an ON CONFLICT behind a SELECT for that of a join, and no order of NULLs in a key."""
    conflict = node.args.get("conflict")
    for key in (conflict.args.get("conflict_keys") or ()) if conflict is not None else ():
        if isinstance(key, exp.Ordered):
            key.replace(key.this)
    query = node.args.get("expression")
    if (
        node.args.get("conflict") is not None
        and isinstance(query, exp.Select)
        and not query.args.get("where")
    ):
        query.set("where", exp.Where(this=exp.true()))


def _delete_using(node: exp.Expr) -> None:
    """``DELETE FROM t USING u WHERE …`` by the places of the rows that match."""
    using = node.args.get("using")
    if not using:
        return
    target, where = node.this, node.args.get("where")
    place = exp.column("rowid", table=exp.to_identifier(target.alias_or_name, quoted=True))
    some = exp.select(place).from_(target.copy())
    for item in using if isinstance(using, list) else [using]:
        some = some.join(item.copy(), join_type="cross")
    if where is not None:
        some = some.where(where.this.copy())
    node.set("using", None)
    node.set("where", exp.Where(this=exp.In(this=place.copy(), query=exp.Subquery(this=some))))


_Change = Callable[[exp.Expr], None]
_CHANGES: dict[type, tuple[_Change, ...]] = {
    exp.Placeholder: (_placeholder,),
    exp.Cast: (_cast,),
    exp.TryCast: (_cast,),
    exp.Subquery: (_alias_columns,),
    exp.Values: (_alias_columns,),
    exp.Union: (_member,),
    exp.Except: (_member,),
    exp.Intersect: (_member,),
    exp.In: (_row_list,),
    exp.Insert: (_upsert,),
    exp.Delete: (_delete_using,),
}


# -- texts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """A text as SQLite takes it. ``target``: the table that it writes or makes, by its name in SQLite."""

    tree: exp.Expr
    sql: str
    target: str | None = None

    @property
    def is_query(self) -> bool:
        return isinstance(self.tree, exp.Query)

    @property
    def writes(self) -> bool:
        """Whether the database is another one afterwards, not only the session's temporary tables."""
        return not self.is_query and (self.target is None or SEPARATOR in self.target)


@lru_cache(maxsize=4096)
def translate(sql: str) -> Statement:
    """One statement. Its tree is shared: copy before changing."""
    try:
        tree = sqlglot.parse_one(sql, dialect=DIALECT)
    except ParseError as error:
        raise fail(f"Parser Error: {error}", "ParserException", sql) from error
    tree = prepare(tree)
    for node in list(tree.find_all(exp.Table)):
        named(node)
    target = None
    if isinstance(tree, exp.DML | exp.Create | exp.Drop | exp.Alter | exp.Delete):
        target = _target(tree)
    return Statement(tree, render(tree), target)


def _target(tree: exp.Expr) -> str | None:
    node = dropped(tree) if isinstance(tree, exp.Drop) else tree.this
    node = node.this if isinstance(node, exp.Schema) else node
    return node.name if isinstance(node, exp.Table) else None


def dropped(tree: exp.Expr) -> exp.Expr:
    """What a DROP is of."""
    node: exp.Expr = tree.args["tables"][0]
    return node


def named(node: exp.Table) -> None:
    """Gives a table its one name."""
    if node.args.get("db") and isinstance(node.this, exp.Identifier):
        short, name = node.name, full(node.text("db"), node.name)
        node.set("this", exp.to_identifier(name, quoted=True))
        node.set("db", None)
        if not node.alias and isinstance(node.parent, exp.From | exp.Join):
            node.set("alias", exp.TableAlias(this=exp.to_identifier(short, quoted=True)))


def full(schema: str, name: str) -> str:
    return f"{schema}{SEPARATOR}{name}"


def render(tree: exp.Expr) -> str:
    """SQLite's text of a prepared tree."""
    found = tree.copy()
    for node in list(found.find_all(exp.Parameter)):
        node.replace(exp.Var(this=f"?{node.name}"))
    return found.sql(DIALECT)
