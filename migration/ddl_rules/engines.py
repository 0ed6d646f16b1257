"""Rules of one engine each: Greenplum, Redshift, MySQL, ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator

from migration.ddl_reader import Reference
from migration.ddl_rules.base import (
    Rule,
    Subject,
    Violation,
    base_name,
    clause_columns,
    error,
    expression_names,
    primary_key,
    unique_keys,
    warning,
)
from migration.types import fixed_bytes
from migration.types_parse import is_nullable_type

_MYSQL_UNSIZED = (
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "json",
)
_MYSQL_ROW = 65535
_OTHER = "Name a column of another type."
_MYSQL_INDEX = 3072
_UTF8MB4 = 4


def greenplum(subject: Subject) -> Iterator[Violation]:
    """Distribution columns lie inside every key; no key on a random table ("CREATE TABLE", DISTRIBUTED
    BY)."""
    if subject.contract.name != "greenplum":
        return
    clause = subject.table.clause("distributed_by")
    keys = unique_keys(subject.table)
    if clause is None:
        if not subject.table.clause("inherits"):
            chosen = ", ".join(name.name for name in keys[0]) if keys else "the first column"
            message = f"no DISTRIBUTED BY: the engine silently takes {chosen}"
            yield warning(
                "distribution.missing",
                subject.table.path[-1].position,
                message,
                "Say DISTRIBUTED BY or RANDOMLY.",
            )
        return
    if clause.has("hash") or clause.has("buckets"):
        yield error(
            "distribution.form",
            clause.position,
            "HASH ... BUCKETS is StarRocks'",
            "Use DISTRIBUTED BY (column).",
        )
        return
    if clause.has("replicated"):
        return
    if clause.has("randomly"):
        if keys:
            yield error(
                "key.distribution",
                clause.position,
                "a key and DISTRIBUTED RANDOMLY exclude each other",
                f"DISTRIBUTED BY ({', '.join(item.name for item in keys[0])})",
            )
        return
    names = clause_columns(clause)
    if not names:
        yield error(
            "distribution.form",
            clause.position,
            "expected DISTRIBUTED BY (columns), RANDOMLY or REPLICATED",
            "DISTRIBUTED BY (column)",
        )
    for key in keys:
        inside = {name.name.lower() for name in key}
        for name in names:
            if name.name.lower() not in inside:
                written = ", ".join(item.name for item in key)
                message = f'distribution column "{name.name}" must be in the key ({written})'
                yield error("key.distribution", name.position, message, f"DISTRIBUTED BY ({written})")
    for name in names:
        column = subject.table.column(name.name)
        if column is not None and subject.type_of(column).kind in ("json", "list"):
            yield error(
                "distribution.type", name.position, f"{column.type_text} cannot be distributed by", _OTHER
            )


def redshift(subject: Subject) -> Iterator[Violation]:
    """DISTKEY goes with DISTSTYLE KEY and names one column; SUPER and VARBYTE are neither key."""
    if subject.contract.name != "redshift":
        return
    style, distkey = subject.table.clause("diststyle"), subject.table.clause("distkey")
    inline = [column for column in subject.table.columns if column.has("distkey")]
    if style and (distkey or inline) and not style.has("key"):
        yield error("distribution.style", style.position, "DISTKEY needs DISTSTYLE KEY", "DISTSTYLE KEY")
    names: list[Reference] = list(clause_columns(distkey)) if distkey else []
    names += [Reference(column.name, column.position) for column in inline]
    if len(names) > 1:
        yield error(
            "distribution.many", names[1].position, "a table has one DISTKEY column", "Leave the others out."
        )
    sort = subject.table.clause("sortkey")
    sorts = clause_columns(sort) if sort and not sort.has("auto") else ()
    if sort and sort.spelled.lower().startswith("interleaved") and len(sorts) > 8:
        yield error("sort.many", sort.position, "an INTERLEAVED SORTKEY has at most 8 columns", "Name eight.")
    if len(sorts) > 400:
        yield error("sort.many", sorts[400].position, "a SORTKEY has at most 400 columns", "Name fewer.")
    for name in (*names, *sorts):
        column = subject.table.column(name.name)
        if column is not None and subject.type_of(column).kind in ("json", "unknown", "bytes"):
            yield error(
                "key.type", name.position, f"{column.type_text} can be neither DISTKEY nor SORTKEY", _OTHER
            )


def mysql(subject: Subject) -> Iterator[Violation]:
    """Keys of TEXT need a prefix; rows hold 65,535 bytes, index keys 3,072 (manual 8.4.7, 15.22)."""
    if subject.contract.name != "mysql":
        return
    for constraint in subject.table.constraints:
        if constraint.kind in ("primary", "unique", "index"):
            yield from _mysql_key(subject, constraint.columns)
    for column in subject.table.columns:
        if column.has("primary", "key") or column.has("unique"):
            yield from _mysql_key(subject, (Reference(column.name, column.position),))
        if base_name(column) in _MYSQL_UNSIZED and column.has("default") and not column.has("default", "("):
            default = next(i for i, lexeme in enumerate(column.attributes) if lexeme.says("default"))
            following = column.attributes[default + 1 : default + 2]
            if following and not following[0].says("(", "null"):
                message = f"{column.type_text} takes a default in parentheses only"
                yield error("default.form", column.position, message, "DEFAULT ('...')")
    increments = [column for column in subject.table.columns if column.has("auto_increment")]
    keyed = {key.columns[0].name.lower() for key in subject.table.constraints if key.columns}
    for column in increments:
        own = column.has("primary", "key") or column.has("unique") or column.has("key")
        if column.name.lower() not in keyed and not own:
            message = "AUTO_INCREMENT must be the first column of a key"
            yield error("identity.key", column.position, message, f"Add KEY ({column.name}).")
    if len(increments) > 1:
        yield error(
            "identity.second",
            increments[1].position,
            "a table has one AUTO_INCREMENT column",
            "Leave the others out.",
        )
    row = sum(_mysql_bytes(subject, column.name) or 12 for column in subject.table.columns)
    if row > _MYSQL_ROW:
        message = f"a row may take {row:,} bytes; the limit is {_MYSQL_ROW:,} (4 for each utf8mb4 character)"
        yield error("row.size", subject.table.path[-1].position, message, "Make the longest VARCHARs TEXT.")
    engine = subject.table.clause("engine")
    if engine and any("mergetree" in lexeme.text.lower() for lexeme in engine.lexemes):
        yield error(
            "clause.forbidden", engine.position, "MergeTree is ClickHouse's engine", "ENGINE = InnoDB"
        )


def _mysql_key(subject: Subject, names: tuple[Reference, ...]) -> Iterator[Violation]:
    size = 0
    for name in names:
        column = subject.table.column(name.name)
        if column is None or name.prefix:
            continue
        if base_name(column) in _MYSQL_UNSIZED:
            message = f'"{column.name}" of type {column.type_text} in a key needs a prefix length'
            fix = f"Use VARCHAR(n) or {column.name}(191)."
            yield error("key.prefix", name.position, message, fix if base_name(column) != "json" else "")
            return
        size += _mysql_bytes(subject, column.name) or 8
    if size > _MYSQL_INDEX:
        message = f"the key may take {size:,} bytes; InnoDB's limit is {_MYSQL_INDEX:,}"
        yield error("key.size", names[0].position, message, "Shorten the VARCHARs or use a prefix.")


def _mysql_bytes(subject: Subject, name: str) -> int | None:
    """The most bytes a column takes in the row, None for those stored apart."""
    column = subject.table.column(name)
    if column is None or base_name(column) in _MYSQL_UNSIZED:
        return None
    type_ = subject.type_of(column)
    if type_.kind == "text" and type_.length:
        return type_.length * _UTF8MB4 + 2
    if type_.kind == "bytes" and type_.length:
        return type_.length + 2
    if type_.kind == "decimal" and type_.precision:
        return type_.precision // 2 + 1
    return fixed_bytes(type_)


def clickhouse(subject: Subject) -> Iterator[Violation]:
    """ENGINE; ORDER BY or PRIMARY KEY for the MergeTree family; no Nullable sort keys, no Nullable(Array)."""
    if subject.contract.name != "clickhouse":
        return
    position = subject.table.path[-1].position
    engine = subject.table.clause("engine")
    order = subject.table.clause("order_by")
    if engine is None:
        yield error("engine.missing", position, "no ENGINE", "Add ENGINE = MergeTree ORDER BY (...).")
    name = next((lexeme.text for lexeme in engine.lexemes if lexeme.kind == "word"), "") if engine else ""
    merge_tree = name.endswith("MergeTree")
    keyed = order or subject.table.clause("primary_key") or primary_key(subject.table)
    if engine and merge_tree and not keyed:
        message = f"{name} needs ORDER BY or PRIMARY KEY"
        yield error("sort.missing", engine.position, message, "Add ORDER BY (columns) or ORDER BY tuple().")
    if engine and order and not merge_tree:
        yield error("sort.forbidden", order.position, f"{name} takes no ORDER BY", "Leave it out.")
    settings = subject.table.clause("settings")
    allowed = settings is not None and any(lexeme.says("allow_nullable_key") for lexeme in settings.lexemes)
    keys = list(expression_names(order.lexemes)) if order else []
    clause = subject.table.clause("primary_key")
    keys += expression_names(clause.lexemes) if clause else primary_key(subject.table)
    for key in dict.fromkeys(keys):
        column = subject.table.column(key.name)
        if (
            column is not None
            and (is_nullable_type(column.type_text) or _says_null(subject, key))
            and not allowed
        ):
            message = f'sort key column "{column.name}" is Nullable'
            yield error(
                "key.nullable", key.position, message, "Make it not Nullable, or choose another sort key."
            )
    for column in subject.table.columns:
        compact = column.type_text.replace(" ", "").lower()
        if compact.startswith(
            ("nullable(array", "nullable(map", "nullable(tuple", "nullable(nested", "nullable(lowc")
        ):
            message = f"{column.type_text}: Nullable holds scalars only"
            yield error(
                "type.nullable_nested", column.type_position, message, "Leave Nullable out or put it inside."
            )


def _says_null(subject: Subject, key: Reference) -> bool:
    column = subject.table.column(key.name)
    return column is not None and column.has("null") and not column.has("not", "null")


def duckdb(subject: Subject) -> Iterator[Violation]:
    """Intervals and nested values are no index keys (*run* on 2.0.0)."""
    if subject.contract.name != "duckdb":
        return
    for key in unique_keys(subject.table):
        for name in key:
            column = subject.table.column(name.name)
            if column is not None and (
                subject.type_of(column).kind == "interval" or subject.type_of(column).is_nested
            ):
                yield error("key.type", name.position, f"{column.type_text} cannot be a key", _OTHER)


def sort_prefix(subject: Subject) -> Iterator[Violation]:
    """ClickHouse's PRIMARY KEY is a prefix of ORDER BY."""
    order, clause = subject.table.clause("order_by"), subject.table.clause("primary_key")
    if subject.contract.name != "clickhouse" or order is None or clause is None:
        return
    wanted = [name.name for name in clause_columns(clause)]
    given = [name.name for name in clause_columns(order)]
    if wanted and given and given[: len(wanted)] != wanted:
        yield error(
            "key.order",
            clause.position,
            "PRIMARY KEY must be a prefix of ORDER BY",
            f"ORDER BY ({', '.join(wanted)}, …)",
        )


