"""Definitions as Postgres prints them: defaults, checks, constraints, indexes, views.

Postgres prints a parsed tree, so it adds the casts its parser added (``'JFK'::text``) and the parentheses
its operators need. What is printed here is parsed from the engine's dialect and gets the same treatment for
the forms people write in defaults and checks; anything beyond is printed as sqlglot's Postgres dialect does.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

import sqlglot
from sqlglot import exp

from branching.model import Column, Constraint, Index, Table, View
from proxy.catalog.printer import Printer, literal
from proxy.catalog.shapes import shipped_rows
from proxy.catalog.typenames import column_type

_PLAIN = re.compile(r"^[a-z_][a-z0-9_$]*$")
_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@cache
def _reserved() -> frozenset[str]:
    rows = shipped_rows("pg_catalog.pg_get_keywords").to_pylist()
    return frozenset(row["word"] for row in rows if row["catcode"] != "U")


def quoted(name: str) -> str:
    """``name`` as Postgres' quote_ident prints it."""
    if _PLAIN.match(name) and name not in _reserved():
        return name
    return '"' + name.replace('"', '""') + '"'


def relation_name(schema: str, name: str) -> str:
    """A relation as regclass prints it on the default search path."""
    return quoted(name) if schema == "public" else f"{quoted(schema)}.{quoted(name)}"


@lru_cache(maxsize=4096)
def default_text(expression: str, engine: str, declared: str | None, *, pretty: bool = False) -> str:
    """A column default as ``pg_get_expr`` prints it."""
    try:
        tree = sqlglot.parse_one(expression, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return expression
    kind = column_type(engine, declared)
    inner = tree
    while isinstance(inner, (exp.Cast, exp.Paren)):
        inner = inner.this
    if isinstance(inner, exp.Literal) and inner.is_string:
        return f"{literal(inner.name)}::{kind.formatted}"
    if isinstance(inner, exp.Null):
        return f"NULL::{kind.formatted}"
    if isinstance(inner, (exp.Literal, exp.Neg)):
        text = inner.sql("postgres")
        return (
            text
            if text.replace(".", "").isdigit()
            else f"{literal(text)}::{_number_kind(text, kind.formatted)}"
        )
    if isinstance(inner, (exp.CurrentTimestamp, exp.Anonymous)) and inner.sql("duckdb").lower() in (
        "now()", "get_current_timestamp()", "current_timestamp",
    ):  # fmt: skip
        return "now()" if "now" in expression.lower() else "CURRENT_TIMESTAMP"
    if (name := sequence_of_default(expression)) is not None:
        return f"nextval({literal('.'.join(quoted(part) for part in name if part != 'public'))}::regclass)"
    return Printer({}, quoted, pretty=pretty).text(tree)


def _number_kind(text: str, kind: str) -> str:
    own = "numeric" if "." in text else "integer"
    return own if kind in ("smallint", "bigint", "numeric", own) else f"{own}::{kind}"


def has_default(expression: str | None) -> bool:
    """Whether a default is more than NULL, which Postgres does not keep."""
    return expression is not None and expression.strip().upper() != "NULL"


def sequence_of_default(expression: str) -> tuple[str, str] | None:
    """(schema, name) of the sequence a ``nextval`` default draws from."""
    match = re.match(r"^\s*nextval\(\s*'((?:[^']|'')*)'", expression, re.IGNORECASE)
    if match is None:
        return None
    table = exp.to_table(match.group(1).replace("''", "'"), dialect="postgres")
    return ("public" if table.db in ("", "main") else table.db, table.name)


def check_text(expression: str, columns: tuple[Column, ...], *, pretty: bool) -> str:
    """A CHECK as ``pg_get_constraintdef`` prints it."""
    try:
        tree = sqlglot.parse_one(expression, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return f"CHECK ({expression})"
    kinds = {column.name.lower(): column_type(column.type, column.declared).formatted for column in columns}
    return f"CHECK ({Printer(kinds, quoted, pretty=pretty).text(tree)})"


def constraint_text(table: Table, constraint: Constraint, *, pretty: bool) -> str:
    """A constraint as ``pg_get_constraintdef`` prints it."""
    columns = ", ".join(quoted(name) for name in constraint.columns)
    if constraint.kind == "p":
        return f"PRIMARY KEY ({columns})"
    if constraint.kind == "u":
        return f"UNIQUE ({columns})"
    if constraint.kind == "c":
        return check_text(constraint.expression or "true", table.columns, pretty=pretty)
    target = relation_name(constraint.ref_schema or table.schema, constraint.ref_table or "")
    text = f"FOREIGN KEY ({columns}) REFERENCES {target}({', '.join(map(quoted, constraint.ref_columns))})"
    if constraint.on_update != "a":
        text += f" ON UPDATE {_ACTIONS[constraint.on_update]}"
    if constraint.on_delete != "a":
        text += f" ON DELETE {_ACTIONS[constraint.on_delete]}"
    return text + {"": "", "i": " DEFERRABLE", "d": " DEFERRABLE INITIALLY DEFERRED"}[constraint.deferrable]


def index_text(table: Table, index: Index, *, pretty: bool) -> str:
    """An index as ``pg_get_indexdef`` prints it; pretty leaves out a schema that is on the search path."""
    columns = ", ".join(index_column(table, name) for name in index.columns)
    unique = "UNIQUE " if index.unique else ""
    where = (
        relation_name(table.schema, table.name) if pretty else f"{quoted(table.schema)}.{quoted(table.name)}"
    )
    return f"CREATE {unique}INDEX {quoted(index.name)} ON {where} USING btree ({columns})"


def index_column(table: Table, name: str) -> str:
    """One key of an index: a column, or an expression in parentheses unless it is a call."""
    if table.column(name) is not None:
        return quoted(name)
    return name if re.match(r"^\w+\(.*\)$", name) else f"({name})"


@lru_cache(maxsize=1024)
def view_text(view: View) -> str:
    """A view's query as ``pg_get_viewdef`` prints it: names of the default schema bare, one item a line."""
    try:
        tree = sqlglot.parse_one(view.sql, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return f" {view.sql};"
    for table in tree.find_all(exp.Table):
        if table.db in ("public", "main"):
            table.set("db", None)
    if isinstance(tree, exp.Select) and {k for k, v in tree.args.items() if v} <= {
        "expressions",
        "from_",
        "where",
    }:
        source = tree.args.get("from_")
        if source is not None and isinstance(source.this, exp.Table):
            prefix = source.this.alias_or_name
            for column in tree.find_all(exp.Column):
                if not column.table:
                    column.set("table", exp.to_identifier(prefix))
            items = ",\n    ".join(item.sql("postgres") for item in tree.expressions)
            text = f" SELECT {items}\n   FROM {source.this.sql('postgres')}"
            where = tree.args.get("where")
            return text + (f"\n  WHERE {where.this.sql('postgres')}" if where is not None else "") + ";"
    return f" {tree.sql('postgres')};"


@lru_cache(maxsize=1024)
def updatable(view: View) -> bool:
    """Whether Postgres would let rows be inserted through the view: plain columns of one relation."""
    try:
        tree = sqlglot.parse_one(view.sql, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return False
    if not isinstance(tree, exp.Select):
        return False
    blocking = ("joins", "group", "having", "distinct", "limit", "offset", "with_", "windows")
    source = tree.args.get("from_")
    if (
        source is None
        or not isinstance(source.this, exp.Table)
        or any(tree.args.get(key) for key in blocking)
    ):
        return False
    return not any(tree.find_all(exp.AggFunc, exp.Window))
