"""Writes a table as DDL of a dialect: types, NOT NULL, defaults, keys, comments and the layout's clauses.

Rules:

1. What is written passes ``validate`` for the same dialect and version. What a dialect cannot say is left
   out and
   noted, never silently: ``Rendered.notes``.
2. A condition that values must meet for the table to hold them is in ``Rendered.guards``, by column.
3. Every name goes through ``quote_name``, every literal through ``quote_text``; nothing else makes SQL
   text of data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from migration.ddl.defaults import default_clause
from migration.ddl.identity import identity_clause
from migration.ddl.own import OwnTerms, own_terms
from migration.dialects import contract
from migration.dialects.base import DialectContract, at_least
from migration.dialects.quoting import quote_name, quote_path, quote_text
from migration.dialects.type_map import Mapping, map_canonical, nullable_type
from migration.layout.choice import Layout
from migration.layout.clauses import layout_clauses
from migration.model import ColumnSpec, KeySpec, TableSpec

_NO_PRIMARY = ("clickhouse", "spark", "hive", "starrocks", "doris")
_INDEXES = ("postgres", "greenplum", "duckdb", "sqlite")
_FOREIGN = (
    "postgres",
    "greenplum",
    "mysql",
    "sqlite",
    "duckdb",
    "redshift",
    "snowflake",
    "bigquery",
    "generic",
)
_UNIQUE = ("postgres", "greenplum", "mysql", "sqlite", "duckdb", "redshift", "snowflake", "generic")
_MYSQL_KEY_CHARS = 768  # 3,072 bytes of utf8mb4
_MYSQL_ROW = 65_000


@dataclass(frozen=True, slots=True)
class Rendered:
    """DDL with what it cost. ``mappings`` pairs each column with its type mapping, in declared order."""

    statements: tuple[str, ...]
    mappings: tuple[tuple[str, Mapping], ...]
    notes: tuple[str, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()

    @property
    def sql(self) -> str:
        """All statements, separated by semicolons."""
        return ";\n".join(self.statements)


def render_ddl(
    table: TableSpec, dialect: str, layout: Layout | None = None, version: str | None = None
) -> str:
    """``render(...).sql``."""
    return render(table, dialect, layout, version).sql


def render(
    table: TableSpec,
    dialect: str,
    layout: Layout | None = None,
    version: str | None = None,
    *,
    whole: bool = False,
) -> Rendered:
    """``table`` as DDL of ``dialect``. Raises 42622 for a name the dialect cannot hold. ``whole``: with what only its
    own engine can be told, or a note that it is missing (``ddl.own``)."""
    item = contract(dialect)
    notes: list[str] = []
    own = own_terms(table, item, notes) if whole else OwnTerms()
    mappings = _mappings(table, item, version, layout, notes)
    columns = list(table.columns)
    if layout is not None and layout.column_order:
        rank = {name: index for index, name in enumerate(layout.column_order)}
        columns.sort(key=lambda column: rank.get(column.name, len(rank)))
    hidden = _hive_partitions(item, layout)
    keys = [key for key in table.keys if _can_hold(key, table, item, mappings, layout, notes)]
    says_required = item.name != "trino-hive" and (item.name != "hive" or at_least(version, "3.0"))
    if not says_required and any(not column.nullable for column in columns):
        notes.append(
            f"NOT NULL is not kept: {item.name} {'has none before 3.0' if item.name == 'hive' else 'has none'}"
        )
    elements = [
        _column(column, mappings[column.name], table, item, layout, notes, says_required)
        + own.columns.get(column.name, "")
        for column in columns
        if column.name not in hidden
    ]
    elements += [key_clause(key, item) for key in keys if key.kind != "index" or item.name == "mysql"]
    elements += own.constraints
    body = ",\n".join(f"  {element}" for element in elements)
    tail = layout_clauses(table, item, layout, version, {name: m.target_type for name, m in mappings.items()})
    if table.comment is not None and not _table_comment(table, item, tail):
        notes.append("the table's comment is not kept")
    create = f"CREATE TABLE {quote_path(table.path, item)} (\n{body}\n)" + "".join(
        f"\n{part}" for part in tail
    )
    statements = [create, *_comments(table, item, notes)]
    statements += [_index(key, table, item) for key in keys if key.kind == "index" and item.name in _INDEXES]
    statements += own.indexes
    guards = [(name, guard) for name, mapping in mappings.items() for guard in mapping.guards]
    ordered = tuple((column.name, mappings[column.name]) for column in columns)
    return Rendered(tuple(statements), ordered, tuple(dict.fromkeys(notes)), tuple(guards))


def _hive_partitions(item: DialectContract, layout: Layout | None) -> tuple[str, ...]:
    choice = layout.choice("partitioned_by") if layout is not None and item.name == "hive" else None
    return choice.columns if choice else ()


def _mappings(
    table: TableSpec, item: DialectContract, version: str | None, layout: Layout | None, notes: list[str]
) -> dict[str, Mapping]:
    same = contract(table.dialect).name == item.name
    found: dict[str, Mapping] = {}
    for column in table.columns:
        if same and column.declared:
            found[column.name] = Mapping(column.type, column.declared, "exact")
        else:
            found[column.name] = map_canonical(column.type, item, version)
        if found[column.name].loss == "unsupported":
            notes.append(f'column "{column.name}": {found[column.name].reason}')
    if item.name == "mysql":
        _fit_mysql(table, found, notes)
    if item.name == "doris":
        _fit_doris(found, layout, notes)
    if item.name in ("clickhouse",):
        choice = layout.choice("low_cardinality") if layout else None
        for name in choice.columns if choice else ():
            if found[name].target_type == "String":
                found[name] = replace(found[name], target_type="LowCardinality(String)")
    return found


def _fit_doris(found: dict[str, Mapping], layout: Layout | None, notes: list[str]) -> None:
    """STRING cannot be a key column in Doris; VARCHAR can."""
    for choice in layout.choices if layout else ():
        if choice.clause in ("duplicate_key", "unique_key", "distributed_by"):
            for name in choice.columns:
                if found[name].target_type == "STRING":
                    guards = (*found[name].guards, "octets:65533")
                    found[name] = replace(
                        found[name], target_type="VARCHAR(65533)", loss="lossy", guards=guards
                    )
                    notes.append(f'key column "{name}" holds at most 65,533 bytes')


def _fit_mysql(table: TableSpec, found: dict[str, Mapping], notes: list[str]) -> None:
    """Key columns get a length InnoDB can index; rows stay below 65,535 bytes."""
    for key in table.keys:
        for name in key.columns if key.kind != "foreign" else ():
            mapping = found.get(name)
            if mapping is None or mapping.target_type not in ("LONGTEXT", "LONGBLOB"):
                continue
            share = _MYSQL_KEY_CHARS // (2 * len(key.columns))
            binary = mapping.target_type == "LONGBLOB"
            sized = f"VARBINARY({share * 4})" if binary else f"VARCHAR({share})"
            guard = f"octets:{share * 4}" if binary else f"chars:{share}"
            guards = (*mapping.guards, guard)
            found[name] = replace(
                mapping, target_type=sized, loss="lossy", reason="sized to be a key", guards=guards
            )
            notes.append(f'key column "{name}" is {sized}: longer values do not fit')
    sizes = {
        name: int(match.group(1))
        for name, mapping in found.items()
        if (match := _VARCHAR.match(mapping.target_type))
    }
    keyed = {name for key in table.keys for name in key.columns}
    total = sum(4 * size + 2 for size in sizes.values()) + 16 * len(found)
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= _MYSQL_ROW:
            break
        if name not in keyed:
            total -= 4 * sizes[name] + 2
            reason = "a row holds 65,535 bytes; kept as LONGTEXT"
            found[name] = replace(found[name], target_type="LONGTEXT", loss="widening", reason=reason)


_VARCHAR = re.compile(r"VARCHAR\((\d+)\)", re.IGNORECASE)


def _column(
    column: ColumnSpec,
    mapping: Mapping,
    table: TableSpec,
    item: DialectContract,
    layout: Layout | None,
    notes: list[str],
    says_required: bool,
) -> str:
    name = quote_name(column.name, item)
    required = (
        not column.nullable
        or bool(column.identity)
        or column.name in table.primary_key
        or _is_layout_key(column.name, layout)
    )
    type_ = mapping.target_type
    if item.types.nullable and not required and not column.type.is_nested and "Nullable" not in type_:
        type_ = nullable_type(type_, item)
    parts = [name, type_]
    identity = identity_clause(column, mapping, table, item, notes)
    if required and not item.types.nullable and says_required:
        parts.append("NOT NULL")
    if identity:
        parts.append(identity)
    elif column.default is not None:
        clause = default_clause(replace(column, nullable=not required), mapping, table.dialect, item)
        parts += [clause] if clause else []
        if not clause:
            notes.append(f'column "{column.name}": default {column.default} is not kept')
    if column.comment is not None:
        if item.column_comment == "inline":
            parts.append(f"COMMENT {quote_text(column.comment, item)}")
        elif item.column_comment == "options":
            parts.append(f"OPTIONS (description = {quote_text(column.comment, item)})")
    return " ".join(parts)


def _is_layout_key(name: str, layout: Layout | None) -> bool:
    """True for columns that a clause of the layout needs to be NOT NULL."""
    chosen = [layout.choice(clause) for clause in ("primary_key", "order_by")] if layout else []
    return any(choice is not None and name in choice.columns for choice in chosen)


def _can_hold(
    key: KeySpec,
    table: TableSpec,
    item: DialectContract,
    mappings: dict[str, Mapping],
    layout: Layout | None,
    notes: list[str],
) -> bool:
    """Whether the dialect can say this key; a note says why not."""
    label = f"{key.kind} key ({', '.join(key.columns)})"
    trino = item.name.startswith("trino")
    if key.kind == "primary" and (item.name in _NO_PRIMARY or trino):
        chosen = any(layout.choice(clause) for clause in ("primary_key", "unique_key")) if layout else False
        if not chosen:
            notes.append(f"{label} is not enforced by {item.name} and is left out")
        return False
    allowed = {"primary": (item.name,), "unique": _UNIQUE, "foreign": _FOREIGN, "index": (*_INDEXES, "mysql")}
    if item.name not in allowed[key.kind]:
        notes.append(f"{label} is left out: {item.name} has none")
        return False
    if key.kind != "foreign" and any(
        mappings[name].source.kind in ("json", "list", "map", "struct") for name in key.columns
    ):
        notes.append(f"{label} is left out: it holds nested values")
        return False
    if item.name == "duckdb" and any(mappings[name].source.kind == "interval" for name in key.columns):
        notes.append(f"{label} is left out: DuckDB does not index intervals")
        return False
    if item.name == "greenplum" and key.kind in ("primary", "unique"):
        choice = layout.choice("distributed_by") if layout else None
        if (
            choice
            and choice.value != "REPLICATED"
            and not (choice.columns and set(choice.columns) <= set(key.columns))
        ):
            notes.append(f"{label} is left out: it does not contain the distribution key")
            return False
    if item.name == "mysql" and key.kind != "foreign":
        size = sum(_key_bytes(mappings[name].target_type) for name in key.columns)
        if size > 3072:
            notes.append(f"{label} is left out: {size:,} bytes are more than InnoDB indexes")
            return False
    return True


def _key_bytes(type_: str) -> int:
    match = re.match(r"(VARCHAR|CHAR|VARBINARY)\((\d+)\)", type_, re.IGNORECASE)
    if match is None:
        return 4096 if "TEXT" in type_.upper() or "BLOB" in type_.upper() else 33
    return int(match.group(2)) * (1 if match.group(1).upper() == "VARBINARY" else 4) + 2


def key_clause(key: KeySpec, item: DialectContract) -> str:
    """What CREATE TABLE, or ADD of ALTER TABLE, says for a key."""
    columns = ", ".join(quote_name(name, item) for name in key.columns)
    suffix = " NOT ENFORCED" if item.name == "bigquery" else ""
    if key.kind == "foreign":
        # SQLite's references stay in one file: it takes no schema there.
        target = quote_path(key.ref_table[-1:] if item.name == "sqlite" else key.ref_table, item)
        references = ", ".join(quote_name(name, item) for name in key.ref_columns or key.columns)
        actions = "".join(
            f" ON {event} {action.upper()}"
            for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
            if action and item.name not in ("duckdb", "redshift", "bigquery", "snowflake")
        )
        return f"FOREIGN KEY ({columns}) REFERENCES {target} ({references}){actions}{suffix}"
    word = {"primary": "PRIMARY KEY", "unique": "UNIQUE", "index": "KEY"}[key.kind]
    return f"{word} ({columns}){suffix}"


def _table_comment(table: TableSpec, item: DialectContract, tail: list[str]) -> bool:
    """Adds the table's comment to the trailing clauses; True if it is kept there or in a statement."""
    if table.comment is None or item.table_comment == "statement":
        return True
    written = quote_text(table.comment, item)
    if item.table_comment == "inline_equals":
        tail.append(f"COMMENT = {written}")
    elif item.table_comment == "options":
        tail.append(f"OPTIONS (description = {written})")
    elif item.table_comment == "inline":
        # StarRocks and Doris want it after the key model, Trino and Spark before WITH: the place is in the
        # clause order.
        at = next((i for i, part in enumerate(tail) if part.startswith(_AFTER_COMMENT)), len(tail))
        tail.insert(at, f"COMMENT {written}")
    return item.table_comment != "none"


_AFTER_COMMENT = ("PARTITION BY RANGE", "DISTRIBUTED", "PROPERTIES", "WITH", "PARTITIONED", "STORED")


def _comments(table: TableSpec, item: DialectContract, notes: list[str]) -> list[str]:
    statements = []
    path = quote_path(table.path, item)
    if table.comment is not None and item.table_comment == "statement":
        statements.append(f"COMMENT ON TABLE {path} IS {quote_text(table.comment, item)}")
    for column in table.columns:
        if column.comment is not None and item.column_comment == "statement":
            name = quote_name(column.name, item)
            statements.append(f"COMMENT ON COLUMN {path}.{name} IS {quote_text(column.comment, item)}")
        elif column.comment is not None and item.column_comment == "none":
            notes.append(f'column "{column.name}": its comment is not kept')
    return statements


def _index(key: KeySpec, table: TableSpec, item: DialectContract) -> str:
    name = quote_name(key.name or f"{table.name}_{'_'.join(key.columns)}_idx"[:60], item)
    columns = ", ".join(quote_name(column, item) for column in key.columns)
    return f"CREATE INDEX {name} ON {quote_path(table.path, item)} ({columns})"
