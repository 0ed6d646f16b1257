"""One branch as a script for a plain engine: what to make, in which order, and what cannot be taken along.

Pure: names and text only. Who runs it (``duckdb_export``) copies the rows between ``tables`` and ``after``.

Rules:

1. Only what a user sees: no hidden columns, no storage; schema ``public`` is the engine's ``main``.
2. What the plain engine cannot hold is left out and said: the rest must be as good as the branch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from branching.engine.duckdb_engine import DuckDBEngine
from branching.macros import SEVERAL
from branching.model import DEFAULT_SCHEMA, Catalog, Constraint, Macro, Sequence, Table, View
from branching.names import EXPORTED_FUNCTIONS, FUNCTIONS, columns, literal, quote
from branching.resolve import DIALECT, parse

_ENGINE = DuckDBEngine()
_CALL = re.compile(rf'(?<!\w)"?{FUNCTIONS}"?\.(?:"?main"?\.)?(\w+)')
_EXPORTED = rf"{EXPORTED_FUNCTIONS}.\1"


@dataclass(slots=True)
class Script:
    before: list[str] = field(default_factory=list)  # schemas, functions, sequences
    tables: list[tuple[Table, str]] = field(default_factory=list)  # parents before children, and their CREATE
    after: list[str] = field(default_factory=list)  # indexes and comments
    views: list[tuple[str, str]] = field(default_factory=list)  # (shown name, CREATE): tried until all stand
    sequences: list[Sequence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was left out


def file_schema(schema: str) -> str:
    return "main" if schema == DEFAULT_SCHEMA else schema


def full(schema: str, name: str) -> str:
    """An object's name in the plain file."""
    return f"{quote(file_schema(schema))}.{quote(name)}"


def script(catalog: Catalog, functions: Mapping[str, str]) -> Script:
    """What makes ``catalog`` in an empty file. ``functions``: CREATE statements of Bough's own functions, by name."""
    made = Script()
    made.before += [
        f"CREATE SCHEMA {quote(name)}" for name in sorted(catalog.schemas) if file_schema(name) != "main"
    ]
    made.before += _functions(catalog, functions)
    for sequence in catalog.sequences():
        made.sequences.append(sequence)
        made.before.append(
            f"CREATE SEQUENCE {full(sequence.schema, sequence.name)} INCREMENT BY {sequence.increment}"
            f" MINVALUE {sequence.minimum} MAXVALUE {sequence.maximum} START WITH {sequence.start}"
            f"{' CYCLE' if sequence.cycle else ''}"
        )
        made.after += _comment("SEQUENCE", full(sequence.schema, sequence.name), sequence.comment)
    for table in _in_order(list(catalog.tables())):
        made.tables.append((table, _table_sql(table, catalog, made)))
        made.after += _after_table(table)
    for macro in catalog.macros.values():
        shown = f"macro {macro.schema}.{macro.name}"
        if macro.parameters == (SEVERAL,):
            made.notes.append(f"{shown} is left out: it has several forms")
        else:
            made.views.append((shown, macro_sql(macro)))
    for view in catalog.views():
        made.views.append((f"view {view.schema}.{view.name}", _view_sql(view)))
        made.after += _comment("VIEW", full(view.schema, view.name), view.comment)
    return made


def _functions(catalog: Catalog, functions: Mapping[str, str]) -> list[str]:
    """Bough's own functions that something in the catalog calls, those they call first."""
    texts = [view.sql for view in catalog.views()] + [macro.body for macro in catalog.macros.values()]
    for table in catalog.tables():
        texts += [text for column in table.columns for text in (column.default, column.generated) if text]
        texts += [item.expression for item in table.constraints if item.expression]
        texts += [text for index in table.indexes for text in index.columns]
    found: list[str] = []

    def visit(text: str) -> None:
        for name in map(str.lower, _CALL.findall(text)):
            if name in functions and functions[name] not in found:
                visit(functions[name].partition("(")[2])
                if functions[name] not in found:
                    found.append(functions[name])

    for text in texts:
        visit(text)
    return (
        [f"CREATE SCHEMA {EXPORTED_FUNCTIONS}", *(_CALL.sub(_EXPORTED, text) for text in found)]
        if found
        else []
    )


def _in_order(tables: list[Table]) -> list[Table]:
    """Tables that others refer to first; circles as they come."""
    by_name = {(table.schema, table.name): table for table in tables}
    ordered: list[Table] = []
    seen: set[int] = set()

    def visit(table: Table) -> None:
        if table.id in seen:
            return
        seen.add(table.id)
        for item in table.constraints:
            parent = by_name.get((item.ref_schema or "", item.ref_table or ""))
            if item.kind == "f" and parent is not None:
                visit(parent)
        ordered.append(table)

    for table in sorted(tables, key=lambda item: (item.schema, item.name)):
        visit(table)
    return ordered


