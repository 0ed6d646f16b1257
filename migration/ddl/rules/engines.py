"""Rules of Greenplum and Redshift: distribution and sort keys."""

from __future__ import annotations

from collections.abc import Iterator

from migration.ddl.rules.base import (
    Rule,
    Subject,
    Violation,
    clause_columns,
    error,
    unique_keys,
    warning,
)
from migration.ddl.table import Reference

_OTHER = "Name a column of another type."


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


RULES: tuple[Rule, ...] = (greenplum, redshift)
