"""Every rule, in the order violations of one position are shown."""

from __future__ import annotations

from migration.ddl_rules import clauses, engines, keymodels, lake, names, types
from migration.ddl_rules.base import Rule, Subject, Violation

__all__ = ["RULES", "Rule", "Subject", "Violation"]

RULES: tuple[Rule, ...] = (
    *names.RULES,
    *types.RULES,
    *clauses.RULES,
    *keymodels.RULES,
    *engines.RULES,
    *lake.RULES,
)
