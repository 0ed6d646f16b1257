"""What SQLAlchemy's inspector says about a table, and what the values of a query are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import types as kinds

from migration.connectors.base import Path, RemoteTable, TableEntry
from migration.dialects import DialectContract
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, KeySpec, TableSpec
from migration.types import (
    CanonicalType,
    byte_string,
    decimal,
    enum,
    instant,
    json,
    of,
    text,
    timestamp,
    unknown,
)
from migration.types import time as clock

_NO_ACTION = ("NO ACTION", "RESTRICT", None)
_VALUES: dict[type, CanonicalType] = {
    bool: of("bool"),
    int: of("int64"),
    float: of("float64"),
    Decimal: decimal(),
    str: text(),
    bytes: byte_string(),
    bytearray: byte_string(),
    memoryview: byte_string(),
    date: of("date"),
    time: clock(6),
    UUID: of("uuid"),
}


class Seen:
    """The Python types of a result's values, column by column, where ``told`` has none."""

    def __init__(self, names: Sequence[str], told: Sequence[CanonicalType | None]) -> None:
        self.names = names
        self._told = told
        self._types: list[set[CanonicalType]] = [set() for _ in names]

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Takes more rows in."""
        for row in rows:
            for found, value in zip(self._types, row, strict=True):
                if value is not None:
                    found.add(self._type(value))

    def columns(self) -> tuple[ColumnSpec, ...]:
        """The columns; HV004 where the values of one do not agree. One without a value is text."""
        columns = []
        for name, found, told in zip(self.names, self._types, self._told, strict=True):
            if told is not None:
                found = {told}
            if len(found) > 1:
                raise MigrationError(
                    "HV004",
                    f'column "{name}" has values of several types: {", ".join(sorted(map(str, found)))}',
                    hint="CAST it in the query.",
                    column=name,
                )
            columns.append(ColumnSpec(name, found.pop() if found else text()))
        return tuple(columns)

    @staticmethod
    def _type(value: Any) -> CanonicalType:
        if isinstance(value, datetime):
            return timestamp(6) if value.tzinfo is None else instant(6)
        if isinstance(value, dict | list):
            return json()
        return _VALUES.get(type(value)) or unknown(type(value).__name__)


def entries(session: Any, schema: str | None) -> list[TableEntry]:
    """Tables and views of a schema, by name."""
    inspector = sa.inspect(session)
    home = schema or inspector.default_schema_name or ""
    found = [TableEntry(home, name) for name in inspector.get_table_names(schema)]
    found += [TableEntry(home, name, "view") for name in inspector.get_view_names(schema)]
    return sorted(found, key=lambda entry: entry.name)


def remote_table(session: Any, path: Path, item: DialectContract) -> RemoteTable | None:
    """Everything the inspector knows of a table or view; None if there is none."""
    inspector = sa.inspect(session)
    schema, name = (path[-2] if len(path) > 1 else None), path[-1]
    view = name in inspector.get_view_names(schema)
    if not view and not inspector.has_table(name, schema):
        return None
    columns = tuple(_column(each, session.dialect, item) for each in inspector.get_columns(name, schema))
    keys = [] if view else list(_keys(inspector, name, schema))
    home = schema or inspector.default_schema_name or ""
    spec = TableSpec((home, name) if home else (name,), columns, tuple(keys), dialect=item.name)
    return RemoteTable(spec, "view" if view else "table")


def referring(session: Any, path: Path) -> bool:
    """True if another table's foreign key points at this one."""
    inspector = sa.inspect(session)
    schema, name = (path[-2] if len(path) > 1 else None), path[-1]
    here = (None, schema, inspector.default_schema_name if schema is None else schema)
    return any(
        key["referred_table"] == name and key["referred_schema"] in here and other != name
        for other in inspector.get_table_names(schema)
        for key in inspector.get_foreign_keys(other, schema)
    )


def _keys(inspector: Any, name: str, schema: str | None) -> Iterable[KeySpec]:
    primary = inspector.get_pk_constraint(name, schema).get("constrained_columns")
    if primary:
        yield KeySpec("primary", tuple(primary))
    for unique in inspector.get_unique_constraints(name, schema):
        yield KeySpec("unique", tuple(unique["column_names"]), unique.get("name"))
    for key in inspector.get_foreign_keys(name, schema):
        rules = key.get("options", {})
        table = (key["referred_schema"], key["referred_table"])
        yield KeySpec(
            "foreign",
            tuple(key["constrained_columns"]),
            key.get("name"),
            tuple(part for part in table if part),
            tuple(key["referred_columns"]),
            *(
                None if rules.get(rule) in _NO_ACTION else rules.get(rule)
                for rule in ("ondelete", "onupdate")
            ),
        )


def _column(found: dict[str, Any], dialect: Any, item: DialectContract) -> ColumnSpec:
    type_ = found["type"]
    try:
        declared = type_.compile(dialect=dialect)
    except Exception:  # a type without a spelling: NULL for columns of no type
        declared = ""
    canonical = parse_type(declared, item.name) if declared and item.supported else unknown(declared)
    if canonical.kind == "unknown" or item.name == "generic":
        canonical = _canonical(type_, declared)
    return ColumnSpec(
        found["name"],
        canonical,
        bool(found.get("nullable", True)),
        found.get("default"),
        "default" if found.get("identity") else "",
        found.get("comment"),
        declared or None,
    )


def _canonical(type_: Any, declared: str) -> CanonicalType:
    """By what SQLAlchemy takes the type for."""
    if isinstance(type_, kinds.Boolean):
        return of("bool")
    if isinstance(type_, kinds.Integer):
        small, big = isinstance(type_, kinds.SmallInteger), isinstance(type_, kinds.BigInteger)
        return of("int16" if small else "int64" if big else "int32")
    if isinstance(type_, kinds.Float):
        return of("float64")
    if isinstance(type_, kinds.Numeric):
        return decimal(type_.precision, type_.scale or 0) if type_.precision else decimal()
    if isinstance(type_, kinds.Enum):
        return enum(*type_.enums)
    if isinstance(type_, kinds.String):
        return text(type_.length)
    if isinstance(type_, kinds._Binary):
        return byte_string()
    if isinstance(type_, kinds.DateTime):
        return instant(6) if type_.timezone else timestamp(6)
    if isinstance(type_, kinds.Date):
        return of("date")
    if isinstance(type_, kinds.Time):
        return clock(6)
    if isinstance(type_, kinds.JSON):
        return json()
    if isinstance(type_, kinds.Uuid):
        return of("uuid")
    return unknown(declared or type(type_).__name__)
