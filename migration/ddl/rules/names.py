"""Names: the right table, no column twice, no name too long, no reserved word bare, no column that is not
there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migration.ddl.lexer import Lexeme, group
from migration.ddl.rules.base import (
    KEY_MODELS,
    Rule,
    Subject,
    Violation,
    clause_columns,
    error,
    expression_names,
    warning,
)
from migration.ddl.table import Reference, TableClause
from migration.dialects.reserved import MARIADB, MYSQL

_LISTS = (
    *KEY_MODELS,
    "order_by",
    "distributed_by",
    "cluster_by",
    "clustered_by",
    "sorted_by",
    "sortkey",
    "distkey",
)


def right_table(subject: Subject) -> Iterator[Violation]:
    """The statement creates the table the caller asked about."""
    if subject.target is None:
        return
    wanted = subject.target.replace('"', "").replace("`", "").split(".")[-1].lower()
    name = subject.table.path[-1]
    if name.name.lower() != wanted:
        yield error(
            "target.mismatch",
            name.position,
            f'the statement creates "{name.name}", not "{subject.target}"',
            f"CREATE TABLE {subject.target} (...)",
        )


_INGESTION = ("_PARTITIONTIME", "_PARTITIONDATE")  # of a table that is partitioned by when its rows came


def some_columns(subject: Subject) -> Iterator[Violation]:
    """A table has columns, from a list or from a query; in PostgreSQL an empty list will do."""
    table = subject.table
    if (
        not (table.listed and subject.contract.name in ("postgres", "greenplum"))
        and not table.columns
        and not table.has_query
        and not table.borrows
    ):
        yield error(
            "column.none", table.path[-1].position, "the table has no columns", "Write (name type, …)."
        )


def unique_columns(subject: Subject) -> Iterator[Violation]:
    """No column is declared twice; letter case counts only where the dialect is case-sensitive."""
    seen: dict[str, str] = {}
    for column in subject.table.columns:
        key = subject.key_of(column)
        if key in seen:
            yield error(
                "column.duplicate",
                column.position,
                f'column "{column.name}" is declared twice',
                "Rename one.",
            )
        seen[key] = column.name


def names_fit(subject: Subject) -> Iterator[Violation]:
    """Names are within the dialect's limit, of characters it takes, and not reserved words, unless quoted."""
    rules = subject.contract.identifiers
    named = [*subject.table.path, *(Reference(c.name, c.position, c.quoted) for c in subject.table.columns)]
    for name in named:
        length = len(name.name.encode()) if rules.limit_unit == "bytes" else len(name.name)
        if length > rules.max_length:
            message = f'"{name.name[:40]}" has {length} {rules.limit_unit}; the limit is {rules.max_length}'
            yield error("identifier.length", name.position, message, "Shorten the name.")
        if name.name and not rules.takes(name.name):
            said = f": a name has no {rules.never_said}" if rules.never_said else ""
            message = f"{name.name!r} cannot be a name{said}"
            yield error("identifier.characters", name.position, message, "Choose another name.")
        other = () if subject.contract.name != "mysql" else MYSQL if subject.mariadb else MARIADB
        if not name.quoted and name.name.lower() in rules.reserved and name.name.lower() not in other:
            message = f"{name.name} is a reserved word"
            yield error("identifier.reserved", name.position, message, f"Write {rules.quoted(name.name)}.")


def known_columns(subject: Subject) -> Iterator[Violation]:
    """Every column named by a key, distribution, sort or partition clause exists, and no list names one
    twice."""
    if not subject.table.columns or subject.table.borrows or subject.external:
        return
    for constraint in subject.table.constraints:
        yield from _check(subject, constraint.columns, constraint.kind + " key")
    for clause in subject.table.clauses:
        if clause.name in _LISTS and not any(
            clause.has(word) for word in ("replicated", "randomly", "random", "auto")
        ):
            plain = clause_columns(clause)
            yield from _check(subject, plain, clause.spelled)
            if not plain and clause.name in ("order_by", "primary_key", "cluster_by"):
                yield from _check(subject, expression_names(clause.lexemes), clause.spelled, repeat=True)
        elif clause.name == "partition_by":
            yield from _check(
                subject, expression_names(_partition_expression(clause)), clause.spelled, repeat=True
            )
        elif clause.name == "partitioned_by" and subject.contract.name != "hive":
            yield from _check(subject, clause_columns(clause), clause.spelled)
        elif clause.name == "partitioned_by":
            for name in clause_columns(clause):
                if subject.table.column(name.name):
                    message = f'partition column "{name.name}" is declared in the column list too'
                    yield error(
                        "column.duplicate", name.position, message, "Declare it in PARTITIONED BY only."
                    )


def _partition_expression(clause: TableClause) -> tuple[Lexeme, ...]:
    """``RANGE (at) (PARTITION ...)``: the list of partitions is left out."""
    for index, lexeme in enumerate(clause.lexemes):
        if lexeme.says("("):
            end = group(clause.lexemes, index)
            return clause.lexemes[:end]
    return clause.lexemes


def _check(
    subject: Subject, names: Sequence[Reference], where: str, repeat: bool = False
) -> Iterator[Violation]:
    seen = set()
    for name in names:
        column = subject.table.column(name.name)
        if column is None and subject.contract.name == "bigquery" and name.name.upper() in _INGESTION:
            continue
        if column is None:
            known = ", ".join(item.name for item in subject.table.columns)
            message = f'{where}: column "{name.name}" does not exist'
            yield error("column.unknown", name.position, message, f"The columns are {known}.")
        elif subject.differs(name, column):
            message = f'{where}: column "{name.name}" differs from "{column.name}" in letter case'
            yield error("column.unknown", name.position, message, f"Write {subject.written(column)}.")
        if subject.key_of(name) in seen and not repeat:
            yield error(
                "column.repeated",
                name.position,
                f'{where}: column "{name.name}" is named twice',
                "Name it once.",
            )
        seen.add(subject.key_of(name))


def folding(subject: Subject) -> Iterator[Violation]:
    """Snowflake folds bare names to upper case; a quoted name elsewhere then no longer matches."""
    if subject.contract.identifiers.fold != "upper":
        return
    for column in subject.table.columns:
        if not column.quoted and column.name != column.name.upper():
            message = f"unquoted {column.name} becomes {column.name.upper()}"
            yield warning(
                "identifier.folded", column.position, message, f'Write "{column.name}" to keep its case.'
            )


RULES: tuple[Rule, ...] = (right_table, some_columns, unique_columns, names_fit, known_columns, folding)
