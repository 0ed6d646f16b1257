"""Reading a trunk table by its own name instead of through a subquery that hides the hidden columns.

Planning is cheaper that way, which is what a point read is mostly made of. It is done only where the statement cannot
see the hidden columns: ``*`` is spelled out, and anything that takes a row or all columns as a whole (``SELECT t FROM
t``, NATURAL JOIN, ``COLUMNS(*)``, PIVOT) keeps the subquery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlglot import exp

from branching.errors import BoughError
from branching.model import Table
from branching.names import PLACE_COLUMN

# (the table, its name in storage) of a relation that is a trunk table, else None
Find = Callable[[exp.Table], tuple[Table, str] | None]


def read_directly(tree: exp.Expr, find: Find) -> None:
    """Marks in ``tree`` the tables that may be read by name: puts their storage name in place, and spells ``*`` out."""
    if any(column.name.lower() == PLACE_COLUMN for column in tree.find_all(exp.Column)):
        return  # by name, an engine would show where it has the row
    for select in tree.find_all(exp.Select):
        sources = _sources(select)
        if not sources:
            continue
        found = {node: place for node in sources if (place := _plain(node, find)) is not None}
        if not found or _takes_rows(select, {node.alias_or_name.lower() for node in found}):
            continue
        if _has_star(select) and not _spell_out(select, sources, found):
            continue
        for node, (_, storage) in found.items():
            alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
            node.replace(exp.Table(this=exp.Var(this=storage), alias=alias, joins=node.args.get("joins")))


def refuse_place(tree: exp.Expr, target: Table, alias: str, tables: Iterable[Table]) -> None:
    """42703 for the engine's own column of the table that ``tree`` writes to and calls ``alias``: named as storage, it
    would be found. ``tables``: those that a subquery may read."""
    meant = [
        column
        for column in tree.find_all(exp.Column)
        if column.name.lower() == PLACE_COLUMN and column.table.lower() in ("", alias.lower())
    ]
    if not meant or _has_place(target):
        return
    inside = any(map(_has_place, tables)) or any(
        item.alias.lower() == PLACE_COLUMN for item in tree.find_all(exp.Alias)
    )
    for column in meant:
        if column.table or not inside or column.find_ancestor(exp.Query) is None:
            raise BoughError("42703", f'column "{column.name}" does not exist')


def _has_place(table: Table) -> bool:
    return any(column.name.lower() == PLACE_COLUMN for column in table.columns)


def _sources(select: exp.Select) -> list[exp.Expr]:
    """The FROM items of a SELECT, or nothing where one of them is out of the ordinary."""
    from_ = select.args.get("from_")
    if from_ is None or select.args.get("laterals"):
        return []
    items = [from_.this]
    for join in [*(select.args.get("joins") or ()), *(from_.this.args.get("joins") or ())]:
        if join.args.get("method") or join.args.get("using"):
            return []
        items.append(join.this)
    return items


def _plain(node: exp.Expr, find: Find) -> tuple[Table, str] | None:
    if (
        not isinstance(node, exp.Table)
        or not isinstance(node.this, exp.Identifier)
        or node.meta.get("physical")
    ):
        return None
    if any(node.args.get(key) for key in ("sample", "pivots", "version", "laterals", "ordinality")):
        return None
    alias = node.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        return None
    return find(node)


def _takes_rows(select: exp.Select, aliases: set[str]) -> bool:
    """Whether an expression uses a row as a whole, or all columns but not as the plain ``*`` of the SELECT list."""
    if select.find(exp.Columns) is not None:
        return True
    for node in select.find_all(exp.Column, exp.Star):
        if isinstance(node, exp.Star):
            if node.args.get("except_") or node.args.get("replace") or node.args.get("rename"):
                return True
            parent = node.parent
            if not isinstance(parent, exp.Count | exp.Select | exp.Column):
                return True
        elif not node.text("table") and node.name.lower() in aliases:
            return True
    return False


def _has_star(select: exp.Select) -> bool:
    return any(_is_star(item) for item in select.expressions)


def _is_star(item: exp.Expr) -> bool:
    return isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))


def _spell_out(select: exp.Select, sources: list[exp.Expr], found: dict[exp.Expr, tuple[Table, str]]) -> bool:
    """Replaces stars by column names; False where a source's columns are not known."""
    items: list[exp.Expr] = []
    for item in select.expressions:
        if not _is_star(item):
            items.append(item)
            continue
        wanted = item.table.lower() if isinstance(item, exp.Column) else None
        for node in sources:
            alias = node.alias_or_name
            if wanted is not None and alias.lower() != wanted:
                continue
            if node not in found:
                return False
            items += [
                exp.column(
                    exp.to_identifier(column.name, quoted=True), table=exp.to_identifier(alias, quoted=True)
                )
                for column in found[node][0].columns
            ]
    if not items:
        return False
    select.set("expressions", items)
    return True
