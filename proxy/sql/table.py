"""CREATE TABLE from Postgres' parse tree, and the pieces ALTER TABLE shares with it.

sqlglot reads neither every column constraint nor every type of Postgres, so the definition is cleaned in
Postgres' own tree first: serial types and identity become ``meta`` (``branching.ddl.model``, rule 4), clauses
that say nothing to us go, and what is left is plain enough for sqlglot. Clauses that change what the table
means and that we do not have (PARTITION BY, INHERITS, EXCLUDE) are refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from branching.ddl import model
from branching.errors import BoughError
from proxy.sql import ddl, rules, type_names
from proxy.sql import postgres_grammar as grammar
from proxy.sql.dialect import read_postgres
from proxy.sql.names import quote
from proxy.sql.rules.definitions import stored

_SERIAL = {
    "smallserial": "smallint", "serial2": "smallint", "serial": "integer", "serial4": "integer",
    "bigserial": "bigint", "serial8": "bigint",
}  # fmt: skip
_DROPPED = {
    "CONSTR_NULL", "CONSTR_ATTR_DEFERRABLE", "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_DEFERRED",
    "CONSTR_ATTR_IMMEDIATE", "CONSTR_ATTR_ENFORCED",
}  # fmt: skip
_DEFERS = {"CONSTR_ATTR_DEFERRABLE": "DEFERRABLE", "CONSTR_ATTR_DEFERRED": "INITIALLY DEFERRED"}
_TABLE_CONSTRAINTS = {"CONSTR_CHECK", "CONSTR_FOREIGN", "CONSTR_UNIQUE", "CONSTR_PRIMARY"}
_PLAIN = {
    "CONSTR_NOTNULL", "CONSTR_DEFAULT", "CONSTR_CHECK", "CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_FOREIGN",
    "CONSTR_GENERATED",
}  # fmt: skip


def parse_postgres(text: str) -> exp.Expr:
    """sqlglot's tree of a Postgres statement; what it cannot read is refused."""
    try:
        tree = read_postgres(text)
    except (ParseError, TokenError) as error:
        raise unreadable(error)
    if tree.find(exp.Command):
        raise unreadable(None)
    return tree


def unreadable(error: Exception | None) -> BoughError:
    """The refusal of what Postgres can read and we cannot."""
    described = getattr(error, "errors", None) or [{}]
    near = described[0].get("highlight") or ""
    return BoughError(
        "0A000",
        f'this form of the statement is not supported, near "{near}"'
        if near
        else "this form of the statement is not supported",
        hint="It cannot be proven to stay on its branch. docs/dialect.md lists what is supported.",
    )


def expression(text: str) -> exp.Expr:
    """A translated expression from Postgres text."""
    select = parse_postgres(f"SELECT {text}")
    item: exp.Expr = rules.apply(select, names=False).expressions[0]
    return stored(item.pop())


def query(text: str) -> exp.Query:
    """A translated query from Postgres text."""
    tree = rules.apply(parse_postgres(text))
    assert isinstance(tree, exp.Query)
    return tree


def column_type(text: str) -> tuple[exp.DataType, str]:
    """The engine's type and the declared spelling of a Postgres type name."""
    cast = parse_postgres(f"SELECT NULL::{text}").find(exp.Cast)
    assert cast is not None
    return type_names.engine_type(cast.to), type_names.declared(cast.to)


def added_column(text: str) -> tuple[exp.ColumnDef, tuple[model.ConstraintDefinition, ...]]:
    """ADD COLUMN: the column, and the constraints it brought that belong to the table."""
    node = grammar.statement_tree(f"CREATE TABLE t ({text})")
    moved = [c for c in node.tableElts[0].constraints or () if c.contype.name in _TABLE_CONSTRAINTS]
    column = _column(node.tableElts[0], without=moved)
    extra = []
    for constraint in moved:
        definition = replace(
            ddl.constraint(constraint), deferrable=_deferrable(node.tableElts[0], constraint)
        )
        if not definition.columns and definition.kind != "c":
            definition = replace(definition, columns=(node.tableElts[0].colname,))
        extra.append(definition)
    return column, tuple(extra)


def _deferrable(column: Any, constraint: Any) -> Literal["", "i", "d"]:
    """What the words behind a column's constraint say of it."""
    found: Literal["", "i", "d"] = ""
    items = list(column.constraints)
    for item in items[items.index(constraint) + 1 :] if constraint.contype.name == "CONSTR_FOREIGN" else ():
        if item.contype.name not in _DROPPED:
            break
        if item.contype.name == "CONSTR_ATTR_DEFERRED":
            found = "d"
        elif item.contype.name == "CONSTR_ATTR_DEFERRABLE":
            found = found or "i"
    return found


