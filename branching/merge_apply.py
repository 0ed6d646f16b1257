"""Merging branches: what sessions call.

Everything runs in one engine transaction: all or nothing. The parts are ``merge_plan`` (the pure choice),
``merge_attempt`` (the transaction), ``merge_steps`` (plan, write, verify), ``conflicts`` (manual merges),
``merge_refresh`` and ``merge_revert``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from branching import branches, conflicts
from branching.conflicts import abort_merge, continue_merge
from branching.database import Database
from branching.errors import BoughError
from branching.manifest import Author
from branching.merge_attempt import Attempt, attempted, check_token, lines_of, policy_of, target_sql, token_of
from branching.merge_plan import ABORT, MANUAL, MergeResult, MergeRow
from branching.merge_refresh import refresh
from branching.merge_result import refused, rows, undecided
from branching.merge_revert import revert
from branching.merge_steps import apply, plan_rows
from branching.merge_verify import violations


def merge(
    database: Database,
    source: str,
    target: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    token: str | None = None,
    tables: Sequence[str] | None = None,
    discard: bool = False,
    author: Author,
) -> MergeResult:
    """Merges branch ``source`` into ``target``; one row per table."""
    policy = policy_of(strategy, per_table)
    lines = lines_of(database, source, target)
    if lines is None:
        return refresh(database, target, strategy=strategy, per_table=per_table, author=author)

    def run(attempt: Attempt) -> MergeResult:
        check_token(attempt, token)
        plan_rows(attempt)
        if left := undecided(attempt, ABORT):
            raise refused(attempt, left)
        if undecided(attempt, MANUAL):
            return conflicts.open_manual(attempt)
        return apply(attempt)

    result = attempted(database, *lines, policy, run, tables=tables, author=author)
    if discard and not any(row.action == "conflict" for row in result.rows):
        branches.discard(database, source, own_sessions=lines[0].sessions)
    return result


def explain(
    database: Database,
    source: str,
    target: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    tables: Sequence[str] | None = None,
    author: Author,
) -> tuple[tuple[MergeRow, ...], str]:
    """The rows a merge would return, and a token that ``merge`` takes; nothing is written."""
    lines = lines_of(database, source, target)
    if lines is None:
        raise BoughError(
            "0A000",
            f'EXPLAIN is not possible for a merge of "{source}" into its own branch "{target}"',
            hint=f"BRANCH REFRESH {target} brings the parent's changes in.",
        )

    def run(attempt: Attempt) -> tuple[tuple[MergeRow, ...], str]:
        plan_rows(attempt)
        for position, stage in attempt.stages.items():
            plan = attempt.catalog.tables[position]
            attempt.violations += violations(attempt.cursor, stage, plan, target_sql(attempt, plan))
        found = token_of(attempt)
        attempt.transaction.rollback()
        return rows(attempt), found

    return attempted(database, *lines, policy_of(strategy, per_table), run, tables=tables, author=author)


__all__ = [
    "MergeResult",
    "MergeRow",
    "abort_merge",
    "continue_merge",
    "explain",
    "merge",
    "refresh",
    "revert",
]
