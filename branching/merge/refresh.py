"""BRANCH REFRESH: the parent's new changes under the branch's own.

A refresh is a merge of the branch into a fresh fork of its parent, after which the branch takes that fork's place: its
fork point becomes now, and its images and masks are those of the rows it still changes. So a branch can be refreshed
again and again, and merged afterwards, and every change counts once. The cost follows the branch's own changes.

Rules:

1. Open transactions on the branch that have only read are told to retry (40001): what is under them has moved.
2. ``branch_wins`` keeps the branch's values, ``main_wins`` takes the parent's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from branching import branches, manifest, names
from branching.database import Database
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import CatalogRef, Line
from branching.manifest import Author
from branching.merge import stage as merge_stage
from branching.merge.attempt import (
    Attempt,
    check_policy,
    check_token,
    policy_of,
    repeated,
    token_of,
)
from branching.merge.brought import measure
from branching.merge.open_conflicts import open_manual
from branching.merge.pairs import copy_rows, delete_rows_of
from branching.merge.plan import ABORT, MANUAL, MergeResult, MergeRow, Policy, plan_catalogs
from branching.merge.result import refused, rows, undecided
from branching.merge.sides import Sides
from branching.merge.steps import apply, look_for_violations, need_fit, plan_rows
from branching.transaction import Transaction

_T = TypeVar("_T")


def refresh(
    database: Database,
    name: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    token: str | None = None,
    author: Author,
) -> MergeResult:
    """Brings the parent's changes since the branch's fork into the branch."""

    def plan(attempt: Attempt) -> MergeResult | None:
        check_token(attempt, token)
        plan_rows(attempt)
        if left := undecided(attempt, ABORT):
            raise refused(attempt, left)
        return open_manual(attempt, refresh=True) if undecided(attempt, MANUAL) else None

    return carry_out(database, name, policy_of(strategy, per_table), plan, author)


def explain_refresh(
    database: Database, name: str, policy: Policy, author: Author
) -> tuple[tuple[MergeRow, ...], str]:
    """The rows a refresh would return, and a token that it takes; nothing is written."""

    def run(attempt: Attempt) -> tuple[tuple[MergeRow, ...], str]:
        plan_rows(attempt)
        look_for_violations(attempt)
        return measure(attempt).rows(rows(attempt)), token_of(attempt)

    return refresh_attempt(database, name, policy, run, author)


def carry_out(
    database: Database,
    name: str,
    policy: Policy,
    plan: Callable[[Attempt], MergeResult | None],
    author: Author,
) -> MergeResult:
    """A refresh as ``plan`` has it, which may also end it (and say how)."""
    database.line(name).need_writable()

    def run(attempt: Attempt) -> MergeResult:
        if (ended := plan(attempt)) is not None:
            return ended
        need_fit(attempt)
        line, parent = attempt.source, attempt.brings
        assert parent is not None
        brought = measure(attempt)
        _move_rows_aside(attempt)
        delete_rows_of(attempt.transaction, line.id)
        if not parent.is_trunk:
            copy_rows(attempt.transaction, parent, attempt.target.record)
            manifest.insert_touched(attempt.cursor, line.id, sorted(parent.touched - line.touched))
        result = apply(attempt)
        return replace(result, rows=brought.rows(result.rows))

    return refresh_attempt(database, name, policy, run, author)


def refresh_attempt(
    database: Database, name: str, policy: Policy, run: Callable[[Attempt], _T], author: Author
) -> _T:
    """Runs ``run`` on a fresh attempt at a refresh, again if another transaction got in its way."""
    line = database.line(name)
    parent = database.lines.get(line.record.parent) if line.record.parent is not None else None
    if parent is None:
        raise BoughError(
            "VB002",
            f'branch "{name}" has no parent to be refreshed from',
            hint="main is what others are refreshed from; a discarded parent can be brought back: BRANCH RESTORE.",
            detail="It is main, or what it was made from is gone.",
        )
    database.loaded(parent)

    def begin() -> Attempt | None:
        return _begin(database, line, parent, policy, author)

    return repeated(database, line, line, begin, run)  # it writes the line alone


def _begin(database: Database, line: Line, parent: Line, policy: Policy, author: Author) -> Attempt | None:
    cursor = database.root.cursor()
    with database.catalog_lock:
        point = database.fork_point()
        trunk = parent.is_trunk
        record = replace(
            line.record,
            fork=point if trunk else parent.record.fork,
            base=point,
            base_catalog=CatalogRef(parent.id, parent.seq),
            inherited=not trunk and bool(parent.touched),
        )
        draft = Line(record, parent.catalog, line.seq, set() if trunk else set(parent.touched))
        transaction = Transaction(database, cursor, draft, author, explicit=False)
        cursor.query(f"SELECT count(*) FROM {names.MANIFEST_SCHEMA}.meta")
        transaction.confirmed = True
        if (
            not trunk
        ):  # all the parent's rows that the snapshot has are the base, their writers just ended or not
            draft.record = replace(record, base=Point(database.clock.version))
    transaction.statement = f'BRANCH REFRESH "{line.name}"'
    sides = Sides(database, transaction.physical, line, None)
    try:
        check_policy(policy, sides.base_catalog, line.catalog, draft.catalog)
        catalog = plan_catalogs(sides.base_catalog, line.catalog, draft.catalog, policy)
    except BaseException:
        transaction.rollback()
        cursor.close()
        raise
    transaction.changes += branches.catalog_changes(line.catalog, draft.catalog)
    attempt = Attempt(
        database, transaction, line, draft, sides, policy, catalog, None, database.next_id(), point
    )
    attempt.undo = False
    attempt.origin, attempt.brings = parent.name, parent
    attempt.title = f'refresh of "{line.name}"'
    attempt.advice = (
        f'BRANCH REFRESH "{line.name}" STRATEGY branch_wins keeps its values, main_wins takes the parent\'s, manual'
        " lists the conflicts to be settled one by one."
    )
    attempt.move = _take_place
    attempt.view = None if trunk else parent  # the draft's own rows are still the branch's
    return attempt


def _take_place(attempt: Attempt) -> None:
    """The branch becomes what the draft is."""
    line, draft = attempt.source, attempt.target
    attempt.transaction.put_record(draft.record)

    def current() -> None:
        line.catalog, line.seq = draft.catalog, draft.seq
        line.touched |= draft.touched

    attempt.transaction.afterwards.append(current)


def _move_rows_aside(attempt: Attempt) -> None:
    """Tables made on the branch keep their rows over the moment in which its storage is emptied."""
    for position, plan in enumerate(attempt.catalog.tables):
        if plan.kind == "create" and plan.source is not None:
            name = f"_bough_made_{position}"
            rows = attempt.sides.visible(plan.source, attempt.source)
            merge_stage.store(attempt.cursor, name, rows)
            attempt.aside[position] = f"SELECT * FROM {name}"
