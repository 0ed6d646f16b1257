"""Rules of PostgreSQL, and of Greenplum where they are the same: grammar, identity, keys, partitions (*run* on 15)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.ddl.rules.base import (
    Rule,
    Subject,
    Violation,
    base_name,
    clause_columns,
    error,
    primary_key,
    says_null,
    unique_keys,
)
from migration.dialects.spelling import words

_SYSTEM = ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")
_UNSORTED = words("json xml point line lseg box path polygon circle txid_snapshot aclitem pg_snapshot")
_PSEUDO = frozenset(
    words(
        "record void any anyelement anyarray anynonarray anyenum anyrange anycompatible trigger event_trigger cstring "
        "internal unknown language_handler fdw_handler pg_ddl_command setof"
    )
)
_SIZED = frozenset(  # the types with parameters
    words(
        "character char varchar bpchar national nchar numeric decimal dec bit varbit float time timetz timestamp "
        "timestamptz interval geometry geography vector halfvec"
    )
)
_COLLATED = ("text", "unknown", "list", "enum")
_OTHER = "Name a column of another type."


def postgres(subject: Subject) -> Iterator[Violation]:
    """Types of identity columns and of keys; names of system columns; NULL against NOT NULL."""
    if subject.contract.name not in ("postgres", "greenplum"):
        return
    for column in subject.table.columns:
        word = base_name(column)
        if column.name.lower() in _SYSTEM:
            yield error(
                "identifier.system", column.position, f'"{column.name}" is a system column', "Rename it."
            )
        if column.has("identity") and subject.type_of(column).kind not in (
            "int16",
            "int32",
            "int64",
            "unknown",
        ):
            message = f"an identity column of type {column.type_text}"
            yield error("identity.type", column.type_position, message, "Use smallint, integer or bigint.")
        numbered = column.has("identity") or re.match(r"(big|small)?serial[248]?$", column.type_text.lower())
        if says_null(column) and (column.has("not", "null") or numbered):
            yield error("null.both", column.position, "NULL and NOT NULL", "Leave one of them out.")
        if column.has("collate") and subject.type_of(column).kind not in _COLLATED:
            message = f"{column.type_text} has no collation"
            yield error("type.collation", column.type_position, message, "Leave COLLATE out.")
        if re.match(r"(big|small)?serial[248]?\s*(\[|array)", column.type_text.lower()):
            message = "there is no array of serial"
            yield error("type.pseudo", column.type_position, message, "Use an array of integers.")
        if word in _PSEUDO and not column.quoted:
            message = f"{column.type_text} is no type of a column"
            yield error("type.pseudo", column.type_position, message, "Choose the type of the values.")
        plain = word in subject.contract.spellings and word not in _SIZED and word != "double"
        if plain and re.match(r"\w+\s*\(", column.type_text):
            yield error(
                "type.parameter", column.type_position, f"{word} takes no parameter", f"Write {word}."
            )
        size = re.fullmatch(r"(float|bit|bit\s+varying|varbit)\s*\(\s*(\d+)\s*\)", column.type_text.lower())
        if size and (int(size[2]) < 1 or (size[1] == "float" and int(size[2]) > 53)):
            most = 53 if size[1] == "float" else 83_886_080
            message = f"{column.type_text} has too few bits or too many"
            yield error(
                "type.precision",
                column.type_position,
                message,
                f"Write {size[1]}(n) with n from 1 to {most}.",
            )
    for key in unique_keys(subject.table):
        for name in key:
            found = subject.table.column(name.name)
            if found is not None and found.type_text.lower() in _UNSORTED:
                yield error("key.type", name.position, f"{found.type_text} cannot be a key", _OTHER)


def partitions(subject: Subject) -> Iterator[Violation]:
    """RANGE, LIST of one column, or HASH; every key holds the columns it is partitioned by."""
    clause = subject.table.clause("partition_by")
    if subject.contract.name != "postgres" or clause is None or not clause.lexemes:
        return
    way = clause.lexemes[0]
    names = clause_columns(clause)
    if not way.says("range", "list", "hash"):
        message = f"{way.text} is no way to partition"
        yield error("partition.form", way.start + 1, message, "PARTITION BY RANGE, LIST or HASH (columns)")
    elif way.says("list") and len(names) > 1:
        message = "a LIST is of one column"
        yield error("partition.form", names[1].position, message, f"PARTITION BY LIST ({names[0].name})")
    for key in unique_keys(subject.table) if way.says("range", "list", "hash") else ():
        inside = {name.name for name in key}
        for name in names:
            if name.name not in inside:
                what = "PRIMARY KEY" if key == primary_key(subject.table) else "UNIQUE"
                fix = f"{what} ({', '.join([*(item.name for item in key), name.name])})"
                message = f'partition column "{name.name}" must be in every key'
                yield error("key.partition", name.position, message, fix)


RULES: tuple[Rule, ...] = (postgres, partitions)
