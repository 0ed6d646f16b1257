"""Rules of ClickHouse: engines, sort keys, Nullable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from migration.ddl.lexer import Lexeme, find_words, group, lex, split_top
from migration.ddl.rules.base import (
    Rule,
    Subject,
    Violation,
    base_name,
    clause_columns,
    error,
    expression_names,
    primary_key,
    repeated,
    says_null,
    warning,
)
from migration.ddl.table import ColumnDefinition, Reference, TableClause
from migration.dialects import contract
from migration.dialects.spelling import words
from migration.dialects.type_names import is_nullable_type
from migration.errors import MigrationError

_PLAIN = (
    "Memory",
    "Log",
    "TinyLog",
    "StripeLog",
    "Null",
    "Set",
    "Join",
    "Buffer",
    "Distributed",
    "Merge",
    "File",
)
# Engines by their names, in which letter case counts (system.table_engines of 26.9).
_ENGINES = {
    name.lower(): name
    for name in words(
        "Alias AzureBlobStorage AzureQueue Buffer COSN DeltaLake Dictionary Distributed EmbeddedRocksDB "
        "Executable ExecutablePool File FileLog FuzzJSON FuzzQuery GenerateRandom HDFS Hive Hudi Iceberg "
        "JDBC Join Kafka KeeperMap Log MaterializedPostgreSQL Memory Merge MongoDB MySQL NATS Null ODBC OSS "
        "PostgreSQL RabbitMQ Redis S3 S3Queue SQLite Set StripeLog TimeSeries TinyLog URL YTsaurus MergeTree "
        "ReplacingMergeTree SummingMergeTree AggregatingMergeTree CollapsingMergeTree "
        "VersionedCollapsingMergeTree GraphiteMergeTree CoalescingMergeTree"
    )
}
_ENGINES_OF_OTHERS = words("innodb myisam aria rocksdb olap heap blackhole archive csv")
_PARAMETERS: dict[str, tuple[int, int | None]] = {  # type: how many it has at least and at most
    "map": (2, 2),
    **dict.fromkeys(words("array nullable lowcardinality"), (1, 1)),
    **dict.fromkeys(words("uuid date date32 bool ipv4 ipv6"), (0, 0)),
    **dict.fromkeys(words("enum8 enum16 nested"), (1, None)),
}
_REQUIRED = (
    "ifnull",
    "assumenotnull",
    "coalesce",
    "tostring",
    "isnull",
    "isnotnull",
    "toyyyymm",
    "firstnonnulldefault",
)
# Type names of its own are case-sensitive; these are not.
_ANY_CASE = frozenset(
    words(
        "bool boolean tinyint smallint int integer bigint mediumint int1 decimal dec numeric fixed float double real "
        "single varchar char character text tinytext mediumtext longtext blob tinyblob mediumblob longblob clob date "
        "date32 datetime datetime32 datetime64 timestamp time enum json binary national nchar nvarchar bytea year set "
        "inet4 inet6 signed unsigned decimal32 decimal64 decimal128 decimal256"
    )
)
_CASED = {
    name.lower(): name
    for name in words(
        "Int8 Int16 Int32 Int64 Int128 Int256 UInt8 UInt16 UInt32 UInt64 UInt128 UInt256 Float32 Float64 BFloat16 "
        "String FixedString UUID IPv4 IPv6 "
        "Array Tuple Map Nested Nullable LowCardinality Enum8 Enum16 Decimal32 Decimal64 "
        "Decimal128 Decimal256 SimpleAggregateFunction AggregateFunction "
        "Variant Dynamic Nothing Point Ring Polygon"
    )
}


def engine(subject: Subject) -> Iterator[Violation]:
    """ENGINE before 24.3, keys of MergeTrees before 25.11 (system.settings_changes); no keys of others."""
    table = subject.table
    if subject.contract.name != "clickhouse" or table.copies:
        return
    position = table.path[-1].position
    clause, order = table.clause("engine"), table.clause("order_by")
    temporary = any(word.says("temporary") for word in table.modifiers)
    if clause is None and not subject.since("24.3") and not temporary:
        yield error("engine.missing", position, "no ENGINE", "Add ENGINE = MergeTree ORDER BY (...).")
        return
    name = "Memory" if temporary else "MergeTree"
    if clause is not None:
        name = next((lexeme.text for lexeme in clause.lexemes if lexeme.kind == "word"), "")
    elif not temporary:
        yield warning(
            "engine.missing",
            position,
            "no ENGINE: the server's default_table_engine",
            "Say ENGINE = MergeTree.",
        )
    if clause is not None:
        yield from _engine_named(name, clause)
    keyed = order or table.clause("primary_key") or primary_key(table)
    where = clause.position if clause else position
    if name.endswith("MergeTree") and not keyed:
        make = warning if subject.since("25.11") else error
        message = (
            f"{name} without ORDER BY or PRIMARY KEY"
            if subject.since("25.11")
            else f"{name} needs ORDER BY or PRIMARY KEY"
        )
        yield make("sort.missing", where, message, "Add ORDER BY (columns) or ORDER BY tuple().")
    if name in _PLAIN:
        for item in table.clauses:
            if item.name in ("order_by", "partition_by", "sample_by", "primary_key", "ttl"):
                message = f"{name} takes no {' '.join(item.spelled.upper().split())}"
                yield error("sort.forbidden", item.position, message, "Leave it out.")
        for constraint in table.constraints:
            if constraint.kind == "index":
                message = f"{name} takes no INDEX"
                yield error("sort.forbidden", constraint.position, message, "Leave it out.")
    seen: set[str] = set()
    for item in table.clauses:
        if item.name == "engine" and seen:
            yield error("clause.order", item.position, "ENGINE is the first clause", "Move it to the front.")
        elif item.name in seen and item.name in (
            "order_by",
            "partition_by",
            "primary_key",
            "sample_by",
            "settings",
        ):
            message = f"a second {' '.join(item.spelled.upper().split())}"
            yield error("clause.order", item.position, message, "Leave one of them out.")
        seen.add(item.name)
    if order is not None and len(split_top(order.lexemes)) > 1:
        message = "several sort columns stand in brackets"
        yield error("syntax", order.position, message, "Write ORDER BY (a, b).")
    if clause is not None and name.endswith("MergeTree"):
        for used in clause_columns(clause) if any(lexeme.says("(") for lexeme in clause.lexemes) else ():
            if table.columns and table.column(used.name) is None and not table.has_query:
                message = f'{name}: column "{used.name}" does not exist'
                there = ", ".join(column.name for column in table.columns)
                yield error("column.unknown", used.position, message, f"The columns are {there}.")


def _engine_named(name: str, clause: TableClause) -> Iterator[Violation]:
    family = name.removeprefix("Replicated").removeprefix("Shared")
    proper = _ENGINES.get(family.lower())
    if proper is not None and proper != family:
        message = f"there is no engine {name}: letter case counts"
        yield error("engine.unknown", clause.position, message, f"Write {proper}.")
    elif name.lower() in _ENGINES_OF_OTHERS:
        yield error(
            "engine.unknown", clause.position, f"there is no engine {name}", "ENGINE = MergeTree ORDER BY (…)"
        )


def indexes(subject: Subject) -> Iterator[Violation]:
    """INDEX name expression TYPE type, each name once."""
    if subject.contract.name != "clickhouse":
        return
    seen: set[str] = set()
    for item in subject.table.constraints:
        if item.kind != "index" or len(item.lexemes) < 2:
            continue
        name = item.lexemes[1]
        if find_words(item.lexemes[2:], ("type",)) in (None, 0):
            message = "an INDEX has a name, an expression and a TYPE"
            yield error("syntax", item.position, message, "INDEX name (column) TYPE minmax")
        elif name.text in seen:
            yield error(
                "constraint.repeated", name.start + 1, f'"{name.text}" names two indexes', "Rename one."
            )
        seen.add(name.text)


def keys(subject: Subject) -> Iterator[Violation]:
    """No Nullable, JSON or dynamic sort and partition keys, unless a function or a setting allows it; no floats to
    partition by."""
    if subject.contract.name != "clickhouse":
        return
    table = subject.table
    settings = table.clause("settings")
    allowed = settings is not None and any(lexeme.says("allow_nullable_key") for lexeme in settings.lexemes)
    clauses = [
        clause for clause in table.clauses if clause.name in ("order_by", "primary_key", "partition_by")
    ]
    inline = [(name, "sort") for name in primary_key(table)] if not table.clause("primary_key") else []
    used = [
        (name, "partition" if each.name == "partition_by" else "sort")
        for each in clauses
        for name in _plain(each.lexemes)
    ]
    for key, what in dict.fromkeys([*used, *inline]):
        column = table.column(key.name)
        if column is None:
            continue
        kind = subject.type_of(column).kind
        if not allowed and (is_nullable_type(column.type_text) or says_null(column)):
            message = f'{what} key column "{column.name}" is Nullable'
            fix = "Make it not Nullable, or choose another sort key."
            yield error("key.nullable", key.position, message, fix)
        if kind == "json" or base_name(column) in ("variant", "dynamic"):
            message = f"{column.type_text} cannot be a key"
            yield error("key.type", key.position, message, "Name a column of another type.")
        if what == "partition" and kind in ("float32", "float64"):
            message = f"{column.type_text} cannot be partitioned by"
            yield error("key.type", key.position, message, "Name a column of another type.")


def _plain(lexemes: tuple[Lexeme, ...]) -> Iterator[Reference]:
    """The names that no function without NULLs stands around."""
    names = {name.position: name for name in expression_names(lexemes)}
    inside: list[bool] = []
    for index, lexeme in enumerate(lexemes):
        if lexeme.says("("):
            inside.append(index > 0 and lexemes[index - 1].says(*_REQUIRED))
        elif lexeme.says(")") and inside:
            inside.pop()
        elif lexeme.start + 1 in names and not any(inside):
            yield names[lexeme.start + 1]


def types(subject: Subject) -> Iterator[Violation]:
    """Letter case; what Nullable, LowCardinality, Map and FixedString may hold; NULL of a Nullable."""
    if subject.contract.name != "clickhouse":
        return
    for column in subject.table.columns:
        text = column.type_text
        compact = text.replace(" ", "").lower()
        for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", re.sub(r"'(?:[^'\\]|\\.)*'", "", text)):
            proper = _CASED.get(word.lower())
            if proper is not None and word != proper and word.lower() not in _ANY_CASE:
                yield error(
                    "type.case",
                    column.type_position,
                    f"{word} is not a type: letter case counts",
                    f"Write {proper}.",
                )
                break
        inside = re.search(r"nullable\((array|map|nested|lowc|nullable|variant|dynamic|tuple)", compact)
        if inside and not (inside[1] == "tuple" and subject.since("26.9")):
            message = f"{text}: Nullable holds scalars only"
            fix = "Leave Nullable out or put it inside."
            yield error("type.nullable_nested", column.type_position, message, fix)
        if compact.startswith("nullable(") and (says_null(column) or column.has("not", "null")):
            yield error(
                "null.both", column.position, "Nullable and NULL or NOT NULL", "Leave one of them out."
            )
        if re.search(r"map\((?:low\w+\()?nullable\(", compact):
            message = f"{text}: a key is not Nullable"
            yield error(
                "type.nullable_nested", column.type_position, message, "Leave Nullable of the key out."
            )
        if re.search(r"fixedstring(?!\()|fixedstring\((0*\)|\))", compact):
            message = "FixedString needs a length of bytes"
            yield error("type.length_missing", column.type_position, message, "Write FixedString(n).")
        if compact == "nothing":
            yield error(
                "type.pseudo", column.type_position, "Nothing is no type of a column", "Choose another type."
            )
        yield from _parameters(column)
        if says_null(column) and re.match(r"array|map|nested|lowc|variant|dynamic|aggregatef", compact):
            message = f"{text}: NULL is for scalars only"
            yield error(
                "type.nullable_nested",
                column.type_position,
                message,
                "Leave NULL out, or put Nullable inside.",
            )
        low = re.search(r"lowcardinality\((?:nullable\()?(\w+)", compact)
        if low and low[1] not in ("string", "fixedstring", "uuid", "varchar", "char", "text"):
            numeric = re.match(r"u?int\d|float|bigint|int|smallint|tinyint|date|ipv|bool", low[1])
            message = f"LowCardinality of {low[1]}" + (
                " is off by default" if numeric else " is not supported"
            )
            yield error("type.low_cardinality", column.type_position, message, "Leave LowCardinality out.")
        if repeated(subject.type_of(column).values) is not None:
            yield error("type.members", column.type_position, f"{text} has a member twice", "Name it once.")
        bare = not column.quoted and not column.name.replace(".", "").isascii()
        if bare:
            yield error(
                "identifier.characters",
                column.position,
                f"{column.name!r} needs quotes",
                f"Write `{column.name}`.",
            )


def _parameters(column: ColumnDefinition) -> Iterator[Violation]:
    """How many parameters the column's type has, where that is fixed; those inside it are not looked at."""
    found = re.fullmatch(r"(\w+)\s*(\(.*\))?", column.type_text.strip(), re.DOTALL)
    least, most = _PARAMETERS.get(found[1].lower(), (0, None)) if found else (0, None)
    if found is None or (least, most) == (0, None):
        return
    try:
        lexemes = lex(found[2] or "()", contract("clickhouse"))[1:-1]
    except MigrationError:
        return
    given = len(split_top(lexemes)) if lexemes else 0
    if given < least or (most is not None and given > most):
        many = f"{least} or more" if most is None else most or "no"
        message = f"{column.type_text}: {found[1]} has {many} parameter{'' if most == 1 else 's'}"
        yield error(
            "type.parameter", column.type_position, message, "The manual's page of the type names them."
        )


