"""Column defaults in the target's words.

Only what means the same everywhere is kept: literals, NULL, TRUE, FALSE, the current date and time. A
function, a
sequence or an expression is not translated on trust; the caller notes that it was left out.
"""

from __future__ import annotations

from uuid import UUID

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from migration.dialects import contract
from migration.dialects.base import DialectContract
from migration.dialects.quoting import quote_text
from migration.dialects.type_map import Mapping
from migration.model import ColumnSpec


def default_clause(
    column: ColumnSpec, mapping: Mapping, source_dialect: str, item: DialectContract
) -> str | None:
    """``DEFAULT ...`` for the column in the dialect, None if it cannot be kept."""
    if column.default is None or not item.default_values or mapping.loss == "unsupported":
        return None
    try:
        tree = parse_one(column.default, read=contract(source_dialect).sqlglot or None)
    except SqlglotError:
        return None
    while isinstance(tree, exp.Cast | exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Null):
        return None if not column.nullable else "DEFAULT NULL"
    if isinstance(tree, exp.CurrentTimestamp | exp.CurrentDate):
        return _now(tree, column, mapping, item)
    value = _literal(tree)
    if value is None or mapping.cast not in ("", "text", "integer", "uuid_text"):
        return None
    return _value(value, isinstance(tree, exp.Literal) and tree.is_string, column, mapping, item)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _literal(tree: exp.Expr) -> str | None:
    """The literal's text, with its sign; booleans as true and false."""
    if isinstance(tree, exp.Literal):
        return str(tree.this)
    if isinstance(tree, exp.Neg) and isinstance(tree.this, exp.Literal) and not tree.this.is_string:
        return f"-{tree.this.this}"
    if isinstance(tree, exp.Boolean):
        return "true" if tree.this else "false"
    return None


def _value(
    value: str, is_text: bool, column: ColumnSpec, mapping: Mapping, item: DialectContract
) -> str | None:
    kind = column.type.kind
    number = column.type.is_integer or kind in ("decimal", "float32", "float64")
    if kind == "bool":
        truth = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(
            value.lower()
        )
        if truth is None:
            return None
        written = ("1" if truth else "0") if mapping.cast == "integer" else ("TRUE" if truth else "FALSE")
    elif number:
        try:
            float(value)
        except ValueError:
            return None
        if not any(character.isdigit() for character in value):  # infinity and NaN
            return None
        written = value if mapping.cast == "" else quote_text(value, item)
    elif kind == "uuid" and not _is_uuid(value):
        return None
    elif kind in ("text", "enum", "uuid") and is_text:
        written = quote_text(value, item)
    else:
        return None  # a date or bytes literal is read differently from engine to engine
    if item.name in ("starrocks", "doris"):  # defaults there are always strings
        written = written if written.startswith("'") else quote_text(written.lower(), item)
    if item.name == "mysql" and mapping.target_type in ("LONGTEXT", "LONGBLOB", "JSON"):
        written = f"({written})"
    return f"DEFAULT {written}"


def _now(tree: exp.Expr, column: ColumnSpec, mapping: Mapping, item: DialectContract) -> str | None:
    """The current time, where the column's type and the engine's clock agree on what it means."""
    if mapping.cast or (isinstance(tree, exp.CurrentDate) != (column.type.kind == "date")):
        return None
    if isinstance(tree, exp.CurrentDate):
        known = ("postgres", "greenplum", "duckdb", "redshift", "snowflake", "bigquery", "generic")
        return "DEFAULT CURRENT_DATE" if item.name in known else None
    if column.type.kind not in ("timestamp", "instant"):
        return None
    if item.name == "mysql":
        return f"DEFAULT CURRENT_TIMESTAMP({column.type.precision})"
    if item.name == "redshift":
        return "DEFAULT SYSDATE" if column.type.kind == "timestamp" else None
    if item.name in ("clickhouse", "bigquery", "snowflake", "starrocks", "doris"):
        words = {"clickhouse": "now64(6)", "starrocks": "CURRENT_TIMESTAMP", "doris": "CURRENT_TIMESTAMP"}
        fallback = "CURRENT_TIMESTAMP" if column.type.kind == "instant" else None
        word = words.get(item.name, fallback)
        return f"DEFAULT {word}" if word else None
    return "DEFAULT CURRENT_TIMESTAMP"
