"""The stored text of a view, kept true while the tables it reads change. Pure functions of trees.

A view is stored with its columns written out: what a later ADD COLUMN adds is no column of it, as in Postgres, and what
a RENAME or DROP COLUMN concerns can be seen from its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp

from branching.ddl.model import Name
from branching.model import DEFAULT_SCHEMA, Relation
from branching.model import Sequence as SequenceObject
from branching.resolve import DIALECT, _is_cte, parse, schema_name, table_name

Find = Callable[[Name], Relation | None]


def spelled_out(query: exp.Expr, find: Find) -> exp.Expr:
    """The query with every ``*`` written out, in place. Its tables have schemas."""
    if not any(_is_star(star) for star in query.find_all(exp.Star)):
        return query
    if _is_plain(query) and len(query.expressions) == 1 and _is_bare(query.expressions[0]):
        node = query.args["from_"].this
        relation = find(table_name(node)) if _is_named(node) else None
        columns = None if relation is None else _columns(relation)
        if columns and node.alias_column_names == []:
            query.set("expressions", [exp.column(_quoted(name)) for name in columns])
            return query
    for node in list(query.find_all(exp.Table)):
        relation = find(table_name(node)) if _is_named(node) else None
        if relation is not None and (columns := _columns(relation)):
            _wrap(node, [exp.column(_quoted(name)) for name in columns])
    return query


def reads(tree: exp.Expr, relation: Relation) -> Iterator[exp.Table]:
    """The places where the query reads the relation."""
    for node in tree.find_all(exp.Table):
        if (
            node.name == relation.name
            and schema_name(node.text("db") or DEFAULT_SCHEMA) == relation.schema
            and (node.args.get("db") or not _is_cte(node))
        ):
            yield node


def uses(sql: str, relation: Relation, column: str) -> bool:
    """Whether a stored query reads the column, or may."""
    return any(_uses(node, column) for node in reads(parse(sql), relation))


def with_renamed(sql: str, relation: Relation, columns: Sequence[str], old: str, new: str) -> str:
    """The stored query after the column ``old`` has become ``new``: with the same columns as before.

    ``columns`` are the relation's, as they are now.
    """
    tree = parse(sql).copy()
    for node in list(reads(tree, relation)):
        if not _uses(node, old):
            continue
        select = node.find_ancestor(exp.Select)
        if select is not None and _is_plain(select) and not _has_alias(select, {old.lower(), new.lower()}):
            for found in list(select.find_all(exp.Column)):
                if found.name.lower() == old.lower():
                    output = found.parent is select and found.arg_key == "expressions"
                    found.set("this", _quoted(new))
                    if output:
                        found.replace(exp.alias_(found.copy(), old, quoted=True))
            continue
        items: list[exp.Expr] = [
            exp.alias_(exp.column(_quoted(name)), old, quoted=True)
            if name == new
            else exp.column(_quoted(name))
            for name in columns
        ]
        _wrap(node, items)
    return tree.sql(DIALECT)


def _uses(node: exp.Table, column: str) -> bool:
    select = node.find_ancestor(exp.Select) or node.root()
    names = {"", (node.alias or node.name).lower()}
    wanted = column.lower()
    for found in select.find_all(exp.Column, exp.Star):
        if isinstance(found, exp.Star):
            if _is_star(found):
                return True
        elif found.name.lower() == wanted and found.text("table").lower() in names:
            return True
    return any(
        item.name.lower() == wanted
        for join in select.find_all(exp.Join)
        for item in join.args.get("using") or ()
    )


def _is_star(star: exp.Star) -> bool:
    return not isinstance(star.parent, exp.Count)


def _is_bare(item: exp.Expr) -> bool:
    return isinstance(item, exp.Star) and not any(item.args.values())


def _is_plain(select: exp.Expr) -> bool:
    """Whether a SELECT reads one table by name and nothing else."""
    if not isinstance(select, exp.Select) or select.args.get("with_") or select.args.get("joins"):
        return False
    from_ = select.args.get("from_")
    inner = [node for node in select.find_all(exp.Query) if node is not select]
    return from_ is not None and isinstance(from_.this, exp.Table) and not inner


def _is_named(node: exp.Table) -> bool:
    if not isinstance(node.this, exp.Identifier) or node.meta.get("physical"):
        return False
    return bool(node.args.get("db")) or not _is_cte(node)


def _has_alias(select: exp.Expr, wanted: set[str]) -> bool:
    return any(isinstance(item, exp.Alias) and item.alias.lower() in wanted for item in select.expressions)


def _columns(relation: Relation) -> list[str]:
    return [] if isinstance(relation, SequenceObject) else [column.name for column in relation.columns]


def _wrap(node: exp.Table, items: Sequence[exp.Expr]) -> None:
    """Puts ``(SELECT items FROM the table)`` in the table's place, under its name."""
    alias = node.args.get("alias")
    named = exp.TableAlias(this=_quoted(node.alias or node.name))
    if alias is not None:
        named.set("columns", alias.args.get("columns"))
    inner = exp.Table(this=node.this.copy(), db=node.args.get("db"))
    outer = exp.Subquery(this=exp.select(*items).from_(inner), alias=named)
    for key in ("sample", "joins", "pivots", "laterals", "version"):
        if value := node.args.get(key):
            (inner if key == "version" else outer).set(key, value)
    node.replace(outer)


def _quoted(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)
