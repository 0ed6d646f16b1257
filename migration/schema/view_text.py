"""The text of a view for another engine: read with the source's grammar, bound to the tables that move, written anew.

Rules:

1. Every column is bound to its table and every star written out, so nothing is looked up by luck over there.
2. A view may read tables and views of the schema that moves, and nothing else.
3. A function that sqlglot has no meaning for is taken over only where the grammar stays the same.
4. What cannot be said is refused with a reason; whether the text means the same is for its rows to prove.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from migration.connectors.base import Path
from migration.dialects import contract
from migration.model import ColumnSpec

_FOLDING = ("duckdb", "sqlite", "mysql")  # a name in another spelling is the same name there
_MOMENT = (
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.CurrentUser,
    exp.Rand,
    exp.Uuid,
)


class Untranslatable(Exception):
    """Why a view cannot be said over there."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that moves: its name and columns at the source, and where it will be."""

    name: str
    columns: tuple[ColumnSpec, ...]
    target: Path


@dataclass(frozen=True, slots=True)
class ViewText:
    """A view's query in the target's words, as a tree. ``reads`` are the relations in it, by their names."""

    tree: Any
    reads: tuple[str, ...]
    depends_on_the_moment: bool


def translated(
    text: str,
    columns: Sequence[str],
    schema: str,
    relations: Mapping[str, Relation],
    source: str,
    target: str,
) -> ViewText:
    """``text`` is a CREATE VIEW of dialect ``source``, ``columns`` what it gives; ``Untranslatable`` says why not."""
    tree = _query(text, source)
    reads = _bound(tree, schema, relations, source)
    known: dict[str, object] = {}
    if reads:
        known = {schema: {name: _types(relations[name].columns) for name in reads}}
    grammar = contract(source).sqlglot
    try:
        tree = qualify(tree, schema=known, dialect=grammar, identify=True)
        tree = annotate_types(tree, schema=known, dialect=grammar)
    except (sqlglot.errors.SqlglotError, ValueError, KeyError) as reason:
        raise Untranslatable(f"its columns cannot be bound: {str(reason).splitlines()[0]}") from None
    if contract(source).name in _FOLDING:
        _respell(tree, [column.name for name in reads for column in relations[name].columns])
    _name_outputs(tree, columns)
    same = contract(source).sqlglot == contract(target).sqlglot
    foreign = sorted({node.name for node in tree.find_all(exp.Anonymous)})
    if foreign and not same:
        raise Untranslatable(f"it calls {', '.join(foreign)}, which {target} may not have or mean otherwise")
    calls = {name.lower() for name in foreign}
    moment = bool(tree.find(*_MOMENT)) or bool(
        calls & {"now", "random", "clock_timestamp", "gen_random_uuid"}
    )
    for table in list(tree.find_all(exp.Table)):
        relation = _relation(table, schema, relations, source)
        if relation is not None:
            table.set("this", exp.to_identifier(relation.target[-1], quoted=True))
            home = relation.target[-2] if len(relation.target) > 1 else None
            table.set("db", exp.to_identifier(home, quoted=True) if home else None)
            table.set("catalog", None)
    return ViewText(tree, reads, moment)


def written(tree: Any, target: str) -> str:
    """A tree in the words of ``target``; ``Untranslatable`` where sqlglot knows that it has none."""
    try:
        return str(
            tree.sql(contract(target).sqlglot, identify=True, unsupported_level=sqlglot.ErrorLevel.RAISE)
        )
    except sqlglot.errors.SqlglotError as reason:
        raise Untranslatable(str(reason).splitlines()[0]) from None


def inlined(tree: Any, views: Mapping[Path, Any]) -> Any:
    """``tree`` with the views it reads (by their places at the target) as subqueries: it needs none of them."""
    tree = tree.copy()
    for table in list(tree.find_all(exp.Table)):
        path = tuple(part for part in (table.db, table.name) if part)
        if path in views:
            inner = exp.Subquery(this=views[path].copy(), alias=table.args.get("alias"))
            table.replace(inner)
    return tree


def _query(text: str, source: str) -> Any:
    try:
        create = sqlglot.parse_one(text, read=contract(source).sqlglot)
    except sqlglot.errors.SqlglotError as reason:
        raise Untranslatable(f"its text cannot be read: {str(reason).splitlines()[0]}") from None
    query = create.expression if isinstance(create, exp.Create) and create.kind == "VIEW" else None
    while isinstance(query, exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Query):
        raise Untranslatable("its text is no plain CREATE VIEW of a query")
    for call in list(query.find_all(exp.Anonymous)):
        part = call.expressions[0] if len(call.expressions) == 2 else None
        if call.name.lower() == "date_part" and isinstance(part, exp.Literal) and part.is_string:
            call.replace(exp.Extract(this=exp.var(part.name), expression=call.expressions[1]))
    return query


