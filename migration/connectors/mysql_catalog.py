"""What information_schema, or a result's own description, says about columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlglot
from sqlglot import exp

from migration.connectors.base import ColumnStatistics, Path, RemoteTable
from migration.connectors.children import Reference, grouped
from migration.dialects import contract
from migration.dialects.quoting import quote_text
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.statements import as_insert
from migration.types import CanonicalType, byte_string, decimal, instant, json, of, text, time, timestamp

_INTEGERS = {1: "int8", 2: "int16", 3: "int32", 8: "int64", 9: "int32", 13: "int16"}
_TEXTS = (15, 247, 248, 249, 250, 251, 252, 253, 254)
_UNSIGNED, _BINARY = 32, 63
_COLUMNS = (
    "SELECT column_name, column_type, is_nullable, column_default, extra, column_comment, character_set_name "
    "FROM information_schema.columns WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s "
    "ORDER BY ordinal_position"
)
_KEYS = (
    "SELECT c.constraint_type, k.constraint_name, k.column_name, k.referenced_table_schema, "
    "k.referenced_table_name, k.referenced_column_name, r.delete_rule, r.update_rule "
    "FROM information_schema.table_constraints c JOIN information_schema.key_column_usage k "
    "ON k.constraint_schema = c.constraint_schema AND k.constraint_name = c.constraint_name "
    "AND k.table_name = c.table_name LEFT JOIN information_schema.referential_constraints r "
    "ON r.constraint_schema = c.constraint_schema AND r.constraint_name = c.constraint_name "
    "AND r.table_name = c.table_name WHERE c.table_schema = COALESCE(%s, DATABASE()) AND c.table_name = %s "
    "AND c.constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY') "
    "ORDER BY c.constraint_type, k.constraint_name, k.ordinal_position"
)
_REFERRING = (
    "SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_column_name, r.delete_rule, "
    "(k.table_schema, k.table_name) = (k.referenced_table_schema, k.referenced_table_name) "
    "FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r "
    "ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name "
    "AND r.table_name = k.table_name WHERE k.referenced_table_schema = COALESCE(%s, DATABASE()) "
    "AND k.referenced_table_name = %s ORDER BY 1, 2, 3, k.ordinal_position"
)
_INDEXES = (
    "SELECT index_name, column_name, cardinality FROM information_schema.statistics "
    "WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s ORDER BY index_name, seq_in_index"
)
_COMPUTED = re.compile(r"\b(?:STORED|VIRTUAL|PERSISTENT)\b", re.IGNORECASE)  # not DEFAULT_GENERATED
_COMMENT = re.compile(r" ?/\*.*?\*/")  # MariaDB's COMPRESSED, which says how a text is kept
_NO_ACTION = ("NO ACTION", "RESTRICT", None)


def table_columns(session: Any, path: Path) -> tuple[ColumnSpec, ...]:
    """The columns of a table, () if there is none."""
    return tuple(
        ColumnSpec(
            name,
            parse_type(declared := _COMMENT.sub("", written), "mysql"),
            nullable == "YES",
            None if default in (None, "NULL") else str(default),
            "default" if "auto_increment" in extra.lower() else "",
            comment or None,
            declared,
            _COMPUTED.search(extra) is not None,
            charset,
        )
        for name, written, nullable, default, extra, comment, charset in _ask(session, _COLUMNS, path)
    )


def remote_table(session: Any, path: Path) -> RemoteTable | None:
    """Everything about one table; None if there is none."""
    columns = table_columns(session, path)
    if not columns:
        return None
    head = _ask(
        session,
        "SELECT table_schema, table_name, table_type, table_rows, table_comment FROM information_schema.tables "
        "WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s",
        path,
    )[0]
    keys = _keys(_ask(session, _KEYS, path))
    taken = {key.name for key in keys}
    indexes: dict[str, list[str]] = {}
    statistics: dict[str, ColumnStatistics] = {}
    for index, column, cardinality in _ask(session, _INDEXES, path):
        if index not in indexes and cardinality is not None:
            statistics[column] = ColumnStatistics(distinct=int(cardinality))
        indexes.setdefault(index, []).append(column)
    keys += [KeySpec("index", tuple(names), name) for name, names in indexes.items() if name not in taken]
    view = head[2] == "VIEW"
    comment = None if view else head[4] or None
    spec = TableSpec((head[0], head[1]), columns, tuple(keys), comment, "mysql")
    return RemoteTable(spec, "view" if view else "table", head[3], statistics)


def referring(session: Any, path: Path) -> tuple[Reference, ...]:
    """The foreign keys at a table."""
    return tuple(
        Reference(
            (parts[0][0], parts[0][1]),
            tuple(part[3] for part in parts),
            tuple(part[4] for part in parts),
            parts[0][5],
            bool(parts[0][6]),
        )
        for parts in grouped(_ask(session, _REFERRING, path), 3)
    )


def columns_of_result(cursor: Any) -> tuple[ColumnSpec, ...]:
    """The columns of a result from the server's description of it."""
    return tuple(ColumnSpec(field.name, _type(field)) for field in cursor._result.fields)


