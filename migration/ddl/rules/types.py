"""Types: each column's type is one of the dialect's own, within its limits, and says what it leaves to a
default."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.ddl.rules.base import Rule, Subject, Violation, base_name, error, warning
from migration.ddl.table import ColumnDefinition
from migration.dialects import CONTRACTS
from migration.dialects.type_map import map_type
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.types import CanonicalType

_ARRAYS = ("postgres", "greenplum", "duckdb")  # who writes T[]
_MAX_VARCHAR = {
    "starrocks": 1_048_576,
    "doris": 65533,
    "redshift": 65535,
    "mysql": 65535,
    "postgres": 10_485_760,
}
_MAX_VARCHAR |= {"greenplum": 10_485_760, "snowflake": 134_217_728, "hive": 65535, "spark": 65535}
_MAX_CHAR = {"starrocks": 255, "doris": 255, "redshift": 4096, "mysql": 255}
_ENUM_TYPES = ("postgres", "greenplum", "duckdb")  # who has CREATE TYPE and domains
_IMPLICIT = {  # (type, dialect): what a bare spelling means
    ("datetime", "mysql"): ("without (6) it drops fractions of a second", "DATETIME(6)"),
    ("timestamp", "mysql"): ("without (6) it drops fractions of a second", "TIMESTAMP(6)"),
    ("time", "mysql"): ("without (6) it drops fractions of a second", "TIME(6)"),
    ("datetime", "clickhouse"): ("it holds whole seconds, 1970 to 2106", "DateTime64(6)"),
    ("datetime", "doris"): ("without (6) it drops fractions of a second", "DATETIME(6)"),
    ("decimal", "duckdb"): ("it means DECIMAL(18,3)", "DECIMAL(p,s)"),
    ("numeric", "duckdb"): ("it means DECIMAL(18,3)", "DECIMAL(p,s)"),
    ("decimal", "mysql"): ("it means DECIMAL(10,0)", "DECIMAL(p,s)"),
    ("numeric", "mysql"): ("it means DECIMAL(10,0)", "DECIMAL(p,s)"),
    ("decimal", "clickhouse"): ("it means Decimal(10,0)", "Decimal(p, s)"),
    ("decimal", "starrocks"): ("it means DECIMAL(10,0)", "DECIMAL(p,s)"),
    ("decimal", "doris"): ("its default differs between versions", "DECIMAL(p,s)"),
    ("decimal", "redshift"): ("it means DECIMAL(18,0)", "DECIMAL(p,s)"),
    ("numeric", "redshift"): ("it means DECIMAL(18,0)", "DECIMAL(p,s)"),
    ("decimal", "spark"): ("it means DECIMAL(10,0)", "DECIMAL(p,s)"),
    ("decimal", "hive"): ("it means DECIMAL(10,0)", "DECIMAL(p,s)"),
    ("numeric", "sqlite"): ("NUMERIC affinity stores large decimals as floating point", "TEXT"),
    ("decimal", "sqlite"): ("NUMERIC affinity stores large decimals as floating point", "TEXT"),
}


def known_types(subject: Subject) -> Iterator[Violation]:
    """The type belongs to the dialect; another engine's word gets its translation as the fix."""
    for column in subject.table.columns:
        if not column.type_text:
            made = subject.contract.name in ("duckdb", "clickhouse") and any(
                column.has(word) for word in ("as", "default", "materialized", "alias")
            )  # of the expression's type
            asked = subject.table.has_query and subject.contract.name not in ("mysql", "clickhouse")
            if subject.contract.name != "sqlite" and not asked and not made:
                yield error(
                    "type.missing",
                    column.position,
                    f'column "{column.name}" has no type',
                    "Write one behind its name.",
                )
            continue
        try:
            type_ = parse_type(column.type_text, subject.contract.name)
        except MigrationError as refusal:
            if subject.contract.name == "sqlite" and refusal.sqlstate == "42601":
                continue  # any words are a type there, and its parser is asked
            yield error("type.syntax", column.type_position, refusal.message, refusal.hint or "")
            continue
        if "[" in column.type_text and subject.contract.name not in _ARRAYS:
            message = f"{subject.contract.name} does not write arrays as {column.type_text}"
            yield error("type.unknown", column.type_position, message, _translation(subject, column))
        for leaf in type_.leaves():
            if (
                leaf.kind == "unknown"
                and leaf.name != "any"
                and leaf.name.lower() not in subject.contract.spellings
            ):
                yield _unknown(subject, column, leaf)


def _unknown(subject: Subject, column: ColumnDefinition, leaf: CanonicalType) -> Violation:
    message = f"{leaf.name} is not a type of {subject.contract.name}"
    known = any(leaf.name.lower() in contract.spellings for contract in CONTRACTS)
    other = subject.contract.name in _ENUM_TYPES and not known
    if other or subject.contract.name == "sqlite":  # a user's own type; in SQLite any word sets an affinity
        made = f"{message}, unless it was made there"
        return warning("type.unverified", column.type_position, made, _translation(subject, column))
    return error("type.unknown", column.type_position, message, _translation(subject, column))


def _translation(subject: Subject, column: ColumnDefinition) -> str:
    """The same type as this dialect writes it, if some other dialect's table knows the word."""
    for contract in CONTRACTS:
        type_ = parse_type(column.type_text, contract.name)
        empty = type_.kind == "struct" and not type_.fields
        if not empty and all(leaf.kind != "unknown" for leaf in type_.leaves()):
            return f"Use {map_type(contract.name, type_, subject.contract.name).target_type}."
    return f"SHOW MIGRATION CAPABILITIES FOR {subject.contract.name} lists its types."


