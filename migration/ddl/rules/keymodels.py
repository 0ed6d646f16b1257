"""StarRocks and Doris: key models, key column order and types, buckets, AUTO_INCREMENT.

Sources: StarRocks docs "Table types", "Data distribution", "AUTO_INCREMENT"; Doris docs "Data model",
"CREATE TABLE". What holds since a version says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from migration.ddl.rules.base import (
    KEY_MODELS,
    Rule,
    Subject,
    Violation,
    base_name,
    clause_columns,
    error,
    is_required,
    warning,
)
from migration.ddl.table import Reference, TableClause
from migration.layout.clauses import KEYLESS

_NO_KEY = ("float32", "float64", "json", "list", "map", "struct", "bytes", "unknown")
_BUCKET_KINDS = ("date", "timestamp", "text", "bool", "decimal")


def _applies(subject: Subject) -> bool:
    return subject.contract.name in ("starrocks", "doris") and not subject.table.copies


def _model(subject: Subject) -> TableClause | None:
    return subject.table.clause(*KEY_MODELS)


def key_model(subject: Subject) -> Iterator[Violation]:
    """A key model is stated: required by Doris (our policy) and by StarRocks before 3.0."""
    if not _applies(subject):
        return
    clauses = [clause for clause in subject.table.clauses if clause.name in KEY_MODELS]
    if len(clauses) > 1:
        yield error("key.model", clauses[1].position, "a table has one key model", "Leave one of them out.")
    inline = any(constraint.kind == "primary" for constraint in subject.table.constraints)
    if clauses or (inline and subject.contract.name == "starrocks") or _is_keyless(subject):
        return
    position = subject.table.path[-1].position
    if subject.contract.name == "doris" or not subject.since("3.0"):
        yield error("key.model", position, "no key model", "Add DUPLICATE KEY (first columns).")
    else:
        message = "no key model: the engine makes a duplicate-key table of its own choice of columns"
        yield warning("key.model", position, message, "Add DUPLICATE KEY (first columns).")


def _is_keyless(subject: Subject) -> bool:
    """A Doris table that says it has no sort key (since 2.0)."""
    said = subject.contract.name == "doris" and subject.since("2.0")
    return said and (KEYLESS, "true") in _properties(subject.table.clause("properties"))


def _properties(clause: TableClause | None) -> list[tuple[str, str]]:
    lexemes = clause.lexemes if clause is not None else ()
    texts = [lexeme.text for lexeme in lexemes if lexeme.kind in ("string", "quoted")]
    return list(pairwise(texts))


def key_columns(subject: Subject) -> Iterator[Violation]:
    """Key columns lead, in declared order, and are of types that sort; NOT NULL for PRIMARY KEY only."""
    clause = _model(subject)
    if not _applies(subject) or clause is None:
        return
    keys = clause_columns(clause)
    leading = [column.name.lower() for column in subject.table.columns[: len(keys)]]
    if (
        leading
        and [key.name.lower() for key in keys] != leading
        and all(subject.table.column(k.name) for k in keys)
    ):
        message = (
            f"key columns must be the first columns of the table in the same order: {', '.join(leading)}"
        )
        yield error("key.order", clause.position, message, "Move the key columns to the front.")
    for key in keys:
        yield from _sortable(subject, key, "key.type")
        column = subject.table.column(key.name)
        if column is not None and clause.name == "primary_key" and not is_required(column):
            yield error(
                "key.nullable",
                key.position,
                f'primary key column "{key.name}" must be NOT NULL',
                "Add NOT NULL.",
            )
    if clause.name == "aggregate_key":
        names = {key.name.lower() for key in keys}
        for column in subject.table.columns:
            aggregated = any(
                column.has(word) for word in ("sum", "max", "min", "replace", "replace_if_not_null")
            )
            aggregated = aggregated or column.has("hll_union") or column.has("bitmap_union")
            if column.name.lower() not in names and not aggregated:
                message = f'column "{column.name}" of an AGGREGATE KEY table needs an aggregation'
                yield error("key.aggregate", column.position, message, "Add SUM, MAX, MIN or REPLACE.")
    order = subject.table.clause("order_by")
    for name in clause_columns(order) if order else ():
        yield from _sortable(subject, name, "sort.type")


def _sortable(subject: Subject, key: Reference, rule: str) -> Iterator[Violation]:
    column = subject.table.column(key.name)
    if column is None:
        return
    type_ = subject.type_of(column)
    refused = type_.kind in _NO_KEY
    if subject.contract.name == "doris" and base_name(column) in ("string", "text"):
        refused = True
    if refused:
        yield error(
            rule,
            key.position,
            f'column "{column.name}" of type {column.type_text} cannot be a key or sort column',
            "Use integers, dates, DECIMAL or VARCHAR.",
        )


def distribution(subject: Subject) -> Iterator[Violation]:
    """DISTRIBUTED BY where the version and the model need it; bucket columns of the right types and inside
    the key."""
    if not _applies(subject):
        return
    clause = subject.table.clause("distributed_by")
    model = _model(subject)
    updates = model is not None and model.name != "duplicate_key"
    position = subject.table.path[-1].position
    doris = subject.contract.name == "doris"
    if clause is None:
        if doris or not subject.since("3.1"):
            fix = "Add DISTRIBUTED BY HASH (column) BUCKETS " + ("AUTO." if doris else "10.")
            yield error("distribution.missing", position, "no DISTRIBUTED BY", fix)
        elif updates:
            fix = "Add DISTRIBUTED BY HASH (key column)."
            yield error("distribution.missing", position, "random buckets are for duplicate-key tables", fix)
        return
    if not clause.has("hash") and not clause.has("random"):
        yield error(
            "distribution.form",
            clause.position,
            "expected DISTRIBUTED BY HASH (...) or RANDOM",
            "DISTRIBUTED BY HASH (column)",
        )
    buckets = clause.has("buckets")
    if not buckets and (doris or not subject.since("3.0")):
        yield error(
            "distribution.buckets",
            clause.position,
            "no BUCKETS",
            "Add BUCKETS " + ("AUTO." if doris else "10."),
        )
    if clause.has("random") and updates:
        message = "random buckets are for duplicate-key tables"
        yield error("distribution.random", clause.position, message, "Use HASH (key column).")
    names = clause_columns(clause) if clause.has("hash") else ()
    if clause.has("hash") and not names:
        yield error(
            "distribution.form", clause.position, "HASH names no column", "DISTRIBUTED BY HASH (column)"
        )
    keys = {key.name.lower() for key in clause_columns(model)} if model else set()
    for name in names:
        column = subject.table.column(name.name)
        if column is None:
            continue
        type_ = subject.type_of(column)
        if not (type_.is_integer or type_.kind in _BUCKET_KINDS):
            message = f'column "{column.name}" of type {column.type_text} cannot be a bucket column'
            yield error("distribution.type", name.position, message, "Use integers, dates or VARCHAR.")
        if updates and keys and name.name.lower() not in keys:
            message = f'bucket column "{name.name}" must be a key column of this key model'
            inside = (
                f"DISTRIBUTED BY HASH ({', '.join(key.name for key in clause_columns(model))})"
                if model
                else ""
            )
            yield error("key.distribution", name.position, message, inside)


def auto_increment(subject: Subject) -> Iterator[Violation]:
    """AUTO_INCREMENT: StarRocks 3.0, Doris 2.1; one column, BIGINT, NOT NULL, no default."""
    if not _applies(subject):
        return
    columns = [column for column in subject.table.columns if column.has("auto_increment")]
    first = "3.0" if subject.contract.name == "starrocks" else "2.1"
    model = _model(subject)
    for index, column in enumerate(columns):
        if not subject.since(first):
            message = f"AUTO_INCREMENT exists since {first}"
            yield error("identity.version", column.position, message, "Load ids from the source.")
        elif index:
            yield error(
                "identity.second",
                column.position,
                "a table has one AUTO_INCREMENT column",
                "Leave the others out.",
            )
        elif subject.type_of(column).kind != "int64":
            yield error("identity.type", column.type_position, "AUTO_INCREMENT must be BIGINT", "Use BIGINT.")
        if subject.contract.name == "doris" and not column.has("not", "null"):
            yield error(
                "identity.nullable", column.position, "AUTO_INCREMENT must be NOT NULL", "Add NOT NULL."
            )
        if column.has("default"):
            yield error(
                "identity.default", column.position, "AUTO_INCREMENT has no DEFAULT", "Leave the DEFAULT out."
            )
        if subject.contract.name == "doris" and model is not None and model.name == "aggregate_key":
            yield error(
                "identity.aggregate",
                column.position,
                "no AUTO_INCREMENT in an AGGREGATE KEY table",
                "Leave it out.",
            )


def replication(subject: Subject) -> Iterator[Violation]:
    """One replica loses data with one machine."""
    clause = subject.table.clause("properties")
    if not _applies(subject) or clause is None:
        return
    for name, value in _properties(clause):
        if name == "replication_num" and value == "1":
            message = "replication_num 1 keeps one copy: for a single test node only"
            yield warning("replication.single", clause.position, message, "Use 3.")


RULES: tuple[Rule, ...] = (key_model, key_columns, distribution, auto_increment, replication)