def _table_sql(table: Table, catalog: Catalog, made: Script) -> str:
    items = []
    for column in table.columns:
        items.append(
            _ENGINE.column(
                replace(
                    column,
                    default=column.default and plain_sql(column.default),
                    generated=column.generated and plain_sql(column.generated),
                )
            )
        )
    for constraint in table.constraints:
        if constraint.kind != "f":
            check = constraint.expression and plain_sql(constraint.expression)
            items.append(_ENGINE.constraint(replace(constraint, expression=check), branch=False) or "")
            continue
        why = _unable(table, constraint, catalog, {item.id for item, _ in made.tables})
        if why is None:
            items.append(
                f"FOREIGN KEY ({columns(constraint.columns)}) REFERENCES"
                f" {full(constraint.ref_schema or '', constraint.ref_table or '')} ({columns(constraint.ref_columns)})"
            )
        else:
            made.notes.append(
                f"foreign key {constraint.name} of {table.schema}.{table.name} is left out: {why}"
            )
    return f"CREATE TABLE {full(table.schema, table.name)} ({', '.join(items)})"


def _unable(table: Table, key: Constraint, catalog: Catalog, made: set[int]) -> str | None:
    """Why a plain DuckDB file cannot hold a foreign key."""
    parent = catalog.find(key.ref_schema or "", key.ref_table or "")
    if not isinstance(parent, Table):
        return "its table is not there"
    if key.on_delete not in "ar" or key.on_update not in "ar":
        return "DuckDB has no ON DELETE or ON UPDATE actions"
    if parent.schema != table.schema:
        return "DuckDB has none across schemas"
    if parent.id == table.id:
        return "DuckDB cannot load a table that refers to itself"
    if parent.id not in made:
        return "the tables refer to each other in a circle"
    if not any(
        item.kind in "pu" and set(item.columns) == set(key.ref_columns) for item in parent.constraints
    ):
        return "DuckDB wants a primary key or a unique constraint on the other side"
    return None


def _after_table(table: Table) -> list[str]:
    name = full(table.schema, table.name)
    known = {column.name for column in table.columns}
    statements = [
        f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {quote(index.name)} ON {name} ("
        + ", ".join(quote(text) if text in known else f"({text})" for text in index.columns)
        + ")"
        for index in table.indexes
    ]
    statements += _comment("TABLE", name, table.comment)
    for column in table.columns:
        statements += _comment("COLUMN", f"{name}.{quote(column.name)}", column.comment)
    return statements


def _comment(kind: str, name: str, text: str | None) -> list[str]:
    return [] if text is None else [f"COMMENT ON {kind} {name} IS {literal(text)}"]


def _view_sql(view: View) -> str:
    listed = f" ({columns([column.name for column in view.columns])})" if view.columns else ""
    return f"CREATE VIEW {full(view.schema, view.name)}{listed} AS {plain_sql(view.sql)}"


def macro_sql(macro: Macro) -> str:
    """CREATE MACRO of a macro in the plain file."""
    body = plain_sql(macro.body if macro.is_table else f"SELECT {macro.body}")
    body = body if macro.is_table else body.removeprefix("SELECT ")
    what = f"TABLE {body}" if macro.is_table else body
    return f"CREATE MACRO {full(macro.schema, macro.name)}({', '.join(macro.parameters)}) AS {what}"


def plain_sql(text: str) -> str:
    """A stored expression or query with the names that the plain file has."""
    tree = parse(text).copy()
    for table in tree.find_all(exp.Table):
        if table.text("db") == DEFAULT_SCHEMA:
            table.set("db", exp.to_identifier("main"))
    for dot in tree.find_all(exp.Dot):
        if isinstance(dot.expression, exp.Anonymous) and dot.this.name == DEFAULT_SCHEMA:
            dot.set("this", exp.to_identifier("main"))
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() in ("nextval", "currval", "setval") and call.expressions:
            argument = call.expressions[0]
            while isinstance(argument, exp.Cast):
                argument = argument.this
            name = exp.to_table(argument.name, dialect="postgres")
            schema = file_schema(name.text("db") or DEFAULT_SCHEMA)
            call.expressions[0].replace(exp.Literal.string(f"{quote(schema)}.{quote(name.name)}"))
    return _CALL.sub(_EXPORTED, tree.sql(DIALECT))