def create_table(node: Any) -> exp.Create:
    """``CREATE TABLE name (…)`` as a tree in the engine's dialect."""
    if node.inhRelations or node.partspec is not None or node.partbound is not None:
        raise ddl.refuse("CREATE TABLE with INHERITS or PARTITION BY", "Create a plain table.")
    if node.ofTypename is not None:
        raise ddl.refuse("CREATE TABLE … OF type")
    elements: list[exp.Expr] = []
    for element in node.tableElts or ():
        kind = grammar.kind_of(element)
        if kind == "ColumnDef":
            elements.append(_column(element))
        elif kind == "Constraint":
            elements.append(_constraint(element))
        else:
            raise ddl.refuse("CREATE TABLE … (LIKE …)", "CREATE TABLE … AS SELECT * FROM … WHERE false.")
    if not any(isinstance(element, exp.ColumnDef) for element in elements):
        raise ddl.refuse("a table without columns")
    relation = node.relation
    properties = None
    if relation.relpersistence == "t":
        properties = exp.Properties(expressions=[exp.TemporaryProperty()])
    target = exp.table_(relation.relname, relation.schemaname, relation.catalogname, quoted=True)
    made = exp.Create(
        this=exp.Schema(this=target, expressions=elements),
        kind="TABLE",
        exists=bool(node.if_not_exists),
        properties=properties,
    )
    return _at_commit(made, node.oncommit.name)


def _at_commit(made: exp.Create, said: str) -> exp.Create:
    """Notes what ON COMMIT says of a temporary table."""
    what = {"ONCOMMIT_DROP": "drop", "ONCOMMIT_DELETE_ROWS": "delete", "ONCOMMIT_PRESERVE_ROWS": ""}.get(said)
    if what is not None and made.args.get("properties") is None:
        raise BoughError(
            "42P16", "ON COMMIT can only be used on temporary tables", hint="CREATE TEMP TABLE …"
        )
    made.meta["on_commit"] = what or ""
    return made


def _column(node: Any, without: Any = ()) -> exp.ColumnDef:
    serial = None
    if node.typeName.arrayBounds is None and len(node.typeName.names) == 1:
        serial = _SERIAL.get(node.typeName.names[0].sval)
    identity = "serial" if serial else ""
    options = model.SequenceOptions()
    parts: list[str] = []
    for constraint in node.constraints or ():
        what = constraint.contype.name
        ddl.refuse_not_distinct(constraint)
        if what == "CONSTR_IDENTITY":
            identity = constraint.generated_when
            options = ddl.sequence_options(constraint.options)
        elif constraint in without:
            continue
        elif what in _DROPPED:
            if what in _DEFERS and parts and "REFERENCES" in parts[-1]:
                parts[-1] += f" {_DEFERS[what]}"
        elif what in _PLAIN:
            parts.append(grammar.deparse(constraint))
        else:
            raise ddl.refuse(f"column constraint {what.removeprefix('CONSTR_')}")
    type_text = serial or grammar.deparse(node.typeName)
    if identity and not any(part.upper() == "NOT NULL" for part in parts):
        parts.insert(0, "NOT NULL")
    column = _one(" ".join([quote(node.colname), type_text, *parts]))
    if not isinstance(column, exp.ColumnDef):
        raise unreadable(None)
    if identity:
        column.meta["identity"] = identity
        column.meta["sequence"] = options
    return column


def _constraint(node: Any) -> exp.Expr:
    if node.contype.name not in ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_CHECK", "CONSTR_FOREIGN"):
        raise ddl.refuse(f"table constraint {node.contype.name.removeprefix('CONSTR_')}")
    ddl.refuse_not_distinct(node)
    return _one(grammar.deparse(node))


def _one(text: str) -> exp.Expr:
    element: exp.Expr = parse_postgres(f"CREATE TABLE t ({text})").this.expressions[0]
    element = element.pop()
    if isinstance(element, exp.ColumnDef):
        kind = element.args["kind"]
        element.meta["declared"] = type_names.declared(kind)
        element.set("kind", type_names.engine_type(kind))
    return stored(rules.apply(element, names=False))


def create_table_as(node: Any) -> exp.Create:
    """``CREATE TABLE name [(columns)] AS query [WITH NO DATA]``; column names move into the query."""
    into = node.into
    relation = into.rel
    select = parse_postgres(grammar.deparse(node.query))
    if not isinstance(select, exp.Query):
        raise ddl.refuse("CREATE TABLE AS EXECUTE")
    if into.colNames:
        columns = [exp.to_identifier(name.sval, quoted=True) for name in into.colNames]
        alias = exp.TableAlias(this=exp.to_identifier("q", quoted=True), columns=columns)
        select = exp.select("*").from_(exp.Subquery(this=select, alias=alias))
    if into.skipData:
        select = exp.select("*").from_(exp.alias_(exp.Subquery(this=select), "q", table=True)).where("FALSE")
    properties = None
    if relation.relpersistence == "t":
        properties = exp.Properties(expressions=[exp.TemporaryProperty()])
    made = exp.Create(
        this=exp.table_(relation.relname, relation.schemaname, relation.catalogname, quoted=True),
        kind="TABLE",
        expression=select,
        exists=bool(node.if_not_exists),
        properties=properties,
    )
    return _at_commit(made, into.onCommit.name)


def from_duckdb(tree: exp.Create) -> exp.Create:
    """A CREATE TABLE read in DuckDB's dialect, its columns marked as ours are."""
    for column in tree.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        if kind is None:
            continue
        column.meta["declared"] = type_names.declared(kind)
        column.set("kind", type_names.engine_type(kind))
    return tree