def _type(field: Any) -> CanonicalType:
    code, length, scale = field.type_code, field.length, field.scale
    unsigned = bool(field.flags & _UNSIGNED)
    if code in _INTEGERS:
        return of(("u" if unsigned else "") + _INTEGERS[code])  # type: ignore[arg-type]
    if code in (0, 246):
        return decimal(length - (scale > 0) - (not unsigned), scale)
    if code in (4, 5):
        return of("float32" if code == 4 else "float64")
    if code in (7, 11, 12):
        digits = scale if scale <= 6 else 6
        return {7: instant, 11: time, 12: timestamp}[code](digits)
    if code == 10:
        return of("date")
    if code == 16:
        return CanonicalType("bit", length=length, unit="bytes", fixed=True)
    if code == 245:
        return json(normalised=True)
    if code in _TEXTS:
        return byte_string() if field.charsetnr == _BINARY else text()
    return text() if code == 6 else CanonicalType("unknown", name=f"type {code}")


def _keys(rows: Sequence[tuple[Any, ...]]) -> list[KeySpec]:
    keys = []
    for parts in grouped(rows, 2):
        first = parts[0]
        kind, name = first[:2]
        columns = tuple(part[2] for part in parts)
        if kind == "FOREIGN KEY":
            actions = [None if rule in _NO_ACTION else rule for rule in (first[6], first[7])]
            keys.append(
                KeySpec(
                    "foreign", columns, name, (first[3], first[4]), tuple(part[5] for part in parts), *actions
                )
            )
        else:
            keys.append(KeySpec("primary" if kind == "PRIMARY KEY" else "unique", columns, name))
    return keys


def _ask(session: Any, query: str, path: Path) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(query, [path[-2] if len(path) > 1 else None, path[-1]])
        return list(cursor.fetchall())


def refuse_lasting(statement: str, ask: Callable[[str], Sequence[Sequence[Any]]]) -> None:
    """0A000 where a statement writes a table whose engine (MyISAM, Aria) has no transactions to take it back in."""
    tree = sqlglot.parse_one(as_insert(statement, "mysql"), read="mysql")
    written = (
        tree.this if isinstance(tree, exp.Insert) else tree
    )  # what an INSERT only reads may be of any engine
    item = contract("mysql")
    for table in written.find_all(exp.Table):
        schema = quote_text(table.db, item) if table.db else "DATABASE()"
        found = ask(
            "SELECT t.engine FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine"
            f" WHERE e.transactions <> 'YES' AND t.table_schema = {schema}"
            f" AND t.table_name = {quote_text(table.name, item)}"
        )
        if found:
            raise MigrationError(
                "0A000",
                f'what is written to "{table.name}" cannot be taken back',
                detail=f"Its engine, {found[0][0]}, has no transactions.",
                hint="Run it without DRY RUN and ROWS BETWEEN, or ALTER TABLE … ENGINE = InnoDB.",
            )
