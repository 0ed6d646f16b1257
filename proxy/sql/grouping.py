"""GROUP BY of a table's primary key: its other columns have one value in each group, and need not be named.

The engine wants each column that is not aggregated in the list. Here those of a table whose whole key is in the list
are added to it, which makes the same groups. Nothing is done beside ROLLUP, CUBE and GROUPING SETS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp

from proxy.sql.parameters import ColumnsOf

MAY_GROUP = re.compile(r"\bgroup\s+by\b", re.IGNORECASE)
KeyOf = Callable[[str | None, str], tuple[str, ...]]
_SETS = ("cube", "rollup", "grouping_sets", "totals", "all")


def with_determined(tree: exp.Expr, columns_of: ColumnsOf, key_of: KeyOf) -> exp.Expr | None:
    """A copy of a translated ``tree`` with such columns in its GROUP BY; None if it needs none."""
    wanted = [
        (at, _missing(select, columns_of, key_of)) for at, select in enumerate(tree.find_all(exp.Select))
    ]
    if not any(missing for _, missing in wanted):
        return None
    copy = tree.copy()
    selects = list(copy.find_all(exp.Select))
    for at, missing in wanted:
        for column in missing:
            selects[at].args["group"].append("expressions", column)
    return copy


def _missing(select: exp.Select, columns_of: ColumnsOf, key_of: KeyOf) -> list[exp.Expr]:
    group = select.args.get("group")
    if not isinstance(group, exp.Group) or any(group.args.get(part) for part in _SETS):
        return []
    listed = list(_listed(select, group))
    sources = [source for source in _sources(select) if isinstance(source, exp.Table)]
    known = [_columns(source, columns_of) for source in sources]
    everywhere = [name for columns in known for name in columns]
    found: list[exp.Expr] = []
    for source, columns in zip(sources, known, strict=True):
        key = key_of(source.text("db") or None, source.name) if columns else ()
        own = _Own(source.alias_or_name, columns, everywhere)
        grouped = {column.name for column in listed if own.has(column)}
        if not key or not grouped.issuperset(key):
            continue
        for name in own.read(select):
            if name not in grouped:
                found.append(exp.column(exp.to_identifier(name, True), exp.to_identifier(own.alias, True)))
    return found


class _Own:
    """What belongs to one table of a query."""

    def __init__(self, alias: str, columns: Sequence[str], everywhere: Sequence[str]) -> None:
        self.alias, self._columns, self._everywhere = alias, columns, everywhere

    def has(self, column: exp.Column) -> bool:
        if column.name not in self._columns:
            return False
        return column.table == self.alias or (not column.table and self._everywhere.count(column.name) == 1)

    def read(self, select: exp.Select) -> list[str]:
        """The table's columns in what is computed for each group."""
        found: dict[str, None] = {}
        parts = [*select.expressions, select.args.get("having"), select.args.get("order")]
        for part in parts:
            if isinstance(part, exp.Star):
                return list(self._columns)
            for column in part.find_all(exp.Column) if part is not None else ():
                if isinstance(column.this, exp.Star) and column.table == self.alias:
                    return list(self._columns)
                if self.has(column) and (column.table or column.find_ancestor(exp.Select) is select):
                    found[column.name] = None
        return list(found)


def _listed(select: exp.Select, group: exp.Group) -> Iterator[exp.Column]:
    """The columns of a GROUP BY, by name or by place."""
    for item in group.expressions:
        if isinstance(item, exp.Literal) and item.is_int:
            place = int(item.name)
            item = select.expressions[place - 1].unalias() if 0 < place <= len(select.expressions) else item
        if isinstance(item, exp.Column):
            yield item


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    """What a query reads. Where an outer join fills up a row, its key is NULL and so is all of it."""
    if (start := select.args.get("from_")) is not None:
        yield start.this
    for join in select.args.get("joins") or ():
        yield join.this


def _columns(table: exp.Table, columns_of: ColumnsOf) -> tuple[str, ...]:
    alias = table.args.get("alias")
    if table.args.get("catalog") or (alias is not None and alias.columns) or _is_named_query(table):
        return ()
    return tuple(columns_of(table.text("db") or None, table.name) or ())


def _is_named_query(table: exp.Table) -> bool:
    if table.args.get("db"):
        return False
    node: exp.Expr | None = table
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None and any(item.alias == table.name for item in with_.expressions):
            return True
        node = node.parent
    return False