def _parts(lexemes: Sequence[Lexeme]) -> list[str]:
    """The expressions of a key, each as its words with one blank between; how they sort is left out."""
    if lexemes[:2] and lexemes[0].says("primary") and lexemes[1].says("key"):
        lexemes = lexemes[2:]
    for _ in range(2):  # (a, b), tuple(a, b)
        opening = 1 if lexemes[:1] and lexemes[0].says("tuple") else 0
        brackets = len(lexemes) > opening and lexemes[opening].says("(")
        if not brackets or group(lexemes, opening) != len(lexemes):
            break
        lexemes = lexemes[opening + 1 : -1]
    parts = [part[:-1] if part and part[-1].says("asc", "desc") else part for part in split_top(lexemes)]
    return [" ".join(lexeme.text for lexeme in part) for part in parts if part]


def sort_prefix(subject: Subject) -> Iterator[Violation]:
    """ClickHouse's PRIMARY KEY is a prefix of ORDER BY."""
    order = subject.table.clause("order_by")
    inline = next((item for item in subject.table.constraints if item.kind == "primary"), None)
    clause = subject.table.clause("primary_key") or inline
    if subject.contract.name != "clickhouse" or order is None or clause is None:
        return
    wanted, given = _parts(clause.lexemes), _parts(order.lexemes)
    if given[: len(wanted)] != wanted:
        yield error(
            "key.order",
            clause.position,
            "PRIMARY KEY must be a prefix of ORDER BY",
            f"ORDER BY ({', '.join(wanted)}, …)",
        )


RULES: tuple[Rule, ...] = (engine, indexes, keys, types, sort_prefix)
