"""Merging branches: what sessions call.

Everything runs in one engine transaction: all or nothing. The parts are ``merge.plan`` (the pure choice),
``merge.attempt`` (the transaction), ``merge.steps`` (plan, write, verify), ``merge.open_conflicts`` and
``merge.continuing`` (manual merges), ``merge.refresh`` and ``merge.revert``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from branching import branches
from branching.database import Database
from branching.errors import BoughError
from branching.manifest import Author
from branching.merge import open_conflicts as conflicts
from branching.merge.attempt import Attempt, attempted, check_token, lines_of, policy_of, token_of
from branching.merge.continuing import abort_merge, abort_refresh, continue_merge, continue_refresh
from branching.merge.open_conflicts import ConflictRow
from branching.merge.plan import ABORT, MANUAL, MergeResult, MergeRow, Policy
from branching.merge.refresh import explain_refresh, refresh, refresh_attempt
from branching.merge.result import refused, rows, undecided
from branching.merge.revert import revert
from branching.merge.steps import apply, look_for_violations, plan_rows
from branching.names import quote


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
        _need_whole(source, target, tables)
        if discard:
            raise _cannot_discard_parent(source, target)
        return refresh(database, target, strategy=strategy, per_table=per_table, token=token, author=author)
    lines[1].need_writable()
    if discard:
        lines[0].need_writable()

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
    policy = policy_of(strategy, per_table)
    if lines is None:
        _need_whole(source, target, tables)
        return explain_refresh(database, target, policy, author)

    def run(attempt: Attempt) -> tuple[tuple[MergeRow, ...], str]:
        plan_rows(attempt)
        look_for_violations(attempt)
        found = token_of(attempt)
        attempt.transaction.rollback()
        return rows(attempt), found

    return attempted(database, *lines, policy, run, tables=tables, author=author)


def preview_conflicts(
    database: Database,
    source: str,
    target: str,
    *,
    tables: Sequence[str] | None = None,
    author: Author | None = None,
) -> list[ConflictRow]:
    """The conflicts that a merge would have now; nothing is opened."""
    lines, policy, author = lines_of(database, source, target), Policy(MANUAL), author or Author()

    def run(attempt: Attempt) -> list[ConflictRow]:
        plan_rows(attempt)
        return [conflicts.preview_row(item) for item in attempt.conflicts]

    if lines is not None:
        return attempted(database, *lines, policy, run, tables=tables, author=author)
    _need_whole(source, target, tables)
    return refresh_attempt(database, target, policy, run, author)


def _cannot_discard_parent(source: str, target: str) -> BoughError:
    return BoughError(
        "2BP01",
        f'cannot discard branch "{source}" because "{target}" was made from it',
        detail=f'Merging "{source}" into "{target}" is a refresh.',
        hint=f"BRANCH REFRESH {quote(target)} brings its changes in and keeps it.",
    )


def _need_whole(source: str, target: str, tables: Sequence[str] | None) -> None:
    if tables is not None:
        raise BoughError(
            "0A000",
            f'single tables of "{source}" cannot be brought into its own branch "{target}"',
            detail="What a branch sees of its parent is one moment of all tables.",
            hint=f"BRANCH REFRESH {quote(target)} brings all of it in.",
        )


__all__ = [
    "MergeResult",
    "MergeRow",
    "abort_merge",
    "abort_refresh",
    "continue_merge",
    "continue_refresh",
    "explain",
    "merge",
    "preview_conflicts",
    "refresh",
    "revert",
]
