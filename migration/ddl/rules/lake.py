"""Trino, BigQuery, Snowflake, Spark and Hive: partition columns, unenforced keys, clustering."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.ddl.rules.base import Rule, Subject, Violation, clause_columns, error, is_required, warning
from migration.ddl.table import TableClause

_NOT_ALL = "not every column can be a partition column"
_OTHER = "Name a column of another type."


def _listed_strings(clause: TableClause, option: str) -> list[str]:
    """The strings of ``option = ARRAY['a', 'b']`` in a WITH clause."""
    found: list[str] = []
    collecting = False
    for index, lexeme in enumerate(clause.lexemes):
        following = clause.lexemes[index + 1] if index + 1 < len(clause.lexemes) else None
        if following is not None and following.says("="):
            collecting = lexeme.says(option)
        elif collecting and lexeme.kind == "string":
            found.append(lexeme.text)
    return found


def trino(subject: Subject) -> Iterator[Violation]:
    """Partition columns exist; in Hive catalogs they are the last columns in the same order."""
    clause = subject.table.clause("with")
    if not subject.contract.name.startswith("trino"):
        return
    if subject.contract.name == "trino-hive":
        for column in subject.table.columns:
            if column.has("not", "null"):
                yield error(
                    "null.forbidden", column.position, "Hive catalogs refuse NOT NULL", "Leave it out."
                )
    if clause is None:
        return
    partitioned = _listed_strings(clause, "partitioned_by")
    names = [
        *partitioned,
        *_listed_strings(clause, "bucketed_by"),
        *(_inner(text) for text in _listed_strings(clause, "partitioning")),
        *(text.split(" ")[0] for text in _listed_strings(clause, "sorted_by")),
    ]
    there = ", ".join(column.name for column in subject.table.columns)
    for name in names:
        if subject.table.columns and subject.table.column(name) is None:
            yield error(
                "column.unknown",
                clause.position,
                f'WITH: column "{name}" does not exist',
                f"The columns are {there}.",
            )
    last = (
        [column.name.lower() for column in subject.table.columns[-len(partitioned) :]] if partitioned else []
    )
    known = all(subject.table.column(name) for name in partitioned)
    ordered = [name.lower() for name in partitioned] == last
    if partitioned and known and not ordered and subject.contract.name in ("trino", "trino-hive"):
        message = f"partition columns must be the last columns in this order: {', '.join(partitioned)}"
        yield error("partition.last", clause.position, message, "Move them to the end of the column list.")
    if partitioned and len(partitioned) == len(subject.table.columns):
        yield error("partition.all", clause.position, _NOT_ALL, "Leave one column out of the list.")
    bucketed = any(lexeme.says("bucketed_by") for lexeme in clause.lexemes)
    if bucketed and not any(lexeme.says("bucket_count") for lexeme in clause.lexemes):
        yield error(
            "bucket.count", clause.position, "bucketed_by needs bucket_count", "Add bucket_count = 32."
        )


def _inner(transform: str) -> str:
    """The column that a partition is made of: ``day``, ``"Day"``, ``month(day)``, ``bucket("Day", 16)``."""
    match = re.match(r'(?:\w+\(\s*)?(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,")]+))', transform)
    if match is None:
        return transform
    quoted: str | None = match["quoted"]
    return match["plain"].strip() if quoted is None else quoted.replace('""', '"')


def bigquery(subject: Subject) -> Iterator[Violation]:
    """Keys say NOT ENFORCED; at most four clustering columns; no array of arrays; partition by a date or
    integer."""
    if subject.contract.name != "bigquery":
        return
    for constraint in subject.table.constraints:
        texts = [lexeme.text.lower() for lexeme in constraint.lexemes]
        if constraint.kind in ("primary", "foreign") and "enforced" not in texts:
            message = f"a {constraint.kind} key must say NOT ENFORCED"
            yield error("key.enforced", constraint.position, message, "Add NOT ENFORCED.")
    for column in subject.table.columns:
        if (column.has("primary", "key") or column.has("references")) and not column.has("not", "enforced"):
            yield error("key.enforced", column.position, "a key must say NOT ENFORCED", "Add NOT ENFORCED.")
        type_ = subject.type_of(column)
        if type_.kind == "list" and type_.element is not None and type_.element.kind == "list":
            yield error(
                "type.nested_array",
                column.type_position,
                "an array of arrays is refused",
                "Wrap it in STRUCT.",
            )
    cluster = subject.table.clause("cluster_by")
    if cluster:
        names = clause_columns(cluster)
        if len(names) > 4:
            yield error("cluster.many", names[4].position, "at most four clustering columns", "Name four.")
        for name in names:
            found = subject.table.column(name.name)
            if found is not None and subject.type_of(found).kind in (
                "json",
                "list",
                "struct",
                "float64",
                "bytes",
                "time",
            ):
                yield error(
                    "key.type", name.position, f"{found.type_text} cannot be a clustering column", _OTHER
                )


def snowflake(subject: Subject) -> Iterator[Violation]:
    """A clustering key costs credits at any size; no semi-structured column in it."""
    cluster = subject.table.clause("cluster_by")
    if subject.contract.name != "snowflake" or cluster is None:
        return
    message = "CLUSTER BY costs credits; it pays for tables of about a terabyte"
    yield warning("cluster.cost", cluster.position, message, "Leave it out for smaller tables.")
    for name in clause_columns(cluster):
        column = subject.table.column(name.name)
        if column is not None and subject.type_of(column).kind in ("json", "list", "map", "unknown"):
            yield error(
                "key.type", name.position, f"{column.type_text} cannot be a clustering column", _OTHER
            )


def spark(subject: Subject) -> Iterator[Violation]:
    """Partition columns are atomic; a NOT NULL is all Spark enforces."""
    if subject.contract.name not in ("spark", "hive"):
        return
    clause = subject.table.clause("partitioned_by")
    for name in clause_columns(clause) if clause else ():
        column = subject.table.column(name.name)
        if column is not None and subject.type_of(column).is_nested:
            yield error("key.type", name.position, f"{column.type_text} cannot be a partition column", _OTHER)
    names = clause_columns(clause) if clause else ()
    if names and subject.contract.name == "spark" and len(names) == len(subject.table.columns):
        yield error("partition.all", names[0].position, _NOT_ALL, "Leave one column out of the list.")
    old_hive = subject.contract.name == "hive" and not subject.since("3.0")
    if old_hive and any(is_required(column) for column in subject.table.columns):
        yield error(
            "null.forbidden",
            subject.table.path[-1].position,
            "NOT NULL exists since Hive 3.0",
            "Leave it out.",
        )


RULES: tuple[Rule, ...] = (trino, bigquery, snowflake, spark)