def serial_types(subject: Subject) -> Iterator[Violation]:
    """serial and bigserial are PostgreSQL's; Redshift and Greenplum's neighbours have IDENTITY or nothing."""
    if subject.contract.name in ("postgres", "greenplum", "generic"):
        return
    for column in subject.table.columns:
        if re.fullmatch(r"(big|small)?serial[248]?", base_name(column)) and subject.contract.name != "mysql":
            required = "NOT NULL " if subject.contract.name == "doris" else ""
            fix = f"Use BIGINT {required}{subject.contract.identity}".rstrip() + "."
            yield error(
                "type.serial", column.type_position, f"{subject.contract.name} has no {column.type_text}", fix
            )


def limits(subject: Subject) -> Iterator[Violation]:
    """Lengths, precisions and scales are within the dialect's limits."""
    name = subject.contract.name
    rule = subject.contract.types.decimal
    most = {"sqlite": 1 << 30}.get(name, max([rule.max_precision, *(p for p, _, _ in rule.wider)]))
    for column in subject.table.columns:
        type_ = subject.type_of(column)
        for leaf in type_.leaves():
            if leaf.kind == "decimal" and leaf.precision is not None:
                least = -most if name == "sqlite" else 1
                if not least <= leaf.precision <= most and base_name(column) not in ("int256", "uint256"):
                    message = f"precision {leaf.precision} is outside 1..{most}"
                    yield error(
                        "type.precision", column.type_position, message, f"{name} holds {most} digits."
                    )
                elif not 0 <= (leaf.scale or 0) <= leaf.precision and name not in ("postgres", "sqlite"):
                    message = f"scale {leaf.scale} is outside 0..{leaf.precision}"
                    yield error("type.scale", column.type_position, message, f"Write 0 to {leaf.precision}.")
                elif name == "mysql" and (leaf.scale or 0) > (
                    finest := 38 if subject.mariadb else rule.max_scale
                ):
                    message = f"scale {leaf.scale} is above {finest}"
                    yield error("type.scale", column.type_position, message, f"Write 0 to {finest}.")
            if leaf.kind in ("timestamp", "instant", "time") and leaf.precision is not None:
                finest = max(
                    (c.max_precision for c in subject.contract.types.clocks.values() if c.cast != "text"),
                    default=12,
                )
                finest = 9 if name == "duckdb" else finest
                if leaf.precision > finest and name not in ("sqlite",):
                    yield error(
                        "type.precision",
                        column.type_position,
                        f"at most {finest} digits of a second",
                        f"Write 0 to {finest}.",
                    )
        if type_.kind == "text" and type_.length is not None:
            longest = (_MAX_CHAR if type_.fixed else _MAX_VARCHAR).get(name)
            if name == "starrocks" and not subject.since("2.1") and not type_.fixed:
                longest = 65533
            if (
                longest is not None
                and type_.length > longest
                and not base_name(column).endswith(("text", "string", "long"))
            ):
                message = f"length {type_.length} is above {longest}"
                yield error(
                    "type.length", column.type_position, message, f"{name} holds {longest} {type_.unit}."
                )
            if type_.length == 0 and name != "mysql":
                yield error(
                    "type.length", column.type_position, "a length of 0 holds nothing", "Write 1 or more."
                )


def explicit(subject: Subject) -> Iterator[Violation]:
    """What a bare type silently means: Redshift's VARCHAR of 256 bytes, MySQL's whole seconds."""
    for column in subject.table.columns:
        word = base_name(column)
        bare = "(" not in column.type_text
        if (
            bare
            and subject.contract.name == "redshift"
            and word in ("varchar", "character", "nvarchar", "text", "bpchar")
        ):
            if word != "character" or "varying" in column.type_text.lower():
                message = f"{column.type_text} without a length holds 256 bytes"
                fix = "State the length in bytes, such as VARCHAR(1024) or VARCHAR(MAX)."
                yield error("type.length_missing", column.type_position, message, fix)
        elif (
            bare
            and subject.contract.name in ("mysql", "spark", "hive")
            and column.type_text.lower() == "varchar"
        ):
            yield error(
                "type.length_missing", column.type_position, "VARCHAR needs a length", "Use VARCHAR(n)."
            )
        elif bare and subject.contract.name in ("starrocks", "doris") and word == "varchar":
            message = "VARCHAR without a length means one byte in older versions, 65,533 in newer"
            yield warning(
                "type.length_missing", column.type_position, message, "Use VARCHAR(n); n counts bytes."
            )
        elif bare and (word, subject.contract.name) in _IMPLICIT:
            meaning, better = _IMPLICIT[word, subject.contract.name]
            yield warning(
                "type.implicit", column.type_position, f"{column.type_text}: {meaning}", f"Use {better}."
            )
        if subject.contract.name == "clickhouse" and re.match(
            r"datetime64\s*\(\s*[0-5]\s*[,)]", column.type_text.lower()
        ):
            message = f"{column.type_text} drops microseconds"
            yield warning("type.implicit", column.type_position, message, "Use DateTime64(6).")


RULES: tuple[Rule, ...] = (known_types, serial_types, limits, explicit)