def _bound(tree: Any, schema: str, relations: Mapping[str, Relation], source: str) -> tuple[str, ...]:
    """Gives every table its full name; the relations that are read."""
    reads: dict[str, None] = {}
    for table in list(tree.find_all(exp.Table)):
        relation = _relation(table, schema, relations, source)
        if relation is not None:
            table.set("this", exp.to_identifier(relation.name, quoted=True))
            table.set("db", exp.to_identifier(schema, quoted=True))
            table.set("catalog", None)
            reads[relation.name] = None
    return tuple(reads)


def _relation(table: Any, schema: str, relations: Mapping[str, Relation], source: str) -> Relation | None:
    """What a table of the tree is; None for a WITH query."""
    if not isinstance(table.this, exp.Identifier):
        raise Untranslatable(f"it reads {table.sql()[:60]}, which is no table")
    if not table.db and _is_cte(table):
        return None
    folds = contract(source).name in _FOLDING
    home = table.db or schema
    here = {home, home.lower()} if folds else {home}
    mine = {schema, schema.lower()} if folds else {schema}
    if contract(source).name == "duckdb" and {"main", "public"} & here and {"main", "public"} & mine:
        here = mine  # two words for one schema
    found = relations.get(table.name)
    if found is None and folds:
        found = next((each for name, each in relations.items() if name.lower() == table.name.lower()), None)
    if found is None or not here & mine:
        raise Untranslatable(f"it reads {'.'.join((home, table.name))}, which does not move along")
    return found


def _is_cte(table: Any) -> bool:
    node = table.parent
    while node is not None:
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ is not None and any(cte.alias.lower() == table.name.lower() for cte in with_.expressions):
            return True
        node = node.parent
    return False


def _types(columns: Sequence[ColumnSpec]) -> dict[str, str]:
    """Types as sqlglot needs them to tell one division from another; what it does not know is no type."""
    kinds = {
        "bool": "boolean", "int8": "smallint", "int16": "smallint", "int32": "int", "int64": "bigint",
        "int128": "decimal", "uint8": "smallint", "uint16": "int", "uint32": "bigint", "uint64": "decimal",
        "uint128": "decimal", "decimal": "decimal", "float32": "float", "float64": "double", "text": "text",
        "date": "date", "timestamp": "timestamp", "instant": "timestamptz",
    }  # fmt: skip
    return {column.name: kinds.get(column.type.kind, "unknown") for column in columns}


def _respell(tree: Any, names: Sequence[str]) -> None:
    """Names as the tables spell them, wherever they stand: the target may tell one spelling from another."""
    spelled: dict[str, str] = {}
    for name in names:
        if spelled.setdefault(name.lower(), name) != name:
            raise Untranslatable(f'its tables spell a column both "{name}" and "{spelled[name.lower()]}"')
    for identifier in tree.find_all(exp.Identifier):
        parent = identifier.parent
        column = isinstance(parent, exp.Column) and parent.this is identifier
        alias = isinstance(parent, exp.Alias) and parent.args.get("alias") is identifier
        if column or alias or (isinstance(parent, exp.TableAlias) and identifier.arg_key == "columns"):
            identifier.set("this", spelled.get(identifier.name.lower(), identifier.name))


def _name_outputs(tree: Any, columns: Sequence[str]) -> None:
    """The columns of the outermost query get the names the view gives them."""
    first = tree
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    if len(first.expressions) != len(columns):
        raise Untranslatable(f"it gives {len(columns)} columns and its text {len(first.expressions)}")
    named = [
        exp.alias_(item.unalias(), name, quoted=True)
        for item, name in zip(first.expressions, columns, strict=True)
    ]
    old = [item.alias_or_name for item in first.expressions]
    first.set("expressions", named)
    if old != list(columns):  # what refers to an output by its old name would be lost
        renamed = dict(zip(old, columns, strict=True))
        for clause in ("order", "having", "qualify"):
            for column in first.args[clause].find_all(exp.Column) if first.args.get(clause) else ():
                if not column.table and column.name in renamed:
                    column.set("this", exp.to_identifier(renamed[column.name], quoted=True))
