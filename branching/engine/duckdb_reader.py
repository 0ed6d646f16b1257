"""What a plain DuckDB file holds, as objects of a catalog. Used for files that are adopted and files that are imported.

Names are logical in what is returned: DuckDB's schema ``main`` is ``public``. Nothing is changed in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import sqlglot
from sqlglot import exp

from branching import names
from branching.engine.base import Cursor
from branching.macros import SEVERAL, body_of
from branching.model import DEFAULT_SCHEMA, Column, Constraint, Index, Macro, Sequence, Table, View
from branching.names import quote

OURS = (names.MANIFEST_SCHEMA, names.DATA_SCHEMA, *names.RESERVED_SCHEMAS)
_LISTED = re.compile(r"'((?:[^'\\]|\\.)*)'|([^,\s'][^,]*)")  # an item of a list as the engine shows it
Sequences = dict[str, Sequence]  # by name, and by schema and name, as the file has them


def logical(schema: str) -> str:
    """The schema's name in Bough."""
    return DEFAULT_SCHEMA if schema == "main" else schema


class FileReader:
    """Reads one attached database through a cursor. ``next_id`` gives ids to what is found."""

    def __init__(self, cursor: Cursor, next_id: Callable[[], int], database: str | None = None) -> None:
        self._cursor = cursor
        self._next_id = next_id
        self._database = database or str(cursor.query("SELECT current_database()")[0][0])

    def path(self, schema: str, name: str) -> str:
        """A table's name in SQL."""
        return f"{quote(self._database)}.{quote(schema)}.{quote(name)}"

    def _rows(self, sql: str, *more: Any) -> list[tuple[Any, ...]]:
        return self._cursor.query(sql, (self._database, *more))

    def schemas(self) -> list[str]:
        """The user's schemas besides the default one."""
        rows = self._rows(
            "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = ? ORDER BY 1"
        )
        return [row[0] for row in rows if row[0] not in OURS and row[0] != "main"]

    def tables(self) -> list[tuple[str, str, int]]:
        """(schema, name, about how many rows) of the user's tables."""
        rows = self._rows(
            "SELECT schema_name, table_name, estimated_size FROM duckdb_tables()"
            " WHERE NOT internal AND NOT temporary AND database_name = ? ORDER BY 1, 2"
        )
        return [(schema, name, size) for schema, name, size in rows if schema not in OURS]

    def with_foreign_keys(self) -> set[tuple[str, str]]:
        """Tables that refer to others."""
        rows = self._rows(
            "SELECT schema_name, table_name FROM duckdb_constraints()"
            " WHERE constraint_type = 'FOREIGN KEY' AND database_name = ?"
        )
        return set(rows)

    def sequences(self) -> Iterator[tuple[Sequence, int | None]]:
        """The user's sequences, and the last value each has given."""
        rows = self._rows(
            "SELECT schema_name, sequence_name, start_value, min_value, max_value, increment_by, cycle, comment,"
            " last_value FROM duckdb_sequences() WHERE NOT temporary AND database_name = ? ORDER BY 1, 2"
        )
        for schema, name, start, minimum, maximum, increment, cycle, comment, last in rows:
            if schema not in OURS:
                yield (
                    Sequence(
                        self._next_id(), logical(schema), name, f"{quote(schema)}.{quote(name)}", "BIGINT",
                        start, increment, minimum, maximum, cycle, comment=comment,
                    ),
                    last,
                )  # fmt: skip

    def table(self, schema: str, name: str, sequences: Sequences) -> Table:
        """A table's definition, without Bough's hidden columns."""
        rows = self._rows(
            "SELECT column_name, data_type, is_nullable, column_default, comment, is_generated, generation_expression"
            " FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? AND table_name = ?"
            " ORDER BY column_index",
            schema,
            name,
        )
        columns = [
            Column(
                self._next_id(),
                column,
                kind,
                not nullable,
                None if generated else logical_default(default, sequences),
                expression if generated else None,
                comment=comment,
            )
            for column, kind, nullable, default, comment, generated, expression in rows
            if column not in names.HIDDEN
        ]
        constraints = [
            constraint
            for row in self._rows(
                "SELECT constraint_type, constraint_column_names, expression, referenced_table,"
                " referenced_column_names, constraint_text FROM duckdb_constraints() WHERE database_name = ?"
                " AND schema_name = ? AND table_name = ? ORDER BY constraint_index",
                schema,
                name,
            )
            if (constraint := _constraint(schema, name, row)) is not None
        ]
        indexes = [
            Index(self._next_id(), row[0], _index_columns(row[2]), row[1])
            for row in self._rows(
                "SELECT index_name, is_unique, expressions FROM duckdb_indexes() WHERE database_name = ?"
                " AND schema_name = ? AND table_name = ? ORDER BY index_name",
                schema,
                name,
            )
        ]
        comment = self._rows(
            "SELECT comment FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
            schema,
            name,
        )[0][0]
        return Table(
            self._next_id(),
            logical(schema),
            name,
            tuple(columns),
            tuple(constraints),
            tuple(indexes),
            comment,
        )

    def hidden_columns(self, schema: str, name: str) -> set[str]:
        """Those of Bough's columns that the table has."""
        rows = self._rows(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
            schema,
            name,
        )
        return {row[0] for row in rows} & names.HIDDEN

    def views(self) -> Iterator[tuple[View, list[str]]]:
        """The user's views in the order in which they were made, without columns, and the names of the first columns
        where the view gives them."""
        rows = self._rows(
            "SELECT schema_name, view_name, sql, comment FROM duckdb_views()"
            " WHERE NOT internal AND NOT temporary AND database_name = ? ORDER BY view_oid"
        )
        for schema, name, sql, comment in rows:
            text = re.sub(rf'(?<!\w)"?{names.EXPORTED_FUNCTIONS}"?\.(?=\w)', f"{names.FUNCTIONS}.", sql)
            tree = sqlglot.parse_one(text, dialect="duckdb")
            query = tree.expression
            if schema in OURS or query is None:
                continue
            for call in query.find_all(exp.Dot):
                if isinstance(call.parent, exp.Window) and call.this.name == names.FUNCTIONS:
                    call.set("this", exp.Dot(this=call.this.copy(), expression=exp.to_identifier("main")))
            self.qualify(query, logical(schema))
            named = [item.name for item in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
            yield View(self._next_id(), logical(schema), name, query.sql("duckdb"), (), comment), named

    def macros(self) -> Iterator[Macro]:
        """The user's macros. One with several forms comes as one that cannot be called."""
        rows = self._rows(
            "SELECT schema_name, function_name, any_value(function_type), any_value(parameters),"
            " any_value(macro_definition), count(*), any_value(comment) FROM duckdb_functions()"
            " WHERE function_type IN ('macro', 'table_macro') AND NOT internal AND database_name = ?"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
        for schema, name, kind, parameters, body, forms, comment in rows:
            if schema in OURS:
                continue
            macro = Macro(
                self._next_id(),
                logical(schema),
                name,
                tuple(parameters),
                body,
                kind == "table_macro",
                comment,
            )
            if forms > 1:
                yield replace(macro, parameters=(SEVERAL,), body="NULL", is_table=False)
                continue
            tree = exp.Paren(this=body_of(macro))
            self.qualify(tree, logical(schema))
            yield replace(macro, body=tree.this.sql("duckdb"))

    def qualify(self, tree: exp.Expr, schema: str) -> None:
        """Writes out the logical schema of every relation that the tree names."""
        from branching.resolve import _is_cte

        for node in tree.find_all(exp.Table):
            if isinstance(node.this, exp.Identifier) and not (not node.args.get("db") and _is_cte(node)):
                found = logical(node.text("db")) if node.args.get("db") else schema
                node.set("db", exp.to_identifier(found, quoted=True))
                node.set("catalog", None)


def by_name(found: dict[str, Sequence], sequence: Sequence) -> None:
    """Puts a sequence where defaults of the file will look for it."""
    file_schema = "main" if sequence.schema == DEFAULT_SCHEMA else sequence.schema
    found.setdefault(sequence.name, sequence)
    found[f"{file_schema}.{sequence.name}"] = sequence


def _constraint(schema: str, table: str, row: tuple[Any, ...]) -> Constraint | None:
    kind, columns, expression, ref_table, ref_columns, text = row
    columns = tuple(columns)
    middle = "_".join(columns)
    if kind == "PRIMARY KEY":
        return Constraint(f"{table}_pkey", "p", columns)
    if kind == "UNIQUE":
        return Constraint(f"{table}_{middle}_key", "u", columns)
    if kind == "CHECK":
        body = expression or re.sub(r"^CHECK\s*\((.*)\)$", r"\1", text, flags=re.DOTALL)
        return Constraint(f"{table}_{middle}_check" if middle else f"{table}_check", "c", (), body)
    if kind == "FOREIGN KEY":
        return Constraint(
            f"{table}_{middle}_fkey", "f", columns, None, logical(schema), ref_table, tuple(ref_columns)
        )
    return None


def _index_columns(text: str) -> tuple[str, ...]:
    """Column names and expressions of an index: the engine shows them as a list, quoted where they are not plain."""
    found = []
    for quoted, plain in _LISTED.findall(text.strip()[1:-1]):
        tree = sqlglot.parse_one(re.sub(r"\\(.)", r"\1", quoted) or plain, dialect="duckdb").unnest()
        found.append(tree.name if isinstance(tree, exp.Column) else tree.sql("duckdb"))
    return tuple(found)


def logical_default(text: str | None, sequences: Sequences) -> str | None:
    """A default with its sequences by their logical names."""
    if text is None or "nextval" not in text.lower():
        return text
    tree = sqlglot.parse_one(text, dialect="duckdb")
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() == "nextval" and call.expressions:
            argument = call.expressions[0].name.replace('"', "")
            sequence = sequences.get(argument) or sequences.get(argument.partition(".")[2])
            if sequence is not None:
                name = f"{quote(sequence.schema)}.{quote(sequence.name)}"
                call.expressions[0].replace(exp.Literal.string(name))
    return tree.sql("duckdb")
