"""The clauses after the columns: a layout in the words of its dialect, in the order the engine wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migration.dialects.base import DialectContract, at_least
from migration.dialects.quoting import quote_name, quote_text
from migration.layout.choice import Layout
from migration.model import TableSpec

KEYLESS = "enable_duplicate_without_keys_by_default"  # Doris docs, "Duplicate Key Model": since 2.0
_Clauses = list[str]
_DEFAULT = Layout("")


def layout_clauses(
    table: TableSpec,
    item: DialectContract,
    layout: Layout | None,
    version: str | None,
    types: Mapping[str, str],
) -> _Clauses:
    """The trailing clauses; engines that require some get them from declared facts if there is no layout."""
    family = _FAMILIES.get(item.name)
    if family is None:
        return []
    if layout is None or layout.dialect != item.name:
        layout = _DEFAULT
    return family(_Writer(table, item, layout, version, types))


class _Writer:
    """What every family needs to write its clauses."""

    def __init__(
        self,
        table: TableSpec,
        item: DialectContract,
        layout: Layout,
        version: str | None,
        types: Mapping[str, str],
    ) -> None:
        self.table = table
        self.item = item
        self.layout = layout
        self.version = version
        self.types = types

    def names(self, clause: str) -> str:
        """The clause's columns, quoted; "" if the layout has none."""
        choice = self.layout.choice(clause)
        return ", ".join(quote_name(name, self.item) for name in choice.columns) if choice else ""

    def value(self, clause: str) -> str:
        """The clause's value, "" if the layout has none."""
        choice = self.layout.choice(clause)
        return choice.value if choice else ""

    def strings(self, clause: str) -> str:
        """The clause's columns as string literals."""
        choice = self.layout.choice(clause)
        return ", ".join(quote_text(name, self.item) for name in choice.columns) if choice else ""


def _key_model(writer: _Writer) -> _Clauses:
    found: _Clauses = []
    for clause in ("primary_key", "unique_key", "duplicate_key"):
        if names := writer.names(clause):
            found.append(f"{clause.upper().replace('_', ' ')} ({names})")
    doris = writer.item.name == "doris"
    if doris and not found:  # it wants a key, or to be told that there is none
        buckets = writer.value("buckets") or "AUTO"
        return [f"DISTRIBUTED BY RANDOM BUCKETS {buckets}", f'PROPERTIES ("{KEYLESS}" = "true")']
    hashed, value = writer.names("distributed_by"), writer.value("distributed_by")
    count = writer.value("buckets") or ("AUTO" if doris else "")
    buckets = (
        f" BUCKETS {count}" if count and (doris or not at_least(writer.version, "3.0") or hashed) else ""
    )
    if hashed:
        found.append(f"DISTRIBUTED BY HASH ({hashed}){buckets}")
    elif value == "RANDOM":
        found.append(f"DISTRIBUTED BY RANDOM{buckets}")
    return found


def _greenplum(writer: _Writer) -> _Clauses:
    found = [f"WITH ({options})"] if (options := writer.value("with")) else []
    if names := writer.names("distributed_by"):
        return [*found, f"DISTRIBUTED BY ({names})"]
    word = writer.value("distributed_by")
    if not word:
        keyed = any(key.kind in ("primary", "unique") for key in writer.table.keys)
        word = "" if keyed else "RANDOMLY"
    return [*found, *([f"DISTRIBUTED {word}"] if word else [])]


def _clickhouse(writer: _Writer) -> _Clauses:
    found = [f"ENGINE = {writer.value('engine') or 'MergeTree()'}"]
    if names := writer.names("partition_by"):
        found.append(f"PARTITION BY {writer.value('partition_by') or 'toYYYYMM'}({names})")
    names = writer.names("order_by")
    found.append(f"ORDER BY ({names})" if names else "ORDER BY tuple()")
    return found


def _redshift(writer: _Writer) -> _Clauses:
    found: _Clauses = []
    if names := writer.names("distkey"):
        found += ["DISTSTYLE KEY", f"DISTKEY ({names})"]
    elif style := writer.value("diststyle"):
        found.append(f"DISTSTYLE {style}")
    if names := writer.names("sortkey"):
        found.append(f"SORTKEY ({names})")
    elif writer.value("sortkey") == "AUTO":
        found.append("SORTKEY AUTO")
    return found


def _bigquery(writer: _Writer) -> _Clauses:
    found: _Clauses = []
    if choice := writer.layout.choice("partition_by"):
        name, unit = choice.columns[0], choice.value or "DAY"
        function = {"DATE": "DATE_TRUNC", "DATETIME": "DATETIME_TRUNC"}.get(
            writer.types[name], "TIMESTAMP_TRUNC"
        )
        quoted = quote_name(name, writer.item)
        daily = writer.types[name] == "DATE" and unit == "DAY"
        found.append(f"PARTITION BY {quoted}" if daily else f"PARTITION BY {function}({quoted}, {unit})")
    if names := writer.names("cluster_by"):
        found.append(f"CLUSTER BY {names}")
    return found


def _trino(writer: _Writer) -> _Clauses:
    options: _Clauses = []
    if value := writer.value("format"):
        options.append(f"format = {quote_text(value, writer.item)}")
    if names := writer.strings("partitioned_by"):
        options.append(f"partitioned_by = ARRAY[{names}]")
    if choice := writer.layout.choice("partitioning"):
        transforms = (
            f"{choice.value or 'month'}({quote_name(name, writer.item)})" for name in choice.columns
        )
        names = ", ".join(quote_text(transform, writer.item) for transform in transforms)
        options.append(f"partitioning = ARRAY[{names}]")
    return [f"WITH ({', '.join(options)})"] if options else []


def _spark(writer: _Writer) -> _Clauses:
    found = [f"USING {(writer.value('format') or 'PARQUET').lower()}"]
    if names := writer.names("partitioned_by"):
        found.append(f"PARTITIONED BY ({names})")
    return found


def _hive(writer: _Writer) -> _Clauses:
    found: _Clauses = []
    if choice := writer.layout.choice("partitioned_by"):
        columns = ", ".join(
            f"{quote_name(name, writer.item)} {writer.types[name]}" for name in choice.columns
        )
        found.append(f"PARTITIONED BY ({columns})")
    return [*found, f"STORED AS {writer.value('format') or 'ORC'}"]


def _snowflake(writer: _Writer) -> _Clauses:
    return [f"CLUSTER BY ({names})"] if (names := writer.names("cluster_by")) else []


def _mysql(writer: _Writer) -> _Clauses:
    return [f"ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {_collation(writer.version)}"]


def _collation(version: str | None) -> str:
    """One that compares texts by all they hold. ``utf8mb4_bin`` passes over blanks at the end, but all servers have it;
    MySQL's versions end below 10, where MariaDB's begin."""
    if version is not None and at_least(version, "10"):
        return "utf8mb4_nopad_bin" if at_least(version, "10.2.2") else "utf8mb4_bin"
    return "utf8mb4_0900_bin" if version is not None and at_least(version, "8.0.17") else "utf8mb4_bin"


_FAMILIES: dict[str, Callable[[_Writer], _Clauses]] = {
    "starrocks": _key_model,
    "doris": _key_model,
    "greenplum": _greenplum,
    "clickhouse": _clickhouse,
    "redshift": _redshift,
    "bigquery": _bigquery,
    "trino": _trino,
    "trino-hive": _trino,
    "trino-iceberg": _trino,
    "trino-delta": _trino,
    "trino-jdbc": _trino,
    "spark": _spark,
    "hive": _hive,
    "snowflake": _snowflake,
    "mysql": _mysql,
}