def lone_row(subject: Subject) -> Iterator[Violation]:
    """AUTOINCREMENT in SQLite belongs to INTEGER PRIMARY KEY."""
    if subject.contract.name != "sqlite":
        return
    for column in subject.table.columns:
        if column.has("autoincrement") and (
            base_name(column) != "integer" or not column.has("primary", "key")
        ):
            yield error(
                "identity.type",
                column.position,
                "AUTOINCREMENT needs INTEGER PRIMARY KEY",
                "INTEGER PRIMARY KEY AUTOINCREMENT",
            )
    strict = subject.table.clause("strict")
    for column in subject.table.columns if strict else ():
        if base_name(column) not in ("int", "integer", "real", "text", "blob", "any"):
            message = f"a STRICT table has no type {column.type_text}"
            yield error("type.strict", column.type_position, message, "Use INTEGER, REAL, TEXT, BLOB or ANY.")
    if subject.table.clause("without_rowid") and not primary_key(subject.table):
        message, fix = (
            "WITHOUT ROWID needs a PRIMARY KEY",
            "Add PRIMARY KEY (column), or leave WITHOUT ROWID out.",
        )
        yield error("key.missing", subject.table.path[-1].position, message, fix)


RULES: tuple[Rule, ...] = (greenplum, redshift, mysql, clickhouse, duckdb, sort_prefix, lone_row)
