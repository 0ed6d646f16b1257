"""Every rule, in the order violations of one position are shown."""

from __future__ import annotations

from migration.ddl.rules import (
    clauses,
    clickhouse,
    embedded,
    engines,
    expressions,
    keymodels,
    lake,
    mysql,
    names,
    postgres,
    shape,
    types,
)
from migration.ddl.rules.base import Rule, Subject, Violation

__all__ = ["RULES", "Rule", "Subject", "Violation"]

RULES: tuple[Rule, ...] = (
    *shape.RULES,
    *names.RULES,
    *types.RULES,
    *clauses.RULES,
    *keymodels.RULES,
    *engines.RULES,
    *postgres.RULES,
    *mysql.RULES,
    *clickhouse.RULES,
    *embedded.RULES,
    *lake.RULES,
    *expressions.RULES,
)
